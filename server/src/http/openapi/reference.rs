//! `GET /docs`: the description as a page for people, drawn here. It needs no script and loads nothing.

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;

use super::document::{operations, responses, schemes};
use crate::http::{
    error_codes::code,
    template::{escape_text, hashes},
};

const STYLE: &str = include_str!("reference.css");

/// The reference with the policy that lets it show itself and do nothing.
#[derive(Clone)]
pub struct Reference {
    html: String,
    policy: HeaderValue,
}

impl IntoResponse for Reference {
    fn into_response(self) -> Response {
        ([(header::CONTENT_SECURITY_POLICY, self.policy)], Html(self.html)).into_response()
    }
}

/// Draws the reference; `public_url` is where the examples call.
pub fn draw(document: &Value, public_url: &str) -> Reference {
    let policy = format!(
        "default-src 'none'; style-src{}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hashes(&[STYLE])
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let page = Page { document, public_url: public_url.trim_end_matches('/') };
    Reference { html: page.html(), policy }
}

struct Page<'d> {
    document: &'d Value,
    public_url: &'d str,
}

impl<'d> Page<'d> {
    fn html(&self) -> String {
        let title = text(&self.document["info"]["title"]);
        let version = text(&self.document["info"]["version"]);
        let contents = self.contents();
        let mut main = String::new();
        for tag in self.document["tags"].as_array().into_iter().flatten() {
            main += &self.section(tag);
        }
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} API</title>\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
             <style>{STYLE}</style></head><body>\
             <header><h1>{title} API</h1>{intro}<p>Version <code>{version}</code>. The same for programs: \
             <a href=\"/openapi.json\">openapi.json</a> (OpenAPI 3.1).</p></header>\
             <nav class=\"contents\" aria-label=\"Contents\"><details open><summary>Contents</summary>{contents}</details></nav>\
             <main>{credentials}{errors}{main}{objects}</main></body></html>",
            intro = paragraphs(&self.document["info"]["description"]),
            credentials = self.credentials(),
            errors = errors(),
            objects = self.objects(),
        )
    }

    fn contents(&self) -> String {
        let mut html =
            "<ul><li><a href=\"#credentials\">Credentials</a></li><li><a href=\"#errors\">Errors</a></li></ul>"
                .to_owned();
        for tag in self.document["tags"].as_array().into_iter().flatten() {
            let name = tag["name"].as_str().unwrap_or_default();
            let _infallible = write!(html, "<h2>{}</h2><ul>", escape_text(name));
            for (_, method, operation) in self.of_tag(name).filter(|(_, _, operation)| operation["deprecated"] != true)
            {
                let id = text(&operation["operationId"]);
                let _infallible =
                    write!(html, "<li><a href=\"#{id}\">{id}</a> <span class=\"method\">{method}</span></li>");
            }
            html += "</ul>";
        }
        html + "<ul><li><a href=\"#objects\">Objects</a></li></ul>"
    }

    fn of_tag(&self, name: &str) -> impl Iterator<Item = (&'d str, &'d str, &'d Value)> {
        operations(self.document).filter(move |(_, _, operation)| operation["tags"][0] == name)
    }

    fn credentials(&self) -> String {
        let mut rows = String::new();
        for (name, scheme) in self.document["components"]["securitySchemes"].as_object().into_iter().flatten() {
            let sent = match scheme["type"].as_str() {
                Some("http") => "header <code>Authorization: Bearer …</code>".to_owned(),
                _ if scheme["in"] == "query" => format!("parameter <code>{}</code>", text(&scheme["name"])),
                _ => format!("header <code>{}</code>", text(&scheme["name"])),
            };
            let _infallible = write!(
                rows,
                "<tr><td><code>{}</code></td><td>{sent}</td><td>{}</td></tr>",
                escape_text(name),
                inline(scheme["description"].as_str().unwrap_or_default())
            );
        }
        let head = "<tr><th>Name</th><th>Sent as</th><th>What it is</th></tr>";
        format!("<section><h2 id=\"credentials\">Credentials</h2>{}</section>", table(head, &rows))
    }

    fn section(&self, tag: &Value) -> String {
        let name = tag["name"].as_str().unwrap_or_default();
        let mut html = format!(
            "<section><h2 id=\"{}\">{}</h2>{}",
            escape_text(&name.to_lowercase().replace(' ', "-")),
            escape_text(name),
            paragraphs(&tag["description"])
        );
        for (path, method, operation) in self.of_tag(name) {
            html += &self.operation(path, method, operation);
        }
        html + "</section>"
    }

    fn operation(&self, path: &str, method: &str, operation: &Value) -> String {
        let id = text(&operation["operationId"]);
        if operation["deprecated"] == true {
            let base = id.split(super::ALIAS).next().unwrap_or_default();
            return format!(
                "<article><h3 id=\"{id}\">Older address</h3><p class=\"address\"><span class=\"method\">{method}</span> \
                 <code>{}</code> does the same as <a href=\"#{base}\">{base}</a>.</p></article>",
                breakable(path)
            );
        }
        let mut html = format!(
            "<article><h3 id=\"{id}\"><a href=\"#{id}\">{}</a></h3>\
             <p class=\"address\"><span class=\"method\">{method}</span> <code>{}</code></p>{}<p>Credentials: {}.</p>",
            inline(operation["summary"].as_str().unwrap_or_default().trim_end_matches('.')),
            breakable(path),
            paragraphs(&operation["description"]),
            credentials_of(operation)
        );
        html += &self.parameters(operation);
        if let Some(body) = operation["requestBody"]["content"].get("application/json") {
            html += "<h4>Body</h4>";
            html += &self.shape(&body["schema"]);
        }
        html += "<h4>Example</h4>";
        let _infallible = write!(html, "<pre><code>{}</code></pre>", escape_text(&self.curl(path, method, operation)));
        for (status, response) in responses(self.document, operation) {
            if let Some(content) = response["content"].get("application/json").filter(|_| status.starts_with('2')) {
                let _infallible = write!(html, "<h4>Answer {status}</h4>");
                html += &self.shape(&content["schema"]);
                html += &json_block(&content["example"]);
            } else if status.starts_with('1') {
                let _infallible = write!(html, "<h4>Answer {status}</h4>{}", paragraphs(&response["description"]));
            }
        }
        html + &self.errors_of(operation) + "</article>"
    }

    fn errors_of(&self, operation: &Value) -> String {
        let mut rows = String::new();
        for (status, response) in responses(self.document, operation) {
            let codes = response["content"]["application/json"]["examples"].as_object();
            let links: Vec<_> = codes
                .into_iter()
                .flatten()
                .map(|(name, _)| format!("<a href=\"#{name}\"><code>{}</code></a>", breakable(name)))
                .collect();
            if !links.is_empty() {
                let _infallible = write!(rows, "<tr><td>{status}</td><td>{}</td></tr>", links.join(" "));
            }
        }
        format!("<h4>Errors</h4>{}", table("<tr><th>Status</th><th>Codes</th></tr>", &rows))
    }

    fn parameters(&self, operation: &Value) -> String {
        let mut rows = String::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = self.resolved(&parameter["schema"]);
            let needed = if parameter["required"] == true { ", required" } else { "" };
            let _infallible = write!(
                rows,
                "<tr><td><code>{}</code></td><td>{}{needed}</td><td>{}</td><td>{}</td></tr>",
                breakable(parameter["name"].as_str().unwrap_or_default()),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                inline(parameter["description"].as_str().or(schema["description"].as_str()).unwrap_or_default())
            );
        }
        if rows.is_empty() {
            return rows;
        }
        let head = "<tr><th>Name</th><th>Where</th><th>Type</th><th>What it says</th></tr>";
        format!("<h4>Parameters</h4>{}", table(head, &rows))
    }

    /// The fields of a body: those of its own in a table, an object of the list below by its name.
    fn shape(&self, schema: &Value) -> String {
        if schema["properties"].is_object() { self.fields(schema) } else { format!("<p>{}</p>", kind(schema)) }
    }

    fn fields(&self, schema: &Value) -> String {
        let mut rows = String::new();
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let presence = if required.iter().any(|one| one == name) { "" } else { " (may be missing)" };
            let described = property["description"].as_str().or(self.resolved(property)["description"].as_str());
            let _infallible = write!(
                rows,
                "<tr><td><code>{}</code></td><td>{}{presence}</td><td>{}</td></tr>",
                breakable(name),
                kind(property),
                inline(described.unwrap_or_default())
            );
        }
        table("<tr><th>Field</th><th>Type</th><th>What it says</th></tr>", &rows)
    }

    fn objects(&self) -> String {
        let mut html = "<section><h2 id=\"objects\">Objects</h2>".to_owned();
        for (name, schema) in self.document["components"]["schemas"].as_object().into_iter().flatten() {
            let name = escape_text(name);
            let _infallible = write!(html, "<article><h3 id=\"{name}\"><a href=\"#{name}\">{name}</a></h3>");
            html += &paragraphs(&schema["description"]);
            html += &self.shape(schema);
            html += "</article>";
        }
        html + "</section>"
    }

    fn resolved(&self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str().and_then(|text| text.rsplit('/').next()) {
            Some(name) => &self.document["components"]["schemas"][name],
            None => schema,
        }
    }

    /// The operation's example as a command.
    fn curl(&self, path: &str, method: &str, operation: &Value) -> String {
        let mut url = path.to_owned();
        let mut query = Vec::new();
        let mut lines = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = match &parameter["example"] {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            match parameter["in"].as_str() {
                Some("path") => url = url.replace(&format!("{{{name}}}"), &value),
                Some("query") => query.push(format!("{name}={value}")),
                _ => lines.push(format!("-H '{name}: {value}'")),
            }
        }
        let schemes = schemes(operation);
        // One way of several is enough for an example: the first, and what belongs with it.
        let first = operation["security"][0].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        for scheme in first.filter(|name| schemes.contains(name)) {
            let definition = &self.document["components"]["securitySchemes"][scheme];
            match (definition["type"].as_str(), definition["in"].as_str()) {
                (Some("http"), _) => lines.push("-H \"Authorization: Bearer $PEPAY_TOKEN\"".to_owned()),
                (_, Some("query")) => query.push(format!("{}=$PEPAY_TOKEN", text(&definition["name"]))),
                (_, _) => {
                    let variable = scheme.to_uppercase();
                    lines.push(format!("-H \"{}: ${variable}\"", text(&definition["name"])));
                }
            }
        }
        if let Some(example) = operation["requestBody"]["content"]["application/json"].get("example") {
            lines.push("-H 'Content-Type: application/json'".to_owned());
            lines.push(format!("-d '{example}'"));
        }
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        let method = if method == "get" { String::new() } else { format!("-X {} ", method.to_uppercase()) };
        lines.insert(0, format!("curl {method}\"{}{url}\"", self.public_url));
        lines.join(" \\\n  ")
    }
}

/// A type in words, with its limits.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape_text(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape_text(&value.to_string()));
    }
    for (name, word) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(all) = schema[name].as_array() {
            return all.iter().map(kind).collect::<Vec<_>>().join(word);
        }
    }
    let types = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    if schema["items"].is_object() {
        return format!("list of {}", kind(&schema["items"]));
    }
    let mut html = escape_text(&types);
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| format!("<code>{}</code>", text(value))).collect();
        html = values.join(", ");
    }
    for (name, word) in [
        ("format", ""),
        ("minimum", "from "),
        ("maximum", "to "),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("maxItems", "at most "),
        ("default", "by default "),
        ("pattern", "like "),
    ] {
        let unit = match name {
            "minLength" | "maxLength" => " characters",
            "maxItems" => " entries",
            _ => "",
        };
        // How wide a number is stored is nothing to callers.
        match &schema[name] {
            Value::Null => {}
            Value::String(format) if name == "format" && format.starts_with("int") || format.as_str() == "double" => {}
            Value::String(pattern) if name == "pattern" => {
                let _infallible = write!(html, ", {word}<code>{}</code>", breakable(pattern));
            }
            value => {
                let _infallible = write!(html, ", {word}{}{unit}", text(value));
            }
        }
    }
    html
}

/// How a caller shows who it is: one of several ways, each with all its parts.
fn credentials_of(operation: &Value) -> String {
    let ways = operation["security"].as_array().into_iter().flatten().filter_map(Value::as_object);
    let ways = ways.map(|way| {
        let parts = way.iter().map(|(name, rights)| {
            let rights: Vec<_> = rights.as_array().into_iter().flatten().map(text).collect();
            let name = escape_text(name);
            let with = if rights.is_empty() { String::new() } else { format!(" with the right {}", rights.join(", ")) };
            format!("<a href=\"#credentials\">{name}</a>{with}")
        });
        parts.collect::<Vec<_>>().join(" and ")
    });
    ways.collect::<Vec<_>>().join(", or ")
}

/// What can go wrong with any request.
fn errors() -> String {
    let mut rows = String::new();
    for code in code::ALL {
        let _infallible = write!(
            rows,
            "<tr id=\"{name}\"><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            breakable(code.name),
            code.status.as_u16(),
            inline(code.meaning),
            name = code.name,
        );
    }
    let head = "<tr><th>Code</th><th>Status</th><th>What it means</th></tr>";
    format!(
        "<section><h2 id=\"errors\">Errors</h2><p>Every error has the same body, an <a href=\"#ErrorBody\">ErrorBody</a>. \
         Codes never change; the sentences may. An object that is somebody else's is answered like one that is not \
         there.</p>{}</section>",
        table(head, &rows)
    )
}

fn table(head: &str, rows: &str) -> String {
    format!("<div class=\"wide\" tabindex=\"0\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>")
}

fn json_block(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!("<pre tabindex=\"0\"><code>{}</code></pre>", escape_text(&text))
}

/// A text or a number, as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| escape_text(&value.to_string()), escape_text)
}

/// Paragraphs of a description.
fn paragraphs(value: &Value) -> String {
    let texts = value.as_str().unwrap_or_default().split("\n\n").filter(|text| !text.trim().is_empty());
    texts.map(|text| ["<p>", &inline(text), "</p>"].concat()).collect()
}

/// A sentence in which words between backticks are code.
fn inline(sentence: &str) -> String {
    let parts = sentence.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", breakable(part)) } else { escape_text(part) })
        .collect()
}

/// Text that a narrow screen may break after a slash, an underscore or a comma.
fn breakable(word: &str) -> String {
    escape_text(word).replace('/', "/<wbr>").replace('_', "_<wbr>").replace('|', "|<wbr>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_backticks_are_code_and_nothing_is_markup() {
        assert_eq!(inline("Not `a<b` & c."), "Not <code>a&lt;b</code> &amp; c.");
    }
}
