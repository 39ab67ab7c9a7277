//! Background noise, like an app's ambient sound: low and endless.

use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::g711::linear_to_mulaw;
use tokio::time::Instant;

use crate::agent::speech::headless;

/// How much noise one message holds, in milliseconds.
const PIECE_MS: u64 = 100;

/// Its peak, in units of 16-bit samples: -60 dB of full scale.
const PEAK: i16 = 32;

/// The noise of one stream.
#[derive(Debug)]
pub(super) struct Ambient {
    format: AudioFormat,
    next_at: Instant,
    /// The state of a linear congruential generator: the noise is the same on every run.
    state: u32,
}

impl Ambient {
    pub(super) fn new(format: AudioFormat, now: Instant) -> Self {
        Self { format, next_at: now + Duration::from_millis(PIECE_MS), state: 1 }
    }

    /// When the next chunk is due.
    pub(super) fn wake(&self) -> Instant {
        self.next_at
    }

    /// The chunk that is due.
    pub(super) fn next(&mut self, now: Instant) -> Option<Bytes> {
        if now < self.next_at {
            return None;
        }
        self.next_at = now + Duration::from_millis(PIECE_MS);
        let mulaw: Vec<u8> = (0..PIECE_MS * 8).map(|_| linear_to_mulaw(self.sample())).collect();
        headless(&mulaw, self.format).ok().map(Bytes::from)
    }

    fn sample(&mut self) -> i16 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [.., high] = self.state.to_le_bytes();
        i16::from(high.cast_signed()) * PEAK / 128
    }
}
