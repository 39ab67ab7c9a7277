//! What the caller has said in one turn, and whether it counts as barge-in.

use crate::agent::Transcript;
use crate::audio::BYTES_PER_MS;
use crate::call::caller_audio::Position;
use crate::config::BargeIn;

/// How long before its transcript speech began at the latest, in milliseconds. For a caller whose voice is too quiet
/// for the voice detector.
const RECOGNITION_MS: u64 = 300;

/// The utterance of one turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Utterance {
    words: usize,
    /// The latest transcript.
    text: String,
    /// Where the speech began. Set by the first transcript.
    onset: Option<Position>,
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
    /// Where the voice in the turn's audio began, by its level.
    pub(super) voice_onset: Option<Position>,
}

impl Utterance {
    /// Whether there is no transcript.
    pub(super) fn is_empty(&self) -> bool {
        self.onset.is_none()
    }

    /// The latest transcript.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the speech began.
    pub(super) fn onset(&self) -> Option<Position> {
        self.onset
    }

    /// The confidence of the last transcript, if it had one.
    pub(super) fn confidence(&self) -> Option<f32> {
        self.confidence
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
        if is_sure {
            self.words = self.words.max(words);
        }
        self.text.clone_from(&transcript.text);
        if self.onset.is_none() {
            self.onset = Some(onset(transcript, audio));
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

impl TurnAudio {
    /// Where the audio is that the stream got at that time. Speech cannot have begun after the last audio that was sent,
    /// whatever the word times say.
    pub(super) fn position_at(&self, ms: u64) -> Position {
        self.turn_began.saturating_add(ms.saturating_mul(BYTES_PER_MS as u64)).min(self.written)
    }
}

/// Where the speech of a first transcript began. Taken from the recogniser's word times if there are any, else from the
/// rise of the voice's level, else from a guess based on where the recognised speech ends.
pub(super) fn onset(transcript: &Transcript, audio: TurnAudio) -> Position {
    let at = |ms: u64| audio.position_at(ms);
    let end = transcript.end_ms.map_or(audio.written, at);
    let guess = end.saturating_sub(RECOGNITION_MS * BYTES_PER_MS as u64).max(audio.turn_began);
    transcript.start_ms.map(at).or(audio.voice_onset).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Position = 8_000;

    fn transcript(text: &str) -> Transcript {
        Transcript { text: text.to_owned(), ..Transcript::default() }
    }

    fn heard(written: Position, voice_onset: Option<Position>) -> TurnAudio {
        TurnAudio { turn_began: 10 * SECOND, written, voice_onset }
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
    fn a_voice_too_soft_for_the_level_still_interrupts() {
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
    fn words_of_too_low_a_confidence_do_not_interrupt() {
        let heard = heard(13 * SECOND, Some(12 * SECOND));
        let rule = BargeIn { min_confidence: 60, ..BargeIn::default() };
        for (confidence, expected) in [(Some(0.5), false), (Some(0.7), true), (None, true)] {
            assert_eq!(interrupts(&Transcript { confidence, ..transcript("stop") }, heard, &rule), expected);
        }
    }
}
