//! "Pay as customer": asks what the payment page shows and sends it as a real transaction.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use uuid::Uuid;

use super::{Inner, ShopError, accepted};
use crate::{chain::LocalChain, solana::LocalSolana};

/// An unlocked account on a local chain.
#[derive(Clone, Debug)]
pub struct CustomerWallet {
    /// The chain; payments are told apart by its id.
    pub chain: Arc<LocalChain>,
    /// Who pays. It needs the tokens it is to pay with.
    pub account: Address,
}

/// A wallet on a local Solana.
#[derive(Clone, Debug)]
pub struct SolanaWallet {
    /// The chain.
    pub chain: Arc<LocalSolana>,
    /// Its name.
    pub name: String,
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
    /// The number wallets know the network by; `None` on Solana.
    pub chain_id: Option<u64>,
    /// The transaction: its hash, or on Solana its signature.
    pub tx_hash: String,
    /// Where the money goes.
    pub address: String,
    /// The token's contract or mint; `None` for the native coin.
    pub token_contract: Option<String>,
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
    chain_id: Option<u64>,
    address: String,
    token_contract: Option<String>,
    amount_base: String,
    decimals: u8,
    uri: String,
}

impl Inner {
    pub(super) async fn pay(&self, order: Uuid, share: Share) -> Result<Sent, ShopError> {
        let quote = self.quote(order).await?;
        let amount =
            quote.amount_base.parse().ok().and_then(|amount| share.of(amount)).ok_or(ShopError::NotAnAmount)?;
        let tx_hash = match quote.chain_id {
            Some(chain_id) => self.pay_on_evm(chain_id, &quote, amount).await?.to_string(),
            None => self.pay_on_solana(&quote, share, amount).await?,
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

    async fn pay_on_solana(&self, quote: &Quote, share: Share, amount: U256) -> Result<String, ShopError> {
        let wallet = self.on_solana.as_ref().ok_or(ShopError::NoSolanaWallet)?;
        let other = match share {
            Share::Exact => None,
            Share::Half | Share::Double => Some(decimal(amount, quote.decimals)),
        };
        Ok(wallet.chain.pay(&wallet.name, &quote.uri, other.as_deref()).await?)
    }

    async fn pay_on_evm(&self, chain_id: u64, quote: &Quote, amount: U256) -> Result<B256, ShopError> {
        let wallet = self.customers.iter().find(|wallet| wallet.chain.chain_id() == chain_id);
        let CustomerWallet { chain, account } = wallet.ok_or(ShopError::NoWallet(chain_id))?;
        let read = |text: &str| text.parse::<Address>().map_err(|_| ShopError::NotAnAmount);
        let address = read(&quote.address)?;
        let token = quote.token_contract.as_deref().map(read).transpose()?;
        let owned = match token {
            Some(token) => chain.balance_of(token, *account).await?,
            None => chain.native_balance(*account).await?,
        };
        if owned < amount {
            return Err(ShopError::TooPoor);
        }
        Ok(match token {
            Some(token) => chain.send_token(*account, token, address, amount).await?,
            None => chain.send_native(*account, address, amount).await?,
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

/// An amount in whole tokens, as a Solana Pay request spells it.
fn decimal(units: U256, decimals: u8) -> String {
    let digits = format!("{:0>width$}", units.to_string(), width = usize::from(decimals) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_spelled_in_whole_tokens() {
        for (units, decimals, spelled) in [
            (24_900_000, 6, "24.9"),
            (12_345_678, 6, "12.345678"),
            (1, 6, "0.000001"),
            (7_000_000, 6, "7"),
            (7, 0, "7"),
        ] {
            assert_eq!(decimal(U256::from(units), decimals), spelled);
        }
    }
}
