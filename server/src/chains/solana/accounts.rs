//! What accounts hold, from their bytes. The layouts are those of the programs that own them.

use super::rpc::Account;
use crate::solana::{Hash, SolanaAddress, programs};

/// Bytes of a token account, and where extensions of Token-2022 begin with the kind of account.
const TOKEN_ACCOUNT: usize = 165;
const MINT: usize = 82;
const NONCE: usize = 80;

/// An account in which somebody holds a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAccount {
    /// The token's program.
    pub program: SolanaAddress,
    pub mint: SolanaAddress,
    pub owner: SolanaAddress,
    /// In base units.
    pub amount: u64,
    pub is_frozen: bool,
    /// It wraps SOL.
    pub is_native: bool,
    /// Who else may close it.
    pub close_authority: Option<SolanaAddress>,
    /// Transfer fees of Token-2022 that were withheld in it; while there are any it cannot be closed.
    pub withheld: u64,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mint {
    /// The token's program.
    pub program: SolanaAddress,
    pub decimals: u8,
}

/// A durable nonce, which keeps a transaction good until it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// Who has to sign its use.
    pub authority: SolanaAddress,
    /// What stands in a transaction where else a late block's hash does.
    pub value: Hash,
}

/// An account is not what it was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("is no token account")]
    NoTokenAccount,
    #[error("is no mint")]
    NoMint,
    #[error("is no nonce account that was initialised")]
    NoNonce,
}

impl TokenAccount {
    /// # Errors
    ///
    /// If it is none.
    pub fn read(account: &Account) -> Result<Self, AccountError> {
        read_token_account(account).ok_or(AccountError::NoTokenAccount)
    }
}

fn read_token_account(account: &Account) -> Option<TokenAccount> {
    let program = token_program(account)?;
    let data = account.data.as_slice();
    let is_of_kind = match data.len() {
        TOKEN_ACCOUNT => true,
        // Extensions follow, and before them what they extend: 1 is a mint, 2 a token account.
        166.. => data.get(TOKEN_ACCOUNT) == Some(&2) && program == programs::TOKEN_2022,
        _ => false,
    };
    let state = *data.get(108)?;
    if !is_of_kind || !matches!(state, 1 | 2) {
        return None;
    }
    let has_close_authority = flag(data, 129)?;
    Some(TokenAccount {
        program,
        mint: address(data, 0)?,
        owner: address(data, 32)?,
        amount: number(data, 64)?,
        is_frozen: state == 2,
        is_native: flag(data, 109)?,
        close_authority: if has_close_authority { Some(address(data, 133)?) } else { None },
        withheld: extension(data, TRANSFER_FEE_AMOUNT).and_then(|fee| number(fee, 0)).unwrap_or_default(),
    })
}

/// The kind of the extension that holds fees.
const TRANSFER_FEE_AMOUNT: u16 = 2;

/// What an extension of that kind holds, if the account has one: kind and length in two bytes each, then that.
fn extension(data: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = data.get(TOKEN_ACCOUNT + 1..)?;
    loop {
        let (kind, length) = (rest.get(..2)?, rest.get(2..4)?);
        let kind = u16::from_le_bytes(kind.try_into().ok()?);
        let length = usize::from(u16::from_le_bytes(length.try_into().ok()?));
        let value = rest.get(4..4 + length)?;
        match kind {
            0 => return None,
            kind if kind == wanted => return Some(value),
            _ => rest = rest.get(4 + length..)?,
        }
    }
}

impl Mint {
    /// # Errors
    ///
    /// If it is none.
    pub fn read(account: &Account) -> Result<Self, AccountError> {
        read_mint(account).ok_or(AccountError::NoMint)
    }
}

fn read_mint(account: &Account) -> Option<Mint> {
    let program = token_program(account)?;
    let data = account.data.as_slice();
    let is_of_kind = match data.len() {
        MINT => true,
        // With extensions a mint is as long as a token account, so that the kind stands at the same place.
        166.. => data.get(TOKEN_ACCOUNT) == Some(&1) && program == programs::TOKEN_2022,
        _ => false,
    };
    let is_initialised = *data.get(45)? == 1;
    if !is_of_kind || !is_initialised {
        return None;
    }
    Some(Mint { program, decimals: *data.get(44)? })
}

impl Nonce {
    /// # Errors
    ///
    /// If it is none, or an empty one.
    pub fn read(account: &Account) -> Result<Self, AccountError> {
        read_nonce(account).ok_or(AccountError::NoNonce)
    }
}

fn read_nonce(account: &Account) -> Option<Nonce> {
    let data = account.data.as_slice();
    // Version 1 and state 1, in four bytes each; version 0 cannot be used any more.
    let is_nonce =
        account.owner == programs::SYSTEM && data.len() == NONCE && data.get(..8)? == [1, 0, 0, 0, 1, 0, 0, 0];
    if !is_nonce {
        return None;
    }
    Some(Nonce { authority: address(data, 8)?, value: Hash::new(*address(data, 40)?.as_bytes()) })
}

fn token_program(account: &Account) -> Option<SolanaAddress> {
    [programs::TOKEN, programs::TOKEN_2022].into_iter().find(|program| *program == account.owner)
}

fn address(data: &[u8], at: usize) -> Option<SolanaAddress> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(SolanaAddress::new(*bytes))
}

fn number(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Whether an optional field, four bytes of which say so, is there.
fn flag(data: &[u8], at: usize) -> Option<bool> {
    match data.get(at..at + 4)? {
        [0, 0, 0, 0] => Some(false),
        [1, 0, 0, 0] => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chains::solana::rpc::read_each;

    fn accounts() -> Vec<Option<Account>> {
        let file: serde_json::Value = serde_json::from_str(include_str!("fixtures/accounts.json")).unwrap();
        read_each(&file["result"], 5).unwrap().value
    }

    #[test]
    fn token_accounts_and_mints_of_both_programs_read_as_they_are() {
        let accounts = accounts();
        let [Some(till), Some(usd), Some(twin), None, Some(wallet)] = &accounts[..] else { panic!("{accounts:?}") };
        let read = TokenAccount::read(till).unwrap();
        assert_eq!(read.mint.to_string(), "2h2F2rC21vWWguebfoWHKkRTL1a9X3USaujUkutUPsCx");
        assert_eq!(read.owner.to_string(), "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo");
        assert_eq!((read.program, read.amount), (programs::TOKEN, 38_340_001));
        assert_eq!((read.is_frozen, read.is_native, read.close_authority, read.withheld), (false, false, None, 0));
        assert_eq!(Mint::read(usd), Ok(Mint { program: programs::TOKEN, decimals: 6 }));
        assert_eq!(Mint::read(twin), Ok(Mint { program: programs::TOKEN_2022, decimals: 6 }));

        assert_eq!(wallet.lamports, 10_649_995_000);
        for other in [usd, twin, wallet] {
            assert_eq!(TokenAccount::read(other), Err(AccountError::NoTokenAccount));
        }
        for other in [till, wallet] {
            assert_eq!(Mint::read(other), Err(AccountError::NoMint));
            assert_eq!(Nonce::read(other), Err(AccountError::NoNonce));
        }
    }

    #[test]
    fn an_account_of_another_program_or_of_another_length_is_none() {
        let [Some(till), Some(usd), ..] = &accounts()[..] else { panic!("there are two") };
        for account in [till, usd] {
            let forged = Account { owner: programs::SYSTEM, ..account.clone() };
            assert!(TokenAccount::read(&forged).is_err() && Mint::read(&forged).is_err());
        }
        let cut = |account: &Account, length| Account { data: account.data[..length].to_vec(), ..account.clone() };
        assert!((0..till.data.len()).all(|length| TokenAccount::read(&cut(till, length)).is_err()));
        assert!((0..usd.data.len()).all(|length| Mint::read(&cut(usd, length)).is_err()));
    }

    #[test]
    fn withheld_fees_are_found_among_extensions() {
        let [Some(till), ..] = &accounts()[..] else { panic!("there is one") };
        let mut account = Account { owner: programs::TOKEN_2022, ..till.clone() };
        account.data.push(2);
        // That its owner cannot change, which holds nothing; then the fees.
        account.data.extend([7, 0, 0, 0, 2, 0, 8, 0]);
        account.data.extend(1_000_u64.to_le_bytes());
        assert_eq!(TokenAccount::read(&account).unwrap().withheld, 1_000);
        account.data.truncate(TOKEN_ACCOUNT + 6);
        assert_eq!(TokenAccount::read(&account).unwrap().withheld, 0);
    }
}
