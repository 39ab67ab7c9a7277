//! Tells voice from line noise by its level, frame by frame: where the caller began to speak, and where he pauses.
//!
//! The agent's recogniser decides what the caller said. This detector tells where in the audio the speech of a
//! transcript began, because the transcript comes some hundred milliseconds later.

use std::collections::VecDeque;
use std::ops::Range;

use crate::audio::BYTES_PER_MS;
use crate::audio::level::{MIN_VOICE_LEVEL, mulaw_level};
use crate::call::caller_audio::{MAX_KEPT_MS, Position};

/// How far voice is above the noise floor: 9.5 dB.
const ABOVE_FLOOR: u32 = 3;
/// How long the level must stay up to be a voice and not a click, in samples: 40 ms.
const ONSET: u64 = 320;
/// How long the level must stay down to be a pause, in samples: 300 ms, longer than a plosive's gap.
const HANGOVER: u64 = 2_400;

/// Follows the audio of one call.
#[derive(Debug)]
pub(super) struct VoiceDetector {
    /// Noise floor, in 1/256 of a level.
    floor: u32,
    /// Where the level rose, while it is up but not yet a voice.
    rise: Option<Position>,
    segment: Option<Segment>,
    /// The stretches before it, as far as their audio may still be sent again.
    earlier: VecDeque<Segment>,
}

/// One stretch of voice.
#[derive(Debug, Clone, Copy)]
struct Segment {
    onset: Position,
    last_loud: Position,
    is_over: bool,
}

impl VoiceDetector {
    pub(super) fn new() -> Self {
        Self { floor: MIN_VOICE_LEVEL * 256 / ABOVE_FLOOR, rise: None, segment: None, earlier: VecDeque::new() }
    }

    /// Adds the frame that begins at `position`.
    pub(super) fn push(&mut self, position: Position, frame: &[u8]) {
        if frame.is_empty() {
            return;
        }
        let level = mulaw_level(frame);
        let end = position + frame.len() as Position;
        if level > MIN_VOICE_LEVEL.max(self.floor / 256 * ABOVE_FLOOR) {
            self.loud(position, end);
        } else {
            self.rise = None;
            if let Some(segment) = &mut self.segment {
                segment.is_over |= end - segment.last_loud > HANGOVER;
            }
        }
        self.follow_floor(level);
    }

    /// Whether the caller is speaking, a pause of up to 300 ms included.
    pub(super) fn is_speaking(&self) -> bool {
        self.segment.is_some_and(|segment| !segment.is_over)
    }

    /// Where the current stretch of voice began. `None` while the caller is silent.
    pub(super) fn speaking_since(&self) -> Option<Position> {
        self.segment.filter(|segment| !segment.is_over).map(|segment| segment.onset)
    }

    /// Where the last stretch of voice began. `None` if it ended before `since`.
    pub(super) fn onset_since(&self, since: Position) -> Option<Position> {
        self.segment.filter(|segment| segment.last_loud > since).map(|segment| segment.onset)
    }

    /// Where the first stretch of voice began that did not end before `since`.
    pub(super) fn first_onset_since(&self, since: Position) -> Option<Position> {
        self.segments().find(|segment| segment.last_loud > since).map(|segment| segment.onset)
    }

    /// Whether there was voice in that part of the audio.
    pub(super) fn is_voice_in(&self, part: Range<Position>) -> bool {
        self.segments().any(|segment| segment.last_loud > part.start && segment.onset < part.end)
    }

    /// The stretches of voice whose audio may still be written again, in order: where each begins, and where it was heard
    /// last. The last one may be too short yet to be a voice.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Range<Position>> {
        let voices = self.segments().map(|segment| segment.onset..segment.last_loud);
        voices.chain(self.rise.map(|onset| onset..onset + ONSET))
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.earlier.iter().chain(&self.segment)
    }

    /// Where voice was last heard. `None` if that was before `since`.
    pub(super) fn end_since(&self, since: Position) -> Option<Position> {
        self.segment.map(|segment| segment.last_loud).filter(|end| *end > since)
    }

    fn loud(&mut self, position: Position, end: Position) {
        match &mut self.segment {
            Some(segment) if !segment.is_over => segment.last_loud = end,
            Some(_) | None => {
                let onset = *self.rise.get_or_insert(position);
                if end - onset >= ONSET {
                    self.earlier.extend(self.segment.replace(Segment { onset, last_loud: end, is_over: false }));
                    let kept_from = end.saturating_sub((MAX_KEPT_MS * BYTES_PER_MS) as Position);
                    self.earlier.retain(|segment| segment.last_loud > kept_from);
                    self.rise = None;
                }
            }
        }
    }

    // The floor falls within a tenth of a second and rises within half a minute, so that a long sentence does not
    // become the floor.
    fn follow_floor(&mut self, level: u32) {
        let level = level.saturating_mul(256).min(u32::MAX / 2);
        if level < self.floor {
            self.floor -= (self.floor - level) / 4;
        } else {
            self.floor += (level - self.floor) / 2_048;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::linear_to_mulaw;

    /// Feeds `ms` milliseconds of a square wave of that amplitude from `position` on. Returns where it ends.
    fn feed(voice: &mut VoiceDetector, position: Position, amplitude: i16, ms: u64) -> Position {
        let frame: Vec<u8> =
            (0..160).map(|n| linear_to_mulaw(if n % 8 < 4 { amplitude } else { -amplitude })).collect();
        (0..ms / 20).fold(position, |at, _| {
            voice.push(at, &frame);
            at + 160
        })
    }

    #[test]
    fn silence_and_line_noise_are_no_voice() {
        let mut voice = VoiceDetector::new();
        let at = feed(&mut voice, 0, 0, 1_000);
        feed(&mut voice, at, 60, 5_000);
        assert!(!voice.is_speaking());
        assert_eq!(voice.onset_since(0), None);
    }

    #[test]
    fn speech_has_an_onset_and_ends_after_a_pause() {
        let mut voice = VoiceDetector::new();
        let onset = feed(&mut voice, 0, 20, 1_000);
        let end = feed(&mut voice, onset, 3_000, 600);
        assert!(voice.is_speaking());
        assert_eq!(voice.onset_since(0), Some(onset));
        let at = feed(&mut voice, end, 20, 280);
        assert!(voice.is_speaking(), "a short gap inside a sentence is no pause");
        feed(&mut voice, at, 20, 60);
        assert!(!voice.is_speaking());
        assert_eq!(voice.onset_since(onset), Some(onset));
        assert_eq!(voice.onset_since(end), None);
        assert_eq!((voice.end_since(onset), voice.end_since(end)), (Some(end), None));
    }

    #[test]
    fn stretches_of_voice_are_known_as_long_as_their_audio_is_kept() {
        let mut voice = VoiceDetector::new();
        let first = feed(&mut voice, 0, 20, 1_000);
        let pause = feed(&mut voice, first, 3_000, 400);
        let second = feed(&mut voice, pause, 20, 1_000);
        let end = feed(&mut voice, second, 3_000, 400);
        assert_eq!((voice.first_onset_since(0), voice.onset_since(0)), (Some(first), Some(second)));
        assert!(voice.is_voice_in(0..pause) && !voice.is_voice_in(pause..second) && !voice.is_voice_in(0..first));
        let third = feed(&mut voice, end, 20, 30_000);
        feed(&mut voice, third, 3_000, 400);
        assert_eq!(voice.first_onset_since(0), Some(third));
    }

    #[test]
    fn a_click_is_no_voice() {
        let mut voice = VoiceDetector::new();
        let at = feed(&mut voice, 0, 0, 200);
        let at = feed(&mut voice, at, 20_000, 20);
        feed(&mut voice, at, 0, 200);
        assert_eq!(voice.onset_since(0), None);
    }

    #[test]
    fn in_a_loud_place_only_what_rises_above_it_is_voice() {
        let mut voice = VoiceDetector::new();
        let at = feed(&mut voice, 0, 700, 60_000);
        let at = feed(&mut voice, at, 700, 1_000);
        assert!(!voice.is_speaking(), "a steady hum has become the floor");
        feed(&mut voice, at, 6_000, 200);
        assert_eq!(voice.onset_since(at), Some(at));
    }
}
