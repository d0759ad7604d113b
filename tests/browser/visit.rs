//! One customer in one shop, from the button to the merchant's wallet.

use std::{collections::BTreeSet, time::Instant};

use alloy_primitives::{B256, U256};
use demo::{
    shop::{Order, OrderState},
    stage::Merchant,
};
use e2e::{
    ApiClient, PATIENCE,
    checkout_page::CheckoutPage,
    chromium::{Browser, Scheme, WIDE},
    outcome::{Failure, Outcome},
    payment_request::PaymentRequest,
    scene::{EXPLORER, Scene},
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::invoice::{CreatedInvoice, InvoiceStatus};

/// Where nobody answers; that the browser goes there is what counts.
pub const SHOP: &str = "https://127.0.0.1:44399/thanks?order=7&x=%3Cb%3E";

/// How often to ask for what has no push.
const ASK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// A customer with an order in a shop that nobody else buys in.
pub struct Visit<'a> {
    pub browser: &'a Browser,
    pub merchant: &'a Merchant,
    pub page: CheckoutPage<'a>,
}

impl<'a> Visit<'a> {
    /// Presses the shop's button and looks at the payment page in its frame.
    pub async fn buy(browser: &'a Browser, merchant: &'a Merchant) -> Outcome<Self> {
        browser.go_to(merchant.shop.url()).await?;
        browser.click("#buy").await?;
        let page = CheckoutPage::in_frame(browser).await?;
        page.is_live().await?;
        page.remember().await?;
        Ok(Self { browser, merchant, page })
    }

    /// The one order of the shop.
    pub fn order(&self) -> Outcome<Order> {
        self.merchant.shop.orders().pop().ok_or_else(|| Failure::new("the shop has no order"))
    }

    /// Chooses a token and returns what its code asks for, which is also what the page's text says.
    pub async fn choose(&self, scene: &Scene, network: &str, symbol: &str) -> Outcome<PaymentRequest> {
        let (network, token) = scene.token(network, symbol)?;
        self.page.choose(network.name, token.id).await?;
        let request = self.page.scan_request().await?;

        let asked = self.page.asked().await?;
        assert_eq!(asked.symbol, token.symbol);
        assert_eq!(asked.network.to_lowercase(), network.name);
        assert_eq!(asked.address, request.recipient.to_string(), "text and code name one address");
        assert_eq!(asked.base_units(token.decimals)?, request.amount, "text and code name one amount");
        assert_eq!(request.chain_id, network.chain.chain_id());
        assert_eq!(request.token, token.contract);
        Ok(request)
    }

    /// Waits until the shop has a webhook with a good signature that says so, and shows it to its buyer.
    pub async fn shop_shows(&self, state: OrderState, headline: &str) -> Outcome {
        until(&format!("the shop's order to be {state:?}"), async || Ok(self.order()?.state == state)).await?;
        self.browser.leave_frames().await?;
        until(&format!("the shop to show \u{201c}{headline}\u{201d}"), async || {
            Ok(self.browser.text("#headline").await?.as_deref() == Some(headline))
        })
        .await
    }

    /// Checks that the API says paid, by this transaction of this payer.
    pub async fn api_says_paid(&self, scene: &Scene, request: &PaymentRequest, transaction: B256) -> Outcome {
        let api = ApiClient::new(&self.merchant.api.url, &self.merchant.api.key);
        let report = api.invoice_status(&self.order()?.invoice_id).await;
        assert_eq!(report.invoice.status, InvoiceStatus::Paid);
        assert_eq!(report.invoice.amount_remaining, 0);
        let payment = report.latest_payment.ok_or_else(|| Failure::new("the API knows no payment"))?;
        assert_eq!(payment.tx_hash.parse::<B256>()?, transaction);
        let payer = payment.payer_wallet_address.unwrap_or_default();
        assert_eq!(payer, scene.payer(request.chain_id)?.to_string());
        Ok(())
    }

    /// Sweeps as soon as the payment is final, and checks that the merchant's wallet has exactly what was paid, and that the
    /// payer's receipt says so.
    pub async fn reaches_the_wallet(&self, scene: &Scene, paid: &[PaymentRequest]) -> Outcome {
        let [first, ..] = paid else { return Err(Failure::new("nothing was paid")) };
        let (wallet, chain) = (self.merchant.wallet, scene.chain(first.chain_id)?);
        let total: U256 = paid.iter().map(|request| request.amount).sum();
        assert_eq!(scene.balance(first, wallet).await?, U256::ZERO, "nobody ever paid this wallet");

        let mut swept = Vec::new();
        until("the merchant's wallet to have it all", async || {
            let sweeps = scene.stage.sweep_for(self.merchant)?;
            for transaction in sweeps.into_iter().filter_map(|sweep| sweep.tx_hash) {
                chain.mined(transaction).await?;
                swept.push(transaction);
            }
            Ok(total <= scene.balance(first, wallet).await?)
        })
        .await?;
        assert_eq!(scene.balance(first, wallet).await?, total, "exactly what was paid, and no more");
        self.receipt_names(&swept, paid.len()).await
    }

    /// Waits until the receipt says of so many payments that they are in the merchant's wallet, and checks that it names
    /// the transactions that brought them there, and where to look at them.
    async fn receipt_names(&self, swept: &[B256], payments: usize) -> Outcome {
        let (client, url) = (demo::http_client()?, self.order()?.payment_url.replace("/pay?", "/pay/receipt?"));
        let mut settlements = Vec::new();
        until("the receipt to say that all is in the merchant's wallet", async || {
            let receipt = client.get(&url).send().await?.error_for_status()?.text().await?;
            settlements = settlements_of(&receipt);
            Ok(settlements.len() == payments)
        })
        .await?;
        let named: BTreeSet<(String, String)> = settlements.into_iter().collect();
        let expected = swept.iter().map(|hash| (EXPLORER.replace("{hash}", &hash.to_string()), hash.to_string()));
        assert_eq!(named, expected.collect());
        Ok(())
    }

    /// Checks that nobody complained: no script failed, no request, and nothing broke the content policy.
    pub async fn console_is_empty(&self) -> Outcome {
        assert_eq!(self.browser.console().await?, Vec::<String>::new());
        Ok(())
    }
}

/// Where each payment of a receipt that is in the merchant's wallet was brought there: what it links to, and what it says.
fn settlements_of(receipt: &str) -> Vec<(String, String)> {
    let within = |text: &str, start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        rest.split_once(end).map(|(within, _)| within.to_owned())
    };
    let of = |rest| {
        Some((within(rest, "<a href=\"", "\"")?, within(rest, "<code translate=\"no\" dir=\"ltr\">", "</code>")?))
    };
    receipt.split("In the merchant's wallet").skip(1).filter_map(of).collect()
}

/// Opens a browser at a desk.
pub async fn at_a_desk(scene: &Scene) -> Outcome<Browser> {
    scene.chromium.open(WIDE, Scheme::Light).await
}

/// Asks until it is so, for a limited time.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await? {
        if deadline < Instant::now() {
            return Err(Failure::new(format!("waited {} s for {what}", PATIENCE.as_secs())));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// An invoice over 24.90 dollars with these members.
pub async fn create_invoice(merchant: &Merchant, members: Value) -> Outcome<CreatedInvoice> {
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let mut request = json!({ "amount_usd": 24.9 });
    request.as_object_mut().expect("an object").append(&mut members.as_object().cloned().unwrap_or_default());
    Ok(api.try_create_invoice(Uuid::new_v4(), &request).await?.good())
}
