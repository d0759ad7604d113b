//! How long lists, totals and single invoices take when there are a million invoices.
//!
//! `million_invoices [invoices] [repetitions]` fills a SQLite file, and PostgreSQL where it is installed, with
//! invoices of 20 merchants, half of them paid, and asks the real server over HTTP. It prints figures and judges
//! nothing.

use std::{process::ExitCode, time::Instant};

use e2e::{
    Database, Merchant, TestApp,
    outcome::{Failure, Outcome},
};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

const INVOICES: usize = 1_000_000;
const REPETITIONS: usize = 60;
const MERCHANTS: usize = 20;

/// What the engines spell differently.
struct Dialect {
    /// Rows `numbers (n)` from 0 to below `$1`.
    numbers: &'static str,
    uuid: &'static str,
    /// 64 random hex digits.
    hash: &'static str,
    /// `{number}` as 40 hex digits.
    address: &'static str,
    /// What the engine does by itself once it has the time.
    tidy: &'static str,
}

const SQLITE: Dialect = Dialect {
    numbers: "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $1)",
    uuid: "LOWER(HEX(RANDOMBLOB(4)) || '-' || HEX(RANDOMBLOB(2)) || '-4' || SUBSTR(HEX(RANDOMBLOB(2)), 2) || '-a'
        || SUBSTR(HEX(RANDOMBLOB(2)), 2) || '-' || HEX(RANDOMBLOB(6)))",
    hash: "LOWER(HEX(RANDOMBLOB(32)))",
    address: "'0x' || PRINTF('%040x', {number})",
    tidy: "PRAGMA wal_checkpoint(TRUNCATE)",
};

const POSTGRES: Dialect = Dialect {
    numbers: "WITH numbers (n) AS (SELECT * FROM GENERATE_SERIES(0::BIGINT, $1::BIGINT - 1))",
    uuid: "GEN_RANDOM_UUID()::TEXT",
    hash: "MD5(RANDOM()::TEXT) || MD5(RANDOM()::TEXT)",
    address: "'0x' || LPAD(TO_HEX({number}), 40, '0')",
    tidy: "VACUUM ANALYZE",
};

#[tokio::main]
async fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let invoices = numbers.next().unwrap_or(INVOICES);
    let repetitions = numbers.next().unwrap_or(REPETITIONS);
    for (name, database, dialect) in
        [("SQLite", Database::Sqlite, SQLITE), ("PostgreSQL", Database::Postgres, POSTGRES)]
    {
        println!("\n{name}, {invoices} invoices of {MERCHANTS} merchants, each request {repetitions} times");
        if let Err(failure) = measure(database, &dialect, invoices, repetitions).await {
            eprintln!("million_invoices: {failure}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn measure(database: Database, dialect: &Dialect, invoices: usize, repetitions: usize) -> Outcome {
    let mut app = TestApp::start_on(database, &[]).await;
    let mut merchants = Vec::new();
    for _ in 0..MERCHANTS {
        merchants.push(app.create_merchant().await);
    }
    let began = Instant::now();
    fill(&app, dialect, &merchants, invoices).await?;
    println!("filled in {} s", began.elapsed().as_secs());

    println!("{:64} {:>9} {:>9} {:>6}", "", "p50", "p99", "items");
    let each = invoices / MERCHANTS;
    let middle = app.app().clock.now().0 - i64::try_from(each / 2).unwrap_or(0) * 30;
    for (name, path) in requests(each, middle) {
        let mut times = Vec::new();
        let mut items = String::new();
        for repetition in 0..repetitions + 3 {
            let merchant = &merchants[repetition % MERCHANTS];
            let query = filled_in(&app, merchant, &path, repetition).await?;
            let began = Instant::now();
            let answer = merchant.api.get(&format!("/api/v1/invoices{query}")).await;
            let time = began.elapsed();
            if !answer.status.is_success() {
                return Err(Failure::new(format!("{query}: {answer:?}")));
            }
            items = count(&answer.body);
            // The first few find nothing in any cache.
            if 3 <= repetition {
                times.push(time);
            }
        }
        times.sort_unstable();
        let at = |percent: usize| times[((times.len() - 1) * percent).div_ceil(100)].as_secs_f64() * 1000.0;
        println!("{name:64} {:>6.1} ms {:>6.1} ms {items:>6}", at(50), at(99));
    }
    app.stop().await;
    Ok(())
}

/// What is asked: a name, and what follows `/api/v1/invoices`, with gaps for names of the merchant's.
fn requests(each: usize, middle: i64) -> Vec<(&'static str, String)> {
    vec![
        ("list", "?limit=10".to_owned()),
        ("list, 100 at once", "?limit=100".to_owned()),
        ("list, with payments", "?limit=100&expand=payments,latest_payment".to_owned()),
        ("list, older than one in the middle", "?starting_after={middle}".to_owned()),
        ("list, newer than one in the middle", "?ending_before={middle}".to_owned()),
        ("status=paid", "?status=paid".to_owned()),
        ("status=canceled", "?status=canceled".to_owned()),
        ("status=pending, older than one in the middle", "?status=pending&starting_after={middle}".to_owned()),
        ("customer_id", "?customer_id=customer-7".to_owned()),
        ("customer_id of nobody", "?customer_id=nobody".to_owned()),
        ("customer by path", "/customer/customer-7?limit=100".to_owned()),
        ("customer_id and status", "?customer_id=customer-7&status=canceled".to_owned()),
        ("environment=devnet", "?environment=devnet".to_owned()),
        ("environment=mainnet", "?environment=mainnet".to_owned()),
        ("created_gte", format!("?created_gte={middle}")),
        ("created_lte", format!("?created_lte={middle}")),
        ("created_gte and created_lte and status", format!("?created_gte=0&created_lte={middle}&status=expired")),
        ("payer_wallet_address of a customer", "?payer_wallet_address={payer}".to_owned()),
        ("payer_wallet_address of an exchange", "?payer_wallet_address={exchange}".to_owned()),
        (
            "the same, older than one in the middle",
            "?payer_wallet_address={exchange}&starting_after={middle}".to_owned(),
        ),
        ("the same, with a status that has few", "?payer_wallet_address={exchange}&status=underpaid".to_owned()),
        ("the same, with a status that has none", "?payer_wallet_address={exchange}&status=canceled".to_owned()),
        ("payer_wallet_address of nobody", "?payer_wallet_address=nobody".to_owned()),
        ("payer_wallet_network of half", "?payer_wallet_network=base".to_owned()),
        ("payer_wallet_network of few", "?payer_wallet_network=solana".to_owned()),
        ("payer_wallet_network of none", "?payer_wallet_network=sui".to_owned()),
        ("a network, older than one in the middle", "?payer_wallet_network=base&starting_after={middle}".to_owned()),
        ("both", "?payer_wallet_address={exchange}&payer_wallet_network=base".to_owned()),
        ("both, of none", "?payer_wallet_address={exchange}&payer_wallet_network=solana".to_owned()),
        ("page=1", "?page=1".to_owned()),
        ("page, in the middle", format!("?page={}", each / 20)),
        ("page=1&status=paid", "?page=1&status=paid".to_owned()),
        ("totals", "/totals".to_owned()),
        ("totals, status=paid", "/totals?status=paid".to_owned()),
        ("totals, customer_id", "/totals?customer_id=customer-7".to_owned()),
        ("totals, half of the time", format!("/totals?created_gte={middle}")),
        ("retrieve", "/{middle}".to_owned()),
        ("retrieve, with payments", "/{middle}?expand=payments".to_owned()),
        ("status", "/{middle}/status".to_owned()),
    ]
}

fn count(body: &Value) -> String {
    let items = body["data"].as_array().map(|data| u64::try_from(data.len()).unwrap_or(0));
    items.or(body["totals"]["all"]["count"].as_u64()).map_or("-".to_owned(), |items| items.to_string())
}

/// The path with the names that depend on the merchant.
async fn filled_in(app: &TestApp, merchant: &Merchant, path: &str, repetition: usize) -> Outcome<String> {
    let mut path =
        path.replace("{payer}", &format!("0x{:040x}", 1 + repetition * 7)).replace("{exchange}", &exchange());
    if path.contains("{middle}") {
        let mut reader = connect(app).await?;
        let middle: String = sqlx::query_scalar(
            "SELECT invoice_id FROM invoices WHERE merchant_id = $1 AND sequence >= (
                SELECT MAX(sequence) / 2 FROM invoices WHERE merchant_id = $1) ORDER BY sequence LIMIT 1",
        )
        .bind(merchant.id.0)
        .fetch_one(&mut reader)
        .await?;
        path = path.replace("{middle}", &middle);
        reader.close().await?;
    }
    Ok(path)
}

fn exchange() -> String {
    format!("0x{:040x}", 0)
}

async fn connect(app: &TestApp) -> Outcome<AnyConnection> {
    Ok(AnyConnection::connect(&app.app().config.storage.database_url).await?)
}

/// Invoices half a minute apart up to now, in the proportions of a shop, with a transfer for each that was paid.
async fn fill(app: &TestApp, dialect: &Dialect, merchants: &[Merchant], invoices: usize) -> Outcome {
    let Dialect { numbers, uuid, hash, address, tidy } = dialect;
    let (first, now_ms) = (merchants[0].id.0, app.app().clock.now_ms().0);
    let (invoices, merchant_count) = (i64::try_from(invoices)?, i64::try_from(MERCHANTS)?);
    let each = invoices / merchant_count;
    let mut connection = connect(app).await?;
    // n counts all of them; k, from 0 to 19, says what becomes of one.
    let insert = format!(
        "INSERT INTO invoices (merchant_id, invoice_id, sequence, session_hash, environment, due, description, title,
            footer, customer_id, metadata, return_url_enabled, tolerance_basis_points, tolerance_at_most, receiver,
            deposit_salt, deposit_address, created_ms, expires_at, canceled_at, status, credit, remaining, overpaid,
            late, paid_at, locked_by, is_checking, ended_unverified, version)
         {numbers}
         SELECT $2 + n % {merchant_count}, {uuid}, n / {merchant_count} + 1, {hash}, 'devnet', due, 'Order ' || n,
            'Harbour Books', 'Harbour Books', 'customer-' || (number % 1000), '{{\"order\":' || n || '}}', 1, 0, 0,
            '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
            '0x0000000000000000000000000000000000000000000000000000000000000001',
            '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', created_ms,
            CASE WHEN k >= 17 AND k <> 19 THEN $3 / 1000 + 86400 ELSE created_ms / 1000 + 43200 END,
            CASE WHEN k = 19 THEN created_ms / 1000 END,
            CASE WHEN k < 10 THEN 'paid' WHEN k < 17 THEN 'expired' WHEN k = 17 THEN 'underpaid'
                WHEN k = 18 THEN 'unpaid' ELSE 'canceled' END,
            CASE WHEN k < 10 THEN due WHEN k = 17 THEN 500 ELSE 0 END,
            CASE WHEN k < 10 THEN 0 WHEN k = 17 THEN due - 500 ELSE due END, 0, 0,
            CASE WHEN k < 10 THEN created_ms / 1000 + 60 END,
            CASE WHEN k < 10 OR k = 17 THEN {uuid} END, 0, 0, 1
         FROM (SELECT n, n / {merchant_count} AS number, (n / {merchant_count}) % 20 AS k,
            1000 + (n * 7919) % 100000 AS due, $3 - ({each} - n / {merchant_count}) * 30000 AS created_ms FROM numbers) AS made"
    );
    sqlx::query(AssertSqlSafe(insert)).bind(invoices).bind(first).bind(now_ms).execute(&mut connection).await?;
    // A quarter came from an exchange, which sends from one address; the rest from 5,000 customers.
    let payer = address.replace("{number}", "CASE WHEN sequence % 4 = 0 THEN 0 ELSE 1 + sequence % 5000 END");
    let insert = format!(
        "INSERT INTO transfers (merchant_id, invoice_id, network, block_hash, tx_id, log_index, payment_id, token_id,
            decimals, amount, payer, block_number, block_time, valuation, rate, canonical, confirmations, seen_at)
         SELECT merchant_id, invoice_id, CASE WHEN sequence % 1000 = 1 THEN 'solana' WHEN sequence % 2 = 0 THEN 'base'
            ELSE 'ethereum' END, '0x' || session_hash, '0x' || session_hash, 0, locked_by, 1, 6,
            CAST(credit * 1000 AS TEXT), {payer}, sequence, created_ms / 1000 + 60, 'spot', '100000000', 1, 100,
            created_ms / 1000 + 60
         FROM invoices WHERE locked_by IS NOT NULL"
    );
    connection.execute(AssertSqlSafe(insert)).await?;
    for (table, column, value) in
        [("invoice_payers", "payer", "LOWER(payer)"), ("invoice_networks", "network", "network")]
    {
        let insert = format!(
            "INSERT INTO {table} (merchant_id, {column}, created_ms, invoice_id)
             SELECT transfers.merchant_id, {value}, created_ms, transfers.invoice_id FROM transfers
             JOIN invoices ON invoices.merchant_id = transfers.merchant_id
                 AND invoices.invoice_id = transfers.invoice_id"
        );
        connection.execute(AssertSqlSafe(insert)).await?;
    }
    let take = format!("UPDATE merchants SET next_invoice_sequence = {}", each + 1);
    connection.execute(AssertSqlSafe(take)).await?;
    connection.execute(AssertSqlSafe((*tidy).to_owned())).await?;
    connection.close().await?;
    Ok(())
}
