//! `GET /api/v1/payments/invoice-questions` and `POST /api/v1/payments/submit-form`

use axum::{Json, extract::State};
use wire::payor::{FormSubmitted, InvoiceQuestions, Question, QuestionList, QuestionValidation, SubmitFormRequest};

use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{JsonBody, Payor, SessionInvoice},
    },
    invoicing,
};

/// What the merchant asks before there is anything to pay with.
#[utoipa::path(
    get,
    path = "/api/v1/payments/invoice-questions",
    tag = "Payors",
    params(SessionInvoice),
    responses((status = 200, body = InvoiceQuestions)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn retrieve_invoice_questions(payor: Payor) -> Json<InvoiceQuestions> {
    let shown = |question: invoicing::Question| Question {
        id: question.id,
        question: question.text,
        kind: question.kind,
        validation: QuestionValidation { required: question.is_required },
    };
    let questions: Vec<_> = invoicing::questions(payor.invoice()).into_iter().map(shown).collect();
    let has_questions = !questions.is_empty();
    Json(InvoiceQuestions { has_questions, questions: has_questions.then_some(QuestionList { questions }) })
}

/// Answers the merchant's questions, all at once and once. The same answers again are no error.
#[utoipa::path(
    post,
    path = "/api/v1/payments/submit-form",
    tag = "Payors",
    params(SessionInvoice),
    request_body = SubmitFormRequest,
    responses((status = 200, body = FormSubmitted)),
    security(("session_token" = [], "session_signature" = [])),
    extensions(("x-error-codes" = json!(codes![QUESTIONS_ANSWERED, INVOICE_ALREADY_PAID, INVOICE_CANCELED, INVOICE_EXPIRED])))
)]
pub async fn submit_form_responses(
    State(app): State<App>,
    payor: Payor,
    JsonBody { value: request, .. }: JsonBody<SubmitFormRequest>,
) -> Result<Json<FormSubmitted>, ApiError> {
    if request.responses.is_empty() {
        return Err(invalid("responses", "responses must have an entry for each answered question"));
    }
    let invoice = payor.invoice();
    invoicing::answer(&app, invoice.merchant, invoice.id, request.responses).await?;
    Ok(Json(FormSubmitted { success: true }))
}
