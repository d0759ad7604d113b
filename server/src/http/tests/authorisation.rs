//! Who may do what: every operation of the description with every kind of credential, decided as the description says.
//!
//! Nothing here names an operation that only reads or changes: whatever is described is tried, with its own example. What
//! the ids in paths stand for is the only thing to say, in [`SOURCES`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use axum::http::Method;
use domain::{
    access::{Right, Rights, Scope},
    id::{MerchantId, RpcEndpointId},
};
use serde_json::Value;

use super::{Answer, Created, Server, add_key, add_merchant, description::document, new_key, request, rows};
use crate::{
    clock::random_bytes,
    http::openapi::{operations, schemes},
    keys,
    store::{RpcEndpointRecord, StoreError},
};

/// Where an id comes from: from the answer to an operation, at a place in it; and one of that kind that nobody has.
struct Source {
    parameter: &'static str,
    operation: &'static str,
    pointer: &'static str,
    absent: &'static str,
}

pub(super) const ABSENT_UUID: &str = "5f7c1a9e-3b2d-4c6f-8e01-9a7b6c5d4e3f";

const BY_HAND: &str = "";

const SOURCES: &[Source] = &[
    // Before the rest, so that it is owed what happens to it.
    Source { parameter: "webhook_id", operation: "create_webhook", pointer: "/id", absent: ABSENT_UUID },
    Source { parameter: "invoice_id", operation: "create_invoice", pointer: "/invoice_id", absent: ABSENT_UUID },
    Source { parameter: "event_id", operation: "list_events", pointer: "/data/data/0/id", absent: "evt_5-999999" },
    Source { parameter: "key_id", operation: "create_api_key", pointer: "/key_id", absent: ABSENT_UUID },
    Source { parameter: "wallet_id", operation: "change_wallet", pointer: "/id", absent: ABSENT_UUID },
    // Made by [`ids_of`]: an endpoint is asked for its chain before it is taken, and here none would answer.
    Source { parameter: "endpoint_id", operation: BY_HAND, pointer: "", absent: ABSENT_UUID },
    // The same: it comes to a wallet, which no chain tells of here.
    Source { parameter: "payment_id", operation: BY_HAND, pointer: "", absent: ABSENT_UUID },
];

/// What stands for nothing that somebody owns.
const NOBODYS: &[&str] = &["customer_id", "token_id"];

/// What a cursor of an operation is the id of.
const CURSORS: &[(&str, &str)] = &[
    ("list_invoices", "invoice_id"),
    ("list_invoices_of_customer", "invoice_id"),
    ("list_events", "event_id"),
    ("list_webhook_deliveries", "event_id"),
    ("list_unattributed_payments", "payment_id"),
];

/// Codes of 403 that a credential gets as such; others are for what is asked.
const OF_CREDENTIALS: [&str; 5] =
    ["API_KEY_EXPIRED", "API_KEY_SUSPENDED", "ENVIRONMENT_FORBIDDEN", "RIGHT_REQUIRED", "SCOPE_FORBIDDEN"];

/// Rows that the operations of a merchant answer with, by the names of their parameters.
pub(super) type Ids = BTreeMap<&'static str, String>;

pub(super) struct Operation<'d> {
    pub(super) id: &'d str,
    path: &'d str,
    method: Method,
    described: &'d Value,
}

impl Operation<'_> {
    pub(super) fn all() -> impl Iterator<Item = Operation<'static>> {
        operations(document()).map(|(path, method, described)| Operation {
            id: described["operationId"].as_str().unwrap(),
            path,
            method: Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap(),
            described,
        })
    }

    pub(super) fn takes(&self, scheme: &str) -> bool {
        schemes(self.described).contains(scheme)
    }

    /// The rights of which a key needs any one; none if no keys are taken.
    fn rights(&self) -> Vec<Right> {
        let ways = self.described["security"].as_array().into_iter().flatten();
        let rights = ways.filter_map(|way| way.get("merchant_key")).map(|rights| {
            let [right] = &rights.as_array().unwrap()[..] else { panic!("{}: a key needs one right", self.id) };
            right.as_str().unwrap().parse().unwrap()
        });
        rights.collect()
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.described["parameters"].as_array().into_iter().flatten()
    }

    /// The parameters that name something a merchant owns, and what each is the id of.
    pub(super) fn owned(&self) -> Vec<(&str, &'static str)> {
        let base = self.id.split("__").next().unwrap();
        let owned = self.parameters().filter_map(|parameter| {
            let name = parameter["name"].as_str().unwrap();
            if name == "starting_after" || name == "ending_before" {
                let cursor = CURSORS.iter().find(|(operation, _)| *operation == base);
                return Some((name, cursor.unwrap_or_else(|| panic!("say in CURSORS what {base} is a list of")).1));
            }
            let source = SOURCES.iter().find(|source| source.parameter == name);
            if source.is_none() && parameter["in"] == "path" {
                assert!(NOBODYS.contains(&name), "say in SOURCES where {name} of {} comes from", self.id);
            }
            source.map(|source| (name, source.parameter))
        });
        owned.collect()
    }

    /// Its example with ids of somebody, and with what is given of further parameters.
    pub(super) async fn call(&self, server: &Server, caller: &Caller, ids: &Ids, query: &[(&str, &str)]) -> Answer {
        let mut path = self.path.to_owned();
        let mut headers: Vec<(&str, String)> = caller.headers.clone();
        let mut parameters: Vec<(&str, String)> =
            query.iter().chain(&caller.query).map(|(name, value)| (*name, (*value).to_owned())).collect();
        for parameter in self.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let example = &parameter["example"];
            let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            match parameter["in"].as_str().unwrap() {
                "path" => {
                    let value = ids.get(name).cloned().unwrap_or(example);
                    path = path.replace(&format!("{{{name}}}"), &value);
                }
                "header" if name == "Idempotency-Key" => headers.push((name, new_key())),
                "query" if parameter["required"] == true => parameters.push((name, example)),
                _ => {}
            }
        }
        let body = self.described["requestBody"]["content"]["application/json"].get("example");
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let query: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = body.map(Value::to_string).unwrap_or_default();
        server.send(request(self.method.clone(), &path, &headers, &body)).await
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.id, self.method, self.path)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nobody,
    UnknownKey,
    RevokedKey,
    ExpiredKey,
    SuspendedKey,
    CommerceKey,
    /// With every right but those of which it takes any one.
    KeyWithout,
    /// With a right it takes and no other.
    KeyWith,
    OthersKey,
    Payor,
    OtherPayor,
    BrokenSession,
    Dashboard,
    OthersDashboard,
    UnknownDashboard,
    RevokedDashboard,
}

pub(super) struct Caller {
    kind: Kind,
    headers: Vec<(&'static str, String)>,
    query: Vec<(&'static str, &'static str)>,
}

impl Caller {
    fn new(kind: Kind, headers: Vec<(&'static str, String)>) -> Self {
        Self { kind, headers, query: Vec::new() }
    }

    fn key(kind: Kind, key: &str) -> Self {
        Self::new(kind, vec![("x-api-key", key.to_owned())])
    }

    pub(super) fn bearer(kind: Kind, token: &str) -> Self {
        Self::new(kind, vec![("authorization", format!("Bearer {token}"))])
    }

    fn payor(kind: Kind, invoice: &Created) -> Self {
        let headers = vec![("x-session-token", invoice.token.clone()), ("x-signature", invoice.signature.clone())];
        Self::new(kind, headers)
    }
}

/// Two merchants who have one of everything.
struct World<'s> {
    server: &'s Server,
    merchant: MerchantId,
    other: MerchantId,
    own: Ids,
    others: Ids,
    /// Their invoices, with what opens them.
    invoices: [Created; 2],
}

/// A server without limits: what is tested here is not that they are kept.
async fn start() -> Server {
    Server::start_with(|config| config.limits.active_keys_per_scope = 1_000).await
}

impl<'s> World<'s> {
    async fn new(server: &'s Server) -> Self {
        let (merchant, _) = add_merchant(&server.app).await;
        let (other, _) = add_merchant(&server.app).await;
        let (own, first) = ids_of(server, merchant).await;
        let (others, second) = ids_of(server, other).await;
        Self { server, merchant, other, own, others, invoices: [first, second] }
    }

    fn absent() -> Ids {
        SOURCES.iter().map(|source| (source.parameter, source.absent.to_owned())).collect()
    }

    /// One of each kind that no operation lets in which takes any one of these rights from keys.
    async fn refused(&self, rights: &[Right]) -> Vec<Caller> {
        let (server, merchant) = (self.server, self.merchant);
        let now = server.app.clock.now();
        let without: Rights = Right::ALL.into_iter().filter(|other| !rights.contains(other)).collect();

        let revoked = add_key(&server.app, merchant, |_| {}).await;
        let suspended = add_key(&server.app, merchant, |_| {}).await;
        let (revoked_id, suspended_id) = (revoked.record.id, suspended.record.id);
        let revoked_token = token(server, merchant).await;
        let revoked_token_id = revoked_token.1;
        let write = server.app.store.write(move |tx| {
            Box::pin(async move {
                tx.revoke_api_key(merchant, revoked_id, None, now).await?;
                tx.suspend_api_key(merchant, suspended_id, now).await?;
                tx.revoke_dashboard_token(revoked_token_id, now).await?;
                Ok::<_, StoreError>(())
            })
        });
        write.await.unwrap();
        let expired = add_key(&server.app, merchant, |key| key.expires_at = Some(now.plus(1))).await;
        server.clock.advance_seconds(2);
        let key_without = add_key(&server.app, merchant, |key| key.rights = without).await;
        let commerce = add_key(&server.app, merchant, |key| (key.scope, key.rights) = (Scope::Commerce, Rights::NONE));
        let [own, other] = &self.invoices;
        let broken = Created { signature: other.signature.clone(), token: own.token.clone(), id: own.id };
        vec![
            Caller::new(Kind::Nobody, Vec::new()),
            Caller::key(Kind::UnknownKey, "pk_unknown"),
            Caller::key(Kind::RevokedKey, &revoked.api_key),
            Caller::key(Kind::ExpiredKey, &expired.api_key),
            Caller::key(Kind::SuspendedKey, &suspended.api_key),
            Caller::key(Kind::CommerceKey, &commerce.await.api_key),
            Caller::key(Kind::KeyWithout, &key_without.api_key),
            Caller::payor(Kind::BrokenSession, &broken),
            Caller::bearer(Kind::UnknownDashboard, "pd_unknown"),
            Caller::bearer(Kind::RevokedDashboard, &revoked_token.0),
        ]
    }

    /// One of each kind that some operation lets in; last, who is let in to all that is there, for what they do changes it.
    /// A key for each of the rights of which it takes any one.
    async fn admitted(&self, rights: &[Right]) -> Vec<Caller> {
        let server = self.server;
        let key = async |merchant, rights| add_key(&server.app, merchant, |key| key.rights = rights).await.api_key;
        let [own, other] = &self.invoices;
        let mut callers = vec![
            Caller::key(Kind::OthersKey, &key(self.other, Right::ALL.into_iter().collect()).await),
            Caller::payor(Kind::OtherPayor, other),
            Caller::bearer(Kind::OthersDashboard, &token(server, self.other).await.0),
            Caller::payor(Kind::Payor, own),
        ];
        for right in rights {
            callers.push(Caller::key(Kind::KeyWith, &key(self.merchant, [*right].into_iter().collect()).await));
        }
        callers.push(Caller::bearer(Kind::Dashboard, &token(server, self.merchant).await.0));
        callers
    }
}

pub(super) async fn token(server: &Server, merchant: MerchantId) -> (String, domain::id::DashboardTokenId) {
    let (app, now) = (&server.app, server.app.clock.now());
    let (token, record) = keys::mint_dashboard_token(&app.store, &app.config, now, merchant, 12).await.unwrap();
    (token, record.id)
}

/// One of everything for a merchant, made by the operations themselves.
pub(super) async fn ids_of(server: &Server, merchant: MerchantId) -> (Ids, Created) {
    let caller = Caller::bearer(Kind::Dashboard, &token(server, merchant).await.0);
    let mut ids = Ids::new();
    let mut invoice = None;
    ids.insert("endpoint_id", rpc_endpoint_of(server, merchant).await);
    ids.insert("payment_id", server.payment_of(merchant).await);
    for source in SOURCES.iter().filter(|source| source.operation != BY_HAND) {
        let operation = Operation::all().find(|operation| operation.id == source.operation);
        let operation = operation.unwrap_or_else(|| panic!("there is no operation {}", source.operation));
        let answer = operation.call(server, &caller, &ids, &[]).await;
        assert!(answer.status.is_success(), "{operation}: {}", answer.text);
        let answer = answer.json();
        let id = answer.pointer(source.pointer).unwrap_or_else(|| panic!("{operation}: {answer}"));
        ids.insert(source.parameter, id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        if source.operation == "create_invoice" {
            let text = |name: &str| answer[name].as_str().unwrap().to_owned();
            let (token, signature) = (text("session_token"), text("signature"));
            invoice = Some(Created { id: text("invoice_id").parse().unwrap(), token, signature });
            // What happened to it is to be found by those that come.
            let number = server.app.store.write(|tx| Box::pin(async move { tx.number_events(100).await }));
            number.await.unwrap();
        }
    }
    (ids, invoice.unwrap())
}

async fn rpc_endpoint_of(server: &Server, merchant: MerchantId) -> String {
    let id = RpcEndpointId::from_random(random_bytes());
    let endpoint = RpcEndpointRecord {
        merchant,
        id,
        network: "base".to_owned(),
        url: "https://rpc.example/".to_owned(),
        genesis: format!("0x{:064x}", 1),
        created_at: server.app.clock.now(),
    };
    let write = server.app.store.write(move |tx| Box::pin(async move { tx.insert_rpc_endpoint(&endpoint).await }));
    write.await.unwrap();
    id.to_string()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Whatever it then does, it is done for this caller.
    In,
    /// Let in, but to what is its own only.
    InToItsOwn,
    Out(u16, &'static str),
}

/// What the description says of this caller.
fn decide(operation: &Operation<'_>, kind: Kind) -> Decision {
    use Decision::{In, InToItsOwn, Out};
    let takes_keys = operation.takes("merchant_key");
    if !takes_keys && !operation.takes("dashboard") {
        assert!(operation.takes("session_token") || operation.takes("stream_token"), "{operation}");
        return match kind {
            Kind::Payor if operation.takes("session_token") => In,
            Kind::OtherPayor if operation.takes("session_token") => InToItsOwn,
            _ => Out(401, "SESSION_INVALID"),
        };
    }
    let is_dashboards = operation.takes("dashboard");
    match kind {
        Kind::Nobody | Kind::Payor | Kind::OtherPayor | Kind::BrokenSession if takes_keys => {
            Out(401, "API_KEY_MISSING")
        }
        Kind::Nobody | Kind::Payor | Kind::OtherPayor | Kind::BrokenSession => Out(401, "DASHBOARD_TOKEN_MISSING"),
        Kind::UnknownKey => Out(401, "API_KEY_INVALID"),
        Kind::RevokedKey => Out(401, "API_KEY_REVOKED"),
        Kind::ExpiredKey => Out(403, "API_KEY_EXPIRED"),
        Kind::SuspendedKey => Out(403, "API_KEY_SUSPENDED"),
        Kind::KeyWithout if takes_keys => Out(403, "RIGHT_REQUIRED"),
        Kind::KeyWith if takes_keys => In,
        Kind::OthersKey if takes_keys => InToItsOwn,
        Kind::CommerceKey | Kind::KeyWithout | Kind::KeyWith | Kind::OthersKey => Out(403, "SCOPE_FORBIDDEN"),
        Kind::UnknownDashboard if takes_keys => Out(401, "API_KEY_INVALID"),
        Kind::UnknownDashboard => Out(401, "DASHBOARD_TOKEN_INVALID"),
        Kind::RevokedDashboard => Out(401, "DASHBOARD_TOKEN_REVOKED"),
        // What is the operator's is no merchant's.
        Kind::Dashboard | Kind::OthersDashboard if !is_dashboards => Out(403, "RIGHT_REQUIRED"),
        Kind::Dashboard => In,
        Kind::OthersDashboard => InToItsOwn,
    }
}

#[tokio::test]
async fn every_operation_lets_in_whom_it_says_and_nobody_else() {
    let server = start().await;
    // Who is refused leaves everything as it was for the next, and so does what only reads.
    let shared = World::new(&server).await;
    let mut by_rights: Vec<(Vec<Right>, Vec<Caller>)> = Vec::new();
    let mut connection = server.connect().await;
    let (mut pairs, mut expected) = (0, 0);
    for operation in Operation::all() {
        let mut rights = operation.rights();
        if rights.is_empty() {
            rights.push(Right::ReadInvoices);
        }
        if by_rights.iter().all(|(other, _)| *other != rights) {
            let mut callers = shared.refused(&rights).await;
            callers.extend(shared.admitted(&rights).await);
            by_rights.push((rights.clone(), callers));
        }
        let (_, callers) = by_rights.iter().find(|(other, _)| *other == rights).expect("made above");
        expected += 15 + rights.len();
        let before = rows(&mut connection).await;
        for caller in callers {
            let Decision::Out(status, code) = decide(&operation, caller.kind) else { continue };
            let answer = operation.call(&server, caller, &shared.own, &[]).await;
            let what = format!("{operation} as {:?}: {} {}", caller.kind, answer.status, answer.text);
            assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str().unwrap()), (status, code), "{what}");
            assert_eq!(rows(&mut connection).await, before, "{what} changed something");
            pairs += 1;
        }
        if operation.method == Method::GET {
            pairs += let_in(&operation, &shared, callers).await;
        } else {
            let own = World::new(&server).await;
            pairs += let_in(&operation, &own, &own.admitted(&rights).await).await;
        }
    }
    assert_eq!(pairs, expected, "every operation with every kind of credential");
}

/// Asserts that an operation is done for those that it lets in; returns how many these are.
async fn let_in(operation: &Operation<'_>, world: &World<'_>, callers: &[Caller]) -> usize {
    let (mut pairs, mut was_changed) = (0, false);
    for caller in callers {
        let decision = decide(operation, caller.kind);
        if matches!(decision, Decision::Out(..)) {
            continue;
        }
        let answer = operation.call(world.server, caller, &world.own, &[]).await;
        let what = format!("{operation} as {:?}: {} {}", caller.kind, answer.status, answer.text);
        let status = answer.status.as_u16();
        // A server may refuse what is asked for other reasons than who asks.
        let is_refused = || status == 403 && OF_CREDENTIALS.contains(&answer.json()["code"].as_str().unwrap());
        assert!(!is_refused() && ![401, 429, 500].contains(&status), "{what}");
        if decision == Decision::In {
            // What the one before has deleted is gone.
            let may_be_gone = was_changed && operation.method == Method::DELETE;
            was_changed = true;
            // Who reads a search needs not have asked for one.
            let was_never_asked = || answer.json()["code"] == "VERIFICATION_NOT_FOUND";
            assert!(may_be_gone || status != 404 || was_never_asked(), "{what}");
        } else {
            for id in world.own.values() {
                assert!(!answer.text.contains(id.as_str()), "{what} shows what is somebody else's");
            }
        }
        pairs += 1;
    }
    pairs
}

#[tokio::test]
async fn what_is_somebody_else_s_is_answered_like_what_is_not_there() {
    let server = &start().await;
    let world = World::new(server).await;
    let token = token(server, world.merchant).await.0;
    let key = add_key(&server.app, world.merchant, |key| key.rights = Right::ALL.into_iter().collect()).await;
    let mut seen = BTreeSet::new();
    for operation in Operation::all().filter(|operation| !operation.takes("session_token")) {
        let caller = if operation.takes("dashboard") {
            Caller::bearer(Kind::Dashboard, &token)
        } else {
            Caller::key(Kind::KeyWith, &key.api_key)
        };
        for (name, kind) in operation.owned() {
            let mut answers = Vec::new();
            for ids in [&world.others, &World::absent()] {
                let id = ids[kind].as_str();
                let is_in_path = operation.path.contains(&format!("{{{name}}}"));
                // Of the others, what is the caller's own: only this one id decides.
                let mut mixed = world.own.clone();
                let query = [(name, id)];
                if is_in_path {
                    mixed.insert(kind, id.to_owned());
                }
                let answer = operation.call(server, &caller, &mixed, if is_in_path { &[] } else { &query }).await;
                assert!(!answer.status.is_server_error(), "{operation}: {}", answer.text);
                assert!(!is_in_path || answer.status.is_client_error(), "{operation}: {}", answer.text);
                answers.push((answer.status, answer.text.replace(id, "{id}")));
            }
            assert_eq!(answers[0], answers[1], "{operation} tells a foreign {name} from an absent one");
            seen.insert(kind);
        }
    }
    for source in SOURCES {
        assert!(seen.contains(source.parameter), "no operation takes {}", source.parameter);
    }
}
