//! Which of the tokens on offer a merchant takes.

use std::collections::BTreeMap;

use crate::{id::TokenId, time::UnixSeconds};

/// The rule a merchant chose, in the API's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptancePolicy {
    /// Whatever is on offer, also what comes later.
    #[default]
    AcceptAll,
    /// Nothing, also of what comes later.
    AcceptNone,
    /// All but the blocked ones.
    Selective,
}

impl AcceptancePolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcceptAll => "accept_all",
            Self::AcceptNone => "accept_none",
            Self::Selective => "selective",
        }
    }

    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::AcceptAll, Self::AcceptNone, Self::Selective].into_iter().find(|policy| policy.as_str() == name)
    }
}

/// A merchant's rule with its exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    policy: AcceptancePolicy,
    /// The blocked tokens, and since when. Nothing under `AcceptAll`; what came later is missing under
    /// `AcceptNone`.
    blocked: BTreeMap<TokenId, UnixSeconds>,
}

impl Acceptance {
    /// What was stored.
    pub fn new(policy: AcceptancePolicy, blocked: BTreeMap<TokenId, UnixSeconds>) -> Self {
        match policy {
            AcceptancePolicy::AcceptAll => Self::default(),
            policy => Self { policy, blocked },
        }
    }

    pub fn policy(&self) -> AcceptancePolicy {
        self.policy
    }

    /// The blocked tokens that are known by name, and since when they are blocked.
    pub fn blocked(&self) -> &BTreeMap<TokenId, UnixSeconds> {
        &self.blocked
    }

    /// Whether payers are not offered this token.
    pub fn blocks(&self, token: TokenId) -> bool {
        match self.policy {
            AcceptancePolicy::AcceptAll => false,
            AcceptancePolicy::AcceptNone => true,
            AcceptancePolicy::Selective => self.blocked.contains_key(&token),
        }
    }

    /// Whether it was blocked before a block of that time. What was sent earlier was sent in a token that
    /// was still taken, whenever we get to see it.
    pub fn blocked_before(&self, token: TokenId, block_time: UnixSeconds) -> bool {
        self.blocks(token) && self.blocked.get(&token).is_none_or(|since| *since < block_time)
    }

    /// Stops taking a token; what is blocked already stays blocked since when it was.
    pub fn block(&mut self, token: TokenId, now: UnixSeconds) {
        if self.policy != AcceptancePolicy::AcceptNone {
            self.policy = AcceptancePolicy::Selective;
            self.blocked.entry(token).or_insert(now);
        }
    }

    /// Takes a token again. Of a merchant that took nothing, all the others of `known` become the exceptions;
    /// once there are no exceptions left, everything is taken.
    pub fn unblock(&mut self, token: TokenId, known: impl IntoIterator<Item = TokenId>, now: UnixSeconds) {
        if self.policy == AcceptancePolicy::AcceptNone {
            for other in known {
                self.blocked.entry(other).or_insert(now);
            }
        }
        self.blocked.remove(&token);
        self.policy = if self.blocked.is_empty() { AcceptancePolicy::AcceptAll } else { AcceptancePolicy::Selective };
    }

    /// Takes nothing any more, of `known` or of what comes later.
    pub fn block_all(&mut self, known: impl IntoIterator<Item = TokenId>, now: UnixSeconds) {
        self.policy = AcceptancePolicy::AcceptNone;
        for token in known {
            self.blocked.entry(token).or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [TokenId; 3] = [TokenId(1), TokenId(2), TokenId(3)];

    fn blocked(acceptance: &Acceptance) -> Vec<(i64, i64)> {
        acceptance.blocked().iter().map(|(token, since)| (token.0, since.0)).collect()
    }

    #[test]
    fn policies_read_back_as_written() {
        for name in ["accept_all", "accept_none", "selective"] {
            assert_eq!(AcceptancePolicy::parse(name).map(AcceptancePolicy::as_str), Some(name));
        }
        assert_eq!(AcceptancePolicy::parse("Selective"), None);
    }

    #[test]
    fn the_first_block_makes_a_merchant_selective_and_the_last_unblock_takes_all_again() {
        let mut acceptance = Acceptance::default();
        assert!(!acceptance.blocks(TokenId(1)));
        acceptance.block(TokenId(1), UnixSeconds(10));
        acceptance.block(TokenId(1), UnixSeconds(20));
        assert_eq!((acceptance.policy(), blocked(&acceptance)), (AcceptancePolicy::Selective, vec![(1, 10)]));
        assert!(acceptance.blocks(TokenId(1)) && !acceptance.blocks(TokenId(2)));
        acceptance.unblock(TokenId(2), KNOWN, UnixSeconds(30));
        assert_eq!(blocked(&acceptance), [(1, 10)]);
        acceptance.unblock(TokenId(1), KNOWN, UnixSeconds(30));
        assert_eq!(acceptance, Acceptance::default());
        acceptance.unblock(TokenId(1), KNOWN, UnixSeconds(30));
        assert_eq!(acceptance, Acceptance::default());
    }

    #[test]
    fn whoever_takes_nothing_takes_nothing_new_either() {
        let mut acceptance = Acceptance::default();
        acceptance.block(TokenId(2), UnixSeconds(10));
        acceptance.block_all(KNOWN, UnixSeconds(20));
        assert_eq!(blocked(&acceptance), [(1, 20), (2, 10), (3, 20)]);
        acceptance.block(TokenId(9), UnixSeconds(30));
        assert_eq!((acceptance.policy(), blocked(&acceptance).len()), (AcceptancePolicy::AcceptNone, 3));
        assert!(acceptance.blocks(TokenId(9)) && acceptance.blocked_before(TokenId(9), UnixSeconds(0)));
        acceptance.unblock(TokenId(1), KNOWN.into_iter().chain([TokenId(9)]), UnixSeconds(40));
        assert_eq!(acceptance.policy(), AcceptancePolicy::Selective);
        assert_eq!(blocked(&acceptance), [(2, 10), (3, 20), (9, 40)]);
    }

    #[test]
    fn what_was_sent_before_a_block_was_sent_in_a_token_still_taken() {
        let mut acceptance = Acceptance::default();
        acceptance.block(TokenId(1), UnixSeconds(10));
        assert!(!acceptance.blocked_before(TokenId(1), UnixSeconds(10)));
        assert!(acceptance.blocked_before(TokenId(1), UnixSeconds(11)));
        assert!(!acceptance.blocked_before(TokenId(2), UnixSeconds(11)));
    }

    #[test]
    fn who_takes_everything_has_no_exceptions() {
        let stored = BTreeMap::from([(TokenId(1), UnixSeconds(1))]);
        assert_eq!(Acceptance::new(AcceptancePolicy::AcceptAll, stored), Acceptance::default());
    }
}
