//! Clients that hang up at any moment harm nobody.

use std::time::{Duration, Instant};

use e2e::{Database, TestApp, eventually};
use futures_util::future::join_all;
use serde_json::Value;
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// Unless `PEPAY_HANG_UPS` says otherwise.
const HANG_UPS: u64 = 600;
/// Of those that are there at once.
const AT_ONCE: u64 = 30;

/// Asks for an invoice and hangs up when patience is at its end; the answer, if it was quicker.
async fn hang_up(address: &str, key: &str, number: u64, patience: Duration) -> Option<Value> {
    let body = format!("{{\"amount_usd\": 1, \"metadata\": {{ \"number\": {number} }} }}");
    let id = Uuid::new_v4();
    let request = format!(
        "POST /api/v1/invoices HTTP/1.1\r\nhost: pay.example\r\nx-api-key: {key}\r\nidempotency-key: {id}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    match tokio::time::timeout(patience, stream.read_to_string(&mut answer)).await {
        Ok(read) => {
            read.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            Some(serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
        }
        // Dropping it closes it, with what was not read still there.
        Err(_elapsed) => None,
    }
}

/// Every transaction on the database ends, and not because the database ended it, which it does after half a minute.
async fn all_ended(stranger: &mut AnyConnection) {
    let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
    let last = Instant::now();
    eventually("the last transactions to end", async || {
        (stranger.fetch_one(open).await.unwrap().get::<i64, _>(0) == 0).then_some(())
    })
    .await;
    assert!(last.elapsed() < Duration::from_secs(15), "{:?}", last.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_no_transaction_open_and_no_acknowledged_invoice_missing() {
    let hang_ups = std::env::var("PEPAY_HANG_UPS").map_or(HANG_UPS, |count| count.parse().unwrap());
    let app = TestApp::start_on(Database::Postgres, &[]).await;
    let merchant = app.create_merchant().await;
    let (address, key) = (app.url.trim_start_matches("http://"), &merchant.api.api_key);
    // How long it takes when nobody hangs up, on this machine and with so many at once.
    let began = Instant::now();
    let mut acknowledged = join_all((0..AT_ONCE).map(|number| hang_up(address, key, number, e2e::PATIENCE))).await;
    let takes = u64::try_from(began.elapsed().as_micros()).unwrap().max(1);
    let mut number = AT_ONCE;
    while number < hang_ups {
        // Spread over all of that, by a stride that comes back late to where it was.
        let patience = |number: u64| Duration::from_micros(number.wrapping_mul(2_654_435_761) % takes);
        let clients = (number..number + AT_ONCE).map(|number| hang_up(address, key, number, patience(number)));
        acknowledged.extend(join_all(clients).await);
        number += AT_ONCE;
    }
    let acknowledged: Vec<Value> = acknowledged.into_iter().flatten().collect();
    let hung_up = number - acknowledged.len() as u64;
    println!("figure: {number} requests, {hung_up} of them hung up on");
    assert!(hang_ups / 10 < hung_up && AT_ONCE <= acknowledged.len() as u64, "some of each");

    // From a connection that has nothing to do with the server's.
    let mut stranger = AnyConnection::connect(&app.app().config.storage.database_url).await.unwrap();
    all_ended(&mut stranger).await;
    for answer in &acknowledged {
        let id = answer["invoice_id"].as_str().unwrap();
        let row = sqlx::query("SELECT COUNT(*) FROM invoices WHERE invoice_id = $1").bind(id);
        assert_eq!(row.fetch_one(&mut stranger).await.unwrap().get::<i64, _>(0), 1, "{id}");
    }
    // Whatever the server does next is kept as well.
    for _ in 0..40 {
        let invoice = merchant.api.create_invoice("2").await;
        let row = sqlx::query("SELECT COUNT(*) FROM invoices WHERE invoice_id = $1").bind(&invoice.invoice_id);
        assert_eq!(row.fetch_one(&mut stranger).await.unwrap().get::<i64, _>(0), 1);
    }
    all_ended(&mut stranger).await;
}
