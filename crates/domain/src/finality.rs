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

/// What is known of the blocks that a chain calls by one tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The newest of them.
    pub newest: Option<u64>,
    /// Whether the chain has said nothing of them for so long that depth has to do instead.
    pub is_silent: bool,
}

/// What is known of each tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub safe: Mark,
    pub finalized: Mark,
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
    /// Confirmations after which it is handed on; where there is a tag, only while the chain says nothing of it.
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

impl Mark {
    /// Whether a block is one of them.
    fn covers(self, block: u64) -> bool {
        self.newest.is_some_and(|newest| block <= newest)
    }
}

impl Marks {
    /// What is known of a tag. What is finalized is safe too.
    pub fn of(self, tag: Tag) -> Mark {
        match tag {
            Tag::Safe => Mark {
                newest: self.safe.newest.max(self.finalized.newest),
                is_silent: self.safe.is_silent && self.finalized.is_silent,
            },
            Tag::Finalized => self.finalized,
        }
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
        let has = |tag: Option<Tag>, otherwise: u32| match tag.map(|tag| depth.marks.of(tag)) {
            None => otherwise <= depth.confirmations(),
            Some(mark) => mark.covers(depth.block) || mark.is_silent && self.final_after <= depth.confirmations(),
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

    fn newest(block: u64) -> Mark {
        Mark { newest: Some(block), is_silent: false }
    }

    const SILENT: Mark = Mark { newest: None, is_silent: true };

    #[test]
    fn a_tag_decides_what_is_final_however_deep_it_is() {
        let tagged = Thresholds { final_tag: Some(Tag::Finalized), ..plain(3, 6) };
        let marked = |finalized| Depth { marks: Marks { safe: newest(900), finalized: newest(finalized) }, ..at(50) };
        assert_eq!(tagged.finality(marked(99), SMALL), Finality::Paid);
        assert_eq!(tagged.finality(marked(100), SMALL), Finality::Final);
        let shallow = Depth { head: 101, ..marked(100) };
        assert_eq!(tagged.finality(shallow, SMALL), Finality::Seen, "not before it is paid");
    }

    #[test]
    fn depth_decides_only_once_the_chain_has_been_silent() {
        let tagged = Thresholds { paid_tag: Some(Tag::Finalized), final_tag: Some(Tag::Finalized), ..plain(1, 6) };
        let with = |finalized, confirmations| {
            let depth = Depth { marks: Marks { safe: SILENT, finalized }, ..at(confirmations) };
            tagged.finality(depth, SMALL)
        };
        assert_eq!(with(Mark::default(), 1_000), Finality::Seen, "its word is awaited");
        assert_eq!(with(SILENT, 5), Finality::Seen);
        assert_eq!(with(SILENT, 6), Finality::Final);
        let fell_silent = |block| Mark { newest: Some(block), is_silent: true };
        assert_eq!((with(fell_silent(99), 5), with(fell_silent(99), 6)), (Finality::Seen, Finality::Final));
        assert_eq!(with(fell_silent(100), 1), Finality::Final, "what it said before stands");
    }

    #[test]
    fn a_payment_may_have_to_be_tagged_to_count() {
        let tagged = Thresholds { paid_tag: Some(Tag::Safe), ..plain(3, 60) };
        let marked = |safe| Depth { marks: Marks { safe: newest(safe), finalized: SILENT }, ..at(10) };
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
        let marks = Marks { safe: newest(5), finalized: newest(7) };
        assert_eq!((marks.of(Tag::Safe), marks.of(Tag::Finalized)), (newest(7), newest(7)));
        let marks = Marks { finalized: SILENT, ..marks };
        assert_eq!((marks.of(Tag::Safe), marks.of(Tag::Finalized)), (newest(5), SILENT));
        let marks = Marks { safe: SILENT, finalized: newest(7) };
        assert_eq!(marks.of(Tag::Safe), newest(7));
    }

    #[test]
    fn what_nobody_vouches_for_is_no_more_than_seen() {
        let alone = Depth { is_vouched: false, ..at(1_000) };
        assert_eq!(plain(1, 2).finality(alone, SMALL), Finality::Seen);
    }
}
