//! What to send where: amount, network, address, and the two ways to get them into a wallet.

use leptos::{ev::MouseEvent, prelude::*};
use wire::snapshot::{Quote, Snapshot};

use super::{STAGE_HEADING, choose::choice_form, page_url, proof::ProofOfAddress};
use crate::{
    components::{BLOCKS, CopyButton, Mark, QrCode, WARNING, address},
    countdown, dom,
    i18n::{self, Price},
    proof::{ADDRESS, is_as_shown},
    session::PaymentSession,
    stage,
};

#[component]
pub fn Pay() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    session.begin_checks(is_as_shown);
    let choose = move |event: MouseEvent| {
        event.prevent_default();
        session.is_choosing.set(true);
        dom::focus_later(STAGE_HEADING);
    };
    view! {
        <div class=session.show(class_of_pay)>
            <h2 class="visually-hidden" id=STAGE_HEADING tabindex="-1">
                {session.quote_once(|quote| i18n::text().pay_on(&quote.symbol, &quote.network_title))}
            </h2>
            <Renew />
            <div class="pay__steps">
                <dl class="facts">
                    <div class="fact">
                        <dt>{t.send_exactly()}</dt>
                        <dd class="fact__value">
                            <span class=session.show(|session| session.quote(class_of_amount)) translate="no" dir="ltr">
                                <span id="amount">{session.show(|session| session.quote(|quote| quote.amount.clone()))}</span>
                                " "
                                <span class="amount__symbol">{session.quote_once(|quote| quote.symbol.clone())}</span>
                            </span>
                            <CopyButton label=t.copy_amount() content=|quote| quote.amount.clone() target="amount" />
                        </dd>
                    </div>
                    <div class="fact">
                        <dt>{t.on_network()}</dt>
                        <dd class="on-network" translate="no">
                            <Mark path=BLOCKS />
                            {session.quote_once(|quote| quote.network_title.clone())}
                        </dd>
                    </div>
                    <div class="fact">
                        <dt>{t.to_address()}</dt>
                        <dd class="fact__value">
                            {address(ADDRESS, &session.quote_once(|quote| quote.address.clone()))}
                            <CopyButton label=t.copy_address() content=|quote| quote.address.clone() target=ADDRESS />
                        </dd>
                    </div>
                </dl>
                <ProofOfAddress />
                <p class="warning">
                    <Mark path=WARNING />
                    <span>{session.quote_once(|quote| i18n::text().only_this(&quote.symbol, &quote.network_title))}</span>
                </p>
                <Ways />
                <Rate />
            </div>
            <a
                class="change"
                href=format!("{}&choose=1", page_url(session))
                hidden=session.show(|session| !session.held(has_choice))
                on:click=choose
            >
                {t.change_token()}
            </a>
        </div>
    }
}

/// Two ways, and one code in sight at a time: a camera must never find the other one.
#[component]
fn Ways() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    view! {
        <fieldset class="ways">
            <legend class="visually-hidden">{t.how_do_you_pay()}</legend>
            <input class="ways__switch" type="radio" name="way" id="from-wallet" checked=true autocomplete="off" />
            <label class="ways__label" for="from-wallet">{t.wallet_way()}</label>
            <input class="ways__switch" type="radio" name="way" id="from-exchange" checked=false autocomplete="off" />
            <label class="ways__label" for="from-exchange">{t.exchange_way()}</label>
            <div class="way way--wallet">
                <QrCode
                    content=|quote| quote.uri.clone()
                    label=|quote| i18n::text().request_qr(&quote.amount, &quote.symbol, &quote.network_title)
                />
                <div class="way__text">
                    <a class="button" href=session.show(|session| session.quote(|quote| quote.uri.clone())) target="_top" rel="noreferrer">
                        {t.open_wallet()}
                    </a>
                    <p class="hint">{t.wallet_hint()}</p>
                </div>
            </div>
            <div class="way way--exchange">
                <QrCode content=|quote| quote.address.clone() label=|_| i18n::text().address_qr().to_owned() />
                <div class="way__text">
                    <p class="hint">{session.quote_once(|quote| i18n::text().exchange_hint(&quote.network_title))}</p>
                </div>
            </div>
        </fieldset>
    }
}

/// What the amount was computed with, and for how long it holds.
#[component]
fn Rate() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    view! {
        <p class="rate">
            <span>{session.show(|session| session.quote(|quote| i18n::text().rate(&quote.symbol, Price(&quote.rate))))}</span>
            <span>
                <span id="rate-valid">{t.rate_valid_for()}</span>
                " "
                <span class="rate__clock" role="timer" aria-labelledby="rate-valid">
                    {session.show(|session| session.timed(rate_clock))}
                </span>
            </span>
        </p>
    }
}

/// Asks for the amount at the current rate. In sight only after the quote lapsed, when a page with scripts asks by
/// itself.
#[component]
fn Renew() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let fields = view! {
        <p>{t.rate_lapsed()}</p>
        <input type="hidden" name="token" value=session.quote_once(stage::quote_choice) />
        <button class="button" disabled=session.show(|session| session.is_sending.get())>
            {t.renew()}
        </button>
    };
    choice_form(session, "renew", fields)
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
