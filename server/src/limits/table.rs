//! What is remembered of many callers, in bounded memory.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::time::UnixMillis;

use super::gcra::{Quota, Standing, WholeAt};

/// So that callers rarely wait for each other, and never for a whole table to be tidied.
const SHARDS: usize = 16;

/// Callers by key, never more than [`Table::CAPACITY`].
///
/// When there is no room, those go first whose quota is whole, which costs nothing, and then those who used the
/// least of it: whoever has much to answer for stays known, however many strangers come.
pub struct Table<K> {
    shards: [Mutex<HashMap<K, WholeAt>>; SHARDS],
    /// Keyed at random, so that nobody can choose what meets in one shard.
    hasher: RandomState,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    /// A few megabytes.
    pub const CAPACITY: usize = 65_536;
    const SHARD_CAPACITY: usize = Self::CAPACITY / SHARDS;

    /// Counts a request of `key`, unless that is too many.
    pub fn take(&self, key: K, quota: Quota, now: UnixMillis) -> Standing {
        let mut shard = self.shard(&key);
        let (at, standing) = quota.take(shard.get(&key).copied(), now);
        if Self::SHARD_CAPACITY <= shard.len() && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        shard.insert(key, at);
        standing
    }

    /// As [`Table::take`], if the key is known.
    pub fn take_known(&self, key: K, quota: Quota, now: UnixMillis) -> Option<Standing> {
        let mut shard = self.shard(&key);
        let known = shard.get_mut(&key)?;
        let (at, standing) = quota.take(Some(*known), now);
        *known = at;
        Some(standing)
    }

    /// How `key` stands, counting nothing.
    pub fn peek(&self, key: K, quota: Quota, now: UnixMillis) -> Standing {
        quota.peek(self.shard(&key).get(&key).copied(), now)
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, WholeAt>> {
        let [first, ..] = self.hasher.hash_one(key).to_le_bytes();
        // Nothing in here panics half-way.
        self.shards[usize::from(first) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().capacity()).sum()
    }
}

/// Takes out at least half of what is in a full shard, so that it is not full again at once.
fn make_room<K>(shard: &mut HashMap<K, WholeAt>, now: UnixMillis) {
    let most = shard.len() / 2;
    shard.retain(|_, at| !at.is_past(now));
    if shard.len() <= most {
        return;
    }
    let mut times: Vec<_> = shard.values().copied().collect();
    let excess = times.len() - most;
    let (_, &mut newest_to_go, _) = times.select_nth_unstable(excess - 1);
    let mut equals_to_go = excess - times[..excess].iter().filter(|at| **at < newest_to_go).count();
    shard.retain(|_, at| {
        if *at == newest_to_go && 0 < equals_to_go {
            equals_to_go -= 1;
            return false;
        }
        newest_to_go <= *at
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn quota() -> Quota {
        Quota::per_minute(10).unwrap()
    }

    #[test]
    fn a_hundred_thousand_strangers_do_not_make_it_grow_beyond_its_bound() {
        let table = Table::<u64>::default();
        for round in 0..3_u64 {
            for stranger in 0..100_000_u64 {
                table.take(round << 32 | stranger, quota(), NOW);
            }
            assert!(table.len() <= Table::<u64>::CAPACITY, "{}", table.len());
        }
        assert!(Table::<u64>::CAPACITY / 4 < table.len(), "{}", table.len());
        assert!(table.capacity() <= 4 * Table::<u64>::CAPACITY, "{}", table.capacity());
    }

    #[test]
    fn strangers_do_not_wash_away_whoever_is_refused() {
        let table = Table::<u64>::default();
        let (heavy, later) = (u64::MAX, UnixMillis(NOW.0 + 1_000));
        for _ in 0..10 {
            table.take(heavy, quota(), NOW);
        }
        for stranger in 0..300_000 {
            table.take(stranger, quota(), later);
        }
        assert!(table.peek(heavy, quota(), later).retry_after_seconds.is_some());
    }

    #[test]
    fn whoever_has_all_again_is_forgotten_first() {
        let table = Table::<u64>::default();
        let late = UnixMillis(NOW.0 + 50_000);
        table.take(u64::MAX, quota(), late);
        for stranger in 0..40_000 {
            table.take(stranger, quota(), NOW);
        }
        for stranger in 40_000..80_000 {
            table.take(stranger, quota(), late);
        }
        assert!(table.take_known(u64::MAX, quota(), late).is_some());
    }

    #[test]
    fn only_who_is_known_is_counted_as_such() {
        let table = Table::<u64>::default();
        assert_eq!(table.take_known(1, quota(), NOW), None);
        assert_eq!(table.len(), 0);
        table.take(1, quota(), NOW);
        assert_eq!(table.take_known(1, quota(), NOW).unwrap().remaining, 8);
        assert_eq!(table.peek(1, quota(), NOW).remaining, 7);
    }
}
