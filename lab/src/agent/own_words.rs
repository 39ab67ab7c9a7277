//! The agent's own words, which a telephone returns while it plays them, and which the recogniser understands.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::script::Reply;

/// A prompt that is playing.
#[derive(Debug, Clone)]
pub(super) struct OwnWords {
    words: Vec<String>,
    /// How long each word takes, in milliseconds.
    each_ms: u64,
    /// When its audio was sent.
    since: Instant,
}

impl OwnWords {
    /// The words of an answer that is sent after `think_ms`. `None` if it says nothing.
    pub(super) fn of(reply: &Reply, think_ms: u64) -> Option<Self> {
        let words: Vec<String> = reply.say.split_whitespace().map(str::to_owned).collect();
        let ms = reply.audio_ms();
        (!words.is_empty() && ms > 0).then(|| Self {
            each_ms: (ms / words.len() as u64).max(1),
            since: Instant::now() + Duration::from_millis(think_ms),
            words,
        })
    }

    /// The words that were heard from `from` on, for that many milliseconds.
    pub(super) fn heard(&self, from: Instant, ms: u64) -> &[String] {
        let began_ms = u64::try_from(from.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let place = |ms: u64| usize::try_from(ms / self.each_ms).unwrap_or(usize::MAX).min(self.words.len());
        let first = place(began_ms);
        &self.words[first..place(began_ms + ms + self.each_ms / 2).max(first)]
    }
}
