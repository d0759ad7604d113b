//! What a wallet reads from the page: a picture of a QR code, and the payment request in it.
//!
//! Written from the standard and apart from the product's own code, so that the two check each other.

use std::collections::HashMap;

use alloy_primitives::{Address, U256};

use crate::outcome::{Failure, Outcome};

/// An EIP-681 request to send the network's own coin or to call `transfer` on a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    /// The number of the network.
    pub chain_id: u64,
    /// The token's contract; `None` for the network's own coin.
    pub token: Option<Address>,
    /// Who is paid.
    pub recipient: Address,
    /// In the token's smallest unit.
    pub amount: U256,
}

/// Reads the one QR code in a picture.
///
/// # Errors
///
/// When there is none, or more than one, or it cannot be read.
pub fn scan(png: &[u8]) -> Outcome<String> {
    let picture = image::load_from_memory(png)?.into_luma8();
    let (width, height) = picture.dimensions();
    let mut picture = rqrr::PreparedImage::prepare(picture);
    match picture.detect_grids().as_slice() {
        [code] => Ok(code.decode()?.1),
        codes => Err(Failure::new(format!("{} QR codes in a picture of {width} x {height}", codes.len()))),
    }
}

/// Reads `ethereum:<target>@<chain>[/<function>]?<parameters>`.
///
/// # Errors
///
/// When it is something else, or asks for something else than a payment.
pub fn parse(uri: &str) -> Outcome<PaymentRequest> {
    read(uri).ok_or_else(|| Failure::new(format!("not a payment request: {uri}")))
}

fn read(uri: &str) -> Option<PaymentRequest> {
    let (path, query) = uri.strip_prefix("ethereum:")?.split_once('?')?;
    let (target, chain) = path.split_once('@')?;
    let (chain, function) = match chain.split_once('/') {
        Some((chain, function)) => (chain, Some(function)),
        None => (chain, None),
    };
    let parameters: HashMap<&str, &str> =
        query.split('&').map(|parameter| parameter.split_once('=')).collect::<Option<_>>()?;
    let chain_id = whole(chain)?.try_into().ok()?;
    let target = address(target)?;

    match function {
        None if parameters.len() == 1 => {
            Some(PaymentRequest { chain_id, token: None, recipient: target, amount: whole(parameters.get("value")?)? })
        }
        Some("transfer") if parameters.len() == 2 => Some(PaymentRequest {
            chain_id,
            token: Some(target),
            recipient: address(parameters.get("address")?)?,
            amount: whole(parameters.get("uint256")?)?,
        }),
        _ => None,
    }
}

/// An address whose capitals are its checksum (ERC-55), as a careful wallet wants it.
fn address(text: &str) -> Option<Address> {
    Address::parse_checksummed(text, None).ok()
}

/// Digits and nothing else: no sign, no exponent.
fn whole(text: &str) -> Option<U256> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { U256::from_str_radix(text, 10).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    const TOKEN: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
    const RECIPIENT: Address = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");

    #[test]
    fn token_transfer_names_contract_recipient_and_amount() {
        let uri = format!("ethereum:{TOKEN}@31338/transfer?address={RECIPIENT}&uint256=24900000");
        let request = PaymentRequest {
            chain_id: 31338,
            token: Some(TOKEN),
            recipient: RECIPIENT,
            amount: U256::from(24_900_000),
        };
        assert_eq!(parse(&uri).unwrap(), request);
    }

    #[test]
    fn plain_coin_goes_to_the_target_itself() {
        let uri = format!("ethereum:{RECIPIENT}@1?value=9960000000000000");
        let amount = U256::from(9_960_000_000_000_000_u64);
        assert_eq!(parse(&uri).unwrap(), PaymentRequest { chain_id: 1, token: None, recipient: RECIPIENT, amount });
    }

    #[test]
    fn anything_else_is_refused() {
        let check = |uri: String| assert!(parse(&uri).is_err(), "{uri}");
        check(format!("{RECIPIENT}"));
        check(format!("ethereum:{RECIPIENT}@1"));
        check(format!("ethereum:{RECIPIENT}?value=1"));
        check(format!("ethereum:{RECIPIENT}@1?value=1e18"));
        check(format!("ethereum:{RECIPIENT}@1?value=1&gas=1"));
        check(format!("ethereum:{}@1?value=1", RECIPIENT.to_string().to_lowercase()));
        check(format!("ethereum:{TOKEN}@1/approve?address={RECIPIENT}&uint256=1"));
        check(format!("ethereum:{TOKEN}@1/transfer?address={RECIPIENT}&uint256=-1"));
        check(format!("bitcoin:{RECIPIENT}@1?value=1"));
    }

    #[test]
    fn picture_without_a_code_is_not_read() {
        let mut png = Vec::new();
        let white = image::GrayImage::from_pixel(64, 64, image::Luma([255]));
        white.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        assert!(scan(&png).unwrap_err().to_string().starts_with("0 QR codes"));
    }
}
