//! JSON-RPC over HTTP: several endpoints for one network, used as one.
//!
//! An endpoint is believed only after it showed the configured chain id, where chains have ids, and the same genesis
//! block as the others, and again after every failure. It must answer with JSON-RPC that belongs to the question;
//! anything else counts as a failure, and the next endpoint is asked. A failing endpoint rests for a
//! while that doubles up to a minute. Endpoints that were added while the server runs come after the
//! operator's own, so they are asked only when none of those can be. Kept out: what the answers mean.

mod inspect;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use domain::id::RpcEndpointId;
use futures_util::future::join_all;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use url::Url;

use crate::{
    clock::random_bytes,
    config::{NetworkConfig, NetworkKind, REQUESTS_PER_SECOND, is_loopback},
    metrics, tls,
    webhooks::Targets,
};

pub use inspect::EndpointReport;

/// The rest after a first failure; doubles with each further one.
const SHORTEST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// An endpoint may ask for a longer rest than ours, but not for ever.
const LONGEST_WANTED_REST: Duration = Duration::from_hours(1);
/// Calls in one HTTP request, and bytes of what they ask; many providers count or refuse more.
const LARGEST_BATCH: usize = 100;
const LARGEST_BATCH_BYTES: usize = 1_000_000;
/// An answer beyond this is not read.
const LARGEST_ANSWER_BYTES: usize = 64 << 20;
/// The same for an endpoint that is asked whether it is fit: a chain id and a header are small.
const LARGEST_PROBE_BYTES: usize = 64 << 10;
/// What endpoints are counted as that somebody else chose: figures must not grow with them, nor name them.
const COUNTED_TOGETHER: &str = "added";
/// How much of an endpoint's own words is repeated in an error.
const LONGEST_MESSAGE: usize = 200;

/// The endpoints of one network.
pub struct Rpc {
    network: String,
    chain: Chain,
    timeout: Duration,
    known: Mutex<Known>,
    /// The hash of block 0, as it is configured or as the first of the operator's own endpoints told it.
    genesis: OnceLock<String>,
    next_id: AtomicU64,
    /// Which endpoint answered last.
    last_used: Mutex<Option<Arc<Endpoint>>>,
}

/// What an endpoint has to show before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// This chain id, and block 0.
    Evm { chain_id: u64 },
    /// The first block alone: there are no chain ids.
    Solana,
}

impl Chain {
    fn of(network: &NetworkConfig) -> Self {
        match network.kind {
            NetworkKind::Evm => Self::Evm { chain_id: network.chain_id },
            NetworkKind::Solana => Self::Solana,
        }
    }

    /// The hash of block 0 as endpoints of such a chain spell it.
    fn spell(self, genesis: B256) -> String {
        match self {
            Self::Evm { .. } => genesis.to_string(),
            Self::Solana => bs58::encode(genesis).into_string(),
        }
    }
}

type Endpoints = Arc<[Arc<Endpoint>]>;

/// The endpoints that can be asked.
struct Known {
    /// In the order in which they are asked: the operator's own first.
    endpoints: Endpoints,
    /// Where to hear of others, and where they may be.
    added: Option<(watch::Receiver<AddedByNetwork>, Targets)>,
}

/// An endpoint beside the operator's own.
#[derive(Clone, PartialEq, Eq)]
pub struct AddedEndpoint {
    pub id: RpcEndpointId,
    pub url: Url,
    /// Block 0 as the operator's own endpoints told it when this one was added. It is held to that, and tells
    /// nobody else what block 0 is.
    pub genesis: String,
}

type AddedByNetwork = HashMap<String, Vec<AddedEndpoint>>;

/// All endpoints beside the operator's own, for whoever asks a network to follow. Cheap to clone.
#[derive(Clone)]
pub struct AddedEndpoints(Arc<watch::Sender<AddedByNetwork>>);

impl Default for AddedEndpoints {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(HashMap::new())))
    }
}

impl AddedEndpoints {
    /// Replaces them; who asks a network uses the new ones from the next question on.
    pub fn replace(&self, endpoints: HashMap<String, Vec<AddedEndpoint>>) {
        self.0.send_if_modified(|known| {
            let is_new = *known != endpoints;
            *known = endpoints;
            is_new
        });
    }
}

/// One question.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    /// An array.
    pub params: Value,
}

impl Call {
    pub fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

/// An endpoint understood the question and declined to answer it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} was declined with code {code}: {message}")]
pub struct Fault {
    pub method: &'static str,
    pub code: i64,
    pub message: String,
    pub kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A contract refused; every endpoint would say so.
    Reverted,
    /// Too many blocks, addresses or results at once; less may work.
    TooMuch,
    /// Anything else, such as an unknown block or method; another endpoint may do better.
    Other,
}

#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    #[error("no endpoint of {network} can be used; the last one {problem}")]
    Unavailable { network: String, problem: Problem },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why an endpoint was given up for now. Never holds a URL: some contain credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("is resting after a failure")]
    Resting,
    #[error("cannot be reached")]
    Unreachable,
    #[error("did not answer in time")]
    TooSlow,
    #[error("answered with HTTP status {0}")]
    Status(u16),
    #[error("asks for fewer requests")]
    Throttled { rest: Option<Duration> },
    #[error("did not answer with JSON-RPC")]
    NotJsonRpc,
    #[error("answered something that cannot be true")]
    Untrue,
    #[error("is chain {found} instead of {wanted}")]
    WrongChain { found: u64, wanted: u64 },
    #[error("has another genesis block than the endpoint before it")]
    WrongGenesis,
}

impl Problem {
    /// Its name in figures.
    fn kind(&self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Unreachable => "unreachable",
            Self::TooSlow => "too_slow",
            Self::Status(_) => "status",
            Self::Throttled { .. } => "throttled",
            Self::NotJsonRpc => "not_json_rpc",
            Self::Untrue => "untrue",
            Self::WrongChain { .. } => "wrong_chain",
            Self::WrongGenesis => "wrong_genesis",
        }
    }
}

/// What one call was answered with.
pub type Answer = Result<Value, Fault>;

/// What one host said to several questions, in their order.
pub struct HostAnswers {
    /// Its name, and its port where that is not the usual one.
    pub host: String,
    pub answers: Vec<Answer>,
}

struct Endpoint {
    /// Of one that was added.
    added: Option<(RpcEndpointId, String)>,
    /// For people: the host, without path or credentials.
    label: String,
    /// What it is counted as in figures.
    counted_as: String,
    url: Url,
    /// Parts of the URL that may be credentials.
    secrets: Vec<String>,
    client: reqwest::Client,
    /// `None` if it may be asked as often as we like.
    pace: Option<Arc<Pace>>,
    largest_answer_bytes: usize,
    health: Mutex<Health>,
}

/// Requests go to one URL evenly, whoever makes them, but for a few at once after a rest: who counts them by the second
/// must not count more than was agreed and these few.
struct Pace {
    interval: Duration,
    /// How long before they would be due requests may go.
    head_start: Duration,
    /// When the next request would be due if all came evenly.
    due: Mutex<Instant>,
}

/// Of the requests of a second, this part may go at once.
const AT_ONCE_PART: u32 = 5;

/// By URL and requests a second.
type Paces = HashMap<(String, u32), Weak<Pace>>;

/// Those of this process.
static PACES: LazyLock<Mutex<Paces>> = LazyLock::new(Mutex::default);

impl Pace {
    /// `None` for 0, which stands for no limit.
    fn of(requests_per_second: u32) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(requests_per_second)?;
        let head_start = interval * (requests_per_second / AT_ONCE_PART).max(1);
        Some(Self { interval, head_start, due: Mutex::new(Instant::now()) })
    }

    /// The pace of everybody in this process who asks that URL.
    fn shared(url: &Url, requests_per_second: u32) -> Option<Arc<Self>> {
        let mut paces = PACES.lock().unwrap_or_else(PoisonError::into_inner);
        paces.retain(|_, pace| 0 < pace.strong_count());
        let key = (url.to_string(), requests_per_second);
        if let Some(pace) = paces.get(&key).and_then(Weak::upgrade) {
            return Some(pace);
        }
        let pace = Arc::new(Self::of(requests_per_second)?);
        paces.insert(key, Arc::downgrade(&pace));
        Some(pace)
    }

    /// When the next request may go; counts it.
    fn next(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = (*due).max(now) + self.interval;
        due.checked_sub(self.head_start).map_or(now, |turn| turn.max(now))
    }
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
    /// It showed the right chain since its last failure.
    is_verified: bool,
    refuses_batches: bool,
    /// What was last logged about it.
    problem: Option<Problem>,
}

impl Rpc {
    /// The endpoints a network is configured with; asks nothing yet.
    ///
    /// # Panics
    ///
    /// If the system has no TLS or sockets to offer.
    pub fn new(network: &NetworkConfig) -> Self {
        tls::install();
        Self::of(network, network.rpc.iter().map(|url| Arc::new(Endpoint::new(url, network))).collect())
    }

    /// The same, with endpoints that are added while the server runs behind them. `targets` says where those
    /// may be.
    ///
    /// # Panics
    ///
    /// As [`Rpc::new`].
    pub fn with_added(network: &NetworkConfig, added: &AddedEndpoints, targets: Targets) -> Self {
        let rpc = Self::new(network);
        let mut followed = added.0.subscribe();
        followed.mark_changed();
        rpc.known.lock().unwrap_or_else(PoisonError::into_inner).added = Some((followed, targets));
        rpc
    }

    fn of(network: &NetworkConfig, endpoints: Endpoints) -> Self {
        let chain = Chain::of(network);
        Self {
            network: network.name.clone(),
            chain,
            timeout: Duration::from_millis(network.rpc_timeout_ms),
            known: Mutex::new(Known { endpoints, added: None }),
            genesis: network.genesis.map_or_else(OnceLock::new, |genesis| OnceLock::from(chain.spell(genesis))),
            next_id: AtomicU64::new(1),
            last_used: Mutex::new(None),
        }
    }

    /// The hash of block 0 as an endpoint tells it that is not used yet, after it showed the network's chain
    /// id.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub async fn probe(network: &NetworkConfig, url: &Url, targets: &Targets) -> Result<String, Problem> {
        tls::install();
        let rpc = Self::of(network, Arc::default());
        let endpoint = Endpoint::guarded(url, rpc.timeout, targets).ok_or(Problem::Unreachable)?;
        let endpoint = Endpoint { largest_answer_bytes: LARGEST_PROBE_BYTES, ..endpoint };
        rpc.verify(&endpoint).await
    }

    /// The endpoints there are now, those first that are asked first.
    fn endpoints(&self) -> Endpoints {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { endpoints, added } = &mut *known;
        if let Some((followed, targets)) = added
            && followed.has_changed().is_ok_and(|has_changed| has_changed)
        {
            let wanted = followed.borrow_and_update().get(&self.network).cloned().unwrap_or_default();
            let own = endpoints.iter().filter(|endpoint| endpoint.added.is_none()).cloned();
            let added = wanted.into_iter().filter_map(|wanted| {
                let is_it = |endpoint: &&Arc<Endpoint>| {
                    endpoint.added.as_ref().is_some_and(|(id, _)| *id == wanted.id) && endpoint.url == wanted.url
                };
                match endpoints.iter().find(is_it) {
                    Some(endpoint) => Some(Arc::clone(endpoint)),
                    None => Endpoint::added(wanted, &self.network, self.timeout, targets).map(Arc::new),
                }
            });
            *endpoints = own.chain(added).collect::<Vec<_>>().into();
        }
        Arc::clone(endpoints)
    }

    /// Asks one question.
    ///
    /// # Errors
    ///
    /// If no endpoint can be used, or if all that can decline.
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let mut answers = self.together(&[Call::new(method, params)]).await?;
        Ok(answers.pop().ok_or_else(|| self.unavailable(Problem::NotJsonRpc))??)
    }

    /// Asks several questions of one and the same endpoint; answers come in the order of the questions.
    ///
    /// # Errors
    ///
    /// If no endpoint can be used. Single questions may be declined all the same.
    pub async fn together(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let mut declined = None;
        let mut last_problem = Problem::Resting;
        for endpoint in self.endpoints().iter() {
            if endpoint.is_resting() {
                continue;
            }
            match self.ask(endpoint, calls).await {
                Ok(answers) => {
                    endpoint.did_well();
                    let another_may_do_better =
                        answers.iter().any(|answer| matches!(answer, Err(fault) if fault.kind == FaultKind::Other));
                    if !another_may_do_better {
                        self.note_use(endpoint);
                        return Ok(answers);
                    }
                    declined.get_or_insert((Arc::clone(endpoint), answers));
                }
                Err(problem) => {
                    endpoint.failed(&self.network, &problem);
                    last_problem = problem;
                }
            }
        }
        let (endpoint, answers) = declined.ok_or_else(|| self.unavailable(last_problem))?;
        self.note_use(&endpoint);
        Ok(answers)
    }

    fn note_use(&self, endpoint: &Arc<Endpoint>) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(endpoint));
    }

    /// Asks every endpoint that can be used the same question and returns the answers there are.
    pub async fn ask_each(&self, call: &Call) -> Vec<Value> {
        let mut answers = Vec::new();
        for endpoint in self.endpoints().iter().filter(|endpoint| !endpoint.is_resting()) {
            match self.ask(endpoint, std::slice::from_ref(call)).await {
                Ok(answer) => answers.extend(answer.into_iter().flatten()),
                Err(problem) => endpoint.failed(&self.network, &problem),
            }
        }
        answers
    }

    /// The hosts there are to ask, each by its name and its port where that is not the usual one. Two endpoints of
    /// one host are one word.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.endpoints().iter().map(|endpoint| endpoint.label.clone()).collect()
    }

    /// The same network with the endpoints of one host alone, as they are now.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Self {
        let endpoints = self.endpoints().iter().filter(|endpoint| endpoint.label == host).cloned().collect::<Vec<_>>();
        Self {
            network: self.network.clone(),
            chain: self.chain,
            timeout: self.timeout,
            known: Mutex::new(Known { endpoints: endpoints.into(), added: None }),
            genesis: self.genesis.clone(),
            next_id: AtomicU64::new(1),
            last_used: Mutex::new(None),
        }
    }

    /// Asks every host the same questions at the same time, through the first of its endpoints that can be used, and
    /// returns what they answered.
    pub async fn ask_hosts(&self, calls: &[Call]) -> Vec<HostAnswers> {
        let mut by_host: BTreeMap<String, Vec<Arc<Endpoint>>> = BTreeMap::new();
        for endpoint in self.endpoints().iter() {
            by_host.entry(endpoint.label.clone()).or_default().push(Arc::clone(endpoint));
        }
        let asking = by_host.into_iter().map(|(host, endpoints)| self.ask_host(host, endpoints, calls));
        join_all(asking).await.into_iter().flatten().collect()
    }

    async fn ask_host(&self, host: String, endpoints: Vec<Arc<Endpoint>>, calls: &[Call]) -> Option<HostAnswers> {
        for endpoint in endpoints.iter().filter(|endpoint| !endpoint.is_resting()) {
            match self.ask(endpoint, calls).await {
                Ok(answers) => {
                    endpoint.did_well();
                    return Some(HostAnswers { host, answers });
                }
                Err(problem) => endpoint.failed(&self.network, &problem),
            }
        }
        None
    }

    /// Lets the endpoint that answered last rest, because its answer cannot be true.
    pub fn distrust_last(&self) {
        let last_used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(endpoint) = last_used {
            endpoint.failed(&self.network, &Problem::Untrue);
        }
    }

    fn unavailable(&self, problem: Problem) -> RpcError {
        RpcError::Unavailable { network: self.network.clone(), problem }
    }

    async fn ask(&self, endpoint: &Endpoint, calls: &[Call]) -> Result<Vec<Answer>, Problem> {
        if !endpoint.health().is_verified {
            let genesis = self.verify(endpoint).await?;
            let is_ours = match &endpoint.added {
                Some((_, wanted)) => *wanted == genesis,
                None => *self.genesis.get_or_init(|| genesis.clone()) == genesis,
            };
            if !is_ours {
                return Err(Problem::WrongGenesis);
            }
            endpoint.health().is_verified = true;
        }
        // The operator's own may only now have told what block 0 is.
        if let (Some((_, genesis)), Some(ours)) = (&endpoint.added, self.genesis.get())
            && genesis != ours
        {
            return Err(Problem::WrongGenesis);
        }
        let mut answers = Vec::with_capacity(calls.len());
        for calls in batches(calls) {
            if calls.len() > 1
                && !endpoint.health().refuses_batches
                && let Some(batch) = self.ask_batch(endpoint, calls).await?
            {
                answers.extend(batch);
                continue;
            }
            for call in calls {
                answers.push(self.ask_one(endpoint, call).await?);
            }
        }
        Ok(answers)
    }

    /// The hash of block 0 as an endpoint tells it that can be used, in the one spelling there is of it.
    ///
    /// # Errors
    ///
    /// If no endpoint can be used.
    pub async fn first_block(&self) -> Result<String, RpcError> {
        let answer = self.together(&[self.first_block_call()]).await?.pop();
        self.read_first_block(answer).map_err(|problem| self.unavailable(problem))
    }

    fn first_block_call(&self) -> Call {
        match self.chain {
            Chain::Evm { .. } => Call::new("eth_getBlockByNumber", json!(["0x0", false])),
            Chain::Solana => Call::new("getGenesisHash", json!([])),
        }
    }

    fn read_first_block(&self, answer: Option<Answer>) -> Result<String, Problem> {
        let answer = answer.and_then(Result::ok).ok_or(Problem::NotJsonRpc)?;
        let hash = match self.chain {
            Chain::Evm { .. } => answer["hash"].as_str().map(str::to_lowercase),
            // In base58 capital and small letters are different digits.
            Chain::Solana => answer.as_str().map(str::to_owned),
        };
        hash.ok_or(Problem::NotJsonRpc)
    }

    /// Makes sure that an endpoint is on a chain with our id, if it has one; returns the hash of its block 0.
    async fn verify(&self, endpoint: &Endpoint) -> Result<String, Problem> {
        match self.chain {
            Chain::Evm { chain_id: wanted } => {
                let answer = self.ask_one(endpoint, &Call::new("eth_chainId", json!([]))).await?;
                let found = answer.ok().as_ref().and_then(quantity).ok_or(Problem::NotJsonRpc)?;
                if found != wanted {
                    return Err(Problem::WrongChain { found, wanted });
                }
            }
            Chain::Solana => {}
        }
        let answer = self.ask_one(endpoint, &self.first_block_call()).await?;
        self.read_first_block(Some(answer))
    }

    async fn ask_one(&self, endpoint: &Endpoint, call: &Call) -> Result<Answer, Problem> {
        let (id, request) = self.request(call);
        metrics::count_request(&self.network, &endpoint.counted_as);
        let (status, mut body) = endpoint.post(&self.network, &request).await?;
        let is_ours = body["jsonrpc"] == "2.0" && body["id"] == id;
        match body.get_mut("error").map(Value::take).filter(|error| !error.is_null()) {
            // Some errors come before the endpoint has read the id.
            Some(error) if is_ours || body["id"].is_null() => endpoint.fault(call.method, &error).map(Err),
            None if is_ours && status.is_success() => {
                body.get_mut("result").map(Value::take).map(Ok).ok_or(Problem::NotJsonRpc)
            }
            _ if !status.is_success() => Err(Problem::Status(status.as_u16())),
            _ => Err(Problem::NotJsonRpc),
        }
    }

    /// `None` if the endpoint does not take batches.
    async fn ask_batch(&self, endpoint: &Endpoint, calls: &[Call]) -> Result<Option<Vec<Answer>>, Problem> {
        let (ids, requests): (Vec<_>, Vec<_>) = calls.iter().map(|call| self.request(call)).unzip();
        metrics::count_request(&self.network, &endpoint.counted_as);
        let body = match endpoint.post(&self.network, &Value::Array(requests)).await {
            Ok((status, Value::Array(body))) if status.is_success() => body,
            Ok((_, body)) => {
                // One error for all: a refusal of batches, unless it is about our pace.
                let error = body.get("error").filter(|error| !error.is_null()).ok_or(Problem::NotJsonRpc)?;
                endpoint.fault("batch", error)?;
                endpoint.health().refuses_batches = true;
                return Ok(None);
            }
            Err(Problem::Status(400 | 404 | 405 | 413 | 415 | 422 | 501)) => {
                endpoint.health().refuses_batches = true;
                return Ok(None);
            }
            Err(problem) => return Err(problem),
        };
        let mut answers = HashMap::with_capacity(body.len());
        for mut answer in body {
            let id = answer["id"].as_u64().filter(|_| answer["jsonrpc"] == "2.0").ok_or(Problem::NotJsonRpc)?;
            if answers.insert(id, answer.take()).is_some() {
                return Err(Problem::NotJsonRpc);
            }
        }
        let answers = ids.iter().zip(calls).map(|(id, call)| {
            let mut answer = answers.remove(id).ok_or(Problem::NotJsonRpc)?;
            match answer.get_mut("error").map(Value::take).filter(|error| !error.is_null()) {
                Some(error) => endpoint.fault(call.method, &error).map(Err),
                None => answer.get_mut("result").map(Value::take).map(Ok).ok_or(Problem::NotJsonRpc),
            }
        });
        answers.collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn request(&self, call: &Call) -> (u64, Value) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        (id, json!({ "jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params }))
    }
}

impl Endpoint {
    fn new(url: &Url, network: &NetworkConfig) -> Self {
        let timeout = Duration::from_millis(network.rpc_timeout_ms);
        let client = reqwest::Client::builder().timeout(timeout).redirect(redirect::Policy::none());
        let is_here = is_loopback(url);
        let client = if is_here { client.no_proxy() } else { client };
        // Reading the system's certificates takes longer than most else that a start does.
        let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
        #[expect(clippy::expect_used, reason = "start-up: nothing works without sockets and TLS")]
        let client = client.build().expect("an HTTP client can be set up");
        let requests = network.requests_per_second.unwrap_or(if is_here { 0 } else { REQUESTS_PER_SECOND });
        Self { pace: Pace::shared(url, requests), ..Self::over(client, url) }
    }

    /// An endpoint that somebody else chose: it is reached only where `targets` allows.
    fn guarded(url: &Url, timeout: Duration, targets: &Targets) -> Option<Self> {
        let is_plain = url.scheme() == "http";
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .dns_resolver(targets.resolver(is_plain))
            .https_only(!is_plain)
            // A proxy would resolve names itself, past our filter.
            .no_proxy();
        let client = targets.check(url).is_ok().then(|| client.build().ok()).flatten()?;
        Some(Self { counted_as: COUNTED_TOGETHER.to_owned(), ..Self::over(client, url) })
    }

    fn added(added: AddedEndpoint, network: &str, timeout: Duration, targets: &Targets) -> Option<Self> {
        let endpoint = Self::guarded(&added.url, timeout, targets);
        if endpoint.is_none() {
            tracing::warn!(payment.network = network, rpc.id = %added.id, "an added endpoint must not be asked any more");
        }
        endpoint.map(|endpoint| Self { added: Some((added.id, added.genesis)), ..endpoint })
    }

    fn over(client: reqwest::Client, url: &Url) -> Self {
        let label = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => "(no host)".to_owned(),
        };
        let path = url.path_segments().into_iter().flatten().map(str::to_owned);
        let query = url.query_pairs().map(|(_, value)| value.into_owned());
        let user = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
        let secrets = path.chain(query).chain(user).filter(|part| 8 <= part.len()).collect();
        Self {
            added: None,
            counted_as: label.clone(),
            label,
            url: url.clone(),
            secrets,
            client,
            pace: Pace::shared(url, REQUESTS_PER_SECOND),
            largest_answer_bytes: LARGEST_ANSWER_BYTES,
            health: Mutex::default(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self) -> bool {
        self.health().rests_until.is_some_and(|until| Instant::now() < until)
    }

    fn did_well(&self) {
        let mut health = self.health();
        health.failures = 0;
        health.rests_until = None;
        if health.problem.take().is_some() {
            tracing::info!(rpc.endpoint = self.label, "the endpoint works again");
        }
    }

    fn failed(&self, network: &str, problem: &Problem) {
        metrics::count_failure(network, &self.counted_as, problem.kind());
        let mut health = self.health();
        health.is_verified = false;
        health.failures = health.failures.saturating_add(1);
        let rest = match problem {
            Problem::Throttled { rest: Some(rest) } => (*rest).min(LONGEST_WANTED_REST),
            Problem::WrongChain { .. } | Problem::WrongGenesis => LONGEST_REST,
            _ => rest_after(health.failures, random_bytes()),
        };
        health.rests_until = Some(Instant::now() + rest);
        if health.problem.as_ref() == Some(problem) {
            return;
        }
        health.problem = Some(problem.clone());
        match problem {
            Problem::WrongChain { .. } | Problem::WrongGenesis => {
                tracing::error!(
                    payment.network = network,
                    rpc.endpoint = self.label,
                    "an endpoint {problem} and is not used"
                );
            }
            _ => {
                tracing::warn!(payment.network = network, rpc.endpoint = self.label, "an endpoint {problem}");
            }
        }
    }

    /// Posts JSON and reads JSON.
    async fn post(&self, network: &str, request: &Value) -> Result<(StatusCode, Value), Problem> {
        if let Some(pace) = &self.pace {
            tokio::time::sleep_until(pace.next(Instant::now())).await;
        }
        let request = request.to_string();
        let asked = request.len();
        let sent =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(request).send().await;
        let mut response = sent.map_err(|error| transport_problem(&error))?;
        let status = response.status();
        let is_about_us = status.is_client_error() && !matches!(status.as_u16(), 401 | 402 | 403 | 407 | 408 | 429);
        let rest = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let rest = rest.map(Duration::from_secs);
        let asks_for_rest = status == StatusCode::SERVICE_UNAVAILABLE && rest.is_some();
        if status == StatusCode::TOO_MANY_REQUESTS || asks_for_rest {
            return Err(Problem::Throttled { rest });
        }
        // Some say what is wrong with a question as JSON-RPC under a 4xx status.
        if !status.is_success() && !is_about_us {
            return Err(Problem::Status(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport_problem(&error))? {
            if self.largest_answer_bytes < body.len() + chunk.len() {
                return Err(Problem::NotJsonRpc);
            }
            body.extend_from_slice(&chunk);
        }
        metrics::count_bytes(network, asked, body.len());
        match serde_json::from_slice(&body) {
            Ok(body @ (Value::Object(_) | Value::Array(_))) => Ok((status, body)),
            _ if !status.is_success() => Err(Problem::Status(status.as_u16())),
            _ => Err(Problem::NotJsonRpc),
        }
    }

    /// Reads a JSON-RPC error object; one about our pace is the endpoint's problem, not the question's.
    fn fault(&self, method: &'static str, error: &Value) -> Result<Fault, Problem> {
        let code = error["code"].as_i64().ok_or(Problem::NotJsonRpc)?;
        let mut message = error["message"].as_str().unwrap_or_default().to_owned();
        for secret in &self.secrets {
            message = message.replace(secret, "…");
        }
        let words: Vec<&str> = message.split_whitespace().filter(|word| !word.contains("://")).collect();
        let message: String = words.join(" ").chars().take(LONGEST_MESSAGE).collect();
        let lower = message.to_lowercase();
        if is_about_pace(&lower) {
            return Err(Problem::Throttled { rest: None });
        }
        let kind = match code {
            3 => FaultKind::Reverted,
            _ if lower.contains("revert") => FaultKind::Reverted,
            _ if is_about_size(&lower) => FaultKind::TooMuch,
            _ => FaultKind::Other,
        };
        Ok(Fault { method, code, message, kind })
    }
}

/// Calls in groups of which each fits into one request.
fn batches(calls: &[Call]) -> Vec<&[Call]> {
    let mut batches = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, call) in calls.iter().enumerate() {
        let of_this = call.params.to_string().len();
        let is_full = index - first == LARGEST_BATCH || LARGEST_BATCH_BYTES < bytes + of_this;
        if first < index && is_full {
            batches.push(&calls[first..index]);
            (first, bytes) = (index, 0);
        }
        bytes += of_this;
    }
    batches.extend(calls.get(first..).filter(|rest| !rest.is_empty()));
    batches
}

/// A JSON-RPC quantity: hexadecimal text with a prefix.
pub fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn is_about_pace(message: &str) -> bool {
    [
        "rate limit",
        "rate-limit",
        "request rate",
        "too many requests",
        "request count",
        "throughput",
        "capacity",
        "quota",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn is_about_size(message: &str) -> bool {
    ["range", "limit", "too many", "too large", "too big", "exceed", "more than", "size", "query timeout"]
        .iter()
        .any(|words| message.contains(words))
}

fn transport_problem(error: &reqwest::Error) -> Problem {
    if error.is_timeout() { Problem::TooSlow } else { Problem::Unreachable }
}

/// The rest after a number of failures in a row, a quarter longer or shorter by chance, so that many
/// clients do not come back at once.
fn rest_after(failures: u32, chance: [u8; 1]) -> Duration {
    let doublings = failures.saturating_sub(1).min(7);
    let rest = SHORTEST_REST.saturating_mul(1 << doublings).min(LONGEST_REST);
    let percent = 75 + u32::from(chance[0]) * 50 / 255;
    rest.saturating_mul(percent) / 100
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
