//! A small shop, as a merchant would build one: it creates an invoice from its own server, embeds
//! the payment page, and believes only signed webhooks.
//!
//! It runs on its own origin and knows the checkout through its public API alone. What a real shop
//! would not have are the "pay as customer" buttons, which send real transactions on local chains
//! ([`customer`]). Orders live in memory.

pub mod customer;
mod routes;

use std::{
    collections::HashMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use self::customer::{CustomerWallet, SolanaWallet};
use crate::webhook::VerifiedEvent;

/// What the shop sells.
const PRODUCT: &str = "Harbour blend, 1 kg";

/// How to start a [`Shop`].
#[derive(Debug)]
pub struct ShopOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The checkout; may come later, by [`Shop::connect`].
    pub api: Option<ApiAccess>,
    /// What webhooks are signed with; may come later, by [`Shop::set_webhook_secret`].
    pub webhook_secret: Option<String>,
    /// Wallets the "pay as customer" buttons send from, one for each chain; none hides the buttons.
    pub customers: Vec<CustomerWallet>,
    /// The customer's wallet on a local Solana, if there is one.
    pub on_solana: Option<SolanaWallet>,
    /// The price of the product in thousandths of a dollar.
    pub price_usd_millis: u64,
}

impl Default for ShopOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            api: None,
            webhook_secret: None,
            customers: Vec::new(),
            on_solana: None,
            price_usd_millis: 24_900,
        }
    }
}

/// Where the checkout is, and the key to it.
#[derive(Clone)]
pub struct ApiAccess {
    /// Such as `http://127.0.0.1:8080`, without a slash at the end.
    pub url: String,
    /// The merchant's key; it never reaches a browser.
    pub key: String,
}

impl fmt::Debug for ApiAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiAccess").field("url", &self.url).field("key", &"…").finish()
    }
}

/// What a payer's page needs; the shop has it from the answer to the invoice's creation.
#[derive(Clone)]
pub struct Session {
    /// For the header `x-session-token`.
    pub token: String,
    /// For the header `x-signature`.
    pub signature: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(…)")
    }
}

/// One purchase.
#[derive(Clone, Debug)]
pub struct Order {
    /// The shop's own number for it; also the idempotency key of its invoice.
    pub id: Uuid,
    /// The invoice that pays it.
    pub invoice_id: String,
    /// What the shop embeds.
    pub payment_url: String,
    /// What it costs, in thousandths of a dollar.
    pub price_usd_millis: u64,
    /// What verified webhooks have said so far.
    pub state: OrderState,
    /// Those webhooks, each once, in the sender's order.
    pub events: Vec<VerifiedEvent>,
    /// The rights of its payer.
    pub session: Session,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Nothing was paid yet.
    Open,
    /// Some of it was paid.
    PartlyPaid,
    /// All of it was paid: the goods may go.
    Paid,
    /// The checkout says paid, but not what this order asked for: a person has to look.
    NeedsReview,
    /// The time to pay is over.
    Expired,
    /// The invoice was canceled.
    Canceled,
}

/// Why the shop could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// The port is taken.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
    /// Nobody told the shop where the checkout is.
    #[error("the shop is not connected to a checkout")]
    NotConnected,
    /// The checkout did not answer, or not as it promises.
    #[error("the checkout does not answer")]
    Checkout(#[from] reqwest::Error),
    /// The checkout refused.
    #[error("the checkout answered {status}: {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error's code, as far as there was one.
        code: String,
    },
    /// The order does not exist.
    #[error("there is no such order")]
    NoSuchOrder,
    /// The payer has not chosen what to pay with, or nothing is left to pay.
    #[error("there is nothing to pay at the moment: pick a token in the payment page first")]
    NoQuote,
    /// The payment page asks for something that is no amount.
    #[error("the payment page does not ask for an amount")]
    NotAnAmount,
    /// The page asks for a payment on a chain the customer has no wallet for.
    #[error("the customer has no wallet on chain {0}")]
    NoWallet(u64),
    /// The customer has less than the payment page asks for.
    #[error("the customer's wallet has too little of this token")]
    TooPoor,
    /// The chain refused.
    #[error("the chain refused the payment")]
    Chain(#[from] crate::chain::ChainError),
    /// The page asks for a payment on Solana, where the customer has no wallet.
    #[error("the customer has no wallet on Solana")]
    NoSolanaWallet,
    /// The local Solana refused.
    #[error("Solana refused the payment")]
    Solana(#[from] crate::solana::SolanaError),
}

/// A running shop; it ends when this is dropped.
#[derive(Debug)]
pub struct Shop {
    url: String,
    inner: Arc<Inner>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    customers: Vec<CustomerWallet>,
    on_solana: Option<SolanaWallet>,
    price_usd_millis: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    api: Option<ApiAccess>,
    webhook_secret: Option<Secret>,
    orders: HashMap<Uuid, Placed>,
    /// By event id. A webhook may come before the answer that names its invoice, so events are
    /// kept apart from orders, and an order's state is computed when somebody asks.
    events: HashMap<String, VerifiedEvent>,
}

/// An order without what webhooks said about it.
#[derive(Clone, Debug)]
struct Placed {
    invoice_id: String,
    payment_url: String,
    session: Session,
}

struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Shop {
    /// Starts the shop. Call it inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub async fn start(options: ShopOptions) -> Result<Self, ShopError> {
        let listener = TcpListener::bind(options.listen).await.map_err(ShopError::Listen)?;
        let address = listener.local_addr().map_err(ShopError::Listen)?;
        let inner = Arc::new(Inner {
            client: crate::http_client()?,
            customers: options.customers,
            on_solana: options.on_solana,
            price_usd_millis: options.price_usd_millis,
            state: Mutex::new(State {
                api: options.api,
                webhook_secret: options.webhook_secret.map(Secret),
                ..State::default()
            }),
        });

        let router = routes::router(Arc::clone(&inner));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It serves until the task is aborted; a failed connection ends only itself.
            let _never = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://{address}"), inner, _server: server })
    }

    /// The shop's address, which is also its origin; no slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the shop takes webhooks.
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks", self.url)
    }

    /// Tells the shop where the checkout is.
    pub fn connect(&self, api: ApiAccess) {
        self.inner.lock().api = Some(api);
    }

    /// Tells the shop what webhooks are signed with. Until then it refuses all of them.
    pub fn set_webhook_secret(&self, secret: String) {
        self.inner.lock().webhook_secret = Some(Secret(secret));
    }

    /// Buys one: what the button does.
    ///
    /// # Errors
    ///
    /// When the checkout does not create an invoice.
    pub async fn create_order(&self) -> Result<Order, ShopError> {
        let id = self.inner.create_order().await?;
        self.order(id).ok_or(ShopError::NoSuchOrder)
    }

    /// One order with what verified webhooks said about it.
    pub fn order(&self, id: Uuid) -> Option<Order> {
        self.inner.order(id)
    }

    /// All orders.
    pub fn orders(&self) -> Vec<Order> {
        let ids: Vec<Uuid> = self.inner.lock().orders.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.inner.order(id)).collect()
    }

    /// All verified webhooks, each once, in the sender's order, of whatever invoice.
    pub fn events(&self) -> Vec<VerifiedEvent> {
        let mut events: Vec<_> = self.inner.lock().events.values().cloned().collect();
        events.sort_by_key(|event| event.sequence);
        events
    }

    /// Pays what the payment page asks for at this moment, or a share of it: what the "pay as
    /// customer" buttons do.
    ///
    /// # Errors
    ///
    /// When no token was picked, or the customer cannot pay.
    pub async fn pay(&self, order: Uuid, share: customer::Share) -> Result<customer::Sent, ShopError> {
        self.inner.pay(order, share).await
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self) -> Result<ApiAccess, ShopError> {
        self.lock().api.clone().ok_or(ShopError::NotConnected)
    }

    async fn create_order(&self) -> Result<Uuid, ShopError> {
        #[derive(Serialize)]
        struct NewInvoice<'a> {
            amount_usd: Box<RawValue>,
            description: &'a str,
            metadata: serde_json::Value,
        }
        #[derive(Deserialize)]
        struct Created {
            invoice_id: String,
            payment_url: String,
            session_token: String,
            signature: String,
        }

        let api = self.api()?;
        let id = Uuid::new_v4();
        #[expect(clippy::expect_used, reason = "digits around a point are a JSON number")]
        let amount_usd = RawValue::from_string(dollars(self.price_usd_millis)).expect("dollars are a number");
        let answer = self
            .client
            .post(format!("{}/api/v1/invoices", api.url))
            .header("x-api-key", &api.key)
            .header("idempotency-key", id.to_string())
            .json(&NewInvoice { amount_usd, description: PRODUCT, metadata: json!({ "order_id": id }) })
            .send()
            .await?;
        let created: Created = accepted(answer).await?.json().await?;

        let placed = Placed {
            invoice_id: created.invoice_id,
            payment_url: created.payment_url,
            session: Session { token: created.session_token, signature: created.signature },
        };
        self.lock().orders.insert(id, placed);
        Ok(id)
    }

    fn order(&self, id: Uuid) -> Option<Order> {
        let state = self.lock();
        let placed = state.orders.get(&id)?.clone();
        let mut events: Vec<VerifiedEvent> =
            state.events.values().filter(|event| event.invoice_id() == Some(&placed.invoice_id)).cloned().collect();
        drop(state);
        events.sort_by_key(|event| event.sequence);

        Some(Order {
            id,
            state: order_state(self.price_usd_millis, &events),
            invoice_id: placed.invoice_id,
            payment_url: placed.payment_url,
            price_usd_millis: self.price_usd_millis,
            events,
            session: placed.session,
        })
    }
}

/// Passes a good answer on and turns another one into an error with its code.
async fn accepted(answer: reqwest::Response) -> Result<reqwest::Response, ShopError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or("no code").to_owned();
    Err(ShopError::Refused { status, code })
}

/// Thousandths of a dollar as dollars, `24.900`.
fn dollars(usd_millis: u64) -> String {
    format!("{}.{:03}", usd_millis / 1000, usd_millis % 1000)
}

/// What the newest event about the invoice itself says. `events` are of one invoice and in order.
fn order_state(price_usd_millis: u64, events: &[VerifiedEvent]) -> OrderState {
    let newest = events.iter().rfind(|event| event.event_type == "invoice.updated");
    let Some(invoice) = newest.map(VerifiedEvent::object) else {
        return OrderState::Open;
    };

    match invoice["status"].as_str() {
        Some("paid") => {
            // A signature says who speaks. Whether it is about this much money, we compare.
            let asked_for_the_price =
                invoice["currency"] == "usd" && invoice["amount"].as_u64() == Some(price_usd_millis);
            let got_it = Some(price_usd_millis) <= invoice["amount_paid"].as_u64();
            if asked_for_the_price && got_it { OrderState::Paid } else { OrderState::NeedsReview }
        }
        Some("unpaid") => OrderState::Open,
        Some("underpaid") => OrderState::PartlyPaid,
        Some("expired") => OrderState::Expired,
        Some("canceled") => OrderState::Canceled,
        _ => OrderState::NeedsReview,
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::Value;

    use super::*;

    fn event(sequence: u64, event_type: &str, object: &Value) -> VerifiedEvent {
        VerifiedEvent {
            id: format!("evt_1790000000000-{sequence}"),
            sequence,
            event_type: event_type.to_owned(),
            body: json!({ "data": { "object": object } }),
        }
    }

    fn invoice(status: &str, amount: u64, amount_paid: u64) -> Value {
        json!({ "object": "invoice", "id": "abc", "status": status, "currency": "usd",
            "amount": amount, "amount_paid": amount_paid })
    }

    fn check(events: &[VerifiedEvent], expected: OrderState) {
        assert_eq!(order_state(24_900, events), expected);
    }

    #[test]
    fn order_follows_the_newest_invoice_event() {
        let created = event(1, "invoice.created", &invoice("unpaid", 24_900, 0));
        let half = event(2, "invoice.updated", &invoice("underpaid", 24_900, 12_450));
        let paid = event(4, "invoice.updated", &invoice("paid", 24_900, 24_900));
        let payment = event(5, "invoice_payment.updated", &json!({ "status": "confirmed" }));
        let orphaned = event(6, "invoice.updated", &invoice("unpaid", 24_900, 0));

        check(&[], OrderState::Open);
        check(slice::from_ref(&created), OrderState::Open);
        check(&[created.clone(), half.clone()], OrderState::PartlyPaid);
        check(&[created.clone(), half.clone(), paid.clone(), payment.clone()], OrderState::Paid);
        check(&[created, half, paid, payment, orphaned], OrderState::Open);
    }

    #[test]
    fn paid_for_another_amount_needs_review() {
        check(&[event(1, "invoice.updated", &invoice("paid", 24_900, 50_000))], OrderState::Paid);
        check(&[event(1, "invoice.updated", &invoice("paid", 100, 24_900))], OrderState::NeedsReview);
        check(&[event(1, "invoice.updated", &invoice("paid", 24_900, 24_899))], OrderState::NeedsReview);
        check(&[event(1, "invoice.updated", &json!({ "status": "paid" }))], OrderState::NeedsReview);
    }

    #[test]
    fn a_payment_event_alone_pays_nothing() {
        check(&[event(1, "invoice_payment.updated", &invoice("paid", 24_900, 24_900))], OrderState::Open);
        check(&[event(1, "invoice.created", &invoice("paid", 24_900, 24_900))], OrderState::Open);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let api = ApiAccess { url: "http://a".to_owned(), key: "pk_secret".to_owned() };
        let session = Session { token: "pst_secret".to_owned(), signature: "s_secret".to_owned() };
        let shown = format!("{api:?} {session:?} {:?}", Secret("whsec_secret".to_owned()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
