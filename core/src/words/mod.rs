//! What the service says in its own words: by Twilio's `<Say>`, by speech synthesis to a caller who waits, and to an
//! agent that greets nobody by itself.
//!
//! A sentence of the settings goes before the built-in one of the call's language. A language without built-in words
//! gets the English ones.

mod languages;
mod sentences;
pub(crate) mod tokens;
mod turn_taking;
pub(crate) mod unfinished;

use serde::{Deserialize, Serialize};

use crate::language::{DEFAULT_LANGUAGE, main_language, say_language, say_voice};
use crate::twiml::{Say, Verb};

use sentences::Sentences;

/// The longest sentence of the settings, in characters.
pub const MAX_SENTENCE_CHARS: usize = 500;

/// The service's own words in one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OwnWords {
    /// The call's language, a BCP-47 tag.
    pub language: String,
    /// `VOICE_NAME`: one of Google's voices. Twilio speaks with it if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// `TEXT_GOODBYE`. `None`, here and below: by language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goodbye: Option<String>,
    /// `TEXT_BUSY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// `TEXT_FAILED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// `TEXT_LOST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

impl Default for OwnWords {
    fn default() -> Self {
        let language = DEFAULT_LANGUAGE.to_owned();
        Self { language, voice: None, goodbye: None, busy: None, failed: None, lost: None }
    }
}

/// An occasion on which Twilio says a sentence of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// A limit of the settings ends the call.
    Goodbye,
    /// There is no room for the call.
    Busy,
    /// The agent cannot be reached.
    Failed,
    /// The media stream ended, and nothing else carries the call on.
    Lost,
}

impl Sentence {
    /// All sentences.
    pub const ALL: [Self; 4] = [Self::Goodbye, Self::Busy, Self::Failed, Self::Lost];

    fn of(self, sentences: &Sentences) -> &'static str {
        match self {
            Self::Goodbye => sentences.goodbye,
            Self::Busy => sentences.busy,
            Self::Failed => sentences.failed,
            Self::Lost => sentences.lost,
        }
    }
}

impl OwnWords {
    /// The words for a call in that language. Those of the settings are in the agent's own language, whatever its
    /// region, so a call in another one gets the built-in words.
    #[must_use]
    pub fn in_language(&self, language: &str) -> Self {
        let is_own = main_language(language) == main_language(&self.language);
        let set = if is_own { self.clone() } else { Self { voice: self.voice.clone(), ..Self::default() } };
        Self { language: language.to_owned(), ..set }
    }

    /// The `<Say>` of a sentence.
    #[must_use]
    pub fn say(&self, sentence: Sentence) -> Verb {
        match (self.set(sentence), languages::of(&self.language)) {
            (Some(text), _) => self.spoken(text),
            (None, Some(own)) => self.spoken(sentence.of(&own.sentences)),
            (None, None) => {
                let text = sentence.of(&languages::english().sentences).to_owned();
                Verb::Say(Say { text, language: Some(DEFAULT_LANGUAGE.to_owned()), voice: None })
            }
        }
    }

    /// The `<Say>` of a sentence, if the settings have it.
    #[must_use]
    pub fn say_if_set(&self, sentence: Sentence) -> Option<Verb> {
        self.set(sentence).map(|text| self.spoken(text))
    }

    fn set(&self, sentence: Sentence) -> Option<&str> {
        let own = match sentence {
            Sentence::Goodbye => &self.goodbye,
            Sentence::Busy => &self.busy,
            Sentence::Failed => &self.failed,
            Sentence::Lost => &self.lost,
        };
        own.as_deref()
    }

    /// A text in the call's language.
    fn spoken(&self, text: &str) -> Verb {
        let voice = self.voice.as_deref().and_then(|voice| say_voice(voice, &self.language));
        let (voice, own) = voice.unzip();
        let language = own.or_else(|| say_language(&self.language));
        Verb::Say(Say { text: text.to_owned(), language: language.map(ToOwned::to_owned), voice })
    }
}

/// The text that starts a conversation with an agent that does not greet. The agent takes it for the caller's.
#[must_use]
pub fn starting_text(language: &str) -> &'static str {
    languages::of(language).unwrap_or(languages::english()).sentences.starting_text
}

/// The sentence for a caller who waits for the agent. `None` if there are no words in that language.
#[must_use]
pub fn one_moment(language: &str) -> Option<&'static str> {
    languages::of(language).map(|own| own.sentences.one_moment)
}

/// What a listener says in that language while the agent speaks. Nothing for a language without such words of ours.
pub(crate) fn backchannels(language: &str) -> impl Iterator<Item = &'static str> {
    languages::of(language).into_iter().flat_map(|own| own.small_words.backchannels.split(", "))
}

/// What stands between two choices in that language.
pub(crate) fn or_words(language: &str) -> impl Iterator<Item = &'static str> {
    languages::of(language).into_iter().flat_map(|own| own.small_words.or.split(", "))
}

#[cfg(test)]
mod tests {
    use super::unfinished::is_unfinished;
    use super::*;
    use crate::twiml::document;
    use crate::words::tokens::phrase;

    const ENGLISH: &Sentences = &sentences::ENGLISH;

    fn said(words: &OwnWords, sentence: Sentence) -> String {
        let xml = document(&[words.say(sentence)]);
        let body = xml.split_once("<Response>").unwrap().1;
        body.strip_suffix("</Response>").unwrap().to_owned()
    }

    fn words(language: &str) -> OwnWords {
        OwnWords::default().in_language(language)
    }

    #[test]
    fn each_sentence_is_said_in_the_calls_language() {
        for (language, spoken) in [
            ("en-GB", "en-GB"),
            ("es-419", "es-MX"),
            ("fr", "fr-FR"),
            ("de", "de-DE"),
            ("it-IT", "it-IT"),
            ("pt-BR", "pt-BR"),
            ("nl", "nl-NL"),
            ("ja", "ja-JP"),
            ("ko", "ko-KR"),
            ("zh-CN", "cmn-CN"),
            ("zh-TW", "cmn-TW"),
            ("hi", "hi-IN"),
            ("ar", "arb"),
        ] {
            for sentence in Sentence::ALL {
                let said = said(&words(language), sentence);
                assert!(said.starts_with(&format!("<Say language=\"{spoken}\">")), "{said}");
                let is_english = said.contains(sentence.of(ENGLISH));
                assert_eq!(is_english, language.starts_with("en"), "{language}: {said}");
            }
        }
    }

    #[test]
    fn every_language_has_every_word_and_no_two_share_one() {
        for own in &languages::ALL {
            let sentences = &own.sentences;
            let texts = Sentence::ALL.map(|sentence| sentence.of(sentences));
            for text in texts.into_iter().chain([sentences.starting_text, sentences.one_moment]) {
                assert!(!text.is_empty() && text.trim() == text, "{}: {text}", own.language);
                assert!(text.chars().count() <= MAX_SENTENCE_CHARS && !text.contains(['<', '&']), "{text}");
            }
            let again = languages::ALL.iter().filter(|other| other.sentences.failed == sentences.failed).count();
            assert_eq!(again, 1, "{}", own.language);
            assert!(say_language(own.language).is_some(), "{}", own.language);
        }
    }

    #[test]
    fn every_language_of_ours_has_small_words_and_each_of_them_can_be_heard() {
        for language in languages::ALL.iter().map(|own| own.language) {
            assert!(backchannels(language).count() >= 8, "{language}");
            assert!(
                backchannels(language).chain(or_words(language)).all(|words| !phrase(words).is_empty()),
                "{language}"
            );
            assert!(is_unfinished(language, or_words(language).next().unwrap()), "{language}");
        }
        assert!(backchannels("de-AT").eq(backchannels("de")));
        assert_eq!((backchannels("sv-SE").count(), or_words("").count()), (0, 0));
    }

    #[test]
    fn a_language_without_words_is_answered_in_english_by_an_english_voice() {
        let other = OwnWords { voice: Some("sv-SE-Wavenet-A".to_owned()), ..words("sv-SE") };
        assert_eq!(said(&other, Sentence::Lost), format!("<Say language=\"en-US\">{}</Say>", ENGLISH.lost));
        assert_eq!(starting_text("sv-SE"), "hi");
        assert_eq!(starting_text("de-AT"), "hallo");
    }

    #[test]
    fn a_sentence_of_the_settings_goes_before_and_is_in_the_calls_language() {
        let own = |language: &str, text: &str| OwnWords { failed: Some(text.to_owned()), ..words(language) };
        let swedish = said(&own("sv", "Ring igen & igen."), Sentence::Failed);
        assert_eq!(swedish, r#"<Say language="sv-SE">Ring igen &amp; igen.</Say>"#);
        assert_eq!(said(&own("sw", "Samahani."), Sentence::Failed), "<Say>Samahani.</Say>", "Twilio does not speak it");
        let arabic = said(&own("ar-EG", "مع السلامة"), Sentence::Failed);
        assert_eq!(arabic, "<Say language=\"arb\">مع السلامة</Say>");
    }

    #[test]
    fn a_sentence_of_the_settings_is_in_the_agents_language_and_others_hear_the_built_in_one() {
        let own = OwnWords { failed: Some("Leider nicht.".to_owned()), ..words("de-DE") };
        assert!(said(&own.in_language("de-CH"), Sentence::Failed).contains("Leider nicht."));
        let french = said(&own.in_language("fr-FR"), Sentence::Failed);
        assert!(french.starts_with(r#"<Say language="fr-FR">Nous"#), "{french}");
        assert!(said(&own.in_language("sv"), Sentence::Failed).contains(ENGLISH.failed));
    }

    #[test]
    fn the_voice_of_the_settings_speaks_its_own_language_alone() {
        let own = |language: &str| OwnWords { voice: Some("de-DE-Neural2-C".to_owned()), ..words(language) };
        assert!(
            said(&own("de-AT"), Sentence::Lost).starts_with(r#"<Say voice="Google.de-DE-Neural2-C" language="de-DE">"#)
        );
        assert!(said(&own("fr-FR"), Sentence::Lost).starts_with(r#"<Say language="fr-FR">"#));
    }
}
