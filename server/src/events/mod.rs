//! The numbered log of events, and who on this node waits for it.

mod feed;
mod follower;
mod sequencer;

pub use feed::{Change, Hub, Seen, Subscription, to_wire};
pub use follower::run as run_follower;
pub use sequencer::run as run_sequencer;
