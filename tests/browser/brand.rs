//! A merchant's own look on the page.

use e2e::{
    TestFolder,
    checkout_page::CheckoutPage,
    chromium::{NARROW, Scheme},
};
use serde_json::{Value, json};

use crate::{on_shared_scene, visit::create_invoice};

/// Text and ground of what a brand colours, as the browser draws them.
const COLOURS: &str = "
    const rgb = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/^rgba.* 0\\)$/.test(color)) return rgb(color);
        }
        return [255, 255, 255];
    };
    return ['.button', '.contact a', '.network'].map((selector) => {
        const element = document.querySelector(selector);
        return [rgb(getComputedStyle(element).color), ground(element)];
    });";

/// WCAG's contrast of two colours.
fn contrast(one: &Value, other: &Value) -> f64 {
    let luminance = |color: &Value| {
        let part = |place: usize| {
            let part = color[place].as_f64().unwrap_or_default() / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn a_merchants_colour_and_logo_are_on_the_page_and_every_text_can_be_read() {
    on_shared_scene(async |scene| {
        let merchant = scene.add_merchant().await?;
        let folder = TestFolder::new();
        let logo = folder.path().join("logo.png");
        image::RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 60])).save(&logo)?;
        let invoice = create_invoice(&merchant, json!({})).await?;
        for color in ["#ffee00", "#101010", "#c81e3c"] {
            scene.stage.set_brand(&merchant, color, &logo)?;
            for scheme in [Scheme::Light, Scheme::Dark, Scheme::HighContrast, Scheme::HighContrastDark] {
                let browser = scene.chromium.open(NARROW, scheme).await?;
                let page = CheckoutPage::open(&browser, &invoice.payment_url).await?;
                page.is_live().await?;
                let drawn = "const logo = document.querySelector('.logo'); return [logo.naturalWidth, logo.getBoundingClientRect().width]";
                assert_eq!(browser.script(drawn, json!([])).await?, json!([64, 40]));
                for pair in browser.script(COLOURS, json!([])).await?.as_array().into_iter().flatten() {
                    let contrast = contrast(&pair[0], &pair[1]);
                    assert!(4.5 <= contrast, "{color} {scheme:?}: {pair} is {contrast}");
                }
                assert_eq!(browser.console().await?, Vec::<String>::new());
            }
        }
        Ok(())
    });
}
