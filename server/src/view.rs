//! From the domain's values to what crosses the wire. Events and answers show the same objects.

use domain::{
    acceptance::AcceptancePolicy,
    access::{KeyStatus, Right, Rights, Scope},
    id::{EndpointId, EventId},
    invoice::{InvoiceStatus, PaymentStatus},
    money::Rate,
    settlement::SettlementStatus,
    time::UnixMillis,
    transfer::Valuation,
};
use serde_json::{Map, Value};
use wire::{
    Environment,
    api_key::{ApiKey, ApiKeyScope, ApiKeyStatus, CreatedApiKey},
    invoice as wire_invoice,
    money::three_decimals,
    settings, webhook,
};

use crate::{
    config::{Config, NetworkKind},
    invoicing::Payment,
    keys::Issued,
    store::{ApiKeyRecord, DeliveryRecord, DeliveryState, Endpoint, FirstPayer, InvoiceRecord, NewEvent},
};

pub fn invoice_status(status: InvoiceStatus) -> wire_invoice::InvoiceStatus {
    match status {
        InvoiceStatus::Unpaid => wire_invoice::InvoiceStatus::Unpaid,
        InvoiceStatus::Underpaid => wire_invoice::InvoiceStatus::Underpaid,
        InvoiceStatus::Paid => wire_invoice::InvoiceStatus::Paid,
        InvoiceStatus::Expired => wire_invoice::InvoiceStatus::Expired,
        InvoiceStatus::Canceled => wire_invoice::InvoiceStatus::Canceled,
    }
}

pub fn payment_status(status: PaymentStatus) -> wire_invoice::PaymentStatus {
    match status {
        PaymentStatus::Pending => wire_invoice::PaymentStatus::Pending,
        PaymentStatus::Underpaid => wire_invoice::PaymentStatus::Underpaid,
        PaymentStatus::Confirmed => wire_invoice::PaymentStatus::Confirmed,
        PaymentStatus::ManualRetry => wire_invoice::PaymentStatus::ManualRetry,
    }
}

pub fn settlement_status(status: SettlementStatus) -> wire_invoice::SettlementStatus {
    match status {
        SettlementStatus::Pending => wire_invoice::SettlementStatus::Pending,
        SettlementStatus::Processing => wire_invoice::SettlementStatus::Processing,
        SettlementStatus::Manual => wire_invoice::SettlementStatus::Manual,
        SettlementStatus::Settled => wire_invoice::SettlementStatus::Settled,
    }
}

pub fn acceptance_policy(policy: AcceptancePolicy) -> settings::AcceptancePolicy {
    match policy {
        AcceptancePolicy::AcceptAll => settings::AcceptancePolicy::AcceptAll,
        AcceptancePolicy::AcceptNone => settings::AcceptancePolicy::AcceptNone,
        AcceptancePolicy::Selective => settings::AcceptancePolicy::Selective,
    }
}

fn api_key_scope(scope: Scope) -> ApiKeyScope {
    match scope {
        Scope::Merchant => ApiKeyScope::Merchant,
        Scope::Commerce => ApiKeyScope::Commerce,
    }
}

fn right_names(rights: Rights) -> Vec<String> {
    rights.iter().map(Right::as_str).map(str::to_owned).collect()
}

/// A key in a list, without the key.
pub fn api_key(key: &ApiKeyRecord) -> ApiKey {
    ApiKey {
        key_id: key.id.to_string(),
        name: key.name.clone(),
        scope: api_key_scope(key.scope),
        status: match key.status() {
            KeyStatus::Active => ApiKeyStatus::Active,
            KeyStatus::Revoked => ApiKeyStatus::Revoked,
            KeyStatus::Suspended => ApiKeyStatus::Suspended,
        },
        expires_at: key.life.expires_at.map(|time| time.0),
        last_used_at: key.last_used_at.map(|time| time.0),
        created_at: key.created_at.0,
        revoked_at: key.life.revoked_at.map(|time| time.0),
        revoked_reason: key.revoked_reason.clone(),
        environment: key.environment,
        rights: right_names(key.rights),
        hint: key.hint.clone(),
    }
}

/// A new key, with the key.
pub fn created_api_key(issued: &Issued) -> CreatedApiKey {
    let key = &issued.record;
    CreatedApiKey {
        key_id: key.id.to_string(),
        name: key.name.clone(),
        scope: api_key_scope(key.scope),
        api_key: issued.api_key.clone(),
        expires_at: key.life.expires_at.map(|time| time.0),
        environment: key.environment,
        rights: right_names(key.rights),
        created_at: key.created_at.0,
    }
}

/// The canonical invoice. Of its payments it only says who made the one that decided where the rest is
/// asked.
pub fn invoice(invoice: &InvoiceRecord, payments: &[Payment]) -> wire_invoice::Invoice {
    let locked_by = invoice.standing.locked_by;
    let first = locked_by.and_then(|id| payments.iter().find(|payment| payment.record.payment == id));
    let payer = first.and_then(|payment| {
        Some(FirstPayer { address: payment.record.payer.clone()?, network: payment.record.network.clone() })
    });
    invoice_paid_by(invoice, payer)
}

/// As [`invoice`], for whoever knows only who made that payment.
pub fn invoice_paid_by(invoice: &InvoiceRecord, payer: Option<FirstPayer>) -> wire_invoice::Invoice {
    let standing = &invoice.standing;
    let (payer_address, payer_network) = payer.map(|payer| (payer.address, payer.network)).unzip();
    let [due, credit, remaining] =
        [invoice.terms.due, standing.credit, standing.remaining].map(domain::money::UsdMillis::as_millis);
    wire_invoice::Invoice {
        object: "invoice".to_owned(),
        id: invoice.id.to_string(),
        merchant_id: invoice.merchant.0,
        status: invoice_status(standing.status),
        invoice_type: "standard".to_owned(),
        currency: "usd".to_owned(),
        amount: due,
        amount_decimal: three_decimals(due),
        amount_paid: credit,
        amount_paid_decimal: three_decimals(credit),
        amount_remaining: remaining,
        amount_remaining_decimal: three_decimals(remaining),
        amount_unit: "usd_millis".to_owned(),
        overpaid: standing.overpaid != domain::money::UsdMillis::ZERO,
        amount_overpaid: standing.overpaid.as_millis(),
        late: standing.late,
        description: invoice.description.clone(),
        invoice_title: Some(invoice.title.clone()),
        invoice_footer: Some(invoice.footer.clone()),
        customer_id: invoice.customer_id.clone(),
        customer_email: invoice.customer_email.clone(),
        responses: invoice.answers.as_deref().map(|answers| serde_json::from_str(answers).unwrap_or_default()),
        payer_wallet_address: payer_address,
        payer_wallet_network: payer_network,
        commerce_order_id: None,
        environment: invoice.environment,
        created_at: invoice.created.as_seconds().0,
        expires_at: invoice.terms.expires_at.0,
        paid_at: standing.paid_at.map(|time| time.0),
        last_payment_at: standing.last_payment_at.map(|time| time.0),
        metadata: metadata(invoice),
        latest_payment: None,
        payments: None,
    }
}

/// What the merchant attached when creating the invoice.
pub fn metadata(invoice: &InvoiceRecord) -> Map<String, Value> {
    serde_json::from_str(&invoice.metadata).unwrap_or_default()
}

/// One payment. The symbol is empty for a token that is no longer configured.
pub fn payment(invoice: &InvoiceRecord, payment: &Payment, config: &Config) -> wire_invoice::InvoicePayment {
    let record = &payment.record;
    let settlement = settlement_status(payment.settlement);
    wire_invoice::InvoicePayment {
        object: "invoice_payment".to_owned(),
        id: record.payment.to_string(),
        invoice_id: record.invoice.to_string(),
        merchant_id: record.merchant.0,
        status: payment_status(payment.status),
        settlement_status: settlement,
        settlement: payment.settlement_tx.as_ref().map(|transaction| wire_invoice::Settlement {
            summary_status: settlement,
            stage: "final".to_owned(),
            settlement_tx_hash: transaction.clone(),
            network: record.network.clone(),
            status: settlement,
        }),
        network: record.network.clone(),
        token_id: record.token.0,
        token_symbol: config.token(record.token).map(|(_, token)| token.symbol.clone()).unwrap_or_default(),
        token_amount: record.amount.to_decimal(record.decimals),
        tx_hash: record.tx_id.clone(),
        payer_wallet_address: record.payer.clone(),
        payment_address: address_on(invoice, config.kind_of(&record.network)),
        amount: payment.worth.as_millis(),
        amount_decimal: three_decimals(payment.worth.as_millis()),
        amount_unit: "usd_millis".to_owned(),
        confirmations: record.confirmations,
        required_confirmations: payment.required_confirmations,
        late: payment.late,
        unexpected: record.valuation == Valuation::Unexpected,
        orphaned: !record.canonical,
        environment: invoice.environment,
        created_at: record.block_time.0,
    }
}

/// Where an invoice is paid on networks of a kind, as people write it.
pub fn address_on(invoice: &InvoiceRecord, kind: NetworkKind) -> String {
    // Nothing is quoted, and nothing recorded, on a network that it is not paid on.
    invoice.address_on(kind).map(|address| address.to_string()).unwrap_or_default()
}

/// Dollars for one whole token, as a plain decimal.
pub fn rate(rate: Rate) -> String {
    const USD_E8: u128 = 100_000_000;
    let fraction = format!("{:08}", rate.usd_e8() % USD_E8);
    match fraction.trim_end_matches('0') {
        "" => (rate.usd_e8() / USD_E8).to_string(),
        fraction => format!("{}.{fraction}", rate.usd_e8() / USD_E8),
    }
}

/// What of a payment can change, as it is kept of the last event that told of it.
pub fn announcement(payment: &wire_invoice::InvoicePayment) -> String {
    serde_json::json!({
        "status": payment.status,
        "settlement_status": payment.settlement_status,
        "settlement": payment.settlement,
        "amount": payment.amount,
        "amount_decimal": payment.amount_decimal,
        "confirmations": payment.confirmations,
        "late": payment.late,
        "unexpected": payment.unexpected,
        "orphaned": payment.orphaned,
        "created_at": payment.created_at,
    })
    .to_string()
}

/// What changed of a payment since it was told of, with the values it had; `None` while that is no news.
///
/// Confirmations rise with every block, and which block it is in matters only where something follows from it: both
/// are told of with the rest, but never alone.
pub fn news_of_payment(announced: &str, payment: &wire_invoice::InvoicePayment) -> Option<String> {
    const NO_NEWS: [&str; 2] = ["confirmations", "created_at"];
    let mut before: Map<String, Value> = serde_json::from_str(announced).unwrap_or_default();
    // What an earlier version kept of a settlement; the rest of it follows from the payment.
    if let Some(transaction) = before.remove("settlement_tx_hash") {
        let status = before.get("settlement_status").cloned().unwrap_or_default();
        let settlement = serde_json::json!({
            "summary_status": status, "stage": "final", "settlement_tx_hash": transaction,
            "network": payment.network, "status": status,
        });
        before.insert("settlement".to_owned(), if transaction.is_null() { Value::Null } else { settlement });
    }
    let now = serde_json::from_str::<Map<String, Value>>(&announcement(payment)).unwrap_or_default();
    before.retain(|name, value| now.get(name) != Some(value));
    let is_news = before.keys().any(|name| !NO_NEWS.contains(&name.as_str()));
    is_news.then(|| Value::Object(before).to_string())
}

/// The members of one JSON object that differ in another, with the values they had.
pub fn changed(old: &str, new: &str) -> String {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let new = object(new);
    let changed: Map<String, Value> =
        object(old).into_iter().filter(|(key, value)| new.get(key) != Some(value)).collect();
    Value::Object(changed).to_string()
}

/// A webhook endpoint; its secret only where it is to be shown.
pub fn webhook_endpoint(endpoint: &Endpoint, secret: Option<String>) -> webhook::WebhookEndpoint {
    webhook::WebhookEndpoint {
        object: "webhook_endpoint".to_owned(),
        id: endpoint.id.to_string(),
        url: endpoint.url.clone(),
        enabled_events: endpoint.subscription.enabled_events.clone(),
        environment: endpoint.subscription.environment,
        description: endpoint.description.clone(),
        api_version: endpoint.subscription.version,
        is_active: endpoint.is_active,
        disabled_reason: endpoint.disabled.map(|disabled| disabled.reason.as_str().to_owned()),
        disabled_at: endpoint.disabled.map(|disabled| disabled.at.0),
        failing_since: endpoint.failing_since.map(|since| since.as_seconds().0),
        previous_secret_expires_at: endpoint.previous.as_ref().map(|previous| previous.until.0),
        created_at: endpoint.created_at.0,
        updated_at: endpoint.updated_at.0,
        secret,
    }
}

/// The event that tells a merchant that the server gave up one of its endpoints.
pub fn endpoint_disabled(endpoint: &Endpoint, environment: Environment, now: UnixMillis) -> NewEvent {
    NewEvent {
        merchant: endpoint.merchant,
        invoice: None,
        event_type: "webhook_endpoint.disabled",
        environment,
        object: serde_json::to_string(&webhook_endpoint(endpoint, None)).unwrap_or_default(),
        previous_attributes: Some(r#"{"is_active":true}"#.to_owned()),
        request_id: None,
        idempotency_key: None,
        created: now,
    }
}

pub fn webhook_delivery(endpoint: EndpointId, delivery: &DeliveryRecord) -> webhook::WebhookDelivery {
    webhook::WebhookDelivery {
        object: "webhook_delivery".to_owned(),
        id: sent_event_id(delivery.event, &delivery.sent_as),
        endpoint_id: endpoint.to_string(),
        event_id: delivery.event.to_string(),
        event_type: delivery.sent_as.clone(),
        invoice_id: delivery.invoice.map(|invoice| invoice.to_string()),
        state: match delivery.state {
            DeliveryState::Pending => webhook::DeliveryState::Pending,
            DeliveryState::Delivered => webhook::DeliveryState::Delivered,
            DeliveryState::Exhausted => webhook::DeliveryState::Exhausted,
        },
        next_attempt_at: delivery.due.map(|due| due.as_seconds().0),
        created_at: delivery.created.as_seconds().0,
        attempts: delivery
            .attempts
            .iter()
            .map(|(number, attempt)| webhook::WebhookAttempt {
                attempt: *number,
                attempted_at: attempt.began.as_seconds().0,
                duration_ms: attempt.duration_ms,
                status: attempt.status,
                error: attempt.error.clone(),
            })
            .collect(),
    }
}

const OVERPAID: &str = "invoice.overpaid";
const OVERPAID_ID: &str = "-overpaid";

/// The id an event is sent with. One change may be sent as two of the older types, which receivers must not take for
/// the same event.
pub fn sent_event_id(event: EventId, sent_as: &str) -> String {
    if sent_as == OVERPAID { format!("{event}{OVERPAID_ID}") } else { event.to_string() }
}

/// The event that was sent with an id, and whether it was sent as a type.
pub fn parse_sent_event_id(text: &str) -> Option<(EventId, impl Fn(&str) -> bool + Send + Sync + use<>)> {
    let (id, is_overpaid) = match text.strip_suffix(OVERPAID_ID) {
        Some(id) => (id, true),
        None => (text, false),
    };
    Some((id.parse().ok()?, move |sent_as: &str| (sent_as == OVERPAID) == is_overpaid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_plain_decimals() {
        for (usd_e8, text) in
            [(100_000_000, "1"), (99_990_000, "0.9999"), (250_012_000_000, "2500.12"), (1, "0.00000001")]
        {
            assert_eq!(rate(Rate::from_usd_e8(usd_e8).unwrap()), text);
        }
    }

    #[test]
    fn changed_members_keep_the_values_they_had() {
        assert_eq!(changed(r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":5}"#), r#"{"b":2,"c":3}"#);
    }
}
