//! Plays a call with the agent of its tape, or of a test, in a closed loop: the caller takes his steps when he hears the
//! agent, the agent answers what it is given, and both move when the call does something sooner or later than it did.
//!
//! [`replay`](super::replay) feeds each input at its recorded time. That shows what this version makes of the same
//! inputs, but no recorded input comes sooner because the call ended an utterance sooner. Here it does.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::agent::AgentEvent;
use crate::audio::wav::write_wav;
use crate::audio::{AudioFormat, BYTES_PER_MS, FRAME_MS, buzz};
use crate::call::{Input, Output, UpdateResult};
use crate::config::CallConfig;
use crate::edition::Edition;
use crate::ids::{FetchId, StreamId, ToolsId};
use crate::replay::caller::{AgentAudio, Caller, CallerAct, CallerStep, STEP_TIMEOUT_MS};
use crate::replay::caller_place::CallerSteps;
use crate::replay::played_agent::{AgentSource, Divergence, PlayedAgent};
use crate::replay::played_call::{AgentMessage, PlayedCall, StepTimes};
use crate::replay::played_tape::{self, PlayedTape};
use crate::replay::recorded_agent::RecordedAgent;
use crate::replay::script::Script;
use crate::replay::{Player, Step};
use crate::tape::{Marks, Mask, Tape, TapeInput};
use crate::time::CallTime;
use crate::twilio::{Inbound, parse};

/// The longest call that is played, in milliseconds.
const MAX_CALL_MS: u64 = 3_600_000;

/// Plays the call of a tape with a caller who takes these steps. The tape must have the header of a conversation, and
/// `steps` must be the steps that it describes: see
/// [`Conversation::difference`](crate::tape::Conversation::difference). A tape of another caller leads to a
/// [`Divergence`](super::Divergence).
#[must_use]
pub fn play(tape: &Tape, steps: Vec<CallerStep>, config: CallConfig) -> PlayedCall {
    let mut recorded = CallerSteps::default();
    let recorded_steps = tape.header.conversation.iter().flat_map(|conversation| &conversation.steps);
    let mut places = recorded_steps.map(|step| step.from_ms);
    for step in &steps {
        recorded.add(step, places.next().flatten());
    }
    let agent = AgentSource::Tape(Box::new(RecordedAgent::of(tape, &recorded)));
    let mut closed_loop = ClosedLoop::new(agent, RecordedDriver::of(tape), steps, config, tape.header.mask);
    closed_loop.run(opening(tape));
    closed_loop.finish()
}

/// The call of a test.
#[derive(Debug)]
pub(crate) struct ScriptedCall {
    pub(crate) edition: Edition,
    pub(crate) config: CallConfig,
    /// The messages of Twilio before the first frame.
    pub(crate) opening: Vec<String>,
    pub(crate) steps: Vec<CallerStep>,
    pub(crate) script: Script,
    /// The audio that the call may fetch, by address.
    pub(crate) recordings: BTreeMap<String, Vec<u8>>,
}

/// Plays the call of a test. Returns it with its tape.
pub(crate) fn play_script(call: ScriptedCall) -> (PlayedCall, String) {
    let ScriptedCall { edition, config, opening, steps, script, recordings } = call;
    let (agent, driver) = (AgentSource::Test(script), RecordedDriver::of_test(recordings));
    let mut closed_loop = ClosedLoop::new(agent, driver, steps.clone(), config.clone(), Mask::default());
    closed_loop.player.tape = Some(PlayedTape::default());
    closed_loop.run(opening);
    let tape = closed_loop.player.tape.take().unwrap_or_default();
    let text = tape.text(&played_tape::header(edition, &config, &steps, &closed_loop.times));
    (closed_loop.finish(), text)
}

struct ClosedLoop {
    agent: PlayedAgent,
    driver: RecordedDriver,
    player: Player,
    /// The caller's steps, as far as he has come.
    steps: CallerSteps,
    times: Vec<StepTimes>,
    caller: Caller,
    messages: Vec<AgentMessage>,
    /// How many steps of the replay have been handled.
    handled: usize,
    now: CallTime,
    frames: u64,
    gave_up: bool,
}

/// The next thing that happens.
enum Next {
    Mark,
    Agent,
    Driver,
    Deadline,
    Frame,
}

impl ClosedLoop {
    fn new(agent: AgentSource, driver: RecordedDriver, steps: Vec<CallerStep>, config: CallConfig, mask: Mask) -> Self {
        let mut places = CallerSteps::default();
        steps.iter().for_each(|step| places.add(step, None));
        Self {
            agent: PlayedAgent::new(agent),
            driver,
            player: Player::new(config, Marks::Simulated, mask),
            steps: places,
            times: steps.iter().map(StepTimes::of).collect(),
            caller: Caller::new(steps),
            messages: Vec::new(),
            handled: 0,
            now: CallTime::START,
            frames: 0,
            gave_up: false,
        }
    }

    fn run(&mut self, opening: Vec<String>) {
        for text in opening {
            self.feed(&Input::Twilio(&text));
        }
        while !self.player.call.is_closed() && self.now.as_ms() < MAX_CALL_MS {
            let (at, next) = self.next();
            self.now = self.now.max(at);
            match next {
                Next::Mark => self.player.return_marks(self.now),
                Next::Deadline => self.feed(&Input::Timeout),
                Next::Agent => {
                    if let Some((stream, event)) = self.agent.take(self.now, &self.steps) {
                        self.agent_event(stream, event);
                    }
                }
                Next::Driver => self.driver_input(),
                Next::Frame => self.frame(),
            }
            self.handle_outputs();
        }
    }

    /// The earliest of all that can happen. Of two at the same time the caller's frame is the last.
    fn next(&self) -> (CallTime, Next) {
        let frame = (CallTime::from_ms(self.frames * FRAME_MS), Next::Frame);
        let others = [
            self.player.playout.next_mark_at().map(|at| (at, Next::Mark)),
            self.agent.next_at(&self.steps).map(|at| (at, Next::Agent)),
            self.driver.next_at().map(|at| (at, Next::Driver)),
            self.player.call.poll_timeout().map(|(at, _)| (at, Next::Deadline)),
        ];
        others.into_iter().flatten().chain([frame]).min_by_key(|(at, _)| *at).unwrap_or((self.now, Next::Frame))
    }

    fn feed(&mut self, input: &Input<'_>) {
        self.player.feed(input, self.now);
        self.handle_outputs();
    }

    fn agent_event(&mut self, stream: StreamId, event: AgentEvent) {
        self.messages.push(AgentMessage { at: self.now, stream, event: event.clone() });
        self.feed(&Input::Agent(stream, event));
    }

    fn driver_input(&mut self) {
        match self.driver.take() {
            Some(DriverInput::Updated(result)) => {
                self.feed(&Input::Updated(result));
                if result == UpdateResult::Accepted {
                    self.hang_up();
                }
            }
            Some(DriverInput::Stopped) => self.hang_up(),
            Some(DriverInput::Fetched(id, audio)) => {
                self.feed(&Input::Fetched(id, audio.as_deref().map_err(String::as_str)));
            }
            Some(DriverInput::ToolsRun(id, results)) => self.feed(&Input::ToolsRun(id, results)),
            None => {}
        }
    }

    fn frame(&mut self) {
        self.player.playout.advance(self.now);
        let now_ms = self.now.as_ms();
        let audio = AgentAudio { now_ms, agent_is_speaking: self.player.playout.is_playing() };
        let moment = self.caller.next(audio);
        let position_ms = self.frames * FRAME_MS;
        for act in moment.acts {
            self.act(act, position_ms);
        }
        self.frames += 1;
        if moment.hangs_up {
            return self.hang_up();
        }
        if self.caller.idle_ms(now_ms) > STEP_TIMEOUT_MS {
            self.gave_up = true;
            return self.hang_up();
        }
        let (payload, timestamp) = (STANDARD.encode(&moment.frame), position_ms.to_string());
        let media = json!({ "track": "inbound", "timestamp": timestamp, "payload": payload });
        self.twilio(&json!({ "event": "media", "media": media }));
    }

    fn act(&mut self, act: CallerAct, position_ms: u64) {
        match act {
            CallerAct::Begins(n) => {
                self.steps.begin(n, position_ms);
                self.times[n].begin(self.now);
            }
            CallerAct::Ends(n) => self.times[n].end(self.now + FRAME_MS),
            CallerAct::Digit { digit } => {
                let dtmf = json!({ "track": "inbound_track", "digit": digit.to_string() });
                self.twilio(&json!({ "event": "dtmf", "dtmf": dtmf }));
            }
            CallerAct::Text { text } => self.feed(&Input::Text(&text)),
            CallerAct::Speaks { .. } | CallerAct::Spoke { .. } => {}
        }
    }

    fn hang_up(&mut self) {
        self.twilio(&json!({ "event": "stop", "stop": {} }));
        self.feed(&Input::TwilioClosed);
    }

    fn twilio(&mut self, message: &Value) {
        self.feed(&Input::Twilio(&message.to_string()));
    }

    /// Passes on what the call has asked for since the last time.
    fn handle_outputs(&mut self) {
        let received_ms = self.player.received_bytes as u64 / BYTES_PER_MS as u64;
        let mut asks_for_room = false;
        while let Some((at, step)) = self.player.replayed.steps.get(self.handled) {
            self.handled += 1;
            match step {
                Step::Output(Output::Agent(id, command)) => {
                    self.agent.command(*at, *id, command, received_ms, &self.steps);
                }
                Step::Output(Output::Admit(_)) => asks_for_room = true,
                Step::Output(output) => self.driver.output(*at, output),
                Step::Refused(_) => {}
            }
        }
        if asks_for_room {
            self.feed(&Input::Admitted(true));
        }
    }

    fn finish(self) -> PlayedCall {
        let divergence = self.agent.divergence.or(self.driver.divergence);
        let mut played = PlayedCall::new(self.player.finish(), self.times, self.messages);
        (played.divergence, played.gave_up) = (divergence, self.gave_up);
        played
    }
}

/// The messages of Twilio before the first frame, as they are on the tape.
fn opening(tape: &Tape) -> Vec<String> {
    let text = |input: &TapeInput| if let TapeInput::Twilio(text) = input { Some(text.clone()) } else { None };
    let texts = tape.inputs.iter().filter_map(|(_, input)| text(input));
    texts.take_while(|text| !matches!(parse(text), Ok(Inbound::Media(_)))).collect()
}

/// An input that the driver passes in.
#[derive(Debug, Clone)]
enum DriverInput {
    Updated(UpdateResult),
    /// The media stream stops, because the update has taken the call away.
    Stopped,
    Fetched(FetchId, Fetch),
    ToolsRun(ToolsId, Vec<ToolOutcome>),
}

/// The result of a tool, or a sentence that says why it gave nothing.
type ToolOutcome = Result<Map<String, Value>, String>;

/// The audio of a fetch, or a sentence that says why it gave nothing.
type Fetch = Result<Vec<u8>, String>;

/// The driver of a recorded call: it answers what the call asks for as it did then, and takes as long.
#[derive(Debug, Default)]
struct RecordedDriver {
    /// The answer to each update, or the stop of the media stream, and after how long it came. `None`: neither came.
    updates: VecDeque<Option<(u64, DriverInput)>>,
    fetches: BTreeMap<String, VecDeque<(u64, Fetch)>>,
    tools: VecDeque<(u64, Vec<ToolOutcome>)>,
    waiting: Vec<(CallTime, DriverInput)>,
    /// The audio that the driver of a test fetches, by address. It speaks any text, and its updates are accepted.
    /// `None`: there is a tape.
    recordings: Option<BTreeMap<String, Vec<u8>>>,
    divergence: Option<Divergence>,
}

/// How long a character of synthesised speech takes in a test, in milliseconds.
const CHARACTER_MS: u64 = 60;

/// The period of that speech, in samples: 400 Hz.
const SPOKEN_PERIOD: usize = 20;

impl RecordedDriver {
    fn of_test(recordings: BTreeMap<String, Vec<u8>>) -> Self {
        Self { recordings: Some(recordings), ..Self::default() }
    }

    /// The audio that the driver of a test fetches.
    fn recording(&self, uri: &str) -> Option<Fetch> {
        let recordings = self.recordings.as_ref()?;
        if let Some(text) = uri.strip_prefix("text:").or_else(|| uri.strip_prefix("ssml:")) {
            let speech = buzz(text.chars().count() as u64 * CHARACTER_MS, SPOKEN_PERIOD);
            return Some(Ok(write_wav(1, AudioFormat::TELEPHONE, &speech)));
        }
        recordings.get(uri).cloned().map(Ok)
    }

    fn of(tape: &Tape) -> Self {
        let mut driver = Self::default();
        let asked: Vec<(CallTime, Value)> = tape.outputs.iter().filter_map(|line| asked(line)).collect();
        let since = |at: CallTime, is_asked: &dyn Fn(&Value) -> bool| {
            let before = asked.iter().rev().find(|(asked_at, message)| *asked_at <= at && is_asked(message));
            before.map_or(0, |(asked_at, _)| at.ms_since(*asked_at))
        };
        for (at, input) in &tape.inputs {
            if let TapeInput::Updated(result) = input {
                let after_ms = since(*at, &|message| message.get("update").is_some());
                driver.updates.push_back(Some((after_ms, DriverInput::Updated(*result))));
            } else if let TapeInput::Fetched(id, audio) = input {
                let is_it = |message: &Value| message.pointer("/fetch/id") == Some(&json!(id));
                let uri = asked.iter().find(|(_, message)| is_it(message));
                let uri = uri.and_then(|(_, message)| message.pointer("/fetch/uri")?.as_str());
                let results = driver.fetches.entry(uri.unwrap_or_default().to_owned()).or_default();
                results.push_back((since(*at, &is_it), audio.clone()));
            } else if let TapeInput::ToolsRun(id, results) = input {
                let is_it = |message: &Value| message.pointer("/runTools/id") == Some(&json!(id));
                driver.tools.push_back((since(*at, &is_it), results.clone()));
            }
        }
        // Twilio stops the media stream of a call that an update takes away, often before it answers the update.
        let stop = tape.inputs.iter().find(|(_, input)| is_stop(input));
        let updates = asked.iter().filter(|(_, message)| message.get("update").is_some());
        for (asked_at, _) in updates.skip(driver.updates.len()) {
            let stop = stop.filter(|(at, _)| at >= asked_at);
            driver.updates.push_back(stop.map(|(at, _)| (at.ms_since(*asked_at), DriverInput::Stopped)));
        }
        driver
    }

    fn output(&mut self, at: CallTime, output: &Output) {
        match output {
            Output::Update { .. } => {
                let answer = self.answer_to_update(at);
                self.waiting.extend(answer.map(|(after_ms, input)| (at + after_ms, input)));
            }
            Output::Fetch(id, uri) => {
                let recorded = self.fetches.get_mut(uri).and_then(VecDeque::pop_front);
                let recorded = recorded.or_else(|| self.recording(uri).map(|audio| (0, audio)));
                let (after_ms, audio) = recorded.unwrap_or_else(|| {
                    self.diverge(at, "the call fetches audio that neither tape nor test has");
                    (0, Err("neither tape nor test has it".to_owned()))
                });
                self.waiting.push((at + after_ms, DriverInput::Fetched(*id, audio)));
            }
            Output::RunTools(id, calls) => match self.tools.pop_front() {
                Some((after_ms, results)) if results.len() == calls.len() => {
                    self.waiting.push((at + after_ms, DriverInput::ToolsRun(*id, results)));
                }
                _ => self.diverge(at, "the agent asks for tools whose results neither tape nor test has"),
            },
            Output::Twilio(_)
            | Output::Agent(..)
            | Output::Admit(_)
            | Output::UseBackup
            | Output::Report(_)
            | Output::Close(_) => {}
        }
    }

    /// The input that follows an update, and after how long. `None`: none does.
    fn answer_to_update(&mut self, at: CallTime) -> Option<(u64, DriverInput)> {
        match self.updates.pop_front() {
            Some(recorded) => recorded,
            None if self.recordings.is_some() => Some((0, DriverInput::Updated(UpdateResult::Accepted))),
            None => {
                self.diverge(at, "the call is handed off, and in the recording it was not");
                None
            }
        }
    }

    fn diverge(&mut self, at: CallTime, what: &str) {
        self.divergence.get_or_insert(Divergence { at, what: what.to_owned() });
    }

    fn next_at(&self) -> Option<CallTime> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }

    fn take(&mut self) -> Option<DriverInput> {
        let first = self.next_at()?;
        let n = self.waiting.iter().position(|(at, _)| *at == first)?;
        Some(self.waiting.remove(n).1)
    }
}

fn is_stop(input: &TapeInput) -> bool {
    let TapeInput::Twilio(text) = input else { return *input == TapeInput::TwilioClosed };
    matches!(parse(text), Ok(Inbound::Stop))
}

/// A request of the call to its driver, from a line of a tape.
fn asked(line: &str) -> Option<(CallTime, Value)> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    let at = line["at_ms"].as_u64().map(CallTime::from_ms)?;
    (line["to"] == "runner").then(|| (at, line["message"].take()))
}
