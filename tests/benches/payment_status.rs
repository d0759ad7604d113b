//! How a poll of `payment-status` compares with the least that axum can do: a handler that answers with the same JSON.
//!
//! Both are asked in turns, by the same client, over connections that stay open, in the same process; the limit is half
//! of the bare handler's rate (design, section 7). It prints figures and judges nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, routing::get};
use e2e::TestApp;
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wire::{invoice::InvoiceStatus, payor::PaymentStatusReport};

const CONNECTIONS: usize = 32;
const INVOICES: usize = 100;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    // Limits would be what is measured otherwise.
    let app = TestApp::start().await;
    let merchant = app.create_merchant().await;
    let mut polls = Vec::new();
    for _ in 0..INVOICES {
        let invoice = merchant.api.create_invoice("20").await;
        polls.push(format!(
            "GET /api/v1/payments/payment-status HTTP/1.1\r\nhost: pay.example\r\nx-session-token: {}\r\nx-signature: {}\r\n\r\n",
            invoice.session_token, invoice.signature
        ));
    }
    let ours: SocketAddr = app.url.trim_start_matches("http://").parse().expect("the server has an address");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let bare = listener.local_addr().expect("a listener has an address");
    let handler = get(async || Json(PaymentStatusReport { status: InvoiceStatus::Unpaid, paid_at: None }));
    app.app().spawn(axum::serve(listener, Router::new().route("/", handler)).into_future());
    let plain = vec!["GET / HTTP/1.1\r\nhost: pay.example\r\n\r\n".to_owned()];

    let (mut bare_rates, mut our_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_rates.push(rate(bare, &plain).await);
        our_rates.push(rate(ours, &polls).await);
    }
    let (bare, ours) = (median(bare_rates), median(our_rates));
    println!("bare handler:   {bare:>8.0} requests/s");
    println!("payment-status: {ours:>8.0} requests/s");
    println!("ratio:          {:>8.2} (limit 0.50)", ours / bare);
    std::process::exit(0);
}

/// Requests answered in a second, asked by all connections one after the other.
async fn rate(address: SocketAddr, requests: &[String]) -> f64 {
    let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let asking = join_all((0..CONNECTIONS).map(|first| {
        let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
        async move {
            let mut stream = TcpStream::connect(address).await.expect("the server accepts");
            stream.set_nodelay(true).expect("the option exists");
            let mut buffer = vec![0; 4096];
            for request in requests.iter().cycle().skip(first) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                stream.write_all(request.as_bytes()).await.expect("the server reads");
                read_answer(&mut stream, &mut buffer).await;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }));
    let clock = async {
        tokio::time::sleep(ROUND).await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(asking, clock);
    let count = answered.load(Ordering::Relaxed);
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64()
}

/// Reads one good answer to its end.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await.expect("the server answers");
        assert!(read != 0, "the server closed the connection");
        length += read;
        let text = std::str::from_utf8(&buffer[..length]).expect("answers are text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let content = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if content.parse() == Ok(body.len()) {
            return;
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
