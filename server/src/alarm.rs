//! Alarms: what an operator has to look at, whoever is asleep.
//!
//! An alarm is an error in the log with the field `alarm`, which names its kind. It is counted, and posted to the
//! operator's own address where there is one. Nothing that raises one waits for that.

use std::{
    fmt::Debug,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{StatusCode, redirect};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, filter::filter_fn, layer::Context, registry::LookupSpan};
use url::Url;

use crate::{app::App, config::is_loopback, metrics};

/// Names every kind of alarm once. `docs/operating.md` says what to do about each, which a test compares.
macro_rules! kinds {
    ($($name:ident = $kind:literal,)+) => {
        $(pub const $name: &str = $kind;)+
        /// All of them.
        pub const KINDS: &[&str] = &[$($kind),+];
    };
}

kinds! {
    NETWORK_UNFIT = "network_unfit",
    NETWORK_UNREADABLE = "network_unreadable",
    NETWORK_STOPPED = "network_stopped",
    FINALITY_DISPUTED = "finality_disputed",
    PAYMENT_DISPUTED = "payment_disputed",
    PAYMENT_TOO_LARGE_FOR_ONE_ENDPOINT = "payment_too_large_for_one_endpoint",
    PAYMENT_WITHOUT_WITNESS = "payment_without_witness",
    TRANSACTION_UNREADABLE = "transaction_unreadable",
    DEPOSIT_SHORT = "deposit_short",
    DEPOSIT_DIFFERS = "deposit_differs",
    ADDRESS_USED_BEFORE = "address_used_before",
    SOLANA_ADDRESSES_RUN_OUT = "solana_addresses_run_out",
    UNIQUE_AMOUNTS_USED_UP = "unique_amounts_used_up",
    PAID_INVOICE_UNDONE = "paid_invoice_undone",
    SWEEP_FAILED = "sweep_failed",
    SWEEP_REVERTED = "sweep_reverted",
    GAS_KEY_UNFIT = "gas_key_unfit",
    GAS_KEY_IS_A_WALLET = "gas_key_is_a_wallet",
    GAS_KEY_EMPTY = "gas_key_empty",
    GAS_KEY_REFUSED = "gas_key_refused",
    GAS_KEY_USED_ELSEWHERE = "gas_key_used_elsewhere",
    FACTS_NOT_FOLLOWED = "facts_not_followed",
    DOLLAR_TOKEN_OFF_PAR = "dollar_token_off_par",
    PRICE_DISPUTED = "price_disputed",
}

/// The field that makes a record an alarm.
const FIELD: &str = "alarm";
/// What waits to be posted. More than that at once is one trouble, and in the log.
const MOST_WAITING: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Waits between tries to post one.
const AGAIN_AFTER: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// Alarms of this process on their way to the operator.
static RAISED: LazyLock<Raised> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    Raised { sender, receiver: Mutex::new(Some(receiver)) }
});

struct Raised {
    sender: Sender<Alarm>,
    /// Until somebody posts them.
    receiver: Mutex<Option<Receiver<Alarm>>>,
}

/// One alarm as its record tells it.
#[derive(Debug, Default, PartialEq)]
struct Alarm {
    kind: String,
    message: String,
    fields: Map<String, Value>,
}

/// Notes every alarm that is logged, whatever the log's own filter says.
pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> impl Layer<S> {
    noting(RAISED.sender.clone())
}

fn noting<S: Subscriber + for<'span> LookupSpan<'span>>(sender: Sender<Alarm>) -> impl Layer<S> {
    let is_alarm = filter_fn(|record| record.is_event() && record.fields().field(FIELD).is_some());
    Notes(sender).with_filter(is_alarm.with_max_level_hint(LevelFilter::ERROR))
}

struct Notes(Sender<Alarm>);

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut alarm = Alarm::default();
        event.record(&mut alarm);
        metrics::count_alarm(&alarm.kind);
        // It is in the log all the same.
        let _full = self.0.try_send(alarm);
    }
}

impl Alarm {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (FIELD, Value::String(kind)) => self.kind = kind,
            ("message", Value::String(message)) => self.message = message,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }

    /// What people are shown, since chat services show nothing else.
    fn text(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            value => format!("{name}: {value}"),
        });
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() { self.message.clone() } else { format!("{} ({})", self.message, fields.join(", ")) }
    }
}

impl Visit for Alarm {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}").into());
    }
}

/// Posts alarms until shutdown, if the operator wants that. What waits then is in the log only.
pub async fn run(app: App) {
    let posting = async {
        let url = app.config.operator.webhook_url.as_ref()?;
        let mut receiver = RAISED.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let client = client(url).inspect_err(|error| tracing::error!(%error, "no alarm can be posted")).ok()?;
        loop {
            let alarm = receiver.recv().await?;
            post(&app, &client, url, &alarm).await;
        }
    };
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        // Where nothing can be posted, this duty is to wait for the end.
        None::<()> = posting => app.shutdown.cancelled().await,
    }
}

fn client(url: &Url) -> reqwest::Result<reqwest::Client> {
    // An answer that leads elsewhere is no answer: what is said here is for that address only.
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
    if is_loopback(url) { client.no_proxy() } else { client }.build()
}

/// Tries a few times; the URL is never in the log, since it may hold a secret.
async fn post(app: &App, client: &reqwest::Client, url: &Url, alarm: &Alarm) {
    let body = json!({
        "object": "alarm",
        "alarm": alarm.kind,
        "text": alarm.text(),
        "node": app.node.as_str(),
        "sent": app.clock.now().0,
        "fields": alarm.fields,
    });
    for wait in AGAIN_AFTER.map(Some).into_iter().chain([None]) {
        match client.post(url.clone()).json(&body).send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => {
                let status = answer.status();
                tracing::warn!(status = status.as_u16(), "the operator's address did not take an alarm");
                if !may_be_taken_later(status) {
                    break;
                }
            }
            Err(error) => tracing::warn!(error = %error.without_url(), "the operator's address cannot be reached"),
        }
        let Some(wait) = wait else { break };
        tokio::time::sleep(wait).await;
    }
    tracing::error!(alarm.kind, "an alarm was not taken; the log has it");
}

/// Whether the same words may be taken another time. Others would wait behind them in vain otherwise.
fn may_be_taken_later(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What is noted of what `log` logs, by a log that itself writes nothing.
    fn noted(log: impl FnOnce()) -> Vec<Alarm> {
        crate::testing::ask_every_subscriber();
        let (sender, mut receiver) = mpsc::channel(MOST_WAITING);
        let silent = tracing_subscriber::fmt::layer().with_filter(LevelFilter::OFF);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(silent).with(noting(sender)), log);
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn an_alarm_is_noted_with_its_kind_words_and_fields_and_nothing_else_is() {
        let noted = noted(|| {
            tracing::error!("not an alarm");
            tracing::error!(alarm = NETWORK_STOPPED, payment.network = "base", block.from = 7_u64, "ALARM: it stopped");
            tracing::info!(payment.network = "base", "not one either");
        });
        let [alarm] = noted.as_slice() else { panic!("{noted:?}") };
        assert_eq!((alarm.kind.as_str(), alarm.message.as_str()), ("network_stopped", "ALARM: it stopped"));
        assert_eq!(Value::from(alarm.fields.clone()), json!({ "payment.network": "base", "block.from": 7 }));
        assert_eq!(alarm.text(), "ALARM: it stopped (block.from: 7, payment.network: base)");
    }

    #[test]
    fn alarms_that_nobody_takes_hold_nobody_up() {
        let noted = noted(|| {
            for _ in 0..2 * MOST_WAITING {
                tracing::error!(alarm = DEPOSIT_SHORT, "ALARM: again");
            }
        });
        assert_eq!(noted.len(), MOST_WAITING);
    }

    #[test]
    fn what_is_refused_for_good_is_not_sent_again() {
        for (status, is_sent_again) in [(500, true), (503, true), (408, true), (429, true), (301, false), (400, false)]
        {
            assert_eq!(may_be_taken_later(StatusCode::from_u16(status).unwrap()), is_sent_again, "{status}");
        }
    }

    /// The table of the guide, which begins each row with a kind.
    #[test]
    fn the_guide_says_what_to_do_about_each_kind() {
        let guide = include_str!("../../docs/operating.md");
        let alarms = guide.split("\n## ").find(|part| part.starts_with("Alarms")).unwrap();
        let rows = alarms.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        assert_eq!(rows.collect::<Vec<_>>(), KINDS);
    }
}
