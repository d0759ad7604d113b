//! What merchants ask of the log of events.

use serde_json::{Value, json};

use super::{Server, add_merchant, new_key, usd};
use crate::webhooks::{self, Sealer};

const PATH: &str = "/api/v1/events";

impl Server {
    async fn number_events(&self) {
        self.app.store.write(|tx| Box::pin(async move { tx.number_events(100).await })).await.unwrap();
    }

    /// As many events, a second apart, each of an invoice of its own.
    async fn log(&self, count: usize) {
        for _ in 0..count {
            self.invoice(json!({})).await;
            self.clock.advance_seconds(1);
        }
        self.number_events().await;
    }

    async fn event_list(&self, query: &str) -> Value {
        let answer = self.merchant_get(&format!("{PATH}{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let answer = answer.json();
        assert_eq!((&answer["success"], &answer["data"]["object"]), (&json!(true), &json!("list")));
        answer["data"].clone()
    }
}

fn texts(events: &Value, member: &str) -> Vec<String> {
    events["data"].as_array().unwrap().iter().map(|event| event[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_are_followed_by_cursors_in_both_directions() {
    let server = Server::start().await;
    server.log(12).await;
    let all = texts(&server.event_list("?limit=100").await, "id");
    assert_eq!(all.len(), 12);
    assert!(all[0].ends_with("-12") && all[11].ends_with("-1"), "{all:?}");
    for (query, expected, has_more) in [
        (String::new(), &all[..10], true),
        (format!("?starting_after={}", all[9]), &all[10..], false),
        (format!("?limit=3&starting_after={}", all[4]), &all[5..8], true),
        (format!("?limit=3&ending_before={}", all[4]), &all[1..4], true),
        (format!("?limit=4&ending_before={}", all[4]), &all[..4], false),
        (format!("?ending_before={}", all[0]), &all[..0], false),
    ] {
        let list = server.event_list(&query).await;
        assert_eq!((texts(&list, "id").as_slice(), &list["has_more"]), (expected, &json!(has_more)), "{query}");
    }
}

#[tokio::test]
async fn events_can_be_filtered() {
    let server = Server::start().await;
    server.log(1).await;
    server.clock.advance_seconds(10);
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 3).await;
    server.number_events().await;
    let whole = server.event_list("").await;
    let (of_invoice, created) = (["invoice.updated", "invoice_payment.created", "invoice.created"], "invoice.created");
    let all = [&of_invoice[..], &[created]].concat();
    assert_eq!(texts(&whole, "type"), all);
    let first = whole["data"][3]["created"].as_i64().unwrap();

    for (query, expected) in [
        ("type=invoice.created".to_owned(), vec![created, created]),
        ("type=invoice.*".to_owned(), vec!["invoice.updated", created, created]),
        ("type=invoice_payment.*,invoice.updated".to_owned(), vec!["invoice.updated", "invoice_payment.created"]),
        ("type=*".to_owned(), all.clone()),
        ("type=commerce.order.*".to_owned(), vec![]),
        (format!("invoice_id={}", invoice.id), of_invoice.to_vec()),
        (format!("invoice_id={}&type=invoice_payment.created", invoice.id), vec!["invoice_payment.created"]),
        (format!("invoice_id={}", new_key()), vec![]),
        ("environment=devnet".to_owned(), all.clone()),
        ("environment=mainnet".to_owned(), vec![]),
        (format!("created[lte]={first}"), vec![created]),
        (format!("created%5Bgte%5D={first}&created%5Blte%5D={first}"), vec![created]),
        (format!("created[gte]={}", first + 1), of_invoice.to_vec()),
    ] {
        assert_eq!(texts(&server.event_list(&format!("?{query}")).await, "type"), expected, "{query}");
    }
}

#[tokio::test]
async fn an_event_can_be_read_by_its_id() {
    let server = Server::start().await;
    let merchant = server.merchant;
    let (store, now) = (&server.app.store, server.app.clock.now());
    let sealer = Sealer::new(&server.app.secrets);
    webhooks::set_main(store, &sealer, now, merchant, "https://shop.example/hook").await.unwrap();
    let invoice = server.invoice(json!({})).await;
    assert_eq!(server.event_list("").await["data"], json!([]), "an event without its number");
    server.number_events().await;
    let event = server.event_list("").await["data"][0].clone();
    let id = event["id"].as_str().unwrap();
    let answer = server.merchant_get(&format!("{PATH}/{id}")).await;
    assert_eq!(answer.json(), json!({ "success": true, "data": event }));
    assert_eq!(event["object"], "event");
    assert_eq!(event["data"]["object"]["id"], invoice.id.to_string());
    assert_eq!((&event["livemode"], &event["pending_webhooks"]), (&json!(false), &json!(1)));
    assert!(event["request"]["idempotency_key"].is_string(), "{event}");

    let (_, other) = add_merchant(&server.app).await;
    let foreign = server.get(&format!("{PATH}/{id}"), &[("x-api-key", &other)]).await;
    foreign.is_error(404, "EVENT_NOT_FOUND", None);
    for absent in [&id.replace("evt_", "evt_1"), "evt_1-99", "evt_", "x", "%FF"] {
        assert_eq!(server.merchant_get(&format!("{PATH}/{absent}")).await.text, foreign.text, "{absent}");
    }
    let list = server.get(PATH, &[("x-api-key", &other)]).await.json();
    assert_eq!(list["data"]["data"], json!([]));
    for path in [PATH.to_owned(), format!("{PATH}/{id}")] {
        server.get(&path, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    }
}

#[tokio::test]
async fn a_bad_query_for_events_names_its_fault() {
    let server = Server::start().await;
    server.log(1).await;
    let id = texts(&server.event_list("").await, "id").remove(0);
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("type=invoice.%25".to_owned(), "type"),
        ("type=inv*".to_owned(), "type"),
        ("type=.*".to_owned(), "type"),
        ("type=invoice..*".to_owned(), "type"),
        ("type=invoice.created,%20Paid".to_owned(), "type"),
        ("type=%00".to_owned(), "type"),
        ("invoice_id=inv_1".to_owned(), "invoice_id"),
        ("environment=x".to_owned(), "environment"),
        ("created[gte]=x".to_owned(), "created[gte]"),
        ("created[lte]=".to_owned(), "created[lte]"),
        (format!("starting_after={id}&ending_before={id}"), "ending_before"),
    ] {
        let answer = server.merchant_get(&format!("{PATH}?{query}")).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    let (_, other) = add_merchant(&server.app).await;
    for field in ["starting_after", "ending_before"] {
        let foreign = server.get(&format!("{PATH}?{field}={id}"), &[("x-api-key", &other)]).await;
        foreign.is_error(400, "INVALID_CURSOR", Some(field));
        for absent in ["evt_1-99", "x", ""] {
            assert_eq!(server.merchant_get(&format!("{PATH}?{field}={absent}")).await.text, foreign.text);
        }
    }
}
