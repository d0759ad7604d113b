//! The routes as their callers meet them, on a database of their own and without a chain.

mod addresses;
mod authorisation;
mod brand;
mod cancel;
mod codes;
mod description;
mod errors;
mod events;
mod forms;
mod invoice_lists;
mod invoice_totals;
mod invoices;
mod keys;
mod limits;
mod merchant_streams;
mod networks;
mod page;
mod parameters;
mod payments;
mod rpc_endpoints;
mod settings;
mod sockets;
mod streams;
mod sweeps;
mod tokens;
mod wallets;
mod webhooks;

use alloy_primitives::Address;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use domain::{
    access::{Rights, Scope},
    finality::Marks,
    id::{InvoiceId, MerchantId, QuoteId, TokenId},
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    quote::Quote,
    signature::ServerSecret,
};
use serde_json::{Value, json};
use sqlx::Connection;
use tower::ServiceExt;

use super::page::Pages;
use crate::{
    app::App,
    clock::{TestClock, random_bytes},
    config::Config,
    invoicing::{self, Compared, Scan, SeenTransfer, record_scan},
    keys::{self as issuing, IssueKey, Issued},
    nodes,
    store::{BlockRef, Lease, NewMerchant, QuoteRecord},
    testing::TestDatabase,
};

const CONFIG: &str = r#"
environment = "devnet"

# Most tests ask as often as they like; `limits` switches these on again.
[limits]
requests_per_minute_per_key = 0
requests_per_minute_per_session = 0
requests_per_minute_per_address = 0
failed_credentials_per_minute = 0

[[networks]]
name = "ethereum"
title = "Ethereum"
chain_id = 31337
rpc = ["http://127.0.0.1:9"]
paid_after = 3
final_after = 6
explorer_tx = "https://explorer.example/tx/{hash}"
[[networks.tokens]]
id = 1
symbol = "USDC"
name = "USD Coin"
address = "0x00000000000000000000000000000000000000c1"
decimals = 6
price = "par"
[[networks.tokens]]
id = 2
symbol = "ETH"
name = "Ether"
decimals = 18
price = { feed = "0x00000000000000000000000000000000000000f1", heartbeat_seconds = 3600 }
[[networks.tokens]]
id = 3
symbol = "OLD"
name = "Not taken any more"
address = "0x00000000000000000000000000000000000000c3"
decimals = 6
price = "par"
accepted = false

[[networks]]
name = "base"
title = "Base"
chain_id = 31338
rpc = ["http://127.0.0.1:9"]
paid_after = 2
final_after = 4
block_ms = 12000
fees = "high"
[[networks.tokens]]
id = 4
symbol = "USDT"
name = "Tether"
address = "0x00000000000000000000000000000000000000c4"
decimals = 18
price = "par"
"#;

/// The page before its scripts are built in; the gaps are the same.
const PAGE: &str = include_str!("../../../../frontend/index.html");

/// A token without a price: the chain that would tell it does not answer.
const UNPRICED: i64 = 2;

/// The routes over a database of their own, with one merchant.
struct Server {
    app: App,
    router: Router,
    clock: TestClock,
    merchant: MerchantId,
    /// The merchant's API key.
    key: String,
    /// For all that only one node may do.
    lease: Lease,
    _database: TestDatabase,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Several nodes on one PostgreSQL database, with a merchant each.
    async fn start_nodes(count: usize) -> Vec<Self> {
        let url = postgres_cluster::new_database();
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(Self::start_with(|config| config.storage.database_url.clone_from(&url)).await);
        }
        nodes
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new();
        let mut config: Config = toml::from_str(CONFIG).unwrap();
        config.storage.database_url = database.url.clone();
        change(&mut config);
        let clock = TestClock::still();
        let secrets = vec![ServerSecret::from_bytes([7; 32])];
        let (app, _writer) = App::open(config, secrets, clock.clock(), "http://pay.example").await.unwrap();
        let router = super::router_with(app.clone(), Pages::of(&app, Some(PAGE)), super::TIMEOUT);
        let (merchant, key) = add_merchant(&app).await;
        // One each, where there are several nodes.
        let lease = nodes::take(&app, &format!("tests of merchant {merchant}")).await.unwrap().unwrap();
        Self { app, router, clock, merchant, key, lease, _database: database }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let bytes = match parts.headers.get("content-encoding") {
            Some(encoding) if encoding == "br" => {
                let mut read = Vec::new();
                brotli::BrotliDecompress(&mut bytes.as_ref(), &mut read).unwrap();
                read
            }
            _ => bytes.to_vec(),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        description::check(&method, &path, &answer);
        answer
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(Method::GET, path, headers, "")).await
    }

    async fn merchant_get(&self, path: &str) -> Answer {
        self.get(path, &[("x-api-key", &self.key)]).await
    }

    async fn post_invoice(&self, idempotency_key: &str, body: &str) -> Answer {
        let headers = [
            ("x-api-key", self.key.as_str()),
            ("idempotency-key", idempotency_key),
            ("content-type", "application/json"),
        ];
        self.send(request(Method::POST, "/api/v1/invoices", &headers, body)).await
    }

    /// An invoice over 20 dollars, or with other members.
    async fn invoice(&self, members: Value) -> Created {
        let mut body = json!({ "amount_usd": 20 });
        body.as_object_mut().unwrap().append(&mut members.as_object().cloned().unwrap_or_default());
        let answer = self.post_invoice(&new_key(), &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let answer = answer.json();
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        Created { id: text("invoice_id").parse().unwrap(), token: text("session_token"), signature: text("signature") }
    }

    async fn payor_get(&self, path: &str, invoice: &Created) -> Answer {
        self.get(path, &[("x-session-token", &invoice.token), ("x-signature", &invoice.signature)]).await
    }

    async fn choose_by_api(&self, invoice: &Created, body: &str) -> Answer {
        let headers = [
            ("x-session-token", invoice.token.as_str()),
            ("x-signature", &invoice.signature),
            ("content-type", "application/json"),
        ];
        self.send(request(Method::POST, "/api/v1/payments/payment-addresses", &headers, body)).await
    }

    /// Quotes USDC on `ethereum` at par, as if the payer had chosen it.
    async fn quote(&self, invoice: &Created) {
        let (merchant, invoice, now) = (self.merchant, invoice.id, self.app.clock.now());
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                let due = tx.invoice(merchant, invoice).await?.unwrap().standing.remaining;
                let quote = Quote::new(
                    QuoteId::from_random(random_bytes()),
                    TokenId(1),
                    Decimals::new(6).unwrap(),
                    Rate::PAR,
                    due,
                    now,
                    300,
                );
                tx.insert_quote(
                    merchant,
                    invoice,
                    &QuoteRecord {
                        network: "ethereum".to_owned(),
                        quote,
                        reference: None,
                        opens_account: false,
                        priced_by: None,
                    },
                )
                .await?;
                tx.watch_invoice(merchant, invoice, now.plus(86_400)).await
            })
        });
        write.await.unwrap();
    }

    /// Lets `ethereum` grow by as many blocks, the first of them with a transfer of USDC.
    async fn pay(&self, invoice: &Created, usd: UsdMillis, blocks: u64) {
        let from = self.app.store.reader().await.unwrap().tx().cursor("ethereum").await.unwrap();
        let first = from.as_ref().map_or(0, |block| block.number) + 1;
        let time = self.app.clock.now();
        let block = |number| BlockRef { number, hash: format!("0x{number:064x}"), time };
        let amount = Rate::PAR.quote(usd, Decimals::new(6).unwrap());
        let transfer = SeenTransfer {
            merchant: self.merchant,
            invoice: invoice.id,
            block: block(first),
            tx_id: format!("0x{:064x}", first + 0xabc),
            log_index: 0,
            ordinal: 0,
            token: TokenId(1),
            decimals: Decimals::new(6).unwrap(),
            amount,
            payer: Some("0x00000000000000000000000000000000000000aa".to_owned()),
            accepted: true,
            price_at_block: Some(Rate::PAR),
        };
        let is_payment = amount != TokenAmount::ZERO;
        let scan = Scan {
            network: "ethereum".to_owned(),
            from,
            forked_at: None,
            compared: Some(Compared::all_agree(&block(first + blocks - 1))),
            blocks: (first..first + blocks).map(block).collect(),
            transfers: if is_payment { vec![transfer] } else { Vec::new() },
            at_wallets: Vec::new(),
            sweeps: Vec::new(),
            failures: Vec::new(),
            marks: Marks::default(),
            vouched: Vec::new(),
            is_alone: true,
        };
        record_scan(&self.app, &self.lease, scan).await.unwrap();
    }

    /// Ends what is past its time, as the timer does; the clock of `ethereum` has been read until then.
    async fn end_due_invoices(&self) {
        invoicing::end_due_invoices(&self.app, &self.lease).await.unwrap();
    }

    async fn set_origins(&self, origins: &[&str]) {
        let (merchant, origins) = (self.merchant, origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>());
        let write =
            self.app.store.write(move |tx| Box::pin(async move { tx.set_frame_origins(merchant, &origins).await }));
        assert!(write.await.unwrap());
    }

    async fn connect(&self) -> sqlx::AnyConnection {
        sqlx::AnyConnection::connect(&self.app.config.storage.database_url).await.unwrap()
    }

    /// How many rows there are of everything a request could leave behind.
    async fn rows(&self) -> Vec<i64> {
        rows(&mut self.connect().await).await
    }
}

/// As [`Server::rows`], for whoever asks often.
async fn rows(connection: &mut sqlx::AnyConnection) -> Vec<i64> {
    let mut rows = Vec::new();
    for count in [
        "SELECT COUNT(*) FROM invoices",
        "SELECT COUNT(*) FROM idempotency_keys",
        "SELECT COUNT(*) FROM events",
        "SELECT COUNT(*) FROM quotes",
        "SELECT COUNT(*) FROM stream_tokens",
    ] {
        rows.push(sqlx::query_scalar(count).fetch_one(&mut *connection).await.unwrap());
    }
    rows
}

/// A merchant with an API key.
async fn add_merchant(app: &App) -> (MerchantId, String) {
    let now = app.clock.now();
    let new = NewMerchant {
        name: "Shop <&> \"Co\"".to_owned(),
        email: "shop@shop.example".to_owned(),
        evm_wallet: Address::repeat_byte(0x11),
        recovery_code: [9; 32],
        created_at: now,
    };
    let write = app.store.write(move |tx| Box::pin(async move { tx.insert_merchant(&new).await }));
    let merchant = write.await.unwrap();
    let key = add_key(app, merchant, |_| {}).await;
    (merchant, key.api_key)
}

/// An API key with the default rights, or with what is changed.
async fn add_key(app: &App, merchant: MerchantId, change: impl FnOnce(&mut IssueKey)) -> Issued {
    let mut wanted = IssueKey {
        merchant,
        name: "till".to_owned(),
        scope: Scope::Merchant,
        rights: Rights::DEFAULT,
        expires_at: None,
        request: None,
    };
    change(&mut wanted);
    issuing::issue(&app.store, &app.config, app.clock.now(), wanted).await.unwrap()
}

/// What a payer holds.
struct Created {
    id: InvoiceId,
    token: String,
    signature: String,
}

impl Created {
    fn page(&self) -> String {
        format!("/pay?session={}&signature={}", self.token, self.signature)
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts that this is an error in the one form errors have.
    #[track_caller]
    fn is_error(&self, status: u16, code: &str, field: Option<&str>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let body = self.json();
        let message = body["message"].as_str().unwrap();
        let mut error = json!({ "code": code, "message": message });
        if let Some(field) = field {
            error["field"] = field.into();
        }
        assert_eq!(body, json!({ "success": false, "error": error, "code": code, "message": message }));
        assert!(!message.is_empty());
        assert!(!self.header("x-request-id").is_empty());
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

fn new_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The text with another character at one place.
fn altered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

fn usd(millis: u64) -> UsdMillis {
    UsdMillis::from_millis(millis)
}
