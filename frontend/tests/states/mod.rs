//! A snapshot for every state a payer can meet.

pub mod solana;

use wire::{
    Environment,
    invoice::{InvoiceStatus, SessionHeaders},
    payor::TokenType,
    snapshot::{Fees, Invoice, Merchant, Notice, Payment, PaymentState, Proof, Quote, Snapshot, Token, Unavailable},
};

pub const NOW: i64 = 1_790_000_000;
pub const ADDRESS: &str = "0x5eE9B98c9f2930cd908610d1fF8073EB7F2Db03A";
/// The address is computed from it.
pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const SALT: &str = "0xdeb508264f1be2cad8594f9e4d5e8b51235f08d26433a3d5229f756384b97c15";
const USDC: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/// Makes one of them.
pub type State = fn() -> Snapshot;

/// All of them, by name.
pub const ALL: [(&str, State); 29] = [
    ("choose", choose),
    ("choose_many", choose_many),
    ("choose_hindered", choose_hindered),
    ("no_price", no_price),
    ("pay", pay),
    ("pay_native", pay_native),
    ("unproven", unproven),
    ("pay_on_solana", solana::pay),
    ("lapsed", lapsed),
    ("found", found),
    ("found_on_solana", solana::found),
    ("confirming", confirming),
    ("reorganised", reorganised),
    ("network_behind", network_behind),
    ("network_behind_confirming", network_behind_confirming),
    ("unexpected", unexpected),
    ("underpaid", underpaid),
    ("underpaid_on_solana", solana::underpaid),
    ("underpaid_without_quote", underpaid_without_quote),
    ("paid", paid),
    ("paid_on_solana", solana::paid),
    ("overpaid", overpaid),
    ("overpaid_on_solana", solana::overpaid),
    ("paid_late", paid_late),
    ("paid_late_on_solana", solana::paid_late),
    ("checking", checking),
    ("expired", expired),
    ("canceled", canceled),
    ("suspended", suspended),
];

/// Nothing chosen yet.
pub fn choose() -> Snapshot {
    Snapshot {
        version: 1,
        now_ms: NOW * 1000,
        credentials: SessionHeaders {
            session_token: "pst_kJ3v0c8yq1mZ7xWn5tRb2LhFp9sDgA4eUoYiQwVzXcM".to_owned(),
            signature: "6f1d2c3b4a5968778695a4b3c2d1e0f96f1d2c3b4a5968778695a4b3c2d1e0f9.1790000000000".to_owned(),
        },
        environment: Environment::Devnet,
        merchant: Merchant {
            name: "Fern & Clay".to_owned(),
            email: "help@fern.example".to_owned(),
            logo: None,
            is_paused: false,
        },
        invoice: Invoice {
            id: "0b6f1c9e-3a1d-4f5e-9c67-2f1f6f0f7a11".to_owned(),
            title: "Order 1042".to_owned(),
            footer: "Fern & Clay, 12 Kiln Lane".to_owned(),
            description: Some("Two stoneware mugs, sage glaze".to_owned()),
            status: InvoiceStatus::Unpaid,
            amount: 20_000,
            paid: 0,
            remaining: 20_000,
            overpaid: 0,
            late: false,
            created_at: NOW - 60,
            expires_at: NOW + 1_740,
            paid_at: None,
            is_checking: false,
        },
        tokens: vec![
            token(1, "USDC", "USD Coin", TokenType::Erc20, "ethereum", "Ethereum"),
            token(2, "USDC", "USD Coin", TokenType::Erc20, "base", "Base"),
            token(3, "DAI", "Dai", TokenType::Erc20, "base", "Base"),
            Token {
                unavailable: Some(Unavailable::NoPrice),
                ..token(4, "ETH", "Ether", TokenType::Native, "ethereum", "Ethereum")
            },
            token(5, "ETH", "Ether", TokenType::Native, "base", "Base"),
        ],
        quote: None,
        notice: None,
        payments: Vec::new(),
        return_url: Some("https://fern.example/thanks?order=1042".to_owned()),
        unread_network: None,
    }
}

/// So much to choose from that it is folded up and can be searched.
pub fn choose_many() -> Snapshot {
    let mut snapshot = choose();
    snapshot.tokens.extend([
        token(6, "USDT", "Tether USD", TokenType::Erc20, "ethereum", "Ethereum"),
        token(7, "USDT", "Tether USD", TokenType::Erc20, "polygon", "Polygon"),
        token(8, "POL", "POL", TokenType::Native, "polygon", "Polygon"),
    ]);
    snapshot
}

/// Each choice is hindered in its own way, and one can be made all the same.
pub fn choose_hindered() -> Snapshot {
    let mut snapshot = choose();
    let reasons = [Unavailable::Unread, Unavailable::Unseen, Unavailable::Coarse, Unavailable::NoPrice];
    for (token, reason) in snapshot.tokens.iter_mut().zip(reasons.map(Some).into_iter().chain([None])) {
        token.unavailable = reason;
        token.is_unsteady = reason.is_none();
    }
    snapshot
}

/// The choice just made has no price.
pub fn no_price() -> Snapshot {
    let mut snapshot = Snapshot { notice: Some(Notice::NoPrice), ..choose() };
    for token in snapshot.tokens.iter_mut().filter(|token| token.symbol == "ETH") {
        token.unavailable = Some(Unavailable::NoPrice);
    }
    snapshot
}

/// A stablecoin is chosen.
pub fn pay() -> Snapshot {
    Snapshot { quote: Some(quote("20", "20000000")), ..choose() }
}

/// A network's own coin is chosen.
pub fn pay_native() -> Snapshot {
    let quote = Quote {
        token_id: 5,
        symbol: "ETH".to_owned(),
        token_type: TokenType::Native,
        token_contract: None,
        decimals: 18,
        amount: "0.006403252667941638".to_owned(),
        amount_base: "6403252667941638".to_owned(),
        rate: "3123.41259".to_owned(),
        uri: wire::payment_uri::eip681(31_338, None, ADDRESS, "6403252667941638"),
        ..quote("", "")
    };
    Snapshot { quote: Some(quote), ..choose() }
}

/// The address is one that the merchant has set up by itself.
pub fn unproven() -> Snapshot {
    Snapshot { quote: Some(Quote { proof: None, ..quote("20", "20000000") }), ..choose() }
}

/// The rate's time is over, the invoice's is not.
pub fn lapsed() -> Snapshot {
    let quote = Quote { valid_until: NOW - 1, ..quote("20", "20000000") };
    Snapshot { quote: Some(quote), ..choose() }
}

/// The payment is in the newest block.
pub fn found() -> Snapshot {
    let found = Payment {
        state: PaymentState::Confirming,
        confirmations: 1,
        required_confirmations: 12,
        expected_seconds: Some(23),
        ..payment("20")
    };
    Snapshot { payments: vec![found], ..pay() }
}

/// Blocks are piling up on it.
pub fn confirming() -> Snapshot {
    let mut snapshot = found();
    snapshot.payments[0].confirmations = 11;
    snapshot.payments[0].expected_seconds = Some(3);
    snapshot
}

/// Its block is gone.
pub fn reorganised() -> Snapshot {
    let orphaned = Payment { state: PaymentState::Orphaned, confirmations: 0, ..payment("20") };
    Snapshot { payments: vec![orphaned], ..pay() }
}

/// The network of the quote cannot be read.
pub fn network_behind() -> Snapshot {
    Snapshot { unread_network: Some("Base".to_owned()), ..pay() }
}

/// The same while a payment is confirming.
pub fn network_behind_confirming() -> Snapshot {
    Snapshot { unread_network: Some("Base".to_owned()), ..confirming() }
}

/// Something else arrived.
pub fn unexpected() -> Snapshot {
    let odd = Payment {
        state: PaymentState::Unexpected,
        symbol: "USDT".to_owned(),
        network: "polygon".to_owned(),
        network_title: "Polygon".to_owned(),
        ..payment("25")
    };
    Snapshot { payments: vec![odd], ..pay() }
}

/// A part arrived, and the rest is asked in the same token.
pub fn underpaid() -> Snapshot {
    let mut snapshot = choose();
    snapshot.invoice.status = InvoiceStatus::Underpaid;
    snapshot.invoice.paid = 12_500;
    snapshot.invoice.remaining = 7_500;
    snapshot.tokens.retain(|token| token.id == 2);
    snapshot.quote = Some(quote("7.5", "7500000"));
    snapshot.payments = vec![payment("12.5")];
    snapshot
}

/// The same before the rest has an amount.
pub fn underpaid_without_quote() -> Snapshot {
    Snapshot { quote: None, ..underpaid() }
}

pub fn paid() -> Snapshot {
    let mut snapshot = choose();
    snapshot.invoice.status = InvoiceStatus::Paid;
    snapshot.invoice.paid = 20_000;
    snapshot.invoice.remaining = 0;
    snapshot.invoice.paid_at = Some(NOW - 10);
    snapshot.payments = vec![payment("20")];
    snapshot
}

pub fn overpaid() -> Snapshot {
    let mut snapshot = paid();
    snapshot.invoice.paid = 40_000;
    snapshot.invoice.overpaid = 20_000;
    let explorer_url = Some(format!("https://explorer.example/tx/{}", payment("40").tx_hash));
    snapshot.payments = vec![Payment { explorer_url, ..payment("40") }];
    snapshot
}

/// Paid after the end, which the merchant accepted.
pub fn paid_late() -> Snapshot {
    let mut snapshot = paid();
    snapshot.invoice.late = true;
    snapshot
}

/// The time to pay is over, and something may still be on its way.
pub fn checking() -> Snapshot {
    let mut snapshot = pay();
    snapshot.invoice.expires_at = NOW - 5;
    snapshot.invoice.is_checking = true;
    snapshot
}

/// Expired, and every kind of payment that does not count arrived.
pub fn expired() -> Snapshot {
    let mut snapshot = choose();
    snapshot.invoice.status = InvoiceStatus::Expired;
    snapshot.invoice.expires_at = NOW - 600;
    let odd = [
        (PaymentState::Late, "20", "USDC"),
        (PaymentState::Unexpected, "25", "USDT"),
        (PaymentState::Unpriced, "0.0064", "ETH"),
        (PaymentState::Orphaned, "20", "DAI"),
    ];
    snapshot.payments = odd
        .map(|(state, amount, symbol)| {
            let payment = payment(amount);
            let tx_hash = payment.tx_hash.replace("8f3c", &format!("{}f3c", symbol.len() + amount.len()));
            Payment { state, symbol: symbol.to_owned(), tx_hash, ..payment }
        })
        .to_vec();
    snapshot
}

pub fn canceled() -> Snapshot {
    let mut snapshot = choose();
    snapshot.invoice.status = InvoiceStatus::Canceled;
    snapshot
}

/// The merchant takes no payments.
pub fn suspended() -> Snapshot {
    let mut snapshot = choose();
    snapshot.merchant.is_paused = true;
    snapshot.tokens.clear();
    snapshot
}

fn token(id: i64, symbol: &str, name: &str, token_type: TokenType, network: &str, title: &str) -> Token {
    Token {
        id,
        symbol: symbol.to_owned(),
        name: name.to_owned(),
        token_type,
        network: network.to_owned(),
        network_title: title.to_owned(),
        unavailable: None,
        typical_seconds: Some(if network == "ethereum" { 36 } else { 25 }),
        fees: Some(if network == "ethereum" { Fees::High } else { Fees::Low }),
        is_unsteady: false,
    }
}

fn quote(amount: &str, amount_base: &str) -> Quote {
    Quote {
        token_id: 2,
        symbol: "USDC".to_owned(),
        token_type: TokenType::Erc20,
        network: "base".to_owned(),
        network_title: "Base".to_owned(),
        chain_id: Some(31_338),
        token_contract: Some(USDC.to_owned()),
        decimals: 6,
        address: ADDRESS.to_owned(),
        amount: amount.to_owned(),
        amount_base: amount_base.to_owned(),
        rate: "1".to_owned(),
        covers: 20_000,
        created_at: NOW - 28,
        valid_until: NOW + 272,
        uri: wire::payment_uri::eip681(31_338, Some(USDC), ADDRESS, amount_base),
        is_marked: false,
        opens_account: false,
        proof: Some(Proof { wallet: WALLET.to_owned(), salt: SALT.to_owned() }),
    }
}

fn payment(amount: &str) -> Payment {
    Payment {
        id: "4f8f2d1c-77aa-4f2e-8a4e-9d0f6f3f1b22".to_owned(),
        state: PaymentState::Credited,
        network: "base".to_owned(),
        network_title: "Base".to_owned(),
        symbol: "USDC".to_owned(),
        amount: amount.to_owned(),
        tx_hash: "0x8f3c1b2a4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8".to_owned(),
        explorer_url: None,
        confirmations: 3,
        required_confirmations: 3,
        block_time: NOW - 20,
        expected_seconds: None,
    }
}
