//! One payment and one sweep through every real part: shop, API, chain, webhook, wallet.

use std::{error::Error, time::Duration};

use alloy_primitives::{Address, U256};
use demo::{
    shop::{Order, OrderState, customer::Share},
    stage::{FINAL_AFTER, MERCHANT_WALLET, Network, Stage, StageOptions, Token},
};
use serde::Deserialize;
use serde_json::json;

/// How long each step may take; blocks come every second.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to ask for what has no push.
const ASK_EVERY: Duration = Duration::from_millis(250);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the payor API answers when an address is asked for.
#[derive(Deserialize)]
struct PaymentAddress {
    temp_address: Address,
    estimated_token_amount: String,
}

pub(crate) async fn check(options: &StageOptions, say: &mut dyn FnMut(&str)) -> Outcome<()> {
    let stage = Stage::set(options, say).await?;
    let result = pay_and_sweep(&stage, say).await;
    say("Ending everything");
    stage.end().await;
    result?;
    say("One payment and one sweep went all the way");
    Ok(())
}

async fn pay_and_sweep(stage: &Stage, say: &mut dyn FnMut(&str)) -> Outcome<()> {
    let network = stage.network("base").ok_or("the demo has no second network")?;
    let token = &network.tokens[0];
    let contract = token.contract.ok_or("the first token is not a stablecoin")?;
    let before = network.chain.balance_of(contract, MERCHANT_WALLET).await?;

    say("Buying in the shop");
    let order = stage.shop.create_order().await?;
    let address = choose(stage, &order, network, token).await?;
    let due = base_units(&address.estimated_token_amount, token.decimals).ok_or("the amount to pay is not a number")?;

    say(&format!("Paying {} {} on {}", address.estimated_token_amount, token.symbol, network.name));
    let sent = stage.shop.pay(order.id, Share::Exact).await?;
    let shown = (sent.address.parse::<Address>()?, sent.amount_base, sent.token_contract.map(|token| token.parse()));
    if shown != (address.temp_address, due, Some(Ok(contract))) {
        return Err("the payment page shows something else than the API said".into());
    }
    network.chain.mined(sent.tx_hash.parse()?).await?;

    say("Waiting until the API says paid");
    until("the invoice to be paid", async || invoice_is_paid(stage, &order).await).await?;

    say("Waiting for the shop's verified webhook");
    until("the shop's webhook", async || {
        let followed = stage.shop.order(order.id);
        Ok(followed.is_some_and(|order| order.state == OrderState::Paid))
    })
    .await?;

    say("Sweeping to the merchant's wallet");
    network.chain.mine(FINAL_AFTER).await?;
    // The server notices finality a moment after the chain has it.
    let mut transactions = Vec::new();
    until("a deposit to be due for a sweep", async || {
        let due = stage.sweep()?.into_iter().filter(|sweep| sweep.deposits > 0);
        transactions = due.filter_map(|sweep| sweep.tx_hash).collect();
        Ok(!transactions.is_empty())
    })
    .await?;
    for transaction in transactions {
        network.chain.mined(transaction).await?;
    }

    let after = network.chain.balance_of(contract, MERCHANT_WALLET).await?;
    if after != before + due {
        return Err(format!("the merchant's balance went from {before} to {after}, and {due} was paid").into());
    }
    Ok(())
}

/// Picks a token with the payer's rights, as the payment page does.
async fn choose(stage: &Stage, order: &Order, network: &Network, token: &Token) -> Outcome<PaymentAddress> {
    let answer = demo::http_client()?
        .post(format!("{}/api/v1/payments/payment-addresses", stage.api.url))
        .header("x-session-token", &order.session.token)
        .header("x-signature", &order.session.signature)
        .json(&json!({ "network": network.name, "tokenId": token.id }))
        .send()
        .await?;
    Ok(answer.error_for_status()?.json().await?)
}

async fn invoice_is_paid(stage: &Stage, order: &Order) -> Outcome<bool> {
    let answer = demo::http_client()?
        .get(format!("{}/api/v1/invoices/{}/status", stage.api.url, order.invoice_id))
        .header("x-api-key", &stage.api.key)
        .send()
        .await?;
    let status: serde_json::Value = answer.error_for_status()?.json().await?;
    Ok(status["invoice"]["status"] == "paid")
}

/// Asks until it is so, for a limited time.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Outcome<bool>) -> Outcome<()> {
    let asking = async {
        while !is_so().await? {
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(result) => result,
        Err(_) => Err(format!("waited {} s for {what}", PATIENCE.as_secs()).into()),
    }
}

/// A decimal amount in a token's smallest unit; none if it has more decimals than the token.
fn base_units(amount: &str, decimals: u8) -> Option<U256> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let missing = usize::from(decimals).checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    let only_digits = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if only_digits { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_turn_into_the_smallest_unit() {
        let check = |amount, decimals, expected: Option<u64>| {
            assert_eq!(base_units(amount, decimals), expected.map(U256::from), "{amount}");
        };
        check("24.9", 6, Some(24_900_000));
        check("24.900000", 6, Some(24_900_000));
        check("7", 6, Some(7_000_000));
        check("0.000001", 6, Some(1));
        check("0.0000001", 6, None);
        check("1e3", 6, None);
        check("-1", 6, None);
        check(".5", 6, None);
        check("", 6, None);
    }
}
