//! Which events an endpoint is sent, and as what: a pure function of what it asked for and of the event.

use serde::Deserialize;
use wire::{
    Environment,
    webhook::{PING, WebhookVersion},
};

use super::NewEvent;

/// What an endpoint asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Types such as `invoice.updated`, all below one such as `invoice.*`, or `*`.
    pub enabled_events: Vec<String>,
    /// `None` means both.
    pub environment: Option<Environment>,
    pub version: WebhookVersion,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { enabled_events: vec!["*".to_owned()], environment: None, version: WebhookVersion::Current }
    }
}

impl Subscription {
    /// The types an event is sent as; none if it is not for this endpoint.
    pub fn sent_as(&self, event: EventFacts<'_>) -> Vec<&'static str> {
        if self.environment.is_some_and(|environment| environment.as_str() != event.environment) {
            return Vec::new();
        }
        self.names_of(event).into_iter().filter(|name| self.asks_for(name)).collect()
    }

    fn names_of(&self, event: EventFacts<'_>) -> Vec<&'static str> {
        match self.version {
            WebhookVersion::Current => {
                wire::webhook::EVENT_TYPES.into_iter().filter(|known| *known == event.event_type).collect()
            }
            WebhookVersion::Legacy => legacy_names(event),
        }
    }

    fn asks_for(&self, name: &str) -> bool {
        self.enabled_events.iter().any(|pattern| matches(pattern, name))
    }
}

/// Whether a type is meant by what an endpoint asked for.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// What decides who is told of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventFacts<'e> {
    pub event_type: &'e str,
    pub environment: &'e str,
    pub object: &'e str,
    pub previous_attributes: Option<&'e str>,
}

impl<'e> From<&'e NewEvent> for EventFacts<'e> {
    fn from(event: &'e NewEvent) -> Self {
        Self {
            event_type: event.event_type,
            environment: event.environment.as_str(),
            object: &event.object,
            previous_attributes: event.previous_attributes.as_deref(),
        }
    }
}

impl<'e> From<&'e super::StoredEvent> for EventFacts<'e> {
    fn from(event: &'e super::StoredEvent) -> Self {
        Self {
            event_type: &event.event_type,
            environment: &event.environment,
            object: &event.object,
            previous_attributes: event.previous_attributes.as_deref(),
        }
    }
}

/// What of an invoice the older types are about.
#[derive(Default, Deserialize)]
struct Standing {
    status: Option<String>,
    amount_paid: Option<u64>,
    amount_overpaid: Option<u64>,
    overpaid: Option<bool>,
}

/// The older types have no event for every change: they say that an invoice was paid, that it lapsed, that a part of
/// it arrived, and that more than was due arrived. One change may be two of them.
fn legacy_names(event: EventFacts<'_>) -> Vec<&'static str> {
    if event.event_type == PING {
        return vec![PING];
    }
    if event.event_type != "invoice.updated" {
        return Vec::new();
    }
    let read = |text: &str| serde_json::from_str::<Standing>(text).unwrap_or_default();
    let (now, before) = (read(event.object), event.previous_attributes.map(read).unwrap_or_default());
    let mut names = Vec::new();
    match now.status.as_deref() {
        Some("paid") if before.status.is_some() => names.push("invoice.paid"),
        Some("expired") if before.status.is_some() => names.push("invoice.expired"),
        Some("underpaid") if before.status.is_some() || before.amount_paid.is_some() => {
            names.push("invoice.partial_payment");
        }
        _ => {}
    }
    let has_more_over = before.overpaid.is_some() || before.amount_overpaid.is_some();
    if now.overpaid == Some(true) && has_more_over {
        names.push("invoice.overpaid");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'e>(event_type: &'e str, object: &'e str, previous: Option<&'e str>) -> EventFacts<'e> {
        EventFacts { event_type, environment: "devnet", object, previous_attributes: previous }
    }

    fn subscription(enabled: &[&str], version: WebhookVersion) -> Subscription {
        let enabled_events = enabled.iter().map(|&name| name.to_owned()).collect();
        Subscription { enabled_events, environment: None, version }
    }

    #[test]
    fn an_endpoint_is_sent_what_it_asked_for() {
        for (enabled, event_type, is_sent) in [
            (&["*"][..], "invoice.created", true),
            (&["*"], "webhook_endpoint.disabled", true),
            (&["*"], "payment_quote.updated", false),
            (&["invoice.*"], "invoice.updated", true),
            (&["invoice.*"], "invoice_payment.created", false),
            (&["invoice_payment.*", "invoice.created"], "invoice.created", true),
            (&["invoice_payment.*", "invoice.created"], "invoice.updated", false),
            (&["invoice.created"], "invoice.created", true),
            (&[], "invoice.created", false),
        ] {
            let sent = subscription(enabled, WebhookVersion::Current).sent_as(facts(event_type, "{}", None));
            assert_eq!(sent.len(), usize::from(is_sent), "{enabled:?} {event_type}");
            assert!(sent.iter().all(|name| *name == event_type));
        }
    }

    #[test]
    fn an_endpoint_of_one_environment_hears_nothing_of_the_other() {
        for (environment, count) in [(None, 1), (Some(Environment::Devnet), 1), (Some(Environment::Mainnet), 0)] {
            let subscription = Subscription { environment, ..Subscription::default() };
            assert_eq!(subscription.sent_as(facts("invoice.created", "{}", None)).len(), count);
        }
    }

    #[test]
    fn the_older_types_are_read_from_what_changed() {
        let object = |status: &str, overpaid: bool| format!(r#"{{"status":"{status}","overpaid":{overpaid}}}"#);
        for (status, overpaid, previous, expected) in [
            ("paid", false, r#"{"status":"unpaid","amount_paid":0}"#, &["invoice.paid"][..]),
            ("paid", true, r#"{"status":"unpaid","overpaid":false}"#, &["invoice.paid", "invoice.overpaid"]),
            ("paid", true, r#"{"amount_overpaid":5}"#, &["invoice.overpaid"]),
            ("paid", false, r#"{"overpaid":true,"amount_overpaid":5}"#, &[]),
            ("paid", false, r#"{"paid_at":1}"#, &[]),
            ("expired", false, r#"{"status":"underpaid"}"#, &["invoice.expired"]),
            ("underpaid", false, r#"{"status":"unpaid"}"#, &["invoice.partial_payment"]),
            ("underpaid", false, r#"{"amount_paid":7}"#, &["invoice.partial_payment"]),
            ("unpaid", false, r#"{"status":"paid"}"#, &[]),
            ("canceled", false, r#"{"status":"unpaid"}"#, &[]),
        ] {
            let object = object(status, overpaid);
            let subscription = subscription(&["*"], WebhookVersion::Legacy);
            let sent = subscription.sent_as(facts("invoice.updated", &object, Some(previous)));
            assert_eq!(sent, expected, "{object} {previous}");
        }
        let paid_only = subscription(&["invoice.paid"], WebhookVersion::Legacy);
        let both = facts(
            "invoice.updated",
            r#"{"status":"paid","overpaid":true}"#,
            Some(r#"{"status":"unpaid","overpaid":false}"#),
        );
        assert_eq!(paid_only.sent_as(both), ["invoice.paid"]);
        assert_eq!(paid_only.sent_as(facts("invoice.created", "{}", None)), [""; 0]);
    }
}
