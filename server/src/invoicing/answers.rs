//! What the payer says: answers to the merchant's questions, once, and where the receipt should go.

use domain::{
    id::{InvoiceId, MerchantId},
    invoice::InvoiceStatus,
    time::UnixSeconds,
};
use serde_json::Value;
use wire::payor::FormResponse;

use super::case::check_open;
use crate::{
    app::App,
    email,
    events::Change,
    store::{InvoiceRecord, StoreError},
};

/// Of an answer, as other checkouts have it.
pub const MOST_CHARACTERS: usize = 255;

/// One question, as its merchant asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: String,
    pub text: String,
    /// As the merchant calls it.
    pub kind: String,
    pub is_required: bool,
}

/// Why an answer cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("must be answered")]
    Missing,
    #[error("must have at most {MOST_CHARACTERS} characters")]
    TooLong,
    #[error("must be plain text")]
    NotText,
    #[error("must be an e-mail address")]
    NotAnEmail,
    #[error("must be a number")]
    NotANumber,
}

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// By the questions' ids, in their order.
    #[error("not every answer can be taken")]
    Faulty(Vec<(String, Fault)>),
    /// By the answer's place.
    #[error("there is no such question, or it is answered twice")]
    NoSuchQuestion(usize),
    #[error("the questions have been answered before")]
    AnsweredBefore,
    #[error("the invoice takes no more answers")]
    Ended(InvoiceStatus),
    #[error("there is no such invoice")]
    NoSuchInvoice,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    #[error("that is no e-mail address")]
    NoEmail,
    #[error("the invoice has ended")]
    Ended(InvoiceStatus),
    #[error("there is no such invoice")]
    NoSuchInvoice,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an invoice's merchant asks; nothing for most.
pub fn questions(invoice: &InvoiceRecord) -> Vec<Question> {
    // Checked when the invoice was created.
    let value: Value =
        invoice.questions.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let entries = value["questions"].as_array().into_iter().flatten();
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    let question = |entry: &Value| {
        let validation = &entry["validation"];
        Question {
            id: text(entry, "id"),
            text: text(entry, "question"),
            kind: text(entry, "type"),
            is_required: validation.as_bool().or_else(|| validation["required"].as_bool()).unwrap_or(false),
        }
    };
    entries.map(question).collect()
}

/// Whether the payer has to see the questions before anything else: they are there, nobody has answered them, and nothing
/// was chosen yet.
pub fn asks(invoice: &InvoiceRecord, now: UnixSeconds) -> bool {
    check_open(invoice, now).is_ok()
        && invoice.answers.is_none()
        && invoice.watched_until.is_none()
        && !questions(invoice).is_empty()
}

/// Whether something still has to be answered before there is anything to pay with.
pub fn must_answer(invoice: &InvoiceRecord) -> bool {
    invoice.answers.is_none() && questions(invoice).iter().any(|question| question.is_required)
}

/// Whether answers could be taken, without keeping them.
///
/// # Errors
///
/// If one could not.
pub fn check_answers(invoice: &InvoiceRecord, given: &[FormResponse]) -> Result<(), AnswerError> {
    take(&questions(invoice), given).map(drop)
}

/// Keeps the payer's answers. The same ones again change nothing.
///
/// # Errors
///
/// If one cannot be taken, if there are others already, or if the invoice has ended.
pub async fn answer(
    app: &App,
    merchant: MerchantId,
    id: InvoiceId,
    given: Vec<FormResponse>,
) -> Result<(), AnswerError> {
    let now = app.clock.now();
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            tx.lock_invoice(merchant, id).await?;
            let invoice = tx.invoice(merchant, id).await?.ok_or(AnswerError::NoSuchInvoice)?;
            check_open(&invoice, now).map_err(AnswerError::Ended)?;
            let taken = take(&questions(&invoice), &given)?;
            let answers = serde_json::to_string(&taken).unwrap_or_default();
            match invoice.answers {
                Some(before) if before == answers => Ok(()),
                Some(_) => Err(AnswerError::AnsweredBefore),
                None => tx.keep_answers(merchant, id, &answers).await.map(drop).map_err(AnswerError::from),
            }
        })
    });
    write.await?;
    app.hub.announce(merchant, Some(id), Change::Snapshot);
    Ok(())
}

/// Notes where the payer would like the receipt; gives the address as it was kept.
///
/// # Errors
///
/// If it is no address, or the invoice has ended.
pub async fn set_email(app: &App, merchant: MerchantId, id: InvoiceId, typed: &str) -> Result<String, EmailError> {
    let (now, address) = (app.clock.now(), email::normalized(typed));
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_invoice(merchant, id).await?;
                let invoice = tx.invoice(merchant, id).await?.ok_or(EmailError::NoSuchInvoice)?;
                check_open(&invoice, now).map_err(EmailError::Ended)?;
                let address = address.ok_or(EmailError::NoEmail)?;
                tx.set_customer_email(merchant, id, &address).await?;
                Ok(address)
            })
        })
        .await
}

/// The answers as they are kept: in the order of the questions, without those that were left open.
fn take(questions: &[Question], given: &[FormResponse]) -> Result<Vec<FormResponse>, AnswerError> {
    for (place, response) in given.iter().enumerate() {
        let is_known = questions.iter().any(|question| question.id == response.question_id);
        let is_again = given[..place].iter().any(|earlier| earlier.question_id == response.question_id);
        if !is_known || is_again {
            return Err(AnswerError::NoSuchQuestion(place));
        }
    }
    let (mut taken, mut faults) = (Vec::new(), Vec::new());
    for question in questions {
        let response = given.iter().find(|response| response.question_id == question.id);
        match check(question, response.map_or("", |response| &response.response)) {
            Ok(Some(response)) => taken.push(FormResponse { question_id: question.id.clone(), response }),
            Ok(None) => {}
            Err(fault) => faults.push((question.id.clone(), fault)),
        }
    }
    if faults.is_empty() { Ok(taken) } else { Err(AnswerError::Faulty(faults)) }
}

/// The answer as it is kept; `None` for one that may be left open and was.
fn check(question: &Question, text: &str) -> Result<Option<String>, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return if question.is_required { Err(Fault::Missing) } else { Ok(None) };
    }
    if MOST_CHARACTERS < text.chars().count() {
        return Err(Fault::TooLong);
    }
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\r' && c != '\t') {
        return Err(Fault::NotText);
    }
    match question.kind.as_str() {
        "email" => email::normalized(text).map(Some).ok_or(Fault::NotAnEmail),
        "number" if !is_number(text) => Err(Fault::NotANumber),
        _ => Ok(Some(text.to_owned())),
    }
}

/// A plain decimal, with a sign or without.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) && is_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: &str, kind: &str, is_required: bool) -> Question {
        Question { id: id.to_owned(), text: "?".to_owned(), kind: kind.to_owned(), is_required }
    }

    fn response(id: &str, response: &str) -> FormResponse {
        FormResponse { question_id: id.to_owned(), response: response.to_owned() }
    }

    #[track_caller]
    fn check_one(kind: &str, text: &str, expected: Result<Option<&str>, Fault>) {
        let taken = check(&question("1", kind, true), text);
        assert_eq!(taken.as_ref().map(|text| text.as_deref()).map_err(|fault| *fault), expected, "{text:?}");
    }

    #[test]
    fn an_answer_is_what_its_question_asks_for() {
        check_one("text", " Sage, please\n", Ok(Some("Sage, please")));
        check_one("colour", "<b>&amp;", Ok(Some("<b>&amp;")));
        check_one("text", &"ä".repeat(255), Ok(Some(&"ä".repeat(255))));
        check_one("text", &"ä".repeat(256), Err(Fault::TooLong));
        check_one("text", "a\0b", Err(Fault::NotText));
        check_one("text", " \t ", Err(Fault::Missing));
        check_one("email", " A@B.EXAMPLE ", Ok(Some("A@b.example")));
        check_one("email", "a@b", Err(Fault::NotAnEmail));
        for number in ["7", "-0.5", "+12.25", "007"] {
            check_one("number", number, Ok(Some(number)));
        }
        for text in ["seven", "1,5", "1.", ".5", "1e3", "--1", "1.2.3"] {
            check_one("number", text, Err(Fault::NotANumber));
        }
    }

    #[test]
    fn answers_are_kept_in_the_order_of_the_questions_and_open_ones_are_not() {
        let questions = [question("a", "text", true), question("b", "text", false), question("c", "text", false)];
        let taken = take(&questions, &[response("c", "3"), response("b", " "), response("a", "1")]);
        assert_eq!(taken.unwrap(), [response("a", "1"), response("c", "3")]);
        assert_eq!(take(&questions[1..], &[]).unwrap(), []);
    }

    #[test]
    fn every_fault_is_named_at_its_question() {
        let questions = [question("a", "email", false), question("b", "text", true), question("c", "number", true)];
        let refused = take(&questions, &[response("a", "x"), response("c", "1")]);
        let Err(AnswerError::Faulty(faults)) = refused else { panic!("{refused:?}") };
        assert_eq!(faults, [("a".to_owned(), Fault::NotAnEmail), ("b".to_owned(), Fault::Missing)]);
        for given in [[response("a", "a@b.example"), response("d", "1")], [response("b", "1"), response("b", "2")]] {
            assert!(matches!(take(&questions, &given), Err(AnswerError::NoSuchQuestion(1))), "{given:?}");
        }
    }
}
