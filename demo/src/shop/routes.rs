//! The shop's pages and its webhook endpoint.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Inner, Order, OrderState, PRODUCT, ShopError, customer::Share};
use crate::webhook;

const FRONT_PAGE: &str = include_str!("page/front.html");
const ORDER_PAGE: &str = include_str!("page/order.html");
const ERROR_PAGE: &str = include_str!("page/error.html");

type App = State<Arc<Inner>>;

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/", get(show_product))
        .route("/orders", post(create_order))
        .route("/orders/{id}", get(show_order))
        .route("/orders/{id}/state", get(order_state))
        .route("/orders/{id}/pay", post(pay_as_customer))
        .route("/webhooks", post(take_webhook))
        .route("/shop.css", get(async || asset("text/css", include_str!("page/shop.css"))))
        .route("/shop.js", get(async || asset("text/javascript", include_str!("page/shop.js"))))
        .route("/product.svg", get(async || asset("image/svg+xml", include_str!("page/product.svg"))))
        .with_state(inner)
}

async fn show_product(State(shop): App) -> Response {
    page(FRONT_PAGE, &[("product", PRODUCT), ("price", &price(shop.price_usd_millis))], None)
}

/// Creates the invoice on the server's side, so that the price is not the browser's to choose.
async fn create_order(State(shop): App) -> Response {
    match shop.create_order().await {
        Ok(id) => Redirect::to(&format!("/orders/{id}")).into_response(),
        Err(error) => {
            let page = page(ERROR_PAGE, &[("message", &error.to_string())], None);
            (StatusCode::BAD_GATEWAY, page).into_response()
        }
    }
}

async fn show_order(State(shop): App, Path(id): Path<Uuid>) -> Response {
    let Some(order) = shop.order(id) else {
        let page = page(ERROR_PAGE, &[("message", &ShopError::NoSuchOrder.to_string())], None);
        return (StatusCode::NOT_FOUND, page).into_response();
    };
    let id = order.id.to_string();
    let (headline, detail) = words(order.state);
    let fields = [
        ("order", id.as_str()),
        ("number", &id[..8]),
        ("product", PRODUCT),
        ("price", &price(order.price_usd_millis)),
        ("payment_url", &order.payment_url),
        ("headline", headline),
        ("detail", detail),
        ("state", state_name(order.state)),
        ("wallet", if shop.customers.is_empty() { "hidden" } else { "" }),
    ];
    page(ORDER_PAGE, &fields, Some(&order.payment_url))
}

async fn order_state(State(shop): App, Path(id): Path<Uuid>) -> Response {
    let Some(order) = shop.order(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Json(state_of(&order)).into_response()
}

/// What the order page shows and follows.
fn state_of(order: &Order) -> serde_json::Value {
    let (headline, detail) = words(order.state);
    let events: Vec<_> = order
        .events
        .iter()
        .map(|event| json!({ "id": event.id, "type": event.event_type, "status": event.object()["status"] }))
        .collect();
    json!({ "state": order.state, "headline": headline, "detail": detail, "events": events })
}

#[derive(Deserialize)]
struct PayRequest {
    share: Share,
}

async fn pay_as_customer(State(shop): App, Path(id): Path<Uuid>, Json(request): Json<PayRequest>) -> Response {
    match shop.pay(id, request.share).await {
        Ok(sent) => {
            let message = format!("Sent on {}, transaction {}", sent.network, sent.tx_hash);
            Json(json!({ "message": message, "tx_hash": sent.tx_hash })).into_response()
        }
        Err(error) => {
            let status = match error {
                ShopError::NoSuchOrder => StatusCode::NOT_FOUND,
                ShopError::NoQuote | ShopError::NoWallet(_) | ShopError::TooPoor => StatusCode::CONFLICT,
                _ => StatusCode::BAD_GATEWAY,
            };
            (status, Json(json!({ "message": sentence(&error) }))).into_response()
        }
    }
}

/// Believes a delivery or refuses it; a repeated one is believed again and changes nothing.
async fn take_webhook(State(shop): App, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = shop.lock();
    let verified = match &state.webhook_secret {
        Some(secret) => webhook::verify(&secret.0, &headers, &body, now_ms()),
        None => Err(webhook::WebhookError::InvalidSignature),
    };
    match verified {
        Ok(event) => {
            state.events.entry(event.id.clone()).or_insert(event);
            Json(json!({ "ok": true })).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.code() }))).into_response(),
    }
}

/// What an order's state means to its buyer.
fn words(state: OrderState) -> (&'static str, &'static str) {
    match state {
        OrderState::Open => ("Waiting for payment", "Pay in the payment page; this one follows by itself."),
        OrderState::PartlyPaid => ("Partly paid", "The payment page shows what is left to pay."),
        OrderState::Paid => ("Paid", "Thank you. Your coffee is being packed."),
        OrderState::NeedsReview => {
            ("We need to look at this", "The payment does not match the order. We will write to you.")
        }
        OrderState::Expired => ("Time is up", "Nothing was charged. You can start again."),
        OrderState::Canceled => ("Canceled", "Nothing was charged. You can start again."),
    }
}

fn state_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Open => "open",
        OrderState::PartlyPaid => "partly_paid",
        OrderState::Paid => "paid",
        OrderState::NeedsReview => "needs_review",
        OrderState::Expired => "expired",
        OrderState::Canceled => "canceled",
    }
}

/// Thousandths of a dollar as people write them; a tenth of a cent shows only where there is one.
fn price(usd_millis: u64) -> String {
    let dollars = super::dollars(usd_millis);
    format!("${}", dollars.strip_suffix('0').unwrap_or(&dollars))
}

/// An error as a sentence for the page.
fn sentence(error: &ShopError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}

/// Fills a template; every value becomes text, whatever it holds. `frame` is the one page that may
/// be embedded.
fn page(template: &str, fields: &[(&str, &str)], frame: Option<&str>) -> Response {
    let mut html = template.to_owned();
    for (name, value) in fields {
        html = html.replace(&format!("{{{{{name}}}}}"), &escaped(value));
    }
    let frame_origin = frame
        .and_then(|url| reqwest::Url::parse(url).ok())
        .map_or_else(|| "'none'".to_owned(), |url| url.origin().ascii_serialization());
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         frame-src {frame_origin}"
    );

    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[expect(clippy::disallowed_methods, reason = "the shop is another program, with its own clock")]
fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_reads_as_people_write_it() {
        assert_eq!(price(24_900), "$24.90");
        assert_eq!(price(1_000), "$1.00");
        assert_eq!(price(49_999), "$49.999");
        assert_eq!(price(5), "$0.005");
    }

    #[test]
    fn values_stay_text() {
        assert_eq!(escaped(r#"<a href="x">'&"#), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }

    #[test]
    fn no_template_has_a_field_nobody_fills() {
        let fields = "order number product price payment_url headline detail state wallet message";
        for template in [FRONT_PAGE, ORDER_PAGE, ERROR_PAGE] {
            for part in template.split("{{").skip(1) {
                let (name, _) = part.split_once("}}").unwrap();
                assert!(fields.split(' ').any(|field| field == name), "{name}");
            }
        }
    }
}
