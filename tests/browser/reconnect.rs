//! Pages that lose what they follow by.

use demo::shop::OrderState;
use e2e::checkout_page::CheckoutPage;
use serde_json::json;

use crate::{
    on_own_scene, on_shared_scene,
    socketless_proxy::SocketlessProxy,
    visit::{Visit, at_a_desk, until},
};

#[test]
fn page_without_a_socket_follows_by_polling() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "ETH")?;
        let order = merchant.shop.create_order().await?;
        let server = merchant.api.url.trim_start_matches("http://").to_owned();
        let proxy = SocketlessProxy::start(server.parse()?).await?;

        let url = order.payment_url.replace(&server, &proxy.address.to_string());
        let page = CheckoutPage::open(&browser, &url).await?;
        page.is_live().await?;
        page.remember().await?;
        page.choose(network.name, token.id).await?;
        until("the proxy to refuse a socket", async || Ok(0 < proxy.refused())).await?;

        let request = page.scan_request().await?;
        scene.pay(&request).await?;
        page.says("Paid").await?;
        assert!(page.is_the_same().await?, "the page followed by itself");
        Ok(())
    });
}

/// Hears the first that a socket says, and nothing that comes after it.
const DEAF: &str = "
    const Real = window.WebSocket;
    window.WebSocket = function (...where) {
        const socket = new Real(...where);
        window.heard = 0;
        socket.addEventListener('message', (event) => {
            if (window.heard++) event.stopImmediatePropagation();
        });
        return socket;
    };";

#[test]
fn page_whose_socket_fell_silent_follows_by_a_slow_poll_beside_it() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.before_each_page(DEAF).await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        page.remember().await?;
        let (network, token) = scene.token("base", "USDC")?;
        page.choose(network.name, token.id).await?;
        let request = page.scan_request().await?;
        scene.pay(&request).await?;
        page.says("Paid").await?;
        assert!(page.is_the_same().await?, "the page followed by itself");
        let heard = browser.script("return window.heard", json!([])).await?;
        assert!(heard.as_u64().is_some_and(|heard| 1 < heard), "the socket told of it: {heard}");
        Ok(())
    });
}

#[test]
fn server_killed_between_payment_and_confirmation_loses_nothing() {
    on_own_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let visit = Visit::buy(&browser, &merchant).await?;
        let request = visit.choose(scene, "base", "USDC").await?;

        // Blocks come by hand from here on, so that the payment is found and not confirmed when the server dies.
        let (network, _) = scene.token("base", "USDC")?;
        network.chain.set_interval(0).await?;
        let (chain, transaction) = scene.send(&request).await?;
        chain.mine(1).await?;
        chain.mined(transaction).await?;
        visit.page.says("Payment found").await?;

        scene.stage.kill_server();
        let (network, _) = scene.token("base", "USDC")?;
        network.chain.mine(5).await?;
        visit.page.shows("Payment found").await?;
        scene.stage.start_server().await?;

        visit.page.says("Paid").await?;
        assert!(visit.page.is_the_same().await?, "the page recovered by itself");
        visit.shop_shows(OrderState::Paid, "Paid").await?;
        visit.api_says_paid(scene, &request, transaction).await?;
        let (network, _) = scene.token("base", "USDC")?;
        network.chain.set_interval(1).await?;
        visit.reaches_the_wallet(scene, &[request]).await
    });
}
