//! What shops, browsers and people do to the page before scripts take it over: it can be paid all the same.

use e2e::{
    checkout_page::CheckoutPage,
    chromium::Browser,
    outcome::{Failure, Outcome},
    scene::Scene,
};
use serde_json::json;
use wire::invoice::InvoiceStatus;

use crate::{
    first_frame::{before_scripts, breaks_policy},
    on_shared_scene,
    visit::at_a_desk,
};

/// Chooses, scans, pays and sees it said.
async fn can_be_paid(scene: &Scene, page: &CheckoutPage<'_>, network: &str, symbol: &str) -> Outcome {
    let (network, token) = scene.token(network, symbol)?;
    page.choose(network.name, token.id).await?;
    let request = page.scan_request().await?;
    assert_eq!(page.asked().await?.address, request.recipient.to_string(), "text and code name one address");
    scene.pay(&request).await?;
    page.says("Paid").await
}

async fn keeps_the_policy(browser: &Browser) -> Outcome {
    let console = browser.console().await?;
    let broken: Vec<_> = console.iter().filter(|line| breaks_policy(line)).collect();
    assert!(broken.is_empty(), "drawing keeps the content policy: {broken:?}");
    Ok(())
}

/// Opens a page that somebody changed in the browser, which scripts draw anew then, and pays.
#[track_caller]
fn is_drawn_anew_and_can_be_paid(change: &str) {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.before_each_page(&before_scripts(change)).await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        assert!(browser.find("#app[data-mode=mount]").await?.is_some(), "the page was drawn anew");
        can_be_paid(scene, &page, "ethereum", "USDT").await?;
        keeps_the_policy(&browser).await
    });
}

#[test]
fn a_page_that_a_translator_changed_is_drawn_anew_and_can_be_paid() {
    // Translators wrap the texts of a page, which scripts then do not recognize.
    is_drawn_anew_and_can_be_paid(
        "const heading = document.getElementById('stage');
         const font = document.createElement('font');
         font.append(...heading.childNodes);
         heading.append(font);",
    );
}

#[test]
fn a_page_that_something_was_put_into_is_drawn_anew_and_can_be_paid() {
    is_drawn_anew_and_can_be_paid(
        "const badge = document.createElement('aside');
         badge.textContent = 'Coupon found!';
         document.querySelector('#app > *').prepend(badge);
         document.querySelector('.choose')?.prepend(badge.cloneNode(true));",
    );
}

#[test]
fn a_page_whose_lines_were_broken_anew_is_drawn_anew_and_can_be_paid() {
    is_drawn_anew_and_can_be_paid("document.querySelector('#app > *').prepend('\\n    ');");
}

#[test]
fn a_page_whose_comments_were_taken_out_is_drawn_anew_and_can_be_paid() {
    // As programs do that make pages smaller. What scripts are to find is marked by comments.
    is_drawn_anew_and_can_be_paid(
        "const walk = document.createTreeWalker(document.getElementById('app'), NodeFilter.SHOW_COMMENT);
         const comments = [];
         while (walk.nextNode()) comments.push(walk.currentNode);
         if (!comments.length) throw new Error('there are none');
         for (const comment of comments) comment.remove();",
    );
}

#[test]
fn a_page_that_only_attributes_and_what_is_around_it_changed_of_is_taken_over_and_can_be_paid() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser
            .before_each_page(&before_scripts(
                "document.querySelector('#app > *').setAttribute('data-extension', 'seen');
                 document.body.append(document.createElement('aside'));",
            ))
            .await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        page.is_live().await?;
        assert!(browser.find("#app[data-mode=mount]").await?.is_none(), "there was no need to draw it anew");
        assert!(browser.find("#app > [data-extension]").await?.is_some());
        can_be_paid(scene, &page, "ethereum", "USDT").await?;
        keeps_the_policy(&browser).await
    });
}

/// Opens a page that asks for a payment and that somebody changed in the browser: it says the right things, and is paid.
#[track_caller]
fn asks_for_the_right_thing_and_can_be_paid(change: &str) {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        let (network, token) = scene.token("ethereum", "USDT")?;
        page.choose(network.name, token.id).await?;
        let asked = page.asked().await?;
        browser.before_each_page(&before_scripts(change)).await?;
        browser.go_to(&order.payment_url).await?;
        page.is_live().await?;
        assert_eq!(page.asked().await?, asked);
        let request = page.scan_request().await?;
        assert_eq!(request.recipient.to_string(), asked.address);
        scene.pay(&request).await?;
        page.says("Paid").await?;
        keeps_the_policy(&browser).await
    });
}

#[test]
fn a_page_whose_amount_and_address_a_translator_wrapped_asks_for_the_right_thing_and_can_be_paid() {
    asks_for_the_right_thing_and_can_be_paid(
        "for (const id of ['amount', 'address', 'stage']) {
             const text = document.getElementById(id);
             const font = document.createElement('font');
             font.append(...text.childNodes);
             text.append(font);
         }",
    );
}

/// Taking a page over compares no text, so that would stay until the amount changes.
#[test]
fn a_page_whose_amount_was_written_in_another_way_asks_for_the_right_thing_and_can_be_paid() {
    asks_for_the_right_thing_and_can_be_paid("document.getElementById('amount').firstChild.data = '2';");
}

#[test]
fn a_page_whose_wasm_is_blocked_is_the_server_s_and_can_be_paid() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.block(&["*_bg.wasm*"]).await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        can_be_paid(scene, &page, "ethereum", "USDC").await?;
        assert!(browser.find("#app[data-live]").await?.is_none(), "no script took the page over");
        Ok(())
    });
}

#[test]
fn a_page_whose_scripts_never_arrive_is_the_server_s_and_can_be_paid() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        browser.block(&["*/assets/*"]).await?;
        let order = merchant.shop.create_order().await?;
        let page = CheckoutPage::open(&browser, &order.payment_url).await?;
        can_be_paid(scene, &page, "base", "USDC").await?;
        assert!(browser.find("#app[data-live]").await?.is_none(), "no script took the page over");
        Ok(())
    });
}

/// Opens an order's page in the shop, and in its frame the payment page with these rights alone.
async fn in_sandbox<'b>(browser: &'b Browser, order_page: &str, rights: &str) -> Outcome<CheckoutPage<'b>> {
    browser.go_to(order_page).await?;
    let confine = "const frame = document.querySelector('iframe');
        const confined = frame.cloneNode();
        confined.setAttribute('sandbox', arguments[0]);
        frame.replaceWith(confined);";
    browser.script(confine, json!([rights])).await?;
    CheckoutPage::in_frame(browser).await
}

#[track_caller]
fn can_be_paid_in_a_sandbox(rights: &str, is_live: bool) {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let order = merchant.shop.create_order().await?;
        let order_page = format!("{}/orders/{}", merchant.shop.url(), order.id);
        let page = in_sandbox(&browser, &order_page, rights).await?;
        if is_live {
            page.is_live().await?;
        }
        can_be_paid(scene, &page, "base", "USDC").await
    });
}

#[test]
fn a_frame_that_may_run_scripts_of_its_own_origin_is_live() {
    can_be_paid_in_a_sandbox("allow-forms allow-scripts allow-same-origin", true);
}

#[test]
fn a_frame_whose_origin_is_nobody_s_can_be_paid() {
    can_be_paid_in_a_sandbox("allow-forms allow-scripts", true);
}

/// Browsers refuse it to load itself again, so there is a link to do so.
#[test]
fn a_frame_that_may_only_send_forms_can_be_paid_and_looked_at_again() {
    on_shared_scene(async |scene| {
        let (merchant, browser) = (scene.add_merchant().await?, at_a_desk(scene).await?);
        let order = merchant.shop.create_order().await?;
        let order_page = format!("{}/orders/{}", merchant.shop.url(), order.id);
        let page = in_sandbox(&browser, &order_page, "allow-forms").await?;
        let (network, token) = scene.token("base", "USDC")?;
        page.choose(network.name, token.id).await?;
        let request = page.scan_request().await?;
        let transaction = scene.pay(&request).await?;
        let invoice = merchant.shop.orders().pop().ok_or_else(|| Failure::new("the shop has no order"))?.invoice_id;
        let api = e2e::ApiClient::new(&merchant.api.url, &merchant.api.key);
        crate::visit::until("the API to say paid", async || {
            Ok(api.invoice_status(&invoice).await.invoice.status == InvoiceStatus::Paid)
        })
        .await?;
        browser.click(".check-again").await?;
        page.says("Paid").await?;
        page.shows(&transaction.to_string()).await
    });
}
