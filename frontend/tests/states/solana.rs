//! The same on Solana: what differs there is how long names are, and that the shop's wallet itself is paid.
//!
//! A payment there has one confirmation from the first time it is seen, and needs no more. It is pending for as long as
//! another endpoint has not shown it too.

use wire::{
    invoice::InvoiceStatus,
    payment_uri::{self, SolanaTransfer},
    payor::TokenType,
    snapshot::{Payment, PaymentState, Quote, Snapshot, Token},
};

use super::{NOW, choose, quote, token};

pub const WALLET: &str = "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo";
pub const SIGNATURE: &str = "61vv73cZs8bbmsNYPDgavd7eTZcuG9WD5Mje6FytiZwp55RcVvT8JfNjoRzrE7inb6ooYMwGMcLmzeCgWP4ogg8Y";
/// What is asked for: twenty dollars, and who is asked.
pub const AMOUNT: &str = "20.004217";
const AGAIN: &str = "5xwh5hgyKYybmyJMJ3iRddmHcsrZ81fhhJUsN3hdgYYeGnNrghaD3cN5GJheMany3bdYiRsst4g14kt3HCGx2RNj";
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const REFERENCE: &str = "Gj4rodrXodnZ718B8zpSiY9BYe1dWJaa7HTf7ECGaeth";
const TOKEN: i64 = 501_001;

/// Where a transaction on Solana can be looked at.
pub fn explorer(signature: &str) -> String {
    format!("https://explorer.example/tx/{signature}?cluster=devnet")
}

/// A token on Solana is chosen, in which the shop has not been paid before.
pub fn pay() -> Snapshot {
    let quote = Quote { opens_account: true, ..on_solana(AMOUNT, "20004217") };
    Snapshot { quote: Some(quote), ..offered() }
}

/// It is there, and a second endpoint has not shown it yet.
pub fn found() -> Snapshot {
    let found = Payment { state: PaymentState::Confirming, ..payment(AMOUNT, SIGNATURE) };
    Snapshot { payments: vec![found], ..pay() }
}

/// A part arrived, and the rest has a mark of its own.
pub fn underpaid() -> Snapshot {
    let mut snapshot = offered();
    snapshot.invoice.status = InvoiceStatus::Underpaid;
    snapshot.invoice.paid = 12_500;
    snapshot.invoice.remaining = 7_500;
    snapshot.tokens.retain(|token| token.id == TOKEN);
    snapshot.quote = Some(Quote { covers: 7_500, ..on_solana("7.501386", "7501386") });
    snapshot.payments = vec![payment("12.5", SIGNATURE)];
    snapshot
}

/// The mark is credited too, as far as it is worth a thousandth of a dollar.
pub fn paid() -> Snapshot {
    let mut snapshot = super::paid();
    snapshot.tokens.clear();
    snapshot.invoice.paid = 20_004;
    snapshot.invoice.paid_at = Some(NOW - 20);
    snapshot.payments = vec![payment(AMOUNT, SIGNATURE)];
    snapshot
}

/// The payer sent it again.
pub fn overpaid() -> Snapshot {
    let mut snapshot = paid();
    snapshot.invoice.paid = 40_008;
    snapshot.invoice.overpaid = 20_008;
    snapshot.payments.insert(0, Payment { block_time: NOW - 8, ..payment(AMOUNT, AGAIN) });
    snapshot
}

/// Paid after the end, which the merchant accepted.
pub fn paid_late() -> Snapshot {
    let mut snapshot = paid();
    snapshot.invoice.late = true;
    snapshot.invoice.created_at = NOW - 2_400;
    snapshot.invoice.expires_at = NOW - 600;
    snapshot
}

/// Everything that can be had elsewhere, and one more.
fn offered() -> Snapshot {
    let mut snapshot = choose();
    let token = token(TOKEN, "USDC", "USD Coin", TokenType::Spl, "solana", "Solana");
    snapshot.tokens.push(Token { typical_seconds: Some(2), ..token });
    snapshot
}

fn on_solana(amount: &str, amount_base: &str) -> Quote {
    let transfer = SolanaTransfer {
        recipient: WALLET,
        amount,
        mint: Some(MINT),
        reference: Some(REFERENCE),
        label: None,
        message: None,
        memo: None,
    };
    Quote {
        token_id: TOKEN,
        token_type: TokenType::Spl,
        network: "solana".to_owned(),
        network_title: "Solana".to_owned(),
        chain_id: None,
        token_contract: Some(MINT.to_owned()),
        address: WALLET.to_owned(),
        uri: payment_uri::solana_pay(&transfer),
        is_marked: true,
        proof: None,
        ..quote(amount, amount_base)
    }
}

fn payment(amount: &str, signature: &str) -> Payment {
    Payment {
        network: "solana".to_owned(),
        network_title: "Solana".to_owned(),
        tx_hash: signature.to_owned(),
        explorer_url: Some(explorer(signature)),
        confirmations: 1,
        required_confirmations: 1,
        ..super::payment(amount)
    }
}
