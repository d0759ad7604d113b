//! Help with a payment as a page with two forms: have it looked for, and say where the receipt is to go.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use frontend::still::{self, Fault, Given, Help, NetworkFault, Search, SearchState};

use super::{REFRESH_SECONDS, Reader, forms::Form};
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::Parameters,
        payor::read_transaction,
        snapshot::{self, Shown},
    },
    invoicing::{self, EmailError, MOST_ATTEMPTS, VerifyError},
    session::Session,
    store::{Failure, VerificationRecord},
};

const PATH: &str = "/pay/help";
const EMAIL: &str = "email";
const NETWORK: &str = "network";
const TRANSACTION: &str = "tx_hash";

/// What was wrong with a form that is shown again.
#[derive(Clone, Copy)]
enum Wrong {
    Email,
    Transaction,
    Network(NetworkFault),
}

pub async fn draw_help(State(app): State<App>, reader: Reader, parameters: Parameters) -> Response {
    let answer = async {
        let session = super::open(&app, &parameters).await?;
        draw(&app, &reader, &session, None).await
    };
    reader.answer(answer.await)
}

async fn draw(
    app: &App,
    reader: &Reader,
    session: &Session,
    rejected: Option<(&Form, Wrong)>,
) -> Result<Response, ApiError> {
    let shown = snapshot::present(app, session).await?;
    let invoice = &shown.case.invoice;
    let record = app.store.reader().await?.tx().verification(invoice.merchant, invoice.id).await?;
    let given = |field: &str| rejected.map(|(form, _)| form.given(field));
    let wrong = rejected.map(|(_, wrong)| wrong);
    // Who looks again mostly changes one thing.
    let failed = record.as_ref().filter(|record| record.completed_at.is_some() && record.failure.is_some());
    let chosen = given(NETWORK)
        .or_else(|| failed.map(|record| record.network.clone()))
        .or_else(|| shown.case.quotes.last().map(|last| last.network.clone()));
    let transaction = given(TRANSACTION).or_else(|| failed?.transaction.map(|it| it.to_string()));
    let networks = app.config.networks.iter().map(|network| still::Network {
        name: network.name.clone(),
        title: network.title.clone(),
        is_chosen: chosen.as_ref() == Some(&network.name),
    });
    let can_tell = !invoice.standing.status.is_terminal() && app.clock.now() <= invoice.terms.expires_at;
    let help = Help {
        search: record.as_ref().map(|record| search(app, record)),
        networks: networks.collect(),
        network_fault: wrong.and_then(|wrong| if let Wrong::Network(fault) = wrong { Some(fault) } else { None }),
        transaction: Given {
            value: transaction.unwrap_or_default(),
            fault: matches!(wrong, Some(Wrong::Transaction)).then_some(Fault::NotATransaction),
        },
        email: can_tell.then(|| Given {
            value: given(EMAIL).unwrap_or_default(),
            fault: matches!(wrong, Some(Wrong::Email)).then_some(Fault::NotAnEmail),
        }),
        kept_email: invoice.customer_email.clone(),
    };
    // A form that somebody is filling in must not vanish under their hands.
    let is_looking = record.is_some_and(|record| record.completed_at.is_none()) && rejected.is_none();
    Ok(answer(reader, &shown, help, is_looking))
}

fn answer(reader: &Reader, shown: &Shown, help: Help, is_looking: bool) -> Response {
    let is_rejected = help.network_fault.is_some()
        || help.transaction.fault.is_some()
        || help.email.as_ref().is_some_and(|email| email.fault.is_some());
    let page = still::draw_help(&shown.snapshot, reader.language, help);
    let mut response = super::still(reader, shown, &page, is_looking.then_some(REFRESH_SECONDS));
    if is_rejected {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

fn search(app: &App, record: &VerificationRecord) -> Search {
    let network = app.config.network(&record.network);
    Search {
        network: network.map_or_else(|| record.network.clone(), |network| network.title.clone()),
        transaction: record.transaction.map(|transaction| transaction.to_string()),
        state: match (record.completed_at, record.failure) {
            (None, _) => SearchState::Looking { look: record.attempts.saturating_add(1), most: MOST_ATTEMPTS },
            (Some(_), None) => SearchState::Found,
            (Some(_), Some(Failure::PaymentNotFound)) => SearchState::PaymentNotFound,
            (Some(_), Some(Failure::TransactionNotFound)) => SearchState::TransactionNotFound,
            (Some(_), Some(Failure::TransactionFailed)) => SearchState::TransactionFailed,
            (Some(_), Some(Failure::TransactionPaysAnother)) => SearchState::TransactionPaysAnother,
        },
    }
}

/// Has the payment looked for, and shows how far that is.
pub async fn submit_search(State(app): State<App>, reader: Reader, request: Request) -> Response {
    let form = match Form::read(&app, request).await {
        Ok(form) => form,
        Err(error) => return reader.refuse(&error),
    };
    let reader = reader.speaking(form.named);
    let answer = match look_for(&app, &form).await {
        Ok(()) => Ok(Redirect::to(&form.at(PATH)).into_response()),
        Err(Refused::Wrong(wrong)) => draw(&app, &reader, &form.session, Some((&form, wrong))).await,
        Err(Refused::Failed(error)) => Err(error),
    };
    reader.answer(answer)
}

/// Keeps where the receipt is to go.
pub async fn submit_email(State(app): State<App>, reader: Reader, request: Request) -> Response {
    let form = match Form::read(&app, request).await {
        Ok(form) => form,
        Err(error) => return reader.refuse(&error),
    };
    let reader = reader.speaking(form.named);
    let invoice = &form.session.invoice;
    let answer = match invoicing::set_email(&app, invoice.merchant, invoice.id, &form.given(EMAIL)).await {
        // The page shows what is kept, and no form once the payment is over.
        Ok(_) | Err(EmailError::Ended(_)) => Ok(Redirect::to(&form.at(PATH)).into_response()),
        Err(EmailError::NoEmail) => draw(&app, &reader, &form.session, Some((&form, Wrong::Email))).await,
        Err(error) => Err(error.into()),
    };
    reader.answer(answer)
}

enum Refused {
    /// The form is to be shown again.
    Wrong(Wrong),
    Failed(ApiError),
}

async fn look_for(app: &App, form: &Form) -> Result<(), Refused> {
    let typed = form.given(TRANSACTION);
    let transaction = match typed.trim() {
        "" => None,
        hash => Some(read_transaction(hash).map_err(|_| Refused::Wrong(Wrong::Transaction))?),
    };
    let network = Some(form.given(NETWORK)).filter(|name| !name.is_empty());
    match invoicing::verify(app, &form.session.invoice, network, transaction).await {
        Ok(_) => Ok(()),
        Err(VerifyError::NoSuchNetwork(_) | VerifyError::NoNetwork) => {
            Err(Refused::Wrong(Wrong::Network(NetworkFault::Missing)))
        }
        Err(VerifyError::OtherNetwork { .. }) => Err(Refused::Wrong(Wrong::Network(NetworkFault::Other))),
        Err(error @ VerifyError::Store(_)) => Err(Refused::Failed(error.into())),
    }
}
