//! How the wire spells amounts: dollars as JSON numbers, never through a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// The smallest and the largest invoice, in thousandths of a dollar: 0.01 to 1,000,000 dollars.
pub const INVOICE_MILLIS: std::ops::RangeInclusive<u64> = 10..=1_000_000_000;

/// Why a number is not an invoice amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("amount_usd must be a JSON number of dollars with at most three decimals")]
    Format,
    #[error("amount_usd must lie between 0.01 and 1000000")]
    Range,
}

/// Reads the text of a JSON value as an invoice amount, in thousandths of a dollar.
///
/// # Errors
///
/// [`AmountError::Format`] for anything but a number with at most three decimals,
/// [`AmountError::Range`] for such a number outside [`INVOICE_MILLIS`].
pub fn parse_invoice_amount(json: &str) -> Result<u64, AmountError> {
    let number = Number::parse(json).ok_or(AmountError::Format)?;
    if number.is_negative {
        return Err(AmountError::Range);
    }
    let millis = number.to_millis()?;
    if INVOICE_MILLIS.contains(&millis) { Ok(millis) } else { Err(AmountError::Range) }
}

/// A JSON number (RFC 8259, section 6) taken apart: `digits × 10^exponent`.
struct Number {
    is_negative: bool,
    /// Without leading and trailing zeros; empty for zero.
    digits: String,
    exponent: i64,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let is_number = !whole.is_empty()
            && (whole == "0" || !whole.starts_with('0'))
            && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if !is_number {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - significant.len()).ok()?;
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).ok()?).saturating_add(dropped);
        Some(Self { is_negative, digits: significant.trim_start_matches('0').to_owned(), exponent })
    }

    fn to_millis(&self) -> Result<u64, AmountError> {
        if self.digits.is_empty() {
            return Ok(0);
        }
        // Digits end in a non-zero one, so a smaller exponent means a fourth decimal. The smallest
        // invoice is a cent: what lies below it is out of range rather than badly written.
        if self.exponent < -3 {
            let magnitude = i64::try_from(self.digits.len()).map_or(i64::MAX, |len| len.saturating_add(self.exponent));
            return Err(if magnitude < -1 { AmountError::Range } else { AmountError::Format });
        }
        let zeros = usize::try_from(self.exponent.saturating_add(3)).map_err(|_| AmountError::Range)?;
        if 12 < self.digits.len().saturating_add(zeros) {
            return Err(AmountError::Range);
        }
        format!("{}{}", self.digits, "0".repeat(zeros)).parse().map_err(|_| AmountError::Range)
    }
}

/// The digits of an exponent; one too large for any amount stays just as large.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| sign * digits.parse::<i64>().unwrap_or(1_000_000_000).min(1_000_000_000))
}

/// Dollars as a JSON number with at most three decimals, as in `20` or `12.5`; holds thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars {
    pub millis: u64,
}

impl Dollars {
    /// The shortest decimal.
    pub fn text(self) -> String {
        let fraction = format!("{:03}", self.millis % 1000);
        match fraction.trim_end_matches('0') {
            "" => (self.millis / 1000).to_string(),
            fraction => format!("{}.{fraction}", self.millis / 1000),
        }
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::PartialSchema for Dollars {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let number = utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("Dollars, with at most three decimals."))
            .minimum(Some(0));
        number.build().into()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::ToSchema for Dollars {}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let number = Number::parse(raw.get()).filter(|number| !number.is_negative);
        let millis = number.and_then(|number| number.to_millis().ok());
        millis.map(|millis| Self { millis }).ok_or_else(|| de::Error::custom("not an amount of dollars"))
    }
}

/// A decimal that is shown as a JSON number and never calculated with, such as a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainNumber {
    /// Digits, and a point with more digits where there are decimals.
    pub text: String,
}

impl Serialize for PlainNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text.clone()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::PartialSchema for PlainNumber {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let number = utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("For display."))
            .minimum(Some(0));
        number.build().into()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl utoipa::ToSchema for PlainNumber {}

impl<'de> Deserialize<'de> for PlainNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let is_number = Number::parse(raw.get()).is_some_and(|number| !number.is_negative);
        is_number.then(|| Self { text: raw.get().to_owned() }).ok_or_else(|| de::Error::custom("not a plain number"))
    }
}

/// Dollars with three decimals, as the `*_decimal` fields spell them: `20.000`.
pub fn three_decimals(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<u64, AmountError>) {
        assert_eq!(parse_invoice_amount(json), expected, "{json}");
    }

    #[test]
    fn amounts_in_range_with_three_decimals_are_read_exactly() {
        check("0.01", Ok(10));
        check("49.999", Ok(49_999));
        check("1000000", Ok(1_000_000_000));
        check("1000000.000", Ok(1_000_000_000));
        check("20.0", Ok(20_000));
        check("2e1", Ok(20_000));
        check("2.5E+1", Ok(25_000));
        check("12500e-3", Ok(12_500));
        check("0.0100000", Ok(10));
    }

    #[test]
    fn amounts_out_of_range_are_told_apart_from_badly_written_ones() {
        for json in [
            "0",
            "-0",
            "-1",
            "0.0",
            "0.009",
            "0.001",
            "1000000.01",
            "1000000.001",
            "1e400",
            "1e99999999999999999999",
            "0.0000001",
            "1e-400",
        ] {
            check(json, Err(AmountError::Range));
        }
        for json in [
            "49.9999", "0.0123", "\"20\"", "null", "true", "NaN", "", "1.", ".5", "01", "+1", "1e", "0x10", "1_000",
            "[1]",
        ] {
            check(json, Err(AmountError::Format));
        }
    }

    #[test]
    fn dollars_are_json_numbers_without_a_float() {
        for (millis, text) in [(20_000, "20"), (12_500, "12.5"), (49_999, "49.999"), (7, "0.007"), (0, "0")] {
            assert_eq!(serde_json::to_string(&Dollars { millis }).unwrap(), text);
            assert_eq!(serde_json::from_str::<Dollars>(text).unwrap(), Dollars { millis });
        }
        for text in ["-1", "\"1\"", "1.2345"] {
            assert!(serde_json::from_str::<Dollars>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_numbers_keep_every_digit() {
        for text in ["0.00000001", "2500.12", "340282366920938463463374607431.76821145"] {
            let number = PlainNumber { text: text.to_owned() };
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
            assert_eq!(serde_json::from_str::<PlainNumber>(text).unwrap(), number);
        }
        assert!(serde_json::from_str::<PlainNumber>("\"1\"").is_err());
    }

    #[test]
    fn decimals_have_three_places() {
        assert_eq!(three_decimals(12_500), "12.500");
        assert_eq!(three_decimals(7), "0.007");
    }
}
