//! Texts as words that can be compared: a prompt as the agent wrote it, and a transcript as the recogniser spelt it.
//!
//! Case, punctuation, accents of Latin letters and full-width forms do not count. A word of a language without spaces
//! (Chinese, Japanese, Thai, Lao, Khmer, Burmese) is one character. A number is one word for each digit, so that
//! `555-0100` is `5550100`.

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// How much of the text is spoken before it. The unit is half a letter.
    pub(crate) at: u32,
    /// Which part of a sentence it is in: commas, quotation marks and the ends of sentences end one.
    pub(crate) clause: u32,
    /// Which sentence it is in.
    pub(crate) sentence: u32,
    /// Whether it is in quotation marks.
    pub(crate) is_quoted: bool,
}

impl Word {
    pub(crate) fn is_digit(&self) -> bool {
        self.text.chars().all(char::is_numeric)
    }
}

/// The words of a text, and how long they take to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) words: Vec<Word>,
    /// How long the text takes to say. The unit is half a letter.
    pub(crate) length: u32,
}

/// How long parts of a text take to say, in half a letter.
mod length {
    pub(super) const LETTER: u32 = 2;
    /// A character that is a word.
    pub(super) const CHARACTER: u32 = 5;
    pub(super) const DIGIT: u32 = 10;
    pub(super) const SPACE: u32 = 2;
    pub(super) const CLAUSE: u32 = 8;
    pub(super) const SENTENCE: u32 = 16;
}

/// What a character is to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    /// A word of its own.
    Character,
    Digit,
    /// Nothing: an apostrophe inside a word, or a mark on a letter.
    Joiner,
    Space,
    Clause,
    Quote,
    Sentence,
}

fn kind(c: char) -> Kind {
    match c {
        '.' | '!' | '?' | '…' | '؟' | '。' | '！' | '？' | '।' | '۔' | '\n' => Kind::Sentence,
        '"' | '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' => Kind::Quote,
        ',' | ';' | ':' | '،' | '؛' | '、' | '，' | '；' | '：' | '(' | ')' | '–' | '—' => Kind::Clause,
        '\'' | '’' | '‘' | 'ʼ' => Kind::Joiner,
        _ if is_mark(c) => Kind::Joiner,
        _ if is_unspaced(c) => Kind::Character,
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_alphabetic() => Kind::Letter,
        _ => Kind::Space,
    }
}

/// A mark that stands on or joins letters. Recognisers and agents leave these out or compose them as they like.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{591}'..='\u{5C7}' | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}'
        | '\u{670}' | '\u{93C}' | '\u{94D}' | '\u{9CD}' | '\u{200C}' | '\u{200D}' | '\u{FE0F}' | '\u{E47}'..='\u{E4E}')
}

/// A character of a writing without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' | '\u{E00}'..='\u{E4F}' | '\u{E80}'..='\u{EFF}'
        | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D3}')
}

impl Words {
    /// The words of a text, at most `max`. The length is that of the whole text.
    pub(crate) fn of(text: &str, max: usize) -> Self {
        let mut reader = Reader { max, ..Reader::default() };
        for c in text.chars().map(half_width) {
            reader.read(c);
        }
        reader.end_word();
        reader.read
    }
}

/// The words of a phrase, to be compared.
pub(crate) fn phrase(text: &str) -> Vec<String> {
    Words::of(text, usize::MAX).words.into_iter().map(|word| word.text).collect()
}

#[derive(Debug, Default)]
struct Reader {
    max: usize,
    read: Words,
    word: String,
    word_at: u32,
    clause: u32,
    sentence: u32,
    is_quoted: bool,
}

impl Reader {
    fn read(&mut self, c: char) {
        match kind(c) {
            Kind::Joiner => {}
            Kind::Letter => {
                if self.word.is_empty() {
                    self.word_at = self.read.length;
                }
                push_letter(&mut self.word, c);
                self.read.length += length::LETTER;
            }
            Kind::Character => self.single(c, length::CHARACTER),
            Kind::Digit => self.single(digit(c), length::DIGIT),
            Kind::Space => self.pause(length::SPACE),
            Kind::Clause => {
                self.pause(length::CLAUSE);
                self.clause += 1;
            }
            Kind::Quote => {
                self.pause(length::SPACE);
                self.clause += 1;
                self.is_quoted = match c {
                    '"' => !self.is_quoted,
                    '“' if self.is_quoted => false,
                    '“' | '„' | '«' | '「' | '『' => true,
                    _ => false,
                };
            }
            Kind::Sentence => {
                self.pause(length::SENTENCE);
                self.clause += 1;
                self.sentence += 1;
                self.is_quoted = false;
            }
        }
    }

    /// A character that is a word.
    fn single(&mut self, c: char, length: u32) {
        self.end_word();
        self.word_at = self.read.length;
        self.word.push(c);
        self.read.length += length;
        self.end_word();
    }

    fn pause(&mut self, length: u32) {
        self.end_word();
        self.read.length += length;
    }

    fn end_word(&mut self) {
        let text = std::mem::take(&mut self.word);
        if !text.is_empty() && self.read.words.len() < self.max {
            let (at, clause, sentence, is_quoted) = (self.word_at, self.clause, self.sentence, self.is_quoted);
            self.read.words.push(Word { text, at, clause, sentence, is_quoted });
        }
    }
}

/// The usual form of a full-width letter, digit or sign.
fn half_width(c: char) -> char {
    let usual = match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0),
        '\u{3000}' => Some(' '),
        _ => None,
    };
    usual.unwrap_or(c)
}

/// A decimal digit of any writing as 0 to 9.
fn digit(c: char) -> char {
    let zeros = ['\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}', '\u{E50}'];
    let value = zeros.iter().find_map(|zero| (u32::from(c)).checked_sub(u32::from(*zero)).filter(|value| *value < 10));
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// Adds a letter in lower case and without its accent.
fn push_letter(word: &mut String, c: char) {
    for lower in c.to_lowercase() {
        match lower {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' => word.push('a'),
            'è' | 'é' | 'ê' | 'ë' | 'ē' => word.push('e'),
            'ì' | 'í' | 'î' | 'ï' | 'ī' => word.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' => word.push('o'),
            'ù' | 'ú' | 'û' | 'ü' | 'ū' => word.push('u'),
            'ç' => word.push('c'),
            'ñ' => word.push('n'),
            'ý' | 'ÿ' => word.push('y'),
            'ß' => word.push_str("ss"),
            'æ' => word.push_str("ae"),
            'œ' => word.push_str("oe"),
            'أ' | 'إ' | 'آ' | 'ٱ' => word.push('ا'),
            'ى' => word.push('ي'),
            'ة' => word.push('ه'),
            lower if is_mark(lower) => {}
            lower => word.push(lower),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        Words::of(text, 100).words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn case_punctuation_accents_and_forms_do_not_count() {
        assert_eq!(texts("Don't you -- DON’T?"), ["dont", "you", "dont"]);
        assert_eq!(texts("Café, Straße; ＡＢＣ"), ["cafe", "strasse", "abc"]);
        assert_eq!(texts("Cafe\u{301}"), texts("café"), "composed or not");
        assert_eq!(texts("कृपया प्रतीक्षा करें।").len(), 3);
        assert_eq!(texts("أهلاً وسهلاً"), texts("اهلا وسهلا"));
    }

    #[test]
    fn a_number_is_its_digits_and_a_character_is_a_word_where_words_have_no_spaces() {
        assert_eq!(texts("555-0100"), texts("5550100"));
        assert_eq!(texts("٣ ３ ३"), ["3", "3", "3"]);
        assert_eq!(texts("営業時間は、9時"), ["営", "業", "時", "間", "は", "9", "時"]);
        assert_eq!(texts("안녕하세요 여러분").len(), 2);
        assert_eq!(texts(" …!").len(), 0);
    }

    #[test]
    fn a_word_knows_its_place() {
        let words = Words::of("Rye, or \"wheat bread\"? Now.", 100).words;
        let places: Vec<(u32, u32, bool)> =
            words.iter().map(|word| (word.clause, word.sentence, word.is_quoted)).collect();
        assert_eq!(places, [(0, 0, false), (1, 0, false), (2, 0, true), (2, 0, true), (4, 1, false)]);
        assert!(words.is_sorted_by_key(|word| word.at));
        let cut = Words::of("one two three", 1);
        assert_eq!((cut.words.len(), cut.length), (1, Words::of("one two three", 9).length));
    }
}
