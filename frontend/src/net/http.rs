//! The page's three requests. A failure is `None`: what to do about it is the caller's to know.

use gloo_net::http::{Request, RequestBuilder};
use js_sys::encode_uri_component;
use web_sys::AbortSignal;
use wire::{invoice::SessionHeaders, payor::StreamConnection, snapshot::Snapshot};

use crate::{json::Json, read};

pub async fn snapshot(credentials: &SessionHeaders, abort: &AbortSignal) -> Option<Snapshot> {
    let request = with_credentials(Request::get("/pay/snapshot"), credentials);
    read::snapshot(&answer(request.abort_signal(Some(abort)).build().ok()?).await?).ok()
}

/// Where to follow the payment: each call gives a fresh credential.
pub async fn stream(credentials: &SessionHeaders, abort: &AbortSignal) -> Option<StreamConnection> {
    let request = with_credentials(Request::get("/api/v1/payments/stream-token"), credentials);
    read::stream_connection(&answer(request.abort_signal(Some(abort)).build().ok()?).await?).ok()
}

/// Asks for a quote, as the form does: `choice` is `network:token_id`.
pub async fn choose(credentials: &SessionHeaders, choice: &str) -> Option<Snapshot> {
    let [session, signature, choice] = [&credentials.session_token, &credentials.signature, choice]
        .map(|text| String::from(encode_uri_component(text)));
    let request = Request::post("/pay/choose")
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("session={session}&signature={signature}&token={choice}"));
    read::snapshot(&answer(request.ok()?).await?).ok()
}

fn with_credentials(request: RequestBuilder, credentials: &SessionHeaders) -> RequestBuilder {
    request
        .header("accept", "application/json")
        .header("x-session-token", &credentials.session_token)
        .header("x-signature", &credentials.signature)
}

async fn answer(request: Request) -> Option<Json> {
    let response = request.send().await.ok()?;
    if !response.ok() {
        return None;
    }
    Json::parse(&response.text().await.ok()?).ok()
}
