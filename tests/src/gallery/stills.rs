//! The pages around paying, which no script takes over: each as a payer may meet it.

use frontend::{
    Language,
    still::{
        Fault, Field, FieldKind, Given, Help, Network, Questions, Receipt, ReceiptPayment, ReceiptQuote, Search,
        SearchState, Settlement, Still, Trouble, draw_help, draw_questions, draw_receipt, draw_trouble,
    },
};

use super::states::{self, solana};

const TRANSACTION: &str = "0x9fc76417374aa880d4449a1f7f31ec597f00b1f6f3dd2d66f4c9c6c445836d8b";

/// Who paid on Solana.
const SOLANA_PAYER: &str = "BkRNSV1eiVLbv2NLz4ua7dUNKgAXYV1Hydd9eFPZk9kv";

/// Draws one of them.
pub type Draw = fn(Language) -> Still;

/// All of them, by name.
pub const ALL: [(&str, Draw); 13] = [
    ("questions", |language| draw_questions(&states::choose(), language, questions(None))),
    ("questions_refused", |language| draw_questions(&states::choose(), language, questions(Some(Fault::Missing)))),
    ("help", |language| draw_help(&states::pay(), language, help(None))),
    ("help_looking", |language| {
        draw_help(&states::pay(), language, help(Some(SearchState::Looking { look: 2, most: 10 })))
    }),
    ("help_not_found", |language| draw_help(&states::pay(), language, help(Some(SearchState::PaymentNotFound)))),
    ("help_refused", |language| {
        let transaction = Given { value: solana::SIGNATURE[1..].to_owned(), fault: Some(Fault::NotATransaction) };
        draw_help(&solana::pay(), language, Help { transaction, ..help_on_solana(None) })
    }),
    ("help_not_found_on_solana", |language| {
        draw_help(&solana::pay(), language, help_on_solana(Some(SearchState::TransactionNotFound)))
    }),
    ("receipt", |language| draw_receipt(&states::paid(), language, receipt())),
    ("receipt_on_solana", |language| draw_receipt(&solana::paid(), language, receipt_on_solana())),
    ("receipt_unpaid", |language| draw_receipt(&states::pay(), language, Receipt { paid_at: None, ..receipt() })),
    ("link_broken", |language| draw_trouble(Trouble::LinkBroken, language, None)),
    ("link_over", |language| draw_trouble(Trouble::LinkOver, language, None)),
    ("our_fault", |language| draw_trouble(Trouble::OurFault, language, Some("/pay".to_owned()))),
];

fn questions(fault: Option<Fault>) -> Questions {
    let field = |name: &str, label: &str, kind, value: &str, fault: Option<Fault>| Field {
        name: name.to_owned(),
        label: label.to_owned(),
        hint: None,
        kind,
        is_required: true,
        most: 255,
        value: if fault.is_some() { value.to_owned() } else { String::new() },
        fault,
    };
    Questions {
        fields: vec![
            field("answer-0", "Name for the engraving", FieldKind::Text, "", fault),
            field("answer-1", "How many are gifts?", FieldKind::Number, "two", fault.map(|_| Fault::NotANumber)),
        ],
        email: Given { value: String::new(), fault: None },
    }
}

fn help(state: Option<SearchState>) -> Help {
    help_on(("base", "Base"), TRANSACTION, state)
}

fn help_on_solana(state: Option<SearchState>) -> Help {
    help_on(("solana", "Solana"), solana::SIGNATURE, state)
}

fn help_on((chosen, title): (&str, &str), transaction: &str, state: Option<SearchState>) -> Help {
    let network =
        |name: &str, title: &str| Network { name: name.to_owned(), title: title.to_owned(), is_chosen: name == chosen };
    Help {
        search: state.map(|state| Search {
            network: title.to_owned(),
            transaction: (state != SearchState::PaymentNotFound).then(|| transaction.to_owned()),
            state,
        }),
        networks: vec![network("ethereum", "Ethereum"), network("base", "Base"), network("solana", "Solana")],
        network_fault: None,
        transaction: Given::default(),
        email: Some(Given::default()),
        kept_email: None,
    }
}

fn receipt() -> Receipt {
    let payment = ReceiptPayment {
        amount: "20".to_owned(),
        symbol: "USDC".to_owned(),
        network: "Base".to_owned(),
        at: states::NOW,
        transaction: TRANSACTION.to_owned(),
        link: Some(format!("https://explorer.example/tx/{TRANSACTION}")),
        payer: Some("0xAaAaaAAAAaaaaaAAaaaaAaAaAaAAAaaAAaaAAaaA".to_owned()),
        worth: 20_000,
        rate: Some("1".to_owned()),
        quote: Some(ReceiptQuote { amount: "20".to_owned(), from: states::NOW - 60, until: states::NOW + 240 }),
        settlement: Settlement::Pending,
    };
    Receipt {
        invoice: "0b6f1c9e-3a1d-4f5e-9c67-2f1f6f0f7a11".to_owned(),
        created_at: states::NOW - 60,
        paid_at: Some(states::NOW),
        paid: 20_000,
        payments: vec![payment],
    }
}

/// The payment is its own settlement, as it went to the merchant's wallet.
fn receipt_on_solana() -> Receipt {
    let [transaction, link] = [solana::SIGNATURE.to_owned(), solana::explorer(solana::SIGNATURE)];
    let payment = ReceiptPayment {
        amount: solana::AMOUNT.to_owned(),
        symbol: "USDC".to_owned(),
        network: "Solana".to_owned(),
        at: states::NOW - 20,
        transaction: transaction.clone(),
        link: Some(link.clone()),
        payer: Some(SOLANA_PAYER.to_owned()),
        worth: 20_004,
        rate: Some("1".to_owned()),
        quote: Some(ReceiptQuote {
            amount: solana::AMOUNT.to_owned(),
            from: states::NOW - 28,
            until: states::NOW + 272,
        }),
        settlement: Settlement::Settled { transaction, link: Some(link) },
    };
    Receipt { paid_at: Some(states::NOW - 20), paid: 20_004, payments: vec![payment], ..receipt() }
}
