//! Which token, on which network: a plain form, saved a page load where scripts run.

use leptos::{ev::SubmitEvent, prelude::*};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{FormData, HtmlFormElement};
use wire::snapshot::{Snapshot, Token, Unavailable};

use super::{STAGE_HEADING, page_url};
use crate::{
    components::{Mark, token_mark},
    dom, i18n, net,
    session::PaymentSession,
    stage,
};

#[component]
pub fn Choose() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let heading = session.show(|session| match session.held(|held| held.invoice.paid) {
        0 => i18n::text().pay_with().to_owned(),
        _ => i18n::text().pay_the_rest().to_owned(),
    });
    let fields = view! {
        <h2 id=STAGE_HEADING tabindex="-1">
            {heading}
        </h2>
        <fieldset class="choose__tokens">
            <legend class="visually-hidden">{t.token_and_network()}</legend>
            {session.show(|session| session.held(tokens))}
        </fieldset>
        <p class="hint" hidden=session.show(|session| session.held(|held| !held.tokens.is_empty()))>
            {t.no_tokens()}
        </p>
        <button class="button" disabled=session.show(|session| session.is_sending.get())>
            {session.show(text_of_button)}
        </button>
    };
    choice_form(session, "choose", fields)
}

fn text_of_button(session: PaymentSession) -> String {
    let t = i18n::text();
    if session.is_sending.get() { t.one_moment().to_owned() } else { t.go_on().to_owned() }
}

/// A form that asks for a quote. It works as it is; with scripts the answer comes without a new page.
///
/// A function rather than a component with children, which would erase their type: the erased form carries several
/// times the code.
pub fn choice_form(session: PaymentSession, class: &'static str, fields: impl IntoView) -> impl IntoView {
    let credentials = session.credentials();
    view! {
        <form class=class method="post" action="/pay/choose" autocomplete="off" on:submit=move |event| submit(session, &event)>
            <input type="hidden" name="session" value=credentials.session_token />
            <input type="hidden" name="signature" value=credentials.signature />
            <input type="hidden" name="lang" value=i18n::text().language().code() />
            {fields}
        </form>
    }
}

fn submit(session: PaymentSession, event: &SubmitEvent) {
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

fn tokens(snapshot: &Snapshot) -> impl IntoView + use<> {
    let mut available = snapshot.tokens.iter().filter(|token| token.unavailable.is_none());
    let only = available.next().filter(|_| available.next().is_none());
    let chosen = snapshot.quote.as_ref().map(stage::quote_choice).or_else(|| only.map(stage::token_choice));
    let groups = stage::by_symbol(&snapshot.tokens).into_iter();
    groups.map(|group| token_group(group, chosen.as_deref())).collect_view()
}

/// One token with the networks it can be sent on.
fn token_group(group: Vec<Token>, chosen: Option<&str>) -> impl IntoView + use<> {
    let (symbol, name) = (group[0].symbol.clone(), group[0].name.clone());
    let mark = token_mark(group[0].token_type, &symbol);
    let networks = group.into_iter().map(|token| {
        let choice = stage::token_choice(&token);
        let is_chosen = chosen == Some(choice.as_str());
        network_choice(token, choice, is_chosen)
    });
    let networks = networks.collect_view();
    view! {
        <fieldset class="token">
            <legend class="token__legend">
                <Mark path=mark />
                <span class="token__symbol">{symbol}</span>
                <span class="token__name">{name}</span>
            </legend>
            <div class="token__networks">{networks}</div>
        </fieldset>
    }
}

fn network_choice(token: Token, choice: String, is_chosen: bool) -> impl IntoView {
    let is_unavailable = token.unavailable.is_some();
    view! {
        <label class="network">
            <input type="radio" name="token" value=choice checked=is_chosen disabled=is_unavailable required=true />
            <span class="network__title">{token.network_title}</span>
            {token.unavailable.map(|reason| view! { <span class="network__reason">{text_of_reason(reason)}</span> })}
        </label>
    }
}

fn text_of_reason(reason: Unavailable) -> &'static str {
    match reason {
        Unavailable::NoPrice => i18n::text().unpriced_token(),
        Unavailable::Unread => i18n::text().unread_network(),
    }
}
