//! The languages in which the service has words of its own.

use crate::language::main_language;

use super::sentences::{self, Sentences};
use super::turn_taking::{self, SmallWords};

/// A language in which the service has words of its own.
#[derive(Debug)]
pub(super) struct OwnLanguage {
    /// The language without a region.
    pub(super) language: &'static str,
    pub(super) sentences: Sentences,
    pub(super) small_words: SmallWords,
}

const fn own(language: &'static str, sentences: Sentences, small_words: SmallWords) -> OwnLanguage {
    OwnLanguage { language, sentences, small_words }
}

/// All of them, English first.
pub(super) static ALL: [OwnLanguage; 12] = [
    own("en", sentences::ENGLISH, turn_taking::ENGLISH),
    own("es", sentences::SPANISH, turn_taking::SPANISH),
    own("fr", sentences::FRENCH, turn_taking::FRENCH),
    own("de", sentences::GERMAN, turn_taking::GERMAN),
    own("it", sentences::ITALIAN, turn_taking::ITALIAN),
    own("pt", sentences::PORTUGUESE, turn_taking::PORTUGUESE),
    own("nl", sentences::DUTCH, turn_taking::DUTCH),
    own("ja", sentences::JAPANESE, turn_taking::JAPANESE),
    own("ko", sentences::KOREAN, turn_taking::KOREAN),
    own("zh", sentences::CHINESE, turn_taking::CHINESE),
    own("hi", sentences::HINDI, turn_taking::HINDI),
    own("ar", sentences::ARABIC, turn_taking::ARABIC),
];

/// The language of a tag. `None` if there are no words in it.
pub(super) fn of(tag: &str) -> Option<&'static OwnLanguage> {
    let language = main_language(tag);
    ALL.iter().find(|own| own.language == language)
}

/// English, for what must be said in a language without words of its own.
pub(super) fn english() -> &'static OwnLanguage {
    &ALL[0]
}
