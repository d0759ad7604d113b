//! The money rules of the checkout, as functions from values to values.
//!
//! Everything that decides whether an invoice is paid, what a transfer is worth and when time is up
//! lives here, so that it can be read, property-tested and mutated on its own. The crate keeps out
//! input and output, clocks, randomness, `async`, SQL and serialisation: time and ids come in as
//! arguments, and whoever stores or sends these values has types of their own for that.

pub mod acceptance;
pub mod access;
pub mod address_mode;
pub mod finality;
pub mod id;
pub mod idempotency;
pub mod invoice;
pub mod money;
pub mod quote;
pub mod settlement;
pub mod signature;
pub mod time;
pub mod transfer;
pub mod unique_amount;
