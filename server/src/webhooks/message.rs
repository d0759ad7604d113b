//! What an endpoint is sent of an event, in the form it asked for.

use domain::time::UnixMillis;
use serde::Deserialize;
use wire::{
    money::Dollars,
    webhook::{LegacyEvent, LegacyEventData, WebhookVersion},
};

use super::{
    delivery::Message,
    sealing::{Sealer, SigningSecrets},
};
use crate::{
    app::App,
    events,
    sealing::Unopenable,
    store::{DueDelivery, StoreError, StoredEvent},
    view,
};

#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error(transparent)]
    Secret(#[from] Unopenable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) async fn of(
    app: &App,
    sealer: &Sealer,
    delivery: &DueDelivery,
    now: UnixMillis,
) -> Result<Message, MessageError> {
    let (endpoint, event) = (&delivery.endpoint, &delivery.event);
    let event_id = view::sent_event_id(event.id, &delivery.sent_as);
    let body = match endpoint.subscription.version {
        WebhookVersion::Current => serde_json::to_vec(&events::to_wire(event, delivery.pending_webhooks)),
        WebhookVersion::Legacy => {
            let payment = newest_payment(app, event).await?;
            serde_json::to_vec(&legacy_event(event, &event_id, &delivery.sent_as, payment))
        }
    };
    Ok(Message {
        url: endpoint.url.clone(),
        event_type: delivery.sent_as.clone(),
        event_id,
        environment: event.environment.clone(),
        // Only maps with keys that are no text cannot be written.
        body: body.unwrap_or_default(),
        secrets: SigningSecrets::of(sealer, endpoint, now.as_seconds())?,
    })
}

/// The network and the transaction of the newest transfer that counts.
struct NewestPayment {
    network: String,
    transaction: String,
}

async fn newest_payment(app: &App, event: &StoredEvent) -> Result<Option<NewestPayment>, StoreError> {
    let Some(invoice) = event.invoice else { return Ok(None) };
    let transfers = app.store.reader().await?.tx().transfers(event.merchant, invoice).await?;
    let counting = transfers.into_iter().filter(|transfer| transfer.canonical);
    let newest = counting.max_by_key(|transfer| (transfer.block_time, transfer.block_number, transfer.log_index));
    Ok(newest.map(|transfer| NewestPayment { network: transfer.network, transaction: transfer.tx_id }))
}

fn legacy_event(event: &StoredEvent, id: &str, sent_as: &str, payment: Option<NewestPayment>) -> LegacyEvent {
    #[derive(Default, Deserialize)]
    struct Shown {
        id: Option<String>,
        status: Option<String>,
        amount_paid: Option<u64>,
    }
    let shown: Shown = serde_json::from_str(&event.object).unwrap_or_default();
    let (network, transaction) = payment.map(|payment| (payment.network, payment.transaction)).unzip();
    LegacyEvent {
        id: id.to_owned(),
        event_type: sent_as.to_owned(),
        created: event.id.created.as_seconds().0,
        data: LegacyEventData {
            invoice_id: shown.id,
            status: shown.status,
            amount_paid: shown.amount_paid.map(|millis| Dollars { millis }),
            payment_network: network,
            transaction_hash: transaction,
        },
    }
}

#[cfg(test)]
mod tests {
    use domain::id::{EventId, InvoiceId, MerchantId};

    use super::*;

    #[test]
    fn the_older_form_is_flat_and_stays_as_it_is() {
        let event = StoredEvent {
            id: EventId { created: UnixMillis(1_790_000_000_123), sequence: 42 },
            merchant: MerchantId(1),
            invoice: Some(InvoiceId::from_random([1; 16])),
            event_type: "invoice.updated".to_owned(),
            environment: "devnet".to_owned(),
            object: r#"{"object":"invoice","id":"01","status":"paid","amount_paid":20500,"metadata":{"a":1}}"#
                .to_owned(),
            previous_attributes: Some(r#"{"status":"unpaid"}"#.to_owned()),
            request_id: None,
            idempotency_key: None,
        };
        let payment = NewestPayment { network: "base".to_owned(), transaction: "0xabc".to_owned() };
        let sent = |sent_as: &str, payment| {
            let id = view::sent_event_id(event.id, sent_as);
            serde_json::to_string(&legacy_event(&event, &id, sent_as, payment)).unwrap()
        };
        assert_eq!(
            sent("invoice.paid", Some(payment)),
            r#"{"id":"evt_1790000000123-42","type":"invoice.paid","created":1790000000,"data":{"invoice_id":"01","status":"paid","amount_paid":20.5,"payment_network":"base","transaction_hash":"0xabc"}}"#
        );
        assert_eq!(
            sent("invoice.overpaid", None),
            r#"{"id":"evt_1790000000123-42-overpaid","type":"invoice.overpaid","created":1790000000,"data":{"invoice_id":"01","status":"paid","amount_paid":20.5,"payment_network":null,"transaction_hash":null}}"#
        );
    }
}
