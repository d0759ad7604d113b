//! The shop on a real chain, beside a stand-in for the checkout that answers what a test needs.
//! Whether the real checkout answers so is for the end-to-end tests to say.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, U256};
use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use demo::{
    chain::{ChainOptions, LocalChain},
    shop::{
        ApiAccess, Order, OrderState, Shop, ShopError, ShopOptions,
        customer::{CustomerWallet, Share},
    },
    webhook,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SECRET: &str = "whsec_of_the_shop";

/// What the stand-in was asked, and what it shows.
#[derive(Default)]
struct Checkout {
    creates: Vec<(HeaderMap, String)>,
    quote: Value,
}

struct World {
    shop: Shop,
    chain: Arc<LocalChain>,
    checkout: Arc<Mutex<Checkout>>,
    client: reqwest::Client,
    _server: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        let checkout = Arc::new(Mutex::new(Checkout::default()));
        let router = Router::new()
            .route("/api/v1/invoices", post(create))
            .route("/pay/snapshot", get(snapshot))
            .with_state(Arc::clone(&checkout));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });

        let chain = Arc::new(LocalChain::start(ChainOptions::new(31337)).await.unwrap());
        let shop = Shop::start(ShopOptions {
            api: Some(ApiAccess { url, key: "pk_test".to_owned() }),
            customers: vec![CustomerWallet { chain: Arc::clone(&chain), account: chain.accounts()[1] }],
            ..ShopOptions::default()
        })
        .await
        .unwrap();
        shop.set_webhook_secret(SECRET.to_owned());
        Self { shop, chain, checkout, client: demo::http_client().unwrap(), _server: server }
    }

    fn ask_for(&self, chain_id: u64, address: Address, token: Option<Address>, amount: &str) {
        self.checkout.lock().unwrap().quote = json!({
            "network": "ethereum", "chain_id": chain_id, "address": address,
            "token_contract": token, "amount_base": amount, "decimals": 6,
            "uri": format!("ethereum:{address}@{chain_id}"),
        });
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.shop.url())).send().await.unwrap()
    }

    /// Delivers a webhook that says the invoice of `order` has this status; the answer's status.
    async fn deliver(&self, secret: &str, sequence: u64, order: &Order, status: &str) -> u16 {
        let body = json!({
            "id": format!("evt_1790000000000-{sequence}"), "object": "event",
            "type": "invoice.updated",
            "data": { "object": {
                "object": "invoice", "id": order.invoice_id, "status": status, "currency": "usd",
                "amount": order.price_usd_millis, "amount_paid": order.price_usd_millis,
            } },
        })
        .to_string();
        #[expect(clippy::disallowed_methods, reason = "the shop compares with the real time")]
        let now = std::time::SystemTime::now();
        let stamp = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis().to_string();
        let answer = self
            .client
            .post(self.shop.webhook_url())
            .header("X-Pepay-Timestamp", &stamp)
            .header("X-Pepay-Signature", webhook::sign(secret, &stamp, body.as_bytes()))
            .body(body)
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    }
}

type Answers = State<Arc<Mutex<Checkout>>>;

async fn create(State(checkout): Answers, headers: HeaderMap, body: String) -> Json<Value> {
    let mut checkout = checkout.lock().unwrap();
    checkout.creates.push((headers, body));
    let number = checkout.creates.len();
    Json(json!({
        "invoice_id": format!("invoice-{number}"),
        "payment_url": format!("http://127.0.0.2:9/pay?session=pst_{number}&signature=s\"<{number}"),
        "expires_at": 1_790_000_000,
        "session_token": format!("pst_{number}"),
        "signature": format!("s{number}"),
    }))
}

async fn snapshot(State(checkout): Answers, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers["x-session-token"], "pst_1");
    assert_eq!(headers["x-signature"], "s1");
    Json(json!({ "quote": checkout.lock().unwrap().quote }))
}

#[tokio::test]
async fn buying_creates_an_invoice_and_embeds_its_page() {
    let world = World::new().await;
    let front = world.get("/").await.text().await.unwrap();
    assert!(front.contains("$24.90"), "{front}");

    let bought = world.client.post(format!("{}/orders", world.shop.url())).send().await.unwrap();

    let (headers, body) = world.checkout.lock().unwrap().creates[0].clone();
    assert_eq!(headers["x-api-key"], "pk_test");
    let orders = world.shop.orders();
    assert_eq!(headers["idempotency-key"], orders[0].id.to_string());
    assert!(body.contains(r#""amount_usd":24.900"#), "{body}");
    assert_eq!(bought.url().path(), format!("/orders/{}", orders[0].id));
    let policy = bought.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.ends_with("frame-src http://127.0.0.2:9"), "{policy}");
    let page = bought.text().await.unwrap();
    let frame = r#"src="http://127.0.0.2:9/pay?session=pst_1&amp;signature=s&quot;&lt;1""#;
    assert!(page.contains(frame), "{page}");
    assert!(!page.contains("pk_test"), "the key stays on the server");
}

#[tokio::test]
async fn only_a_signed_webhook_pays_an_order() {
    let world = World::new().await;
    let order = world.shop.create_order().await.unwrap();
    let other = world.shop.create_order().await.unwrap();
    let state = |order: &Order| world.shop.order(order.id).unwrap().state;

    assert_eq!(world.deliver("whsec_of_nobody", 2, &order, "paid").await, 400);
    assert_eq!(state(&order), OrderState::Open);

    assert_eq!(world.deliver(SECRET, 2, &order, "paid").await, 200);
    assert_eq!(state(&order), OrderState::Paid);
    assert_eq!(state(&other), OrderState::Open, "another order is not meant");

    // Delivered again, and an older one late: both are accepted and change nothing.
    assert_eq!(world.deliver(SECRET, 2, &order, "paid").await, 200);
    assert_eq!(world.deliver(SECRET, 1, &order, "underpaid").await, 200);
    assert_eq!(state(&order), OrderState::Paid);
    let sequences: Vec<_> = world.shop.order(order.id).unwrap().events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2]);

    let shown: Value = world.get(&format!("/orders/{}/state", order.id)).await.json().await.unwrap();
    assert_eq!(shown["state"], "paid");
    assert_eq!(shown["headline"], "Paid");
}

#[tokio::test]
async fn customer_pays_the_share_that_was_asked_for() {
    let world = World::new().await;
    let customer = world.chain.accounts()[1];
    let token = world.chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    world.chain.mint(token, customer, U256::from(1_000)).await.unwrap();
    let order = world.shop.create_order().await.unwrap();
    let deposit = Address::repeat_byte(0x11);

    world.ask_for(31337, deposit, Some(token), "101");
    for (share, sum) in [(Share::Exact, 101), (Share::Half, 151), (Share::Double, 353)] {
        let sent = world.shop.pay(order.id, share).await.unwrap();
        world.chain.mined(sent.tx_hash.parse().unwrap()).await.unwrap();
        assert_eq!(world.chain.balance_of(token, deposit).await.unwrap(), U256::from(sum));
    }

    world.ask_for(31337, deposit, None, "1000000000000000000");
    let sent = world.shop.pay(order.id, Share::Exact).await.unwrap();
    world.chain.mined(sent.tx_hash.parse().unwrap()).await.unwrap();
    let coin = U256::from(10).pow(U256::from(18));
    assert_eq!(world.chain.native_balance(deposit).await.unwrap(), coin);
}

#[tokio::test]
async fn customer_says_why_nothing_was_sent() {
    let world = World::new().await;
    let order = world.shop.create_order().await.unwrap();
    let deposit = Address::repeat_byte(0x11);
    let token = world.chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    let pay = async || world.shop.pay(order.id, Share::Exact).await;

    assert!(matches!(pay().await, Err(ShopError::NoQuote)));
    world.ask_for(31339, deposit, None, "1");
    assert!(matches!(pay().await, Err(ShopError::NoWallet(31339))));
    world.ask_for(31337, deposit, Some(token), "1");
    assert!(matches!(pay().await, Err(ShopError::TooPoor)));
    world.ask_for(31337, deposit, None, "1.5");
    assert!(matches!(pay().await, Err(ShopError::NotAnAmount)));

    world.checkout.lock().unwrap().quote = Value::Null;
    let url = format!("{}/orders/{}/pay", world.shop.url(), order.id);
    let answer = world.client.post(url).json(&json!({ "share": "exact" })).send().await.unwrap();
    assert_eq!(answer.status(), 409);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["message"].as_str().unwrap().contains("pick a token"), "{answer}");
}
