//! Nodes beside the operator's own. One is taken only if it shows the configured chain id and the same genesis
//! block as those, and is asked only when they cannot be.
//!
//! Providers put keys into the paths of their URLs, so these are stored sealed.

use std::{collections::HashMap, time::Duration};

use domain::id::{MerchantId, RpcEndpointId};
use tokio::time::timeout;
use url::Url;

use crate::{
    app::App,
    chains::rpc::{AddedEndpoint, Problem, Rpc, RpcError},
    clock::random_bytes,
    sealing::{Seal, Unopenable},
    store::{RpcEndpointRecord, StoreError},
    webhooks::RefusedTarget,
};

/// Added to one network by everybody together: a watcher that finds none of them answering must not be held up
/// for long.
const MOST_PER_NETWORK: usize = 5;
/// All questions to a node that is to be added, and to the operator's own.
const PROBE_TAKES_AT_MOST: Duration = Duration::from_secs(10);
const MOST_URL_CHARACTERS: usize = 2048;

#[derive(Debug, thiserror::Error)]
pub enum RpcEndpointError {
    #[error("this server has no network {0}")]
    NoSuchNetwork(String),
    #[error("must be an http or https URL of at most {MOST_URL_CHARACTERS} characters")]
    Url,
    #[error("{}", words(.0))]
    Refused(#[from] RefusedTarget),
    #[error(transparent)]
    Unfit(Problem),
    #[error("the operator's own endpoints cannot be asked for their genesis block")]
    NothingToCompareWith,
    #[error("it was added before")]
    Exists,
    #[error("{MOST_PER_NETWORK} were added to this network")]
    TooMany,
    #[error("no such endpoint")]
    NoSuchEndpoint,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a node to a network, after it showed that it is on the same chain as the operator's own.
///
/// # Errors
///
/// Why it was not added; nothing was changed then.
pub async fn add_rpc_endpoint(
    app: &App,
    merchant: MerchantId,
    network: &str,
    url: &str,
) -> Result<RpcEndpointRecord, RpcEndpointError> {
    let config = app.config.network(network).ok_or_else(|| RpcEndpointError::NoSuchNetwork(network.to_owned()))?;
    let is_one_word = url.chars().count() <= MOST_URL_CHARACTERS && !url.contains(|c: char| c.is_control() || c == ' ');
    let url = Url::parse(url).ok().filter(|url| is_one_word && matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or(RpcEndpointError::Url)?;
    let targets = app.config.merchants.rpc_targets();
    targets.check(&url)?;
    if config.rpc.contains(&url) {
        return Err(RpcEndpointError::Exists);
    }
    // Before anything is asked: whoever tries on and on must not make us ask on and on.
    let seal = UrlSeal::of(app);
    check_room(&seal, &app.store.reader().await?.tx().all_rpc_endpoints().await?, merchant, network, &url)?;

    let probing = timeout(PROBE_TAKES_AT_MOST, Rpc::probe(config, &url, &targets));
    let genesis = probing.await.unwrap_or(Err(Problem::TooSlow)).map_err(RpcEndpointError::Unfit)?;
    let own = Rpc::new(config);
    let asking = timeout(PROBE_TAKES_AT_MOST, own.first_block());
    let ours: Result<_, RpcError> = asking.await.map_err(|_| RpcEndpointError::NothingToCompareWith)?;
    if ours.map_err(|_| RpcEndpointError::NothingToCompareWith)? != genesis {
        return Err(RpcEndpointError::Unfit(Problem::WrongGenesis));
    }

    let id = RpcEndpointId::from_random(random_bytes());
    let record = RpcEndpointRecord {
        merchant,
        id,
        network: network.to_owned(),
        url: seal.seal(merchant, id, &url),
        genesis,
        created_at: app.clock.now(),
    };
    let added = record.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_network(&record.network).await?;
                check_room(&seal, &tx.all_rpc_endpoints().await?, merchant, &record.network, &url)?;
                tx.insert_rpc_endpoint(&record).await.map_err(RpcEndpointError::from)
            })
        })
        .await?;
    tracing::info!(payment.network = network, merchant.id = %merchant, rpc.id = %added.id, "an endpoint was added");
    read_rpc_endpoints(app).await?;
    Ok(added)
}

/// Removes a node that this merchant added.
///
/// # Errors
///
/// If there is none such.
pub async fn remove_rpc_endpoint(app: &App, merchant: MerchantId, id: RpcEndpointId) -> Result<(), RpcEndpointError> {
    let removed: bool = app
        .store
        .write(move |tx| {
            Box::pin(async move { tx.delete_rpc_endpoint(merchant, id).await.map_err(RpcEndpointError::from) })
        })
        .await?;
    if !removed {
        return Err(RpcEndpointError::NoSuchEndpoint);
    }
    tracing::info!(merchant.id = %merchant, rpc.id = %id, "an added endpoint was removed");
    Ok(read_rpc_endpoints(app).await?)
}

/// Has the watchers of this node use what is stored.
///
/// # Errors
///
/// If the database refuses.
pub async fn read_rpc_endpoints(app: &App) -> Result<(), StoreError> {
    let mut by_network: HashMap<String, Vec<AddedEndpoint>> = HashMap::new();
    let seal = UrlSeal::of(app);
    for record in app.store.reader().await?.tx().all_rpc_endpoints().await? {
        // That it cannot be opened was logged at the start.
        let Ok(url) = seal.open(&record) else { continue };
        let endpoint = AddedEndpoint { id: record.id, url, genesis: record.genesis };
        by_network.entry(record.network).or_default().push(endpoint);
    }
    app.added_endpoints.replace(by_network);
    Ok(())
}

/// The URL of an added node.
///
/// # Errors
///
/// If it was sealed with a server secret that is gone.
pub fn rpc_endpoint_url(app: &App, record: &RpcEndpointRecord) -> Result<Url, Unopenable> {
    UrlSeal::of(app).open(record)
}

/// Seals with the current key what is not: what an earlier version kept in the clear, and what was sealed before the
/// server secret was replaced. Returns how many these were.
///
/// # Errors
///
/// If the database refuses.
pub(super) async fn seal_all(app: &App) -> Result<usize, StoreError> {
    let seal = UrlSeal::of(app);
    let mut count = 0;
    for record in app.store.reader().await?.tx().all_rpc_endpoints().await? {
        if record.url.starts_with(seal.0.current()) {
            continue;
        }
        let Ok(url) = seal.open(&record) else {
            tracing::error!(
                merchant.id = %record.merchant, rpc.id = %record.id,
                "the address of an added endpoint cannot be opened with this server secret; it has to be added again"
            );
            continue;
        };
        let sealed = seal.seal(record.merchant, record.id, &url);
        let write = app.store.write(move |tx| Box::pin(async move { tx.reseal_rpc_endpoint(&record, &sealed).await }));
        count += usize::from(write.await?);
    }
    Ok(count)
}

/// Seals and opens the URLs of added nodes.
struct UrlSeal(Seal);

impl UrlSeal {
    fn of(app: &App) -> Self {
        Self(Seal::new("urls of added nodes", &app.secrets))
    }

    fn seal(&self, merchant: MerchantId, id: RpcEndpointId, url: &Url) -> String {
        self.0.seal(&format!("{merchant}|{id}"), url.as_str())
    }

    fn open(&self, record: &RpcEndpointRecord) -> Result<Url, Unopenable> {
        // What an earlier version stored is no sealed text, but a URL.
        let text = match Url::parse(&record.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(url),
            _ => self.0.open(&format!("{}|{}", record.merchant, record.id), &record.url)?,
        };
        Url::parse(&text).map_err(|_| Unopenable)
    }
}

/// Where endpoints may be, in the words of their own setting.
fn words(refused: &RefusedTarget) -> &'static str {
    match refused {
        RefusedTarget::Scheme => "must be an https URL",
        RefusedTarget::Plain => "must be https; http is for networks in merchants.rpc_allow_private_networks only",
        RefusedTarget::Parts => "must not hold a user name, password or fragment",
        _ => "is not at a public address, nor at one in merchants.rpc_allow_private_networks",
    }
}

fn check_room(
    seal: &UrlSeal,
    added: &[RpcEndpointRecord],
    merchant: MerchantId,
    network: &str,
    url: &Url,
) -> Result<(), RpcEndpointError> {
    let there: Vec<_> = added.iter().filter(|record| record.network == network).collect();
    if there.iter().any(|record| record.merchant == merchant && seal.open(record).as_ref() == Ok(url)) {
        return Err(RpcEndpointError::Exists);
    }
    if MOST_PER_NETWORK <= there.len() {
        return Err(RpcEndpointError::TooMany);
    }
    Ok(())
}
