//! What a payer is told about a text that was copied: no more than the browser let the page see.

use demo::stage::Merchant;
use e2e::{checkout_page::CheckoutPage, chromium::Browser, outcome::Outcome, scene::Scene};
use serde_json::{Value, json};

use crate::{
    on_shared_scene,
    visit::{Visit, at_a_desk, until},
};

const COPY_ADDRESS: &str = ".fact:nth-child(3) .copy";
const LABEL: &str = "Copy address";
const COPIED: &str = "Copied";
const COMPARE: &str = "Please compare after pasting";
const PRESS: &str = "Selected: press Ctrl+C or ⌘C";

/// What browsers have been seen to do inside frames.
const WRITES_NOTHING: &str = "navigator.clipboard.writeText = () => Promise.resolve();";

const SELECTED: &str = "return getSelection().toString().replace(/\\s/g, '')";

async fn page_that_asks<'b>(scene: &Scene, browser: &'b Browser, merchant: &Merchant) -> Outcome<CheckoutPage<'b>> {
    let (network, token) = scene.token("base", "USDC")?;
    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    page.choose(network.name, token.id).await?;
    Ok(page)
}

/// Presses the button under the address; what it says then, and what is selected on the page.
async fn copy(browser: &Browser, label: &str) -> Outcome<(String, String)> {
    browser.script("getSelection().removeAllRanges()", json!([])).await?;
    browser.click(COPY_ADDRESS).await?;
    let mut said = String::new();
    until("the button to say what came of it", async || {
        said = browser.text(COPY_ADDRESS).await?.unwrap_or_default();
        Ok(said != label)
    })
    .await?;
    let selected = browser.script(SELECTED, json!([])).await?;
    Ok((said, selected.as_str().unwrap_or_default().to_owned()))
}

#[test]
fn a_copy_that_can_be_read_back_is_called_copied() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let page = page_that_asks(scene, &browser, &merchant).await?;
        browser.permit("clipboard-read", true).await?;
        let address = page.asked().await?.address;
        assert_eq!(copy(&browser, LABEL).await?, (COPIED.to_owned(), String::new()));
        let held = browser.script_later("navigator.clipboard.readText().then(arguments[0], arguments[0])").await?;
        assert_eq!(held, Value::String(address));
        Ok(())
    });
}

#[test]
fn a_copy_that_cannot_be_read_back_is_selected_and_the_payer_compares() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let page = page_that_asks(scene, &browser, &merchant).await?;
        let address = page.asked().await?.address;
        // As it is, the browser would ask the payer first.
        assert_eq!(copy(&browser, LABEL).await?, (COMPARE.to_owned(), address.clone()));

        browser.permit("clipboard-read", false).await?;
        let arabic = browser.address().await?.replace("lang=en", "lang=ar");
        browser.go_to(&arabic).await?;
        page.is_live().await?;
        assert_eq!(copy(&browser, "نسخ العنوان").await?, ("قارن من فضلك بعد اللصق".to_owned(), address));
        Ok(())
    });
}

#[test]
fn a_copy_that_the_browser_only_claims_is_not_called_copied() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let page = page_that_asks(scene, &browser, &merchant).await?;
        let address = page.asked().await?.address;
        browser.script(WRITES_NOTHING, json!([])).await?;
        assert_eq!(copy(&browser, LABEL).await?, (COMPARE.to_owned(), address.clone()));

        browser.reload().await?;
        page.is_live().await?;
        browser.permit("clipboard-read", true).await?;
        browser.script(WRITES_NOTHING, json!([])).await?;
        assert_eq!(copy(&browser, LABEL).await?, (PRESS.to_owned(), address));
        Ok(())
    });
}

#[test]
fn a_copy_in_a_shop_s_frame_is_never_called_copied() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let visit = Visit::buy(&browser, &merchant).await?;
        let address = visit.choose(scene, "base", "USDC").await?.recipient.to_string();
        let compared = (COMPARE.to_owned(), address.clone());
        assert_eq!(copy(&browser, LABEL).await?, compared);
        until("the outcome to be over", async || Ok(browser.text(COPY_ADDRESS).await?.as_deref() == Some(LABEL)))
            .await?;
        browser.script(WRITES_NOTHING, json!([])).await?;
        assert_eq!(copy(&browser, LABEL).await?, compared);
        Ok(())
    });
}
