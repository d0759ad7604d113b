//! What payers' pages call, a file per endpoint. The session alone says which invoice is meant.

mod available_tokens;
mod customer_email;
mod payment_address;
mod payment_status;
mod questions;
mod session_details;
mod stream_token;
mod verification;

pub use available_tokens::{offers, priced, token_type};
pub use verification::read_transaction;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{any_origin, method_not_allowed, openapi};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .routes(routes!(session_details::retrieve_session_details))
        .routes(routes!(available_tokens::list_available_tokens))
        .routes(routes!(payment_address::allocate_payment_address))
        .routes(routes!(payment_status::retrieve_payment_status))
        .routes(routes!(stream_token::create_stream_token))
        .routes(routes!(customer_email::store_customer_email, customer_email::retrieve_customer_email))
        .routes(routes!(questions::retrieve_invoice_questions))
        .routes(routes!(questions::submit_form_responses))
        .routes(routes!(verification::verify_invoice, verification::retrieve_verification));
    // Before the layer, which must see what no handler takes: preflights are such.
    openapi::wrapped(routes, |router| router.method_not_allowed_fallback(method_not_allowed).layer(any_origin::cors()))
}
