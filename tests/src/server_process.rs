//! The `pepay` binary as an operator runs it, and as a crash ends it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde::de::DeserializeOwned;

use crate::{ApiClient, Database, TestFolder, WALLET, WITHOUT_RATE_LIMITS, eventually};

const DATABASE_URL: &str = "PEPAY__STORAGE__DATABASE_URL";

/// A folder with a configuration, and the server that runs on it, if it does.
pub struct ServerProcess {
    pub url: String,
    child: Option<Child>,
    variables: Vec<(String, String)>,
    folder: TestFolder,
}

/// How a command ended.
#[derive(Debug)]
pub struct CommandOutput {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The binary under test: `PEPAY_BIN`, else the one that cargo built beside this test.
///
/// # Panics
///
/// If there is none.
pub fn pepay_binary() -> PathBuf {
    let binary = std::env::var_os("PEPAY_BIN").map_or_else(
        || {
            let test = std::env::current_exe().expect("this program has a path");
            let folder = test.ancestors().nth(2).expect("tests are built two folders down");
            folder.join(format!("pepay{}", std::env::consts::EXE_SUFFIX))
        },
        PathBuf::from,
    );
    assert!(binary.is_file(), "there is no {}; build it, or say where it is in PEPAY_BIN", binary.display());
    binary
}

impl ServerProcess {
    /// Prepares a folder with `pepay init`; `config` is the configuration but for the address, which
    /// is a free port of this machine.
    ///
    /// # Panics
    ///
    /// If `pepay init` fails.
    pub fn prepare(config: &str) -> Self {
        Self::prepare_on(Database::Sqlite, config)
    }

    /// The same, on an empty database of that kind.
    ///
    /// # Panics
    ///
    /// If `pepay init` fails.
    pub fn prepare_on(database: Database, config: &str) -> Self {
        let mut server = Self::on_a_free_port();
        if let Some(url) = database.new_url() {
            server.set_variable(DATABASE_URL, &url);
        }
        fs::write(server.path("pepay.toml"), config).expect("the folder can be written");
        server.run_good(&["init"]);
        server
    }

    /// Another node on the same database, with the same configuration and secret.
    ///
    /// # Panics
    ///
    /// If the files cannot be copied.
    #[must_use]
    pub fn beside(&self) -> Self {
        let mut server = Self::on_a_free_port();
        server.set_variable(DATABASE_URL, &self.database_url());
        for name in ["pepay.toml", "pepay.secret"] {
            fs::copy(self.path(name), server.path(name)).expect("the folder can be written");
        }
        server
    }

    fn on_a_free_port() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let unlimited = |name: &str| (format!("PEPAY__LIMITS__{}", name.to_uppercase()), "0".to_owned());
        let mut variables = vec![("PEPAY__SERVER__LISTEN".to_owned(), address.to_string())];
        variables.extend(WITHOUT_RATE_LIMITS.map(unlimited));
        Self { url: format!("http://{address}"), child: None, variables, folder: TestFolder::new() }
    }

    /// What `storage.database_url` says.
    pub fn database_url(&self) -> String {
        let set = self.variables.iter().find(|(name, _)| name == DATABASE_URL);
        set.map_or_else(|| format!("sqlite:{}", self.path("pepay.db").display()), |(_, url)| url.clone())
    }

    /// A file in the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets a variable for everything that starts from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.unset_variable(name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset_variable(&mut self, name: &str) {
        self.variables.retain(|(set, _)| set != name);
    }

    /// Runs a command beside the server.
    ///
    /// # Panics
    ///
    /// If it cannot be run at all.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.command().args(arguments).output().expect("pepay can be run");
        CommandOutput {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed and returns what it printed.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn run_good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "pepay {}: {output:?}", arguments.join(" "));
        output.stdout
    }

    /// Runs a command with `--json` and reads its answer.
    ///
    /// # Panics
    ///
    /// If it fails, or prints something else.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let printed = self.run_good(&[&["--json"], arguments].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Creates a merchant whose webhooks go to `webhook_url`; returns its API client and the
    /// webhooks' secret.
    ///
    /// # Panics
    ///
    /// If a command fails.
    pub fn create_merchant(&self, webhook_url: &str) -> (ApiClient, String) {
        let text = |answer: &serde_json::Value, name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let email = "help@harbour.example";
        let created: serde_json::Value =
            self.ask(&["merchant", "create", "--name", "Harbour Books", "--email", email, "--wallet", WALLET]);
        let merchant = created["merchant_id"].to_string();
        let webhook = self.ask(&["merchant", "set-webhook", &merchant, webhook_url]);
        let key = self.ask(&["key", "create", "--merchant", &merchant]);
        (ApiClient::new(&self.url, &text(&key, "api_key")), text(&webhook, "secret"))
    }

    /// Starts the server and waits until it answers, or until it ended.
    ///
    /// # Errors
    ///
    /// How it ended, if it did.
    ///
    /// # Panics
    ///
    /// If it does neither in time.
    pub async fn start(&mut self) -> Result<(), ExitStatus> {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be written");
        let errors = log.try_clone().expect("the log can be written");
        let child = self.command().arg("serve").stdout(log).stderr(errors).spawn().expect("pepay can be run");
        self.child = Some(child);
        let client = demo::http_client().expect("the system gives an HTTP client");
        let url = format!("{}/health/live", self.url);
        eventually("the server to answer", async || {
            if let Some(status) = self.ended() {
                return Some(Err(status));
            }
            let answer = client.get(&url).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(Ok(()))
        })
        .await
    }

    /// How much memory the server holds.
    ///
    /// # Panics
    ///
    /// If it does not run, or the system does not say.
    pub fn resident_bytes(&self) -> u64 {
        let id = self.child.as_ref().expect("the server runs").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the system knows its processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("memory is told");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("memory is a number");
        kibibytes * 1024
    }

    /// How the server ended, if it did.
    ///
    /// # Panics
    ///
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("the system knows its processes")?;
        self.child = None;
        Some(status)
    }

    /// Waits until the server ended by itself.
    pub async fn wait_for_end(&mut self) -> ExitStatus {
        eventually("the server to end", async || self.ended()).await
    }

    /// Ends the server as a power cut does.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn kill_9(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("our own process can be killed");
        child.wait().expect("a killed process ends");
    }

    /// Asks the server to end, as a service manager does, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not run, or does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.wait_for_end().await
    }

    /// Lets the server fall asleep wherever it is, as a machine that is out of memory or moved does.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("the server runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("there is a kill command");
        assert!(sent.success());
    }

    /// What the running server calls itself on its database.
    ///
    /// # Panics
    ///
    /// If it has not said so.
    pub fn node(&self) -> String {
        let log = self.log();
        let said = log.rsplit("node.id=").next().expect("there is a log");
        said.split_whitespace().next().expect("it says more").to_owned()
    }

    /// Where the running server serves its figures, as its log tells.
    ///
    /// # Panics
    ///
    /// If it serves none.
    pub async fn metrics_url(&self) -> String {
        let address = eventually("the log to say where the figures are", async || {
            let log = self.log();
            // The last one, should it have been started before.
            let line = log.lines().rfind(|line| line.contains(" metrics address="))?;
            Some(line.rsplit_once("address=")?.1.trim().to_owned())
        });
        format!("http://{}/metrics", address.await)
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.path("pepay.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(pepay_binary());
        // A developer's own settings must not leak into tests.
        let own = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PEPAY_"));
        for (name, _) in own {
            command.env_remove(name);
        }
        command.arg("--config").arg(self.path("pepay.toml")).stdin(Stdio::null()).current_dir(Path::new("/"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill_9();
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}
