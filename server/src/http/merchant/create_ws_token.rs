//! `POST /api/v1/ws/token`

use axum::{Json, extract::State};
use domain::signature::CredentialHash;
use wire::event::{Wrapped, WsToken, WsTokenRequest};

use crate::{
    app::App,
    credentials::random_credential,
    http::{
        error::{ApiError, invalid},
        extract::{JsonBody, Merchant, rights::ReadInvoices},
    },
    store::MerchantStreamToken,
};

const DEFAULT_TTL_SECONDS: i64 = 60;
/// Expired ones that a new one takes along; the rest is left to whoever tidies up.
const FORGOTTEN_AT_ONCE: i64 = 10;

/// A short-lived token that opens the merchant's stream, for browsers: they can send no header with it.
///
/// It only opens the stream, which then lasts for as long as the key or bearer that asked for the token.
#[utoipa::path(
    post,
    path = "/api/v1/ws/token",
    tag = "Streams",
    request_body = WsTokenRequest,
    responses((status = 200, body = Wrapped<WsToken>)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn create_ws_token(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    JsonBody { value: request, .. }: JsonBody<WsTokenRequest>,
) -> Result<Json<Wrapped<WsToken>>, ApiError> {
    match request.scope.as_str() {
        "merchant" => {}
        "commerce" => return Err(invalid("scope", "scope must be merchant, which this credential's is")),
        _ => return Err(invalid("scope", "scope must be merchant")),
    }
    let ttl_seconds = request.ttl_seconds.unwrap_or(DEFAULT_TTL_SECONDS);
    if !(15..=300).contains(&ttl_seconds) {
        return Err(invalid("ttl_seconds", "ttl_seconds must lie between 15 and 300"));
    }
    let text = random_credential("mws_");
    let (hash, now) = (CredentialHash::of(&text), app.clock.now());
    let token = MerchantStreamToken {
        merchant: merchant.id,
        credential: merchant.credential,
        expires_at: now.plus(ttl_seconds),
    };
    let expires_at = token.expires_at.0;
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.forget_merchant_stream_tokens(now, FORGOTTEN_AT_ONCE).await?;
                tx.insert_merchant_stream_token(hash, &token).await
            })
        })
        .await?;
    Ok(Json(Wrapped::new(WsToken {
        token: text,
        scope: request.scope,
        merchant_id: merchant.id.0,
        network_environment: Some(app.config.environment),
        expires_at,
        ws_url: format!("{}/ws/merchant/events", socket_url(&app.public_url)),
    })))
}

/// An HTTP address as sockets spell it.
fn socket_url(public_url: &str) -> String {
    match public_url.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}"),
        Some((_, rest)) => format!("ws://{rest}"),
        None => public_url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_as_safe_as_the_page() {
        assert_eq!(socket_url("https://pay.example"), "wss://pay.example");
        assert_eq!(socket_url("http://127.0.0.1:8080/shop"), "ws://127.0.0.1:8080/shop");
    }
}
