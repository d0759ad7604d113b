//! Programs and accounts that every network of Solana's has at the same address.

use super::SolanaAddress;

/// Owns wallets, makes accounts and moves SOL.
pub const SYSTEM: SolanaAddress = SolanaAddress::known("11111111111111111111111111111111");
/// The program of most tokens.
pub const TOKEN: SolanaAddress = SolanaAddress::known("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// The program of tokens with extensions, such as a fee for each transfer.
pub const TOKEN_2022: SolanaAddress = SolanaAddress::known("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// Gives each wallet one account for each token.
pub const ASSOCIATED_TOKEN: SolanaAddress = SolanaAddress::known("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// The memo programs in use, from the oldest to the newest.
pub const MEMO: [SolanaAddress; 3] = [
    SolanaAddress::known("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    SolanaAddress::known("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
    SolanaAddress::known("Memo4c2pN8afCj432Lb7RMVKi9PbQnnW7ewFFaV3oAH"),
];
/// Bids for a transaction's place in a block.
pub const COMPUTE_BUDGET: SolanaAddress = SolanaAddress::known("ComputeBudget111111111111111111111111111111");
/// The block hashes of late, which a durable nonce is renewed from.
pub const RECENT_BLOCKHASHES: SolanaAddress = SolanaAddress::known("SysvarRecentB1ockHashes11111111111111111111");

/// What is found at an address that is nobody's wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWallet {
    /// A program, by its name.
    Program(&'static str),
    /// What the network tells programs about itself.
    Sysvar,
    /// The mint of a well known token.
    Mint(&'static str),
    /// Where people send what they want to destroy.
    Incinerator,
}

const INCINERATOR: SolanaAddress = SolanaAddress::known("1nc1nerator11111111111111111111111111111111");

const PROGRAMS: [(SolanaAddress, &str); 17] = [
    (SYSTEM, "System"),
    (TOKEN, "Token"),
    (TOKEN_2022, "Token-2022"),
    (ASSOCIATED_TOKEN, "Associated Token"),
    (MEMO[0], "Memo"),
    (MEMO[1], "Memo"),
    (MEMO[2], "Memo"),
    (COMPUTE_BUDGET, "Compute Budget"),
    (SolanaAddress::known("AddressLookupTab1e1111111111111111111111111"), "Address Lookup Table"),
    (SolanaAddress::known("Stake11111111111111111111111111111111111111"), "Stake"),
    (SolanaAddress::known("Vote111111111111111111111111111111111111111"), "Vote"),
    (SolanaAddress::known("Config1111111111111111111111111111111111111"), "Config"),
    (SolanaAddress::known("Ed25519SigVerify111111111111111111111111111"), "Ed25519"),
    (SolanaAddress::known("KeccakSecp256k11111111111111111111111111111"), "Secp256k1"),
    (SolanaAddress::known("NativeLoader1111111111111111111111111111111"), "Native Loader"),
    (SolanaAddress::known("BPFLoader2111111111111111111111111111111111"), "BPF Loader"),
    (SolanaAddress::known("BPFLoaderUpgradeab1e11111111111111111111111"), "BPF Loader"),
];

const MINTS: [(SolanaAddress, &str); 6] = [
    (SolanaAddress::known("So11111111111111111111111111111111111111112"), "wrapped SOL"),
    (SolanaAddress::known("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"), "USDC"),
    (SolanaAddress::known("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"), "USDC on devnet"),
    (SolanaAddress::known("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"), "USDT"),
    (SolanaAddress::known("2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo"), "PYUSD"),
    (SolanaAddress::known("HzwqbKZw8HxMN6bF2yFZNrht3c2iXXzpKcFu7uBEDKtr"), "EURC"),
];

/// What is at an address that everybody knows to be nobody's wallet.
pub fn known(address: SolanaAddress) -> Option<NoWallet> {
    let name_of = |list: &[(SolanaAddress, &'static str)]| {
        list.iter().find(|(known, _)| *known == address).map(|(_, name)| *name)
    };
    if let Some(name) = name_of(&PROGRAMS) {
        return Some(NoWallet::Program(name));
    }
    if let Some(symbol) = name_of(&MINTS) {
        return Some(NoWallet::Mint(symbol));
    }
    if address == INCINERATOR {
        return Some(NoWallet::Incinerator);
    }
    address.to_string().starts_with("Sysvar").then_some(NoWallet::Sysvar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nobodys_wallet_is_known_for_what_it_is() {
        let at = |text: &str| known(text.parse().unwrap());
        assert_eq!(at("11111111111111111111111111111111"), Some(NoWallet::Program("System")));
        assert_eq!(at("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"), Some(NoWallet::Program("Token-2022")));
        assert_eq!(at("SysvarC1ock11111111111111111111111111111111"), Some(NoWallet::Sysvar));
        assert_eq!(at("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"), Some(NoWallet::Mint("USDT")));
        assert_eq!(at("1nc1nerator11111111111111111111111111111111"), Some(NoWallet::Incinerator));
        assert_eq!(at("H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo"), None);
    }
}
