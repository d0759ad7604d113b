//! The merchant's questions as a page and a form.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use frontend::still::{Fault, Field, FieldKind, Given, Questions, Trouble, draw_questions};
use wire::payor::FormResponse;

use super::{Reader, forms::Form, still};
use crate::{
    app::App,
    email,
    http::{error::ApiError, snapshot, snapshot::Shown},
    invoicing::{self, AnswerError, MOST_CHARACTERS},
};

const EMAIL: &str = "email";

/// The page that asks; with what a form gave and what of it cannot be taken, if it is asked again.
pub fn draw(reader: &Reader, shown: &Shown, faults: &[(String, invoicing::Fault)], form: Option<&Form>) -> Response {
    let invoice = &shown.case.invoice;
    let fields = invoicing::questions(invoice).into_iter().enumerate().map(|(place, question)| {
        let fault = faults.iter().find(|(id, _)| *id == question.id).map(|(_, fault)| shown_fault(*fault));
        Field {
            value: form.map(|form| form.given(&name(place))).unwrap_or_default(),
            name: name(place),
            label: question.text,
            hint: None,
            kind: match question.kind.as_str() {
                "email" => FieldKind::Email,
                "number" => FieldKind::Number,
                _ => FieldKind::Text,
            },
            is_required: question.is_required,
            most: most_characters(),
            fault,
        }
    });
    let given_email = form.map(|form| form.given(EMAIL)).or_else(|| invoice.customer_email.clone());
    let is_faulty = form.is_some_and(|form| !is_email_or_nothing(&form.given(EMAIL)));
    let questions = Questions {
        fields: fields.collect(),
        email: Given { value: given_email.unwrap_or_default(), fault: is_faulty.then_some(Fault::NotAnEmail) },
    };
    let page = draw_questions(&shown.snapshot, reader.language, questions);
    let mut response = still(reader, shown, &page, None);
    if form.is_some() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

/// Takes the answers, and the address for the receipt if there is one, and sends the browser on to the page.
pub async fn submit_questions(State(app): State<App>, reader: Reader, request: Request) -> Response {
    let form = match Form::read(&app, request).await {
        Ok(form) => form,
        Err(error) => return reader.refuse(&error),
    };
    let reader = reader.speaking(form.named);
    reader.answer(take(&app, &reader, &form).await)
}

async fn take(app: &App, reader: &Reader, form: &Form) -> Result<Response, ApiError> {
    let invoice = &form.session.invoice;
    let questions = invoicing::questions(invoice);
    // What belongs to no question is nobody's.
    let given = questions
        .iter()
        .enumerate()
        .map(|(place, question)| FormResponse { question_id: question.id.clone(), response: form.given(&name(place)) });
    let given: Vec<_> = given.collect();
    let typed = form.given(EMAIL);
    if !is_email_or_nothing(&typed) {
        // Nothing is kept of a form that has to be sent again, but what else is wrong with it is said at once.
        let faults = match invoicing::check_answers(invoice, &given) {
            Err(AnswerError::Faulty(faults)) => faults,
            _ => Vec::new(),
        };
        let shown = snapshot::present(app, &form.session).await?;
        return Ok(draw(reader, &shown, &faults, Some(form)));
    }
    match invoicing::answer(app, invoice.merchant, invoice.id, given).await {
        Ok(()) => {}
        Err(AnswerError::Faulty(faults)) => {
            let shown = snapshot::present(app, &form.session).await?;
            return Ok(draw(reader, &shown, &faults, Some(form)));
        }
        // The page tells how it ended.
        Err(AnswerError::Ended(_)) => return Ok(form.back_to_page()),
        Err(AnswerError::AnsweredBefore) => {
            return Ok(reader.show(StatusCode::CONFLICT, Trouble::AnsweredBefore, Some(form.page())));
        }
        Err(error) => return Err(error.into()),
    }
    if !typed.trim().is_empty() {
        match invoicing::set_email(app, invoice.merchant, invoice.id, &typed).await {
            // It ended in between, which the page tells.
            Ok(_) | Err(invoicing::EmailError::Ended(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(form.back_to_page())
}

fn is_email_or_nothing(typed: &str) -> bool {
    typed.trim().is_empty() || email::normalized(typed).is_some()
}

/// The form's field of a question. Its id may be any text.
fn name(place: usize) -> String {
    format!("answer-{place}")
}

fn most_characters() -> u32 {
    u32::try_from(MOST_CHARACTERS).unwrap_or(u32::MAX)
}

fn shown_fault(fault: invoicing::Fault) -> Fault {
    match fault {
        invoicing::Fault::Missing => Fault::Missing,
        invoicing::Fault::TooLong => Fault::TooLong { most: most_characters() },
        invoicing::Fault::NotText => Fault::NotText,
        invoicing::Fault::NotAnEmail => Fault::NotAnEmail,
        invoicing::Fault::NotANumber => Fault::NotANumber,
    }
}
