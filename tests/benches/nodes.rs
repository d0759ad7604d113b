//! What telling other nodes costs: commits a second on PostgreSQL, with nodes that tell each other and without.
//!
//! It prints figures and judges nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{
    id::{InvoiceId, MerchantId},
    time::UnixMillis,
};
use e2e::{append_events, invoice_event};
use futures_util::future::join_all;
use pepay::store::{NewEvent, Store};
use serde_json::json;

const WRITERS: usize = 32;
const LASTS: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let url = postgres_cluster::new_database();
    let (here, _) = Store::open(&url).await.expect("the database opens");
    let (there, _) = Store::open(&url).await.expect("the database opens");
    // Once unmeasured: the first commits also make the connections.
    commits(&here).await;
    for _ in 0..ROUNDS {
        println!("nobody is told:       {:.0} commits/s", commits(&here).await);
        let heard = AtomicU64::new(0);
        let listening = async {
            loop {
                there.log_growth().await;
                heard.fetch_add(1, Ordering::Relaxed);
            }
        };
        let told = tokio::select! {
            told = commits(&here) => told,
            () = here.carry_hints() => unreachable!("it goes on until it is dropped"),
            () = there.carry_hints() => unreachable!("it goes on until it is dropped"),
            () = listening => unreachable!("it goes on until it is dropped"),
        };
        let a_second = f64::from(u32::try_from(heard.into_inner()).unwrap_or(u32::MAX)) / LASTS.as_secs_f64();
        println!("another node is told: {told:.0} commits/s, it hears of them {a_second:.0} times a second");
    }
}

/// Commits a second of so many writers, each of which adds events.
async fn commits(store: &Store) -> f64 {
    let (count, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let writers = (0..WRITERS).map(|_| async {
        while began.elapsed() < LASTS {
            append_events(store, vec![event()]).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    join_all(writers).await;
    f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64()
}

fn event() -> NewEvent {
    invoice_event(MerchantId(1), InvoiceId::from_random([1; 16]), &json!({}), UnixMillis(1))
}
