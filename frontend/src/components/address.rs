//! A long address, in groups for the eye and as one text for the clipboard.

use crate::part::{Part, part};

/// An address under the given id.
pub fn address(id: &'static str, address: &str) -> Part {
    let groups = groups(address).into_iter().map(|group| part("span", "address__group").text(group));
    part("span", "address").with("id", id).with("translate", "no").with("dir", "ltr").children(groups.collect())
}

/// Groups of four characters, with a leading `0x` beside the first: space between them is drawn, never text.
fn groups(address: &str) -> Vec<String> {
    let characters: Vec<char> = address.chars().collect();
    let first = if address.starts_with("0x") { 6 } else { 4 };
    let (head, rest) = characters.split_at(first.min(characters.len()));
    std::iter::once(head)
        .chain(rest.chunks(4))
        .map(String::from_iter)
        .filter(|group: &String| !group.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_short_and_joined_they_are_the_address() {
        let address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        let groups = groups(address);
        assert_eq!(groups[..2], ["0x7099", "7970"]);
        assert_eq!(groups.len(), 10);
        assert_eq!(groups.concat(), address);
    }

    #[test]
    fn odd_addresses_lose_nothing() {
        for address in ["", "0x", "0x1", "ä", "So11111111111111111111111111111111111111112"] {
            assert_eq!(groups(address).concat(), address);
        }
    }
}
