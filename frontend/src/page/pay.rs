//! What to send where: amount, network, address, and the two ways to get them into a wallet.

use std::borrow::Cow;

use leptos::prelude::*;
use web_sys::Event;
use wire::snapshot::{Quote, Snapshot};

use super::{STAGE_HEADING, choose::choice_form, page_url, proof::proof_of_address};
use crate::{
    components::{WARNING, address, copy_button, late_qr_code, mark, network_mark, qr_code},
    countdown, dom,
    i18n::{self, Price},
    part::{Part, part},
    proof::{ADDRESS, AMOUNT, is_as_shown},
    session::PaymentSession,
    stage,
    wallets::{Reads, wallets_for},
};

pub fn pay(session: PaymentSession) -> Part {
    let t = i18n::text();
    session.begin_checks(is_as_shown);
    let heading = part("h2", "visually-hidden").with("id", STAGE_HEADING).with("tabindex", "-1");
    let choose = move |event: Event| {
        event.prevent_default();
        session.is_choosing.set(true);
        dom::focus_later(STAGE_HEADING);
    };
    let change = part("a", "change")
        .with("href", format!("{}&choose=1", page_url(session)))
        .flag_following("hidden", move || !session.held(has_choice))
        .on("click", choose)
        .text(t.change_token());
    let only_this = session.quote_once(|quote| i18n::text().only_this(&quote.symbol, &quote.network_title));
    let steps = part("div", "pay__steps")
        .child(facts(session))
        .child(proof_of_address(session))
        .child(part("p", "warning").child(mark(WARNING)).child(part("span", "").text(only_this)))
        .children(fee_note(session).into_iter().collect())
        .child(ways(session))
        .child(rate(session));
    part("div", "")
        .following("class", move || class_of_pay(session))
        .child(heading.text(session.quote_once(|quote| i18n::text().pay_on(&quote.symbol, &quote.network_title))))
        .child(renew(session))
        .child(steps)
        .child(change)
}

/// What a payer has to copy, in large letters.
fn facts(session: PaymentSession) -> Part {
    let t = i18n::text();
    let fact = |name: &'static str, value: Part| part("div", "fact").child(part("dt", "").text(name)).child(value);
    let is_marked = session.once(|held| held.quote.as_ref().is_some_and(|quote| quote.is_marked));
    let mark_of_amount = is_marked.then(|| part("dd", "hint").text(t.marked_amount()));
    let number =
        part("span", "").with("id", AMOUNT).text_following(move || session.quote(|quote| quote.amount.clone()));
    let symbol = part("span", "amount__symbol").text(session.quote_once(|quote| quote.symbol.clone()));
    let amount = part("span", "")
        .following("class", move || session.quote(class_of_amount))
        .with("translate", "no")
        .with("dir", "ltr")
        .child(number)
        .text(" ")
        .child(symbol);
    let amount = part("dd", "fact__value").child(amount).child(copy_button(
        t.copy_amount(),
        |quote| quote.amount.clone(),
        "amount",
    ));
    let network = part("dd", "on-network")
        .with("translate", "no")
        .child(mark(session.once(mark_of_network)))
        .text(session.quote_once(|quote| quote.network_title.clone()));
    let address = part("dd", "fact__value")
        .child(address(ADDRESS, &session.quote_once(|quote| quote.address.clone())))
        .child(copy_button(t.copy_address(), |quote| quote.address.clone(), ADDRESS));
    part("dl", "facts")
        .child(fact(t.send_exactly(), amount).children(mark_of_amount.into_iter().collect()))
        .child(fact(t.on_network(), network))
        .child(fact(t.to_address(), address))
}

/// What is odd about the fee that a wallet asks for.
fn fee_note(session: PaymentSession) -> Option<Part> {
    let opens_account = session.once(|held| held.quote.as_ref().is_some_and(|quote| quote.opens_account));
    let words = || session.quote_once(|quote| i18n::text().opens_account(&quote.symbol));
    opens_account.then(|| part("p", "hint").text(words()))
}

/// Two ways, and one code in sight at a time: a camera must never find the other one. Which one follows from what is
/// picked, by styles alone.
fn ways(session: PaymentSession) -> Part {
    let t = i18n::text();
    let switch = |id: &'static str, is_first| {
        let switch = part("input", "ways__switch").with("type", "radio").with("name", "way").with("id", id);
        switch.flag("checked", is_first).with("autocomplete", "off")
    };
    let label = |id: &'static str, text: &'static str| part("label", "ways__label").with("for", id).text(text);
    part("fieldset", "ways")
        .child(part("legend", "visually-hidden").text(t.how_do_you_pay()))
        .child(switch("from-wallet", true))
        .child(label("from-wallet", t.wallet_way()))
        .child(switch("from-exchange", false))
        .child(label("from-exchange", t.exchange_way()))
        .child(way(session))
}

fn way(session: PaymentSession) -> Part {
    let t = i18n::text();
    let network = session.quote_once(|quote| quote.network_title.clone());
    let merchant = session.once(|held| held.merchant.name.clone());
    let hint = |class, text: Cow<'static, str>| part("p", class).text(text);
    let open = |class: &'static str, link: fn(&Quote) -> String| {
        let link = part("a", class).following("href", move || session.quote(link));
        link.with("target", "_top").with("rel", "noreferrer").text(i18n::text().open_wallet())
    };
    // Only where there is something to leave out.
    let has_unmarked = session.once(|held| held.quote.as_ref().is_some_and(has_mark));
    let unmarked_code = has_unmarked.then(|| {
        late_qr_code("qr qr--unmarked", ".qr--unmarked path", unmarked, |quote| {
            i18n::text().request_qr(&quote.amount, &quote.symbol, &quote.network_title)
        })
    });
    let text = part("div", "way__text")
        .child(open("button way__open", |quote| quote.uri.clone()))
        .children(has_unmarked.then(|| open("button way__unmarked", unmarked)).into_iter().collect())
        .child(hint("hint way__request", t.wallet_hint().into()))
        .child(hint("hint way__plain", t.plain_hint(&network).into()))
        .child(hint("hint way__exchange", t.exchange_hint(&network).into()))
        .child(hint("hint way__exchange", t.exchange_window(&merchant).into()));
    part("div", "way")
        .child(wallet_choice(session))
        .child(qr_code(
            "qr qr--request",
            ".qr--request path",
            |quote| quote.uri.clone(),
            |quote| i18n::text().request_qr(&quote.amount, &quote.symbol, &quote.network_title),
        ))
        .children(unmarked_code.into_iter().collect())
        .child(qr_code(
            "qr qr--address",
            ".qr--address path",
            |quote| quote.address.clone(),
            |_| i18n::text().address_qr().to_owned(),
        ))
        .child(text)
}

/// The request without the mark that some wallets choke on.
fn unmarked(quote: &Quote) -> String {
    let mark = |part: &&str| !part.starts_with(MARK);
    quote.uri.split('&').filter(mark).collect::<Vec<_>>().join("&")
}

/// The parameter of a request that says whose payment it is. It is never the first one.
const MARK: &str = "reference=";

fn has_mark(quote: &Quote) -> bool {
    quote.uri.split('&').any(|part| part.starts_with(MARK))
}

/// Which wallet, so that the code in sight is one it reads.
fn wallet_choice(session: PaymentSession) -> Part {
    let t = i18n::text();
    let option = |name: &'static str, reads: Reads| part("option", reads.class()).text(name);
    let wallets = session.once(|held| held.quote.as_ref().map_or(&[][..], wallets_for));
    let named = wallets.iter().map(|wallet| option(wallet.name, wallet.reads)).collect();
    let choice = part("select", "wallet__choice")
        .with("autocomplete", "off")
        .child(option(t.any_wallet(), Reads::Request))
        .children(named)
        .child(option(t.other_wallet(), Reads::Address));
    part("label", "wallet").child(part("span", "").text(t.your_wallet())).child(choice)
}

/// What the amount was computed with, and for how long it holds.
fn rate(session: PaymentSession) -> Part {
    let t = i18n::text();
    let said = move || session.quote(|quote| i18n::text().rate(&quote.symbol, Price(&quote.rate)));
    let clock = part("span", "rate__clock")
        .with("role", "timer")
        .with("aria-labelledby", "rate-valid")
        .text_following(move || session.timed(rate_clock));
    let valid = part("span", "").child(part("span", "").with("id", "rate-valid").text(t.rate_valid_for()));
    part("p", "rate").child(part("span", "").text_following(said)).child(valid.text(" ").child(clock))
}

/// Asks for the amount at the current rate. In sight only after the quote lapsed, when a page with scripts asks by
/// itself.
fn renew(session: PaymentSession) -> Part {
    let t = i18n::text();
    let token = part("input", "").with("type", "hidden").with("name", "token");
    let button = part("button", "button").flag_following("disabled", move || session.is_sending.get());
    choice_form(session, "renew")
        .child(token.with("value", session.quote_once(stage::quote_choice)))
        .child(button.text(t.renew()))
}

fn mark_of_network(snapshot: &Snapshot) -> &'static str {
    snapshot.quote.as_ref().map_or("", |quote| network_mark(&quote.network))
}

/// Whether there is a way back to the choice: no payment has locked it.
fn has_choice(snapshot: &Snapshot) -> bool {
    stage::locked(snapshot).is_none() && 1 < snapshot.tokens.len()
}

/// Long amounts get smaller letters: native coins have 18 decimals.
fn class_of_amount(quote: &Quote) -> String {
    if 10 < quote.amount.len() { "amount amount--long".to_owned() } else { "amount".to_owned() }
}

fn class_of_pay(session: PaymentSession) -> String {
    let is_lapsed = session
        .timed(|held, now_ms| held.quote.as_ref().is_some_and(|quote| stage::is_past(quote.valid_until, now_ms)));
    if is_lapsed { "pay pay--lapsed".to_owned() } else { "pay".to_owned() }
}

fn rate_clock(snapshot: &Snapshot, now_ms: i64) -> String {
    let clock = |quote: &Quote| countdown::clock(quote.valid_until, now_ms);
    snapshot.quote.as_ref().map(clock).unwrap_or_default()
}
