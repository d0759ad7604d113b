//! Who is calling and what they sent, as argument types: whoever holds a [`Merchant`], a [`Dashboard`] or a
//! [`Payor`] was let in, and a body was read within its limit and names the field that does not fit.

mod caller;
pub mod rights;

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
pub use caller::{Dashboard, Merchant};
use domain::{
    id::{ApiKeyId, InvoiceId},
    idempotency,
};
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::{
    IntoParams,
    openapi::{
        ObjectBuilder, Required, SchemaFormat,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};
use wire::invoice::SessionHeaders;

use super::{
    error::{ApiError, invalid},
    limit::BodyPatience,
};
use crate::{
    app::App,
    events::Polled,
    invoicing::Case,
    session::{self, Session, Signed},
    store::InvoiceRecord,
};

/// A payer, by the session of one invoice.
#[derive(Clone, Debug)]
pub struct Payor(pub Session);

impl Payor {
    pub fn invoice(&self) -> &InvoiceRecord {
        &self.0.invoice
    }

    /// The invoice with all its facts.
    pub async fn case(&self, app: &App) -> Result<Case, ApiError> {
        let mut reader = app.store.reader().await?;
        Ok(Case::of(&mut reader.tx(), &app.config, self.0.invoice.clone()).await?)
    }
}

impl FromRequestParts<App> for Payor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (token, signature) = session_headers(parts)?;
        let credentials = SessionHeaders { session_token: token.to_owned(), signature: signature.to_owned() };
        let session = session::open(app, signed(parts, app)?, credentials).await?;
        check_named_invoice(parts, session.invoice.id)?;
        Ok(Self(session))
    }
}

/// A payer who only asks how the invoice stands.
#[derive(Clone, Copy, Debug)]
pub struct PollingPayor(pub Polled);

impl FromRequestParts<App> for PollingPayor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let polled = session::poll(app, signed(parts, app)?).await?;
        check_named_invoice(parts, polled.invoice)?;
        Ok(Self(polled))
    }
}

/// The session of a request, which its limit has mostly looked at before.
fn signed(parts: &Parts, app: &App) -> Result<Signed, ApiError> {
    if let Some(signed) = parts.extensions.get::<Signed>() {
        return Ok(*signed);
    }
    let (token, signature) = session_headers(parts)?;
    Signed::check(app, token, signature).ok_or(ApiError::SessionInvalid)
}

fn session_headers(parts: &Parts) -> Result<(&str, &str), ApiError> {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    header("x-session-token").zip(header("x-signature")).ok_or(ApiError::SessionInvalid)
}

/// Some clients say which invoice they mean; the session alone decides.
fn check_named_invoice(parts: &Parts, invoice: InvoiceId) -> Result<(), ApiError> {
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes());
    match parameters.get("invoice_id") {
        Some(named) if named.parse() != Ok(invoice) => Err(ApiError::ForeignInvoice),
        _ => Ok(()),
    }
}

/// The merchant's name for this request.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey(pub idempotency::IdempotencyKey);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.headers)?.ok_or(ApiError::IdempotencyKeyMissing)
    }
}

/// Where a request need not have a name.
impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        Self::of(&parts.headers)
    }
}

impl IdempotencyKey {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(header) = headers.get("idempotency-key") else { return Ok(None) };
        let key = header.to_str().ok().and_then(|text| idempotency::IdempotencyKey::parse(text).ok());
        key.map(|key| Some(Self(key))).ok_or(ApiError::IdempotencyKeyInvalid)
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![idempotency_key(Required::True)]
    }
}

/// Describes an [`IdempotencyKey`] that need not be there.
pub struct OptionalIdempotencyKey;

impl IntoParams for OptionalIdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![idempotency_key(Required::False)]
    }
}

fn idempotency_key(required: Required) -> Parameter {
    let uuid = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(
            "Your name for this request, a version 4 UUID. The same request with the same key is done once, and \
             answered alike for 30 days.",
        ))
        .schema(Some(uuid))
        .build()
}

/// An id in a path, which is a UUID.
pub fn path_uuid(name: &str, description: &str) -> Vec<Parameter> {
    let uuid = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".to_owned())));
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(uuid));
    vec![parameter.build()]
}

/// The merchant's name for this request, which it may do without if `invoices.require_idempotency_key` is off.
#[derive(Clone, Copy, Debug)]
pub struct CreationKey(pub Option<idempotency::IdempotencyKey>);

impl FromRequestParts<App> for CreationKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match IdempotencyKey::of(&parts.headers)? {
            Some(IdempotencyKey(key)) => Ok(Self(Some(key))),
            None if app.config.invoices.require_idempotency_key => Err(ApiError::IdempotencyKeyMissing),
            None => Ok(Self(None)),
        }
    }
}

/// The invoice a path names by its id.
#[derive(Clone, Copy, Debug)]
pub struct NamedInvoice(pub InvoiceId);

impl<S: Send + Sync> FromRequestParts<S> for NamedInvoice {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = path_text(parts, state).await.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| invalid("invoice_id", "invoice_id must be a UUID"))
    }
}

impl IntoParams for NamedInvoice {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        path_uuid("invoice_id", "The id of an invoice.")
    }
}

/// What every call of a payer may have in its query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct SessionInvoice {
    /// The invoice you think the session is for; the request is refused if it is for another.
    #[param(format = "uuid")]
    invoice_id: Option<String>,
}

async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let path: Result<Path<String>, _> = <Path<String> as FromRequestParts<S>>::from_request_parts(parts, state).await;
    path.ok().map(|Path(text)| text)
}

/// The API key a path names by its id; what is no id at all is as absent as the rest.
#[derive(Clone, Copy, Debug)]
pub struct NamedApiKey(pub ApiKeyId);

impl IntoParams for NamedApiKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        path_uuid("key_id", "The id of a key, not the key.")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamedApiKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = path_text(parts, state).await.and_then(|text| text.parse().ok());
        id.map(Self).ok_or(ApiError::ApiKeyNotFound)
    }
}

/// The query's or a form's parameters in their order; a name may come more than once.
#[derive(Clone, Debug, Default)]
pub struct Parameters(pub Vec<(String, String)>);

impl Parameters {
    /// Reads a query or a form; what is not UTF-8 in it is replaced.
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The parts of a list with commas; an empty list is `None`.
    pub fn list(&self, name: &str) -> Option<Vec<&str>> {
        let parts: Vec<_> = self.get(name)?.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then_some(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default().as_bytes()))
    }
}

/// A JSON body with the bytes it was read from.
#[derive(Clone, Debug)]
pub struct JsonBody<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = read_body(request, state).await?;
        Ok(Self { value: parse_json(&bytes)?, bytes })
    }
}

/// Reads a JSON body where there may be none.
pub async fn optional_json<S: Send + Sync, T: DeserializeOwned>(
    request: Request,
    state: &S,
) -> Result<Option<T>, ApiError> {
    let is_json = is_json(request.headers());
    let bytes = read_body(request, state).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if is_json { parse_json(&bytes) } else { Err(ApiError::UnsupportedMediaType) }
}

/// Reads a body of at most the configured size, for at most the configured time.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let patience = request.extensions().get::<BodyPatience>().map_or(Duration::MAX, |&BodyPatience(patience)| patience);
    let read = tokio::time::timeout(patience, Bytes::from_request(request, state));
    let read = read.await.map_err(|_elapsed| ApiError::BodyTimeout)?;
    read.map_err(|rejection| {
        if rejection.status() == ApiError::BodyTooLarge.status() {
            ApiError::BodyTooLarge
        } else {
            invalid("body", "the body could not be read to its end")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Serde would read a list as the fields of an object, in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("body", "the body must be an object, not a list"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = field_of(error.path());
        let cause = error.into_inner();
        match field {
            Some(field) => {
                let message = format!("{field} cannot be read: {cause}");
                ApiError::Invalid { field, message }
            }
            None if cause.is_data() => {
                let field = missing_field(&cause.to_string()).unwrap_or_else(|| "body".to_owned());
                ApiError::Invalid { field, message: format!("the body does not fit: {cause}") }
            }
            None => ApiError::BrokenJson(cause.to_string()),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::BrokenJson(error.to_string()))?;
    Ok(value)
}

/// The path to the field at fault, as in `metadata.items[0]`; `None` for the body as a whole.
fn field_of(path: &serde_path_to_error::Path) -> Option<String> {
    use serde_path_to_error::Segment;
    let mut field = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _infallible = write!(field, "[{index}]");
            }
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                if !field.is_empty() {
                    field.push('.');
                }
                field.push_str(name);
            }
            Segment::Unknown => break,
        }
    }
    (!field.is_empty()).then_some(field)
}

/// The name in serde's sentence about a field that is not there.
fn missing_field(message: &str) -> Option<String> {
    let name = message.strip_prefix("missing field `")?.split('`').next()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use wire::{invoice::CreateInvoiceRequest, payor::PaymentAddressRequest};

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + std::fmt::Debug>(json: &str, expected_field: &str) {
        match parse_json::<T>(json.as_bytes()) {
            Err(ApiError::Invalid { field, message }) => {
                assert_eq!(field, expected_field, "{json}");
                assert!(message.contains(expected_field), "{message}");
            }
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        check::<CreateInvoiceRequest>(r#"{"amount_usd":20,"description":7}"#, "description");
        check::<CreateInvoiceRequest>(r#"{"amount_usd":20,"metadata":[]}"#, "metadata");
        check::<CreateInvoiceRequest>(r#"{"amount_usd":20,"metadata":{"a":{"b":1e999}}}"#, "metadata.a.b");
        check::<CreateInvoiceRequest>(r#"{"amount_usd":20,"expires_in":1.5}"#, "expires_in");
        check::<CreateInvoiceRequest>(r#"{"amount_usd":NaN}"#, "amount_usd");
        check::<PaymentAddressRequest>(r#"{"network":"base","tokenId":"1"}"#, "tokenId");
        check::<PaymentAddressRequest>(r#"{"network":"base"}"#, "tokenId");
    }

    #[test]
    fn text_that_is_no_json_is_called_that() {
        for text in ["", "{", "{\"amount_usd\":20}x", "{\"amount_usd\"", "\u{feff}{}"] {
            let parsed = parse_json::<CreateInvoiceRequest>(text.as_bytes());
            assert!(matches!(parsed, Err(ApiError::BrokenJson(_))), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn json_of_another_shape_is_a_fault_of_the_body() {
        for text in ["7", "\"x\"", "null", "[]", " [20]"] {
            let parsed = parse_json::<CreateInvoiceRequest>(text.as_bytes());
            assert!(matches!(&parsed, Err(ApiError::Invalid { field, .. }) if field == "body"), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn json_is_known_by_its_media_type() {
        let is_json = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=utf-8"));
        assert!(is_json("application/problem+json"));
        assert!(!is_json("text/plain"));
        assert!(!is_json("application/jsonp"));
        assert!(!super::is_json(&HeaderMap::new()));
    }
}
