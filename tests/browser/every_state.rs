//! Every state as scripts take it over and as they draw it themselves, under the content policy and in every language.

use e2e::{gallery::LiveGallery, outcome::Outcome};
use frontend::Language;
use serde_json::{Value, json};

use crate::{
    hostile_text::{MOUNT, has_no_inline_styles},
    on_shared_scene,
    visit::{at_a_desk, until},
};

/// A server that never answers, and what a test may have it answer instead.
pub const SILENCE: &str = "
    const ask = window.fetch;
    window.fetch = (what, ...rest) => {
        if (!/^\\/(pay|api)\\//.test(what)) return ask(what, ...rest);
        if (what === '/pay/snapshot' && window.answer) return window.answer();
        return new Promise(() => {});
    };";

/// How the page came to be: drawn by scripts or not, and anew or not.
const CAME: &str =
    "const { live, mode } = document.getElementById('app').dataset; return [live !== undefined, mode ?? null];";

const STATUS: &str = "return document.querySelector('[role=status]').textContent";

#[track_caller]
fn is_met(language: Language, is_mounted: bool) {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let order = merchant.shop.create_order().await?;
        let gallery = LiveGallery::open(&order.payment_url).await?;
        let browser = at_a_desk(scene).await?;
        browser.before_each_page(SILENCE).await?;
        if is_mounted {
            browser.before_each_page(MOUNT).await?;
        }
        let came = if is_mounted { json!([true, "mount"]) } else { json!([true, null]) };
        let is_taken_over = async |name: &str| {
            until(&format!("scripts to take {name} over"), async || {
                Ok(browser.find("#app[data-live]").await?.is_some())
            })
            .await?;
            assert_eq!(browser.script(CAME, json!([])).await?, came, "{name}");
            assert_eq!(browser.console().await?, Vec::<String>::new(), "{name}");
            Ok(()) as Outcome
        };
        for (name, address) in gallery.scenes(language) {
            browser.go_to(&address).await?;
            is_taken_over(name).await?;
            has_no_inline_styles(&browser).await?;
        }

        // What only the page knows.
        for (name, act) in [
            (
                "choose",
                "document.querySelector('.choose input[value=\"base:2\"]').click(); document.querySelector('.choose .button').click()",
            ),
            ("pay", "document.querySelector('.change').click()"),
            (
                "pay",
                "window.answer = () => Promise.reject(new TypeError());
                for (const _ of [1, 2]) setTimeout(() => window.dispatchEvent(new Event('online')))",
            ),
            (
                "pay",
                "window.answer = async () => new Response('{}', { status: 401 });
                window.dispatchEvent(new Event('online'))",
            ),
            ("pay", "document.getElementById('address').textContent = '0x'"),
        ] {
            browser.go_to(&gallery.address(name, language)).await?;
            is_taken_over(name).await?;
            let before = browser.script(STATUS, json!([])).await?;
            browser.script(act, json!([])).await?;
            until(&format!("the page to say something else after {act}"), async || {
                Ok(browser.script(STATUS, json!([])).await? != before)
            })
            .await?;
            has_no_inline_styles(&browser).await?;
            assert_eq!(browser.console().await?, Vec::<String>::new(), "{act}");
        }
        Ok(())
    });
}

#[test]
fn every_state_is_taken_over_as_it_was_drawn_in_english() {
    is_met(Language::English, false);
}

#[test]
fn every_state_is_taken_over_as_it_was_drawn_in_arabic() {
    is_met(Language::Arabic, false);
}

#[test]
fn every_state_is_drawn_by_scripts_under_the_policy_in_english() {
    is_met(Language::English, true);
}

#[test]
fn every_state_is_drawn_by_scripts_under_the_policy_in_arabic() {
    is_met(Language::Arabic, true);
}

/// What these tests look for is seen: markup from text breaks the policy, and is told.
#[test]
fn markup_from_text_breaks_the_policy_on_a_page_of_the_gallery() {
    on_shared_scene(async |scene| {
        let order = scene.add_merchant().await?.shop.create_order().await?;
        let gallery = LiveGallery::open(&order.payment_url).await?;
        let browser = at_a_desk(scene).await?;
        browser.before_each_page(SILENCE).await?;
        browser.go_to(&gallery.address("paid", Language::English)).await?;
        let write = "setTimeout(() => { document.getElementById('app').innerHTML = '<p>x</p>' })";
        browser.script(write, json!([])).await?;
        until("the console to hear of it", async || {
            Ok(browser.console().await?.iter().any(|line| crate::first_frame::breaks_policy(line)))
        })
        .await?;
        assert_eq!(
            browser.script("return document.querySelector('#app h1') !== null", json!([])).await?,
            Value::Bool(true)
        );
        Ok(())
    });
}
