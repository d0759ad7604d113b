//! What tokens cost. No price, no quote: never one, never the last value.

use std::sync::Arc;

use domain::{id::TokenId, money::Rate};

use crate::{clock::Clock, config::Config, store::BlockRef};

/// There is no price that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    #[error("token {0} is not configured")]
    UnknownToken(TokenId),
}

/// Where prices come from. Cheap to clone.
#[derive(Clone)]
pub struct Prices(Arc<()>);

impl Prices {
    /// Prices of the configured tokens.
    pub fn new(_config: &Arc<Config>, _clock: Clock) -> Self {
        Self(Arc::new(()))
    }

    /// The price a quote may be made at now.
    ///
    /// # Errors
    ///
    /// [`NoPrice`] says why there is none.
    #[expect(clippy::unused_async, reason = "the chains are asked here")]
    pub async fn current(&self, token: TokenId) -> Result<Rate, NoPrice> {
        let () = *self.0;
        Err(NoPrice::UnknownToken(token))
    }

    /// The price as the chain told it at a block.
    ///
    /// # Errors
    ///
    /// [`NoPrice`] says why there is none.
    #[expect(clippy::unused_async, reason = "the chains are asked here")]
    pub async fn at_block(&self, token: TokenId, _block: &BlockRef) -> Result<Rate, NoPrice> {
        Err(NoPrice::UnknownToken(token))
    }
}
