//! The page as the server draws it, and how scripts take it over or do without.

use demo::stage::Merchant;
use e2e::{
    TestFolder,
    checkout_page::CheckoutPage,
    chromium::Browser,
    outcome::{Failure, Outcome},
    scene::Scene,
};
use frontend::Language;
use reqwest::header;
use serde_json::{Value, json};

use crate::{
    on_shared_scene,
    visit::{at_a_desk, create_invoice, until},
};

/// The most that the first frame may weigh as it is sent, in bytes.
const FIRST_FRAME: usize = 8_000;
/// The most requests until the page follows its payment: the page's own, two for scripts, two for the socket.
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

/// Notes what is asked for as it is asked for, and when the page has taken in the first that its socket says.
const COUNT_REQUESTS: &str = "
    window.asked = [];
    const ask = window.fetch;
    window.fetch = (what, ...rest) => {
        window.asked.push(String(what));
        return ask(what, ...rest);
    };
    window.WebSocket = class extends WebSocket {
        constructor(url) {
            super(url);
            window.asked.push(url);
            this.addEventListener('message', () => setTimeout(() => { window.isFollowing = true; }));
        }
    };";

/// The addresses, without credentials, that were asked for, the page's own first.
const ASKED: &str = "
    const rest = performance.getEntriesByType('resource').filter((entry) => entry.initiatorType !== 'fetch');
    const all = [location.href, ...rest.map((entry) => entry.name), ...window.asked];
    return all.map((url) => new URL(url, location.href).href.split('?')[0]);";

/// Notes every shift of the layout that no payer caused. What is picked by a script, as a test does in a payer's place before
/// the page's own scripts run, is drawn otherwise by being picked.
const WATCH_SHIFTS: &str = "
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            const isPicked = 0 < entry.sources.length && entry.sources.every(({ node }) => node?.matches?.('input:checked'));
            const place = ({ x, y, width, height }) => [x, y, width, height].join(' ');
            const moved = entry.sources.map(({ node, previousRect, currentRect }) =>
                `${node?.outerHTML?.slice(0, 80) ?? node} from ${place(previousRect)} to ${place(currentRect)}`);
            const parsed = performance.getEntriesByType('navigation')[0].domInteractive;
            const when = `at ${entry.startTime} ms, the document read at ${parsed} ms`;
            if (!entry.hadRecentInput && !isPicked) window.shifts.push(`${entry.value} ${when}: ${moved}`);
        }
    }).observe({ type: 'layout-shift', buffered: true });";

/// What was noted, once what is on the page by now has been drawn.
const SHIFTS: &str = "
    const done = arguments[arguments.length - 1];
    const frame = (act) => requestAnimationFrame(() => setTimeout(act));
    frame(() => frame(() => done(window.shifts)));";

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
        browser.before_each_page(WATCH_SHIFTS).await?;
        let order = merchant.shop.create_order().await?;

        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        nothing_changed(&browser).await?;
        assert_eq!(browser.script_later(SHIFTS).await?, json!([]), "nothing moves");
        let kept = format!(
            "const radio = document.querySelector('{radio}'); return [radio.checked, radio === document.activeElement]"
        );
        assert_eq!(browser.script(&kept, json!([])).await?, json!([true, true]), "what was picked before stays picked");
        page.confirm_choice().await?;

        browser.reload().await?;
        page.is_live().await?;
        page.asks_for_payment().await?;
        page.has_computed_the_address().await?;
        nothing_changed(&browser).await?;
        assert_eq!(browser.script_later(SHIFTS).await?, json!([]), "nothing moves");
        assert_eq!(browser.console().await?, Vec::<String>::new());

        // What is looked for can be seen.
        let push = "document.getElementById('app').prepend(document.createElement('hr'))";
        browser.script(push, json!([])).await?;
        assert_ne!(browser.script_later(SHIFTS).await?, json!([]), "a shift is noted");
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

        // Without a quote, and with one.
        let unquoted = merchant.shop.create_order().await?;
        for url in [&unquoted.payment_url, &order.payment_url] {
            // Another browser, which has nothing of it yet.
            let browser = at_a_desk(scene).await?;
            browser.before_each_page(COUNT_REQUESTS).await?;
            CheckoutPage::open(&browser, url).await?.is_live().await?;
            until("the page to hear from its socket", async || {
                Ok(browser.script("return window.isFollowing ?? false", json!([])).await? == Value::Bool(true))
            })
            .await?;
            let asked: Vec<String> = serde_json::from_value(browser.script(ASKED, json!([])).await?)?;
            println!("until the page follows: {asked:?}");
            for part in ["/pay", ".js", "_bg.wasm", "/stream-token", "/ws/payment"] {
                assert!(asked.iter().any(|url| url.ends_with(part)), "{part} is not in {asked:?}");
            }
            assert!(asked.len() <= REQUESTS, "{asked:?}");
            let host = merchant.api.url.trim_start_matches("http");
            assert!(
                asked.iter().all(|url| url.trim_start_matches(['h', 't', 'p', 'w', 's']).starts_with(host)),
                "{asked:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn first_frame_is_small_in_each_language_with_the_longest_request_and_with_a_brand() {
    on_shared_scene(async |scene| {
        let (plain, branded) = (scene.add_merchant().await?, scene.add_merchant().await?);
        brand(scene, &branded)?;
        let mut weights = Vec::new();
        for (merchant, look) in [(&plain, "plain"), (&branded, "branded")] {
            // Six decimals, and as many digits as a request can have: the most dollars in eighteen decimals.
            for (symbol, dollars) in [("USDC", "24.9"), ("USDT", "1000000")] {
                let amount: Value = serde_json::from_str(dollars)?;
                let invoice = create_invoice(merchant, json!({ "amount_usd": amount })).await?;
                let url = &invoice.payment_url;
                let mut weigh = async |what: &str, url: &str| -> Outcome {
                    for code in Language::ALL.map(Language::code) {
                        let bytes = sent_bytes(&format!("{url}&lang={code}")).await?;
                        weights.push((bytes, format!("{what} {symbol}, {look}, {code}")));
                    }
                    Ok(())
                };
                weigh("choose", url).await?;
                let (network, token) = scene.token("base", symbol)?;
                choose_by_form(url, &format!("{}:{}", network.name, token.id)).await?;
                weigh("pay", url).await?;
                weigh("choose again with", &format!("{url}&choose=1")).await?;
            }
        }
        keep_the_limit(weights);
        Ok(())
    });
}

/// Prints what first frames weigh.
#[track_caller]
pub fn keep_the_limit(mut weights: Vec<(usize, String)>) {
    weights.sort();
    for (bytes, what) in &weights {
        println!("first frame as sent: {bytes} bytes to {what}");
    }
    let heavy: Vec<_> = weights.iter().filter(|(bytes, _)| FIRST_FRAME < *bytes).collect();
    assert!(heavy.is_empty(), "over {FIRST_FRAME} bytes: {heavy:?}");
}

/// Gives a merchant a colour and a logo.
pub fn brand(scene: &Scene, merchant: &Merchant) -> Outcome {
    let folder = TestFolder::new();
    let logo = folder.path().join("logo.png");
    image::RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 60])).save(&logo)?;
    Ok(scene.stage.set_brand(merchant, "#c81e3c", &logo)?)
}

/// Chooses as the page's form does.
pub async fn choose_by_form(payment_url: &str, choice: &str) -> Outcome {
    let (page, query) = payment_url.split_once('?').ok_or_else(|| Failure::new("no payment URL"))?;
    let request = demo::http_client()?.post(format!("{page}/choose")).body(format!("{query}&token={choice}"));
    let answer = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").send().await?;
    assert!(answer.status().is_success() || answer.status().is_redirection(), "{}", answer.status());
    Ok(())
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
