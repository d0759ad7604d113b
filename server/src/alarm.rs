//! Alarms: what an operator has to look at, whoever is asleep.
//!
//! An alarm is a record of the log with the field `alarm`, which names its kind. It is counted, and posted to the
//! operator's own address where there is one. Nothing that raises one waits for that.

use std::{
    fmt::{Debug, Write},
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use reqwest::redirect;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};
use url::Url;

use crate::{app::App, metrics};

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

/// Notes every alarm that is logged, whatever the log's filter says.
pub struct AlarmLayer;

impl<S: Subscriber> Layer<S> for AlarmLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().fields().field(FIELD).is_none() {
            return;
        }
        let mut alarm = Alarm::default();
        event.record(&mut alarm);
        metrics::count_alarm(&alarm.kind);
        // It is in the log all the same.
        let _full = RAISED.sender.try_send(alarm);
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
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{value:?}");
        self.take(field, text.into());
    }
}

/// Posts alarms until shutdown, if the operator wants that. What is raised meanwhile waits.
pub async fn run(app: App) {
    let Some(url) = app.config.operator.webhook_url.clone() else { return app.shutdown.cancelled().await };
    let receiver = RAISED.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = receiver else { return app.shutdown.cancelled().await };
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error = %error, "alarms cannot be posted at all");
            return app.shutdown.cancelled().await;
        }
    };
    let posting = async {
        while let Some(alarm) = receiver.recv().await {
            post(&app, &client, &url, &alarm).await;
        }
    };
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        () = posting => {}
    }
    *RAISED.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
}

/// Tries a few times; the URL is never in the log, since it may hold a secret.
async fn post(app: &App, client: &reqwest::Client, url: &Url, alarm: &Alarm) {
    // `text` is what chat services show.
    let body = json!({
        "object": "alarm",
        "alarm": alarm.kind,
        "text": alarm.message,
        "node": app.node.as_str(),
        "created": app.clock.now().0,
        "fields": alarm.fields,
    });
    for wait in AGAIN_AFTER.map(Some).into_iter().chain([None]) {
        match client.post(url.clone()).json(&body).send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => {
                tracing::warn!(status = answer.status().as_u16(), "the operator's address did not take an alarm")
            }
            Err(error) => tracing::warn!(error = %error.without_url(), "the operator's address cannot be reached"),
        }
        let Some(wait) = wait else { return tracing::error!("an alarm was not taken; it is in the log") };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps what a record with the field `alarm` is read as.
    struct Keep(std::sync::Arc<Mutex<Vec<Alarm>>>);

    impl<S: Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut alarm = Alarm::default();
            event.record(&mut alarm);
            self.0.lock().unwrap().push(alarm);
        }
    }

    #[test]
    fn a_record_is_read_with_its_kind_words_and_fields() {
        crate::testing::ask_every_subscriber();
        let kept = std::sync::Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Keep(std::sync::Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(
                alarm = "network_stopped",
                payment.network = "base",
                block.from = 7_u64,
                "ALARM: it stopped"
            );
        });
        let kept = kept.lock().unwrap();
        let [alarm] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((alarm.kind.as_str(), alarm.message.as_str()), ("network_stopped", "ALARM: it stopped"));
        assert_eq!(Value::from(alarm.fields.clone()), json!({ "payment.network": "base", "block.from": 7 }));
    }
}
