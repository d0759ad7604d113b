//! The public API, called as merchants and payers call it.

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    invoice::{CreatedInvoice, Invoice, InvoiceStatusReport},
    payor::{AvailableToken, PaymentAddress, PaymentStatusReport, SessionDetails},
};

/// Calls the API of one server with one merchant's key.
#[derive(Clone)]
pub struct ApiClient {
    pub url: String,
    pub api_key: String,
    client: Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The body of a good answer.
    ///
    /// # Panics
    ///
    /// If it is not good, or not a `T`.
    pub fn good<T: DeserializeOwned>(self) -> T {
        assert!(self.status.is_success(), "{self:?}");
        serde_json::from_value(self.body.clone()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl ApiClient {
    /// # Panics
    ///
    /// If the system has no HTTP client to give.
    pub fn new(url: &str, api_key: &str) -> Self {
        let client = demo::http_client().expect("the system gives an HTTP client");
        Self { url: url.to_owned(), api_key: api_key.to_owned(), client }
    }

    /// # Errors
    ///
    /// If no answer came.
    pub async fn try_create_invoice(&self, key: Uuid, request: &Value) -> reqwest::Result<Answer> {
        let call = self.client.post(format!("{}/api/v1/invoices", self.url));
        let call = call.header("x-api-key", &self.api_key).header("idempotency-key", key.to_string());
        answer(call.json(request)).await
    }

    /// An invoice over so many dollars, as JSON spells the number.
    pub async fn create_invoice(&self, dollars: &str) -> CreatedInvoice {
        let amount: Value = serde_json::from_str(dollars).expect("dollars are a number");
        let request = json!({ "amount_usd": amount });
        self.try_create_invoice(Uuid::new_v4(), &request).await.expect("an answer").good()
    }

    pub async fn invoice(&self, id: &str) -> Invoice {
        self.get(&format!("/api/v1/invoices/{id}")).await.good()
    }

    pub async fn invoice_status(&self, id: &str) -> InvoiceStatusReport {
        self.get(&format!("/api/v1/invoices/{id}/status")).await.good()
    }

    /// A merchant's `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        let call = self.client.get(format!("{}{path}", self.url)).header("x-api-key", &self.api_key);
        answer(call).await.expect("an answer")
    }

    /// A merchant's call of any kind; `null` sends no body.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: &Value) -> Answer {
        let call = self.client.request(method, format!("{}{path}", self.url)).header("x-api-key", &self.api_key);
        answer(if body.is_null() { call } else { call.json(body) }).await.expect("an answer")
    }

    pub async fn session_details(&self, invoice: &CreatedInvoice) -> SessionDetails {
        self.payor_get(invoice, "session-details").await.good()
    }

    pub async fn available_tokens(&self, invoice: &CreatedInvoice) -> Vec<AvailableToken> {
        self.payor_get(invoice, "available-tokens").await.good()
    }

    pub async fn payment_status(&self, invoice: &CreatedInvoice) -> PaymentStatusReport {
        self.payor_get(invoice, "payment-status").await.good()
    }

    /// Chooses what to pay with.
    ///
    /// # Errors
    ///
    /// If no answer came.
    pub async fn try_payment_address(
        &self,
        invoice: &CreatedInvoice,
        network: &str,
        token: i64,
    ) -> reqwest::Result<Answer> {
        let call = self.client.post(format!("{}/api/v1/payments/payment-addresses", self.url));
        let call = with_session(call, invoice).json(&json!({ "network": network, "tokenId": token }));
        answer(call).await
    }

    pub async fn payment_address(&self, invoice: &CreatedInvoice, network: &str, token: i64) -> PaymentAddress {
        self.try_payment_address(invoice, network, token).await.expect("an answer").good()
    }

    /// What a payer says of a payment that was not found.
    pub async fn verify(&self, invoice: &CreatedInvoice, request: &Value) -> Answer {
        let call = self.client.post(format!("{}/api/v1/invoice/{}/verify", self.url, invoice.invoice_id));
        answer(with_session(call, invoice).json(request)).await.expect("an answer")
    }

    /// What came of it.
    pub async fn verification(&self, invoice: &CreatedInvoice) -> Answer {
        let call = self.client.get(format!("{}/api/v1/invoice/{}/verify", self.url, invoice.invoice_id));
        answer(with_session(call, invoice)).await.expect("an answer")
    }

    /// A payer's `GET`.
    pub async fn payor_get(&self, invoice: &CreatedInvoice, name: &str) -> Answer {
        let call = self.client.get(format!("{}/api/v1/payments/{name}", self.url));
        answer(with_session(call, invoice)).await.expect("an answer")
    }
}

fn with_session(call: RequestBuilder, invoice: &CreatedInvoice) -> RequestBuilder {
    call.header("x-session-token", &invoice.session_token).header("x-signature", &invoice.signature)
}

async fn answer(call: RequestBuilder) -> reqwest::Result<Answer> {
    let response = call.send().await?;
    let status = response.status();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, body })
}
