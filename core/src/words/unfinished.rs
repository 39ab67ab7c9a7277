//! Words that end no thought: who stops after one of them has more to say.

use super::languages;

/// Whether a text ends in a word that ends no thought. `false` for a language without such words of ours.
#[must_use]
pub(crate) fn is_unfinished(language: &str, text: &str) -> bool {
    let Some(own) = languages::of(language) else { return false };
    let is_sign = |c: char| !c.is_alphanumeric() && !is_mark(c);
    // "mm-hmm" does not end in "hmm".
    let is_between = |c: char| is_sign(c) && c != '-';
    let last = text.trim_end_matches(is_sign).rsplit(is_between).next().unwrap_or_default();
    let last = last.to_lowercase().replace('\u{2019}', "'");
    let small = &own.small_words;
    small.unfinished.split_whitespace().any(|word| word == last)
        || small.unfinished_ends.split_whitespace().any(|end| last.ends_with(end))
}

/// Whether a character that is neither a letter nor a digit belongs to a word: the vowel signs of Hindi, an apostrophe.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0900}'..='\u{0903}' | '\u{093A}'..='\u{094F}' | '\'' | '\u{2019}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_ends_in_a_conjunction_or_a_sound_of_thought_is_unfinished() {
        let unfinished = [
            ("en-US", "two loaves and"),
            ("en-GB", "Well, um..."),
            ("es-MX", "quiero dos panes y"),
            ("fr-FR", "je voudrais euh"),
            ("de-DE", "Ich hätte gern ein"),
            ("it-IT", "vorrei il"),
            ("pt-BR", "quero pão com"),
            ("nl-NL", "twee broden en"),
            ("ja-JP", "えっと、"),
            ("ko-KR", "빵 두 개 그리고"),
            ("cmn-Hans-CN", "我要两个面包和"),
            ("hi-IN", "दो रोटी और"),
            ("ar-EG", "خبز و"),
            ("en-US", "my name is John and I\u{2019}m"),
            ("fr-FR", "deux pains, c\u{2019}est"),
            ("ja-JP", "食パンを二つと"),
            ("ko-KR", "빵 두 개하고"),
            ("ko-KR", "주문하고 싶은데, 빵이랑"),
            ("zh-TW", "我要兩個麵包還有"),
        ];
        for (language, text) in unfinished {
            assert!(is_unfinished(language, text), "{language}: {text}");
        }
    }

    #[test]
    fn a_finished_text_and_a_language_without_a_list_are_not() {
        let finished = [
            ("en-US", "two loaves"),
            ("en-US", "the sand"),
            ("en-US", ""),
            ("de-DE", "ja"),
            ("es-ES", "no, nada más"),
            ("fr-FR", "non plus"),
            ("it-IT", "uno in più"),
            ("pt-BR", "nada mais"),
            ("nl-NL", "ik wil het"),
            ("ja-JP", "こんにちは"),
            ("ja-JP", "本当に"),
            ("ja-JP", "カードで"),
            ("ja-JP", "いや"),
            ("ko-KR", "사과"),
            ("ko-KR", "치과"),
            ("zh-CN", "我要红的"),
            ("zh-CN", ""),
            ("fi-FI", "kaksi ja"),
        ];
        for (language, text) in finished {
            assert!(!is_unfinished(language, text), "{language}: {text}");
        }
    }

    #[test]
    fn no_backchannel_is_unfinished_except_a_sound_of_thought() {
        let all = languages::ALL
            .iter()
            .flat_map(|own| own.small_words.backchannels.split(", ").map(move |phrase| (own.language, phrase)));
        let unfinished: Vec<(&str, &str)> = all.filter(|(language, phrase)| is_unfinished(language, phrase)).collect();
        let sounds = [
            ("en", "hmm"),
            ("en", "uh"),
            ("en", "um"),
            ("es", "eh"),
            ("fr", "euh"),
            ("de", "äh"),
            ("de", "ähm"),
            ("it", "eh"),
            ("pt", "hum"),
            ("nl", "eh"),
            ("ko", "음"),
            ("ko", "어"),
            ("zh", "呃"),
        ];
        assert_eq!(unfinished, sounds);
    }
}
