use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Config::read(text, Path::new("pepay.toml"), variables)
}

/// `change` alters a configuration that is good.
fn with_network(change: impl Fn(&str) -> String) -> String {
    let text = r#"
environment = "devnet"
[[networks]]
name = "local"
title = "Local"
chain_id = 31337
rpc = ["http://127.0.0.1:8545"]
paid_after = 3
final_after = 6
[[networks.tokens]]
id = 1
symbol = "USDC"
name = "USD Coin"
address = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
decimals = 6
price = "par"
[[networks.tokens]]
id = 2
symbol = "ETH"
name = "Ether"
decimals = 18
price = { feed = "0x71041dddad3595F9CEd3DcCFBe3D1F4b0a16Bb70", heartbeat_seconds = 1200 }
"#;
    assert!(read(text, &[]).is_ok());
    let changed = change(text);
    assert_ne!(changed, text, "the change changes something");
    changed
}

fn check_refused(text: &str, key: &str, message: &str) {
    let error = read(text, &[]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{key}: ")), "{error}");
    assert!(error.contains(message), "{error}");
    assert!(error.ends_with("(set in pepay.toml)"), "{error}");
}

#[test]
fn the_default_file_sets_what_is_the_default_anyway() {
    assert_eq!(read(DEFAULT_FILE, &[]).unwrap(), read("environment = \"devnet\"", &[]).unwrap());
}

#[test]
fn the_examples_in_the_default_file_are_good_and_show_the_defaults() {
    let is_example = |line: &str| {
        line.starts_with("[[")
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()))
    };
    let lines =
        DEFAULT_FILE.lines().map(|line| line.strip_prefix("# ").filter(|line| is_example(line)).unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let config = read(&text, &[]).unwrap();
    assert_eq!(config.networks.len(), 1);
    assert_eq!(config.networks[0].tokens.len(), 2);

    let defaults = read("environment = \"devnet\"", &[]).unwrap();
    let server = ServerConfig { public_url: None, ..config.server };
    let shown = OperatorConfig {
        metrics_listen: Some("127.0.0.1:9464".parse().unwrap()),
        webhook_url: Some("https://chat.example.com/hooks/pepay".parse().unwrap()),
    };
    assert_eq!(config.operator, shown);
    let operator = OperatorConfig::default();
    let secrets = SecretsConfig { sweep_key_file: None, ..config.secrets };
    assert_eq!(Config { networks: Vec::new(), server, operator, secrets, ..config }, defaults);

    let shown = &read(&text, &[]).unwrap().networks[0];
    assert_eq!(shown.poll_ms, defaults::poll_ms());
    assert_eq!(shown.idle_poll_ms, defaults::idle_poll_ms());
    assert_eq!(shown.ring_blocks, defaults::ring_blocks());
    assert_eq!(shown.max_range, defaults::max_range());
    assert_eq!(shown.max_topics, defaults::max_topics());
    assert_eq!(shown.rpc_timeout_ms, defaults::rpc_timeout_ms());
    assert_eq!(shown.tokens[0].accepted, defaults::accepted());
}

/// The fields of a settings struct, as its refusal of an unknown one lists them.
fn fields<T: DeserializeOwned>() -> Vec<String> {
    let Err(error) = toml::from_str::<T>("no_such_key = 1") else { panic!("an unknown key was accepted") };
    let message = error.message().to_owned();
    let fields: Vec<_> = message.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(!fields.is_empty(), "{message}");
    fields
}

#[test]
fn the_default_file_mentions_every_key() {
    let keys = [
        fields::<Config>(),
        fields::<ServerConfig>(),
        fields::<StorageConfig>(),
        fields::<NodesConfig>(),
        fields::<SecretsConfig>(),
        fields::<LogConfig>(),
        fields::<InvoicesConfig>(),
        fields::<WebhooksConfig>(),
        fields::<MerchantsConfig>(),
        fields::<EventsConfig>(),
        fields::<OperatorConfig>(),
        fields::<SweepsConfig>(),
        fields::<SweepByKeyConfig>(),
        fields::<LimitsConfig>(),
        fields::<NetworkConfig>(),
        fields::<TokenConfig>(),
        fields::<FeedConfig>(),
        fields::<LargeConfig>(),
        fields::<OpinionConfig>(),
    ];
    for key in keys.concat() {
        let is_mentioned = DEFAULT_FILE.contains(&format!("{key} = "))
            || DEFAULT_FILE.contains(&format!("[{key}]"))
            || DEFAULT_FILE.contains(&format!(".{key}]"));
        assert!(is_mentioned, "{key}");
    }
}

#[test]
fn a_bad_setting_is_named_by_its_key() {
    let check = |from: &str, to: &str, key: &str, message: &str| {
        check_refused(&with_network(|text| text.replacen(from, to, 1)), key, message);
    };
    check("decimals = 6", "decimals = 37", "networks[0].tokens[0].decimals", "at most 36, not 37");
    check("decimals = 6", "decimals = -1", "networks[0].tokens[0].decimals", "-1");
    check("decimals = 6", "decimals = \"six\"", "networks[0].tokens[0].decimals", "string");
    check("id = 2", "id = 1", "networks[0].tokens[1].id", "1 is there twice");
    check("id = 2", "id = 0", "networks[0].tokens[1].id", "at least 1");
    check(
        "id = 2",
        "id = 2\naddress = \"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\"",
        "networks[0].tokens[0].address",
        "twice",
    );
    check("address = \"0x8335", "address = \"0x83", "networks[0].tokens[0].address", "");
    check("price = \"par\"", "price = \"pat\"", "networks[0].tokens[0].price", "expected \"par\" or { feed");
    check(
        "heartbeat_seconds = 1200",
        "heartbeat_seconds = 0",
        "networks[0].tokens[1].price.heartbeat_seconds",
        "1 second",
    );
    check("paid_after = 3", "paid_after = 0", "networks[0].paid_after", "at least 1");
    check("paid_after = 3", "paid_after = 7", "networks[0].final_after", "at least paid_after");
    check("paid_after = 3", "paid_after = 3\nring_blocks = 5", "networks[0].ring_blocks", "at least final_after");
    check("paid_after = 3", "paid_after = 3\npoll_ms = 0", "networks[0].poll_ms", "50 to 600000");
    check("paid_after = 3", "paid_after = 3\nidle_poll_ms = 0", "networks[0].idle_poll_ms", "50 to 30000");
    check("http://127", "ftp://127", "networks[0].rpc[0]", "http or https");
    check("[\"http://127.0.0.1:8545\"]", "[]", "networks[0].rpc", "at least one");
    check("name = \"local\"", "name = \"Local\"", "networks[0].name", "lower-case");
    check("chain_id = 31337", "chain_id = 0", "networks[0].chain_id", "at least 1");
    check("chain_id = 31337\n", "", "networks[0]", "missing field `chain_id`");
    check("title = \"Local\"", "title = \"Local\"\ncolour = 1", "networks[0].colour", "unknown field `colour`");
    check(
        "paid_after = 3",
        "paid_after = 3\nexplorer_tx = \"https://x.example/\"",
        "networks[0].explorer_tx",
        "{hash}",
    );
    check("\"devnet\"", "\"mainnet\"", "networks[0].chain_id", "local development chain");
    check("\"devnet\"", "\"testnet\"", "environment", "testnet");
    check(
        "environment = \"devnet\"",
        "environment = \"devnet\"\n[webhooks]\nretry_seconds = []",
        "webhooks.retry_seconds",
        "at least one",
    );
    check(
        "environment = \"devnet\"",
        "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"10.0.0.0/8\", \"10.0.0.0/33\"]",
        "webhooks.allow_private_networks[1]",
        "",
    );
    check("environment = \"devnet\"", "environment = \"devnet\"\n[server]\nlisten = \"here\"", "server.listen", "");
    check(
        "environment = \"devnet\"",
        "environment = \"devnet\"\n[log]\nfilter = \"pepay=lots\"",
        "log.filter",
        "not a log filter",
    );
    check("environment = \"devnet\"", "environment = \"devnet\"\n[log]\nformat = \"xml\"", "log.format", "xml");
}

#[test]
fn alarms_go_over_https_or_stay_on_this_machine() {
    let text = |url: &str| format!("environment = \"devnet\"\n[operator]\nwebhook_url = \"{url}\"");
    for url in ["https://chat.example/hooks/secret", "http://127.0.0.1:9093/", "http://localhost/", "http://[::1]/"] {
        let config = read(&text(url), &[]).unwrap();
        assert!(!format!("{config:?}").contains("hooks/secret"), "the path may be one");
    }
    for url in ["http://chat.example/hooks/secret", "http://10.0.0.1/", "ftp://chat.example/", "file:///dev/null"] {
        check_refused(&text(url), "operator.webhook_url", "must be an https URL");
    }
    check_refused(&text("chat.example"), "operator.webhook_url", "");
}

/// Else a payment would be known to be its payer's while nobody looks for it any more.
#[test]
fn amounts_are_kept_no_longer_than_ended_invoices_are_watched() {
    let text =
        |days: u32| format!("environment = \"devnet\"\n[invoices]\nwatch_ended_days = 7\nunique_amount_days = {days}");
    assert!(read(&text(7), &[]).is_ok());
    check_refused(&text(8), "invoices.unique_amount_days", "more than invoices.watch_ended_days");
}

#[test]
fn limits_of_sweeps_that_make_no_sense_are_named() {
    let check = |sweeps: &str, key: &str, message: &str| {
        check_refused(&format!("environment = \"devnet\"\n[sweeps]\n{sweeps}"), &format!("sweeps.{key}"), message);
    };
    check("worth_times_cost = 0", "worth_times_cost", "1 to 1000000");
    check("after_days = 3651", "after_days", "0 to 3650");
    check("look_every_seconds = 0", "look_every_seconds", "1 to 86400");
    check("replace_after_seconds = 0", "replace_after_seconds", "1 to 86400");
    let check = |limits: &str, key: &str, message: &str| {
        let text = with_network(|text| {
            text.replacen("paid_after = 3", &format!("paid_after = 3\nsweep_by_key = {{ {limits} }}"), 1)
        });
        check_refused(&text, &format!("networks[0].sweep_by_key{key}"), message);
    };
    check("gwei_per_transaction = 0, gwei_per_day = 1", ".gwei_per_transaction", "at least 1");
    check("gwei_per_transaction = 2, gwei_per_day = 1", ".gwei_per_day", "at least gwei_per_transaction");
    check("gwei_per_day = 1", "", "missing field `gwei_per_transaction`");
}

#[test]
fn two_networks_cannot_share_a_name_or_a_chain() {
    let two = |name: &str, chain_id: u64| {
        with_network(|text| {
            format!(
                "{text}[[networks]]\nname = \"{name}\"\ntitle = \"B\"\nchain_id = {chain_id}\nrpc = [\"http://127.0.0.1:1\"]\npaid_after = 1\nfinal_after = 1\n"
            )
        })
    };
    assert!(read(&two("base", 31338), &[]).is_ok());
    check_refused(&two("local", 31338), "networks[1].name", "local is there twice");
    check_refused(&two("base", 31337), "networks[1].chain_id", "another network");
}

#[test]
fn mainnet_has_no_account_that_sends_sweeps() {
    let text = with_network(|text| {
        text.replace("\"devnet\"", "\"mainnet\"")
            .replace("chain_id = 31337", "chain_id = 1\nsweep_account = \"0x0000000000000000000000000000000000000001\"")
    });
    check_refused(&text, "networks[0].sweep_account", "devnet only");
}

#[test]
fn variables_override_the_file_and_are_named_when_they_are_wrong() {
    let text = "environment = \"devnet\"\n[log]\nfilter = \"warn\"\n";
    let config = read(
        text,
        &[
            ("PEPAY__SERVER__LISTEN", "127.0.0.1:0"),
            ("PEPAY__INVOICES__QUOTE_SECONDS", "60"),
            ("PEPAY__LOG__FILTER", "debug"),
            ("PEPAY__WEBHOOKS__RETRY_SECONDS", "[1, 2]"),
            ("PEPAY__NETWORKS", r#"[{"name":"base","title":"Base","chain_id":84532,"rpc":["https://r.example"],"paid_after":1,"final_after":2}]"#),
            ("PEPAY_CONFIG", "elsewhere.toml"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(config.invoices.quote_seconds, 60);
    assert_eq!(config.log.filter, "debug");
    assert_eq!(config.webhooks.retry_seconds, [1, 2]);
    assert_eq!(config.networks[0].name, "base");

    let check = |name: &str, value: &str, key: &str| {
        let error = read(text, &[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
        assert!(error.ends_with(&format!("(set in the variable {name})")), "{error}");
    };
    check("PEPAY__INVOICES__QUOTE_SECONDS", "soon", "invoices.quote_seconds");
    check("PEPAY__INVOICES__QUOTE_SECONDS", "1", "invoices.quote_seconds");
    check("PEPAY__INVOICES__COLOUR", "1", "invoices.colour");
    check("PEPAY__NETWORKS", "[{name = \"base\"}]", "networks[0]");
    check("PEPAY__ENVIRONMENT__X", "1", "environment.x");
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let read = |text: &str| Config::read(text, Path::new("/etc/pepay/pepay.toml"), []).unwrap();
    let config = read("environment = \"devnet\"");
    assert_eq!(config.secrets.file, PathBuf::from("/etc/pepay/pepay.secret"));
    assert_eq!(config.storage.database_url, "sqlite:/etc/pepay/pepay.db");
    assert_eq!(config.storage.file(), Some("/etc/pepay/pepay.db".into()));

    let config = read("environment = \"devnet\"\n[storage]\ndatabase_url = \"sqlite:///var/lib/p.db?cache=private\"");
    assert_eq!(config.storage.database_url, "sqlite:///var/lib/p.db?cache=private");
    assert_eq!(config.storage.file(), Some("/var/lib/p.db".into()));

    let config = read("environment = \"devnet\"\n[storage]\ndatabase_url = \"sqlite::memory:\"");
    assert_eq!(config.storage.database_url, "sqlite::memory:");
    assert_eq!(config.storage.file(), None);
}

#[test]
fn a_database_is_shown_without_its_password() {
    let check = |url: &str, expected: &str| {
        let storage = StorageConfig { database_url: url.to_owned() };
        assert_eq!((storage.shown().as_str(), storage.file()), (expected, None));
    };
    check("postgres://pepay:geheim@db.example/pepay", "postgres://pepay@db.example/pepay");
    check("postgresql://db.example/pepay?user=pepay&password=geheim", "postgresql://db.example/pepay");
    check("postgres:///pepay?host=/run/postgresql", "postgres:///pepay");
    check("sqlite::memory:", "sqlite::memory:");
}

mod secret_files {
    use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt};

    use domain::signature::ServerSecret;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("pepay-secrets-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn load(file: PathBuf, variables: &[(&str, &str)]) -> Result<Vec<ServerSecret>, SecretsError> {
        let mut config = read("environment = \"devnet\"", &[]).unwrap();
        config.secrets.file = file;
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        load_secrets(&config, variables)
    }

    #[test]
    fn a_written_secret_reads_back_and_is_never_replaced() {
        let file = folder("new").join("pepay.secret");
        assert!(create_secret_file(&file).unwrap());
        let secrets = load(file.clone(), &[]).unwrap();
        assert_eq!(secrets.len(), 1);
        assert!(!create_secret_file(&file).unwrap());
        assert_eq!(load(file.clone(), &[]).unwrap(), secrets);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_secret_that_others_can_read_or_that_is_malformed_is_refused_unseen() {
        let file = folder("bad").join("pepay.secret");
        let check = |text: &str, mode: u32, message: &str| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(file.clone(), &[]).unwrap_err().to_string();
            assert!(error.starts_with("secrets.file: ") && error.contains(message), "{error}");
            assert!(!error.contains("abab"), "{error}");
        };
        let good = "ab".repeat(32);
        check(&good, 0o640, "mode 640");
        check(&good, 0o604, "mode 604");
        check(&good[1..], 0o600, "64 hex digits");
        check(&format!("{good}\n{good}\n{good}\n"), 0o600, "64 hex digits");
        check("", 0o600, "64 hex digits");
        fs::remove_file(&file).unwrap();
        assert!(load(file.clone(), &[]).unwrap_err().to_string().contains("cannot be read"));
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }

    #[test]
    fn variables_replace_the_file() {
        let (current, previous) = ("ab".repeat(32), "11".repeat(32));
        let none = PathBuf::from("/nonexistent/pepay.secret");
        let both = [("PEPAY__SECRETS__CURRENT", current.as_str()), ("PEPAY__SECRETS__PREVIOUS", previous.as_str())];
        let secrets = [ServerSecret::from_bytes([0xab; 32]), ServerSecret::from_bytes([0x11; 32])];
        assert_eq!(load(none.clone(), &both).unwrap(), secrets);
        assert_eq!(load(none.clone(), &both[..1]).unwrap(), secrets[..1]);
        assert!(load(none.clone(), &both[1..]).is_err());
        assert!(load(none, &[("PEPAY__SECRETS__CURRENT", "abab")]).is_err());
        // They are not settings, so nothing that prints settings prints them.
        assert!(read("environment = \"devnet\"", &both).is_ok());
    }
}

#[cfg(unix)]
#[test]
fn a_new_database_is_for_this_user_alone_and_an_old_one_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = crate::testing::TempDir::new();
    let file = dir.path().join("pepay.db");
    let storage = StorageConfig { database_url: format!("sqlite:{}", file.display()) };
    storage.create_file().unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&file, "kept").unwrap();
    storage.create_file().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    StorageConfig { database_url: "sqlite::memory:".to_owned() }.create_file().unwrap();
}
