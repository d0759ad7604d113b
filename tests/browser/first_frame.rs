//! The page as the server draws it, and how scripts take it over or do without.

use e2e::{
    checkout_page::CheckoutPage,
    chromium::Browser,
    outcome::{Failure, Outcome},
};
use reqwest::header;
use serde_json::{Value, json};

use crate::{
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// The most that the first frame may weigh as it is sent, in bytes.
const FIRST_FRAME: usize = 8_000;
/// The most requests until the page is live, the page's own included.
const REQUESTS: usize = 5;

/// Runs a function body when a document's HTML is there and no script of its own has run.
pub fn before_scripts(body: &str) -> String {
    format!(
        "document.addEventListener('readystatechange', () => {{
            if (document.readyState === 'interactive' && document.getElementById('app')) {{ {body} }}
        }});"
    )
}

/// What the page is made of, but for the clocks, which go on, and for what says that the address was seen to by now.
const MARKUP: &str = "
    const copy = document.getElementById('app').cloneNode(true);
    for (const check of copy.querySelectorAll('.proof__check')) check.className = 'proof__check';
    for (const clock of copy.querySelectorAll('[role=timer]')) clock.textContent = '';
    return copy.innerHTML;";

/// The addresses, without credentials, that were asked for before the page was live, the page's own first.
const LOADED: &str = "
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return entries.filter((entry) => entry.startTime <= window.liveAt).map((entry) => entry.name.split('?')[0]);";

#[test]
fn page_without_script_can_be_paid() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("ethereum", "USDC")?;
        browser.forbid_scripts().await?;
        let order = merchant.shop.create_order().await?;

        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.choose(network.name, token.id).await?;
        let request = page.scan_request().await?;
        assert_eq!(request.token, token.contract);
        assert_eq!(page.asked().await?.base_units(token.decimals)?, request.amount);
        assert!(browser.find("#app[data-live]").await?.is_none(), "no script took the page over");

        scene.pay(&request).await?;
        // The page asks the browser to load it again every few seconds.
        page.says("Paid").await
    });
}

#[test]
fn scripts_take_over_what_the_server_drew_and_change_nothing() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "USDC")?;
        let radio = format!(r#"input[value="{}:{}"]"#, network.name, token.id);
        browser
            .before_each_page(&before_scripts(&format!(
                "window.drawn = (() => {{ {MARKUP} }})();
                 window.headings = [...document.querySelectorAll('#app h1, #app h2')];
                 const radio = document.querySelector('{radio}');
                 if (radio) {{ radio.checked = true; radio.focus(); }}"
            )))
            .await?;
        let order = merchant.shop.create_order().await?;

        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        nothing_changed(&browser).await?;
        let kept = format!(
            "const radio = document.querySelector('{radio}'); return [radio.checked, radio === document.activeElement]"
        );
        assert_eq!(browser.script(&kept, json!([])).await?, json!([true, true]), "what was picked before stays picked");
        page.confirm_choice().await?;

        browser.reload().await?;
        page.is_live().await?;
        page.asks_for_payment().await?;
        nothing_changed(&browser).await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Checks that the document is made of the same markup, and of the same nodes, as before scripts ran.
async fn nothing_changed(browser: &Browser) -> Outcome {
    let drawn = browser.script("return window.drawn", json!([])).await?;
    let live = browser.script(MARKUP, json!([])).await?;
    assert!(drawn.as_str().is_some_and(|drawn| drawn.contains("</form>")), "the server drew the page: {drawn}");
    assert_eq!(live, drawn);
    let same = "return window.headings.length === 2 && window.headings.every((heading) => heading.isConnected)";
    assert_eq!(browser.script(same, json!([])).await?, Value::Bool(true), "the nodes are those the server drew");
    Ok(())
}

#[test]
fn first_frame_is_small_and_the_page_asks_one_host_few_times() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let (network, token) = scene.token("base", "ETH")?;
        let order = merchant.shop.create_order().await?;

        let choose = sent_bytes(&order.payment_url).await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        page.choose(network.name, token.id).await?;
        let pay = sent_bytes(&order.payment_url).await?;
        println!("first frame as sent: {choose} bytes to choose, {pay} bytes to pay");
        assert!(choose <= FIRST_FRAME && pay <= FIRST_FRAME, "{choose} and {pay} bytes");

        // Another browser, which has nothing of it yet.
        let browser = at_a_desk(scene).await?;
        browser
            .before_each_page(
                "new MutationObserver((_, observer) => {
                    if (!document.querySelector('#app[data-live]')) return;
                    observer.disconnect();
                    window.liveAt = performance.now();
                }).observe(document, { attributes: true, subtree: true });",
            )
            .await?;
        CheckoutPage::open(&browser, &order.payment_url).await?.is_live().await?;
        let mut loaded: Vec<String> = Vec::new();
        // The browser reports a request some time after its end; the WASM is the last that the page needs.
        until("the browser to report the WASM", async || {
            loaded = serde_json::from_value(browser.script(LOADED, json!([])).await?)?;
            Ok(loaded.iter().any(|url| url.contains("_bg.wasm")))
        })
        .await?;
        println!("until the page is live: {loaded:?}");
        assert!((3..=REQUESTS).contains(&loaded.len()), "page, script and WASM, and little else: {loaded:?}");
        assert!(loaded.iter().all(|url| url.starts_with(&merchant.api.url)), "one host: {loaded:?}");
        Ok(())
    });
}

/// How much the server sends for the page to a browser that knows brotli.
pub async fn sent_bytes(url: &str) -> Outcome<usize> {
    let answer = demo::http_client()?.get(url).header(header::ACCEPT_ENCODING, "br").send().await?;
    assert!(answer.status().is_success(), "{}", answer.status());
    let encoding = answer.headers().get(header::CONTENT_ENCODING).ok_or_else(|| Failure::new("not compressed"))?;
    assert_eq!(encoding, "br");
    // The client knows no brotli, so these are the bytes as they came.
    Ok(answer.bytes().await?.len())
}

#[test]
fn console_hears_errors_and_broken_policies_also_from_frames() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let order = merchant.shop.create_order().await?;
        browser.go_to(&format!("{}/orders/{}", merchant.shop.url(), order.id)).await?;
        let page = CheckoutPage::in_frame(&browser).await?;
        page.is_live().await?;
        assert_eq!(browser.console().await?, Vec::<String>::new());

        browser.script("console.error('said by a test')", json!([])).await?;
        let style =
            "const style = document.createElement('style'); style.textContent = 'p {}'; document.head.append(style)";
        browser.script(style, json!([])).await?;
        let console = browser.console().await?;
        assert!(console.iter().any(|line| line.contains("said by a test")), "{console:?}");
        assert!(console.iter().any(|line| breaks_policy(line)), "{console:?}");
        Ok(())
    });
}

/// Whether a line of the console is about the content policy.
pub fn breaks_policy(line: &str) -> bool {
    ["Content Security Policy", "TrustedHTML", "TrustedScript"].iter().any(|sign| line.contains(sign))
}
