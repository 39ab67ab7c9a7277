//! What the caller hears instead of dead air: while the agent thinks, when a turn is retried, while the agent has not
//! greeted him, and in place of an answer that cannot be played.
//!
//! A recording of the settings goes before anything else. While he waits for the greeting, the caller hears a sentence
//! in his language, which the driver synthesises ahead of its time. If there is none, he hears a tone.

use crate::audio::wav::is_wav;
use crate::audio::{AudioFormat, to_mulaw};
use crate::call::streams::Thinking;
use crate::call::waiting_tone::waiting_tone;
use crate::call::{Call, Output, Timer};
use crate::config::Clip;
use crate::ids::FetchId;
use crate::report::Report;
use crate::words::one_moment;

/// The fillers that were played, and the sentence that can be.
#[derive(Debug, Default)]
pub(super) struct Fillers {
    /// Whether the retry filler was played since the agent last responded.
    retry_filler_played: bool,
    /// Whether an answer had no audio in this media stream.
    had_unspoken: bool,
    sentence: Sentence,
}

/// The sentence for a caller who waits for the greeting.
#[derive(Debug, Default)]
enum Sentence {
    /// Nobody has asked for it.
    #[default]
    NotNeeded,
    /// The driver synthesises it.
    Awaited(FetchId),
    /// The driver could not, or the language has none.
    Missing,
    Spoken(Clip),
}

/// The longest sentence, in bytes of mu-law: ten seconds.
const MAX_SENTENCE_BYTES: usize = 80_000;

impl Fillers {
    /// Another agent has the call, perhaps in another language: it has recordings and a sentence of its own.
    pub(super) fn begin_again(&mut self) {
        *self = Self::default();
    }

    /// Whether the driver synthesises the sentence as an answer to that fetch.
    pub(super) fn awaits(&self, fetch: FetchId) -> bool {
        matches!(self.sentence, Sentence::Awaited(id) if id == fetch)
    }

    /// The driver has synthesised the sentence, or says why not. Returns the report if it cannot be played.
    pub(super) fn note_spoken(&mut self, audio: Result<&[u8], &str>) -> Option<Report> {
        let audio = audio.map_err(ToOwned::to_owned).and_then(|audio| {
            let is_right = is_wav(audio) && audio.len() <= MAX_SENTENCE_BYTES;
            let audio = is_right.then(|| to_mulaw(AudioFormat::TELEPHONE, audio));
            audio.and_then(Result::ok).ok_or_else(|| "the filler that was synthesised cannot be played".to_owned())
        });
        match audio {
            Ok(audio) => {
                self.sentence = Sentence::Spoken(Clip(audio.into()));
                None
            }
            Err(why) => {
                self.sentence = Sentence::Missing;
                Some(Report::PromptRefused { why: format!("the sentence for a caller who waits: {why}") })
            }
        }
    }

    /// An answer has no audio. Returns whether it is the first one.
    pub(super) fn note_unspoken(&mut self) -> bool {
        !std::mem::replace(&mut self.had_unspoken, true)
    }
}

/// The shortest time until we check again whether the caller still speaks, in milliseconds: one frame.
const MIN_RECHECK_MS: u64 = 20;

fn tone() -> Clip {
    Clip(waiting_tone().into())
}

impl Call {
    /// The input is complete. If the answer takes too long, the caller hears a filler.
    pub(super) fn start_filler_timer(&mut self) {
        if self.config.fillers.thinking.is_some() {
            self.timers.set(Timer::Thinking, self.now + self.config.fillers.thinking_after_ms);
        }
    }

    pub(super) fn on_thinking(&mut self) {
        let thinking = match (self.tools.are_running(), self.streams.waits_for_tools()) {
            (true, true) => Thinking::Yes,
            (true, false) => Thinking::UnlessCallerSpeaks,
            (false, _) => self.streams.thinking(),
        };
        let must_wait = match thinking {
            Thinking::No => return,
            Thinking::UnlessCallerSpeaks => self.caller.voice.is_speaking() || self.playback.is_playing(),
            Thinking::Yes => false,
        };
        if must_wait {
            // Always later than now. A timer that is due at once would never stop firing.
            let again_ms = self.config.fillers.thinking_after_ms.max(MIN_RECHECK_MS);
            self.timers.set(Timer::Thinking, self.now + again_ms);
        } else {
            let clip = self.config.fillers.thinking.clone();
            self.play_filler(clip, "thinking");
        }
    }

    /// A turn has failed and is retried.
    pub(super) fn play_retry_filler(&mut self) {
        if !std::mem::replace(&mut self.fillers.retry_filler_played, true) {
            let clip = self.config.fillers.retrying.clone();
            self.play_filler(clip, "retrying");
        }
    }

    /// The agent should greet the caller. While it does not, each longer silence ends with a filler. The driver needs
    /// time to synthesise one, so we wake up before it is due.
    pub(super) fn start_greeting_timer(&mut self) {
        let after_ms = self.config.fillers.greeting_after_ms;
        if self.awaits_greeting && after_ms > 0 {
            let is_recorded = self.config.fillers.for_any_wait().is_some();
            let wake_ms = if is_recorded { after_ms } else { after_ms / 2 };
            self.timers.set(Timer::Greeting, self.now + wake_ms.max(1));
        }
    }

    pub(super) fn on_greeting_late(&mut self) {
        let after_ms = self.config.fillers.greeting_after_ms;
        let is_recorded = self.config.fillers.for_any_wait().is_some();
        if !is_recorded && matches!(self.fillers.sentence, Sentence::NotNeeded) {
            self.fillers.sentence = Sentence::Missing;
            if let Some(words) = one_moment(&self.config.words.language) {
                let id = self.playback.new_fetch();
                self.fillers.sentence = Sentence::Awaited(id);
                self.outputs.add(Output::Fetch(id, format!("text:{words}")));
            }
            self.timers.set(Timer::Greeting, self.now + (after_ms - after_ms / 2).max(1));
            return;
        }
        let silent_ms = if self.playback.is_playing() { 0 } else { self.silence.ms(self.now) };
        if silent_ms < after_ms {
            self.timers.set(Timer::Greeting, self.now + (after_ms - silent_ms));
            return;
        }
        let sentence = match &self.fillers.sentence {
            Sentence::Spoken(clip) => Some(clip.clone()),
            Sentence::NotNeeded | Sentence::Awaited(_) | Sentence::Missing => None,
        };
        let clip = self.config.fillers.for_any_wait().or(sentence).unwrap_or_else(tone);
        self.play_filler(Some(clip), "greeting");
        self.timers.set(Timer::Greeting, self.now + after_ms);
    }

    /// The caller waits for an answer and will not hear one: it could not be played, or nothing came.
    pub(super) fn play_missing_answer_filler(&mut self, which: &'static str) {
        let clip = self.config.fillers.for_any_wait().unwrap_or_else(tone);
        self.play_filler(Some(clip), which);
    }

    fn play_filler(&mut self, clip: Option<Clip>, which: &'static str) {
        let Some(Clip(audio)) = clip else { return };
        let is_played = self.playback.play_filler(&audio, self.moment());
        if is_played {
            self.guard.echo.filler_begins(self.caller.audio.received());
        }
        self.poll_playback();
        if is_played {
            self.outputs.report(Report::Filler { which });
        }
    }

    /// The agent answers: cuts the filler.
    pub(super) fn cancel_fillers(&mut self) {
        self.timers.stop(Timer::Thinking);
        self.fillers.retry_filler_played = false;
        let cut_ms = self.playback.cancel(self.moment());
        self.poll_playback();
        if cut_ms > 0 {
            self.outputs.report(Report::Cancelled { cut_ms });
        }
    }
}
