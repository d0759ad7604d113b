//! The marks of `assets/marks`, compiled in.

use leptos::prelude::*;
use wire::payor::TokenType;

pub const BLOCKS: &str = path_of(include_str!("../../../assets/marks/blocks.svg"));
pub const CHECK: &str = path_of(include_str!("../../../assets/marks/check.svg"));
pub const CLOCK: &str = path_of(include_str!("../../../assets/marks/clock.svg"));
pub const CROSS: &str = path_of(include_str!("../../../assets/marks/cross.svg"));
pub const WARNING: &str = path_of(include_str!("../../../assets/marks/warning.svg"));
const COIN: &str = path_of(include_str!("../../../assets/marks/coin.svg"));
const DIAMOND: &str = path_of(include_str!("../../../assets/marks/diamond.svg"));
const DOLLAR: &str = path_of(include_str!("../../../assets/marks/dollar.svg"));

/// A mark beside text that says the same, so hidden from screen readers.
#[component]
pub fn Mark(path: &'static str) -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
            <path d=path />
        </svg>
    }
}

/// The neutral mark of a token.
pub fn token_mark(token_type: TokenType, symbol: &str) -> &'static str {
    match token_type {
        TokenType::Native => DIAMOND,
        TokenType::Erc20 if symbol.contains("USD") || symbol == "DAI" => DOLLAR,
        TokenType::Erc20 => COIN,
    }
}

/// The path data of an SVG file with one path; a file without one does not compile.
const fn path_of(svg: &'static str) -> &'static str {
    let bytes = svg.as_bytes();
    let mut start = 0;
    while !(bytes[start] == b' ' && bytes[start + 1] == b'd' && bytes[start + 2] == b'=' && bytes[start + 3] == b'"') {
        start += 1;
    }
    start += 4;
    let mut end = start;
    while bytes[end] != b'"' {
        end += 1;
    }
    svg.split_at(end).0.split_at(start).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_path_data_and_nothing_else() {
        for path in [BLOCKS, CHECK, CLOCK, CROSS, WARNING, COIN, DIAMOND, DOLLAR] {
            assert!(path.starts_with('M') && path.ends_with('Z'), "{path}");
            assert!(!path.contains(['"', '<', '>']), "{path}");
        }
    }
}
