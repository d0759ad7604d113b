//! What languages do with numbers: the place of the sign, and forms of words (Unicode CLDR 45).
//!
//! Arabic is written with the digits that wallets and exchanges show (in CLDR's terms `nu-latn`): a payer compares numbers
//! here with numbers there, and in much of the Arab world no others are in use.

use super::Language;

/// How many forms a word has beside numbers: in English one and other; in Arabic zero, one, two, few, many, other.
#[cfg(test)]
pub const fn forms(language: Language) -> usize {
    match language {
        Language::English => 2,
        Language::Arabic => 6,
    }
}

/// Which of the forms stands beside a number.
pub fn form(language: Language, number: u32) -> usize {
    match (language, number, number % 100) {
        (Language::English, 1, _) => 0,
        (Language::English, ..) => 1,
        (Language::Arabic, 0..=2, _) => number as usize,
        (Language::Arabic, _, 3..=10) => 3,
        (Language::Arabic, _, 11..=99) => 4,
        (Language::Arabic, ..) => 5,
    }
}

/// Writes dollars that were spelled `1,234.50`.
pub fn push_dollars(language: Language, spelled: &str, text: &mut String) {
    match language {
        Language::English => {
            text.push('$');
            text.push_str(spelled);
        }
        Language::Arabic => {
            // The mark keeps the sign behind the number where nothing else says which way the line runs.
            text.push('\u{200f}');
            text.push_str(spelled);
            // And this one keeps the sign's own letters in their order.
            text.push_str("\u{a0}US$\u{200e}");
        }
    }
}

/// A sum to be looked at, not sent: without the thousandths that marks leave in it, unless it is next to nothing.
pub fn whole_cents(millis: u64) -> u64 {
    if millis < 1_000 { millis } else { millis - millis % 10 }
}

/// `1,234.50` from thousandths; a third decimal only where there is one.
pub fn spell_millis(millis: u64) -> String {
    let decimals = match millis % 1000 {
        millis if millis.is_multiple_of(10) => format!("{:02}", millis / 10),
        millis => format!("{millis:03}"),
    };
    format!("{}.{decimals}", grouped(&(millis / 1000).to_string()))
}

/// A plain decimal with all its digits, at least two after the point.
pub fn spell_price(decimal: &str) -> String {
    let (whole, decimals) = decimal.split_once('.').unwrap_or((decimal, ""));
    format!("{}.{decimals:0<2}", grouped(whole))
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place != 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_cents_thousands_and_a_third_decimal_only_if_needed() {
        for (millis, expected) in [
            (20_000, "20.00"),
            (12_500, "12.50"),
            (49_999, "49.999"),
            (7, "0.007"),
            (0, "0.00"),
            (1_000_000_000, "1,000,000.00"),
            (123_456_780, "123,456.78"),
        ] {
            assert_eq!(spell_millis(millis), expected);
        }
    }

    #[test]
    fn a_sum_to_be_looked_at_has_cents_unless_it_is_next_to_nothing() {
        for (millis, expected) in [(20_008, 20_000), (20_000, 20_000), (1_009, 1_000), (999, 999), (4, 4), (0, 0)] {
            assert_eq!(whole_cents(millis), expected);
        }
    }

    #[test]
    fn prices_keep_every_digit() {
        for (decimal, expected) in [("1", "1.00"), ("3123.4", "3,123.40"), ("0.999871", "0.999871")] {
            assert_eq!(spell_price(decimal), expected);
        }
    }

    #[test]
    fn each_language_has_its_place_of_the_sign() {
        let dollars = |language| {
            let mut text = String::new();
            push_dollars(language, "1,234.50", &mut text);
            text
        };
        assert_eq!(dollars(Language::English), "$1,234.50");
        assert_eq!(dollars(Language::Arabic), "\u{200f}1,234.50\u{a0}US$\u{200e}");
    }

    /// Samples of CLDR's own tables.
    #[test]
    fn words_take_the_form_that_their_number_asks_for() {
        for (number, english, arabic) in [
            (0, 1, 0),
            (1, 0, 1),
            (2, 1, 2),
            (3, 1, 3),
            (10, 1, 3),
            (11, 1, 4),
            (26, 1, 4),
            (99, 1, 4),
            (100, 1, 5),
            (102, 1, 5),
            (103, 1, 3),
            (111, 1, 4),
            (1_000, 1, 5),
        ] {
            assert_eq!(form(Language::English, number), english, "{number}");
            assert_eq!(form(Language::Arabic, number), arabic, "{number}");
        }
    }
}
