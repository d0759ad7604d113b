//! How much a fact of a chain may be relied on.

use crate::money::UsdMillis;

/// How much a transfer may be relied on, by its network's thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finality {
    /// Found, but a small reorganisation could still undo it.
    Seen,
    /// Deep enough that it counts towards the invoice.
    Paid,
    /// Deep enough to hand the money on.
    Final,
}

/// What a chain calls blocks that it will not replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Safe,
    Finalized,
}

/// The newest block of each kind; `None` where the chain does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub safe: Option<u64>,
    pub finalized: Option<u64>,
}

/// What a network asks of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Confirmations after which a payment counts.
    pub paid_after: u32,
    /// What the chain must call its block as well.
    pub paid_tag: Option<Tag>,
    /// Invoices above this amount need this many confirmations instead.
    pub large: Option<(UsdMillis, u32)>,
    /// Confirmations after which it is handed on; where there is a tag, only if the chain says nothing of that.
    pub final_after: u32,
    pub final_tag: Option<Tag>,
}

/// What is known of a fact on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    pub block: u64,
    /// The newest block of its chain.
    pub head: u64,
    pub marks: Marks,
    /// Whether more than the word of one endpoint stands for it, or that is enough.
    pub is_vouched: bool,
}

impl Marks {
    /// The newest block that is called so. What is finalized is safe too.
    pub fn of(self, tag: Tag) -> Option<u64> {
        match tag {
            Tag::Safe => self.safe.max(self.finalized),
            Tag::Finalized => self.finalized,
        }
    }

    /// Both marks as far as either set says: a chain takes back no mark, an endpoint that lags knows less.
    #[must_use]
    pub fn or_newer(self, other: Self) -> Self {
        Self { safe: self.safe.max(other.safe), finalized: self.finalized.max(other.finalized) }
    }

    /// Without blocks above `block`, which were replaced.
    #[must_use]
    pub fn up_to(self, block: u64) -> Self {
        let lower = |mark: Option<u64>| mark.map(|mark| mark.min(block));
        Self { safe: lower(self.safe), finalized: lower(self.finalized) }
    }
}

impl Depth {
    /// 1 in the newest block.
    pub fn confirmations(self) -> u32 {
        match self.head.checked_sub(self.block) {
            Some(above) => u32::try_from(above).unwrap_or(u32::MAX).saturating_add(1),
            None => 0,
        }
    }
}

impl Thresholds {
    /// Confirmations after which a payment for an invoice counts.
    pub fn paid_after(&self, due: UsdMillis) -> u32 {
        match self.large {
            Some((above, confirmations)) if above < due => confirmations.max(self.paid_after),
            _ => self.paid_after,
        }
    }

    /// A fact's confirmations, as far as any number of them matters here.
    pub fn counted(&self, depth: Depth, due: UsdMillis) -> u32 {
        let is_by_depth = self.final_tag.is_none() || self.paid_tag.is_some();
        let most = if is_by_depth { self.final_after } else { 0 };
        depth.confirmations().min(most.max(self.paid_after(due)))
    }

    /// How much a fact about an invoice may be relied on. What is not vouched for is no more than seen, however deep.
    pub fn finality(&self, depth: Depth, due: UsdMillis) -> Finality {
        let has = |tag: Option<Tag>, otherwise: u32| match tag {
            None => otherwise <= depth.confirmations(),
            Some(tag) => match depth.marks.of(tag) {
                Some(mark) => depth.block <= mark,
                None => self.final_after <= depth.confirmations(),
            },
        };
        let is_deep = self.paid_after(due) <= depth.confirmations();
        let is_paid = depth.is_vouched && is_deep && has(self.paid_tag, 0);
        match () {
            () if !is_paid => Finality::Seen,
            () if has(self.final_tag, self.final_after) => Finality::Final,
            () => Finality::Paid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: UsdMillis = UsdMillis::ZERO;

    fn plain(paid_after: u32, final_after: u32) -> Thresholds {
        Thresholds { paid_after, paid_tag: None, large: None, final_after, final_tag: None }
    }

    fn at(confirmations: u64) -> Depth {
        Depth { block: 100, head: 99 + confirmations, marks: Marks::default(), is_vouched: true }
    }

    #[test]
    fn confirmations_count_from_one_in_the_newest_block() {
        assert_eq!([0, 1, 7].map(|count| at(count).confirmations()), [0, 1, 7]);
        assert_eq!(Depth { block: 0, head: u64::MAX, ..at(1) }.confirmations(), u32::MAX);
    }

    #[test]
    fn finality_rises_with_confirmations() {
        let finality = |confirmations| plain(3, 6).finality(at(confirmations), SMALL);
        assert_eq!([0, 2, 3, 5, 6, 100].map(finality), {
            use Finality::{Final, Paid, Seen};
            [Seen, Seen, Paid, Paid, Final, Final]
        });
    }

    #[test]
    fn final_is_never_shallower_than_paid() {
        assert_eq!(plain(3, 1).finality(at(2), SMALL), Finality::Seen);
        assert_eq!(plain(3, 1).finality(at(3), SMALL), Finality::Final);
    }

    #[test]
    fn larger_invoices_wait_longer_but_never_shorter() {
        let above = UsdMillis::from_millis(100_000);
        let large = |confirmations| Thresholds { large: Some((above, confirmations)), ..plain(3, 20) };
        let just_more = UsdMillis::from_millis(100_001);
        assert_eq!((large(12).paid_after(above), large(12).paid_after(just_more)), (3, 12));
        assert_eq!(large(1).paid_after(just_more), 3);
        assert_eq!(large(12).finality(at(11), just_more), Finality::Seen);
        assert_eq!(large(12).finality(at(12), just_more), Finality::Paid);
    }

    #[test]
    fn a_tag_decides_what_is_final_however_deep_it_is() {
        let tagged = Thresholds { final_tag: Some(Tag::Finalized), ..plain(3, 6) };
        let marked = |finalized| Depth { marks: Marks { safe: Some(900), finalized: Some(finalized) }, ..at(50) };
        assert_eq!(tagged.finality(marked(99), SMALL), Finality::Paid);
        assert_eq!(tagged.finality(marked(100), SMALL), Finality::Final);
        let shallow = Depth { head: 101, ..marked(100) };
        assert_eq!(tagged.finality(shallow, SMALL), Finality::Seen, "not before it is paid");
    }

    #[test]
    fn where_the_chain_says_nothing_depth_decides() {
        let tagged = Thresholds { paid_tag: Some(Tag::Finalized), final_tag: Some(Tag::Finalized), ..plain(1, 6) };
        assert_eq!(tagged.finality(at(5), SMALL), Finality::Seen);
        assert_eq!(tagged.finality(at(6), SMALL), Finality::Final);
    }

    #[test]
    fn a_payment_may_have_to_be_tagged_to_count() {
        let tagged = Thresholds { paid_tag: Some(Tag::Safe), ..plain(3, 60) };
        let marked = |safe| Depth { marks: Marks { safe: Some(safe), finalized: None }, ..at(10) };
        assert_eq!(tagged.finality(marked(99), SMALL), Finality::Seen);
        assert_eq!(tagged.finality(marked(100), SMALL), Finality::Paid);
    }

    #[test]
    fn confirmations_are_counted_as_far_as_they_matter() {
        let tagged = Thresholds { final_tag: Some(Tag::Safe), ..plain(3, 60) };
        assert_eq!([2, 3, 4].map(|count| tagged.counted(at(count), SMALL)), [2, 3, 3]);
        assert_eq!([3, 60, 61].map(|count| plain(3, 60).counted(at(count), SMALL)), [3, 60, 60]);
        let large = Thresholds { large: Some((UsdMillis::ZERO, 12)), ..tagged };
        assert_eq!(large.counted(at(20), UsdMillis::from_millis(1)), 12);
    }

    #[test]
    fn what_is_finalized_is_safe() {
        let marks = Marks { safe: Some(5), finalized: Some(7) };
        assert_eq!((marks.of(Tag::Safe), marks.of(Tag::Finalized)), (Some(7), Some(7)));
        assert_eq!(Marks { finalized: None, ..marks }.of(Tag::Finalized), None);
    }

    #[test]
    fn what_nobody_vouches_for_is_no_more_than_seen() {
        let alone = Depth { is_vouched: false, ..at(1_000) };
        assert_eq!(plain(1, 2).finality(alone, SMALL), Finality::Seen);
    }

    #[test]
    fn marks_move_back_only_with_the_chain() {
        let (lags, leads) = (Marks { safe: Some(4), finalized: None }, Marks { safe: Some(9), finalized: Some(3) });
        assert_eq!(leads.or_newer(lags), leads);
        assert_eq!(lags.or_newer(leads), leads);
        assert_eq!(leads.up_to(6), Marks { safe: Some(6), finalized: Some(3) });
    }
}
