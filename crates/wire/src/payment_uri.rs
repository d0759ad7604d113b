//! Payment links that wallets scan.

/// An EIP-681 request to send `amount` base units to `address`.
///
/// The chain id is always written, also for chain 1, and the amount is always a plain integer: the
/// standard allows exponents, which wallets read differently.
pub fn eip681(chain_id: u64, token_contract: Option<&str>, address: &str, amount: &str) -> String {
    match token_contract {
        Some(contract) => format!("ethereum:{contract}@{chain_id}/transfer?address={address}&uint256={amount}"),
        None => format!("ethereum:{address}@{chain_id}?value={amount}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_request_names_recipient_chain_and_value() {
        assert_eq!(
            eip681(8453, None, "0xDepositAddr", "10000000000000000"),
            "ethereum:0xDepositAddr@8453?value=10000000000000000"
        );
    }

    #[test]
    fn a_token_request_calls_transfer_on_the_contract() {
        assert_eq!(
            eip681(1, Some("0xTokenAddr"), "0xDepositAddr", "12340000"),
            "ethereum:0xTokenAddr@1/transfer?address=0xDepositAddr&uint256=12340000"
        );
    }
}
