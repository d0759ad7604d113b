//! Streams of what happens, numbered, from the log.

mod payor_events;
mod socket;

use axum::{Router, routing::get};

use crate::app::App;

pub fn routes() -> Router<App> {
    Router::new().route("/ws/payment", get(socket::follow_payment))
}
