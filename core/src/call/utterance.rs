//! What the caller has said in one turn, and whether it counts as barge-in.

use crate::agent::Transcript;
use crate::audio::{BYTES_PER_MS, Position, bytes};
use crate::config::BargeIn;
use crate::time::CallTime;

/// How long before its transcript speech began at the latest, in milliseconds. For a caller whose voice is too quiet
/// for the voice detector.
const RECOGNITION_MS: u64 = 300;

/// How much earlier than our voice detector a recogniser places the end of a word.
pub(super) const END_TOLERANCE: Position = bytes(150);

/// How much of an utterance is kept, in bytes. The agent hears all of it.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// The utterance of one turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Utterance {
    words: usize,
    /// All that was understood.
    text: String,
    /// How much of the text is final, in bytes. A recogniser may send one final transcript for each part of an
    /// utterance.
    final_bytes: usize,
    /// Where the speech began. Set by the first transcript.
    onset: Option<Position>,
    /// Where the recognised speech ends, if the last transcript says so.
    end: Option<Position>,
    /// When the text last changed.
    changed_at: CallTime,
    /// Confidence of the last transcript that was not empty.
    confidence: Option<f32>,
}

/// What we know about the audio when a transcript comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnAudio {
    /// Where the turn's audio begins.
    pub(super) turn_began: Position,
    /// How much of the caller's audio the turn has got.
    pub(super) written: Position,
    /// Where the voice in the turn's audio began, by the voice detector.
    pub(super) voice_onset: Option<Position>,
    pub(super) now: CallTime,
}

impl TurnAudio {
    /// A time of the turn's audio, in milliseconds, as a position. Speech lies within the audio that was sent, whatever
    /// the agent says.
    pub(super) fn at(self, ms: u64) -> Position {
        self.turn_began.saturating_add(bytes(ms)).min(self.written)
    }
}

impl Utterance {
    /// Whether there is no transcript.
    pub(super) fn is_empty(&self) -> bool {
        self.onset.is_none()
    }

    /// All that was understood so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether any of it is final.
    pub(super) fn has_final(&self) -> bool {
        self.final_bytes > 0
    }

    /// Whether all of it is final.
    pub(super) fn is_final(&self) -> bool {
        self.has_final() && self.final_bytes == self.text.len()
    }

    /// When the text last changed.
    pub(super) fn changed_at(&self) -> CallTime {
        self.changed_at
    }

    /// Where the recognised speech ends. `None` if the recogniser does not say so.
    pub(super) fn end(&self) -> Option<Position> {
        self.end
    }

    /// Where the speech began.
    pub(super) fn onset(&self) -> Option<Position> {
        self.onset
    }

    /// Adds a transcript. An empty one changes nothing. One below the minimum confidence, in percent, is kept but
    /// cannot barge in.
    pub(super) fn add(&mut self, transcript: &Transcript, audio: TurnAudio, min_confidence: u8) {
        let words = transcript.text.split_whitespace().count();
        if words == 0 {
            return;
        }
        let is_sure = transcript.confidence.is_none_or(|confidence| confidence * 100.0 >= f32::from(min_confidence));
        self.confidence = transcript.confidence;
        self.end = transcript.end_ms.map(|ms| audio.at(ms));
        self.update_text(transcript, audio.now);
        if is_sure {
            self.words = self.words.max(self.text.split_whitespace().count());
        }
        if self.onset.is_none() {
            self.onset = Some(onset(transcript, audio));
        }
    }

    /// What the agent's answer says that the caller said. It replaces all transcripts.
    pub(super) fn settle(&mut self, said: &Transcript, audio: TurnAudio, min_confidence: u8) {
        self.final_bytes = 0;
        let all = Transcript { is_final: true, confidence: self.confidence, ..said.clone() };
        self.add(&all, audio, min_confidence);
    }

    /// A transcript replaces the text after the last final one. If it repeats that one too, it replaces all of it.
    fn update_text(&mut self, transcript: &Transcript, now: CallTime) {
        let kept = &self.text[..self.final_bytes];
        let repeats = transcript.text.starts_with(kept);
        let mut text = if repeats { String::new() } else { format!("{} ", kept.trim_end()) };
        text.push_str(transcript.text.trim());
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        if transcript.is_final {
            self.final_bytes = text.len();
        }
        if self.text != text || transcript.is_final {
            self.text = text;
            self.changed_at = now;
        }
    }

    /// Barge-in by speech: the speech must have begun after the playout did, and must have enough words and enough
    /// milliseconds. Earlier speech is the next turn.
    pub(super) fn interrupts(&self, playout_began: Position, audio: TurnAudio, rule: &BargeIn) -> bool {
        let Some(onset) = self.onset else { return false };
        let spoken_ms = audio.written.saturating_sub(onset) / BYTES_PER_MS as u64;
        onset >= playout_began && self.words > 0 && self.words >= rule.min_words as usize && spoken_ms >= rule.min_ms
    }
}

/// Where the speech of a first transcript began. Taken from the recogniser's word times if there are any, else from the
/// voice detector, else from a guess based on where the recognised speech ends.
pub(super) fn onset(transcript: &Transcript, audio: TurnAudio) -> Position {
    let end = transcript.end_ms.map_or(audio.written, |ms| audio.at(ms));
    let guess = end.saturating_sub(bytes(RECOGNITION_MS)).max(audio.turn_began);
    transcript.start_ms.map(|ms| audio.at(ms)).or(audio.voice_onset).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Position = 8_000;

    fn transcript(text: &str) -> Transcript {
        Transcript { text: text.to_owned(), ..Transcript::default() }
    }

    fn heard(written: Position, voice_onset: Option<Position>) -> TurnAudio {
        TurnAudio { turn_began: 10 * SECOND, written, voice_onset, now: CallTime::START }
    }

    fn interrupts(transcript: &Transcript, audio: TurnAudio, rule: &BargeIn) -> bool {
        let mut utterance = Utterance::default();
        utterance.add(transcript, audio, rule.min_confidence);
        utterance.interrupts(11 * SECOND, audio, rule)
    }

    #[test]
    fn speech_after_the_playout_began_interrupts_it() {
        assert!(interrupts(&transcript("stop"), heard(13 * SECOND, Some(12 * SECOND)), &BargeIn::default()));
    }

    #[test]
    fn speech_that_began_before_the_playout_is_the_next_turn() {
        assert!(!interrupts(&transcript("yes"), heard(13 * SECOND, Some(10 * SECOND + 4_000)), &BargeIn::default()));
        let timed = Transcript { start_ms: Some(500), ..transcript("yes") };
        assert!(!interrupts(&timed, heard(13 * SECOND, Some(12 * SECOND)), &BargeIn::default()), "word times win");
        let early_end = Transcript { end_ms: Some(900), ..transcript("yes") };
        assert!(!interrupts(&early_end, heard(13 * SECOND, None), &BargeIn::default()));
    }

    #[test]
    fn a_voice_too_soft_for_the_detector_still_interrupts() {
        assert!(interrupts(&transcript("stop"), heard(13 * SECOND, None), &BargeIn::default()));
    }

    #[test]
    fn too_few_words_or_too_short_a_time_do_not_interrupt() {
        let heard = heard(13 * SECOND, Some(12 * SECOND));
        let words = BargeIn { min_words: 2, ..BargeIn::default() };
        assert!(!interrupts(&transcript("well"), heard, &words));
        assert!(interrupts(&transcript("well no"), heard, &words));
        assert!(!interrupts(&transcript("well"), heard, &BargeIn { min_ms: 1_001, ..BargeIn::default() }));
        assert!(interrupts(&transcript("well"), heard, &BargeIn { min_ms: 1_000, ..BargeIn::default() }));
    }

    #[test]
    fn a_transcript_without_words_is_no_speech() {
        let heard = heard(13 * SECOND, Some(12 * SECOND));
        assert!(!interrupts(&transcript("  "), heard, &BargeIn::default()));
    }

    #[test]
    fn final_transcripts_add_up_and_interim_ones_replace_each_other() {
        let audio = heard(13 * SECOND, None);
        let mut utterance = Utterance::default();
        let parts = [
            ("two", false, "two"),
            ("two loaves", true, "two loaves"),
            ("and", false, "two loaves and"),
            ("and a roll", false, "two loaves and a roll"),
            ("and a roll", true, "two loaves and a roll"),
            ("two loaves and a roll please", true, "two loaves and a roll please"),
        ];
        for (text, is_final, all) in parts {
            utterance.add(&Transcript { is_final, ..transcript(text) }, audio, 0);
            assert_eq!((utterance.text(), utterance.is_final()), (all, is_final));
        }
        utterance.settle(&transcript("2 loaves"), audio, 0);
        assert_eq!((utterance.text(), utterance.is_final()), ("2 loaves", true));
    }

    #[test]
    fn a_recogniser_that_sends_transcripts_for_ever_fills_no_memory() {
        let audio = heard(13 * SECOND, None);
        let mut utterance = Utterance::default();
        for number in 0..5_000 {
            utterance.add(&Transcript { is_final: true, ..transcript(&format!("{number} más")) }, audio, 0);
        }
        assert!(utterance.text().len() <= MAX_TEXT_BYTES);
    }

    #[test]
    fn words_of_too_low_a_confidence_do_not_interrupt() {
        let heard = heard(13 * SECOND, Some(12 * SECOND));
        let rule = BargeIn { min_confidence: 60, ..BargeIn::default() };
        for (confidence, expected) in [(Some(0.5), false), (Some(0.7), true), (None, true)] {
            assert_eq!(interrupts(&Transcript { confidence, ..transcript("stop") }, heard, &rule), expected);
        }
    }
}
