//! A writer of brotli (RFC 7932) for pages of which the beginning is known long before.
//!
//! A general one reads that beginning for each page anew, and knows nothing of what pages are made of. This one has read it
//! once, and writes the strokes of QR codes, which are like nothing before them, in a code of their own: little more than the
//! one bit that each module is.

mod bits;
mod matches;
mod prefix;

use std::ops::Range;

pub use self::matches::Index;
use self::{
    bits::Bits,
    matches::{Command, Distance},
    prefix::Prefix,
};

/// How far back copies may be. The beginning of the stream says so.
pub const WINDOW_BITS: u8 = 16;
/// The most bytes that fit into one block (section 9.2).
const MOST: usize = 1 << 24;
/// What the lengths of a QR code's strokes come after.
const BEFORE_STROKES: &str = "stroke-dasharray=\"";

/// From which number on a symbol is used, and how many further bits say which number it is.
type Step = (usize, u32);

/// How many literals come next, and how many bytes are copied (section 5).
const INSERTS: [Step; 24] = steps(0, [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14, 24]);
const COPIES: [Step; 24] = steps(2, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 24]);
/// How many literals are of one kind (section 6).
const STRETCHES: [Step; 26] =
    steps(1, [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 24]);

const COMMAND_SYMBOLS: usize = 704;
/// Symbols below this say that the distance is the last one.
const WITH_LAST_DISTANCE: usize = 128;
const DISTANCE_SYMBOLS: usize = 64;
/// Symbols below this are for distances like recent ones.
const RECENT_DISTANCES: usize = 16;

const fn steps<const N: usize>(first: usize, widths: [u32; N]) -> [Step; N] {
    let mut steps = [(first, 0); N];
    let mut number = 0;
    while number < N {
        steps[number].1 = widths[number];
        if number + 1 < N {
            steps[number + 1].0 = steps[number].0 + (1 << widths[number]);
        }
        number += 1;
    }
    steps
}

/// A symbol and its further bits.
#[derive(Clone, Copy)]
struct Symbol {
    number: usize,
    extra: usize,
    width: u32,
}

impl Symbol {
    fn of(number: usize, steps: &[Step]) -> Self {
        let symbol = steps.partition_point(|step| step.0 <= number) - 1;
        let (start, width) = steps[symbol];
        Self { number: symbol, extra: number - start, width }
    }

    /// Section 4, with neither postfix nor direct codes.
    fn of_distance(distance: Distance) -> Self {
        let back = match distance {
            Distance::Last => return Self { number: 0, extra: 0, width: 0 },
            Distance::New(back) => back + 3,
        };
        let width = back.ilog2() - 1;
        let number = RECENT_DISTANCES + 2 * (width as usize - 1) + (back >> width & 1);
        Self { number, extra: back & ((1 << width) - 1), width }
    }

    fn write(self, prefix: &Prefix, bits: &mut Bits) {
        prefix.write(self.number, bits);
        self.write_extra(bits);
    }

    fn write_extra(self, bits: &mut Bits) {
        bits.push(self.extra, self.width);
    }
}

/// What literals are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Strokes,
}

impl Kind {
    /// The name of the rule by which the byte before a literal becomes its context (section 7.1).
    const fn rule(self) -> usize {
        match self {
            Self::Text => 1,
            Self::Strokes => 0,
        }
    }

    const fn codes(self) -> usize {
        match self {
            Self::Text => 3,
            Self::Strokes => 2,
        }
    }

    /// Which code a literal has, by the byte before it.
    const fn code_after(self) -> &'static [u8; 256] {
        const TEXT: [u8; 256] = Kind::Text.tabulated();
        const STROKES: [u8; 256] = Kind::Strokes.tabulated();
        match self {
            Self::Text => &TEXT,
            Self::Strokes => &STROKES,
        }
    }

    const fn tabulated(self) -> [u8; 256] {
        let mut codes = [0; 256];
        let mut before = 0;
        while before < codes.len() {
            let context = match self {
                Self::Text => before >> 2,
                Self::Strokes => before & 0x3F,
            };
            codes[before] = self.code_of(context);
            before += 1;
        }
        codes
    }

    /// Which code a context has: of a letter beyond ASCII the first byte is easily guessed and the next is like no other
    /// text; and lengths of strokes come after a quotation mark or a space, and after each is a space.
    const fn code_of(self, context: usize) -> u8 {
        match self {
            Self::Text => match context {
                ..0x20 => 0,
                0x20..0x30 => 1,
                0x30.. => 2,
            },
            Self::Strokes => match context {
                0x20 | 0x22 => 0,
                _ => 1,
            },
        }
    }
}

/// A whole stream: `blocks` make the opening, and `rest` comes after it. `None` if that is more than fits.
pub fn finish(blocks: &[u8], opening: &Index, rest: &str) -> Option<Vec<u8>> {
    if MOST < rest.len() {
        return None;
    }
    let mut stream = Vec::with_capacity(blocks.len() + rest.len() / 2);
    stream.extend_from_slice(blocks);
    let mut bits = Bits::after(stream);
    if rest.is_empty() {
        bits.push(0b11, 2);
    } else {
        write_block(opening, rest, &mut bits);
    }
    Some(bits.into_bytes())
}

/// Writes a block that is the last and not empty.
fn write_block(opening: &Index, rest: &str, bits: &mut Bits) {
    let strokes = strokes(rest);
    let (text, commands) = opening.commands(rest.as_bytes(), &strokes);
    let script = Script::of(&commands, &strokes, text.len() - rest.len());

    bits.push(0b01, 2);
    let last = rest.len() - 1;
    let nibbles = (last | 1).ilog2().max(12) / 4 + 1;
    bits.push(nibbles as usize - 4, 2);
    bits.push(last, 4 * nibbles);
    // Section 9.2 has the order of what follows.
    let mut literals = Literals::of(&text, &script.pieces, bits);
    // One type of commands, and one of distances; these with neither postfix nor direct codes.
    bits.push(0, 1 + 1 + 2 + 4);
    literals.describe(bits);
    let (mut commands, mut distances) = ([0; COMMAND_SYMBOLS], [0; DISTANCE_SYMBOLS]);
    for line in &script.lines {
        commands[line.command] += 1;
        if let Some(distance) = line.distance {
            distances[distance.number] += 1;
        }
    }
    let (commands, distances) = (Prefix::describe(&commands, bits), Prefix::describe(&distances, bits));

    for line in &script.lines {
        commands.write(line.command, bits);
        line.insert.write_extra(bits);
        line.copy.write_extra(bits);
        for piece in &script.pieces[line.pieces.clone()] {
            literals.write(piece, bits);
        }
        if let Some(distance) = line.distance {
            distance.write(&distances, bits);
        }
    }
}

/// Where a document has lengths of strokes.
fn strokes(document: &str) -> Vec<Range<usize>> {
    let is_of_strokes = |byte: &&u8| **byte == b' ' || byte.is_ascii_digit();
    let places = |(at, mark): (usize, &str)| {
        let start = at + mark.len();
        start..start + document.as_bytes()[start..].iter().take_while(is_of_strokes).count()
    };
    document.match_indices(BEFORE_STROKES).map(places).filter(|places| !places.is_empty()).collect()
}

/// All that a block says, as symbols.
struct Script {
    lines: Vec<Line>,
    pieces: Vec<Piece>,
}

/// Literals, and a copy unless the text ends there.
struct Line {
    command: usize,
    insert: Symbol,
    copy: Symbol,
    /// The literals, as pieces of the script.
    pieces: Range<usize>,
    /// Unless the command says it.
    distance: Option<Symbol>,
}

/// Literals of one kind, as places in the text.
struct Piece {
    kind: Kind,
    places: Range<usize>,
}

impl Script {
    /// `strokes` are places after the opening's `start` bytes, and nothing is copied there.
    fn of(commands: &[Command], strokes: &[Range<usize>], start: usize) -> Self {
        let mut script = Self { lines: Vec::with_capacity(commands.len()), pieces: Vec::with_capacity(commands.len()) };
        let (mut at, mut strokes) =
            (start, strokes.iter().map(|places| start + places.start..start + places.end).peekable());
        for command in commands {
            let (first, end) = (script.pieces.len(), at + command.insert);
            while let Some(places) = strokes.next_if(|places| places.end <= end) {
                script.add(Kind::Text, at..places.start);
                at = places.end;
                script.add(Kind::Strokes, places);
            }
            script.add(Kind::Text, at..end);
            at = end + command.copy;

            let pieces = first..script.pieces.len();
            let (insert, copy) = (Symbol::of(command.insert, &INSERTS), Symbol::of(command.copy.max(2), &COPIES));
            let symbol = command_symbol(insert.number, copy.number, command.distance == Distance::Last);
            let has_distance = command.copy != 0 && WITH_LAST_DISTANCE <= symbol;
            let distance = has_distance.then(|| Symbol::of_distance(command.distance));
            script.lines.push(Line { command: symbol, insert, copy, pieces, distance });
        }
        script
    }

    fn add(&mut self, kind: Kind, places: Range<usize>) {
        if !places.is_empty() {
            self.pieces.push(Piece { kind, places });
        }
    }
}

/// One symbol for both lengths (section 5).
const fn command_symbol(insert: usize, copy: usize, is_last_distance: bool) -> usize {
    let low = (insert & 7) << 3 | copy & 7;
    if is_last_distance && insert < 8 && copy < 16 {
        return (copy >> 3) << 6 | low;
    }
    let cell = match (insert >> 3, copy >> 3) {
        (0, 0) => 2,
        (0, 1) => 3,
        (0, _) => 6,
        (1, 0) => 4,
        (1, 1) => 5,
        (1, _) => 8,
        (_, 0) => 7,
        (_, 1) => 9,
        (_, _) => 10,
    };
    cell << 6 | low
}

/// How the literals of a text are written.
struct Literals<'a> {
    text: &'a [u8],
    /// In the order in which they come up, each with the number of the first of its codes.
    kinds: Vec<(Kind, usize)>,
    counts: Vec<[u32; 256]>,
    codes: Vec<Prefix>,
    switches: Option<Switches>,
    /// Which of the kinds was written last.
    current: usize,
}

/// What says that another kind comes next, and how long it goes on.
struct Switches {
    code: Prefix,
    stretches: std::vec::IntoIter<Symbol>,
}

impl<'a> Literals<'a> {
    /// Writes what kinds there are.
    fn of(text: &'a [u8], pieces: &[Piece], bits: &mut Bits) -> Self {
        let first = pieces.first().map_or(Kind::Text, |piece| piece.kind);
        let stretches: Vec<Symbol> = pieces
            .chunk_by(|one, other| one.kind == other.kind)
            .map(|stretch| Symbol::of(stretch.iter().map(|piece| piece.places.len()).sum(), &STRETCHES))
            .collect();
        let mut kinds = vec![(first, 0)];
        let mut switches = None;
        if 1 < stretches.len() {
            let other = if first == Kind::Text { Kind::Strokes } else { Kind::Text };
            kinds.push((other, first.codes()));
            bits.push(0b0001, 4);
            // Among two, the next one is always the other.
            Prefix::describe(&[0, 1, 0, 0], bits);
            let mut counts = [0; STRETCHES.len()];
            for stretch in &stretches {
                counts[stretch.number] += 1;
            }
            let mut ahead = Switches { code: Prefix::describe(&counts, bits), stretches: stretches.into_iter() };
            ahead.write_next(bits);
            switches = Some(ahead);
        } else {
            bits.push(0, 1);
        }

        let codes = kinds.iter().map(|(kind, _)| kind.codes()).sum();
        let mut literals = Self { text, kinds, counts: vec![[0; 256]; codes], codes: Vec::new(), switches, current: 0 };
        for piece in pieces {
            let (kind, first_code) = literals.kinds[literals.number_of(piece.kind)];
            let code_after = kind.code_after();
            let mut before = literals.before(piece);
            let counts = &mut literals.counts[first_code..];
            for byte in &text[piece.places.clone()] {
                counts[usize::from(code_after[usize::from(before)])][usize::from(*byte)] += 1;
                before = *byte;
            }
        }
        literals
    }

    fn number_of(&self, kind: Kind) -> usize {
        usize::from(self.kinds[0].0 != kind)
    }

    /// The byte before a piece.
    fn before(&self, piece: &Piece) -> u8 {
        piece.places.start.checked_sub(1).map_or(0, |place| self.text[place])
    }

    /// Writes how codes are chosen, and the codes.
    fn describe(&mut self, bits: &mut Bits) {
        for (kind, _) in &self.kinds {
            bits.push(kind.rule(), 2);
        }
        let trees = self.counts.len() - 1;
        let width = trees.ilog2();
        bits.push(1, 1);
        bits.push(width as usize, 3);
        bits.push(trees - (1 << width), width);
        let choice = self
            .kinds
            .iter()
            .flat_map(|(kind, first)| (0..64).map(move |context| first + usize::from(kind.code_of(context))));
        describe_choice(&choice.collect::<Vec<_>>(), self.counts.len(), bits);
        // One code for distances.
        bits.push(0, 1);
        self.codes = self.counts.iter().map(|counts| Prefix::describe(counts, bits)).collect();
    }

    fn write(&mut self, piece: &Piece, bits: &mut Bits) {
        let number = self.number_of(piece.kind);
        if number != self.current
            && let Some(switches) = &mut self.switches
        {
            switches.write_next(bits);
            self.current = number;
        }
        let (kind, first_code) = self.kinds[number];
        let (codes, code_after) = (&self.codes[first_code..], kind.code_after());
        let mut before = self.before(piece);
        for byte in &self.text[piece.places.clone()] {
            codes[usize::from(code_after[usize::from(before)])].write((*byte).into(), bits);
            before = *byte;
        }
    }
}

impl Switches {
    fn write_next(&mut self, bits: &mut Bits) {
        // That the other kind comes next takes no bits.
        if let Some(stretch) = self.stretches.next() {
            stretch.write(&self.code, bits);
        }
    }
}

/// Writes which of so many codes each context has (section 7.3), as lengths of runs: most are like the one before.
fn describe_choice(choice: &[usize], codes: usize, bits: &mut Bits) {
    /// The longest run is of two to this power, and some more.
    const LONGEST: u32 = 6;
    let mut recent: Vec<usize> = (0..codes).collect();
    let mut places = Vec::with_capacity(choice.len());
    for code in choice {
        let place = recent.iter().position(|other| other == code).unwrap_or_default();
        recent[..=place].rotate_right(1);
        places.push(place);
    }
    let mut symbols = Vec::new();
    for run in places.chunk_by(|one, other| *one == 0 && *other == 0) {
        if run[0] != 0 {
            symbols.push(Symbol { number: run[0] + LONGEST as usize, extra: 0, width: 0 });
            continue;
        }
        let mut left = run.len();
        while left != 0 {
            let width = left.ilog2().min(LONGEST);
            let length = left.min((2 << width) - 1);
            symbols.push(Symbol { number: width as usize, extra: length - (1 << width), width });
            left -= length;
        }
    }
    bits.push(1, 1);
    bits.push(LONGEST as usize - 1, 4);
    let mut counts = vec![0; codes + LONGEST as usize];
    for symbol in &symbols {
        counts[symbol.number] += 1;
    }
    let code = Prefix::describe(&counts, bits);
    for symbol in symbols {
        symbol.write(&code, bits);
    }
    // Each code is said as its place among those used last.
    bits.push(1, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(opening: &str, rest: &str) -> usize {
        finish(&[], &Index::of(opening.as_bytes()), rest).unwrap().len()
    }

    #[test]
    fn strokes_take_little_more_than_a_bit_for_each_module() {
        const MODULES: usize = 45 * 45;
        let mut random = 1_u64;
        let modules: Vec<bool> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 63 == 1
        })
        .take(MODULES)
        .collect();
        let strokes: Vec<String> = modules.chunk_by(PartialEq::eq).map(|run| run.len().min(9).to_string()).collect();
        let drawing = format!("<path stroke-dasharray=\"{}\"></path>", strokes.join(" "));
        let without = size("", "<path stroke-dasharray=\"\"></path>");
        let bits = 8 * (size("", &drawing) - without);
        assert!(bits < MODULES + MODULES / 5, "{bits} bits for {MODULES} modules");
    }

    #[test]
    fn what_the_opening_says_is_not_said_again() {
        let rules: Vec<String> = (0..400).map(|number| format!(".rule{number}{{order:{}}}", number * 7)).collect();
        let opening = rules.concat();
        let (first, again) = (size("", &opening), size(&opening, &opening));
        assert!(again < 40 && 400 < first, "{again} and {first} bytes");
    }
}
