//! Every state of the payer's page, and the pages around it, each as a page of its own, drawn from made-up facts into
//! the page as it was built.
//!
//! Nothing of this is in the server: it has no way to show a snapshot that is not an invoice's.

mod live;
#[path = "../../frontend/tests/states/mod.rs"]
mod states;
mod stills;

use std::{fs, path::Path};

use axum::{
    Router,
    extract::{Path as InPath, State},
    http::StatusCode,
    response::Html,
    routing::get,
};
use frontend::{Language, Link, Situation, still::STYLE};
use tokio::{net::TcpListener, task::JoinHandle};
use wire::snapshot::Snapshot;

pub use self::live::LiveGallery;
use crate::outcome::{Failure, Outcome};

/// A state with its name.
pub struct Scene {
    /// Part of its address and of its pictures' names.
    pub name: &'static str,
    content: Content,
}

enum Content {
    /// A state of the page that scripts take over.
    Live(Box<Snapshot>, Situation),
    Still(stills::Draw),
}

/// All states, in the order in which payers meet them.
pub fn scenes() -> Vec<Scene> {
    let quiet = Situation::default();
    let live = |name, snapshot, situation| Scene { name, content: Content::Live(Box::new(snapshot), situation) };
    let states = states::ALL.into_iter().map(|(name, state)| live(name, state(), quiet));
    let situations = [
        live("quoting", states::pay(), Situation { is_choosing: true, is_sending: true, ..quiet }),
        live("offline", states::pay(), Situation { link: Link::Down, ..quiet }),
        live("session_invalid", states::pay(), Situation { link: Link::Refused, ..quiet }),
        live("choose_again", states::pay(), Situation { is_choosing: true, ..quiet }),
        live("amiss", states::pay(), Situation { is_amiss: true, ..quiet }),
    ];
    let stills = stills::ALL.into_iter().map(|(name, draw)| Scene { name, content: Content::Still(draw) });
    states.chain(situations).chain(stills).collect()
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
    let (main, head, app) = match scene.content {
        // As after scripts took it over, so that nothing is left out that they bring.
        Content::Live(snapshot, situation) => {
            let app = frontend::render_in(&snapshot, language, situation);
            ("<main id=\"app\" data-live", String::new(), app)
        }
        Content::Still(draw) => ("<main id=\"app\"", format!("<style>{STYLE}</style>"), draw(language).html),
    };
    let html = template
        .replace("<html lang=\"en\">", &root)
        .replace("<!--title-->", "Gallery")
        .replace("<!--head-->", &head)
        .replace("<main id=\"app\"", main)
        .replace("<!--app-->", &app);
    Ok(Html(html))
}

/// The template without what would take over a page that has no server: one script that loads, and one that begins.
fn without_scripts(template: &str) -> Outcome<String> {
    let (before, rest) = template.split_once("<script").ok_or_else(|| Failure::new("no script"))?;
    let (_, rest) = rest.split_once("<script type=\"module\"").ok_or_else(|| Failure::new("no module"))?;
    let (_, after) = rest.split_once("</script>").ok_or_else(|| Failure::new("a script without an end"))?;
    Ok(format!("{before}{after}"))
}

#[cfg(test)]
mod tests {
    use frontend::State;

    use super::*;

    #[test]
    fn every_state_of_the_page_has_a_scene() {
        let shown: Vec<State> = scenes().iter().filter_map(state).collect();
        for state in State::ALL {
            assert!(shown.contains(state), "{state:?} is in no scene");
        }
    }

    fn state(scene: &Scene) -> Option<State> {
        match &scene.content {
            Content::Live(snapshot, situation) => Some(State::of(snapshot, snapshot.now_ms, *situation)),
            Content::Still(_) => None,
        }
    }
}
