//! Every shared handle, built once.

use std::{future::Future, ops::Deref, sync::Arc};

use domain::{signature::ServerSecret, time::UnixSeconds};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chains::{AddedEndpoints, Outages, TokenAccounts},
    clock::Clock,
    config::Config,
    events::{Hub, OpenAccess},
    invoicing::Lookout,
    limits::RateLimits,
    merchants,
    nodes::Living,
    rates::Prices,
    store::{NodeId, Store, StoreError, WriterTask},
};

/// What every part of the server shares. Cheap to clone: every request does so several times.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The handles of one server.
pub struct Shared {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub store: Store,
    /// Which of the processes on the database this is.
    pub node: NodeId,
    /// How many there are.
    pub living: Living,
    /// The newest event when this process opened the database.
    pub log_began_at: i64,
    /// The current server secret, and the one before it while that is being replaced.
    pub secrets: Arc<[ServerSecret]>,
    /// When this process began to watch chains and end invoices.
    pub started_at: UnixSeconds,
    /// Which networks are not read at present.
    pub outages: Arc<Outages>,
    /// The nodes that are asked beside the operator's own.
    pub added_endpoints: AddedEndpoints,
    /// What tokens cost.
    pub prices: Prices,
    /// Whether addresses were used before they are given to payers.
    pub lookout: Lookout,
    /// Whether wallets on Solana can take tokens yet.
    pub token_accounts: TokenAccounts,
    /// Who follows which invoice or merchant on this node.
    pub hub: Arc<Hub>,
    /// Which keys and tokens hold streams of this node open.
    pub access: Arc<OpenAccess>,
    /// How many requests callers may make, and have made.
    pub limits: Arc<RateLimits>,
    /// What payment URLs start with, without a slash at the end.
    pub public_url: Arc<str>,
    /// Canceled when the server shuts down.
    pub shutdown: CancellationToken,
    /// Everything that shutdown waits for.
    pub tasks: TaskTracker,
}

impl App {
    /// Opens the database and builds every handle; starts nothing but the database's writer.
    ///
    /// `secrets` holds the current server secret first; `public_url` is what payment URLs start with.
    ///
    /// # Errors
    ///
    /// If the database cannot be opened safely.
    pub async fn open(
        config: Config,
        secrets: Vec<ServerSecret>,
        clock: Clock,
        public_url: &str,
    ) -> Result<(Self, WriterTask), StoreError> {
        let (store, writer) = Store::open(&config.storage.database_url).await?;
        let config = Arc::new(config);
        let log_began_at = store.reader().await?.tx().last_event_sequence().await?;
        let living = Living::default();
        let shared = Shared {
            started_at: clock.now(),
            node: NodeId::random(),
            log_began_at,
            outages: Arc::default(),
            added_endpoints: AddedEndpoints::default(),
            prices: Prices::new(&config, clock.clone()),
            lookout: Lookout::new(&config),
            token_accounts: TokenAccounts::new(&config),
            limits: Arc::new(RateLimits::new(&config.limits, living.clone())),
            living,
            config,
            clock,
            store,
            secrets: secrets.into(),
            hub: Arc::default(),
            access: Arc::default(),
            public_url: public_url.trim_end_matches('/').into(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let app = Self(Arc::new(shared));
        merchants::read_rpc_endpoints(&app).await?;
        Ok((app, writer))
    }

    /// Runs a task that shutdown waits for; a task that may run long watches [`Shared::shutdown`].
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// The secret new signatures are made with.
    pub fn secret(&self) -> &ServerSecret {
        &self.secrets[0]
    }
}
