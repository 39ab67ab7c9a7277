//! What a stream has heard of the caller, and whether it should have responded to it.

use crate::audio::Position;
use crate::call::utterance::Utterance;
use crate::time::CallTime;

/// With this much voice, in milliseconds, the caller has spoken. A cough or a slammed door is shorter.
pub(in crate::call) const CLEAR_SPEECH_MS: u64 = 600;

/// What a stream has heard of the caller.
#[derive(Debug)]
pub(in crate::call) struct Heard {
    /// Where the stream's audio begins in the caller's audio.
    pub(in crate::call) began: Position,
    /// How much of the caller's audio had come when the stream opened. What is before it waited for the stream.
    pub(in crate::call) live_from: Position,
    pub(in crate::call) opened_at: CallTime,
    /// What the agent has understood in this turn.
    pub(in crate::call) utterance: Utterance,
    /// `None` once the stream may be silent whatever it hears.
    pub(in crate::call) watchdog: Option<StreamWatchdog>,
}

impl Heard {
    pub(in crate::call) fn new(
        began: Position,
        live_from: Position,
        opened_at: CallTime,
        watchdog: StreamWatchdog,
    ) -> Self {
        Self { began, live_from, opened_at, utterance: Utterance::default(), watchdog: Some(watchdog) }
    }

    /// Where clear speech began to which the stream has not responded.
    pub(in crate::call) fn speech_from(&self) -> Option<Position> {
        self.watchdog.and_then(|watchdog| watchdog.from.filter(|_| watchdog.voice_ms >= CLEAR_SPEECH_MS))
    }
}

/// What a stream has heard since its last response.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::call) struct StreamWatchdog {
    /// Milliseconds of voice.
    pub(in crate::call) voice_ms: u64,
    /// Where the voice began.
    pub(in crate::call) from: Option<Position>,
    /// Milliseconds in which it should have responded.
    pub(in crate::call) ms: u64,
}

impl StreamWatchdog {
    /// For a stream that begins with speech, from there on.
    pub(in crate::call) fn of_speech(from: Position) -> Self {
        Self { voice_ms: CLEAR_SPEECH_MS, from: Some(from), ms: 0 }
    }
}
