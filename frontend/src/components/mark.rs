//! The marks of `assets/marks`, compiled in.

use leptos::prelude::*;
use wire::payor::TokenType;

use crate::part::{Part, part};

/// The path of a file of `assets/marks`.
macro_rules! marks {
    ($($name:ident: $file:literal,)*) => {
        $(pub const $name: &str = path_of(include_str!(concat!("../../../assets/marks/", $file, ".svg")));)*

        #[cfg(test)]
        const ALL: &[&str] = &[$($name),*];
    };
}

marks! {
    ARBITRUM: "arbitrum",
    AVALANCHE: "avalanche",
    BASE: "base",
    BLOCKS: "blocks",
    BSC: "bsc",
    CHECK: "check",
    CLOCK: "clock",
    COIN: "coin",
    CROSS: "cross",
    DAI: "dai",
    DIAMOND: "diamond",
    DOLLAR: "dollar",
    OPTIMISM: "optimism",
    POLYGON: "polygon",
    SOLANA: "solana",
    TETHER: "tether",
    WARNING: "warning",
}

/// A mark beside text that says the same, so hidden from screen readers.
#[component]
pub fn Mark(path: &'static str) -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
            <path d=path />
        </svg>
    }
}

/// The same as data.
pub fn mark(path: &'static str) -> Part {
    let drawing = part("path", "").with("d", path);
    part("svg", "mark").with("viewBox", "0 0 24 24").with("aria-hidden", "true").child(drawing)
}

/// The mark of a token: of a network's own coin that of the network.
pub fn token_mark(token_type: TokenType, symbol: &str, network: &str) -> &'static str {
    match (token_type, symbol) {
        (TokenType::Native, "ETH") => DIAMOND,
        (TokenType::Native, _) => network_mark(network),
        (TokenType::Erc20 | TokenType::Spl, "DAI") => DAI,
        (TokenType::Erc20 | TokenType::Spl, symbol) if symbol.starts_with("USDT") || symbol.starts_with("USD₮") => {
            TETHER
        }
        (TokenType::Erc20 | TokenType::Spl, symbol) if symbol.contains("USD") => DOLLAR,
        (TokenType::Erc20 | TokenType::Spl, _) => COIN,
    }
}

/// The mark of a network by its name; one that nobody drew gets blocks.
pub fn network_mark(network: &str) -> &'static str {
    match network {
        "ethereum" => DIAMOND,
        "base" => BASE,
        "bsc" => BSC,
        "polygon" => POLYGON,
        "arbitrum" => ARBITRUM,
        "optimism" => OPTIMISM,
        "avalanche" => AVALANCHE,
        "solana" => SOLANA,
        _ => BLOCKS,
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
        for path in ALL {
            assert!(path.starts_with('M') && path.ends_with('Z'), "{path}");
            assert!(!path.contains(['"', '<', '>']), "{path}");
        }
    }
}
