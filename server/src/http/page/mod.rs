//! The payer's page: its first frame, drawn here and payable without any script, and what it asks for
//! once it is live; and beside it, a file each, the pages that no script takes over.

mod brand;
mod forms;
mod help;
mod questions;
mod reader;
mod receipt;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use domain::id::TokenId;
use frontend::{Situation, still::Still};
use tower_http::compression::CompressionLayer;
use wire::{Environment, invoice::SessionHeaders, snapshot::Snapshot};

pub use self::brand::logo_path;
use self::forms::Form;
pub use self::reader::Reader;
use super::{
    any_origin,
    error::{ApiError, invalid, log_cause},
    extract::{Parameters, Payor},
    method_not_allowed,
    snapshot::{self, Shown},
    template::{Gap, Look, Template, escape_json, escape_text},
};
use crate::{
    app::App,
    invoicing::{self, QuoteError},
    session::{self, Session, Signed},
    store::MerchantRecord,
};

/// The page copies text, and does nothing else that needs leave.
const PERMISSIONS: &str =
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), clipboard-write=(self)";
/// How often a page without script looks again while something may still happen.
const REFRESH_SECONDS: u32 = 5;

pub const PATH: &str = "/pay";
pub const CHOICE_PATH: &str = "/pay/choose";
pub const SNAPSHOT_PATH: &str = "/pay/snapshot";

pub fn routes() -> Router<App> {
    let html = Router::new()
        .route(PATH, get(draw_page))
        .merge(for_any_origin(Router::new().route(CHOICE_PATH, post(choose))))
        .route("/pay/questions", post(questions::submit_questions))
        .route("/pay/help", get(help::draw_help))
        .route("/pay/verify", post(help::submit_search))
        .route("/pay/email", post(help::submit_email))
        .route("/pay/receipt", get(receipt::draw_receipt))
        .route("/pay/{*path}", any(not_here))
        // For readers that do not take brotli.
        .layer(CompressionLayer::new());
    Router::new()
        .merge(html)
        .merge(for_any_origin(Router::new().route(SNAPSHOT_PATH, get(retrieve_snapshot))))
        .route("/pay/brand/{merchant}/{version}/style.css", get(brand::serve_style))
        .route("/pay/brand/{merchant}/{version}/logo", get(brand::serve_logo))
}

/// What the page itself asks for, also where it is in a frame of no origin.
fn for_any_origin(routes: Router<App>) -> Router<App> {
    routes.method_not_allowed_fallback(method_not_allowed).layer(any_origin::cors())
}

/// Beside the pages there are: a link that was cut off.
async fn not_here(reader: Reader) -> Response {
    reader.refuse(&ApiError::NotFound)
}

/// What all pages share, made once.
#[derive(Clone)]
pub struct Pages {
    /// `None` if the page was not built.
    template: Option<Arc<Template>>,
    /// How pages look that no script takes over.
    look: Arc<Look>,
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
        let look = template.as_ref().map_or_else(Look::without_page, |template| template.look());
        Self { template, look: Arc::new(look), socket_origin: socket_origin(&app.public_url).into() }
    }
}

/// The origin of the sockets beside a page at this address.
fn socket_origin(public_url: &str) -> String {
    let origin = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    origin.replacen("http", "ws", 1)
}

/// Draws the page of the invoice that the query's session opens.
async fn draw_page(State(app): State<App>, reader: Reader, parameters: Parameters) -> Response {
    reader.answer(draw(&app, &reader, &parameters).await)
}

async fn draw(app: &App, reader: &Reader, parameters: &Parameters) -> Result<Response, ApiError> {
    let session = open(app, parameters).await?;
    let shown = snapshot::present(app, &session).await?;
    if invoicing::asks(&shown.case.invoice, app.clock.now()) {
        return Ok(questions::draw(reader, &shown, &[], None));
    }
    let is_choosing = parameters.get("choose") == Some("1");
    Ok(drawn_in(reader, &shown, Situation { is_choosing, ..Situation::default() }))
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
    let is_file = path == SNAPSHOT_PATH || path.starts_with("/pay/brand/");
    let is_page = path == PATH || path.starts_with("/pay/") && !is_file;
    is_page && !WantsJson::of(headers).0
}

/// Takes the payer's choice. A script gets the snapshot; a form is sent on to the page, or shown why not.
async fn choose(
    State(app): State<App>,
    reader: Reader,
    WantsJson(wants_json): WantsJson,
    request: Request,
) -> Response {
    let chosen = async {
        let form = Form::read(&app, request).await?;
        let answer = answer_choice(&app, &form).await;
        Ok((form, answer))
    };
    let (form, answer) = match chosen.await {
        Ok((form, Ok(answer))) => (form, answer),
        // The page asks the questions first.
        Ok((form, Err(ApiError::QuestionsUnanswered))) if !wants_json => return form.back_to_page(),
        Ok((_, Err(error))) | Err(error) if wants_json => return error.into_response(),
        Ok((form, Err(error))) => return reader.speaking(form.named).refuse(&error),
        Err(error) => return reader.refuse(&error),
    };
    if wants_json {
        return Json(answer.shown.snapshot).into_response();
    }
    if answer.shown.snapshot.notice.is_some() {
        return drawn(&reader.speaking(form.named), &answer.shown);
    }
    let again = if answer.has_chosen { "" } else { "&choose=1" };
    Redirect::to(&format!("{}{again}", form.page())).into_response()
}

struct Answer {
    shown: Shown,
    has_chosen: bool,
}

async fn answer_choice(app: &App, form: &Form) -> Result<Answer, ApiError> {
    let session = &form.session;
    let Some((network, token)) = chosen(&form.fields)? else {
        return Ok(Answer { shown: snapshot::present(app, session).await?, has_chosen: false });
    };
    let (merchant, invoice) = (session.invoice.merchant, session.invoice.id);
    let shown = match invoicing::choose(app, merchant, invoice, network, token).await {
        Ok(_) => snapshot::after_choice(app, session).await?,
        Err(QuoteError::Unanswered) => return Err(ApiError::QuestionsUnanswered),
        Err(error) => snapshot::after_failed_choice(app, session, error).await?,
    };
    Ok(Answer { shown, has_chosen: true })
}

/// The page as HTML, with the policy that lets it do what it needs and nothing else.
fn drawn(reader: &Reader, shown: &Shown) -> Response {
    drawn_in(reader, shown, Situation::default())
}

fn drawn_in(reader: &Reader, shown: &Shown, situation: Situation) -> Response {
    let (pages, language, snapshot) = (&reader.pages, reader.language, &shown.snapshot);
    let Some(template) = &pages.template else { return reader.not_built() };
    let choosing = if situation.is_choosing { " data-choosing" } else { "" };
    let spoken = format!("data-language=\"{}\"{choosing}", language.code());
    let title = escape_text(&frontend::title(snapshot, language));
    let head = format!("{}{}", refresh(snapshot, situation), style_link(shown));
    let app = frontend::render_in(snapshot, language, situation);
    let json = escape_json(&serde_json::to_string(snapshot).unwrap_or_default());
    let rest = template.rest(|gap| match gap {
        Gap::Language => &spoken,
        Gap::Title => &title,
        Gap::Head => &head,
        Gap::App => &app,
        Gap::Snapshot => &json,
    });
    let policy = template.policy(&pages.socket_origin, &frame_ancestors(&shown.merchant, snapshot.environment));
    reader.document(&template.openings, &rest, &policy)
}

/// A page that no script takes over. It asks for itself again after `refresh_seconds`, if there are any.
fn still(reader: &Reader, shown: &Shown, page: &Still, refresh_seconds: Option<u32>) -> Response {
    let refresh = refresh_seconds.map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"));
    let head = format!("{}{}", refresh.unwrap_or_default(), style_link(shown));
    let look = &reader.pages.look;
    let policy = look.policy("'self'", &frame_ancestors(&shown.merchant, shown.snapshot.environment));
    reader.document(&look.openings, &Look::rest(page, &head), &policy)
}

/// What makes a merchant's pages look as it likes.
fn style_link(shown: &Shown) -> String {
    let path = shown.brand.as_ref().and_then(|record| brand::style_path(shown.merchant.id, record));
    // The path is of numbers and hexadecimal digits.
    path.map(|path| format!("<link rel=\"stylesheet\" href=\"{path}\" />")).unwrap_or_default()
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

/// Lets a page without script look again by itself until nothing more will happen. Who is choosing is left in peace.
fn refresh(snapshot: &Snapshot, situation: Situation) -> String {
    use wire::invoice::InvoiceStatus;
    let is_asked = snapshot.quote.is_some() && !situation.is_choosing;
    let is_waiting = is_asked || !snapshot.payments.is_empty() || snapshot.invoice.is_checking;
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
