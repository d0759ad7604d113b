//! `GET /ws/merchant/events`: everything that happens to a merchant, or what it asks for of that.
//!
//! It is opened by a key in a header or, where that cannot be sent, by a token from `POST /api/v1/ws/token`. The
//! token only opens it: the stream lasts for as long as the credential the token was asked for with.

use axum::{
    extract::{FromRequestParts, Request, State, WebSocketUpgrade},
    response::Response,
};
use domain::{id::MerchantId, signature::CredentialHash, time::UnixSeconds};
use serde_json::{Value, json};
use utoipa::IntoParams;
use wire::event::Event;

use super::{
    origin::check_origin,
    socket::{self, Followed, Frame, Opening},
};
use crate::{
    app::App,
    events::{Seen, to_wire},
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{Merchant, Parameters, rights::ReadInvoices},
        merchant::filters,
    },
    store::{Credential, EventFilter, EventPart, LogPart, StoreError, StoredEvent, Tx},
};

/// What [`filter`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
struct StreamParameters {
    /// A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`.
    #[param(pattern = r"^ *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *(, *([a-z_]+(\.[a-z_]+)*(\.\*)?|\*)? *)*$")]
    types: Option<String>,
    /// The id of the last event you have; what came after it is sent first.
    #[param(pattern = "^evt_[0-9]+-[0-9]+$")]
    since: Option<String>,
    /// A list with commas of `standard` and `commerce`; this server has no invoices of the latter.
    #[param(pattern = "^ *(standard|commerce)? *(, *(standard|commerce)? *)*$")]
    invoice_type: Option<String>,
    /// Only what happened to this invoice.
    #[param(format = "uuid")]
    invoice_id: Option<String>,
    /// Only what happened to this customer's invoices.
    #[param(min_length = 1, max_length = 255)]
    customer_id: Option<String>,
    environment: Option<wire::Environment>,
    /// Always `event_v1`.
    #[param(pattern = "^event_v1$")]
    format: Option<String>,
}

/// Follows a merchant's events, from the one `since` names, or from now.
///
/// `docs/streams.md` says which frames come and with which codes it closes.
#[utoipa::path(
    get,
    path = "/ws/merchant/events",
    tag = "Streams",
    params(StreamParameters),
    responses((status = 101, description = "The connection is a WebSocket from here on.")),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []), ("ws_token" = [])),
    extensions(("x-error-codes" = json!(codes![ORIGIN_FORBIDDEN, UPGRADE_REQUIRED])))
)]
pub async fn follow_merchant_events(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app).await;
    let (merchant, credential) = if let Some(token) = parameters.get("token") {
        open_by_token(&app, token).await?
    } else {
        let merchant = Merchant::<ReadInvoices>::from_request_parts(&mut parts, &app).await?;
        (merchant.id, merchant.credential)
    };
    check_origin(&app, &parts.headers, merchant).await?;
    let followed = MerchantStream { merchant, filter: filter(&parameters)? };
    let since = socket::since(&parameters)?;
    let held = Some(app.access.hold(merchant, credential));
    Opening { app, upgrade, followed, held, since }
        .open(|app| app.hub.follow_merchant_within(merchant, app.config.limits.sockets_per_merchant))
}

async fn open_by_token(app: &App, token: &str) -> Result<(MerchantId, Credential), ApiError> {
    let now = app.clock.now();
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let token = tx.merchant_stream_token(CredentialHash::of(token)).await?.ok_or(ApiError::WsTokenInvalid)?;
    if token.expires_at <= now {
        return Err(ApiError::WsTokenExpired);
    }
    // What was revoked opens nothing, not even by what it left behind.
    let holder = (token.merchant, token.credential);
    let ended = tx.ended_access(&[holder], now).await?;
    if ended.is_empty() { Ok(holder) } else { Err(ApiError::WsTokenInvalid) }
}

/// Which events are meant; `None` if none can be.
fn filter(parameters: &Parameters) -> Result<Option<EventFilter>, ApiError> {
    let filter = EventFilter {
        types: filters::event_types(parameters, "types")?,
        invoice: filters::invoice_id(parameters)?,
        of_invoices: parameters.list("invoice_type").is_some(),
        customer: parameters.get("customer_id").map(filters::customer_id).transpose()?,
        environment: filters::environment(parameters)?,
        ..EventFilter::default()
    };
    Ok(filters::has_standard_invoices(parameters)?.then_some(filter))
}

struct MerchantStream {
    merchant: MerchantId,
    filter: Option<EventFilter>,
}

impl Followed for MerchantStream {
    /// Its credential's end is looked after for all its streams together.
    fn ends_at(&self) -> Option<UnixSeconds> {
        None
    }

    async fn read_after(&self, tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<LogPart, StoreError> {
        match &self.filter {
            Some(filter) => tx.events_after(self.merchant, filter, after, limit).await,
            None => Ok(LogPart { events: Vec::new(), reached: tx.last_event_sequence().await?, is_end: true }),
        }
    }

    async fn read_newest(&self, tx: &mut Tx<'_>, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        match &self.filter {
            Some(filter) => Ok(tx.event_list(self.merchant, filter, EventPart::Newest, limit).await?.0),
            None => Ok(Vec::new()),
        }
    }

    async fn pruned_to(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        tx.events_pruned_to(self.merchant).await
    }

    async fn show(&self, tx: &mut Tx<'_>, event: &StoredEvent) -> Result<Event, StoreError> {
        Ok(to_wire(event, tx.pending_webhooks(event.merchant, event.id).await?))
    }

    async fn begin(&mut self, _: &App) -> Result<Value, StoreError> {
        Ok(json!({ "merchant_id": self.merchant.0 }))
    }

    async fn besides(&mut self, _: &App, _: i64, _: Seen, _: Seen) -> Result<Vec<Frame>, StoreError> {
        Ok(Vec::new())
    }
}
