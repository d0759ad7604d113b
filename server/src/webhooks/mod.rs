//! Telling merchants what happened: signed, at least once, in order for each invoice.
//!
//! `endpoints` is what merchants do with theirs. `queue` takes what is owed from the database, `message` puts it into
//! the form its endpoint asked for, `delivery` makes one try, `schedule` says when the next one is, `resolver` says
//! where none may go, `sealing` keeps the secrets. What is owed was written with the change it tells
//! of; nothing here decides that. Nothing here looks into what receivers answer, beyond the status.

mod delivery;
mod endpoints;
mod message;
mod queue;
mod resolver;
mod schedule;
mod sealing;

pub use endpoints::{
    EndpointError, NewEndpoint, REDELIVERED_AT_ONCE, WithSecret, create, delete, ping, redeliver, redeliver_failed,
    redeliver_range, rotate_secret, set_legacy, set_main, update,
};
pub use queue::run;
pub use resolver::{RefusedTarget, Targets};
pub use sealing::Sealer;
