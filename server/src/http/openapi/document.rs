//! From what the handlers say to the document that is served.
//!
//! Adds what need not be said at each handler: which errors come with a kind of credentials, with a body or with
//! anything; the headers of every answer; the examples. Works on JSON, so that what is here reads like what comes out.

use std::collections::{BTreeMap, BTreeSet};

use rust_embed::RustEmbed;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema, openapi::OpenApi};
use wire::{
    error::{ErrorBody, ErrorDetail},
    event::API_VERSION,
};

use crate::http::error_codes::{ErrorCode, code};

/// `{"parameters":{…},"request":…,"response":…}` for each operation.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/http/openapi/examples"]
struct Examples;

/// What operations are about, in the order of the reference.
pub const TAGS: [(&str, &str); 9] = [
    ("Invoices", "What you ask your customers for. Amounts are thousandths of a dollar, times are epoch seconds."),
    ("Events", "Everything that happened, in order. Webhooks and streams tell the same events."),
    ("Webhooks", "Where you hear of events without asking: endpoints of your own that events are posted to, signed."),
    ("Keys", "What your servers and your people get in with. Managed at the dashboard, never by keys themselves."),
    ("Settings", "Which tokens and networks you take, and what payers find afterwards."),
    ("Wallets", "Where your money goes. A change takes effect only after a while, and you are told at once."),
    ("Nodes", "Nodes that are asked about a chain when the operator's own cannot be."),
    ("Streams", "Events over a WebSocket, as they happen."),
    ("Payors", "What the page of a payer calls, with the session of one invoice."),
];

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// What every answer may have.
const HEADERS: [(&str, &str); 3] = [
    ("x-request-id", "The request's name in the server's log: yours, if you sent one in this header."),
    ("RateLimit-Policy", "How many requests there may be in how many seconds, as in `\"key\";q=100;w=60`."),
    ("RateLimit", "How many are left, and in how many seconds all are, as in `\"key\";r=99;t=1`."),
];
const RETRY_AFTER: &str = "Retry-After";
/// How a handler lists the codes it gives, beside those that follow from the rest.
const OWN_CODES: &str = "x-error-codes";

/// Makes the served document from what the handlers say.
///
/// # Panics
///
/// If a handler names a code that is not one, or an example is no JSON: tests make the document first.
pub fn complete(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["info"] = json!({
        "title": "pepay",
        "version": API_VERSION,
        "description": "Self-hosted, non-custodial crypto checkout. Create an invoice, send the payer to its \
            `payment_url`, and learn from events when it is paid.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The server this description comes from." }]);
    document["tags"] = TAGS.iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    document["components"]["securitySchemes"] = security_schemes();
    for (name, schema) in error_schemas() {
        document["components"]["schemas"][name] = schema;
    }

    for (name, text) in HEADERS {
        let header = json!({ "description": text, "schema": { "type": "string" } });
        document["components"]["headers"][name] = header;
    }
    document["components"]["headers"][RETRY_AFTER] = json!({
        "description": "After how many seconds to try again.",
        "schema": { "type": "integer", "minimum": 0 },
    });
    document["components"]["examples"] = code::ALL
        .iter()
        .map(|code| (code.name.to_owned(), json!({ "value": ErrorBody::new(code.name, code.meaning, None) })))
        .collect::<Map<_, _>>()
        .into();
    let mut errors = Map::new();
    for operation in operations_mut(&mut document) {
        complete_operation(operation, &mut errors);
    }
    document["components"]["responses"] = errors.into();
    let sent = reachable(&document, "requestBody");
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in schemas {
            complete_schema(schema, !sent.contains(name));
        }
    }
    document
}

/// Every operation of a document with its path and method.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| Some((path.as_str(), *method, item.get(method)?)))
    })
}

/// The responses of an operation by their status, wherever the document holds them: those that several operations give
/// are among its components.
pub fn responses<'d>(document: &'d Value, operation: &'d Value) -> impl Iterator<Item = (&'d str, &'d Value)> {
    let responses = operation["responses"].as_object().into_iter().flatten();
    responses.map(|(status, response)| {
        let shared = response["$ref"].as_str().and_then(|place| document.pointer(place.trim_start_matches('#')));
        (status.as_str(), shared.unwrap_or(response))
    })
}

fn operations_mut(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    let members = paths.filter_map(Value::as_object_mut).flatten();
    members.filter(|(name, _)| METHODS.contains(&name.as_str())).map(|(_, operation)| operation)
}

// Not by `[…]`, which would put a null where there is nothing.
fn parameters_mut(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
}

fn responses_mut(operation: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten()
}

fn security_schemes() -> Value {
    let header =
        |name: &str, text: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": text });
    json!({
        "merchant_key": header("x-api-key", "A merchant's key, as in `pk_…`, which has the rights named at each operation. It belongs on servers, \
            never into a page. `Authorization: Bearer` takes it too."),
        "dashboard": {
            "type": "http", "scheme": "bearer",
            "description": "The token of a person at the dashboard, which `pepay merchant token` mints. It can do what a \
                merchant can.",
        },
        "session_token": header("x-session-token", "The `session_token` of an invoice; always together with `x-signature`."),
        "session_signature": header("x-signature", "The `signature` of the same invoice."),
        "ws_token": {
            "type": "apiKey", "in": "query", "name": "token",
            "description": "A token from `POST /api/v1/ws/token`, for browsers. It opens a merchant's stream and nothing else.",
        },
        "stream_token": {
            "type": "apiKey", "in": "query", "name": "token",
            "description": "The token of a stream, which opens that stream and nothing else.",
        },
    })
}

/// The codes that come with a way of saying who is calling.
fn codes_of_security(scheme: &str) -> &'static [ErrorCode] {
    match scheme {
        "merchant_key" => &[
            code::API_KEY_MISSING,
            code::API_KEY_INVALID,
            code::API_KEY_REVOKED,
            code::API_KEY_SUSPENDED,
            code::API_KEY_EXPIRED,
            code::ENVIRONMENT_FORBIDDEN,
            code::SCOPE_FORBIDDEN,
            code::RIGHT_REQUIRED,
            // Of a bearer that was sent instead.
            code::DASHBOARD_TOKEN_REVOKED,
            code::DASHBOARD_TOKEN_EXPIRED,
        ],
        "dashboard" => &[
            code::DASHBOARD_TOKEN_MISSING,
            code::DASHBOARD_TOKEN_INVALID,
            code::DASHBOARD_TOKEN_REVOKED,
            code::DASHBOARD_TOKEN_EXPIRED,
            // Of a key that was sent instead.
            code::API_KEY_INVALID,
            code::API_KEY_REVOKED,
            code::API_KEY_SUSPENDED,
            code::API_KEY_EXPIRED,
            code::ENVIRONMENT_FORBIDDEN,
            code::SCOPE_FORBIDDEN,
        ],
        "session_token" => &[code::SESSION_INVALID, code::SESSION_EXPIRED, code::SCOPE_FORBIDDEN],
        "ws_token" => &[code::WS_TOKEN_INVALID, code::WS_TOKEN_EXPIRED],
        "stream_token" => &[code::SESSION_INVALID, code::SESSION_EXPIRED],
        _ => &[],
    }
}

/// All codes of an operation: its own and those that follow from its security, parameters and body.
fn codes(operation: &Value) -> BTreeSet<&'static str> {
    let of_all = [
        code::RATE_LIMITED,
        code::URL_TOO_LONG,
        code::HEADERS_TOO_LARGE,
        // A body is limited also where nobody reads it.
        code::BODY_TOO_LARGE,
        code::INTERNAL_SERVER_ERROR,
        code::TIMEOUT,
    ];
    let mut codes: BTreeSet<_> = of_all.iter().map(|code| code.name).collect();
    for own in operation[OWN_CODES].as_array().into_iter().flatten().filter_map(Value::as_str) {
        codes.insert(ErrorCode::named(own).unwrap_or_else(|| panic!("{own} is no code")).name);
    }
    for scheme in schemes(operation) {
        codes.extend(codes_of_security(scheme).iter().map(|code| code.name));
    }
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() || operation.get("requestBody").is_some() {
        codes.insert(code::VALIDATION_ERROR.name);
    }
    if parameters.iter().any(|parameter| parameter["in"] == "path") {
        codes.insert(code::NOT_FOUND.name);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([code::UNSUPPORTED_MEDIA_TYPE.name, code::REQUEST_TIMEOUT.name]);
    }
    codes
}

/// The names of the security schemes of an operation.
pub fn schemes(operation: &Value) -> BTreeSet<&str> {
    let alternatives = operation["security"].as_array().into_iter().flatten();
    alternatives.filter_map(Value::as_object).flat_map(Map::keys).map(String::as_str).collect()
}

/// Completes an operation, and adds to `errors` what it refers to there.
fn complete_operation(operation: &mut Value, errors: &mut Map<String, Value>) {
    let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
    for code in codes(operation).into_iter().filter_map(ErrorCode::named) {
        by_status.entry(code.status.as_u16()).or_default().push(code);
    }
    if let Some(operation) = operation.as_object_mut() {
        operation.remove(OWN_CODES);
    }
    for parameter in parameters_mut(operation) {
        // A parameter that is not there is left out, not null.
        if let Some(schema) = parameter.get_mut("schema") {
            drop_null(schema);
        }
    }
    for (_, response) in responses_mut(operation) {
        add_headers(response);
    }
    for (status, codes) in by_status {
        let name = name_of_errors(operation, status, &codes);
        operation["responses"][status.to_string()] = json!({ "$ref": format!("#/components/responses/{name}") });
        errors.entry(name).or_insert_with(|| error_response(&codes));
    }
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let name = id.split(super::ALIAS).next().unwrap_or_default();
    if let Some(file) = Examples::get(&format!("{name}.json")) {
        let example = serde_json::from_slice(&file.data).unwrap_or_else(|error| panic!("example of {id}: {error}"));
        add_example(operation, &example);
    }
}

fn add_headers(response: &mut Value) {
    for (name, _) in HEADERS {
        response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

/// What the errors of one status are called: by the credentials they come from, and by every other code by itself. So
/// the same name is always the same list.
fn name_of_errors(operation: &Value, status: u16, codes: &[ErrorCode]) -> String {
    let mut name = format!("Error{status}");
    let mut named = Vec::new();
    for scheme in schemes(operation) {
        let own = codes_of_security(scheme).iter().filter(|code| code.status.as_u16() == status);
        let before = named.len();
        named.extend(own.map(|code| code.name));
        if before < named.len() {
            name = format!("{name}.{scheme}");
        }
    }
    for code in codes.iter().filter(|code| !named.contains(&code.name)) {
        name = format!("{name}.{}", code.name);
    }
    name
}

fn error_response(codes: &[ErrorCode]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.name).collect();
    let texts: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.name, code.meaning)).collect();
    let reference = |code: &ErrorCode| json!({ "$ref": format!("#/components/examples/{}", code.name) });
    let examples: Map<_, _> = codes.iter().map(|code| (code.name.to_owned(), reference(code))).collect();
    let own = json!({ "type": "object", "properties": { "code": { "type": "string", "enum": names } } });
    let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/ErrorBody" }, own] });
    let mut response = json!({
        "description": texts.join("\n\n"),
        "content": { "application/json": { "schema": schema, "examples": examples } },
    });
    add_headers(&mut response);
    if codes.contains(&code::RATE_LIMITED) {
        response["headers"][RETRY_AFTER] = json!({ "$ref": format!("#/components/headers/{RETRY_AFTER}") });
    }
    response
}

fn error_schemas() -> [(String, Value); 2] {
    let schema = |schema| serde_json::to_value(schema).unwrap_or_default();
    [
        (ErrorBody::name().into_owned(), schema(ErrorBody::schema())),
        (ErrorDetail::name().into_owned(), schema(ErrorDetail::schema())),
    ]
}

fn add_example(operation: &mut Value, example: &Value) {
    for parameter in parameters_mut(operation) {
        if let Some(value) = parameter["name"].as_str().and_then(|name| example["parameters"].get(name)) {
            parameter["example"] = value.clone();
        }
    }
    if let (Some(value), Some(body)) = (example.get("request"), operation.get_mut("requestBody")) {
        body["content"]["application/json"]["example"] = value.clone();
    }
    let responses = responses_mut(operation);
    for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
        if let (Some(value), Some(content)) = (example.get("response"), response.get_mut("content")) {
            content["application/json"]["example"] = value.clone();
        }
    }
}

/// Says what the types cannot: a text that is always the same, and what is always there in an answer. There, what can
/// be null is never left out, and what can be left out is never null.
fn complete_schema(schema: &mut Value, is_only_in_answers: bool) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let mut required = Vec::new();
    for (name, property) in properties {
        let always = property["description"].as_str().and_then(|text| text.strip_prefix("Always `")?.split('`').next());
        match always {
            Some("true") => property["const"] = true.into(),
            Some("false") => property["const"] = false.into(),
            Some(text) => property["const"] = text.into(),
            None => {}
        }
        if can_be_null(property) {
            required.push(Value::from(name.as_str()));
        }
    }
    if is_only_in_answers && !required.is_empty() {
        if let Some(already) = schema["required"].as_array() {
            required.extend(already.iter().cloned());
        }
        schema["required"] = required
            .into_iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
    }
}

fn can_be_null(schema: &Value) -> bool {
    let is_null = |value: &Value| value == "null";
    schema["type"].as_array().is_some_and(|types| types.iter().any(is_null))
        || schema["oneOf"].as_array().is_some_and(|all| all.iter().any(|one| is_null(&one["type"])))
}

/// The same schema without null.
fn drop_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|one| one != "null");
        if let [one] = &types[..] {
            schema["type"] = one.clone();
        }
    }
    if let Some(all) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        all.retain(|one| one["type"] != "null");
        if let [one] = &all[..] {
            let mut one = one.clone();
            if let (Some(description), Some(one)) = (schema.get("description"), one.as_object_mut()) {
                one.insert("description".to_owned(), description.clone());
            }
            *schema = one;
        }
    }
}

/// The names of the schemas that a part of any operation holds, itself or through others.
fn reachable(document: &Value, part: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&Value> = operations(document).filter_map(|(_, _, operation)| operation.get(part)).collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                let name = members.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next());
                if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                    left.push(&document["components"]["schemas"][name]);
                }
                left.extend(members.values());
            }
            Value::Array(elements) => left.extend(elements),
            _ => {}
        }
    }
    found
}
