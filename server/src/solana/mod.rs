//! What Solana's words mean: addresses, the accounts that follow from them, the programs everybody uses.
//!
//! Nothing here asks a network, and no key that could spend is read or made; `chains::solana` reads what a network answers.

mod address;
mod address_list;
mod base58;
mod hash;
pub mod message;
pub mod programs;
mod signature;
mod step;
mod token_account;
mod wallet;

pub use address::{AddressError, SolanaAddress};
pub use address_list::{AddressListError, LineError, read_address_list};
pub use hash::{Hash, HashError};
pub use signature::{Signature, SignatureError};
pub use step::Step;
pub use token_account::{associated_token_account, program_address};
pub use wallet::{WalletError, check_wallet, solana_wallet};
