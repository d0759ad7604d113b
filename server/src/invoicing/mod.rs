//! The verbs: load, ask the domain, save, announce.
//!
//! HTTP, watchers and timers all call these. Each verb is one transaction that holds the change, the
//! status that follows from it, and the events that tell of it.

mod addresses;
mod answers;
mod attach;
mod cancel;
mod case;
mod create;
mod expire;
mod price_late;
mod quote;
mod record_arrivals;
mod record_scan;
mod recording;
mod settle;
mod solana_addresses;
mod verify;
mod worth;

pub use addresses::{AddressError, Lookout};
pub use answers::{
    AnswerError, EmailError, Fault, MOST_CHARACTERS, Question, answer, asks, check_answers, must_answer, questions,
    set_email,
};
pub use attach::{AttachError, attach};
pub use cancel::{CancelError, cancel};
pub use case::{Case, Payment};
pub use create::{CreateError, CreateInvoice, Created, Origin, create};
pub use expire::{end_due_invoices, run as run_expiry};
pub use price_late::{price_unpriced, run as run_late_prices};
pub use quote::{Chosen, Markable, QuoteError, choose, is_payable, keep_quoted, markable};
pub use record_arrivals::{Arrived, Reading, record_arrivals};
pub use record_scan::{Compared, RecordError, Scan, SeenFailure, SeenSweep, SeenTransfer, record_scan};
pub use recording::Said;
pub use settle::{
    DueAmount, DueDeposit, PlannedSweep, SweepError, plan_sweeps, safe_batches, send_sweep, sweep_calls, sweepCall,
};
pub use verify::{MOST_ATTEMPTS, Missing, VerifyError, conclude_look, found_by, verify};
pub(crate) use worth::offer_smaller_sweeps;
pub use worth::{LeftDeposits, SweepCost, SweepOffer, SweepPlan, Wanted, offer_sweeps};

#[cfg(test)]
mod tests;
