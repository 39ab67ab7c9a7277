//! Languages: reads what people write for one, and says which of them Twilio's `<Say>` speaks.
//!
//! A language is a BCP-47 tag (RFC 5646), as Dialogflow takes it.

/// The longest language that is read, in bytes. RFC 5646 section 4.4.1 names 35 as enough.
pub const MAX_LANGUAGE_BYTES: usize = 35;

/// The language of a call if nothing says otherwise.
pub const DEFAULT_LANGUAGE: &str = "en-US";

/// Reads a language as people write it: a tag with hyphens or underscores in any case (`en_US`, `EN-us`), a locale
/// (`de_DE.UTF-8`), or a language's name (`German`, `deutsch`). Returns the tag with the usual case. `None` if it is not
/// clear which language is meant.
#[must_use]
pub fn read(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > MAX_LANGUAGE_BYTES {
        return None;
    }
    // A POSIX locale may name a character set after it.
    let text = text.split(['.', '@']).next()?;
    let mut parts = text.split(['-', '_']);
    let mut tag = main_part(parts.next()?)?;
    for part in parts {
        let is_part = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_part {
            return None;
        }
        tag.push('-');
        tag.push_str(&in_usual_case(part));
    }
    Some(tag)
}

/// The first part of a tag, by a code or a name.
fn main_part(part: &str) -> Option<String> {
    let lower = part.to_lowercase();
    let named = |(tag, names): &(&str, &str)| names.split(' ').any(|name| name == lower).then(|| (*tag).to_owned());
    let is_code = || (2..=3).contains(&lower.len()) && lower.bytes().all(|b| b.is_ascii_lowercase());
    NAMES.iter().find_map(named).or_else(|| is_code().then(|| lower.clone()))
}

/// The case of RFC 5646 section 2.1.1: `Latn` for a script, `US` for a region.
fn in_usual_case(part: &str) -> String {
    let lower = part.to_ascii_lowercase();
    match lower.len() {
        2 => lower.to_ascii_uppercase(),
        4 if lower.bytes().all(|b| b.is_ascii_lowercase()) => lower[..1].to_ascii_uppercase() + &lower[1..],
        _ => lower,
    }
}

/// The language of a tag without its region and script, in small letters: `en` of `en-US`. A language with several codes
/// always has the same one, e.g. `zh` for `cmn`.
#[must_use]
pub fn main_language(tag: &str) -> String {
    let main = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match main.as_str() {
        "cmn" | "yue" => "zh".to_owned(),
        "arb" => "ar".to_owned(),
        "nb" | "nn" => "no".to_owned(),
        _ => main,
    }
}

/// The value of `<Say language>` for a language, or `None` if Twilio speaks it with no voice.
///
/// The values are those of Twilio's own library (twilio-node 6.2.0, `SayLanguage`). A region that Twilio does not have is
/// spoken like the one beside it.
#[must_use]
pub fn say_language(tag: &str) -> Option<&'static str> {
    let mut parts = tag.split(['-', '_']);
    let main = parts.next().unwrap_or_default().to_ascii_lowercase();
    let rest: Vec<String> = parts.map(str::to_ascii_uppercase).collect();
    let has = |part: &str| rest.iter().any(|other| other == part);
    let region = rest.iter().rev().find(|part| matches!(part.len(), 2 | 3));
    match main.as_str() {
        "yue" => return Some("yue-HK"),
        "zh" if has("HK") || has("MO") => return Some("yue-HK"),
        "zh" | "cmn" if has("TW") || has("HANT") => return Some("cmn-TW"),
        "es" if region.is_some() && !has("ES") && !has("US") => return Some("es-MX"),
        _ => {}
    }
    let exact = region.map(|region| format!("{main}-{region}"));
    let exact = exact.and_then(|wanted| SPOKEN.iter().find(|spoken| **spoken == wanted));
    exact.or_else(|| SPOKEN.iter().find(|spoken| main_language(spoken) == main_language(&main))).copied()
}

/// Twilio's voice for one of Google's, and its language: `Google.de-DE-Neural2-C` for `de-DE-Neural2-C`. `None` if Twilio
/// does not have that kind of voice, or if it does not speak `language`. An unknown voice can make `<Say>` fail.
#[must_use]
pub fn say_voice(google: &str, language: &str) -> Option<(String, &'static str)> {
    let parts: Vec<&str> = google.split('-').collect();
    let [main, region, kind, ..] = parts[..] else { return None };
    let is_known = matches!(kind, "Standard" | "Wavenet" | "Neural2" | "Chirp3");
    let own = SPOKEN.iter().find(|spoken| **spoken == format!("{main}-{region}"))?;
    (is_known && main_language(own) == main_language(language)).then(|| (format!("Google.{google}"), *own))
}

/// What `<Say>` speaks. The first one of a language is for regions that Twilio does not have.
const SPOKEN: &[&str] = &[
    "en-US", "en-GB", "en-AU", "en-CA", "en-IE", "en-IN", "en-NZ", "en-ZA", "es-ES", "es-MX", "es-US", "fr-FR",
    "fr-BE", "fr-CA", "de-DE", "de-AT", "it-IT", "pt-BR", "pt-PT", "nl-NL", "nl-BE", "ja-JP", "ko-KR", "cmn-CN",
    "cmn-TW", "yue-HK", "hi-IN", "arb", "ar-AE", "ar-XA", "af-ZA", "am-ET", "bg-BG", "bn-IN", "ca-ES", "cs-CZ",
    "cy-GB", "da-DK", "el-GR", "fi-FI", "fil-PH", "gu-IN", "he-IL", "hu-HU", "id-ID", "is-IS", "kn-IN", "lv-LV",
    "ml-IN", "mr-IN", "ms-MY", "nb-NO", "pa-IN", "pl-PL", "ro-RO", "ru-RU", "sk-SK", "sr-RS", "sv-SE", "ta-IN",
    "te-IN", "th-TH", "tr-TR", "uk-UA", "vi-VN",
];

/// Tags, and the names of each: in English, in the language itself, and its codes of three letters (ISO 639-2).
const NAMES: &[(&str, &str)] = &[
    ("en", "english eng"),
    ("es", "spanish español castellano spa"),
    ("fr", "french français fra fre"),
    ("de", "german deutsch deu ger"),
    ("it", "italian italiano ita"),
    ("pt", "portuguese português por"),
    ("nl", "dutch nederlands nld dut"),
    ("ja", "japanese 日本語 jpn"),
    ("ko", "korean 한국어 kor"),
    ("zh", "zho chi"),
    ("zh-CN", "chinese mandarin 中文"),
    ("zh-HK", "cantonese"),
    ("hi", "hindi हिन्दी हिंदी hin"),
    ("ar", "arabic العربية ara"),
    ("bn", "bengali"),
    ("bg", "bulgarian"),
    ("ca", "catalan"),
    ("cs", "czech"),
    ("da", "danish dansk"),
    ("fil", "filipino"),
    ("fi", "finnish suomi"),
    ("el", "greek"),
    ("he", "hebrew"),
    ("hu", "hungarian"),
    ("id", "indonesian"),
    ("ms", "malay"),
    ("mr", "marathi"),
    ("no", "norwegian norsk"),
    ("pl", "polish polski"),
    ("ro", "romanian"),
    ("ru", "russian русский"),
    ("sv", "swedish svenska"),
    ("ta", "tamil"),
    ("te", "telugu"),
    ("th", "thai"),
    ("tr", "turkish türkçe"),
    ("uk", "ukrainian"),
    ("vi", "vietnamese"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_as_people_write_it() {
        for (text, tag) in [
            ("en-US", "en-US"),
            ("en_US", "en-US"),
            ("EN-us", "en-US"),
            (" de ", "de"),
            ("de_DE.UTF-8", "de-DE"),
            ("ca_ES@valencia", "ca-ES"),
            ("english", "en"),
            ("German", "de"),
            ("ESPAÑOL", "es"),
            ("English-GB", "en-GB"),
            ("chinese", "zh-CN"),
            ("日本語", "ja"),
            ("deu", "de"),
            ("es-419", "es-419"),
            ("sr-latn-rs", "sr-Latn-RS"),
            ("zh-Hans-CN", "zh-Hans-CN"),
            ("cmn-hans-cn", "cmn-Hans-CN"),
            ("en-GB-oxendict", "en-GB-oxendict"),
        ] {
            assert_eq!(read(text).as_deref(), Some(tag), "{text}");
        }
    }

    #[test]
    fn what_may_be_any_language_is_none() {
        let long = format!("en-{}", "a".repeat(MAX_LANGUAGE_BYTES));
        for text in
            ["", " ", "e", "klingon", "German please", "en--US", "en-", "-US", "en/US", "en-USUSUSUSU", "12", &long]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn twilio_is_asked_for_a_language_that_it_speaks() {
        for (tag, spoken) in [
            ("de", "de-DE"),
            ("de-CH", "de-DE"),
            ("de-AT", "de-AT"),
            ("en", "en-US"),
            ("en-SG", "en-US"),
            ("en-gb", "en-GB"),
            ("es", "es-ES"),
            ("es-419", "es-MX"),
            ("es-AR", "es-MX"),
            ("es-US", "es-US"),
            ("pt", "pt-BR"),
            ("pt-PT", "pt-PT"),
            ("zh", "cmn-CN"),
            ("zh-CN", "cmn-CN"),
            ("cmn-Hans-CN", "cmn-CN"),
            ("zh-TW", "cmn-TW"),
            ("zh-Hant", "cmn-TW"),
            ("zh-HK", "yue-HK"),
            ("yue-Hant-HK", "yue-HK"),
            ("cmn-Hans-HK", "cmn-CN"),
            ("ar", "arb"),
            ("ar-EG", "arb"),
            ("ar-AE", "ar-AE"),
            ("hi", "hi-IN"),
            ("ja", "ja-JP"),
            ("ko-KR", "ko-KR"),
            ("sr-Latn-RS", "sr-RS"),
            ("no", "nb-NO"),
            ("no-NO", "nb-NO"),
        ] {
            assert_eq!(say_language(tag), Some(spoken), "{tag}");
        }
        assert_eq!(say_language("sw-KE"), None);
        assert_eq!(say_language(""), None);
    }

    #[test]
    fn a_voice_of_googles_is_named_as_twilio_names_it_where_it_speaks_the_calls_language() {
        for (google, language, expected) in [
            ("de-DE-Neural2-C", "de", Some(("Google.de-DE-Neural2-C", "de-DE"))),
            ("en-GB-Chirp3-HD-Kore", "en-US", Some(("Google.en-GB-Chirp3-HD-Kore", "en-GB"))),
            ("cmn-CN-Wavenet-A", "zh-CN", Some(("Google.cmn-CN-Wavenet-A", "cmn-CN"))),
            ("ar-XA-Standard-A", "ar", Some(("Google.ar-XA-Standard-A", "ar-XA"))),
            ("de-DE-Neural2-C", "en-US", None),
            ("en-US-Studio-O", "en-US", None),
            ("Kore", "en-US", None),
            ("en-US", "en-US", None),
        ] {
            let expected = expected.map(|(voice, own)| (voice.to_owned(), own));
            assert_eq!(say_voice(google, language), expected, "{google} {language}");
        }
    }
}
