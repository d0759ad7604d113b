//! A payer's session: what opens one invoice to whoever holds its payment URL, and until when.
//!
//! Nothing of it is stored but a hash. Token and signature follow from the server's secret, so that a
//! repeated request gets the same ones, and a made-up one is refused before the database is asked.

use domain::{
    signature::{CredentialHash, SessionToken, is_session_signed, sign_session},
    time::UnixSeconds,
};
use wire::invoice::SessionHeaders;

use crate::{
    app::App,
    events::{Lookup, Polled},
    store::{InvoiceRecord, StoreError},
};

/// How long a session can still be read after its invoice ended.
const READABLE_AFTER_END_SECONDS: i64 = 30 * 86_400;

/// An invoice, opened by its payer.
#[derive(Clone, Debug)]
pub struct Session {
    pub credentials: SessionHeaders,
    pub invoice: InvoiceRecord,
}

/// A session token that came with a signature of ours.
#[derive(Clone, Copy, Debug)]
pub struct Signed(CredentialHash);

impl Signed {
    /// Checks what a client presents; asks nothing of the database.
    pub fn check(app: &App, session_token: &str, signature: &str) -> Option<Self> {
        let token = SessionToken::from_client(session_token);
        is_session_signed(&app.secrets, &token, signature).then(|| Self(token.hash()))
    }

    pub fn token_hash(self) -> CredentialHash {
        self.0
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("session and signature do not belong together, or are not ours")]
    Invalid,
    #[error("the invoice ended too long ago")]
    Expired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The credentials of an invoice's payer; the same every time.
pub fn credentials(app: &App, invoice: &InvoiceRecord) -> SessionHeaders {
    // After the server's secret was replaced, an older invoice keeps the token its payer has.
    let (secret, token) = app
        .secrets
        .iter()
        .map(|secret| (secret, SessionToken::of(secret, invoice.id)))
        .find(|(_, token)| token.hash() == invoice.session_hash)
        .unwrap_or_else(|| (app.secret(), SessionToken::of(app.secret(), invoice.id)));
    SessionHeaders {
        signature: sign_session(secret, &token, invoice.created),
        session_token: token.as_str().to_owned(),
    }
}

/// Where the payer pays.
pub fn payment_url(app: &App, credentials: &SessionHeaders) -> String {
    format!("{}{}", app.public_url, page_path(credentials))
}

/// The path and query of the payer's page.
pub fn page_path(credentials: &SessionHeaders) -> String {
    // Both are made of characters that need no escaping, or their signature would not hold.
    format!("/pay?session={}&signature={}", credentials.session_token, credentials.signature)
}

/// The last second at which an invoice's session can be read.
pub fn readable_until(invoice: &InvoiceRecord) -> UnixSeconds {
    let ended =
        invoice.standing.paid_at.map_or(invoice.terms.expires_at, |paid_at| paid_at.max(invoice.terms.expires_at));
    ended.plus(READABLE_AFTER_END_SECONDS)
}

/// Opens the invoice that a payer's credentials, which were found to be `signed`, are for.
///
/// # Errors
///
/// If the invoice is not there, or ended too long ago.
pub async fn open(app: &App, signed: Signed, credentials: SessionHeaders) -> Result<Session, SessionError> {
    let invoice = app.store.reader().await?.tx().invoice_of_session(signed.token_hash()).await?;
    let invoice = invoice.ok_or(SessionError::Invalid)?;
    check_time(app, readable_until(&invoice))?;
    Ok(Session { credentials, invoice })
}

/// How the invoice stands that a payer's credentials are for, from memory where that is as good.
///
/// # Errors
///
/// As [`open`].
pub async fn poll(app: &App, signed: Signed) -> Result<Polled, SessionError> {
    let session = signed.token_hash();
    let standings = &app.hub.standings;
    let polled = match standings.of_session(session) {
        Lookup::Known(polled) => polled,
        lookup => {
            let mut reader = app.store.reader().await?;
            let mut tx = reader.tx();
            let (merchant, invoice) = if let Lookup::Unread(merchant, invoice) = lookup {
                (merchant, invoice)
            } else {
                let invoice = tx.invoice_of_session(session).await?.ok_or(SessionError::Invalid)?;
                (invoice.merchant, invoice.id)
            };
            // From here on a change is heard of, so that what is read now can be kept until then.
            let reading = standings.begin(invoice);
            let invoice = tx.invoice(merchant, invoice).await?.ok_or(SessionError::Invalid)?;
            let polled = Polled {
                merchant,
                invoice: invoice.id,
                status: invoice.standing.status,
                paid_at: invoice.standing.paid_at,
                readable_until: readable_until(&invoice),
            };
            standings.keep(reading, session, polled);
            polled
        }
    };
    check_time(app, polled.readable_until)?;
    Ok(polled)
}

fn check_time(app: &App, readable_until: UnixSeconds) -> Result<(), SessionError> {
    if readable_until < app.clock.now() { Err(SessionError::Expired) } else { Ok(()) }
}
