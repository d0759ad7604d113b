//! Streams of what happens, numbered, from the log.

mod merchant_stream;
mod origin;
mod payor_events;
mod payor_stream;
mod socket;

use axum::{Router, routing::get};

use crate::app::App;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/ws/merchant/events", get(merchant_stream::follow_merchant_events))
        .route("/ws/payment", get(payor_stream::follow_payment))
}
