//! What a frame of the stream asks of the page.

use wire::snapshot::Snapshot;

use super::pace::News;
use crate::json::Json;

/// Whether something else than `held` may be there to be shown. What it is is never read from a frame, but fetched.
pub fn news(text: &str, held: &Snapshot) -> Option<News> {
    let frame = Json::parse(text).ok()?;
    match frame.field("object").as_str().ok()? {
        "event" => Some(News::Event),
        "ws_control" => match frame.field("type").as_str().ok()? {
            "snapshot.changed" => Some(News::Changed),
            "resync.required" => Some(News::Event),
            "connected" if !is_held(frame.field("data"), held) => Some(News::Event),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the snapshot that a connection begins with is the one that the page has. A new quote has no version of its own.
fn is_held(told: &Json, held: &Snapshot) -> bool {
    let quote = told.field("quote");
    told.integer("version") == Ok(held.version)
        && match &held.quote {
            None => *quote == Json::Null,
            Some(held) => {
                quote.integer("supported_token_id") == Ok(held.token_id)
                    && quote.integer("quote_valid_until") == Ok(held.valid_until)
                    && quote.text("estimated_token_amount").as_ref() == Ok(&held.amount)
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states;

    #[track_caller]
    fn check(frame: &str, expected: Option<News>) {
        assert_eq!(news(frame, &states::choose()), expected, "{frame}");
    }

    #[test]
    fn a_connection_that_begins_with_what_is_shown_is_no_news_and_anything_else_is() {
        let check = |held: &Snapshot, told: &str, expected| {
            let frame = format!(r#"{{"object":"ws_control","type":"connected","created":1,"data":{told}}}"#);
            assert_eq!(news(&frame, held), expected, "{told}");
        };
        let (choose, pay) = (states::choose(), states::pay());
        let (version, until) = (pay.version, pay.quote.as_ref().unwrap().valid_until);
        let quoted = |version, token, amount: &str, until| {
            format!(
                r#"{{"version":{version},"quote":{{"supported_token_id":{token},"estimated_token_amount":"{amount}","quote_valid_until":{until}}}}}"#
            )
        };
        check(&choose, &format!(r#"{{"version":{version},"quote":null}}"#), None);
        check(&pay, &quoted(version, 2, "20", until), None);
        for told in [
            "{}".to_owned(),
            format!(r#"{{"version":{version},"quote":null}}"#),
            quoted(version + 1, 2, "20", until),
            quoted(version, 3, "20", until),
            quoted(version, 2, "21", until),
            quoted(version, 2, "20", until + 1),
        ] {
            check(&pay, &told, Some(News::Event));
        }
        check(&choose, &quoted(version, 2, "20", until), Some(News::Event));
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
        check(r#"{"object":"ws_error","code":"token_expired","message":"","created":1}"#, None);
        check("not json", None);
        check("[]", None);
    }
}
