//! The page's HTML as built, cut at its gaps, and the content policy that allows exactly its scripts and
//! styles. Both are made once, at start.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use frontend::{
    Language,
    still::{STYLE, Still},
};
use sha2::{Digest, Sha256};

/// The build marks inline scripts and styles with this; we allow them by hash instead.
const NONCE: &str = " nonce=\"{{NONCE}}\"";

/// A gap in the template, filled for each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The document's opening tag, which names its language.
    Root,
    /// The same for scripts, which nobody else changes.
    Language,
    /// The document's title, as text.
    Title,
    /// Markup at the end of the head.
    Head,
    /// Markup of the page itself.
    App,
    /// JSON inside a script element.
    Snapshot,
}

const GAPS: [(&str, Gap); 6] = [
    ("<html lang=\"en\">", Gap::Root),
    ("data-language=\"en\"", Gap::Language),
    ("<!--title-->", Gap::Title),
    ("<!--head-->", Gap::Head),
    ("<!--app-->", Gap::App),
    ("<!--snapshot-->", Gap::Snapshot),
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the page's template must have one {marker}, not {found}")]
    Marker { marker: &'static str, found: usize },
    #[error("the page's template has an element that does not end: {0}")]
    Unclosed(&'static str),
}

/// The page's HTML with its gaps, and its policy.
#[derive(Debug)]
pub struct Template {
    /// Each text is followed by its gap; the last has none.
    parts: Vec<(String, Option<Gap>)>,
    /// Sources for `script-src` and `style-src`.
    script_hashes: String,
    style_hashes: String,
    /// The inline styles as elements.
    styles: String,
}

/// How pages look that no script takes over.
#[derive(Debug)]
pub struct Look {
    styles: String,
    style_hashes: String,
}

/// Enough to read by, where no page was built.
const PLAIN_STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{max-inline-size:30rem;margin:1.5rem auto;padding:0 1rem}\
svg{inline-size:2rem}";

impl Look {
    /// How they look while no page was built.
    pub fn without_page() -> Self {
        Self { styles: format!("<style>{PLAIN_STYLE}</style>"), style_hashes: hashes(&[PLAIN_STYLE]) }
    }

    /// A whole document around a page. `head` is markup for its head.
    pub fn document(&self, language: Language, page: &Still, head: &str) -> String {
        let (code, direction, styles) = (language.code(), language.direction(), &self.styles);
        let (title, html) = (escape_text(&page.title), &page.html);
        format!(
            "<!doctype html><html lang=\"{code}\" dir=\"{direction}\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
             content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\">\
             <link rel=\"icon\" href=\"data:,\">{styles}{head}</head><body><main id=\"app\">{html}</main></body></html>"
        )
    }

    /// The content policy of such a page: no script at all. `form_action` is where its forms may go to, and
    /// `frame_ancestors` who may embed it.
    pub fn policy(&self, form_action: &str, frame_ancestors: &str) -> String {
        let style_hashes = &self.style_hashes;
        format!(
            "default-src 'none'; style-src 'self'{style_hashes}; img-src 'self' data:; form-action {form_action}; base-uri 'none'; \
             object-src 'none'; frame-ancestors {frame_ancestors}; require-trusted-types-for 'script'; trusted-types 'none'"
        )
    }
}

impl Template {
    /// Cuts built HTML at its markers.
    ///
    /// # Errors
    ///
    /// If a marker is missing or there twice.
    pub fn cut(html: &str) -> Result<Self, TemplateError> {
        let html = html.replace(NONCE, "");
        let mut cuts = Vec::with_capacity(GAPS.len());
        for (marker, gap) in GAPS {
            let places: Vec<_> = html.match_indices(marker).collect();
            match places[..] {
                [(at, _)] => cuts.push((at, marker, gap)),
                _ => return Err(TemplateError::Marker { marker, found: places.len() }),
            }
        }
        cuts.sort_unstable_by_key(|cut| cut.0);

        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut from = 0;
        for (at, marker, gap) in cuts {
            parts.push((html[from..at].to_owned(), Some(gap)));
            from = at + marker.len();
        }
        parts.push((html[from..].to_owned(), None));
        let styles = inline_elements(&html, "style")?;
        Ok(Self {
            parts,
            script_hashes: hashes(&inline_elements(&html, "script")?),
            style_hashes: hashes(&styles),
            styles: styles.iter().fold(String::new(), |elements, style| elements + "<style>" + style + "</style>"),
        })
    }

    /// The document with its gaps filled. What `fill` returns goes in unchanged.
    pub fn fill<'a>(&self, fill: impl Fn(Gap) -> &'a str) -> String {
        let mut html = String::with_capacity(16 * 1024);
        for (text, gap) in &self.parts {
            html.push_str(text);
            if let Some(gap) = gap {
                html.push_str(fill(*gap));
            }
        }
        html
    }

    /// How the page looks, for pages that no script takes over.
    pub fn look(&self) -> Look {
        Look {
            styles: format!("{}<style>{STYLE}</style>", self.styles),
            style_hashes: format!("{}{}", self.style_hashes, hashes(&[STYLE])),
        }
    }

    /// The content policy of the page; `socket_origin` is where its WebSocket connects to, and
    /// `frame_ancestors` who may embed it.
    pub fn policy(&self, socket_origin: &str, frame_ancestors: &str) -> String {
        let Self { script_hashes, style_hashes, .. } = self;
        format!(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{script_hashes}; style-src 'self'{style_hashes}; \
             img-src 'self' data:; connect-src 'self' {socket_origin}; form-action 'self'; base-uri 'none'; \
             object-src 'none'; frame-ancestors {frame_ancestors}; require-trusted-types-for 'script'; \
             trusted-types 'none'"
        )
    }
}

/// ` 'sha256-…'` for each text.
pub fn hashes(texts: &[&str]) -> String {
    texts.iter().fold(String::new(), |mut sources, text| {
        let _infallible = write!(sources, " 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        sources
    })
}

/// The texts of inline elements that a browser would run or apply: not of those with a `src`, nor of
/// blocks of data.
fn inline_elements<'h>(html: &'h str, name: &'static str) -> Result<Vec<&'h str>, TemplateError> {
    let (opening, closing) = (format!("<{name}"), format!("</{name}>"));
    let mut texts = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(&opening) {
        let (attributes, after) = rest[at + opening.len()..].split_once('>').ok_or(TemplateError::Unclosed(name))?;
        let (text, after) = after.split_once(closing.as_str()).ok_or(TemplateError::Unclosed(name))?;
        if !attributes.contains(" src=") && !attributes.contains("application/json") {
            texts.push(text);
        }
        rest = after;
    }
    Ok(texts)
}

/// JSON that can stand inside a script element: nothing in it ends the element or a line.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _infallible = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// Text that can stand between tags and in attributes.
pub fn escape_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "<html lang=\"en\"><title><!--title--></title><!--head--><style nonce=\"{{NONCE}}\">a{}</style>\
        <main id=\"app\" data-language=\"en\"><!--app--></main>\
        <script type=\"application/json\" id=\"snapshot\"><!--snapshot--></script>\
        <script type=\"module\" nonce=\"{{NONCE}}\">go()</script><script src=\"/x.js\"></script>";

    #[test]
    fn gaps_are_filled_in_their_places() {
        let html = Template::cut(HTML).unwrap().fill(|gap| match gap {
            Gap::Root => "<html lang=\"ar\">",
            Gap::Language => "data-language=\"ar\"",
            Gap::Title => "T",
            Gap::Head => "R",
            Gap::App => "A",
            Gap::Snapshot => "{}",
        });
        let start =
            "<html lang=\"ar\"><title>T</title>R<style>a{}</style><main id=\"app\" data-language=\"ar\">A</main>";
        assert!(html.starts_with(start), "{html}");
        assert!(html.contains("id=\"snapshot\">{}</script>"), "{html}");
        assert!(!html.contains("NONCE"), "{html}");
    }

    #[test]
    fn every_marker_must_be_there_once() {
        for (marker, _) in GAPS {
            let missing = Template::cut(&HTML.replace(marker, ""));
            assert_eq!(missing.unwrap_err(), TemplateError::Marker { marker, found: 0 });
            let twice = Template::cut(&HTML.replace(marker, &marker.repeat(2)));
            assert_eq!(twice.unwrap_err(), TemplateError::Marker { marker, found: 2 });
        }
    }

    #[test]
    fn the_policy_allows_inline_code_by_hash_and_nothing_else() {
        let policy = Template::cut(HTML).unwrap().policy("ws://pay.example", "'none'");
        // `printf %s 'go()' | openssl dgst -sha256 -binary | base64`, and the same for the style.
        let (script, style) = (hashes(&["go()"]), hashes(&["a{}"]));
        assert!(policy.contains(&format!("script-src 'self' 'wasm-unsafe-eval'{script};")), "{policy}");
        assert!(policy.contains(&format!("style-src 'self'{style};")), "{policy}");
        assert!(policy.contains("connect-src 'self' ws://pay.example;"), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("nonce"), "{policy}");
    }

    /// The empty text's hash is known to everybody.
    #[test]
    fn hashes_are_sha_256_in_base64() {
        assert_eq!(hashes(&[""]), " 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    }

    #[test]
    fn json_in_a_script_element_cannot_end_it() {
        let json = serde_json::json!({ "name": "</script><!-- & \u{2028}" }).to_string();
        let escaped = escape_json(&json);
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}']), "{escaped}");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&json).unwrap(), serde_json::from_str(&escaped).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape_text("<a href=\"'\">&"), "&lt;a href=&quot;&#39;&quot;&gt;&amp;");
    }
}
