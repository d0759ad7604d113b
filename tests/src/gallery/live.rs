//! The states as pages that scripts take over: as a server sends them, under its content policy, with a made-up snapshot in the
//! place of an invoice's.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use frontend::Language;
use tokio::{net::TcpListener, task::JoinHandle};
use wire::snapshot::Snapshot;

use super::states;
use crate::outcome::{Failure, Outcome};

/// Serves them on loopback until it is dropped. What the page asks for beside its files nobody answers.
pub struct LiveGallery {
    url: String,
    server: JoinHandle<()>,
}

struct Origin {
    /// Where the files of the page are.
    url: String,
    client: reqwest::Client,
    pages: HashMap<&'static str, Page>,
}

/// A page of the server around what is drawn and what it is drawn from.
struct Page {
    policy: String,
    before: String,
    between: String,
    after: String,
}

impl LiveGallery {
    /// Starts with the page at a payment URL.
    ///
    /// # Errors
    ///
    /// When the page is not there or not as expected, or the port is refused.
    #[expect(clippy::disallowed_methods, reason = "there is no app whose shutdown could wait for it")]
    pub async fn open(payment_url: &str) -> Outcome<Self> {
        let client = demo::http_client()?;
        let url = payment_url.split_once("/pay").map(|(url, _)| url.to_owned());
        let url = url.ok_or_else(|| Failure::new("no payment URL"))?;
        let mut pages = HashMap::new();
        for language in Language::ALL {
            let address = format!("{payment_url}&lang={}", language.code());
            let answer = client.get(address).send().await?.error_for_status()?;
            let policy = answer.headers().get(header::CONTENT_SECURITY_POLICY);
            let policy = policy.and_then(|policy| policy.to_str().ok()).unwrap_or_default().to_owned();
            let html = answer.text().await?;
            pages.insert(language.code(), Page::cut(policy, &html).ok_or_else(|| Failure::new("no such page"))?);
        }
        let router = Router::new().route("/{language}/{scene}", get(show)).route("/assets/{file}", get(pass_on));
        let router = router.with_state(Arc::new(Origin { url, client, pages }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends with the test, and there is nobody to tell here.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, server })
    }

    /// The name and the address of every state.
    pub fn scenes(&self, language: Language) -> impl Iterator<Item = (&'static str, String)> {
        states::ALL.into_iter().map(move |(name, _)| (name, self.address(name, language)))
    }

    /// What one of them is drawn from.
    ///
    /// # Errors
    ///
    /// When there is none of the name.
    pub fn snapshot(name: &str) -> Outcome<Snapshot> {
        let state = states::ALL.into_iter().find(|(it, _)| *it == name);
        state.map(|(_, state)| state()).ok_or_else(|| Failure::new(format!("there is no {name}")))
    }

    /// The address of one of them.
    pub fn address(&self, name: &str, language: Language) -> String {
        format!("{}/{}/{name}", self.url, language.code())
    }
}

impl Drop for LiveGallery {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Page {
    fn cut(policy: String, html: &str) -> Option<Self> {
        let (before, rest) = html.split_once("<main id=\"app\"")?;
        let (attributes, rest) = rest.split_once('>')?;
        let (_, rest) = rest.split_once("</main>")?;
        let (between, rest) = rest.split_once("id=\"snapshot\">")?;
        let (_, after) = rest.split_once("</script>")?;
        Some(Self {
            policy,
            before: format!("{before}<main id=\"app\"{attributes}>"),
            between: format!("</main>{between}id=\"snapshot\">"),
            after: format!("</script>{after}"),
        })
    }
}

async fn show(
    State(origin): State<Arc<Origin>>,
    Path((language, scene)): Path<(String, String)>,
) -> Result<Response, StatusCode> {
    let language = Language::of_tag(&language).ok_or(StatusCode::NOT_FOUND)?;
    let page = origin.pages.get(language.code()).ok_or(StatusCode::NOT_FOUND)?;
    let (_, state) = states::ALL.into_iter().find(|(name, _)| *name == scene).ok_or(StatusCode::NOT_FOUND)?;
    let snapshot = state();
    let json = serde_json::to_string(&snapshot).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.replace('<', "\\u003c");
    let app = frontend::render(&snapshot, language);
    let html = [page.before.as_str(), &app, &page.between, &json, &page.after].concat();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, page.policy.clone()),
    ];
    Ok((headers, html).into_response())
}

/// The files of the page.
async fn pass_on(State(origin): State<Arc<Origin>>, uri: Uri) -> Result<Response, StatusCode> {
    let url = format!("{}{}", origin.url, uri.path());
    let answer = origin.client.get(url).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let bytes = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut response = (status, bytes).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}
