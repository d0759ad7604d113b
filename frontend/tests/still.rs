//! Pages that no script takes over, in every language.

#[expect(dead_code, reason = "other tests use the rest")]
mod states;

use frontend::{
    Language,
    still::{
        Fault, Field, FieldKind, Given, Help, Network, NetworkFault, Questions, Receipt, ReceiptPayment, ReceiptQuote,
        Search, SearchState, Settlement, Still, Trouble, draw_help, draw_questions, draw_receipt, draw_trouble,
    },
};
use wire::snapshot::Snapshot;

const HOSTILE: &str = "</script><!-- <img src=x onerror=\"alert(1)\"> & 'co'";

fn questions(text: &str) -> Questions {
    let field = |name: &str, kind, fault| Field {
        name: name.to_owned(),
        label: text.to_owned(),
        hint: None,
        kind,
        is_required: true,
        most: 255,
        value: text.to_owned(),
        fault: Some(fault),
    };
    Questions {
        fields: vec![
            field("answer-0", FieldKind::Text, Fault::Missing),
            field("answer-1", FieldKind::Number, Fault::NotANumber),
            field("answer-2", FieldKind::Email, Fault::TooLong { most: 255 }),
            field("answer-3", FieldKind::Text, Fault::NotText),
        ],
        email: Given { value: text.to_owned(), fault: Some(Fault::NotAnEmail) },
    }
}

fn help(text: &str, state: SearchState, network_fault: NetworkFault) -> Help {
    Help {
        search: Some(Search { network: text.to_owned(), transaction: Some(text.to_owned()), state }),
        networks: vec![Network { name: text.to_owned(), title: text.to_owned(), is_chosen: true }],
        network_fault: Some(network_fault),
        transaction: Given { value: text.to_owned(), fault: Some(Fault::NotATransaction) },
        email: Some(Given { value: text.to_owned(), fault: Some(Fault::NotAnEmail) }),
        kept_email: Some(text.to_owned()),
    }
}

fn receipt(text: &str, settlement: Settlement) -> Receipt {
    let payment = ReceiptPayment {
        amount: "20".to_owned(),
        symbol: text.to_owned(),
        network: text.to_owned(),
        at: states::NOW,
        transaction: text.to_owned(),
        link: Some(format!("https://explorer.example/tx/{text}")),
        payer: Some(text.to_owned()),
        worth: 20_000,
        rate: Some("1".to_owned()),
        quote: Some(ReceiptQuote { amount: "20".to_owned(), from: states::NOW, until: states::NOW + 300 }),
        settlement,
    };
    Receipt {
        invoice: text.to_owned(),
        created_at: states::NOW,
        paid_at: Some(states::NOW),
        paid: 20_000,
        payments: vec![payment],
    }
}

/// Every page, with this text wherever somebody else's stands.
fn pages(language: Language, text: &str) -> Vec<Still> {
    let mut snapshot: Snapshot = states::paid();
    for place in [&mut snapshot.merchant.name, &mut snapshot.merchant.email, &mut snapshot.invoice.title] {
        text.clone_into(place);
    }
    snapshot.invoice.description = Some(text.to_owned());
    text.clone_into(&mut snapshot.invoice.footer);
    let mut pages = vec![draw_questions(&snapshot, language, questions(text))];
    for state in [
        SearchState::Looking { look: 2, most: 10 },
        SearchState::Found,
        SearchState::PaymentNotFound,
        SearchState::TransactionNotFound,
        SearchState::TransactionFailed,
        SearchState::TransactionPaysAnother,
    ] {
        for fault in [NetworkFault::Missing, NetworkFault::Other] {
            pages.push(draw_help(&snapshot, language, help(text, state, fault)));
        }
    }
    let settled = Settlement::Settled { transaction: format!("{text}-1"), link: None };
    for settlement in [Settlement::Pending, Settlement::Held, settled] {
        pages.push(draw_receipt(&snapshot, language, receipt(text, settlement)));
    }
    let unpaid = Receipt { paid_at: None, ..receipt(text, Settlement::Pending) };
    pages.push(draw_receipt(&snapshot, language, unpaid));
    for trouble in Trouble::ALL {
        pages.push(draw_trouble(trouble, language, Some(format!("/pay?session={text}"))));
    }
    pages
}

/// The text between tags.
fn text_of(html: &str) -> String {
    html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<Vec<_>>().join(" ")
}

#[test]
fn hostile_text_stays_text_and_nothing_is_styled_inline() {
    for language in Language::ALL {
        for Still { html, .. } in pages(language, HOSTILE) {
            for markup in ["<script", "</script", "<img src", "<!-- ", " style=", "javascript:"] {
                assert!(!html.contains(markup), "{markup} got through: {html}");
            }
            let tags = html.split('<').filter_map(|part| part.split_once('>')).map(|(tag, _)| tag);
            for tag in tags {
                assert!(!tag.contains("onerror=\""), "an attribute was closed early: {tag}");
            }
        }
    }
}

#[test]
fn the_name_of_a_transaction_of_any_network_fits_into_its_field() {
    let longest = states::solana::SIGNATURE;
    let help =
        Help { search: None, transaction: Given::default(), ..help("", SearchState::Found, NetworkFault::Missing) };
    let html = draw_help(&states::solana::pay(), Language::English, help).html;
    let field = html.split("<input").find(|tag| tag.contains("name=\"tx_hash\"")).expect("a field");
    assert!(field.contains(&format!("maxlength=\"{}\"", longest.len())), "{field}");
}

#[test]
fn a_transaction_that_is_its_own_settlement_is_printed_once() {
    let times = |settled_by: &str| {
        let settlement = Settlement::Settled { transaction: settled_by.to_owned(), link: None };
        let receipt = Receipt { invoice: String::new(), ..receipt("payment", settlement) };
        let text = text_of(&draw_receipt(&states::paid(), Language::English, receipt).html);
        (text.matches(" payment ").count(), text.matches(" sweep ").count())
    };
    let (alone, _) = times("payment");
    assert_eq!(times("sweep"), (alone, 1));
}

#[test]
fn no_english_is_left_in_arabic_pages() {
    // What others say, what is sent, and what a transaction or a command is called.
    const NAMES: [&str; 13] = [
        "Fern", "Solana", "USD", "UTC", "name", "example", "com", "cargo", "xtask", "page", "https", "explorer", "test",
    ];
    for Still { title, html } in pages(Language::Arabic, "Fern") {
        let text = format!("{title} {}", text_of(&html));
        let words = text.split(|character: char| !character.is_ascii_alphabetic()).filter(|word| 2 < word.len());
        let english: Vec<_> = words.filter(|word| !NAMES.contains(word)).collect();
        assert!(english.is_empty(), "{english:?} in {text}");
    }
}

/// "Really?" in the middle of Arabic, and its mark at the end.
#[test]
fn the_merchants_words_run_their_own_way_in_any_page() {
    let html = &pages(Language::Arabic, "Really?")[0].html;
    for place in ["summary__description\"", "<label"] {
        let after = html.split_once(place).map_or("", |(_, after)| after);
        let words = after.find("Really?").and_then(|at| after.get(..at));
        assert!(words.is_some_and(|before| before.trim_end_matches("<!>").ends_with("<bdi>")), "{place} in {html}");
    }
}

#[test]
fn every_page_has_one_heading_for_its_stage_and_every_field_a_label_and_its_fault() {
    for Still { title, html } in pages(Language::English, "Fern") {
        assert!(!title.is_empty());
        assert_eq!(html.matches("id=\"stage\"").count(), 1, "{html}");
        for input in html.split("<input").skip(1).filter(|input| !input.contains("type=\"hidden\"")) {
            let id = input.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
            assert!(html.contains(&format!("for=\"{id}\"")), "{id} has a label: {html}");
            let tag = input.split('>').next().expect("an end");
            assert_eq!(tag.contains("aria-invalid"), html.contains(&format!("id=\"{id}-fault\"")), "{id}: {html}");
        }
    }
}
