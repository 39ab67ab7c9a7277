//! Tells the agent's own words, which come back through the caller's loudspeaker and microphone, from the caller's.
//!
//! Words are echo if all of this is so:
//!
//! - At least four of them stand in a row in the prompt's text (`matching`). In languages without spaces, four
//!   characters.
//! - The prompt said them when they were heard, give or take a second. We know when a prompt's audio begins and ends at
//!   the caller's, and take the place of a word in its text for its place in the audio: a letter takes as long as any
//!   other, a digit as long as a short word, the end of a sentence as long as a long one. Echo is up to half a second
//!   late.
//! - They are softer than the caller has been. If he has not spoken yet, they are softer than the prompt by more than a
//!   caller usually is, or no louder than what has come back of the prompt so far.
//!
//! Fewer words, words that are a few seconds late, and words that are one of the prompt's choices are in doubt. So are
//! soft words during a recording, whose text we do not know. Words that the prompt does not have there are the
//! caller's, however soft.

mod matching;

use std::collections::VecDeque;
use std::ops::Range;

use crate::audio::{Position, bytes};
use crate::call::loudness::LevelHistory;
use crate::ids::TurnId;
use crate::words::or_words;
use crate::words::tokens::{Word, Words, phrase};

use matching::{Found, PromptWord, Window, find};

/// How many prompts are kept. The echo of an older one has come back.
const MAX_PROMPTS: usize = 4;

/// How much text of a prompt is kept, in bytes: some ten minutes. Later words of it are in doubt.
const MAX_TEXT_BYTES: usize = 12_000;

/// How many words of a prompt are compared.
const MAX_PROMPT_WORDS: usize = 4_000;

/// How many words of a transcript are compared: the last ones.
const MAX_HEARD_WORDS: usize = 100;

/// How far a word may be from where we expect it, in milliseconds.
const TOLERANCE_MS: Position = 1_000;

/// How long ago the prompt may have said words that are in doubt, in milliseconds: a recogniser may begin anew, or be
/// slow.
const DOUBT_MS: Position = 5_000;

/// How late echo may be, in milliseconds: the way to the telephone and back.
const MAX_DELAY_MS: Position = 500;

/// After this much of a prompt we know how much of it comes back, in milliseconds.
const LEARNING_MS: Position = 600;

/// What is softer than this is silence: some -57 dB of full scale.
const MIN_SOUND_LEVEL: u32 = 50;

/// How much audio has its level kept, in milliseconds. The agent's is sent up to ten seconds ahead.
const CALLER_MS: usize = 10_000;
const AGENT_MS: usize = 22_000;

/// How long half a letter takes to say, in milliseconds, for an answer of which more may come: 15 letters a second.
const UNIT_MS: Position = 33;

/// What may have come back, and how loud it was.
#[derive(Debug)]
pub(super) struct Echo {
    /// Whether echo is told from the caller's words. If not, nothing is noted.
    is_guarded: bool,
    /// What stands between two choices of a question.
    or: Vec<Vec<String>>,
    prompts: VecDeque<Prompt>,
    /// Where the audio ends that was sent, in the caller's audio.
    sent_to: Position,
    agent: LevelHistory,
    caller: LevelHistory,
    /// How loud the caller is where no prompt is heard.
    caller_loudness: Option<u32>,
}

/// What is said in one turn of the agent, or a filler.
#[derive(Debug)]
struct Prompt {
    /// `None` for a filler.
    turn: Option<TurnId>,
    text: String,
    /// Whether all of its audio is that text.
    is_text: bool,
    /// Whether no more of its text or audio comes.
    is_complete: bool,
    /// `None` if no audio was sent yet.
    audio: Option<Audio>,
}

/// The audio of a prompt, as positions in the caller's audio.
#[derive(Debug)]
struct Audio {
    begins: Position,
    /// Where it ends, or would have ended.
    ends: Position,
    /// Where it was cut.
    cut: Option<Position>,
    /// Whether the caller was speaking when it began.
    is_into_speech: bool,
}

impl Audio {
    fn heard_until(&self) -> Position {
        self.cut.map_or(self.ends, |cut| cut.min(self.ends))
    }

    /// Whether it may have come back in that stretch.
    fn is_near(&self, stretch: &Range<Position>) -> bool {
        self.heard_until() + bytes(MAX_DELAY_MS) > stretch.start && self.begins < stretch.end
    }
}

/// What words are that were heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The agent's.
    Echo,
    /// The agent's or the caller's.
    Doubt,
    /// The caller's.
    Caller {
        /// Whether other words of the transcript are echo.
        has_echo: bool,
        /// The words that are not.
        words: Vec<Word>,
    },
}

impl Echo {
    pub(super) fn new(is_guarded: bool, language: &str) -> Self {
        Self {
            is_guarded,
            or: or_words(language).map(phrase).collect(),
            prompts: VecDeque::new(),
            sent_to: 0,
            agent: LevelHistory::new(AGENT_MS),
            caller: LevelHistory::new(CALLER_MS),
            caller_loudness: None,
        }
    }

    /// A frame of the caller that matters: a prompt is playing, or there is voice.
    pub(super) fn add_frame(&mut self, position: Position, mulaw: &[u8]) {
        if self.is_guarded {
            self.caller.add(position, mulaw);
        }
    }

    /// A part of an answer brought text. Unless it begins a sentence, it may go on in the middle of a word.
    pub(super) fn add_text(&mut self, turn: TurnId, text: &str, begins_sentence: bool) {
        if text.is_empty() || !self.is_guarded {
            return;
        }
        let prompt = self.prompt(turn);
        // A final part may repeat the text of the partial ones.
        let text = if begins_sentence { text.strip_prefix(prompt.text.as_str()).unwrap_or(text) } else { text };
        let joint = if begins_sentence && !prompt.text.is_empty() { "\n" } else { "" };
        for part in [joint, text] {
            let room = MAX_TEXT_BYTES.saturating_sub(prompt.text.len());
            let kept = part.floor_char_boundary(room);
            prompt.is_text &= kept == part.len();
            prompt.text.push_str(&part[..kept]);
        }
    }

    /// A recording is among the audio of that turn, and nobody tells us its text.
    pub(super) fn add_recording(&mut self, turn: TurnId) {
        if self.is_guarded {
            self.prompt(turn).is_text = false;
        }
    }

    /// The answer of that turn is complete.
    pub(super) fn complete(&mut self, turn: TurnId) {
        if let Some(prompt) = self.prompts.iter_mut().find(|prompt| prompt.turn == Some(turn)) {
            prompt.is_complete = true;
        }
    }

    /// Audio of that turn will be sent next. `is_into_speech`: the caller is speaking.
    pub(super) fn begins(&mut self, turn: TurnId, position: Position, is_into_speech: bool) {
        if !self.is_guarded {
            return;
        }
        self.prompt(turn);
        // The prompts are in the order in which they are heard.
        let place = self.prompts.iter().position(|prompt| prompt.turn == Some(turn));
        if let Some(mut prompt) = place.and_then(|place| self.prompts.remove(place)) {
            let from = self.sent_to.max(position);
            prompt.audio.get_or_insert(Audio { begins: from, ends: from, cut: None, is_into_speech });
            self.prompts.push_back(prompt);
        }
    }

    /// A filler will be sent next.
    pub(super) fn filler_begins(&mut self, position: Position) {
        if self.is_guarded {
            self.push_without_text(self.sent_to.max(position));
        }
    }

    /// The turn's answer has this text too, unless it has it already.
    pub(super) fn add_other_text(&mut self, turn: TurnId, text: &str) {
        if self.is_guarded && !self.prompt(turn).text.contains(text) {
            self.add_text(turn, text, true);
        }
    }

    /// Audio was sent, while that much of the caller's had come.
    pub(super) fn sent(&mut self, position: Position, mulaw: &[u8]) {
        if !self.is_guarded {
            return;
        }
        let from = self.sent_to.max(position);
        self.agent.add(from, mulaw);
        self.sent_to = from + mulaw.len() as Position;
        if self.newest_audio().is_none_or(|audio| audio.cut.is_some()) {
            self.push_without_text(from);
        }
        let ends = self.sent_to;
        if let Some(audio) = self.newest_audio() {
            audio.ends = ends;
        }
    }

    /// The prompt was cut there, when so much of it was not sent yet, in bytes.
    pub(super) fn cut(&mut self, position: Position, waiting: Position) {
        self.agent.cut(position);
        self.sent_to = self.sent_to.min(position);
        if let Some(audio) = self.newest_audio() {
            audio.ends += waiting;
        }
        for audio in self.prompts.iter_mut().filter_map(|prompt| prompt.audio.as_mut()) {
            if audio.heard_until() > position {
                audio.cut = Some(position);
            }
        }
    }

    /// The turn whose audio was sent last.
    pub(super) fn newest(&self) -> Option<TurnId> {
        self.prompts.iter().rev().find(|prompt| prompt.audio.is_some()).and_then(|prompt| prompt.turn)
    }

    /// The caller has spoken there. If no prompt was heard then, we know how loud he is.
    pub(super) fn note_caller(&mut self, stretch: Range<Position>) {
        let is_prompt = self.audio().any(|audio| audio.heard_until() > stretch.start && audio.begins < stretch.end);
        let loudness = self.caller.loudness(stretch);
        if !is_prompt && loudness > 0 {
            self.caller_loudness = Some(self.caller_loudness.map_or(loudness, |before| before.midpoint(loudness)));
        }
    }

    /// Whether what was heard in that stretch may be echo by its level alone. False if no prompt was heard then.
    pub(super) fn is_soft(&self, stretch: &Range<Position>) -> bool {
        let Some(prompt) = self.audio().find(|audio| audio.is_near(stretch)) else { return false };
        let returned = || self.returned(prompt, stretch.start, |part| self.caller.loudness(part));
        let max = self.caller_loudness.map_or_else(|| self.loudest_echo(returned(), stretch), softer);
        u64::from(self.caller.loudness(stretch.clone())) < max
    }

    /// The same, if anything was heard at all.
    pub(super) fn is_soft_sound(&self, stretch: &Range<Position>) -> bool {
        self.caller.loudness(stretch.clone()) >= MIN_SOUND_LEVEL && self.is_soft(stretch)
    }

    /// Whether the prompt's own words may be echo by their level. A telephone that suppresses echo lets some of it
    /// through now and then, so it does not matter how much came back before.
    fn may_be_prompts(&self, stretch: &Range<Position>) -> bool {
        let soft = u64::from(self.caller.loudness(stretch.clone()));
        let is_near = self.audio().any(|audio| audio.is_near(stretch));
        let max = self.caller_loudness.map_or_else(|| unlearned_echo(self.sent_loudness(stretch)), softer);
        is_near && (soft < max || self.is_soft(stretch))
    }

    /// How loud the prompt was whose echo may be heard in a stretch.
    fn sent_loudness(&self, stretch: &Range<Position>) -> u64 {
        let from = stretch.start.saturating_sub(bytes(MAX_DELAY_MS + TOLERANCE_MS));
        u64::from(self.agent.loudness(from..stretch.end))
    }

    /// Whether all that was heard in that stretch is louder than the echo of the prompt, and not a knock in it alone.
    /// Noise is no echo: `is_voice` tells in which part of the caller's audio there was a voice.
    pub(super) fn exceeds_echo(&self, stretch: &Range<Position>, is_voice: impl Fn(Range<Position>) -> bool) -> bool {
        let Some(prompt) = self.audio().find(|audio| audio.is_near(stretch)) else { return true };
        let voice = |part: Range<Position>| self.caller.loudness_where(part, is_voice);
        let returned = self.returned(prompt, stretch.start, voice);
        let caller = self.caller_loudness.filter(|_| returned.is_none()).map_or(u64::MAX, softer);
        let max = self.loudest_echo(returned, stretch).min(caller);
        let middle = stretch.start.midpoint(stretch.end);
        let halves = [stretch.start..middle, middle..stretch.end];
        halves.into_iter().all(|half| u64::from(self.caller.loudness(half)) > max)
    }

    /// How loud the echo of a prompt may be in a stretch. `returned`: how loud it was before.
    fn loudest_echo(&self, returned: Option<(u32, u32)>, stretch: &Range<Position>) -> u64 {
        let sent = self.sent_loudness(stretch);
        match returned {
            // Six decibels above it.
            Some((returned, of)) => 2 * u64::from(returned) * sent / u64::from(of),
            None => unlearned_echo(sent),
        }
    }

    /// How loud came back, until then, what was how loud. `None` if we have not heard enough of it, or if the caller
    /// spoke into its beginning.
    fn returned(
        &self,
        prompt: &Audio,
        until: Position,
        loudness: impl FnOnce(Range<Position>) -> u32,
    ) -> Option<(u32, u32)> {
        let sent = prompt.begins..until.saturating_sub(bytes(MAX_DELAY_MS));
        let is_enough = self.agent.sounding(sent.clone()) >= bytes(LEARNING_MS);
        let loudness = (loudness(prompt.begins..until), self.agent.loudness(sent));
        Some(loudness).filter(|(_, of)| is_enough && *of > 0 && !prompt.is_into_speech)
    }

    /// Says whose words were heard in that stretch, which belongs to a longer voice or is one. `waiting` is how much
    /// audio of the newest prompt is not sent yet, in bytes.
    pub(super) fn origin(
        &self,
        text: &str,
        voice: &Range<Position>,
        stretch: &Range<Position>,
        waiting: Position,
    ) -> Origin {
        let mut heard = Words::of(text, usize::MAX).words;
        heard.drain(..heard.len().saturating_sub(MAX_HEARD_WORDS));
        if heard.is_empty() || !self.may_be_prompts(stretch) {
            return Origin::Caller { has_echo: false, words: heard };
        }
        let found = self.find(&heard, voice, waiting);
        let count = |wanted| found.iter().filter(|found| **found == wanted).count();
        let is_recording = || {
            if !self.is_soft(stretch) {
                return false;
            }
            let mut near =
                self.prompts.iter().filter(|prompt| prompt.audio.as_ref().is_some_and(|a| a.is_near(stretch)));
            near.any(|prompt| !prompt.is_text || prompt.text.is_empty())
        };
        match (count(Found::Echo), count(Found::Shared), count(Found::Other)) {
            (_, 0, 0) => Origin::Echo,
            // It may become echo.
            (_, 1.., 0) => Origin::Doubt,
            (0, shared, other) if other <= shared => Origin::Doubt,
            _ if is_recording() => Origin::Doubt,
            (echo, ..) => {
                let words = heard.into_iter().zip(found).filter(|(_, found)| *found != Found::Echo);
                Origin::Caller { has_echo: echo > 0, words: words.map(|(word, _)| word).collect() }
            }
        }
    }

    fn find(&self, heard: &[Word], voice: &Range<Position>, waiting: Position) -> Vec<Found> {
        let since = |ms: Position| voice.start.saturating_sub(bytes(ms))..voice.end + bytes(TOLERANCE_MS);
        let window = Window { echo: since(MAX_DELAY_MS + TOLERANCE_MS), doubt: since(MAX_DELAY_MS + DOUBT_MS) };
        let newest = self.newest();
        let texts: Vec<PlacedText> = self
            .prompts
            .iter()
            .filter(|prompt| prompt.audio.as_ref().is_some_and(|audio| audio.is_near(&window.doubt)))
            .filter_map(|prompt| PlacedText::of(prompt, if prompt.turn == newest { waiting } else { 0 }, &self.or))
            .collect();
        let words: Vec<PromptWord<'_>> = texts.iter().flat_map(|text| text.words(&window.doubt, heard.len())).collect();
        find(heard, &words, &window)
    }

    fn audio(&self) -> impl Iterator<Item = &Audio> {
        self.prompts.iter().filter_map(|prompt| prompt.audio.as_ref())
    }

    fn newest_audio(&mut self) -> Option<&mut Audio> {
        self.prompts.iter_mut().rev().find_map(|prompt| prompt.audio.as_mut())
    }

    fn prompt(&mut self, turn: TurnId) -> &mut Prompt {
        let place = self.prompts.iter().position(|prompt| prompt.turn == Some(turn));
        let place = place.unwrap_or_else(|| {
            self.push(Prompt { turn: Some(turn), text: String::new(), is_text: true, is_complete: false, audio: None });
            self.prompts.len() - 1
        });
        &mut self.prompts[place]
    }

    /// Audio begins there, and nobody tells us its text.
    fn push_without_text(&mut self, from: Position) {
        let audio = Some(Audio { begins: from, ends: from, cut: None, is_into_speech: false });
        self.push(Prompt { turn: None, text: String::new(), is_text: false, is_complete: true, audio });
    }

    fn push(&mut self, prompt: Prompt) {
        if self.prompts.len() >= MAX_PROMPTS {
            self.prompts.pop_front();
        }
        self.prompts.push_back(prompt);
    }
}

/// How loud echo may be, as far as we know, of a prompt that is that loud: eight decibels below it. Few callers are as
/// soft, and most echo is softer.
fn unlearned_echo(sent: u64) -> u64 {
    sent * 4 / 10
}

/// What is softer than a loudness by more than three decibels.
fn softer(loudness: u32) -> u64 {
    u64::from(loudness) * 7 / 10
}

/// A prompt's text with the places of its words.
struct PlacedText {
    text: Words,
    choices: Vec<Option<u32>>,
    begins: Position,
    /// How long its audio is.
    length: Position,
    /// How far it was heard, or will have been when all that was sent is.
    heard_until: Position,
    /// Whether all of its audio is that text. Otherwise a word may be anywhere in it.
    is_whole: bool,
}

impl PlacedText {
    fn of(prompt: &Prompt, waiting: Position, or: &[Vec<String>]) -> Option<Self> {
        let audio = prompt.audio.as_ref()?;
        let text = Words::of(&prompt.text, MAX_PROMPT_WORDS);
        let choices = choices(&text.words, or);
        let expected = if prompt.is_complete { 0 } else { Position::from(text.length) * bytes(UNIT_MS) };
        let length = (audio.ends + waiting - audio.begins).max(expected);
        let (begins, heard_until) = (audio.begins, audio.heard_until());
        Some(Self { text, choices, begins, length, heard_until, is_whole: prompt.is_text })
    }

    /// The words that may be heard in that window. A recogniser may be ahead of where we expect a word, so as many
    /// follow as it has sent.
    fn words(&self, window: &Range<Position>, heard: usize) -> impl Iterator<Item = PromptWord<'_>> {
        let words = &self.text.words;
        let place =
            |units: u32| self.begins + self.length * Position::from(units) / Position::from(self.text.length.max(1));
        let (from, to) = if self.is_whole {
            let from = words.partition_point(|word| place(word.at) < window.start).saturating_sub(1);
            (from, words.partition_point(|word| place(word.at) < window.end) + heard)
        } else {
            (0, words.len())
        };
        (from..to.min(words.len())).map(move |at| {
            let end = words.get(at + 1).map_or(self.text.length, |next| next.at);
            let (begins, ends) =
                if self.is_whole { (place(words[at].at), place(end)) } else { (self.begins, self.heard_until) };
            PromptWord { word: &words[at], begins, ends, choice: self.choices[at] }
        })
    }
}

/// Which choice each word belongs to: the parts of a sentence with an "or" in it, and what is in quotation marks.
fn choices(words: &[Word], or: &[Vec<String>]) -> Vec<Option<u32>> {
    let is_or = |at: usize| {
        let fits = |phrase: &&Vec<String>| {
            words[at..].len() >= phrase.len() && phrase.iter().zip(&words[at..]).all(|(or, word)| *or == word.text)
        };
        or.iter().filter(fits).map(Vec::len).max()
    };
    let mut parts = Vec::with_capacity(words.len());
    let (mut part, mut clause, mut or_until) = (0, 0, 0);
    let mut with_or = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word.clause != clause || at == or_until {
            part += 1;
        }
        clause = word.clause;
        if let Some(length) = is_or(at).filter(|_| at >= or_until) {
            or_until = at + length;
            with_or.push(word.sentence);
            part += 1;
        }
        parts.push((at >= or_until).then_some(part));
    }
    let is_offered = |word: &Word| word.is_quoted || with_or.contains(&word.sentence);
    parts.into_iter().zip(words).map(|(part, word)| part.filter(|_| is_offered(word))).collect()
}
