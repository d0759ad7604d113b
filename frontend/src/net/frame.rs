//! What a frame of the stream asks of the page.

use crate::json::Json;

/// Whether what the page shows may have changed. What changed is never read from a frame, but fetched.
pub fn asks_for_refresh(text: &str) -> bool {
    let Ok(frame) = Json::parse(text) else { return false };
    match frame.field("object").as_str() {
        Ok("event") => true,
        Ok("ws_control") => matches!(frame.field("type").as_str(), Ok("snapshot.changed" | "resync.required")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &str, expected: bool) {
        assert_eq!(asks_for_refresh(frame), expected, "{frame}");
    }

    #[test]
    fn any_event_and_any_sign_of_change_asks_for_a_refresh() {
        check(
            r#"{"id":"evt_1-2","object":"event","type":"invoice.updated","data":{"object":{"amount_usd":20.5}}}"#,
            true,
        );
        check(r#"{"object":"ws_control","type":"snapshot.changed","created":1,"data":{"version":7}}"#, true);
        check(r#"{"object":"ws_control","type":"resync.required","created":1,"data":{}}"#, true);
    }

    #[test]
    fn everything_else_is_left_alone() {
        check(r#"{"object":"ws_control","type":"connected","created":1,"data":{}}"#, false);
        check(r#"{"object":"ws_error","code":"token_expired","message":"","created":1}"#, false);
        check("not json", false);
        check("[]", false);
    }
}
