//! Transactions as they are sent: what several accounts sign, and the bytes of it.
//!
//! Only the older form, without lookup tables: that one every wallet and every signing device reads.

use super::{Hash, Signature, SolanaAddress};

/// A transaction with its signatures may be no longer.
pub const LARGEST_TRANSACTION: usize = 1232;
const SIGNATURE_BYTES: usize = 64;

/// An account that an instruction names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountUse {
    pub address: SolanaAddress,
    pub is_signer: bool,
    pub is_writable: bool,
}

impl AccountUse {
    pub const fn reads(address: SolanaAddress) -> Self {
        Self { address, is_signer: false, is_writable: false }
    }

    pub const fn writes(address: SolanaAddress) -> Self {
        Self { address, is_signer: false, is_writable: true }
    }

    /// The same, which also has to sign.
    #[must_use]
    pub const fn signs(self) -> Self {
        Self { is_signer: true, ..self }
    }
}

/// A call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub program: SolanaAddress,
    pub accounts: Vec<AccountUse>,
    pub data: Vec<u8>,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    signers: u8,
    readonly_signers: u8,
    readonly_others: u8,
    /// First those that sign, each time those that are written to before the others. The first one pays the fee.
    accounts: Vec<SolanaAddress>,
    blockhash: Hash,
    instructions: Vec<Call>,
}

/// An instruction by the places of its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    program: u8,
    accounts: Vec<u8>,
    data: Vec<u8>,
}

/// Bytes that are no message of the older form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no message of a transaction without lookup tables")]
pub struct MessageError;

impl Message {
    /// Puts instructions together; `None` if they name more accounts than a message can.
    pub fn new(fee_payer: SolanaAddress, instructions: &[Instruction], blockhash: Hash) -> Option<Self> {
        let uses = accounts_of(fee_payer, instructions);
        let count = |is_counted: &dyn Fn(&AccountUse) -> bool| {
            u8::try_from(uses.iter().filter(|account| is_counted(account)).count()).ok()
        };
        let place = |address: SolanaAddress| {
            let place = uses.iter().position(|account| account.address == address)?;
            u8::try_from(place).ok()
        };
        let call = |instruction: &Instruction| {
            let accounts = instruction.accounts.iter().map(|account| place(account.address)).collect::<Option<_>>()?;
            Some(Call { program: place(instruction.program)?, accounts, data: instruction.data.clone() })
        };
        Some(Self {
            signers: count(&|account| account.is_signer)?,
            readonly_signers: count(&|account| account.is_signer && !account.is_writable)?,
            readonly_others: count(&|account| !account.is_signer && !account.is_writable)?,
            instructions: instructions.iter().map(call).collect::<Option<_>>()?,
            accounts: uses.into_iter().map(|account| account.address).collect(),
            blockhash,
        })
    }

    /// Who has to sign, in the order of the signatures. The first one pays the fee.
    pub fn signers(&self) -> &[SolanaAddress] {
        self.accounts.get(..usize::from(self.signers)).unwrap_or_default()
    }

    /// The same message on another block's hash.
    #[must_use]
    pub fn on(self, blockhash: Hash) -> Self {
        Self { blockhash, ..self }
    }

    /// What it does.
    pub fn instructions(&self) -> Vec<Instruction> {
        let account = |place: &u8| {
            let address = self.accounts.get(usize::from(*place)).copied()?;
            let is_signer = *place < self.signers;
            let signers_written = self.signers.checked_sub(self.readonly_signers)?;
            let is_writable = if is_signer {
                *place < signers_written
            } else {
                usize::from(*place) + usize::from(self.readonly_others) < self.accounts.len()
            };
            Some(AccountUse { address, is_signer, is_writable })
        };
        let instruction = |call: &Call| {
            let accounts = call.accounts.iter().map(account).collect::<Option<_>>()?;
            Some(Instruction { program: account(&call.program)?.address, accounts, data: call.data.clone() })
        };
        // Both ways to a message have checked that no place is beyond the accounts.
        self.instructions.iter().filter_map(instruction).collect()
    }

    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.signers, self.readonly_signers, self.readonly_others];
        push_length(&mut bytes, self.accounts.len());
        for account in &self.accounts {
            bytes.extend(account.as_bytes());
        }
        bytes.extend(self.blockhash.as_bytes());
        push_length(&mut bytes, self.instructions.len());
        for call in &self.instructions {
            bytes.push(call.program);
            push_length(&mut bytes, call.accounts.len());
            bytes.extend(&call.accounts);
            push_length(&mut bytes, call.data.len());
            bytes.extend(&call.data);
        }
        bytes
    }

    /// How long the transaction is with all its signatures.
    pub fn transaction_size(&self) -> usize {
        // There are never more signatures than one byte counts.
        1 + SIGNATURE_BYTES * usize::from(self.signers) + self.to_bytes().len()
    }

    /// The transaction, to be sent; the signatures are in the order of [`Message::signers`].
    pub fn signed(&self, signatures: &[Signature]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LARGEST_TRANSACTION);
        push_length(&mut bytes, signatures.len());
        for signature in signatures {
            bytes.extend(signature.as_bytes());
        }
        bytes.extend(self.to_bytes());
        bytes
    }

    /// Reads the bytes that are signed.
    ///
    /// # Errors
    ///
    /// If they are something else, or more.
    pub fn read(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut rest = Reader(bytes);
        let message = rest.message().ok_or(MessageError)?;
        // Lengths have more than one spelling. What is signed must be what was read, so only ours is taken.
        if rest.0.is_empty() && message.to_bytes() == bytes { Ok(message) } else { Err(MessageError) }
    }
}

/// Each account once, with all that instructions want of it, in the order that a message has them.
fn accounts_of(fee_payer: SolanaAddress, instructions: &[Instruction]) -> Vec<AccountUse> {
    let mut uses = vec![AccountUse::writes(fee_payer).signs()];
    let named = instructions.iter().flat_map(|instruction| &instruction.accounts).copied();
    let programs = instructions.iter().map(|instruction| AccountUse::reads(instruction.program));
    for account in named.chain(programs) {
        match uses.iter_mut().find(|known| known.address == account.address) {
            Some(known) => {
                known.is_signer |= account.is_signer;
                known.is_writable |= account.is_writable;
            }
            None => uses.push(account),
        }
    }
    // Stable, so that the fee's payer stays the first.
    uses.sort_by_key(|account| (!account.is_signer, !account.is_writable));
    uses
}

/// Seven bits at a time, the lowest first; the eighth says that more follow.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn message(&mut self) -> Option<Message> {
        let [signers, readonly_signers, readonly_others] = *self.chunk::<3>()?;
        let length = self.length()?;
        let accounts: Vec<_> =
            (0..length).map(|_| self.chunk().copied().map(SolanaAddress::new)).collect::<Option<_>>()?;
        let blockhash = Hash::new(*self.chunk()?);
        let length = self.length()?;
        let instructions: Vec<_> = (0..length).map(|_| self.call()).collect::<Option<_>>()?;
        let is_named = |place: &u8| usize::from(*place) < accounts.len();
        let are_named = |call: &Call| is_named(&call.program) && call.accounts.iter().all(is_named);
        // The first one, who pays, is written to. A newer form begins with a byte that would be too many signers.
        let is_whole = readonly_signers < signers
            && usize::from(signers) + usize::from(readonly_others) <= accounts.len()
            && signers < 0x80
            && instructions.iter().all(are_named);
        is_whole.then_some(Message { signers, readonly_signers, readonly_others, accounts, blockhash, instructions })
    }

    fn call(&mut self) -> Option<Call> {
        let [program] = *self.chunk()?;
        Some(Call { program, accounts: self.counted()?.to_vec(), data: self.counted()?.to_vec() })
    }

    fn counted(&mut self) -> Option<&'b [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn chunk<const N: usize>(&mut self) -> Option<&'b [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let [byte] = *self.chunk()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(byte: u8) -> SolanaAddress {
        SolanaAddress::new([byte; 32])
    }

    /// Wallet 2 sends from 3 to 4, and 5 signs and is written to; 1 pays, 9 is the program.
    fn message() -> Message {
        let accounts = vec![
            AccountUse::writes(at(3)),
            AccountUse::reads(at(6)),
            AccountUse::writes(at(4)),
            AccountUse::reads(at(2)).signs(),
            AccountUse::writes(at(5)).signs(),
        ];
        let instruction = Instruction { program: at(9), accounts, data: vec![1, 2, 3] };
        Message::new(at(1), &[instruction], Hash::new([8; 32])).unwrap()
    }

    #[test]
    fn signers_come_first_and_those_written_to_before_the_others() {
        let message = message();
        assert_eq!(message.signers(), [at(1), at(5), at(2)]);
        assert_eq!(message.accounts, [1, 5, 2, 3, 4, 6, 9].map(at));
        let bytes = message.to_bytes();
        assert_eq!(bytes[..4], [3, 1, 2, 7]);
        assert_eq!(bytes[bytes.len() - 12..], [1, 6, 5, 3, 5, 4, 2, 1, 3, 1, 2, 3]);
        assert_eq!(message.transaction_size(), message.signed(&[Signature::new([7; 64]); 3]).len());
    }

    #[test]
    fn an_account_that_two_instructions_name_is_there_once_with_all_that_is_wanted() {
        let reads = Instruction { program: at(9), accounts: vec![AccountUse::reads(at(2))], data: vec![] };
        let signs = Instruction { program: at(9), accounts: vec![AccountUse::writes(at(2)).signs()], data: vec![] };
        let message = Message::new(at(1), &[reads, signs], Hash::new([8; 32])).unwrap();
        assert_eq!(message.accounts, [1, 2, 9].map(at));
        let uses: Vec<_> = message.instructions().iter().map(|instruction| instruction.accounts[0]).collect();
        assert_eq!(uses, [AccountUse::writes(at(2)).signs(); 2]);
    }

    #[test]
    fn a_message_reads_back_as_written() {
        let message = message();
        assert_eq!(Message::read(&message.to_bytes()), Ok(message.clone()));
        let instructions = message.instructions();
        assert_eq!(instructions[0].program, at(9));
        assert_eq!(instructions[0].accounts[3], AccountUse::reads(at(2)).signs());
        assert_eq!(Message::new(at(1), &instructions, Hash::new([8; 32])), Some(message.clone()));
        let elsewhere = message.clone().on(Hash::new([9; 32]));
        assert_ne!(elsewhere, message);
        assert_eq!(elsewhere.on(Hash::new([8; 32])), message);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let good = message().to_bytes();
        for length in 0..good.len() {
            assert_eq!(Message::read(&good[..length]), Err(MessageError), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Message::read(&bytes)
        };
        assert_eq!(with(0, 0x80), Err(MessageError), "a newer form");
        assert_eq!(with(0, 0), Err(MessageError), "nobody signs");
        assert_eq!(with(1, 3), Err(MessageError), "nobody who signs is written to");
        assert_eq!(with(2, 5), Err(MessageError), "more accounts than there are");
        assert_eq!(with(good.len() - 11, 7), Err(MessageError), "a program that is not there");
        assert_eq!(with(good.len() - 5, 7), Err(MessageError), "an account that is not there");
        let longer = [&good[..], &[0]].concat();
        assert_eq!(Message::read(&longer), Err(MessageError));
        // The same length, spelt longer.
        let mut respelt = good.clone();
        respelt[3] |= 0x80;
        respelt.insert(4, 0);
        assert_eq!(Message::read(&respelt), Err(MessageError));
    }

    #[test]
    fn lengths_are_spelt_as_the_network_does() {
        for (length, spelt) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (255, &[0xff, 1]),
            (16_384, &[0x80, 0x80, 1]),
            (65_535, &[0xff, 0xff, 3]),
        ] {
            let mut bytes = Vec::new();
            push_length(&mut bytes, length);
            assert_eq!(bytes, spelt);
            assert_eq!(Reader(&bytes).length(), Some(length));
        }
        assert_eq!(Reader(&[0x80, 0x80, 0x80, 1]).length(), None);
    }
}
