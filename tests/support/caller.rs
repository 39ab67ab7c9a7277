//! What callers in tests say.

use dialbridge_core::audio::g711::{linear_to_mulaw, mulaw_to_linear};
use dialbridge_lab::agent::script::bakery_caller;
use dialbridge_lab::twilio::{CallerStep, When};

/// Bytes in a frame.
const FRAME: usize = 160;

/// Speech of that many milliseconds. Every frame carries its number, counted from `first`, so that tests can count
/// lost, doubled and disordered frames.
#[must_use]
pub fn numbered_speech(first: u32, ms: u64) -> Vec<u8> {
    (first..).take(usize::try_from(ms / 20).unwrap()).flat_map(numbered_frame).collect()
}

/// A caller's audio with all frames numbered, speech and silence alike.
#[derive(Debug, Default)]
pub struct Numbered {
    next: u32,
}

/// What a caller does next, for that many milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Stretch {
    /// Speaks.
    Speech(u64),
    /// Is silent.
    Quiet(u64),
    /// Tells a long story.
    Story(u64),
}

impl Numbered {
    /// Steps that follow each other without a gap from that time on. At their end the caller hangs up.
    pub fn steps(&mut self, when: When, stretches: &[Stretch]) -> Vec<CallerStep> {
        let whens = std::iter::once(when).chain(std::iter::repeat(When::After(0)));
        let audio = |stretch: &Stretch| match *stretch {
            Stretch::Speech(ms) => self.speech(ms),
            Stretch::Quiet(ms) => self.quiet(ms),
            Stretch::Story(ms) => self.story(ms),
        };
        let steps = whens.zip(stretches.iter().map(audio)).map(|(when, audio)| say(when, audio));
        steps.chain([hang_up(When::After(0))]).collect()
    }

    /// Speech of that many milliseconds.
    pub fn speech(&mut self, ms: u64) -> Vec<u8> {
        self.frames(ms, 6_000)
    }

    /// Silence of that many milliseconds.
    pub fn quiet(&mut self, ms: u64) -> Vec<u8> {
        self.frames(ms, 0)
    }

    /// A long story of that many milliseconds: speech with gaps between the words, as people speak.
    pub fn story(&mut self, ms: u64) -> Vec<u8> {
        let mut story = Vec::new();
        for at in (0..ms).step_by(2_000) {
            let sentence = (ms - at).min(2_000);
            let gap = sentence.min(160);
            story.extend(self.speech(sentence - gap));
            story.extend(self.quiet(gap));
        }
        story
    }

    /// The number of frames so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.next
    }

    fn frames(&mut self, ms: u64, amplitude: i16) -> Vec<u8> {
        let first = self.next;
        self.next += u32::try_from(ms / 20).unwrap();
        (first..self.next).flat_map(|number| numbered(number, amplitude)).collect()
    }
}

fn numbered_frame(number: u32) -> Vec<u8> {
    numbered(number, 6_000)
}

/// A frame is a square wave. Every second one is softer, because the level of a voice is never the same. At its end are a mark and the number in quiet samples, one for each hexadecimal digit.
fn numbered(number: u32, amplitude: i16) -> Vec<u8> {
    let amplitude = if number.is_multiple_of(2) { amplitude } else { amplitude - amplitude / 4 };
    let wave = (0..FRAME - 8).map(|n| linear_to_mulaw(if n % 16 < 8 { amplitude } else { -amplitude }));
    let digits = (0..6).rev().map(|digit| 0xF0 | u8::try_from(number >> (4 * digit) & 0xF).unwrap());
    wave.chain(MARK).chain(digits).collect()
}

const MARK: [u8; 2] = [0x7A, 0x7B];

/// The numbers of the frames in that audio. Frames without a number, such as silence, are left out. The audio must
/// consist of whole frames.
#[must_use]
pub fn numbers(audio: &[u8]) -> Vec<u32> {
    let frames = audio.chunks_exact(FRAME).filter(|frame| frame[FRAME - 8..FRAME - 6] == MARK);
    frames.map(|frame| frame[FRAME - 6..].iter().fold(0, |number, code| number << 4 | u32::from(code & 0xF))).collect()
}

/// Says something at that time.
#[must_use]
pub fn say(when: When, audio: Vec<u8>) -> CallerStep {
    CallerStep::Say { when, label: "speech".to_owned(), audio: audio.into() }
}

/// Says nothing for that many milliseconds.
#[must_use]
pub fn pause(ms: u64) -> CallerStep {
    say(When::After(0), vec![0xFF; usize::try_from(ms).unwrap() * 8])
}

/// Presses keys at that time.
#[must_use]
pub fn press(when: When, digits: &str) -> CallerStep {
    CallerStep::Press { when, digits: digits.to_owned() }
}

/// Hangs up at that time.
#[must_use]
pub fn hang_up(when: When) -> CallerStep {
    CallerStep::HangUp { when }
}

/// A tone at half scale, mu-law at 8,000 Hz.
#[must_use]
pub fn tone(hz: f64, ms: usize) -> Vec<u8> {
    let step = std::f64::consts::TAU * hz / 8_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "a sine of half of full scale fits")]
    (0..ms * 8).map(|n| linear_to_mulaw((16_000.0 * (step * n as f64).sin()) as i16)).collect()
}

/// How many milliseconds of a half-scale tone are in that audio.
#[must_use]
pub fn tone_ms(mulaw: &[u8], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / 8_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &code) in mulaw.iter().enumerate() {
        let sample = f64::from(mulaw_to_linear(code));
        re += sample * (step * n as f64).cos();
        im += sample * (step * n as f64).sin();
    }
    re.hypot(im) * 2.0 / 16_000.0 / 8.0
}

/// The built-in caller of the built-in bakery.
#[must_use]
pub fn bakery() -> Vec<CallerStep> {
    let say = |label: &str, when| {
        let audio = bakery_caller(label).expect("the recording is embedded");
        CallerStep::Say { when, label: label.to_owned(), audio }
    };
    vec![
        say("order.wav", When::AgentSilent(400)),
        say("nine.wav", When::AgentSpeaking(3_000)),
        say("colleague.wav", When::AgentSilent(400)),
    ]
}
