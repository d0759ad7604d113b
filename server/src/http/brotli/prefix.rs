//! Prefix codes: made from how often each symbol occurs, and written as RFC 7932, section 3, says.

use super::bits::Bits;

/// The longest that a code may be, in bits.
const LONGEST: u8 = 15;
/// The longest that the code of a length may be.
const LONGEST_OF_LENGTHS: u8 = 5;
/// The order in which the codes of lengths are described (section 3.5).
const ORDER: [usize; 18] = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// How they are described: for each number of bits, what is written in how many bits.
const DESCRIBED: [(usize, u32); 6] = [(0b00, 2), (0b0111, 4), (0b011, 3), (0b10, 2), (0b01, 2), (0b1111, 4)];
/// Stands for the length before it once more, or several times.
const REPEATED: usize = 16;
/// Stands for lengths of zero.
const ABSENT: usize = 17;
/// What counts as the length before the first.
const LENGTH_BEFORE_ALL: u8 = 8;

/// A code for each symbol that occurs.
pub struct Prefix {
    /// The first bit of each is the lowest. It has none if its symbol does not occur, or no other does.
    codes: Vec<Code>,
}

#[derive(Clone, Copy)]
struct Code {
    bits: u16,
    length: u8,
}

impl Prefix {
    /// Describes the best code for symbols that occur as often as `counts` says.
    pub fn describe(counts: &[u32], bits: &mut Bits) -> Self {
        let used = used(counts);
        let lengths = lengths(counts, &used, LONGEST);
        if used.len() <= 4 {
            describe_few(&lengths, used, bits);
        } else {
            describe_many(&lengths, bits);
        }
        Self { codes: codes(&lengths) }
    }

    pub fn write(&self, symbol: usize, bits: &mut Bits) {
        let code = self.codes[symbol];
        bits.push(code.bits.into(), code.length.into());
    }
}

/// The symbols that occur.
fn used(counts: &[u32]) -> Vec<usize> {
    (0..counts.len()).filter(|&symbol| counts[symbol] != 0).collect()
}

/// How long codes are that make the whole as short as can be, or nearly so where one of them would be too long.
fn lengths(counts: &[u32], used: &[usize], longest: u8) -> Vec<u8> {
    let mut lengths = vec![0; counts.len()];
    if used.len() < 2 {
        return lengths;
    }
    // What is rare is taken to be less so, until the tree is flat enough.
    let mut least = 1;
    loop {
        let mut leaves: Vec<(u32, usize)> = used.iter().map(|&symbol| (counts[symbol].max(least), symbol)).collect();
        leaves.sort_unstable();
        let depths = depths(&leaves);
        if depths.iter().all(|depth| *depth <= longest) {
            for ((_, symbol), depth) in leaves.into_iter().zip(depths) {
                lengths[symbol] = depth;
            }
            return lengths;
        }
        least *= 2;
    }
}

/// How deep in Huffman's tree each leaf is. The lightest leaf comes first.
fn depths(leaves: &[(u32, usize)]) -> Vec<u8> {
    // Inner nodes come after the leaves and get heavier and heavier, so the lightest of all is the first of one or the other.
    let mut weights: Vec<u32> = leaves.iter().map(|leaf| leaf.0).collect();
    let mut parents = vec![0; 2 * leaves.len() - 1];
    let (mut leaf, mut inner) = (0, leaves.len());
    while weights.len() < parents.len() {
        let mut lightest = || {
            let is_leaf = leaf < leaves.len() && weights.get(inner).is_none_or(|weight| leaves[leaf].0 <= *weight);
            let next = if is_leaf { &mut leaf } else { &mut inner };
            *next += 1;
            *next - 1
        };
        let (one, other) = (lightest(), lightest());
        (parents[one], parents[other]) = (weights.len(), weights.len());
        weights.push(weights[one] + weights[other]);
    }
    let mut depths = vec![0; parents.len()];
    for node in (0..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(leaves.len());
    depths
}

/// The codes that follow from how long they are (section 3.2).
fn codes(lengths: &[u8]) -> Vec<Code> {
    let mut counts = [0; LONGEST as usize + 1];
    for length in lengths.iter().filter(|length| **length != 0) {
        counts[usize::from(*length)] += 1;
    }
    let mut next = [0_u16; LONGEST as usize + 1];
    for length in 1..next.len() {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    let code = |&length: &u8| {
        if length == 0 {
            return Code { bits: 0, length };
        }
        let code = &mut next[usize::from(length)];
        *code += 1;
        Code { bits: (*code - 1).reverse_bits() >> (16 - length), length }
    };
    lengths.iter().map(code).collect()
}

/// Up to four symbols are named (section 3.4).
fn describe_few(lengths: &[u8], mut used: Vec<usize>, bits: &mut Bits) {
    let width = usize::BITS - (lengths.len() - 1).leading_zeros();
    if used.is_empty() {
        used.push(0);
    }
    used.sort_unstable_by_key(|&symbol| (lengths[symbol], symbol));
    bits.push(1, 2);
    bits.push(used.len() - 1, 2);
    for &symbol in &used {
        bits.push(symbol, width);
    }
    if used.len() == 4 {
        bits.push((lengths[used[0]] == 1).into(), 1);
    }
}

/// Of more symbols the length of each code is written, in a code of its own (section 3.5).
fn describe_many(lengths: &[u8], bits: &mut Bits) {
    let steps = steps(lengths);
    let mut counts = [0; ORDER.len()];
    for step in &steps {
        counts[step.symbol] += 1;
    }
    let used = used(&counts);
    let mut described = self::lengths(&counts, &used, LONGEST_OF_LENGTHS);
    let code = Prefix { codes: codes(&described) };
    if let [only] = used[..] {
        // It takes no bits, and any length may be said of it.
        described[only] = LONGEST_OF_LENGTHS;
    }

    let skipped = match ORDER.map(|symbol| described[symbol]) {
        [0, 0, 0, ..] => 3,
        [0, 0, ..] => 2,
        _ => 0,
    };
    bits.push(skipped, 2);
    let mut room = 1 << LONGEST_OF_LENGTHS;
    for symbol in ORDER.into_iter().skip(skipped) {
        let length = described[symbol];
        let (value, width) = DESCRIBED[usize::from(length)];
        bits.push(value, width);
        if length != 0 {
            room -= 1 << (LONGEST_OF_LENGTHS - length);
        }
        if room == 0 {
            break;
        }
    }
    for step in steps {
        code.write(step.symbol, bits);
        bits.push(step.extra, step.width);
    }
}

/// A length, or a symbol for several, with further bits that say how many.
struct Step {
    symbol: usize,
    extra: usize,
    width: u32,
}

/// The lengths in short. What is absent after the last need not be said.
fn steps(lengths: &[u8]) -> Vec<Step> {
    let end = lengths.iter().rposition(|length| *length != 0).map_or(0, |last| last + 1);
    let (mut steps, mut before) = (Vec::with_capacity(end), LENGTH_BEFORE_ALL);
    for run in lengths[..end].chunk_by(|one, other| one == other) {
        let length = run[0];
        match length {
            0 => add(run, ABSENT, 3, &mut steps),
            _ if length == before => add(run, REPEATED, 2, &mut steps),
            _ => {
                add(&run[..1], REPEATED, 2, &mut steps);
                add(&run[1..], REPEATED, 2, &mut steps);
            }
        }
        if length != 0 {
            before = length;
        }
    }
    steps
}

/// Adds a run of one length. If `repeat` follows itself it is one number, each giving `width` bits of it, the highest first.
fn add(run: &[u8], repeat: usize, width: u32, steps: &mut Vec<Step>) {
    let Some(mut rest) = run.len().checked_sub(3) else {
        steps.extend(run.iter().map(|length| Step { symbol: (*length).into(), extra: 0, width: 0 }));
        return;
    };
    let start = steps.len();
    loop {
        steps.push(Step { symbol: repeat, extra: rest & ((1 << width) - 1), width });
        rest >>= width;
        if rest == 0 {
            break;
        }
        rest -= 1;
    }
    steps[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counts: &[u32], longest: u8, expected: &[u8]) {
        assert_eq!(lengths(counts, &used(counts), longest), expected, "{counts:?}");
    }

    #[test]
    fn what_occurs_often_has_a_short_code() {
        check(&[], LONGEST, &[]);
        check(&[0, 9, 0], LONGEST, &[0, 0, 0]);
        check(&[1, 0, 900], LONGEST, &[1, 0, 1]);
        check(&[8, 4, 2, 1, 1], LONGEST, &[1, 2, 3, 4, 4]);
        check(&[8, 4, 2, 1, 1], 3, &[1, 3, 3, 3, 3]);
    }

    /// As in the example of section 3.2.
    #[test]
    fn codes_follow_from_their_lengths() {
        let codes: Vec<_> = codes(&[3, 3, 3, 3, 3, 2, 4, 4]).into_iter().map(|code| code.bits).collect();
        let expected = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(codes, expected, "the first bit is the lowest");
    }
}
