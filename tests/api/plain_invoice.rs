//! An invoice that asks for nothing but money, created by the server's own verb.

use domain::{
    id::MerchantId,
    idempotency::{Fingerprint, IdempotencyKey},
    money::UsdMillis,
};
use pepay::{
    app::App,
    invoicing::{self, CreateInvoice, Origin},
    store::InvoiceRecord,
};

pub async fn create(app: &App, merchant: MerchantId, due_millis: u64, expires_in_ms: i64) -> InvoiceRecord {
    let request = CreateInvoice {
        due: UsdMillis::from_millis(due_millis),
        expires_in_ms,
        description: None,
        customer_id: None,
        customer_email: None,
        metadata: "{}".to_owned(),
        title: None,
        footer: None,
        questions: None,
        return_url: None,
        return_url_enabled: false,
        receiver: None,
    };
    let key = uuid::Uuid::new_v4().to_string();
    let origin = Origin {
        route: "invoices",
        key: IdempotencyKey::parse(&key).ok(),
        fingerprint: Fingerprint::of(&[key.as_bytes()]),
        request_id: key,
    };
    invoicing::create(app, merchant, request, origin).await.unwrap().invoice
}
