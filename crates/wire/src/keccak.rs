//! Keccak-256 for the browser. The one that everything else uses is made for speed and weighs several times as much; this
//! one is part of what a phone downloads, and hashes two short texts. A test compares the two.

const RATE: usize = 136;

/// Keccak-256, with the padding from before FIPS 202, as Ethereum has it.
pub fn keccak256(text: &[u8]) -> [u8; 32] {
    let mut state = [0; 25];
    let mut blocks = text.chunks_exact(RATE);
    for block in &mut blocks {
        absorb(&mut state, block);
    }
    let rest = blocks.remainder();
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] ^= 0x01;
    last[RATE - 1] ^= 0x80;
    absorb(&mut state, &last);

    let mut hash = [0; 32];
    for (bytes, lane) in hash.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&lane.to_le_bytes());
    }
    hash
}

fn absorb(state: &mut [u64; 25], block: &[u8]) {
    for (lane, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
        *lane ^= bytes.iter().rev().fold(0, |lane, byte| lane << 8 | u64::from(*byte));
    }
    // The constants of the rounds come from a shift register of eight bits, seven at a time.
    let mut register = 1_u8;
    for _ in 0..24 {
        mix(state);
        for place in 0..7 {
            if register & 1 == 1 {
                state[0] ^= 1 << ((1_u32 << place) - 1);
            }
            register = register << 1 ^ if 0x80 <= register { 0x71 } else { 0 };
        }
    }
}

/// The steps theta, rho, pi and chi of a round.
fn mix(state: &mut [u64; 25]) {
    let mut columns = [0; 5];
    for (place, lane) in state.iter().enumerate() {
        columns[place % 5] ^= lane;
    }
    for (place, lane) in state.iter_mut().enumerate() {
        *lane ^= columns[(place + 4) % 5] ^ columns[(place + 1) % 5].rotate_left(1);
    }
    let (mut x, mut y, mut moved) = (1, 0, state[1]);
    for step in 1..25_u32 {
        (x, y) = (y, (2 * x + 3 * y) % 5);
        let next = state[x + 5 * y];
        state[x + 5 * y] = moved.rotate_left(step * (step + 1) / 2 % 64);
        moved = next;
    }
    for row in state.chunks_exact_mut(5) {
        let before = [row[0], row[1], row[2], row[3], row[4]];
        for x in 0..5 {
            row[x] ^= !before[(x + 1) % 5] & before[(x + 2) % 5];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_keccak_that_everything_else_uses() {
        for length in (0..300).chain([1_359, 1_360, 1_361]) {
            let text: Vec<u8> = (0..length).map(|place: u32| (place * 151 + length).to_le_bytes()[0]).collect();
            assert_eq!(keccak256(&text), alloy_primitives::keccak256(&text).0, "{length} bytes");
        }
    }
}
