//! What a payer sees when the time to pay is over, or that of a rate.

use e2e::{ApiClient, ServerProcess, checkout_page::CheckoutPage};
use serde_json::json;
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

use crate::{
    choice, on_shared_scene,
    visit::{at_a_desk, until},
};

/// Time enough to choose and to scan, and no more.
const EXPIRES_IN_MS: i64 = 8_000;

#[test]
fn end_of_the_time_to_pay_is_said_and_nothing_is_asked_for_any_more() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "USDC")?;
        let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
        let request = json!({ "amount_usd": 24.9, "expires_in": EXPIRES_IN_MS });
        let invoice: CreatedInvoice = api.try_create_invoice(Uuid::new_v4(), &request).await?.good();

        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        page.remember().await?;
        page.choose(network.name, token.id).await?;
        page.shows("Time left to pay").await?;

        page.says("Time is up").await?;
        page.says("Expired").await?;
        page.shows("Please do not send anything to the address any more.").await?;
        assert!(!browser.draws(".qr").await?, "there is no code left to scan");
        assert!(page.is_the_same().await?, "the page followed by itself");
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_rate_that_lapses_is_renewed_in_the_same_token_and_the_page_says_so() {
    const UPDATED: &str = "The amount was updated to the current rate.";
    on_shared_scene(async |scene| {
        // The shortest there is.
        let mut server = ServerProcess::prepare(&format!("{}[invoices]\nquote_seconds = 30\n", choice::config()));
        server.start().await.expect("the server starts");
        let (api, _) = server.create_merchant("http://127.0.0.1:9/");
        let invoice = api.create_invoice("24.90").await;
        let browser = at_a_desk(scene).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        page.remember().await?;
        browser.click(".token:nth-child(2) summary").await?;
        page.choose("base", 12).await?;
        let asked = page.asked().await?;
        assert_eq!((asked.symbol.as_str(), asked.network.as_str()), ("DAI", "base"));
        assert!(!page.shows_now(UPDATED).await?, "nothing was updated yet");

        // What is said while it lasts is gone soon.
        let note = "window.said = [];
            const status = document.querySelector('[role=status]');
            new MutationObserver(() => window.said.push(status.textContent))
                .observe(status, { childList: true, characterData: true, subtree: true });";
        browser.script(note, json!([])).await?;
        until("the rate's last seconds", async || {
            Ok(browser.text(".rate__clock").await?.is_some_and(|clock| clock.starts_with("0:0")))
        })
        .await?;
        page.shows(UPDATED).await?;
        let said = browser.script("return window.said", json!([])).await?;
        assert_eq!(said[0], "Getting the current rate. Please wait before you send anything.", "{said}");
        assert_eq!(page.asked().await?, asked, "token, network and address stay");
        let left = browser.text(".rate__clock").await?.unwrap_or_default();
        assert!(left.as_str() > "0:20", "{left}");
        assert!(page.is_the_same().await?, "the page renewed it by itself");
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}
