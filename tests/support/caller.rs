//! What callers of tests say.

use dialbridge_core::audio::g711::linear_to_mulaw;
use dialbridge_lab::agent::script::bakery_caller;
use dialbridge_lab::twilio::{CallerStep, When};

/// Bytes of a frame.
const FRAME: usize = 160;

/// Speech of that many milliseconds in which every frame carries its number, counted from `first`, so that loss,
/// doubling and disorder can be counted.
#[must_use]
pub fn numbered_speech(first: u32, ms: u64) -> Vec<u8> {
    (first..).take(usize::try_from(ms / 20).unwrap()).flat_map(numbered_frame).collect()
}

/// A frame is a loud square wave, and at its end a mark and the number in soft codes, a hexadecimal digit each.
fn numbered_frame(number: u32) -> Vec<u8> {
    let wave = (0..FRAME - 8).map(|n| linear_to_mulaw(if n % 16 < 8 { 6_000 } else { -6_000 }));
    let digits = (0..6).rev().map(|digit| 0xF0 | u8::try_from(number >> (4 * digit) & 0xF).unwrap());
    wave.chain(MARK).chain(digits).collect()
}

const MARK: [u8; 2] = [0x7A, 0x7B];

/// The numbers of the frames in that audio; frames without one, such as silence, are left out. Frames stay whole on
/// their way, for nobody cuts them.
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

/// Says nothing for so long, and then goes on.
#[must_use]
pub fn pause(ms: u64) -> CallerStep {
    say(When::After(0), vec![0xFF; usize::try_from(ms).unwrap() * 8])
}

/// The embedded caller at the embedded bakery.
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
