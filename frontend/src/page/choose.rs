//! Which token, on which network: a plain form, saved a page load where scripts run.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Event, FormData, HtmlFormElement};
use wire::snapshot::{Fees, Snapshot, Token, Unavailable};

use super::{STAGE_HEADING, page_url, words};
use crate::{
    components::{mark, network_mark, token_mark},
    dom, i18n, net,
    part::{Part, part},
    session::PaymentSession,
    stage,
};

pub fn choose(session: PaymentSession) -> Part {
    let t = i18n::text();
    let heading = move || match session.held(|held| held.invoice.paid) {
        0 => t.pay_with().to_owned(),
        _ => t.pay_the_rest().to_owned(),
    };
    let tokens = part("fieldset", "choose__tokens")
        .child(part("legend", "visually-hidden").text(t.token_and_network()))
        .child_following(move || session.held(token_list));
    let nothing = part("p", "hint").text(t.no_tokens());
    let button = part("button", "button")
        .flag_following("disabled", move || session.is_sending.get())
        .text_following(move || text_of_button(session));
    choice_form(session, "choose")
        .child(part("h2", "").with("id", STAGE_HEADING).with("tabindex", "-1").text_following(heading))
        .child_following(move || session.held(search))
        .child(tokens)
        .child(nothing.flag_following("hidden", move || session.held(|held| !held.tokens.is_empty())))
        .child(button)
}

fn text_of_button(session: PaymentSession) -> String {
    let t = i18n::text();
    if session.is_sending.get() { t.one_moment().to_owned() } else { t.go_on().to_owned() }
}

/// A form that asks for a quote. It works as it is; with scripts the answer comes without a new page.
pub fn choice_form(session: PaymentSession, class: &'static str) -> Part {
    let credentials = session.credentials();
    let hidden = |name: &'static str, value: String| {
        part("input", "").with("type", "hidden").with("name", name).with("value", value)
    };
    part("form", class)
        .with("method", "post")
        .with("action", "/pay/choose")
        .with("autocomplete", "off")
        .on("submit", move |event| submit(session, &event))
        .child(hidden("session", credentials.session_token))
        .child(hidden("signature", credentials.signature))
        .child(hidden("lang", i18n::text().language().code().to_owned()))
}

fn submit(session: PaymentSession, event: &Event) {
    event.prevent_default();
    let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else { return };
    // From the form itself: the choice may have been made before the page came to life.
    let choice = FormData::new_with_form(&form).ok().and_then(|data| data.get("token").as_string());
    let Some(choice) = choice.filter(|_| !session.is_sending.get_untracked()) else { return };
    session.is_sending.set(true);
    spawn_local(async move {
        let arrived = net::choose(&session.credentials(), &choice).await;
        session.is_sending.set(false);
        let Some(arrived) = arrived else {
            _ = form.submit();
            return;
        };
        session.notice.set(arrived.notice);
        session.was_renewed.set(false);
        session.is_choosing.set(false);
        session.receive(arrived, dom::page_ms());
        dom::replace_url(&page_url(session));
        dom::focus_later(STAGE_HEADING);
    });
}

/// Above so many choices, tokens are folded up and can be searched.
const EASILY_SEEN: usize = 6;

fn is_long(tokens: &[Token]) -> bool {
    EASILY_SEEN < tokens.len()
}

/// What is chosen already: what was last quoted, or the only choice there is.
fn chosen(snapshot: &Snapshot) -> Option<String> {
    let mut available = snapshot.tokens.iter().filter(|token| token.unavailable.is_none());
    let only = available.next().filter(|_| available.next().is_none());
    snapshot.quote.as_ref().map(stage::quote_choice).or_else(|| only.map(stage::token_choice))
}

fn search(snapshot: &Snapshot) -> Part {
    let label = i18n::text().search();
    part("input", "search")
        .with("type", "search")
        .with("aria-label", label)
        .with("placeholder", label)
        .flag("hidden", !is_long(&snapshot.tokens))
        .on("input", |event| dom::filter(".choose__tokens", &event_target_value(&event).to_lowercase()))
}

fn token_list(snapshot: &Snapshot) -> Part {
    let is_long = is_long(&snapshot.tokens);
    let chosen = chosen(snapshot);
    let groups = stage::by_symbol(&snapshot.tokens).into_iter().enumerate();
    let groups = groups.map(|(place, group)| {
        let has_choice = group.iter().any(|token| chosen == Some(stage::token_choice(token)));
        let is_open = !is_long || has_choice || chosen.is_none() && place == 0;
        token_group(&group, chosen.as_deref(), is_open)
    });
    part("div", "choose__list").children(groups.collect())
}

/// One token with the networks it can be sent on.
fn token_group(group: &[Token], chosen: Option<&str>, is_open: bool) -> Part {
    let first = &group[0];
    let name = if first.name.eq_ignore_ascii_case(&first.symbol) { String::new() } else { first.name.clone() };
    let summary = part("summary", "token__summary")
        .child(mark(token_mark(first.token_type, &first.symbol, &first.network)))
        .child(part("span", "token__symbol").text(first.symbol.clone()))
        .child(part("span", "token__name").text(name));
    let networks = group.iter().map(|token| network_choice(token, chosen)).collect();
    let label = i18n::text().networks_of(&first.symbol);
    let networks = part("div", "token__networks").with("role", "group").with("aria-label", label).children(networks);
    let searched = group.iter().map(searched).collect::<Vec<_>>().join(" ");
    part("details", "token").with(dom::SEARCHED, searched).flag("open", is_open).child(summary).child(networks)
}

/// What a search finds a choice by.
fn searched(token: &Token) -> String {
    format!("{} {} {}", token.symbol, token.name, token.network_title).to_lowercase()
}

fn network_choice(token: &Token, chosen: Option<&str>) -> Part {
    let choice = stage::token_choice(token);
    let is_chosen = chosen == Some(choice.as_str());
    let radio = part("input", "")
        .with("type", "radio")
        .with("name", "token")
        .with("value", choice)
        .flag("checked", is_chosen)
        .flag("disabled", token.unavailable.is_some())
        .flag("required", true);
    let title =
        part("span", "network__title").child(mark(network_mark(&token.network))).text(token.network_title.clone());
    part("label", "network")
        .with(dom::SEARCHED, searched(token))
        .child(radio)
        .child(title)
        .child(part("span", "network__hint").text(hint_of(token)))
}

/// Why it cannot be chosen, or what it costs, how long it takes, and whether it is seen late.
fn hint_of(token: &Token) -> String {
    let t = i18n::text();
    if let Some(reason) = token.unavailable {
        return text_of_reason(reason).to_owned();
    }
    let fees = token.fees.map(|fees| match fees {
        Fees::Low => t.fees_low().to_owned(),
        Fees::High => t.fees_high().to_owned(),
    });
    let unsteady = token.is_unsteady.then(|| t.unsteady().to_owned());
    [fees, token.typical_seconds.map(words::about), unsteady].into_iter().flatten().collect::<Vec<_>>().join("\u{a0}· ")
}

fn text_of_reason(reason: Unavailable) -> &'static str {
    match reason {
        Unavailable::NoPrice => i18n::text().unpriced_token(),
        Unavailable::Unread => i18n::text().unread_network(),
        Unavailable::Unseen | Unavailable::Coarse => i18n::text().untakeable_token(),
        Unavailable::UsedUp => i18n::text().crowded_token(),
    }
}
