//! One spelling for equal JSON, so that a repeated request is known again.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::value::RawValue;

use super::error::{ApiError, invalid};

/// Deeper than any request has reason to be, and shallow enough for every stack.
const MOST_LEVELS: usize = 128;

/// The JSON without spaces, with the members of each object in order and a comma after each. Numbers stay as they were
/// written: no two different ones ever become the same.
pub fn canonical_json(bytes: &[u8]) -> Result<String, ApiError> {
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(|error| ApiError::BrokenJson(error.to_string()))?;
    let mut text = String::with_capacity(bytes.len());
    write_canonical(&mut text, raw, 0)?;
    Ok(text)
}

fn write_canonical(out: &mut String, raw: &RawValue, level: usize) -> Result<(), ApiError> {
    let broken = |error: serde_json::Error| ApiError::BrokenJson(error.to_string());
    if MOST_LEVELS < level {
        return Err(invalid("body", "the body is nested too deeply"));
    }
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).map_err(broken)?;
            out.push('{');
            for (name, value) in members {
                write_text(out, &name);
                out.push(':');
                write_canonical(out, value, level + 1)?;
                out.push(',');
            }
            out.push('}');
        }
        Some(b'[') => {
            out.push('[');
            let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(broken)?;
            for element in elements {
                write_canonical(out, element, level + 1)?;
                out.push(',');
            }
            out.push(']');
        }
        Some(b'"') => write_text(out, &serde_json::from_str::<String>(raw.get()).map_err(broken)?),
        _ => out.push_str(raw.get()),
    }
    Ok(())
}

fn write_text(out: &mut String, text: &str) {
    let _infallible = write!(out, "{}", serde_json::Value::from(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        canonical_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn order_and_spaces_and_escapes_do_not_matter() {
        let plain = canonical(r#"{"a":{"c":1,"d":["x",true]},"b":"ä"}"#);
        assert_eq!(canonical("{ \"b\" : \"\\u00e4\",\n \"a\" : { \"d\" : [ \"x\", true ], \"c\" : 1 } }"), plain);
    }

    #[test]
    fn everything_else_does() {
        let all = [
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1.0}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[1,1]}"#,
            r#"{"a":[[1],1]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":null}"#,
            r#"{"b":1}"#,
            r#"{"a":123456789012345678901234567890}"#,
            r#"{"a":123456789012345678901234567891}"#,
            r#"{"a":1e999}"#,
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(canonical(one), canonical(other));
            }
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(canonical_json(nested(128).as_bytes()).is_ok());
        let refused = canonical_json(nested(15_000).as_bytes());
        assert!(matches!(refused, Err(ApiError::Invalid { field, .. }) if field == "body"));
    }
}
