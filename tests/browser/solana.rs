//! A payment on Solana, from the shop's button to the merchant's wallet: the page's code is read from a picture, understood
//! by a parser that shares no code with what wrote it, and paid by what wallets are made of.

use std::time::Duration;

use demo::{shop::OrderState, stage::CUSTOMER_ON_SOLANA};
use e2e::{
    ApiClient,
    checkout_page::CheckoutPage,
    chromium::{Browser, Scheme, WIDE},
    outcome::{Failure, Outcome},
    scene::Scene,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use wire::invoice::InvoiceStatus;

use crate::{first_frame::sent_bytes, judge, visit::Visit};

/// The most that the first frame may weigh, in bytes, also where a shop has no account for the token yet, which one more
/// sentence says.
const FIRST_FRAME: usize = 8_000;
/// As in the demo's configuration.
const TOKEN: u64 = 501;

#[test]
fn what_the_code_asks_for_on_solana_reaches_the_merchant() {
    let runtime = Runtime::new().expect("the system gives a runtime");
    let scene = runtime.block_on(Scene::set_with_solana()).unwrap_or_else(|failure| panic!("no scene: {failure}"));
    let result = runtime.block_on(async {
        let visit = async {
            reaches_the_merchant(&scene).await?;
            a_wallet_gets_the_code_that_it_reads(&scene).await
        };
        tokio::time::timeout(Duration::from_secs(200), visit).await
    });
    judge(result.ok(), &scene);
}

async fn reaches_the_merchant(scene: &Scene) -> Outcome {
    let solana = scene.stage.solana.as_ref().ok_or_else(|| Failure::new("there is no Solana"))?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let (asked, uri) = (visit.page.asked().await?, visit.page.scan_text(".qr--request").await?);
    let read = solana.chain.parse(&uri).await?;
    let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((text("recipient"), text("amount"), text("mint")), (asked.address, asked.amount, solana.mint.clone()));
    assert_eq!(read["references"].as_array().map(Vec::len), Some(1));
    visit.page.shows("The last digits are there so that your payment is known as yours").await?;
    visit.page.shows("about 0.002 SOL").await?;
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

/// The shop has an account by now, and one wallet opens no request, another none with a mark.
async fn a_wallet_gets_the_code_that_it_reads(scene: &Scene) -> Outcome {
    let solana = scene.stage.solana.as_ref().ok_or_else(|| Failure::new("there is no Solana"))?;
    let (merchant, browser) = (scene.add_merchant().await?, scene.chromium.open(WIDE, Scheme::Light).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    visit.page.choose("solana", TOKEN).await?;
    let address = browser.script("return location.href", serde_json::json!([])).await?;
    let sent = sent_bytes(address.as_str().unwrap_or_default()).await?;
    println!("first frame as sent: {sent} bytes to pay on Solana");
    assert!(sent <= FIRST_FRAME, "{sent} bytes");
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

async fn address_code(browser: &Browser, page: &CheckoutPage<'_>) -> Outcome<String> {
    browser.click("label[for=from-exchange]").await?;
    page.scan_text(".qr--address").await
}

async fn pick_wallet(browser: &Browser, name: &str) -> Outcome {
    let script = "const choice = document.querySelector('.wallet__choice');
        choice.value = arguments[0];
        choice.dispatchEvent(new Event('change', { bubbles: true }));
        return choice.value";
    let picked = browser.script(script, serde_json::json!([name])).await?;
    if picked == Value::String(name.to_owned()) { Ok(()) } else { Err(Failure::new(format!("there is no {name}"))) }
}
