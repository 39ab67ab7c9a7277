//! What the caller has said in one turn, and whether it interrupts what is being played.

use crate::agent::Transcript;
use crate::audio::BYTES_PER_MS;
use crate::call::caller_audio::Position;
use crate::config::BargeIn;

/// How long before a transcript comes its speech began at the latest, in milliseconds: for a caller whose voice the
/// level could not show.
const RECOGNITION_MS: u64 = 300;

/// The words of one turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Utterance {
    words: usize,
    /// The latest transcript.
    text: String,
    /// Where the speech began; set by the first transcript.
    onset: Option<Position>,
    /// Of the last transcript with words.
    confidence: Option<f32>,
}

/// What is known about the audio when a transcript comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnAudio {
    /// Where the turn's audio began.
    pub(super) turn_began: Position,
    /// How much of the caller's audio the turn has.
    pub(super) written: Position,
    /// Where the voice began that is in the turn's audio, by its level.
    pub(super) voice_onset: Option<Position>,
}

impl Utterance {
    /// Whether anything was understood.
    pub(super) fn is_empty(&self) -> bool {
        self.onset.is_none()
    }

    /// What was understood, as it was told last.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the speech began.
    pub(super) fn onset(&self) -> Option<Position> {
        self.onset
    }

    /// How sure the recogniser was of the last words, where it said so.
    pub(super) fn confidence(&self) -> Option<f32> {
        self.confidence
    }

    /// Takes a transcript in. One without words says nothing; one of too low a confidence, in percent, has words, but none
    /// that interrupt.
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

    /// The rule for barge-in by speech: the caller interrupts when the speech began after the playout did, and has
    /// enough words and enough milliseconds. What began earlier is no interruption: it is the next turn.
    pub(super) fn interrupts(&self, playout_began: Position, audio: TurnAudio, rule: &BargeIn) -> bool {
        let Some(onset) = self.onset else { return false };
        let spoken_ms = audio.written.saturating_sub(onset) / BYTES_PER_MS as u64;
        onset >= playout_began && self.words > 0 && self.words >= rule.min_words as usize && spoken_ms >= rule.min_ms
    }
}

/// Where the speech of a first transcript began: the recogniser's own word times where it sent them, else the rise of
/// the voice's level, else a guess from where the recognised speech ends.
fn onset(transcript: &Transcript, audio: TurnAudio) -> Position {
    // Nothing was said later than what was sent, whatever the times say.
    let at = |ms: u64| audio.turn_began.saturating_add(ms.saturating_mul(BYTES_PER_MS as u64)).min(audio.written);
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
