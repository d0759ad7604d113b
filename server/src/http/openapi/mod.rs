//! The description of the API: made from the handlers' own descriptions, and served.
//!
//! A handler says what is its own: method, path, parameters, answer, security and the codes it gives. What follows
//! from those is added in [`mod@document`], once for all; examples lie in `examples/`, a file per operation.

mod document;
mod reference;

#[cfg(test)]
pub use document::{TAGS, operations, responses, schemes};

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    http::{HeaderValue, header},
    routing::get,
};
use serde_json::Value;
use utoipa::openapi::{Deprecated, OpenApi};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::app::App;

/// The whole description. It is the same for as long as the process runs.
pub fn document(api: &OpenApi) -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| document::complete(api))
}

/// The description as JSON and as a page; `public_url` is where the page's examples call.
pub fn routes(api: &OpenApi, public_url: &str) -> Router<App> {
    static JSON: OnceLock<String> = OnceLock::new();
    let document = document(api);
    let json = JSON.get_or_init(|| document.to_string()).as_str();
    // Drawn for the first who reads it.
    let (reference, public_url) = (Arc::new(OnceLock::new()), public_url.to_owned());
    let draw = move || reference.get_or_init(|| reference::draw(document, &public_url)).clone();
    let content_type = HeaderValue::from_static("application/json");
    // Any page may read it: it holds nothing of anybody.
    let any_origin = HeaderValue::from_static("*");
    let headers = [(header::CONTENT_TYPE, content_type), (header::ACCESS_CONTROL_ALLOW_ORIGIN, any_origin)];
    Router::new().route("/openapi.json", get(async move || (headers, json))).route("/docs", get(async move || draw()))
}

/// Described routes, changed in a way that leaves their description alone.
pub fn wrapped(routes: OpenApiRouter<App>, change: impl FnOnce(Router<App>) -> Router<App>) -> OpenApiRouter<App> {
    let (handlers, description) = routes.split_for_parts();
    let mut wrapped = OpenApiRouter::from(change(handlers));
    *wrapped.get_openapi_mut() = description;
    wrapped
}

/// The same handlers at an older address, where they are described as what not to use any more. `suffix` tells their
/// operation ids apart, as in `revoke_api_key__before`.
pub fn also_at(
    path: &str,
    suffix: &str,
    (schemas, mut paths, handlers): UtoipaMethodRouter<App>,
) -> UtoipaMethodRouter<App> {
    for mut item in std::mem::take(&mut paths.paths).into_values() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let id = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{id}{ALIAS}{suffix}"));
            operation.deprecated = Some(Deprecated::True);
        }
        match paths.paths.get_mut(path) {
            Some(there) => there.merge_operations(item),
            None => {
                paths.paths.insert(path.to_owned(), item);
            }
        }
    }
    (schemas, paths, handlers)
}

/// What stands between an operation's id and what tells it from the same operation elsewhere.
pub const ALIAS: &str = "__";
