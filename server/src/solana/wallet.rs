//! Addresses that money may be sent to. Whoever types one wrong has nobody to ask for it back.

use super::{
    AddressError, SolanaAddress,
    programs::{self, NoWallet},
};

/// Why money is not sent to such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("is the {0} program, which could never give the money back; give a wallet")]
    Program(&'static str),
    #[error("belongs to the network itself, which could never give the money back; give a wallet")]
    Sysvar,
    #[error("is the mint of {0}, which could never give the money back; give the wallet that is to hold it")]
    KnownMint(&'static str),
    #[error("is the mint of a token of this server, which could never give the money back; give a wallet")]
    Mint,
    #[error("nobody holds this address: it is where tokens are burnt")]
    Incinerator,
    #[error(
        "is no wallet, but a token account or another account without a key; give the wallet it belongs to, which your \
         wallet shows under \"receive\""
    )]
    OffCurve,
}

/// Reads a wallet; `is_mint` knows the mints of this server's tokens.
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn solana_wallet(text: &str, is_mint: impl Fn(SolanaAddress) -> bool) -> Result<SolanaAddress, WalletError> {
    let address = text.parse()?;
    check_wallet(address, is_mint).map(|()| address)
}

/// Whether money may be sent to an address.
///
/// # Errors
///
/// If nobody could take it from there.
pub fn check_wallet(address: SolanaAddress, is_mint: impl Fn(SolanaAddress) -> bool) -> Result<(), WalletError> {
    match programs::known(address) {
        Some(NoWallet::Program(name)) => return Err(WalletError::Program(name)),
        Some(NoWallet::Sysvar) => return Err(WalletError::Sysvar),
        Some(NoWallet::Mint(symbol)) => return Err(WalletError::KnownMint(symbol)),
        Some(NoWallet::Incinerator) => return Err(WalletError::Incinerator),
        None => {}
    }
    if is_mint(address) {
        return Err(WalletError::Mint);
    }
    if !address.is_on_curve() {
        return Err(WalletError::OffCurve);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_does_not_go_where_nobody_could_take_it() {
        let mint: SolanaAddress = "2h2F2rC21vWWguebfoWHKkRTL1a9X3USaujUkutUPsCx".parse().unwrap();
        for (text, refused) in [
            ("11111111111111111111111111111111", WalletError::Program("System")),
            ("SysvarRent111111111111111111111111111111111", WalletError::Sysvar),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", WalletError::KnownMint("USDC")),
            ("2h2F2rC21vWWguebfoWHKkRTL1a9X3USaujUkutUPsCx", WalletError::Mint),
            ("1nc1nerator11111111111111111111111111111111", WalletError::Incinerator),
            ("APrMQ2gJj99PfjSRhaR7SZmPuym1oJmXNbHUttY66q3L", WalletError::OffCurve),
            ("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", WalletError::Address(AddressError::Evm)),
        ] {
            assert_eq!(solana_wallet(text, |address| address == mint), Err(refused), "{text}");
        }
        let wallet = "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo";
        assert_eq!(solana_wallet(wallet, |address| address == mint).unwrap().to_string(), wallet);
    }
}
