//! What the server sends, read from JSON into the types of the wire. Each type is written out in full, so that a new
//! field does not compile until it is read; that the spelling is the wire's own is tested.

use wire::{
    Environment,
    invoice::{InvoiceStatus, SessionHeaders},
    payor::{StreamConnection, TokenType},
    snapshot::{Fees, Invoice, Merchant, Notice, Payment, PaymentState, Proof, Quote, Snapshot, Token, Unavailable},
};

use crate::json::{Amiss, Json};

/// A snapshot.
///
/// # Errors
///
/// [`Amiss`] if anything in it is missing or not as it should be; so for all that follow.
pub fn snapshot(json: &Json) -> Result<Snapshot, Amiss> {
    Ok(Snapshot {
        version: json.integer("version")?,
        now_ms: json.integer("now_ms")?,
        credentials: credentials(json.field("credentials"))?,
        environment: environment(json.field("environment"))?,
        merchant: merchant(json.field("merchant"))?,
        invoice: invoice(json.field("invoice"))?,
        tokens: json.list("tokens", token)?,
        quote: optional(json.field("quote"), quote)?,
        notice: optional(json.field("notice"), notice)?,
        payments: json.list("payments", payment)?,
        return_url: json.optional_text("return_url")?,
        unread_network: json.optional_text("unread_network")?,
    })
}

pub fn stream_connection(json: &Json) -> Result<StreamConnection, Amiss> {
    Ok(StreamConnection {
        token: json.text("token")?,
        endpoint: json.text("endpoint")?,
        format: json.text("format")?,
        ws_url: json.text("ws_url")?,
    })
}

/// Absent is fine, wrong is not.
fn optional<T>(json: &Json, read: fn(&Json) -> Result<T, Amiss>) -> Result<Option<T>, Amiss> {
    if *json == Json::Null { Ok(None) } else { read(json).map(Some) }
}

fn credentials(json: &Json) -> Result<SessionHeaders, Amiss> {
    Ok(SessionHeaders { session_token: json.text("x-session-token")?, signature: json.text("x-signature")? })
}

fn environment(json: &Json) -> Result<Environment, Amiss> {
    Ok(match json.as_str()? {
        "devnet" => Environment::Devnet,
        "mainnet" => Environment::Mainnet,
        _ => return Err(Amiss),
    })
}

fn merchant(json: &Json) -> Result<Merchant, Amiss> {
    Ok(Merchant {
        name: json.text("name")?,
        email: json.text("email")?,
        logo: json.optional_text("logo")?,
        is_paused: json.bool("is_paused")?,
    })
}

fn invoice(json: &Json) -> Result<Invoice, Amiss> {
    Ok(Invoice {
        id: json.text("id")?,
        title: json.text("title")?,
        footer: json.text("footer")?,
        description: json.optional_text("description")?,
        status: invoice_status(json.field("status"))?,
        amount: json.integer("amount")?,
        paid: json.integer("paid")?,
        remaining: json.integer("remaining")?,
        overpaid: json.integer("overpaid")?,
        late: json.bool("late")?,
        created_at: json.integer("created_at")?,
        expires_at: json.integer("expires_at")?,
        paid_at: json.optional_integer("paid_at")?,
        is_checking: json.bool("is_checking")?,
    })
}

fn invoice_status(json: &Json) -> Result<InvoiceStatus, Amiss> {
    Ok(match json.as_str()? {
        "unpaid" => InvoiceStatus::Unpaid,
        "underpaid" => InvoiceStatus::Underpaid,
        "paid" => InvoiceStatus::Paid,
        "expired" => InvoiceStatus::Expired,
        "canceled" => InvoiceStatus::Canceled,
        _ => return Err(Amiss),
    })
}

fn token_type(json: &Json) -> Result<TokenType, Amiss> {
    Ok(match json.as_str()? {
        "native" => TokenType::Native,
        "erc20" => TokenType::Erc20,
        "spl" => TokenType::Spl,
        _ => return Err(Amiss),
    })
}

fn token(json: &Json) -> Result<Token, Amiss> {
    Ok(Token {
        id: json.integer("id")?,
        symbol: json.text("symbol")?,
        name: json.text("name")?,
        token_type: token_type(json.field("token_type"))?,
        network: json.text("network")?,
        network_title: json.text("network_title")?,
        unavailable: optional(json.field("unavailable"), unavailable)?,
        typical_seconds: seconds(json, "typical_seconds")?,
        fees: optional(json.field("fees"), fees)?,
        is_unsteady: json.bool("is_unsteady")?,
    })
}

fn unavailable(json: &Json) -> Result<Unavailable, Amiss> {
    Ok(match json.as_str()? {
        "no_price" => Unavailable::NoPrice,
        "unread" => Unavailable::Unread,
        "unseen" => Unavailable::Unseen,
        "coarse" => Unavailable::Coarse,
        "used_up" => Unavailable::UsedUp,
        _ => return Err(Amiss),
    })
}

fn fees(json: &Json) -> Result<Fees, Amiss> {
    Ok(match json.as_str()? {
        "low" => Fees::Low,
        "high" => Fees::High,
        _ => return Err(Amiss),
    })
}

/// A time that may be unknown.
fn seconds(json: &Json, name: &str) -> Result<Option<u32>, Amiss> {
    json.optional_integer(name)?.map(u32::try_from).transpose().map_err(|_| Amiss)
}

fn quote(json: &Json) -> Result<Quote, Amiss> {
    Ok(Quote {
        token_id: json.integer("token_id")?,
        symbol: json.text("symbol")?,
        token_type: token_type(json.field("token_type"))?,
        network: json.text("network")?,
        network_title: json.text("network_title")?,
        chain_id: json.optional_integer("chain_id")?.map(u64::try_from).transpose().map_err(|_| Amiss)?,
        token_contract: json.optional_text("token_contract")?,
        decimals: json.integer("decimals")?,
        address: json.text("address")?,
        amount: json.text("amount")?,
        amount_base: json.text("amount_base")?,
        rate: json.text("rate")?,
        covers: json.integer("covers")?,
        created_at: json.integer("created_at")?,
        valid_until: json.integer("valid_until")?,
        uri: json.text("uri")?,
        is_marked: json.bool("is_marked")?,
        opens_account: json.bool("opens_account")?,
        proof: optional(json.field("proof"), proof)?,
    })
}

fn proof(json: &Json) -> Result<Proof, Amiss> {
    Ok(Proof { wallet: json.text("wallet")?, salt: json.text("salt")? })
}

fn notice(json: &Json) -> Result<Notice, Amiss> {
    Ok(match json.as_str()? {
        "no_price" => Notice::NoPrice,
        "not_offered" => Notice::NotOffered,
        _ => return Err(Amiss),
    })
}

fn payment(json: &Json) -> Result<Payment, Amiss> {
    Ok(Payment {
        id: json.text("id")?,
        state: payment_state(json.field("state"))?,
        network: json.text("network")?,
        network_title: json.text("network_title")?,
        symbol: json.text("symbol")?,
        amount: json.text("amount")?,
        tx_hash: json.text("tx_hash")?,
        explorer_url: json.optional_text("explorer_url")?,
        confirmations: json.integer("confirmations")?,
        required_confirmations: json.integer("required_confirmations")?,
        block_time: json.integer("block_time")?,
        expected_seconds: seconds(json, "expected_seconds")?,
    })
}

fn payment_state(json: &Json) -> Result<PaymentState, Amiss> {
    Ok(match json.as_str()? {
        "confirming" => PaymentState::Confirming,
        "credited" => PaymentState::Credited,
        "late" => PaymentState::Late,
        "unexpected" => PaymentState::Unexpected,
        "unpriced" => PaymentState::Unpriced,
        "orphaned" => PaymentState::Orphaned,
        _ => return Err(Amiss),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states;

    #[track_caller]
    fn check(written: &Snapshot) {
        let json = Json::parse(&serde_json::to_string(written).unwrap()).unwrap();
        assert_eq!(snapshot(&json).as_ref(), Ok(written));
    }

    #[test]
    fn every_snapshot_is_read_as_it_was_written() {
        for (_, state) in states::ALL {
            check(&state());
        }
    }

    #[test]
    fn every_word_of_the_wire_is_known() {
        for status in [
            InvoiceStatus::Unpaid,
            InvoiceStatus::Underpaid,
            InvoiceStatus::Paid,
            InvoiceStatus::Expired,
            InvoiceStatus::Canceled,
        ] {
            let mut snapshot = states::paid();
            snapshot.invoice.status = status;
            check(&snapshot);
        }
        for notice in [None, Some(Notice::NoPrice), Some(Notice::NotOffered)] {
            check(&Snapshot { notice, ..states::choose() });
        }
        for state in [
            PaymentState::Confirming,
            PaymentState::Credited,
            PaymentState::Late,
            PaymentState::Unexpected,
            PaymentState::Unpriced,
            PaymentState::Orphaned,
        ] {
            let mut snapshot = states::paid();
            snapshot.payments[0].state = state;
            check(&snapshot);
        }
        for unavailable in [
            None,
            Some(Unavailable::NoPrice),
            Some(Unavailable::Unread),
            Some(Unavailable::Unseen),
            Some(Unavailable::Coarse),
            Some(Unavailable::UsedUp),
        ] {
            let mut snapshot = states::choose();
            snapshot.tokens[0].unavailable = unavailable;
            check(&snapshot);
        }
        for fees in [None, Some(Fees::Low), Some(Fees::High)] {
            let mut snapshot = states::choose();
            snapshot.tokens[0].fees = fees;
            check(&snapshot);
        }
        check(&Snapshot { environment: Environment::Mainnet, ..states::choose() });
        check(&states::unproven());
    }

    #[test]
    fn a_snapshot_with_anything_amiss_is_refused_whole() {
        let whole = serde_json::to_value(states::pay()).unwrap();
        let read = |value: &serde_json::Value| snapshot(&Json::parse(&value.to_string()).unwrap());
        assert!(read(&whole).is_ok());
        for (path, wrong) in [
            ("/invoice/amount", serde_json::json!(-1)),
            ("/invoice/amount", serde_json::json!(0.5)),
            ("/invoice/status", serde_json::json!("settled")),
            ("/quote/address", serde_json::json!(null)),
            ("/quote/decimals", serde_json::json!(256)),
            ("/quote/proof", serde_json::json!({ "wallet": "0x" })),
            ("/tokens/0", serde_json::json!({})),
            ("/payments", serde_json::json!({})),
        ] {
            let mut amiss = whole.clone();
            *amiss.pointer_mut(path).unwrap() = wrong;
            assert_eq!(read(&amiss), Err(Amiss), "{path}");
        }
    }

    #[test]
    fn a_stream_connection_is_read_as_it_was_written() {
        let written = StreamConnection {
            token: "t".to_owned(),
            endpoint: "/ws/payment".to_owned(),
            format: "event_v1".to_owned(),
            ws_url: "/ws/payment?format=event_v1".to_owned(),
        };
        let json = Json::parse(&serde_json::to_string(&written).unwrap()).unwrap();
        assert_eq!(stream_connection(&json), Ok(written));
    }
}
