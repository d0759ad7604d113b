//! `GET /api/v1/invoices/{invoice_id}`

use axum::{Json, extract::State};
use wire::invoice::Invoice;

use crate::{
    app::App,
    config::Config,
    http::{
        error::{ApiError, invalid},
        extract::{Merchant, NamedInvoice, Parameters, rights::ReadInvoices},
    },
    invoicing::Case,
    view,
};

const DEFAULT_PAYMENTS: usize = 10;
const MOST_PAYMENTS: usize = 100;

/// An invoice, on request with its newest payment or payments.
pub async fn retrieve_invoice(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    NamedInvoice(id): NamedInvoice,
    parameters: Parameters,
) -> Result<Json<Invoice>, ApiError> {
    let expand = Expand::parse(&parameters)?;
    let case = Case::load(&mut app.store.reader().await?.tx(), &app.config, merchant.id, id).await?;
    let case = case.ok_or(ApiError::InvoiceNotFound)?;
    Ok(Json(expand.show(&case, &app.config)))
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
