//! The real server in this process.

use std::ffi::OsString;

use alloy_primitives::Address;
use domain::{
    access::{Rights, Scope},
    id::MerchantId,
    signature::ServerSecret,
};
use pepay::{
    app::App,
    clock::{TestClock, random_bytes},
    config::Config,
    keys::{self, IssueKey},
    serve::{self, Running},
    store::{NewMerchant, StoreError},
    webhooks::{self, Sealer},
};

use crate::{ApiClient, TestFolder, WALLET, WITHOUT_RATE_LIMITS};

/// A server on a free port, with a database of its own and a clock that tests move.
pub struct TestApp {
    pub url: String,
    pub clock: TestClock,
    running: Option<Running>,
    variables: Vec<(OsString, OsString)>,
    folder: TestFolder,
}

/// What a test keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// The system's PostgreSQL, started for this test program.
    Postgres,
}

impl Database {
    /// What tests run on that run on either: `PEPAY_TEST_DATABASE`, which is `sqlite` or `postgres`, else SQLite.
    ///
    /// # Panics
    ///
    /// If it names something else.
    pub fn of_tests() -> Self {
        match std::env::var("PEPAY_TEST_DATABASE").as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("PEPAY_TEST_DATABASE is sqlite or postgres, not {other}"),
        }
    }

    /// The URL of an empty database; `None` for the file that a server makes by itself.
    pub fn new_url(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(postgres_cluster::new_database()),
        }
    }
}

/// A merchant with an API key.
pub struct Merchant {
    pub id: MerchantId,
    pub api: ApiClient,
}

impl TestApp {
    /// Starts a devnet server without networks.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a devnet server whose settings are overridden as by variables, such as
    /// `("PEPAY__WEBHOOKS__TIMEOUT_MS", "500")`, on [`Database::of_tests`].
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_on(Database::of_tests(), variables).await
    }

    /// As [`TestApp::start_with`], on an empty database of that kind.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start_on(database: Database, variables: &[(&str, &str)]) -> Self {
        let url = database.new_url();
        let storage = url.as_deref().map(|url| ("PEPAY__STORAGE__DATABASE_URL", url));
        let variables = variables.iter().copied().chain(storage);
        let mut app = Self {
            url: String::new(),
            clock: TestClock::default(),
            running: None,
            variables: variables.map(|(name, value)| (name.into(), value.into())).collect(),
            folder: TestFolder::new(),
        };
        app.begin().await;
        app
    }

    /// Stops the server and starts it again on the same database, on another port.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.begin().await;
    }

    /// Stops the server as a signal does; what is shared with it must have been dropped.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// What the server's parts share.
    ///
    /// # Panics
    ///
    /// If it was stopped.
    pub fn app(&self) -> &App {
        &self.running.as_ref().expect("the server runs").app
    }

    /// Creates a merchant with an API key.
    ///
    /// # Panics
    ///
    /// If the database refuses.
    pub async fn create_merchant(&self) -> Merchant {
        let wallet: Address = WALLET.parse().expect("the wallet is an address");
        let now = self.app().clock.now();
        let created: Result<_, StoreError> = self
            .app()
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let merchant = NewMerchant {
                        name: "Harbour Books".to_owned(),
                        email: "help@harbour.example".to_owned(),
                        evm_wallet: wallet,
                        recovery_code: random_bytes(),
                        created_at: now,
                    };
                    tx.insert_merchant(&merchant).await
                })
            })
            .await;
        let merchant = created.expect("the merchant is created");
        let key = self.create_key(merchant, Rights::DEFAULT).await;
        Merchant { id: merchant, api: ApiClient::new(&self.url, &key) }
    }

    /// Creates an API key with these rights.
    ///
    /// # Panics
    ///
    /// If the database refuses.
    pub async fn create_key(&self, merchant: MerchantId, rights: Rights) -> String {
        let wanted = IssueKey {
            merchant,
            name: "tests".to_owned(),
            scope: Scope::Merchant,
            rights,
            expires_at: None,
            request: None,
        };
        let app = self.app();
        let issued = keys::issue(&app.store, &app.config, app.clock.now(), wanted).await;
        issued.expect("the key is created").api_key
    }

    /// Sends a merchant's webhooks to `url`, whatever it is, and returns the secret.
    ///
    /// # Panics
    ///
    /// If the database refuses.
    pub async fn set_webhook(&self, merchant: &Merchant, url: &str) -> String {
        let app = self.app();
        let sealer = Sealer::new(&app.secrets);
        let set = webhooks::set_main(&app.store, &sealer, app.clock.now(), merchant.id, url).await;
        set.expect("the endpoint is set").secret
    }

    async fn begin(&mut self) {
        let text = format!(
            "environment = \"devnet\"\n[server]\nlisten = \"127.0.0.1:0\"\nshutdown_grace_seconds = 60\n[limits]\n{}\n",
            WITHOUT_RATE_LIMITS.map(|name| format!("{name} = 0")).join("\n")
        );
        let path = self.folder.path().join("pepay.toml");
        let config = Config::read(&text, &path, self.variables.clone()).expect("the settings are good");
        let secrets = vec![ServerSecret::from_bytes([7; 32])];
        let running = serve::start(config, secrets, None, self.clock.clock()).await.expect("the server starts");
        self.url = format!("http://{}", running.address);
        self.running = Some(running);
    }
}
