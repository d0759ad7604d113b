//! What an operator is told about Solana: by `pepay check`, by figures, by alarms, and by the command that takes a merchant's
//! addresses.

use e2e::{ApiClient, Database, ServerProcess, SolanaChain, SolanaOptions, TestChain, WALLET, eventually};
use futures_util::future::join_all;
use pepay::solana::{SolanaAddress, associated_token_account, programs};
use serde_json::{Value, json};
use wire::{invoice::CreatedInvoice, payor::PaymentAddress};

use crate::{
    check::{NOT_AUDITED, assert_fault, assert_problem, faults},
    metrics::figures,
};

const TOKEN: i64 = 1;
const SOL: i64 = 9;
const HEAD: &str = "environment = \"devnet\"\n";

on_each_database!(
    what_is_well_on_solana_is_called_well_and_a_wallet_without_an_account_is_told_how_to_make_one,
    figures_tell_of_solana_what_they_tell_of_other_networks,
    a_list_with_anything_wrong_in_it_is_refused_and_changes_nothing,
    a_list_that_runs_out_is_told_of_once_and_again_only_by_invoices_that_get_none,
    invoices_created_at_once_are_given_each_address_of_a_list_once,
);

/// A chain that goes on by itself, and its token.
async fn start_chain() -> (SolanaChain, SolanaAddress) {
    let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 100, ..SolanaOptions::default() }).await;
    let mint = chain.create_mint(6).await;
    let payer = chain.wallet("payer").await;
    chain.airdrop(payer, 100_000_000_000).await;
    chain.mint_to(mint, payer, 1_000_000_000_000).await;
    chain.slots(2).await;
    (chain, mint)
}

/// Creates a merchant with a wallet on Solana, and returns its number and API client.
fn create_merchant(server: &ServerProcess, wallet: &str) -> (String, ApiClient) {
    let create = ["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET];
    let created: Value = server.ask(&[&create[..], &["--solana-wallet", wallet]].concat());
    let id = created["merchant_id"].to_string();
    let key: Value = server.ask(&["key", "create", "--merchant", &id]);
    (id, ApiClient::new(&server.url, key["api_key"].as_str().unwrap()))
}

/// A file in the server's folder with such lines.
fn list(server: &ServerProcess, lines: &[&str]) -> String {
    let path = server.path("list.txt");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.to_string_lossy().into_owned()
}

async fn wallets(chain: &SolanaChain, names: &[&str]) -> Vec<String> {
    let mut wallets = Vec::new();
    for name in names {
        wallets.push(chain.wallet(name).await.to_string());
    }
    wallets
}

async fn what_is_well_on_solana_is_called_well_and_a_wallet_without_an_account_is_told_how_to_make_one(
    database: Database,
) {
    let (chain, mint) = start_chain().await;
    let mut server = ServerProcess::prepare_on(database, &[HEAD, &chain.network(TOKEN, mint).await].concat());
    let wallet = chain.wallet("merchant").await;
    create_merchant(&server, &wallet.to_string());
    assert_fault(&server, "warning", "no block was read so far");
    assert_fault(&server, "warning", &format!("wallet {wallet} has no account for USDC yet"));
    let printed = server.run_good(&["check"]);
    assert!(printed.contains("`spl-token create-account` make the account"), "it is no problem, and says: {printed}");

    chain.create_token_account(mint, wallet).await;
    server.start().await.unwrap();
    let not_audited = ("everywhere".to_owned(), "warning".to_owned(), NOT_AUDITED.to_owned());
    let found = eventually("the server to read the network", async || {
        let (is_well, found) = faults(&server);
        (is_well && found.len() == 1).then_some(found)
    });
    assert_eq!(found.await, [not_audited]);
    let printed = server.run_good(&["check"]);
    for words in [
        "solana (Solana)",
        "ok       endpoint 127.0.0.1",
        ": slot ",
        "ok       token USDC: 6 decimals",
        "ok       price of USDC: one dollar",
        "ok       finality: slot ",
        "ok       wallets: 1 looked at",
        "ok       read up to block",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[tokio::test]
async fn an_endpoint_on_solana_that_is_of_no_use_is_named_with_what_is_wrong() {
    let (chain, mint) = start_chain().await;
    let genesis = Some("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d".to_owned());
    let other = SolanaChain::start_as(&SolanaOptions { genesis, ..SolanaOptions::default() }).await;
    let network = chain.network(TOKEN, mint).await;
    let rpc = format!("rpc = [\"{}\"", chain.rpc_url());
    let among = |urls: &str| network.replace(&rpc, &format!("rpc = [{urls}"));
    let rest = format!("\"{}\", \"http://127.0.0.1:9\"", other.rpc_url());
    let server = ServerProcess::prepare(&[HEAD, &among(&format!("\"{}\", {rest}", chain.rpc_url()))].concat());
    for words in ["has another genesis block", "endpoint 127.0.0.1:9 cannot be reached"] {
        assert_fault(&server, "warning", words);
    }
    assert!(faults(&server).0, "one that can be used is enough");

    let lost = ServerProcess::prepare(&[HEAD, &among(&rest)].concat());
    assert_problem(&lost, "no endpoint can be used");
    drop(chain);
    assert_problem(&server, "no endpoint can be used");
}

#[tokio::test]
async fn a_token_or_a_wallet_on_solana_that_is_not_what_it_should_be_is_a_problem() {
    let (chain, mint) = start_chain().await;
    let network = chain.network(TOKEN, mint).await;
    let nobody = chain.wallet("nobody").await.to_string();
    for (wrong, words) in [
        (network.replace("decimals = 6", "decimals = 9"), "has 6 decimals, not 9"),
        (network.replace(&mint.to_string(), &nobody), "no account is at"),
        (format!("{network}program = \"token-2022\"\n"), "is of another program"),
    ] {
        assert_problem(&ServerProcess::prepare(&[HEAD, &wrong].concat()), words);
    }

    // A mint that this server does not know has a key as wallets have.
    let stranger = chain.create_mint(6).await;
    chain.slots(2).await;
    let server = ServerProcess::prepare(&[HEAD, &network].concat());
    create_merchant(&server, &stranger.to_string());
    assert_problem(&server, &format!("wallet {stranger} is none: it is an account of the program {}", programs::TOKEN));
    server.run_good(&["merchant", "set-solana-wallet", "1", &nobody]);
    assert!(faults(&server).0, "one that nobody paid yet is not there, and is a wallet all the same");
}

async fn figures_tell_of_solana_what_they_tell_of_other_networks(database: Database) {
    let (chain, mint) = start_chain().await;
    let rpc = format!("rpc = [\"{}", chain.rpc_url());
    let network = chain.network(TOKEN, mint).await;
    // One that is there and of no use.
    let network = network.replace(&rpc, &format!("rpc = [\"http://127.0.0.1:9\", \"{}", chain.rpc_url()));
    let config = [HEAD, "[operator]\nmetrics_listen = \"127.0.0.1:0\"\n", &network].concat();
    let mut server = ServerProcess::prepare_on(database, &config);
    let wallet = chain.wallet("merchant").await.to_string();
    let (merchant, api) = create_merchant(&server, &wallet);
    server.start().await.unwrap();
    let url = server.metrics_url().await;
    let invoice = api.create_invoice("20").await;
    let asked = api.payment_address(&invoice, "solana", TOKEN).await;
    let amount = asked.estimated_token_amount.unwrap();
    let paid = chain.pay("payer", json!({ "recipient": wallet, "mint": mint, "amount": amount })).await;
    let figure = |told: &str, begins: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(begins));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let (read, behind) =
        ("pepay_network_block{network=\"solana\"}", "pepay_network_behind_seconds{network=\"solana\"}");
    let told = eventually("the figures to be past the payment", async || {
        let told = figures(&url).await;
        figure(&told, read).is_some_and(|slot| paid.slot.unwrap() < slot).then_some(told)
    })
    .await;
    assert!(figure(&told, behind).is_some_and(|seconds| seconds < 60), "{told}");
    for line in [
        "pepay_network_offered{network=\"solana\"} 1",
        "pepay_alarms_total{alarm=\"solana_addresses_run_out\"} 0",
        "pepay_solana_lists_low 0",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
    }
    let failures = "pepay_rpc_failures_total{network=\"solana\",endpoint=\"127.0.0.1:9\",problem=\"unreachable\"}";
    assert!(figure(&told, failures).is_some_and(|count| 0 < count), "{told}");
    assert!(!told.contains("pepay_unswept_amount{network=\"solana\""), "nothing is ever swept there: {told}");
    for secret in [&wallet, &paid.signature.to_string(), &invoice.invoice_id] {
        assert!(!told.contains(secret.as_str()), "{secret}: {told}");
    }

    let own = wallets(&chain, &["one"]).await;
    server.run_good(&["merchant", "set-solana-addresses", &merchant, &list(&server, &[&own[0]])]);
    api.create_invoice("20").await;
    let low = async || Some(figures(&url).await).filter(|told| told.contains("pepay_solana_lists_low 1\n"));
    let told = eventually("the list to be low", low).await;
    assert!(told.contains("pepay_alarms_total{alarm=\"solana_addresses_run_out\"} 1\n"), "{told}");
    // What is behind is told as that.
    chain.freeze(true).await;
    let old = async || figure(&figures(&url).await, behind).filter(|seconds| 3 <= *seconds);
    eventually("the figures to say that nothing comes", old).await;
}

async fn a_list_with_anything_wrong_in_it_is_refused_and_changes_nothing(database: Database) {
    let (chain, mint) = start_chain().await;
    let mut server = ServerProcess::prepare_on(database, &[HEAD, &chain.network(TOKEN, mint).await].concat());
    server.start().await.unwrap();
    let wallet = chain.wallet("merchant").await;
    let (merchant, api) = create_merchant(&server, &wallet.to_string());
    let (other, _) = create_merchant(&server, &chain.wallet("other").await.to_string());
    let names = wallets(&chain, &["one", "two", "three", "theirs"]).await;
    let [one, two, three, theirs] = names.as_slice() else { panic!("{names:?}") };
    let set = |merchant: &str, lines: &[&str]| {
        server.run(&["--json", "merchant", "set-solana-addresses", merchant, &list(&server, lines)])
    };
    assert!(set(&other, &[theirs]).status.success());

    let account = associated_token_account(wallet, mint, programs::TOKEN).to_string();
    let (wallet_text, mint_text) = (wallet.to_string(), mint.to_string());
    let cases: [(&[&str], &str); 13] = [
        (&[one, &account], "line 2: is no wallet, but a token account"),
        (&[one, two, one], "line 3: "),
        (&["# mine", one, WALLET], "line 3: is an address on EVM networks"),
        (&[&mint_text], "line 1: is the mint of a token of this server"),
        (&[one, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"], "line 2: is the Token program"),
        (&[one, "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4"], "line 2: "),
        (&[one, "shop.sol"], "line 2: looks like a name"),
        (&["addresses,to,import", one], "line 1: "),
        (&[one, &wallet_text], "is a merchant's wallet, where everything arrives"),
        (&[one, theirs], "is on another merchant's list"),
        (&[theirs], "is on another merchant's list"),
        (&[], "no address in it is left to be given to an invoice"),
        (&["# none yet", ""], "no address in it is left to be given to an invoice"),
    ];
    for (lines, words) in cases {
        let refused = set(&merchant, lines);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{lines:?}: {refused:?}");
        assert!(refused.stderr.contains("list.txt") && refused.stderr.contains(words), "{lines:?}: {refused:?}");
        let invoice = api.create_invoice("20").await;
        let asked = api.payment_address(&invoice, "solana", TOKEN).await;
        assert_eq!(asked.temp_address.as_ref(), Some(&wallet_text), "the wallet is paid as before: {lines:?}");
    }
    let nobody = set("99", &[one]);
    assert!(!nobody.status.success() && nobody.stderr.contains("there is no merchant 99"), "{nobody:?}");
    let nowhere = server.run(&["merchant", "set-solana-addresses", &merchant, "/nowhere/list.txt"]);
    assert!(!nowhere.status.success() && nowhere.stderr.contains("/nowhere/list.txt"), "{nowhere:?}");

    // None of what was refused was kept: each is new. Said again, a list changes nothing, and more are added at its end.
    let answer = |lines: &[&str]| -> Value {
        let output = set(&merchant, lines);
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let told = |added: u64, left: u64, total: u64| json!({ "merchant_id": merchant.parse::<u64>().unwrap(), "added": added, "passed_over": 0, "left": left, "total": total });
    assert_eq!(answer(&[two, one]), told(2, 2, 2));
    assert_eq!(answer(&["# again", two, one]), told(0, 2, 2));
    for address in [two, one] {
        let invoice = api.create_invoice("20").await;
        let asked = api.payment_address(&invoice, "solana", TOKEN).await;
        assert_eq!(asked.temp_address.as_ref(), Some(address), "in the order of the list");
    }
    let used_up = set(&merchant, &[one, two]);
    assert!(!used_up.status.success() && used_up.stderr.contains("no address in it is left"), "{used_up:?}");
    // Where everything of everybody's arrives cannot be somebody's own.
    let refused = server.run(&["merchant", "set-solana-wallet", &other, one]);
    assert!(!refused.status.success() && refused.stderr.contains("is on a list of addresses"), "{refused:?}");
    assert_eq!(answer(&[one, two, three]), told(1, 1, 3));
}

async fn a_list_that_runs_out_is_told_of_once_and_again_only_by_invoices_that_get_none(database: Database) {
    let (chain, mint) = start_chain().await;
    let mut server = ServerProcess::prepare_on(database, &[HEAD, &chain.network(TOKEN, mint).await].concat());
    server.start().await.unwrap();
    let (merchant, api) = create_merchant(&server, &chain.wallet("merchant").await.to_string());
    let names: Vec<String> = (0..10).map(|number| format!("own {number}")).collect();
    let names = wallets(&chain, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lines: Vec<&str> = names.iter().map(String::as_str).collect();
    server.run_good(&["merchant", "set-solana-addresses", &merchant, &list(&server, &lines)]);
    let alarms = || -> Vec<String> {
        let log = server.log();
        let told = log.lines().filter(|line| line.contains("ALARM: few addresses on Solana are left"));
        told.map(str::to_owned).collect()
    };
    // The alarm is in the log before the invoice is answered.
    for (number, (address, told)) in lines.iter().zip([0, 0, 0, 0, 0, 0, 0, 1, 1, 1]).enumerate() {
        let invoice = api.create_invoice("20").await;
        let asked = api.payment_address(&invoice, "solana", TOKEN).await;
        assert_eq!(asked.temp_address.as_deref(), Some(*address));
        assert_eq!(alarms().len(), told, "after {} of 10: {:?}", number + 1, alarms());
    }
    let alarm = alarms().remove(0);
    for words in ["ERROR", "alarm=\"solana_addresses_run_out\"", "addresses.left=2", "addresses.total=10"] {
        assert!(alarm.contains(words), "{words}: {alarm}");
    }

    let without = api.create_invoice("20").await;
    assert_eq!(alarms().len(), 2, "{:?}", alarms());
    is_paid_nowhere(&api, &without).await;
    let more = wallets(&chain, &["more"]).await;
    server.run_good(&["merchant", "set-solana-addresses", &merchant, &list(&server, &[&more[0]])]);
    let invoice = api.create_invoice("20").await;
    let asked = api.payment_address(&invoice, "solana", TOKEN).await;
    assert_eq!(asked.temp_address.as_ref(), Some(&more[0]));
}

async fn payable(api: &ApiClient, invoice: &CreatedInvoice) -> usize {
    let offered = api.available_tokens(invoice).await;
    offered.iter().filter(|token| token.unavailable_reason.is_none()).count()
}

async fn is_paid_nowhere(api: &ApiClient, invoice: &CreatedInvoice) {
    assert_eq!(payable(api, invoice).await, 0);
    let refused = api.try_payment_address(invoice, "solana", TOKEN).await.unwrap();
    let error = &refused.body["error"];
    assert_eq!((refused.status.as_u16(), &error["code"]), (400, &json!("TOKEN_NOT_AVAILABLE")), "{refused:?}");
}

async fn invoices_created_at_once_are_given_each_address_of_a_list_once(database: Database) {
    let (chain, mint) = start_chain().await;
    let mut server = ServerProcess::prepare_on(database, &[HEAD, &chain.network(TOKEN, mint).await].concat());
    server.start().await.unwrap();
    let (merchant, api) = create_merchant(&server, &chain.wallet("merchant").await.to_string());
    let names: Vec<String> = (0..10).map(|number| format!("own {number}")).collect();
    let mut listed = wallets(&chain, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lines: Vec<&str> = listed.iter().map(String::as_str).collect();
    server.run_good(&["merchant", "set-solana-addresses", &merchant, &list(&server, &lines)]);
    let invoices = join_all((0..20).map(|_| api.create_invoice("20"))).await;
    let asked = join_all(invoices.iter().map(|invoice| api.try_payment_address(invoice, "solana", TOKEN))).await;
    let (mut given, mut without) = (Vec::new(), 0);
    for (invoice, asked) in invoices.iter().zip(asked) {
        let asked = asked.unwrap();
        if asked.status == 200 {
            assert_eq!(payable(&api, invoice).await, 1);
            given.push(asked.good::<PaymentAddress>().temp_address.unwrap());
        } else {
            is_paid_nowhere(&api, invoice).await;
            without += 1;
        }
    }
    given.sort();
    listed.sort();
    assert_eq!((given, without), (listed, 10));
}

#[tokio::test]
async fn the_price_of_sol_is_told_with_solana_and_that_the_network_it_is_read_on_is_down() {
    let (chain, mint) = start_chain().await;
    let evm = TestChain::start().await;
    let feed = evm.chain.deploy_feed(150 * 100_000_000).await.unwrap();
    let token = evm.token().replace("id = 1\n", "id = 2\n");
    let solana = [chain.network(TOKEN, mint).await, SolanaChain::sol(SOL, feed, "ethereum")].concat();
    let server = ServerProcess::prepare(&[HEAD, &solana, &evm.network(), &token].concat());
    let printed = server.run_good(&["check"]);
    let section = |title: &str| {
        let (_, rest) = printed.split_once(title).unwrap_or_else(|| panic!("{title}: {printed}"));
        rest.split("\n\n").next().unwrap().to_owned()
    };
    let told = section("solana (Solana)");
    assert!(told.contains("ok       token SOL: 9 decimals"), "{told}");
    let price =
        told.lines().find(|line| line.contains("ok       price of SOL: $150, ")).unwrap_or_else(|| panic!("{told}"));
    assert!(price.contains(&format!("(feed {feed})")), "{price}");

    drop(evm);
    let (is_well, found) = faults(&server);
    let problem = |(title, level, what): &(String, String, String)| {
        title == "solana (Solana)"
            && level == "problem"
            && what.starts_with("price of SOL: the feed cannot be read")
            && what.ends_with("so it is not quoted")
    };
    assert!(!is_well && found.iter().any(problem), "{found:?}");
}
