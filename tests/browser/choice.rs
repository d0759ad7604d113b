//! A payer finds one of many tokens.

use std::fmt::Write as _;

use e2e::{ServerProcess, checkout_page::CheckoutPage, chromium::Browser, outcome::Outcome};
use serde_json::json;

use crate::{
    accessibility::{ENTER, reach, type_keys},
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// What is marked, whether the page is drawn by scripts, and whether they had to draw it anew.
const MARKED: &str = "
    const marked = [...document.querySelectorAll('.choose input:checked')].map((radio) => radio.value);
    const { live, mode } = document.getElementById('app').dataset;
    return [marked, live !== undefined, mode ?? null];";

#[test]
fn who_chooses_again_finds_the_last_choice_made_with_scripts_and_without() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "USDC")?;
        let choice = format!("{}:{}", network.name, token.id);
        browser.forbid_scripts().await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.choose(network.name, token.id).await?;
        browser.click(".change").await?;
        page.says("How would you like to pay?").await?;
        assert_eq!(browser.script(MARKED, json!([])).await?, json!([[choice], false, null]));
        let address = browser.address().await?;
        assert!(address.ends_with("&choose=1"), "{address}");
        page.confirm_choice().await?;

        let browser = at_a_desk(scene).await?;
        let page = CheckoutPage::open(&browser, &address).await?;
        page.is_live().await?;
        page.says("How would you like to pay?").await?;
        assert_eq!(browser.script(MARKED, json!([])).await?, json!([[choice], true, null]));
        page.confirm_choice().await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Networks whose node is down: what can be paid with is asked for before anything is read from them.
const NETWORKS: [(&str, u64); 2] = [("ethereum", 31_337), ("base", 31_338)];
const TOKENS: [(&str, &str); 4] =
    [("USDC", "USD Coin"), ("DAI", "Dai"), ("EURC", "Euro Coin"), ("PYUSD", "PayPal USD")];

const SHOWN: &str = "return [...document.querySelectorAll('.choose__tokens input[type=radio]')]
    .filter((radio) => radio.closest('.network').checkVisibility()).map((radio) => radio.value)";

/// A server of its own, with more to choose from than the demo's.
pub fn config() -> String {
    let mut config = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n".to_owned();
    for (place, (name, chain_id)) in NETWORKS.into_iter().enumerate() {
        _ = write!(
            config,
            "[[networks]]\nname = \"{name}\"\ntitle = \"{name}\"\nchain_id = {chain_id}\nrpc = [\"http://127.0.0.1:9\"]\n\
             paid_after = 2\nfinal_after = 4\n"
        );
        for (number, (symbol, title)) in TOKENS.into_iter().enumerate() {
            let id = 10 * place + number + 1;
            _ = write!(
                config,
                "[[networks.tokens]]\nid = {id}\nsymbol = \"{symbol}\"\nname = \"{title}\"\n\
                 address = \"0x{id:040}\"\ndecimals = 6\nprice = \"par\"\n"
            );
        }
    }
    config
}

async fn shown(browser: &Browser) -> Outcome<Vec<String>> {
    Ok(serde_json::from_value(browser.script(SHOWN, json!([])).await?)?)
}

async fn search(browser: &Browser, query: &str) -> Outcome {
    browser.script("document.querySelector('.search').value = ''", json!([])).await?;
    browser.type_into(".search", query).await
}

#[test]
fn many_tokens_are_folded_up_and_a_search_shows_what_it_finds() {
    on_shared_scene(async |scene| {
        let mut server = ServerProcess::prepare(&config());
        server.start().await.expect("the server starts");
        let (api, _) = server.create_merchant("http://127.0.0.1:9/");
        let invoice = api.create_invoice("24.90").await;
        let browser = at_a_desk(scene).await?;

        browser.forbid_scripts().await?;
        browser.go_to(&invoice.payment_url).await?;
        assert!(!browser.draws(".search").await?, "a search that nothing would answer");
        assert_eq!(shown(&browser).await?.len(), 2, "the first token is unfolded");
        browser.click(".token:last-child summary").await?;
        assert_eq!(shown(&browser).await?.len(), 4, "the others unfold without scripts");

        let browser = at_a_desk(scene).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        for (query, found) in [
            ("euro", vec!["ethereum:3", "base:13"]),
            ("Pyusd BASE", vec!["base:14"]),
            ("base", vec!["base:11", "base:12", "base:13", "base:14"]),
            ("bitcoin", vec![]),
        ] {
            search(&browser, query).await?;
            until(&format!("{query} to find {found:?}"), async || Ok(shown(&browser).await? == found)).await?;
        }
        search(&browser, "dai base").await?;
        page.choose("base", 12).await?;
        assert_eq!(page.asked().await?.symbol, "DAI");

        // The same by keys alone.
        let invoice = api.create_invoice("24.90").await;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        page.is_live().await?;
        reach(&browser, ".search").await?;
        type_keys(&browser, "pyusd base").await?;
        until("the search to find it", async || Ok(shown(&browser).await? == ["base:14"])).await?;
        reach(&browser, "[value='base:14']").await?;
        browser.press(" ").await?;
        reach(&browser, ".choose button").await?;
        browser.press(ENTER).await?;
        page.asks_for_payment().await?;
        assert_eq!(page.asked().await?.symbol, "PYUSD");
        Ok(())
    });
}
