//! Which language a payer's page speaks: the one its address names, else the reader's own, else English.

use axum::http::{HeaderMap, header};
use frontend::Language;

use super::extract::Parameters;

/// The parameter, and the form's field, that names a language.
pub const PARAMETER: &str = "lang";

/// The language to answer in. A language that the page does not speak counts as none.
pub fn of(parameters: &Parameters, headers: &HeaderMap) -> Language {
    named(parameters).or_else(|| preferred(headers)).unwrap_or_default()
}

/// The one that is named in so many words.
pub fn named(parameters: &Parameters) -> Option<Language> {
    parameters.get(PARAMETER).and_then(Language::of_tag)
}

/// The one the reader likes best of those the page speaks (RFC 9110, section 12.5.4).
pub fn preferred(headers: &HeaderMap) -> Option<Language> {
    let lists = headers.get_all(header::ACCEPT_LANGUAGE).into_iter().filter_map(|list| list.to_str().ok());
    let ranges = lists.flat_map(|list| list.split(','));
    let mut best = None;
    for range in ranges {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let (Some(language), Some(weight)) = (Language::of_tag(tag.trim()), thousandths(weight)) else { continue };
        // Of two that are liked as much the first one counts.
        if 0 < weight && best.is_none_or(|(_, best_weight)| best_weight < weight) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The weight in `q=0.8`; `None` if it is none.
fn thousandths(weight: &str) -> Option<u32> {
    let number = weight.trim().strip_prefix("q=")?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if 3 < decimals.len() {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok().filter(|weight| *weight <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, accepted: &str, expected: Language) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
        assert_eq!(of(&Parameters::parse(query.as_bytes()), &headers), expected, "{query} {accepted}");
    }

    #[test]
    fn the_address_decides_before_the_reader_and_the_reader_before_english() {
        check("lang=ar", "en", Language::Arabic);
        check("lang=en", "ar", Language::English);
        check("lang=xx", "ar-EG,en;q=0.5", Language::Arabic);
        check("", "ar", Language::Arabic);
        check("", "de", Language::English);
        assert_eq!(of(&Parameters::parse(b""), &HeaderMap::new()), Language::English);
    }

    #[test]
    fn the_reader_gets_what_is_liked_best_of_what_there_is() {
        check("", "de, ar;q=0.7, en;q=0.8", Language::English);
        check("", "de, ar;q=0.9, en;q=0.8", Language::Arabic);
        check("", "en;q=0.8,ar;q=0.8", Language::English);
        check("", "ar;q=0, en;q=0.1", Language::English);
        check("", "ar;q=0", Language::English);
    }

    #[test]
    fn odd_lists_are_read_as_far_as_they_make_sense() {
        for odd in ["", ";", ",,,", "ar;q=2", "ar;q=", "ar;q=0.12345", "*", "ar;level=1", "\u{e4}r"] {
            check("", odd, Language::English);
        }
        check("", " , AR ;q=1.000 , ", Language::Arabic);
    }
}
