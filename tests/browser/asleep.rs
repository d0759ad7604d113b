//! Phones that sleep while the wallet is open, and networks that go away.

use std::time::{Duration, Instant};

use demo::stage::Merchant;
use e2e::{
    checkout_page::CheckoutPage,
    chromium::{Browser, NARROW, Scheme},
    outcome::Outcome,
    payment_request::PaymentRequest,
    scene::Scene,
};
use serde_json::{Value, json};
use wire::invoice::InvoiceStatus;

use crate::{
    on_shared_scene,
    visit::{Visit, at_a_desk, until},
};

/// How long the phone sleeps after the payment counted: `PEPAY_FROZEN_SECONDS`, else not at all. In five minutes the quote
/// lapses and the server closes the socket.
pub fn asleep() -> Duration {
    let seconds = std::env::var("PEPAY_FROZEN_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// A page that asks for a payment on a network and will be known again, and what it asks for.
async fn asked<'b>(
    scene: &Scene,
    browser: &'b Browser,
    merchant: &Merchant,
    network: &str,
) -> Outcome<(CheckoutPage<'b>, PaymentRequest)> {
    let (network, token) = scene.token(network, "USDC")?;
    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    page.remember().await?;
    page.choose(network.name, token.id).await?;
    let request = page.scan_request().await?;
    Ok((page, request))
}

/// Waits until the merchant's newest order is paid.
async fn counts(merchant: &Merchant) -> Outcome {
    let api = e2e::ApiClient::new(&merchant.api.url, &merchant.api.key);
    let invoice = merchant.shop.orders().pop().map(|order| order.invoice_id).unwrap_or_default();
    until("the payment to count", async || Ok(api.invoice_status(&invoice).await.invoice.status == InvoiceStatus::Paid))
        .await
}

/// No timer runs, so nothing is polled, and no socket is ever found.
const DEAF: &str = "
    window.asked = 0;
    window.setInterval = () => 0;
    const ask = window.fetch;
    window.fetch = (what, ...rest) => {
        if (what === '/pay/snapshot') window.asked += 1;
        return String(what).endsWith('/stream-token') ? new Promise(() => {}) : ask(what, ...rest);
    };";

/// Opens a page that hears of nothing by itself, pays, and lets one thing happen to the page.
#[track_caller]
fn asks_at_once_after(event: &str) {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.before_each_page(DEAF).await?;
        let (page, request) = asked(scene, &browser, &merchant, "base").await?;
        scene.pay(&request).await?;
        counts(&merchant).await?;
        let arrival = "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }))";
        browser.script(arrival, json!([])).await?;
        assert_eq!(browser.script("return window.asked", json!([])).await?, json!(0), "nothing else makes it ask");
        assert_ne!(page.heading().await?, "Paid");

        browser.script(event, json!([])).await?;
        assert_eq!(browser.script("return window.asked", json!([])).await?, Value::from(1), "it asks at once");
        page.says("Paid").await
    });
}

#[test]
fn a_page_that_comes_into_sight_again_asks_at_once() {
    asks_at_once_after("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))");
}

#[test]
fn a_page_that_is_gone_back_to_asks_at_once() {
    asks_at_once_after("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
}

#[test]
fn a_page_whose_network_is_back_asks_at_once() {
    asks_at_once_after("window.dispatchEvent(new Event('online'))");
}

#[test]
fn a_phone_that_slept_while_the_payment_landed_wakes_to_paid() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let browser = scene.chromium.open(NARROW, Scheme::Light).await?;
        browser.be_a_phone(NARROW).await?;
        let (page, request) = asked(scene, &browser, &merchant, "base").await?;
        let is_phone = "return [matchMedia('(pointer: coarse)').matches, navigator.maxTouchPoints, innerWidth]";
        assert_eq!(browser.script(is_phone, json!([])).await?, json!([true, 5, NARROW.width]));

        browser.freeze().await?;
        scene.pay(&request).await?;
        counts(&merchant).await?;
        tokio::time::sleep(asleep()).await;
        browser.thaw().await?;

        let woken = Instant::now();
        page.says("Paid").await?;
        let (slept, took) = (asleep().as_secs(), woken.elapsed().as_millis());
        println!(
            "figure: frozen for {slept} s after the payment counted, the page said Paid {took} ms after it was shown again"
        );
        assert!(page.is_the_same().await?, "the page recovered by itself");
        Ok(())
    });
}

#[test]
fn a_page_without_a_network_says_so_and_catches_up() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (page, request) = asked(scene, &browser, &merchant, "ethereum").await?;

        browser.be_offline(true).await?;
        page.shows("No connection. What you see may be out of date.").await?;
        assert_eq!(page.scan_request().await?, request, "what is asked for stays");
        scene.pay(&request).await?;
        browser.be_offline(false).await?;

        page.says("Paid").await?;
        assert!(page.is_the_same().await?, "the page recovered by itself");
        Ok(())
    });
}

#[test]
fn a_page_whose_session_is_refused_asks_for_nothing_any_more() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let browser = scene.chromium.open(NARROW, Scheme::Light).await?;
        let visit = Visit::buy(&browser, &merchant).await?;
        visit.choose(scene, "base", "USDC").await?;
        let refuse = "const real = window.fetch;
            window.fetch = (url, ...rest) => String(url).startsWith('/pay/snapshot')
                ? Promise.resolve(new Response('{}', { status: 401 })) : real(url, ...rest);";
        browser.script(refuse, json!([])).await?;
        visit.page.says("This page is no longer valid").await?;
        assert!(!browser.draws(".qr").await?, "there is no code left to scan");
        Ok(())
    });
}
