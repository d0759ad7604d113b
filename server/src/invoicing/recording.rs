//! What recording facts has in common, whatever chain they are of.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use domain::{
    acceptance::Acceptance,
    finality::{Depth, Marks},
    id::{InvoiceId, MerchantId},
    invoice::DUST_BELOW,
    quote::Quote,
    time::{UnixMillis, UnixSeconds},
};

use super::{case::refold, record_scan::SeenTransfer};
use crate::{
    app::App,
    solana::SolanaAddress,
    store::{BlockRef, FactKey, StoreError, Tx, UnattributedRecord},
    wallet::WalletAddress,
};

/// Facts of one network that are being recorded, and whom they concern.
pub(super) struct Recording<'r> {
    app: &'r App,
    network: &'r str,
    now: UnixMillis,
    /// The number of the newest block that was read.
    head: Option<u64>,
    marks: Marks,
    touched: BTreeSet<(MerchantId, InvoiceId)>,
}

/// What a payer's transaction says of whom it pays. Nobody else can put that into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Every account that it names, of which one may be an invoice's reference.
    pub accounts: Vec<SolanaAddress>,
    /// Invoices that it names in words.
    pub invoices: Vec<InvoiceId>,
}

impl<'r> Recording<'r> {
    pub(super) fn new(app: &'r App, network: &'r str, head: Option<u64>, marks: Marks) -> Self {
        Self { app, network, now: app.clock.now_ms(), head, marks, touched: BTreeSet::new() }
    }

    pub(super) fn now(&self) -> UnixSeconds {
        self.now.as_seconds()
    }

    /// Says that something about invoices is new.
    pub(super) fn touch(&mut self, invoices: impl IntoIterator<Item = (MerchantId, InvoiceId)>) {
        self.touched.extend(invoices);
    }

    /// Of a fact in a block: 1 in the newest one.
    pub(super) fn confirmations(&self, block: &BlockRef) -> u32 {
        let head = self.head.unwrap_or(block.number);
        Depth { block: block.number, head, marks: self.marks, is_vouched: false }.confirmations()
    }

    pub(super) async fn record_transfers(
        &mut self,
        tx: &mut Tx<'_>,
        transfers: &[SeenTransfer],
    ) -> Result<(), StoreError> {
        let mut quotes: HashMap<InvoiceId, Vec<Quote>> = HashMap::new();
        let mut acceptances: HashMap<MerchantId, Acceptance> = HashMap::new();
        for seen in transfers {
            if let Entry::Vacant(entry) = acceptances.entry(seen.merchant) {
                entry.insert(tx.acceptance(seen.merchant).await?);
            }
            if let Entry::Vacant(entry) = quotes.entry(seen.invoice) {
                let records = tx.quotes(seen.merchant, seen.invoice).await?;
                entry.insert(records.into_iter().map(|record| record.quote).collect());
            }
            let (quotes, acceptance) = (&quotes[&seen.invoice], &acceptances[&seen.merchant]);
            let record = seen.to_record(self.network, quotes, acceptance, self.confirmations(&seen.block));
            if tx.record_transfer(&record, self.now()).await? {
                self.touch([(seen.merchant, seen.invoice)]);
            }
        }
        Ok(())
    }

    /// Judges every fact that is not final yet. `is_alone` says that there is no other endpoint that could vouch for one.
    pub(super) async fn judge(
        &mut self,
        tx: &mut Tx<'_>,
        vouched: &[FactKey],
        is_alone: bool,
    ) -> Result<(), StoreError> {
        for fact in vouched {
            tx.vouch(self.network, fact).await?;
        }
        let Some(head) = self.head else { return Ok(()) };
        let config = &self.app.config;
        let (thresholds, one_is_enough) = (config.thresholds(self.network), is_alone.then(|| config.single_source()));
        let deepened = tx.deepen(self.network, head, self.marks, &thresholds, one_is_enough).await?;
        self.touch(deepened);
        Ok(())
    }

    /// Has every invoice say anew where it stands of which something is new; returns those.
    pub(super) async fn refold(self, tx: &mut Tx<'_>) -> Result<BTreeSet<(MerchantId, InvoiceId)>, StoreError> {
        for &(merchant, invoice) in &self.touched {
            refold(tx, self.app, self.now, merchant, invoice).await?;
        }
        Ok(self.touched)
    }
}

/// The payment that it is of an invoice of the merchant; what belongs to nobody's is recorded as that.
///
/// The same may be looked at again when more is known, such as a first quote of the invoice that it names. Then it is no longer
/// nobody's; but what was an invoice's stays it.
pub(super) async fn attribute(
    tx: &mut Tx<'_>,
    came: &UnattributedRecord,
    said: &Said,
) -> Result<Option<SeenTransfer>, StoreError> {
    if let Some(invoice) = tx.attachment(came.merchant, came.payment()).await? {
        return Ok(Some(SeenTransfer::to_invoice(came, invoice)));
    }
    let Some((merchant, invoice)) = owner(tx, came, said).await? else {
        if !is_dust(came) && !tx.is_payment(came).await? {
            tx.record_unattributed(came).await?;
        }
        return Ok(None);
    };
    tx.withdraw_unattributed(came).await?;
    // Else it is another merchant's with the same wallet.
    Ok((merchant == came.merchant).then(|| SeenTransfer::to_invoice(came, invoice)))
}

/// Whose a payment to a merchant's wallet is that the merchant has said nothing of: what its transaction says, then what its
/// amount does.
async fn owner(
    tx: &mut Tx<'_>,
    came: &UnattributedRecord,
    said: &Said,
) -> Result<Option<(MerchantId, InvoiceId)>, StoreError> {
    if let WalletAddress::Solana(wallet) = came.wallet {
        // Nothing has to say whose it is at an address of an invoice's own.
        if let Some(owner) = tx.invoice_of_solana_address(wallet).await? {
            return Ok(Some(owner));
        }
        // One that names several says nothing.
        if let [owner] = tx.invoices_of_references(&came.network, wallet, &said.accounts).await?.as_slice() {
            return Ok(Some(*owner));
        }
        let mut named = BTreeSet::new();
        for invoice in &said.invoices {
            named.extend(tx.invoice_at_solana_wallet(&came.network, wallet, *invoice).await?);
        }
        if let (1, Some(owner)) = (named.len(), named.first()) {
            return Ok(Some(*owner));
        }
    }
    tx.invoice_of_amount(came.wallet, came.token, came.amount, came.block_time).await
}

/// Whether it is worth so little that it is nobody's payment. Everybody can send such to any wallet, and some do.
fn is_dust(came: &UnattributedRecord) -> bool {
    came.price_at_block.is_some_and(|rate| rate.worth(came.amount, came.decimals) < DUST_BELOW)
}
