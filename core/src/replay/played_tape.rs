//! The tape of a call that a test plays.

use crate::call::{Call, Input, Output};
use crate::config::CallConfig;
use crate::edition::Edition;
use crate::ids::StreamSid;
use crate::replay::{CallerStep, StepTimes};
use crate::tape::{Conversation, Header, Marks, Mask, RecordedStep, TAPE_VERSION, TapeWriter};
use crate::time::CallTime;

/// The lines of a tape without its header.
#[derive(Debug, Default)]
pub(super) struct PlayedTape {
    writer: TapeWriter,
    lines: String,
}

impl PlayedTape {
    /// Records an input, before that call has it.
    pub(super) fn input(&mut self, at: CallTime, input: &Input<'_>, call: &Call) {
        let timer = call.poll_timeout().filter(|_| *input == Input::Timeout).map(|(_, timer)| timer.to_string());
        let line = self.writer.input(at, input, timer.as_deref(), call.finish_digit());
        self.line(&line);
    }

    pub(super) fn output(&mut self, at: CallTime, output: &Output, stream: &StreamSid) {
        if let Some(line) = self.writer.output(at, output, stream) {
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// The whole tape.
    pub(super) fn text(self, header: &Header) -> String {
        let header = serde_json::to_value(header).unwrap_or_default();
        format!("{header}\n{}", self.lines)
    }
}

/// The header of a tape with these steps of the caller's.
pub(super) fn header(edition: Edition, config: &CallConfig, steps: &[CallerStep], times: &[StepTimes]) -> Header {
    let recorded = steps.iter().zip(times).map(|(step, times)| RecordedStep {
        input: step.input(),
        // A frame comes when it begins, so a place in the caller's audio is a time of the call.
        from_ms: times.began.map(CallTime::as_ms),
        to_ms: times.ended.map(CallTime::as_ms),
    });
    Header {
        tape: TAPE_VERSION,
        edition: edition.as_str().to_owned(),
        config: config.clone(),
        marks: Marks::Recorded,
        mask: Mask::default(),
        note: String::new(),
        conversation: Some(Conversation { steps: recorded.collect(), ..Conversation::default() }),
    }
}
