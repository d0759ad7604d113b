//! Deposit addresses (filled by the contracts branch).
