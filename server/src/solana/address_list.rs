//! A merchant's list of receiving addresses, as `pepay solana addresses` prints it.

use std::collections::BTreeMap;

use super::{SolanaAddress, WalletError, solana_wallet};

/// A line that is no address to be paid at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct AddressListError {
    /// Counted from one.
    pub line: usize,
    pub problem: LineError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("the same address as in line {0}; each may be given once")]
    Again(usize),
}

/// Reads a list of wallets, one in each line; what begins with `#` is a remark, also behind an address.
///
/// # Errors
///
/// If a line is no wallet, or one that is there already; `is_mint` knows the mints of this server's tokens.
pub fn read_address_list(
    text: &str,
    is_mint: impl Fn(SolanaAddress) -> bool,
) -> Result<Vec<SolanaAddress>, AddressListError> {
    let mut addresses = Vec::new();
    let mut lines = BTreeMap::new();
    // Editors of some systems begin a file with a mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.split_once('#').map_or(content, |(before, _)| before).trim();
        if content.is_empty() {
            continue;
        }
        let failed = |problem| AddressListError { line, problem };
        let address = solana_wallet(content, &is_mint).map_err(|error| failed(error.into()))?;
        match lines.insert(address, line) {
            Some(first) => return Err(failed(LineError::Again(first))),
            None => addresses.push(address),
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solana::AddressError;

    const FIRST: &str = "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo";
    const SECOND: &str = "Gj4rodrXodnZ718B8zpSiY9BYe1dWJaa7HTf7ECGaeth";
    const MINT: &str = "2h2F2rC21vWWguebfoWHKkRTL1a9X3USaujUkutUPsCx";

    fn read(text: &str) -> Result<Vec<String>, AddressListError> {
        let list = read_address_list(text, |address| address.to_string() == MINT)?;
        Ok(list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_list_is_one_address_in_each_line_with_remarks() {
        let text = format!("\u{feff}# till 1\r\n{FIRST}\r\n\r\n   {SECOND}  # by the door\n#{MINT}\n");
        assert_eq!(read(&text).unwrap(), [FIRST, SECOND]);
        assert_eq!(read("").unwrap(), Vec::<String>::new());
        assert_eq!(read("# none yet").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_cannot_be_paid_at_is_named_by_its_number() {
        let wallet = LineError::Wallet;
        for (line, problem) in [
            (FIRST, LineError::Again(2)),
            (MINT, wallet(WalletError::Mint)),
            ("APrMQ2gJj99PfjSRhaR7SZmPuym1oJmXNbHUttY66q3L", wallet(WalletError::OffCurve)),
            ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", wallet(WalletError::Program("Token"))),
            ("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", wallet(AddressError::Evm.into())),
            ("H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdh", wallet(AddressError::Length(31).into())),
            (&format!("{FIRST} {SECOND}"), wallet(AddressError::TooLong.into())),
            (&format!("{FIRST},"), wallet(AddressError::NotBase58(',').into())),
        ] {
            let text = format!("# mine\n{FIRST}\n\n{line}\n{SECOND}\n");
            assert_eq!(read(&text), Err(AddressListError { line: 4, problem }), "{line}");
        }
        let said = read(&format!("{FIRST}\n{FIRST}")).unwrap_err().to_string();
        assert_eq!(said, "line 2: the same address as in line 1; each may be given once");
    }
}
