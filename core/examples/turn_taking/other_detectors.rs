//! Detectors of other projects.

use dialbridge_core::audio::g711::mulaw_to_linear;

use crate::detectors::{Detector, Stretches};

/// WebRTC's detector, as `earshot` 0.1 has it in Rust.
pub(crate) struct WebRtc {
    detector: earshot_webrtc::VoiceActivityDetector,
    samples: Vec<i16>,
    stretches: Stretches,
}

impl WebRtc {
    pub(crate) fn new() -> Self {
        let profile = earshot_webrtc::VoiceActivityProfile::VERY_AGGRESSIVE;
        Self {
            detector: earshot_webrtc::VoiceActivityDetector::new(profile),
            samples: Vec::new(),
            stretches: Stretches::default(),
        }
    }
}

impl Detector for WebRtc {
    fn push(&mut self, position: u64, frame: &[u8]) {
        self.samples.clear();
        self.samples.extend(frame.iter().map(|&code| mulaw_to_linear(code)));
        self.samples.resize(160, 0);
        let is_voice = self.detector.predict_8khz(&self.samples).unwrap_or_default();
        self.stretches.push(position, position + frame.len() as u64, is_voice);
    }

    fn stretch(&self) -> Option<(u64, u64)> {
        self.stretches.stretch
    }

    fn is_speaking(&self) -> bool {
        self.stretches.is_speaking
    }
}

/// The neural network of `earshot` 1: 16 ms at 16,000 Hz.
pub(crate) struct Earshot {
    detector: Box<earshot::Detector>,
    threshold: f32,
    /// What waits, at 16,000 Hz.
    samples: Vec<i16>,
    before: i16,
    at: u64,
    stretches: Stretches,
}

impl Earshot {
    pub(crate) fn new(threshold: f32) -> Self {
        Self {
            detector: Box::new(earshot::Detector::default()),
            threshold,
            samples: Vec::new(),
            before: 0,
            at: 0,
            stretches: Stretches::default(),
        }
    }
}

impl Detector for Earshot {
    fn push(&mut self, _position: u64, frame: &[u8]) {
        for &code in frame {
            let sample = mulaw_to_linear(code);
            self.samples.extend([self.before.midpoint(sample), sample]);
            self.before = sample;
        }
        while self.samples.len() >= 256 {
            let is_voice = self.detector.predict_i16(&self.samples[..256]) >= self.threshold;
            self.samples.drain(..256);
            self.stretches.push(self.at, self.at + 128, is_voice);
            self.at += 128;
        }
    }

    fn stretch(&self) -> Option<(u64, u64)> {
        self.stretches.stretch
    }

    fn is_speaking(&self) -> bool {
        self.stretches.is_speaking
    }
}
