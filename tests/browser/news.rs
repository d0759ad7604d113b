//! The line that is read out: who hears the page learns of what happens by nothing else.

use e2e::{chromium::Browser, gallery::LiveGallery, outcome::Outcome};
use frontend::Language;
use serde_json::json;

use crate::{
    every_state::SILENCE,
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// Keeps what the line says from now on, as who listens hears it: one that is replaced is not read out any more.
const LISTEN: &str = "
    const region = document.querySelector('[role=status][aria-live=polite]');
    window.heard = [region.textContent];
    new MutationObserver(() => {
        if (region.isConnected && region.textContent !== window.heard.at(-1)) window.heard.push(region.textContent);
    }).observe(region, { characterData: true, childList: true, subtree: true });";

/// What comes to the page.
enum News {
    /// The state of this name.
    State(&'static str),
    /// Nothing any more.
    Silence,
}

use News::{Silence, State};

/// Opens a state, has news come one after the other, and checks that each is read out once and nothing else is.
#[track_caller]
fn is_heard(start: (&'static str, &str), news: &[(News, &str)]) {
    on_shared_scene(async |scene| {
        let order = scene.add_merchant().await?.shop.create_order().await?;
        let gallery = LiveGallery::open(&order.payment_url).await?;
        let browser = at_a_desk(scene).await?;
        browser.before_each_page(SILENCE).await?;
        browser.go_to(&gallery.address(start.0, Language::English)).await?;
        until("scripts to take the page over", async || Ok(browser.find("#app[data-live]").await?.is_some())).await?;
        browser.script(LISTEN, json!([])).await?;

        let mut expected = vec![start.1];
        for (version, (news, said)) in (2..).zip(news) {
            tell(&browser, news, version).await?;
            expected.push(said);
            until(&format!("\u{201c}{said}\u{201d} to be read out"), async || {
                Ok(expected.len() <= heard(&browser).await?.len())
            })
            .await?;
            assert_eq!(heard(&browser).await?, expected);
        }
        assert_eq!(browser.console().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Has the page hear of it, as if the network had come back just now.
async fn tell(browser: &Browser, news: &News, version: i64) -> Outcome {
    let ask = "window.dispatchEvent(new Event('online'))";
    match news {
        State(name) => {
            let mut snapshot = LiveGallery::snapshot(name)?;
            snapshot.version = version;
            // A page that sees that it is paid would leave for the shop's.
            snapshot.return_url = None;
            let answer = format!("window.answer = async () => new Response(arguments[0]); {ask}");
            browser.script(&answer, json!([serde_json::to_string(&snapshot)?])).await
        }
        // One lost answer is nothing to worry a payer with.
        Silence => {
            let answer =
                format!("window.answer = () => Promise.reject(new TypeError()); {ask}; setTimeout(() => {ask})");
            browser.script(&answer, json!([])).await
        }
    }
    .map(drop)
}

async fn heard(browser: &Browser) -> Outcome<Vec<String>> {
    Ok(serde_json::from_value(browser.script("return window.heard", json!([])).await?)?)
}

#[test]
fn a_payment_is_read_out_when_it_is_found_as_it_deepens_and_when_it_counts() {
    is_heard(
        ("pay", "Waiting for your payment."),
        &[
            (State("found"), "Payment found. Confirming: 1 of 12."),
            (State("confirming"), "Payment found. Confirming: 11 of 12."),
            (State("paid"), "Paid"),
        ],
    );
}

#[test]
fn a_payment_on_solana_is_read_out_when_it_is_found_and_when_it_counts() {
    is_heard(
        ("pay_on_solana", "Waiting for your payment."),
        &[(State("found_on_solana"), "Payment found. A last check is under way."), (State("paid_on_solana"), "Paid")],
    );
}

#[test]
fn a_part_and_that_the_merchant_canceled_are_read_out() {
    is_heard(
        ("pay", "Waiting for your payment."),
        &[(State("underpaid"), "$12.50 of $20.00 has arrived. Please send the rest."), (State("canceled"), "Canceled")],
    );
}

#[test]
fn a_page_that_is_out_of_date_says_so_aloud_and_when_it_is_not_any_more() {
    is_heard(
        ("pay", "Waiting for your payment."),
        &[
            (Silence, "No connection. What you see may be out of date."),
            (State("pay"), "Waiting for your payment."),
            (State("network_behind"), "Base cannot be read just now."),
            (State("reorganised"), "Your payment is waiting for a new block"),
            (State("checking"), "Time is up. Checking for payments that are on their way."),
            (State("expired"), "Expired"),
        ],
    );
}
