//! The state of one stream of a session: what is heard, whose turn it is, what is sent and when. It does no I/O: inputs
//! and times go in, messages come out.
//!
//! ```text
//! turn      none --text, event, digits, end of an utterance, silence--> thinking --> sending --last step--> none
//!           sending --tool call--> asking --its answer, or too late--> thinking
//! playing   nothing --audio sent--> for as long as the audio lasts --over, interrupted, replaced--> nothing
//! session   open --end of the session sent--> ended: nothing is heard any more, what is left is sent
//! ```
//!
//! An input that comes during the answer to another one waits. The agent's audio counts as playing from the moment it
//! was sent, in real time: speech interrupts it, and so does another answer.

use std::collections::VecDeque;
use std::time::Duration;

use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tokio::time::Instant;
use tonic::Status;

use ces::bidi_session_server_message::MessageType;
use ces::session_output::OutputType;

use crate::agent::ces::ambient::Ambient;
use crate::agent::ces::answer::{Answer, Step, Timed};
use crate::agent::ces::check::{Answered, Input, Opened, invalid};
use crate::agent::ces::dtmf::DigitCollector;
use crate::agent::ces::ending::Ending;
use crate::agent::ces::serving::Serving;
use crate::agent::ces::sessions::ToolOutcome;
use crate::agent::conversation::CallerInput;
use crate::agent::listening::Words;
use crate::agent::protobuf::protobuf_struct;
use crate::agent::script::{Break, HalfClose, Reply, Script, ToolCall, ToolCalls, TurnIndex, UnknownEvent};
use crate::agent::voice_detector::VoiceDetector;

/// The most inputs that may wait for their answer; later ones are lost.
const MAX_PENDING_INPUTS: usize = 32;

/// How long a stalled stream stays open for a client that does not leave.
const STALL_LIMIT: Duration = Duration::from_secs(600);

/// A stream.
pub(super) struct Live {
    pub(super) serving: Serving,
    pub(super) opened: Opened,
    pub(super) vad: Option<VoiceDetector>,
    /// The words of the utterance that has begun, and the answer that it will get.
    pub(super) words: Option<(Words, Option<Reply>)>,
    digits: DigitCollector,
    /// Text whose rest is still to come.
    pub(super) fragment: String,
    pub(super) pending: VecDeque<CallerInput>,
    pub(super) turn: Option<PendingTurn>,
    turns_of_stream: i32,
    steps: VecDeque<Timed>,
    /// Until when the sent audio plays.
    pub(super) playing_until: Instant,
    pub(super) is_protected: bool,
    /// Until when the agent waits for the result of a tool.
    tools_until: Option<Instant>,
    /// Audio without speech since somebody last spoke, in milliseconds.
    pub(super) silent_ms: u64,
    ambient: Option<Ambient>,
    go_away_at: Option<Instant>,
    leaves_at: Option<Instant>,
    has_ended: bool,
    is_half_closed: bool,
    stalled_until: Option<Instant>,
    out: Vec<ces::BidiSessionServerMessage>,
    ending: Option<Ending>,
}

/// A turn that is being answered.
pub(super) struct PendingTurn {
    index: i32,
    said: CallerInput,
    reply: Reply,
    /// Whether a part of it has been sent.
    has_begun: bool,
}

impl Live {
    pub(super) fn new(serving: Serving, opened: Opened, now: Instant) -> Self {
        let behaviour = &serving.script().ces;
        let vad = opened.input.map(|format| VoiceDetector::new(format, serving.script().end_of_utterance_ms, 0));
        let ambient = opened.output.filter(|_| behaviour.ambient).map(|format| Ambient::new(format, now));
        let after = |ms: u64| now + Duration::from_millis(ms);
        if behaviour.tool_calls == ToolCalls::Stream {
            serving.state.give_up_tools(&opened.name);
        }
        Self {
            vad,
            words: None,
            digits: DigitCollector::new(behaviour.digit_gap_ms),
            fragment: String::new(),
            pending: VecDeque::new(),
            turn: None,
            turns_of_stream: 0,
            steps: VecDeque::new(),
            playing_until: now,
            is_protected: false,
            tools_until: serving.state.is_asking(&opened.name).then(|| after(behaviour.tool_timeout_ms)),
            silent_ms: 0,
            ambient,
            go_away_at: (behaviour.go_away_ms > 0).then(|| after(behaviour.go_away_ms)),
            leaves_at: None,
            has_ended: false,
            is_half_closed: false,
            stalled_until: None,
            out: Vec::new(),
            ending: None,
            serving,
            opened,
        }
    }

    pub(super) fn script(&self) -> &Script {
        self.serving.script()
    }

    /// Whether the session has ended, so that nothing is heard any more.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes the messages to send now.
    pub(super) fn take_messages(&mut self) -> Vec<ces::BidiSessionServerMessage> {
        std::mem::take(&mut self.out)
    }

    /// How the stream ends, once it does.
    pub(super) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// When something is due; `None` if nothing is.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.stalled_until.is_some() {
            return self.stalled_until;
        }
        let step = self.steps.front().map(|timed| timed.at);
        let ambient = self.ambient.as_ref().map(Ambient::wake);
        [step, self.digits.wake(), self.tools_until, self.go_away_at, self.leaves_at, ambient]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes an input.
    ///
    /// # Errors
    /// If the client did something wrong.
    pub(super) fn take(&mut self, input: Input, now: Instant) -> Result<(), Status> {
        if self.stalled_until.is_some() || self.has_ended {
            return Ok(());
        }
        match input {
            Input::Audio(audio) => return self.hear(&audio, now),
            Input::Text { text, will_continue } => {
                self.fragment.push_str(&text);
                if !will_continue {
                    let text = std::mem::take(&mut self.fragment);
                    self.said(CallerInput::Text(text));
                }
            }
            Input::Event(name) => self.said(CallerInput::Event { name, digits: None }),
            Input::Digits(digits) => {
                for key in digits.chars() {
                    if let Some(said) = self.digits.press(key, now) {
                        self.said(said);
                    }
                }
            }
            Input::Variables(variables) => {
                self.serving.sessions.conversations.collect(&self.opened.name, &variables);
            }
            Input::ToolResponses(answers) => self.tool_answers(&answers, now)?,
        }
        self.run(now)
    }

    /// The client has half-closed.
    pub(super) fn half_close(&mut self, now: Instant) -> Result<(), Status> {
        self.is_half_closed = true;
        if let Some(said) = self.digits.finish() {
            self.said(said);
        }
        let answers = self.script().ces.half_close == HalfClose::Answers && !self.has_ended;
        let spoken = self.vad.as_ref().and_then(VoiceDetector::spoken);
        if let Some((spoken_ms, _)) = spoken.filter(|_| answers) {
            self.utterance(spoken_ms);
        }
        self.run(now)
    }

    /// Does everything that is due.
    ///
    /// # Errors
    /// If the client did something wrong, which shows only when an input is answered.
    pub(super) fn run(&mut self, now: Instant) -> Result<(), Status> {
        if let Some(until) = self.stalled_until {
            if until <= now {
                self.ending = Some(Ending::Broken(Break::Reset));
            }
            return Ok(());
        }
        if let Some(said) = self.digits.due(now) {
            self.said(said);
        }
        self.give_up_tools(now);
        self.leave(now);
        while self.ending.is_none() && self.stalled_until.is_none() {
            if self.steps.front().is_some_and(|timed| timed.at <= now) {
                self.step(now);
            } else if self.steps.is_empty() && self.tools_until.is_none() {
                self.turn = None;
                match self.pending.pop_front() {
                    Some(said) => self.answer(said, now)?,
                    None => break,
                }
            } else {
                break;
            }
        }
        self.send_ambient(now);
        // After the half-close no result of a tool can come.
        if self.is_half_closed && self.steps.is_empty() && self.ending.is_none() {
            self.ending = Some(Ending::Clean);
        }
        Ok(())
    }

    /// An input is to be answered. Output that is still being sent gives way.
    pub(super) fn said(&mut self, said: CallerInput) {
        if self.has_ended {
            return;
        }
        self.drop_speech();
        if self.pending.len() < MAX_PENDING_INPUTS {
            self.pending.push_back(said);
        }
    }

    fn tool_answers(&mut self, answers: &[Answered], now: Instant) -> Result<(), Status> {
        match self.serving.state.answered(&self.opened.name, answers)? {
            ToolOutcome::More => Ok(()),
            ToolOutcome::All { is_error } => self.tool_done(is_error, now),
        }
    }

    /// The turn that asked for a tool continues.
    fn tool_done(&mut self, is_error: bool, now: Instant) -> Result<(), Status> {
        self.tools_until = None;
        self.answer(CallerInput::ToolResult { call: ToolCall::default(), is_error }, now)
    }

    fn give_up_tools(&mut self, now: Instant) {
        if self.tools_until.is_some_and(|until| until <= now) {
            self.serving.state.give_up_tools(&self.opened.name);
            self.tools_until = None;
            self.pending.push_front(CallerInput::ToolResult { call: ToolCall::default(), is_error: true });
        }
    }

    /// Begins to answer; the result of a tool belongs to the turn that asked for it.
    fn answer(&mut self, said: CallerInput, now: Instant) -> Result<(), Status> {
        let reply = self.serving.sessions.conversations.answer(&self.opened.name, &said);
        let goes_on = matches!(said, CallerInput::ToolResult { .. });
        if reply.is_none() && matches!(said, CallerInput::Event { .. }) {
            return match self.script().ces.unknown_event {
                UnknownEvent::Ignored => Ok(()),
                UnknownEvent::Refused => Err(invalid("Invalid value at 'realtime_input.event': no such event.")),
            };
        }
        let reply = reply.unwrap_or_default();
        if said == CallerInput::Nothing && reply == Reply::default() {
            return Ok(());
        }
        self.digits.follow(reply.dtmf.as_ref());
        self.serving.sessions.conversations.collect(&self.opened.name, &reply.parameters);
        let index = if goes_on { self.index() } else { self.next_index() };
        let turn = PendingTurn { index, said, reply, has_begun: false };
        self.steps = self.answer_of(&turn, goes_on).steps(now)?;
        self.turn = Some(turn);
        Ok(())
    }

    fn answer_of<'a>(&'a self, turn: &'a PendingTurn, goes_on: bool) -> Answer<'a> {
        let PendingTurn { index, said, reply, .. } = turn;
        Answer { script: self.script(), opened: &self.opened, said, reply, turn: *index, goes_on }
    }

    fn next_index(&mut self) -> i32 {
        self.turns_of_stream += 1;
        let of_session = self.serving.state.next_turn(&self.opened.name);
        match self.script().ces.turn_index {
            TurnIndex::Session => of_session,
            TurnIndex::Stream => self.turns_of_stream,
        }
    }

    /// The current turn, or the last one.
    fn index(&self) -> i32 {
        match self.script().ces.turn_index {
            TurnIndex::Session => self.serving.state.turn(&self.opened.name),
            TurnIndex::Stream => self.turns_of_stream.max(1),
        }
    }

    fn step(&mut self, now: Instant) {
        let Some(Timed { step, .. }) = self.steps.pop_front() else { return };
        match step {
            Step::Replace => self.replace(now),
            Step::Output { output, audio_ms, is_protected } => {
                if audio_ms > 0 {
                    self.playing_until = self.playing_until.max(now) + Duration::from_millis(audio_ms);
                    self.is_protected = is_protected;
                }
                if matches!(output.output_type, Some(OutputType::EndSession(_))) {
                    self.end();
                }
                if let Some(turn) = &mut self.turn {
                    turn.has_begun = true;
                }
                self.send(MessageType::SessionOutput(*output));
            }
            Step::Tools(tools) => self.ask(&tools, now),
            Step::EndSession(end) => {
                self.end();
                self.send(MessageType::EndSession(end));
            }
            Step::GoAway => self.go_away(now),
            Step::Break(broken) => self.break_stream(broken, now),
        }
    }

    fn ask(&mut self, tools: &[ToolCall], now: Instant) {
        let call = |tool: &ToolCall| {
            let is_whole = tool.tool.starts_with("projects/");
            let name = if is_whole { tool.tool.clone() } else { format!("{}/{}", self.opened.app, tool.tool) };
            ces::ToolCall {
                id: self.serving.state.ask(&self.opened.name, &name),
                display_name: tool.action.clone(),
                args: Some(protobuf_struct(&tool.args)),
                tool_identifier: Some(ces::tool_call::ToolIdentifier::Tool(name)),
            }
        };
        let calls = OutputType::ToolCalls(ces::ToolCalls { tool_calls: tools.iter().map(call).collect() });
        self.tools_until = Some(now + Duration::from_millis(self.script().ces.tool_timeout_ms));
        let output = ces::SessionOutput { turn_index: self.index(), output_type: Some(calls), ..Default::default() };
        self.send(MessageType::SessionOutput(output));
    }

    /// The session has ended: the rest is sent, and nothing is heard any more.
    fn end(&mut self) {
        self.has_ended = true;
        self.pending.clear();
        self.go_away_at = None;
        self.ambient = None;
        self.serving.state.end(&self.opened.name);
    }

    /// Another answer comes: the one that is playing stops.
    fn replace(&mut self, now: Instant) {
        if now < self.playing_until {
            self.playing_until = now;
            self.send(MessageType::InterruptionSignal(ces::InterruptionSignal { barge_in: false }));
        }
    }

    /// Drops the unsent speech of an answer that has begun. If the turn was to be completed, it still is, if the
    /// script's `completes_interrupted` says so.
    pub(super) fn drop_speech(&mut self) {
        let has_begun = self.turn.as_ref().is_some_and(|turn| turn.has_begun);
        if !has_begun || !self.steps.iter().any(|timed| timed.step.is_spoken()) {
            return;
        }
        let completes = self.script().ces.completes_interrupted;
        let mut steps = std::mem::take(&mut self.steps);
        let bare = steps.iter().any(|timed| timed.step.is_spoken() && timed.step.completes());
        let completed = self.turn.as_ref().filter(|_| bare).map(|turn| self.answer_of(turn, false).completed());
        let first = steps.front().map(|timed| timed.at);
        steps.retain(|Timed { step, .. }| {
            !step.is_spoken() && !matches!(step, Step::Replace) && (completes || !step.completes())
        });
        if let Some((step, at)) = completed.zip(first).filter(|_| completes) {
            steps.push_front(Timed { at, step });
        }
        // The remaining steps need not wait for audio that is not sent.
        for timed in &mut steps {
            timed.at = first.unwrap_or(timed.at);
        }
        self.steps = steps;
    }

    fn leave(&mut self, now: Instant) {
        if self.go_away_at.is_some_and(|at| at <= now) {
            self.go_away(now);
        }
        if self.leaves_at.is_some_and(|at| at <= now) {
            self.leaves_at = None;
            self.ending = Some(Ending::Broken(self.script().ces.go_away));
        }
    }

    fn go_away(&mut self, now: Instant) {
        self.go_away_at = None;
        self.leaves_at = Some(now + Duration::from_millis(self.script().ces.go_away_lead_ms));
        self.send(MessageType::GoAway(ces::GoAway {}));
    }

    /// Breaks or stalls the stream.
    pub(super) fn break_stream(&mut self, broken: Break, now: Instant) {
        self.steps.clear();
        self.pending.clear();
        self.serving.state.note_break(&self.opened.name);
        if broken == Break::Stall {
            self.stalled_until = Some(now + STALL_LIMIT);
        } else {
            self.ending = Some(Ending::Broken(broken));
        }
    }

    /// Sends background noise while nothing else sounds.
    fn send_ambient(&mut self, now: Instant) {
        let is_quiet = now >= self.playing_until && self.stalled_until.is_none();
        let noise = self.ambient.as_mut().and_then(|ambient| ambient.next(now)).filter(|_| is_quiet);
        if let Some(noise) = noise {
            let output_type = Some(OutputType::Audio(noise));
            let output = ces::SessionOutput { turn_index: self.index(), output_type, ..Default::default() };
            self.send(MessageType::SessionOutput(output));
        }
    }

    pub(super) fn send(&mut self, of: MessageType) {
        self.out.push(ces::BidiSessionServerMessage { message_type: Some(of) });
    }
}
