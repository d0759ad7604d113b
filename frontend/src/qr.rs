//! QR codes as one dashed line, which runs to and fro through all rows. Dark and light take turns, so how long each is says
//! it all, and compressed that is a third of strokes with their places.

use std::fmt::Write;

use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};

use crate::dom;

/// Modules of white on every side, as ISO/IEC 18004 asks.
const QUIET_ZONE: i32 = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// The `viewBox`, quiet zone included.
    pub view_box: String,
    /// The line's `d`, to be stroked one unit wide.
    pub line: String,
    /// Its `stroke-dasharray`: how long it is dark and light by turns, dark first.
    pub dashes: String,
}

/// The attributes of the element that is a drawing.
pub const LINE: &str = "d";
pub const DASHES: &str = "stroke-dasharray";

impl Drawing {
    /// Whether every element that the selector matches is this drawing, as the page has them now.
    pub fn is_drawn(&self, selector: &str) -> bool {
        let is = |name, expected: &String| dom::attributes(selector, name).iter().all(|drawn| drawn == expected);
        is(LINE, &self.line) && is(DASHES, &self.dashes)
    }
}

/// Longer texts than an EVM address bring less to mend a code by: on a screen none of it is dirty, and the code has a
/// fifth fewer modules, of which each costs the first frame more than a bit.
const LONG: usize = 42;

/// Draws `text`; empty if it is too long for any QR code.
pub fn draw(text: &str) -> Drawing {
    let spare = if LONG < text.len() { QrCodeEcc::Low } else { QrCodeEcc::Medium };
    // A fixed mask is a seventh of the work of finding the best one, and scans as well on a screen.
    let code = QrCode::encode_segments_advanced(
        &[QrSegment::make_bytes(text.as_bytes())],
        spare,
        Version::MIN,
        Version::MAX,
        Some(Mask::new(2)),
        true,
    );
    code.map(|code| drawing_of(&code)).unwrap_or_default()
}

fn drawing_of(code: &QrCode) -> Drawing {
    let size = code.size();
    let whole = size + 2 * QUIET_ZONE;
    // The line turns half a unit beside the code, where it is light.
    let mut line = format!("M{QUIET_ZONE} {QUIET_ZONE}.5h{size}.5");
    // The finder pattern in the corner begins dark. What comes next nobody can guess, a processor neither: so nothing is
    // done only where a colour ends.
    let mut lengths = vec![0; usize::try_from(size * (size + 1)).unwrap_or_default()];
    let (mut is_dark, mut last) = (true, 0);
    let mut go_on = |is_next_dark, by| {
        last += usize::from(is_next_dark != is_dark);
        is_dark = is_next_dark;
        if let Some(length) = lengths.get_mut(last) {
            *length += by;
        }
    };
    for y in 0..size {
        let is_back = y % 2 == 1;
        if 0 < y {
            go_on(false, TURN);
            _ = write!(line, "v1h{}{}", if is_back { "-" } else { "" }, size + 1);
        }
        for x in 0..size {
            go_on(code.get_module(if is_back { size - 1 - x } else { x }, y), 1);
        }
    }
    // After the last one they would begin anew, dark, so there is light to the line's end.
    go_on(false, TURN / 2);
    let mut dashes = String::with_capacity(2 * last + 64);
    for length in lengths.into_iter().take_while(|length| *length != 0) {
        push_length(&mut dashes, length);
    }
    dashes.pop();
    Drawing { view_box: format!("0 0 {whole} {whole}"), line, dashes }
}

/// Half a unit out, one down, half a unit in.
const TURN: u32 = 2;

/// Lengths are digits with spaces between, which is what compresses best; so a long one is two with nothing between them.
fn push_length(dashes: &mut String, mut length: u32) {
    while 9 < length {
        dashes.push_str("9 0 ");
        length -= 9;
    }
    dashes.extend(char::from_digit(length, 10));
    dashes.push(' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "ethereum:0x5FbDB2315678afecb367f032d93F642f64180aa3@31338/transfer?address=0x70997970C51812dc3A010C7d01b50e0d17dc79C8&uint256=20000000";

    /// The dark modules of a drawing: the line walked as a renderer would, in steps of half a module.
    fn dark_modules(drawing: &Drawing) -> Vec<(i32, i32)> {
        let halves = drawing.dashes.split(' ').enumerate().flat_map(|(number, length)| {
            let length: usize = length.parse().unwrap();
            std::iter::repeat_n(number % 2 == 0, 2 * length)
        });
        let mut halves = halves.cycle();
        let (start, line) = drawing.line.split_at(drawing.line.find('h').unwrap());
        let (x, y) = start.strip_prefix('M').unwrap().split_once(' ').unwrap();
        let in_halves = |number: &str| {
            let (whole, has_half) = number.strip_suffix(".5").map_or((number, false), |whole| (whole, true));
            2 * whole.parse::<i32>().unwrap() + i32::from(has_half)
        };
        let (mut x, mut y) = (in_halves(x), in_halves(y));
        let mut dark = Vec::new();
        let commands = line.match_indices(['h', 'v']).map(|(at, letter)| {
            let length = &line[at + 1..];
            (letter, in_halves(&length[..length.find(['h', 'v']).unwrap_or(length.len())]))
        });
        for (letter, length) in commands {
            for _ in 0..length.abs() {
                let is_dark = halves.next().unwrap();
                assert!(letter == "h" || !is_dark, "turns are light");
                let next = x + length.signum() * i32::from(letter == "h");
                y += length.signum() * i32::from(letter == "v");
                if is_dark {
                    dark.push((x.min(next).div_euclid(2), y.div_euclid(2)));
                }
                x = next;
            }
        }
        dark.sort_unstable();
        assert!(dark.chunk_by(PartialEq::eq).all(|halves| halves.len() == 2), "modules are whole");
        dark.dedup();
        dark
    }

    #[test]
    fn dashes_cover_exactly_the_dark_modules() {
        let code = QrCode::encode_text(URI, QrCodeEcc::Medium).unwrap();
        let drawing = drawing_of(&code);
        let dark = dark_modules(&drawing);
        for y in 0..code.size() {
            for x in 0..code.size() {
                let is_dashed = dark.contains(&(x + QUIET_ZONE, y + QUIET_ZONE));
                assert_eq!(is_dashed, code.get_module(x, y), "module {x}, {y}");
            }
        }
    }

    #[test]
    fn each_length_is_one_digit() {
        let dashes = draw(URI).dashes;
        assert!(dashes.split(' ').all(|length| length.len() == 1), "{dashes}");
    }

    #[test]
    fn four_modules_on_every_side_stay_light() {
        let drawing = draw(URI);
        let side: i32 = drawing.view_box.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!((side - 8 - 17) % 4, 0, "a version's size and the quiet zone");
        let inside = QUIET_ZONE..side - QUIET_ZONE;
        assert!(dark_modules(&drawing).iter().all(|(x, y)| inside.contains(x) && inside.contains(y)));
    }

    #[test]
    fn text_too_long_for_a_code_draws_nothing() {
        assert_eq!(draw(&"x".repeat(3000)), Drawing::default());
    }
}
