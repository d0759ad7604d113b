//! How documents begin, compressed beforehand.
//!
//! Most of a page are its styles, which are the same in every one. So what documents begin with is compressed once, and
//! as well as can be; what is compressed for an answer is only what differs, with the beginning as what may be referred
//! to. The two are one stream: in brotli, a stream whose last block is left out can go on (RFC 7932, section 9).

use std::{io, sync::OnceLock};

use brotli::{
    IoReaderWrapper, IoWriterWrapper,
    enc::{BrotliCompressCustomIo, BrotliEncoderParams, StandardAlloc},
};

use super::brotli::{Index, WINDOW_BITS, finish};

/// The best there is. It takes up to a tenth of a second.
const LEVEL: i32 = 11;
/// Bytes that are handed over at once.
const BUFFER: usize = 4096;

/// Text that documents begin with.
#[derive(Debug)]
pub struct Opening {
    text: String,
    /// Made when it is first asked for; `None` if that fails.
    compressed: OnceLock<Option<Compressed>>,
}

#[derive(Debug)]
struct Compressed {
    /// Blocks of which none is the last.
    blocks: Vec<u8>,
    index: Index,
}

impl Opening {
    pub const fn new(text: String) -> Self {
        Self { text, compressed: OnceLock::new() }
    }

    /// The document that goes on so.
    pub fn document(&self, rest: &str) -> String {
        [&self.text, rest].concat()
    }

    /// The same in brotli, if that can be had.
    pub fn compressed_document(&self, rest: &str) -> Option<Vec<u8>> {
        let compressed = self.compressed.get_or_init(|| {
            let blocks = compress(&self.text).ok()?;
            Some(Compressed { blocks, index: Index::of(self.text.as_bytes()) })
        });
        let Compressed { blocks, index } = compressed.as_ref()?;
        finish(blocks, index, rest)
    }
}

/// Blocks that end with a whole byte, and of which none is the last.
fn compress(text: &str) -> io::Result<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: LEVEL,
        lgwin: WINDOW_BITS.into(),
        size_hint: text.len(),
        appendable: true,
        bare_stream: true,
        byte_align: true,
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::with_capacity(text.len() / 2);
    BrotliCompressCustomIo(
        &mut IoReaderWrapper(&mut text.as_bytes()),
        &mut IoWriterWrapper(&mut compressed),
        &mut [0; BUFFER],
        &mut [0; BUFFER],
        &parameters,
        StandardAlloc::default(),
        &mut |_, _, _, _| (),
        io::ErrorKind::UnexpectedEof.into(),
    )?;
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(opening: &str, rests: &[&str]) {
        let opening = Opening::new(opening.to_owned());
        for rest in rests {
            let compressed = opening.compressed_document(rest).unwrap();
            let mut read = Vec::new();
            brotli::BrotliDecompress(&mut compressed.as_slice(), &mut read).unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), opening.document(rest));
        }
    }

    #[test]
    fn opening_and_rest_are_one_stream_whatever_they_are() {
        let long = "<p class=\"amount\">24.90 USDC</p>é".repeat(4_000);
        let strokes = format!("<path stroke-dasharray=\"{}\" d=\"M4\">", "7 1 2 12 ".repeat(90));
        let drawn = format!("<h1>العنوان</h1>{strokes}<p>0x7099</p>{}", strokes.replace('2', "3"));
        let letters: String = ('\u{1}'..'\u{3000}').collect();
        let texts = [
            "",
            "a",
            "ab",
            "<!doctype html>",
            "stroke-dasharray=\"",
            "1 2 1",
            "stroke-dasharray=\"\"",
            "aaaaaaaaaaaaa",
        ];
        let texts: Vec<&str> = texts.into_iter().chain([long.as_str(), &strokes, &drawn, &letters]).collect();
        for opening in &texts {
            check(opening, &texts);
        }
    }

    #[test]
    fn texts_of_all_sorts_read_back() {
        let mut random = 1_u64;
        let mut below = |end: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % end
        };
        let words =
            ["stroke-dasharray=\"", "1 2 ", "3", "\"", "<p>", "class=\"fact\"", "العنوان", "é", "\n", "0x5FbD", "🦀"];
        for _ in 0..30 {
            let texts = [200, 2_000, 2_000, 500, 500, 50, 50, 5].map(|most| {
                // From a few words only, and from all of them.
                let (size, few) = (below(most), 1 + below(words.len()));
                (0..size).map(|_| words[below(few)]).collect::<String>()
            });
            check(&texts[0], &texts.each_ref().map(String::as_str));
        }
    }

    #[test]
    fn a_text_beyond_the_window_reads_back() {
        let numbers = (0..40_000).map(|number: u32| format!("{:x} ", number.wrapping_mul(2_654_435_761)));
        let digits = numbers.collect::<Vec<_>>().concat();
        check(&digits[..70_000], &[&digits]);
    }
}
