//! Databases that an earlier version has filled.

use domain::{
    access::{KeyLife, Rights, Scope},
    id::{EventId, InvoiceId, MerchantId},
    signature::CredentialHash,
    time::{UnixMillis, UnixSeconds},
};
use sqlx::{AnyConnection, Connection, Executor, Row, migrate::Migrator};

use super::{ApiKeyRecord, Claim, NewEvent, Store};
use crate::testing::TempDir;

/// What the first version wrote: a merchant with an API key and an endpoint, an event that is owed to it, one that arrived, one
/// without a number, and one that is gone.
const ROWS: &str = "
    INSERT INTO merchants (name, email, evm_wallet, recovery_code, frame_origins, next_invoice_sequence, created_at)
        VALUES ('Shop', 'a@b.example', '0x1111111111111111111111111111111111111111', 'aa', '[]', 1, 5);
    INSERT INTO api_keys (merchant_id, key_id, name, hash, hint, created_at, last_used_at, revoked_at) VALUES
        (1, '22222222-2222-4222-8222-222222222222', 'till',
            '0101010101010101010101010101010101010101010101010101010101010101', 'abcd', 6, 8, NULL);
    INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, secret, created_at)
        VALUES (1, '11111111-1111-4111-8111-111111111111', 'https://shop.example/hook', 'whsec_old', 7);
    INSERT INTO events (merchant_id, invoice_id, event_type, environment, object, previous_attributes, request_id,
        idempotency_key, created_ms, sequence) VALUES
        (1, '00000000-0000-4000-8000-000000000001', 'invoice.created', 'devnet', '{\"n\":1}', NULL, 'req_1', 'key', 10, 1),
        (1, '00000000-0000-4000-8000-000000000001', 'invoice.updated', 'devnet', '{\"n\":2}', '{\"n\":1}', NULL, NULL, 11, 2),
        (1, '00000000-0000-4000-8000-000000000001', 'invoice.updated', 'devnet', '{\"n\":3}', NULL, NULL, NULL, 12, NULL),
        (1, '00000000-0000-4000-8000-000000000001', 'invoice.updated', 'devnet', '{\"n\":4}', NULL, NULL, NULL, 13, NULL);
    INSERT INTO deliveries (merchant_id, endpoint_id, event_key, invoice_id, state, attempts, due_ms, first_tried_ms,
        last_status, last_error, created_ms) VALUES
        (1, '11111111-1111-4111-8111-111111111111', 1, '00000000-0000-4000-8000-000000000001', 'delivered', 1, NULL, 10, 200, NULL, 10),
        (1, '11111111-1111-4111-8111-111111111111', 2, '00000000-0000-4000-8000-000000000001', 'pending', 2, 20, 11, 500, 'no', 11);
    DELETE FROM events WHERE event_key = 4;
    UPDATE counters SET value = 2 WHERE name = 'events';";

/// What the seventh version wrote beside the first one's: a node that was added, with a key in its path.
const ADDED_NODE: &str = "
    INSERT INTO merchants (name, email, evm_wallet, recovery_code, frame_origins, next_invoice_sequence, created_at)
        VALUES ('Shop', 'a@b.example', '0x1111111111111111111111111111111111111111', 'aa', '[]', 1, 5);
    INSERT INTO rpc_endpoints (merchant_id, endpoint_id, network, url, genesis, created_at)
        VALUES (1, '33333333-3333-4333-8333-333333333333', 'base', 'https://rpc.example/v3/key', '0xaa', 9);";

/// What the eighth version wrote of a paid invoice: a payment that counted and was settled, one that was only seen, one
/// that somebody has to decide about, and two sweeps, of which the second is not deep yet.
const FACTS: &str = r#"
    INSERT INTO merchants (name, email, evm_wallet, recovery_code, frame_origins, next_invoice_sequence, created_at)
        VALUES ('Shop', 'a@b.example', '0x1111111111111111111111111111111111111111', 'aa', '[]', 1, 5);
    INSERT INTO invoices (merchant_id, invoice_id, sequence, session_hash, environment, due, title, footer, metadata,
        return_url_enabled, tolerance_basis_points, tolerance_at_most, receiver, deposit_salt, deposit_address,
        created_ms, expires_at, status, credit, remaining, overpaid, late, is_checking, ended_unverified, version)
        VALUES (1, '00000000-0000-4000-8000-000000000001', 1, 'ff', 'devnet', 20000, '', '', '{}', 0, 0, 0,
            '0x1111111111111111111111111111111111111111',
            '0x0000000000000000000000000000000000000000000000000000000000000001',
            '0x2222222222222222222222222222222222222222', 5000, 100, 'paid', 20000, 0, 0, 0, 0, 0, 1);
    INSERT INTO transfers (merchant_id, invoice_id, network, block_hash, tx_id, log_index, payment_id, token_id, decimals,
        amount, block_number, block_time, valuation, rate, canonical, confirmations, seen_at, announced) VALUES
        (1, '00000000-0000-4000-8000-000000000001', 'base', '0xb1', '0xa1', 1, '44444444-4444-4444-8444-444444444441', 1, 6,
            '20000000', 1, 10, 'spot', '100000000', 1, 6, 10,
            '{"settlement_status":"settled","settlement":{"settlement_tx_hash":"0xc1","status":"settled"},"status":"confirmed"}'),
        (1, '00000000-0000-4000-8000-000000000001', 'base', '0xb5', '0xa5', 1, '44444444-4444-4444-8444-444444444445', 1, 6,
            '5', 5, 50, 'spot', '100000000', 1, 1, 50, '{"settlement_status":"pending","status":"pending"}'),
        (1, '00000000-0000-4000-8000-000000000001', 'base', '0xb6', '0xa6', 1, '44444444-4444-4444-8444-444444444446', 1, 6,
            '5', 6, 60, 'spot', '100000000', 1, 6, 60, '{"settlement_status":"manual","status":"manual_retry"}');
    INSERT INTO sweeps (merchant_id, invoice_id, network, block_hash, tx_id, log_index, token_id, amount, block_number,
        canonical, confirmations) VALUES
        (1, '00000000-0000-4000-8000-000000000001', 'base', '0xb3', '0xc1', 1, 1, '20000000', 3, 1, 6),
        (1, '00000000-0000-4000-8000-000000000001', 'base', '0xb7', '0xc7', 1, 1, '10', 7, 1, 1);"#;

/// Fills a database as the version with the first so many migrations did.
async fn fill(url: &str, all: &Migrator, migrations: i64, rows: &'static str) {
    sqlx::any::install_default_drivers();
    let first = all.iter().filter(|migration| migration.version <= migrations).cloned().collect();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    Migrator::with_migrations(first).run(&mut connection).await.unwrap();
    connection.execute(rows).await.unwrap();
    connection.close().await.unwrap();
}

async fn everything_is_still_there(store: &Store, indexes: &'static str) {
    let (merchant, invoice) = (MerchantId(1), "00000000-0000-4000-8000-000000000001".parse::<InvoiceId>().unwrap());
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    let events = tx.events_of_invoice(merchant, invoice, 0, 10).await.unwrap();
    let shown: Vec<_> = events.iter().map(|event| (event.id, event.object.as_str())).collect();
    let id = |created, sequence| EventId { created: UnixMillis(created), sequence };
    assert_eq!(shown, [(id(10, 1), "{\"n\":1}"), (id(11, 2), "{\"n\":2}")]);
    assert_eq!((events[0].request_id.as_deref(), events[0].idempotency_key.as_deref()), (Some("req_1"), Some("key")));
    assert_eq!((events[1].previous_attributes.as_deref(), events[1].invoice), (Some("{\"n\":1}"), Some(invoice)));
    let found = tx.connection.fetch_one(indexes).await.unwrap();
    assert_eq!(found.get::<i64, _>(0), 12, "no index was lost");

    let claimed = store
        .write(|tx| {
            Box::pin(async move {
                // The next event, of no invoice, gets a key that no event had before.
                tx.append_event(&NewEvent {
                    merchant: MerchantId(1),
                    invoice: None,
                    event_type: "test.ping",
                    environment: wire::Environment::Devnet,
                    object: "{\"n\":5}".to_owned(),
                    previous_attributes: None,
                    request_id: None,
                    idempotency_key: None,
                    created: UnixMillis(14),
                })
                .await?;
                tx.number_events(10).await?;
                let row = tx.connection.fetch_one("SELECT MAX(event_key) FROM events").await?;
                assert_eq!(row.get::<i64, _>(0), 5);
                let claim = Claim { now: UnixMillis(30), leased_until: UnixMillis(90), node: "n1".to_owned() };
                let owed = tx.owed_endpoints(claim.now, 10).await?;
                tx.claim_deliveries(owed[0].merchant, owed[0].id, &claim, 10).await
            })
        })
        .await
        .unwrap();
    let shown: Vec<_> = claimed
        .iter()
        .map(|due| (due.event.id.sequence, due.attempts, due.endpoint.url.as_str(), due.endpoint.secret.as_str()))
        .collect();
    let url = "https://shop.example/hook";
    assert_eq!(shown, [(4, 0, url, "whsec_old"), (2, 2, url, "whsec_old")]);
    assert_eq!((claimed[0].event.invoice, claimed[1].event.invoice), (None, Some(invoice)));
}

async fn its_key_opens_what_it_opened(store: &Store) {
    let hash = CredentialHash::from_hex(&"01".repeat(32)).unwrap();
    let key = store.reader().await.unwrap().tx().api_key(hash).await.unwrap().unwrap();
    let expected = ApiKeyRecord {
        merchant: MerchantId(1),
        id: "22222222-2222-4222-8222-222222222222".parse().unwrap(),
        name: "till".to_owned(),
        hash,
        hint: "abcd".to_owned(),
        scope: Scope::Merchant,
        environment: None,
        rights: Rights::DEFAULT,
        life: KeyLife::default(),
        revoked_reason: None,
        created_at: UnixSeconds(6),
        last_used_at: Some(UnixSeconds(8)),
    };
    assert_eq!(key, expected);
}

const INDEXES: &str = "('events_by_sequence', 'events_unnumbered', 'events_by_invoice', 'events_by_merchant',
    'deliveries_due', 'deliveries_in_order', 'deliveries_owed', 'deliveries_exhausted', 'deliveries_settled',
    'webhook_endpoints_by_role', 'webhook_endpoints_by_id', 'webhook_endpoints_deleted')";

#[tokio::test]
async fn a_file_of_the_first_version_keeps_all_it_holds() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("test.db").display());
    fill(&url, &sqlx::migrate!("migrations/sqlite"), 1, ROWS).await;
    let (store, _writer) = Store::open(&url).await.unwrap();
    let indexes = format!("SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND name IN {INDEXES}");
    everything_is_still_there(&store, indexes.leak()).await;
    its_key_opens_what_it_opened(&store).await;
}

#[tokio::test]
async fn a_postgres_database_of_the_first_version_keeps_all_it_holds() {
    let url = postgres_cluster::new_database();
    fill(&url, &sqlx::migrate!("migrations/postgres"), 1, ROWS).await;
    let (store, _writer) = Store::open(&url).await.unwrap();
    let indexes = format!("SELECT COUNT(*) FROM pg_indexes WHERE indexname IN {INDEXES}");
    everything_is_still_there(&store, indexes.leak()).await;
    its_key_opens_what_it_opened(&store).await;
}

async fn its_added_node_is_there_as_it_was_written(url: &str) {
    let (store, _writer) = Store::open(url).await.unwrap();
    let added = store.reader().await.unwrap().tx().all_rpc_endpoints().await.unwrap();
    let shown: Vec<_> = added.iter().map(|node| (node.merchant, node.network.as_str(), node.url.as_str())).collect();
    assert_eq!(shown, [(MerchantId(1), "base", "https://rpc.example/v3/key")]);
}

#[tokio::test]
async fn a_file_of_the_seventh_version_keeps_the_nodes_that_were_added() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("test.db").display());
    fill(&url, &sqlx::migrate!("migrations/sqlite"), 7, ADDED_NODE).await;
    its_added_node_is_there_as_it_was_written(&url).await;
}

#[tokio::test]
async fn a_postgres_database_of_the_seventh_version_keeps_the_nodes_that_were_added() {
    let url = postgres_cluster::new_database();
    fill(&url, &sqlx::migrate!("migrations/postgres"), 7, ADDED_NODE).await;
    its_added_node_is_there_as_it_was_written(&url).await;
}

async fn only_what_was_said_of_its_facts_is_taken_for_true(url: &str) {
    use domain::finality::Finality::{Final, Paid, Seen};

    let (store, _writer) = Store::open(url).await.unwrap();
    let (merchant, invoice) = (MerchantId(1), "00000000-0000-4000-8000-000000000001".parse::<InvoiceId>().unwrap());
    let mut reader = store.reader().await.unwrap();
    let transfers = reader.tx().transfers(merchant, invoice).await.unwrap();
    let shown: Vec<_> = transfers.iter().map(|fact| (fact.tx_id.as_str(), fact.finality, fact.vouched)).collect();
    assert_eq!(shown, [("0xa1", Paid, true), ("0xa5", Seen, false), ("0xa6", Seen, false)]);
    let sweeps = reader.tx().sweeps(merchant, invoice).await.unwrap();
    let shown: Vec<_> = sweeps.iter().map(|fact| (fact.tx_id.as_str(), fact.finality, fact.vouched)).collect();
    assert_eq!(shown, [("0xc1", Final, true), ("0xc7", Seen, false)]);
}

#[tokio::test]
async fn facts_in_a_file_of_the_eighth_version_are_relied_on_as_far_as_was_said() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("test.db").display());
    fill(&url, &sqlx::migrate!("migrations/sqlite"), 8, FACTS).await;
    only_what_was_said_of_its_facts_is_taken_for_true(&url).await;
}

#[tokio::test]
async fn facts_in_a_postgres_database_of_the_eighth_version_are_relied_on_as_far_as_was_said() {
    let url = postgres_cluster::new_database();
    fill(&url, &sqlx::migrate!("migrations/postgres"), 8, FACTS).await;
    only_what_was_said_of_its_facts_is_taken_for_true(&url).await;
}
