//! The payer's page: its first frame, drawn here and payable without any script, and what it asks for
//! once it is live.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Extension, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use domain::id::TokenId;
use frontend::Language;
use tower_http::{CompressionLevel, compression::CompressionLayer};
use wire::{Environment, invoice::SessionHeaders, snapshot::Snapshot};

use super::{
    error::{ApiError, invalid, log_cause},
    extract::{Parameters, Payor, read_body},
    language,
    snapshot::{self, Shown},
    template::{Gap, Template, escape_json, escape_text, hashes},
};
use crate::{
    app::App,
    invoicing,
    session::{self, Session, Signed},
    store::MerchantRecord,
};

/// The page copies text, and does nothing else that needs leave.
const PERMISSIONS: &str =
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), clipboard-write=(self)";
/// Above this, compressing costs more than drawing.
const BROTLI_LEVEL: i32 = 4;
/// How often a page without script looks again while something may still happen.
const REFRESH_SECONDS: u32 = 5;

pub const PATH: &str = "/pay";
const CHOICE_PATH: &str = "/pay/choose";

pub fn routes(pages: Pages) -> Router<App> {
    let html = Router::new()
        .route(PATH, get(draw_page))
        .route(CHOICE_PATH, post(choose))
        .layer(CompressionLayer::new().quality(CompressionLevel::Precise(BROTLI_LEVEL)));
    Router::new().merge(html).route("/pay/snapshot", get(retrieve_snapshot)).layer(Extension(pages))
}

/// What all pages share, made once.
#[derive(Clone)]
pub struct Pages {
    /// `None` if the page was not built.
    template: Option<Arc<Template>>,
    /// Where the page's WebSocket connects to.
    socket_origin: Arc<str>,
}

impl Pages {
    /// Cuts the template as it was built; `None` means that it was not.
    pub fn of(app: &App, html: Option<&str>) -> Self {
        let template = html.and_then(|html| match Template::cut(html) {
            Ok(template) => Some(Arc::new(template)),
            Err(error) => {
                log_cause(&error);
                None
            }
        });
        Self { template, socket_origin: socket_origin(&app.public_url).into() }
    }
}

/// The origin of the sockets beside a page at this address.
fn socket_origin(public_url: &str) -> String {
    let origin = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    origin.replacen("http", "ws", 1)
}

/// Draws the page of the invoice that the query's session opens.
async fn draw_page(
    State(app): State<App>,
    Extension(pages): Extension<Pages>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, PageError> {
    let template = pages.template.clone().ok_or(PageError::NotBuilt)?;
    let session = open(&app, &parameters).await?;
    let mut shown = snapshot::present(&app, &session).await?;
    if parameters.get("choose") == Some("1") {
        shown.snapshot.quote = None;
    }
    Ok(drawn(&pages, &template, &shown, language::of(&parameters, &headers)))
}

async fn open(app: &App, parameters: &Parameters) -> Result<Session, ApiError> {
    let [token, signature] = ["session", "signature"].map(|name| parameters.get(name).unwrap_or_default());
    let signed = Signed::check(app, token, signature).ok_or(ApiError::SessionInvalid)?;
    let credentials = SessionHeaders { session_token: token.to_owned(), signature: signature.to_owned() };
    Ok(session::open(app, signed, credentials).await?)
}

/// What the page shows now, for the page itself.
async fn retrieve_snapshot(State(app): State<App>, Payor(session): Payor) -> Result<Json<Snapshot>, ApiError> {
    Ok(Json(snapshot::present(&app, &session).await?.snapshot))
}

/// Network and token of the form's choice: one field `token` as `network:token_id`, or the two fields
/// `network` and `token_id`. `None` if nothing was chosen.
fn chosen(form: &Parameters) -> Result<Option<(&str, TokenId)>, ApiError> {
    let chosen = match (form.get("token"), form.get("network"), form.get("token_id")) {
        (Some(""), _, _) => return Ok(None),
        (Some(token), _, _) => token.rsplit_once(':'),
        (None, Some(network), Some(token_id)) => Some((network, token_id)),
        (None, _, _) => return Ok(None),
    };
    chosen
        .and_then(|(network, id)| Some((network, TokenId(id.parse().ok()?))))
        .map(Some)
        .ok_or_else(|| invalid("token", "token must be a network and a token's id, as in base:1"))
}

/// Whether an answer is for a script, which wants data, or for a form, which wants a page.
#[derive(Clone, Copy)]
struct WantsJson(bool);

impl WantsJson {
    fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        Self(accept.is_some_and(|accept| accept.contains("application/json")))
    }
}

impl<S: Sync> FromRequestParts<S> for WantsJson {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// Whether whoever asks for this will look at the answer.
pub fn is_for_people(path: &str, headers: &HeaderMap) -> bool {
    path == PATH || (path == CHOICE_PATH && !WantsJson::of(headers).0)
}

/// Says on a page why there is no other. One that can be asked for again does so when that may help.
pub fn refuse(error: ApiError, can_reload: bool) -> Response {
    let retry_after_seconds = error.retry_after_seconds();
    let mut response = PageError::from(error).into_response();
    if let Some(seconds) = retry_after_seconds {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
        if can_reload {
            headers.insert("refresh", seconds.into());
        }
    }
    response
}

/// Takes the payer's choice. A script gets the snapshot; a form is sent on to the page, or shown why not.
async fn choose(
    State(app): State<App>,
    Extension(pages): Extension<Pages>,
    WantsJson(wants_json): WantsJson,
    request: Request,
) -> Response {
    let preferred = language::preferred(request.headers());
    let answer = match answer_choice(&app, request).await {
        Ok(answer) => answer,
        Err(error) if wants_json => return error.into_response(),
        Err(error) => return refuse(error, false),
    };
    match (answer, pages.template.clone()) {
        (answer, _) if wants_json => Json(answer.shown.snapshot).into_response(),
        (answer, Some(template)) if answer.shown.snapshot.notice.is_some() => {
            let language = answer.named.or(preferred).unwrap_or_default();
            drawn(&pages, &template, &answer.shown, language)
        }
        (answer, _) => {
            let page = session::page_path(&answer.session.credentials);
            let spoken = answer.named.map(|language| format!("&{}={}", language::PARAMETER, language.code()));
            let again = if answer.has_chosen { "" } else { "&choose=1" };
            Redirect::to(&format!("{page}{}{again}", spoken.unwrap_or_default())).into_response()
        }
    }
}

struct Answer {
    session: Session,
    shown: Shown,
    has_chosen: bool,
    /// The language that the form names.
    named: Option<Language>,
}

async fn answer_choice(app: &App, request: Request) -> Result<Answer, ApiError> {
    let body = read_body(request, &()).await?;
    let form = Parameters::parse(&body);
    let session = open(app, &form).await?;
    let named = language::named(&form);
    let Some((network, token)) = chosen(&form)? else {
        let shown = snapshot::present(app, &session).await?;
        return Ok(Answer { session, shown, has_chosen: false, named });
    };
    let (merchant, invoice) = (session.invoice.merchant, session.invoice.id);
    let shown = match invoicing::choose(app, merchant, invoice, network, token).await {
        Ok(_) => snapshot::present(app, &session).await?,
        Err(error) => snapshot::after_failed_choice(app, &session, error).await?,
    };
    Ok(Answer { session, shown, has_chosen: true, named })
}

/// The page as HTML, with the policy that lets it do what it needs and nothing else.
fn drawn(pages: &Pages, template: &Template, shown: &Shown, language: Language) -> Response {
    let snapshot = &shown.snapshot;
    let root = format!("<html lang=\"{}\" dir=\"{}\">", language.code(), language.direction());
    let spoken = format!("data-language=\"{}\"", language.code());
    let title = escape_text(&frontend::title(snapshot, language));
    let refresh = refresh(snapshot);
    let app = frontend::render(snapshot, language);
    let json = escape_json(&serde_json::to_string(snapshot).unwrap_or_default());
    let html = template.fill(|gap| match gap {
        Gap::Root => &root,
        Gap::Language => &spoken,
        Gap::Title => &title,
        Gap::Refresh => &refresh,
        Gap::App => &app,
        Gap::Snapshot => &json,
    });
    let policy = template.policy(&pages.socket_origin, &frame_ancestors(&shown.merchant, snapshot.environment));
    with_page_headers(Html(html).into_response(), &policy)
}

/// Who may embed a merchant's pages: its origins; without any, everybody on devnet and nobody else.
fn frame_ancestors(merchant: &MerchantRecord, environment: Environment) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_[]".contains(&byte);
    let is_origin = |origin: &&String| origin.starts_with("http") && origin.bytes().all(is_plain);
    let origins: Vec<&str> = merchant.frame_origins.iter().filter(is_origin).map(String::as_str).collect();
    match (environment, merchant.frame_origins.as_slice()) {
        (Environment::Devnet, []) => "*".to_owned(),
        _ if origins.is_empty() => "'none'".to_owned(),
        _ => origins.join(" "),
    }
}

/// Lets a page without script look again by itself until nothing more will happen.
fn refresh(snapshot: &Snapshot) -> String {
    use wire::invoice::InvoiceStatus;
    let is_waiting = snapshot.quote.is_some() || !snapshot.payments.is_empty() || snapshot.invoice.is_checking;
    match snapshot.invoice.status {
        InvoiceStatus::Unpaid | InvoiceStatus::Underpaid if is_waiting => {
            format!("<noscript><meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\" /></noscript>")
        }
        _ => String::new(),
    }
}

fn with_page_headers(mut response: Response, policy: &str) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    // A policy that cannot be sent must not leave the page without one.
    let policy = HeaderValue::from_str(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A proxy that rewrites the markup would break its takeover by the browser.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert("permissions-policy", HeaderValue::from_static(PERMISSIONS));
    response
}

/// Why there is a page with an explanation instead of the one that was asked for.
enum PageError {
    /// The binary holds no page.
    NotBuilt,
    Api(ApiError),
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

const ERROR_STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{display:grid;min-block-size:90vh;place-content:center;margin:1.5rem;text-align:center}\
h1{font-size:1.25rem;margin:0 0 .5rem}\
p{max-inline-size:26rem;margin:0}\
code{font-family:ui-monospace,monospace}";

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, heading, text) = match self {
            Self::NotBuilt => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The payment page has not been built yet",
                "Run <code>cargo xtask page</code>, then build and start the server again.",
            ),
            Self::Api(ApiError::SessionInvalid) => (
                StatusCode::UNAUTHORIZED,
                "This payment link does not work",
                "It may have been cut off when it was copied. Go back to the shop and open it again.",
            ),
            Self::Api(ApiError::SessionExpired) => (
                StatusCode::UNAUTHORIZED,
                "This payment link is no longer valid",
                "Its invoice ended more than thirty days ago. Please ask the shop for a new one.",
            ),
            Self::Api(error) if error.retry_after_seconds().is_some() => (
                error.status(),
                "That was a bit too fast",
                "This page was asked for too often. Nothing is lost: please wait a little and open it again.",
            ),
            Self::Api(error) => {
                let status = error.status();
                if let ApiError::Internal(cause) = &error {
                    log_cause(cause.as_ref());
                }
                let text = if status.is_server_error() {
                    "Nothing you sent is lost. Please try again in a moment."
                } else {
                    "The request could not be understood. Go back to the shop and open the payment link again."
                };
                (status, "Something went wrong", text)
            }
        };
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{heading}</title>\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" \
             content=\"noindex\"><link rel=\"icon\" href=\"data:,\"><style>{ERROR_STYLE}</style></head><body><main>\
             <h1>{heading}</h1><p>{text}</p></main></body></html>"
        );
        // It says nothing about anybody, so any site may show it in the place of the page.
        let policy = format!(
            "default-src 'none'; style-src{}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors *",
            hashes(&[ERROR_STYLE])
        );
        with_page_headers((status, Html(html)).into_response(), &policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_connect_to_the_page_s_own_host() {
        assert_eq!(socket_origin("http://127.0.0.1:8080"), "ws://127.0.0.1:8080");
        assert_eq!(socket_origin("https://pay.shop.example/base"), "wss://pay.shop.example");
    }

    #[test]
    fn a_choice_is_one_field_or_two() {
        for form in ["token=base%3A2", "network=base&token_id=2", "session=x&token=base:2"] {
            let form = Parameters::parse(form.as_bytes());
            assert_eq!(chosen(&form).unwrap(), Some(("base", TokenId(2))), "{form:?}");
        }
        for form in ["", "token=", "session=x", "network=base", "token_id=2"] {
            assert_eq!(chosen(&Parameters::parse(form.as_bytes())).unwrap(), None, "{form}");
        }
        for form in ["token=base", "token=base:x", "token=2", "network=base&token_id=x"] {
            assert!(chosen(&Parameters::parse(form.as_bytes())).is_err(), "{form}");
        }
    }

    #[test]
    fn only_listed_origins_embed_the_page_and_without_a_list_it_depends() {
        let merchant = |origins: &[&str]| MerchantRecord {
            id: domain::id::MerchantId(1),
            name: String::new(),
            email: String::new(),
            recovery_code: [0; 32],
            frame_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            return_url: None,
        };
        let check = |origins: &[&str], environment, expected: &str| {
            assert_eq!(frame_ancestors(&merchant(origins), environment), expected);
        };
        check(&[], Environment::Devnet, "*");
        check(&[], Environment::Mainnet, "'none'");
        check(&["https://a.example", "https://b.example"], Environment::Mainnet, "https://a.example https://b.example");
        for origin in ["https://a.example; script-src *", "https://a.example;x", "https://*", "*", "'self'", "https:,x"]
        {
            check(&[origin], Environment::Devnet, "'none'");
        }
    }
}
