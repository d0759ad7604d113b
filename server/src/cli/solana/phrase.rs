//! A seed phrase (BIP-39) as its owner types it: twelve to twenty-four English words, and what follows from them.

use std::num::NonZeroU32;

use ring::pbkdf2;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The words, from <https://github.com/bitcoin/bips/tree/master/bip-0039>, in the order of their numbers.
const WORDS: &str = include_str!("english.txt");
const BITS_OF_A_WORD: usize = 11;
/// How often the phrase is hashed.
const ROUNDS: NonZeroU32 = NonZeroU32::new(2048).expect("it is not zero");

/// Words that belong together.
pub(super) struct Phrase(Zeroizing<String>);

/// What keys are derived from.
pub(super) type Seed = Zeroizing<[u8; 64]>;

/// Words that are no phrase. A known word is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum PhraseError {
    #[error("a seed phrase has 12, 15, 18, 21 or 24 words, not {0}")]
    Count(usize),
    #[error("word {place}, \"{word}\", is none of the 2048 English words of seed phrases (BIP-39)")]
    Word { place: usize, word: String },
    #[error("each word is a known one, but they do not belong together: one is another, or they are in another order")]
    Checksum,
}

impl Phrase {
    /// Reads what was typed; case and spaces do not matter.
    pub(super) fn read(typed: &str) -> Result<Self, PhraseError> {
        let typed = Zeroizing::new(typed.to_lowercase());
        let count = typed.split_whitespace().count();
        if !matches!(count, 12 | 15 | 18 | 21 | 24) {
            return Err(PhraseError::Count(count));
        }
        let known: Vec<&str> = WORDS.lines().collect();
        // Entropy, and of each 32 bits of it one bit of its hash.
        let mut bits = Zeroizing::new([0_u8; 33]);
        // So long that it is never moved, which would leave a copy behind.
        let mut phrase = Zeroizing::new(String::with_capacity(typed.len()));
        for (index, word) in typed.split_whitespace().enumerate() {
            let Ok(number) = known.binary_search(&word) else {
                return Err(PhraseError::Word { place: index + 1, word: word.to_owned() });
            };
            for bit in 0..BITS_OF_A_WORD {
                let place = index * BITS_OF_A_WORD + bit;
                let is_set = number >> (BITS_OF_A_WORD - 1 - bit) & 1 == 1;
                bits[place / 8] |= u8::from(is_set) << (7 - place % 8);
            }
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        let entropy_bytes = count * BITS_OF_A_WORD / 33 * 4;
        let hash_bits = entropy_bytes / 4;
        let hash = Sha256::digest(&bits[..entropy_bytes]);
        let unused = 8 - hash_bits;
        if bits[entropy_bytes] >> unused == hash[0] >> unused { Ok(Self(phrase)) } else { Err(PhraseError::Checksum) }
    }

    /// The seed; another passphrase makes another one, and each is a good one.
    pub(super) fn seed(&self, passphrase: &str) -> Seed {
        let mut salt = Zeroizing::new(String::with_capacity(16 + 8 * passphrase.len()));
        salt.push_str("mnemonic");
        salt.extend(passphrase.nfkd());
        let mut seed = Zeroizing::new([0; 64]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, salt.as_bytes(), self.0.as_bytes(), seed.as_mut());
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABANDON: &str =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    fn refused(typed: &str) -> PhraseError {
        Phrase::read(typed).err().expect("it is no phrase")
    }

    #[test]
    fn the_words_are_those_of_the_standard() {
        let hash = hex::encode(Sha256::digest(WORDS));
        assert_eq!(hash, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
        assert!(WORDS.lines().is_sorted() && WORDS.lines().count() == 2048);
    }

    /// From the standard's own vectors, all with the passphrase "TREZOR".
    #[test]
    fn seeds_are_those_of_the_standard() {
        for (phrase, seed) in [
            (
                ABANDON,
                "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04",
            ),
            (
                "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal will",
                "f2b94508732bcbacbcc020faefecfc89feafa6649a5491b8c952cede496c214a0c7b3c392d168748f2d4a612bada0753b52a1c7ac53c1e93abd5c6320b9e95dd",
            ),
            (
                "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
                "dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e1613912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b8ba3f05a69890ad",
            ),
        ] {
            assert_eq!(hex::encode(*Phrase::read(phrase).unwrap().seed("TREZOR")), seed, "{phrase}");
        }
    }

    #[test]
    fn case_and_spaces_do_not_matter_and_a_passphrase_does() {
        let seed = Phrase::read(ABANDON).unwrap().seed("");
        let typed = format!("  {}\t", ABANDON.to_uppercase().replace(' ', "   "));
        assert_eq!(Phrase::read(&typed).unwrap().seed(""), seed);
        assert_ne!(Phrase::read(ABANDON).unwrap().seed("x"), seed);
        // One letter, or a letter and its dots.
        let phrase = Phrase::read(ABANDON).unwrap();
        assert_eq!(phrase.seed("\u{e4}"), phrase.seed("a\u{308}"));
    }

    #[test]
    fn a_wrong_word_is_named_and_a_wrong_phrase_refused() {
        let wrong = ABANDON.replacen("abandon about", "abandonn about", 1);
        assert_eq!(refused(&wrong), PhraseError::Word { place: 11, word: "abandonn".to_owned() });
        assert!(refused(&wrong).to_string().contains("word 11, \"abandonn\""));
        assert_eq!(refused(&ABANDON.replace("about", "abandon")), PhraseError::Checksum);
        assert_eq!(refused(&ABANDON.replace("about", "above")), PhraseError::Checksum);
        assert_eq!(refused(""), PhraseError::Count(0));
        assert_eq!(refused(&ABANDON[8..]), PhraseError::Count(11));
        assert_eq!(refused(&format!("{ABANDON} about")), PhraseError::Count(13));
    }
}
