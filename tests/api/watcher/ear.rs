//! Hears which alarms are raised; its test must run on one thread.

use std::{
    fmt::Debug,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
};

/// Listens until it is dropped.
pub struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Ear {
    pub fn listen() -> Self {
        // As long as there is one subscriber only, tracing does not ask that one whether it wants a line but the thread that
        // comes by, which may have none (tokio-rs/tracing#3611). With two that stay, it asks all of them.
        static STAYING: LazyLock<[Dispatch; 2]> = LazyLock::new(|| {
            let deaf = || Dispatch::new(tracing_subscriber::registry().with(LevelFilter::OFF));
            [deaf(), deaf()]
        });
        LazyLock::force(&STAYING);
        let heard = Arc::default();
        let notes = Notes(Arc::clone(&heard)).with_filter(LevelFilter::ERROR);
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(notes));
        Self { heard, _guard: guard }
    }

    /// The kinds of alarms since the last look, in their order.
    pub fn alarms(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

struct Notes(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut kind = Kind(None);
        event.record(&mut kind);
        self.0.lock().unwrap().extend(kind.0);
    }
}

struct Kind(Option<String>);

impl Visit for Kind {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "alarm" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
