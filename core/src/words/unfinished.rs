//! Words that end no thought: who stops after one of them has more to say.

use crate::language::main_language;

/// Whether a text ends in a word that ends no thought: a conjunction, a preposition, an article, or a sound that people make
/// while they think. `false` for a language that has no list here.
#[must_use]
pub(crate) fn is_unfinished(language: &str, text: &str) -> bool {
    let language = main_language(language);
    let Some((_, words)) = WORDS.iter().find(|(of, _)| *of == language) else { return false };
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_mark(c)).to_lowercase();
    if matches!(language.as_str(), "ja" | "zh") {
        return words.split(' ').any(|word| text.ends_with(word));
    }
    let last = text.rsplit(|c: char| !c.is_alphanumeric() && !is_mark(c)).next().unwrap_or_default();
    words.split(' ').any(|word| word == last)
}

/// Whether a character that is neither a letter nor a digit belongs to a word: the vowel signs of Hindi, an apostrophe.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0900}'..='\u{0903}' | '\u{093A}'..='\u{094F}' | '\'' | '\u{2019}')
}

/// By language, as a recogniser writes them, in small letters.
const WORDS: &[(&str, &str)] = &[
    (
        "en",
        "a an the and or but nor so because if that which who whose with without of to for from at in on by as into onto \
         about than between my your his her our their its this these those is are was were am be i'm i'd i'll it's um uh \
         er erm uhm hmm like also plus then",
    ),
    (
        "es",
        "el la los las un una unos unas y e o u ni pero porque que si como con sin de del a al en por para entre mi tu su \
         mis tus sus es son era este esta eh em este pues entonces o sea más",
    ),
    (
        "fr",
        "le la les un une des du de d' et ou mais donc car que qui si avec sans pour par dans sur à au aux en entre mon ma mes \
         ton ta tes son sa ses notre votre leur est sont c'est euh heu alors puis plus",
    ),
    (
        "de",
        "der die das den dem des ein eine einen einem einer eines und oder aber denn weil dass wenn ob mit ohne von vom zu \
         zum zur für aus bei nach in im am an auf über zwischen mein meine meinen dein ihr ihre unser ist sind war ich äh \
         ähm öh also dann sowie",
    ),
    (
        "it",
        "il lo la i gli le un uno una e ed o ma perché che se come con senza di del della dei delle a al alla ai da dal dalla \
         in nel nella su sul per tra fra mio mia miei tuo tua suo sua è sono era ehm eh allora poi cioè più",
    ),
    (
        "pt",
        "o a os as um uma uns umas e ou mas porque que se como com sem de do da dos das em no na nos nas por pelo pela para \
         pra entre meu minha meus seu sua é são era hum eh então aí tipo mais",
    ),
    (
        "nl",
        "de het een en of maar want omdat dat als met zonder van voor naar in op aan bij uit over tussen te om mijn jouw uw \
         zijn haar onze is was eh ehm uh dus dan plus",
    ),
    ("ja", "えっと ええと えーと あの その けど から ので で と や は が を に"),
    ("ko", "그리고 그런데 하지만 그래서 음 어 저 그 저기 및 또 또는 와 과 랑 이랑 하고"),
    ("zh", "嗯 呃 那个 这个 就是 和 跟 还有 或者 因为 所以 但是 如果 的"),
    ("hi", "और या लेकिन मगर क्योंकि कि अगर तो का की के को में से पर ने मेरा मेरी मेरे उम अ यानी"),
    ("ar", "و أو لكن لأن أن إن إذا مع من إلى على في عن بين هذا هذه يعني اه ام ثم"),
];

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
        ];
        for (language, text) in unfinished {
            assert!(is_unfinished(language, text), "{language}: {text}");
        }
    }

    #[test]
    fn a_finished_text_and_a_language_without_a_list_are_not() {
        let finished =
            [("en-US", "two loaves"), ("en-US", "the sand"), ("en-US", ""), ("de-DE", "ja"), ("fi-FI", "kaksi ja")];
        for (language, text) in finished {
            assert!(!is_unfinished(language, text), "{language}: {text}");
        }
    }

    #[test]
    fn each_language_of_our_own_words_has_a_list() {
        let of: Vec<&str> = WORDS.iter().map(|(language, _)| *language).collect();
        assert_eq!(of, ["en", "es", "fr", "de", "it", "pt", "nl", "ja", "ko", "zh", "hi", "ar"]);
    }
}
