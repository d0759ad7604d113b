//! What a payer sees when the time to pay is over.

use e2e::{ApiClient, checkout_page::CheckoutPage};
use serde_json::json;
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

use crate::{on_shared_scene, visit::at_a_desk};

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
