//! What a payer can do whose payment is not found, and where the receipt is to go.

use leptos::{either::Either, prelude::*};

use super::{
    code,
    field::{self, Given},
    questions::look_again,
};
use crate::{i18n, page::page_url, session::PaymentSession};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The last search; a new one can be had once it is over.
    pub search: Option<Search>,
    /// Where it can be looked; the one that is chosen first, if there is one.
    pub networks: Vec<Network>,
    /// Why the choice of networks cannot be taken.
    pub network_fault: Option<NetworkFault>,
    pub transaction: Given,
    /// Where the receipt is to go; `None` once that can no longer be said.
    pub email: Option<Given>,
    /// Where it goes now.
    pub kept_email: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    pub title: String,
    pub is_chosen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    Missing,
    /// It was to be paid on another one, and no transaction is named.
    Other,
}

/// A search for a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The network's name for people.
    pub network: String,
    pub transaction: Option<String>,
    pub state: SearchState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchState {
    /// The look that comes next, and how many there are at most.
    Looking {
        look: u32,
        most: u32,
    },
    Found,
    PaymentNotFound,
    TransactionNotFound,
    TransactionFailed,
    TransactionPaysAnother,
}

pub(super) fn view(session: PaymentSession, help: Help) -> impl IntoView {
    let t = i18n::text();
    let Help { search, networks, network_fault, transaction, email, kept_email } = help;
    let is_looking = search.as_ref().is_some_and(|search| matches!(search.state, SearchState::Looking { .. }));
    let is_faulty = network_fault.is_some()
        || transaction.fault.is_some()
        || email.as_ref().is_some_and(|email| email.fault.is_some());
    let search_form = (!is_looking).then(|| {
        let fields = view! {
            {network_choice(networks, network_fault)}
            {field::view(field::transaction(transaction))}
            <button class="button">{t.look_for_payment()}</button>
        };
        super::form(session.credentials(), "/pay/verify", fields)
    });
    let email_form = email.map(|email| {
        let fields = view! {
            {field::view(field::email(email, Some(session.once(|held| t.receipt_email_hint(&held.merchant.name)))))}
            <button class="button button--quiet">{t.save()}</button>
        };
        super::form(session.credentials(), "/pay/email", fields)
    });
    view! {
        <h2 id="stage">{t.i_have_paid()}</h2>
        {is_faulty.then(look_again)}
        {match search {
            Some(search) => Either::Left(search_view(search)),
            None => Either::Right(view! { <p class="hint">{t.i_have_paid_hint()}</p> }),
        }}
        {search_form}
        {kept_email.map(|email| view! { <p role="status">{t.receipt_goes_to(&email)}</p> })}
        {email_form}
        <p><a class="change" href=page_url(session)>{t.back_to_payment()}</a></p>
    }
}

fn network_choice(networks: Vec<Network>, fault: Option<NetworkFault>) -> impl IntoView {
    let t = i18n::text();
    let options = networks.into_iter().map(|network| {
        view! { <option value=network.name selected=network.is_chosen>{network.title}</option> }
    });
    let fault = fault.map(|fault| match fault {
        NetworkFault::Missing => t.no_network(),
        NetworkFault::Other => t.other_network(),
    });
    view! {
        <div class="field">
            <label for="network">{t.network_paid_on()}</label>
            <select
                class="field__input"
                id="network"
                name="network"
                aria-invalid=fault.map(|_| "true")
                aria-describedby=fault.map(|_| "network-fault")
            >
                {options.collect_view()}
            </select>
            {fault.map(|fault| view! { <p class="field__fault" id="network-fault">{fault}</p> })}
        </div>
    }
}

fn search_view(search: Search) -> impl IntoView {
    let t = i18n::text();
    let (variant, said, hint) = match search.state {
        SearchState::Looking { look, most } => ("waiting", t.looking(look, most), t.looking_hint()),
        SearchState::Found => ("found", t.search_found().to_owned(), ""),
        SearchState::PaymentNotFound => ("warning", t.search_failed().to_owned(), t.payment_not_found()),
        SearchState::TransactionNotFound => ("warning", t.search_failed().to_owned(), t.transaction_not_found()),
        SearchState::TransactionFailed => ("warning", t.search_failed().to_owned(), t.transaction_failed()),
        SearchState::TransactionPaysAnother => ("warning", t.search_failed().to_owned(), t.transaction_pays_another()),
    };
    view! {
        <p class=format!("status status--{variant}") role="status">{said}</p>
        <p class="hint">
            {search.network} {search.transaction.map(|transaction| view! { " · " {t.transaction_paid()} " " {code(transaction)} })}
        </p>
        <p>{hint}</p>
    }
}
