//! The page's HTML as built, cut at its gaps, and the content policy that allows exactly its scripts and
//! styles. Both are made once, at start, and so is all that comes before what differs from page to page.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use frontend::{
    Language,
    still::{STYLE, Still},
};
use sha2::{Digest, Sha256};

use super::opening::Opening;

/// The build marks inline scripts and styles with this; we allow them by hash instead.
const NONCE: &str = " nonce=\"{{NONCE}}\"";

/// The document's first tag, which names its language.
const ROOT: &str = "<html lang=\"en\">";

/// A gap in the template, filled for each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The document's language for scripts, which nobody else changes.
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

const GAPS: [(&str, Gap); 5] = [
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
    #[error("the page's template must have nothing to fill before it begins")]
    Order,
    #[error("the page's template has an element that does not end: {0}")]
    Unclosed(&'static str),
}

/// How documents begin, in each language.
#[derive(Debug)]
pub struct Openings {
    english: Opening,
    arabic: Opening,
}

impl Openings {
    fn new(open: impl Fn(Language) -> String) -> Self {
        let opening = |language| Opening::new(open(language));
        Self { english: opening(Language::English), arabic: opening(Language::Arabic) }
    }

    pub const fn in_language(&self, language: Language) -> &Opening {
        match language {
            Language::English => &self.english,
            Language::Arabic => &self.arabic,
        }
    }
}

/// The page's HTML with its gaps, and its policy.
#[derive(Debug)]
pub struct Template {
    pub openings: Openings,
    /// What follows. Each text is followed by its gap; the last has none.
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
    pub openings: Openings,
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
        Self::of(&format!("<style>{PLAIN_STYLE}</style>"), hashes(&[PLAIN_STYLE]))
    }

    fn of(styles: &str, style_hashes: String) -> Self {
        let openings = Openings::new(|language| {
            let root = root(language);
            format!(
                "<!doctype html>{root}<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
                 initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" \
                 content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\"><link rel=\"icon\" href=\"data:,\">{styles}"
            )
        });
        Self { openings, style_hashes }
    }

    /// What follows the opening of a page's document. `head` is markup for its head.
    pub fn rest(page: &Still, head: &str) -> String {
        let (title, html) = (escape_text(&page.title), &page.html);
        format!("<title>{title}</title>{head}</head><body><main id=\"app\">{html}</main></body></html>")
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

/// A document's first tag.
fn root(language: Language) -> String {
    format!("<html lang=\"{}\" dir=\"{}\">", language.code(), language.direction())
}

impl Template {
    /// Cuts built HTML at its markers.
    ///
    /// # Errors
    ///
    /// If a marker is missing or there twice.
    pub fn cut(html: &str) -> Result<Self, TemplateError> {
        let html = html.replace(NONCE, "");
        let place_of = |marker: &'static str| match html.match_indices(marker).collect::<Vec<_>>()[..] {
            [(at, _)] => Ok(at),
            ref places => Err(TemplateError::Marker { marker, found: places.len() }),
        };
        let mut cuts = Vec::with_capacity(GAPS.len());
        for (marker, gap) in GAPS {
            cuts.push((place_of(marker)?, marker, gap));
        }
        cuts.sort_unstable_by_key(|cut| cut.0);
        let opening_ends = cuts.first().map_or(0, |cut| cut.0);
        if opening_ends < place_of(ROOT)? {
            return Err(TemplateError::Order);
        }
        let opening = &html[..opening_ends];

        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut from = opening_ends;
        for (at, marker, gap) in cuts {
            parts.push((html[from..at].to_owned(), Some(gap)));
            from = at + marker.len();
        }
        parts.push((html[from..].to_owned(), None));
        let styles = inline_elements(&html, "style")?;
        Ok(Self {
            openings: Openings::new(|language| opening.replace(ROOT, &root(language))),
            parts,
            script_hashes: hashes(&inline_elements(&html, "script")?),
            style_hashes: hashes(&styles),
            styles: styles.iter().fold(String::new(), |elements, style| elements + "<style>" + style + "</style>"),
        })
    }

    /// What follows the document's opening, with its gaps filled. What `fill` returns goes in unchanged.
    pub fn rest<'a>(&self, fill: impl Fn(Gap) -> &'a str) -> String {
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
        Look::of(
            &format!("{}<style>{STYLE}</style>", self.styles),
            format!("{}{}", self.style_hashes, hashes(&[STYLE])),
        )
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
    const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];
    /// What both begin with, as other characters do.
    const LINE_END_BEGINS: u8 = 0xE2;
    let mut escaped = String::with_capacity(json.len() + json.len() / 16);
    let mut rest = json;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'<' | b'>' | b'&' | LINE_END_BEGINS)) {
        let (before, from) = rest.split_at(at);
        escaped.push_str(before);
        let Some(character) = from.chars().next() else { break };
        if character.is_ascii() || LINE_ENDS.contains(&character) {
            let _infallible = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
        rest = &from[character.len_utf8()..];
    }
    escaped.push_str(rest);
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

    const HTML: &str = "<html lang=\"en\"><style nonce=\"{{NONCE}}\">a{}</style><title><!--title--></title><!--head-->\
        <main id=\"app\" data-language=\"en\"><!--app--></main>\
        <script type=\"application/json\" id=\"snapshot\"><!--snapshot--></script>\
        <script type=\"module\" nonce=\"{{NONCE}}\">go()</script><script src=\"/x.js\"></script>";

    #[test]
    fn gaps_are_filled_in_their_places() {
        let template = Template::cut(HTML).unwrap();
        let rest = template.rest(|gap| match gap {
            Gap::Language => "data-language=\"ar\"",
            Gap::Title => "T",
            Gap::Head => "R",
            Gap::App => "A",
            Gap::Snapshot => "{}",
        });
        let html = template.openings.in_language(Language::Arabic).document(&rest);
        let start = "<html lang=\"ar\" dir=\"rtl\"><style>a{}</style><title>T</title>R<main id=\"app\" \
                     data-language=\"ar\">A</main>";
        assert!(html.starts_with(start), "{html}");
        assert!(html.contains("id=\"snapshot\">{}</script>"), "{html}");
        assert!(!html.contains("NONCE"), "{html}");
        let english = template.openings.in_language(Language::English).document("");
        assert_eq!(english, "<html lang=\"en\" dir=\"ltr\"><style>a{}</style><title>");
    }

    #[test]
    fn every_marker_must_be_there_once() {
        for marker in GAPS.map(|(marker, _)| marker).into_iter().chain([ROOT]) {
            let missing = Template::cut(&HTML.replace(marker, ""));
            assert_eq!(missing.unwrap_err(), TemplateError::Marker { marker, found: 0 });
            let twice = Template::cut(&HTML.replace(marker, &marker.repeat(2)));
            assert_eq!(twice.unwrap_err(), TemplateError::Marker { marker, found: 2 });
        }
        assert_eq!(
            Template::cut(&format!("<!--head-->{}", HTML.replace("<!--head-->", ""))).unwrap_err(),
            TemplateError::Order
        );
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
        let json = serde_json::json!({ "name": "</script><!-- & \u{2028}\u{2029} 20 € 🦀" }).to_string();
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
