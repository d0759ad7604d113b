//! The page on which the merchant's own wallet signs what is due.

use alloy_primitives::{Address, Bytes, U256};
use demo::stage::Merchant;
use e2e::{
    ApiClient, PATIENCE,
    chromium::{Browser, NARROW, Scheme, WIDE},
    outcome::{Failure, Outcome},
    scene::Scene,
};
use serde_json::{Value, json};
use wire::{
    deposit_address::FACTORY,
    invoice::{InvoiceStatus, SettlementStatus},
};

use crate::{
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// A wallet as browsers have them (EIP-6963), which leaves what it is asked to the test to do.
const WALLET: &str = "
    (() => {
        const waiting = new Map();
        window.asked = [];
        let last = 0;
        const provider = {
            request({ method, params }) {
                last += 1;
                window.asked.push({ id: last, method, params: params ?? [] });
                return new Promise((resolve, reject) => waiting.set(last, { resolve, reject }));
            },
        };
        window.answer = (id, result, error) => {
            const { resolve, reject } = waiting.get(id);
            waiting.delete(id);
            if (error) reject(error); else resolve(result);
        };
        const icon = 'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E';
        const info = { uuid: '350670db-19fa-4704-a166-e52e178b59d2', name: 'Test Wallet', icon, rdns: 'example.wallet' };
        const announce = () => window.dispatchEvent(
            new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }));
        window.addEventListener('eip6963:requestProvider', announce);
        announce();
    })();";

/// What the wallet is asked, answered from the chain it is on.
struct Wallet<'a> {
    scene: &'a Scene,
    browser: &'a Browser,
    account: Address,
    chain_id: u64,
    /// The methods it was asked for.
    asked: Vec<String>,
    /// The transactions it was asked to send.
    sent: Vec<Value>,
}

impl Wallet<'_> {
    /// Answers all that it was asked so far.
    async fn serve(&mut self) -> Outcome {
        let asked = self.browser.script("return window.asked.splice(0)", json!([])).await?;
        for question in asked.as_array().cloned().unwrap_or_default() {
            let method = question["method"].as_str().unwrap_or_default().to_owned();
            let params = question["params"].clone();
            let chain = self.scene.chain(self.chain_id)?;
            let answer = match method.as_str() {
                "eth_requestAccounts" => json!([self.account]),
                "eth_chainId" => json!(format!("{:#x}", self.chain_id)),
                "wallet_switchEthereumChain" => {
                    let wanted = params[0]["chainId"].as_str().unwrap_or_default().trim_start_matches("0x");
                    self.chain_id = u64::from_str_radix(wanted, 16)?;
                    Value::Null
                }
                "eth_sendTransaction" => {
                    self.sent.push(params[0].clone());
                    chain.rpc(&method, params).await?
                }
                _ => chain.rpc(&method, params).await?,
            };
            self.asked.push(method);
            self.browser.script("window.answer(arguments[0], arguments[1])", json!([question["id"], answer])).await?;
        }
        Ok(())
    }
}

/// An invoice that was paid for good.
async fn pay(scene: &Scene, merchant: &Merchant, network: &str, dollars: u64) -> Outcome<(String, Address)> {
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    let (network, token) = scene.token(network, "USDC")?;
    let invoice = api.create_invoice(&dollars.to_string()).await;
    let address = api.payment_address(&invoice, network.name, i64::try_from(token.id)?).await;
    let deposit: Address = address.temp_address.ok_or_else(|| Failure::new("no address"))?.parse()?;
    let contract = token.contract.ok_or_else(|| Failure::new("no token"))?;
    let payer = scene.payer(network.chain.chain_id())?;
    let sent = network.chain.send_token(payer, contract, deposit, U256::from(dollars * 1_000_000)).await?;
    network.chain.mined(sent).await?;
    until("the invoice to be paid", async || Ok(api.invoice(&invoice.invoice_id).await.status == InvoiceStatus::Paid))
        .await?;
    Ok((invoice.invoice_id, deposit))
}

async fn plan(merchant: &Merchant) -> Value {
    let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
    api.get("/api/v1/merchant/sweeps?all=true").await.good()
}

async fn open(browser: &Browser, merchant: &Merchant, token: &str) -> Outcome {
    browser.go_to(&format!("{}/sweep", merchant.api.url)).await?;
    browser.script("document.getElementById('token').value = arguments[0]", json!([token])).await?;
    browser.click("#all").await?;
    browser.click("#open button").await
}

async fn says(browser: &Browser, text: &str) -> Outcome {
    until(&format!("the page to say {text}"), async || {
        Ok(browser.text("main").await?.is_some_and(|said| said.contains(text)))
    })
    .await
}

/// Takes pictures where `PEPAY_SWEEP_PICTURES` names a folder.
async fn photograph(browser: &Browser, name: &str) -> Outcome {
    let Some(folder) = std::env::var_os("PEPAY_SWEEP_PICTURES") else { return Ok(()) };
    for (viewport, scheme, suffix) in [
        (NARROW, Scheme::Light, "390-light"),
        (NARROW, Scheme::Dark, "390-dark"),
        (WIDE, Scheme::Light, "1280-light"),
        (WIDE, Scheme::Dark, "1280-dark"),
    ] {
        browser.resize(viewport).await?;
        browser.prefer(scheme).await?;
        let wide = browser.script("return document.documentElement.scrollWidth", json!([])).await?;
        assert!(wide.as_u64().is_some_and(|wide| wide <= u64::from(viewport.width)), "{name} is {wide} wide");
        let path = std::path::Path::new(&folder).join(format!("{name}-{suffix}.png"));
        std::fs::write(path, browser.picture().await?)?;
    }
    browser.resize(WIDE).await?;
    browser.prefer(Scheme::Light).await
}

#[test]
fn the_merchant_s_wallet_signs_a_batch_and_the_deposits_are_emptied() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let token = scene.stage.dashboard_token(&merchant)?;
        let mut paid = Vec::new();
        for dollars in [12, 30] {
            paid.push(pay(scene, &merchant, "base", dollars).await?);
        }
        until("both to be due", async || {
            let plan = plan(&merchant).await;
            Ok(plan["sweeps"][0]["deposits"].as_array().is_some_and(|deposits| deposits.len() == 2))
        })
        .await?;
        let network = scene.stage.network("base").ok_or_else(|| Failure::new("no network"))?;
        let (contract, chain) = (scene.token("base", "USDC")?.1.contract.unwrap_or_default(), &network.chain);

        browser.before_each_page(WALLET).await?;
        open(&browser, &merchant, &token).await?;
        says(&browser, "One transaction to sign.").await?;
        let receiver = browser.text(".receiver").await?;
        assert_eq!(receiver, Some(merchant.wallet.to_checksum(None)));
        assert_eq!(browser.text("#sweeps h2").await?.as_deref(), Some("Base: 2 deposits"));
        assert_eq!(browser.text(".amounts").await?.as_deref(), Some("42 USDC"));
        assert!(browser.text("#wallet-list").await?.is_some_and(|text| text.contains("Test Wallet")));
        photograph(&browser, "sweep-due").await?;

        // It is on the other chain, and is asked to change.
        let account = chain.accounts()[7];
        let mut wallet =
            Wallet { scene, browser: &browser, account, chain_id: 31337, asked: Vec::new(), sent: Vec::new() };
        browser.click(".sign").await?;
        let deadline = std::time::Instant::now() + PATIENCE;
        while !browser.text("main").await?.is_some_and(|said| said.contains("Settled: 2 deposits emptied by 0x")) {
            if deadline < std::time::Instant::now() {
                return Err(Failure::new(format!("not settled: {:?}", browser.text("main").await?)));
            }
            wallet.serve().await?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        photograph(&browser, "sweep-settled").await?;
        let asked = wallet.asked.iter().filter(|method| *method != "eth_getTransactionReceipt");
        assert_eq!(
            asked.collect::<Vec<_>>(),
            ["eth_requestAccounts", "eth_chainId", "wallet_switchEthereumChain", "eth_chainId", "eth_sendTransaction"]
        );
        let [sent] = wallet.sent.as_slice() else { return Err(Failure::new("one transaction")) };
        assert_eq!((&sent["to"], &sent["value"]), (&json!(FACTORY.to_checksum(None)), &json!("0x0")));
        assert_eq!(sent["from"].as_str().map(str::to_lowercase), Some(account.to_string().to_lowercase()));

        assert_eq!(chain.balance_of(contract, merchant.wallet).await?, U256::from(42_000_000));
        let api = ApiClient::new(&merchant.api.url, &merchant.api.key);
        for (invoice, deposit) in paid {
            assert_eq!(chain.balance_of(contract, deposit).await?, U256::ZERO);
            let payment =
                api.invoice_status(&invoice).await.latest_payment.ok_or_else(|| Failure::new("no payment"))?;
            assert_eq!(payment.settlement_status, SettlementStatus::Settled);
        }
        // Nothing of the token is left anywhere.
        let kept =
            "return [location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage),
            document.documentElement.outerHTML].join(' ')";
        let kept = browser.script(kept, json!([])).await?;
        assert!(kept.as_str().is_some_and(|kept| !kept.contains(&token)), "the token is kept");
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

/// A server that was broken into must not make the merchant's wallet sign anything else.
#[test]
fn a_plan_that_is_no_sweep_to_the_receiver_shown_is_not_offered_for_signing() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let token = scene.stage.dashboard_token(&merchant)?;
        pay(scene, &merchant, "ethereum", 25).await?;
        until("it to be due", async || Ok(plan(&merchant).await["sweeps"][0].is_object())).await?;
        let good = plan(&merchant).await;
        browser.before_each_page(WALLET).await?;
        // What the server says is replaced on its way to the page.
        browser
            .before_each_page(
                "window.fetch = async () => new Response(window.plan, { headers: { 'content-type': 'application/json' } });",
            )
            .await?;
        let data = good["sweeps"][0]["data"].as_str().unwrap_or_default().to_owned();
        let stranger = format!("{:0>64}", hex_of(&merchant.wallet).replacen(['0', '1', '2'], "f", 1));
        let to_stranger = format!("{}{}{}", &data[..10], stranger, &data[74..]);
        let bytes: Bytes = data.parse()?;
        let transfer = format!("0xa9059cbb{}", &data[10..]);
        let check = async |change: &dyn Fn(&mut Value), refusal: Option<&str>| -> Outcome {
            let mut changed = good.clone();
            change(&mut changed["sweeps"][0]);
            browser.go_to(&format!("{}/sweep", merchant.api.url)).await?;
            browser.script("window.plan = arguments[0]", json!([changed.to_string()])).await?;
            browser.script("document.getElementById('token').value = arguments[0]", json!([token])).await?;
            browser.click("#open button").await?;
            says(&browser, "One transaction to sign.").await?;
            match refusal {
                Some(text) => {
                    says(&browser, &format!("This plan was refused: {text}")).await?;
                    assert!(browser.find(".sign").await?.is_none(), "{text}");
                }
                None => assert!(browser.find(".sign").await?.is_some()),
            }
            Ok(())
        };
        check(&|_| {}, None).await?;
        check(&|sweep| sweep["to"] = json!(merchant.wallet), Some("it calls another contract")).await?;
        check(&|sweep| sweep["value"] = json!("1"), Some("it would send coin")).await?;
        check(&|sweep| sweep["data"] = json!(to_stranger), Some("it pays another wallet")).await?;
        check(&|sweep| sweep["data"] = json!(transfer), Some("the call is not a sweep")).await?;
        check(&|sweep| sweep["data"] = json!(format!("{data}00")), Some("the call is not a sweep")).await?;
        check(&|sweep| sweep["data"] = json!(data[..data.len() - 64]), Some("the call is not a sweep")).await?;
        check(&|sweep| sweep["deposits"] = json!([]), Some("it empties other deposits")).await?;
        check(&|sweep| sweep["amounts"] = json!([]), Some("it moves other tokens")).await?;
        assert!(!bytes.is_empty());
        Ok(())
    });
}

fn hex_of(address: &Address) -> String {
    address.to_string().trim_start_matches("0x").to_lowercase()
}

#[test]
fn the_page_says_what_is_wrong_and_works_without_a_wallet() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        open(&browser, &merchant, "pd_pepay_test_nobody").await?;
        says(&browser, "the bearer is not a valid").await.or(says(&browser, "is not a valid API key").await)?;
        let token = scene.stage.dashboard_token(&merchant)?;
        open(&browser, &merchant, &token).await?;
        says(&browser, "Nothing is due.").await?;
        pay(scene, &merchant, "ethereum", 25).await?;
        until("it to be due", async || Ok(plan(&merchant).await["sweeps"][0].is_object())).await?;
        open(&browser, &merchant, &token).await?;
        says(&browser, "No wallet was found in this browser.").await?;
        assert!(browser.script("return document.querySelector('.sign').disabled", json!([])).await? == json!(true));
        photograph(&browser, "sweep-no-wallet").await?;
        browser.click("details summary").await?;
        let data = browser.text(".call").await?;
        assert_eq!(data, plan(&merchant).await["sweeps"][0]["data"].as_str().map(str::to_owned));

        // The file for a Safe, as it is handed to the browser.
        let keep = "
            window.files = [];
            const create = URL.createObjectURL;
            URL.createObjectURL = (blob) => { blob.text().then((text) => window.files.push(text)); return create(blob); };";
        browser.script(keep, json!([])).await?;
        browser.click(".button--plain").await?;
        until("the file", async || Ok(browser.script("return window.files.length", json!([])).await? == json!(1)))
            .await?;
        let file = browser.script("return window.files[0]", json!([])).await?;
        let file: Value = serde_json::from_str(file.as_str().unwrap_or_default())?;
        assert_eq!((&file["version"], &file["chainId"]), (&json!("1.0"), &json!("31337")));
        assert_eq!(file["transactions"][0]["data"].as_str().map(str::to_owned), data);
        assert_eq!(file["transactions"][0]["to"], FACTORY.to_checksum(None));
        Ok(())
    });
}
