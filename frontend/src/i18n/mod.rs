//! What the page says. One method per message with typed arguments and no markup, so that another language is
//! another file with the same methods.

mod en;

pub use en::English;

/// The messages in the page's language.
pub fn text() -> English {
    English
}
