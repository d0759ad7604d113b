//! Text of merchants and payers that would like to be more than text, and the policy that would not let it.

use alloy_primitives::U256;
use e2e::{
    checkout_page::CheckoutPage, chromium::Browser, outcome::Outcome, payment_request::PaymentRequest, scene::Scene,
};
use serde_json::{Value, json};
use wire::invoice::CreatedInvoice;

use crate::{
    on_shared_scene,
    visit::{SHOP, at_a_desk, create_invoice, until},
};

/// What would like to be code, in every way that pages are tricked into.
const HOSTILE: [&str; 12] = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "\"><svg onload=\"window.ran = 1\">",
    "'><iframe srcdoc='<script>parent.ran = 1</script>'>",
    "<!--><script>window.ran = 1</script>-->",
    "javascript:window.ran = 1",
    "{{constructor.constructor('window.ran = 1')()}}",
    "</title><script>window.ran = 1</script>",
    "</style><style>*{display:none}</style>",
    "\u{2028}</textarea><details open ontoggle='window.ran = 1'>",
    "<a href='javascript:window.ran = 1' id=app>x</a>",
];

/// Opens every page that shows text of merchants and payers, up to what is to be paid, and looks whether any of it ran.
async fn asked<'b>(
    scene: &Scene,
    browser: &'b Browser,
    text: &str,
    shown: &str,
) -> Outcome<(CheckoutPage<'b>, CreatedInvoice, String)> {
    let email = format!("{}@x.example", text.replace(char::is_whitespace, "/"));
    let merchant = scene.add_merchant_called(text, &email).await?;
    let question = json!({ "id": "q", "question": text, "type": "text" });
    let members = json!({
        "description": text,
        "invoice_title": text,
        "invoice_footer": text,
        "customer_id": text,
        "questions": { "questions": [question] },
        "payment_return_url": "https://shop.example/'%22%3E%3Cscript%3E",
    });
    let invoice = create_invoice(&merchant, members).await?;
    let page = CheckoutPage::open(browser, &invoice.payment_url).await?;
    page.shows(shown).await?;
    browser.type_into("#answer-0", &text.replace('\u{2028}', "")).await?;
    let fake = "const field = document.getElementById('email'); field.type = 'text'; field.value = arguments[0]";
    browser.script(fake, json!([text])).await?;
    browser.click(".form button").await?;
    page.shows("not an e-mail address").await?;
    did_not_run(browser, text).await?;
    browser.script("document.getElementById('email').value = ''", json!([])).await?;
    browser.click(".form button").await?;
    page.is_live().await?;
    page.shows(shown).await?;
    did_not_run(browser, text).await?;
    let (network, token) = scene.token("base", "USDC")?;
    page.choose(network.name, token.id).await?;
    did_not_run(browser, text).await?;
    // Drawn by the server, too.
    browser.reload().await?;
    did_not_run(browser, text).await?;
    page.is_live().await?;
    page.shows(shown).await?;
    did_not_run(browser, text).await?;
    Ok((page, invoice, merchant.api.url))
}

/// All of them, several at a time, on every page there is until it is paid and after.
async fn nothing_runs(scene: &Scene, browser: &Browser) -> Outcome {
    for texts in HOSTILE.chunks(4) {
        let text = &texts.join(" ");
        let (page, invoice, url) = asked(scene, browser, text, texts[0]).await?;
        let request = page.scan_request().await?;
        let query = invoice.payment_url.split_once('?').map_or("", |(_, query)| query);
        for path in ["help", "receipt", "choose", "nothing"] {
            browser.go_to(&format!("{url}/pay/{path}?{query}")).await?;
            did_not_run(browser, text).await?;
        }
        let mut broken = url::Url::parse(&format!("{url}/pay"))?;
        broken.query_pairs_mut().append_pair("session", text).append_pair("signature", text).append_pair("lang", text);
        browser.go_to(broken.as_str()).await?;
        did_not_run(browser, text).await?;

        let page = CheckoutPage::open(browser, &invoice.payment_url).await?;
        page.is_live().await?;
        scene.pay(&request).await?;
        page.says("Paid").await?;
        page.shows(texts[0]).await?;
        did_not_run(browser, text).await?;
        browser.go_to(&format!("{url}/pay/receipt?{query}")).await?;
        page.says("Receipt").await?;
        page.shows(texts[0]).await?;
        did_not_run(browser, text).await?;
    }
    Ok(())
}

/// Each by itself, so that none is hidden by what stands before it.
async fn none_runs_alone(scene: &Scene, browser: &Browser) -> Outcome {
    for text in HOSTILE {
        // What is at the ends is not kept, and what breaks lines is no matter here.
        let shown = text.trim_start_matches('\u{2028}');
        asked(scene, browser, text, shown).await?;
    }
    Ok(())
}

async fn did_not_run(browser: &Browser, text: &str) -> Outcome {
    let ran = browser.script("return window.ran ?? null", json!([])).await?;
    assert_eq!(ran, Value::Null, "{text} ran");
    assert!(browser.draws("body").await?, "{text} hid the page");
    Ok(())
}

/// Pages about something that went wrong are sent with the status that says so.
async fn broke_no_policy(browser: &Browser) -> Outcome {
    let console = browser.console().await?;
    let broken: Vec<_> = console.iter().filter(|line| !line.contains("Failed to load resource")).collect();
    assert!(broken.is_empty(), "{broken:?}");
    Ok(())
}

#[test]
fn text_of_merchants_and_payers_never_runs_and_breaks_no_policy() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        nothing_runs(scene, &browser).await?;
        broke_no_policy(&browser).await
    });
}

#[test]
fn text_of_merchants_and_payers_never_runs_though_no_policy_forbids_it() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        browser.ignore_policies().await?;
        nothing_runs(scene, &browser).await
    });
}

#[test]
fn no_text_runs_by_itself_either_nor_breaks_a_policy() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        none_runs_alone(scene, &browser).await?;
        broke_no_policy(&browser).await
    });
}

#[test]
fn no_text_runs_by_itself_either_though_no_policy_forbids_it() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        browser.ignore_policies().await?;
        none_runs_alone(scene, &browser).await
    });
}

/// What the tests above look for is there to be seen, if a page takes text for markup.
#[test]
fn text_that_is_taken_for_markup_runs_unless_the_policy_forbids_it() {
    on_shared_scene(async |scene| {
        let order = scene.add_merchant().await?.shop.create_order().await?;
        let take = "document.body.insertAdjacentHTML('beforeend', arguments[0])";
        let ran = "return window.ran ?? null";
        for text in [HOSTILE[2], HOSTILE[4], HOSTILE[10]] {
            let browser = at_a_desk(scene).await?;
            CheckoutPage::open(&browser, &order.payment_url).await?.is_live().await?;
            let refusal = browser.script(take, json!([text])).await.expect_err("the policy forbids it").to_string();
            assert!(refusal.contains("TrustedHTML"), "{refusal}");
            did_not_run(&browser, text).await?;

            browser.ignore_policies().await?;
            CheckoutPage::open(&browser, &order.payment_url).await?.is_live().await?;
            browser.script(take, json!([text])).await?;
            until(&format!("{text} to run"), async || Ok(browser.script(ran, json!([])).await? == json!(1))).await?;
        }
        Ok(())
    });
}

/// Draws every page anew instead of taking over what the server drew, so that each state is built by scripts.
pub const MOUNT: &str = "document.addEventListener('readystatechange', () => {
    const app = document.getElementById('app');
    if (document.readyState === 'interactive' && app) app.dataset.mode = 'mount';
});";

#[test]
fn every_state_that_scripts_draw_keeps_to_trusted_types_and_inline_styles_are_nowhere() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.before_each_page(MOUNT).await?;
        let (network, token) = scene.token("base", "USDC")?;

        // Choose, pay, a part, the rest, paid.
        let paid = create_invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
        let page = CheckoutPage::open(&browser, &paid.payment_url).await?;
        page.is_live().await?;
        assert!(browser.find("#app[data-mode=mount]").await?.is_some(), "the page was drawn anew");
        page.choose(network.name, token.id).await?;
        page.has_computed_the_address().await?;
        let whole = page.scan_request().await?;
        let half = whole.amount / U256::from(2);
        scene.pay(&PaymentRequest { amount: half, ..whole }).await?;
        page.shows("Still to pay").await?;
        page.asks_for_payment().await?;
        has_no_inline_styles(&browser).await?;
        scene.pay(&page.scan_request().await?).await?;
        page.says("Paid").await?;
        page.shows("You will be taken there in").await?;
        browser.click(".after button").await?;
        has_no_inline_styles(&browser).await?;

        // Choose again, and something that meddles with the address.
        let stopped = create_invoice(&merchant, json!({})).await?;
        let page = CheckoutPage::open(&browser, &stopped.payment_url).await?;
        page.is_live().await?;
        page.choose(network.name, token.id).await?;
        browser.click(".change").await?;
        page.says("How would you like to pay?").await?;
        page.confirm_choice().await?;
        browser.script("document.getElementById('address').textContent = '0x'", json!([])).await?;
        page.says("Do not pay").await?;
        has_no_inline_styles(&browser).await?;

        // Time is up, expired.
        let expired = create_invoice(&merchant, json!({ "expires_in": 6_000 })).await?;
        let page = CheckoutPage::open(&browser, &expired.payment_url).await?;
        page.is_live().await?;
        page.choose(network.name, token.id).await?;
        page.says("Expired").await?;
        has_no_inline_styles(&browser).await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

pub async fn has_no_inline_styles(browser: &Browser) -> Outcome {
    let count = browser.script("return document.querySelectorAll('[style]').length", json!([])).await?;
    assert_eq!(count, json!(0));
    Ok(())
}
