//! `POST /api/v1/webhooks/{webhook_id}/deliveries/redeliver` and
//! `POST /api/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver`

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use domain::{id::EventId, time::UnixSeconds};
use serde::Deserialize;
use wire::webhook::{RedeliverRequest, Redelivery};

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::{ApiError, invalid},
        extract::{JsonBody, Merchant, rights::ManageWebhooks},
    },
    store::Requeued,
    view, webhooks,
};

#[derive(Deserialize)]
pub struct DeliveryPath {
    event_id: String,
}

/// Queues one event again, by the id that it was sent with. One that is still on its way is left alone.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver",
    tag = "Webhooks",
    params(NamedWebhook, ("event_id" = String, Path, description = "The id an event was sent with.")),
    responses((status = 200, body = Redelivery)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND, DELIVERY_NOT_FOUND, WEBHOOK_DISABLED])))
)]
pub async fn redeliver_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
    path: Result<Path<DeliveryPath>, PathRejection>,
) -> Result<Json<Redelivery>, ApiError> {
    let sent = path.ok().and_then(|Path(path)| view::parse_sent_event_id(&path.event_id));
    let (event, is_wanted) = sent.ok_or(ApiError::DeliveryNotFound)?;
    let requeued = webhooks::redeliver(&app, merchant.id, id, event, is_wanted).await?;
    Ok(Json(show(requeued, false, None)))
}

/// Queues again what was given up since a time, or every event of a range of time, a part at a time. What is still on
/// its way is left alone.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{webhook_id}/deliveries/redeliver",
    tag = "Webhooks",
    params(NamedWebhook),
    request_body = RedeliverRequest,
    responses((status = 200, body = Redelivery)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND, WEBHOOK_DISABLED, INVALID_CURSOR])))
)]
pub async fn redeliver_webhooks(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
    JsonBody { value: request, .. }: JsonBody<RedeliverRequest>,
) -> Result<Json<Redelivery>, ApiError> {
    match wanted(&request)? {
        Wanted::FailedSince(since) => {
            let since = since.as_millis();
            let (requeued, has_more) = webhooks::redeliver_failed(&app, merchant.id, id, since).await?;
            Ok(Json(show(requeued, has_more, None)))
        }
        Wanted::Range { from, to, after } => {
            let to = to.unwrap_or(app.clock.now()).plus(1).as_millis().0 - 1;
            let range = [from.as_millis(), domain::time::UnixMillis(to)];
            let after = after.map_or(0, |event| event.sequence);
            let (requeued, next) = webhooks::redeliver_range(&app, merchant.id, id, range, after).await?;
            Ok(Json(show(requeued, next.is_some(), next)))
        }
    }
}

enum Wanted {
    FailedSince(UnixSeconds),
    Range { from: UnixSeconds, to: Option<UnixSeconds>, after: Option<EventId> },
}

fn wanted(request: &RedeliverRequest) -> Result<Wanted, ApiError> {
    /// The last second of the year 9999.
    const LATEST: i64 = 253_402_300_799;
    let time = |field: &'static str, seconds: Option<i64>| match seconds {
        None => Ok(None),
        Some(seconds) if (0..=LATEST).contains(&seconds) => Ok(Some(UnixSeconds(seconds))),
        Some(_) => Err(invalid(field, format!("{field} must be epoch seconds"))),
    };
    let since = time("failed_since", request.failed_since)?;
    let (from, to) = (time("from", request.from)?, time("to", request.to)?);
    let after = request
        .starting_after
        .as_deref()
        .map(|text| text.parse().map_err(|_| ApiError::InvalidCursor { field: "starting_after" }));
    let after = after.transpose()?;
    match (since, from) {
        (Some(since), None) if to.is_none() && after.is_none() => Ok(Wanted::FailedSince(since)),
        (None, Some(from)) if to.is_none_or(|to| from <= to) => Ok(Wanted::Range { from, to, after }),
        (None, Some(_)) => Err(invalid("to", "to must not lie before from")),
        (None, None) => Err(invalid("failed_since", "either failed_since or from is required, as epoch seconds")),
        (Some(_), _) => Err(invalid("failed_since", "failed_since cannot be used with from, to or starting_after")),
    }
}

fn show(requeued: Requeued, has_more: bool, next: Option<EventId>) -> Redelivery {
    Redelivery {
        object: "webhook_redelivery".to_owned(),
        queued: requeued.queued,
        already_pending: requeued.already_pending,
        has_more,
        next: next.map(|event| event.to_string()),
    }
}
