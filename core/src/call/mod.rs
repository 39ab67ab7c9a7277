//! One call: what comes in from Twilio and from the agent, and what goes out to both.
//!
//! ```text
//! AwaitingStart --start--> Active --ending answer, bound, agent given up--> Ending --all heard--> HandingOff
//! HandingOff --update accepted--> Leaving --stop, or overdue--> Closed
//! HandingOff --update refused--> Closed
//! Active --renewed in a gap--> Closed
//! any --stop, socket closed--> Closed
//! ```
//!
//! The parts know nothing of each other: `turn` the stream to the agent, `playback` what the caller hears,
//! `caller_audio` what waits for a stream, `utterance` the words of a turn, `voice` where speech begins, `keys` what is
//! pressed, `sight` when what happened, `timer` the deadlines. What binds them is told by its occasion: `twilio_side` and
//! `agent_side` what comes from either, `answer` what an answer does, `barge_in` the rule for interruptions, `no_input`
//! silence, `tools` what the agent wants run, `one_stream` agents that have one stream for the whole call, `fillers` our own
//! recordings, `retry` failures, `stall` streams that say nothing, `renewal` going over to another socket, and this file how
//! a call begins and ends.

mod agent_side;
mod answer;
mod barge_in;
mod caller_audio;
mod fillers;
mod keys;
mod no_input;
mod one_stream;
mod playback;
mod renewal;
mod retry;
mod sight;
mod stall;
mod timer;
mod tools;
mod turn;
mod twilio_side;
mod utterance;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::{AgentCommand, AgentEnd, AgentEvent, KeyRules, ToolCall, TurnInput};
use crate::config::CallConfig;
use crate::ending::{Bound, VirtualAgentStatus};
use crate::error::{InputError, PeerFault};
use crate::handoff::{self, Outcome};
use crate::ids::{CallSid, FetchId, StreamSid, ToolsId, TurnId};
use crate::report::{AudioAccount, CloseReason, Report, Stages};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use caller_audio::CallerAudio;
use fillers::Fillers;
use keys::Entry;
use no_input::Silence;
use playback::{MarkBack, Playback, PlaybackOutput, Stage};
use retry::Trouble;
use sight::Sight;
use timer::Timers;
use tools::Tools;
use turn::Turn;
use voice::Voice;

pub use caller_audio::KEPT_MS;
pub use playback::CHUNK_MS;
pub use timer::Timer;

/// One phone call, from Twilio's `start` to its `stop` or to our close. See the crate's contract.
#[derive(Debug)]
pub struct Call {
    config: Arc<CallConfig>,
    now: CallTime,
    lifecycle: Lifecycle,
    /// When Twilio last said anything.
    twilio_spoke: CallTime,
    turn: Turn,
    next_turn: TurnId,
    /// How many turns were told of.
    turns: u32,
    /// What the agent gets before it listens: the greeting, keys, and what must be tried again.
    first: VecDeque<TurnInput>,
    /// Session parameters that the agent does not know yet.
    parameters: Map<String, Value>,
    /// All of them.
    known_parameters: Map<String, Value>,
    /// What goes with every turn for the agent's webhook.
    payload: Map<String, Value>,
    playback: Playback,
    caller: CallerAudio,
    voice: Voice,
    /// The keys that are being pressed, and how the agent wants them.
    entry: Entry,
    key_rules: Option<KeyRules>,
    silence: Silence,
    fillers: Fillers,
    tools: Tools,
    trouble: Trouble,
    sight: Sight,
    timers: Timers,
    outcome: Outcome,
    account: AudioAccount,
    /// When the agent's part was over.
    ended_at: CallTime,
    /// The frame being handled, decoded; kept for the next one.
    frame: Vec<u8>,
    outputs: VecDeque<Output>,
}

/// How far the call has come.
#[derive(Debug)]
enum Lifecycle {
    /// The socket is open; Twilio has not said which call it is.
    AwaitingStart,
    /// The agent has the call.
    Active,
    /// The agent's part is over; its last words are still being heard. Nothing is listened for any more.
    Ending(Ending),
    /// The call is being given its last TwiML.
    HandingOff,
    /// The last TwiML is accepted; Twilio will stop the stream.
    Leaving,
    /// Nothing happens any more.
    Closed,
}

/// Why the agent's part is over.
#[derive(Debug)]
enum Ending {
    Agent(AgentEnd),
    AgentFailed,
    Bound(Bound),
}

/// What happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// A text frame came over the media socket.
    Twilio(&'a str),
    /// A binary frame came, which Twilio never sends.
    TwilioBinary,
    /// The media socket is closed.
    TwilioClosed,
    /// The stream of that turn said something.
    Agent(TurnId, AgentEvent),
    /// Twilio's REST API answered [`Output::Update`], or it could not be asked.
    Updated(UpdateResult),
    /// [`Output::Fetch`] is done: the bytes of a WAV, or a sentence that says why not. What is no WAV is not played.
    Fetched(FetchId, Result<&'a [u8], &'a str>),
    /// [`Output::RunTools`] is done: for each of the calls, in their order, the result, or a sentence for the agent that
    /// says why there is none.
    ToolsRun(ToolsId, Vec<Result<Map<String, Value>, String>>),
    /// The call should go over to another media socket, because this instance will end: it closes in a gap of the
    /// conversation, by [`Patience::renewal_ms`](crate::config::Patience) at the latest.
    Renew,
    /// A deadline has come. Too early or once too often it changes nothing.
    Timeout,
}

/// What became of a REST update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateResult {
    /// Twilio took it: the stream will be stopped.
    Accepted,
    /// The call is over already (404, 21220).
    CallGone,
    /// It cannot be done, or not in time: the call must go on through `<Connect action>`.
    Impossible,
}

/// What is to be done outside, in the order of the outputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// To be sent over the media socket.
    Twilio(TwilioMessage),
    /// To be done with the stream of that turn.
    Agent(TurnId, AgentCommand),
    /// The call is to get this TwiML over REST, and from `/connect-ended` if the socket closes first. The answer comes
    /// back as [`Input::Updated`].
    Update {
        /// A whole document. Where it has [`DIAL_ACTION`](crate::twiml::DIAL_ACTION) in it, the driver's own URL belongs.
        twiml: String,
    },
    /// Audio that the agent names by its address is to be fetched; [`Input::Fetched`] comes back, once. Its size and its
    /// time are for the driver to bound.
    Fetch(FetchId, String),
    /// Tools that the agent wants run, where [`CallConfig::has_tools`] says that this can be done; [`Input::ToolsRun`]
    /// comes back, once. How long that takes is for the driver to bound.
    RunTools(ToolsId, Vec<ToolCall>),
    /// A fact for logs and figures.
    Report(Report),
    /// The media socket is to be closed. The last output.
    Close(CloseReason),
}

impl Call {
    /// A call whose media socket has just been opened. `now` is the call's beginning for its deadlines; usually
    /// [`CallTime::START`].
    #[must_use]
    pub fn new(config: Arc<CallConfig>, now: CallTime) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::StartOverdue, now + config.patience.start_ms);
        Self {
            now,
            lifecycle: Lifecycle::AwaitingStart,
            twilio_spoke: now,
            turn: Turn::Idle,
            next_turn: TurnId(1),
            turns: 0,
            first: VecDeque::new(),
            parameters: config.parameters.clone(),
            known_parameters: Map::new(),
            payload: Map::new(),
            playback: Playback::new(),
            caller: CallerAudio::default(),
            voice: Voice::new(),
            entry: Entry::default(),
            key_rules: None,
            silence: Silence::default(),
            fillers: Fillers::default(),
            tools: Tools::default(),
            sight: Sight::default(),
            trouble: Trouble::new(config.seed),
            timers,
            outcome: Outcome::default(),
            account: AudioAccount::default(),
            ended_at: now,
            frame: Vec::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes one input in. Drain [`Call::poll_output`] and ask [`Call::poll_timeout`] after it.
    ///
    /// # Errors
    /// [`InputError`] when the input was refused; the call is then as before.
    pub fn handle_input(&mut self, input: Input<'_>, now: CallTime) -> Result<(), InputError> {
        self.now = self.now.max(now);
        if matches!(self.lifecycle, Lifecycle::Closed) {
            return Ok(());
        }
        match input {
            Input::Twilio(text) => {
                self.twilio_spoke = self.now;
                self.on_twilio(text)?;
            }
            Input::TwilioBinary => return Err(PeerFault::BinaryFrame.into()),
            Input::TwilioClosed => self.close(CloseReason::SocketClosed),
            Input::Agent(turn, event) => self.on_agent(turn, event),
            Input::Updated(result) => self.on_updated(result),
            Input::Fetched(id, audio) => self.on_fetched(id, audio),
            Input::ToolsRun(id, results) => self.on_tools_run(id, results),
            Input::Renew => self.renew(),
            Input::Timeout => self.on_timeout(),
        }
        self.go_on();
        Ok(())
    }

    /// The next thing to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Timeout`], and why; `None` when there is nothing to wait for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        let mark = self.playback.overdue_at().map(|at| (at, Timer::MarkOverdue));
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        self.timers.earliest().into_iter().chain(mark).filter(|_| !is_closed).min()
    }

    /// Whether the call is over: it takes no input and gives no output any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Closed) && self.outputs.is_empty()
    }

    /// After each input: begins what can begin now.
    fn go_on(&mut self) {
        match &self.lifecycle {
            Lifecycle::Active if self.turn.is_idle() && self.may_open_turn() => self.open_turn(),
            Lifecycle::Ending(_) if self.turn.is_idle() && !self.playback.is_playing() => self.hand_off(),
            Lifecycle::AwaitingStart
            | Lifecycle::Active
            | Lifecycle::Ending(_)
            | Lifecycle::HandingOff
            | Lifecycle::Leaving
            | Lifecycle::Closed => {}
        }
        self.send_what_waits();
        self.renew_in_a_gap();
        self.watch_silence();
        self.watch_fetch();
    }

    /// Nothing is listened for while audio is fetched: how long it plays must be known, for the agent's recogniser is told.
    fn may_open_turn(&self) -> bool {
        let must_wait = self.first.is_empty() && self.playback.is_fetching();
        !must_wait && !self.timers.is_set(Timer::Retry)
    }

    /// Does something to the play-out, and passes on what it wants done.
    fn play_out<R>(&mut self, act: impl FnOnce(&mut Playback, &mut Stage<'_>) -> R) -> R {
        let (outputs, sight, now) = (&mut self.outputs, &mut self.sight, self.now);
        let mut out = |output| match output {
            PlaybackOutput::Twilio(message) => outputs.push_back(Output::Twilio(message)),
            PlaybackOutput::Fetch(id, uri) => outputs.push_back(Output::Fetch(id, uri)),
            PlaybackOutput::Refused(why) => outputs.push_back(Output::Report(Report::PromptRefused { why })),
            PlaybackOutput::Begins(turn) => sight.audio_sent(turn, now),
        };
        let mut stage = Stage { now: self.now, position: self.caller.received(), out: &mut out };
        act(&mut self.playback, &mut stage)
    }

    fn on_fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>) {
        self.timers.stop(Timer::FetchOverdue);
        self.play_out(|playback, stage| playback.fetched(id, audio, stage));
        while let Some(stages) = self.sight.unheard(|turn| self.playback.waits_for(turn)) {
            self.tell_stages(Some(stages));
        }
    }

    /// What is fetched holds up all that comes after it, but not for ever.
    fn watch_fetch(&mut self) {
        let is_fetching = self.playback.fetching().is_some() && !matches!(self.lifecycle, Lifecycle::Closed);
        if !is_fetching {
            self.timers.stop(Timer::FetchOverdue);
        } else if !self.timers.is_set(Timer::FetchOverdue) {
            self.timers.set(Timer::FetchOverdue, self.now + self.config.patience.fetch_ms);
        }
    }

    fn on_timeout(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::StartOverdue => self.close(CloseReason::NoStart),
                Timer::FramesOverdue => self.on_frames_overdue(),
                Timer::AnswerOverdue => self.on_answer_overdue(),
                Timer::AnswerSettled => self.complete_turn(),
                // Opening the next turn waited for it: `go_on` does the rest.
                Timer::Retry => {}
                Timer::FetchOverdue => {
                    if let Some(id) = self.playback.fetching() {
                        self.on_fetched(id, Err("the audio was not there in time"));
                    }
                }
                Timer::KeysComplete => self.on_key_pause(),
                Timer::NoInput => self.on_no_input(),
                Timer::Thinking => self.on_thinking(),
                Timer::CallTooLong => self.bound_reached(Bound::Call),
                Timer::SilenceTooLong => self.bound_reached(Bound::Silence),
                Timer::Renewal => self.renew(),
                Timer::RenewalOverdue => self.on_renewal_overdue(),
                Timer::UpdateOverdue => self.close(CloseReason::NotUpdated),
                Timer::StopOverdue => self.close(CloseReason::HandedOff),
                // Playback keeps that one: see below.
                Timer::MarkOverdue => {}
            }
        }
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        if !is_closed && self.playback.overdue_at().is_some_and(|at| at <= self.now) {
            let back = self.play_out(Playback::give_up_marks);
            self.on_heard(back, false);
        }
    }

    fn on_heard(&mut self, back: MarkBack, by_mark: bool) {
        let (first_of, is_all) = match back {
            MarkBack::Nothing => return,
            MarkBack::Heard { first_of } => (first_of, false),
            MarkBack::AllHeard { first_of } => (first_of, true),
        };
        self.agent_is_heard();
        if let Some((turn, ms)) = first_of {
            let stages = self.sight.heard(turn, self.now - ms);
            self.tell_stages(stages);
        }
        if is_all {
            self.report(Report::Heard { heard_ms: self.playback.heard_ms(), by_mark });
        }
    }

    fn tell_stages(&mut self, stages: Option<Stages>) {
        if let Some(stages) = stages {
            self.report(Report::Stages(Box::new(stages)));
        }
    }

    /// The agent's part is over: from here on nothing is listened for. An agent that has only said that it is done may
    /// still say where the call goes.
    fn end(&mut self, ending: Ending) {
        if let (Lifecycle::Ending(Ending::Agent(said)), Ending::Agent(end)) = (&mut self.lifecycle, &ending)
            && said.is_plain()
        {
            said.clone_from(end);
        }
        if matches!(self.lifecycle, Lifecycle::Active) {
            self.account.after_end += self.caller.clear();
            self.first.clear();
            for timer in [
                Timer::Retry,
                Timer::KeysComplete,
                Timer::Thinking,
                Timer::CallTooLong,
                Timer::Renewal,
                Timer::RenewalOverdue,
            ] {
                self.timers.stop(timer);
            }
            self.ended_at = self.now;
            self.lifecycle = Lifecycle::Ending(ending);
        }
    }

    /// The last words are heard: the call gets its last TwiML.
    fn hand_off(&mut self) {
        let Lifecycle::Ending(ending) = std::mem::replace(&mut self.lifecycle, Lifecycle::HandingOff) else { return };
        let config = &self.config.handoff;
        let (status, twiml) = match &ending {
            Ending::Agent(end) => (VirtualAgentStatus::of(end), handoff::ended(config, end, &self.outcome)),
            Ending::AgentFailed => (VirtualAgentStatus::Failed, handoff::failed(config, &self.outcome)),
            Ending::Bound(bound) => {
                let goodbye = self.config.bounds.goodbye.as_deref();
                (VirtualAgentStatus::Hangup, handoff::bounded(config, *bound, goodbye, &self.outcome))
            }
        };
        self.report(Report::HandedOff { status });
        self.timers.set(Timer::UpdateOverdue, self.now + self.config.patience.update_ms);
        self.outputs.push_back(Output::Update { twiml });
    }

    fn on_updated(&mut self, result: UpdateResult) {
        if !matches!(self.lifecycle, Lifecycle::HandingOff) {
            return;
        }
        match result {
            UpdateResult::Accepted => {
                self.lifecycle = Lifecycle::Leaving;
                self.timers.stop(Timer::UpdateOverdue);
                self.timers.set(Timer::StopOverdue, self.now + self.config.patience.stop_ms);
            }
            UpdateResult::CallGone => self.close(CloseReason::CallGone),
            UpdateResult::Impossible => self.close(CloseReason::NotUpdated),
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if let Some(turn) = self.turn.open() {
            self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        }
        self.turn = Turn::Idle;
        while let Some(stages) = self.sight.cut() {
            self.tell_stages(Some(stages));
        }
        self.timers.stop_all();
        self.account.left += self.caller.clear();
        self.lifecycle = Lifecycle::Closed;
        self.report(Report::Ended { reason, audio: self.account });
        self.outputs.push_back(Output::Close(reason));
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }

    fn started(&mut self, call_sid: CallSid, stream_sid: StreamSid) {
        let number = |name: &str| self.parameters.get(name).and_then(|number| number.as_str()).map(ToOwned::to_owned);
        let (from, to) = (number("From"), number("To"));
        self.lifecycle = Lifecycle::Active;
        self.timers.stop(Timer::StartOverdue);
        self.timers.set(Timer::FramesOverdue, self.now + self.config.patience.frames_ms);
        self.outcome.call_sid = call_sid.as_str().to_owned();
        self.outcome.session.clone_from(&self.config.session);
        let greeting = &self.config.greeting;
        self.first.extend(greeting.event.clone().map(TurnInput::Event).or(greeting.text.clone().map(TurnInput::Text)));
        self.silence = Silence::default();
        self.agent_is_heard();
        let at = |ms: u64| (ms > 0).then(|| self.now + ms);
        self.timers.put(Timer::CallTooLong, at(self.config.bounds.call_ms));
        self.timers.put(Timer::Renewal, at(self.config.renew_after_ms));
        self.report(Report::Started { call_sid, stream_sid, from, to });
    }
}
