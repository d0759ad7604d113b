//! What pages without scripts say. The live page does not carry these messages, so there is a list of their own.

mod ar;
mod en;

use super::{Language, Text};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $(($($argument:ident: $kind:ty),+))?;)*) => {
        /// Every message; each language says all of them, or does not compile.
        #[expect(non_camel_case_types, reason = "named like the methods")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($name),* }

        #[cfg(test)]
        pub const NAMES: &[(&str, Key)] = &[$((stringify!($name), Key::$name)),*];

        impl Text {
            $(message! { $(#[$doc])* $name $(($($argument: $kind),+))? })*
        }
    };
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(self) -> &'static str {
            get(self.language(), Key::$name)
        }
    };
    ($(#[$doc:meta])* $name:ident ($($argument:ident: $kind:ty),+)) => {
        $(#[$doc])*
        pub fn $name(self, $($argument: $kind),+) -> String {
            self.fill(get(self.language(), Key::$name), &[$($argument.into()),+])
        }
    };
}

/// One language's messages, as in [`super::catalog`].
macro_rules! language {
    ($($name:ident: $text:literal,)*) => {
        pub const fn get(key: super::Key) -> &'static str {
            match key { $(super::Key::$name => $text),* }
        }
    };
}
use language;

/// A message in a language.
pub fn get(language: Language, key: Key) -> &'static str {
    match language {
        Language::English => en::get(key),
        Language::Arabic => ar::get(key),
    }
}

messages! {
    asks(merchant: &str);
    /// Beside a question that may be left open.
    optional;
    /// Above a form that came back.
    look_again;
    missing;
    too_long(most: u32);
    not_text;
    not_an_email;
    not_a_number;
    not_a_transaction;
    no_network;
    other_network;
    receipt_email;
    receipt_email_hint(merchant: &str);
    receipt_goes_to(email: &str);
    save;
    help;
    i_have_paid_hint;
    network_paid_on;
    transaction_paid;
    transaction_paid_hint;
    look_for_payment;
    looking(look: u32, most: u32);
    looking_hint;
    search_found;
    search_failed;
    payment_not_found;
    transaction_not_found;
    transaction_failed;
    transaction_pays_another;
    back_to_payment;
    receipt_of(merchant: &str);
    not_paid_yet;
    print_hint;
    invoice_number;
    ordered_at;
    paid_at;
    worth;
    rate_used;
    quoted;
    quoted_for(amount: &str, symbol: &str, from: &str, until: &str);
    paid_by;
    settlement;
    settled;
    not_settled;
    settlement_held;
    total_paid;
    link_broken;
    link_broken_hint;
    link_over;
    link_over_hint;
    too_fast;
    too_fast_hint;
    too_large;
    too_large_hint;
    answered_before;
    answered_before_hint;
    not_here;
    not_here_hint;
    not_understood;
    not_understood_hint;
    our_fault;
    our_fault_hint;
    not_built;
    not_built_hint;
    try_again;
}
