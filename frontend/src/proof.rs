//! Whether what a payer sees and scans is where the money should go. A page is held to it for as long as it shows an address:
//! see [`PaymentSession::check`](crate::session::PaymentSession::check).

use wire::{deposit_address::is_deposit_address, snapshot::Quote};

use crate::dom;
#[cfg(target_arch = "wasm32")]
use crate::qr;

/// Whether the address is what its proof comes to. One without a proof is nobody's to compute.
pub fn is_as_computed(quote: &Quote) -> bool {
    quote.proof.as_ref().is_none_or(|proof| is_deposit_address(&quote.address, &proof.wallet, &proof.salt))
}

/// Whether a link or a code leads to the quote's address and to nowhere else: it has that address, and no other but the
/// token's contract. However a wallet wants its requests written, this can be asked of them.
pub fn leads_to(text: &str, quote: &Quote) -> bool {
    if quote.chain_id.is_none() {
        return leads_to_on_solana(text, quote);
    }
    let is_known = |word: &&str| {
        word.eq_ignore_ascii_case(&quote.address)
            || quote.token_contract.as_ref().is_some_and(|contract| word.eq_ignore_ascii_case(contract))
    };
    text.contains(&quote.address) && addresses(text).all(|word| is_known(&word))
}

/// On Solana a request names its recipient first and its token by one parameter; no other could send money elsewhere.
fn leads_to_on_solana(text: &str, quote: &Quote) -> bool {
    let Some(request) = text.strip_prefix("solana:") else { return text == quote.address };
    let mut parts = request.split(['?', '&']);
    let is_known = |part: &str| match part.strip_prefix("spl-token=") {
        Some(mint) => quote.token_contract.as_deref() == Some(mint),
        None => true,
    };
    parts.next() == Some(quote.address.as_str()) && parts.all(is_known)
}

/// Every `0x` with the forty digits of an address after it.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("0x").filter_map(|(start, _)| {
        let digits = text[start + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        (digits == 40).then(|| &text[start..start + 42])
    })
}

/// Whether the address is right as computed, as it reads on the page, and in every link to a wallet. Codes are looked at
/// where they are drawn.
pub fn is_as_shown(quote: &Quote) -> bool {
    is_as_computed(quote)
        && dom::text_of(ADDRESS).is_none_or(|text| text == quote.address)
        && dom::attributes(".ways a", "href").iter().all(|link| leads_to(link, quote))
}

/// The same of what the server drew, codes too, before the page takes it over and writes its links and codes anew.
#[cfg(target_arch = "wasm32")]
pub fn is_as_drawn(quote: &Quote) -> bool {
    is_as_shown(quote)
        && qr::draw(&quote.uri).is_drawn(".qr--request path")
        && qr::Drawing::default().is_drawn(".qr--unmarked path")
        && qr::draw(&quote.address).is_drawn(".qr--address path")
}

/// Whether the amount still reads as the server wrote it. Taking a page over compares no text, and some extensions write
/// numbers in their own way.
#[cfg(target_arch = "wasm32")]
pub fn has_amount_as_drawn(quote: &Quote) -> bool {
    dom::text_of(AMOUNT).is_none_or(|text| text == quote.amount)
}

/// The id of the element that shows the address.
pub const ADDRESS: &str = "address";

/// The id of the element that shows the amount.
pub const AMOUNT: &str = "amount";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states;

    const OTHER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    fn quote() -> Quote {
        states::pay().quote.unwrap()
    }

    #[test]
    fn only_the_computed_address_is_as_computed_and_one_without_proof_is_nobodys_to_compute() {
        assert!(is_as_computed(&quote()));
        assert!(!is_as_computed(&Quote { address: OTHER.to_owned(), ..quote() }));
        assert!(is_as_computed(&states::unproven().quote.unwrap()));
    }

    #[test]
    fn a_link_leads_to_the_address_however_it_is_written() {
        let quote = quote();
        let (address, contract) = (&quote.address, quote.token_contract.as_ref().unwrap());
        for text in [
            quote.uri.clone(),
            address.clone(),
            format!("ethereum:{address}"),
            format!("https://wallet.example/send/{}@1/transfer?address={address}&uint256=1", contract.to_lowercase()),
            format!("{address}?data=0x{}", "ab".repeat(32)),
        ] {
            assert!(leads_to(&text, &quote), "{text}");
        }
    }

    #[test]
    fn a_request_on_solana_leads_to_the_wallet_in_the_token_that_was_chosen() {
        let quote = states::solana::pay().quote.unwrap();
        let (address, mint) = (&quote.address, quote.token_contract.as_ref().unwrap());
        let other = "2h2F2rC21vWWguebfoWHKkRTL1a9X3USaujUkutUPsCx";
        for text in [&quote.uri, address] {
            assert!(leads_to(text, &quote), "{text}");
        }
        for text in [
            String::new(),
            other.to_owned(),
            quote.uri.replace(address, other),
            quote.uri.replace(mint, other),
            format!("{}&spl-token={other}", quote.uri),
            format!("solana:{other}?to={address}"),
            format!("solana:{}?amount=1", address.to_lowercase()),
            format!("https://wallet.example/{address}"),
        ] {
            assert!(!leads_to(&text, &quote), "{text}");
        }
    }

    #[test]
    fn a_link_with_another_address_in_it_is_amiss() {
        let quote = quote();
        for text in [
            String::new(),
            OTHER.to_owned(),
            quote.uri.replace(&quote.address, OTHER),
            quote.uri.replace(quote.token_contract.as_ref().unwrap(), OTHER),
            format!("{}&referrer={OTHER}", quote.uri),
            format!("{}?x={}", OTHER, quote.address),
            quote.address.to_lowercase(),
        ] {
            assert!(!leads_to(&text, &quote), "{text}");
        }
    }
}
