//! Finds the words of a prompt in a transcript.
//!
//! A chain is a stretch of the transcript whose words come in the prompt in the same order. Recognisers mishear echo,
//! so a chain may have gaps: up to three words of the prompt for as many other words.

use std::ops::Range;

use crate::audio::Position;
use crate::words::tokens::Word;

/// How many words of a prompt in a row are echo and no coincidence.
const MIN_ROW: usize = 4;

/// The longest gap in a chain, in words.
const MAX_GAP: usize = 3;

/// How many words at the ends of a chain may be misheard.
const MAX_MISHEARD: usize = 2;

/// How many pairs of equal words are looked at. A prompt and a transcript that are one word again and again have a
/// hundred times as many.
const MAX_PAIRS: usize = 8_000;

/// A word of a prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct PromptWord<'a> {
    pub(super) word: &'a Word,
    /// Where in the caller's audio it is heard.
    pub(super) begins: Position,
    pub(super) ends: Position,
    /// Which choice of a question it belongs to. `None` for words that are no choice.
    pub(super) choice: Option<u32>,
}

/// What a word of a transcript is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Echo,
    /// The prompt has it too, but too few words beside it, or it is one of the prompt's choices.
    Shared,
    /// The prompt does not have it there.
    Other,
}

/// A chain: stretches of the transcript and of the prompt.
#[derive(Debug, Clone)]
struct Chain {
    heard: Range<usize>,
    prompt: Range<usize>,
    /// Whether it has enough words in a row, at the right time.
    is_echo: bool,
}

/// A pair of equal words, as the end of the longest chain that ends with it.
#[derive(Debug, Clone, Copy)]
struct Pair {
    heard: usize,
    prompt: usize,
    first_heard: usize,
    first_prompt: usize,
    count: usize,
    row: usize,
    longest_row: usize,
}

/// Where in the caller's audio the prompt must have said words that were heard.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// If they are echo.
    pub(super) echo: Range<Position>,
    /// If they are in doubt: earlier too.
    pub(super) doubt: Range<Position>,
}

/// Says what each word of a transcript is. Only chains whose place in the prompt is heard in the window count.
pub(super) fn find(heard: &[Word], prompt: &[PromptWord<'_>], window: &Window) -> Vec<Found> {
    let mut found = vec![Found::Other; heard.len()];
    let equal = equal_words(heard, prompt);
    let whole = 0..heard.len();
    let mut parts = vec![whole];
    while let Some(part) = parts.pop() {
        let Some(chain) = best_chain(&equal, &part, heard, prompt, window) else { continue };
        let mut inner = chain.heard.clone();
        let is_echo = chain.is_echo && !is_choice(&prompt[chain.prompt.clone()]);
        if is_echo {
            inner = with_misheard(heard, &part, inner, prompt, &chain.prompt);
        }
        found[inner.clone()].fill(if is_echo { Found::Echo } else { Found::Shared });
        parts.extend([part.start..inner.start, inner.end..part.end].into_iter().filter(|part| !part.is_empty()));
    }
    found
}

/// Where words of the transcript and of the prompt are equal, in order.
fn equal_words(heard: &[Word], prompt: &[PromptWord<'_>]) -> Vec<(usize, usize)> {
    let all = heard.iter().enumerate().flat_map(|(h, word)| {
        let equal = prompt.iter().enumerate().filter(|(_, other)| other.word.text == word.text);
        equal.map(move |(p, _)| (h, p))
    });
    all.take(MAX_PAIRS).collect()
}

/// The best chain in a part of the transcript.
fn best_chain(
    equal: &[(usize, usize)],
    part: &Range<usize>,
    heard: &[Word],
    prompt: &[PromptWord<'_>],
    window: &Window,
) -> Option<Chain> {
    let mut pairs: Vec<Pair> = Vec::new();
    for &(h, p) in equal.iter().filter(|(h, _)| part.contains(h)) {
        let alone = Pair { heard: h, prompt: p, first_heard: h, first_prompt: p, count: 1, row: 1, longest_row: 1 };
        let longer = nearby(&pairs, h, p).filter_map(|pair| pair.followed_by(h, p, heard, prompt));
        pairs.push(longer.chain([alone]).max_by_key(|pair| (pair.longest_row, pair.count)).unwrap_or(alone));
    }
    let is_in = |pair: &Pair, window: &Range<Position>| {
        prompt[pair.first_prompt].begins < window.end && prompt[pair.prompt].ends > window.start
    };
    let is_echo = |pair: &Pair| pair.longest_row >= MIN_ROW && is_in(pair, &window.echo);
    let near = pairs.iter().filter(|pair| is_in(pair, &window.doubt));
    let best = near.max_by_key(|pair| (is_echo(pair), pair.longest_row.min(MIN_ROW), pair.count))?;
    Some(Chain {
        heard: best.first_heard..best.heard + 1,
        prompt: best.first_prompt..best.prompt + 1,
        is_echo: is_echo(best),
    })
}

/// The pairs that are near enough before these words for a chain to go on, the nearest first.
fn nearby(pairs: &[Pair], h: usize, p: usize) -> impl Iterator<Item = &Pair> {
    (1..=MAX_GAP + 1).filter_map(move |back| h.checked_sub(back)).flat_map(move |heard| {
        let first = |prompt: usize| pairs.partition_point(|pair| (pair.heard, pair.prompt) < (heard, prompt));
        pairs[first(p.saturating_sub(MAX_GAP + 1))..first(p)].iter().rev()
    })
}

impl Pair {
    /// The chain that goes on with this pair of words. `None` if they are too far apart.
    fn followed_by(&self, h: usize, p: usize, heard: &[Word], prompt: &[PromptWord<'_>]) -> Option<Self> {
        let heard_gap = h.checked_sub(self.heard + 1)?;
        let prompt_gap = p.checked_sub(self.prompt + 1)?;
        // A number may be digits in the one text and words in the other, and "9" may be "9:00".
        let has_digits = heard[self.heard + 1..h].iter().all(Word::is_digit);
        let is_number = has_digits || prompt[self.prompt + 1..p].iter().all(|word| word.word.is_digit());
        // Words that the prompt has none for are the caller's.
        let is_misheard = heard_gap <= prompt_gap + usize::from(prompt_gap > 0);
        if heard_gap > MAX_GAP || prompt_gap > MAX_GAP || !(is_misheard || has_digits) {
            return None;
        }
        let goes_on = prompt_gap == 0 || (heard_gap > 0 && is_number);
        let row = if goes_on { self.row + 1 } else { 1 };
        let longest_row = self.longest_row.max(row);
        Some(Self { heard: h, prompt: p, count: self.count + 1, row, longest_row, ..*self })
    }
}

/// Whether these words of a prompt are one of its choices, and no more.
fn is_choice(words: &[PromptWord<'_>]) -> bool {
    let choice = words.first().and_then(|word| word.choice);
    choice.is_some() && words.iter().all(|word| word.choice == choice)
}

/// Adds the words before and after a chain of echo that resemble those of the prompt.
fn with_misheard(
    heard: &[Word],
    part: &Range<usize>,
    mut chain: Range<usize>,
    prompt: &[PromptWord<'_>],
    place: &Range<usize>,
) -> Range<usize> {
    let is_misheard = |at: usize, next: &Word| {
        let word = &heard[at];
        let is_unfinished = at + 1 == heard.len() && next.text.starts_with(&word.text);
        is_unfinished || next.is_digit() || word.is_digit() || resembles(&word.text, &next.text)
    };
    for step in 0..MAX_MISHEARD {
        let is_longer_number = || heard[chain.end].is_digit() && heard[chain.end - 1].is_digit();
        let next = prompt.get(place.end + step);
        let goes_on =
            chain.end < part.end && next.map_or_else(is_longer_number, |next| is_misheard(chain.end, next.word));
        if !goes_on {
            break;
        }
        chain.end += 1;
    }
    for step in 1..=MAX_MISHEARD {
        let Some(before) = place.start.checked_sub(step).filter(|_| chain.start > part.start) else { break };
        if !resembles(&heard[chain.start - 1].text, &prompt[before].word.text) {
            break;
        }
        chain.start -= 1;
    }
    chain
}

/// Whether one word may be the other one, misheard: the same letters begin and end at least half of the longer one.
fn resembles(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    let begins = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let ends = a.iter().rev().zip(b.iter().rev()).take(shorter - begins).take_while(|(a, b)| a == b).count();
    2 * (begins + ends) >= longer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tokens::Words;

    /// Each word of the prompt takes one second. What begins in a letter from `choices` is one of its choices.
    fn found_at(prompt: &str, heard: &str, seconds: Range<u64>, choices: &str) -> (usize, usize, usize) {
        let (prompt, heard) = (Words::of(prompt, 100), Words::of(heard, 100));
        let words = prompt.words.iter().enumerate().map(|(n, word)| PromptWord {
            word,
            begins: n as u64,
            ends: n as u64 + 1,
            choice: word.text.starts_with(|c| choices.contains(c)).then_some(1),
        });
        let window = Window { doubt: seconds.start.saturating_sub(2)..seconds.end, echo: seconds };
        let found = find(&heard.words, &words.collect::<Vec<_>>(), &window);
        let count = |wanted| found.iter().filter(|found| **found == wanted).count();
        (count(Found::Echo), count(Found::Shared), count(Found::Other))
    }

    fn found(prompt: &str, heard: &str) -> (usize, usize, usize) {
        found_at(prompt, heard, 0..100, "")
    }

    const HOURS: &str = "Our opening hours are Monday to Friday, from 9 to 5.";

    #[test]
    fn four_words_in_a_row_are_echo_and_three_are_not() {
        assert_eq!(found(HOURS, "our opening hours are"), (4, 0, 0));
        assert_eq!(found(HOURS, "our opening hours"), (0, 3, 0));
        assert_eq!(found(HOURS, "hours are Monday to Friday from"), (6, 0, 0));
        assert_eq!(found(HOURS, "no wait I want to cancel"), (0, 1, 5));
    }

    #[test]
    fn echo_may_be_misheard() {
        assert_eq!(found(HOURS, "our opening hours are mon"), (5, 0, 0), "the last word is not finished");
        assert_eq!(found(HOURS, "our opening hours are Monday two Friday"), (7, 0, 0));
        assert_eq!(found(HOURS, "hour opening hours are Monday"), (5, 0, 0));
        assert_eq!(found(HOURS, "our opening hours are fry to Friday from"), (8, 0, 0));
        assert_eq!(found(HOURS, "our opening hours are stop"), (4, 0, 1));
    }

    #[test]
    fn a_number_is_the_same_in_digits_and_in_words() {
        assert_eq!(found(HOURS, "to Friday from nine to five"), (6, 0, 0));
        assert_eq!(found(HOURS, "Monday to Friday from 9:00 to 5:00").2, 0);
        assert_eq!(
            found("press 1 for sales press 2 for support", "press one for sales press two for support"),
            (8, 0, 0)
        );
        assert_eq!(found("call 555-0100 now please", "call 5550100 now please"), (10, 0, 0));
    }

    #[test]
    fn words_inside_echo_that_the_prompt_does_not_have_are_the_callers() {
        assert_eq!(found(HOURS, "our opening hours are no wait Monday to Friday from"), (8, 0, 2));
    }

    #[test]
    fn what_is_not_heard_at_that_time_is_no_echo() {
        assert_eq!(found_at(HOURS, "our opening hours are", 6..9, ""), (0, 0, 4));
        assert_eq!(found_at(HOURS, "our opening hours are", 5..9, ""), (0, 4, 0), "a bit too late: in doubt");
        assert_eq!(found_at(HOURS, "our opening hours are", 3..9, ""), (4, 0, 0));
    }

    #[test]
    fn a_choice_is_the_callers_and_more_than_it_is_not() {
        let prompt = "would you like ca cb cc cd or db dc dd de today";
        assert_eq!(found_at(prompt, "ca cb cc cd", 0..100, "c"), (0, 4, 0));
        assert_eq!(found_at(prompt, "like ca cb cc cd or", 0..100, "c"), (6, 0, 0));
    }

    #[test]
    fn one_word_again_and_again_costs_no_more_than_so_many_pairs() {
        let (prompt, heard) = ("no ".repeat(4_000), "no ".repeat(100));
        let (prompt_words, heard_words) = (Words::of(&prompt, usize::MAX), Words::of(&heard, usize::MAX));
        let placed = prompt_words.words.iter().map(|word| PromptWord { word, begins: 0, ends: 1, choice: None });
        assert_eq!(equal_words(&heard_words.words, &placed.collect::<Vec<_>>()).len(), MAX_PAIRS);
        let (echo, shared, other) = found(&prompt, &heard);
        assert_eq!(echo + shared + other, 100);
    }

    #[test]
    fn four_characters_are_enough_where_words_have_no_spaces() {
        assert_eq!(found("営業時間は九時からです。", "営業時間は"), (5, 0, 0));
        assert_eq!(found("我们的营业时间是", "营业时"), (0, 3, 0));
        assert_eq!(found("我们的营业时间是", "等一下"), (0, 0, 3));
    }
}
