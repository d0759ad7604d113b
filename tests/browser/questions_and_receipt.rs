//! What comes before and after paying: questions, help, the way back and the receipt.

use e2e::{
    ApiClient,
    checkout_page::CheckoutPage,
    chromium::{Browser, NARROW, Scheme},
    outcome::Outcome,
    scene::Scene,
};
use serde_json::{Value, json};
use wire::invoice::CreatedInvoice;

use crate::{
    on_shared_scene,
    visit::{SHOP, at_a_desk, create_invoice, until},
};

fn questions() -> Value {
    let question = |id: &str, text: &str, kind: &str| json!({ "id": id, "question": text, "type": kind, "validation": { "required": true } });
    json!({ "questions": { "questions": [question("glaze", "Which glaze?", "text"), question("n", "How many?", "number")] } })
}

/// Pays whatever the page asks for.
async fn pay(scene: &Scene, page: &CheckoutPage<'_>) -> Outcome {
    let (network, token) = scene.token("base", "USDC")?;
    page.choose(network.name, token.id).await?;
    let request = page.scan_request().await?;
    scene.pay(&request).await?;
    page.says("Paid").await
}

/// A page that has just seen its payment, and is about to go to the shop.
async fn paid_with_a_way_back<'b>(scene: &Scene, browser: &'b Browser) -> Outcome<(CheckoutPage<'b>, CreatedInvoice)> {
    let merchant = scene.add_merchant().await?;
    let invoice = create_invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
    let page = CheckoutPage::open(browser, &invoice.payment_url).await?;
    page.is_live().await?;
    pay(scene, &page).await?;
    page.shows("You will be taken there in").await?;
    Ok((page, invoice))
}

#[test]
fn questions_come_first_and_need_no_script() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let browser = scene.chromium.open(NARROW, Scheme::Light).await?;
        browser.forbid_scripts().await?;
        let invoice = create_invoice(&merchant, questions()).await?;

        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        assert!(page.heading().await?.starts_with("A few questions from"), "{}", page.heading().await?);
        browser.type_into("#answer-0", "Sage & \"salt\"").await?;
        browser.type_into("#answer-1", "seven").await?;
        browser.type_into("#email", "anna@mail.example").await?;
        browser.click(".form button").await?;
        page.shows("Please write a number").await?;
        let kept = "return ['answer-0', 'answer-1', 'email'].map((id) => document.getElementById(id).value)";
        let expected = json!(["Sage & \"salt\"", "seven", "anna@mail.example"]);
        assert_eq!(browser.script(kept, json!([])).await?, expected, "nothing is lost");

        browser.type_into("#answer-1", "7").await?;
        browser.click(".form button").await?;
        page.says("How would you like to pay?").await?;
        let (network, token) = scene.token("base", "USDC")?;
        page.choose(network.name, token.id).await?;

        let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
        let now = api.invoice(&invoice.invoice_id).await;
        let responses = now.responses.unwrap_or_default();
        assert_eq!(
            responses.iter().map(|answer| answer.response.as_str()).collect::<Vec<_>>(),
            ["Sage & \"salt\"", "7"]
        );
        assert_eq!(now.customer_email.as_deref(), Some("anna@mail.example"));
        Ok(())
    });
}

#[test]
fn the_page_goes_back_to_the_shop_by_itself_once_it_has_seen_the_payment() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let _paid = paid_with_a_way_back(scene, &browser).await?;
        until("the browser to be at the shop's page", async || Ok(browser.address().await? == SHOP)).await
    });
}

/// Lets the page's own clock jump over the time that it waits.
const LATER: &str = "const now = performance.now.bind(performance); performance.now = () => now() + 11_000;";

#[test]
fn a_page_in_a_shop_s_frame_never_leaves_by_itself() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let merchant = scene.add_merchant().await?;
        let order = merchant.shop.create_order().await?;
        let order_page = format!("{}/orders/{}", merchant.shop.url(), order.id);
        let invoice = create_invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
        browser.go_to(&order_page).await?;
        let show = "const frame = document.querySelector('iframe');
            const other = frame.cloneNode();
            other.src = arguments[0];
            frame.replaceWith(other);";
        browser.script(show, json!([invoice.payment_url])).await?;
        let page = CheckoutPage::in_frame(&browser).await?;
        page.is_live().await?;
        pay(scene, &page).await?;
        browser.script(LATER, json!([])).await?;
        // Some ticks of the page's timer later.
        browser.script_later("setTimeout(arguments[0], 2_000)").await?;
        assert!(!browser.draws(".after button").await?, "nothing counts down");
        let link = "return document.querySelector('.after .button').href";
        assert_eq!(browser.script(link, json!([])).await?, json!(SHOP), "the way back is there to be taken");
        assert_eq!(browser.script("return location.pathname", json!([])).await?, json!("/pay"));
        browser.leave_frames().await?;
        assert_eq!(browser.address().await?, order_page);

        // By itself the same page goes at once.
        let invoice = create_invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        pay(scene, &page).await?;
        page.shows("You will be taken there in").await?;
        browser.script(LATER, json!([])).await?;
        until("the browser to be at the shop's page", async || Ok(browser.address().await? == SHOP)).await
    });
}

#[test]
fn a_payer_who_would_rather_stay_stays_and_finds_the_receipt() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let (page, invoice) = paid_with_a_way_back(scene, &browser).await?;
        browser.click(".after button").await?;
        let link = "return document.querySelector('.after .button').href";
        assert_eq!(browser.script(link, json!([])).await?, json!(SHOP));

        browser.click(".after .change").await?;
        page.says("Receipt").await?;
        let receipt = browser.text("#app").await?.unwrap_or_default();
        for part in [&invoice.invoice_id, "24.9 USDC on Base", "1 USDC = $1.00", "good from", "Settlement"] {
            assert!(receipt.contains(part), "{part}: {receipt}");
        }
        browser.print_on_paper().await?;
        for selector in [".receipt__hint", ".change"] {
            assert!(!browser.draws(selector).await?, "{selector} is nothing for paper");
        }
        assert!(browser.draws(".receipt").await?, "what was paid is");
        // One that was paid when it was opened goes nowhere.
        browser.go_to(&invoice.payment_url).await?;
        page.is_live().await?;
        page.says("Paid").await?;
        assert!(!browser.draws(".after button").await?, "nothing counts down");
        Ok(())
    });
}

#[test]
fn help_looks_for_a_payment_and_shows_how_far_that_is_without_scripts() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.forbid_scripts().await?;
        let invoice = create_invoice(&merchant, json!({})).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        let (network, token) = scene.token("base", "USDC")?;
        page.choose(network.name, token.id).await?;
        let request = page.scan_request().await?;

        browser.click(".contact__help a").await?;
        page.says("I have paid, and nothing happens").await?;
        browser.type_into("#tx_hash", &format!("0x{}", "ab".repeat(32))).await?;
        browser.click(".form button").await?;
        page.shows("Looking for your payment").await?;
        // It is not this one that pays, but the search ends with what the network says of it.
        scene.pay(&request).await?;
        browser.click(".stage .change").await?;
        page.says("Paid").await
    });
}
