//! What stands around paying: questions, help, the way back and the receipt; and text of merchants and payers that would like
//! to be more than text.

use alloy_primitives::U256;
use demo::stage::Merchant;
use e2e::{
    ApiClient, TestFolder,
    checkout_page::CheckoutPage,
    chromium::{Browser, NARROW, Scheme},
    outcome::Outcome,
    payment_request::PaymentRequest,
    scene::Scene,
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

use crate::{
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// Where nobody answers; that the browser goes there is what counts.
const SHOP: &str = "https://127.0.0.1:44399/thanks?order=7&x=%3Cb%3E";

async fn invoice(merchant: &Merchant, members: Value) -> Outcome<CreatedInvoice> {
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let mut request = json!({ "amount_usd": 24.9 });
    request.as_object_mut().expect("an object").append(&mut members.as_object().cloned().unwrap_or_default());
    Ok(api.try_create_invoice(Uuid::new_v4(), &request).await?.good())
}

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

#[test]
fn questions_come_first_and_need_no_script() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let browser = scene.chromium.open(NARROW, Scheme::Light).await?;
        browser.forbid_scripts().await?;
        let invoice = invoice(&merchant, questions()).await?;

        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        assert!(page.heading().await?.ends_with("would like to know"), "{}", page.heading().await?);
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
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let invoice = invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        pay(scene, &page).await?;
        page.shows("You will be taken there in").await?;
        until("the browser to be at the shop's page", async || Ok(browser.address().await? == SHOP)).await
    });
}

#[test]
fn a_payer_who_would_rather_stay_stays_and_finds_the_receipt() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let invoice = invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        pay(scene, &page).await?;
        page.shows("You will be taken there in").await?;
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
        let invoice = invoice(&merchant, json!({})).await?;
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

/// Text and ground of what a brand colours, as the browser draws them.
const COLOURS: &str = "
    const rgb = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/^rgba.* 0\\)$/.test(color)) return rgb(color);
        }
        return [255, 255, 255];
    };
    return ['.button', '.contact a', '.network'].map((selector) => {
        const element = document.querySelector(selector);
        return [rgb(getComputedStyle(element).color), ground(element)];
    });";

/// WCAG's contrast of two colours.
fn contrast(one: &Value, other: &Value) -> f64 {
    let luminance = |color: &Value| {
        let part = |place: usize| {
            let part = color[place].as_f64().unwrap_or_default() / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn a_merchants_colour_and_logo_are_on_the_page_and_every_text_can_be_read() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let folder = TestFolder::new();
        let logo = folder.path().join("logo.png");
        image::RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 60])).save(&logo)?;
        let invoice = invoice(&merchant, json!({})).await?;
        for color in ["#ffee00", "#101010", "#c81e3c"] {
            scene.stage.set_brand(&merchant, color, &logo)?;
            for scheme in [Scheme::Light, Scheme::Dark] {
                let browser = scene.chromium.open(NARROW, scheme).await?;
                let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
                page.is_live().await?;
                let drawn = "const logo = document.querySelector('.logo'); return [logo.naturalWidth, logo.getBoundingClientRect().width]";
                assert_eq!(browser.script(drawn, json!([])).await?, json!([64, 40]));
                for pair in browser.script(COLOURS, json!([])).await?.as_array().into_iter().flatten() {
                    let contrast = contrast(&pair[0], &pair[1]);
                    assert!(4.5 <= contrast, "{color} {scheme:?}: {pair} is {contrast}");
                }
                assert_eq!(browser.console().await?, Vec::<String>::new());
            }
        }
        Ok(())
    });
}

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

/// Opens every page that shows text of merchants and payers, and looks whether any of it ran.
async fn nothing_runs(scene: &Scene, browser: &Browser) -> Outcome {
    let merchant = scene.add_merchant().await?;
    for texts in HOSTILE.chunks(4) {
        let text = &texts.join(" ");
        let question = json!({ "id": "q", "question": text, "type": "text" });
        let members = json!({
            "description": text,
            "invoice_title": text,
            "invoice_footer": text,
            "customer_id": text,
            "questions": { "questions": [question] },
            "payment_return_url": "https://shop.example/'%22%3E%3Cscript%3E",
        });
        let invoice = invoice(&merchant, members).await?;
        let page = CheckoutPage::open(browser, &invoice.payment_url).await?;
        page.shows(texts[0]).await?;
        browser.type_into("#answer-0", &text.replace('\u{2028}', "")).await?;
        let fake = "const field = document.getElementById('email'); field.type = 'text'; field.value = arguments[0]";
        browser.script(fake, json!([text])).await?;
        browser.click(".form button").await?;
        page.shows("not an e-mail address").await?;
        did_not_run(browser, text).await?;
        browser.script("document.getElementById('email').value = ''", json!([])).await?;
        browser.click(".form button").await?;
        page.is_live().await?;
        did_not_run(browser, text).await?;

        let query = invoice.payment_url.split_once('?').map_or("", |(_, query)| query);
        let url = &merchant.api.url;
        for path in ["help", "receipt", "choose", "nothing"] {
            browser.go_to(&format!("{url}/pay/{path}?{query}")).await?;
            did_not_run(browser, text).await?;
        }
        let mut broken = url::Url::parse(&format!("{url}/pay"))?;
        broken.query_pairs_mut().append_pair("session", text).append_pair("signature", text).append_pair("lang", text);
        browser.go_to(broken.as_str()).await?;
        did_not_run(browser, text).await?;
    }
    Ok(())
}

async fn did_not_run(browser: &Browser, text: &str) -> Outcome {
    let ran = browser.script("return window.ran ?? null", json!([])).await?;
    assert_eq!(ran, Value::Null, "{text} ran");
    assert!(browser.draws("body").await?, "{text} hid the page");
    Ok(())
}

#[test]
fn text_of_merchants_and_payers_never_runs_and_breaks_no_policy() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        nothing_runs(scene, &browser).await?;
        let console = browser.console().await?;
        // Pages about something that went wrong are sent with the status that says so.
        let broken: Vec<_> = console.iter().filter(|line| !line.contains("Failed to load resource")).collect();
        assert!(broken.is_empty(), "{broken:?}");
        Ok(())
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

/// Draws every page anew instead of taking over what the server drew, so that each state is built by scripts.
const MOUNT: &str = "document.addEventListener('readystatechange', () => {
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
        let paid = invoice(&merchant, json!({ "payment_return_url": SHOP })).await?;
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
        let stopped = invoice(&merchant, json!({})).await?;
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
        let expired = invoice(&merchant, json!({ "expires_in": 6_000 })).await?;
        let page = CheckoutPage::open(&browser, &expired.payment_url).await?;
        page.is_live().await?;
        page.choose(network.name, token.id).await?;
        page.says("Expired").await?;
        has_no_inline_styles(&browser).await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

async fn has_no_inline_styles(browser: &Browser) -> Outcome {
    let count = browser.script("return document.querySelectorAll('[style]').length", json!([])).await?;
    assert_eq!(count, json!(0));
    Ok(())
}
