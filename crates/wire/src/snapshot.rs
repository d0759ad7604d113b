//! Everything the payer's page shows, in one value.
//!
//! The first frame is drawn from it on the server, the page takes over from the very same value, and
//! each later fetch brings a newer one. Amounts come as finished text or as integers.

use serde::{Deserialize, Serialize};

use crate::{
    Environment,
    invoice::{InvoiceStatus, SessionHeaders},
    payor::TokenType,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Rises with every change of the invoice; the newer snapshot wins.
    pub version: i64,
    /// The server's clock, epoch milliseconds: countdowns run on it.
    pub now_ms: i64,
    pub credentials: SessionHeaders,
    pub environment: Environment,
    pub merchant: Merchant,
    pub invoice: Invoice,
    /// What the payer may choose; after the first payment only what is locked.
    pub tokens: Vec<Token>,
    /// What to send where, once a token is chosen and as long as something is due.
    pub quote: Option<Quote>,
    /// Why the choice that was just made got no quote.
    pub notice: Option<Notice>,
    /// Newest first.
    pub payments: Vec<Payment>,
    /// Where the payer goes once it is paid; always `https`.
    pub return_url: Option<String>,
    /// The title of a network that matters now and cannot be read: payments on it are seen late.
    pub unread_network: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    pub name: String,
    pub email: String,
    /// Where its logo is, on the page's own host.
    pub logo: Option<String>,
    /// It takes no payments at present.
    pub is_paused: bool,
}

/// Amounts are thousandths of a dollar, times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub title: String,
    pub footer: String,
    pub description: Option<String>,
    pub status: InvoiceStatus,
    pub amount: u64,
    pub paid: u64,
    pub remaining: u64,
    /// Zero unless more than a cent too much arrived.
    pub overpaid: u64,
    pub late: bool,
    pub created_at: i64,
    pub expires_at: i64,
    pub paid_at: Option<i64>,
    /// Time is up, but a payment or a chain is still being checked.
    pub is_checking: bool,
}

/// A token on a network, as the payer chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: i64,
    pub symbol: String,
    pub name: String,
    pub token_type: TokenType,
    pub network: String,
    /// The network's name for people.
    pub network_title: String,
    /// Why it cannot be chosen now.
    pub unavailable: Option<Unavailable>,
    /// From the block of a payment until it counts; `None` if nobody can say.
    pub typical_seconds: Option<u32>,
    /// What sending costs the payer on this network, as far as that can be said of a network.
    pub fees: Option<Fees>,
    /// The network could not be read just now, which most often passes.
    pub is_unsteady: bool,
}

/// What it costs to send something on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fees {
    /// Cents, and often less than one.
    Low,
    /// Up to dollars when many people send.
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// There is no trustworthy price just now.
    NoPrice,
    /// Its network cannot be read just now.
    Unread,
    /// It could not be seen arriving at the wallet that is paid.
    Unseen,
    /// Its smallest unit is worth too much to tell payments to one wallet apart by their amounts.
    Coarse,
    /// Every amount that would tell such payments apart is asked of somebody else.
    UsedUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub token_id: i64,
    pub symbol: String,
    pub token_type: TokenType,
    pub network: String,
    pub network_title: String,
    /// `None` on Solana.
    pub chain_id: Option<u64>,
    /// A contract, or a mint on Solana; `None` for the network's own coin.
    pub token_contract: Option<String>,
    pub decimals: u8,
    /// The deposit address, with checksum; on Solana a wallet.
    pub address: String,
    /// Whole tokens, a plain decimal.
    pub amount: String,
    /// The same in the token's smallest unit.
    pub amount_base: String,
    /// Dollars for one whole token, a plain decimal.
    pub rate: String,
    /// What the amount pays, in thousandths of a dollar.
    pub covers: u64,
    pub created_at: i64,
    pub valid_until: i64,
    /// What a wallet scans.
    pub uri: String,
    /// Whether the amount was chosen to tell this payer from others.
    pub is_marked: bool,
    /// The payer's wallet has to make the account that the token goes to, and pays for that.
    pub opens_account: bool,
    /// What the address is computed from; `None` for an address that is not.
    pub proof: Option<Proof>,
}

/// From what anybody can compute a deposit address, as in [`crate::deposit_address`]. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The only wallet that money at the address can go to, with checksum.
    pub wallet: String,
    /// `0x` and 64 digits.
    pub salt: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// There is no trustworthy price just now.
    NoPrice,
    /// The choice is not on offer for this invoice.
    NotOffered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// In a block, but not deep enough yet.
    Confirming,
    /// Counts towards the invoice.
    Credited,
    /// Arrived after the end; the merchant decides.
    Late,
    /// A token the merchant did not ask for.
    Unexpected,
    /// Arrived, but has no price yet.
    Unpriced,
    /// Its block was replaced; it may come back.
    Orphaned,
}

/// One transfer as the payer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: String,
    pub state: PaymentState,
    pub network: String,
    pub network_title: String,
    pub symbol: String,
    /// Whole tokens, a plain decimal.
    pub amount: String,
    pub tx_hash: String,
    pub explorer_url: Option<String>,
    pub confirmations: u32,
    pub required_confirmations: u32,
    /// When its block was made, epoch seconds.
    pub block_time: i64,
    /// How long it usually takes from now until it counts; `None` if nobody can say.
    pub expected_seconds: Option<u32>,
}
