//! What a query cannot say: every parameter of everything a merchant can call, and every way it can be wrong.

use std::collections::BTreeSet;

use super::{
    Server,
    authorisation::{ABSENT_UUID, Caller, Kind, Operation, ids_of, token},
};

/// More characters than any name has.
const LONG: &str = "{long}";

/// Values that a parameter refuses, wherever there is one of that name, and the code that says so. What is above its
/// maximum is added from its description.
const REFUSED: &[(&[&str], &[&str], &str)] = &[
    (&["limit", "payments_limit", "page"], &["0", "-1", "ten", "", "1.5", "18446744073709551616"], "VALIDATION_ERROR"),
    (&["offset"], &["-1", "ten", "", "1.5", "18446744073709551616"], "VALIDATION_ERROR"),
    (&["starting_after", "ending_before"], &["x", "", ABSENT_UUID, "evt_5-999999", "%00", "%FF"], "INVALID_CURSOR"),
    (&["expand"], &["x", "payments,x", "%00"], "INVALID_EXPAND"),
    (&["status"], &["x", "Paid", "paid,x"], "VALIDATION_ERROR"),
    (&["state"], &["x", "Pending", "pending,x"], "VALIDATION_ERROR"),
    (&["invoice_type"], &["x", "standard,x"], "VALIDATION_ERROR"),
    (&["environment"], &["x", "Devnet", ""], "VALIDATION_ERROR"),
    (
        &["created_gte", "created_lte", "created[gte]", "created[lte]"],
        &["x", "", "1.5", "2026-13-01T00:00:00Z"],
        "VALIDATION_ERROR",
    ),
    (&["payer_wallet_address", "payer_wallet_network", "customer_id"], &["", LONG, "a%00b"], "VALIDATION_ERROR"),
    (&["type", "types"], &["inv*", ".*", "Paid", "invoice..*", "invoice.created,x!", "%00"], "VALIDATION_ERROR"),
    (&["invoice_id"], &["x", "", "7c0f6d0e"], "VALIDATION_ERROR"),
    (&["scope"], &["x", "Merchant", ""], "VALIDATION_ERROR"),
    (&["token_type"], &["x", "ERC20", ""], "VALIDATION_ERROR"),
    (&["is_active", "supports_stable_settlement", "blocked", "all"], &["x", "1", ""], "VALIDATION_ERROR"),
    (&["network"], &["x", "Base", ""], "UNKNOWN_NETWORK"),
    (&["since"], &["x", "", "4", "evt_1", "evt_x-1"], "VALIDATION_ERROR"),
    (&["format"], &["v2", ""], "VALIDATION_ERROR"),
];

/// Parameters that take any text.
const FREE: [&str; 1] = ["search"];

#[tokio::test]
async fn what_no_parameter_can_be_is_refused_and_named_by_every_operation() {
    let server = Server::start().await;
    let (ids, _) = ids_of(&server, server.merchant).await;
    let caller = Caller::bearer(Kind::Dashboard, &token(&server, server.merchant).await.0);
    let mut lists = BTreeSet::new();
    for operation in Operation::all().filter(|operation| operation.takes("dashboard")) {
        let ask = async |query: &[(&str, &str)], code: &str, field: &str| {
            let answer = operation.call(&server, &caller, &ids, query).await;
            println!("{operation} with {query:?}: {} {}", answer.status, answer.text);
            answer.is_error(400, code, Some(field));
        };
        let in_query = operation.parameters().filter(|parameter| parameter["in"] == "query");
        for parameter in in_query.filter(|parameter| !FREE.contains(&parameter["name"].as_str().unwrap())) {
            let name = parameter["name"].as_str().unwrap();
            let refused = REFUSED.iter().find(|(names, ..)| names.contains(&name));
            let (_, values, code) =
                refused.unwrap_or_else(|| panic!("say in REFUSED what {name} of {operation} cannot be"));
            for value in *values {
                let value = value.replace(LONG, &"a".repeat(256));
                ask(&[(name, &value)], code, name).await;
            }
            if let Some(most) = parameter["schema"]["maximum"].as_i64() {
                ask(&[(name, &(most + 1).to_string())], code, name).await;
            }
        }
        // A page begins in one place only, even where both would be there.
        if let Some((_, kind)) = operation.owned().into_iter().find(|(name, _)| *name == "starting_after") {
            let id = ids[kind].as_str();
            for query in
                [[("starting_after", id), ("ending_before", id)], [("ending_before", id), ("starting_after", id)]]
            {
                ask(&query, "VALIDATION_ERROR", "ending_before").await;
            }
            assert_eq!(operation.call(&server, &caller, &ids, &[("starting_after", id)]).await.status, 200);
            lists.insert(operation.id);
        }
    }
    let expected = [
        "list_events",
        "list_invoices",
        "list_invoices_of_customer",
        "list_unattributed_payments",
        "list_webhook_deliveries",
    ];
    assert_eq!(lists, BTreeSet::from(expected));
}
