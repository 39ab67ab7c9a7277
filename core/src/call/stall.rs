//! A stream that says nothing of what it hears. A recogniser that works tells of speech within a second, ends the utterance
//! when it is over, and says so where nothing was said; one whose stream stalls lets the caller speak into the void.

use crate::audio::BYTES_PER_MS;
use crate::call::Call;
use crate::call::turn::{CLEAR_SPEECH_MS, Turn, Unheeded};

/// So much before the voice's level rose the first word may have begun, in milliseconds.
const LEAD_MS: u64 = 300;

impl Call {
    /// What a stream that opens now finds: speech that waits for it is as good as speech that comes.
    pub(super) fn unheeded_at_opening(&self) -> Unheeded {
        let written = self.caller.written();
        match self.voice.onset_since(written) {
            Some(onset) => Unheeded { voice_ms: CLEAR_SPEECH_MS, from: Some(onset.max(written)), ms: 0 },
            None => Unheeded::default(),
        }
    }

    /// The stream has said something.
    pub(super) fn stream_spoke(&mut self) {
        if let Some(turn) = self.turn.open_mut() {
            turn.unheeded = Unheeded::default();
            turn.has_spoken = true;
        }
    }

    /// A frame has gone to the stream: gives it up if it should have said something for too long. Beside a prompt it may be
    /// told to be deaf. One that lasts for the whole call may take a voice for noise and say nothing, so only one that has
    /// never said anything is given up.
    pub(super) fn mind_stall(&mut self) {
        let patience_ms = self.config.patience.stalled_ms;
        let (is_playing, speaking_since) = (self.playback.is_playing(), self.voice.speaking_since());
        let is_one_stream = self.is_one_stream();
        if patience_ms == 0 {
            return;
        }
        let Turn::Listening(turn) = &mut self.turn else { return };
        if is_one_stream && turn.has_spoken {
            return;
        }
        if is_playing {
            turn.unheeded = Unheeded::default();
            return;
        }
        let ms = (self.frame.len() / BYTES_PER_MS) as u64;
        let unheeded = &mut turn.unheeded;
        if let Some(onset) = speaking_since {
            unheeded.voice_ms += ms;
            unheeded.from.get_or_insert(onset.saturating_sub(LEAD_MS * BYTES_PER_MS as u64).max(turn.began));
        }
        if unheeded.voice_ms >= CLEAR_SPEECH_MS || !turn.utterance.is_empty() {
            unheeded.ms += ms;
        }
        if unheeded.ms >= patience_ms {
            self.give_stream_up("the stream says nothing of what it hears");
        }
    }
}
