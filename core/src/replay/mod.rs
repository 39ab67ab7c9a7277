//! Feeds a tape to a call and shows what the call did.
//!
//! ```
//! use dialbridge_core::replay::replay;
//! use dialbridge_core::tape::Tape;
//!
//! let tape = Tape::parse(r#"{"tape":1,"edition":"cx","marks":"simulated","config":{"greeting":{"text":"hi"}}}
//! {"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}
//! {"at_ms":900,"from":"agent","turn":1,"message":{"event":"answer","part":"final","text":"Hello"}}"#)?;
//! let call = replay(&tape);
//! assert!(call.trace().contains("stream 2 open audio"), "the agent has greeted, and now it listens");
//! # Ok::<(), dialbridge_core::tape::TapeError>(())
//! ```

mod caller;
mod caller_place;
mod closed_loop;
mod heard_prompts;
mod planned_stream;
mod played_agent;
mod played_call;
mod played_handoff;
mod played_tape;
mod played_turn;
mod playout;
mod recorded_agent;
mod said;
pub(crate) mod script;
mod trace;
mod unlike;

use std::sync::Arc;

use crate::call::{Call, Input, Output};
use crate::config::CallConfig;
use crate::error::InputError;
use crate::ids::StreamSid;
use crate::replay::played_tape::PlayedTape;
use crate::report::Report;
use crate::tape::{Marks, Mask, Tape, TapeInput, TapeWriter};
use crate::time::CallTime;
use crate::twilio::{Inbound, TwilioMessage, parse};

pub use caller::{AgentAudio, Caller, CallerAct, CallerFrame, CallerStep, STEP_TIMEOUT_MS, When, waited_ms};
pub use closed_loop::play;
pub(crate) use closed_loop::{ScriptedCall, play_script};
pub use played_agent::Divergence;
pub use played_call::{AgentMessage, PlayedCall, StepTimes};
pub use played_handoff::PlayedHandoff;
pub use played_turn::{PlayedPrompt, PlayedTurn, PromptCut};
pub use playout::Playout;
pub use said::said;
pub use trace::around;

/// A replayed call.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The outputs and refusals, in order, each with its time.
    pub steps: Vec<(CallTime, Step)>,
    /// The audio that the caller heard from the beginning of the call: mu-law, 8,000 Hz, mono.
    pub heard: Vec<u8>,
    stream: StreamSid,
    mask: Mask,
}

/// One step of a replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The call gave an output.
    Output(Output),
    /// The call refused an input.
    Refused(InputError),
}

impl Replayed {
    /// The outputs, in order, each with its time.
    pub fn outputs(&self) -> impl Iterator<Item = (CallTime, &Output)> {
        self.steps.iter().filter_map(|(at, step)| match step {
            Step::Output(output) => Some((*at, output)),
            Step::Refused(_) => None,
        })
    }

    /// The reports of the call, in order, each with its time.
    pub fn reports(&self) -> impl Iterator<Item = (CallTime, &Report)> {
        self.outputs().filter_map(|(at, output)| Some((at, output.report()?)))
    }

    /// The outputs as lines of a tape, without reports, masked as the tape is.
    pub fn tape_lines(&self) -> impl Iterator<Item = String> {
        let mut writer = TapeWriter::new(self.mask);
        self.outputs().filter_map(move |(at, output)| writer.output(at, output, &self.stream))
    }

    /// The trace of the call, one line for each step, for people and for comparison. The same tape always gives the same
    /// text.
    #[must_use]
    pub fn trace(&self) -> String {
        self.trace_lines().iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// The lines of the trace, in order, without line breaks, each with its time.
    #[must_use]
    pub fn trace_lines(&self) -> Vec<(CallTime, String)> {
        trace::lines(&self.steps)
    }
}

/// Feeds a tape to a call. If the tape has recorded deadlines, the replay uses those. Otherwise it meets each deadline
/// when it is due. After the last input the replay goes on until the call waits for nothing, or for a minute.
#[must_use]
pub fn replay(tape: &Tape) -> Replayed {
    let mut player = Player::new(tape.header.config.clone(), tape.header.marks, tape.header.mask);
    let recorded = tape.inputs.iter().any(|(_, input)| *input == TapeInput::Timeout);
    for (at, input) in &tape.inputs {
        player.run_until(*at, !recorded);
        player.feed(&input.as_input(), *at);
    }
    if !recorded {
        let last = tape.inputs.last().map_or(CallTime::START, |(at, _)| *at);
        player.run_until(last + AFTER_LAST_INPUT_MS, true);
    }
    player.finish()
}

/// How long a replay goes on after the last input, in milliseconds.
const AFTER_LAST_INPUT_MS: u64 = 60_000;

struct Player {
    call: Call,
    /// The time of the last input. A mark that is due at once has none of its own.
    now: CallTime,
    playout: Playout,
    simulate_marks: bool,
    /// How much of the caller's audio the call has got, in bytes.
    received_bytes: usize,
    replayed: Replayed,
    /// `None`: there is a tape already.
    tape: Option<PlayedTape>,
}

impl Player {
    fn new(config: CallConfig, marks: Marks, mask: Mask) -> Self {
        Self {
            call: Call::new(Arc::new(config), CallTime::START),
            now: CallTime::START,
            playout: Playout::default(),
            simulate_marks: marks == Marks::Simulated,
            received_bytes: 0,
            replayed: Replayed { steps: Vec::new(), heard: Vec::new(), stream: StreamSid::default(), mask },
            tape: None,
        }
    }

    /// Meets deadlines and returns marks until that time, always the earliest first.
    fn run_until(&mut self, until: CallTime, meet_deadlines: bool) {
        loop {
            let deadline = self.call.poll_timeout().map(|(at, _)| at).filter(|_| meet_deadlines);
            let mark = self.playout.next_mark_at().filter(|_| self.simulate_marks);
            let Some(next) = deadline.into_iter().chain(mark).min().filter(|at| *at < until) else { break };
            if mark.is_some_and(|at| at <= next) {
                self.return_marks(next);
            } else {
                self.feed(&Input::Timeout, next);
            }
        }
    }

    fn return_marks(&mut self, at: CallTime) {
        for name in self.playout.advance(at) {
            if self.simulate_marks {
                let mark = serde_json::json!({ "event": "mark", "mark": { "name": name } }).to_string();
                self.feed(&Input::Twilio(&mark), at);
            }
        }
    }

    fn feed(&mut self, input: &Input<'_>, at: CallTime) {
        self.now = self.now.max(at);
        let at = self.now;
        if let Input::Twilio(text) = input {
            self.note_message(text);
        }
        if let Some(tape) = &mut self.tape {
            tape.input(at, input, &self.call);
        }
        if let Err(error) = self.call.handle_input(input.clone(), at) {
            self.replayed.steps.push((at, Step::Refused(error)));
        }
        while let Some(output) = self.call.poll_output() {
            self.play(&output, at);
            if let Some(tape) = &mut self.tape {
                tape.output(at, &output, &self.replayed.stream);
            }
            self.replayed.steps.push((at, Step::Output(output)));
        }
    }

    fn note_message(&mut self, text: &str) {
        match parse(text) {
            Ok(Inbound::Start(start)) => {
                if let Some(stream) = StreamSid::new(&start.stream_sid) {
                    self.replayed.stream = stream;
                }
            }
            Ok(Inbound::Media(media)) => self.received_bytes += media.payload_bytes(),
            Ok(_) | Err(_) => {}
        }
    }

    fn play(&mut self, output: &Output, at: CallTime) {
        let Output::Twilio(message) = output else { return };
        self.playout.advance(at);
        match message {
            TwilioMessage::Media(audio) => self.playout.media(at, audio),
            TwilioMessage::Mark(name) => self.playout.mark(name.to_string()),
            TwilioMessage::Clear => self.playout.clear(),
        }
    }

    fn finish(mut self) -> Replayed {
        self.playout.advance(CallTime::from_ms(u64::MAX));
        self.replayed.heard = self.playout.into_heard();
        self.replayed
    }
}
