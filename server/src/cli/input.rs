//! What people type, checked before it is kept.

use alloy_primitives::Address;
use url::Url;

use crate::{
    config::{Config, is_loopback},
    solana::SolanaAddress,
    wallet::{merchant_solana_wallet, merchant_wallet},
    webhooks::Targets,
};

/// Text on the command line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct InputError {
    /// The option at fault.
    what: &'static str,
    problem: String,
}

impl InputError {
    pub(super) fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}

/// Reads the wallet a merchant is paid to; see [`merchant_wallet`].
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn wallet(what: &'static str, text: &str, config: &Config) -> Result<Address, InputError> {
    merchant_wallet(text, config).map_err(|problem| InputError::new(what, problem.to_string()))
}

/// Reads the wallet a merchant is paid to on Solana; see [`merchant_solana_wallet`].
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn solana_wallet(what: &'static str, text: &str, config: &Config) -> Result<SolanaAddress, InputError> {
    merchant_solana_wallet(text, config).map_err(|problem| InputError::new(what, problem.to_string()))
}

/// Reads where webhooks go.
///
/// # Errors
///
/// If it is no URL that webhooks may go to.
pub fn webhook_url(text: &str, targets: &Targets) -> Result<Url, InputError> {
    let refused = |problem: String| InputError::new("URL", problem);
    let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
    targets.check(&url).map_err(|problem| refused(problem.to_string()))?;
    Ok(url)
}

/// Reads an origin that may embed the page and spells it as browsers do.
///
/// # Errors
///
/// If it is none, or one that anybody on the way could alter.
pub fn origin(text: &str) -> Result<String, InputError> {
    let refused = |problem: &str| InputError::new("ORIGIN", format!("{text}: {problem}"));
    let url = Url::parse(text).map_err(|_| refused("must be https://host or https://host:port"))?;
    let is_bare = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_bare {
        return Err(refused("must be https://host or https://host:port"));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(refused("must be https, except on this machine"));
    }
    // URLs allow more in a host than a content policy can hold, and `*` means something there.
    let is_plain = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    if !url.host_str().is_some_and(is_plain) {
        return Err(refused("the host must be one name, of letters, digits, dots and hyphens"));
    }
    Ok(url.origin().ascii_serialization())
}

/// Reads a name of something.
///
/// # Errors
///
/// If it is empty, too long or not plain text.
pub(super) fn name(text: &str) -> Result<String, InputError> {
    line("--name", text)
}

/// Reads one line of text.
///
/// # Errors
///
/// If it is empty, too long or not plain text.
pub(super) fn line(what: &'static str, text: &str) -> Result<String, InputError> {
    let text = text.trim();
    if text.is_empty() || 255 < text.len() || text.chars().any(char::is_control) {
        return Err(InputError::new(what, "must be 1 to 255 bytes of text on one line"));
    }
    Ok(text.to_owned())
}

/// Reads an e-mail address; whether somebody reads what is sent there is another question.
///
/// # Errors
///
/// If it cannot be one.
pub(super) fn email(text: &str) -> Result<String, InputError> {
    let is_plausible = text.len() <= 254
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.chars().any(|character| character.is_control() || character.is_whitespace());
    if is_plausible { Ok(text.to_owned()) } else { Err(InputError::new("--email", "must be an e-mail address")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_spelt_as_browsers_do() {
        let good = |text: &str, spelt: &str| assert_eq!(origin(text).as_deref(), Ok(spelt));
        good("https://Shop.Example", "https://shop.example");
        good("https://shop.example:443/", "https://shop.example");
        good("https://shop.example:8443", "https://shop.example:8443");
        good("http://127.0.0.1:3000", "http://127.0.0.1:3000");
        good("http://localhost:3000", "http://localhost:3000");
        good("http://[::1]:3000", "http://[::1]:3000");
        for text in [
            "",
            "*",
            "null",
            "shop.example",
            "https://shop.example/pay",
            "https://shop.example?x",
            "https://user@shop.example",
            "http://shop.example",
            "http://localhost.example",
            "ftp://shop.example",
            "data:text/html,",
            "https://*",
            "https://*.shop.example",
            "https://shop.example;script-src",
            "https://shop.example,https",
            "https://'none'",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_e_mails_are_one_line_of_text() {
        assert_eq!(name(" Café "), Ok("Café".to_owned()));
        for text in ["", "  ", "a\nb", &"a".repeat(256)] {
            assert!(name(text).is_err(), "{text}");
        }
        assert!(email("a@b.example").is_ok());
        for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(email(text).is_err(), "{text}");
        }
    }
}
