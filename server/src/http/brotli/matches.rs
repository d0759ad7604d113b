//! What of a text was there before: found by its first bytes, and chosen by what it saves.

use std::{iter, ops::Range};

/// How far back a copy may be (RFC 7932, section 9.1).
const WINDOW: usize = (1 << super::WINDOW_BITS) - 16;
/// Bytes by which earlier places are found.
const SEED: usize = 4;
/// The shortest copy from a distance that was there before, which costs little to say.
const SHORTEST: usize = 3;
const HASH_BITS: u32 = 14;
/// Earlier places that are looked at, the latest first.
const LOOKS: usize = 4;
/// So long a copy is taken without looking further.
const LONG: usize = 20;
/// There is no earlier place.
const NONE: u32 = u32::MAX;

/// What it is worth that a byte need not be written, and what it costs that a distance doubles, in thirtieths of a bit.
const BYTE_WORTH: usize = 135;
const DOUBLING_COST: usize = 30;
/// What saying a distance costs in any case, and one that was there before: the last, the one before it, and so on.
const NEW_COST: usize = 100;
const RECENT_COSTS: [usize; RECENT] = [85, 130, 130, 140];
/// What a copy one byte later must be worth more, as that byte is then written.
const DELAY_COST: usize = 175;
/// The distances that need not be written in full.
const RECENT: usize = 4;

/// Bytes as they are, and then a copy of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub insert: usize,
    /// Zero at the end of the text.
    pub copy: usize,
    pub distance: Distance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// One of the last four that differed, the latest first.
    Recent(usize),
    /// So many bytes back.
    New(usize),
}

/// The places of what a text begins with, by what is there.
#[derive(Debug)]
pub struct Index {
    opening: Vec<u8>,
    places: Places,
}

#[derive(Clone, Debug)]
struct Places {
    /// For each hash, the latest place.
    latest: Vec<u32>,
    /// For each place, the one before it with the same hash.
    previous: Vec<u32>,
}

impl Places {
    fn note(&mut self, text: &[u8], place: usize) {
        let before = hash(&text[place..])
            .map_or(NONE, |hash| std::mem::replace(&mut self.latest[hash], u32::try_from(place).unwrap_or(NONE)));
        self.previous.push(before);
    }
}

/// `None` at the end of a text.
fn hash(text: &[u8]) -> Option<usize> {
    let seed = text.first_chunk::<SEED>()?;
    Some((u32::from_le_bytes(*seed).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize)
}

impl Index {
    pub fn of(opening: &[u8]) -> Self {
        let latest = vec![NONE; 1 << HASH_BITS];
        let mut places = Places { latest, previous: Vec::with_capacity(opening.len()) };
        for place in 0..opening.len() {
            places.note(opening, place);
        }
        Self { opening: opening.to_vec(), places }
    }

    /// The whole text, and how what follows its opening is made. Nothing is copied to `plain` places, which are in order and
    /// apart.
    pub fn commands(&self, rest: &[u8], plain: &[Range<usize>]) -> (Vec<u8>, Vec<Command>) {
        let text = [&self.opening, rest].concat();
        let mut places = self.places.clone();
        places.previous.reserve(rest.len());
        let mut search = Search { text: &text, places, recent: [0; RECENT] };
        let (mut commands, mut written) = (Vec::with_capacity(rest.len() / 16), self.opening.len());
        let mut at = written;
        for stretch in plain.iter().cloned().chain(iter::once(rest.len()..rest.len())) {
            let end = self.opening.len() + stretch.start;
            while let Some((place, copy)) = search.next(at, end) {
                commands.push(Command { insert: place - written, copy: copy.length, distance: copy.distance });
                search.remember(copy);
                written = place + copy.length;
                at = written;
            }
            at = self.opening.len() + stretch.end;
            search.note_until(end);
            search.places.previous.resize(at, NONE);
        }
        if written < text.len() {
            commands.push(Command { insert: text.len() - written, copy: 0, distance: Distance::New(1) });
        }
        (text, commands)
    }
}

struct Search<'a> {
    text: &'a [u8],
    places: Places,
    /// The last distances, the latest first; zero where there is none yet.
    recent: [usize; RECENT],
}

#[derive(Clone, Copy)]
struct Copy {
    length: usize,
    distance: Distance,
    back: usize,
    worth: usize,
}

impl Search<'_> {
    /// The next copy worth making, and where it goes.
    fn next(&mut self, from: usize, end: usize) -> Option<(usize, Copy)> {
        let mut found = None;
        for place in from..end {
            let least = match found {
                None => 0,
                Some((_, Copy { length: LONG.., .. })) => break,
                Some((_, copy)) => copy.worth + DELAY_COST,
            };
            match self.best(place, end).filter(|copy| least < copy.worth) {
                Some(copy) => found = Some((place, copy)),
                None if found.is_some() => break,
                None => {}
            }
        }
        found
    }

    fn best(&mut self, place: usize, end: usize) -> Option<Copy> {
        self.note_until(place);
        let mut best: Option<Copy> = None;
        let mut offer = |length: usize, distance, back, cost| {
            let worth = (BYTE_WORTH * length).saturating_sub(cost);
            if best.is_none_or(|best| best.worth < worth) {
                best = Some(Copy { length, distance, back, worth });
            }
            best.map_or(0, |best| best.length)
        };
        let mut longest = 0;
        let here = self.text[place..end].first_chunk::<SHORTEST>();
        for (number, &back) in self.recent.iter().enumerate().filter(|(_, back)| **back != 0) {
            if here.is_none() || self.text[place - back..].first_chunk::<SHORTEST>() != here {
                continue;
            }
            let length = common(self.text, place - back, place, end);
            if SHORTEST <= length {
                longest = offer(length, Distance::Recent(number), back, RECENT_COSTS[number]);
            }
        }
        let mut earlier = self.text.get(place..).and_then(hash).map_or(NONE, |hash| self.places.latest[hash]);
        for _ in 0..LOOKS {
            let start = earlier as usize;
            if earlier == NONE || WINDOW < place - start {
                break;
            }
            // Only a longer copy can be worth more from further away.
            if self.text.get(start + longest) == self.text.get(place + longest) {
                let length = common(self.text, start, place, end);
                let back = place - start;
                if longest.max(SEED - 1) < length {
                    let cost = NEW_COST + DOUBLING_COST * back.ilog2() as usize;
                    longest = offer(length, Distance::New(back), back, cost);
                }
            }
            earlier = self.places.previous[start];
        }
        best
    }

    fn note_until(&mut self, end: usize) {
        while self.places.previous.len() < end {
            self.places.note(self.text, self.places.previous.len());
        }
    }

    fn remember(&mut self, copy: Copy) {
        if copy.distance != Distance::Recent(0) {
            self.recent.rotate_right(1);
            self.recent[0] = copy.back;
        }
    }
}

/// How many bytes from `start` on are those from `place` on, before `end`.
fn common(text: &[u8], start: usize, place: usize, end: usize) -> usize {
    let (there, here) = (&text[start..start + (end - place)], &text[place..end]);
    let (there_words, _) = there.as_chunks::<8>();
    let (here_words, _) = here.as_chunks::<8>();
    let mut length = 0;
    for (one, other) in there_words.iter().zip(here_words) {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + there[length..].iter().zip(&here[length..]).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[track_caller]
    fn check(opening: &str, rest: &str, plain: &[Range<usize>], expected: &[(usize, usize, Distance)]) {
        let (text, commands) = Index::of(opening.as_bytes()).commands(rest.as_bytes(), plain);
        assert_eq!(text, [opening, rest].concat().as_bytes());
        let commands: Vec<_> =
            commands.iter().map(|command| (command.insert, command.copy, command.distance)).collect();
        assert_eq!(commands, expected, "{opening:?} {rest:?}");
    }

    #[test]
    fn what_was_there_before_is_copied() {
        check("", "abc", &[], &[(3, 0, Distance::New(1))]);
        check("the address", "_the address", &[], &[(1, 11, Distance::New(12))]);
        check("", "ababababab", &[], &[(2, 8, Distance::New(2))]);
        check("token address", "token-address", &[], &[(0, 5, Distance::New(13)), (1, 7, Distance::Recent(0))]);
    }

    #[test]
    fn plain_places_are_written_as_they_are() {
        check("12 12 12 ", "x12 12 12 ", slice::from_ref(&(1..10)), &[(10, 0, Distance::New(1))]);
        check("address", "12address", slice::from_ref(&(0..2)), &[(2, 7, Distance::New(9))]);
    }
}
