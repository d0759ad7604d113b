//! E-mail addresses: what can be one, and how it is spelt.

/// RFC 5321, section 4.5.3.1.3, without the brackets.
const MOST_CHARACTERS: usize = 254;

/// Whether it can be an address. Not every one that looks like one exists; this catches what cannot.
pub fn is_plausible(email: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    email.rsplit_once('@').is_some_and(|(name, host)| {
        is_plain(name)
            && is_plain(host)
            && !name.contains('@')
            && host.split('.').count() >= 2
            && host.split('.').all(|label| !label.is_empty())
    })
}

/// What a person typed, as one address: without space around it, and with the host in small letters, which are the same
/// host. `None` if it is none.
pub fn normalized(typed: &str) -> Option<String> {
    let typed = typed.trim();
    let (name, host) = typed.rsplit_once('@')?;
    let is_one =
        typed.chars().count() <= MOST_CHARACTERS && is_plausible(typed) && !typed.contains(['<', '>', ',', ';']);
    is_one.then(|| format!("{name}@{}", host.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_spelt_in_one_way() {
        for (typed, email) in [
            ("anna@shop.example", "anna@shop.example"),
            ("  Anna.B+tea@Mail.Shop.EXAMPLE\n", "Anna.B+tea@mail.shop.example"),
            ("jörg@büro.example", "jörg@büro.example"),
        ] {
            assert_eq!(normalized(typed).as_deref(), Some(email));
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        let long = format!("{}@shop.example", "a".repeat(242));
        for typed in [
            "",
            " ",
            "anna",
            "anna@",
            "@shop.example",
            "anna@shop",
            "anna@shop..example",
            "a b@c.example",
            "a@b@c.example",
            "Anna <a@b.example>",
            "a@b.example,c@d.example",
            "a@b.example\0",
            "a\nb@c.example",
            &long,
        ] {
            assert_eq!(normalized(typed), None, "{typed:?}");
        }
        assert!(normalized(&long[1..]).is_some());
    }
}
