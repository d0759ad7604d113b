//! The product as its users meet it: a payer in Chromium, a shop, wallets, and a merchant who is paid.
//!
//! Tests share one scene, for as long as one of them runs, and each has a merchant and a browser of its own. A test
//! that breaks something sets a scene for itself.

mod accessibility;
mod asleep;
mod brand;
mod choice;
mod copy;
mod every_state;
mod expiry;
mod faults;
mod first_frame;
mod hostile_text;
mod news;
mod pay_invoice;
mod proof;
mod questions_and_receipt;
mod reconnect;
mod socketless_proxy;
mod solana;
mod sweep;
mod tampering_proxy;
mod visit;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use e2e::{outcome::Outcome, scene::Scene};
use tokio::runtime::Runtime;

/// Within this every test is done, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(150);

/// How much of the server's log a failure shows.
const LOG_LINES: usize = 25;

/// The scene that tests share. Static values are never dropped, so it is kept by those who use it.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// The same with a local Solana, which takes longer to set.
static SHARED_WITH_SOLANA: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

struct Shared {
    // Fields drop in this order: the scene inside the runtime that it was set in.
    scene: Scene,
    runtime: Runtime,
}

impl Shared {
    fn get(held: &Mutex<Weak<Self>>, set: impl AsyncFnOnce() -> Outcome<Scene>) -> Arc<Self> {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = held.upgrade() {
            return shared;
        }
        let runtime = Runtime::new().expect("the system gives a runtime");
        let scene = runtime.block_on(set()).unwrap_or_else(|failure| panic!("no scene: {failure}"));
        let shared = Arc::new(Self { scene, runtime });
        *held = Arc::downgrade(&shared);
        shared
    }
}

/// Runs a test on the shared scene.
#[track_caller]
fn on_shared_scene(test: impl AsyncFnOnce(&Scene) -> Outcome) {
    on_scene(&Shared::get(&SHARED, Scene::set), test);
}

/// Runs a test on the shared scene that has a local Solana.
#[track_caller]
fn on_shared_scene_with_solana(test: impl AsyncFnOnce(&Scene) -> Outcome) {
    on_scene(&Shared::get(&SHARED_WITH_SOLANA, Scene::set_with_solana), test);
}

#[track_caller]
fn on_scene(shared: &Shared, test: impl AsyncFnOnce(&Scene) -> Outcome) {
    let result =
        shared.runtime.block_on(async { tokio::time::timeout(DEADLINE + asleep::asleep(), test(&shared.scene)).await });
    judge(result.ok(), &shared.scene);
}

/// Runs a test on a scene of its own, which it may change.
#[track_caller]
fn on_own_scene(test: impl AsyncFnOnce(&mut Scene) -> Outcome) {
    let runtime = Runtime::new().expect("the system gives a runtime");
    let mut scene = runtime.block_on(Scene::set()).unwrap_or_else(|failure| panic!("no scene: {failure}"));
    let result = runtime.block_on(async { tokio::time::timeout(DEADLINE, test(&mut scene)).await });
    judge(result.ok(), &scene);
    drop(scene);
}

#[track_caller]
fn judge(result: Option<Outcome>, scene: &Scene) {
    let trouble = match result {
        Some(Ok(())) => return,
        Some(Err(failure)) => failure.to_string(),
        None => format!("not done after {} s", DEADLINE.as_secs()),
    };
    panic!("{trouble}\nThe server's last lines:\n{}", scene.stage.log_tail(LOG_LINES));
}
