//! How fast the payer's page is: on a cheap phone with a poor line, and for a server that many ask for it.
//!
//! The phone is Chromium slowed to a quarter, at 1.6 Mbit/s and 150 ms there and back, with nothing in its cache. The
//! many share one core of the machine with the server. It prints figures and judges nothing.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "merchant_api/load.rs"]
mod load;

use std::{
    process::{Command, ExitCode},
    thread::available_parallelism,
    time::Duration,
};

use e2e::{
    ServerProcess, TestFolder,
    checkout_page::CheckoutPage,
    chromium::{Chromium, NARROW, Scheme},
    outcome::{Failure, Outcome},
};
use serde_json::json;
use wire::invoice::CreatedInvoice;

use self::load::{request, round};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 16;

/// A network whose node is down: a dollar token is quoted at par whatever it says.
const CONFIG: &str = r#"
environment = "devnet"
[log]
filter = "error"
[limits]
requests_per_minute_per_key = 0
requests_per_minute_per_session = 0
requests_per_minute_per_address = 0
[webhooks]
allow_private_networks = ["127.0.0.0/8"]
[[networks]]
name = "base"
title = "Base"
chain_id = 31338
rpc = ["http://127.0.0.1:9"]
poll_ms = 15000
paid_after = 2
final_after = 4
[[networks.tokens]]
id = 1
symbol = "USDC"
name = "USD Coin"
address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
decimals = 6
price = "par"
[[networks.tokens]]
id = 2
symbol = "DAI"
name = "Dai"
address = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
decimals = 18
price = "par"
"#;

/// Notes when scripts have taken the page over.
const WATCH: &str = "new MutationObserver((_, observer) => {
        if (!document.querySelector('#app[data-live]')) return;
        observer.disconnect();
        window.liveAt = performance.now();
    }).observe(document, { attributes: true, subtree: true });";
const TIMES: &str =
    "return [performance.getEntriesByName('first-contentful-paint')[0]?.startTime, window.liveAt].map(Math.round)";

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("payer_page: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Outcome {
    let cores = available_parallelism().map_or(1, usize::from);
    run_on("0")?;
    let under_load = many_ask().await;
    run_on(&format!("0-{}", cores - 1))?;
    under_load?;
    one_looks().await
}

async fn start() -> Outcome<(ServerProcess, CreatedInvoice)> {
    let mut server = ServerProcess::prepare(CONFIG);
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    server.start().await.map_err(|status| Failure::new(format!("the server ended with {status}")))?;
    let invoice = api.create_invoice("24.90").await;
    api.payment_address(&invoice, "base", 1).await;
    Ok((server, invoice))
}

/// Has this program, and what it starts from now on, run on some cores only.
fn run_on(cores: &str) -> Outcome {
    let process = std::process::id().to_string();
    let output = Command::new("taskset").args(["--all-tasks", "--pid", "--cpu-list", cores, &process]).output()?;
    if output.status.success() { Ok(()) } else { Err(Failure::new("the system has no taskset (util-linux)")) }
}

/// The page with its code, compressed anew for each.
async fn many_ask() -> Outcome {
    let (server, invoice) = start().await?;
    let path = invoice.payment_url.replacen(&server.url, "", 1);
    let bytes = request("GET", &path, &[("accept-encoding", "br")], "");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bytes = bytes.clone();
        rounds.push(round(server.url.trim_start_matches("http://"), CONNECTIONS, ROUND, move || bytes.clone()).await?);
    }
    rounds.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let (median, best) = (&rounds[ROUNDS / 2], &rounds[ROUNDS - 1]);
    println!(
        "GET /pay with its code, in brotli, server and {CONNECTIONS} clients on one core: {:.0} /s, p99 {:.1} ms (median of \
         {ROUNDS}; {:.0} /s at best, when the machine did least else)",
        median.rate(),
        median.delay(99).as_secs_f64() * 1e3,
        best.rate()
    );
    Ok(())
}

async fn one_looks() -> Outcome {
    let (server, invoice) = start().await?;
    let folder = TestFolder::new();
    let chromium = Chromium::start(folder.path())?;
    let mut looks: Vec<(u64, u64)> = Vec::new();
    for _ in 0..ROUNDS {
        // A browser of its own, which has nothing of the page yet.
        let browser = chromium.open(NARROW, Scheme::Light).await?;
        // And one that has begun: before a payer's page there is a shop's.
        browser.go_to(&format!("{}/health/live", server.url)).await?;
        browser.be_slow().await?;
        browser.before_each_page(WATCH).await?;
        CheckoutPage::open(&browser, &invoice.payment_url).await?.is_live().await?;
        looks.push(serde_json::from_value(browser.script(TIMES, json!([])).await?)?);
    }
    let spread = |time: fn(&(u64, u64)) -> u64| {
        let mut times: Vec<u64> = looks.iter().map(time).collect();
        times.sort_unstable();
        [times[0], times[ROUNDS / 2], times[ROUNDS - 1]]
    };
    let ([first_best, first, first_worst], [live_best, live, live_worst]) =
        (spread(|look| look.0), spread(|look| look.1));
    println!(
        "on a phone four times slower, at 1.6 Mbit/s and 150 ms, of {ROUNDS} cold looks: first frame {first} ms, \
         {first_best} to {first_worst}; live {live} ms, {live_best} to {live_worst}"
    );
    Ok(())
}
