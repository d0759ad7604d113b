//! The deposit contracts on a real EVM, and the address rule against the contract that owns it.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{path::Path, process::Command};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use demo::chain::{
    ChainError, ChainOptions, LocalChain, Receipt,
    contracts::{DepositFactory, DepositLogic, PriceFeed, TestToken},
};
use wire::deposit_address::{FACTORY, LOGIC, deposit_address, salt};

const NATIVE: Address = Address::ZERO;

fn merchant() -> Address {
    Address::repeat_byte(0x4d)
}

async fn chain_with_factory() -> LocalChain {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    chain.deploy_factory().await.unwrap();
    chain
}

fn swept(receipt: &Receipt) -> Vec<DepositFactory::Swept> {
    events(receipt)
}

fn events<E: SolEvent>(receipt: &Receipt) -> Vec<E> {
    receipt
        .logs
        .iter()
        .filter(|log| log.address == FACTORY && log.topics.first() == Some(&E::SIGNATURE_HASH))
        .map(|log| E::decode_raw_log(log.topics.iter().copied(), &log.data).unwrap())
        .collect()
}

/// Sweeps, waits, and says what happened; the caller is a stranger to merchant and payer.
async fn sweep(chain: &LocalChain, salts: &[B256], assets: &[Address]) -> Receipt {
    let stranger = chain.accounts()[7];
    let transaction = chain.sweep(stranger, merchant(), salts, assets).await.unwrap();
    chain.mined(transaction).await.unwrap()
}

#[tokio::test]
async fn addresses_computed_here_equal_those_of_the_contract() {
    let chain = chain_with_factory().await;

    let logic = chain.call(FACTORY, &DepositFactory::logicCall {}).await.unwrap();
    assert_eq!(logic, LOGIC);

    for seed in 0_u64..50 {
        let merchant = Address::from_word(keccak256(seed.to_be_bytes()));
        let salt = keccak256((seed + 1000).to_be_bytes());
        let call = DepositFactory::addressOfCall { merchant, salt };
        let on_chain = chain.call(FACTORY, &call).await.unwrap();
        assert_eq!(on_chain, deposit_address(merchant, salt), "seed {seed}");
    }
}

#[tokio::test]
async fn factory_is_at_one_address_on_every_chain_and_deploys_once() {
    let chain = chain_with_factory().await;
    let other = LocalChain::start(ChainOptions::new(31338)).await.unwrap();
    other.deploy_factory().await.unwrap();
    assert_eq!(chain.code(FACTORY).await.unwrap(), other.code(FACTORY).await.unwrap());

    let head = chain.block_number().await.unwrap();
    chain.deploy_factory().await.unwrap();
    assert_eq!(chain.block_number().await.unwrap(), head);
}

#[tokio::test]
async fn a_sweep_moves_tokens_and_native_coin_to_the_merchant() {
    let chain = chain_with_factory().await;
    let payer = chain.accounts()[1];
    let token = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    chain.mint(token, payer, U256::from(20_000_000)).await.unwrap();
    let salt = salt(&[1; 32], 1);
    let deposit = deposit_address(merchant(), salt);

    // Twice, because the first sweep also deploys.
    for round in 1..=2_u64 {
        let paid_token = chain.send_token(payer, token, deposit, U256::from(5_000_000)).await.unwrap();
        let paid_native = chain.send_native(payer, deposit, U256::from(777)).await.unwrap();
        chain.mined(paid_token).await.unwrap();
        chain.mined(paid_native).await.unwrap();

        let receipt = sweep(&chain, &[salt], &[token, NATIVE]).await;

        let [of_token, of_native] = &swept(&receipt)[..] else { panic!("one event for each asset: {receipt:?}") };
        for (event, asset, amount) in [(of_token, token, 5_000_000), (of_native, NATIVE, 777)] {
            assert_eq!(event.merchant, merchant());
            assert_eq!(event.deposit, deposit);
            assert_eq!(event.asset, asset);
            assert_eq!(event.amount, U256::from(amount));
        }
        assert_eq!(chain.balance_of(token, merchant()).await.unwrap(), U256::from(5_000_000 * round));
        assert_eq!(chain.native_balance(merchant()).await.unwrap(), U256::from(777 * round));
        assert_eq!(chain.balance_of(token, deposit).await.unwrap(), U256::ZERO);
        assert_eq!(chain.native_balance(deposit).await.unwrap(), U256::ZERO);
    }
}

#[tokio::test]
async fn an_empty_sweep_says_nothing() {
    let chain = chain_with_factory().await;
    let token = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();

    let receipt = sweep(&chain, &[B256::with_last_byte(1)], &[token, NATIVE]).await;

    assert!(receipt.logs.is_empty(), "{:?}", receipt.logs);
}

#[tokio::test]
async fn nobody_but_the_factory_moves_a_deposit() {
    let chain = chain_with_factory().await;
    let (payer, stranger) = (chain.accounts()[1], chain.accounts()[7]);
    let salt = B256::with_last_byte(1);
    let deposit = deposit_address(merchant(), salt);
    sweep(&chain, &[salt], &[]).await; // puts the code there
    let paid = chain.send_native(payer, deposit, U256::from(777)).await.unwrap();
    chain.mined(paid).await.unwrap();

    let direct = DepositLogic::sweepCall { asset: NATIVE };
    for target in [deposit, LOGIC] {
        let attempt = chain.send_call(stranger, target, U256::ZERO, &direct).await.unwrap();
        let outcome = chain.mined(attempt).await;
        assert!(matches!(outcome, Err(ChainError::Failed(_))), "a direct call to {target} fails");
    }
    // Naming oneself as the merchant leads to another address.
    let attempt = chain.sweep(stranger, stranger, &[salt], &[NATIVE]).await.unwrap();
    assert!(swept(&chain.mined(attempt).await.unwrap()).is_empty());
    // Money sent along with a call bounces.
    let bounced = chain.send_transaction(stranger, Some(deposit), U256::from(1), &direct.abi_encode()).await.unwrap();
    let outcome = chain.mined(bounced).await;
    assert!(matches!(outcome, Err(ChainError::Failed(_))));

    assert_eq!(chain.native_balance(deposit).await.unwrap(), U256::from(777));
    assert_eq!(chain.native_balance(merchant()).await.unwrap(), U256::ZERO);
}

#[tokio::test]
async fn a_token_that_returns_nothing_is_swept() {
    let chain = chain_with_factory().await;
    let token = chain.deploy_silent_token("Old Dollar", "OLD", 6).await.unwrap();
    let salt = B256::with_last_byte(1);
    chain.mint(token, deposit_address(merchant(), salt), U256::from(42)).await.unwrap();

    let receipt = sweep(&chain, &[salt], &[token]).await;

    assert_eq!(swept(&receipt)[0].amount, U256::from(42));
    assert_eq!(chain.balance_of(token, merchant()).await.unwrap(), U256::from(42));
}

#[tokio::test]
async fn one_failing_asset_does_not_stop_the_others() {
    let chain = chain_with_factory().await;
    let token = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    let no_token = Address::repeat_byte(0x99);
    let salts = [1, 2].map(B256::with_last_byte);
    let [frozen, good] = salts.map(|salt| deposit_address(merchant(), salt));
    for deposit in [frozen, good] {
        chain.mint(token, deposit, U256::from(10)).await.unwrap();
    }
    chain.set_frozen(token, frozen, true).await.unwrap();

    let receipt = sweep(&chain, &salts, &[token, no_token]).await;

    let [event] = &swept(&receipt)[..] else { panic!("one asset moved: {receipt:?}") };
    assert_eq!((event.deposit, event.asset, event.amount), (good, token, U256::from(10)));
    let failed: Vec<_> =
        events::<DepositFactory::SweepFailed>(&receipt).iter().map(|event| (event.deposit, event.asset)).collect();
    assert_eq!(failed, [(frozen, token), (frozen, no_token), (good, no_token)]);
}

#[tokio::test]
async fn payments_from_inside_a_call_arrive_and_leave_their_marks() {
    let chain = chain_with_factory().await;
    let customer = chain.accounts()[1];
    let payer = chain.deploy_payer().await.unwrap();
    let token = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    chain.mint(token, payer, U256::from(6)).await.unwrap();
    let salts = [1, 2].map(B256::with_last_byte);
    let [one, two] = salts.map(|salt| deposit_address(merchant(), salt));

    let payments = [(one, U256::from(1)), (one, U256::from(2)), (two, U256::from(3))];
    let tokens = chain.pay_tokens(customer, payer, token, &payments).await.unwrap();
    let receipt = chain.mined(tokens).await.unwrap();
    assert_eq!(receipt.logs.len(), 3, "one event for each payment");
    assert_eq!(chain.balance_of(token, one).await.unwrap(), U256::from(3));
    assert_eq!(chain.balance_of(token, two).await.unwrap(), U256::from(3));

    let inside = chain.pay_native_inside_call(customer, payer, &[(one, U256::from(9))]).await.unwrap();
    assert!(chain.mined(inside).await.unwrap().logs.is_empty());
    assert_eq!(chain.native_balance(one).await.unwrap(), U256::from(9));

    let hidden = chain.pay_and_sweep(customer, payer, merchant(), salts[1], U256::from(55)).await.unwrap();
    let receipt = chain.mined(hidden).await.unwrap();
    assert_eq!(swept(&receipt)[0].amount, U256::from(55));
    assert_eq!(chain.native_balance(two).await.unwrap(), U256::ZERO);
    assert_eq!(chain.native_balance(merchant()).await.unwrap(), U256::from(55));
}

#[tokio::test]
async fn a_spoofed_transfer_looks_like_one_and_moves_nothing() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let spoof = chain.deploy_spoof().await.unwrap();
    let (from, to) = (chain.accounts()[1], Address::repeat_byte(0x11));

    let said = chain.announce(spoof, from, to, U256::from(5)).await.unwrap();

    let receipt = chain.mined(said).await.unwrap();
    assert_eq!(receipt.logs[0].address, spoof);
    let event =
        TestToken::Transfer::decode_raw_log(receipt.logs[0].topics.iter().copied(), &receipt.logs[0].data).unwrap();
    assert_eq!((event.from, event.to, event.value), (from, to, U256::from(5)));
}

#[tokio::test]
async fn a_feed_is_fresh_until_its_time_is_set() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let feed = chain.deploy_feed(2500_0000_0000).await.unwrap();
    chain.increase_time(100_000).await.unwrap();
    chain.mine(1).await.unwrap();
    let now = U256::from(chain.block_time().await.unwrap());

    let data = chain.call(feed, &PriceFeed::latestRoundDataCall {}).await.unwrap();
    assert_eq!(data.answer.to_string(), "250000000000");
    assert!(data.updatedAt >= now, "{} is not before {now}", data.updatedAt);

    chain.set_price(feed, -1, 12).await.unwrap();
    let data = chain.call(feed, &PriceFeed::latestRoundDataCall {}).await.unwrap();
    assert_eq!((data.answer.to_string().as_str(), data.updatedAt), ("-1", U256::from(12)));
}

#[tokio::test]
async fn a_reorganised_transaction_returns_with_the_same_hash() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let (from, to) = (chain.accounts()[1], Address::repeat_byte(0x11));
    let sent = chain.send_native(from, to, U256::from(5)).await.unwrap();
    let first = chain.mined(sent).await.unwrap();
    chain.mine(1).await.unwrap();
    let raw = chain.raw_transaction(sent).await.unwrap();

    chain.reorg(2).await.unwrap();
    assert!(chain.receipt(sent).await.unwrap().is_none());
    assert_eq!(chain.native_balance(to).await.unwrap(), U256::ZERO);

    assert_eq!(chain.send_raw(&raw).await.unwrap(), sent);
    let second = chain.mined(sent).await.unwrap();
    assert_ne!(first.block_hash, second.block_hash);
    assert_eq!(chain.native_balance(to).await.unwrap(), U256::from(5));
}

#[tokio::test]
async fn a_snapshot_brings_a_shorter_chain_back() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let head = chain.block_number().await.unwrap();
    let snapshot = chain.snapshot().await.unwrap();
    chain.mine(5).await.unwrap();

    chain.revert(snapshot).await.unwrap();

    assert_eq!(chain.block_number().await.unwrap(), head);
    assert!(chain.revert(snapshot).await.is_err(), "each works once");
}

#[tokio::test]
async fn without_automine_a_transaction_waits_for_a_block() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    chain.set_automine(false).await.unwrap();
    let sent = chain.send_native(chain.accounts()[1], merchant(), U256::from(5)).await.unwrap();
    assert!(chain.receipt(sent).await.unwrap().is_none());

    chain.mine(1).await.unwrap();

    assert!(chain.mined(sent).await.unwrap().succeeded);
}

#[tokio::test]
async fn a_chain_ends_with_its_owner() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let address = chain.rpc_url().strip_prefix("http://").unwrap().to_owned();
    drop(chain);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn committed_artifacts_equal_a_fresh_compile() {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
    let output =
        Command::new("node").args(["build.mjs", "--check"]).current_dir(contracts).output().expect("Node is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
