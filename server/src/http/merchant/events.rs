//! `GET /api/v1/events` and `GET /api/v1/events/{event_id}`

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use domain::id::{EventId, MerchantId};
use utoipa::IntoParams;
use wire::event::{Event, EventList, Wrapped};

use super::filters::{self, AFTER, BEFORE, PageParameters, PageStart};
use crate::{
    app::App,
    events::to_wire,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{Merchant, Parameters, rights::ReadInvoices},
    },
    store::{EventFilter, EventPart, StoredEvent, Tx},
};

/// What [`filter`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
struct EventParameters {
    /// A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`.
    #[param(pattern = r"^ *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *(, *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *)*$")]
    r#type: Option<String>,
    /// Only what happened to this invoice.
    #[param(format = "uuid")]
    invoice_id: Option<String>,
    environment: Option<wire::Environment>,
    /// From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`.
    #[param(rename = "created[gte]", value_type = Option<wire::time::Moment>)]
    created_gte: Option<String>,
    /// Up to this time and including it.
    #[param(rename = "created[lte]", value_type = Option<wire::time::Moment>)]
    created_lte: Option<String>,
}

/// A merchant's events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "Events",
    params(PageParameters, EventParameters),
    responses((status = 200, body = Wrapped<EventList>)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVALID_CURSOR])))
)]
pub async fn list_events(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<Wrapped<EventList>>, ApiError> {
    let filter = filter(&parameters)?;
    let limit = filters::limit(&parameters)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let part = match filters::page_start(&parameters)? {
        PageStart::Newest => EventPart::Newest,
        PageStart::After(id) => EventPart::Before(cursor(&mut tx, merchant.id, AFTER, id).await?),
        PageStart::Before(id) => EventPart::After(cursor(&mut tx, merchant.id, BEFORE, id).await?),
    };
    let (found, has_more) = tx.event_list(merchant.id, &filter, part, limit).await?;
    let mut data = Vec::with_capacity(found.len());
    for event in &found {
        data.push(show(&mut tx, event).await?);
    }
    Ok(Json(Wrapped::new(EventList { object: "list".to_owned(), data, has_more })))
}

/// One event; what is no event's id at all is as absent as the rest.
#[utoipa::path(
    get,
    path = "/api/v1/events/{event_id}",
    tag = "Events",
    params(("event_id" = String, Path, description = "The id of an event.")),
    responses((status = 200, body = Wrapped<Event>)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![EVENT_NOT_FOUND])))
)]
pub async fn retrieve_event(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Wrapped<Event>>, ApiError> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or(ApiError::EventNotFound)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let event = tx.event(merchant.id, id).await?.ok_or(ApiError::EventNotFound)?;
    Ok(Json(Wrapped::new(show(&mut tx, &event).await?)))
}

async fn show(tx: &mut Tx<'_>, event: &StoredEvent) -> Result<Event, ApiError> {
    Ok(to_wire(event, tx.pending_webhooks(event.merchant, event.id).await?))
}

async fn cursor(tx: &mut Tx<'_>, merchant: MerchantId, field: &'static str, id: &str) -> Result<EventId, ApiError> {
    let id = id.parse().map_err(|_| ApiError::InvalidCursor { field })?;
    tx.event(merchant, id).await?.map(|event| event.id).ok_or(ApiError::InvalidCursor { field })
}

fn filter(parameters: &Parameters) -> Result<EventFilter, ApiError> {
    Ok(EventFilter {
        types: filters::event_types(parameters, "type")?,
        invoice: filters::invoice_id(parameters)?,
        environment: filters::environment(parameters)?,
        created: filters::created_between(parameters, ["created[gte]", "created[lte]"])?,
        ..EventFilter::default()
    })
}
