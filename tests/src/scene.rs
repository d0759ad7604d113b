//! The whole product on one machine, with a browser to look at it and wallets to pay from.
//!
//! Tests share a scene and have a merchant each, so that balances and webhooks are nobody else's.

use alloy_primitives::{Address, B256, U256};
use demo::{
    chain::LocalChain,
    stage::{Merchant, Network, Stage, StageOptions, Token, customer},
};
use uuid::Uuid;

use crate::{
    TestFolder,
    chromium::Chromium,
    outcome::{Failure, Outcome},
    payment_request::PaymentRequest,
    pepay_binary,
};

/// Where nobody looks at transactions; that the page names it is what counts.
pub const EXPLORER: &str = "https://explorer.example/tx/{hash}";

/// Chains, server, shop and browser. All of it ends when this is dropped.
pub struct Scene {
    /// The browsers, which go first.
    pub chromium: Chromium,
    /// Everything else.
    pub stage: Stage,
    _folder: TestFolder,
}

impl Scene {
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// When a part does not start.
    pub async fn set() -> Outcome<Self> {
        Self::set_as(false).await
    }

    /// The same with a local Solana beside the other chains.
    ///
    /// # Errors
    ///
    /// As [`Scene::set`].
    pub async fn set_with_solana() -> Outcome<Self> {
        Self::set_as(true).await
    }

    async fn set_as(with_solana: bool) -> Outcome<Self> {
        let folder = TestFolder::new();
        let dir = folder.path().to_owned();
        let explorer = Some(EXPLORER.to_owned());
        let options = StageOptions { pepay: pepay_binary(), dir, port: None, shop_port: None, with_solana, explorer };
        let chromium = Chromium::start(folder.path())?;
        let stage = Stage::set(&options, &mut |_| {}).await?;
        Ok(Self { chromium, stage, _folder: folder })
    }

    /// A merchant with a shop and with a wallet that nobody has ever paid.
    ///
    /// # Errors
    ///
    /// When the command line refuses.
    pub async fn add_merchant(&self) -> Outcome<Merchant> {
        let wallet = Address::left_padding_from(Uuid::new_v4().as_bytes());
        Ok(self.stage.add_merchant(wallet).await?)
    }

    /// The same under a name and with an e-mail address.
    ///
    /// # Errors
    ///
    /// When the command line refuses.
    pub async fn add_merchant_called(&self, name: &str, email: &str) -> Outcome<Merchant> {
        let wallet = Address::left_padding_from(Uuid::new_v4().as_bytes());
        Ok(self.stage.add_merchant_called(name, email, wallet).await?)
    }

    /// One of the networks with one of its tokens.
    ///
    /// # Errors
    ///
    /// When there is none of the name.
    pub fn token(&self, network: &str, symbol: &str) -> Outcome<(&Network, &Token)> {
        let network = self.stage.network(network);
        let token = network.and_then(|network| network.tokens.iter().find(|token| token.symbol == symbol));
        network.zip(token).ok_or_else(|| Failure::new(format!("no {symbol} on that network")))
    }

    /// Sends what a payment request asks for, as a wallet does, and waits until it is in a block.
    ///
    /// # Errors
    ///
    /// When the chain refuses, or there is no such chain.
    pub async fn pay(&self, request: &PaymentRequest) -> Outcome<B256> {
        let (chain, transaction) = self.send(request).await?;
        chain.mined(transaction).await?;
        Ok(transaction)
    }

    /// The same without waiting.
    ///
    /// # Errors
    ///
    /// When the chain refuses, or there is no such chain.
    pub async fn send(&self, request: &PaymentRequest) -> Outcome<(&LocalChain, B256)> {
        let chain = self.chain(request.chain_id)?;
        let payer = customer(chain);
        let transaction = match request.token {
            Some(token) => chain.send_token(payer, token, request.recipient, request.amount).await?,
            None => chain.send_native(payer, request.recipient, request.amount).await?,
        };
        Ok((chain, transaction))
    }

    /// Who pays on a chain.
    ///
    /// # Errors
    ///
    /// When there is no such chain.
    pub fn payer(&self, chain_id: u64) -> Outcome<Address> {
        self.chain(chain_id).map(customer)
    }

    /// What somebody has of the token that a request asks for.
    ///
    /// # Errors
    ///
    /// When the chain does not answer.
    pub async fn balance(&self, request: &PaymentRequest, owner: Address) -> Outcome<U256> {
        let chain = self.chain(request.chain_id)?;
        Ok(match request.token {
            Some(token) => chain.balance_of(token, owner).await?,
            None => chain.native_balance(owner).await?,
        })
    }

    /// A chain by its number.
    ///
    /// # Errors
    ///
    /// When there is no such chain.
    pub fn chain(&self, chain_id: u64) -> Outcome<&LocalChain> {
        let network = self.stage.networks.iter().find(|network| network.chain.chain_id() == chain_id);
        network.map(|network| &*network.chain).ok_or_else(|| Failure::new(format!("no chain has the id {chain_id}")))
    }
}
