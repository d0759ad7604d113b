//! Every state of the payer's page as a page of its own, drawn from made-up snapshots into the page as it was built.
//!
//! Nothing of this is in the server: it has no way to show a snapshot that is not an invoice's.

#[path = "../../frontend/tests/states/mod.rs"]
mod states;

use std::{fs, path::Path};

use axum::{
    Router,
    extract::{Path as InPath, State},
    http::StatusCode,
    response::Html,
    routing::get,
};
use frontend::{Language, Link, Situation};
use tokio::{net::TcpListener, task::JoinHandle};
use wire::snapshot::Snapshot;

use crate::outcome::{Failure, Outcome};

/// A state with its name.
pub struct Scene {
    /// Part of its address and of its pictures' names.
    pub name: &'static str,
    snapshot: Snapshot,
    situation: Situation,
}

/// All states, in the order in which payers meet them.
pub fn scenes() -> Vec<Scene> {
    let quiet = Situation::default();
    let scene = |name, snapshot, situation| Scene { name, snapshot, situation };
    let mut scenes: Vec<Scene> = states::ALL.into_iter().map(|(name, state)| scene(name, state(), quiet)).collect();
    scenes.push(scene("quoting", states::choose(), Situation { is_sending: true, ..quiet }));
    scenes.push(scene("offline", states::pay(), Situation { link: Link::Down, ..quiet }));
    scenes.push(scene("session_invalid", states::pay(), Situation { link: Link::Refused, ..quiet }));
    scenes
}

/// Serves the scenes on loopback until it is dropped.
pub struct Gallery {
    /// Where: `/en/choose` is one of them.
    pub url: String,
    server: JoinHandle<()>,
}

impl Gallery {
    /// Starts with the page that was built into the folder.
    ///
    /// # Errors
    ///
    /// When there is none, or the port is refused.
    #[expect(clippy::disallowed_methods, reason = "there is no app whose shutdown could wait for it")]
    pub async fn open(dist: &Path) -> Outcome<Self> {
        let path = dist.join("index.html");
        let template =
            fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let template: &'static str = without_scripts(&template)?.leak();
        let router = Router::new().route("/{language}/{scene}", get(show)).with_state(template);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends with the test, and there is nobody to tell here.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, server })
    }

    /// The address of a scene.
    pub fn address(&self, scene: &Scene, language: Language) -> String {
        format!("{}/{}/{}", self.url, language.code(), scene.name)
    }
}

impl Drop for Gallery {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn show(
    State(template): State<&'static str>,
    InPath((language, scene)): InPath<(String, String)>,
) -> Result<Html<String>, StatusCode> {
    let language = Language::of_tag(&language).ok_or(StatusCode::NOT_FOUND)?;
    let scene = scenes().into_iter().find(|it| it.name == scene).ok_or(StatusCode::NOT_FOUND)?;
    let root = format!("<html lang=\"{}\" dir=\"{}\">", language.code(), language.direction());
    // As after scripts took it over, so that nothing is left out that they bring.
    let app = frontend::render_in(&scene.snapshot, language, scene.situation);
    let html = template
        .replace("<html lang=\"en\">", &root)
        .replace("<!--title-->", "Gallery")
        .replace("<main id=\"app\"", "<main id=\"app\" data-live")
        .replace("<!--app-->", &app);
    Ok(Html(html))
}

/// The template without what would take over a page that has no server.
fn without_scripts(template: &str) -> Outcome<String> {
    let (before, rest) = template.split_once("<script type=\"module\"").ok_or_else(|| Failure::new("no script"))?;
    let (_, after) = rest.split_once("</script>").ok_or_else(|| Failure::new("a script without an end"))?;
    Ok(format!("{before}{after}"))
}
