//! `GET /api/v1/invoices/{invoice_id}`

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{id::InvoiceId, invoice::InvoiceStatus};
use utoipa::IntoParams;
use wire::{
    invoice::{Invoice, OlderInvoice, PaymentDetails, RetrievedInvoice},
    money::Dollars,
};

use super::filters;
use crate::{
    app::App,
    config::Config,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{Merchant, NamedInvoice, Parameters, rights::ReadInvoices},
    },
    invoicing::Case,
    session,
    store::{InvoiceFilter, Part},
    view,
};

const DEFAULT_PAYMENTS: usize = 10;
const MOST_PAYMENTS: usize = 100;

/// An invoice, on request with its newest payment or payments.
///
/// An older version of this API took a customer's id here. Where that is switched on, it is answered with the
/// customer's newest invoice and the members invoices had then.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/{invoice_id}",
    tag = "Invoices",
    params(NamedInvoice, ExpandParameters),
    responses((status = 200, body = Invoice)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND, INVALID_EXPAND])))
)]
pub async fn retrieve_invoice(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    parameters: Parameters,
) -> Result<Json<RetrievedInvoice>, ApiError> {
    let name = name.map_or_else(|_| Err(invalid_name()), |Path(name)| Ok(name))?;
    let customer = filters::customer_id(&name).map_err(|_| invalid_name())?;
    let expand = Expand::parse(&parameters)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    if let Ok(id) = name.parse::<InvoiceId>()
        && let Some(case) = Case::load(&mut tx, &app.config, merchant.id, id).await?
    {
        return Ok(Json(RetrievedInvoice { invoice: expand.show(&case, &app.config), older: None }));
    }
    if !app.config.invoices.customer_id_in_path {
        return Err(ApiError::InvoiceNotFound);
    }
    let filter = InvoiceFilter { customer_id: Some(customer), ..InvoiceFilter::default() };
    let newest = tx.invoice_list(merchant.id, &filter, Part::Newest, 1).await?.invoices.pop();
    let case = Case::of(&mut tx, &app.config, newest.ok_or(ApiError::InvoiceNotFound)?).await?;
    Ok(Json(RetrievedInvoice { invoice: expand.show(&case, &app.config), older: Some(older(&app, &case)) }))
}

fn invalid_name() -> ApiError {
    invalid("invoice_id", "invoice_id must be a UUID")
}

fn older(app: &App, case: &Case) -> OlderInvoice {
    let invoice = &case.invoice;
    let standing = &invoice.standing;
    let first = case.payments.iter().find(|payment| Some(payment.record.payment) == standing.locked_by);
    OlderInvoice {
        amount_usd: Dollars { millis: invoice.terms.due.as_millis() },
        payment_url: session::payment_url(app, &session::credentials(app, invoice)),
        payment_details: first.filter(|_| standing.status == InvoiceStatus::Paid).map(|payment| PaymentDetails {
            network: payment.record.network.clone(),
            transaction_hash: payment.record.tx_id.clone(),
            amount_paid: Dollars { millis: standing.credit.as_millis() },
        }),
    }
}

/// What [`Expand`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub(super) struct ExpandParameters {
    /// A list with commas of `latest_payment` and `payments`, which are shown with the invoice.
    #[param(pattern = "^ *(latest_payment|payments)? *(, *(latest_payment|payments)? *)*$")]
    expand: Option<String>,
    /// How many of the newest payments are shown.
    #[param(minimum = 1, maximum = 100, default = 10)]
    payments_limit: Option<i32>,
}

/// What to show beside the invoice itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expand {
    latest_payment: bool,
    /// How many of the newest payments.
    payments: Option<usize>,
}

impl Expand {
    /// Reads `expand`, as a list with commas or given more than once, and `payments_limit`.
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, ApiError> {
        let limit = match parameters.get("payments_limit") {
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST_PAYMENTS).contains(limit)).ok_or_else(|| {
                invalid("payments_limit", format!("payments_limit must lie between 1 and {MOST_PAYMENTS}"))
            })?,
            None => DEFAULT_PAYMENTS,
        };
        let mut expand = Self::default();
        let lists = parameters.0.iter().filter(|(name, _)| name == "expand" || name == "expand[]");
        for name in lists.flat_map(|(_, list)| list.split(',')).map(str::trim) {
            match name {
                "" => {}
                "latest_payment" => expand.latest_payment = true,
                "payments" => expand.payments = Some(limit),
                other => return Err(ApiError::InvalidExpand(other.to_owned())),
            }
        }
        Ok(expand)
    }

    /// An invoice with what was asked for.
    pub(super) fn show(self, case: &Case, config: &Config) -> Invoice {
        let payment = |payment| view::payment(&case.invoice, payment, config);
        let mut invoice = view::invoice(&case.invoice, &case.payments);
        invoice.latest_payment = case.latest_payment().filter(|_| self.latest_payment).map(payment);
        invoice.payments = self.payments.map(|limit| case.payments.iter().rev().take(limit).map(payment).collect());
        invoice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Expand, ApiError> {
        Expand::parse(&Parameters(pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }

    #[test]
    fn both_parts_can_be_asked_for_in_either_spelling() {
        let both = Expand { latest_payment: true, payments: Some(10) };
        assert_eq!(parse(&[("expand", "latest_payment,payments")]).unwrap(), both);
        assert_eq!(parse(&[("expand", "payments"), ("expand", "latest_payment")]).unwrap(), both);
        assert_eq!(parse(&[("expand[]", "payments"), ("expand[]", "latest_payment")]).unwrap(), both);
        assert_eq!(parse(&[]).unwrap(), Expand::default());
        assert_eq!(parse(&[("expand", "payments"), ("payments_limit", "100")]).unwrap().payments, Some(100));
    }

    #[test]
    fn unknown_parts_and_limits_out_of_range_are_refused() {
        assert!(matches!(parse(&[("expand", "customer")]), Err(ApiError::InvalidExpand(name)) if name == "customer"));
        for limit in ["0", "101", "-1", "x", ""] {
            let parsed = parse(&[("payments_limit", limit)]);
            assert!(matches!(parsed, Err(ApiError::Invalid { field, .. }) if field == "payments_limit"), "{limit}");
        }
    }
}
