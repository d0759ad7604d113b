//! Self-hosted, non-custodial crypto checkout.
