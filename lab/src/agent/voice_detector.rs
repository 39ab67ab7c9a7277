//! The agent's voice detector: it tells speech from silence by level, and finds the end of an utterance.

use dialbridge_core::audio::g711::{alaw_to_linear, mulaw_to_linear};
use dialbridge_core::audio::{AudioFormat, Encoding};

/// Mean level above which 10 ms of audio are speech, in units of 16-bit samples: about -43 dB of full scale.
const SPEECH_LEVEL: u64 = 220;

/// Mean level above which it is the caller's own voice, and not the agent's that a telephone returns: about -18 dB.
const CALLER_LEVEL: u64 = 4_000;

/// How long speech must last to count, in milliseconds.
const MIN_SPEECH_MS: u64 = 60;

/// The interval of interim results while somebody speaks, in milliseconds of audio.
const INTERIM_MS: u64 = 400;

/// The level is the mean over this many milliseconds.
const WINDOW_MS: u64 = 10;

/// Listens to one stream.
#[derive(Debug)]
pub(super) struct VoiceDetector {
    format: AudioFormat,
    /// Silence that ends the utterance, in milliseconds.
    end_ms: u64,
    /// Silence that counts as no-input; 0: never.
    no_speech_ms: u64,
    /// Until when speech is ignored.
    muted_ms: u64,
    window: Vec<u8>,
    /// Milliseconds of audio so far.
    audio_ms: u64,
    /// Until when silence does not count.
    prompt_until_ms: u64,
    /// Where the first speech began, once it has lasted long enough to count.
    onset_ms: Option<u64>,
    /// Where the first speech of the caller's own began.
    caller_onset_ms: Option<u64>,
    last_speech_ms: u64,
    run_ms: u64,
    last_interim_ms: u64,
    /// Where the utterance was over.
    over_ms: Option<u64>,
}

/// What the voice detector noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticed {
    /// Somebody is speaking.
    Speech {
        /// Milliseconds of speech so far.
        spoken_ms: u64,
        /// The end of the speech so far, in milliseconds of the stream.
        end_ms: u64,
    },
    /// The utterance is over.
    EndOfUtterance {
        /// Milliseconds of speech.
        spoken_ms: u64,
        /// Where it ended, in milliseconds of the stream.
        end_ms: u64,
    },
    /// No-input: nobody spoke for too long.
    NoSpeech,
}

impl VoiceDetector {
    pub(super) fn new(format: AudioFormat, end_ms: u64, no_speech_ms: u64) -> Self {
        Self {
            format,
            end_ms,
            no_speech_ms,
            muted_ms: 0,
            window: Vec::new(),
            audio_ms: 0,
            prompt_until_ms: 0,
            onset_ms: None,
            caller_onset_ms: None,
            last_speech_ms: 0,
            run_ms: 0,
            last_interim_ms: 0,
            over_ms: None,
        }
    }

    /// Applies a barge-in window: ignores speech for `muted_ms`, and reports no no-input before `prompt_until_ms`.
    pub(super) fn set_prompt_window(&mut self, muted_ms: u64, prompt_until_ms: u64) {
        self.muted_ms = muted_ms;
        self.prompt_until_ms = prompt_until_ms;
    }

    /// Milliseconds of audio so far.
    pub(super) fn audio_ms(&self) -> u64 {
        self.audio_ms
    }

    /// How many bytes of the stream were heard before the utterance was over; all of them if it is not.
    pub(super) fn heard_bytes(&self) -> usize {
        let windows = self.over_ms.map(|ms| usize::try_from(ms / WINDOW_MS).unwrap_or(usize::MAX));
        windows.map_or(usize::MAX, |windows| windows.saturating_mul(self.window_bytes()))
    }

    /// Milliseconds of speech so far, pauses included; `None` if nobody has spoken.
    pub(super) fn spoken(&self) -> Option<(u64, u64)> {
        self.onset_ms.map(|onset| (self.last_speech_ms - onset, self.last_speech_ms))
    }

    /// Milliseconds since the caller's own voice began; 0 if there was none.
    pub(super) fn caller_ms(&self) -> u64 {
        self.caller_onset_ms.map_or(0, |onset| self.last_speech_ms.saturating_sub(onset))
    }

    /// Whether somebody is speaking now.
    pub(super) fn is_speaking(&self) -> bool {
        self.onset_ms.is_some() && self.last_speech_ms == self.audio_ms
    }

    /// Listens for another utterance on the same stream.
    pub(super) fn start_utterance(&mut self) {
        self.onset_ms = None;
        self.caller_onset_ms = None;
        self.last_interim_ms = 0;
        self.run_ms = 0;
        self.over_ms = None;
    }

    /// Bytes of audio that are judged at once.
    pub(super) fn window_bytes(&self) -> usize {
        let samples = u64::from(self.format.sample_rate) * WINDOW_MS / 1000;
        usize::try_from(samples).unwrap_or(usize::MAX) * usize::from(self.format.encoding.bytes_per_sample())
    }

    /// Takes audio and returns what it noticed, in order.
    pub(super) fn hear(&mut self, audio: &[u8]) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        let window_bytes = self.window_bytes();
        for &byte in audio {
            self.window.push(byte);
            if self.window.len() == window_bytes {
                let level = self.level();
                self.window.clear();
                if level > CALLER_LEVEL && self.audio_ms >= self.muted_ms {
                    self.caller_onset_ms.get_or_insert(self.audio_ms);
                }
                noticed.extend(self.window_over(level > SPEECH_LEVEL));
            }
        }
        noticed
    }

    fn window_over(&mut self, is_loud: bool) -> Option<Noticed> {
        self.audio_ms += WINDOW_MS;
        if self.over_ms.is_some() {
            return None;
        }
        if is_loud && self.audio_ms > self.muted_ms {
            return self.loud();
        }
        self.run_ms = 0;
        match self.spoken() {
            Some((spoken_ms, end_ms)) if self.audio_ms - end_ms >= self.end_ms => {
                self.over_ms = Some(self.audio_ms);
                Some(Noticed::EndOfUtterance { spoken_ms, end_ms })
            }
            None if self.no_speech_ms > 0 && self.audio_ms >= self.prompt_until_ms + self.no_speech_ms => {
                self.over_ms = Some(self.audio_ms);
                Some(Noticed::NoSpeech)
            }
            Some(_) | None => None,
        }
    }

    fn loud(&mut self) -> Option<Noticed> {
        self.run_ms += WINDOW_MS;
        if self.onset_ms.is_none() && self.run_ms >= MIN_SPEECH_MS {
            self.onset_ms = Some(self.audio_ms - self.run_ms);
        }
        let onset = self.onset_ms?;
        self.last_speech_ms = self.audio_ms;
        let spoken_ms = self.audio_ms - onset;
        if spoken_ms < self.last_interim_ms + INTERIM_MS {
            return None;
        }
        self.last_interim_ms = spoken_ms;
        Some(Noticed::Speech { spoken_ms, end_ms: self.audio_ms })
    }

    fn level(&self) -> u64 {
        let sum: u64 = match self.format.encoding {
            Encoding::Mulaw => self.window.iter().map(|&b| u64::from(mulaw_to_linear(b).unsigned_abs())).sum(),
            Encoding::Alaw => self.window.iter().map(|&b| u64::from(alaw_to_linear(b).unsigned_abs())).sum(),
            Encoding::Linear16 => {
                self.window.chunks_exact(2).map(|b| u64::from(i16::from_le_bytes([b[0], b[1]]).unsigned_abs())).sum()
            }
        };
        let samples = self.window.len() / usize::from(self.format.encoding.bytes_per_sample());
        sum / samples.max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::script::Tone;
    use crate::agent::speech::tone;

    fn vad() -> VoiceDetector {
        VoiceDetector::new(AudioFormat::TELEPHONE, 600, 3_000)
    }

    fn silence(ms: usize) -> Vec<u8> {
        vec![0xFF; ms * 8]
    }

    #[test]
    fn an_utterance_has_interim_results_and_an_end() {
        let mut vad = vad();
        assert!(vad.hear(&silence(500)).is_empty());
        let noticed = vad.hear(&tone(Tone { hz: 300, ms: 1_000 }));
        assert_eq!(noticed.len(), 2, "{noticed:?}");
        assert_eq!(noticed[1], Noticed::Speech { spoken_ms: 800, end_ms: 1_300 });
        assert!(vad.hear(&silence(590)).is_empty());
        assert_eq!(vad.hear(&silence(20)), [Noticed::EndOfUtterance { spoken_ms: 1_000, end_ms: 1_500 }]);
        assert_eq!(vad.heard_bytes(), 2_100 * 8, "the end is in the middle of that audio");
        assert!(vad.hear(&tone(Tone { hz: 300, ms: 1_000 })).is_empty(), "after the end nothing is noticed");
    }

    #[test]
    fn no_input_ends_the_turn_but_not_beside_a_prompt() {
        let mut alone = vad();
        assert_eq!(alone.hear(&silence(3_000)), [Noticed::NoSpeech]);
        let mut beside = vad();
        beside.set_prompt_window(0, 2_000);
        assert!(beside.hear(&silence(4_990)).is_empty());
        assert_eq!(beside.hear(&silence(10)), [Noticed::NoSpeech]);
    }

    #[test]
    fn a_muted_voice_detector_hears_no_speech() {
        let mut vad = vad();
        vad.set_prompt_window(1_000, 1_000);
        assert!(vad.hear(&tone(Tone { hz: 300, ms: 1_000 })).is_empty());
        assert_eq!(vad.spoken(), None);
    }

    #[test]
    fn one_utterance_follows_another() {
        let mut vad = vad();
        vad.hear(&tone(Tone { hz: 300, ms: 500 }));
        assert!(vad.is_speaking());
        vad.hear(&silence(600));
        assert!(!vad.is_speaking());
        vad.start_utterance();
        assert_eq!(vad.spoken(), None);
        let noticed = vad.hear(&[tone(Tone { hz: 300, ms: 500 }), silence(600)].concat());
        let last = Noticed::EndOfUtterance { spoken_ms: 500, end_ms: 1_600 };
        assert_eq!(noticed, [Noticed::Speech { spoken_ms: 400, end_ms: 1_500 }, last]);
    }

    #[test]
    fn a_click_is_no_speech() {
        let mut vad = vad();
        vad.hear(&tone(Tone { hz: 300, ms: 50 }));
        vad.hear(&silence(1_000));
        assert_eq!(vad.spoken(), None);
    }
}
