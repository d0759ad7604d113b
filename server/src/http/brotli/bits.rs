//! Bits in a row, each byte filled from its lowest.

/// The most that are pushed at once, and how many are kept back until they are as many.
const BATCH: u32 = 32;

pub struct Bits {
    bytes: Vec<u8>,
    /// What is not in `bytes` yet, fewer than a batch.
    held: u64,
    count: u32,
}

impl Bits {
    /// Goes on after whole bytes.
    pub const fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// Pushes the lowest `width` bits of `value`, which has no others.
    pub fn push(&mut self, value: usize, width: u32) {
        debug_assert!(width <= BATCH && value >> width == 0, "{value} in {width} bits");
        self.held |= (value as u64) << self.count;
        self.count += width;
        if BATCH <= self.count {
            self.bytes.extend_from_slice(&self.held.to_le_bytes()[..4]);
            self.held >>= BATCH;
            self.count -= BATCH;
        }
    }

    /// All of them, with zeros to the end of the last byte.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let whole = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.held.to_le_bytes()[..whole]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_fill_from_their_lowest_bit() {
        let mut bits = Bits::after(vec![7]);
        bits.push(0b1, 1);
        bits.push(0b10, 2);
        bits.push(0, 0);
        bits.push(0xABCD_EF01, 32);
        bits.push(0b11, 2);
        let bytes = bits.into_bytes();
        let read = bytes[1..].iter().rev().fold(0_u64, |read, byte| read << 8 | u64::from(*byte));
        assert_eq!((bytes[0], read), (7, 0b101 | 0xABCD_EF01 << 3 | 0b11 << 35));
    }
}
