//! What merchants ask of lists of invoices.

use serde_json::{Value, json};

use super::{Answer, Created, Server, add_merchant, new_key, usd};

const PATH: &str = "/api/v1/invoices";
const PAYER: &str = "0x00000000000000000000000000000000000000aa";

impl Server {
    /// As many invoices, a second apart, the newest first.
    async fn invoices(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.insert(0, self.invoice(json!({})).await.id.to_string());
            self.clock.advance_seconds(1);
        }
        ids
    }

    async fn paid_invoice(&self) -> Created {
        let invoice = self.invoice(json!({})).await;
        self.quote(&invoice).await;
        self.pay(&invoice, usd(20_000), 3).await;
        self.clock.advance_seconds(1);
        invoice
    }

    async fn list(&self, query: &str) -> Value {
        let answer = self.merchant_get(&format!("{PATH}{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()
    }

    async fn listed(&self, query: &str) -> Vec<String> {
        ids(&self.list(query).await["data"])
    }
}

fn ids(invoices: &Value) -> Vec<String> {
    invoices.as_array().unwrap().iter().map(|invoice| invoice["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_followed_by_cursors_in_both_directions() {
    let server = Server::start().await;
    let all = server.invoices(12).await;
    let page = |list: &Value| (ids(&list["data"]), list["has_more"].as_bool().unwrap());

    let first = server.list("").await;
    assert_eq!(first["object"], "list");
    assert_eq!(page(&first), (all[..10].to_vec(), true));
    assert_eq!(first.as_object().unwrap().len(), 3, "{first}");
    let last = server.list(&format!("?starting_after={}", all[9])).await;
    assert_eq!(page(&last), (all[10..].to_vec(), false));
    let older = server.list(&format!("?limit=3&starting_after={}", all[4])).await;
    assert_eq!(page(&older), (all[5..8].to_vec(), true));
    let newer = server.list(&format!("?limit=3&ending_before={}", all[4])).await;
    assert_eq!(page(&newer), (all[1..4].to_vec(), true));
    let newest = server.list(&format!("?limit=4&ending_before={}", all[4])).await;
    assert_eq!(page(&newest), (all[..4].to_vec(), false));
    let whole = server.list("?limit=100").await;
    assert_eq!(page(&whole), (all.clone(), false));
    assert_eq!(page(&server.list(&format!("?ending_before={}", all[0])).await), (Vec::new(), false));
    let one = server.merchant_get(&format!("{PATH}/{}", all[3])).await.json();
    assert_eq!(whole["data"][3], one);
}

#[tokio::test]
async fn invoices_of_one_millisecond_are_all_listed_once() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(server.invoice(json!({})).await.id.to_string());
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let list = server.list(&format!("?limit=3{after}")).await;
        seen.extend(ids(&list["data"]));
        if list["has_more"] == false {
            break;
        }
    }
    seen.sort_unstable();
    all.sort_unstable();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_page_by_number_has_the_older_members_too() {
    let server = Server::start().await;
    let all = server.invoices(5).await;
    for (query, expected, number, has_more) in [
        ("?page=1&limit=2", &all[..2], 1, true),
        ("?page=3&limit=2", &all[4..], 3, false),
        ("?page=4&limit=2", &all[5..], 4, false),
    ] {
        let list = server.list(query).await;
        assert_eq!(ids(&list["data"]), expected, "{query}");
        assert_eq!(list["items"], list["data"]);
        assert_eq!((&list["total"], &list["page"]), (&json!(5), &json!(number)));
        assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(has_more)));
    }
    assert_eq!(server.list("?page=1&status=paid").await["total"], 0);
    assert_eq!(server.list("?page=1&invoice_type=commerce").await["total"], 0);
}

#[tokio::test]
async fn lists_can_be_filtered_by_status_in_both_vocabularies() {
    let server = Server::start().await;
    let expired = server.invoice(json!({ "expires_in": 1000 })).await.id.to_string();
    let partly = server.invoice(json!({})).await;
    server.quote(&partly).await;
    server.pay(&partly, usd(5_000), 3).await;
    server.clock.advance_seconds(2);
    let paid = server.paid_invoice().await.id.to_string();
    let unpaid = server.invoices(1).await.remove(0);
    let partly = partly.id.to_string();
    server.end_due_invoices().await;

    for (statuses, expected) in [
        ("unpaid", vec![&unpaid]),
        ("underpaid", vec![&partly]),
        ("paid", vec![&paid]),
        ("expired", vec![&expired]),
        ("canceled", vec![]),
        ("pending", vec![&unpaid, &partly]),
        ("failed", vec![&expired]),
        ("paid,%20unpaid,paid", vec![&unpaid, &paid]),
        ("all", vec![&unpaid, &paid, &partly, &expired]),
        ("", vec![&unpaid, &paid, &partly, &expired]),
    ] {
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        let mut listed = server.listed(&format!("?status={statuses}")).await;
        let mut paged = server.listed(&format!("?page=1&status={statuses}")).await;
        assert_eq!(listed, paged, "{statuses}");
        // The first two were made within one second, in either order.
        listed.sort_unstable();
        paged = expected;
        paged.sort_unstable();
        assert_eq!(listed, paged, "{statuses}");
    }
    assert_eq!(server.listed("?limit=1&status=pending").await, [unpaid.as_str()]);
    assert_eq!(server.listed(&format!("?status=pending&starting_after={unpaid}")).await, [partly.as_str()]);
}

#[tokio::test]
async fn lists_can_be_filtered_by_everything_else() {
    let server = Server::start().await;
    let old = server.invoice(json!({ "customer_id": "c/1 é" })).await.id.to_string();
    let created = server.list("").await["data"][0]["created_at"].as_i64().unwrap();
    server.clock.advance_seconds(10);
    let new = server.invoice(json!({ "customer_id": "c-2" })).await.id.to_string();
    let both = vec![new.clone(), old.clone()];
    let (old, new, none) = (vec![old], vec![new], Vec::<String>::new());

    for (query, expected) in [
        ("?customer_id=c-2".to_owned(), &new),
        ("?customer_id=c%2F1%20%C3%A9".to_owned(), &old),
        ("?customer_id=C-2".to_owned(), &none),
        ("/customer/c%2F1%20%C3%A9".to_owned(), &old),
        ("/customer/c-2?customer_id=c-1".to_owned(), &new),
        ("/customer/totals".to_owned(), &none),
        ("?environment=devnet".to_owned(), &both),
        ("?environment=mainnet".to_owned(), &none),
        ("?invoice_type=standard".to_owned(), &both),
        ("?invoice_type=commerce,standard".to_owned(), &both),
        ("?invoice_type=commerce".to_owned(), &none),
        (format!("?created_lte={created}"), &old),
        (format!("?created_gte={created}&created_lte={created}"), &old),
        (format!("?created_gte={}", created + 1), &new),
        (format!("?created_lte={}", created - 1), &none),
        ("?created_gte=2020-01-01T00:00:00Z".to_owned(), &both),
        ("?created_lte=2020-01-01T00:00:00.5+02:00".to_owned(), &none),
    ] {
        assert_eq!(server.listed(&query).await, *expected, "{query}");
    }
}

#[tokio::test]
async fn invoices_are_found_by_who_paid_them() {
    let server = Server::start().await;
    let unpaid = server.invoices(1).await;
    let paid = vec![server.paid_invoice().await.id.to_string()];
    let none = Vec::<String>::new();
    for (query, expected) in [
        (format!("payer_wallet_address={PAYER}"), &paid),
        (format!("payer_wallet_address={}", PAYER.to_uppercase().replace('X', "x")), &paid),
        (format!("payer_wallet_address={PAYER}&payer_wallet_network=Ethereum"), &paid),
        (format!("payer_wallet_address={PAYER}&payer_wallet_network=base"), &none),
        (format!("payer_wallet_address={PAYER}&ending_before={}", unpaid[0]), &paid),
        (format!("payer_wallet_address={PAYER}&starting_after={}", paid[0]), &none),
        (format!("payer_wallet_address={PAYER}&status=paid"), &paid),
        (format!("payer_wallet_address={PAYER}&status=unpaid"), &none),
        ("payer_wallet_network=ethereum".to_owned(), &paid),
        ("payer_wallet_network=base".to_owned(), &none),
        ("payer_wallet_address=somebody".to_owned(), &none),
    ] {
        assert_eq!(server.listed(&format!("?{query}")).await, *expected, "{query}");
    }

    let list = server.list("").await;
    assert_eq!(list["data"][0]["payer_wallet_address"], PAYER);
    assert_eq!(list["data"][0]["payer_wallet_network"], "ethereum");
    assert_eq!(list["data"][1]["payer_wallet_address"], Value::Null);
}

#[tokio::test]
async fn listed_invoices_show_their_payments_when_asked_for() {
    let server = Server::start().await;
    let paid = server.paid_invoice().await;
    server.invoices(1).await;
    let query = "?expand=latest_payment,payments&payments_limit=1";
    let list = server.list(query).await;
    let one = server.merchant_get(&format!("{PATH}/{}{query}", paid.id)).await.json();
    assert_eq!(list["data"][1], one);
    assert_eq!(one["payments"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["payments"], json!([]));
    assert_eq!(server.list("").await["data"][1].get("latest_payment"), None);
}

#[tokio::test]
async fn a_bad_query_names_its_fault() {
    let server = Server::start().await;
    let id = server.invoices(1).await.remove(0);
    let long = "x".repeat(256);
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("limit=-1".to_owned(), "limit"),
        ("limit=ten".to_owned(), "limit"),
        ("limit=".to_owned(), "limit"),
        ("page=0".to_owned(), "page"),
        ("page=x".to_owned(), "page"),
        ("page=18446744073709551615".to_owned(), "page"),
        ("page=10002".to_owned(), "page"),
        (format!("page=1&starting_after={id}"), "page"),
        (format!("starting_after={id}&ending_before={id}"), "ending_before"),
        ("status=open".to_owned(), "status"),
        ("status=paid,open".to_owned(), "status"),
        ("invoice_type=other".to_owned(), "invoice_type"),
        ("environment=testnet".to_owned(), "environment"),
        ("created_gte=yesterday".to_owned(), "created_gte"),
        ("created_lte=".to_owned(), "created_lte"),
        (format!("customer_id={long}"), "customer_id"),
        ("customer_id=".to_owned(), "customer_id"),
        ("customer_id=a%00b".to_owned(), "customer_id"),
        ("payer_wallet_address=".to_owned(), "payer_wallet_address"),
        ("payer_wallet_network=%00".to_owned(), "payer_wallet_network"),
        ("expand=payments&payments_limit=0".to_owned(), "payments_limit"),
    ] {
        for path in [PATH.to_owned(), format!("{PATH}/customer/c")] {
            let answer = server.merchant_get(&format!("{path}?{query}")).await;
            answer.is_error(400, "VALIDATION_ERROR", Some(field));
        }
    }
    let list = async |query: &str| server.merchant_get(&format!("{PATH}?{query}")).await;
    list("expand=customer").await.is_error(400, "INVALID_EXPAND", Some("expand"));
    for path in ["customer/%00", "customer/%FF"] {
        let answer = server.merchant_get(&format!("{PATH}/{path}")).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("customer_id"));
    }
}

#[tokio::test]
async fn absent_and_foreign_cursors_look_the_same() {
    let server = Server::start().await;
    let id = server.invoices(1).await.remove(0);
    let (_, other) = add_merchant(&server.app).await;
    for field in ["starting_after", "ending_before"] {
        let ask = async |key: &str, id: &str| -> Answer {
            server.get(&format!("{PATH}?{field}={id}"), &[("x-api-key", key)]).await
        };
        let absent = ask(&server.key, &new_key()).await;
        absent.is_error(400, "INVALID_CURSOR", Some(field));
        assert_eq!(ask(&other, &id).await.text, absent.text);
        assert_eq!(ask(&server.key, "inv_1").await.text, absent.text);
        assert_eq!(ask(&server.key, "").await.text, absent.text);
    }
}

#[tokio::test]
async fn a_list_holds_only_the_merchants_own_invoices() {
    let server = Server::start().await;
    server.paid_invoice().await;
    let (_, other) = add_merchant(&server.app).await;
    for path in ["", "/customer/c", "?status=paid", &format!("?payer_wallet_address={PAYER}"), "?page=1"] {
        let answer = server.get(&format!("{PATH}{path}"), &[("x-api-key", &other)]).await;
        assert_eq!(answer.json()["data"], json!([]), "{path}");
        let path = format!("{PATH}{path}");
        server.get(&path, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
        server.get(&path, &[("x-api-key", "pk_x")]).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    }
}
