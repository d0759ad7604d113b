//! The payer's page and what it fetches.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Created, Server, UNPRICED, request, usd};
use crate::http::{TIMEOUT, page::Pages, router_with};

async fn snapshot(server: &Server, invoice: &Created) -> Value {
    let answer = server.payor_get("/pay/snapshot", invoice).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn choose(server: &Server, invoice: &Created, token: &str, accept: &str) -> Answer {
    let form = format!("session={}&signature={}&token={token}", invoice.token, invoice.signature);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", accept)];
    server.send(request(Method::POST, "/pay/choose", &headers, &form)).await
}

#[tokio::test]
async fn a_snapshot_holds_what_the_page_shows() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "description": "</script>" })).await;
    let shown = snapshot(&server, &invoice).await;
    assert_eq!(shown["credentials"], json!({ "x-session-token": invoice.token, "x-signature": invoice.signature }));
    assert_eq!(
        shown["merchant"],
        json!({ "name": "Shop <&> \"Co\"", "email": "shop@shop.example", "is_paused": false, "logo": null })
    );
    assert_eq!((&shown["invoice"]["status"], &shown["invoice"]["remaining"]), (&json!("unpaid"), &json!(20_000)));
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 3);
    assert_eq!(shown["tokens"][1]["unavailable"], "no_price");
    assert_eq!((&shown["quote"], &shown["notice"], &shown["payments"]), (&Value::Null, &Value::Null, &json!([])));
}

#[tokio::test]
async fn a_quote_is_shown_with_a_request_that_wallets_read() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let before = snapshot(&server, &invoice).await;
    server.quote(&invoice).await;
    let shown = snapshot(&server, &invoice).await;
    assert!(before["version"].as_i64() < shown["version"].as_i64());
    let quote = &shown["quote"];
    assert_eq!(
        (&quote["amount"], &quote["amount_base"], &quote["rate"]),
        (&json!("20"), &json!("20000000"), &json!("1"))
    );
    assert_eq!(
        (&quote["network"], &quote["chain_id"], &quote["covers"]),
        (&json!("ethereum"), &json!(31_337), &json!(20_000))
    );
    let address = quote["address"].as_str().unwrap();
    let uri = format!(
        "ethereum:0x00000000000000000000000000000000000000C1@31337/transfer?address={address}&uint256=20000000"
    );
    assert_eq!(quote["uri"], uri);
}

#[tokio::test]
async fn a_quote_has_what_proves_its_address_and_never_the_recovery_code() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    let page = server.get(&invoice.page(), &[]).await.text;
    let quote = &snapshot(&server, &invoice).await["quote"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (address, wallet) = (text(&quote["address"]), text(&quote["proof"]["wallet"]));
    assert_eq!(wallet, "0x1111111111111111111111111111111111111111");
    assert!(wire::deposit_address::is_deposit_address(&address, &wallet, &text(&quote["proof"]["salt"])));
    assert!(page.contains(&format!("computed from wallet {wallet} and a contract that can only pay")), "{page}");
    assert!(!page.contains(&hex::encode([9; 32])), "the recovery code is the merchant's alone");
}

#[tokio::test]
async fn payments_are_shown_as_they_deepen() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 1).await;
    let confirming = snapshot(&server, &invoice).await;
    let payment = &confirming["payments"][0];
    assert_eq!(
        (&payment["state"], &payment["symbol"], &payment["amount"]),
        (&json!("confirming"), &json!("USDC"), &json!("20"))
    );
    assert_eq!((&payment["confirmations"], &payment["required_confirmations"]), (&json!(1), &json!(3)));
    let link = format!("https://explorer.example/tx/{}", payment["tx_hash"].as_str().unwrap());
    assert_eq!(payment["explorer_url"], link);

    server.pay(&invoice, usd(0), 2).await;
    let paid = snapshot(&server, &invoice).await;
    assert!(confirming["version"].as_i64() < paid["version"].as_i64());
    assert_eq!((&paid["invoice"]["status"], &paid["payments"][0]["state"]), (&json!("paid"), &json!("credited")));
    assert_eq!((&paid["quote"], &paid["tokens"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn payers_are_told_how_long_it_takes_and_what_it_costs_where_that_is_configured() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let shown = snapshot(&server, &invoice).await;
    let told = |token: &Value| (token["typical_seconds"].clone(), token["fees"].clone(), token["is_unsteady"].clone());
    assert_eq!(told(&shown["tokens"][0]), (Value::Null, Value::Null, json!(false)));
    // Two blocks of 12 s, and a look at the chain each second.
    assert_eq!(told(&shown["tokens"][2]), (json!(25), json!("high"), json!(false)));

    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 1).await;
    let payment = &snapshot(&server, &invoice).await["payments"][0];
    assert_eq!(payment["expected_seconds"], Value::Null);
    assert!(payment["block_time"].is_i64(), "{payment}");
}

#[tokio::test]
async fn a_network_that_cannot_be_read_is_named_once_something_is_asked_there() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let _watch = server.app.outages.watch("ethereum");
    server.app.outages.began("ethereum");
    let shown = snapshot(&server, &invoice).await;
    assert_eq!((&shown["tokens"][0]["is_unsteady"], &shown["tokens"][2]["is_unsteady"]), (&json!(true), &json!(false)));
    assert_eq!(shown["unread_network"], Value::Null);

    server.quote(&invoice).await;
    server.app.outages.stopped("ethereum");
    assert_eq!(snapshot(&server, &invoice).await["unread_network"], "Ethereum");
    server.app.outages.ended("ethereum");
    assert_eq!(snapshot(&server, &invoice).await["unread_network"], Value::Null);
}

#[tokio::test]
async fn the_only_choice_is_made_at_once() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let one = json!({ "networks": ["base"] }).to_string();
    let key = ("x-api-key", server.key.as_str());
    let answer = server.call(&Method::PUT, "/api/v1/merchant/networks", key, &one).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let shown = snapshot(&server, &invoice).await;
    assert_eq!((&shown["quote"]["network"], &shown["quote"]["token_id"]), (&json!("base"), &json!(4)));
    assert_eq!(snapshot(&server, &invoice).await["quote"], shown["quote"], "once");
}

#[tokio::test]
async fn a_merchant_that_takes_nothing_is_said_to_be_pausing() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let none = json!({ "networks": [] }).to_string();
    let key = ("x-api-key", server.key.as_str());
    let answer = server.call(&Method::PUT, "/api/v1/merchant/networks", key, &none).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(snapshot(&server, &invoice).await["merchant"]["is_paused"], true);
}

#[tokio::test]
async fn a_choice_without_a_price_says_so_to_scripts() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = choose(&server, &invoice, &format!("ethereum:{UNPRICED}"), "application/json").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!((&answer.json()["notice"], &answer.json()["quote"]), (&json!("no_price"), &Value::Null));
    let answer = choose(&server, &invoice, "base:1", "application/json").await;
    assert_eq!(answer.json()["notice"], "not_offered");
    let answer = choose(&server, &invoice, "nonsense", "application/json").await;
    answer.is_error(400, "VALIDATION_ERROR", Some("token"));
}

#[tokio::test]
async fn a_choice_is_quoted_to_scripts_and_sends_forms_on_to_the_page() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = choose(&server, &invoice, "base%3A4", "application/json").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let quote = &answer.json()["quote"];
    assert_eq!((&quote["network"], &quote["token_id"], &quote["amount"]), (&json!("base"), &json!(4), &json!("20")));
    assert_eq!(answer.json()["notice"], Value::Null);

    let answer = choose(&server, &invoice, "ethereum:1", "text/html").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, invoice.page().as_str()));
    assert_eq!(snapshot(&server, &invoice).await["quote"]["network"], "ethereum");
}

#[tokio::test]
async fn a_quote_that_lapsed_or_no_longer_fits_is_renewed() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    choose(&server, &invoice, "ethereum:1", "application/json").await;
    let first = snapshot(&server, &invoice).await;
    assert_eq!(snapshot(&server, &invoice).await["quote"], first["quote"]);

    server.clock.advance_seconds(301);
    let renewed = snapshot(&server, &invoice).await;
    assert!(first["quote"]["valid_until"].as_i64() < renewed["quote"]["created_at"].as_i64());
    assert_eq!(renewed["quote"]["amount"], "20");

    server.pay(&invoice, usd(12_500), 3).await;
    let rest = snapshot(&server, &invoice).await;
    assert_eq!((&rest["quote"]["amount"], &rest["quote"]["covers"]), (&json!("7.5"), &json!(7_500)));
    assert_eq!(rest["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_form_that_renews_a_rate_keeps_token_and_network() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    choose(&server, &invoice, "base:4", "application/json").await;
    let first = snapshot(&server, &invoice).await;
    let page = server.get(&invoice.page(), &[]).await.text;
    let form = page.split("class=\"renew\"").nth(1).and_then(|rest| rest.split("</form>").next()).unwrap();
    let fields = form.split("<input").skip(1).map(|input| {
        let attribute = |name: &str| input.split(&format!(" {name}=\"")).nth(1)?.split('"').next();
        format!("{}={}", attribute("name").unwrap(), attribute("value").unwrap())
    });
    let fields = fields.collect::<Vec<_>>().join("&");

    server.clock.advance_seconds(301);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    let answer = server.send(request(Method::POST, "/pay/choose", &headers, &fields)).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let renewed = snapshot(&server, &invoice).await;
    for name in ["network", "token_id", "address", "symbol"] {
        assert_eq!(renewed["quote"][name], first["quote"][name], "{name}");
    }
    assert_eq!((&renewed["quote"]["network"], &renewed["quote"]["token_id"]), (&json!("base"), &json!(4)));
    assert!(first["quote"]["valid_until"].as_i64() < renewed["quote"]["created_at"].as_i64());
    assert!(server.get(answer.header("location"), &[]).await.text.contains("id=\"address\""), "it can be paid at once");
}

#[tokio::test]
async fn a_rate_that_lapsed_is_renewed_in_the_token_and_network_that_were_chosen() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    // Not what comes first in the list.
    choose(&server, &invoice, "base:4", "application/json").await;
    server.clock.advance_seconds(301);
    let page = server.get(&invoice.page(), &[]).await.text;
    assert!(page.contains("id=\"address\"") && page.contains("USDT"), "{page}");
    let quote = &snapshot(&server, &invoice).await["quote"];
    assert_eq!((&quote["network"], &quote["token_id"]), (&json!("base"), &json!(4)));
}

#[tokio::test]
async fn two_pages_that_choose_at_once_end_with_one_quote_that_both_are_shown() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let is_whole = |quote: &Value| {
        let expected = match quote["token_id"].as_i64() {
            Some(1) => ("ethereum", "@31337/", "20000000"),
            Some(4) => ("base", "@31338/", "20000000000000000000"),
            other => panic!("nobody chose {other:?}"),
        };
        let uri = quote["uri"].as_str().unwrap();
        assert_eq!((quote["network"].as_str(), quote["amount_base"].as_str()), (Some(expected.0), Some(expected.2)));
        assert!(uri.contains(expected.1) && uri.ends_with(&format!("uint256={}", expected.2)), "{uri}");
    };
    for _ in 0..8 {
        let (one, other) = tokio::join!(
            choose(&server, &invoice, "ethereum:1", "application/json"),
            choose(&server, &invoice, "base:4", "application/json"),
        );
        for answer in [&one, &other] {
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.json()["notice"], Value::Null);
            is_whole(&answer.json()["quote"]);
        }
        let (one, other) = tokio::join!(snapshot(&server, &invoice), snapshot(&server, &invoice));
        is_whole(&one["quote"]);
        assert_eq!(one["quote"], other["quote"]);
        server.clock.advance_seconds(1);
    }
}

#[tokio::test]
async fn a_form_without_a_choice_leads_back_to_choosing() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = choose(&server, &invoice, "", "text/html").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), format!("{}&choose=1", invoice.page()));
}

#[tokio::test]
async fn a_broken_link_gets_a_page_that_says_so() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let broken = Created { signature: super::altered(&invoice.signature, 5), ..invoice };
    let answer = choose(&server, &broken, "ethereum:1", "text/html").await;
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("This payment link does not work"), "{}", answer.text);
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self' 'sha256-"), "{policy}");
    let answer = choose(&server, &broken, "ethereum:1", "application/json").await;
    answer.is_error(401, "SESSION_INVALID", Some("x-session-token"));
}

#[tokio::test]
async fn the_first_frame_can_be_paid_and_is_bound_by_a_policy() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "description": "</script><script>x" })).await;
    server.quote(&invoice).await;
    let answer = server.get(&invoice.page(), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store, no-transform"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), clipboard-write=(self)",
        ),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none';",
        "connect-src 'self' ws://pay.example;",
        "frame-ancestors *;",
        "require-trusted-types-for 'script'; trusted-types 'none'",
    ] {
        assert!(policy.contains(part), "{part} is not in {policy}");
    }
    assert!(!answer.text.contains("</script><script>x"), "{}", answer.text);
    assert!(answer.text.contains("http-equiv=\"refresh\""), "{}", answer.text);
    let address = snapshot(&server, &invoice).await["quote"]["address"].as_str().unwrap().to_owned();
    let drawn = answer.text.split("id=\"snapshot\"").next().unwrap();
    assert!(drawn.contains(&address), "{}", answer.text);
}

#[tokio::test]
async fn who_chooses_again_finds_the_last_choice_made_and_is_left_in_peace() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let again = async || server.get(&format!("{}&choose=1", invoice.page()), &[]).await.text;
    assert!(!again().await.contains(" checked"), "nothing was chosen yet");
    server.quote(&invoice).await;
    let text = again().await;
    let radios: Vec<&str> = text.split("<input").filter(|input| input.contains("type=\"radio\"")).collect();
    let checked: Vec<_> = radios.iter().filter(|input| input.contains(" checked")).collect();
    assert!(1 < radios.len() && checked.len() == 1 && checked[0].contains("value=\"ethereum:1\""), "{checked:?}");
    assert!(!text.contains("http-equiv=\"refresh\"") && !text.contains("id=\"address\""), "{text}");
}

#[tokio::test]
async fn pages_are_sent_as_small_as_the_reader_takes_them_and_say_the_same() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    for path in [invoice.page(), invoice.page().replace("/pay?", "/pay/help?"), "/pay?session=x".to_owned()] {
        let plain = server.get(&path, &[]).await;
        assert!(!plain.headers.contains_key("content-encoding"), "{path}");
        let brotli = server.get(&path, &[("accept-encoding", "gzip, deflate, br, zstd")]).await;
        assert_eq!(brotli.header("content-encoding"), "br", "{path}");
        // All but the time, which goes on.
        assert_eq!(brotli.text.split("now_ms").next(), plain.text.split("now_ms").next(), "{path}");
        assert!(brotli.text.trim_end().ends_with("</html>"), "{path}");
        assert_eq!(brotli.header("content-security-policy"), plain.header("content-security-policy"), "{path}");
        let gzip = server.get(&path, &[("accept-encoding", "gzip, br;q=0")]).await;
        assert_eq!(gzip.header("content-encoding"), "gzip", "{path}");
        for answer in [plain, brotli, gzip] {
            assert_eq!(answer.header("vary"), "accept-encoding", "{path}");
        }
    }
}

#[tokio::test]
async fn a_merchant_s_origins_are_who_may_embed_its_pages() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let (merchant, origins) = (server.merchant, ["https://shop.example".to_owned()]);
    let write =
        server.app.store.write(move |tx| Box::pin(async move { tx.set_frame_origins(merchant, &origins).await }));
    assert!(write.await.unwrap());
    let answer = server.get(&invoice.page(), &[]).await;
    assert!(answer.header("content-security-policy").contains("frame-ancestors https://shop.example;"));
}

#[tokio::test]
async fn a_form_that_gets_no_quote_is_shown_why() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = choose(&server, &invoice, &format!("ethereum:{UNPRICED}"), "text/html").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("\"notice\":\"no_price\""), "{}", answer.text);
}

#[tokio::test]
async fn without_a_built_page_there_is_one_that_says_how_to_build_it() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let router = router_with(server.app.clone(), Pages::of(&server.app, None), TIMEOUT);
    let answer = Server { router, ..server }.get(&invoice.page(), &[]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("cargo xtask page"), "{}", answer.text);
}

#[tokio::test]
async fn a_page_speaks_the_language_that_its_address_or_its_reader_asks_for() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let arabic = "<html lang=\"ar\" dir=\"rtl\">";
    for (query, accepted, expected) in [
        ("", "de", "<html lang=\"en\" dir=\"ltr\">"),
        ("", "ar-EG, en;q=0.5", arabic),
        ("&lang=ar", "en", arabic),
        ("&lang=en", "ar", "<html lang=\"en\" dir=\"ltr\">"),
    ] {
        let answer = server.get(&format!("{}{query}", invoice.page()), &[("accept-language", accepted)]).await;
        assert!(answer.text.contains(expected), "{query} {accepted}: {}", answer.text);
        let is_arabic = expected == arabic;
        assert_eq!(answer.text.contains("data-language=\"ar\""), is_arabic, "{}", answer.text);
        assert_eq!(answer.text.contains("كيف تودّ أن تدفع؟"), is_arabic, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_form_s_language_is_kept_on_the_way_to_the_page() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = choose(&server, &invoice, "ethereum:1&lang=ar", "text/html").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, format!("{}&lang=ar", invoice.page()).as_str())
    );
    let answer = choose(&server, &invoice, &format!("ethereum:{UNPRICED}&lang=ar"), "text/html").await;
    assert!(answer.text.contains("العملة التي اخترتها ليس لها سعر موثوق الآن"), "{}", answer.text);
}
