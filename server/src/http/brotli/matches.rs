//! What of a text was there before: found by its first bytes, and chosen by what it saves.

use std::{iter, ops::Range};

/// How far back a copy may be (RFC 7932, section 9.1).
const WINDOW: usize = (1 << super::WINDOW_BITS) - 16;
/// Bytes by which earlier places are found.
const SEED: usize = 4;
/// The shortest copy from the last distance, which costs little to say.
const SHORTEST: usize = 3;
/// Bytes that are compared at once.
const WORD: usize = 8;
const HASH_BITS: u32 = 14;
/// Earlier places that are looked at, the latest first.
const LOOKS: usize = 4;
/// So long a copy is taken without looking further.
const LONG: usize = 20;
/// There is no earlier place, or none so near the beginning that its number fits: few pages are so long.
const NONE: u16 = u16::MAX;

/// What it is worth that a byte need not be written, and what it costs that a distance doubles, in thirtieths of a bit.
const BYTE_WORTH: usize = 135;
const DOUBLING_COST: usize = 30;
/// What saying a distance costs in any case, and what saying that it is the last one.
const NEW_COST: usize = 100;
const LAST_COST: usize = 85;
/// What a copy one byte later must be worth more, as that byte is then written.
const DELAY_COST: usize = 175;

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
    /// As far back as the copy before.
    Last,
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
    latest: Vec<u16>,
    /// For each place, the one before it with the same hash.
    previous: Vec<u16>,
}

impl Places {
    /// Says which place was like it before.
    fn note(&mut self, text: &[u8], place: usize) -> u16 {
        let latest = &mut self.latest[hash(seed(text, place))];
        let before = *latest;
        *latest = u16::try_from(place).unwrap_or(NONE);
        self.previous.push(before);
        before
    }
}

/// The bytes by which a place is found.
fn seed(text: &[u8], place: usize) -> u32 {
    text[place..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn hash(seed: u32) -> usize {
    (seed.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

impl Index {
    pub fn of(opening: &[u8]) -> Self {
        let latest = vec![NONE; 1 << HASH_BITS];
        let mut places = Places { latest, previous: Vec::with_capacity(opening.len()) };
        // What its last places are found by is only known with what follows.
        for place in 0..opening.len().saturating_sub(SEED - 1) {
            places.note(opening, place);
        }
        Self { opening: opening.to_vec(), places }
    }

    /// The whole text, and how what follows its opening is made. Nothing is copied to `plain` places, which are in order and
    /// apart.
    pub fn commands(&self, rest: &[u8], plain: &[Range<usize>]) -> (Vec<u8>, Vec<Command>) {
        let mut text = [&self.opening, rest, &[0; WORD]].concat();
        let written = text.len() - WORD;
        let commands = self.search(&text, rest.len(), plain);
        text.truncate(written);
        (text, commands)
    }

    /// After the text are as many bytes as are compared at once.
    fn search(&self, text: &[u8], rest: usize, plain: &[Range<usize>]) -> Vec<Command> {
        let start = self.opening.len();
        let mut previous = Vec::with_capacity(text.len());
        previous.extend_from_slice(&self.places.previous);
        let mut search = Search { text, places: Places { latest: self.places.latest.clone(), previous }, last: 0 };
        let (mut commands, mut written) = (Vec::with_capacity(rest / 16), start);
        let mut at = written;
        for stretch in plain.iter().cloned().chain(iter::once(rest..rest)) {
            let end = start + stretch.start;
            while let Some((place, copy)) = search.next(at, end) {
                commands.push(Command { insert: place - written, copy: copy.length, distance: copy.distance });
                search.last = copy.back;
                written = place + copy.length;
                at = written;
            }
            at = start + stretch.end;
            search.note_until(end);
            search.places.previous.resize(at, NONE);
        }
        if written < start + rest {
            commands.push(Command { insert: start + rest - written, copy: 0, distance: Distance::New(1) });
        }
        commands
    }
}

struct Search<'a> {
    text: &'a [u8],
    places: Places,
    /// How far back the last copy was; zero if there is none yet.
    last: usize,
}

#[derive(Clone, Copy)]
struct Copy {
    length: usize,
    distance: Distance,
    back: usize,
    worth: usize,
}

impl Copy {
    const NOTHING: Self = Self { length: 0, distance: Distance::New(1), back: 1, worth: 0 };
}

impl Search<'_> {
    /// The next copy worth making, and where it goes.
    fn next(&mut self, from: usize, end: usize) -> Option<(usize, Copy)> {
        let mut places = from..end;
        let mut found = places.by_ref().map(|place| (place, self.best(place, end))).find(|(_, copy)| 0 < copy.worth)?;
        while found.1.length < LONG
            && let Some(place) = places.next()
        {
            let later = self.best(place, end);
            if later.worth <= found.1.worth + DELAY_COST {
                break;
            }
            found = (place, later);
        }
        Some(found)
    }

    /// The copy that is worth most at a place.
    fn best(&mut self, place: usize, end: usize) -> Copy {
        self.note_until(place);
        let mut earlier = self.places.note(self.text, place);
        let text = self.text;
        let here = seed(text, place);
        let mut best = Copy::NOTHING;
        if self.last != 0 && (seed(text, place - self.last) ^ here) << 8 == 0 {
            let length = common(text, place - self.last, place, end);
            if SHORTEST <= length {
                best =
                    Copy { length, distance: Distance::Last, back: self.last, worth: BYTE_WORTH * length - LAST_COST };
            }
        }
        for _ in 0..LOOKS {
            let start = earlier as usize;
            if earlier == NONE || WINDOW < place - start {
                break;
            }
            // Only a longer copy can be worth more from further away.
            if text[start + best.length] == text[place + best.length] && seed(text, start) == here {
                let length = common(text, start, place, end);
                let back = place - start;
                let worth = (BYTE_WORTH * length).saturating_sub(NEW_COST + DOUBLING_COST * back.ilog2() as usize);
                if best.worth < worth && SEED <= length {
                    best = Copy { length, distance: Distance::New(back), back, worth };
                }
            }
            earlier = self.places.previous[start];
        }
        best
    }

    fn note_until(&mut self, end: usize) {
        for place in self.places.previous.len()..end {
            self.places.note(self.text, place);
        }
    }
}

/// How many bytes from `start` on are those from `place` on, before `end`.
fn common(text: &[u8], start: usize, place: usize, end: usize) -> usize {
    let word = |place: usize| text[place..].first_chunk::<WORD>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    for length in (0..end - place).step_by(WORD) {
        let difference = word(start + length) ^ word(place + length);
        if difference != 0 {
            return (length + difference.trailing_zeros() as usize / 8).min(end - place);
        }
    }
    end - place
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
        check("token address", "token-address", &[], &[(0, 5, Distance::New(13)), (1, 7, Distance::Last)]);
    }

    #[test]
    fn plain_places_are_written_as_they_are() {
        check("12 12 12 ", "x12 12 12 ", slice::from_ref(&(1..10)), &[(10, 0, Distance::New(1))]);
        check("address", "12address", slice::from_ref(&(0..2)), &[(2, 7, Distance::New(9))]);
    }
}
