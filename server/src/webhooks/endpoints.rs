//! What merchants do with their endpoints.

use domain::{
    id::{EndpointId, EventId, MerchantId},
    time::{UnixMillis, UnixSeconds},
};
use serde_json::json;
use wire::webhook::{LEGACY_EVENT_TYPES, PING, WebhookVersion};

use super::sealing::Sealer;
use crate::{
    app::App,
    clock::random_bytes,
    credentials::random_credential,
    store::{Endpoint, EndpointRole, NewEvent, PreviousSecret, Requeued, Store, StoreError, Subscription, Tx},
};

/// Events that one request queues again at most; what is more is asked for in further ones.
pub const REDELIVERED_AT_ONCE: i64 = 500;
/// Deliveries that are given up in the request that disables their endpoint; the queue does the rest.
const GIVEN_UP_AT_ONCE: i64 = 500;

/// The endpoint stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("there is no such endpoint")]
    NoSuchEndpoint,
    #[error("there is no such delivery")]
    NoSuchDelivery,
    #[error("there are {0} endpoints already")]
    TooMany(usize),
    #[error("the endpoint is not active")]
    Inactive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub url: String,
    pub subscription: Subscription,
    pub description: Option<String>,
    pub is_active: bool,
}

/// An endpoint and its secret, which is shown only now.
pub struct WithSecret {
    pub endpoint: Endpoint,
    pub secret: String,
}

/// Makes an endpoint with a secret of its own.
///
/// # Errors
///
/// If the merchant has as many as it may have.
pub async fn create(app: &App, merchant: MerchantId, new: NewEndpoint) -> Result<WithSecret, EndpointError> {
    let (secret, mut endpoint) = make(&Sealer::new(&app.secrets), merchant, &new.url, app.clock.now());
    endpoint.subscription = new.subscription;
    endpoint.description = new.description;
    endpoint.is_active = new.is_active;
    let most = app.config.webhooks.endpoints_per_merchant;
    let created = app.store.write(move |tx| {
        Box::pin(async move {
            tx.lock_merchant(merchant).await?;
            check_room(tx, merchant, most).await?;
            tx.insert_endpoint(&endpoint).await?;
            Ok::<_, EndpointError>(endpoint)
        })
    });
    Ok(WithSecret { endpoint: created.await?, secret })
}

async fn check_room(tx: &mut Tx<'_>, merchant: MerchantId, most: usize) -> Result<(), EndpointError> {
    let taken = tx.endpoints(merchant).await?.len();
    if taken < most { Ok(()) } else { Err(EndpointError::TooMany(most)) }
}

fn make(sealer: &Sealer, merchant: MerchantId, url: &str, now: UnixSeconds) -> (String, Endpoint) {
    let id = EndpointId::from_random(random_bytes());
    let secret = random_credential("whsec_");
    let stored = sealer.seal(merchant, id, &secret);
    (secret, Endpoint::new(merchant, id, url, &stored, now))
}

/// Changes an endpoint as `change` says. One that is not active any more is owed nothing; one that is active again
/// begins anew.
///
/// # Errors
///
/// What `change` returns, or that there is no such endpoint.
pub async fn update<E>(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    change: impl FnOnce(&mut Endpoint) -> Result<(), E> + Send + 'static,
) -> Result<Endpoint, E>
where
    E: From<EndpointError> + From<StoreError> + Send + 'static,
{
    let now = app.clock.now();
    let write = app.store.write::<Endpoint, E, _>(move |tx| {
        Box::pin(async move {
            tx.lock_merchant(merchant).await?;
            tx.lock_endpoint(merchant, id).await?;
            let mut endpoint = tx.endpoint(merchant, id).await?.ok_or(EndpointError::NoSuchEndpoint)?;
            change(&mut endpoint)?;
            if endpoint.is_active {
                endpoint.disabled = None;
            }
            endpoint.updated_at = now;
            tx.save_endpoint(&endpoint).await?;
            tx.endpoint(merchant, id).await?.ok_or_else(|| E::from(EndpointError::NoSuchEndpoint))
        })
    });
    let endpoint = write.await?;
    if !endpoint.is_active {
        let now = app.clock.now_ms();
        let give_up = app.store.write(move |tx| {
            Box::pin(async move { tx.give_up_deliveries(merchant, id, now, GIVEN_UP_AT_ONCE).await.map_err(E::from) })
        });
        give_up.await?;
    }
    Ok(endpoint)
}

/// Takes an endpoint away, and with it all that is owed to it.
///
/// # Errors
///
/// If there is no such endpoint.
pub async fn delete(app: &App, merchant: MerchantId, id: EndpointId) -> Result<(), EndpointError> {
    let now = app.clock.now();
    let write = app.store.write(move |tx| Box::pin(async move { tx.delete_endpoint(merchant, id, now).await }));
    if write.await? { Ok(()) } else { Err(EndpointError::NoSuchEndpoint) }
}

/// Gives an endpoint a new secret; the one before it signs as well for `previous_valid_seconds`.
///
/// # Errors
///
/// If there is no such endpoint.
pub async fn rotate_secret(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    previous_valid_seconds: i64,
) -> Result<WithSecret, EndpointError> {
    let secret = random_credential("whsec_");
    let sealed = Sealer::new(&app.secrets).seal(merchant, id, &secret);
    let until = app.clock.now().plus(previous_valid_seconds);
    let endpoint = update::<EndpointError>(app, merchant, id, move |endpoint| {
        let before = std::mem::replace(&mut endpoint.secret, sealed);
        endpoint.previous = (0 < previous_valid_seconds).then_some(PreviousSecret { secret: before, until });
        Ok(())
    });
    Ok(WithSecret { endpoint: endpoint.await?, secret })
}

/// Sends a ping to one endpoint, whatever that asked for.
///
/// # Errors
///
/// If there is no such endpoint, or if it is not active.
pub async fn ping(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    request_id: Option<String>,
) -> Result<(), EndpointError> {
    let event = NewEvent {
        merchant,
        invoice: None,
        event_type: PING,
        environment: app.config.environment,
        object: json!({ "object": "ping", "status": "ok" }).to_string(),
        previous_attributes: None,
        request_id,
        idempotency_key: None,
        created: app.clock.now_ms(),
    };
    app.store
        .write(move |tx| {
            Box::pin(async move {
                active(tx, merchant, id).await?;
                tx.append_event_to(&event, id).await?;
                Ok(())
            })
        })
        .await
}

/// Queues one event again for an endpoint that it was sent to.
///
/// # Errors
///
/// If there is no such endpoint or delivery, or if the endpoint is not active.
pub async fn redeliver(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    event: EventId,
    is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Result<Requeued, EndpointError> {
    let now = app.clock.now_ms();
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            active(tx, merchant, id).await?;
            let cursor = tx.delivery_cursor(merchant, id, event, is_wanted).await?;
            let cursor = cursor.ok_or(EndpointError::NoSuchDelivery)?;
            Ok::<_, EndpointError>(tx.requeue_delivery(merchant, id, &cursor, now).await?)
        })
    });
    let requeued = write.await?;
    app.hub.log_grew();
    Ok(requeued)
}

/// Queues again what an endpoint never got since a time; also returns whether there is more.
///
/// # Errors
///
/// If there is no such endpoint, or if it is not active.
pub async fn redeliver_failed(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    since: UnixMillis,
) -> Result<(Requeued, bool), EndpointError> {
    let now = app.clock.now_ms();
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            active(tx, merchant, id).await?;
            Ok::<_, EndpointError>(tx.requeue_exhausted(merchant, id, since, REDELIVERED_AT_ONCE, now).await?)
        })
    });
    let requeued = write.await?;
    app.hub.log_grew();
    Ok(requeued)
}

/// Queues every event of a range that an endpoint asks for, after the one numbered `after`; also returns the last one
/// that was looked at, if there may be more.
///
/// # Errors
///
/// If there is no such endpoint, or if it is not active.
pub async fn redeliver_range(
    app: &App,
    merchant: MerchantId,
    id: EndpointId,
    range: [UnixMillis; 2],
    after: i64,
) -> Result<(Requeued, Option<EventId>), EndpointError> {
    let now = app.clock.now_ms();
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            let endpoint = active(tx, merchant, id).await?;
            Ok::<_, EndpointError>(tx.requeue_range(&endpoint, range, after, REDELIVERED_AT_ONCE, now).await?)
        })
    });
    let requeued = write.await?;
    app.hub.log_grew();
    Ok(requeued)
}

async fn active(tx: &mut Tx<'_>, merchant: MerchantId, id: EndpointId) -> Result<Endpoint, EndpointError> {
    tx.lock_endpoint(merchant, id).await?;
    let endpoint = tx.endpoint(merchant, id).await?.ok_or(EndpointError::NoSuchEndpoint)?;
    if endpoint.is_active { Ok(endpoint) } else { Err(EndpointError::Inactive) }
}

/// Sets where the operator's or the oldest route's webhooks go. The operator's endpoint gets a new secret each time;
/// the other one keeps its own, and is told only to whom makes it.
///
/// # Errors
///
/// If the merchant has as many endpoints as it may have.
async fn set(
    store: &Store,
    sealer: &Sealer,
    now: UnixSeconds,
    merchant: MerchantId,
    url: &str,
    (role, most): (EndpointRole, usize),
) -> Result<(Endpoint, Option<String>), EndpointError> {
    let (secret, mut new) = make(sealer, merchant, url, now);
    new.role = Some(role);
    if role == EndpointRole::Legacy {
        let enabled_events = LEGACY_EVENT_TYPES.map(str::to_owned).to_vec();
        new.subscription = Subscription { enabled_events, environment: None, version: WebhookVersion::Legacy };
    }
    let sealed_again = {
        let secret = secret.clone();
        let keys = sealer.clone();
        move |id| keys.seal(merchant, id, &secret)
    };
    let (endpoint, is_new_secret) = store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                let Some(mut known) = tx.endpoint_in_role(merchant, role).await? else {
                    check_room(tx, merchant, most).await?;
                    tx.insert_endpoint(&new).await?;
                    return Ok::<_, EndpointError>((new, true));
                };
                tx.lock_endpoint(merchant, known.id).await?;
                known.url = new.url;
                known.is_active = true;
                known.disabled = None;
                known.updated_at = now;
                let is_new_secret = role == EndpointRole::Main;
                if is_new_secret {
                    known.secret = sealed_again(known.id);
                    known.previous = None;
                }
                tx.save_endpoint(&known).await?;
                Ok((known, is_new_secret))
            })
        })
        .await?;
    Ok((endpoint, is_new_secret.then_some(secret)))
}

/// Sets the endpoint of the operator, with a new secret; it hears of everything and counts for no limit.
///
/// # Errors
///
/// If the database refuses.
pub async fn set_main(
    store: &Store,
    sealer: &Sealer,
    now: UnixSeconds,
    merchant: MerchantId,
    url: &str,
) -> Result<WithSecret, EndpointError> {
    let (endpoint, secret) = set(store, sealer, now, merchant, url, (EndpointRole::Main, usize::MAX)).await?;
    Ok(WithSecret { endpoint, secret: secret.unwrap_or_default() })
}

/// Sets the endpoint of the oldest route; the secret comes only with a new one.
///
/// # Errors
///
/// If the merchant has as many endpoints as it may have.
pub async fn set_legacy(
    app: &App,
    merchant: MerchantId,
    url: &str,
) -> Result<(Endpoint, Option<String>), EndpointError> {
    let most = app.config.webhooks.endpoints_per_merchant;
    let sealer = Sealer::new(&app.secrets);
    set(&app.store, &sealer, app.clock.now(), merchant, url, (EndpointRole::Legacy, most)).await
}
