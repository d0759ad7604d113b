//! The description says what the server does, and the server does what the description says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Answer, Server};
use crate::http::{
    api,
    error_codes::code,
    openapi::{self, operations, responses, schemes},
};

const RENEW: &str = "renew it with `cargo xtask openapi` and look at what changed";

/// Routes that are no part of the API.
const NOT_DESCRIBED: [&str; 20] = [
    // For people.
    "/pay",
    "/pay/choose",
    "/pay/snapshot",
    "/pay/questions",
    "/pay/help",
    "/pay/verify",
    "/pay/email",
    "/pay/receipt",
    "/pay/{*path}",
    "/pay/brand/{merchant}/{version}/style.css",
    "/pay/brand/{merchant}/{version}/logo",
    "/sweep",
    "/assets/{*path}",
    "/openapi.json",
    "/docs",
    // For whoever keeps the server running.
    "/health/live",
    "/health/ready",
    // What this server does not have.
    "/api/commerce",
    "/api/commerce/{*path}",
    "/ws/commerce/events",
];

/// Codes of addresses that are no operation's.
const OF_NO_OPERATION: [&str; 2] = [code::METHOD_NOT_ALLOWED.name, code::NOT_IMPLEMENTED.name];

pub fn document() -> &'static Value {
    // Collecting what the handlers say takes tens of milliseconds, and every answer of every test is checked.
    static DOCUMENT: LazyLock<&Value> = LazyLock::new(|| openapi::document(&api().into_openapi()));
    &DOCUMENT
}

/// Asserts that an answer to this request is one that the description knows: its status, its code and its body.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let method = method.as_str().to_ascii_lowercase();
    let path = path.split('?').next().unwrap_or_default();
    let Some((template, operation)) = operation(&method, path) else { return };
    let status = answer.status.as_u16().to_string();
    let what = format!("{method} {template} answered {status}: {}", answer.text);
    let Some((_, response)) = responses(document(), operation).find(|(described, _)| *described == status) else {
        panic!("its description lacks the status; {what}");
    };
    if response["content"]["application/json"]["schema"].is_null() {
        return;
    }
    let pointer = schema_of_response(template, &method, operation, &status);
    assert_eq!(faults(&pointer, &answer.json()), Vec::<String>::new(), "it is not as described; {what}");
}

/// Where the description holds the schema of an answer in JSON.
fn schema_of_response(template: &str, method: &str, operation: &Value, status: &str) -> String {
    let own = || format!("/paths/{}/{method}/responses/{status}", escaped(template));
    let shared = operation["responses"][status]["$ref"].as_str().map(|place| place[1..].to_owned());
    shared.unwrap_or_else(own) + "/content/application~1json/schema"
}

fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let segments: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    // A name of its own goes before what a parameter could be, and begins with a smaller letter than a brace.
    operations(document())
        .filter(|(template, own, _)| *own == method && fits(template))
        .map(|(template, _, operation)| (template, operation))
        .min_by_key(|(template, _)| *template)
}

/// What does not fit the schema at that place of the description.
fn faults(pointer: &str, value: &Value) -> Vec<String> {
    static VALIDATORS: Mutex<BTreeMap<String, Validator>> = Mutex::new(BTreeMap::new());
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(pointer.to_owned()).or_insert_with(|| {
        let document = document();
        let schema = document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
        let whole = json!({ "allOf": [schema], "components": { "schemas": document["components"]["schemas"] } });
        jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap()
    });
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

fn escaped(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_committed_copy_is_what_is_served() {
    let path = workspace().join("docs/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(document()).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    // Line by line, for a message that says where.
    for (number, (committed, made)) in committed.lines().zip(text.lines()).enumerate() {
        assert_eq!(committed, made, "line {} of docs/openapi.json is out of date: {RENEW}", number + 1);
    }
    assert!(committed == text, "docs/openapi.json is out of date: {RENEW}");
}

#[tokio::test]
async fn the_description_is_served() {
    let server = Server::start().await;
    let answer = server.get("/openapi.json", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(&answer.json(), document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_reference_holds_every_operation_code_and_object_and_loads_nothing() {
    let server = Server::start().await;
    let answer = server.get("/docs", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    for outside in ["<script", "src=", "url(", "@import", " style=", " onclick="] {
        assert!(!answer.text.contains(outside), "{outside}");
    }
    let ids = answer.text.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let ids: Vec<_> = ids.collect();
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "an anchor is there twice");
    let links = answer.text.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    for link in links {
        assert!(distinct.contains(link), "#{link} leads nowhere");
    }
    for (_, _, operation) in operations(document()) {
        assert!(distinct.contains(operation["operationId"].as_str().unwrap()));
    }
    for code in code::ALL {
        assert!(distinct.contains(code.name));
    }
    for (name, _) in document()["components"]["schemas"].as_object().unwrap() {
        assert!(distinct.contains(name.as_str()));
    }
}

/// Described routes are registered with their description. Others would be by `.route(`, wherever in the sources that
/// stands.
#[test]
fn no_route_is_left_undescribed_but_those_listed_here() {
    let mut routes = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")) {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices(".route(") {
            let rest = text[at + ".route(".len()..].trim_start();
            let path = match rest.strip_prefix('"') {
                Some(rest) => rest.split('"').next(),
                // A constant of the same file.
                None => rest
                    .split(',')
                    .next()
                    .and_then(|name| text.split(&format!("const {name}: &str = \"")).nth(1)?.split('"').next()),
            };
            routes.insert(
                path.unwrap_or_else(|| panic!("{}: a route that is not spelled out", file.display())).to_owned(),
            );
        }
        for other in [".route_service(", ".nest(", ".nest_service("] {
            assert!(!text.contains(other), "{}: {other}", file.display());
        }
    }
    assert_eq!(routes, NOT_DESCRIBED.map(str::to_owned).into());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whatever is described is served: no described address is answered as one that is not there.
#[tokio::test]
async fn every_described_operation_is_routed() {
    let server = Server::start().await;
    for (path, method, _) in operations(document()) {
        let concrete = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
        let answer = server.send(super::request(method.clone(), &concrete, &[], "")).await;
        assert!(![404, 405].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.text);
    }
}

#[test]
fn every_code_is_given_by_an_operation() {
    let mut given = BTreeSet::new();
    for (_, _, operation) in operations(document()) {
        for (_, response) in responses(document(), operation) {
            let names = response["content"]["application/json"]["examples"].as_object();
            given.extend(names.into_iter().flatten().map(|(name, _)| name.as_str()));
        }
    }
    given.extend(OF_NO_OPERATION);
    assert_eq!(given, code::ALL.iter().map(|code| code.name).collect());
}

#[test]
fn a_code_is_in_the_list_once() {
    let names: BTreeSet<_> = code::ALL.iter().map(|code| code.name).collect();
    assert_eq!(names.len(), code::ALL.len());
}

#[test]
fn every_operation_says_what_it_is() {
    let mut ids = BTreeSet::new();
    let tags: Vec<_> = openapi::TAGS.iter().map(|(name, _)| *name).collect();
    for (path, method, operation) in operations(document()) {
        let id = operation["operationId"].as_str().unwrap();
        let what = format!("{id} ({method} {path})");
        assert!(ids.insert(id), "{what} is there twice");
        // Two handlers of one name get a number.
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{what}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{what} has no summary");
        let own_tags = operation["tags"].as_array().unwrap();
        assert!(matches!(&own_tags[..], [tag] if tags.contains(&tag.as_str().unwrap())), "{what}: {own_tags:?}");
        for scheme in schemes(operation) {
            assert!(document()["components"]["securitySchemes"][scheme].is_object(), "{what}: {scheme}");
        }
        assert!(operation["security"].is_array(), "{what} does not say who may call it");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            let says = text.ends_with('.') || parameter["schema"]["$ref"].is_string();
            assert!(says, "{what}: {} is not described", parameter["name"]);
        }
    }
}

#[test]
fn every_operation_has_an_example_that_fits() {
    for (path, method, operation) in operations(document()) {
        let id = operation["operationId"].as_str().unwrap();
        let place = format!("/paths/{}/{method}", escaped(path));
        let check = |what: &str, pointer: &str, value: &Value| {
            assert!(!value.is_null(), "{id} has no example of {what}: write examples/{id}.json");
            assert_eq!(faults(pointer, value), Vec::<String>::new(), "{what} of {id}");
        };
        for (at, parameter) in operation["parameters"].as_array().into_iter().flatten().enumerate() {
            let is_needed = parameter["required"] == true;
            if is_needed || !parameter["example"].is_null() {
                check(
                    &parameter["name"].to_string(),
                    &format!("{place}/parameters/{at}/schema"),
                    &parameter["example"],
                );
            }
        }
        for (name, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let pointer = format!("{place}/requestBody/content/{}/schema", escaped(name));
            check("the request", &pointer, &content["example"]);
        }
        for (status, response) in responses(document(), operation) {
            let Some(content) = response["content"].get("application/json") else { continue };
            let pointer = schema_of_response(path, method, operation, status);
            match content["examples"].as_object() {
                Some(examples) => {
                    for (name, example) in examples {
                        let example = example["$ref"].as_str().and_then(|place| document().pointer(&place[1..]));
                        check(name, &pointer, &example.unwrap()["value"]);
                    }
                }
                None => check("the answer", &pointer, &content["example"]),
            }
        }
    }
}

#[test]
fn no_example_is_left_over() {
    let ids: BTreeSet<_> =
        operations(document()).map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi/examples");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(ids.contains(&name), "{} is of no operation", path.display());
    }
}
