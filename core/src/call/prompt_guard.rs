//! Guards a prompt against words that should not interrupt it: the agent's own words that come back, and a listener's
//! "mhm".
//!
//! Certain echo is not speech of the caller: a turn that holds nothing else is replaced in silence. Words
//! in doubt do not interrupt, and are the next turn. So are backchannels that are said at a prompt's end; in the middle
//! of a prompt they answer nothing.

use std::ops::Range;

use crate::agent::{Answer, AnswerPart, Transcript};
use crate::audio::{Position, bytes};
use crate::call::caller::{Caller, TONE, UNDERSTOOD_MS};
use crate::call::echo::{Echo, Origin};
use crate::call::playback::Playback;
use crate::call::streams::Heard;
use crate::call::synthesis::without_tags;
use crate::call::utterance::{TurnAudio, onset};
use crate::call::{Call, Timer};
use crate::config::CallConfig;
use crate::ids::TurnId;
use crate::report::{GuardedFrom, Report};
use crate::time::CallTime;
use crate::words::backchannels;
use crate::words::tokens::{Word, phrase};

/// With this much of a prompt left, a backchannel does not answer it, in milliseconds.
const MIN_REST_MS: u64 = 1_500;

/// How long ago the agent heard what made it want its prompt stopped, in milliseconds at most.
const RECENT_MS: Position = 600;

/// What may be only the end of a voice that a stream has heard.
const VOICE_TAIL: Position = bytes(300);

/// What we know about the words of the turn that listens.
#[derive(Debug, Default)]
struct HeardWords {
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
}

/// What a transcript is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    source: Source,
    /// Whether all words of its turn so far are echo.
    is_all_echo: bool,
    /// Whether it is the first echo in its turn.
    is_first_echo: bool,
}

/// Knows what may come back of the prompts, and whose words the listening turn holds.
#[derive(Debug)]
pub(super) struct PromptGuard {
    pub(super) echo: Echo,
    words: HeardWords,
}

impl PromptGuard {
    pub(super) fn new(config: &CallConfig) -> Self {
        Self { echo: Echo::new(config.barge_in.echo_guard, &config.words.language), words: HeardWords::default() }
    }

    /// Another agent has the call.
    pub(super) fn change_config(&mut self, from: &CallConfig, to: &CallConfig) {
        let hears = |config: &CallConfig| (config.barge_in.echo_guard, config.words.language.clone());
        if hears(from) != hears(to) {
            self.echo = Self::new(to).echo;
        }
    }

    /// Whose words of that turn its transcripts hold.
    fn source_in(&self, turn: TurnId) -> Source {
        if self.words.turn == Some(turn) { self.words.source() } else { Source::Nothing }
    }

    /// Says whose words a transcript is. Echo is no utterance.
    fn judge(
        &mut self,
        turn: TurnId,
        transcript: &Transcript,
        audio: TurnAudio,
        playback: &Playback,
        config: &CallConfig,
    ) -> Verdict {
        if self.words.turn != Some(turn) {
            let held_interruption = self.words.held_interruption;
            self.words = HeardWords { turn: Some(turn), held_interruption, ..HeardWords::default() };
        }
        // A voice that the detector does not hear may have begun with the turn.
        let is_placed = transcript.start_ms.is_some() || audio.voice_onset.is_some();
        let onset = onset(transcript, audio);
        let begins = if is_placed { onset } else { audio.turn_began };
        let voice = begins..heard_until(transcript, audio).max(begins);
        // It may have begun in an earlier turn, with other words.
        let stretch = begins.max(audio.turn_began)..voice.end.max(audio.turn_began);
        let waiting = self.echo.newest().map_or(0, |turn| playback.waiting_bytes_of(turn));
        let (source, beside_echo) = match self.echo.origin(&transcript.text, &voice, &stretch, waiting as Position) {
            Origin::Echo => (Source::Echo, None),
            Origin::Doubt => (Source::Doubt, None),
            Origin::Caller { words, .. }
                if is_into_prompt(playback, onset) && is_backchannel(config, &words, transcript.is_final) =>
            {
                (Source::Backchannel, None)
            }
            Origin::Caller { has_echo, words } => (Source::Caller, has_echo.then_some(words.len())),
        };
        let words = &mut self.words;
        (words.latest, words.beside_echo, words.stretch) = (source, beside_echo, stretch);
        if transcript.is_final {
            words.finals = words.finals.max(source);
        }
        let is_first_echo = source == Source::Echo && !std::mem::replace(&mut words.is_echo_reported, true);
        Verdict { source, is_all_echo: words.source() == Source::Echo, is_first_echo }
    }

    /// Whether the latest transcript is the caller's, with that many words beside the agent's.
    pub(super) fn may_interrupt(&self, min_words: u32) -> bool {
        let has_enough = self.words.beside_echo.is_none_or(|words| words >= min_words as usize);
        self.words.latest == Source::Caller && has_enough
    }

    /// Whether the words of that turn are no answer to anything: the agent's own, or a backchannel in mid-prompt.
    pub(super) fn says_nothing(&self, turn: TurnId, playback: &Playback, now: CallTime) -> bool {
        match self.source_in(turn) {
            Source::Echo => true,
            Source::Backchannel => playback.remaining_ms(now) >= MIN_REST_MS,
            Source::Nothing | Source::Doubt | Source::Caller => false,
        }
    }

    /// Whether there is voice in the audio from `since` on that is so soft, until then, that it may be the agent's.
    pub(super) fn is_agents_voice(&self, caller: &Caller, since: Position, until: Position) -> bool {
        let onset = caller.voice.onset_since(since);
        onset.is_some_and(|onset| self.echo.is_soft(&(onset.max(since)..until)))
    }

    /// Whether a voice that is not the agent's was heard after `since`, not only its end, and began before an input that
    /// began there.
    pub(super) fn is_voice_before(&self, caller: &Caller, since: Position, began: Position) -> bool {
        let is_heard = |voice: &Range<Position>| voice.start >= since || voice.end > since + VOICE_TAIL;
        let mut voices = caller.voice.voices().filter(|voice| is_heard(voice) && voice.start + TONE < began);
        voices.any(|voice| !self.echo.is_soft(&(voice.start.max(since)..voice.end.min(began))))
    }

    /// Whether the caller said something in a turn before an input that began there.
    pub(super) fn spoke_before(&self, caller: &Caller, heard: &Heard, began: Position) -> bool {
        !heard.utterance.is_empty() || self.is_voice_before(caller, heard.began, began)
    }

    /// Whether a voice that the agent has neither understood nor answered may be the caller's.
    pub(super) fn may_have_spoken(&self, caller: &Caller, heard: &Heard, now: CallTime) -> bool {
        let received = caller.audio.received();
        let unanswered = heard.began.max(caller.audio.kept_from());
        // What waited for a stream came to it all at once.
        let is_new = now.ms_since(heard.opened_at) < UNDERSTOOD_MS;
        let recent = if is_new { unanswered } else { received.saturating_sub(bytes(UNDERSTOOD_MS)) };
        let since = unanswered.max(recent);
        caller.voice.end_since(since).is_some() && !self.is_agents_voice(caller, since, received)
    }

    /// Whether the last `ms` of the caller's audio, since the agent began to speak, are louder than the prompt's echo.
    pub(super) fn is_louder_than_echo(&self, caller: &Caller, speech_began: Position, ms: u64) -> bool {
        let now = caller.audio.received();
        let from = now.saturating_sub(bytes(ms)).max(speech_began);
        self.echo.exceeds_echo(&(from..now), |part| caller.voice.is_voice_in(part))
    }

    /// The agent wants its prompt stopped because it hears somebody. Returns whether that is not the caller, as far as
    /// we know. If it is, his words will stop the prompt.
    pub(super) fn holds_interruption(&mut self, turn: TurnId, playback: &Playback, caller: &Caller) -> bool {
        let holds = match self.source_in(turn) {
            Source::Echo | Source::Backchannel | Source::Doubt => true,
            Source::Caller => false,
            Source::Nothing => {
                let now = caller.audio.received();
                let recent = now.saturating_sub(bytes(RECENT_MS));
                // Its voice detector is another one, and may take for a voice what ours does not.
                let from = caller.voice.onset_since(recent).map_or(recent, |onset| onset.max(recent));
                self.echo.is_soft_sound(&(from..now))
            }
        };
        self.words.held_interruption = playback.began_position().filter(|_| holds);
        holds
    }

    /// Whether the agent wanted its prompt stopped before we knew that the words are the caller's.
    pub(super) fn is_interruption_held(&self, playback: &Playback) -> bool {
        let held = self.words.held_interruption;
        held.is_some() && held == playback.began_position()
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

impl Call {
    /// Says whose words a transcript is.
    pub(super) fn judge(&mut self, turn: TurnId, transcript: &Transcript, audio: TurnAudio) -> Source {
        if transcript.text.trim().is_empty() {
            return Source::Nothing;
        }
        let verdict = self.guard.judge(turn, transcript, audio, &self.playback, &self.config);
        if verdict.is_all_echo {
            // Its beginning was in doubt.
            self.streams.forget_words();
            if !self.streams.awaits_answer() {
                self.timers.stop(Timer::Thinking);
            }
        }
        if verdict.is_first_echo {
            self.outputs.report(Report::PromptGuarded { turn, from: GuardedFrom::Echo });
        }
        verdict.source
    }

    /// The utterance of that turn is over.
    pub(super) fn note_whole_utterance(&mut self, turn: TurnId) {
        let from = match self.guard.source_in(turn) {
            Source::Nothing | Source::Echo => return,
            Source::Caller => return self.guard.echo.note_caller(self.guard.words.stretch.clone()),
            Source::Backchannel => GuardedFrom::Backchannel,
            Source::Doubt => GuardedFrom::Doubt,
        };
        self.silence.caller_active(self.now);
        if self.playback.is_playing() {
            self.outputs.report(Report::PromptGuarded { turn, from });
        }
    }
}

/// Whether speech that began there was said into a prompt.
fn is_into_prompt(playback: &Playback, onset: Position) -> bool {
    playback.speech_began().is_some_and(|began| onset >= began)
}

/// Whether words mean no more than that the caller listens.
fn is_backchannel(config: &CallConfig, words: &[Word], is_final: bool) -> bool {
    !words.is_empty() && are_phrases(&phrases(config), words, is_final)
}

/// Where the speech of a transcript ends.
fn heard_until(transcript: &Transcript, audio: TurnAudio) -> Position {
    let ends = transcript.end_ms.map(|ms| audio.at(ms));
    ends.unwrap_or(audio.written)
}

/// The phrases that alone do not interrupt a prompt, as words that can be compared. They are read when words come:
/// kept, they would be some hundred small strings in each call.
fn phrases(config: &CallConfig) -> Vec<Vec<String>> {
    match &config.barge_in.ignore {
        Some(own) => own.iter().map(|text| phrase(text)).filter(|phrase| !phrase.is_empty()).collect(),
        None => backchannels(&config.words.language).map(phrase).collect(),
    }
}

/// Whether words are some of these phrases, one after another. The last one may be unfinished, unless the words are
/// final.
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
