//! What a sweep consists of, as instructions, and back.

use super::{
    SolanaAddress, associated_token_account,
    message::{AccountUse, Instruction},
    programs,
};

/// One thing that a sweep does. There is nothing else that it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Uses up a durable nonce; has to come first.
    AdvanceNonce {
        nonce: SolanaAddress,
        authority: SolanaAddress,
    },
    /// Makes a wallet's token account unless it is there.
    MakeTokenAccount {
        payer: SolanaAddress,
        wallet: SolanaAddress,
        mint: SolanaAddress,
        program: SolanaAddress,
    },
    SendToken {
        program: SolanaAddress,
        mint: SolanaAddress,
        decimals: u8,
        from: SolanaAddress,
        to: SolanaAddress,
        /// Whose the token account `from` is.
        owner: SolanaAddress,
        /// In base units.
        amount: u64,
    },
    /// Sends fees that Token-2022 withheld in a token account on to the mint; it could not be closed with them.
    PassFeesOn {
        mint: SolanaAddress,
        account: SolanaAddress,
    },
    /// Closes a token account; its rent goes to `to`.
    Close {
        program: SolanaAddress,
        account: SolanaAddress,
        to: SolanaAddress,
        owner: SolanaAddress,
    },
    SendSol {
        from: SolanaAddress,
        to: SolanaAddress,
        lamports: u64,
    },
}

// The numbers of instructions: of the system program in four bytes, of the others in one.
const SYSTEM_TRANSFER: u32 = 2;
const SYSTEM_ADVANCE_NONCE: u32 = 4;
const TOKEN_CLOSE: u8 = 9;
const TOKEN_TRANSFER_CHECKED: u8 = 12;
/// Of the extension of fees, 26, the one that empties accounts into the mint.
const TOKEN_HARVEST: [u8; 2] = [26, 4];
const ASSOCIATED_CREATE_IDEMPOTENT: u8 = 1;

impl Step {
    pub fn instruction(&self) -> Instruction {
        let (reads, writes) = (AccountUse::reads, AccountUse::writes);
        match *self {
            Self::AdvanceNonce { nonce, authority } => Instruction {
                program: programs::SYSTEM,
                accounts: vec![writes(nonce), reads(programs::RECENT_BLOCKHASHES), reads(authority).signs()],
                data: SYSTEM_ADVANCE_NONCE.to_le_bytes().to_vec(),
            },
            Self::MakeTokenAccount { payer, wallet, mint, program } => Instruction {
                program: programs::ASSOCIATED_TOKEN,
                accounts: vec![
                    writes(payer).signs(),
                    writes(associated_token_account(wallet, mint, program)),
                    reads(wallet),
                    reads(mint),
                    reads(programs::SYSTEM),
                    reads(program),
                ],
                data: vec![ASSOCIATED_CREATE_IDEMPOTENT],
            },
            Self::SendToken { program, mint, decimals, from, to, owner, amount } => Instruction {
                program,
                accounts: vec![writes(from), reads(mint), writes(to), reads(owner).signs()],
                data: [&[TOKEN_TRANSFER_CHECKED], &amount.to_le_bytes()[..], &[decimals]].concat(),
            },
            Self::PassFeesOn { mint, account } => Instruction {
                program: programs::TOKEN_2022,
                accounts: vec![writes(mint), writes(account)],
                data: TOKEN_HARVEST.to_vec(),
            },
            Self::Close { program, account, to, owner } => Instruction {
                program,
                accounts: vec![writes(account), writes(to), reads(owner).signs()],
                data: vec![TOKEN_CLOSE],
            },
            Self::SendSol { from, to, lamports } => Instruction {
                program: programs::SYSTEM,
                accounts: vec![writes(from).signs(), writes(to)],
                data: [&SYSTEM_TRANSFER.to_le_bytes()[..], &lamports.to_le_bytes()].concat(),
            },
        }
    }

    /// What an instruction does; `None` if that is nothing a sweep does, or a step with something beside it.
    pub fn read(instruction: &Instruction) -> Option<Self> {
        let step = Self::guess(instruction)?;
        let meant = step.instruction();
        let addresses =
            |instruction: &Instruction| instruction.accounts.iter().map(|account| account.address).collect::<Vec<_>>();
        // In a message an account may be more than an instruction needs, for the sake of another one.
        let is_meant = meant.program == instruction.program
            && meant.data == instruction.data
            && addresses(&meant) == addresses(instruction);
        is_meant.then_some(step)
    }

    /// What an instruction looks like; whether it is that, down to the last byte, is for [`Step::read`] to say.
    fn guess(instruction: &Instruction) -> Option<Self> {
        let Instruction { program, accounts, data } = instruction;
        let program = *program;
        let at = |place: usize| accounts.get(place).map(|account| account.address);
        let amount = |place: usize| data.get(place..)?.first_chunk().copied().map(u64::from_le_bytes);
        match program {
            programs::SYSTEM => match u32::from_le_bytes(*data.first_chunk()?) {
                SYSTEM_TRANSFER => Some(Self::SendSol { from: at(0)?, to: at(1)?, lamports: amount(4)? }),
                SYSTEM_ADVANCE_NONCE => Some(Self::AdvanceNonce { nonce: at(0)?, authority: at(2)? }),
                _ => None,
            },
            programs::ASSOCIATED_TOKEN => {
                Some(Self::MakeTokenAccount { payer: at(0)?, wallet: at(2)?, mint: at(3)?, program: at(5)? })
            }
            programs::TOKEN | programs::TOKEN_2022 => match *data.first()? {
                TOKEN_CLOSE => Some(Self::Close { program, account: at(0)?, to: at(1)?, owner: at(2)? }),
                TOKEN_TRANSFER_CHECKED => Some(Self::SendToken {
                    program,
                    mint: at(1)?,
                    decimals: *data.get(9)?,
                    from: at(0)?,
                    to: at(2)?,
                    owner: at(3)?,
                    amount: amount(1)?,
                }),
                _ => Some(Self::PassFeesOn { mint: at(0)?, account: at(1)? }),
            },
            _ => None,
        }
    }

    /// Whether all that it moves comes to a wallet, or to the wallet's token account of that very token.
    pub fn brings_all_to(&self, home: SolanaAddress) -> bool {
        match *self {
            Self::AdvanceNonce { .. } | Self::PassFeesOn { .. } => true,
            Self::MakeTokenAccount { wallet, .. } => wallet == home,
            Self::SendToken { program, mint, to, .. } => to == associated_token_account(home, mint, program),
            Self::Close { to, .. } | Self::SendSol { to, .. } => to == home,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solana::{Hash, message::Message};

    fn at(byte: u8) -> SolanaAddress {
        SolanaAddress::new([byte; 32])
    }

    fn steps() -> Vec<Step> {
        let (home, mint, program) = (at(1), at(2), programs::TOKEN);
        let to = associated_token_account(home, mint, program);
        vec![
            Step::AdvanceNonce { nonce: at(3), authority: at(4) },
            Step::MakeTokenAccount { payer: at(5), wallet: home, mint, program },
            Step::SendToken { program, mint, decimals: 6, from: at(6), to, owner: at(7), amount: u64::MAX },
            Step::PassFeesOn { mint, account: at(6) },
            Step::Close { program: programs::TOKEN_2022, account: at(6), to: home, owner: at(7) },
            Step::SendSol { from: at(7), to: home, lamports: 1 },
        ]
    }

    #[test]
    fn a_step_is_read_from_a_message_as_it_was_meant() {
        let instructions: Vec<_> = steps().iter().map(Step::instruction).collect();
        let message = Message::new(at(5), &instructions, Hash::new([0; 32])).unwrap();
        let read: Vec<_> = message.instructions().iter().map(|instruction| Step::read(instruction).unwrap()).collect();
        assert_eq!(read, steps());
    }

    #[test]
    fn what_is_no_step_is_not_taken_for_one() {
        for step in steps() {
            let good = step.instruction();
            let refused = |change: &dyn Fn(&mut Instruction)| {
                let mut instruction = good.clone();
                change(&mut instruction);
                assert_eq!(Step::read(&instruction), None, "{instruction:?}");
            };
            refused(&|instruction| instruction.program = at(9));
            refused(&|instruction| instruction.data.push(0));
            refused(&|instruction| instruction.data.clear());
            // Whoever else signs, such as for several, would be one account more.
            refused(&|instruction| instruction.accounts.push(AccountUse::reads(at(9)).signs()));
            refused(&|instruction| instruction.accounts.clear());
            refused(&|instruction| instruction.data[0] ^= 0x10);
        }
        // That a mint's fees go to its mint is all that may be done with them, and with a nonce that it is used.
        let other = Instruction { data: vec![26, 3], ..steps()[3].instruction() };
        assert_eq!(Step::read(&other), None);
    }

    #[test]
    fn a_step_that_brings_something_elsewhere_is_known() {
        assert!(steps().iter().all(|step| step.brings_all_to(at(1))));
        let elsewhere = steps().iter().filter(|step| !step.brings_all_to(at(9))).count();
        assert_eq!(elsewhere, 4, "all but the nonce and the fees");
        // A wallet is no token account, and another token's account is none for this one.
        let (mint, program) = (at(2), programs::TOKEN);
        for to in [at(1), associated_token_account(at(1), at(3), program)] {
            let step = Step::SendToken { program, mint, decimals: 6, from: at(6), to, owner: at(7), amount: 1 };
            assert!(!step.brings_all_to(at(1)));
        }
    }
}
