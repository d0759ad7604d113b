//! Photographs the product in every state that a payer meets, on a phone and at a desk, by day and by night.
//!
//! The folder to write to is the only argument. `cargo xtask screenshots` builds everything first and names it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use alloy_primitives::U256;
use e2e::{
    ApiClient,
    checkout_page::CheckoutPage,
    chromium::{Browser, NARROW, Scheme, WIDE},
    outcome::{Failure, Outcome},
    payment_request::PaymentRequest,
    scene::Scene,
};
use serde_json::json;
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

/// Time enough to choose.
const EXPIRES_IN_MS: i64 = 6_000;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("screenshots: say which folder to write to");
        return ExitCode::FAILURE;
    };
    match photograph(&folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("screenshots: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn photograph(folder: &Path) -> Outcome {
    fs::create_dir_all(folder)?;
    let scene = Scene::set().await?;
    let merchant = &scene.add_merchant().await?;
    let browser = &scene.chromium.open(WIDE, Scheme::Light).await?;
    let camera = Camera { browser, folder };
    let (network, token) = scene.token("base", "USDC")?;

    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    camera.shoot("choose").await?;

    page.choose(network.name, token.id).await?;
    camera.shoot("pay").await?;

    browser.go_to(&format!("{}/orders/{}", merchant.shop.url(), order.id)).await?;
    let framed = CheckoutPage::in_frame(browser).await?;
    framed.is_live().await?;
    framed.asks_for_payment().await?;
    browser.leave_frames().await?;
    camera.shoot("shop").await?;

    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    let request = page.scan_request().await?;
    // Blocks come by hand, so that there is time for pictures between them.
    network.chain.set_interval(0).await?;
    scene.send(&request).await?;
    network.chain.mine(2).await?;
    page.shows("2 of 3 confirmations").await?;
    camera.shoot("confirming").await?;

    network.chain.mine(1).await?;
    page.says("Paid").await?;
    camera.shoot("paid").await?;
    network.chain.set_interval(1).await?;

    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    page.choose(network.name, token.id).await?;
    let request = page.scan_request().await?;
    scene.pay(&PaymentRequest { amount: request.amount / U256::from(2), ..request }).await?;
    page.shows("$12.45 of $24.90 has arrived").await?;
    page.asks_for_payment().await?;
    camera.shoot("underpaid").await?;

    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let request = json!({ "amount_usd": 24.9, "expires_in": EXPIRES_IN_MS });
    let answer = api.try_create_invoice(Uuid::new_v4(), &request).await?;
    let invoice: CreatedInvoice = answer.good();
    let page = CheckoutPage::open(browser, &invoice.payment_url).await?;
    page.says("Expired").await?;
    camera.shoot("expired").await
}

struct Camera<'a> {
    browser: &'a Browser,
    folder: &'a Path,
}

impl Camera<'_> {
    /// Takes the four pictures of one state.
    async fn shoot(&self, state: &str) -> Outcome {
        for viewport in [NARROW, WIDE] {
            for (scheme, name) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
                self.browser.resize(viewport).await?;
                self.browser.prefer(scheme).await?;
                self.write(&format!("{state}-{}-{name}.png", viewport.width)).await?;
            }
        }
        self.browser.resize(WIDE).await?;
        self.browser.prefer(Scheme::Light).await
    }

    async fn write(&self, name: &str) -> Outcome {
        let path = self.folder.join(name);
        let picture = self.browser.picture().await?;
        fs::write(&path, &picture).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        println!("{:>8} bytes  {}", picture.len(), path.display());
        Ok(())
    }
}
