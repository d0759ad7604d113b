//! What lists and sums can be restricted by, read from the query and checked.

use alloy_primitives::Address;
use domain::{
    id::InvoiceId,
    invoice::InvoiceStatus,
    time::{UnixMillis, UnixSeconds},
};
use utoipa::IntoParams;
use wire::{Environment, time::parse_epoch_seconds};

use crate::{
    http::{
        error::{ApiError, invalid},
        extract::Parameters,
    },
    store::{CreatedBetween, EventTypes, InvoiceFilter},
};

const DEFAULT_LIMIT: usize = 10;
const MOST_ITEMS: usize = 100;
const MOST_CHARACTERS: usize = 255;
const MOST_EVENT_TYPES: usize = 32;

/// Which part of a list is wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct PageParameters {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<i32>,
    /// The id of an item; the page begins with the next older one.
    starting_after: Option<String>,
    /// The id of an item; the page ends with the next newer one. Not together with `starting_after`.
    ending_before: Option<String>,
}

/// The older way to ask for a part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct PageNumberParameter {
    /// The number of the page, from 1, instead of a cursor; the answer then has `items`, `total` and `page` too.
    #[param(minimum = 1, maximum = 100_001)]
    page: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct CustomerParameter {
    /// Your name for the customer.
    #[param(min_length = 1, max_length = 255)]
    customer_id: Option<String>,
}

/// What [`invoices`] reads, but for the customer.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct InvoiceParameters {
    /// A list with commas of `unpaid`, `underpaid`, `paid`, `expired` and `canceled`, or `all`. The older `pending`
    /// means the first two, `failed` the last two.
    #[param(
        pattern = "^ *(unpaid|underpaid|paid|expired|canceled|all|pending|failed)? *(, *(unpaid|underpaid|paid|expired|canceled|all|pending|failed)? *)*$"
    )]
    status: Option<String>,
    /// A list with commas of `standard` and `commerce`; this server has no others than `standard`.
    #[param(pattern = "^ *(standard|commerce)? *(, *(standard|commerce)? *)*$")]
    invoice_type: Option<String>,
    environment: Option<Environment>,
    /// From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`.
    #[param(value_type = Option<wire::time::Moment>)]
    created_gte: Option<String>,
    /// Up to this time and including it.
    #[param(value_type = Option<wire::time::Moment>)]
    created_lte: Option<String>,
    /// Invoices that this wallet paid first.
    #[param(min_length = 1, max_length = 255)]
    payer_wallet_address: Option<String>,
    /// The network of that payment, as in `base`.
    #[param(min_length = 1, max_length = 255)]
    payer_wallet_network: Option<String>,
}

/// How many items a page has.
pub fn limit(parameters: &Parameters) -> Result<usize, ApiError> {
    let Some(text) = parameters.get("limit") else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_ITEMS).contains(limit));
    limit.ok_or_else(|| invalid("limit", format!("limit must lie between 1 and {MOST_ITEMS}")))
}

/// The id a page starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart<'p> {
    Newest,
    After(&'p str),
    Before(&'p str),
}

pub const AFTER: &str = "starting_after";
pub const BEFORE: &str = "ending_before";

/// Where a page starts, of which there can be one place only.
pub fn page_start(parameters: &Parameters) -> Result<PageStart<'_>, ApiError> {
    match (parameters.get(AFTER), parameters.get(BEFORE)) {
        (None, None) => Ok(PageStart::Newest),
        (Some(id), None) => Ok(PageStart::After(id)),
        (None, Some(id)) => Ok(PageStart::Before(id)),
        (Some(_), Some(_)) => Err(invalid(BEFORE, format!("{AFTER} and {BEFORE} cannot be used together"))),
    }
}

/// Which invoices are meant; `None` if none can be.
pub fn invoices(parameters: &Parameters) -> Result<Option<InvoiceFilter>, ApiError> {
    let filter = InvoiceFilter {
        statuses: statuses(parameters)?,
        customer_id: parameters.get("customer_id").map(customer_id).transpose()?,
        environment: environment(parameters)?,
        created: created_between(parameters, ["created_gte", "created_lte"])?,
        payer: text(parameters, "payer_wallet_address")?.map(|payer| {
            // An address may come without its checksum's capitals or even its prefix.
            payer.parse::<Address>().map_or_else(|_| payer.to_owned(), |address| address.to_string())
        }),
        payer_network: text(parameters, "payer_wallet_network")?.map(str::to_lowercase),
    };
    Ok(has_standard_invoices(parameters)?.then_some(filter))
}

/// A merchant's name for a customer.
pub fn customer_id(id: &str) -> Result<String, ApiError> {
    checked("customer_id", id).map(str::to_owned)
}

/// The invoice, if only one is meant.
pub fn invoice_id(parameters: &Parameters) -> Result<Option<InvoiceId>, ApiError> {
    let invoice = parameters.get("invoice_id").map(str::parse).transpose();
    invoice.map_err(|_| invalid("invoice_id", "invoice_id must be a UUID"))
}

/// Types of events, each by its name or by the names below which it stands.
pub fn event_types(parameters: &Parameters, name: &'static str) -> Result<Vec<EventTypes>, ApiError> {
    let types = parameters.list(name).unwrap_or_default();
    if MOST_EVENT_TYPES < types.len() {
        return Err(invalid(name, format!("{name} must not list more than {MOST_EVENT_TYPES} types")));
    }
    let types: Option<Vec<_>> = types.into_iter().map(event_type).collect();
    types
        .ok_or_else(|| invalid(name, format!("{name} is a list of event types, as in invoice.updated, invoice.* or *")))
}

/// Reads a type, or all types below one where it ends in a star.
fn event_type(text: &str) -> Option<EventTypes> {
    let is_name = |text: &str| {
        text.split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    match text.strip_suffix('*') {
        Some("") => Some(EventTypes::All),
        Some(below) => is_name(below.strip_suffix('.')?).then(|| EventTypes::Below(below.to_owned())),
        None => is_name(text).then(|| EventTypes::One(text.to_owned())),
    }
}

/// The environment, if only one is meant.
pub fn environment(parameters: &Parameters) -> Result<Option<Environment>, ApiError> {
    match parameters.get("environment") {
        None => Ok(None),
        Some("devnet") => Ok(Some(Environment::Devnet)),
        Some("mainnet") => Ok(Some(Environment::Mainnet)),
        Some(_) => Err(invalid("environment", "environment must be devnet or mainnet")),
    }
}

/// From the first millisecond of the one second to the last of the other.
pub fn created_between(parameters: &Parameters, [from, to]: [&'static str; 2]) -> Result<CreatedBetween, ApiError> {
    let time = |name| {
        let Some(text) = parameters.get(name) else { return Ok(None) };
        let seconds = parse_epoch_seconds(text).map(UnixSeconds);
        seconds.map(Some).ok_or_else(|| {
            invalid(name, format!("{name} must be epoch seconds or a date-time as in 2026-01-31T12:00:00Z"))
        })
    };
    Ok(CreatedBetween {
        from: time(from)?.map(UnixSeconds::as_millis),
        to: time(to)?.map(|second| UnixMillis(second.as_millis().0.saturating_add(999))),
    })
}

fn statuses(parameters: &Parameters) -> Result<Vec<InvoiceStatus>, ApiError> {
    use InvoiceStatus::{Canceled, Expired, Paid, Underpaid, Unpaid};
    let mut statuses = Vec::new();
    for name in parameters.list("status").unwrap_or_default() {
        let meant: &[_] = match name {
            "unpaid" => &[Unpaid],
            "underpaid" => &[Underpaid],
            "paid" => &[Paid],
            "expired" => &[Expired],
            "canceled" => &[Canceled],
            "all" => &[Unpaid, Underpaid, Paid, Expired, Canceled],
            // The names of an older version of this API.
            "pending" => &[Unpaid, Underpaid],
            "failed" => &[Expired, Canceled],
            _ => {
                let message = "status is a list of unpaid, underpaid, paid, expired and canceled, or all";
                return Err(invalid("status", message));
            }
        };
        for status in meant {
            if !statuses.contains(status) {
                statuses.push(*status);
            }
        }
    }
    // All of them restrict nothing, and nothing is read from one index instead of five.
    if statuses.len() == 5 {
        statuses.clear();
    }
    Ok(statuses)
}

/// Whether invoices that are not part of commerce are meant; this server has no others.
pub fn has_standard_invoices(parameters: &Parameters) -> Result<bool, ApiError> {
    let Some(types) = parameters.list("invoice_type") else { return Ok(true) };
    if types.iter().any(|name| !matches!(*name, "standard" | "commerce")) {
        return Err(invalid("invoice_type", "invoice_type is a list of standard and commerce"));
    }
    Ok(types.contains(&"standard"))
}

fn text<'p>(parameters: &'p Parameters, name: &'static str) -> Result<Option<&'p str>, ApiError> {
    parameters.get(name).map(|text| checked(name, text)).transpose()
}

fn checked<'t>(name: &'static str, text: &'t str) -> Result<&'t str, ApiError> {
    let is_plain = (1..=MOST_CHARACTERS).contains(&text.chars().count()) && !text.contains('\0');
    let message = || format!("{name} must be text of 1 to {MOST_CHARACTERS} characters");
    is_plain.then_some(text).ok_or_else(|| invalid(name, message()))
}
