//! What merchants are told, and where nobody is told anything.

use std::collections::{HashMap, HashSet};

use domain::{access::Rights, id::EndpointId, time::UnixMillis};
use e2e::{
    Database, Merchant, Received, Reply, ServerProcess, TestApp, WebhookSink, append_events, eventually, invoice_event,
};
use pepay::store::{Endpoint, NewEvent, StoreError};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Executor, Row};
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

/// Waits until so many deliveries wait for another try after so many in vain.
async fn have_failed(app: &TestApp, attempts: i64, count: usize) {
    let mut database = AnyConnection::connect(&app.app().config.storage.database_url).await.unwrap();
    eventually("the tries to fail", async || {
        let waiting: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM deliveries WHERE state = 'pending' AND attempts = $1")
                .bind(attempts)
                .fetch_one(&mut database)
                .await
                .unwrap();
        (usize::try_from(waiting) == Ok(count)).then_some(())
    })
    .await;
}

/// Makes another event of an invoice, as a change of it would.
async fn append_event(app: &TestApp, merchant: &Merchant, invoice: &CreatedInvoice) {
    let (object, now) = (json!({ "object": "invoice", "id": invoice.invoice_id }), app.app().clock.now_ms());
    let event = invoice_event(merchant.id, invoice.invoice_id.parse().unwrap(), &object, now);
    append_events(&app.app().store, vec![event]).await;
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

/// A merchant whose key may do all that the merchant may.
async fn create_manager(app: &TestApp) -> Merchant {
    let merchant = app.create_merchant().await;
    let key = app.create_key(merchant.id, Rights::DASHBOARD).await;
    Merchant { api: e2e::ApiClient::new(&app.url, &key), ..merchant }
}

/// An endpoint made through the API, with its secret.
async fn create_webhook(merchant: &Merchant, sink: &WebhookSink, members: Value) -> (String, String) {
    let mut body = json!({ "url": sink.url, "enabled_events": ["*"] });
    body.as_object_mut().unwrap().append(&mut members.as_object().cloned().unwrap());
    let answer: Value = merchant.api.call(Method::POST, "/api/v1/webhooks", &body).await.good();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

async fn webhook(merchant: &Merchant, id: &str) -> Value {
    merchant.api.get(&format!("/api/v1/webhooks/{id}")).await.good()
}

async fn an_endpoint_that_is_gone_is_disabled_and_the_others_are_told(database: Database) {
    let app = TestApp::start_on(database, &[LOOPBACK]).await;
    let (gone, other) = (WebhookSink::start().await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, _) = create_webhook(&merchant, &gone, json!({})).await;
    create_webhook(&merchant, &other, json!({ "enabled_events": ["webhook_endpoint.*"] })).await;
    gone.reply([Reply::Status(410)]);
    merchant.api.create_invoice("1").await;
    let told = &other.wait_for(1).await[0].event;
    assert_eq!(told.event_type, "webhook_endpoint.disabled");
    let shown = webhook(&merchant, &id).await;
    assert_eq!((&shown["is_active"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
    assert_eq!(told.data.object, shown);
    merchant.api.create_invoice("1").await;
    nothing_is_owed(&app).await;
    assert_eq!((gone.received().len(), other.received().len()), (1, 1));
    let events: Value = merchant.api.get("/api/v1/events?type=webhook_endpoint.*").await.good();
    assert_eq!(events["data"]["data"][0]["id"], json!(told.id));

    let again =
        merchant.api.call(Method::PATCH, &format!("/api/v1/webhooks/{id}"), &json!({ "is_active": true })).await;
    assert_eq!(again.good::<Value>()["disabled_reason"], Value::Null);
    merchant.api.create_invoice("1").await;
    gone.wait_for(2).await;
}

async fn an_endpoint_that_fails_for_days_is_disabled(database: Database) {
    let days = ("PEPAY__WEBHOOKS__DISABLE_AFTER_DAYS", "2");
    let app = TestApp::start_on(database, &[LOOPBACK, ONE_QUICK_RETRY, days]).await;
    let (failing, other) = (WebhookSink::start().await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, _) = create_webhook(&merchant, &failing, json!({})).await;
    create_webhook(&merchant, &other, json!({ "enabled_events": ["webhook_endpoint.disabled"] })).await;
    failing.always(Reply::Status(500));
    merchant.api.create_invoice("1").await;
    failing.wait_for(2).await;
    nothing_is_owed(&app).await;
    let shown = webhook(&merchant, &id).await;
    assert!(shown["is_active"] == json!(true) && shown["failing_since"].is_i64(), "{shown}");
    app.clock.advance_seconds(86_400);
    merchant.api.create_invoice("1").await;
    failing.wait_for(4).await;
    nothing_is_owed(&app).await;
    assert_eq!(webhook(&merchant, &id).await["is_active"], json!(true), "a day is not enough");
    app.clock.advance_seconds(86_400);
    merchant.api.create_invoice("1").await;
    other.wait_for(1).await;
    nothing_is_owed(&app).await;
    let shown = webhook(&merchant, &id).await;
    assert_eq!((&shown["is_active"], &shown["disabled_reason"]), (&json!(false), &json!("failing")));
    // The clock that was moved goes on by itself as well.
    assert!(shown["failing_since"].as_i64().unwrap() + 2 * 86_400 <= shown["disabled_at"].as_i64().unwrap());
}

async fn a_success_ends_the_count_of_days(database: Database) {
    let days = ("PEPAY__WEBHOOKS__DISABLE_AFTER_DAYS", "1");
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, days]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, _) = create_webhook(&merchant, &sink, json!({})).await;
    // None of them ends meanwhile, which would be told too.
    let request = json!({ "amount_usd": 1, "expires_in": 2_592_000_000_i64 });
    for _ in 0..3 {
        sink.reply([Reply::Status(500)]);
        merchant.api.try_create_invoice(Uuid::new_v4(), &request).await.unwrap().good::<CreatedInvoice>();
        next_try(&app).await;
        app.clock.advance_seconds(80_000);
        nothing_is_owed(&app).await;
    }
    assert_eq!(sink.received().len(), 6);
    let shown = webhook(&merchant, &id).await;
    assert_eq!((&shown["is_active"], &shown["failing_since"]), (&json!(true), &Value::Null));
}

/// Counts how many of the lines `secret timestamp signature body` are right, and how many still are when a bit of the
/// body is another.
const INDEPENDENT: &str = r#"
const { createHmac, timingSafeEqual } = require("node:crypto");
let good = 0, goodWhenAltered = 0, lines = 0;
for (const line of require("node:fs").readFileSync(0, "utf8").trim().split("\n")) {
    const [secret, timestamp, signature, hex] = line.split(" ");
    const body = Buffer.from(hex, "hex");
    const holds = (bytes) => {
        const made = createHmac("sha256", secret).update(timestamp + ".").update(bytes).digest();
        const given = Buffer.from(signature, "hex");
        return given.length === made.length && timingSafeEqual(made, given);
    };
    lines += 1;
    good += holds(body);
    for (let bit = lines % 8; bit < body.length * 8; bit += 8) {
        body[bit >> 3] ^= 1 << (bit & 7);
        goodWhenAltered += holds(body);
        body[bit >> 3] ^= 1 << (bit & 7);
    }
}
console.log(JSON.stringify([lines, good, goodWhenAltered]));
"#;

fn verify_independently(lines: &[String]) -> [usize; 3] {
    use std::io::Write as _;
    let mut node = std::process::Command::new("node")
        .args(["-e", INDEPENDENT])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("Node.js is installed");
    node.stdin
        .take()
        .unwrap()
        .write_all(
            lines
                .join(
                    "
",
                )
                .as_bytes(),
        )
        .unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn line(webhook: &Received, header: &str, secret: &str) -> String {
    use std::fmt::Write as _;
    let mut body = String::new();
    for byte in &webhook.body {
        write!(body, "{byte:02x}").unwrap();
    }
    format!("{secret} {} {} {body}", webhook.header("x-pepay-timestamp"), webhook.header(header))
}

async fn both_secrets_sign_while_one_replaces_the_other(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, first) = create_webhook(&merchant, &sink, json!({})).await;
    merchant.api.create_invoice("1").await;
    sink.wait_for(1).await;
    let rotate = format!("/api/v1/webhooks/{id}/rotate-secret");
    let rotated: Value =
        merchant.api.call(Method::POST, &rotate, &json!({ "previous_valid_seconds": 600 })).await.good();
    let second = rotated["secret"].as_str().unwrap();
    merchant.api.create_invoice("2").await;
    sink.wait_for(2).await;
    app.clock.advance_seconds(601);
    merchant.api.create_invoice("3").await;
    let received = sink.wait_for(3).await;
    let (current, previous) = ("x-pepay-signature", "x-pepay-signature-previous");
    let has_previous: Vec<_> = received.iter().map(|webhook| !webhook.header(previous).is_empty()).collect();
    assert_eq!(has_previous, [false, true, false]);
    let right = [
        line(&received[0], current, &first),
        line(&received[1], current, second),
        line(&received[1], previous, &first),
        line(&received[2], current, second),
    ];
    assert_eq!(verify_independently(&right), [4, 4, 0]);
    let wrong = [
        line(&received[1], current, &first),
        line(&received[1], previous, second),
        line(&received[2], current, &first),
    ];
    assert_eq!(verify_independently(&wrong), [3, 0, 0]);
}

/// Signed when it is sent, not when it was queued, however long that is ago.
async fn what_was_queued_before_a_secret_was_replaced_is_signed_as_of_when_it_is_sent(database: Database) {
    const QUEUED: usize = 40;
    let waits = ("PEPAY__WEBHOOKS__RETRY_SECONDS", "[5, 1000, 1000]");
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, waits]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, first) = create_webhook(&merchant, &sink, json!({ "enabled_events": ["invoice.created"] })).await;
    sink.always(Reply::Status(500));
    for _ in 0..QUEUED {
        merchant.api.create_invoice("1").await;
    }
    have_failed(&app, 1, QUEUED).await;
    let rotate = format!("/api/v1/webhooks/{id}/rotate-secret");
    let rotated: Value =
        merchant.api.call(Method::POST, &rotate, &json!({ "previous_valid_seconds": 600 })).await.good();
    let second = rotated["secret"].as_str().unwrap();
    // Half of them arrive while both are good, and the rest are tried then in vain.
    sink.reply(vec![Reply::Status(200); QUEUED / 2]);
    app.clock.advance_seconds(10);
    have_failed(&app, 2, QUEUED / 2).await;
    sink.always(Reply::Status(200));
    app.clock.advance_seconds(1_300);
    let received = sink.wait_for(QUEUED + QUEUED + QUEUED / 2).await;
    nothing_is_owed(&app).await;
    assert_eq!(sink.received().len(), received.len());

    let (before, rest) = received.split_at(QUEUED);
    let (both, after) = rest.split_at(QUEUED);
    let signatures = |webhook: &Received| {
        let made_by = |header: &str| {
            let signed = |secret: &&str| {
                demo::webhook::sign(secret, webhook.header("x-pepay-timestamp"), &webhook.body)
                    == webhook.header(header)
            };
            [first.as_str(), second].iter().position(signed)
        };
        assert!(
            made_by("x-pepay-signature-previous").is_some() != webhook.header("x-pepay-signature-previous").is_empty()
        );
        (made_by("x-pepay-signature"), made_by("x-pepay-signature-previous"))
    };
    assert!(before.iter().all(|webhook| signatures(webhook) == (Some(0), None)));
    assert!(both.iter().all(|webhook| signatures(webhook) == (Some(1), Some(0))));
    assert!(after.iter().all(|webhook| signatures(webhook) == (Some(1), None)));
    assert_eq!(sequences(both).len(), QUEUED, "each was tried in the overlap");
}

async fn secrets_that_an_earlier_version_kept_in_the_clear_are_sealed_at_the_start(database: Database) {
    let (mut app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let secret = "whsec_canary";
    let endpoint =
        Endpoint::new(merchant.id, EndpointId::from_random([7; 16]), &sink.url, secret, app.app().clock.now());
    let (kept, owner) = (endpoint.clone(), merchant.id);
    let inserted: Result<(), StoreError> =
        app.app().store.write(move |tx| Box::pin(async move { tx.insert_endpoint(&kept).await })).await;
    inserted.unwrap();
    merchant.api.create_invoice("1").await;
    assert!(sink.wait_for(1).await[0].is_signed_with(secret), "it signs before it is sealed");
    nothing_is_owed(&app).await;
    app.restart().await;
    let merchant = Merchant { id: owner, api: e2e::ApiClient::new(&app.url, &merchant.api.api_key) };
    merchant.api.create_invoice("2").await;
    assert!(sink.wait_for(2).await[1].is_signed_with(secret));
    let stored = app.app().store.reader().await.unwrap().tx().endpoint(owner, endpoint.id).await.unwrap().unwrap();
    assert!(stored.secret.starts_with("sealed1.") && !stored.secret.contains("canary"), "{}", stored.secret);
}

async fn an_endpoint_of_the_older_version_gets_the_older_form(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let set = json!({ "webhook_url": sink.url });
    let set: Value = merchant.api.call(Method::POST, "/api/v1/merchant/webhook", &set).await.good();
    let invoice = merchant.api.create_invoice("20.5").await;
    let paid = json!({ "object": "invoice", "id": invoice.invoice_id, "status": "paid", "amount_paid": 20_500, "overpaid": true });
    let now = app.app().clock.now_ms();
    let event = NewEvent {
        previous_attributes: Some(json!({ "status": "unpaid", "overpaid": false }).to_string()),
        ..invoice_event(merchant.id, invoice.invoice_id.parse().unwrap(), &paid, now)
    };
    append_events(&app.app().store, vec![event]).await;
    let created = now.as_seconds().0;
    let mut received = sink.wait_for(2).await;
    received.sort_by(|one, other| other.event.event_type.cmp(&one.event.event_type));
    for (webhook, (name, end)) in received.iter().zip([("invoice.paid", "-2"), ("invoice.overpaid", "-2-overpaid")]) {
        assert!(webhook.is_signed_with(set["secret"].as_str().unwrap()));
        assert_eq!(webhook.header("x-pepay-event"), name);
        let id = webhook.header("x-pepay-event-id");
        assert!(id.ends_with(end), "{id}");
        let body = format!(
            r#"{{"id":"{id}","type":"{name}","created":{created},"data":{{"invoice_id":"{}","status":"paid","amount_paid":20.5,"payment_network":null,"transaction_hash":null}}}}"#,
            invoice.invoice_id
        );
        assert_eq!(String::from_utf8_lossy(&webhook.body), body);
    }
    nothing_is_owed(&app).await;
    assert_eq!(sink.received().len(), 2, "the older types know nothing of its creation");
}

async fn a_ping_and_what_failed_can_be_sent_on_request(database: Database) {
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, ONE_QUICK_RETRY]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    let (id, _) = create_webhook(&merchant, &sink, json!({ "enabled_events": ["invoice.*"] })).await;
    sink.always(Reply::Status(500));
    let since = app.app().clock.now().0;
    merchant.api.create_invoice("1").await;
    sink.wait_for(2).await;
    nothing_is_owed(&app).await;
    sink.always(Reply::Status(200));
    let failed = sink.received();
    let again = format!("/api/v1/webhooks/{id}/deliveries/redeliver");
    let queued: Value = merchant.api.call(Method::POST, &again, &json!({ "failed_since": since })).await.good();
    assert_eq!(queued["queued"], json!(1));
    let received = sink.wait_for(failed.len() + 1).await;
    assert_eq!(received.last().unwrap().event.id, failed[0].event.id);
    nothing_is_owed(&app).await;
    let test: Value =
        merchant.api.call(Method::POST, &format!("/api/v1/webhooks/{id}/test"), &Value::Null).await.good();
    assert_eq!(test["event_type"], "test.ping");
    let received = sink.wait_for(failed.len() + 2).await;
    assert_eq!(received.last().unwrap().event.data.object, json!({ "object": "ping", "status": "ok" }));
    nothing_is_owed(&app).await;
    let deliveries: Value = merchant.api.get(&format!("/api/v1/webhooks/{id}/deliveries")).await.good();
    let tries = deliveries["data"][1]["attempts"].as_array().unwrap();
    let shown: Vec<_> =
        tries.iter().map(|attempt| (&attempt["attempt"], &attempt["status"], &attempt["error"])).collect();
    let failure = json!("the answer was 500 Internal Server Error");
    assert_eq!(shown[0], (&json!(3), &json!(200), &Value::Null));
    assert_eq!(shown[2], (&json!(1), &json!(500), &failure));
}

/// When each event was first taken up for sending, in epoch milliseconds, by its number in the log.
async fn first_tried(app: &TestApp) -> HashMap<String, i64> {
    let mut stranger = AnyConnection::connect(&app.app().config.storage.database_url).await.unwrap();
    let rows = stranger
        .fetch_all(
            "SELECT events.sequence, deliveries.first_tried_ms FROM deliveries
             JOIN events ON events.event_key = deliveries.event_key",
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get::<i64, _>(0).to_string(), row.get(1))).collect()
}

/// Whether anything is still to be sent; costs no more however much there is.
async fn owes_something(app: &TestApp) -> bool {
    app.app().store.reader().await.unwrap().tx().next_due_after(UnixMillis(0)).await.unwrap().is_some()
}

/// Many events to a receiver that fails three of ten times: all arrive, and what arrives twice was asked for twice.
async fn a_receiver_that_often_fails_gets_everything(database: Database) {
    let count = std::env::var("PEPAY_TEST_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_usize);
    let waits =
        ("PEPAY__WEBHOOKS__RETRY_SECONDS", "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]");
    let (app, sink) = (TestApp::start_on(database, &[LOOPBACK, waits]).await, WebhookSink::start().await);
    let merchant = create_manager(&app).await;
    app.set_webhook(&merchant, &sink.url).await;
    // The same in every run: a linear congruence says who is refused.
    let mut state = 1_u64;
    let refused = (0..count * 2).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if (state >> 33) % 10 < 3 { Reply::Status(500) } else { Reply::Status(200) }
    });
    let refused: Vec<_> = refused.collect();
    sink.reply(refused.clone());
    let now = app.app().clock.now_ms();
    for first in (0..count).step_by(500) {
        let events = (first..count.min(first + 500)).map(|number| {
            let invoice = domain::id::InvoiceId::from_random(((number / 4) as u128).to_be_bytes());
            invoice_event(merchant.id, invoice, &json!({ "object": "invoice", "id": number }), now)
        });
        append_events(&app.app().store, events.collect()).await;
    }
    // The last retries are a second apart; the whole takes as long as it takes.
    let begun = std::time::Instant::now();
    while sink.count() < count || owes_something(&app).await {
        assert!(begun.elapsed().as_secs() < 120 + count as u64 / 20, "{} tries for {count}", sink.count());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let received = sink.received();
    let answered_well = refused.iter().take(received.len()).filter(|reply| **reply == Reply::Status(200)).count();
    assert_eq!(sequences(&received).len(), count, "none is missing");
    assert_eq!(answered_well, count, "what was taken is not sent again");
    // A later event may only pass one that has been failing for a minute, as on a machine that is busy.
    let first_tried = first_tried(&app).await;
    let mut seen = HashMap::new();
    for webhook in &received {
        let number = webhook.event.data.object["id"].as_u64().unwrap();
        let first = first_tried[webhook.event.id.rsplit('-').next().unwrap()];
        seen.insert(number, first);
        for later in number + 1..(number / 4 + 1) * 4 {
            let Some(passed) = seen.get(&later) else { continue };
            assert!(60_000 <= passed - first, "{later} passed {number} after {} ms", passed - first);
        }
    }
    println!("figure: {count} events in {:?}, {} tries", begun.elapsed(), received.len());
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
    an_endpoint_that_is_gone_is_disabled_and_the_others_are_told,
    an_endpoint_that_fails_for_days_is_disabled,
    a_success_ends_the_count_of_days,
    both_secrets_sign_while_one_replaces_the_other,
    what_was_queued_before_a_secret_was_replaced_is_signed_as_of_when_it_is_sent,
    secrets_that_an_earlier_version_kept_in_the_clear_are_sealed_at_the_start,
    an_endpoint_of_the_older_version_gets_the_older_form,
    a_ping_and_what_failed_can_be_sent_on_request,
    a_receiver_that_often_fails_gets_everything,
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
    for (failpoint, is_kept) in [("create.after_invoice:1", false), ("create.before_answer:1", true)] {
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
