//! Streams that do not respond. A recogniser that works sends a transcript within a second of speech, ends the
//! utterance after it, and reports no-input. If its stream stalls, the caller speaks into the void.

use crate::audio::BYTES_PER_MS;
use crate::call::Call;
use crate::call::turn::{CLEAR_SPEECH_MS, StreamWatchdog, TurnState};

/// How long before the level rose the first word may have begun, in milliseconds.
const LEAD_MS: u64 = 300;

impl Call {
    /// The state for a stream that opens now. Speech that already waits for it counts like speech that follows.
    pub(super) fn watchdog_at_opening(&self) -> StreamWatchdog {
        let written = self.caller.written();
        match self.voice.onset_since(written) {
            Some(onset) => StreamWatchdog { voice_ms: CLEAR_SPEECH_MS, from: Some(onset.max(written)), ms: 0 },
            None => StreamWatchdog::default(),
        }
    }

    /// The stream has responded.
    pub(super) fn note_stream_event(&mut self) {
        if let Some(turn) = self.turn.open_mut() {
            turn.watchdog = StreamWatchdog::default();
            turn.has_responded = true;
        }
    }

    /// Runs after each frame that the stream got. Gives the stream up if it should have responded long ago. During a
    /// prompt the recogniser may have been told not to listen. A stream for the whole call may take a voice for noise
    /// and stay silent, so it is given up only if it has never responded.
    pub(super) fn check_stalled_stream(&mut self) {
        let timeout_ms = self.config.timeouts.stalled_ms;
        let (is_playing, speaking_since) = (self.playback.is_playing(), self.voice.speaking_since());
        let has_session_stream = self.has_session_stream();
        if timeout_ms == 0 {
            return;
        }
        let TurnState::Listening(turn) = &mut self.turn else { return };
        if has_session_stream && turn.has_responded {
            return;
        }
        if is_playing {
            turn.watchdog = StreamWatchdog::default();
            return;
        }
        let ms = (self.frame.len() / BYTES_PER_MS) as u64;
        let watchdog = &mut turn.watchdog;
        if let Some(onset) = speaking_since {
            watchdog.voice_ms += ms;
            watchdog.from.get_or_insert(onset.saturating_sub(LEAD_MS * BYTES_PER_MS as u64).max(turn.began));
        }
        if watchdog.voice_ms >= CLEAR_SPEECH_MS || !turn.utterance.is_empty() {
            watchdog.ms += ms;
        }
        if watchdog.ms >= timeout_ms {
            self.give_up_stream("the stream says nothing of what it hears");
        }
    }
}
