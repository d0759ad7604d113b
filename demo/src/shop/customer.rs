//! "Pay as customer": asks what the payment page shows and sends it as a real transaction.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use uuid::Uuid;

use super::{Inner, ShopError, accepted};
use crate::chain::LocalChain;

/// An unlocked account on a local chain.
#[derive(Clone, Debug)]
pub struct CustomerWallet {
    /// The chain; payments are told apart by its id.
    pub chain: Arc<LocalChain>,
    /// Who pays. It needs the tokens it is to pay with.
    pub account: Address,
}

/// How much of what is asked for to pay.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All of it.
    Exact,
    /// Half of it, rounded down.
    Half,
    /// Twice as much.
    Double,
}

impl Share {
    fn of(self, amount: U256) -> Option<U256> {
        match self {
            Self::Exact => Some(amount),
            Self::Half => Some(amount / U256::from(2)),
            Self::Double => amount.checked_mul(U256::from(2)),
        }
    }
}

/// A payment on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The network's name as the payment page has it.
    pub network: String,
    /// The number wallets know the network by.
    pub chain_id: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// Where the money goes.
    pub address: Address,
    /// The token's contract; `None` for the native coin.
    pub token_contract: Option<Address>,
    /// How much, in the token's smallest unit.
    pub amount_base: U256,
}

/// The part of the payment page's snapshot that a wallet needs.
#[derive(Deserialize)]
struct Snapshot {
    quote: Option<Quote>,
}

#[derive(Deserialize)]
struct Quote {
    network: String,
    chain_id: u64,
    address: Address,
    token_contract: Option<Address>,
    amount_base: String,
}

impl Inner {
    pub(super) async fn pay(&self, order: Uuid, share: Share) -> Result<Sent, ShopError> {
        let quote = self.quote(order).await?;
        let wallet = self
            .customers
            .iter()
            .find(|wallet| wallet.chain.chain_id() == quote.chain_id)
            .ok_or(ShopError::NoWallet(quote.chain_id))?;
        let amount =
            quote.amount_base.parse().ok().and_then(|amount| share.of(amount)).ok_or(ShopError::NotAnAmount)?;

        let CustomerWallet { chain, account } = wallet;
        let owned = match quote.token_contract {
            Some(token) => chain.balance_of(token, *account).await?,
            None => chain.native_balance(*account).await?,
        };
        if owned < amount {
            return Err(ShopError::TooPoor);
        }
        let tx_hash = match quote.token_contract {
            Some(token) => chain.send_token(*account, token, quote.address, amount).await?,
            None => chain.send_native(*account, quote.address, amount).await?,
        };
        Ok(Sent {
            network: quote.network,
            chain_id: quote.chain_id,
            tx_hash,
            address: quote.address,
            token_contract: quote.token_contract,
            amount_base: amount,
        })
    }

    /// What the payment page asks for at this moment, with the payer's rights.
    async fn quote(&self, order: Uuid) -> Result<Quote, ShopError> {
        let session =
            self.lock().orders.get(&order).map(|placed| placed.session.clone()).ok_or(ShopError::NoSuchOrder)?;
        let answer = self
            .client
            .get(format!("{}/pay/snapshot", self.api()?.url))
            .header("x-session-token", session.token)
            .header("x-signature", session.signature)
            .send()
            .await?;
        let snapshot: Snapshot = accepted(answer).await?.json().await?;
        snapshot.quote.ok_or(ShopError::NoQuote)
    }
}
