//! How documents begin, compressed beforehand.
//!
//! Most of a page are its styles, which are the same in every one. So what documents begin with is compressed once, and
//! as well as can be; what is compressed for an answer is only what differs, with the beginning as what may be referred
//! to. The two are one stream: in brotli, a stream whose last block is left out can go on (RFC 7932, section 9).

use std::{io, sync::OnceLock};

use brotli::{
    IoReaderWrapper, IoWriterWrapper,
    enc::{BrotliCompressCustomIoCustomDict, BrotliEncoderParams, StandardAlloc},
};

/// The best there is. It takes up to a tenth of a second.
const LEVEL_ONCE: i32 = 11;
/// Above this, compressing costs more than drawing.
const LEVEL_OF_REST: i32 = 4;
/// Pages are smaller than 64 kB, and what is kept to look back costs time to clear.
const WINDOW_BITS: i32 = 16;
/// Bytes that are handed over at once.
const BUFFER: usize = 4096;
/// A last block that is empty.
const END: u8 = 0b11;

/// Text that documents begin with.
#[derive(Debug)]
pub struct Opening {
    text: String,
    /// Blocks of which none is the last, made when they are first asked for; `None` if that fails.
    compressed: OnceLock<Option<Vec<u8>>>,
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
        let parameters = BrotliEncoderParams {
            quality: LEVEL_OF_REST,
            catable: true,
            appendable: true,
            use_dictionary: false,
            ..blocks(rest.len())
        };
        let opening = self.compressed.get_or_init(|| {
            let parameters = BrotliEncoderParams { quality: LEVEL_ONCE, appendable: true, ..blocks(self.text.len()) };
            compress(&self.text, "", &parameters).ok()
        });
        let rest = compress(rest, &self.text, &parameters).ok()?;
        Some([opening.as_deref()?, &rest, &[END]].concat())
    }
}

/// Blocks that end with a whole byte, and of which none is the last.
fn blocks(size: usize) -> BrotliEncoderParams {
    BrotliEncoderParams {
        lgwin: WINDOW_BITS,
        size_hint: size,
        bare_stream: true,
        byte_align: true,
        ..BrotliEncoderParams::default()
    }
}

/// What `text` becomes after `before`, which is not written.
fn compress(text: &str, before: &str, parameters: &BrotliEncoderParams) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::with_capacity(text.len() / 2);
    BrotliCompressCustomIoCustomDict(
        &mut IoReaderWrapper(&mut text.as_bytes()),
        &mut IoWriterWrapper(&mut compressed),
        &mut [0; BUFFER],
        &mut [0; BUFFER],
        parameters,
        StandardAlloc::default(),
        &mut |_, _, _, _| (),
        before.as_bytes(),
        io::ErrorKind::UnexpectedEof.into(),
    )?;
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(opening: &str, rest: &str) {
        let compressed = Opening::new(opening.to_owned()).compressed_document(rest).unwrap();
        let mut read = Vec::new();
        brotli::BrotliDecompress(&mut compressed.as_slice(), &mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), Opening::new(opening.to_owned()).document(rest));
    }

    #[test]
    fn opening_and_rest_are_one_stream_whatever_they_are() {
        let long = "<p class=\"amount\">24.90 USDC</p>é".repeat(4_000);
        for opening in ["", "a", "ab", "<!doctype html>", &long] {
            for rest in ["", "a", "ab", "</html>", &long] {
                check(opening, rest);
            }
        }
    }
}
