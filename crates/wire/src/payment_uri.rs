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

/// What a Solana Pay transfer request asks for.
#[derive(Clone, Copy, Debug)]
pub struct SolanaTransfer<'t> {
    /// The wallet, never its token account.
    pub recipient: &'t str,
    /// In whole coins or tokens, as decimals with a digit before the point and no more behind it than the token has: wallets
    /// must reject any other.
    pub amount: &'t str,
    /// The token's mint; SOL without.
    pub mint: Option<&'t str>,
    /// 32 bytes as base58, by which the payment is found.
    pub reference: Option<&'t str>,
    /// Who is paid.
    pub label: Option<&'t str>,
    /// What for.
    pub message: Option<&'t str>,
    /// Written into the transaction, where everybody can read it for ever.
    pub memo: Option<&'t str>,
}

/// A Solana Pay transfer request.
pub fn solana_pay(transfer: &SolanaTransfer<'_>) -> String {
    let mut uri = format!("solana:{}?amount={}", transfer.recipient, transfer.amount);
    let optional = [
        ("&spl-token=", transfer.mint),
        ("&reference=", transfer.reference),
        ("&label=", transfer.label),
        ("&message=", transfer.message),
        ("&memo=", transfer.memo),
    ];
    for (name, value) in optional {
        let Some(value) = value else { continue };
        uri.push_str(name);
        for byte in value.bytes() {
            push_encoded(&mut uri, byte);
        }
    }
    uri
}

/// Percent-encodes all but what RFC 3986 (section 2.3) calls unreserved: `+` would be read as a space by some.
fn push_encoded(uri: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        uri.push(byte.into());
        return;
    }
    for character in [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]] {
        uri.push(character.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: &str = "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo";
    const SOL: SolanaTransfer<'_> = SolanaTransfer {
        recipient: RECIPIENT,
        amount: "0.25",
        mint: None,
        reference: None,
        label: None,
        message: None,
        memo: None,
    };

    #[test]
    fn a_request_for_sol_names_recipient_and_amount_alone() {
        assert_eq!(solana_pay(&SOL), format!("solana:{RECIPIENT}?amount=0.25"));
    }

    #[test]
    fn a_request_for_a_token_names_wallet_mint_reference_and_what_for() {
        let transfer = SolanaTransfer {
            amount: "12.340123",
            mint: Some("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
            reference: Some("GLcBAqGmiCN8G8kqc4AcDJe1qcdsmMpaakDiKx95zjT"),
            label: Some("Shop"),
            message: Some("Order 123"),
            memo: Some("INV123"),
            ..SOL
        };
        let expected = format!(
            "solana:{RECIPIENT}?amount=12.340123&spl-token=EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\
             &reference=GLcBAqGmiCN8G8kqc4AcDJe1qcdsmMpaakDiKx95zjT&label=Shop&message=Order%20123&memo=INV123"
        );
        assert_eq!(solana_pay(&transfer), expected);
    }

    #[test]
    fn text_can_add_nothing_to_a_request() {
        let transfer = SolanaTransfer { label: Some("A&amount=1?#+%"), message: Some("Größe_~-."), ..SOL };
        let expected =
            format!("solana:{RECIPIENT}?amount=0.25&label=A%26amount%3D1%3F%23%2B%25&message=Gr%C3%B6%C3%9Fe_~-.");
        assert_eq!(solana_pay(&transfer), expected);
    }

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
