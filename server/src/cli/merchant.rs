//! `pepay merchant`.

use clap::Subcommand;
use domain::id::MerchantId;
use serde_json::json;

use super::{Answer, CliError, Session, input};
use crate::{
    clock::random_bytes,
    config::load_secrets,
    store::NewMerchant,
    webhooks::{self, Sealer, Targets},
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
        /// The wallet that receives all payments, 0x…
        #[arg(long, value_name = "ADDRESS")]
        wallet: String,
    },
    /// Set where webhooks go, with a new secret, which is shown only now
    SetWebhook { merchant_id: i64, url: String },
    /// Replace the list of origins that may embed the payer's page
    SetOrigins {
        merchant_id: i64,
        /// As in <https://shop.example>
        #[arg(value_name = "ORIGIN")]
        origins: Vec<String>,
    },
}

pub(super) async fn run(command: Command, session: &Session) -> Result<Answer, CliError> {
    match command {
        Command::Create { name, email, wallet } => create(session, &name, &email, &wallet).await,
        Command::SetWebhook { merchant_id, url } => set_webhook(session, MerchantId(merchant_id), &url).await,
        Command::SetOrigins { merchant_id, origins } => set_origins(session, MerchantId(merchant_id), &origins).await,
    }
}

async fn create(session: &Session, name: &str, email: &str, wallet: &str) -> Result<Answer, CliError> {
    let merchant = NewMerchant {
        name: input::name(name)?,
        email: input::email(email)?,
        evm_wallet: input::wallet(wallet, session.config.environment)?,
        recovery_code: random_bytes(),
        created_at: session.clock.now(),
    };
    let recovery_code = hex::encode(merchant.recovery_code);
    let wallet = merchant.evm_wallet;
    let id: MerchantId = session
        .store
        .write(move |tx| Box::pin(async move { tx.insert_merchant(&merchant).await.map_err(CliError::from) }))
        .await?;
    Ok(Answer {
        text: format!(
            "merchant {id}, paid to {wallet}\nrecovery code {recovery_code}\n\
             Keep the recovery code: with it and the wallet, every deposit address can be found again without\n\
             this server. It is not shown again.\n"
        ),
        json: json!({ "merchant_id": id.0, "recovery_code": recovery_code }),
    })
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
