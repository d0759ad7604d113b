//! From a seed to the keys of wallets, as SLIP-0010 says for ed25519 and Solana's wallets number them.

use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use zeroize::Zeroizing;

use super::phrase::Seed;
use crate::solana::{Signature, SolanaAddress};

/// The first number that is none; such numbers need the private key above, as all of ed25519's do.
pub(super) const NUMBERS: u32 = 1 << 31;
/// That of BIP-44, and Solana's.
const PURPOSE: u32 = 44;
const SOLANA: u32 = 501;

/// A private key with what the ones below it are derived with.
struct ExtendedKey {
    key: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

/// The accounts of a seed: m/44'/501'/n'/0', as Phantom, Solflare and Backpack number them.
pub(super) struct Accounts(ExtendedKey);

/// The key of one account, which the cryptography library forgets only with the process.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    address: SolanaAddress,
}

impl Accounts {
    pub(super) fn of(seed: &Seed) -> Self {
        Self(ExtendedKey::master(seed.as_slice()).child(PURPOSE).child(SOLANA))
    }

    /// The account of that number, which is below [`NUMBERS`].
    pub(super) fn account(&self, number: u32) -> Signer {
        Signer::new(&self.0.child(number).child(0).key)
    }
}

impl ExtendedKey {
    fn master(seed: &[u8]) -> Self {
        Self::split(&hmac::Key::new(hmac::HMAC_SHA512, b"ed25519 seed"), seed)
    }

    fn child(&self, number: u32) -> Self {
        let mut data = Zeroizing::new([0; 37]);
        data[1..33].copy_from_slice(self.key.as_slice());
        data[33..].copy_from_slice(&(NUMBERS | number).to_be_bytes());
        Self::split(&hmac::Key::new(hmac::HMAC_SHA512, self.chain_code.as_slice()), data.as_slice())
    }

    fn split(key: &hmac::Key, data: &[u8]) -> Self {
        let tag = hmac::sign(key, data);
        let mut halves = Self { key: Zeroizing::default(), chain_code: Zeroizing::default() };
        let (left, right) = tag.as_ref().split_at(32);
        halves.key.copy_from_slice(left);
        halves.chain_code.copy_from_slice(right);
        halves
    }
}

impl Signer {
    #[expect(clippy::expect_used, reason = "any 32 bytes are a private key, and a public key has as many")]
    fn new(key: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(key).expect("32 bytes are a key");
        let address = pair.public_key().as_ref().try_into().map(SolanaAddress::new).expect("a public key has 32 bytes");
        Self { pair, address }
    }

    pub(super) fn address(&self) -> SolanaAddress {
        self.address
    }

    #[expect(clippy::expect_used, reason = "a signature of ed25519 has 64 bytes")]
    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        self.pair.sign(message).as_ref().try_into().map(Signature::new).expect("a signature has 64 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::phrase::Phrase, *};

    /// Test vectors 1 and 2 of SLIP-0010 for ed25519: seed, path, private and public key.
    #[test]
    fn keys_are_those_of_the_standard() {
        let first = "000102030405060708090a0b0c0d0e0f";
        let second = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        for (seed, path, private, public) in [
            (
                first,
                &[][..],
                "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
                "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
            ),
            (
                first,
                &[0],
                "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
                "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
            ),
            (
                first,
                &[0, 1, 2, 2, 1_000_000_000],
                "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
                "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
            ),
            (
                second,
                &[],
                "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
                "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
            ),
        ] {
            let master = ExtendedKey::master(&hex::decode(seed).unwrap());
            let key = path.iter().fold(master, |key, number| key.child(*number));
            assert_eq!(hex::encode(*key.key), private, "{path:?}");
            assert_eq!(hex::encode(Signer::new(&key.key).address().as_bytes()), public, "{path:?}");
        }
    }

    #[test]
    fn accounts_are_those_that_wallets_show() {
        let phrase = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        let accounts = Accounts::of(&Phrase::read(phrase).unwrap().seed(""));
        assert_eq!(accounts.account(0).address().to_string(), "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk");
        assert_ne!(accounts.account(1).address(), accounts.account(0).address());
        assert!(accounts.account(NUMBERS - 1).address().is_on_curve());
    }
}
