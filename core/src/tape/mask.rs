//! Masking: a tape that replays as the call went, without what the caller typed or said.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::{AgentCommand, AgentEvent, Answer, TurnInput};
use crate::audio::g711::linear_to_mulaw;
use crate::audio::level::mulaw_level;
use crate::audio::voice::VoiceDetector;
use crate::audio::{BYTES_PER_MS, Position};
use crate::ids::StreamId;

/// The parts that are masked on a tape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mask {
    /// Mask the digits: every digit and letter becomes `0` (`1` if `0` is the finish digit). `*`, `#` and the finish
    /// digit stay. If an agent's answer repeats the digits, they are masked there too. A hand-off after them is left
    /// out.
    pub digits: bool,
    /// Mask the caller's audio: a buzz or a hiss, as loud as it was. The voice detector finds his voice where it was,
    /// to 20 ms.
    pub audio: bool,
}

impl Mask {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Shorter inputs are menu choices and not secrets, and they would be found in every text.
const MIN_SECRET_DIGITS: usize = 3;

/// The digits of a call that must not be found on its tape.
#[derive(Debug, Default)]
pub(super) struct Typed {
    entries: BTreeSet<String>,
    /// Digits that were sent one by one. Together they are an input too.
    row: String,
    streams: BTreeSet<StreamId>,
}

impl Typed {
    /// Remembers digits that go to the agent.
    pub(super) fn note(&mut self, stream: StreamId, command: &AgentCommand) {
        let input = match command {
            AgentCommand::Open(start) => &start.input,
            AgentCommand::Send(input) => input,
            AgentCommand::Audio(_)
            | AgentCommand::Parameters(_)
            | AgentCommand::CallerSpeaks(_)
            | AgentCommand::HalfClose
            | AgentCommand::Cancel
            | AgentCommand::Done => return,
        };
        if let TurnInput::Digits(digits, _) = input {
            self.streams.insert(stream);
            self.note_digits(&digits.digits);
        }
    }

    fn note_digits(&mut self, keys: &str) {
        if keys.len() != 1 || matches!(keys, "*" | "#") {
            self.row.clear();
        } else {
            // The earlier input was only the beginning of this longer one.
            self.entries.remove(&self.row);
            self.row.push_str(keys);
        }
        for entry in [keys, &self.row] {
            if entry.len() >= MIN_SECRET_DIGITS {
                self.entries.insert(entry.to_owned());
            }
        }
    }

    /// The agent has responded: digits after it are another input.
    pub(super) fn note_event(&mut self, event: &AgentEvent) {
        if matches!(event, AgentEvent::Answer(answer) if !answer.is_empty()) {
            self.row.clear();
        }
    }

    /// Whether the caller typed any secret.
    pub(super) fn has_secrets(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The event without the digits that it repeats.
    pub(super) fn masked(&self, stream: StreamId, event: &AgentEvent) -> Option<AgentEvent> {
        let AgentEvent::Answer(answer) = event else { return None };
        if self.streams.is_empty() {
            return None;
        }
        let mut answer: Answer = (**answer).clone();
        if self.streams.contains(&stream) {
            answer.query_text.clear();
        }
        answer.text = self.masked_text(&answer.text);
        let arguments = answer.tool_calls.iter_mut().flat_map(|call| call.arguments.values_mut());
        let values = answer.parameters.values_mut().chain(&mut answer.payloads).chain(arguments);
        values.for_each(|value| self.mask(value));
        Some(AgentEvent::Answer(Box::new(answer)))
    }

    /// A tool's result without the digits that it repeats, if digits are masked.
    pub(super) fn masked_object(&self, object: &Map<String, Value>, mask: Mask) -> Map<String, Value> {
        let mut object = object.clone();
        if mask.digits {
            object.values_mut().for_each(|value| self.mask(value));
        }
        object
    }

    fn mask(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.masked_text(text),
            Value::Number(number) if self.entries.contains(&number.to_string()) => *value = Value::from(0),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask(item)),
            Value::Object(object) => object.values_mut().for_each(|value| self.mask(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn masked_text(&self, text: &str) -> String {
        self.entries.iter().fold(text.to_owned(), |text, entry| text.replace(entry, &masked_digits(entry)))
    }
}

/// A masked digit. The finish digit stays, and no other digit becomes it, because it alone tells when an input is
/// complete.
pub(super) fn masked_digit(key: &str, finish: Option<char>) -> &str {
    let is = |finish: char| key.chars().map(|key| key.to_ascii_uppercase()).eq([finish]);
    match key {
        "*" | "#" => key,
        _ if finish.is_some_and(is) => key,
        _ if finish == Some('0') => "1",
        _ => "0",
    }
}

/// Digits, masked.
pub(super) fn masked_digits(keys: &str) -> String {
    keys.chars().map(|key| if matches!(key, '*' | '#') { key } else { '0' }).collect()
}

/// Masks the caller's audio: a 500 Hz buzz where it sounds like a voice, and a hiss elsewhere, both as loud as the
/// audio was. So the voice detector finds his voice where it was, to 20 ms.
#[derive(Debug)]
pub(super) struct AudioMask {
    voice: VoiceDetector,
    /// The number of the next byte.
    next: Position,
    /// The signs of the hiss.
    random: u32,
}

impl Default for AudioMask {
    fn default() -> Self {
        Self { voice: VoiceDetector::new(0), next: 0, random: 1 }
    }
}

impl AudioMask {
    /// The next frame, mu-law at 8,000 Hz.
    pub(super) fn masked(&mut self, mulaw: &[u8]) -> Vec<u8> {
        mulaw.chunks(10 * BYTES_PER_MS).flat_map(|part| self.masked_part(part)).collect()
    }

    fn masked_part(&mut self, mulaw: &[u8]) -> Vec<u8> {
        self.voice.push(self.next, mulaw);
        self.next += mulaw.len() as Position;
        let level = i16::try_from(mulaw_level(mulaw)).unwrap_or(i16::MAX);
        let is_voiced = self.voice.is_voiced();
        let mut sample = |n: usize| {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let is_positive = if is_voiced { n % 16 < 8 } else { self.random >> 31 == 0 };
            linear_to_mulaw(if is_positive { level } else { -level })
        };
        (0..mulaw.len()).map(&mut sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Digits, DigitsForm, TurnStart};
    use crate::audio::g711::mulaw_to_linear;
    use serde_json::json;

    fn typed(keys: &str) -> Typed {
        let digits = Digits { digits: keys.to_owned(), finish_digit: None };
        let start = TurnStart::new(TurnInput::Digits(digits, DigitsForm::Dtmf));
        let mut typed = Typed::default();
        typed.note(StreamId(3), &AgentCommand::Open(Box::new(start)));
        typed
    }

    #[test]
    fn what_an_answer_repeats_of_the_digits_is_masked() {
        let parameters = json!({ "pin": "4711", "n": 4711, "all": ["x4711y", { "deep": "4711" }], "other": 7 });
        let answer = Answer {
            query_text: "4711".to_owned(),
            text: "You typed 4711.".to_owned(),
            parameters: parameters.as_object().cloned().unwrap(),
            ..Answer::default()
        };
        let masked = typed("4711").masked(StreamId(3), &AgentEvent::Answer(Box::new(answer))).unwrap();
        let AgentEvent::Answer(masked) = masked else { panic!() };
        assert_eq!((masked.query_text.as_str(), masked.text.as_str()), ("", "You typed 0000."));
        let expected = json!({ "pin": "0000", "n": 0, "all": ["x0000y", { "deep": "0000" }], "other": 7 });
        assert_eq!(Value::Object(masked.parameters), expected);
    }

    #[test]
    fn digits_that_go_one_by_one_are_an_input_together() {
        let mut typed = Typed::default();
        let press = |typed: &mut Typed, keys: &str| {
            for key in keys.chars() {
                let digits = Digits { digits: key.to_string(), finish_digit: None };
                typed.note(StreamId(1), &AgentCommand::Send(TurnInput::Digits(digits, DigitsForm::Dtmf)));
            }
        };
        press(&mut typed, "4711#22");
        assert_eq!(typed.masked_text("4711, 47112 and 22"), "0000, 00002 and 22");
        let says = Answer { text: "Thank you.".to_owned(), ..Answer::default() };
        typed.note_event(&AgentEvent::Answer(Box::new(says)));
        press(&mut typed, "9");
        assert_eq!(typed.masked_text("229"), "229", "two entries, neither of them a secret");
    }

    #[test]
    fn a_choice_in_a_menu_is_no_secret() {
        assert!(!typed("1").has_secrets() && typed("123").has_secrets());
        assert_eq!(masked_digits("12*#A"), "00*#0");
    }

    #[test]
    fn the_digit_that_ends_an_input_stays_and_no_other_becomes_it() {
        let masked = |keys: &str, finish| {
            keys.chars().map(|key| masked_digit(&key.to_string(), finish).to_owned()).collect::<String>()
        };
        assert_eq!(masked("129*#A", None), "000*#0");
        assert_eq!(masked("129*#A", Some('9')), "009*#0");
        assert_eq!(masked("120*#A", Some('0')), "110*#1");
        assert_eq!(masked("12aA", Some('A')), "00aA");
        assert_eq!(masked_digit("more than a key", Some('9')), "0");
    }

    #[test]
    fn the_voice_detector_finds_the_same_in_masked_audio() {
        // A second of noise, a vowel that rises and fades in it, and noise.
        let mut random = 1_u32;
        let sample = |n: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = i32::from((random >> 16) as u16) / 40 - 819;
            let (ring, at) = (i32::try_from(n % 64).unwrap(), i32::try_from(n).unwrap() - 8_000);
            let level = (at.min(4_800 - at)).max(0) * (64 - ring) / 30;
            linear_to_mulaw(i16::try_from(if ring % 16 < 8 { noise + level } else { noise - level }).unwrap())
        };
        let audio: Vec<u8> = (0..24_000).map(sample).collect();
        let mut mask = AudioMask::default();
        let masked: Vec<u8> = audio.chunks(160).flat_map(|frame| mask.masked(frame)).collect();
        let stretches = |mulaw: &[u8]| {
            let mut voice = VoiceDetector::new(240_000);
            voice.push(0, mulaw);
            voice.stretches().collect::<Vec<_>>()
        };
        let (before, after) = (stretches(&audio), stretches(&masked));
        let is_near = |one: Position, other: Position| one.abs_diff(other) <= 160;
        assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
        assert!(
            is_near(before[0].start, after[0].start) && is_near(before[0].end, after[0].end),
            "{before:?} {after:?}"
        );
    }

    #[test]
    fn masked_audio_is_as_loud_as_it_was() {
        let loud: Vec<u8> = (0..160).map(|n| linear_to_mulaw(if n % 4 < 2 { 9_000 } else { -3_000 })).collect();
        let level = |audio: &[u8]| audio.iter().map(|&code| i32::from(mulaw_to_linear(code).abs())).sum::<i32>() / 160;
        let (before, after) = (level(&loud), level(&AudioMask::default().masked(&loud)));
        assert!((before - after).abs() * 20 < before, "{before} {after}");
        assert_eq!(AudioMask::default().masked(&[]), [0_u8; 0]);
    }
}
