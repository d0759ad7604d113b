//! Calling invoices off.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Created, Server, add_merchant, new_key, request, usd};
use crate::store::StoredEvent;

const PATH: &str = "/api/v1/invoices";

impl Server {
    async fn cancel(&self, key: &str, id: &str) -> Answer {
        self.send(request(Method::POST, &format!("{PATH}/{id}/cancel"), &[("x-api-key", key)], "")).await
    }

    async fn events(&self, invoice: &Created) -> Vec<StoredEvent> {
        self.app.store.write(|tx| Box::pin(async move { tx.number_events(100).await })).await.unwrap();
        let mut reader = self.app.store.reader().await.unwrap();
        reader.tx().events_of_invoice(self.merchant, invoice.id, 0, 100).await.unwrap()
    }

    async fn status(&self, invoice: &Created) -> Value {
        self.merchant_get(&format!("{PATH}/{}", invoice.id)).await.json()["status"].clone()
    }
}

#[tokio::test]
async fn an_unpaid_invoice_can_be_canceled_once_and_says_so() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    let id = invoice.id.to_string();
    let canceled = server.cancel(&server.key, &id).await;
    assert_eq!(canceled.status, 200, "{}", canceled.text);
    let canceled = canceled.json();
    assert_eq!((&canceled["object"], &canceled["status"]), (&json!("invoice"), &json!("canceled")));
    assert_eq!(server.merchant_get(&format!("{PATH}/{id}")).await.json(), canceled);
    assert_eq!(server.payor_get("/api/v1/payments/payment-status", &invoice).await.json()["status"], "canceled");

    let events = server.events(&invoice).await;
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["invoice.created", "invoice.updated"]);
    assert_eq!(serde_json::from_str::<Value>(&events[1].object).unwrap(), canceled);
    assert_eq!(events[1].previous_attributes.as_deref(), Some(r#"{"status":"unpaid"}"#));

    server.cancel(&server.key, &id).await.is_error(400, "INVOICE_CANCELED", None);
    let choice = server.choose_by_api(&invoice, r#"{"network":"ethereum","tokenId":1}"#).await;
    choice.is_error(400, "INVOICE_CANCELED", None);
    assert_eq!(server.events(&invoice).await.len(), 2);
}

#[tokio::test]
async fn an_invoice_with_money_on_its_way_cannot_be_canceled() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(5_000), 1).await;
    let id = invoice.id.to_string();
    assert_eq!(server.status(&invoice).await, "unpaid");
    let events = server.events(&invoice).await;
    server.cancel(&server.key, &id).await.is_error(409, "INVOICE_HAS_PAYMENTS", None);
    server.pay(&invoice, usd(0), 3).await;
    assert_eq!(server.status(&invoice).await, "underpaid");
    server.cancel(&server.key, &id).await.is_error(409, "INVOICE_HAS_PAYMENTS", None);
    assert_eq!(server.events(&invoice).await[..events.len()], events);
    server.pay(&invoice, usd(15_000), 3).await;
    server.cancel(&server.key, &id).await.is_error(400, "INVOICE_ALREADY_PAID", None);
    assert_eq!(server.status(&invoice).await, "paid");
}

#[tokio::test]
async fn an_expired_invoice_cannot_be_canceled() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "expires_in": 1000 })).await;
    server.clock.advance_seconds(5);
    server.end_due_invoices().await;
    server.cancel(&server.key, &invoice.id.to_string()).await.is_error(410, "INVOICE_EXPIRED", None);
    assert_eq!(server.status(&invoice).await, "expired");
}

#[tokio::test]
async fn money_sent_after_the_cancel_is_held_for_the_merchant() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    assert_eq!(server.cancel(&server.key, &invoice.id.to_string()).await.status, 200);
    server.clock.advance_seconds(10);
    server.pay(&invoice, usd(20_000), 3).await;
    let status = server.merchant_get(&format!("{PATH}/{}/status", invoice.id)).await.json();
    assert_eq!(status["invoice"]["status"], "canceled");
    assert_eq!(status["invoice"]["amount_paid"], 0);
    assert_eq!(status["latest_payment"]["status"], "manual_retry");
}

#[tokio::test]
async fn money_that_was_on_the_chain_before_the_cancel_still_pays() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.clock.advance_seconds(10);
    assert_eq!(server.cancel(&server.key, &invoice.id.to_string()).await.status, 200);
    server.clock.advance_seconds(-5);
    server.pay(&invoice, usd(20_000), 3).await;
    assert_eq!(server.status(&invoice).await, "paid");
}

#[tokio::test]
async fn absent_and_foreign_invoices_cannot_be_canceled() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let id = invoice.id.to_string();
    let (_, other) = add_merchant(&server.app).await;
    let foreign = server.cancel(&other, &id).await;
    foreign.is_error(404, "INVOICE_NOT_FOUND", None);
    assert_eq!(server.cancel(&server.key, &new_key()).await.text, foreign.text);
    server.cancel(&server.key, "inv_1").await.is_error(400, "VALIDATION_ERROR", Some("invoice_id"));
    server.cancel("pk_x", &id).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    let path = format!("{PATH}/{id}/cancel");
    server.send(request(Method::POST, &path, &[], "")).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    server.merchant_get(&path).await.is_error(405, "METHOD_NOT_ALLOWED", None);
    assert_eq!(server.status(&invoice).await, "unpaid");
}
