//! What wallets read from a code, as far as anybody has written it down. The tables age: each entry says of when it is.

use wire::snapshot::Quote;

/// What a wallet makes of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A payment request (EIP-681 or Solana Pay): recipient, token and amount.
    Request,
    /// A request without the mark that tells whose payment it is, which is known by its amount then.
    Unmarked,
    /// An address. Of a request it would take the wrong one, or nothing.
    Address,
}

impl Reads {
    /// The class by which the page shows the code that fits.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Request => "fits-request",
            Self::Unmarked => "fits-unmarked",
            Self::Address => "fits-address",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Wallet {
    pub name: &'static str,
    pub reads: Reads,
    /// The month it was last heard of, as `2026-07`.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and for the test that wants it"))]
    pub as_of: &'static str,
}

const fn wallet(name: &'static str, reads: Reads, as_of: &'static str) -> Wallet {
    Wallet { name, reads, as_of }
}

/// What the wallets of a quote's network read.
pub fn wallets_for(quote: &Quote) -> &'static [Wallet] {
    if quote.chain_id.is_some() { &WALLETS } else { &ON_SOLANA }
}

/// On Solana, by name.
pub const ON_SOLANA: [Wallet; 5] = [
    // Leaves the mark out by itself: coral-xyz/backpack#4369.
    wallet("Backpack", Reads::Request, "2026-11"),
    // Opens a request, but cannot add the mark (8.11).
    wallet("MetaMask", Reads::Unmarked, "2026-09"),
    wallet("Phantom", Reads::Request, "2026-11"),
    wallet("Solflare", Reads::Request, "2026-11"),
    // Sends a thousand times what a request for a token says.
    wallet("Trust Wallet", Reads::Address, "2026-09"),
];

/// On EVM networks, by name. A wallet that is not in here gets the address alone, which every wallet reads.
pub const WALLETS: [Wallet; 8] = [
    // Once Coinbase Wallet.
    wallet("Base App", Reads::Request, "2026-11"),
    // Reads requests in part.
    wallet("imToken", Reads::Address, "2026-11"),
    // A release for iOS read none for a while: MetaMask/metamask-mobile#27896.
    wallet("MetaMask", Reads::Request, "2026-03"),
    // Sent a token request's money to the token's contract: MyEtherWallet/MyEtherWallet#3056.
    wallet("MyEtherWallet", Reads::Address, "2025-12"),
    wallet("Rainbow", Reads::Request, "2026-11"),
    // Takes bare addresses only: trezor/trezor-suite#30266.
    wallet("Trezor Suite", Reads::Address, "2026-07"),
    // Takes the recipient and leaves out token and amount.
    wallet("Trust Wallet", Reads::Address, "2026-11"),
    // "Invalid QR Code": Uniswap/interface#8022.
    wallet("Uniswap Wallet", Reads::Address, "2026-04"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_are_in_order_and_each_says_of_when_it_is() {
        assert!(WALLETS.is_sorted_by_key(|wallet| wallet.name.to_lowercase()));
        assert!(ON_SOLANA.is_sorted_by_key(|wallet| wallet.name.to_lowercase()));
        for Wallet { name, as_of, .. } in WALLETS.into_iter().chain(ON_SOLANA) {
            let (year, month) = as_of.split_once('-').unwrap_or_else(|| panic!("{name}"));
            assert!((2025..=2100).contains(&year.parse::<u32>().unwrap()), "{name}");
            assert!((1..=12).contains(&month.parse::<u32>().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_wallet_that_would_pay_the_contract_never_gets_a_request() {
        let reads = |name| WALLETS.into_iter().find(|wallet| wallet.name == name).map(|wallet| wallet.reads);
        for name in ["MyEtherWallet", "Trust Wallet", "Trezor Suite", "Uniswap Wallet"] {
            assert_eq!(reads(name), Some(Reads::Address), "{name}");
        }
        assert_eq!(reads("MetaMask"), Some(Reads::Request));
    }

    #[test]
    fn on_solana_a_wallet_that_would_send_too_much_gets_no_request_and_one_that_cannot_mark_gets_one_without_a_mark() {
        let reads = |name| ON_SOLANA.into_iter().find(|wallet| wallet.name == name).map(|wallet| wallet.reads);
        assert_eq!(reads("Trust Wallet"), Some(Reads::Address));
        assert_eq!(reads("MetaMask"), Some(Reads::Unmarked));
        assert_eq!(reads("Phantom"), Some(Reads::Request));
        // Of EVM networks no wallet is asked to leave out what is not there.
        assert!(WALLETS.iter().all(|wallet| wallet.reads != Reads::Unmarked));
    }
}
