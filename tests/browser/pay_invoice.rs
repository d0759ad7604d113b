//! Payments from the shop's button to the merchant's wallet.

use alloy_primitives::U256;
use demo::shop::OrderState;
use e2e::{outcome::Outcome, payment_request::PaymentRequest, scene::Scene};

use crate::{
    on_shared_scene,
    visit::{Visit, at_a_desk},
};

#[test]
fn stablecoin_on_the_second_network_reaches_the_merchant() {
    on_shared_scene(async |scene| reaches_the_merchant(scene, "base", "USDC").await);
}

#[test]
fn native_coin_reaches_the_merchant() {
    on_shared_scene(async |scene| reaches_the_merchant(scene, "ethereum", "ETH").await);
}

/// Pays exactly what the code asks for and follows the money to its end.
async fn reaches_the_merchant(scene: &Scene, network: &str, symbol: &str) -> Outcome {
    let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
    let visit = Visit::buy(&browser, &merchant).await?;
    let request = visit.choose(scene, network, symbol).await?;

    let transaction = scene.pay(&request).await?;
    visit.page.says("Paid").await?;
    assert!(visit.page.is_the_same().await?, "the page followed by itself");

    visit.shop_shows(OrderState::Paid, "Paid").await?;
    visit.api_says_paid(scene, &request, transaction).await?;
    visit.reaches_the_wallet(scene, &[request]).await?;
    visit.console_is_empty().await
}

#[test]
fn half_is_shown_as_part_and_the_rest_completes_it() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let visit = Visit::buy(&browser, &merchant).await?;
        let whole = visit.choose(scene, "base", "USDT").await?;
        let half = PaymentRequest { amount: whole.amount / U256::from(2), ..whole.clone() };

        scene.pay(&half).await?;
        visit.page.shows("$12.45 of $24.90 has arrived").await?;
        visit.page.shows("Still to pay").await?;
        visit.page.asks_for_payment().await?;
        let rest = visit.page.scan_request().await?;
        assert_eq!(rest.amount, whole.amount - half.amount, "the rest and nothing else");
        assert_eq!((rest.chain_id, rest.token), (whole.chain_id, whole.token), "the first payment locks the token");
        visit.shop_shows(OrderState::PartlyPaid, "Partly paid").await?;

        let transaction = scene.pay(&rest).await?;
        browser.enter_frame("iframe").await?;
        visit.page.says("Paid").await?;
        assert!(visit.page.is_the_same().await?, "the page followed by itself");
        visit.shop_shows(OrderState::Paid, "Paid").await?;
        visit.api_says_paid(scene, &rest, transaction).await?;
        visit.reaches_the_wallet(scene, &[half, rest]).await?;
        visit.console_is_empty().await
    });
}

#[test]
fn double_is_paid_and_the_surplus_is_named() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let visit = Visit::buy(&browser, &merchant).await?;
        let request = visit.choose(scene, "ethereum", "USDC").await?;
        let double = PaymentRequest { amount: request.amount * U256::from(2), ..request };

        let transaction = scene.pay(&double).await?;
        visit.page.says("Paid").await?;
        visit.page.shows("You sent $24.90 more than was due").await?;
        visit.shop_shows(OrderState::Paid, "Paid").await?;
        visit.api_says_paid(scene, &double, transaction).await?;
        visit.reaches_the_wallet(scene, &[double]).await?;
        visit.console_is_empty().await
    });
}

#[test]
fn page_reloaded_midway_keeps_the_choice() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let visit = Visit::buy(&browser, &merchant).await?;
        let request = visit.choose(scene, "ethereum", "USDT").await?;

        browser.reload().await?;
        let page = e2e::checkout_page::CheckoutPage::in_frame(&browser).await?;
        page.asks_for_payment().await?;
        assert_eq!(page.scan_request().await?, request, "the same amount at the same address");
        assert_eq!(page.scan_address().await?, request.recipient, "the code for exchanges agrees");

        let transaction = scene.pay(&request).await?;
        browser.reload().await?;
        let page = e2e::checkout_page::CheckoutPage::in_frame(&browser).await?;
        page.says("Paid").await?;
        visit.shop_shows(OrderState::Paid, "Paid").await?;
        visit.api_says_paid(scene, &request, transaction).await?;
        visit.reaches_the_wallet(scene, &[request]).await?;
        visit.console_is_empty().await
    });
}
