//! Streams of what happens, numbered, from the log.

mod merchant_stream;
mod origin;
mod payor_events;
mod payor_stream;
mod socket;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(merchant_stream::follow_merchant_events))
        .routes(routes!(payor_stream::follow_payment))
}
