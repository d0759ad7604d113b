//! A payment on Solana, from the shop's button to the merchant's wallet: the page's code is read from a picture, understood
//! by a parser that shares no code with what wrote it, and paid by what wallets are made of.

use demo::{
    shop::OrderState,
    stage::{CUSTOMER_ON_SOLANA, SolanaNetwork},
};
use e2e::{
    ApiClient, Received, WebhookSink,
    checkout_page::{Asked, CheckoutPage},
    chromium::{Browser, Scheme, WIDE},
    outcome::{Failure, Outcome},
    scene::{EXPLORER, Scene},
};
use frontend::Language;
use serde_json::{Value, json};
use wire::invoice::InvoiceStatus;

use crate::{
    first_frame::{brand, choose_by_form, keep_the_limit, sent_bytes},
    on_shared_scene_with_solana,
    visit::{Visit, create_invoice, until},
};

/// As in the demo's configuration.
const TOKEN: u64 = 501;

#[test]
fn what_the_code_asks_for_on_solana_reaches_the_merchant() {
    on_shared_scene_with_solana(reaches_the_merchant);
}

#[test]
fn a_wallet_on_solana_is_shown_the_code_that_it_reads() {
    on_shared_scene_with_solana(a_wallet_gets_the_code_that_it_reads);
}

#[test]
fn page_without_script_can_be_paid_on_solana() {
    on_shared_scene_with_solana(without_script);
}

#[test]
fn half_on_solana_is_shown_as_part_and_the_rest_that_is_asked_for_completes_it() {
    on_shared_scene_with_solana(half_and_then_the_rest);
}

#[test]
fn a_plain_transfer_on_solana_of_what_the_page_says_in_words_pays() {
    on_shared_scene_with_solana(by_hand);
}

#[test]
fn the_shop_s_buttons_pay_a_part_the_whole_and_too_much_on_solana() {
    on_shared_scene_with_solana(by_the_shop_s_buttons);
}

#[test]
fn what_an_exchange_sends_rounded_and_less_its_fee_is_part_and_the_rest_completes_it() {
    on_shared_scene_with_solana(from_an_exchange);
}

#[test]
fn receipt_and_webhook_name_the_transaction_on_solana_and_who_sent_it() {
    on_shared_scene_with_solana(receipt_and_webhook);
}

async fn reaches_the_merchant(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let (asked, uri) = (visit.page.asked().await?, visit.page.scan_text(".qr--request").await?);
    let read = solana.chain.parse(&uri).await?;
    let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((text("recipient"), text("amount"), text("mint")), (asked.address, asked.amount, solana.mint.clone()));
    assert_eq!(read["references"].as_array().map(Vec::len), Some(1));
    visit.page.shows("The last digits of this amount mark the payment as yours").await?;
    visit.page.shows("about 0.002\u{a0}SOL").await?;
    let recipient = text("recipient");
    assert_eq!(address_code(&browser, &visit.page).await?, recipient, "the code for exchanges is the wallet alone");
    browser.click("label[for=from-wallet]").await?;

    let signature = solana.chain.pay(CUSTOMER_ON_SOLANA, &uri, None).await?;
    visit.page.says("Paid").await?;
    assert!(visit.page.is_the_same().await?, "the page followed by itself");
    visit.shop_shows(OrderState::Paid, "Paid").await?;
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let report = api.invoice_status(&visit.order()?.invoice_id).await;
    assert_eq!(report.invoice.status, InvoiceStatus::Paid);
    let payment = report.latest_payment.ok_or_else(|| Failure::new("the API knows no payment"))?;
    assert_eq!((payment.tx_hash, payment.payment_address), (signature, recipient));
    visit.console_is_empty().await
}

/// With a reference in the request, and one more sentence, as no shop here has an account for the token yet.
#[test]
fn first_frame_on_solana_is_small_in_each_language_and_with_a_brand() {
    on_shared_scene_with_solana(async |scene| {
        let (plain, branded) = (scene.add_merchant().await?, scene.add_merchant().await?);
        brand(scene, &branded)?;
        let mut weights = Vec::new();
        for (merchant, look) in [(&plain, "plain"), (&branded, "branded")] {
            let invoice = create_invoice(merchant, json!({})).await?;
            choose_by_form(&invoice.payment_url, &format!("solana:{TOKEN}")).await?;
            for code in Language::ALL.map(Language::code) {
                let bytes = sent_bytes(&format!("{}&lang={code}", invoice.payment_url)).await?;
                weights.push((bytes, format!("pay on Solana, {look}, {code}")));
            }
        }
        keep_the_limit(weights);
        Ok(())
    });
}

/// One wallet opens no request, another none with a mark.
async fn a_wallet_gets_the_code_that_it_reads(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let marked = visit.page.scan_text(".qr--request").await?;
    pick_wallet(&browser, "MetaMask").await?;
    let unmarked = visit.page.scan_text(".qr--unmarked").await?;
    let (with, without) = (solana.chain.parse(&marked).await?, solana.chain.parse(&unmarked).await?);
    assert_eq!((&with["amount"], &with["recipient"]), (&without["amount"], &without["recipient"]));
    assert_eq!(without["references"].as_array().map(Vec::len), Some(0));
    pick_wallet(&browser, "Trust Wallet").await?;
    assert!(!browser.draws(".qr--request").await? && !browser.draws(".qr--unmarked").await?);
    // What is known by its amount alone is paid all the same.
    solana.chain.pay(CUSTOMER_ON_SOLANA, &unmarked, None).await?;
    visit.page.says("Paid").await?;
    visit.console_is_empty().await
}

async fn without_script(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    browser.forbid_scripts().await?;
    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(&browser, &order.payment_url).await?;
    page.choose("solana", TOKEN).await?;
    let (uri, recipient, amount, references) = read_request(solana, &page).await?;
    let asked = page.asked().await?;
    assert_eq!((recipient, amount), (asked.address, asked.amount));
    assert_eq!(references.as_array().map(Vec::len), Some(1));
    assert!(browser.find("#app[data-live]").await?.is_none(), "no script took the page over");

    solana.chain.pay(CUSTOMER_ON_SOLANA, &uri, None).await?;
    // The page asks the browser to load it again every few seconds.
    page.says("Paid").await
}

/// The request in sight as a wallet understands it: recipient, amount, and whose payment it says it is.
async fn read_request(solana: &SolanaNetwork, page: &CheckoutPage<'_>) -> Outcome<(String, String, String, Value)> {
    let uri = page.scan_text(".qr--request").await?;
    let read = solana.chain.parse(&uri).await?;
    let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
    Ok((uri, text("recipient"), text("amount"), read["references"].clone()))
}

/// An amount of the demo's token in its smallest units.
fn units(amount: &str) -> Outcome<u64> {
    let text = String::new;
    let asked = Asked { amount: amount.to_owned(), symbol: text(), network: text(), address: text() };
    Ok(asked.base_units(6)?.to())
}

/// Whether these units are so many dollars and a mark of less than a cent.
fn is_marked(units: u64, dollars_e6: u64) -> bool {
    (dollars_e6 + 1..dollars_e6 + 10_000).contains(&units)
}

async fn half_and_then_the_rest(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let (whole, wallet, amount, marks) = read_request(solana, &visit.page).await?;
    assert!(is_marked(units(&amount)?, 24_900_000), "{amount}");
    solana.chain.pay(CUSTOMER_ON_SOLANA, &whole, Some("12.45")).await?;
    visit.page.shows("$12.45 of $24.90 has arrived").await?;
    visit.page.shows("Still to pay").await?;
    visit.page.asks_for_payment().await?;
    let (rest, to, amount, again) = read_request(solana, &visit.page).await?;
    assert!(is_marked(units(&amount)?, 12_450_000), "the rest and nothing else: {amount}");
    assert_eq!((&to, &again), (&wallet, &marks), "it is the same invoice, at the same wallet");
    assert_ne!(rest, whole);
    let asked = visit.page.asked().await?;
    assert_eq!((asked.amount, asked.address), (amount, wallet), "text and code say the same");
    visit.shop_shows(OrderState::PartlyPaid, "Partly paid").await?;

    solana.chain.pay(CUSTOMER_ON_SOLANA, &rest, None).await?;
    browser.enter_frame("iframe").await?;
    visit.page.says("Paid").await?;
    assert!(visit.page.is_the_same().await?, "the page followed by itself");
    visit.shop_shows(OrderState::Paid, "Paid").await?;
    visit.console_is_empty().await
}

/// Whoever tries the demo has no wallet of his own.
async fn by_the_shop_s_buttons(scene: &Scene) -> Outcome {
    let merchant = scene.add_merchant().await?;
    let browser = scene.chromium.open(WIDE, Scheme::Light).await?;
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    visit.page.asks_for_payment().await?;
    let press = async |share: &str| {
        browser.leave_frames().await?;
        browser.click(&format!("[data-share={share}]")).await?;
        browser.enter_frame("iframe").await
    };
    press("half").await?;
    // Half of what was asked for, its mark included.
    visit.page.shows("of $24.90 has arrived").await?;
    visit.page.asks_for_payment().await?;
    press("double").await?;
    visit.page.says("Paid").await?;
    visit.page.shows("more than was due").await?;
    visit.shop_shows(OrderState::Paid, "Paid").await?;

    let exact = Visit::buy(&browser, &merchant).await?;
    exact.page.choose("solana", TOKEN).await?;
    exact.page.asks_for_payment().await?;
    press("exact").await?;
    exact.page.says("Paid").await?;
    assert!(!exact.page.shows_now("more than was due").await?);
    exact.console_is_empty().await
}

/// Nothing but what a payer can read and type: no code, and so no reference. The amount tells whose it is.
async fn by_hand(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let asked = visit.page.asked().await?;
    let signature = solana.chain.pay(CUSTOMER_ON_SOLANA, &plain(solana, &asked.address), Some(&asked.amount)).await?;
    visit.page.says("Paid").await?;
    assert!(!visit.page.shows_now("more than was due").await?, "the mark is nothing to ask back");
    visit.shop_shows(OrderState::Paid, "Paid").await?;
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let report = api.invoice_status(&visit.order()?.invoice_id).await;
    assert_eq!(report.latest_payment.map(|payment| payment.tx_hash), Some(signature));
    visit.console_is_empty().await
}

async fn from_an_exchange(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let own = solana.chain.wallet(&format!("own of {}", merchant.id)).await?;
    scene.stage.give_solana_addresses(&merchant, std::slice::from_ref(&own))?;
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let asked = visit.page.asked().await?;
    assert_eq!((asked.amount.as_str(), &asked.address), ("24.9", &own), "nothing has to tell it apart");
    let (_, recipient, amount, marks) = read_request(solana, &visit.page).await?;
    assert_eq!((recipient.as_str(), amount.as_str(), marks), (own.as_str(), "24.9", json!([])));
    assert!(!visit.page.shows_now("The last digits").await?);
    assert_eq!(address_code(&browser, &visit.page).await?, own, "the code for exchanges is the address alone");
    browser.click("label[for=from-wallet]").await?;

    // One dollar is its fee, and it knows of cents alone.
    solana.chain.pay(CUSTOMER_ON_SOLANA, &plain(solana, &own), Some("23.89")).await?;
    visit.page.shows("$23.89 of $24.90 has arrived").await?;
    visit.page.shows("Still to pay").await?;
    visit.page.asks_for_payment().await?;
    let asked = visit.page.asked().await?;
    assert_eq!((asked.amount.as_str(), &asked.address), ("1.01", &own), "what is missing, at the same address");
    assert_eq!(address_code(&browser, &visit.page).await?, own);
    visit.shop_shows(OrderState::PartlyPaid, "Partly paid").await?;

    solana.chain.pay(CUSTOMER_ON_SOLANA, &plain(solana, &own), Some("1.01")).await?;
    browser.enter_frame("iframe").await?;
    visit.page.says("Paid").await?;
    visit.shop_shows(OrderState::Paid, "Paid").await?;
    visit.console_is_empty().await
}

async fn receipt_and_webhook(scene: &Scene) -> Outcome {
    let solana = on_solana(scene)?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let sink = WebhookSink::start().await;
    let endpoint = json!({ "url": sink.url, "enabled_events": ["invoice.*", "invoice_payment.*"] });
    let token = scene.stage.dashboard_token(&merchant)?;
    let created = demo::http_client()?.post(format!("{}/api/v1/webhooks", merchant.api.url));
    let created: Value = created.bearer_auth(token).json(&endpoint).send().await?.error_for_status()?.json().await?;
    let secret = created["secret"].as_str().unwrap_or_default();

    let invoice = create_invoice(&merchant, json!({})).await?;
    let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
    page.is_live().await?;
    page.choose("solana", TOKEN).await?;
    let (uri, wallet, ..) = read_request(solana, &page).await?;
    let signature = solana.chain.pay(CUSTOMER_ON_SOLANA, &uri, None).await?;
    let payer = solana.chain.wallet(CUSTOMER_ON_SOLANA).await?;
    page.says("Paid").await?;
    let explorer = EXPLORER.replace("{hash}", &signature);
    assert_eq!(links(&browser, ".payment a").await?, json!([explorer]), "the page says where to look");

    let is_told = |event_type: &str, status: &str| {
        let (event_type, status) = (event_type.to_owned(), status.to_owned());
        move |received: &Received| {
            received.event.event_type == event_type && received.event.data.object["status"] == status.as_str()
        }
    };
    let told = sink.wait_until("both to be told", |received| {
        received.iter().any(is_told("invoice.updated", "paid"))
            && received.iter().any(|received| received.event.data.object["status"] == "confirmed")
    });
    let told = told.await;
    assert!(told.iter().all(|received| received.is_signed_with(secret)));
    let payment = told.iter().find(|received| received.event.data.object["status"] == "confirmed");
    let payment = &payment.ok_or_else(|| Failure::new("no payment was told of"))?.event.data.object;
    for (name, value) in [
        ("invoice_id", &invoice.invoice_id),
        ("tx_hash", &signature),
        ("payer_wallet_address", &payer),
        ("payment_address", &wallet),
        ("network", &"solana".to_owned()),
    ] {
        assert_eq!(&payment[name], value.as_str(), "{name}: {payment}");
    }
    let paid = told.iter().find(|received| is_told("invoice.updated", "paid")(received));
    let paid = &paid.ok_or_else(|| Failure::new("the invoice was not told of"))?.event.data.object;
    assert_eq!((&paid["payer_wallet_address"], &paid["payer_wallet_network"]), (&json!(payer), &json!("solana")));

    // Once it is final it is settled, by nothing but itself.
    let receipt = invoice.payment_url.replace("/pay?", "/pay/receipt?");
    let mut text = String::new();
    until("the receipt to say that it is settled", async || {
        browser.go_to(&receipt).await?;
        text = browser.text("#app").await?.unwrap_or_default();
        Ok(text.contains("In the merchant's wallet"))
    })
    .await?;
    assert_eq!(links(&browser, ".receipt a[href^='https://explorer']").await?, json!([explorer]), "it is said once");
    for part in [&invoice.invoice_id, &signature, &payer, &"USDC on Solana".to_owned(), &"1 USDC = $1.00".to_owned()] {
        assert!(text.contains(part.as_str()), "{part}: {text}");
    }
    assert_eq!(browser.console().await?, Vec::<String>::new());
    Ok(())
}

fn on_solana(scene: &Scene) -> Outcome<&SolanaNetwork> {
    scene.stage.solana.as_ref().ok_or_else(|| Failure::new("there is no Solana"))
}

/// What somebody who has an address and no request tells a wallet, but for the amount.
fn plain(solana: &SolanaNetwork, address: &str) -> String {
    format!("solana:{address}?spl-token={}", solana.mint)
}

async fn links(browser: &Browser, selector: &str) -> Outcome<Value> {
    let script = "return Array.from(document.querySelectorAll(arguments[0]), (link) => link.href)";
    browser.script(script, json!([selector])).await
}

async fn address_code(browser: &Browser, page: &CheckoutPage<'_>) -> Outcome<String> {
    browser.click("label[for=from-exchange]").await?;
    page.scan_text(".qr--address").await
}

async fn pick_wallet(browser: &Browser, name: &str) -> Outcome {
    let script = "const choice = document.querySelector('.wallet__choice');
        choice.value = arguments[0];
        choice.dispatchEvent(new Event('change', { bubbles: true }));
        return choice.value";
    let picked = browser.script(script, json!([name])).await?;
    if picked == Value::String(name.to_owned()) { Ok(()) } else { Err(Failure::new(format!("there is no {name}"))) }
}
