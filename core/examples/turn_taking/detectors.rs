//! The voice detectors that are compared.

use dialbridge_core::audio::g711::mulaw_magnitude;
use dialbridge_core::audio::voice::VoiceDetector;

/// One stretch of voice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// Where it began, and where it ended, in samples.
    pub(crate) onset: u64,
    pub(crate) end: u64,
    /// When the detector knew.
    pub(crate) known: u64,
}

/// A detector.
pub(crate) trait Detector {
    /// Takes the next 20 ms.
    fn push(&mut self, position: u64, frame: &[u8]);
    /// The stretch that goes on, or ended last: where it began, and where it was last heard.
    fn stretch(&self) -> Option<(u64, u64)>;
    fn is_speaking(&self) -> bool;
}

/// All stretches of voice that a detector finds.
pub(crate) fn stretches(detector: &mut dyn Detector, mulaw: &[u8]) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut spoke = false;
    for (n, frame) in mulaw.chunks(160).enumerate() {
        let position = n as u64 * 160;
        detector.push(position, frame);
        let speaks = detector.is_speaking();
        if let Some((onset, end)) = detector.stretch().filter(|_| speaks || spoke) {
            match found.last_mut().filter(|_| spoke) {
                Some(last) => last.end = end,
                None => found.push(Stretch { onset, end, known: position + 160 }),
            }
        }
        spoke = speaks;
    }
    found
}

/// The service's detector.
pub(crate) struct Ours(VoiceDetector);

impl Ours {
    pub(crate) fn new() -> Self {
        Self(VoiceDetector::new(240_000))
    }
}

impl Detector for Ours {
    fn push(&mut self, position: u64, frame: &[u8]) {
        self.0.push(position, frame);
    }

    fn stretch(&self) -> Option<(u64, u64)> {
        self.0.onset_since(0).zip(self.0.end_since(0))
    }

    fn is_speaking(&self) -> bool {
        self.0.is_speaking()
    }
}

/// A detector that decides frame by frame, with the service's old rule for stretches: 40 ms of voice begin one, 300 ms
/// without end it.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    rise: Option<u64>,
    pub(crate) stretch: Option<(u64, u64)>,
    pub(crate) is_speaking: bool,
}

impl Stretches {
    pub(crate) fn push(&mut self, position: u64, end: u64, is_voice: bool) {
        if is_voice {
            let onset = *self.rise.get_or_insert(position);
            match &mut self.stretch {
                Some(stretch) if self.is_speaking => stretch.1 = end,
                _ if end - onset >= 320 => {
                    self.stretch = Some((onset, end));
                    self.is_speaking = true;
                }
                _ => {}
            }
        } else {
            self.rise = None;
            self.is_speaking &= self.stretch.is_some_and(|(_, last)| end - last <= 2_400);
        }
    }
}

/// The level rule that the service had before.
#[derive(Debug)]
pub(crate) struct LevelRule {
    floor: u32,
    stretches: Stretches,
}

impl LevelRule {
    pub(crate) fn new() -> Self {
        Self { floor: 150 * 256 / 3, stretches: Stretches::default() }
    }
}

impl Detector for LevelRule {
    fn push(&mut self, position: u64, frame: &[u8]) {
        let sum: u32 = frame.iter().map(|&code| u32::from(mulaw_magnitude(code))).sum();
        let level = sum / u32::try_from(frame.len().max(1)).unwrap_or(1);
        let is_voice = level > 150.max(self.floor / 256 * 3);
        self.stretches.push(position, position + frame.len() as u64, is_voice);
        let level = level * 256;
        if level < self.floor {
            self.floor -= (self.floor - level) / 4;
        } else {
            self.floor += (level - self.floor) / 2_048;
        }
    }

    fn stretch(&self) -> Option<(u64, u64)> {
        self.stretches.stretch
    }

    fn is_speaking(&self) -> bool {
        self.stretches.is_speaking
    }
}
