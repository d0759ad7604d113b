//! What crosses the network, and the rules both of its ends need.
//!
//! Server, page, shop and tests share these types, so that a change of the wire is a compile error on
//! every side. The crate keeps out what only one end may decide: money rules live in `domain`, storage
//! and signing in the server, drawing in the page.

pub mod api_key;
pub mod deposit_address;
pub mod error;
pub mod event;
pub mod invoice;
mod keccak;
pub mod money;
pub mod payment_uri;
pub mod payor;
pub mod settings;
pub mod snapshot;
pub mod sweep;
pub mod time;
pub mod unattributed;
pub mod verification;
pub mod webhook;

use serde::{Deserialize, Serialize};

/// Which networks an invoice can be paid on: test networks or real ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Devnet,
    Mainnet,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Devnet => "devnet",
            Self::Mainnet => "mainnet",
        }
    }
}
