//! `POST /api/v1/api-keys`

use axum::{Json, extract::State};
use domain::{
    access::{Right, Rights, Scope},
    idempotency::Fingerprint,
    time::UnixSeconds,
};
use wire::api_key::{ApiKeyScope, CreateApiKeyRequest, CreatedApiKey};

use crate::{
    app::App,
    http::{
        canonical::canonical_json,
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{Dashboard, IdempotencyKey, JsonBody, OptionalIdempotencyKey},
    },
    keys::{self, IssueKey},
    view,
};

const ROUTE: &str = "/api/v1/api-keys";
const MOST_NAME_CHARACTERS: usize = 255;
/// The last second of the year 9999, which every reader of dates can spell.
const LATEST: UnixSeconds = UnixSeconds(253_402_300_799);

/// Creates a key, which is shown in this answer only.
///
/// An `Idempotency-Key` is not required. With one, the request is done once: repeated, it creates no second key, and
/// since a secret is not shown twice either, it answers 409 with the id of the key it created.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    tag = "Keys",
    params(OptionalIdempotencyKey),
    request_body = CreateApiKeyRequest,
    responses((status = 200, body = CreatedApiKey)),
    security(("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![
        RIGHT_REQUIRED,
        API_KEY_LIMIT,
        API_KEY_ALREADY_CREATED,
        IDEMPOTENCY_KEY_INVALID,
        IDEMPOTENCY_CONFLICT
    ])))
)]
pub async fn create_api_key(
    State(app): State<App>,
    dashboard: Dashboard,
    name: Option<IdempotencyKey>,
    body: JsonBody<CreateApiKeyRequest>,
) -> Result<Json<CreatedApiKey>, ApiError> {
    let canonical = canonical_json(&body.bytes)?;
    let fingerprint = Fingerprint::of(&[b"POST", ROUTE.as_bytes(), canonical.as_bytes()]);
    let request = body.value;
    let now = app.clock.now();
    let scope = match request.scope.unwrap_or_default() {
        ApiKeyScope::Merchant => Scope::Merchant,
        ApiKeyScope::Commerce => Scope::Commerce,
    };
    let wanted = IssueKey {
        merchant: dashboard.merchant,
        name: key_name(&request.name)?,
        scope,
        rights: rights(scope, request.rights)?,
        expires_at: request.expires_at.map(|moment| end(UnixSeconds(moment.epoch_seconds), now)).transpose()?,
        request: name.map(|IdempotencyKey(name)| (name, fingerprint)),
    };
    let issued = keys::issue(&app.store, &app.config, now, wanted).await?;
    Ok(Json(view::created_api_key(&issued)))
}

fn key_name(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let is_good = (1..=MOST_NAME_CHARACTERS).contains(&text.chars().count()) && !text.contains(char::is_control);
    let message = format!("name must have 1 to {MOST_NAME_CHARACTERS} characters on one line");
    if is_good { Ok(text.to_owned()) } else { Err(invalid("name", message)) }
}

/// When a key that is created now stops to open anything.
fn end(end: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, ApiError> {
    let is_good = now < end && end <= LATEST;
    if is_good {
        Ok(end)
    } else {
        Err(invalid("expires_at", "expires_at must lie in the future, and before the year 10000"))
    }
}

/// What the key can do; nobody gives away more than they have.
fn rights(scope: Scope, names: Option<Vec<String>>) -> Result<Rights, ApiError> {
    let Some(names) = names else {
        return Ok(match scope {
            Scope::Merchant => Rights::DEFAULT,
            Scope::Commerce => Rights::NONE,
        });
    };
    if scope == Scope::Commerce {
        return Err(invalid("rights", "rights are for keys of scope merchant"));
    }
    if names.is_empty() {
        return Err(invalid("rights", "rights must name at least one right"));
    }
    let right = |(index, name): (usize, &String)| {
        let field = || format!("rights[{index}]");
        let right: Right = name.parse().map_err(|_| {
            let known = Right::ALL.map(Right::as_str).join(", ");
            invalid(field(), format!("{} must be one of {known}", field()))
        })?;
        if Dashboard::RIGHTS.has(right) { Ok(right) } else { Err(ApiError::RightRequiredBy { field: field(), right }) }
    };
    names.iter().enumerate().map(right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line_of_text() {
        assert_eq!(key_name("  till 3 ").unwrap(), "till 3");
        assert!(key_name(&"ä".repeat(255)).is_ok());
        for text in ["", "  ", "a\nb", "a\0b", &"ä".repeat(256)] {
            assert!(matches!(key_name(text), Err(ApiError::Invalid { field, .. }) if field == "name"), "{text}");
        }
    }

    #[test]
    fn a_key_ends_in_the_future() {
        let now = UnixSeconds(1_800_000_000);
        assert_eq!(end(now.plus(1), now).unwrap(), now.plus(1));
        assert_eq!(end(LATEST, now).unwrap(), LATEST);
        for bad in [now, now.plus(-1), UnixSeconds(i64::MIN), LATEST.plus(1), UnixSeconds(i64::MAX)] {
            assert!(matches!(end(bad, now), Err(ApiError::Invalid { field, .. }) if field == "expires_at"), "{bad:?}");
        }
    }

    #[test]
    fn rights_are_known_and_not_the_operators() {
        let of = |names: &[&str]| rights(Scope::Merchant, Some(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(rights(Scope::Merchant, None).unwrap(), Rights::DEFAULT);
        assert_eq!(rights(Scope::Commerce, None).unwrap(), Rights::NONE);
        assert_eq!(of(&["webhooks", "invoices:create", "webhooks"]).unwrap().to_string(), "invoices:create webhooks");
        assert!(matches!(of(&[]), Err(ApiError::Invalid { field, .. }) if field == "rights"));
        assert!(matches!(of(&["settings", "all"]), Err(ApiError::Invalid { field, .. }) if field == "rights[1]"));
        let refused = of(&["settings", "rpc"]);
        let is_right = |right: Right, field: &str| right == Right::OperateNetworks && field == "rights[1]";
        assert!(
            matches!(&refused, Err(ApiError::RightRequiredBy { right, field }) if is_right(*right, field)),
            "{refused:?}"
        );
        let commerce = rights(Scope::Commerce, Some(vec!["settings".to_owned()]));
        assert!(matches!(commerce, Err(ApiError::Invalid { field, .. }) if field == "rights"));
    }
}
