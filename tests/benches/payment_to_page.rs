//! How long a payment takes from its block to the payer.
//!
//! Measured from the moment the node answers with the block, so that what a chain takes is left out: to the first frame
//! on a WebSocket, to the words on the page in Chromium, and once more from the block that completes the confirmations
//! to the word "Paid". It prints figures and judges nothing.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::B256;
use demo::{chain::LocalChain, shop::Order, stage::Merchant};
use e2e::{
    checkout_page::CheckoutPage,
    chromium::{Browser, Scheme, WIDE},
    outcome::{Failure, Outcome},
    scene::Scene,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::payor::StreamConnection;

/// How many payments are timed, one after the other.
const PAYMENTS: usize = 20;

/// How many blocks, the payment's own included, make it count on the stage's networks.
const PAID_AFTER: u64 = 3;

/// How often the node is asked for the block; the figures are as exact as this.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// Notes in the page when its heading first said what, on the clock that this program reads as well.
const WATCH_HEADING: &str = "
    window.said = {};
    const note = () => window.said[document.getElementById('stage')?.textContent] ??= Date.now();
    new MutationObserver(note).observe(document.getElementById('app'), { childList: true, characterData: true, subtree: true });";

/// Delays of one payment, in milliseconds.
struct Delays {
    frame: u64,
    found: u64,
    paid: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("payment_to_page: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Outcome {
    let scene = Scene::set().await?;
    let merchant = scene.add_merchant().await?;
    let browser = scene.chromium.open(WIDE, Scheme::Light).await?;
    let mut all = Vec::with_capacity(PAYMENTS);
    for number in 1..=PAYMENTS {
        let delays = pay(&scene, &merchant, &browser).await?;
        println!("payment {number:2}: frame {} ms, found {} ms, paid {} ms", delays.frame, delays.found, delays.paid);
        all.push(delays);
    }

    println!(
        "\nFrom the block to the payer, {PAYMENTS} payments, a block every second, the server polls twice a second"
    );
    println!("{:36} {:>8} {:>8} {:>8}", "", "min", "median", "p99");
    print_line("frame on the WebSocket", all.iter().map(|delays| delays.frame));
    print_line("page says \u{201c}Payment found\u{201d}", all.iter().map(|delays| delays.found));
    print_line("last confirmation: page says \u{201c}Paid\u{201d}", all.iter().map(|delays| delays.paid));
    Ok(())
}

async fn pay(scene: &Scene, merchant: &Merchant, browser: &Browser) -> Outcome<Delays> {
    let (network, token) = scene.token("base", "USDC")?;
    let order = merchant.shop.create_order().await?;
    let page = CheckoutPage::open(browser, &order.payment_url).await?;
    page.is_live().await?;
    page.choose(network.name, token.id).await?;
    let request = page.scan_request().await?;
    browser.script(WATCH_HEADING, json!([])).await?;
    let mut socket = connect(merchant, &order).await?;

    let (chain, transaction) = scene.send(&request).await?;
    let ((block, block_at), frame_at) = tokio::try_join!(block_of(chain, transaction), news(&mut socket))?;
    let confirmed_at = block_arrives(chain, block + PAID_AFTER - 1).await?;
    page.says("Paid").await?;
    let said = browser.script("return window.said", json!([])).await?;
    let said_at = |heading: &str| said[heading].as_u64().ok_or_else(|| Failure::new(format!("never said {heading}")));

    // The server may have asked the node a moment before we did.
    Ok(Delays {
        frame: frame_at.saturating_sub(block_at),
        found: said_at("Payment found")?.saturating_sub(block_at),
        paid: said_at("Paid")?.saturating_sub(confirmed_at),
    })
}

/// The number of the transaction's block, and when the node first knew it.
async fn block_of(chain: &LocalChain, transaction: B256) -> Outcome<(u64, u64)> {
    loop {
        if let Some(receipt) = chain.receipt(transaction).await? {
            return Ok((receipt.block_number, now_ms()));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// When the node first knew a block.
async fn block_arrives(chain: &LocalChain, number: u64) -> Outcome<u64> {
    while chain.block_number().await? < number {
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(now_ms())
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Follows an invoice as its page does.
async fn connect(merchant: &Merchant, order: &Order) -> Outcome<Socket> {
    let url = &merchant.api.url;
    let answer = demo::http_client()?
        .get(format!("{url}/api/v1/payments/stream-token"))
        .header("x-session-token", &order.session.token)
        .header("x-signature", &order.session.signature)
        .send()
        .await?;
    let stream: StreamConnection = answer.error_for_status()?.json().await?;
    let url = format!("{}{}&token={}", url.replacen("http", "ws", 1), stream.ws_url, stream.token);
    Ok(connect_async(url).await?.0)
}

/// When the next frame came that tells a page to look.
async fn news(socket: &mut Socket) -> Outcome<u64> {
    while let Some(frame) = socket.next().await {
        let frame: Value = serde_json::from_slice(&frame?.into_data()).unwrap_or_default();
        if frame["object"] == "event" || frame["type"] == "snapshot.changed" {
            return Ok(now_ms());
        }
    }
    Err(Failure::new("the server closed the socket"))
}

fn print_line(name: &str, delays: impl Iterator<Item = u64>) {
    let mut delays: Vec<u64> = delays.collect();
    delays.sort_unstable();
    let at = |percent: usize| delays[((delays.len() - 1) * percent).div_ceil(100)];
    println!("{name:36} {:>5} ms {:>5} ms {:>5} ms", at(0), at(50), at(99));
}

#[expect(clippy::disallowed_methods, reason = "the page and this program read the same clock")]
fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
