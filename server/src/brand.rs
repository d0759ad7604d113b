//! A merchant's look on the payer's page: a colour, how round corners are, and a logo. Whatever colour it is, text in it and
//! on it can be read: it is moved until it meets WCAG 2.2, 1.4.3 on every ground it stands on.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most a logo may weigh; a phone on a slow network fetches it.
pub const MOST_LOGO_BYTES: usize = 64 * 1024;
/// The most pixels of a side.
pub const MOST_LOGO_SIDE: u32 = 1024;
/// The roundest that corners get, in CSS pixels.
pub const MOST_RADIUS: u8 = 24;

/// What text needs against its ground.
const LEGIBLE: f64 = 4.5;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

const WHITE: Color = Color([0xff; 3]);
const BLACK: Color = Color([0; 3]);

/// The grounds that the colour stands on, as in `assets/styles/tokens.css`: page, card and inset.
const LIGHT_GROUNDS: [Color; 3] = [Color([0xf3, 0xf4, 0xf7]), WHITE, Color([0xf6, 0xf7, 0xf9])];
const DARK_GROUNDS: [Color; 3] = [Color([0x0c, 0x0f, 0x14]), Color([0x16, 0x1a, 0x21]), Color([0x1d, 0x22, 0x2b])];

impl Color {
    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut color = [0; 3];
        hex::decode_to_slice(text.strip_prefix('#')?, &mut color).ok()?;
        Some(Self(color))
    }

    /// This much of `other` in it, in hundredths.
    fn mixed(self, other: Self, hundredths: u16) -> Self {
        let mut mixed = [0; 3];
        for (place, (own, foreign)) in mixed.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let sum = u16::from(own) * (100 - hundredths) + u16::from(foreign) * hundredths;
            *place = u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// WCAG's relative luminance.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// WCAG's contrast, between 1 and 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// The nearest colour on the way to `end` that can be read on all grounds, those that are made from it too.
    fn legible(self, end: Self, grounds: &[Color], soft: impl Fn(Self) -> Self) -> Self {
        let candidates = (0..=100).map(|hundredths| self.mixed(end, hundredths));
        let is_legible =
            |color: &Self| grounds.iter().chain([&soft(*color)]).all(|ground| LEGIBLE <= color.contrast(*ground));
        candidates.into_iter().find(is_legible).unwrap_or(end)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", hex::encode(self.0))
    }
}

/// The colour's tokens in one theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shades {
    accent: Color,
    strong: Color,
    soft: Color,
    on_accent: Color,
}

impl Shades {
    fn of(color: Color, is_dark: bool) -> Self {
        let (grounds, end, card) =
            if is_dark { (&DARK_GROUNDS, WHITE, DARK_GROUNDS[1]) } else { (&LIGHT_GROUNDS, BLACK, WHITE) };
        // The ground is made of the colour and little else, so it is a ground to be read on as well.
        let soft = |accent: Color| accent.mixed(card, if is_dark { 82 } else { 90 });
        let accent = color.legible(end, grounds, soft);
        Self {
            accent,
            strong: accent.mixed(end, 25),
            soft: soft(accent),
            on_accent: if WHITE.contrast(accent) < BLACK.contrast(accent) { BLACK } else { WHITE },
        }
    }

    fn css(self) -> String {
        let Self { accent, strong, soft, on_accent } = self;
        format!(":root{{--accent:{accent};--accent-strong:{strong};--accent-soft:{soft};--on-accent:{on_accent}}}")
    }
}

/// A merchant's look, but for the logo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// `#rrggbb`, as it was set.
    pub color: Option<String>,
    /// Of corners, in CSS pixels.
    pub radius: Option<u8>,
}

impl Brand {
    /// The style sheet that makes a page look so; `None` if there is nothing to it. Only numbers and colours get into it.
    pub fn css(&self) -> Option<String> {
        let color = self.color.as_deref().and_then(Color::parse);
        let colors = color.map(|color| {
            let [light, dark] = [false, true].map(|is_dark| Shades::of(color, is_dark).css());
            // Who asks for more contrast gets the page's own colours.
            format!("@media not (prefers-contrast:more){{{light}@media (prefers-color-scheme:dark){{{dark}}}}}")
        });
        let radius = self
            .radius
            .map(|radius| radius.min(MOST_RADIUS))
            .map(|radius| format!(":root{{--radius:{radius}px;--radius-large:{}px}}", u16::from(radius) * 5 / 3));
        match (colors, radius) {
            (None, None) => None,
            (colors, radius) => Some(format!("{}{}", colors.unwrap_or_default(), radius.unwrap_or_default())),
        }
    }
}

/// What names a look: another one has another name, and so another address.
pub fn version(brand: &Brand, logo: Option<&Logo>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(brand).unwrap_or_default());
    hasher.update(logo.map_or(&[][..], |logo| &logo.bytes));
    hex::encode(&hasher.finalize()[..12])
}

/// A picture that browsers draw and that holds nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub kind: LogoKind,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoKind {
    Png,
    Jpeg,
}

impl LogoKind {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    pub fn of_content_type(text: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg].into_iter().find(|kind| kind.content_type() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    #[error("must be a PNG or JPEG picture, whole and with nothing after it")]
    NoPicture,
    #[error("must weigh at most {} KiB", MOST_LOGO_BYTES / 1024)]
    TooHeavy,
    #[error("must have at most {MOST_LOGO_SIDE} pixels a side")]
    TooLarge,
}

impl Logo {
    /// Checks a picture by its own account of itself.
    ///
    /// # Errors
    ///
    /// If it is none, or too large.
    pub fn read(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if MOST_LOGO_BYTES < bytes.len() {
            return Err(LogoError::TooHeavy);
        }
        let (kind, size) = match (png_size(&bytes), jpeg_size(&bytes)) {
            (Some(size), _) => (LogoKind::Png, size),
            (None, Some(size)) => (LogoKind::Jpeg, size),
            (None, None) => return Err(LogoError::NoPicture),
        };
        match size {
            (0, _) | (_, 0) => Err(LogoError::NoPicture),
            (width, height) if MOST_LOGO_SIDE < width.max(height) => Err(LogoError::TooLarge),
            _ => Ok(Self { kind, bytes }),
        }
    }
}

/// Width and height of a PNG (RFC 2083) whose chunks fill the file from the first to the last.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let mut size = None;
    loop {
        let (head, after) = rest.split_at_checked(8)?;
        let length = usize::try_from(u32::from_be_bytes(head[..4].try_into().ok()?)).ok()?;
        let (data, after) = after.split_at_checked(length)?;
        let (_check, after) = after.split_at_checked(4)?;
        match (&head[4..], size) {
            (b"IHDR", None) if length == 13 => {
                let number = |place: usize| data[place..place + 4].try_into().ok().map(u32::from_be_bytes);
                size = Some((number(0)?, number(4)?));
            }
            (_, None) | (b"IHDR", Some(_)) => return None,
            (b"IEND", Some(size)) => return after.is_empty().then_some(size),
            _ => {}
        }
        rest = after;
    }
}

/// Width and height of a JPEG (ITU T.81) that begins and ends as one.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?.strip_suffix(b"\xff\xd9")?;
    loop {
        let (head, after) = rest.split_at_checked(2)?;
        let &[0xff, marker] = head else { return None };
        let length = usize::from(u16::from_be_bytes(after.get(..2)?.try_into().ok()?));
        let segment = after.get(..length)?;
        match marker {
            // Frame headers, but for the three markers among them that are none.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let number =
                    |place: usize| Some(u32::from(u16::from_be_bytes(segment.get(place..place + 2)?.try_into().ok()?)));
                return Some((number(5)?, number(3)?));
            }
            // The picture itself before anything said how large it is.
            0xda => return None,
            _ => rest = &after[length..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(text: &str) -> Color {
        Color::parse(text).unwrap()
    }

    /// WCAG's own pairs, to two decimals, as <https://webaim.org/resources/contrastchecker/> has them.
    #[test]
    fn contrast_is_as_wcag_computes_it() {
        for (one, other, expected) in [
            ("#000000", "#ffffff", 21.0),
            ("#777777", "#ffffff", 4.48),
            ("#767676", "#ffffff", 4.54),
            ("#ff0000", "#ffffff", 4.0),
        ] {
            let contrast = color(one).contrast(color(other));
            assert!((contrast - expected).abs() < 0.006, "{one} {other} {contrast}");
            assert!((contrast - color(other).contrast(color(one))).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn every_colour_becomes_one_that_can_be_read_wherever_it_stands() {
        let steps = [0, 0x33, 0x66, 0x99, 0xcc, 0xff];
        for red in steps {
            for green in steps {
                for blue in steps {
                    for is_dark in [false, true] {
                        let Shades { accent, strong, soft, on_accent } = Shades::of(Color([red, green, blue]), is_dark);
                        let grounds = if is_dark { DARK_GROUNDS } else { LIGHT_GROUNDS };
                        let pairs =
                            grounds.into_iter().chain([soft]).flat_map(|ground| [(accent, ground), (strong, ground)]);
                        for (text, ground) in pairs.chain([(on_accent, accent), (on_accent, strong)]) {
                            let contrast = text.contrast(ground);
                            assert!(
                                LEGIBLE <= contrast,
                                "{red} {green} {blue} {is_dark}: {text} on {ground} is {contrast}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_that_can_be_read_stays_as_it_is() {
        assert_eq!(Shades::of(color("#2b4acb"), false).accent, color("#2b4acb"));
        assert_ne!(Shades::of(color("#ffee00"), false).accent, color("#ffee00"));
        assert_eq!(Shades::of(color("#ffee00"), true).accent, color("#ffee00"));
    }

    #[test]
    fn only_colours_and_numbers_get_into_the_style_sheet() {
        assert_eq!(Brand::default().css(), None);
        for text in ["", "red", "#fff", "#gggggg", "#00000000", "#000000;}", "url(x)"] {
            assert_eq!(Brand { color: Some(text.to_owned()), radius: None }.css(), None, "{text}");
        }
        let css = Brand { color: Some("#2b4acb".to_owned()), radius: Some(200) }.css().unwrap();
        assert!(css.contains("--accent:#2b4acb;") && css.contains("--radius:24px;--radius-large:40px"), "{css}");
        assert!(!css.contains(['<', '\\', '"', '\'']), "{css}");
    }

    /// A PNG of that many pixels, as far as it says so itself.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend(b"\x08\x06\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB\x60\x82");
        bytes
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08".to_vec();
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend(b"\x01\x01\x11\0\xff\xda\0\x02\0\xff\xd9");
        bytes
    }

    #[test]
    fn pictures_are_known_by_what_they_are() {
        assert_eq!(Logo::read(png(1024, 1)).unwrap().kind, LogoKind::Png);
        assert_eq!(Logo::read(jpeg(1, 1024)).unwrap().kind, LogoKind::Jpeg);
        assert_eq!(Logo::read(png(1025, 1)), Err(LogoError::TooLarge));
        assert_eq!(Logo::read(jpeg(1, 1025)), Err(LogoError::TooLarge));
        assert_eq!(Logo::read(vec![0; MOST_LOGO_BYTES + 1]), Err(LogoError::TooHeavy));
        let mut with_more = png(8, 8);
        with_more.extend(b"<script>alert(1)</script>");
        for bytes in [
            Vec::new(),
            b"GIF89a".to_vec(),
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(),
            png(0, 8),
            with_more,
            png(8, 8)[..20].to_vec(),
            jpeg(8, 8)[..16].to_vec(),
            b"\xff\xd8\xff\xd9".to_vec(),
            b"\xff\xd8\xff\xe0\0\0\xff\xd9".to_vec(),
        ] {
            assert_eq!(Logo::read(bytes.clone()), Err(LogoError::NoPicture), "{bytes:?}");
        }
    }
}
