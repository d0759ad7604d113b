//! What merchants do on their own computers: addresses from a seed phrase, and bringing home what they hold, on a real VM.

use std::{collections::HashMap, fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{SolanaChain, SolanaOptions, TestFolder, Typed, pepay_binary, type_at_terminal, type_behind};
use pepay::solana::{SolanaAddress, associated_token_account, programs, read_address_list};
use serde_json::{Value, json};

const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
/// Accounts 0 to 3 of the phrase, as wallets show them; made with Node's own cryptography.
const ACCOUNTS: [&str; 4] = [
    "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk",
    "Hh8QwFUA6MtVu1qAoq12ucvFHNwCcVTV7hpWjeY1Hztb",
    "7WktogJEd2wQ9eH2oWusmcoFTgeYi6rS632UviTBJ2jm",
    "3YqEpfo3c818GhvbQ1UmVY1nJxw16vtu4JB9peJXT94k",
];
const USD: u64 = 1_000_000;
const SOL: u64 = 1_000_000_000;

#[track_caller]
fn good(typed: Typed) -> String {
    assert!(typed.status.success(), "{typed:?}");
    for word in ["abandon", "about"] {
        assert!(!format!("{typed:?}").contains(word), "what was typed is shown: {typed:?}");
    }
    typed.stdout
}

#[test]
fn addresses_are_those_that_wallets_show() {
    let folder = TestFolder::new();
    let derive = |arguments: &[&str], lines: &[&str]| {
        let arguments = [&["solana", "addresses"], arguments].concat();
        good(type_at_terminal(folder.path(), &arguments, lines))
    };
    let printed = derive(&["--first", "0", "--count", "4"], &[PHRASE]);
    assert_eq!(printed.lines().collect::<Vec<_>>(), ACCOUNTS);
    // The first one is what wallets show first, and stays the merchant's own.
    let printed = derive(&["--count", "3"], &[&PHRASE.to_uppercase()]);
    assert_eq!(printed.lines().collect::<Vec<_>>(), ACCOUNTS[1..]);
    assert_eq!(read_address_list(&printed, |_| false).unwrap().len(), 3, "the server imports what is printed");
    let printed = derive(&["--passphrase", "--first", "2", "--count", "1"], &[PHRASE, "tällä", "tällä"]);
    assert_eq!(printed.trim(), "Dq8Qv8anqi7R2mm4hrJa7ap1YSxtDNWKwQY3ctTNFVJq");
    let printed = derive(&["--json", "--first", "1", "--count", "1"], &[PHRASE]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, json!({ "first": 1, "addresses": [ACCOUNTS[1]] }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written but what the shell wrote");
}

#[test]
fn a_wrong_word_is_named_and_a_wrong_phrase_refused() {
    let folder = TestFolder::new();
    let refused = |lines: &[&str], arguments: &[&str], problem: &str| {
        let arguments = [&["solana", "addresses"], arguments].concat();
        let typed = type_at_terminal(folder.path(), &arguments, lines);
        assert!(!typed.status.success() && typed.stdout.is_empty(), "{typed:?}");
        assert!(typed.stderr.contains(problem), "{typed:?}");
        assert!(!format!("{typed:?}").contains("abandon abandon"), "{typed:?}");
    };
    refused(&[&PHRASE.replacen("about", "abuot", 1)], &[], "word 12, \"abuot\", is none of the 2048");
    refused(&[&PHRASE.replacen("about", "above", 1)], &[], "do not belong together");
    refused(&["abandon about"], &[], "12, 15, 18, 21 or 24 words, not 2");
    refused(&[PHRASE, "one", "two"], &["--passphrase"], "typed in two ways");
}

/// Runs a command where there is no terminal to ask at.
fn run(folder: &TestFolder, variables: &[(&str, &str)], arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(pepay_binary()).args(arguments).current_dir(folder.path());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PEPAY_")) {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn no_phrase_is_asked_for_where_a_server_is_configured() {
    const ON_THE_SERVER: &str = "a seed phrase must never be typed there. Run this command on a computer of your own";
    let folder = TestFolder::new();
    fs::write(folder.path().join("sweep.txt"), "# nothing\n").unwrap();
    let sign: &[&str] = &["solana", "sign", "sweep.txt", "--to", ACCOUNTS[0]];
    let check = |variables: &[(&str, &str)], options: &[&str], problem: &str| {
        for command in [&["solana", "addresses"][..], sign] {
            let (is_good, stdout, stderr) = run(&folder, variables, &[options, command].concat());
            assert!(!is_good && stdout.is_empty(), "{command:?}: {stderr}");
            assert!(stderr.contains(problem), "{command:?}: {stderr}");
        }
    };
    let (.., stderr) = run(&folder, &[], &["solana", "addresses"]);
    assert!(stderr.contains("is typed at a terminal, and there is none"), "{stderr}");

    check(&[("PEPAY__SERVER__LISTEN", "127.0.0.1:1")], &[], "(the variable PEPAY__SERVER__LISTEN)");
    check(&[("PEPAY_SERVER_SECRET", "x")], &[], ON_THE_SERVER);
    check(&[("PEPAY_CONFIG", "nowhere.toml")], &[], ON_THE_SERVER);
    fs::write(folder.path().join("shop.toml"), "").unwrap();
    check(&[], &["--config", "shop.toml"], "(shop.toml)");
    fs::write(folder.path().join("pepay.toml"), "").unwrap();
    check(&[], &[], "(pepay.toml)");
    check(&[], &["--config", "elsewhere.toml"], ON_THE_SERVER);
}

/// A merchant with a phrase, on a chain that goes on by itself.
struct Shop {
    chain: SolanaChain,
    folder: TestFolder,
    home: SolanaAddress,
    addresses: Vec<SolanaAddress>,
}

impl Shop {
    /// With so many addresses, and a first account that has SOL for fees.
    async fn open(count: usize) -> Self {
        let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 100, ..SolanaOptions::default() }).await;
        let folder = TestFolder::new();
        let arguments = ["solana", "addresses", "--count", &count.to_string()];
        let list = good(type_at_terminal(folder.path(), &arguments, &[PHRASE]));
        fs::write(folder.path().join("addresses.txt"), &list).unwrap();
        let home = ACCOUNTS[0].parse().unwrap();
        chain.airdrop(home, SOL).await;
        Self { chain, folder, home, addresses: read_address_list(&list, |_| false).unwrap() }
    }

    /// All that is done from now on sees what was made up to now.
    async fn confirm(&self) {
        self.chain.slots(2).await;
    }

    fn arguments<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let rpc = self.chain.rpc_url();
        [&["solana", "sweep", "addresses.txt", "--to", ACCOUNTS[0], "--rpc", rpc], options].concat()
    }

    /// The sweep as it is read by programs, and, written to a file, by the next command.
    #[track_caller]
    fn sweep(&self, options: &[&str]) -> Value {
        let (is_good, text, stderr) = run(&self.folder, &[], &self.arguments(options));
        assert!(is_good, "{stderr}");
        fs::write(self.folder.path().join("sweep.txt"), &text).unwrap();
        let (is_good, json, stderr) = run(&self.folder, &[], &self.arguments(&[&["--json"], options].concat()));
        assert!(is_good, "{stderr}");
        let sweep: Value = serde_json::from_str(&json).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), sweep["transactions"].as_array().unwrap().len(), "{text}");
        sweep
    }

    #[track_caller]
    fn sign(&self, options: &[&str]) -> String {
        let sign = [&["solana", "sign", "sweep.txt", "--to", ACCOUNTS[0]], options].concat();
        good(type_at_terminal(self.folder.path(), &sign, &[PHRASE]))
    }

    fn sign_and_send(&self) {
        self.sign(&["--send", "--rpc", self.chain.rpc_url()]);
    }

    async fn held_at_home(&self, mint: SolanaAddress, program: SolanaAddress) -> Option<u64> {
        self.chain.token_balance(associated_token_account(self.home, mint, program)).await
    }
}

fn lamports(sweep: &Value, name: &str) -> u64 {
    sweep[name].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_sweep_brings_everything_home_and_the_rent_with_it() {
    let shop = Shop::open(12).await;
    let chain = &shop.chain;
    let usd = chain.create_mint(6).await;
    let twin = chain
        .create_mint_as(json!({ "decimals": 6, "program": programs::TOKEN_2022, "fee": { "basis_points": 100 } }))
        .await;
    let customer = chain.wallet("customer").await;
    chain.airdrop(customer, SOL).await;
    chain.mint_to(twin, customer, 100 * USD).await;
    let mut tills = Vec::new();
    for address in &shop.addresses {
        tills.push(chain.mint_to(usd, *address, 3 * USD).await);
    }
    for address in &shop.addresses[..2] {
        chain.airdrop(*address, SOL / 10).await;
    }
    shop.confirm().await;
    // A fee of the token stays in the account that is paid, which cannot be closed with it.
    let payment = json!({ "recipient": shop.addresses[5], "mint": twin, "amount": "10", "create_token_account": true });
    tills.extend(chain.pay("customer", payment).await.destinations);
    shop.confirm().await;

    let before = chain.lamports(shop.home).await;
    let (usd_text, twin_text) = (usd.to_string(), twin.to_string());
    let sweep = shop.sweep(&["--mint", &usd_text, "--mint", &twin_text]);
    assert_eq!(sweep["left"], json!([]));
    assert_eq!(lamports(&sweep, "lamports"), SOL / 5);
    let transactions = sweep["transactions"].as_array().unwrap();
    assert_eq!(transactions.len(), 3, "five or six addresses fit into one: {transactions:?}");
    for transaction in transactions {
        let message = STANDARD.decode(transaction["message"].as_str().unwrap()).unwrap();
        let signers = transaction["signers"].as_array().unwrap().len();
        assert!(1 + 64 * signers + message.len() <= 1232);
    }
    shop.sign_and_send();

    assert_eq!(shop.held_at_home(usd, programs::TOKEN).await, Some(36 * USD));
    // 10 less a percent came, of which a percent stays on the way home.
    assert_eq!(shop.held_at_home(twin, programs::TOKEN_2022).await, Some(9_801_000));
    for (till, address) in tills.iter().zip(shop.addresses.iter().chain([&shop.addresses[5]])) {
        assert_eq!(chain.token_balance(*till).await, None, "the account is closed");
        assert_eq!((chain.lamports(*till).await, chain.lamports(*address).await), (0, 0));
    }
    let mut made = 0;
    for (mint, program) in [(usd, programs::TOKEN), (twin, programs::TOKEN_2022)] {
        made += chain.lamports(associated_token_account(shop.home, mint, program)).await;
    }
    let came = lamports(&sweep, "rent") + lamports(&sweep, "lamports");
    assert_eq!(chain.lamports(shop.home).await, before + came - lamports(&sweep, "fees") - made);

    shop.confirm().await;
    let nothing = shop.sweep(&["--mint", &usd_text, "--mint", &twin_text]);
    assert_eq!(nothing["transactions"], json!([]));
}

#[tokio::test]
async fn what_is_worthless_frozen_or_dust_is_left_alone_and_named() {
    let shop = Shop::open(3).await;
    let chain = &shop.chain;
    let (usd, junk) = (chain.create_mint(6).await, chain.create_mint(0).await);
    chain.mint_to(junk, shop.addresses[0], 1_000).await;
    chain.mint_to(usd, shop.addresses[1], 2 * USD).await;
    chain.set_frozen(usd, shop.addresses[1], true).await;
    chain.mint_to(usd, shop.addresses[2], 4 * USD).await;
    // As little as a signature costs; a wallet that holds so little is no rarity on a real network.
    let dust = json!({ "lamports": 5_000 });
    chain.set_account(shop.addresses[0], dust).await;
    shop.confirm().await;

    let usd_text = usd.to_string();
    let sweep = shop.sweep(&["--mint", &usd_text]);
    let left = sweep["left"].to_string();
    for part in [
        format!("{}: the token {junk} is not well known; if you want it, say --mint {junk}", shop.addresses[0]),
        format!("{}: 0.000005 SOL, which would cost as much to move", shop.addresses[0]),
        format!("{}: 2 of the token {usd}, which its issuer froze", shop.addresses[1]),
    ] {
        assert!(left.contains(&part), "{part}: {left}");
    }
    assert_eq!(sweep["tokens"], json!([{ "mint": usd, "amount": "4000000", "decimals": 6 }]));
    shop.sign_and_send();
    assert_eq!(shop.held_at_home(usd, programs::TOKEN).await, Some(4 * USD));
    assert_eq!(shop.held_at_home(junk, programs::TOKEN).await, None);
}

/// A nonce account of the first account's, as its network keeps one.
async fn make_nonce(shop: &Shop, byte: u8) -> SolanaAddress {
    let nonce = SolanaAddress::new([byte; 32]);
    let mut data = vec![1, 0, 0, 0, 1, 0, 0, 0];
    data.extend(shop.home.as_bytes());
    data.extend([byte; 32]);
    data.extend(5_000_u64.to_le_bytes());
    let account = json!({ "lamports": 1_447_680, "data": STANDARD.encode(data) });
    shop.chain.set_account(nonce, account).await;
    nonce
}

#[tokio::test]
async fn a_sweep_with_nonces_can_be_signed_offline_and_sent_much_later() {
    let shop = Shop::open(12).await;
    let chain = &shop.chain;
    let usd = chain.create_mint(6).await;
    for address in &shop.addresses {
        chain.mint_to(usd, *address, USD).await;
    }
    let nonces = [make_nonce(&shop, 71).await.to_string(), make_nonce(&shop, 72).await.to_string()];
    shop.confirm().await;
    let usd_text = usd.to_string();
    let options = ["--mint", &usd_text, "--nonce", &nonces[0], "--nonce", &nonces[1]];
    let sweep = shop.sweep(&options);
    assert_eq!((sweep["transactions"].as_array().unwrap().len(), &sweep["is_complete"]), (2, &json!(false)));
    fs::write(shop.folder.path().join("signed.txt"), shop.sign(&[])).unwrap();

    // Longer than a block's hash is good for.
    chain.slots(400).await;
    let send = ["solana", "send", "signed.txt", "--rpc", chain.rpc_url()];
    let (is_good, printed, stderr) = run(&shop.folder, &[], &send);
    assert!(is_good && printed.lines().count() == 2, "{printed}{stderr}");
    let first = shop.held_at_home(usd, programs::TOKEN).await.unwrap();
    assert!((8 * USD..12 * USD).contains(&first), "{first}");
    // Each is used once.
    let (is_good, _, stderr) = run(&shop.folder, &[], &send);
    assert!(!is_good, "{stderr}");

    shop.confirm().await;
    shop.sweep(&options);
    fs::write(shop.folder.path().join("signed.txt"), shop.sign(&[])).unwrap();
    let (is_good, _, stderr) = run(&shop.folder, &[], &send);
    assert!(is_good, "{stderr}");
    assert_eq!(shop.held_at_home(usd, programs::TOKEN).await, Some(12 * USD));
}

#[tokio::test]
async fn a_sweep_that_could_not_work_is_refused_before_it_is_signed() {
    let shop = Shop::open(2).await;
    let chain = &shop.chain;
    let usd = chain.create_mint(6).await;
    let till = chain.mint_to(usd, shop.addresses[0], USD).await;
    shop.confirm().await;
    let (usd, till) = (usd.to_string(), till.to_string());
    let refused = |options: &[&str], problem: &str| {
        let (is_good, stdout, stderr) = run(&shop.folder, &[], &shop.arguments(&[&["--mint", &usd], options].concat()));
        assert!(!is_good && stdout.is_empty() && stderr.contains(problem), "{options:?}: {stderr}");
    };
    let poor = chain.wallet("poor").await.to_string();
    refused(&["--fee-payer", &poor], "holds 0 SOL, and may need");
    refused(&["--fee-payer", &till], "is no wallet");
    refused(&["--nonce", &poor], "there is nothing at");
    refused(&["--nonce", &till], "is no nonce account");
    refused(&["--mint", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"], "an address on EVM networks");

    // Whoever has another phrase, or looks for other accounts, signs nothing.
    shop.sweep(&["--mint", &usd]);
    let other = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let sign = |options: &[&str], phrase: &str, problem: &str| {
        let arguments = [&["solana", "sign", "sweep.txt", "--to", ACCOUNTS[0]], options].concat();
        let typed = type_at_terminal(shop.folder.path(), &arguments, &[phrase]);
        assert!(!typed.status.success() && typed.stdout.is_empty(), "{typed:?}");
        assert!(typed.stderr.contains(problem), "{typed:?}");
    };
    sign(&[], other, "2 of the signers are no accounts of this seed from 0 to 999");
    sign(&["--count", "1"], PHRASE, "1 of the signers are no accounts of this seed from 0 to 0");
    let elsewhere = ["solana", "sign", "sweep.txt", "--to", ACCOUNTS[3]];
    let (is_good, stdout, stderr) = run(&shop.folder, &[], &elsewhere);
    assert!(!is_good && stdout.is_empty() && stderr.contains("brings something elsewhere"), "{stderr}");
}

/// Nothing of ours has a part in it but what made the messages.
#[tokio::test]
async fn a_sweep_is_signed_by_what_wallets_are_made_of_and_its_fees_are_paid_by_who_is_named() {
    const OWN: [&str; 7] = ["own 1", "own 2", "own 3", "own 4", "own 5", "own 6", "own 7"];

    let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 100, ..SolanaOptions::default() }).await;
    let usd = chain.create_mint(6).await;
    let (home, fees) = (chain.wallet("home").await, chain.wallet("fees").await);
    chain.airdrop(fees, SOL).await;
    let (mut wallets, mut lines) = (HashMap::from([(fees, "fees")]), String::new());
    for name in OWN {
        let address = chain.wallet(name).await;
        chain.mint_to(usd, address, 3 * USD).await;
        chain.airdrop(address, SOL / 10).await;
        wallets.insert(address, name);
        lines = format!("{lines}{address}\n");
    }
    chain.slots(2).await;
    let folder = TestFolder::new();
    fs::write(folder.path().join("addresses.txt"), lines).unwrap();
    let (to, payer, mint) = (home.to_string(), fees.to_string(), usd.to_string());
    let sweep = ["--json", "solana", "sweep", "addresses.txt", "--to", &to, "--fee-payer", &payer, "--mint", &mint];
    let sweep = [&sweep[..], &["--rpc", chain.rpc_url()]].concat();
    let (is_good, printed, stderr) = run(&folder, &[], &sweep);
    assert!(is_good, "{stderr}");
    let sweep: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&sweep["left"], &sweep["fee_payer"]), (&json!([]), &json!(fees)));
    let transactions = sweep["transactions"].as_array().unwrap();
    assert!(1 < transactions.len(), "{transactions:?}");
    for transaction in transactions {
        let signers: Vec<SolanaAddress> = serde_json::from_value(transaction["signers"].clone()).unwrap();
        assert_eq!(signers[0], fees, "who pays signs first");
        let signers: Vec<&str> = signers.iter().map(|signer| wallets[signer]).collect();
        let sign = json!({ "message": transaction["message"], "wallets": signers });
        let signed = chain.payer().ask("sign", sign).await.unwrap();
        let options = json!({ "encoding": "base64", "preflightCommitment": "confirmed" });
        chain.call::<Value>("sendTransaction", json!([signed["transaction"], options])).await;
    }

    let till = associated_token_account(home, usd, programs::TOKEN);
    assert_eq!(chain.token_balance(till).await, Some(21 * USD));
    let came = lamports(&sweep, "rent") + lamports(&sweep, "lamports");
    assert_eq!(chain.lamports(home).await, came, "nothing goes off what comes home");
    let spent = lamports(&sweep, "fees") + chain.lamports(till).await;
    assert_eq!(chain.lamports(fees).await, SOL - spent);
    for address in wallets.keys().filter(|address| **address != fees) {
        assert_eq!(chain.lamports(*address).await, 0);
    }
}

/// On a computer that has no network, and of which nothing is kept.
#[test]
fn addresses_are_made_without_a_network_and_leave_nothing_behind() {
    let (folder, home) = (TestFolder::new(), TestFolder::new());
    // Not every system lets everybody cut a program off; where it does not, the words are checked all the same.
    let cut_off: &[&str] = &["unshare", "--map-root-user", "--net"];
    let is_possible = Command::new(cut_off[0]).args(&cut_off[1..]).arg("true").output().unwrap().status.success();
    println!("cut off from all networks: {is_possible}");
    let kept = ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];
    let at_home = kept.map(|name| format!("{name}={}", home.path().display()));
    let mut before = vec!["env"];
    before.extend(at_home.iter().map(String::as_str));
    before.extend(cut_off.iter().filter(|_| is_possible));
    let typed = type_behind(&before, folder.path(), &["solana", "addresses", "--count", "3"], &[PHRASE]);
    assert_eq!(good(typed).lines().collect::<Vec<_>>(), ACCOUNTS[1..]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is kept");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written but what the shell wrote");
}
