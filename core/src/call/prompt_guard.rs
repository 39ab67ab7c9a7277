//! Guards a prompt against words that should not interrupt it: the agent's own words that come back, and a listener's
//! "mhm".
//!
//! Certain echo is not speech of the caller: a turn that holds nothing else is replaced in silence. Words
//! in doubt do not interrupt, and are the next turn. So are backchannels that are said at a prompt's end; in the middle
//! of a prompt they answer nothing.

use std::ops::Range;

use crate::agent::{Answer, AnswerPart, Transcript};
use crate::audio::{Position, bytes};
use crate::call::echo::Origin;
use crate::call::synthesis::without_tags;
use crate::call::utterance::{TurnAudio, onset};
use crate::call::{Call, Timer};
use crate::config::CallConfig;
use crate::ids::TurnId;
use crate::report::{GuardedFrom, Report};
use crate::words::backchannels;
use crate::words::tokens::{Word, phrase};

/// With this much of a prompt left, a backchannel does not answer it, in milliseconds.
const MIN_REST_MS: u64 = 1_500;

/// How long ago the agent heard what made it want its prompt stopped, in milliseconds at most.
const RECENT_MS: Position = 600;

/// What we know about the words of the turn that listens.
#[derive(Debug, Default)]
pub(super) struct HeardWords {
    turn: Option<TurnId>,
    /// By its latest transcript.
    latest: Source,
    /// By its final transcripts.
    finals: Source,
    /// How many words of the latest transcript are not echo, if others are.
    beside_echo: Option<usize>,
    /// Whether it was reported that some of them are echo.
    is_echo_reported: bool,
    /// Where they were heard.
    stretch: Range<Position>,
    /// The playout in which the agent wanted to be interrupted by words that were not the caller's yet.
    held_interruption: Option<Position>,
}

/// Whose words a turn holds, from those that mean least to us to those that mean most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    #[default]
    Nothing,
    /// The agent's own.
    Echo,
    /// The caller's, and they say nothing.
    Backchannel,
    /// The agent's or the caller's.
    Doubt,
    /// The caller's.
    Caller,
}

impl HeardWords {
    fn source(&self) -> Source {
        self.latest.max(self.finals)
    }

    /// Whether the latest transcript is the caller's, with that many words beside the agent's.
    pub(super) fn may_interrupt(&self, min_words: u32) -> bool {
        let has_enough = self.beside_echo.is_none_or(|words| words >= min_words as usize);
        self.latest == Source::Caller && has_enough
    }
}

impl Call {
    /// Says whose words a transcript is. Echo is no utterance.
    pub(super) fn judge(&mut self, turn: TurnId, transcript: &Transcript, audio: TurnAudio) -> Source {
        if transcript.text.trim().is_empty() {
            return Source::Nothing;
        }
        if self.heard_words.turn != Some(turn) {
            let held_interruption = self.heard_words.held_interruption;
            self.heard_words = HeardWords { turn: Some(turn), held_interruption, ..HeardWords::default() };
        }
        // A voice that the detector does not hear may have begun with the turn.
        let is_placed = transcript.start_ms.is_some() || audio.voice_onset.is_some();
        let onset = onset(transcript, audio);
        let begins = if is_placed { onset } else { audio.turn_began };
        let voice = begins..heard_until(transcript, audio).max(begins);
        // It may have begun in an earlier turn, with other words.
        let stretch = begins.max(audio.turn_began)..voice.end.max(audio.turn_began);
        let (source, beside_echo) = self.source_of(transcript, onset, &voice, &stretch);
        let words = &mut self.heard_words;
        (words.latest, words.beside_echo, words.stretch) = (source, beside_echo, stretch);
        if transcript.is_final {
            words.finals = words.finals.max(source);
        }
        let is_all_echo = words.source() == Source::Echo;
        let is_new = source == Source::Echo && !std::mem::replace(&mut words.is_echo_reported, true);
        if is_all_echo {
            // Its beginning was in doubt.
            self.streams.forget_words();
            if !self.streams.awaits_answer() {
                self.timers.stop(Timer::Thinking);
            }
        }
        if is_new {
            self.report(Report::PromptGuarded { turn, from: GuardedFrom::Echo });
        }
        source
    }

    fn source_of(
        &self,
        transcript: &Transcript,
        onset: Position,
        voice: &Range<Position>,
        stretch: &Range<Position>,
    ) -> (Source, Option<usize>) {
        let waiting = self.echo.newest().map_or(0, |turn| self.playback.waiting_bytes_of(turn));
        match self.echo.origin(&transcript.text, voice, stretch, waiting as Position) {
            Origin::Echo => (Source::Echo, None),
            Origin::Doubt => (Source::Doubt, None),
            Origin::Caller { words, .. } if self.is_backchannel(&words, transcript.is_final, onset) => {
                (Source::Backchannel, None)
            }
            Origin::Caller { has_echo, words } => (Source::Caller, has_echo.then_some(words.len())),
        }
    }

    /// Whether words that were said into a prompt mean no more than that the caller listens.
    fn is_backchannel(&self, words: &[Word], is_final: bool, onset: Position) -> bool {
        let began = self.playback.began_position().and_then(|playout| self.agent_voice.began(playout));
        if words.is_empty() || began.is_none_or(|began| onset < began) {
            return false;
        }
        are_phrases(&phrases(&self.config), words, is_final)
    }

    /// Whether the words of that turn are no answer to anything: the agent's own, or a backchannel in mid-prompt.
    pub(super) fn says_nothing(&self, turn: TurnId) -> bool {
        let is_of_turn = self.heard_words.turn == Some(turn);
        match self.heard_words.source() {
            Source::Echo => is_of_turn,
            Source::Backchannel => is_of_turn && self.playback.remaining_ms(self.now) >= MIN_REST_MS,
            Source::Nothing | Source::Doubt | Source::Caller => false,
        }
    }

    /// Whether there is voice in the audio from `since` on that is so soft, until then, that it may be the agent's.
    pub(super) fn is_agents_voice(&self, since: Position, until: Position) -> bool {
        let onset = self.voice.onset_since(since);
        let is_soft = |onset: Position| self.echo.is_soft(&(onset.max(since)..until));
        onset.is_some_and(is_soft)
    }

    /// The utterance of that turn is over.
    pub(super) fn note_whole_utterance(&mut self, turn: TurnId) {
        if self.heard_words.turn != Some(turn) {
            return;
        }
        let from = match self.heard_words.source() {
            Source::Nothing | Source::Echo => return,
            Source::Caller => return self.echo.note_caller(self.heard_words.stretch.clone()),
            Source::Backchannel => GuardedFrom::Backchannel,
            Source::Doubt => GuardedFrom::Doubt,
        };
        self.note_caller_activity();
        if self.playback.is_playing() {
            self.report(Report::PromptGuarded { turn, from });
        }
    }

    /// The agent wants its prompt stopped because it hears somebody. Returns whether that is not the caller, as far as
    /// we know. If it is, his words will stop the prompt.
    pub(super) fn holds_interruption(&mut self, turn: TurnId) -> bool {
        let is_of_turn = self.heard_words.turn == Some(turn);
        let holds = match if is_of_turn { self.heard_words.source() } else { Source::Nothing } {
            Source::Echo | Source::Backchannel | Source::Doubt => true,
            Source::Caller => false,
            Source::Nothing => {
                let now = self.caller.received();
                let recent = now.saturating_sub(bytes(RECENT_MS));
                // Its voice detector is another one, and may take for a voice what ours does not.
                let from = self.voice.onset_since(recent).map_or(recent, |onset| onset.max(recent));
                self.echo.is_soft_sound(&(from..now))
            }
        };
        self.heard_words.held_interruption = self.playback.began_position().filter(|_| holds);
        holds
    }

    /// Whether the agent wanted its prompt stopped before we knew that the words are the caller's.
    pub(super) fn is_interruption_held(&self) -> bool {
        let held = self.heard_words.held_interruption;
        held.is_some() && held == self.playback.began_position()
    }

    /// A part of an answer came: its text is what may come back.
    pub(super) fn note_prompt_text(&mut self, turn: TurnId, answer: &Answer) {
        let begins_sentence = answer.part != AnswerPart::Open;
        if answer.text.contains("<speak") {
            self.echo.add_text(turn, &without_tags(&answer.text), true);
        } else {
            self.echo.add_text(turn, &answer.text, begins_sentence);
        }
        for uri in answer.prompts.iter().filter_map(|prompt| prompt.uri.as_deref()) {
            match uri.split_once(':') {
                Some(("text", text)) => self.echo.add_other_text(turn, text),
                Some(("ssml", text)) => self.echo.add_other_text(turn, &without_tags(text)),
                _ => self.echo.add_recording(turn),
            }
        }
    }
}

/// Where the speech of a transcript ends.
fn heard_until(transcript: &Transcript, audio: TurnAudio) -> Position {
    let ends = transcript.end_ms.map(|ms| audio.at(ms));
    ends.unwrap_or(audio.written)
}

/// The phrases that alone do not interrupt a prompt, as words that can be compared. They are read when words come: kept,
/// they would be some hundred small strings in each call.
fn phrases(config: &CallConfig) -> Vec<Vec<String>> {
    match &config.barge_in.ignore {
        Some(own) => own.iter().map(|text| phrase(text)).filter(|phrase| !phrase.is_empty()).collect(),
        None => backchannels(&config.words.language).map(phrase).collect(),
    }
}

/// Whether words are some of these phrases, one after another. The last one may be unfinished, unless the words are final.
fn are_phrases(phrases: &[Vec<String>], words: &[Word], is_final: bool) -> bool {
    let begins = |words: &[Word], phrase: &[String]| {
        let is_whole = words.len() >= phrase.len() || !is_final;
        is_whole && phrase.iter().zip(words).all(|(a, b)| *a == b.text)
    };
    // Which beginnings of the words consist of phrases.
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    for at in 0..words.len() {
        if reached[at] {
            for phrase in phrases.iter().filter(|phrase| begins(&words[at..], phrase)) {
                reached[(at + phrase.len()).min(words.len())] = true;
            }
        }
    }
    reached[words.len()]
}
