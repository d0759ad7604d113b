//! `GET /api/v1/webhooks/{webhook_id}/deliveries`

use axum::{Json, extract::State};
use domain::id::{EndpointId, MerchantId};
use wire::webhook::WebhookDeliveryList;

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::{ApiError, invalid},
        extract::{Merchant, Parameters, rights::ReadWebhooks},
        merchant::filters::{self, AFTER, BEFORE, PageParameters, PageStart},
    },
    store::{DeliveryCursor, DeliveryFilter, DeliveryPart, DeliveryState, Tx},
    view,
};

/// What [`states`] and the types are read from.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
struct DeliveryParameters {
    /// A list with commas of `pending`, `delivered` and `exhausted`.
    #[param(pattern = "^ *(pending|delivered|exhausted)? *(, *(pending|delivered|exhausted)? *)*$")]
    state: Option<String>,
    /// A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`.
    #[param(pattern = r"^ *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *(, *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *)*$")]
    r#type: Option<String>,
}

/// What was and is to be sent to an endpoint, newest first, with every try.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{webhook_id}/deliveries",
    tag = "Webhooks",
    params(NamedWebhook, PageParameters, DeliveryParameters),
    responses((status = 200, body = WebhookDeliveryList)),
    security(("merchant_key" = ["webhooks"]), ("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND, INVALID_CURSOR])))
)]
pub async fn list_webhook_deliveries(
    State(app): State<App>,
    merchant: Merchant<ReadWebhooks>,
    NamedWebhook(id): NamedWebhook,
    parameters: Parameters,
) -> Result<Json<WebhookDeliveryList>, ApiError> {
    let filter = DeliveryFilter { states: states(&parameters)?, types: filters::event_types(&parameters, "type")? };
    let limit = filters::limit(&parameters)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    tx.endpoint(merchant.id, id).await?.ok_or(ApiError::WebhookNotFound)?;
    let part = match filters::page_start(&parameters)? {
        PageStart::Newest => DeliveryPart::Newest,
        PageStart::After(place) => DeliveryPart::Before(cursor(&mut tx, merchant.id, id, AFTER, place).await?),
        PageStart::Before(place) => DeliveryPart::After(cursor(&mut tx, merchant.id, id, BEFORE, place).await?),
    };
    let (found, has_more) = tx.delivery_list(merchant.id, id, &filter, &part, limit).await?;
    let data = found.iter().map(|delivery| view::webhook_delivery(id, delivery)).collect();
    Ok(Json(WebhookDeliveryList { object: "list".to_owned(), data, has_more }))
}

async fn cursor(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    endpoint: EndpointId,
    field: &'static str,
    text: &str,
) -> Result<DeliveryCursor, ApiError> {
    let (event, is_wanted) = view::parse_sent_event_id(text).ok_or(ApiError::InvalidCursor { field })?;
    let cursor = tx.delivery_cursor(merchant, endpoint, event, is_wanted).await?;
    cursor.ok_or(ApiError::InvalidCursor { field })
}

fn states(parameters: &Parameters) -> Result<Vec<DeliveryState>, ApiError> {
    let names = parameters.list("state").unwrap_or_default().into_iter();
    let states = names.map(|name| match name {
        "pending" => Ok(DeliveryState::Pending),
        "delivered" => Ok(DeliveryState::Delivered),
        "exhausted" => Ok(DeliveryState::Exhausted),
        _ => Err(invalid("state", "state is a list of pending, delivered and exhausted")),
    });
    states.collect()
}
