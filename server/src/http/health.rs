//! Whether the process runs, and whether it can do its work.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use crate::app::App;

/// A network whose newest read block is older is not being followed.
const OLDEST_CURSOR_SECONDS: i64 = 120;

#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_ready: Vec<String>,
}

/// The process answers.
pub async fn live() -> Json<Health> {
    Json(Health { status: "live", not_ready: Vec::new() })
}

/// The database answers, and every configured network has been read up to now.
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<Health>) {
    match find_faults(&app).await {
        not_ready if not_ready.is_empty() => (StatusCode::OK, Json(Health { status: "ready", not_ready })),
        not_ready => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not_ready", not_ready })),
    }
}

async fn find_faults(app: &App) -> Vec<String> {
    let mut faults = Vec::new();
    let oldest = app.clock.now().plus(-OLDEST_CURSOR_SECONDS);
    let Ok(mut reader) = app.store.reader().await else { return vec!["database".to_owned()] };
    for network in &app.config.networks {
        match reader.tx().cursor(&network.name).await {
            Ok(Some(block)) if oldest <= block.time => {}
            Ok(_) => faults.push(format!("network {}", network.name)),
            Err(_) => return vec!["database".to_owned()],
        }
    }
    if reader.tx().last_event_sequence().await.is_err() {
        faults.push("database".to_owned());
    }
    faults
}
