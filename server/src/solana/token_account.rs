//! The account in which a wallet holds a token, which follows from the two.

use sha2::{Digest, Sha256};

use super::{SolanaAddress, programs};

/// Where a wallet holds the tokens of a mint; whether the account is there yet is another question.
///
/// Payments go there, and Solana Pay allows no other account. `token_program` is the program of the mint.
pub fn associated_token_account(
    wallet: SolanaAddress,
    mint: SolanaAddress,
    token_program: SolanaAddress,
) -> SolanaAddress {
    let seeds = [wallet.as_bytes().as_slice(), token_program.as_bytes(), mint.as_bytes()];
    program_address(&seeds, programs::ASSOCIATED_TOKEN)
}

/// The address that a program makes out of seeds: the first of 256 hashes that is no point of the curve, and so has no key.
#[expect(clippy::expect_used, reason = "each hash is a point with a chance of a half")]
pub fn program_address(seeds: &[&[u8]], program: SolanaAddress) -> SolanaAddress {
    let mut candidates = (0..=u8::MAX).rev().map(|bump| {
        let mut hash = Sha256::new();
        for seed in seeds {
            hash.update(seed);
        }
        hash.update([bump]);
        hash.update(program.as_bytes());
        hash.update(b"ProgramDerivedAddress");
        SolanaAddress::new(hash.finalize().into())
    });
    let found = candidates.find(|address| !address.is_on_curve());
    found.expect("256 hashes are never all points of the curve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_accounts_are_those_that_wallets_derive() {
        let scene: serde_json::Value =
            serde_json::from_str(include_str!("../chains/solana/fixtures/scene.json")).unwrap();
        let at = |name: &str| scene[name].as_str().unwrap().parse::<SolanaAddress>().unwrap();
        let merchant = at("merchant");
        assert_eq!(associated_token_account(merchant, at("usd"), programs::TOKEN), at("till"));
        assert_eq!(associated_token_account(merchant, at("twin"), programs::TOKEN_2022), at("twin_till"));
        assert_eq!((at("token_program"), at("token_2022_program")), (programs::TOKEN, programs::TOKEN_2022));
        assert_ne!(associated_token_account(merchant, at("twin"), programs::TOKEN), at("twin_till"));
    }

    #[test]
    fn a_token_account_is_never_a_wallet() {
        for byte in 0..=u8::MAX {
            let wallet = SolanaAddress::new([byte; 32]);
            assert!(!associated_token_account(wallet, wallet, programs::TOKEN).is_on_curve());
        }
    }
}
