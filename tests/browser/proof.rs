//! The proof of address: what the payer's own browser computes and compares, and what a page does that was tampered with.

use e2e::{checkout_page::CheckoutPage, chromium::Browser, outcome::Outcome, scene::Scene};
use serde_json::json;

use crate::{
    on_shared_scene,
    tampering_proxy::{Forgery, Reach, TamperingProxy},
    visit::at_a_desk,
};

/// Where somebody would like the money to go.
const THIEF: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

#[test]
fn the_payers_browser_computes_the_address_from_the_merchants_wallet() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "USDC")?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        page.choose(network.name, token.id).await?;
        page.shows(&format!(
            "This address was computed from wallet {} and a contract that can only pay that wallet; no key exists.",
            merchant.wallet
        ))
        .await?;
        page.has_computed_the_address().await?;
        // It goes on to be compared, and stays right.
        let request = page.scan_request().await?;
        scene.pay(&request).await?;
        page.says("Paid").await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Opens the page with a quote through a proxy that is about to forge, and gives the address that is forged.
async fn opened<'b>(
    scene: &Scene,
    browser: &'b Browser,
    reach: Option<Reach>,
) -> Outcome<(CheckoutPage<'b>, TamperingProxy, String)> {
    let merchant = scene.add_merchant().await?;
    let (network, token) = scene.token("ethereum", "USDC")?;
    let order = merchant.shop.create_order().await?;
    let server = merchant.api.url.trim_start_matches("http://").to_owned();
    let proxy = TamperingProxy::start(server.parse()?).await?;
    let url = order.payment_url.replace(&server, &proxy.address.to_string());

    let page = CheckoutPage::open(browser, &url).await?;
    page.is_live().await?;
    page.choose(network.name, token.id).await?;
    page.has_computed_the_address().await?;
    let address = page.asked().await?.address;
    if let Some(reach) = reach {
        proxy.forge(Forgery { before: address.clone(), after: THIEF.to_owned(), reach });
        browser.reload().await?;
    }
    Ok((page, proxy, address))
}

/// Neither the forged address nor the true one is to be paid any more, by eye, camera or link.
async fn has_stopped(page: &CheckoutPage<'_>, browser: &Browser, address: &str) -> Outcome {
    page.says("Do not pay").await?;
    for selector in [".qr", "#address", ".ways a"] {
        assert!(browser.find(selector).await?.is_none(), "{selector} is gone");
    }
    let text = browser.text("#app").await?.unwrap_or_default();
    for gone in [THIEF, address] {
        assert!(!text.contains(gone), "{gone} is not shown: {text}");
    }
    page.shows("The address here is not the one that belongs to this payment.").await
}

#[test]
fn an_address_swapped_in_all_that_the_server_says_stops_the_page() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let (page, _proxy, address) = opened(scene, &browser, Some(Reach::Everything)).await?;
        has_stopped(&page, &browser, &address).await
    });
}

#[test]
fn an_address_swapped_in_the_markup_alone_stops_the_page() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let (page, _proxy, address) = opened(scene, &browser, Some(Reach::Markup)).await?;
        has_stopped(&page, &browser, &address).await
    });
}

#[test]
fn an_address_swapped_in_a_later_answer_stops_the_page() {
    on_shared_scene(async |scene| {
        let browser = at_a_desk(scene).await?;
        let (page, proxy, address) = opened(scene, &browser, None).await?;
        proxy.forge(Forgery { before: address.clone(), after: THIEF.to_owned(), reach: Reach::Everything });
        // As a payer does who comes back to the page, which then asks how things are.
        browser.script("window.dispatchEvent(new Event('online'))", json!([])).await?;
        has_stopped(&page, &browser, &address).await
    });
}

#[test]
fn an_address_swapped_by_something_in_the_browser_stops_the_page() {
    const SWAPS: [&str; 4] = [
        // The text, as those do that look for addresses; the code, by both that make it; and the link to a wallet.
        "document.getElementById('address').textContent = arguments[0]",
        "const [one, other] = document.querySelectorAll('.qr path'); one.setAttribute('d', other.getAttribute('d'))",
        "const [one, other] = document.querySelectorAll('.qr path');
         one.setAttribute('stroke-dasharray', other.getAttribute('stroke-dasharray'))",
        "const link = document.querySelector('.ways a'); link.href = link.href.replace(arguments[1], arguments[0])",
    ];
    on_shared_scene(async |scene| {
        for swap in SWAPS {
            let browser = at_a_desk(scene).await?;
            let (page, _proxy, address) = opened(scene, &browser, None).await?;
            browser.script(swap, json!([THIEF, address])).await?;
            has_stopped(&page, &browser, &address).await?;
        }
        Ok(())
    });
}
