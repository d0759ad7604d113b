//! What the page says. A message is a line in [`mod@text`], which makes it a method with typed arguments, and one line in
//! each language's file; another language is another file. There is no markup in messages, and whatever a payer
//! copies or sends is not written by them: it keeps its Latin digits.

mod ar;
mod catalog;
mod en;
mod rules;
#[cfg(not(target_arch = "wasm32"))]
mod still;
mod text;

use std::cell::Cell;

use catalog::Messages;
pub use rules::whole_cents;
pub use text::{Price, Text};

/// A language that the page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    Arabic,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Arabic];

    /// As documents and addresses name it (BCP 47).
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    /// The language that a tag asks for, with or without a region, as in `ar-EG`; `None` if the page does not speak it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.code()))
    }

    /// Which way its lines run, as the `dir` attribute says it.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Arabic => "rtl",
        }
    }

    fn messages(self) -> &'static Messages {
        match self {
            Self::English => &en::MESSAGES,
            Self::Arabic => &ar::MESSAGES,
        }
    }
}

thread_local! {
    /// Drawing never waits for anything, so one thread draws one page at a time.
    static SPOKEN: Cell<Language> = const { Cell::new(Language::English) };
}

/// Draws in this language from here on, on this thread.
pub fn speak(language: Language) {
    SPOKEN.set(language);
}

/// The messages in the page's language.
pub fn text() -> Text {
    Text::new(SPOKEN.get())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::{
        text::{KEYS, NAMES},
        *,
    };

    /// The arguments that a form of a message writes.
    fn arguments(form: &str) -> BTreeSet<&str> {
        form.split('{').skip(1).map(|part| part.split_once('}').expect("a brace that closes").0).collect()
    }

    #[test]
    fn every_language_has_every_message_with_all_its_arguments_and_forms() {
        for language in Language::ALL {
            for (name, key) in NAMES.iter().zip(KEYS) {
                let (said, english) = (language.messages().get(*key), Language::English.messages().get(*key));
                assert!(!said.trim().is_empty(), "{name} is missing in {language:?}");
                let forms: Vec<&str> = said.split('|').collect();
                let has_forms = english.contains('|');
                let expected = if has_forms { rules::forms(language) } else { 1 };
                assert_eq!(forms.len(), expected, "forms of {name} in {language:?}");
                let wanted = english.split('|').next_back().map(arguments).unwrap_or_default();
                assert_eq!(forms.last().copied().map(arguments), Some(wanted.clone()), "{name} in {language:?}");
                // "One minute" need not write its number.
                assert!(forms.iter().all(|form| arguments(form).is_subset(&wanted)), "{name} in {language:?}");
            }
        }
    }

    #[test]
    fn every_language_has_every_message_of_pages_without_scripts() {
        for (name, key) in still::NAMES {
            let [english, arabic] = Language::ALL.map(|language| still::get(language, *key));
            let [english_forms, arabic_forms] = [english, arabic].map(|said| said.split('|').collect::<Vec<_>>());
            let has_forms = 1 < english_forms.len();
            for (language, forms) in Language::ALL.into_iter().zip([&english_forms, &arabic_forms]) {
                assert_eq!(forms.len(), if has_forms { rules::forms(language) } else { 1 }, "{name} in {language:?}");
            }
            let wanted = english_forms.last().map(|form| arguments(form));
            assert_eq!(arabic_forms.last().map(|form| arguments(form)), wanted, "{name}");
            assert_ne!(english, arabic, "{name} is not translated");
        }
    }

    #[test]
    fn every_message_is_said_somewhere() {
        fn sources(folder: &Path, text: &mut String) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("i18n") {
                    sources(&path, text);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    text.push_str(&fs::read_to_string(&path).unwrap());
                }
            }
        }
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        for name in NAMES.iter().chain(still::NAMES.iter().map(|(name, _)| name)) {
            assert!(text.contains(&format!(".{name}(")), "nothing says {name}");
        }
    }

    #[test]
    fn no_two_languages_share_a_sentence() {
        for (name, key) in NAMES.iter().zip(KEYS) {
            let [english, arabic] = Language::ALL.map(|language| language.messages().get(*key));
            let has_words = arguments_removed(english).contains(char::is_alphabetic);
            assert!(!has_words || english != arabic, "{name} is not translated");
        }
    }

    fn arguments_removed(message: &str) -> String {
        message.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect()
    }

    #[test]
    fn tags_name_a_language_with_or_without_a_region() {
        for (tag, expected) in [
            ("ar", Some(Language::Arabic)),
            ("AR-eg", Some(Language::Arabic)),
            ("en_US", Some(Language::English)),
            ("arx", None),
            ("de", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Language::of_tag(tag), expected, "{tag}");
        }
    }
}
