//! Sums over invoices.

use serde_json::json;

use super::{Server, add_merchant, usd};

const PATH: &str = "/api/v1/invoices/totals";

#[tokio::test]
async fn totals_have_the_new_and_the_older_members() {
    let server = Server::start().await;
    server.invoice(json!({ "expires_in": 1000 })).await;
    server.clock.advance_seconds(5);
    server.end_due_invoices().await;
    let paid = server.invoice(json!({ "amount_usd": 7.125, "customer_id": "c" })).await;
    server.quote(&paid).await;
    server.pay(&paid, usd(8_000), 3).await;
    let partly = server.invoice(json!({ "amount_usd": 10 })).await;
    server.quote(&partly).await;
    server.pay(&partly, usd(5_000), 3).await;
    for _ in 0..2 {
        server.invoice(json!({ "amount_usd": 0.01 })).await;
    }

    let total =
        |amount: u64, decimal: &str, count: u64| json!({ "amount": amount, "amount_decimal": decimal, "count": count });
    let answer = server.merchant_get(PATH).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let expected = json!({
        "object": "invoice_totals",
        "currency": "usd",
        "amount_unit": "usd_millis",
        "totals": {
            "all": total(37_145, "37.145", 5),
            "paid": total(7_125, "7.125", 1),
            "unpaid": total(20, "0.020", 2),
            "underpaid": total(10_000, "10.000", 1),
            "expired": total(20_000, "20.000", 1),
            "canceled": total(0, "0.000", 0),
        },
        "total_amount_usd": 37.145,
        "total_paid_usd": 7.125,
        "total_unpaid_usd": 0.02,
        "total_expired_usd": 20,
        "invoice_count": { "total": 5, "paid": 1, "unpaid": 2, "expired": 1 },
    });
    assert_eq!(answer.json(), expected);

    for (query, all) in [
        ("customer_id=c", total(7_125, "7.125", 1)),
        ("status=pending", total(10_020, "10.020", 3)),
        ("status=all", total(37_145, "37.145", 5)),
        ("environment=mainnet", total(0, "0.000", 0)),
        ("invoice_type=commerce", total(0, "0.000", 0)),
        ("created_lte=0", total(0, "0.000", 0)),
        ("created_gte=2020-01-01T00:00:00Z", total(37_145, "37.145", 5)),
    ] {
        assert_eq!(server.merchant_get(&format!("{PATH}?{query}")).await.json()["totals"]["all"], all, "{query}");
    }
}

#[tokio::test]
async fn totals_are_of_the_merchants_own_invoices() {
    let server = Server::start().await;
    server.invoice(json!({})).await;
    let (_, other) = add_merchant(&server.app).await;
    let answer = server.get(PATH, &[("x-api-key", &other)]).await.json();
    assert_eq!(answer["totals"]["all"]["count"], 0);
    server.get(PATH, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    for (query, field) in [("status=x", "status"), ("created_gte=x", "created_gte"), ("environment=x", "environment")] {
        let answer = server.merchant_get(&format!("{PATH}?{query}")).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
    }
}
