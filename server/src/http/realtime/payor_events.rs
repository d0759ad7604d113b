//! Events as a payer may see them: only what is listed here, so that a new field of the merchant's stays
//! the merchant's.

use domain::{
    id::EventId,
    time::{UnixMillis, UnixSeconds},
};
use serde_json::{Map, Value};
use wire::{
    Environment,
    event::{API_VERSION, Event, EventData, EventRequest},
    money::three_decimals,
    payor::{PaymentQuote, QuoteStatus},
};

use crate::{
    config::NetworkKind,
    events::to_wire,
    store::{InvoiceRecord, QuoteRecord, StoredEvent},
    view,
};

const INVOICE_FIELDS: [&str; 23] = [
    "object",
    "id",
    "status",
    "invoice_type",
    "currency",
    "amount",
    "amount_decimal",
    "amount_paid",
    "amount_paid_decimal",
    "amount_remaining",
    "amount_remaining_decimal",
    "amount_unit",
    "overpaid",
    "amount_overpaid",
    "late",
    "description",
    "invoice_title",
    "invoice_footer",
    "environment",
    "created_at",
    "expires_at",
    "paid_at",
    "last_payment_at",
];

const PAYMENT_FIELDS: [&str; 20] = [
    "object",
    "id",
    "invoice_id",
    "status",
    "network",
    "token_id",
    "token_symbol",
    "token_amount",
    "tx_hash",
    "payment_address",
    "amount",
    "amount_decimal",
    "amount_unit",
    "confirmations",
    "required_confirmations",
    "late",
    "unexpected",
    "orphaned",
    "environment",
    "created_at",
];

/// The event without what concerns the merchant alone.
pub fn payor_event(stored: &StoredEvent) -> Event {
    let mut event = to_wire(stored, 0);
    let fields: &[&str] = match event.data.object["object"].as_str() {
        Some("invoice") => &INVOICE_FIELDS,
        Some("invoice_payment") => &PAYMENT_FIELDS,
        _ => &["object", "id"],
    };
    event.data.object = only(fields, event.data.object);
    event.data.previous_attributes = event.data.previous_attributes.map(|previous| only(fields, previous));
    event.request = EventRequest::default();
    event
}

/// Says what is to be sent now. It is not in the log; `since` with its id goes on after `last_sequence`.
///
/// `kind` is that of the quote's network.
pub fn quote_event(
    invoice: &InvoiceRecord,
    record: &QuoteRecord,
    kind: NetworkKind,
    last_sequence: i64,
    now: UnixMillis,
) -> Event {
    let quote = &record.quote;
    let expires_in = |now: UnixSeconds| quote.valid_until.0.saturating_sub(now.0);
    let object = PaymentQuote {
        object: "payment_quote".to_owned(),
        invoice_id: invoice.id.to_string(),
        network: record.network.clone(),
        currency: "usd".to_owned(),
        amount_remaining: quote.covers.as_millis(),
        amount_remaining_decimal: three_decimals(quote.covers.as_millis()),
        amount_unit: "usd_millis".to_owned(),
        quote_status: QuoteStatus::Available,
        temp_address: view::address_on(invoice, kind),
        supported_token_id: quote.token.0,
        estimated_token_amount: quote.amount.to_decimal(quote.decimals),
        exchange_rate: view::rate(quote.rate),
        quote_last_updated_at: quote.created_at.0,
        quote_valid_until: quote.valid_until.0,
        quote_expires_in_seconds: expires_in(now.as_seconds()).max(0),
    };
    Event {
        id: EventId { created: now, sequence: last_sequence }.to_string(),
        object: "event".to_owned(),
        api_version: API_VERSION.to_owned(),
        created: now.as_seconds().0,
        event_type: "payment_quote.updated".to_owned(),
        livemode: invoice.environment == Environment::Mainnet,
        pending_webhooks: 0,
        request: EventRequest::default(),
        data: EventData { object: serde_json::to_value(object).unwrap_or_default(), previous_attributes: None },
    }
}

fn only(fields: &[&str], value: Value) -> Value {
    let Value::Object(members) = value else { return Value::Null };
    Value::Object(members.into_iter().filter(|(name, _)| fields.contains(&name.as_str())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use domain::{
        id::{EventId, InvoiceId, MerchantId},
        time::UnixMillis,
    };
    use serde_json::json;

    use super::*;

    fn event(object: &Value, previous_attributes: Option<Value>) -> StoredEvent {
        StoredEvent {
            id: EventId { created: UnixMillis(5), sequence: 1 },
            merchant: MerchantId(1),
            invoice: Some(InvoiceId::from_random([1; 16])),
            event_type: "invoice.updated".to_owned(),
            environment: "devnet".to_owned(),
            object: object.to_string(),
            previous_attributes: previous_attributes.map(|value| value.to_string()),
            request_id: Some("canary".to_owned()),
            idempotency_key: Some("canary".to_owned()),
        }
    }

    #[test]
    fn what_concerns_the_merchant_alone_stays_there() {
        let private = json!({
            "object": "invoice", "id": "1", "status": "paid", "amount": 20_000, "metadata": { "order": "canary" },
            "customer_id": "canary", "merchant_id": 7, "commerce_order_id": "canary", "payer_wallet_address": "canary",
            "latest_payment": { "settlement": "canary" }, "a_later_field": "canary",
        });
        let shown = payor_event(&event(&private, Some(json!({ "status": "unpaid", "metadata": "canary" }))));
        assert_eq!(shown.data.object, json!({ "object": "invoice", "id": "1", "status": "paid", "amount": 20_000 }));
        assert_eq!(shown.data.previous_attributes, Some(json!({ "status": "unpaid" })));
        assert!(!serde_json::to_string(&shown).unwrap().contains("canary"));
    }

    #[test]
    fn a_payment_is_shown_without_its_settlement() {
        let private = json!({
            "object": "invoice_payment", "id": "2", "tx_hash": "0x1", "confirmations": 2, "settlement": { "x": "canary" },
            "settlement_status": "canary", "merchant_id": 7,
        });
        let shown = payor_event(&event(&private, None));
        let expected = json!({ "object": "invoice_payment", "id": "2", "tx_hash": "0x1", "confirmations": 2 });
        assert_eq!(shown.data.object, expected);
        assert_eq!(shown.data.previous_attributes, None);
    }

    #[test]
    fn something_unknown_is_named_and_no_more() {
        let shown = payor_event(&event(&json!({ "object": "refund", "id": "3", "secret": "canary" }), None));
        assert_eq!(shown.data.object, json!({ "object": "refund", "id": "3" }));
        assert_eq!(payor_event(&event(&json!("canary"), None)).data.object, Value::Null);
    }
}
