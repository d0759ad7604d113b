//! Telling merchants what happened: signed, at least once, in order for each invoice.
//!
//! `queue` takes what is owed from the database, `delivery` makes one try, `schedule` says when the
//! next one is, `resolver` says where none may go. What is owed was written with the change it tells
//! of; nothing here decides that. Nothing here looks into what receivers answer, beyond the status.

mod delivery;
mod queue;
mod resolver;
mod schedule;

pub use queue::run;
pub use resolver::{RefusedTarget, Targets};
