//! The numbered log of events, and who on this node waits for it.

mod feed;
mod sequencer;

pub use feed::{Change, Hub, Seen, Subscription, to_wire};
pub use sequencer::run as run_sequencer;
