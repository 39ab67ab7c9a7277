//! A model of Twilio's playout of one media stream: a queue of audio and marks, played in real time.

use std::collections::VecDeque;

use crate::audio::{BYTES_PER_MS, MULAW_SILENCE};
use crate::time::CallTime;

/// The audio that is queued for the caller, and the audio that the caller has heard. It follows Twilio's documentation. Media is appended
/// and played in order. A mark returns when all audio before it has been played, or at once if nothing is queued.
/// `clear` drops the audio and returns all marks.
#[derive(Debug, Default)]
pub struct Playout {
    queue: VecDeque<Item>,
    /// Marks to return now.
    due: VecDeque<String>,
    /// The audio that the caller has heard so far, silence included. A millisecond is [`BYTES_PER_MS`] bytes.
    heard: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    Audio(VecDeque<u8>),
    Mark(String),
}

impl Playout {
    /// Adds audio: mu-law at 8,000 Hz. Call [`Playout::advance`] to that time first.
    pub fn media(&mut self, at: CallTime, audio: &[u8]) {
        if self.queue.is_empty() {
            self.silence_until(at);
        }
        self.queue.push_back(Item::Audio(audio.iter().copied().collect()));
    }

    /// Adds a mark.
    pub fn mark(&mut self, name: String) {
        if self.queue.is_empty() { self.due.push_back(name) } else { self.queue.push_back(Item::Mark(name)) }
    }

    /// Handles a `clear`: drops the audio and returns the marks.
    pub fn clear(&mut self) {
        for item in std::mem::take(&mut self.queue) {
            match item {
                Item::Audio(_) => {}
                Item::Mark(name) => self.due.push_back(name),
            }
        }
    }

    /// Plays until that time. Returns the marks that come back.
    pub fn advance(&mut self, to: CallTime) -> Vec<String> {
        let end = usize::try_from(to.as_ms()).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
        while let Some(item) = self.queue.pop_front() {
            match item {
                Item::Mark(name) => self.due.push_back(name),
                Item::Audio(mut audio) => {
                    let playable = audio.len().min(end.saturating_sub(self.heard.len()));
                    self.heard.extend(audio.drain(..playable));
                    if !audio.is_empty() {
                        self.queue.push_front(Item::Audio(audio));
                        break;
                    }
                }
            }
        }
        self.due.drain(..).collect()
    }

    /// When the next mark comes back if nothing else happens; `None` when no mark is queued.
    #[must_use]
    pub fn next_mark_at(&self) -> Option<CallTime> {
        if !self.due.is_empty() {
            return Some(CallTime::START);
        }
        let mut bytes = self.heard.len();
        for item in &self.queue {
            match item {
                Item::Audio(audio) => bytes += audio.len(),
                Item::Mark(_) => return Some(CallTime::from_ms(bytes.div_ceil(BYTES_PER_MS) as u64)),
            }
        }
        None
    }

    /// Whether the caller is hearing something.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.queue.iter().any(|item| matches!(item, Item::Audio(_)))
    }

    /// How much the caller has heard from the beginning, in bytes, including the silence before the last audio.
    #[must_use]
    pub fn played_bytes(&self) -> usize {
        self.heard.len()
    }

    /// The audio that the caller has heard from the beginning, silence included, to the end of the last prompt.
    #[must_use]
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The audio that the caller heard from the beginning, silence included.
    #[must_use]
    pub fn into_heard(self) -> Vec<u8> {
        self.heard
    }

    fn silence_until(&mut self, at: CallTime) {
        let end = usize::try_from(at.as_ms()).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
        if end > self.heard.len() {
            self.heard.resize(end, MULAW_SILENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> CallTime {
        CallTime::from_ms(ms)
    }

    #[test]
    fn a_mark_comes_back_when_the_audio_before_it_was_played() {
        let mut playout = Playout::default();
        playout.media(ms(100), &[1; 800]);
        playout.mark("a".to_owned());
        playout.media(ms(100), &[2; 800]);
        playout.mark("b".to_owned());
        assert_eq!(playout.next_mark_at(), Some(ms(200)));
        assert!(playout.advance(ms(199)).is_empty());
        assert_eq!(playout.advance(ms(200)), ["a"]);
        assert_eq!(playout.advance(ms(500)), ["b"]);
        let heard = playout.into_heard();
        assert_eq!((heard.len(), heard[799], heard[800], heard[1600]), (2400, MULAW_SILENCE, 1, 2));
    }

    #[test]
    fn a_clear_returns_all_marks_and_the_rest_is_not_heard() {
        let mut playout = Playout::default();
        playout.media(ms(0), &[1; 1600]);
        playout.mark("a".to_owned());
        assert!(playout.advance(ms(50)).is_empty());
        playout.clear();
        assert_eq!(playout.advance(ms(50)), ["a"]);
        playout.media(ms(90), &[2; 8]);
        playout.advance(ms(200));
        let heard = playout.into_heard();
        assert_eq!((heard.len(), heard[399], heard[400], heard[720]), (728, 1, MULAW_SILENCE, 2));
    }

    #[test]
    fn a_mark_with_nothing_before_it_comes_back_at_once() {
        let mut playout = Playout::default();
        playout.mark("a".to_owned());
        assert_eq!(playout.next_mark_at(), Some(CallTime::START));
        assert_eq!(playout.advance(ms(7)), ["a"]);
    }
}
