//! How messages are listed, once as methods and once in each language. What a language lacks does not compile.

/// Lists the messages: one method each, its arguments typed. A message without arguments is text as it stands.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $(($($argument:ident: $kind:ty),+))?;)*) => {
        /// Every message, in the order in which each language lists them.
        #[expect(non_camel_case_types, reason = "named like the methods")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($name),* }

        /// Their names, in the same order.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[cfg(test)]
        pub const KEYS: &[Key] = &[$(Key::$name),*];

        impl Text {
            $($crate::i18n::catalog::message! { $(#[$doc])* $name $(($($argument: $kind),+))? })*
        }
    };
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(self) -> &'static str {
            self.message(Key::$name)
        }
    };
    ($(#[$doc:meta])* $name:ident ($($argument:ident: $kind:ty),+)) => {
        $(#[$doc])*
        pub fn $name(self, $($argument: $kind),+) -> String {
            self.filled(Key::$name, &[$($argument.into()),+])
        }
    };
}

/// One language's messages. `{0}` is the first argument. Where a message has a form for each kind of number, they
/// stand in the order of `rules::form`, with `|` between them, and the last number decides.
macro_rules! language {
    ($($name:ident: $text:literal,)*) => {
        pub static MESSAGES: $crate::i18n::catalog::Messages = $crate::i18n::catalog::Messages::new(
            concat!($($text),*),
            &[$(($crate::i18n::text::Key::$name, $text.len())),*],
        );
    };
}

pub(super) use {language, message, messages};

use super::text::{Key, NAMES};

/// All messages of a language as one text with the place where each ends: a table of texts would weigh more.
pub struct Messages {
    text: &'static str,
    ends: [u16; NAMES.len()],
}

impl Messages {
    /// Joined texts with the length of each.
    ///
    /// # Panics
    ///
    /// While it is compiled, unless every message is there, in the order of the list.
    #[expect(clippy::cast_possible_truncation, reason = "checked just before")]
    pub const fn new(text: &'static str, lengths: &[(Key, usize); NAMES.len()]) -> Self {
        let mut ends = [0; NAMES.len()];
        let (mut at, mut end) = (0, 0);
        while at < lengths.len() {
            let (key, length) = lengths[at];
            assert!(key as usize == at, "messages stand in the order of the list");
            end += length;
            assert!(end <= u16::MAX as usize, "there is more text than places");
            ends[at] = end as u16;
            at += 1;
        }
        Self { text, ends }
    }

    pub fn get(&self, key: Key) -> &'static str {
        let at = key as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(usize::from(start)..usize::from(self.ends[at])).unwrap_or_default()
    }
}
