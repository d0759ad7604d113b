//! Which tokens a merchant takes.

use domain::{
    acceptance::Acceptance,
    id::{MerchantId, TokenId},
};

use crate::{app::App, config::Config, store::StoreError};

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("there is no token {0}")]
    NoSuchToken(TokenId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stops taking a token, or takes it again.
///
/// # Errors
///
/// If this server has no such token.
pub async fn set_token_blocked(
    app: &App,
    merchant: MerchantId,
    token: TokenId,
    blocked: bool,
) -> Result<Acceptance, TokenError> {
    if app.config.token(token).is_none() {
        return Err(TokenError::NoSuchToken(token));
    }
    let change = move |acceptance: &mut Acceptance, config: &Config, now| {
        if blocked {
            acceptance.block(token, now);
        } else {
            acceptance.unblock(token, config.tokens().map(|(_, token)| token.token_id()), now);
        }
    };
    Ok(save(app, merchant, change).await?)
}

/// Takes tokens of these networks only: those of others are blocked. A network that some token was taken on
/// keeps the tokens that are blocked there; one that none was taken on gets all of its tokens back. Without
/// any network, nothing is taken, also of what comes later.
///
/// # Errors
///
/// If the database refuses.
pub async fn select_networks(app: &App, merchant: MerchantId, selected: Vec<String>) -> Result<Acceptance, StoreError> {
    let change = move |acceptance: &mut Acceptance, config: &Config, now| {
        let all = || config.tokens().map(|(_, token)| token.token_id());
        if selected.is_empty() {
            return acceptance.block_all(all(), now);
        }
        // First those that are taken, so that a merchant that took nothing becomes selective.
        let (taken, others): (Vec<_>, Vec<_>) =
            config.networks.iter().partition(|network| selected.contains(&network.name));
        for network in taken {
            let is_taken = network.tokens.iter().any(|token| token.accepted && !acceptance.blocks(token.token_id()));
            for token in network.tokens.iter().filter(|_| !is_taken) {
                acceptance.unblock(token.token_id(), all(), now);
            }
        }
        for token in others.into_iter().flat_map(|network| &network.tokens) {
            acceptance.block(token.token_id(), now);
        }
    };
    save(app, merchant, change).await
}

async fn save(
    app: &App,
    merchant: MerchantId,
    change: impl FnOnce(&mut Acceptance, &Config, domain::time::UnixSeconds) + Send + 'static,
) -> Result<Acceptance, StoreError> {
    let task = app.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                let before = tx.acceptance(merchant).await?;
                let mut after = before.clone();
                change(&mut after, &task.config, task.clock.now());
                if after != before {
                    tx.save_acceptance(merchant, &after).await?;
                }
                Ok(after)
            })
        })
        .await
}
