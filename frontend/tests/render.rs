//! What the server draws, in every state.

mod states;

use frontend::{Language, Link, Situation};
use wire::snapshot::Snapshot;

/// The text a payer reads, without markup and without what is hidden.
fn text_of(snapshot: &Snapshot, language: Language) -> String {
    text_in(snapshot, language, Situation::default())
}

/// The same in pieces.
fn texts_of(snapshot: &Snapshot, language: Language) -> Vec<String> {
    texts_in(snapshot, language, Situation::default())
}

fn text_in(snapshot: &Snapshot, language: Language, situation: Situation) -> String {
    texts_in(snapshot, language, situation).concat()
}

fn texts_in(snapshot: &Snapshot, language: Language, situation: Situation) -> Vec<String> {
    let html = frontend::render_in(snapshot, language, situation);
    let mut texts = Vec::new();
    let mut hidden_until = None;
    for part in html.split('<') {
        // Comments and tags end at the next bracket; between them is text.
        let (tag, between) = part.split_once('>').unwrap_or(("", part));
        let is_hidden = tag.split(' ').any(|attribute| attribute == "hidden") && !tag.starts_with("input");
        if hidden_until.is_none() && is_hidden {
            hidden_until = tag.split(' ').next().map(|name| format!("/{name}"));
        }
        if hidden_until.as_deref() == Some(tag) {
            hidden_until = None;
        }
        if hidden_until.is_none() {
            let text = between.replace("&lt;", "<").replace("&gt;", ">");
            texts.push(text.replace("&quot;", "\"").replace("&amp;", "&"));
        }
    }
    texts
}

fn render_english(snapshot: &Snapshot) -> String {
    frontend::render(snapshot, Language::English)
}

#[track_caller]
fn check(snapshot: &Snapshot, shown: &[&str], hidden: &[&str]) {
    let text = text_of(snapshot, Language::English);
    for words in shown {
        assert!(text.contains(words), "{words:?} is missing in {text}");
    }
    for words in hidden {
        assert!(!text.contains(words), "{words:?} has no place in {text}");
    }
    for always in ["Fern & Clay", "$20.00", "help@fern.example", "Test network"] {
        assert!(text.contains(always), "{always:?} is missing in {text}");
    }
}

#[test]
fn choosing_offers_every_token_and_says_why_one_cannot_be_had() {
    let snapshot = states::choose();
    check(
        &snapshot,
        &[
            "Order 1042",
            "29:00",
            "USD Coin",
            "Ether",
            "Base",
            "No reliable price just now",
            "Fees can be high\u{a0}· about 40\u{a0}seconds",
            "Low fees",
            "Continue",
        ],
        &["0x5eE9"],
    );
    let html = render_english(&snapshot);
    assert_eq!(html.matches("type=\"radio\"").count(), 5);
    assert_eq!(html.matches("value=\"base:2\"").count(), 1);
    assert_eq!(html.matches(" disabled").count(), 1);
    assert!(html.contains("method=\"post\"") && html.contains("action=\"/pay/choose\""));
    assert!(html.contains(&format!("name=\"session\" value=\"{}\"", snapshot.credentials.session_token)));
    assert!(html.contains(&format!("name=\"signature\" value=\"{}\"", snapshot.credentials.signature)));
}

#[test]
fn a_choice_without_a_price_says_so_and_can_be_made_again() {
    check(&states::no_price(), &["has no reliable price", "Continue"], &["Waiting for your payment"]);
}

#[test]
fn paying_shows_amount_network_address_rate_and_both_codes() {
    let snapshot = states::pay();
    let shown = [
        "Send exactly",
        "20 USDC",
        "Base",
        states::ADDRESS,
        "Send only USDC on Base",
        "1 USDC = $1.00",
        "Rate valid for 4:32",
        "Scan or open in wallet",
        "I pay from an exchange",
        "Waiting for your payment.",
        "Change token or network",
    ];
    check(&snapshot, &shown, &["Paid so far"]);
    let html = render_english(&snapshot);
    assert_eq!(html.matches("class=\"qr ").count(), 2);
    let uri = snapshot.quote.unwrap().uri.replace('&', "&amp;");
    assert!(html.contains(&format!("href=\"{uri}\"")), "{html}");
}

#[test]
fn an_address_comes_with_what_it_was_computed_from() {
    let words = format!(
        "This address was computed from wallet {} and a contract that can only pay that wallet; no key exists.",
        states::WALLET
    );
    check(&states::pay(), &[&words], &["cannot compute"]);
    check(
        &states::unproven(),
        &["your browser cannot check it. If in doubt, ask the shop."],
        &["was computed", "no key"],
    );
    let mut foreign = states::pay();
    foreign.quote.as_mut().unwrap().address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
    check(&foreign, &[], &["was computed", "no key"]);
}

#[test]
fn links_to_wallets_open_outside_the_frame() {
    for (snapshot, links) in [
        (states::pay(), 1),
        (states::pay_native(), 1),
        (states::unproven(), 1),
        (states::underpaid(), 1),
        (states::solana::pay(), 2),
        (states::solana::underpaid(), 2),
    ] {
        let html = render_english(&snapshot);
        let tags = html.split("<a ").skip(1).filter_map(|rest| rest.split('>').next());
        let to_wallets = |tag: &&str| tag.contains("href=\"ethereum:") || tag.contains("href=\"solana:");
        let tags: Vec<&str> = tags.filter(to_wallets).collect();
        assert_eq!(tags.len(), links, "{html}");
        for tag in tags {
            assert!(tag.contains("target=\"_top\"") && tag.contains("rel=\"noreferrer\""), "{tag}");
        }
    }
}

#[test]
fn who_pays_from_an_exchange_is_told_of_its_fee_and_of_the_longer_time_it_takes() {
    let shown = [
        "Choose Base as the network, and enter the amount so that it arrives in full after the exchange's fee.",
        "Exchanges often send minutes later. What arrives after the time is up is not lost, but Fern & Clay decides about it.",
    ];
    for state in [states::pay, states::underpaid] {
        check(&state(), &shown, &[]);
    }
    let text = text_of(&states::solana::pay(), Language::English);
    assert!(
        text.contains("Choose Solana as the network") && text.contains("Exchanges often send minutes later."),
        "{text}"
    );
}

#[test]
fn there_is_a_search_above_six_choices_and_not_before() {
    let search = |count| {
        let mut snapshot = states::choose_many();
        snapshot.tokens.truncate(count);
        assert_eq!(snapshot.tokens.len(), count);
        let html = render_english(&snapshot);
        let tag = html.split("<input").find(|tag| tag.contains("type=\"search\"")).unwrap();
        let is_hidden = tag.split('>').next().unwrap().contains(" hidden");
        (!is_hidden, html.matches("<details").count() == html.matches(" open").count())
    };
    // With one, tokens are folded up.
    assert_eq!(search(6), (false, true));
    assert_eq!(search(7), (true, false));
}

#[test]
fn what_cannot_be_chosen_says_why_and_what_is_seen_late_says_so() {
    let snapshot = states::choose_hindered();
    let html = render_english(&snapshot);
    let said: Vec<(bool, String)> = html
        .split("<label class=\"network\"")
        .skip(1)
        .map(|label| {
            let hint =
                label.split("network__hint\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
            (label.split("</label>").next().unwrap().contains(" disabled"), hint.to_owned())
        })
        .collect();
    let expected = [
        (true, "Not available just now"),
        (true, "This shop cannot take it on this network"),
        (true, "This shop cannot take it on this network"),
        (true, "No reliable price just now"),
        (false, "Low fees\u{a0}· about 25\u{a0}seconds\u{a0}· slower than usual just now"),
    ];
    assert_eq!(said, expected.map(|(is_disabled, words)| (is_disabled, words.to_owned())));
    let text = text_of(&snapshot, Language::Arabic);
    for words in ["غير متاحة الآن", "لا يستطيع المتجر استلامها على هذه الشبكة", "تظهر الدفعات متأخرة الآن"]
    {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
}

#[test]
fn a_native_coin_is_shown_with_every_digit() {
    check(&states::pay_native(), &["0.006403252667941638 ETH", "1 ETH = $3,123.41259"], &[]);
}

#[test]
fn a_lapsed_quote_can_be_renewed_without_a_script() {
    let html = render_english(&states::lapsed());
    assert!(html.contains("pay--lapsed"), "{html}");
    assert!(html.contains("<input type=\"hidden\" name=\"token\" value=\"base:2\""), "{html}");
    check(
        &states::lapsed(),
        &["This rate has lapsed", "before you send anything", "Get the current amount"],
        &["Waiting for your", "Please wait"],
    );
}

#[test]
fn a_payment_in_a_block_is_confirming_and_asks_for_nothing_more() {
    let hidden = ["Send exactly", states::ADDRESS];
    let shown =
        ["Payment found. Confirming: 1 of 12.", "20 USDC on Base", "Usually about 25\u{a0}seconds left", "0x8f3c1b2a"];
    check(&states::found(), &shown, &hidden);
    let shown = ["Confirming your payment", "11 of 12 confirmations", "Usually about 5\u{a0}seconds left"];
    check(&states::confirming(), &shown, &hidden);
}

#[test]
fn a_payment_that_waits_for_no_more_confirmations_is_in_its_last_check_and_counts_none() {
    let hidden = ["Confirming: 1 of 1", "Usually", "Send exactly", states::solana::WALLET];
    let shown = ["Payment found. A last check is under way.", "20.004217 USDC on Solana", states::solana::SIGNATURE];
    check(&states::solana::found(), &shown, &hidden);
    let mut deep = states::confirming();
    deep.payments[0].confirmations = 12;
    check(&deep, &["Confirming your payment", "A last check is under way."], &["Confirming: 12 of 12"]);
}

#[test]
fn a_part_paid_on_solana_asks_for_the_rest_by_an_amount_of_its_own() {
    let shown = ["$12.50 of $20.00 has arrived", "$7.50", "7.501386 USDC", "Confirmed", states::solana::WALLET];
    check(&states::solana::underpaid(), &shown, &["Change token", "to open its account", states::solana::AMOUNT]);
    let html = render_english(&states::solana::underpaid());
    assert_eq!(html.matches("amount=7.501386&amp;spl-token=").count(), 2, "{html}");
}

#[test]
fn what_arrived_on_solana_can_be_looked_at_in_another_window() {
    for (snapshot, payments) in [
        (states::solana::found(), 1),
        (states::solana::underpaid(), 1),
        (states::solana::paid(), 1),
        (states::solana::overpaid(), 2),
        (states::solana::paid_late(), 1),
    ] {
        let html = render_english(&snapshot);
        let link = format!("<a href=\"{}\" target=\"_blank\"", states::solana::explorer(states::solana::SIGNATURE));
        assert_eq!(html.matches(&link).count(), 1, "{link} in {html}");
        assert_eq!(html.matches("View transaction").count(), payments, "{html}");
    }
}

#[test]
fn a_mark_is_nothing_to_ask_back_and_a_second_payment_is() {
    check(&states::solana::paid(), &["$20.00 paid to Fern & Clay"], &["more than was due", "Time left"]);
    check(&states::solana::overpaid(), &["You sent $20.00 more than was due. Ask Fern & Clay"], &[]);
    check(
        &states::solana::paid_late(),
        &["arrived after the time to pay had run out, and was accepted"],
        &["Time left"],
    );
}

#[test]
fn a_part_paid_asks_for_the_rest_in_the_same_token() {
    let shown = [
        "$12.50 of $20.00 has arrived",
        "Paid so far",
        "Still to pay",
        "$7.50",
        "7.5 USDC",
        "Confirmed",
        states::ADDRESS,
    ];
    check(&states::underpaid(), &shown, &["Change token"]);
}

#[test]
fn the_rest_without_an_amount_is_one_click_away() {
    let snapshot = states::underpaid_without_quote();
    check(&snapshot, &["Pay the rest", "$12.50 of $20.00 has arrived", "Continue"], &["Ether"]);
    assert!(render_english(&snapshot).contains(" checked"), "the only choice is made");
}

#[test]
fn paid_says_so_and_names_the_transaction() {
    let shown = ["Paid", "$20.00 paid to Fern & Clay", "20 USDC on Base", "0x8f3c1b2a4d5e6f70"];
    check(&states::paid(), &shown, &["Time left", "Send exactly", "more than was due"]);
}

#[test]
fn too_much_is_said_with_whom_to_ask() {
    check(&states::overpaid(), &["You sent $20.00 more than was due. Ask Fern & Clay", "View transaction"], &[]);
    assert!(render_english(&states::overpaid()).contains("href=\"https://explorer.example/tx/0x8f3c"));
}

#[test]
fn after_the_end_nothing_is_asked_while_payments_are_looked_for() {
    let hidden = ["Send exactly", states::ADDRESS];
    check(&states::checking(), &["Time is up. Checking for payments", "do not send anything now"], &hidden);
    // Also when the page's clock gets there before the server says so.
    let mut early = states::checking();
    early.invoice.is_checking = false;
    check(&early, &["Time is up. Checking for payments"], &hidden);
}

#[test]
fn expired_shows_what_came_and_why_it_does_not_count() {
    let shown = [
        "Expired",
        "write to Fern & Clay",
        "Arrived late",
        "Not a token",
        "its price is being looked up",
        "No longer in a block",
    ];
    check(&states::expired(), &shown, &["Send exactly", "Time left", "Continue"]);
}

#[test]
fn canceled_asks_for_nothing() {
    check(&states::canceled(), &["Canceled", "do not send anything"], &["Continue", "Time left"]);
}

#[test]
fn what_was_not_asked_for_is_named_and_the_payment_stays_open() {
    let shown = ["25 USDT on Polygon arrived, but was not asked for", "Write to Fern & Clay about it", states::ADDRESS];
    check(&states::unexpected(), &shown, &[]);
}

#[test]
fn a_payment_that_was_taken_back_is_waited_for_and_not_asked_for_again() {
    let shown = ["Your payment is waiting for a new block", "do not pay again"];
    check(&states::reorganised(), &shown, &["Send exactly", states::ADDRESS]);
}

#[test]
fn a_network_that_cannot_be_read_is_named_and_nobody_needs_to_pay_twice() {
    let shown = ["Base cannot be read just now", "do not pay twice"];
    check(&states::network_behind(), &shown, &[]);
    let shown = ["Base cannot be read just now", "11 of 12", "Do not pay twice"];
    check(&states::network_behind_confirming(), &shown, &["Send exactly", "Usually", "before you pay"]);
}

#[test]
fn paid_late_is_paid_and_says_so() {
    check(
        &states::paid_late(),
        &["Paid", "arrived after the time to pay had run out, and was accepted"],
        &["Time left"],
    );
}

#[test]
fn a_merchant_that_takes_no_payments_asks_for_none() {
    let shown = ["No payments just now", "Please do not send anything", "Write to Fern & Clay"];
    check(&states::suspended(), &shown, &["Continue", "Time left"]);
}

#[test]
fn what_only_the_page_knows_is_said_over_what_the_server_said_last() {
    let text = |snapshot: &Snapshot, situation| text_in(snapshot, Language::English, situation);
    let quiet = Situation::default();
    let offline = text(&states::pay(), Situation { link: Link::Down, ..quiet });
    assert!(offline.contains("No connection. What you see may be out of date."), "{offline}");
    assert!(offline.contains(states::ADDRESS), "what is on the screen stays: {offline}");
    let refused = text(&states::pay(), Situation { link: Link::Refused, ..quiet });
    assert!(refused.contains("This page is no longer valid") && !refused.contains(states::ADDRESS), "{refused}");
    assert!(!refused.contains("I have paid"), "help would be refused, too: {refused}");
    let quoting = text(&states::choose(), Situation { is_sending: true, ..quiet });
    assert!(quoting.contains("Getting the current price"), "{quoting}");
}

#[test]
fn real_networks_carry_no_test_badge() {
    let snapshot = Snapshot { environment: wire::Environment::Mainnet, ..states::choose() };
    assert!(!text_of(&snapshot, Language::English).contains("Test network"));
}

#[test]
fn hostile_text_stays_text() {
    const HOSTILE: &str = "</script><!-- <img src=x onerror=\"alert(1)\"> & 'co'";
    let mut snapshot = states::overpaid();
    snapshot.merchant.name = HOSTILE.to_owned();
    snapshot.merchant.email = HOSTILE.to_owned();
    snapshot.invoice.title = HOSTILE.to_owned();
    snapshot.invoice.footer = format!("{HOSTILE}.");
    snapshot.invoice.description = Some(HOSTILE.to_owned());
    snapshot.payments[0].symbol = HOSTILE.to_owned();
    snapshot.payments[0].tx_hash = HOSTILE.to_owned();
    snapshot.payments[0].explorer_url = Some(format!("https://x.example/{HOSTILE}"));
    for snapshot in [Snapshot { tokens: Vec::new(), ..snapshot.clone() }, choosing(&snapshot, HOSTILE)] {
        let html = render_english(&snapshot);
        for markup in ["<script", "</script", "<img", "<!-- "] {
            assert!(!html.contains(markup), "{markup} got through: {html}");
        }
        let tags = html.split('<').filter_map(|part| part.split_once('>')).map(|(tag, _)| tag);
        for tag in tags {
            assert!(!tag.contains("onerror=\""), "an attribute was closed early: {tag}");
        }
        assert!(html.contains("&lt;img src=x"), "{html}");
        assert!(!html.contains(" style="), "the content policy forbids inline styles");
    }
    assert_eq!(frontend::title(&snapshot, Language::English), format!("Pay $20.00 to {HOSTILE}"));
}

fn choosing(snapshot: &Snapshot, hostile: &str) -> Snapshot {
    let mut chosen = Snapshot { tokens: states::choose().tokens, ..snapshot.clone() };
    chosen.invoice.status = wire::invoice::InvoiceStatus::Unpaid;
    for token in &mut chosen.tokens {
        hostile.clone_into(&mut token.symbol);
        hostile.clone_into(&mut token.network);
        hostile.clone_into(&mut token.network_title);
    }
    chosen
}

#[test]
fn a_state_is_drawn_the_same_every_time_and_without_inline_styles() {
    for (name, state) in states::ALL {
        let html = render_english(&state());
        assert_eq!(html, render_english(&state()), "{name}");
        assert!(!html.contains(" style="), "{name}");
    }
}

#[test]
fn arabic_has_its_words_and_forms_and_leaves_alone_what_is_sent() {
    let text = text_of(&states::pay(), Language::Arabic);
    for shown in ["أرسل هذا المبلغ بالضبط", "20.00\u{a0}US$", "4:32", "20 USDC", states::ADDRESS, "help@fern.example"]
    {
        assert!(text.contains(shown), "{shown:?} is missing in {text}");
    }
    let text = text_of(&states::confirming(), Language::Arabic);
    assert!(text.contains("11 من 12 تأكيدًا"), "{text}");
    assert!(text.contains("المتبقي عادةً: \u{2068}نحو 5\u{a0}ثوانٍ\u{2069}"), "{text}");
    let title = frontend::title(&states::pay(), Language::Arabic);
    assert_eq!(title, "ادفع \u{200f}20.00\u{a0}US$\u{200e} إلى \u{2068}Fern & Clay\u{2069}");
}

#[test]
fn no_english_is_left_in_an_arabic_page() {
    // Names, addresses and what is sent are nobody's to translate.
    const NAMES: [&str; 20] = [
        "Fern", "Clay", "Order", "Two", "USDC", "USDT", "Polygon", "ETH", "DAI", "Base", "Ethereum", "USD", "Coin",
        "Ether", "Dai", "QR", "Tether", "POL", "Solana", "SOL",
    ];
    for (name, state) in states::ALL {
        let mut snapshot = state();
        snapshot.invoice.description = None;
        snapshot.invoice.footer = String::new();
        let text = texts_of(&snapshot, Language::Arabic).join(" ");
        let words = text.split(|character: char| !character.is_ascii_alphabetic());
        let english = words.filter(|word| 2 < word.len() && !NAMES.contains(word));
        let english: Vec<&str> = english.filter(|word| !["help", "fern", "example"].contains(word)).collect();
        // Digits of addresses and transactions come in pieces of letters too.
        let mut names: Vec<&str> = snapshot.payments.iter().map(|payment| payment.tx_hash.as_str()).collect();
        names.extend(snapshot.quote.as_ref().map(|quote| quote.address.as_str()));
        let is_of_name = |word: &&str| {
            names.iter().any(|name| name.contains(*word)) || word.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let wallets = [
            "App",
            "Backpack",
            "imToken",
            "MetaMask",
            "MyEtherWallet",
            "Phantom",
            "Rainbow",
            "Solflare",
            "Suite",
            "Trezor",
            "Trust",
            "Uniswap",
            "Wallet",
        ];
        let english = english.into_iter().filter(|word| !is_of_name(word) && !wallets.contains(word));
        let english: Vec<_> = english.collect();
        assert!(english.is_empty(), "{name}: {english:?} in {text}");
    }
}

#[test]
fn forms_and_links_keep_the_language() {
    for language in Language::ALL {
        let code = language.code();
        let html = frontend::render(&states::choose(), language);
        assert!(html.contains(&format!("name=\"lang\" value=\"{code}\"")), "{html}");
        assert!(html.contains(&format!("&amp;lang={code}\"")), "{html}");
    }
}
