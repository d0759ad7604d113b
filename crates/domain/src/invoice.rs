//! What a merchant asks for, and what follows from the transfers that answered.

use std::collections::HashSet;

use ruint::aliases::U256;

use crate::{
    finality::Finality,
    id::PaymentId,
    money::{ExactUsd, Rate, UsdMillis},
    quote::Quote,
    time::UnixSeconds,
    transfer::Transfer,
};

/// The part of an invoice that decides about money; fixed when it is created, but for cancelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceTerms {
    /// Never zero.
    pub due: UsdMillis,
    /// The last second at which money is in time.
    pub expires_at: UnixSeconds,
    /// When the merchant canceled it; money sent later is late, and held whatever the late policy.
    pub canceled_at: Option<UnixSeconds>,
    pub tolerance: Tolerance,
    pub late_policy: LatePolicy,
}

/// How much may be missing from a paid invoice: the smaller of a share of what is due and a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Hundredths of a percent of the amount due.
    pub basis_points: u16,
    pub at_most: UsdMillis,
}

/// What happens to money that arrives after its invoice expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// It is recorded and shown, and the merchant decides.
    #[default]
    Hold,
    /// It is credited if it came within `days` and at a rate no further than `band_basis_points` from
    /// the one last quoted. A token that was never quoted has no band to leave.
    Accept { days: u16, band_basis_points: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceStatus {
    Unpaid,
    Underpaid,
    Paid,
    Expired,
    Canceled,
}

impl InvoiceStatus {
    /// Whether only facts from a chain can still change it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Paid | Self::Expired | Self::Canceled)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Seen, not deep enough yet; also a payment whose block was replaced.
    Pending,
    /// Counted, but the invoice is not covered yet.
    Underpaid,
    Confirmed,
    /// Arrived, but somebody has to decide about it: late, unexpected, or without a price.
    ManualRetry,
}

/// How far the chains this invoice was quoted on have been read, by their own clocks.
///
/// An invoice that has ended must not be quoted on a further network: that chain would be awaited too,
/// and reopen it.
#[derive(Clone, Copy, Debug)]
pub struct ChainTimes<'a> {
    /// Our clock.
    pub now: UnixSeconds,
    /// Since when we have been able to read chains at all: when we started.
    pub reading_since: UnixSeconds,
    /// Of each network quoted on, the time of the last block that was read and verified; `None` for one
    /// that has never been read.
    pub verified: &'a [Option<UnixSeconds>],
}

/// A chain that cannot be read holds back the end of an invoice by at most this long. Time during which
/// we did not run does not count: nobody tried to read it.
const LONGEST_WAIT_FOR_A_CHAIN_SECONDS: i64 = 3600;
/// Credit beyond what is due that is worth telling anybody about: above one cent.
const OVERPAID_ABOVE: UsdMillis = UsdMillis::from_cents(1);
/// A transfer below this sum, and below one percent of what is due, is dust.
pub const DUST_BELOW: UsdMillis = UsdMillis::from_cents(5);

/// Everything that follows from an invoice's terms and transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub status: InvoiceStatus,
    /// What has been credited; may exceed what is due.
    pub credit: UsdMillis,
    /// What is still to pay; zero once paid, even where a tolerance forgave some of it.
    pub remaining: UsdMillis,
    /// How much too much arrived, if it is more than a cent.
    pub overpaid: UsdMillis,
    /// Paid only thanks to money that came after the end.
    pub late: bool,
    /// Block time of the transfer that completed it.
    pub paid_at: Option<UnixSeconds>,
    /// Block time of the newest credited transfer.
    pub last_payment_at: Option<UnixSeconds>,
    /// The transfer that decides which network and token the rest is asked in.
    pub locked_by: Option<PaymentId>,
    /// Time is up, but a transfer or a chain is still awaited before that is final.
    pub is_checking: bool,
    /// Ended although a network could not be read for an hour.
    pub ended_unverified: bool,
}

impl InvoiceTerms {
    /// The status and sums that follow from what the chains have shown so far.
    ///
    /// Only canonical transfers that reached paid depth are credited. What decides lateness is the time
    /// of their block, never when they were noticed. The order of `quotes` and `transfers` does not matter.
    ///
    /// Credit is rounded once, down, after everything is added up at the rates it was valued at. A quote's
    /// amount is rounded up, so whoever sent it, in however many parts, is credited with all it covers.
    pub fn standing(&self, quotes: &[Quote], transfers: &[Transfer], times: ChainTimes<'_>) -> Standing {
        let mut credited: Vec<(&Transfer, Rate)> = transfers
            .iter()
            .filter(|transfer| transfer.has_reached(Finality::Paid))
            .filter_map(|transfer| Some((transfer, self.credited_at(transfer, quotes)?)))
            .collect();
        credited.sort_by_key(|(transfer, _)| transfer.position());
        // A transaction that came back in another block may be in the list once for each.
        let mut seen = HashSet::new();
        credited.retain(|(transfer, _)| seen.insert(transfer.id));

        let mut sum = ExactUsd::default();
        let mut standing = Standing {
            status: InvoiceStatus::Unpaid,
            credit: UsdMillis::ZERO,
            remaining: self.due,
            overpaid: UsdMillis::ZERO,
            late: false,
            paid_at: None,
            last_payment_at: None,
            locked_by: None,
            is_checking: false,
            ended_unverified: false,
        };
        for (transfer, rate) in credited {
            sum = sum.plus(rate.exact_worth(transfer.amount, transfer.decimals));
            standing.credit = sum.rounded_down();
            standing.last_payment_at = Some(transfer.block_time);
            if standing.locked_by.is_none() && !self.is_dust(standing.credit) {
                standing.locked_by = Some(transfer.id);
            }
            if standing.paid_at.is_none() && self.is_covered_by(standing.credit) {
                standing.paid_at = Some(transfer.block_time);
                standing.late = self.is_late(transfer);
            }
        }

        if standing.paid_at.is_some() {
            standing.status = InvoiceStatus::Paid;
            standing.remaining = UsdMillis::ZERO;
            let excess = standing.credit.minus(self.due);
            if OVERPAID_ABOVE < excess {
                standing.overpaid = excess;
            }
            return standing;
        }
        standing.remaining = self.due.minus(standing.credit);
        let open = match standing.locked_by {
            Some(_) => InvoiceStatus::Underpaid,
            None => InvoiceStatus::Unpaid,
        };
        (standing.status, standing.is_checking, standing.ended_unverified) = match self.ending(transfers, times) {
            _ if self.canceled_at.is_some() => (InvoiceStatus::Canceled, false, false),
            Ending::NotYet => (open, false, false),
            Ending::Awaited => (open, true, false),
            Ending::Ended { verified } => (InvoiceStatus::Expired, false, !verified),
        };
        standing
    }

    /// What one transfer's status is, given where the invoice stands.
    pub fn payment_status(&self, transfer: &Transfer, quotes: &[Quote], invoice: InvoiceStatus) -> PaymentStatus {
        match () {
            () if !transfer.is_canonical() => PaymentStatus::Pending,
            () if self.credited_at(transfer, quotes).is_none() => PaymentStatus::ManualRetry,
            () if !transfer.has_reached(Finality::Paid) => PaymentStatus::Pending,
            () if invoice == InvoiceStatus::Paid => PaymentStatus::Confirmed,
            () => PaymentStatus::Underpaid,
        }
    }

    /// Whether its block is newer than the end of the invoice.
    pub fn is_late(&self, transfer: &Transfer) -> bool {
        self.end() < transfer.block_time
    }

    /// The last second at which money is in time.
    fn end(&self) -> UnixSeconds {
        self.canceled_at.map_or(self.expires_at, |canceled_at| canceled_at.min(self.expires_at))
    }

    /// The rate at which a transfer counts towards the invoice once it is deep enough; `None` if somebody
    /// has to decide about it first.
    fn credited_at(&self, transfer: &Transfer, quotes: &[Quote]) -> Option<Rate> {
        let rate = transfer.valuation.rate()?;
        let counts = !self.is_late(transfer) || self.accepts_late(transfer, rate, quotes);
        counts.then_some(rate)
    }

    fn accepts_late(&self, transfer: &Transfer, rate: Rate, quotes: &[Quote]) -> bool {
        let LatePolicy::Accept { days, band_basis_points } = self.late_policy else { return false };
        // The policy is about payers who were slow; an order that was called off must not come back by itself.
        let was_called_off = self.canceled_at.is_some_and(|canceled_at| canceled_at < transfer.block_time);
        let in_time = transfer.block_time <= self.expires_at.plus(i64::from(days) * 86_400);
        let last_quote = quotes
            .iter()
            .filter(|quote| quote.token == transfer.token)
            .max_by_key(|quote| (quote.created_at, quote.id));
        let is_near = last_quote.is_none_or(|quote| {
            let drift = U256::from(rate.usd_e8().abs_diff(quote.rate.usd_e8()));
            drift * U256::from(10_000) <= U256::from(quote.rate.usd_e8()) * U256::from(band_basis_points)
        });
        !was_called_off && in_time && is_near
    }

    fn is_covered_by(&self, credit: UsdMillis) -> bool {
        let share = u128::from(self.due.as_millis()) * u128::from(self.tolerance.basis_points) / 10_000;
        let share = u64::try_from(share).map_or(UsdMillis::MAX, UsdMillis::from_millis);
        let forgiven = share.min(self.tolerance.at_most);
        UsdMillis::ZERO < credit && self.due <= credit.plus(forgiven)
    }

    fn is_dust(&self, credit: UsdMillis) -> bool {
        credit < DUST_BELOW && credit.as_millis().saturating_mul(100) < self.due.as_millis()
    }

    /// Whether the time to pay is over.
    ///
    /// A transfer that was seen in time holds the end back until it is deep enough or gone; a chain that
    /// cannot be read does so for an hour at most.
    fn ending(&self, transfers: &[Transfer], times: ChainTimes<'_>) -> Ending {
        if times.now <= self.expires_at {
            return Ending::NotYet;
        }
        let is_awaited = |transfer: &Transfer| {
            transfer.is_canonical()
                && transfer.valuation.rate().is_some()
                && !transfer.has_reached(Finality::Paid)
                && !self.is_late(transfer)
        };
        if transfers.iter().any(is_awaited) {
            return Ending::Awaited;
        }
        let verified = times.verified.iter().all(|read_until| read_until.is_some_and(|time| self.expires_at < time));
        let waiting_since = self.expires_at.max(times.reading_since);
        let waited_long_enough = waiting_since.plus(LONGEST_WAIT_FOR_A_CHAIN_SECONDS) < times.now;
        match () {
            () if verified => Ending::Ended { verified: true },
            () if waited_long_enough => Ending::Ended { verified: false },
            () => Ending::Awaited,
        }
    }
}

enum Ending {
    NotYet,
    /// Time is up; a confirming transfer or an unread chain may still bring on-time money.
    Awaited,
    Ended {
        verified: bool,
    },
}

#[cfg(test)]
#[path = "invoice_tests.rs"]
mod tests;
