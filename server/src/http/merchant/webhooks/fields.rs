//! What an endpoint's fields may hold.

use url::Url;
use wire::webhook::{EVENT_TYPES, LEGACY_EVENT_TYPES, WebhookVersion};

use crate::{
    app::App,
    http::error::{ApiError, invalid},
    store::subscription_matches,
    webhooks::Targets,
};

const MOST_URL_BYTES: usize = 2_048;
const MOST_ENABLED_EVENTS: usize = 64;
const MOST_DESCRIPTION_CHARACTERS: usize = 255;

/// Where webhooks may go, as far as can be seen without resolving a name.
pub fn url(app: &App, field: &str, text: &str) -> Result<String, ApiError> {
    if MOST_URL_BYTES < text.len() {
        return Err(invalid(field, format!("{field} must be at most {MOST_URL_BYTES} bytes")));
    }
    let url = Url::parse(text).map_err(|error| invalid(field, format!("{field} must be a URL: {error}")))?;
    Targets::new(&app.config.webhooks).check(&url).map_err(|refused| invalid(field, format!("{field} {refused}")))?;
    Ok(url.into())
}

/// Types that a version has, or beginnings of some with a star behind.
pub fn enabled_events(version: WebhookVersion, events: Vec<String>) -> Result<Vec<String>, ApiError> {
    const FIELD: &str = "enabled_events";
    if events.is_empty() || MOST_ENABLED_EVENTS < events.len() {
        return Err(invalid(FIELD, format!("{FIELD} must name 1 to {MOST_ENABLED_EVENTS} types of events")));
    }
    let known: &[&str] = match version {
        WebhookVersion::Current => &EVENT_TYPES,
        WebhookVersion::Legacy => &LEGACY_EVENT_TYPES,
    };
    let is_pattern = |text: &str| match text.strip_suffix('*') {
        Some(start) => start.is_empty() || start.ends_with('.'),
        None => true,
    };
    let mut kept = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        if !is_pattern(&event) || !known.iter().any(|name| subscription_matches(&event, name)) {
            let field = format!("{FIELD}[{index}]");
            let message =
                format!("{field} must be *, one of {}, or the part of one before a dot and .*", known.join(", "));
            return Err(invalid(field, message));
        }
        if !kept.contains(&event) {
            kept.push(event);
        }
    }
    Ok(kept)
}

/// All the types of the older version; those of the present one are named by whoever wants them.
pub fn default_events(version: WebhookVersion) -> Result<Vec<String>, ApiError> {
    match version {
        WebhookVersion::Current => Err(invalid("enabled_events", "enabled_events is required, as in [\"invoice.*\"]")),
        WebhookVersion::Legacy => Ok(LEGACY_EVENT_TYPES.map(str::to_owned).to_vec()),
    }
}

pub fn description(text: String) -> Result<String, ApiError> {
    const FIELD: &str = "description";
    let fits = text.chars().count() <= MOST_DESCRIPTION_CHARACTERS && !text.contains('\0');
    fits.then_some(text).ok_or_else(|| {
        invalid(FIELD, format!("{FIELD} must be text of at most {MOST_DESCRIPTION_CHARACTERS} characters"))
    })
}
