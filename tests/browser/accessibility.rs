//! Every state of the page as everybody has to be able to use it: by rules, by keys, in narrow places, in any theme.

use std::{fs, path::Path};

use e2e::{
    checkout_page::CheckoutPage,
    chromium::{Browser, SMALL, Scheme, Viewport, WIDE},
    gallery::{self, Gallery},
    outcome::{Failure, Outcome},
    payment_request,
};
use frontend::Language;
use serde_json::{Value, json};

use crate::{on_shared_scene, visit::at_a_desk};

const TABULATOR: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// What a desk shows at twice the size of letters.
const ENLARGED: Viewport = Viewport { width: 640, height: 450 };

/// The rules that count: WCAG 2.2 up to AA, and what its makers advise beside them.
const RUN_RULES: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then(
        ({ violations }) => done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)),
        (error) => done([String(error)]),
    );";

/// What is smaller than 24 by 24 and can be pressed; a box beside its text is pressed there.
const SMALL_TARGETS: &str = "
    const targets = [...document.querySelectorAll('a, button, select, summary, label, input:not([type=hidden])')];
    const seen = targets.filter((target) => target.checkVisibility({ visibilityProperty: true, opacityProperty: true }));
    const own = seen.filter((target) => !target.matches('label input, .visually-hidden'));
    return own.filter((target) => {
        const { width, height } = target.getBoundingClientRect();
        return width < 24 || height < 24;
    }).map((target) => target.outerHTML);";

/// What sticks out at the side.
const OVERFLOW: &str = "
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;";

fn rules() -> Outcome<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("accessibility/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

async fn open_gallery() -> Outcome<Gallery> {
    Gallery::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../frontend/dist")).await
}

#[test]
fn every_state_keeps_the_rules_in_english_by_day() {
    keeps_the_rules(Language::English, Scheme::Light);
}

#[test]
fn every_state_keeps_the_rules_in_english_by_night() {
    keeps_the_rules(Language::English, Scheme::Dark);
}

#[test]
fn every_state_keeps_the_rules_in_arabic_by_day() {
    keeps_the_rules(Language::Arabic, Scheme::Light);
}

#[test]
fn every_state_keeps_the_rules_with_high_contrast() {
    keeps_the_rules(Language::English, Scheme::HighContrast);
}

#[test]
fn every_state_keeps_the_rules_in_arabic_with_high_contrast_by_night() {
    keeps_the_rules(Language::Arabic, Scheme::HighContrastDark);
}

#[track_caller]
fn keeps_the_rules(language: Language, scheme: Scheme) {
    on_shared_scene(async |scene| {
        let (gallery, rules) = (open_gallery().await?, rules()?);
        let browser = scene.chromium.open(WIDE, scheme).await?;
        let mut trouble = Vec::new();
        for scene in gallery::scenes() {
            browser.go_to(&gallery.address(&scene, language)).await?;
            browser.script(&rules, json!([])).await?;
            let broken: Vec<String> = serde_json::from_value(browser.script_later(RUN_RULES).await?)?;
            trouble.extend(broken.into_iter().map(|rule| format!("{}: {rule}", scene.name)));
        }
        assert!(trouble.is_empty(), "{}", trouble.join("\n"));
        Ok(())
    });
}

#[test]
fn nothing_sticks_out_or_is_too_small_to_press_at_any_width_in_any_language() {
    on_shared_scene(async |scene| {
        let gallery = open_gallery().await?;
        let browser = at_a_desk(scene).await?;
        let mut trouble = Vec::new();
        for language in Language::ALL {
            for viewport in [SMALL, ENLARGED, WIDE] {
                browser.resize(viewport).await?;
                for scene in gallery::scenes() {
                    browser.go_to(&gallery.address(&scene, language)).await?;
                    let what = format!("{} in {language:?} at {}", scene.name, viewport.width);
                    let sideways = browser.script(OVERFLOW, json!([])).await?;
                    if sideways != json!(0) {
                        trouble.push(format!("{what} is {sideways} too wide"));
                    }
                    let small: Vec<String> = serde_json::from_value(browser.script(SMALL_TARGETS, json!([])).await?)?;
                    trouble.extend(small.into_iter().map(|target| format!("{what} has a small {target}")));
                }
            }
        }
        assert!(trouble.is_empty(), "{}", trouble.join("\n"));
        Ok(())
    });
}

/// States that ask for a payment.
const WITH_CODES: [&str; 5] = ["pay", "pay_native", "underpaid", "pay_on_solana", "underpaid_on_solana"];

/// Whom a payment request asks to pay.
fn recipient_of(request: &str) -> Outcome<String> {
    let on_solana = request.strip_prefix("solana:").and_then(|rest| rest.split_once('?'));
    match on_solana {
        Some((recipient, _)) => Ok(recipient.to_owned()),
        None => Ok(payment_request::parse(request)?.recipient.to_string()),
    }
}

#[test]
fn codes_are_read_from_a_picture_in_every_theme_and_language_on_the_smallest_phone() {
    on_shared_scene(async |scene| {
        let gallery = open_gallery().await?;
        for scheme in
            [Scheme::Light, Scheme::Dark, Scheme::HighContrast, Scheme::HighContrastDark, Scheme::ForcedColors]
        {
            let browser = scene.chromium.open(SMALL, scheme).await?;
            for language in Language::ALL {
                for scene in gallery::scenes().into_iter().filter(|it| WITH_CODES.contains(&it.name)) {
                    browser.go_to(&gallery.address(&scene, language)).await?;
                    let request = payment_request::scan(&browser.picture_of(".qr--request").await?)?;
                    let shown = browser.text("#address").await?.unwrap_or_default();
                    assert_eq!(recipient_of(&request)?, shown, "{} {scheme:?}", scene.name);
                    browser.click("label[for=from-exchange]").await?;
                    let address = payment_request::scan(&browser.picture_of(".qr--address").await?)?;
                    assert_eq!(address, shown, "{} {scheme:?}", scene.name);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_named_wallet_gets_a_code_it_can_read() {
    on_shared_scene(async |scene| {
        let gallery = open_gallery().await?;
        let browser = scene.chromium.open(SMALL, Scheme::Light).await?;
        let scenes = gallery::scenes();
        let scene = scenes.iter().find(|it| it.name == "pay").ok_or_else(|| Failure::new("no such scene"))?;
        browser.go_to(&gallery.address(scene, Language::English)).await?;
        for (wallet, reads_request) in
            [("MetaMask", true), ("Trust Wallet", false), ("Rainbow", true), ("Another wallet", false)]
        {
            let pick = "const choice = document.querySelector('.wallet__choice');
                choice.value = [...choice.options].find((option) => option.text === arguments[0]).value;";
            browser.script(pick, json!([wallet])).await?;
            assert_eq!(browser.draws(".qr--request").await?, reads_request, "{wallet}");
            assert_eq!(browser.draws(".qr--address").await?, !reads_request, "{wallet}");
            assert_eq!(browser.draws(".way__open").await?, reads_request, "{wallet}");
        }
        Ok(())
    });
}

#[test]
fn nothing_moves_for_who_wants_it_still() {
    on_shared_scene(async |scene| {
        let gallery = open_gallery().await?;
        let browser = at_a_desk(scene).await?;
        for scene in gallery::scenes() {
            browser.go_to(&gallery.address(&scene, Language::English)).await?;
            let moving = browser.script("return document.getAnimations().length", json!([])).await?;
            assert_eq!(moving, json!(0), "{}", scene.name);
        }
        Ok(())
    });
}

#[test]
fn keys_alone_choose_a_token_and_reach_all_that_can_be_done() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;

        reach(&browser, "[name=token]").await?;
        browser.press(" ").await?;
        reach(&browser, ".choose button").await?;
        browser.press(ENTER).await?;
        page.asks_for_payment().await?;
        let focused = "return document.activeElement.id";
        crate::visit::until("the focus to be on what is new", async || {
            Ok(browser.script(focused, json!([])).await? == Value::String("stage".to_owned()))
        })
        .await?;
        // In the order in which it is read.
        for target in ["#amount ~ .copy, .fact:nth-child(1) .copy", ".fact:nth-child(3) .copy", "#from-wallet"] {
            browser.press(TABULATOR).await?;
            assert!(is_focused(&browser, target).await?, "{target} comes next");
        }
        for target in [".wallet__choice", ".way__open", ".change"] {
            reach(&browser, target).await?;
        }
        Ok(())
    });
}

#[test]
fn keys_alone_answer_questions_and_ask_for_help() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let question =
            json!({ "id": "glaze", "question": "Which glaze?", "type": "text", "validation": { "required": true } });
        let members = json!({ "questions": { "questions": [question] } });
        let invoice = crate::visit::create_invoice(&merchant, members).await?;
        let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
        reach(&browser, "#answer-0").await?;
        type_keys(&browser, "Sage").await?;
        reach(&browser, "#email").await?;
        type_keys(&browser, "anna@mail.example").await?;
        reach(&browser, ".form button").await?;
        browser.press(ENTER).await?;
        page.says("How would you like to pay?").await?;
        page.is_live().await?;
        let api = e2e::ApiClient::new(&merchant.api.url, &merchant.api.key);
        let kept = api.invoice(&invoice.invoice_id).await;
        assert_eq!(kept.customer_email.as_deref(), Some("anna@mail.example"));
        assert_eq!(kept.responses.unwrap_or_default()[0].response, "Sage");

        reach(&browser, "[name=token]").await?;
        browser.press(" ").await?;
        reach(&browser, ".choose button").await?;
        browser.press(ENTER).await?;
        page.asks_for_payment().await?;
        reach(&browser, ".contact__help a").await?;
        browser.press(ENTER).await?;
        page.says("I have paid, and nothing happens").await?;
        reach(&browser, "#tx_hash").await?;
        type_keys(&browser, &format!("0x{}", "ab".repeat(32))).await?;
        reach(&browser, ".form button").await?;
        browser.press(ENTER).await?;
        page.shows("Looking for your payment").await
    });
}

#[test]
fn every_page_that_scripts_take_over_has_one_region_that_is_read_out_and_politely() {
    const REGIONS: &str = "
        const regions = document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log], output');
        const shown = [...regions].map((region) => `${region.getAttribute('role')} ${region.getAttribute('aria-live')}`);
        return [document.querySelector('#app[data-live]') !== null, shown];";
    on_shared_scene(async |scene| {
        let (gallery, browser) = (open_gallery().await?, at_a_desk(scene).await?);
        let mut live = 0;
        for scene in gallery::scenes() {
            browser.go_to(&gallery.address(&scene, Language::English)).await?;
            let (is_live, regions): (bool, Vec<String>) =
                serde_json::from_value(browser.script(REGIONS, json!([])).await?)?;
            if is_live {
                live += 1;
                // What stops the page is said at once.
                let alarm = (scene.name == "amiss").then_some("alert null");
                let expected: Vec<&str> = ["status polite"].into_iter().chain(alarm).collect();
                assert_eq!(regions, expected, "{}", scene.name);
            }
        }
        assert!(20 < live, "{live} states");
        Ok(())
    });
}

pub async fn type_keys(browser: &Browser, text: &str) -> Outcome {
    for letter in text.chars() {
        browser.press(&letter.to_string()).await?;
    }
    Ok(())
}

/// The ring around what has the focus, or around what stands for it.
const HAS_RING: &str = "
    const at = document.activeElement;
    const label = at.nextElementSibling?.matches('label') ? at.nextElementSibling : null;
    return at === document.body || [at, at.closest('.network'), label].some((element) => {
        if (!element) return false;
        const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
        return outlineStyle === 'solid' && 2 <= parseFloat(outlineWidth) && !/, 0\\)$/.test(outlineColor);
    }) || at.outerHTML;";

async fn is_focused(browser: &Browser, target: &str) -> Outcome<bool> {
    let script = "return document.activeElement.matches(arguments[0])";
    Ok(browser.script(script, json!([target])).await? == Value::Bool(true))
}

/// Goes on from control to control until it is there; wherever it comes can be seen.
pub async fn reach(browser: &Browser, target: &str) -> Outcome {
    for _ in 0..40 {
        browser.press(TABULATOR).await?;
        assert_eq!(browser.script(HAS_RING, json!([])).await?, Value::Bool(true), "the focus is seen");
        if is_focused(browser, target).await? {
            return Ok(());
        }
    }
    Err(Failure::new(format!("keys do not lead to {target}")))
}
