//! What tokens cost, as their networks' feeds say.

use axum::{Router, routing::get};
use domain::{
    invoice::{InvoiceStatus, PaymentStatus::ManualRetry},
    money::Rate,
    transfer::Valuation,
};
use pepay::{alarm, rates::NoPrice};
use serde_json::json;

use super::{
    ear::Ear,
    relay::Relay,
    shop::{ETH, Shop, USDC, check, milliether},
};

/// A shop of which another feed of the chain has a part in the configuration, and that feed.
async fn with_feed(price_e8: i64, key: &'static str) -> (Shop, alloy_primitives::Address) {
    let shop = Shop::open().await;
    let feed = shop.chain.deploy_feed(price_e8).await.unwrap();
    let shop = shop
        .restart_with(|network| match key {
            "guard" => {
                let guard = json!({ "feed": feed, "heartbeat_seconds": 86_400 });
                network.tokens[0].guard = Some(serde_json::from_value(guard).unwrap());
            }
            _ => network.sequencer_feed = Some(feed),
        })
        .await;
    (shop, feed)
}

async fn now(shop: &Shop) -> u64 {
    shop.chain.block_time().await.unwrap()
}

#[tokio::test]
async fn a_dollar_token_that_is_no_dollar_is_not_quoted() {
    let (shop, feed) = with_feed(100_000_000, "guard").await;
    let order = shop.order(20_000, USDC).await;
    let ear = Ear::listen();
    let says = async |price_e8: i64| {
        shop.chain.set_price(feed, price_e8, now(&shop).await).await.unwrap();
        shop.app.prices.look_at_guards().await;
        shop.app.prices.current(USDC).await.map(Rate::usd_e8)
    };
    for par in [98_000_000, 102_000_000] {
        assert_eq!(says(par).await, Ok(100_000_000), "par is par");
    }
    assert_eq!(ear.alarms(), Vec::<String>::new());
    for other in [97_999_999, 102_000_001, 50_000_000] {
        assert_eq!(says(other).await, Err(NoPrice::OffPar { usd_e8: other.unsigned_abs().into() }));
    }
    let refused = pepay::invoicing::choose(&shop.app, shop.merchant, order.id, "ethereum", USDC).await;
    assert!(refused.is_ok(), "a quote that was given holds: {refused:?}");
    assert_eq!(ear.alarms(), [alarm::DOLLAR_TOKEN_OFF_PAR], "told of once");
    assert_eq!(says(100_000_000).await, Ok(100_000_000));
    assert!(says(50_000_000).await.is_err());
    assert_eq!(ear.alarms(), [alarm::DOLLAR_TOKEN_OFF_PAR], "and once each time that it comes to that");
}

#[tokio::test]
async fn par_does_not_depend_on_its_guard() {
    let (shop, feed) = with_feed(100_000_000, "guard").await;
    let current = async || shop.app.prices.current(USDC).await.map(Rate::usd_e8);
    shop.chain.set_price(feed, 100_000_000, now(&shop).await - 200_000).await.unwrap();
    shop.app.prices.look_at_guards().await;
    assert_eq!(current().await, Ok(100_000_000), "an old guard says nothing");
    shop.chain.set_price(feed, 90_000_000, now(&shop).await).await.unwrap();
    shop.app.prices.look_at_guards().await;
    assert_eq!(current().await, Err(NoPrice::OffPar { usd_e8: 90_000_000 }));
    shop.chain.set_price(feed, 0, now(&shop).await).await.unwrap();
    shop.app.prices.look_at_guards().await;
    assert_eq!(current().await, Err(NoPrice::OffPar { usd_e8: 90_000_000 }), "what was bad is not good by silence");
}

/// Whoever holds a quote is held to it; whoever knows an address only must not pay with what is no dollar any more.
#[tokio::test]
async fn money_that_is_off_par_at_its_block_counts_only_under_a_quote() {
    let (mut shop, feed) = with_feed(100_000_000, "guard").await;
    let (quoted, lapsed, silent) =
        (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    shop.chain.set_price(feed, 50_000_000, now(&shop).await).await.unwrap();
    shop.pay(quoted, 20_000).await;
    shop.confirm().await;
    check(&shop.case(quoted).await, InvoiceStatus::Paid, 20_000);

    // Quotes hold for five minutes. Nobody has looked at the guard so far: the block's own word counts.
    shop.chain.increase_time(301).await.unwrap();
    shop.pay(lapsed, 20_000).await;
    shop.confirm().await;
    let case = shop.case(lapsed).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!((case.payments[0].record.valuation, case.payments[0].status), (Valuation::Unpriced, ManualRetry));

    // A feed that says nothing makes no difference to par.
    shop.chain.set_price(feed, 50_000_000, now(&shop).await - 200_000).await.unwrap();
    shop.pay(silent, 20_000).await;
    shop.confirm().await;
    check(&shop.case(silent).await, InvoiceStatus::Paid, 20_000);
    for order in [quoted, lapsed, silent] {
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn coin_whose_price_could_not_be_had_is_worth_what_its_block_said_once_that_can_be_asked() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.chain.increase_time(301).await.unwrap();
    let feed = shop.feed.to_string();
    relay.twist(move |call, answer| {
        if call["method"] == "eth_call" && call["params"][0]["to"] == json!(feed) {
            answer["result"] = json!("0x");
        }
    });
    shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!((case.payments[0].record.valuation, case.payments[0].status), (Valuation::Unpriced, ManualRetry));
    shop.price_late().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);

    // It says something else by now.
    shop.chain.set_price(shop.feed, 2_100 * 100_000_000, now(&shop).await).await.unwrap();
    relay.twist(|_, _| {});
    shop.price_late().await;
    let rate = Rate::from_usd_e8(200_000_000_000).unwrap();
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments[0].record.valuation, Valuation::Spot { rate });
    let events = shop.events(order).await;
    assert_eq!(events[2..], ["invoice_payment.updated", "invoice.updated"], "{events:?}");
    shop.price_late().await;
    assert_eq!(shop.events(order).await, events, "what has a price keeps it");
    shop.check_conservation(order).await;
}

/// A guard that cannot be read says that a token is a dollar, so asking it later would make dollars of what was none.
#[tokio::test]
async fn a_token_that_was_no_dollar_at_its_block_is_not_priced_later() {
    let (mut shop, feed) = with_feed(100_000_000, "guard").await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.chain.increase_time(301).await.unwrap();
    shop.chain.set_price(feed, 50_000_000, now(&shop).await).await.unwrap();
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    shop.chain.set_price(feed, 100_000_000, now(&shop).await).await.unwrap();
    shop.price_late().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
}

#[tokio::test]
async fn while_the_sequencer_is_down_and_an_hour_after_there_is_no_price() {
    let (shop, feed) = with_feed(0, "sequencer").await;
    let says = async |answer: i64, since: u64| {
        shop.chain.set_price(feed, answer, since).await.unwrap();
        shop.clock.advance_seconds(11);
        shop.app.prices.current(ETH).await.map(Rate::usd_e8)
    };
    let began = now(&shop).await;
    assert_eq!(says(0, began - 7_200).await, Ok(200_000_000_000));
    assert_eq!(says(1, began - 7_200).await, Err(NoPrice::SequencerDown));
    assert!(matches!(says(0, began - 3_000).await, Err(NoPrice::SequencerJustUp { .. })));
    assert_eq!(says(0, 0).await, Err(NoPrice::SequencerDown));
    assert_eq!(says(0, began - 3_700).await, Ok(200_000_000_000));
}

#[tokio::test]
async fn a_quote_keeps_where_its_price_was_read() {
    let shop = Shop::open().await;
    let (coins, dollars) = (shop.order(20_000, ETH).await, shop.order(20_000, USDC).await);
    let priced_by = shop.case(coins).await.quotes[0].priced_by.clone().unwrap();
    assert_eq!((priced_by.network.as_str(), priced_by.feed), ("ethereum", shop.feed));
    assert_eq!(priced_by.block, shop.chain.block_number().await.unwrap());
    // latestRoundData(), whose first word is the round.
    let call = json!([{ "to": shop.feed, "data": "0xfeaf968c" }, "latest"]);
    let said = shop.chain.rpc("eth_call", call).await.unwrap();
    let round = alloy_primitives::U256::from_str_radix(&said.as_str().unwrap()[2..66], 16).unwrap();
    assert_eq!(priced_by.round, round);
    assert_eq!(shop.case(dollars).await.quotes[0].priced_by, None);
}

#[tokio::test]
async fn two_opinions_that_differ_are_no_price() {
    let said = std::sync::Arc::new(std::sync::Mutex::new("{\"eth\":{\"usd\":2000.5}}".to_owned()));
    let answer = std::sync::Arc::clone(&said);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(get(move || async move { answer.lock().unwrap().clone() }));
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let service = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let opinion = json!({ "url": url, "pointer": "/eth/usd" });
    let shop = Shop::open().await;
    let shop = shop
        .restart_with(|network| network.tokens[2].second_opinion = Some(serde_json::from_value(opinion).unwrap()))
        .await;
    let soon = async |seconds| {
        shop.clock.advance_seconds(seconds);
        shop.app.prices.current(ETH).await.map(Rate::usd_e8)
    };
    let current = async || soon(60).await;
    let says = |text: &str| text.clone_into(&mut said.lock().unwrap());
    assert_eq!(current().await, Ok(200_000_000_000), "the feed's price is the price");
    says("{\"eth\":{\"usd\":2040}}");
    assert_eq!(current().await, Ok(200_000_000_000));
    says("{\"eth\":{\"usd\":5}}");
    assert_eq!(soon(59).await, Ok(200_000_000_000), "it is asked for once a minute");
    let ear = Ear::listen();
    says("{\"eth\":{\"usd\":2041}}");
    assert_eq!(current().await, Err(NoPrice::Disputed { feed: 200_000_000_000, other: 204_100_000_000 }));
    says("{\"eth\":{\"usd\":\"1900\"}}");
    assert!(matches!(current().await, Err(NoPrice::Disputed { .. })));
    assert_eq!(ear.alarms(), [alarm::PRICE_DISPUTED], "told of once");
    says("out of order");
    assert_eq!(current().await, Ok(200_000_000_000), "one that cannot be had changes nothing");
    service.abort();
}
