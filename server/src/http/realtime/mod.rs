//! Streams of what happens, numbered, from the log.

mod payor_events;
mod socket;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(socket::follow_payment))
}
