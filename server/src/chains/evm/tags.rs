//! What the chain calls its blocks: the tags `safe` and `finalized`.
//!
//! A tag is a word of the endpoint that is asked, so it counts only for blocks that were read and verified here, and, if
//! several hosts are there to be asked, only as far as all that answer agree, two at least. What was said stands, since
//! a chain takes no tag back; only when the chain itself is replaced is it forgotten. Nothing of this outlives the
//! process: how far a fact may be relied on is stored with the fact.

use domain::{
    finality::{Mark, Marks},
    time::UnixMillis,
};

use super::{node::Header, witness::WITNESSES};
use crate::store::BlockRef;

/// Tags move by minutes on some networks and by seconds on others.
const ASK_EVERY_MS: i64 = 3_000;
/// After so long without a word of a tag, depth decides.
const PATIENCE_WITH_SILENCE_MS: i64 = 300_000;
/// So long hosts may be on different chains before somebody is told.
const PATIENCE_WITH_DISPUTES_MS: i64 = 60_000;

/// What one host says of the end of its chain.
#[derive(Clone, Debug, Default)]
pub(super) struct HostTags {
    /// Its block with the number of our newest one.
    pub newest: Option<Header>,
    pub safe: Option<Header>,
    pub finalized: Option<Header>,
}

/// What a host's word of a tag comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It does not know the tag, or not yet.
    Nothing,
    /// It calls a block so of which we cannot say whether it is on our chain.
    Unproven,
    /// It calls a block so that our chain does not have.
    Elsewhere,
    /// All blocks of our chain up to this one are called so.
    UpTo(u64),
}

/// What one host says of each tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub safe: Word,
    pub finalized: Word,
}

/// What has been heard so far.
#[derive(Debug, Default)]
pub(super) struct Tags {
    asked_at: Option<UnixMillis>,
    safe: Heard,
    finalized: Heard,
}

#[derive(Debug, Default)]
struct Heard {
    newest: Option<u64>,
    /// Since when it was asked for and nobody said anything.
    silent_since: Option<UnixMillis>,
    /// Since when a host has been calling blocks so that our chain does not have, and whether somebody was told.
    disputed_since: Option<UnixMillis>,
    is_told: bool,
}

impl Word {
    /// What a host's tagged block comes to. `newest` is our newest block, and `ours` the hash of our block with the
    /// number of the tagged one, if that is remembered.
    pub fn of(tagged: Option<&Header>, host: &HostTags, newest: &BlockRef, ours: Option<&str>) -> Self {
        let Some(tagged) = tagged else { return Self::Nothing };
        let number = tagged.number.to::<u64>();
        // Whose chain holds our newest block has all before it in common with us.
        let has_newest = host.newest.as_ref().map(|header| header.hash.to_string() == newest.hash);
        match ours {
            _ if newest.number < number => match has_newest {
                Some(true) => Self::UpTo(newest.number),
                Some(false) => Self::Elsewhere,
                None => Self::Unproven,
            },
            Some(ours) if ours == tagged.hash.to_string() => Self::UpTo(number),
            Some(_) => Self::Elsewhere,
            None if has_newest == Some(true) => Self::UpTo(number),
            None => Self::Unproven,
        }
    }
}

impl Tags {
    /// Whether it is time to ask.
    pub fn is_due(&self, now: UnixMillis) -> bool {
        // A clock that was set back must not keep us from asking.
        self.asked_at.is_none_or(|asked_at| !(0..ASK_EVERY_MS).contains(&now.0.saturating_sub(asked_at.0)))
    }

    /// Takes what hosts said when they were all asked, out of so many that there are. Returns whether somebody has to be
    /// told that they are on different chains.
    pub fn hear(&mut self, said: &[Words], hosts: usize, now: UnixMillis) -> bool {
        self.asked_at = Some(now);
        let wanted = WITNESSES.min(hosts);
        let safe: Vec<_> = said.iter().map(|words| words.safe).collect();
        let finalized: Vec<_> = said.iter().map(|words| words.finalized).collect();
        let safe = self.safe.hear(&safe, wanted, now);
        self.finalized.hear(&finalized, wanted, now) || safe
    }

    /// What follows from it.
    pub fn marks(&self, now: UnixMillis) -> Marks {
        Marks { safe: self.safe.mark(now), finalized: self.finalized.mark(now) }
    }

    /// Forgets what was said of blocks that were replaced.
    pub fn forget(&mut self) {
        self.asked_at = None;
        self.safe.newest = None;
        self.finalized.newest = None;
    }
}

impl Heard {
    fn hear(&mut self, said: &[Word], wanted: usize, now: UnixMillis) -> bool {
        let said: Vec<Word> = said.iter().copied().filter(|word| *word != Word::Nothing).collect();
        if said.contains(&Word::Elsewhere) {
            let since = *self.disputed_since.get_or_insert(now);
            self.silent_since = None;
            let has_lasted = since.0.saturating_add(PATIENCE_WITH_DISPUTES_MS) <= now.0;
            return has_lasted && !std::mem::replace(&mut self.is_told, true);
        }
        (self.disputed_since, self.is_told) = (None, false);
        if said.len() < wanted || said.is_empty() {
            self.silent_since.get_or_insert(now);
            return false;
        }
        self.silent_since = None;
        let numbers = said.into_iter().map(|word| if let Word::UpTo(number) = word { Some(number) } else { None });
        let agreed = numbers.collect::<Option<Vec<u64>>>().and_then(|numbers| numbers.into_iter().min());
        self.newest = self.newest.max(agreed);
        false
    }

    fn mark(&self, now: UnixMillis) -> Mark {
        let is_silent = |since: UnixMillis| since.0.saturating_add(PATIENCE_WITH_SILENCE_MS) <= now.0;
        Mark { newest: self.newest, is_silent: self.silent_since.is_some_and(is_silent) }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U64};
    use domain::time::UnixSeconds;

    use super::*;

    const BEGAN: UnixMillis = UnixMillis(1_000_000);

    fn after(seconds: i64) -> UnixMillis {
        UnixMillis(BEGAN.0 + seconds * 1_000)
    }

    fn words(finalized: Word) -> Words {
        Words { safe: Word::Nothing, finalized }
    }

    /// What is called finalized after hosts said this, one round each.
    #[track_caller]
    fn check(hosts: usize, rounds: &[&[Word]], expected: Option<u64>) {
        let mut tags = Tags::default();
        for said in rounds {
            let said: Vec<_> = said.iter().copied().map(words).collect();
            assert!(!tags.hear(&said, hosts, BEGAN));
        }
        assert_eq!(tags.marks(BEGAN).finalized, Mark { newest: expected, is_silent: false });
    }

    #[test]
    fn a_tag_counts_as_far_as_all_that_answer_agree() {
        use Word::{Elsewhere, Nothing, Unproven, UpTo};

        check(1, &[&[UpTo(7)]], Some(7));
        check(2, &[&[UpTo(7), UpTo(5)]], Some(5));
        check(3, &[&[UpTo(7), Nothing, UpTo(6)]], Some(6));
        check(2, &[&[UpTo(7), Unproven]], None);
        check(2, &[&[UpTo(7), Elsewhere]], None);
        check(2, &[&[UpTo(7), Nothing]], None);
        check(2, &[&[UpTo(7)]], None);
        check(1, &[&[]], None);
        check(2, &[&[UpTo(7), UpTo(5)], &[UpTo(9), UpTo(2)]], Some(5));
        check(2, &[&[UpTo(7), UpTo(5)], &[UpTo(9), UpTo(8)]], Some(8));
    }

    #[test]
    fn a_chain_is_silent_when_nobody_has_said_anything_for_minutes() {
        let mut tags = Tags::default();
        let is_silent = |tags: &Tags, seconds| tags.marks(after(seconds)).finalized.is_silent;
        assert!(!is_silent(&tags, 9_999), "it was never asked");
        tags.hear(&[words(Word::Nothing)], 1, after(0));
        assert!(!is_silent(&tags, 299) && is_silent(&tags, 300));
        tags.hear(&[words(Word::Nothing)], 1, after(299));
        assert!(is_silent(&tags, 300), "asking again does not start anew");
        tags.hear(&[words(Word::UpTo(7))], 1, after(301));
        assert!(!is_silent(&tags, 9_999));
        tags.hear(&[], 1, after(400));
        assert_eq!(tags.marks(after(700)).finalized, Mark { newest: Some(7), is_silent: true });
        tags.hear(&[words(Word::Elsewhere)], 1, after(701));
        assert!(!is_silent(&tags, 9_999), "who contradicts is not silent");
    }

    #[test]
    fn that_hosts_are_on_different_chains_is_told_once_if_it_lasts() {
        let mut tags = Tags::default();
        let said = [words(Word::UpTo(7)), words(Word::Elsewhere)];
        let told = [0, 59, 60, 61].map(|seconds| tags.hear(&said, 2, after(seconds)));
        assert_eq!(told, [false, false, true, false]);
        assert!(!tags.hear(&[words(Word::UpTo(7)); 2], 2, after(62)));
        let told = [63, 122, 123].map(|seconds| tags.hear(&said, 2, after(seconds)));
        assert_eq!(told, [false, false, true]);
    }

    #[test]
    fn tags_are_asked_for_every_few_seconds_and_at_once_after_a_reorganisation() {
        let mut tags = Tags::default();
        assert!(tags.is_due(BEGAN));
        tags.hear(&[words(Word::UpTo(7))], 1, BEGAN);
        assert!(!tags.is_due(BEGAN) && !tags.is_due(after(2)) && tags.is_due(after(3)));
        assert!(tags.is_due(after(-1)), "the clock was set back");
        tags.forget();
        assert!(tags.is_due(BEGAN));
        assert_eq!(tags.marks(BEGAN).finalized.newest, None);
    }

    fn header(number: u64, hash: u8) -> Header {
        let (hash, parent_hash) = (B256::repeat_byte(hash), B256::ZERO);
        Header { number: U64::from(number), hash, parent_hash, timestamp: U64::ZERO }
    }

    #[test]
    fn a_tagged_block_counts_only_on_our_chain() {
        let hash = |byte| B256::repeat_byte(byte).to_string();
        let newest = BlockRef { number: 9, hash: hash(9), time: UnixSeconds(0) };
        let word = |tagged: (u64, u8), host_newest: Option<u8>, ours: Option<u8>| {
            let host = HostTags { newest: host_newest.map(|byte| header(9, byte)), ..HostTags::default() };
            Word::of(Some(&header(tagged.0, tagged.1)), &host, &newest, ours.map(hash).as_deref())
        };
        assert_eq!(word((7, 7), None, Some(7)), Word::UpTo(7));
        assert_eq!(word((7, 1), Some(9), Some(7)), Word::Elsewhere);
        assert_eq!(word((7, 7), Some(1), Some(7)), Word::UpTo(7), "both have that one in common");
        assert_eq!(word((2, 2), Some(9), None), Word::UpTo(2), "older than what is remembered");
        assert_eq!(word((2, 2), Some(1), None), Word::Unproven);
        assert_eq!(word((12, 3), Some(9), None), Word::UpTo(9), "no more than was read");
        assert_eq!(word((12, 3), Some(1), None), Word::Elsewhere);
        assert_eq!(word((12, 3), None, None), Word::Unproven);
        assert_eq!(Word::of(None, &HostTags::default(), &newest, None), Word::Nothing);
    }
}
