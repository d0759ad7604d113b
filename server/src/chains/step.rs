//! What reading a network comes to, whatever kind it is.

use super::rpc::{Fault, RpcError};
use crate::{invoicing::RecordError, store::StoreError};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing new.
    Idle,
    /// The head is below what was read. If that lasts, it is a reorganisation.
    Behind,
    /// Blocks were recorded.
    Recorded { is_at_head: bool },
    /// Somebody else recorded them first.
    Outrun,
}

/// Whether the configuration and the network agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    Fit,
    Unfit(String),
}

#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("the chain moved while it was read")]
    Moved,
    #[error("an endpoint told something that cannot be true: {0}")]
    Untrue(&'static str),
    #[error("{network} was reorganised deeper than block {oldest}, the oldest one remembered")]
    TooDeep { network: String, oldest: u64 },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        Self::Rpc(fault.into())
    }
}

impl StepError {
    /// Whether it is another node that watches the network now.
    pub fn is_lease_lost(&self) -> bool {
        matches!(self, Self::Record(RecordError::Store(StoreError::LeaseLost { .. })))
    }
}
