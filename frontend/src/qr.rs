//! QR codes as one SVG path, drawn as horizontal strokes: half the size of rectangles.

use std::fmt::Write;

use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};

/// Modules of white on every side, as ISO/IEC 18004 asks.
const QUIET_ZONE: i32 = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// The `viewBox`, quiet zone included.
    pub view_box: String,
    /// The path's `d`, to be stroked one unit wide.
    pub path: String,
}

/// Longer texts than an EVM address bring less to mend a code by: on a screen none of it is dirty, and its path is a fifth
/// shorter, which is what most of the first frame is made of.
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
    let mut path = String::new();
    // Where the last stroke ended; moves from there are shorter than places, and more alike.
    let mut pen = None;
    for y in 0..size {
        let mut x = 0;
        while x < size {
            if !code.get_module(x, y) {
                x += 1;
                continue;
            }
            let start = x;
            while x < size && code.get_module(x, y) {
                x += 1;
            }
            match pen {
                None => path = format!("M{} {}.5", start + QUIET_ZONE, y + QUIET_ZONE),
                Some((end, row)) => {
                    path.push('m');
                    push_number(&mut path, start - end);
                    path.push(' ');
                    push_number(&mut path, y - row);
                }
            }
            path.push('h');
            push_number(&mut path, x - start);
            pen = Some((x, y));
        }
    }
    let whole = size + 2 * QUIET_ZONE;
    Drawing { view_box: format!("0 0 {whole} {whole}"), path }
}

/// Most numbers of a path are one digit, which needs no formatting.
fn push_number(path: &mut String, number: i32) {
    match u8::try_from(number) {
        Ok(digit @ 0..10) => path.push(char::from(b'0' + digit)),
        _ => _ = write!(path, "{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "ethereum:0x5FbDB2315678afecb367f032d93F642f64180aa3@31338/transfer?address=0x70997970C51812dc3A010C7d01b50e0d17dc79C8&uint256=20000000";

    /// The dark modules of a drawing: strokes walked as a renderer would.
    fn dark_modules(drawing: &Drawing) -> Vec<(i32, i32)> {
        let mut dark = Vec::new();
        let (mut x, mut y) = (0, 0);
        let mut commands = Vec::new();
        for character in drawing.path.chars() {
            match character {
                'M' | 'm' | 'h' => commands.push((character, String::new())),
                other => commands.last_mut().unwrap().1.push(other),
            }
        }
        for (command, numbers) in commands {
            let numbers: Vec<i32> =
                numbers.split(' ').map(|number| number.trim_end_matches(".5").parse().unwrap()).collect();
            match command {
                'M' => (x, y) = (numbers[0], numbers[1]),
                'm' => (x, y) = (x + numbers[0], y + numbers[1]),
                _ => {
                    dark.extend((x..x + numbers[0]).map(|column| (column, y)));
                    x += numbers[0];
                }
            }
        }
        dark
    }

    #[test]
    fn strokes_cover_exactly_the_dark_modules() {
        let code = QrCode::encode_text(URI, QrCodeEcc::Medium).unwrap();
        let drawing = drawing_of(&code);
        let dark = dark_modules(&drawing);
        for y in 0..code.size() {
            for x in 0..code.size() {
                let is_stroked = dark.contains(&(x + QUIET_ZONE, y + QUIET_ZONE));
                assert_eq!(is_stroked, code.get_module(x, y), "module {x}, {y}");
            }
        }
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
