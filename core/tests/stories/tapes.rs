//! Masked tapes: they replay the same call without what the caller typed.

use std::sync::Arc;

use dialbridge_core::agent::{Answer, DtmfRules};
use dialbridge_core::replay::replay;
use dialbridge_core::tape::{Mask, Tape, TapeWriter};
use dialbridge_core::{AgentEvent, Call, CallConfig, CallTime, Input, Report, StreamId, StreamSid};

use crate::test_call::{answer, starting_text};

/// A call and its tape, with masked digits.
struct Recording {
    call: Call,
    writer: TapeWriter,
    text: String,
    entries: Vec<usize>,
    now: CallTime,
}

impl Recording {
    fn of(config: &CallConfig) -> Self {
        let writer = TapeWriter::new(Mask { digits: true, audio: false });
        let text = writer.header("cx", config) + "\n";
        let call = Call::new(Arc::new(config.clone()), CallTime::START);
        let mut recording = Self { call, writer, text, entries: Vec::new(), now: CallTime::START };
        recording.feed(&Input::Twilio(r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#));
        recording
    }

    fn feed(&mut self, input: &Input<'_>) {
        self.now = self.now + 10;
        let line = self.writer.input(self.now, input, None, self.call.finish_digit());
        self.text += &(line + "\n");
        self.call.handle_input(input.clone(), self.now).unwrap();
        let stream = StreamSid::new("MZ1").unwrap();
        while let Some(output) = self.call.poll_output() {
            if let dialbridge_core::Output::Report(Report::DigitsComplete { count }) = &output {
                self.entries.push(*count);
            }
            if let Some(line) = self.writer.output(self.now, &output, &stream) {
                self.text += &(line + "\n");
            }
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.feed(&Input::Twilio(&format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{key}"}}}}"#)));
        }
    }

    fn answer(&mut self, turn: u32, finish: Option<char>) {
        let keys = finish.map(|key| DtmfRules { finish_digit: Some(key), ..DtmfRules::default() });
        self.feed(&Input::Agent(
            StreamId(turn),
            AgentEvent::Answer(Box::new(Answer { dtmf_rules: keys, ..answer(0) })),
        ));
        self.feed(&Input::Agent(StreamId(turn), AgentEvent::Ended));
    }
}

#[test]
fn a_masked_tape_replays_whichever_digit_ends_an_input() {
    let mut config = starting_text();
    config.dtmf.finish_digit = Some('9');
    let mut recording = Recording::of(&config);
    recording.answer(1, None);
    recording.press("47119");
    // The agent's own rules: a masked digit must not become the finish digit.
    recording.answer(3, Some('0'));
    recording.press("562890");
    recording.answer(5, Some('B'));
    recording.press("A4711b");
    assert_eq!(recording.entries, [4, 5, 5]);

    let tape = Tape::parse(&recording.text).unwrap();
    let replayed = replay(&tape);
    let complete = |report: &Report| if let Report::DigitsComplete { count } = report { Some(*count) } else { None };
    assert_eq!(replayed.reports().filter_map(|(_, report)| complete(report)).collect::<Vec<_>>(), recording.entries);
    // The replay goes on to meet later deadlines that the call did not have.
    let again: Vec<String> = replayed.tape_lines().take(tape.outputs.len()).collect();
    assert_eq!(again, tape.outputs);
    for typed in ["4711", "56289", "5628"] {
        assert!(!recording.text.contains(typed), "{typed}");
    }
    let digits: String =
        recording.text.lines().filter_map(|line| line.split(r#""digit":""#).nth(1)?.chars().next()).collect();
    assert_eq!(digits, "0000911111000000b");
}
