//! `pepay merchant`.

use std::{
    fmt::Write,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use domain::{
    address_mode::{AddressMode, UnknownAddressMode},
    id::{DashboardTokenId, MerchantId, ParseIdError},
    money::UsdMillis,
};
use serde_json::json;

use super::{
    Answer, CliError, Session,
    contract_wallets::Places,
    input::{self, InputError},
};
use crate::{
    brand::{self, Brand, Color, Logo, MOST_LOGO_BYTES, MOST_RADIUS},
    clock::random_bytes,
    config::load_secrets,
    keys,
    merchants::{self, AddressModeError, WalletError},
    solana::read_address_list,
    store::{AddressStock, NewMerchant},
    wallet::is_mint,
    webhooks::{self, Sealer, Targets},
    xpub::AddressKey,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a merchant; prints its recovery code, which is shown only now
    Create {
        /// What payers see
        #[arg(long)]
        name: String,
        /// Where payers ask for help
        #[arg(long)]
        email: String,
        /// The wallet that receives all payments on EVM networks, 0x…
        #[arg(long, value_name = "ADDRESS")]
        wallet: String,
        /// The wallet that receives all payments on Solana
        #[arg(long, value_name = "ADDRESS")]
        solana_wallet: Option<String>,
    },
    /// Have new invoices paid to another wallet from now on; calls off what was scheduled
    SetWallet {
        merchant_id: i64,
        /// 0x…
        #[arg(value_name = "ADDRESS")]
        wallet: String,
    },
    /// Have new invoices paid to a wallet on Solana from now on
    SetSolanaWallet {
        merchant_id: i64,
        /// As the wallet shows it under "receive"; without it, new invoices cannot be paid on Solana any more
        #[arg(value_name = "ADDRESS")]
        wallet: Option<String>,
    },
    /// Have new invoices paid on Solana to addresses of a list, one for each; more are added to those that are there
    SetSolanaAddresses {
        merchant_id: i64,
        /// Addresses that the merchant has the keys of, one in each line; what begins with `#` is a remark
        file: PathBuf,
        /// After a restore from a backup: the last address that was given to an invoice. It and those before it are given to
        /// nobody again
        #[arg(long, value_name = "ADDRESS")]
        last_given: Option<String>,
    },
    /// Say what kind of address payers of new invoices are given
    SetAddresses {
        merchant_id: i64,
        /// `forwarder`: for each invoice a contract that can only pay the wallet. `xpub`: for each invoice an address below
        /// an extended public key. `direct`: the wallet itself, where amounts tell invoices apart
        #[arg(value_parser = |text: &str| -> Result<AddressMode, UnknownAddressMode> { text.parse() })]
        mode: AddressMode,
        /// The extended public key, xpub…; without it, the one that was given last
        #[arg(long)]
        xpub: Option<String>,
        /// What the number of the next address is at least, after a database was restored
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=i64::from(AddressKey::LAST)))]
        next_index: Option<u32>,
    },
    /// Show what kind of address payers of new invoices are given
    Addresses { merchant_id: i64 },
    /// Set where webhooks go, with a new secret, which is shown only now
    SetWebhook { merchant_id: i64, url: String },
    /// Replace the list of origins that may embed the payer's page
    SetOrigins {
        merchant_id: i64,
        /// As in <https://shop.example>
        #[arg(value_name = "ORIGIN")]
        origins: Vec<String>,
    },
    /// Set how the payer's page looks; what is not given is the page's own
    SetBrand {
        merchant_id: i64,
        /// Of buttons and links, #rrggbb; shades that can be read are made from it
        #[arg(long)]
        color: Option<String>,
        /// Of corners, in pixels
        #[arg(long, value_parser = clap::value_parser!(u8).range(0..=i64::from(MOST_RADIUS)))]
        radius: Option<u8>,
        /// A PNG or JPEG picture of at most 64 KiB and 1024 pixels a side
        #[arg(long, value_name = "FILE")]
        logo: Option<PathBuf>,
    },
    /// Set up to how many dollars an invoice may be paid on the word of one endpoint alone
    SetSingleSource {
        merchant_id: i64,
        /// Whole dollars; without them, what the configuration says
        #[arg(value_name = "DOLLARS", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
        dollars: Option<u64>,
    },
    /// Mint a bearer token for the dashboard, which is shown only now
    Token {
        merchant_id: i64,
        /// How long it opens something
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=8_760))]
        hours: u32,
    },
    /// List a merchant's dashboard tokens, without the tokens themselves
    Tokens { merchant_id: i64 },
    /// Revoke a dashboard token for good
    RevokeToken {
        #[arg(value_parser = |text: &str| -> Result<DashboardTokenId, ParseIdError> { text.parse() })]
        token_id: DashboardTokenId,
    },
}

pub(super) async fn run(command: Command, session: &Session) -> Result<Answer, CliError> {
    match command {
        Command::Create { name, email, wallet, solana_wallet } => {
            create(session, &name, &email, &wallet, solana_wallet.as_deref()).await
        }
        Command::SetWallet { merchant_id, wallet } => set_wallet(session, MerchantId(merchant_id), &wallet).await,
        Command::SetSolanaWallet { merchant_id, wallet } => {
            set_solana_wallet(session, MerchantId(merchant_id), wallet.as_deref()).await
        }
        Command::SetSolanaAddresses { merchant_id, file, last_given } => {
            set_solana_addresses(session, MerchantId(merchant_id), &file, last_given.as_deref()).await
        }
        Command::SetAddresses { merchant_id, mode, xpub, next_index } => {
            set_addresses(session, MerchantId(merchant_id), mode, xpub.as_deref(), next_index).await
        }
        Command::Addresses { merchant_id } => addresses(session, MerchantId(merchant_id)).await,
        Command::SetWebhook { merchant_id, url } => set_webhook(session, MerchantId(merchant_id), &url).await,
        Command::SetOrigins { merchant_id, origins } => set_origins(session, MerchantId(merchant_id), &origins).await,
        Command::SetBrand { merchant_id, color, radius, logo } => {
            set_brand(session, MerchantId(merchant_id), color, radius, logo.as_deref()).await
        }
        Command::SetSingleSource { merchant_id, dollars } => {
            set_single_source(session, MerchantId(merchant_id), dollars).await
        }
        Command::Token { merchant_id, hours } => mint_token(session, MerchantId(merchant_id), hours).await,
        Command::Tokens { merchant_id } => list_tokens(session, MerchantId(merchant_id)).await,
        Command::RevokeToken { token_id } => revoke_token(session, token_id).await,
    }
}

async fn create(
    session: &Session,
    name: &str,
    email: &str,
    wallet: &str,
    solana_wallet: Option<&str>,
) -> Result<Answer, CliError> {
    let on_solana = solana_wallet.map(|text| input::solana_wallet("--solana-wallet", text, &session.config));
    let on_solana = on_solana.transpose()?;
    let merchant = NewMerchant {
        name: input::name(name)?,
        email: input::email(email)?,
        evm_wallet: input::wallet("--wallet", wallet, &session.config)?,
        recovery_code: random_bytes(),
        created_at: session.clock.now(),
    };
    let recovery_code = hex::encode(merchant.recovery_code);
    let wallet = merchant.evm_wallet;
    let id: MerchantId = session
        .store
        .write(move |tx| {
            Box::pin(async move {
                let id = tx.insert_merchant(&merchant).await?;
                if on_solana.is_some() {
                    tx.set_solana_wallet(id, on_solana).await?;
                }
                Ok::<_, CliError>(id)
            })
        })
        .await?;
    let and_there = on_solana.map(|wallet| format!(", on Solana to {wallet}")).unwrap_or_default();
    let warnings = Places::of(&session.config, wallet).await.warnings(wallet);
    Ok(Answer {
        text: format!(
            "merchant {id}, paid to {wallet}{and_there}\nrecovery code {recovery_code}\n\
             Keep the recovery code: with it and the wallet, every deposit address can be found again without\n\
             this server. It is not shown again.\n{}",
            in_lines(&warnings)
        ),
        json: json!({ "merchant_id": id.0, "recovery_code": recovery_code, "warnings": warnings }),
    })
}

async fn set_wallet(session: &Session, merchant: MerchantId, wallet: &str) -> Result<Answer, CliError> {
    let wallet = input::wallet("ADDRESS", wallet, &session.config)?;
    let changed = merchants::set_wallet(&session.store, &session.clock, &session.config, merchant, wallet).await;
    let change = changed.map_err(|error| match error {
        WalletError::NoSuchMerchant(merchant) => CliError::NoSuchMerchant(merchant),
        WalletError::Store(error) => error.into(),
        error => InputError::new("ADDRESS", error.to_string()).into(),
    })?;
    let warnings = Places::of(&session.config, wallet).await.warnings(wallet);
    let text = format!(
        "new invoices of merchant {merchant} are paid to {}, no longer to {}\n\
         Invoices that exist stay with the wallet they were created for.\n{}",
        change.wallet_address,
        change.previous_wallet_address,
        in_lines(&warnings)
    );
    let mut json = json!(change);
    json["warnings"] = json!(warnings);
    Ok(Answer { text, json })
}

fn in_lines(warnings: &[String]) -> String {
    warnings.iter().flat_map(|warning| ["WARNING  ", warning.as_str(), "\n"]).collect()
}

async fn set_solana_wallet(session: &Session, merchant: MerchantId, wallet: Option<&str>) -> Result<Answer, CliError> {
    let wallet = wallet.map(|text| input::solana_wallet("ADDRESS", text, &session.config)).transpose()?;
    let found: bool = session
        .store
        .write(move |tx| {
            Box::pin(async move {
                if let Some(wallet) = wallet
                    && tx.lister_of_solana_address(wallet).await?.is_some()
                {
                    return Err(InputError::new("ADDRESS", "is on a list of addresses that invoices are given").into());
                }
                tx.set_solana_wallet(merchant, wallet).await.map_err(CliError::from)
            })
        })
        .await?;
    if !found {
        return Err(CliError::NoSuchMerchant(merchant));
    }
    let kept = "Invoices that exist stay with the wallet they were created for.";
    Ok(Answer {
        text: match wallet {
            Some(wallet) => format!("new invoices of merchant {merchant} are paid to {wallet} on Solana\n{kept}\n"),
            None => format!("new invoices of merchant {merchant} cannot be paid on Solana\n{kept}\n"),
        },
        json: json!({ "merchant_id": merchant.0, "solana_wallet": wallet.map(|wallet| wallet.to_string()) }),
    })
}

async fn set_solana_addresses(
    session: &Session,
    merchant: MerchantId,
    file: &Path,
    last_given: Option<&str>,
) -> Result<Answer, CliError> {
    let not_listed =
        |address: &str| InputError::new("--last-given", format!("{address} is not on the merchant's list"));
    let last_given = last_given.map(|text| text.parse().map_err(|_| not_listed(text))).transpose()?;
    let refused = |problem: String| InputError::new("FILE", format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let list = read_address_list(&text, |address| is_mint(&session.config, address));
    let list = list.map_err(|problem| refused(problem.to_string()))?;
    let shown = file.display().to_string();
    let (added, passed_over, stock): (u64, u64, AddressStock) = session
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                if !tx.use_solana_list(merchant).await? {
                    return Err(CliError::NoSuchMerchant(merchant));
                }
                let refused = |problem: String| CliError::from(InputError::new("FILE", format!("{shown}: {problem}")));
                let mut added = 0;
                for address in list {
                    if tx.is_solana_wallet(address).await? {
                        return Err(refused(format!("{address} is a merchant's wallet, where everything arrives")));
                    }
                    if tx.add_solana_address(merchant, address).await? {
                        added += 1;
                    } else if tx.lister_of_solana_address(address).await? != Some(merchant) {
                        return Err(refused(format!("{address} is on another merchant's list")));
                    }
                }
                let passed_over = match last_given {
                    Some(given) => {
                        let passed_over = tx.pass_over_solana_addresses(merchant, given).await?;
                        passed_over.ok_or_else(|| not_listed(&given.to_string()))?
                    }
                    None => 0,
                };
                let stock = tx.solana_stock(merchant).await?;
                // Nobody could pay there from now on.
                if stock.left == 0 {
                    return Err(refused("no address in it is left to be given to an invoice".to_owned()));
                }
                Ok((added, passed_over, stock))
            })
        })
        .await?;
    let AddressStock { total, left } = stock;
    let passed = if passed_over == 0 { String::new() } else { format!("{passed_over} are passed over; ") };
    Ok(Answer {
        text: format!(
            "each new invoice of merchant {merchant} is given an address of its list on Solana\n\
             {added} were added; {passed}{left} of {total} are left\n"
        ),
        json: json!({
            "merchant_id": merchant.0, "added": added, "passed_over": passed_over, "left": left, "total": total,
        }),
    })
}

async fn set_addresses(
    session: &Session,
    merchant: MerchantId,
    mode: AddressMode,
    xpub: Option<&str>,
    next_index: Option<u32>,
) -> Result<Answer, CliError> {
    let environment = session.config.environment;
    let key = xpub.map(|text| AddressKey::parse(text, environment)).transpose();
    let key = key.map_err(|error| InputError::new("--xpub", error.to_string()))?;
    let set = merchants::set_addresses(&session.store, merchant, mode, key, next_index).await;
    let chosen = set.map_err(|error| match error {
        AddressModeError::NoSuchMerchant(merchant) => CliError::NoSuchMerchant(merchant),
        AddressModeError::Store(error) => error.into(),
        error @ (AddressModeError::NoKey | AddressModeError::OthersKey) => {
            InputError::new("--xpub", error.to_string()).into()
        }
    })?;
    Ok(show_addresses(session, merchant, mode, chosen))
}

async fn addresses(session: &Session, merchant: MerchantId) -> Result<Answer, CliError> {
    let mut reader = session.store.reader().await?;
    let mut tx = reader.tx();
    let mode = tx.address_mode(merchant).await?.ok_or(CliError::NoSuchMerchant(merchant))?;
    let chosen = tx.chosen_xpub(merchant).await?;
    Ok(show_addresses(session, merchant, mode, chosen))
}

fn show_addresses(session: &Session, merchant: MerchantId, mode: AddressMode, chosen: Option<(String, u32)>) -> Answer {
    let chosen = chosen.filter(|_| mode.has_key());
    let mut text = match mode {
        AddressMode::Forwarder => {
            format!("each new invoice of merchant {merchant} has a contract address that can only pay its wallet\n")
        }
        AddressMode::Xpub => format!("each new invoice of merchant {merchant} has an address of its key\n"),
        AddressMode::Direct => format!(
            "new invoices of merchant {merchant} are paid to its wallet itself, each with an amount of its own\n\
             Whoever sends another amount, as exchanges do that keep a fee, is not recognised: see\n\
             GET /api/v1/merchant/unattributed-payments. Coins of networks are offered only where logs tell of\n\
             them (native_logs).\n"
        ),
    };
    let first = chosen.as_ref().and_then(|(xpub, _)| AddressKey::parse(xpub, session.config.environment).ok());
    let first = first.map(|key| key.first_addresses()).unwrap_or_default();
    if let Some((_, next)) = &chosen {
        text.push_str("Compare its first addresses with those that your wallet shows, before you take money:\n");
        for (index, address) in first.iter().enumerate() {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "  {index}  {address}");
        }
        let _infallible = writeln!(text, "The next invoice has address {next}.");
    }
    let first: Vec<_> = first.iter().map(|address| address.to_checksum(None)).collect();
    Answer {
        text,
        json: json!({
            "merchant_id": merchant.0,
            "address_mode": mode.as_str(),
            "first_addresses": first,
            "next_index": chosen.map(|(_, next)| next),
        }),
    }
}

async fn set_webhook(session: &Session, merchant: MerchantId, url: &str) -> Result<Answer, CliError> {
    let url = input::webhook_url(url, &Targets::new(&session.config.webhooks))?;
    session.check_merchant(merchant).await?;
    let sealer = Sealer::new(&load_secrets(&session.config, std::env::vars_os())?);
    let set = webhooks::set_main(&session.store, &sealer, session.clock.now(), merchant, url.as_str()).await?;
    let secret = set.secret;
    Ok(Answer {
        text: format!("webhooks of merchant {merchant} go to {url}\nsecret {secret}\nThe secret is not shown again.\n"),
        json: json!({ "url": url, "secret": secret }),
    })
}

async fn set_origins(session: &Session, merchant: MerchantId, origins: &[String]) -> Result<Answer, CliError> {
    let mut origins: Vec<_> = origins.iter().map(|text| input::origin(text)).collect::<Result<_, _>>()?;
    origins.sort_unstable();
    origins.dedup();
    let answer = Answer {
        text: match origins.as_slice() {
            [] => format!("merchant {merchant} has no list of origins\n"),
            origins => format!("the page of merchant {merchant} may be embedded by {}\n", origins.join(" ")),
        },
        json: json!({ "merchant_id": merchant.0, "origins": origins }),
    };
    let found: bool = session
        .store
        .write(move |tx| {
            Box::pin(async move { tx.set_frame_origins(merchant, &origins).await.map_err(CliError::from) })
        })
        .await?;
    if found { Ok(answer) } else { Err(CliError::NoSuchMerchant(merchant)) }
}

async fn set_brand(
    session: &Session,
    merchant: MerchantId,
    color: Option<String>,
    radius: Option<u8>,
    logo: Option<&Path>,
) -> Result<Answer, CliError> {
    session.check_merchant(merchant).await?;
    if color.as_deref().is_some_and(|text| Color::parse(text).is_none()) {
        return Err(InputError::new("--color", "must be a colour as in #2b4acb").into());
    }
    let logo = logo.map(read_logo).transpose()?;
    let brand = Brand { color, radius };
    let version = brand::version(&brand, logo.as_ref());
    let answer = Answer {
        text: match (&brand.css(), &logo) {
            (None, None) => format!("the page of merchant {merchant} has its own look\n"),
            (css, logo) => format!(
                "the page of merchant {merchant} has {} {}\n",
                if css.is_some() { "these colours and corners" } else { "its own colours and corners" },
                if logo.is_some() { "and a logo" } else { "and no logo" },
            ),
        },
        json: json!({ "merchant_id": merchant.0, "color": brand.color, "radius": brand.radius, "logo": logo.is_some() }),
    };
    session
        .store
        .write(move |tx| {
            Box::pin(
                async move { tx.set_brand(merchant, &brand, logo.as_ref(), &version).await.map_err(CliError::from) },
            )
        })
        .await?;
    Ok(answer)
}

fn read_logo(path: &Path) -> Result<Logo, InputError> {
    let refused = |problem: String| InputError::new("--logo", format!("{}: {problem}", path.display()));
    // A little more than it may weigh is enough to see that it is too much.
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_LOGO_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| refused(error.to_string()))?;
    Logo::read(bytes).map_err(|error| refused(error.to_string()))
}

async fn set_single_source(session: &Session, merchant: MerchantId, usd: Option<u64>) -> Result<Answer, CliError> {
    let limit = usd.map(|usd| UsdMillis::from_millis(usd.saturating_mul(1_000)));
    let set: Result<bool, CliError> = session
        .store
        .write(move |tx| Box::pin(async move { tx.set_single_source(merchant, limit).await.map_err(CliError::from) }))
        .await;
    if !set? {
        return Err(CliError::NoSuchMerchant(merchant));
    }
    let up_to = usd.map_or("as the configuration says".to_owned(), |usd| format!("up to {usd} dollars"));
    Ok(Answer {
        text: format!("invoices of merchant {merchant} are paid on the word of one endpoint {up_to}\n"),
        json: json!({ "merchant_id": merchant.0, "single_source_usd": usd }),
    })
}

async fn mint_token(session: &Session, merchant: MerchantId, hours: u32) -> Result<Answer, CliError> {
    session.check_merchant(merchant).await?;
    let now = session.clock.now();
    let (token, record) = keys::mint_dashboard_token(&session.store, &session.config, now, merchant, hours).await?;
    Ok(Answer {
        text: format!(
            "dashboard token {} of merchant {merchant}, for {hours} hours\n{token}\nThe token is not shown again.\n",
            record.id
        ),
        json: json!({ "token_id": record.id.to_string(), "token": token, "expires_at": record.expires_at.0 }),
    })
}

async fn list_tokens(session: &Session, merchant: MerchantId) -> Result<Answer, CliError> {
    session.check_merchant(merchant).await?;
    let tokens = session.store.reader().await?.tx().dashboard_tokens(merchant).await?;
    let now = session.clock.now();
    let mut text = String::new();
    for token in &tokens {
        let state = match token.revoked_at {
            Some(_) => "revoked",
            None if token.expires_at <= now => "expired",
            None => "in use",
        };
        // Writing to a string cannot fail.
        let _infallible =
            writeln!(text, "{}  {state}  created {}  expires {}", token.id, token.created_at.0, token.expires_at.0);
    }
    if tokens.is_empty() {
        text = format!("merchant {merchant} has no dashboard tokens\n");
    }
    let json = tokens.iter().map(|token| {
        json!({
            "token_id": token.id.to_string(),
            "created_at": token.created_at.0,
            "expires_at": token.expires_at.0,
            "revoked_at": token.revoked_at.map(|time| time.0),
        })
    });
    Ok(Answer { text, json: json.collect() })
}

async fn revoke_token(session: &Session, id: DashboardTokenId) -> Result<Answer, CliError> {
    let now = session.clock.now();
    let revoked: bool = session
        .store
        .write(move |tx| Box::pin(async move { tx.revoke_dashboard_token(id, now).await.map_err(CliError::from) }))
        .await?;
    if !revoked {
        return Err(CliError::NoSuchToken(id));
    }
    Ok(Answer {
        text: format!("revoked dashboard token {id}\n"),
        json: json!({ "token_id": id.to_string(), "revoked": true }),
    })
}
