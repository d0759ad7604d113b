//! What people type, checked before it is kept.

use alloy_primitives::{Address, address};
use url::Url;
use wire::Environment;

use crate::{config::is_loopback, webhooks::Targets};

/// Text on the command line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct InputError {
    /// The option at fault.
    what: &'static str,
    problem: String,
}

impl InputError {
    fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}

/// Accounts whose keys everybody knows: those of local development chains.
const PUBLIC_ACCOUNTS: [Address; 10] = [
    address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
    address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
];

/// Reads the wallet a merchant is paid to: an address with a good EIP-55 checksum, or one that is all
/// in lower case and so has none.
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn wallet(text: &str, environment: Environment) -> Result<Address, InputError> {
    let refused = |problem: &str| Err(InputError::new("--wallet", problem));
    let is_address = text.strip_prefix("0x").is_some_and(|digits| digits.len() == 40);
    let Some(address) = is_address.then(|| text.parse::<Address>().ok()).flatten() else {
        return refused("must be 0x and 40 hex digits");
    };
    let has_no_checksum = text == text.to_ascii_lowercase();
    if !has_no_checksum && address.to_checksum(None) != text {
        return refused("the checksum is wrong, so a character is; copy the address again");
    }
    if address.is_zero() {
        return refused("nobody holds the zero address");
    }
    if environment == Environment::Mainnet && PUBLIC_ACCOUNTS.contains(&address) {
        return refused("this is a test account whose key everybody knows");
    }
    Ok(address)
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

/// Reads a merchant's name.
///
/// # Errors
///
/// If it is empty, too long or not plain text.
pub(super) fn name(text: &str) -> Result<String, InputError> {
    let text = text.trim();
    if text.is_empty() || 255 < text.len() || text.chars().any(char::is_control) {
        return Err(InputError::new("--name", "must be 1 to 255 bytes of text on one line"));
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
    fn a_wallet_needs_a_good_checksum_or_none() {
        let check = |text: &str, problem: Option<&str>| match (wallet(text, Environment::Mainnet), problem) {
            (Ok(_), None) => {}
            (Err(error), Some(problem)) => assert!(error.to_string().contains(problem), "{error}"),
            (result, _) => panic!("{text}: {result:?}"),
        };
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None);
        check("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", None);
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", Some("checksum"));
        check("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", Some("checksum"));
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", Some("40 hex digits"));
        check("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Some("40 hex digits"));
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", Some("40 hex digits"));
        check("", Some("40 hex digits"));
        check("0x0000000000000000000000000000000000000000", Some("zero"));
    }

    #[test]
    fn accounts_whose_keys_everybody_knows_are_for_devnet_only() {
        for account in PUBLIC_ACCOUNTS {
            assert!(wallet(&account.to_checksum(None), Environment::Mainnet).is_err());
            assert_eq!(wallet(&account.to_checksum(None), Environment::Devnet), Ok(account));
        }
    }

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
