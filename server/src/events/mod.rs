//! The numbered log of events, who on this node waits for it, and how long it is kept.

mod access;
mod feed;
mod follower;
mod retention;
mod sequencer;
mod standings;

pub use access::{Held, OpenAccess, run_access_checks};
pub use feed::{Change, Hub, Seen, Subscription, to_wire};
pub use follower::run as run_follower;
pub use retention::{run as run_retention, tidy};
pub use sequencer::run as run_sequencer;
pub use standings::{Lookup, Polled, Standings};
