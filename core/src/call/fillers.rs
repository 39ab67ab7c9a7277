//! Recordings of our own, so that the caller never hears dead air: while the agent thinks, and when a turn is tried again.

use crate::call::turn::{Answered, Turn};
use crate::call::{Call, Timer};
use crate::config::Clip;
use crate::report::Report;

/// What was played already.
#[derive(Debug, Default)]
pub(super) struct Fillers {
    /// Whether the caller was told that a turn is tried again, since the agent last said something.
    told_of_retry: bool,
}

/// How soon it is looked again whether the caller still speaks, in milliseconds: a frame.
const LEAST_AGAIN_MS: u64 = 20;

impl Call {
    /// The input is complete: when the answer does not come soon, the caller should hear something.
    pub(super) fn await_thought(&mut self) {
        if self.config.fillers.thinking.is_some() {
            self.timers.set(Timer::Thinking, self.now + self.config.fillers.thinking_after_ms);
        }
    }

    pub(super) fn on_thinking(&mut self) {
        let is_thinking = match &self.turn {
            Turn::Responding(_) => true,
            // Where audio goes on, a caller who speaks on is not waiting.
            Turn::Listening(turn) if self.is_one_stream() && turn.answered == Answered::No => {
                if self.voice.is_speaking() {
                    // Later than now in any case: what is due again at once would be due for ever.
                    let again_ms = self.config.fillers.thinking_after_ms.max(LEAST_AGAIN_MS);
                    self.timers.set(Timer::Thinking, self.now + again_ms);
                    return;
                }
                true
            }
            Turn::Listening(_) | Turn::Idle => false,
        };
        if is_thinking {
            let clip = self.config.fillers.thinking.clone();
            self.play_filler(clip, "thinking");
        }
    }

    /// A turn has failed and is tried again.
    pub(super) fn tell_of_retry(&mut self) {
        if !std::mem::replace(&mut self.fillers.told_of_retry, true) {
            let clip = self.config.fillers.retrying.clone();
            self.play_filler(clip, "retrying");
        }
    }

    fn play_filler(&mut self, clip: Option<Clip>, which: &'static str) {
        let Some(Clip(audio)) = clip else { return };
        if self.play_out(|playback, stage| playback.play_filler(&audio, stage)) {
            self.report(Report::Filler { which });
        }
    }

    /// The agent says something: what was played in its place is cut.
    pub(super) fn cancel_fillers(&mut self) {
        self.timers.stop(Timer::Thinking);
        self.fillers.told_of_retry = false;
        let cut_ms = self.play_out(|playback, stage| playback.cancel(stage));
        if cut_ms > 0 {
            self.report(Report::Cancelled { cut_ms });
        }
    }
}
