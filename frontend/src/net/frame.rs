//! What a frame of the stream asks of the page.

use super::pace::News;
use crate::json::Json;

/// Whether what the page shows may have changed. What changed is never read from a frame, but fetched.
pub fn news(text: &str) -> Option<News> {
    let frame = Json::parse(text).ok()?;
    match frame.field("object").as_str().ok()? {
        "event" => Some(News::Event),
        "ws_control" => match frame.field("type").as_str().ok()? {
            "snapshot.changed" => Some(News::Changed),
            "resync.required" => Some(News::Event),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &str, expected: Option<News>) {
        assert_eq!(news(frame), expected, "{frame}");
    }

    #[test]
    fn any_event_and_any_sign_of_change_is_news() {
        check(
            r#"{"id":"evt_1-2","object":"event","type":"invoice.updated","data":{"object":{"amount_usd":20.5}}}"#,
            Some(News::Event),
        );
        check(
            r#"{"object":"ws_control","type":"snapshot.changed","created":1,"data":{"version":7}}"#,
            Some(News::Changed),
        );
        check(r#"{"object":"ws_control","type":"resync.required","created":1,"data":{}}"#, Some(News::Event));
    }

    #[test]
    fn everything_else_is_left_alone() {
        check(r#"{"object":"ws_control","type":"connected","created":1,"data":{}}"#, None);
        check(r#"{"object":"ws_error","code":"token_expired","message":"","created":1}"#, None);
        check("not json", None);
        check("[]", None);
    }
}
