//! Events as changes of invoices write them, for tests that need many or odd ones.

use domain::{
    id::{InvoiceId, MerchantId},
    time::UnixMillis,
};
use pepay::store::{NewEvent, Store, StoreError};
use serde_json::Value;

/// An `invoice.updated` with `object` as its data.
pub fn invoice_event(merchant: MerchantId, invoice: InvoiceId, object: &Value, created: UnixMillis) -> NewEvent {
    NewEvent {
        merchant,
        invoice: Some(invoice),
        event_type: "invoice.updated",
        environment: wire::Environment::Devnet,
        object: object.to_string(),
        previous_attributes: None,
        request_id: None,
        idempotency_key: None,
        created,
    }
}

/// Writes events in one transaction.
///
/// # Panics
///
/// If the database refuses.
pub async fn append_events(store: &Store, events: Vec<NewEvent>) {
    let appended: Result<(), StoreError> = store
        .write(move |tx| {
            Box::pin(async move {
                for event in &events {
                    tx.append_event(event).await?;
                }
                Ok(())
            })
        })
        .await;
    appended.expect("the database writes");
}
