//! What merchants are told, and where nobody is told anything.

use std::collections::HashSet;

use domain::time::UnixMillis;
use e2e::{Database, Merchant, Received, Reply, ServerProcess, TestApp, WebhookSink, eventually};
use pepay::store::{NewEvent, StoreError};
use serde_json::json;
use uuid::Uuid;
use wire::invoice::CreatedInvoice;

const LOOPBACK: (&str, &str) = ("PEPAY__WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "[\"127.0.0.0/8\"]");
const SHORT_TIMEOUT: (&str, &str) = ("PEPAY__WEBHOOKS__TIMEOUT_MS", "400");
/// What fails is given up soon.
const ONE_QUICK_RETRY: (&str, &str) = ("PEPAY__WEBHOOKS__RETRY_SECONDS", "[1]");
const CONFIG: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";

fn invoice_ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|webhook| webhook.event.data.object["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The numbers of the events that arrived, each once.
fn sequences(received: &[Received]) -> HashSet<&str> {
    received.iter().filter_map(|webhook| webhook.event.id.rsplit('-').next()).collect()
}

/// Waits until the first try of all that is owed has failed; returns when the next one is due.
async fn next_try(app: &TestApp) -> UnixMillis {
    let now = app.app().clock.now_ms();
    // A claim lasts a minute; the first retry comes sooner.
    let is_retry = |due: &UnixMillis| now < *due && due.0 < now.0 + 30_000;
    eventually("a try to fail", async || next_due(app).await.filter(is_retry)).await
}

async fn next_due(app: &TestApp) -> Option<UnixMillis> {
    app.app().store.reader().await.unwrap().tx().next_delivery_due().await.unwrap()
}

async fn nothing_is_owed(app: &TestApp) {
    eventually("all webhooks to be settled", async || next_due(app).await.is_none().then_some(())).await;
}

/// Makes another event of an invoice, as a change of it would.
async fn append_event(app: &TestApp, merchant: &Merchant, invoice: &CreatedInvoice) {
    let event = NewEvent {
        merchant: merchant.id,
        invoice: Some(invoice.invoice_id.parse().unwrap()),
        event_type: "invoice.updated",
        environment: wire::Environment::Devnet,
        object: json!({ "object": "invoice", "id": invoice.invoice_id }).to_string(),
        previous_attributes: None,
        request_id: None,
        idempotency_key: None,
        created: app.app().clock.now_ms(),
    };
    let appended: Result<(), StoreError> =
        app.app().store.write(move |tx| Box::pin(async move { tx.append_event(&event).await })).await;
    appended.unwrap();
}

async fn a_new_invoice_is_told_with_a_signature_over_the_very_bytes(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    let secret = app.set_webhook(&merchant, &sink.url).await;
    let invoice = merchant.api.create_invoice("49.999").await;

    let received = &sink.wait_for(1).await[0];
    assert!(received.is_signed_with(&secret));
    assert!(!received.is_signed_with("whsec_another"));
    let mut altered = received.clone();
    altered.body[10] ^= 1;
    assert!(!altered.is_signed_with(&secret));

    let event = &received.event;
    assert_eq!((event.event_type.as_str(), event.object.as_str(), event.livemode), ("invoice.created", "event", false));
    assert_eq!(event.data.object["id"], json!(invoice.invoice_id));
    assert_eq!(event.data.object["amount"], json!(49_999));
    assert_eq!(received.header("x-pepay-event"), "invoice.created");
    assert_eq!(received.header("x-pepay-event-id"), event.id);
    assert_eq!(received.header("x-pepay-network-environment"), "devnet");
    assert_eq!(received.header("content-type"), "application/json");
    let signed_ms: i64 = received.header("x-pepay-timestamp").parse().unwrap();
    assert!((app.app().clock.now_ms().0 - signed_ms).abs() < 60_000);
    nothing_is_owed(&app).await;
    assert_eq!(sink.received().len(), 1);
}

async fn a_failed_webhook_is_tried_again_after_the_set_waits_and_then_given_up(database: Database) {
    let waits = ("PEPAY__WEBHOOKS__RETRY_SECONDS", "[20, 25]");
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, waits]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    let secret = app.set_webhook(&merchant, &sink.url).await;
    sink.always(Reply::Status(500));
    let before = app.app().clock.now_ms();
    merchant.api.create_invoice("1").await;

    sink.wait_for(1).await;
    let first_wait = next_try(&app).await.0 - before.0;
    assert!((16_000..=30_000).contains(&first_wait), "{first_wait}");
    app.clock.advance_seconds(25);
    let again = app.app().clock.now_ms();
    sink.wait_for(2).await;
    let second_wait = next_try(&app).await.0 - again.0;
    assert!((20_000..=36_000).contains(&second_wait), "{second_wait}");
    app.clock.advance_seconds(31);
    let received = sink.wait_for(3).await;
    nothing_is_owed(&app).await;

    assert!(received.iter().all(|webhook| webhook.is_signed_with(&secret)));
    let distinct = |name: &str| received.iter().map(|webhook| webhook.header(name)).collect::<HashSet<_>>().len();
    assert_eq!((distinct("x-pepay-event-id"), distinct("x-pepay-timestamp"), distinct("x-pepay-signature")), (1, 3, 3));
}

async fn a_webhook_that_succeeds_in_the_end_is_not_sent_again(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    for failure in [Reply::Status(500), Reply::Status(400), Reply::Reset] {
        sink.reply([failure]);
    }
    merchant.api.create_invoice("1").await;
    for tries in 1..=3 {
        sink.wait_for(tries).await;
        // A claim lasts up to a minute; none of the waits is near that.
        eventually("the try to be recorded", async || {
            let wait_ms = next_due(&app).await?.0 - app.app().clock.now_ms().0;
            (!(20_000..=70_000).contains(&wait_ms)).then_some(())
        })
        .await;
        app.clock.advance_seconds(3_600);
    }
    sink.wait_for(4).await;
    nothing_is_owed(&app).await;
    assert_eq!(sink.received().len(), 4);
}

async fn a_receiver_may_ask_for_patience(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::RetryAfter(900)]);
    let before = app.app().clock.now_ms().0;
    merchant.api.create_invoice("1").await;
    let due =
        eventually("the wish to be recorded", async || next_due(&app).await.filter(|due| before + 300_000 < due.0))
            .await;
    assert!((900_000..=930_000).contains(&(due.0 - before)), "{}", due.0 - before);
}

async fn a_receiver_that_is_gone_hears_no_more_of_an_event(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::Status(410)]);
    merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    nothing_is_owed(&app).await;
}

async fn events_of_one_invoice_keep_their_order_and_hold_up_no_other(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::Status(500)]);
    let failing = merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    next_try(&app).await;

    append_event(&app, &merchant, &failing).await;
    let other = merchant.api.create_invoice("2").await;
    let received = sink.wait_for(2).await;
    assert_eq!(invoice_ids(&received)[1], other.invoice_id, "the later event of the failing invoice waits");

    app.clock.advance_seconds(10);
    let received = sink.wait_for(4).await;
    nothing_is_owed(&app).await;
    let of_failing: Vec<_> =
        received.iter().filter(|webhook| webhook.event.data.object["id"] == json!(failing.invoice_id)).collect();
    let types: Vec<_> = of_failing.iter().map(|webhook| webhook.event.event_type.as_str()).collect();
    assert_eq!(types, ["invoice.created", "invoice.created", "invoice.updated"]);
}

async fn an_event_that_keeps_failing_holds_back_later_ones_for_a_minute_at_most(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::RetryAfter(3_600)]);
    let invoice = merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    append_event(&app, &merchant, &invoice).await;
    app.clock.advance_seconds(61);
    let received = sink.wait_for(2).await;
    assert_eq!(received[1].event.event_type, "invoice.updated");
}

async fn a_receiver_that_hangs_delays_no_other_merchant(database: Database) {
    let app = TestApp::start_on(database, &[LOOPBACK]).await;
    let (hanging, healthy) = (WebhookSink::start().await, WebhookSink::start().await);
    hanging.always(Reply::Hang);
    let (first, second) = (app.create_merchant().await, app.create_merchant().await);
    app.set_webhook(&first, &hanging.url).await;
    app.set_webhook(&second, &healthy.url).await;
    for _ in 0..24 {
        first.api.create_invoice("1").await;
    }
    hanging.wait_for(4).await;
    let before = std::time::Instant::now();
    second.api.create_invoice("1").await;
    healthy.wait_for(1).await;
    // The hanging tries last ten seconds.
    assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    assert_eq!(hanging.received().len(), 4, "one receiver gets a part of the room only");
}

async fn hanging_and_dripping_receivers_run_out_of_time(database: Database) {
    for reply in [Reply::Hang, Reply::Drip] {
        let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, SHORT_TIMEOUT]).await, WebhookSink::start().await);
        let merchant = app.create_merchant().await;
        app.set_webhook(&merchant, &sink.url).await;
        sink.always(reply);
        merchant.api.create_invoice("1").await;
        sink.wait_for(1).await;
        next_try(&app).await;
    }
}

async fn an_endless_answer_is_cut_off(database: Database) {
    for (status, is_owed) in [(200, false), (500, true)] {
        let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
        let merchant = app.create_merchant().await;
        app.set_webhook(&merchant, &sink.url).await;
        sink.reply([Reply::Endless(status)]);
        merchant.api.create_invoice("1").await;
        sink.wait_for(1).await;
        if is_owed {
            next_try(&app).await;
        } else {
            nothing_is_owed(&app).await;
        }
        // What the sender did not read sits in the system's buffers.
        let taken = sink.endless_bytes()[0];
        assert!(taken < 16 << 20, "{taken} bytes were taken");
    }
}

async fn a_redirect_is_not_followed(database: Database) {
    let app = TestApp::start_on(database, &[LOOPBACK]).await;
    let (sink, elsewhere) = (WebhookSink::start().await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::Redirect(elsewhere.url.clone())]);
    merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    next_try(&app).await;
    assert_eq!(elsewhere.connections(), 0);
}

async fn nothing_connects_to_a_private_address_however_it_is_spelt(database: Database) {
    let app = TestApp::start_on(database, &[ONE_QUICK_RETRY]).await;
    let sink = WebhookSink::start().await;
    let port = sink.url.parse::<url::Url>().unwrap().port().unwrap();
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::ffff:127.0.0.1]"]
    {
        for scheme in ["http", "https"] {
            let merchant = app.create_merchant().await;
            app.set_webhook(&merchant, &format!("{scheme}://{host}:{port}/hook")).await;
            merchant.api.create_invoice("1").await;
        }
    }
    nothing_is_owed(&app).await;
    assert_eq!(sink.connections(), 0);
}

async fn a_network_on_the_list_opens_no_other(database: Database) {
    let other = ("PEPAY__WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "[\"10.0.0.0/8\"]");
    let (app, sink) = (TestApp::start_on(database, &[other, ONE_QUICK_RETRY]).await, WebhookSink::start().await);
    let url = sink.url.replace("127.0.0.1", "localhost");
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &url).await;
    merchant.api.create_invoice("1").await;
    nothing_is_owed(&app).await;
    assert_eq!(sink.connections(), 0);
}

async fn a_server_that_stops_finishes_what_it_sends_and_goes_on_later(database: Database) {
    let (mut app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = app.create_merchant().await;
    app.set_webhook(&merchant, &sink.url).await;
    sink.reply([Reply::Status(500)]);
    merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    app.restart().await;
    next_try(&app).await;
    app.clock.advance_seconds(10);
    sink.wait_for(2).await;
    nothing_is_owed(&app).await;
}

on_each_database!(
    a_new_invoice_is_told_with_a_signature_over_the_very_bytes,
    a_failed_webhook_is_tried_again_after_the_set_waits_and_then_given_up,
    a_webhook_that_succeeds_in_the_end_is_not_sent_again,
    a_receiver_may_ask_for_patience,
    a_receiver_that_is_gone_hears_no_more_of_an_event,
    events_of_one_invoice_keep_their_order_and_hold_up_no_other,
    an_event_that_keeps_failing_holds_back_later_ones_for_a_minute_at_most,
    a_receiver_that_hangs_delays_no_other_merchant,
    hanging_and_dripping_receivers_run_out_of_time,
    an_endless_answer_is_cut_off,
    a_redirect_is_not_followed,
    nothing_connects_to_a_private_address_however_it_is_spelt,
    a_network_on_the_list_opens_no_other,
    a_server_that_stops_finishes_what_it_sends_and_goes_on_later,
);

/// Creates an invoice while the server dies at a named place; returns the key it was asked with.
async fn create_into_a_crash(
    server: &mut ServerProcess,
    sink: &WebhookSink,
    failpoint: &str,
) -> (Uuid, e2e::ApiClient) {
    let (api, _) = server.create_merchant(&sink.url);
    server.set_variable("PEPAY_FAILPOINT", failpoint);
    server.start().await.unwrap();
    let key = Uuid::new_v4();
    // Whether an answer comes depends on where the server dies.
    let _answer = api.try_create_invoice(key, &json!({ "amount_usd": 5 })).await;
    server.wait_for_end().await;
    server.unset_variable("PEPAY_FAILPOINT");
    (key, api)
}

#[tokio::test]
async fn an_event_is_queued_with_the_change_it_tells_of_or_not_at_all() {
    // A crash before the commit leaves neither; one after it leaves both.
    for (failpoint, is_kept) in [("create.after_invoice:1", false), ("store.after_commit:1", true)] {
        let sink = WebhookSink::start().await;
        let mut server = ServerProcess::prepare(CONFIG);
        let (key, api) = create_into_a_crash(&mut server, &sink, failpoint).await;
        assert_eq!(sink.received().len(), 0);
        server.start().await.unwrap();
        if is_kept {
            sink.wait_for(1).await;
        }
        let request = json!({ "amount_usd": 5 });
        let invoice: CreatedInvoice = api.try_create_invoice(key, &request).await.unwrap().good();
        let again: CreatedInvoice = api.try_create_invoice(key, &request).await.unwrap().good();
        assert_eq!(invoice.invoice_id, again.invoice_id);
        let received = sink.wait_for(1).await;
        assert_eq!(invoice_ids(&received), [invoice.invoice_id]);
    }
}

#[tokio::test]
async fn a_crash_between_sending_and_recording_sends_again_and_loses_nothing() {
    for (failpoint, sent_before, tries_in_all) in
        [("webhooks.before_send:1", 0, 1), ("webhooks.after_send:1", 1, 2), ("webhooks.after_settle:1", 1, 1)]
    {
        let sink = WebhookSink::start().await;
        let mut server = ServerProcess::prepare(CONFIG);
        let (_, api) = create_into_a_crash(&mut server, &sink, failpoint).await;
        assert_eq!(sink.received().len(), sent_before, "{failpoint}");
        server.start().await.unwrap();
        api.create_invoice("1").await;
        // Another invoice's event may be quicker than the first one's second try.
        let tries = |received: &[Received]| received.iter().filter(|webhook| webhook.event.id.ends_with("-1")).count();
        let are_all_here = |received: &[Received]| 2 <= sequences(received).len() && tries_in_all <= tries(received);
        let received = sink.wait_until("the next webhook", are_all_here).await;
        assert_eq!(tries(&received), tries_in_all, "{failpoint}");
    }
}

#[tokio::test]
async fn secrets_do_not_reach_the_log_at_any_level() {
    let sink = WebhookSink::start().await;
    let mut server = ServerProcess::prepare(CONFIG);
    server.set_variable("PEPAY__LOG__FILTER", "trace");
    server.start().await.unwrap();
    let (api, webhook_secret) = server.create_merchant(&sink.url);
    sink.reply([Reply::Status(500), Reply::Reset, Reply::Endless(500)]);
    let request = json!({
        "amount_usd": 5,
        "description": "canary-description",
        "customer_email": "canary@customer.example",
        "metadata": { "canary": "canary-metadata" },
    });
    let invoice: CreatedInvoice = api.try_create_invoice(Uuid::new_v4(), &request).await.unwrap().good();
    for _ in 0..3 {
        api.create_invoice("1").await;
    }
    api.session_details(&invoice).await;
    let bad_key = e2e::ApiClient::new(&api.url, "pk_test_canary-of-a-key-that-is-wrong");
    let refused = bad_key.try_create_invoice(Uuid::new_v4(), &request).await.unwrap();
    assert_eq!(refused.status, 401);
    let page = format!("{}/pay?session={}&signature={}", api.url, invoice.session_token, invoice.signature);
    demo::http_client().unwrap().get(page).send().await.unwrap();
    sink.wait_for(4).await;
    assert!(server.stop().await.success());

    let log = server.log();
    assert!(log.contains("TRACE") && log.contains("a webhook failed"), "the log is at its most talkative");
    let server_secret = std::fs::read_to_string(server.path("pepay.secret")).unwrap();
    let signature = invoice.signature.split('.').next().unwrap();
    for secret in [
        webhook_secret.as_str(),
        &api.api_key,
        &bad_key.api_key,
        server_secret.trim(),
        &invoice.session_token,
        signature,
        "canary",
        "help@harbour.example",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret}: {line:?}");
    }
    for webhook in sink.received() {
        assert!(!log.contains(webhook.header("x-pepay-signature")), "a webhook's signature is in the log");
    }
}
