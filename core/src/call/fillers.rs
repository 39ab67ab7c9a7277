//! Our own recordings, so that the caller never hears dead air: while the agent thinks, and when a turn is retried.

use crate::call::streams::Thinking;
use crate::call::{Call, Timer};
use crate::config::Clip;
use crate::report::Report;

/// What was already played.
#[derive(Debug, Default)]
pub(super) struct Fillers {
    /// Whether the retry filler was played since the agent last responded.
    retry_filler_played: bool,
}

/// The shortest time until we check again whether the caller still speaks, in milliseconds: one frame.
const MIN_RECHECK_MS: u64 = 20;

impl Call {
    /// The input is complete. If the answer takes too long, the caller hears a filler.
    pub(super) fn start_filler_timer(&mut self) {
        if self.config.fillers.thinking.is_some() {
            self.timers.set(Timer::Thinking, self.now + self.config.fillers.thinking_after_ms);
        }
    }

    pub(super) fn on_thinking(&mut self) {
        let thinking = if self.awaits_tools() { Thinking::Yes } else { self.streams.thinking() };
        match thinking {
            Thinking::No => {}
            Thinking::UnlessCallerSpeaks if self.voice.is_speaking() => {
                // Always later than now. A timer that is due at once would never stop firing.
                let again_ms = self.config.fillers.thinking_after_ms.max(MIN_RECHECK_MS);
                self.timers.set(Timer::Thinking, self.now + again_ms);
            }
            Thinking::UnlessCallerSpeaks | Thinking::Yes => {
                let clip = self.config.fillers.thinking.clone();
                self.play_filler(clip, "thinking");
            }
        }
    }

    /// A turn has failed and is retried.
    pub(super) fn play_retry_filler(&mut self) {
        if !std::mem::replace(&mut self.fillers.retry_filler_played, true) {
            let clip = self.config.fillers.retrying.clone();
            self.play_filler(clip, "retrying");
        }
    }

    fn play_filler(&mut self, clip: Option<Clip>, which: &'static str) {
        let Some(Clip(audio)) = clip else { return };
        let is_played = self.playback.play_filler(&audio, self.moment());
        self.poll_playback();
        if is_played {
            self.report(Report::Filler { which });
        }
    }

    /// The agent answers: cuts the filler.
    pub(super) fn cancel_fillers(&mut self) {
        self.timers.stop(Timer::Thinking);
        self.fillers.retry_filler_played = false;
        let cut_ms = self.playback.cancel(self.moment());
        self.poll_playback();
        if cut_ms > 0 {
            self.report(Report::Cancelled { cut_ms });
        }
    }
}
