//! The page's three requests. What to do about a failure is the caller's to know.

use js_sys::{Object, Reflect, encode_uri_component};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, RequestInit, Response};
use wire::{invoice::SessionHeaders, payor::StreamConnection, snapshot::Snapshot};

use crate::{json::Json, read};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came, or nothing that makes sense.
    Lost,
    /// The session is not, or no longer, good.
    Refused,
}

pub async fn snapshot(credentials: &SessionHeaders, abort: &AbortSignal) -> Result<Snapshot, Failure> {
    let json = answer("/pay/snapshot", &with_credentials(credentials, abort)).await?;
    read::snapshot(&json).map_err(|_| Failure::Lost)
}

/// Where to follow the payment: each call gives a fresh credential.
pub async fn stream(credentials: &SessionHeaders, abort: &AbortSignal) -> Option<StreamConnection> {
    let request = with_credentials(credentials, abort);
    read::stream_connection(&answer("/api/v1/payments/stream-token", &request).await.ok()?).ok()
}

/// Asks for a quote, as the form does: `choice` is `network:token_id`.
pub async fn choose(credentials: &SessionHeaders, choice: &str) -> Option<Snapshot> {
    let [session, signature, choice] = [&credentials.session_token, &credentials.signature, choice]
        .map(|text| String::from(encode_uri_component(text)));
    let request = with_headers(&[("content-type", "application/x-www-form-urlencoded")]);
    request.set_method("POST");
    request.set_body(&format!("session={session}&signature={signature}&token={choice}").into());
    read::snapshot(&answer("/pay/choose", &request).await.ok()?).ok()
}

fn with_credentials(credentials: &SessionHeaders, abort: &AbortSignal) -> RequestInit {
    let request =
        with_headers(&[("x-session-token", &credentials.session_token), ("x-signature", &credentials.signature)]);
    request.set_signal(Some(abort));
    request
}

/// A request for JSON.
fn with_headers(headers: &[(&str, &str)]) -> RequestInit {
    let object = Object::new();
    for (name, value) in [("accept", "application/json")].iter().chain(headers) {
        _ = Reflect::set(&object, &JsValue::from_str(name), &JsValue::from_str(value));
    }
    let request = RequestInit::new();
    request.set_headers(&object);
    request
}

async fn answer(path: &str, request: &RequestInit) -> Result<Json, Failure> {
    let response = JsFuture::from(window().fetch_with_str_and_init(path, request)).await.map_err(lost)?;
    let response: Response = response.unchecked_into();
    if !response.ok() {
        return Err(if response.status() == 401 { Failure::Refused } else { Failure::Lost });
    }
    let text = JsFuture::from(response.text().map_err(lost)?).await.map_err(lost)?;
    Json::parse(&text.as_string().unwrap_or_default()).map_err(|_| Failure::Lost)
}

fn lost(_: JsValue) -> Failure {
    Failure::Lost
}
