//! How callers may spell a point in time.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A point in time in a body: a number of epoch seconds, or a text as [`parse_epoch_seconds`] reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub epoch_seconds: i64,
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::PartialSchema for Moment {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, schema::Type};
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(i64::MIN)).maximum(Some(i64::MAX));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        OneOfBuilder::new().item(seconds).item(text).description(Some("Epoch seconds, or a date-time.")).into()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::ToSchema for Moment {}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = i64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date-time as in 2026-01-31T12:00:00Z, or epoch seconds")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<i64, E> {
                Ok(seconds)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<i64, E> {
                i64::try_from(seconds).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
                parse_epoch_seconds(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        let epoch_seconds = deserializer.deserialize_any(Visitor)?;
        Ok(Self { epoch_seconds })
    }
}

/// Epoch seconds from a query: a whole number of them, or an RFC 3339 date-time as in
/// `2026-01-31T12:00:00Z`, whose fraction of a second is dropped. A space may stand where a query lost its
/// plus sign. `None` for anything else.
pub fn parse_epoch_seconds(text: &str) -> Option<i64> {
    match text.as_bytes() {
        [b'-', digits @ ..] | digits if is_digits(digits) => text.parse().ok(),
        _ => parse_date_time(text),
    }
}

fn parse_date_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, rest) = time.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return None;
            }
            zone
        }
        None => rest,
    };
    let offset_minutes = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b' ' | b'-'), ..] => {
            let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
            let is_offset = hours < 24 && minutes < 60;
            let minutes = hours * 60 + minutes;
            is_offset.then_some(if *sign == b'-' { -minutes } else { minutes })?
        }
        _ => return None,
    };
    // A leap second counts as the last second of its minute, as it does everywhere in epoch time.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    (is_time && is_date).then(|| {
        days_since_1970(year, month, day) * 86_400 + (hour * 60 + minute - offset_minutes) * 60 + second.min(59)
    })
}

fn is_digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// As many numbers as there are widths, each of exactly that many digits.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && is_digits(part.as_bytes()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_epoch_seconds(text), expected, "{text}");
    }

    #[test]
    fn seconds_and_date_times_are_read() {
        check("0", Some(0));
        check("-5", Some(-5));
        check("1800000000", Some(1_800_000_000));
        check("1970-01-01T00:00:00Z", Some(0));
        check("1969-12-31T23:59:59Z", Some(-1));
        check("2027-01-15T08:00:00Z", Some(1_800_000_000));
        check("2027-01-15t08:00:00.999z", Some(1_800_000_000));
        check("2027-01-15T10:00:00+02:00", Some(1_800_000_000));
        check("2027-01-15T10:00:00 02:00", Some(1_800_000_000));
        check("2027-01-15T02:30:00-05:30", Some(1_800_000_000));
        check("2000-02-29T00:00:00Z", Some(951_782_400));
        check("2000-03-01T00:00:00Z", Some(951_868_800));
        check("2016-12-31T23:59:60Z", Some(1_483_228_799));
        check("0000-01-01T00:00:00Z", Some(-62_167_219_200));
    }

    #[test]
    fn a_body_may_hold_either_spelling() {
        let read = |json: &str| serde_json::from_str::<Moment>(json).map(|moment| moment.epoch_seconds).ok();
        assert_eq!(read("1800000000"), Some(1_800_000_000));
        assert_eq!(read("-5"), Some(-5));
        assert_eq!(read("\"2027-01-15T08:00:00Z\""), Some(1_800_000_000));
        for json in ["1.5", "1e3", "true", "null", "[]", "{}", "\"soon\"", "\"\"", "18446744073709551615"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-",
            "+5",
            "1.5",
            "1e3",
            "99999999999999999999",
            "yesterday",
            "2027-01-15",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00Z",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:60:00Z",
            "2027-13-01T08:00:00Z",
            "2027-00-01T08:00:00Z",
            "2027-02-29T08:00:00Z",
            "2100-02-29T08:00:00Z",
            "2027-01-15T08:00:00+24:00",
            "2027-01-15T08:00:00Zx",
            "2027-01-15T08:00:00é",
            "２027-01-15T08:00:00Z",
        ] {
            check(text, None);
        }
    }
}
