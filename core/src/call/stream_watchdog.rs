//! Streams that do not respond. A recogniser that works sends a transcript within a second of speech, ends the
//! utterance after it, and reports no-input. If its stream stalls, the caller speaks into the void.

use crate::audio::{BYTES_PER_MS, bytes};
use crate::call::Call;
use crate::call::streams::{CLEAR_SPEECH_MS, StreamWatchdog};

/// How long before the voice detector's onset the first word may have begun, in milliseconds.
const LEAD_MS: u64 = 300;

impl Call {
    /// Runs after each frame that the stream got. Gives the stream up if it should have responded long ago. During a
    /// prompt the recogniser may have been told not to listen.
    pub(super) fn check_stalled_stream(&mut self) {
        let timeout_ms = self.config.timeouts.stalled_ms;
        if timeout_ms == 0 || self.streams.listening().is_none() {
            return;
        }
        let Some(heard) = self.streams.heard_mut() else { return };
        let Some(watchdog) = &mut heard.watchdog else { return };
        if self.playback.is_playing() {
            *watchdog = StreamWatchdog::default();
            return;
        }
        let ms = (self.frame.len() / BYTES_PER_MS) as u64;
        if let Some(onset) = self.caller.voice.speaking_since() {
            watchdog.voice_ms += ms;
            watchdog.from.get_or_insert(onset.saturating_sub(bytes(LEAD_MS)).max(heard.began));
        }
        if watchdog.voice_ms >= CLEAR_SPEECH_MS || !heard.utterance.is_empty() {
            watchdog.ms += ms;
        }
        if watchdog.ms >= timeout_ms {
            self.give_up_stream("the stream says nothing of what it hears");
        }
    }
}
