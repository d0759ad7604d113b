//! One invoice with all its facts, and the one way its status is ever written.

use std::collections::HashMap;

use domain::{
    id::{InvoiceId, MerchantId, PaymentId},
    invoice::{ChainTimes, InvoiceStatus, PaymentStatus, Standing},
    money::UsdMillis,
    quote::Quote,
    settlement::{Settlement, SettlementStatus, Sweep},
    time::{UnixMillis, UnixSeconds},
    transfer::{Transfer, Valuation},
};

use crate::{
    alarm,
    app::App,
    config::Config,
    store::{InvoiceRecord, Lane, NewEvent, QuoteRecord, StoreError, SweepRecord, TransferRecord, Tx},
    view,
};

/// An invoice, what was quoted for it, what arrived and what left.
#[derive(Clone, Debug)]
pub struct Case {
    pub invoice: InvoiceRecord,
    pub quotes: Vec<QuoteRecord>,
    /// Newest block last; orphaned facts only while their payment is not on the chain elsewhere.
    pub payments: Vec<Payment>,
}

/// One transfer with everything that follows from it.
#[derive(Clone, Debug)]
pub struct Payment {
    pub record: TransferRecord,
    pub status: PaymentStatus,
    pub settlement: SettlementStatus,
    /// The sweep that took it.
    pub settlement_tx: Option<String>,
    /// What it alone is worth; zero where nothing is credited.
    pub worth: UsdMillis,
    pub late: bool,
    pub required_confirmations: u32,
}

impl Case {
    /// Loads an invoice of a merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn load(
        tx: &mut Tx<'_>,
        config: &Config,
        merchant: MerchantId,
        id: InvoiceId,
    ) -> Result<Option<Self>, StoreError> {
        match tx.invoice(merchant, id).await? {
            Some(invoice) => Self::of(tx, config, invoice).await.map(Some),
            None => Ok(None),
        }
    }

    /// Loads what belongs to an invoice that was just read.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn of(tx: &mut Tx<'_>, config: &Config, invoice: InvoiceRecord) -> Result<Self, StoreError> {
        // An address is watched from the first quote on; before that, nothing can have been seen.
        let facts = match invoice.watched_until {
            Some(_) => Facts::load(tx, config, &invoice).await?,
            None => Facts::default(),
        };
        Ok(facts.into_case(invoice))
    }

    /// The newest payment by block time.
    pub fn latest_payment(&self) -> Option<&Payment> {
        self.payments.last()
    }

    /// The payment that decided where the rest is asked.
    pub fn locking_payment(&self) -> Option<&Payment> {
        let locked_by = self.invoice.standing.locked_by?;
        self.payments.iter().find(|payment| payment.record.payment == locked_by)
    }
}

/// Whether anything about an invoice can still be said or chosen; if not, how it ended.
pub(super) fn check_open(invoice: &InvoiceRecord, now: UnixSeconds) -> Result<(), InvoiceStatus> {
    let status = invoice.standing.status;
    match status {
        status if status.is_terminal() => Err(status),
        _ if invoice.terms.expires_at < now => Err(InvoiceStatus::Expired),
        _ => Ok(()),
    }
}

/// What follows for a transfer from the network it came on.
#[derive(Clone, Copy)]
struct Demands {
    paid_after: u32,
    settles_at_once: bool,
}

/// What the fold works on.
#[derive(Default)]
struct Facts {
    quotes: Vec<QuoteRecord>,
    plain_quotes: Vec<Quote>,
    records: Vec<(TransferRecord, Demands)>,
    transfers: Vec<Transfer>,
    sweeps: Vec<Sweep>,
}

impl Facts {
    async fn load(tx: &mut Tx<'_>, config: &Config, invoice: &InvoiceRecord) -> Result<Self, StoreError> {
        let quotes = tx.quotes(invoice.merchant, invoice.id).await?;
        let records = one_per_payment(tx.transfers(invoice.merchant, invoice.id).await?);
        // A sweep takes what arrived.
        let sweeps = if records.is_empty() { Vec::new() } else { tx.sweeps(invoice.merchant, invoice.id).await? };
        let records: Vec<_> = records
            .into_iter()
            .map(|record| {
                let demands = Demands {
                    paid_after: config.thresholds(&record.network).paid_after(invoice.terms.due),
                    settles_at_once: invoice.settles_at_once_on(config.kind_of(&record.network)),
                };
                (record, demands)
            })
            .collect();
        Ok(Self {
            plain_quotes: quotes.iter().map(|record| record.quote.clone()).collect(),
            quotes,
            transfers: records.iter().map(|(record, _)| record.to_transfer()).collect(),
            sweeps: sweeps.iter().map(SweepRecord::to_sweep).collect(),
            records,
        })
    }

    fn into_case(self, invoice: InvoiceRecord) -> Case {
        let payments = self
            .records
            .into_iter()
            .zip(&self.transfers)
            .map(|((record, demands), transfer)| {
                let Demands { paid_after: required_confirmations, settles_at_once } = demands;
                let status = invoice.terms.payment_status(transfer, &self.plain_quotes, invoice.standing.status);
                let settlement = Settlement::of(transfer, &self.sweeps);
                let is_credited = matches!(status, PaymentStatus::Confirmed | PaymentStatus::Underpaid);
                let is_held = status == PaymentStatus::ManualRetry && settlement.sweep.is_none() && !settles_at_once;
                Payment {
                    worth: match transfer.valuation.rate() {
                        Some(rate) if is_credited || status == PaymentStatus::Pending => {
                            rate.worth(transfer.amount, transfer.decimals)
                        }
                        _ => UsdMillis::ZERO,
                    },
                    settlement: match settlement.status {
                        _ if settles_at_once => Settlement::at_once(transfer),
                        _ if is_held => SettlementStatus::Manual,
                        status => status,
                    },
                    settlement_tx: match settlement.sweep {
                        _ if settles_at_once => transfer.is_canonical().then(|| record.tx_id.clone()),
                        sweep => sweep.map(|sweep| sweep.transaction.clone()),
                    },
                    late: invoice.terms.is_late(transfer),
                    status,
                    record,
                    required_confirmations,
                }
            })
            .collect();
        Case { invoice, quotes: self.quotes, payments }
    }
}

/// Facts of one payment in several blocks (its transaction moved in a reorganisation) are one payment:
/// the canonical one, else the newest.
fn one_per_payment(records: Vec<TransferRecord>) -> Vec<TransferRecord> {
    let mut chosen: HashMap<PaymentId, TransferRecord> = HashMap::new();
    for record in records {
        let Some(known) = chosen.remove(&record.payment) else {
            chosen.insert(record.payment, record);
            continue;
        };
        let (mut kept, other) = if known.canonical { (known, record) } else { (record, known) };
        // A fact that came after the last event does not know of it yet.
        kept.announced = kept.announced.or(other.announced);
        chosen.insert(kept.payment, kept);
    }
    let mut records: Vec<_> = chosen.into_values().collect();
    records.sort_by(|a, b| {
        (a.block_time, &a.network, a.block_number, a.log_index, a.payment).cmp(&(
            b.block_time,
            &b.network,
            b.block_number,
            b.log_index,
            b.payment,
        ))
    });
    records
}

/// Folds an invoice's facts anew after one of them changed, stores what follows and writes the events
/// that tell of it.
///
/// This and [`refold_for_time`] are the only writers of an invoice's status.
///
/// # Errors
///
/// If the database refuses, or if somebody else changed the invoice meanwhile.
pub(super) async fn refold(
    tx: &mut Tx<'_>,
    app: &App,
    now: UnixMillis,
    merchant: MerchantId,
    id: InvoiceId,
) -> Result<(), StoreError> {
    tx.lock_invoice(merchant, id).await?;
    let Some(invoice) = tx.invoice(merchant, id).await? else { return Ok(()) };
    let (facts, standing) = fold(tx, app, now, &invoice).await?;
    keep(tx, &app.config, now, invoice, facts, standing).await
}

/// As [`refold`] when only time has passed: `false`, and nothing is written, if nothing follows from it.
///
/// # Errors
///
/// As [`refold`].
pub(super) async fn refold_for_time(
    tx: &mut Tx<'_>,
    app: &App,
    now: UnixMillis,
    merchant: MerchantId,
    id: InvoiceId,
) -> Result<bool, StoreError> {
    tx.lock_invoice(merchant, id).await?;
    let Some(invoice) = tx.invoice(merchant, id).await? else { return Ok(false) };
    let (facts, standing) = fold(tx, app, now, &invoice).await?;
    if standing == invoice.standing {
        return Ok(false);
    }
    keep(tx, &app.config, now, invoice, facts, standing).await?;
    Ok(true)
}

async fn fold(
    tx: &mut Tx<'_>,
    app: &App,
    now: UnixMillis,
    invoice: &InvoiceRecord,
) -> Result<(Facts, Standing), StoreError> {
    let facts = Facts::load(tx, &app.config, invoice).await?;
    let verified = verified_times(tx, invoice, &facts.quotes).await?;
    // Whoever waited once does not wait again after each restart.
    let has_waited = invoice.standing.ended_unverified;
    let reading_since = if has_waited { invoice.terms.expires_at } else { app.started_at };
    let times = ChainTimes { now: now.as_seconds(), reading_since, verified: &verified };
    let standing = invoice.terms.standing(&facts.plain_quotes, &facts.transfers, times);
    Ok((facts, standing))
}

async fn keep(
    tx: &mut Tx<'_>,
    config: &Config,
    now: UnixMillis,
    mut invoice: InvoiceRecord,
    facts: Facts,
    standing: Standing,
) -> Result<(), StoreError> {
    warn_of_surprises(&invoice, &standing);
    let before = invoice.clone();
    if !tx.save_standing(&invoice, &standing).await? {
        return Err(StoreError::NotCommitted);
    }
    invoice.standing = standing;
    let case = facts.into_case(invoice);
    watch_what_holds_money(tx, config, &case, now).await?;
    announce_payments(tx, config, &case, now).await?;
    announce_invoice(tx, &before, &case, now).await
}

/// Keeps an address watched for as long as it holds money, however late that is swept: only a sweep that
/// is seen settles it. Not one that somebody has the key of: he may leave money there for good.
async fn watch_what_holds_money(
    tx: &mut Tx<'_>,
    config: &Config,
    case: &Case,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const UNTIL_SWEPT: UnixSeconds = UnixSeconds(i64::MAX);

    let invoice = &case.invoice;
    if invoice.address_mode.has_key() {
        return Ok(());
    }
    let is_held = |payment: &Payment| payment.record.canonical && payment.settlement != SettlementStatus::Settled;
    let until = match invoice.watched_until {
        until if case.payments.iter().any(is_held) => (until != Some(UNTIL_SWEPT)).then_some(UNTIL_SWEPT),
        Some(UNTIL_SWEPT) => Some(config.invoices.end_of_watch(invoice.terms.expires_at.max(now.as_seconds()))),
        _ => None,
    };
    match until {
        Some(until) => tx.set_watched_until(invoice.merchant, invoice.id, until).await,
        None => Ok(()),
    }
}

/// Up to when it is known of each network that this invoice was quoted on what its address held: every block was read,
/// and what it held agreed with what was read. Where it does not agree now, up to when it did.
async fn verified_times(
    tx: &mut Tx<'_>,
    invoice: &InvoiceRecord,
    quotes: &[QuoteRecord],
) -> Result<Vec<Option<UnixSeconds>>, StoreError> {
    /// A network's clock may lag behind ours so much.
    const LAG_SECONDS: i64 = 3_600;

    let mut differences = tx.differences_of(invoice.merchant, invoice.id).await?;
    if let Some(wallet) = invoice.solana_address {
        // What was noticed before there was an invoice is no payment of it.
        let noticed_after = invoice.created.as_seconds().plus(-LAG_SECONDS);
        differences.extend(tx.unexplained_at_solana_wallet(wallet, noticed_after).await?);
    }
    let mut networks: Vec<&str> = quotes.iter().map(|record| record.network.as_str()).collect();
    networks.sort_unstable();
    networks.dedup();
    let mut times = Vec::with_capacity(networks.len());
    for network in networks {
        let compared = tx.comparison(network, Lane::Open).await?.map(|comparison| comparison.at.time);
        let agreed = differences.get(network).copied();
        times.push(compared.map(|compared| agreed.map_or(compared, |agreed| compared.min(agreed))));
    }
    Ok(times)
}

fn warn_of_surprises(invoice: &InvoiceRecord, standing: &Standing) {
    let was_paid = invoice.standing.status == InvoiceStatus::Paid;
    if was_paid && standing.status != InvoiceStatus::Paid {
        tracing::error!(
            alarm = alarm::PAID_INVOICE_UNDONE,
            invoice.id = %invoice.id,
            invoice.credit = %standing.credit,
            "ALARM: a paid invoice lost its payment to a reorganisation"
        );
    }
    if standing.ended_unverified && !invoice.standing.ended_unverified {
        tracing::warn!(invoice.id = %invoice.id, "an invoice expired although a network could not be read for an hour");
    }
}

async fn announce_payments(tx: &mut Tx<'_>, config: &Config, case: &Case, now: UnixMillis) -> Result<(), StoreError> {
    for payment in &case.payments {
        let object = view::payment(&case.invoice, payment, config);
        let (event_type, previous) = match &payment.record.announced {
            None => ("invoice_payment.created", None),
            Some(announced) => match view::news_of_payment(announced, &object) {
                None => continue,
                news => ("invoice_payment.updated", news),
            },
        };
        let announcement = view::announcement(&object);
        let object = serde_json::to_string(&object).unwrap_or_default();
        tx.append_event(&event(&case.invoice, event_type, object, previous, now)).await?;
        let record = &payment.record;
        tx.remember_announcement(record.merchant, record.invoice, record.payment, &announcement).await?;
    }
    Ok(())
}

async fn announce_invoice(
    tx: &mut Tx<'_>,
    before: &InvoiceRecord,
    after: &Case,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let json = |invoice| serde_json::to_string(&view::invoice(invoice, &after.payments)).unwrap_or_default();
    let (old, new) = (json(before), json(&after.invoice));
    if old == new {
        return Ok(());
    }
    let previous = view::changed(&old, &new);
    tx.append_event(&event(&after.invoice, "invoice.updated", new, Some(previous), now)).await
}

fn event(
    invoice: &InvoiceRecord,
    event_type: &'static str,
    object: String,
    previous_attributes: Option<String>,
    created: UnixMillis,
) -> NewEvent {
    NewEvent {
        merchant: invoice.merchant,
        invoice: Some(invoice.id),
        event_type,
        environment: invoice.environment,
        object,
        previous_attributes,
        request_id: None,
        idempotency_key: None,
        created,
    }
}

/// Whether a payment may still become part of what is due.
pub(super) fn is_arriving(payment: &Payment) -> bool {
    payment.record.canonical
        && payment.status == PaymentStatus::Pending
        && !matches!(payment.record.valuation, Valuation::Unpriced | Valuation::Unexpected)
}
