//! Small words by language that say nothing by themselves: what a listener says to show that he listens, and what joins
//! the choices of a question.

use crate::language::main_language;

/// The words of one language.
#[derive(Debug)]
struct SmallWords {
    language: &'static str,
    /// What a listener says while the other one speaks. None of these refuses, asks or stops anything.
    backchannels: &'static [&'static str],
    /// What stands between two choices.
    or: &'static [&'static str],
}

/// What a listener says in that language while the agent speaks. Empty for a language without such words of ours.
#[must_use]
pub fn backchannels(language: &str) -> &'static [&'static str] {
    of(language).map_or(&[], |words| words.backchannels)
}

/// What stands between two choices in that language.
pub(crate) fn or_words(language: &str) -> &'static [&'static str] {
    of(language).map_or(&[], |words| words.or)
}

fn of(tag: &str) -> Option<&'static SmallWords> {
    let language = main_language(tag);
    ALL.iter().find(|words| words.language == language)
}

const ALL: &[SmallWords] = &[
    SmallWords {
        language: "en",
        backchannels: &[
            "mhm",
            "mm",
            "mmm",
            "mm-hmm",
            "hmm",
            "hm",
            "uh-huh",
            "uh",
            "um",
            "ah",
            "aha",
            "oh",
            "okay",
            "ok",
            "right",
            "all right",
            "alright",
            "yeah",
            "yep",
            "sure",
            "i see",
            "got it",
            "good",
            "great",
        ],
        or: &["or"],
    },
    SmallWords {
        language: "es",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "ajá",
            "aja",
            "ah",
            "eh",
            "oh",
            "sí",
            "vale",
            "ya",
            "ok",
            "okay",
            "claro",
            "bueno",
            "bien",
            "entiendo",
            "de acuerdo",
            "ya veo",
        ],
        or: &["o", "u"],
    },
    SmallWords {
        language: "fr",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "hum",
            "euh",
            "ah",
            "oh",
            "oui",
            "ouais",
            "d'accord",
            "ok",
            "okay",
            "bien",
            "très bien",
            "je vois",
            "entendu",
            "ah oui",
            "voilà",
        ],
        or: &["ou", "ou bien"],
    },
    SmallWords {
        language: "de",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "hm",
            "äh",
            "ähm",
            "ah",
            "aha",
            "ach so",
            "oh",
            "ja",
            "jaja",
            "genau",
            "okay",
            "ok",
            "gut",
            "klar",
            "alles klar",
            "verstehe",
            "ich verstehe",
            "in ordnung",
        ],
        or: &["oder"],
    },
    SmallWords {
        language: "it",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "eh",
            "ah",
            "oh",
            "sì",
            "ok",
            "okay",
            "va bene",
            "bene",
            "certo",
            "capisco",
            "capito",
            "d'accordo",
            "ho capito",
        ],
        or: &["o", "oppure"],
    },
    SmallWords {
        language: "pt",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "hum",
            "aham",
            "ahã",
            "uhum",
            "ah",
            "oh",
            "é",
            "sim",
            "ok",
            "okay",
            "tá",
            "está bem",
            "tá bom",
            "certo",
            "claro",
            "entendi",
            "pois",
            "pois é",
        ],
        or: &["ou"],
    },
    SmallWords {
        language: "nl",
        backchannels: &[
            "mhm",
            "mm",
            "hmm",
            "hm",
            "eh",
            "ah",
            "aha",
            "oh",
            "ja",
            "jaja",
            "oké",
            "ok",
            "goed",
            "precies",
            "juist",
            "prima",
            "ik snap het",
            "ik begrijp het",
        ],
        or: &["of"],
    },
    SmallWords {
        language: "ja",
        backchannels: &[
            "はい",
            "ええ",
            "うん",
            "ふん",
            "ふーん",
            "あー",
            "ああ",
            "へー",
            "へえ",
            "なるほど",
            "そう",
            "そうですか",
            "そうですね",
            "わかりました",
            "分かりました",
            "オーケー",
            "ok",
        ],
        or: &["または", "又は", "それとも", "もしくは"],
    },
    SmallWords {
        language: "ko",
        backchannels: &[
            "네",
            "예",
            "응",
            "음",
            "흠",
            "아",
            "어",
            "그래요",
            "그렇군요",
            "알겠습니다",
            "네네",
            "오케이",
            "맞아요",
        ],
        or: &["또는", "혹은", "아니면"],
    },
    SmallWords {
        language: "zh",
        backchannels: &[
            "嗯",
            "嗯哼",
            "哦",
            "噢",
            "喔",
            "啊",
            "呃",
            "对",
            "對",
            "是",
            "是的",
            "好",
            "好的",
            "行",
            "明白",
            "明白了",
            "知道了",
            "ok",
        ],
        or: &["或", "或者", "或是", "还是", "還是"],
    },
    SmallWords {
        language: "hi",
        backchannels: &["हाँ", "हां", "हम्म", "हूँ", "अच्छा", "ठीक", "ठीक है", "जी", "जी हाँ", "ओके", "सही"],
        or: &["या", "अथवा"],
    },
    SmallWords {
        language: "ar",
        backchannels: &[
            "نعم",
            "أجل",
            "آه",
            "اه",
            "امم",
            "همم",
            "طيب",
            "حسنا",
            "حسناً",
            "تمام",
            "أوكي",
            "اوكي",
            "صح",
            "ماشي",
        ],
        or: &["أو", "أم"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::sentences;
    use crate::words::tokens::Words;

    #[test]
    fn every_language_of_ours_has_its_words_and_each_of_them_can_be_heard() {
        for sentences in sentences::ALL {
            let (said, or) = (backchannels(sentences.language), or_words(sentences.language));
            assert!(said.len() >= 8 && !or.is_empty(), "{}", sentences.language);
            for phrase in said.iter().chain(or) {
                assert!(!Words::of(phrase, 9).words.is_empty(), "{phrase}");
            }
        }
        assert_eq!(ALL.len(), sentences::ALL.len());
    }

    #[test]
    fn a_region_has_the_words_of_its_language() {
        assert_eq!(backchannels("de-AT"), backchannels("de"));
        assert!(backchannels("sv-SE").is_empty() && or_words("").is_empty());
    }
}
