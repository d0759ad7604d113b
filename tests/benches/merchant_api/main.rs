//! How fast the API answers, how many durable invoices it makes, and what an idle socket costs.
//!
//! Everything is asked of the `pepay` binary over loopback, on the machine that also makes the load; what is compared
//! with a bare handler is compared in alternating rounds of one run. It prints figures and judges nothing.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod load;

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use e2e::{
    ApiClient, Database, ServerProcess,
    outcome::{Failure, Outcome},
};
use futures_util::StreamExt;
use serde_json::Value;
use tokio_tungstenite::connect_async;
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

use self::load::{Round, request, round};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 64;
/// As many as a list shows that nobody asked for more.
const LISTED: usize = 10;
const SOCKETS: usize = 10_000;

/// Nothing may be refused for coming too often; the rest is what a shop would run with.
const CONFIG: &str = r#"
environment = "devnet"
[log]
filter = "warn"
[limits]
requests_per_minute_per_key = 0
requests_per_minute_per_session = 0
requests_per_minute_per_address = 0
sockets_per_merchant = 20000
[webhooks]
allow_private_networks = ["127.0.0.0/8"]
"#;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = if env::args().any(|argument| argument == "--bare") { serve_bare().await } else { measure().await };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("merchant_api: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Outcome {
    println!("{CONNECTIONS} connections, {ROUNDS} rounds of {} s each, medians", ROUND.as_secs());
    for (name, database) in [("SQLite", Database::Sqlite), ("PostgreSQL", Database::Postgres)] {
        println!("\n{name}");
        let server = Server::start(database).await?;
        server.answers().await?;
        server.creates().await?;
    }
    println!();
    sockets().await
}

struct Server {
    process: ServerProcess,
    api: ApiClient,
}

impl Server {
    async fn start(database: Database) -> Outcome<Self> {
        let mut process = ServerProcess::prepare(CONFIG);
        if database == Database::Postgres {
            process.set_variable("PEPAY__STORAGE__DATABASE_URL", &postgres_cluster::new_database());
        }
        // A port that nobody listens on: creating invoices should not wait for deliveries.
        let (api, _) = process.create_merchant("http://127.0.0.1:9/");
        let started = process.start().await;
        started.map_err(|status| Failure::new(format!("the server ended with {status}")))?;
        Ok(Self { process, api })
    }

    fn address(&self) -> &str {
        self.process.url.trim_start_matches("http://")
    }

    /// Reads, beside a handler that does nothing else.
    async fn answers(&self) -> Outcome {
        let mut invoice: CreatedInvoice = self.api.create_invoice("24.90").await;
        for _ in 1..LISTED {
            invoice = self.api.create_invoice("24.90").await;
        }
        let session = [("x-session-token", &*invoice.session_token), ("x-signature", &*invoice.signature)];
        let key = [("x-api-key", &*self.api.api_key)];
        let retrieve = format!("/api/v1/invoices/{}", invoice.invoice_id);
        let bare = Bare::start()?;

        let asked = [
            ("bare axum JSON handler", bare.address.as_str(), request("GET", "/", &[], "")),
            ("payment-status poll", self.address(), request("GET", "/api/v1/payments/payment-status", &session, "")),
            ("merchant reads an invoice", self.address(), request("GET", &retrieve, &key, "")),
            ("merchant lists 10 invoices", self.address(), request("GET", "/api/v1/invoices", &key, "")),
        ];
        let mut rounds: Vec<Vec<Round>> = asked.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for ((_, address, bytes), rounds) in asked.iter().zip(&mut rounds) {
                let bytes = bytes.clone();
                rounds.push(round(address, CONNECTIONS, ROUND, move || bytes.clone()).await?);
            }
        }
        let bare = median(&rounds[0]);
        for ((name, ..), rounds) in asked.iter().zip(&rounds) {
            let rate = median(rounds);
            let p99 = rounds.iter().map(|round| round.delay(99)).max().unwrap_or_default();
            println!("{name:36} {rate:>9.0} /s   {:>5.2} × bare   p99 {:>6.2} ms", rate / bare, millis(p99));
        }
        Ok(())
    }

    /// Creates, each durable before it is answered: one by one, and by many at once.
    async fn creates(&self) -> Outcome {
        let key = self.api.api_key.clone();
        let create = move || {
            let idempotency_key = Uuid::new_v4().to_string();
            let headers = [("x-api-key", key.as_str()), ("idempotency-key", idempotency_key.as_str())];
            request("POST", "/api/v1/invoices", &headers, r#"{"amount_usd":24.90}"#)
        };
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(round(self.address(), 1, ROUND, create.clone()).await?);
            together.push(round(self.address(), CONNECTIONS, ROUND, create.clone()).await?);
        }
        let delay = |rounds: &[Round]| millis(rounds.iter().map(|round| round.delay(99)).max().unwrap_or_default());
        let (one, many) = (median(&alone), median(&together));
        println!("{:36} {one:>9.0} /s                  p99 {:>6.2} ms", "creates, one client", delay(&alone));
        println!(
            "{:36} {many:>9.0} /s   {:>5.1} × one      p99 {:>6.2} ms",
            format!("creates, {CONNECTIONS} clients"),
            many / one,
            delay(&together)
        );
        Ok(())
    }
}

/// What sockets cost that only wait.
async fn sockets() -> Outcome {
    let server = Server::start(Database::Sqlite).await?;
    let idle = server.process.resident_bytes();
    println!("{:36} {:>9.1} MB resident", "idle server", megabytes(idle));

    let url = server.process.url.replacen("http", "ws", 1);
    let started = Instant::now();
    let mut open = Vec::with_capacity(SOCKETS);
    while open.len() < SOCKETS {
        let mut batch = Vec::new();
        for _ in 0..100.min(SOCKETS - open.len()) {
            batch.push(follow(&url, &server.api.api_key));
        }
        open.extend(futures_util::future::try_join_all(batch).await?);
    }
    let opened_in = started.elapsed();
    let full = server.process.resident_bytes();
    println!(
        "{:36} {:>9.1} MB resident, {:.1} kB each, opened in {:.1} s",
        format!("{SOCKETS} idle sockets"),
        megabytes(full),
        full.saturating_sub(idle) as f64 / 1000.0 / SOCKETS as f64,
        opened_in.as_secs_f64()
    );

    let created = Instant::now();
    server.api.create_invoice("24.90").await;
    let told = futures_util::future::join_all(open.iter_mut().map(|socket| async move {
        while let Some(Ok(frame)) = socket.next().await {
            let frame: Value = serde_json::from_slice(&frame.into_data()).unwrap_or_default();
            if frame["object"] == "event" {
                return Some(created.elapsed());
            }
        }
        None
    }));
    let mut told = told.await.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| Failure::new("a socket closed"))?;
    told.sort_unstable();
    println!(
        "{:36} {:>9.0} ms median, {:.0} ms for the last (this program reads all of them on the same cores)",
        "one event to all of them",
        millis(told[told.len() / 2]),
        millis(told[told.len() - 1])
    );
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn follow(url: &str, api_key: &str) -> Outcome<Socket> {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    let mut request = format!("{url}/ws/merchant/events").into_client_request()?;
    request.headers_mut().insert("x-api-key", api_key.parse().map_err(|_| Failure::new("the key is no header"))?);
    let (mut socket, _) = connect_async(request).await?;
    // The first frame says that it follows.
    socket.next().await.transpose()?;
    Ok(socket)
}

/// A server of one handler, in a process of its own as ours is.
struct Bare {
    address: String,
    process: Child,
}

impl Bare {
    fn start() -> Outcome<Self> {
        let mut process = Command::new(env::current_exe()?).arg("--bare").stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| Failure::new("the bare server says nothing"))?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { address: address.trim().to_owned(), process })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

async fn serve_bare() -> Outcome {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let answer = || async { axum::Json(serde_json::json!({ "status": "unpaid", "paid_at": null })) };
    axum::serve(listener, axum::Router::new().route("/", axum::routing::get(answer))).await?;
    Ok(())
}

fn median(rounds: &[Round]) -> f64 {
    let mut rates: Vec<_> = rounds.iter().map(Round::rate).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
