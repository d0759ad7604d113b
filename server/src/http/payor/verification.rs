//! `POST /api/v1/invoice/{invoice_id}/verify` and `GET` on the same path

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use wire::verification::{
    ManualVerification, ManualVerificationAnswer, ManualVerificationRequest, VerificationError, VerificationJobStatus,
    VerificationResult, VerifiedPayment, outcome,
};

use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{NamedInvoice, Payor, optional_json},
    },
    invoicing::{self, Case, MOST_ATTEMPTS},
    store::{Failure, VerificationRecord},
    transaction_id::TransactionId,
    view,
};

/// Has a payment looked for that was not found by itself. A search that is under way is returned as it is.
#[utoipa::path(
    post,
    path = "/api/v1/invoice/{invoice_id}/verify",
    tag = "Payors",
    params(NamedInvoice),
    request_body(content = ManualVerificationRequest, description = "May be left out."),
    responses((status = 202, body = ManualVerificationAnswer)),
    security(("session_token" = [], "session_signature" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND, UNKNOWN_NETWORK])))
)]
pub async fn verify_invoice(
    State(app): State<App>,
    NamedInvoice(named): NamedInvoice,
    payor: Payor,
    request: Request,
) -> Result<(StatusCode, Json<ManualVerificationAnswer>), ApiError> {
    if named != payor.invoice().id {
        return Err(ApiError::InvoiceNotFound);
    }
    let request: ManualVerificationRequest = optional_json(request, &app).await?.unwrap_or_default();
    let transaction = request.tx_hash.as_deref().map(read_transaction).transpose()?;
    let record = invoicing::verify(&app, payor.invoice(), request.network, transaction).await?;
    Ok((StatusCode::ACCEPTED, Json(answer(&record, &payor.case(&app).await?))))
}

/// How far the last search is.
#[utoipa::path(
    get,
    path = "/api/v1/invoice/{invoice_id}/verify",
    tag = "Payors",
    params(NamedInvoice),
    responses((status = 200, body = ManualVerificationAnswer)),
    security(("session_token" = [], "session_signature" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND, VERIFICATION_NOT_FOUND])))
)]
pub async fn retrieve_verification(
    State(app): State<App>,
    NamedInvoice(named): NamedInvoice,
    payor: Payor,
) -> Result<Json<ManualVerificationAnswer>, ApiError> {
    let invoice = payor.invoice();
    if named != invoice.id {
        return Err(ApiError::InvoiceNotFound);
    }
    let record = app.store.reader().await?.tx().verification(invoice.merchant, invoice.id).await?;
    let record = record.ok_or(ApiError::VerificationNotFound)?;
    Ok(Json(answer(&record, &payor.case(&app).await?)))
}

/// A transaction's name, written in full.
///
/// # Errors
///
/// If it is none.
pub fn read_transaction(text: &str) -> Result<TransactionId, ApiError> {
    text.parse().map_err(|problem| invalid("tx_hash", format!("tx_hash {problem}")))
}

fn answer(record: &VerificationRecord, case: &Case) -> ManualVerificationAnswer {
    let job_status = match (record.completed_at, record.failure, record.attempts) {
        (Some(_), None, _) => VerificationJobStatus::Succeeded,
        (Some(_), Some(_), _) => VerificationJobStatus::Failed,
        (None, _, 0) => VerificationJobStatus::Pending,
        (None, ..) => VerificationJobStatus::Running,
    };
    let result = (job_status == VerificationJobStatus::Succeeded).then(|| VerificationResult {
        payments: invoicing::found_by(record, case)
            .into_iter()
            .map(|payment| VerifiedPayment {
                id: payment.record.payment.to_string(),
                tx_hash: payment.record.tx_id.clone(),
            })
            .collect(),
    });
    ManualVerificationAnswer {
        success: true,
        data: ManualVerification {
            object: "invoice_manual_verification".to_owned(),
            id: record.id.to_string(),
            invoice_id: record.invoice.to_string(),
            network: record.network.clone(),
            tx_hash: record.transaction.map(|transaction| transaction.to_string()),
            job_status,
            status: outcome(view::invoice_status(case.invoice.standing.status)).to_owned(),
            attempt_count: record.attempts,
            max_attempts: MOST_ATTEMPTS,
            next_attempt_at: record.next_at.map(|at| at.as_seconds().0),
            created_at: record.created_at.as_seconds().0,
            updated_at: record.updated_at.as_seconds().0,
            completed_at: record.completed_at.map(|at| at.as_seconds().0),
            result,
            error: record.failure.map(error),
        },
    }
}

fn error(failure: Failure) -> VerificationError {
    let message = match failure {
        Failure::PaymentNotFound => "no payment to this invoice's address was found on the network",
        Failure::TransactionNotFound => "the network does not know this transaction",
        Failure::TransactionFailed => "the transaction failed, so it moved nothing",
        Failure::TransactionPaysAnother => "the transaction brought nothing to this invoice's address",
    };
    VerificationError { code: failure.code().to_owned(), message: message.to_owned() }
}
