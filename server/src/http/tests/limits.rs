//! How much is too much, and who is kept out by that.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request},
};
use ipnet::IpNet;
use serde_json::json;

use super::{Answer, Created, Server, add_merchant, altered, new_key, request};
use crate::config::{Config, ForwardedHeader, LimitsConfig};

const TOTALS: &str = "/api/v1/invoices/totals";
const HOME: &str = "203.0.113.5";
const ELSEWHERE: &str = "203.0.113.6";

fn default_limits(config: &mut Config) {
    config.limits = LimitsConfig::default();
}

impl Server {
    /// A request over a connection from an address.
    async fn ask(&self, address: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(from(address, request(Method::GET, path, headers, ""))).await
    }

    async fn ask_totals(&self, address: &str, key: &str) -> Answer {
        self.ask(address, TOTALS, &[("x-api-key", key)]).await
    }
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(address.parse().unwrap(), 40_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

impl Answer {
    #[track_caller]
    fn is_refused(&self, policy: &str) {
        self.is_error(429, "RATE_LIMITED", None);
        let retry_after: i64 = self.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&retry_after), "{retry_after}");
        assert!(self.header("ratelimit").starts_with(&format!("\"{policy}\";r=0;t=")), "{}", self.header("ratelimit"));
        assert!(self.text.contains(&format!("try again in {retry_after} seconds")), "{}", self.text);
    }
}

#[tokio::test]
async fn the_hundred_and_first_request_with_a_key_is_refused_until_one_comes_back() {
    let server = Server::start_with(default_limits).await;
    for remaining in (0..100).rev() {
        let answer = server.ask_totals(HOME, &server.key).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=100;w=60");
        let whole = (100 - remaining) * 600_u32;
        // Some milliseconds have passed since the first.
        let whole =
            [whole, whole.saturating_sub(600)].map(|ms| format!("\"key\";r={remaining};t={}", ms.div_ceil(1000)));
        assert!(whole.contains(&answer.header("ratelimit").to_owned()), "{}", answer.header("ratelimit"));
    }
    let refused = server.ask_totals(HOME, &server.key).await;
    refused.is_refused("key");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), "\"key\";q=100;w=60");
    server.ask_totals(ELSEWHERE, &server.key).await.is_refused("key");
    server.ask("::1", TOTALS, &[("authorization", &format!("Bearer {}", server.key))]).await.is_refused("key");

    server.clock.advance_seconds(1);
    assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    server.clock.advance_seconds(60);
    let answer = server.ask_totals(HOME, &server.key).await;
    assert_eq!((answer.status.as_u16(), answer.header("ratelimit")), (200, "\"key\";r=99;t=1"));
}

#[tokio::test]
async fn a_merchant_that_asks_too_often_keeps_no_other_out() {
    let server = Server::start_with(default_limits).await;
    let (_, other) = add_merchant(&server.app).await;
    assert_eq!(server.ask_totals(HOME, &other).await.status, 200);
    for _ in 0..300 {
        server.ask_totals(HOME, &server.key).await;
    }
    server.ask_totals(HOME, &server.key).await.is_refused("key");
    for _ in 0..50 {
        assert_eq!(server.ask_totals(HOME, &other).await.status, 200);
    }
}

#[tokio::test]
async fn every_kind_of_request_with_a_key_counts() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_key = 5).await;
    let mut left = Vec::new();
    for path in [TOTALS, "/nothing", "/api/v1/invoices?limit=0", "/pay", "/ws/payment"] {
        left.push(server.ask(HOME, path, &[("x-api-key", &server.key)]).await.header("ratelimit").to_owned());
    }
    let expected: Vec<_> =
        [(4, 12), (3, 24), (2, 36), (1, 48), (0, 60)].map(|(r, t)| format!("\"key\";r={r};t={t}")).into();
    assert_eq!(left, expected);
    server.post_invoice(&new_key(), r#"{"amount_usd":20}"#).await.is_refused("key");
    assert_eq!(server.rows().await[0], 0);
}

#[tokio::test]
async fn bad_credentials_are_counted_by_address_and_keep_good_keys_in() {
    let server = Server::start_with(default_limits).await;
    let (_, fresh) = add_merchant(&server.app).await;
    let invoice = server.invoice(json!({})).await;
    assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    for attempt in 0..20 {
        let answer = match attempt % 3 {
            0 => server.ask_totals(HOME, &format!("pk_{attempt}")).await,
            1 => {
                let signature = altered(&invoice.signature, attempt);
                let headers = [("x-session-token", invoice.token.as_str()), ("x-signature", &signature)];
                server.ask(HOME, "/api/v1/payments/session-details", &headers).await
            }
            _ => server.ask(HOME, "/ws/payment?token=made-up", &[]).await,
        };
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(answer.header("ratelimit").starts_with("\"address\";"), "{}", answer.header("ratelimit"));
    }
    for _ in 0..3 {
        let refused = server.ask_totals(HOME, "pk_x").await;
        refused.is_refused("failed-credentials");
        assert_eq!(refused.header("retry-after"), "3");
    }
    server.ask(HOME, "/ws/payment?token=made-up", &[]).await.is_refused("failed-credentials");
    // Whether it is good is not even looked up.
    server.ask_totals(HOME, &fresh).await.is_refused("failed-credentials");

    assert_eq!(server.ask_totals(ELSEWHERE, &fresh).await.status, 200);
    assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    let headers = [("x-session-token", invoice.token.as_str()), ("x-signature", &invoice.signature)];
    assert_eq!(server.ask(HOME, "/api/v1/payments/session-details", &headers).await.status, 200);
    server.ask(HOME, TOTALS, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));

    server.clock.advance_seconds(3);
    server.ask_totals(HOME, "pk_y").await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    server.ask_totals(HOME, "pk_y").await.is_refused("failed-credentials");
}

#[tokio::test]
async fn to_ask_without_credentials_is_no_bad_attempt_but_counts_by_address() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_address = 30;
        config.limits.failed_credentials_per_minute = 2;
    })
    .await;
    for path in [TOTALS, "/nothing", "/api/commerce", "/pay", "/"].repeat(6) {
        assert_ne!(server.ask(HOME, path, &[]).await.status, 429, "{path}");
    }
    server.ask(HOME, TOTALS, &[]).await.is_refused("address");
    server.ask(HOME, "/nothing", &[]).await.is_refused("address");
    assert_eq!(server.ask(ELSEWHERE, "/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn a_made_up_key_is_no_way_around_the_limit_of_an_address() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_address = 10).await;
    for number in 0..10 {
        // Nothing there looks at the key.
        let answer = server.ask(HOME, "/nothing", &[("x-api-key", &format!("pk_{number}"))]).await;
        assert_eq!(answer.status, 404);
    }
    server.ask(HOME, "/nothing", &[("x-api-key", "pk_0")]).await.is_refused("address");
    server.ask(HOME, "/nothing", &[("x-api-key", "pk_11")]).await.is_refused("address");
}

#[tokio::test]
async fn a_key_that_is_revoked_stays_under_its_limit() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_key = 3).await;
    assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    let (merchant, now) = (server.merchant, server.app.clock.now());
    let id = server.app.store.reader().await.unwrap().tx().api_keys(merchant).await.unwrap()[0].id;
    let revoke = server.app.store.write(move |tx| {
        Box::pin(async move {
            tx.revoke_api_key(merchant, id, None, now).await?;
            Ok::<_, crate::store::StoreError>(())
        })
    });
    revoke.await.unwrap();
    for _ in 0..2 {
        server.ask_totals(HOME, &server.key).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));
    }
    server.ask_totals(HOME, &server.key).await.is_refused("key");
}

#[tokio::test]
async fn no_answer_gives_a_key_its_limit_back() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_key = 5).await;
    for path in [TOTALS, "/pay", "/pay?session=a&signature=b", "/ws/payment?token=x", TOTALS] {
        assert_ne!(server.ask(HOME, path, &[("x-api-key", &server.key)]).await.status, 429, "{path}");
    }
    server.ask_totals(HOME, &server.key).await.is_refused("key");
}

#[tokio::test]
async fn a_forged_forwarding_header_is_no_way_around_the_limit_of_an_address() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_address = 5).await;
    for number in 0..5 {
        let claim = format!("198.51.100.{number}");
        let forwarded = format!("for={claim}");
        let headers = [("x-forwarded-for", claim.as_str()), ("forwarded", &forwarded), ("x-real-ip", &claim)];
        assert_eq!(server.ask(HOME, "/nothing", &headers).await.status, 404);
    }
    server.ask(HOME, "/nothing", &[("x-forwarded-for", "198.51.100.99")]).await.is_refused("address");
    // Nor does it use up what somebody else has.
    assert_eq!(server.ask("198.51.100.1", "/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn callers_behind_listed_proxies_are_told_apart_and_cannot_pose_as_others() {
    let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_address = 3;
        config.server.trusted_proxies = proxies;
    })
    .await;
    let ask = async |forwarded: &str| server.ask("10.0.0.1", "/nothing", &[("x-forwarded-for", forwarded)]).await;
    for forwarded in ["198.51.100.1", "192.0.2.1, 198.51.100.1", "192.0.2.2, 198.51.100.1, 10.0.0.2"] {
        assert_eq!(ask(forwarded).await.status, 404);
    }
    ask("192.0.2.3, 198.51.100.1").await.is_refused("address");
    assert_eq!(ask("198.51.100.1, 198.51.100.2").await.status, 404);
    // What the others claimed to be was not held against those.
    assert_eq!(ask("192.0.2.1").await.status, 404);
    // In IPv6 a caller has a whole network.
    for forwarded in ["2001:db8::1", "2001:db8::2", "[2001:db8::3]:443"] {
        assert_eq!(ask(forwarded).await.status, 404);
    }
    ask("2001:db8::4").await.is_refused("address");
    assert_eq!(ask("2001:db8:0:1::4").await.status, 404);
}

#[tokio::test]
async fn the_standard_forwarding_header_is_read_where_it_is_chosen() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_address = 1;
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        config.server.forwarded_header = ForwardedHeader::Forwarded;
    })
    .await;
    let ask = async |name: &str, value: &str| server.ask("10.0.0.1", "/nothing", &[(name, value)]).await;
    assert_eq!(ask("forwarded", "for=198.51.100.1").await.status, 404);
    assert_eq!(ask("forwarded", "for=198.51.100.2;proto=https").await.status, 404);
    ask("forwarded", "for=1.1.1.1, for=198.51.100.2").await.is_refused("address");
    // The other header says nothing, so both of these are the proxy's own.
    assert_eq!(ask("x-forwarded-for", "198.51.100.3").await.status, 404);
    ask("x-forwarded-for", "198.51.100.4").await.is_refused("address");
}

#[tokio::test]
async fn a_payer_has_a_limit_of_its_own_and_its_refusal_can_be_read_by_any_page() {
    let server = Server::start_with(default_limits).await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    let ask = async |invoice: &Created, address: &str| {
        let headers = [("x-session-token", invoice.token.as_str()), ("x-signature", &invoice.signature)];
        server.ask(address, "/api/v1/payments/payment-status", &headers).await
    };
    for remaining in (0..60).rev() {
        let answer = ask(&invoice, HOME).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("ratelimit-policy"), "\"session\";q=60;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"session\";r={remaining};")));
        assert!(answer.header("access-control-expose-headers").contains("ratelimit-policy"));
    }
    let refused = ask(&invoice, ELSEWHERE).await;
    refused.is_refused("session");
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    assert!(refused.header("access-control-expose-headers").contains("retry-after"));
    assert_eq!(ask(&other, HOME).await.status, 200);
    server.clock.advance_seconds(1);
    assert_eq!(ask(&invoice, HOME).await.status, 200);
}

#[tokio::test]
async fn a_page_that_is_asked_for_too_often_says_so_in_words() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_session = 2;
        config.limits.requests_per_minute_per_address = 1;
    })
    .await;
    let invoice = server.invoice(json!({})).await;
    for _ in 0..2 {
        assert_eq!(server.ask(HOME, &invoice.page(), &[]).await.status, 200);
    }
    let choose = async |accept: &str| {
        let body = format!("session={}&signature={}&token=ethereum:1", invoice.token, invoice.signature);
        server.send(from(HOME, request(Method::POST, "/pay/choose", &[("accept", accept)], &body))).await
    };
    assert_eq!(choose("text/html").await.status, 303);
    let (page, form) = (server.ask(HOME, &invoice.page(), &[]).await, choose("text/html").await);
    for refused in [&page, &form] {
        assert_eq!(refused.status, 429);
        assert!(refused.header("content-type").starts_with("text/html"), "{}", refused.text);
        assert!(refused.text.contains("<h1 id=\"stage\">That was a bit too fast</h1>"), "{}", refused.text);
        assert!(refused.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(!refused.header("x-request-id").is_empty());
    }
    // A page can be asked for again where it was; a form is not sent again by itself.
    assert!(page.text.contains(&invoice.token) && !form.text.contains(&invoice.token));
    assert_eq!((page.header("retry-after"), page.header("refresh")), ("30", "30"));
    assert_eq!((form.header("retry-after"), form.header("refresh")), ("60", ""));
    choose("application/json").await.is_refused("address");
}

#[tokio::test]
async fn an_upgrade_to_a_socket_counts_as_a_request() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_address = 3).await;
    let invoice = server.invoice(json!({})).await;
    let token = server.payor_get("/api/v1/payments/stream-token", &invoice).await.json();
    let token = token["token"].as_str().unwrap();
    for _ in 0..3 {
        // Nothing here can be upgraded, which comes after the token.
        let answer = server.ask(HOME, &format!("/ws/payment?token={token}"), &[]).await;
        answer.is_error(426, "UPGRADE_REQUIRED", None);
    }
    server.ask(HOME, &format!("/ws/payment?token={token}"), &[]).await.is_refused("address");
}

#[tokio::test]
async fn health_assets_and_leave_to_ask_are_never_refused() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_address = 1;
        config.limits.requests_per_minute_per_key = 1;
    })
    .await;
    for _ in 0..5 {
        let live = server.ask(HOME, "/health/live", &[]).await;
        assert_eq!((live.status.as_u16(), live.header("ratelimit")), (200, ""));
        assert_eq!(server.ask(HOME, "/health/ready", &[("x-api-key", "pk_x")]).await.status, 503);
        assert_eq!(server.ask(HOME, "/assets/missing.js", &[]).await.status, 404);
        let headers = [("origin", "https://shop.example"), ("access-control-request-method", "GET")];
        let preflight = request(Method::OPTIONS, "/api/v1/payments/session-details", &headers, "");
        assert_eq!(server.send(from(HOME, preflight)).await.status, 200);
    }
}

#[tokio::test]
async fn nothing_is_refused_where_limits_are_switched_off() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    for _ in 0..300 {
        for answer in [
            server.ask_totals(HOME, &server.key).await,
            server.payor_get("/api/v1/payments/session-details", &invoice).await,
            server.ask_totals(HOME, "pk_x").await,
            server.ask(HOME, "/nothing", &[]).await,
        ] {
            assert!([200, 401, 404].contains(&answer.status.as_u16()), "{}", answer.text);
            assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), ("", ""));
        }
    }
}

#[tokio::test]
async fn without_a_limit_for_keys_they_are_not_held_to_that_of_addresses() {
    let server = Server::start_with(|config| config.limits.requests_per_minute_per_address = 2).await;
    for _ in 0..10 {
        assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    }
}

#[tokio::test]
async fn each_of_several_nodes_allows_its_part() {
    let server = Server::start_with(default_limits).await;
    server.app.living.set(3);
    for _ in 0..33 {
        let answer = server.ask_totals(HOME, &server.key).await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit-policy")), (200, "\"key\";q=33;w=60"));
    }
    server.ask_totals(HOME, &server.key).await.is_refused("key");
    // The others are gone, and what comes back from now on is this one's alone.
    server.app.living.set(1);
    server.clock.advance_seconds(6);
    for _ in 0..10 {
        assert_eq!(server.ask_totals(HOME, &server.key).await.status, 200);
    }
}

#[tokio::test]
async fn a_refusal_asks_nothing_of_the_database() {
    let server = Server::start_with(|config| {
        config.limits.requests_per_minute_per_key = 1;
        config.limits.requests_per_minute_per_session = 1;
        config.limits.requests_per_minute_per_address = 2;
        config.limits.failed_credentials_per_minute = 1;
    })
    .await;
    let invoice = server.invoice(json!({})).await;
    assert_eq!(server.payor_get("/api/v1/payments/session-details", &invoice).await.status, 200);
    assert_eq!(server.ask_totals(HOME, "pk_x").await.status, 401);
    server.app.store.close_readers().await;
    server.ask_totals(ELSEWHERE, &server.key).await.is_refused("key");
    server.payor_get("/api/v1/payments/session-details", &invoice).await.is_refused("session");
    server.ask_totals(HOME, "pk_y").await.is_refused("failed-credentials");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let ask = async |path: &str, headers: &[(&str, &str)]| server.ask(HOME, path, headers).await;
    let long = "x".repeat(8_192);
    ask(&format!("/nothing?{long}"), &[]).await.is_error(414, "URL_TOO_LONG", None);
    ask("/health/live", &[("x-a", &long), ("x-b", &long)]).await.is_error(431, "HEADERS_TOO_LARGE", None);
    assert_eq!(ask("/health/live", &[("x-a", &long)]).await.status, 200);
    let names: Vec<_> = (0..65).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    ask("/health/live", &many).await.is_error(431, "HEADERS_TOO_LARGE", None);
    assert_eq!(ask("/health/live", &many[..64]).await.status, 200);

    let headers = [("content-length", "32769"), ("content-type", "application/json")];
    for path in ["/api/v1/invoices", "/nothing", "/api/v1/payments/payment-addresses"] {
        let post = request(Method::POST, path, &headers, "");
        server.send(post).await.is_error(413, "BODY_TOO_LARGE", None);
    }
    let page = ask(&format!("/pay?session={long}"), &[]).await;
    assert_eq!(page.status, 414);
    assert!(page.text.contains("<h1 id=\"stage\">That was too much at once</h1>"), "{}", page.text);
}
