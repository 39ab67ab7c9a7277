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
//! `caller_audio` what waits for a stream, `utterance` the words of a turn, `voice_detector` where speech begins, `dtmf` what is
//! pressed, `stage_recorder` when what happened, `timer` the deadlines. What binds them is told by its occasion: `twilio_side` and
//! `agent_side` what comes from either, `answer` what an answer does, `barge_in` the rule for interruptions, `no_input`
//! silence, `tools` what the agent wants run, `session_stream` agents that have one stream for the whole call, `fillers` our own
//! recordings, `retry` failures, `stream_watchdog` streams that say nothing, `migration` going over to another socket, and this file how
//! a call begins and ends.

mod agent_side;
mod answer;
mod barge_in;
mod caller_audio;
mod dtmf;
mod fillers;
mod migration;
mod no_input;
mod playback;
mod retry;
mod session_stream;
mod stage_recorder;
mod stream_watchdog;
mod timer;
mod tools;
mod turn;
mod twilio_side;
mod utterance;
mod voice_detector;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::{AgentCommand, AgentEnd, AgentEvent, DtmfRules, ToolCall, TurnInput};
use crate::config::CallConfig;
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::error::{InputError, PeerFault};
use crate::handoff::{self, Outcome};
use crate::ids::{CallSid, FetchId, StreamSid, ToolsId, TurnId};
use crate::report::{AudioAccount, CloseReason, Report, Stages};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use caller_audio::CallerAudio;
use dtmf::DigitCollector;
use fillers::Fillers;
use no_input::Silence;
use playback::{Playback, PlaybackContext, PlaybackOutput, ReturnedMark};
use retry::FailureStreak;
use stage_recorder::StageRecorder;
use timer::Timers;
use tools::Tools;
use turn::TurnState;
use voice_detector::VoiceDetector;

pub use caller_audio::MAX_KEPT_MS;
pub use playback::CHUNK_MS;
pub use timer::Timer;

/// One phone call, from Twilio's `start` to its `stop` or to our close. See the crate's contract.
#[derive(Debug)]
pub struct Call {
    config: Arc<CallConfig>,
    now: CallTime,
    lifecycle: Lifecycle,
    /// When Twilio last said anything.
    last_twilio_message: CallTime,
    turn: TurnState,
    next_turn: TurnId,
    /// How many turns were told of.
    turns: u32,
    /// What the agent gets before it listens: the greeting, keys, and what must be tried again.
    queued_inputs: VecDeque<TurnInput>,
    /// Session parameters that the agent does not know yet.
    parameters: Map<String, Value>,
    /// All of them.
    known_parameters: Map<String, Value>,
    /// What goes with every turn for the agent's webhook.
    payload: Map<String, Value>,
    playback: Playback,
    caller: CallerAudio,
    voice: VoiceDetector,
    /// The keys that are being pressed, and how the agent wants them.
    digits: DigitCollector,
    dtmf_rules: Option<DtmfRules>,
    silence: Silence,
    fillers: Fillers,
    tools: Tools,
    failures: FailureStreak,
    stage_recorder: StageRecorder,
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
    Limit(CallLimit),
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
    /// conversation, by [`Timeouts::migration_ms`](crate::config::Timeouts) at the latest.
    Migrate,
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
        timers.set(Timer::StartTimeout, now + config.timeouts.start_ms);
        Self {
            now,
            lifecycle: Lifecycle::AwaitingStart,
            last_twilio_message: now,
            turn: TurnState::Idle,
            next_turn: TurnId(1),
            turns: 0,
            queued_inputs: VecDeque::new(),
            parameters: config.parameters.clone(),
            known_parameters: Map::new(),
            payload: Map::new(),
            playback: Playback::new(),
            caller: CallerAudio::default(),
            voice: VoiceDetector::new(),
            digits: DigitCollector::default(),
            dtmf_rules: None,
            silence: Silence::default(),
            fillers: Fillers::default(),
            tools: Tools::default(),
            stage_recorder: StageRecorder::default(),
            failures: FailureStreak::new(config.seed),
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
                self.last_twilio_message = self.now;
                self.on_twilio(text)?;
            }
            Input::TwilioBinary => return Err(PeerFault::BinaryFrame.into()),
            Input::TwilioClosed => self.close(CloseReason::MediaStreamClosed),
            Input::Agent(turn, event) => self.on_agent(turn, event),
            Input::Updated(result) => self.on_updated(result),
            Input::Fetched(id, audio) => self.on_fetched(id, audio),
            Input::ToolsRun(id, results) => self.on_tools_run(id, results),
            Input::Migrate => self.migrate(),
            Input::Timeout => self.on_timeout(),
        }
        self.advance();
        Ok(())
    }

    /// The next thing to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Timeout`], and why; `None` when there is nothing to wait for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        let mark = self.playback.mark_deadline().map(|at| (at, Timer::MarkTimeout));
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        self.timers.earliest().into_iter().chain(mark).filter(|_| !is_closed).min()
    }

    /// Whether the call is over: it takes no input and gives no output any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Closed) && self.outputs.is_empty()
    }

    /// After each input: begins what can begin now.
    fn advance(&mut self) {
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
        self.send_queued_inputs();
        self.migrate_in_gap();
        self.set_silence_timers();
        self.set_fetch_timer();
    }

    /// Nothing is listened for while audio is fetched: how long it plays must be known, for the agent's recogniser is told.
    fn may_open_turn(&self) -> bool {
        let must_wait = self.queued_inputs.is_empty() && self.playback.is_fetching();
        !must_wait && !self.timers.is_set(Timer::Retry)
    }

    /// Does something to the playout, and passes on what it wants done.
    fn with_playback<R>(&mut self, act: impl FnOnce(&mut Playback, &mut PlaybackContext<'_>) -> R) -> R {
        let (outputs, stage_recorder, now) = (&mut self.outputs, &mut self.stage_recorder, self.now);
        let mut out = |output| match output {
            PlaybackOutput::Twilio(message) => outputs.push_back(Output::Twilio(message)),
            PlaybackOutput::Fetch(id, uri) => outputs.push_back(Output::Fetch(id, uri)),
            PlaybackOutput::Refused(why) => outputs.push_back(Output::Report(Report::PromptRefused { why })),
            PlaybackOutput::Begins(turn) => stage_recorder.audio_sent(turn, now),
        };
        let mut context = PlaybackContext { now: self.now, position: self.caller.received(), out: &mut out };
        act(&mut self.playback, &mut context)
    }

    fn on_fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>) {
        self.timers.stop(Timer::FetchTimeout);
        self.with_playback(|playback, context| playback.fetched(id, audio, context));
        while let Some(stages) = self.stage_recorder.take_unplayed(|turn| self.playback.waits_for(turn)) {
            self.report_stages(Some(stages));
        }
    }

    /// What is fetched holds up all that comes after it, but not for ever.
    fn set_fetch_timer(&mut self) {
        let is_fetching = self.playback.fetching().is_some() && !matches!(self.lifecycle, Lifecycle::Closed);
        if !is_fetching {
            self.timers.stop(Timer::FetchTimeout);
        } else if !self.timers.is_set(Timer::FetchTimeout) {
            self.timers.set(Timer::FetchTimeout, self.now + self.config.timeouts.fetch_ms);
        }
    }

    fn on_timeout(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::StartTimeout => self.close(CloseReason::NoStart),
                Timer::FramesTimeout => self.on_frames_timeout(),
                Timer::AnswerTimeout => self.on_answer_timeout(),
                Timer::AnswerSettled => self.complete_turn(),
                // Opening the next turn waited for it: `advance` does the rest.
                Timer::Retry => {}
                Timer::FetchTimeout => {
                    if let Some(id) = self.playback.fetching() {
                        self.on_fetched(id, Err("the audio was not there in time"));
                    }
                }
                Timer::DigitsComplete => self.on_digits_timeout(),
                Timer::NoInput => self.on_no_input(),
                Timer::Thinking => self.on_thinking(),
                Timer::CallTooLong => self.on_limit_reached(CallLimit::Call),
                Timer::SilenceTooLong => self.on_limit_reached(CallLimit::Silence),
                Timer::Migration => self.migrate(),
                Timer::MigrationTimeout => self.on_migration_timeout(),
                Timer::UpdateTimeout => self.close(CloseReason::NotUpdated),
                Timer::StopTimeout => self.close(CloseReason::HandedOff),
                // Playback keeps that one: see below.
                Timer::MarkTimeout => {}
            }
        }
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        if !is_closed && self.playback.mark_deadline().is_some_and(|at| at <= self.now) {
            let back = self.with_playback(Playback::give_up_marks);
            self.on_played(back, false);
        }
    }

    fn on_played(&mut self, back: ReturnedMark, by_mark: bool) {
        let (first_of, is_all) = match back {
            ReturnedMark::Nothing => return,
            ReturnedMark::Played { first_of } => (first_of, false),
            ReturnedMark::AllPlayed { first_of } => (first_of, true),
        };
        self.note_agent_audio();
        if let Some((turn, ms)) = first_of {
            let stages = self.stage_recorder.played(turn, self.now - ms);
            self.report_stages(stages);
        }
        if is_all {
            self.report(Report::Played { played_ms: self.playback.played_ms(), by_mark });
        }
    }

    fn report_stages(&mut self, stages: Option<Stages>) {
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
            self.queued_inputs.clear();
            for timer in [
                Timer::Retry,
                Timer::DigitsComplete,
                Timer::Thinking,
                Timer::CallTooLong,
                Timer::Migration,
                Timer::MigrationTimeout,
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
            Ending::Limit(limit) => {
                let goodbye = self.config.limits.goodbye.as_deref();
                (VirtualAgentStatus::Hangup, handoff::limit_reached(config, *limit, goodbye, &self.outcome))
            }
        };
        self.report(Report::HandedOff { status });
        self.timers.set(Timer::UpdateTimeout, self.now + self.config.timeouts.update_ms);
        self.outputs.push_back(Output::Update { twiml });
    }

    fn on_updated(&mut self, result: UpdateResult) {
        if !matches!(self.lifecycle, Lifecycle::HandingOff) {
            return;
        }
        match result {
            UpdateResult::Accepted => {
                self.lifecycle = Lifecycle::Leaving;
                self.timers.stop(Timer::UpdateTimeout);
                self.timers.set(Timer::StopTimeout, self.now + self.config.timeouts.stop_ms);
            }
            UpdateResult::CallGone => self.close(CloseReason::CallGone),
            UpdateResult::Impossible => self.close(CloseReason::NotUpdated),
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if let Some(turn) = self.turn.open() {
            self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        }
        self.turn = TurnState::Idle;
        while let Some(stages) = self.stage_recorder.take_awaiting() {
            self.report_stages(Some(stages));
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
        self.timers.stop(Timer::StartTimeout);
        self.timers.set(Timer::FramesTimeout, self.now + self.config.timeouts.frames_ms);
        self.outcome.call_sid = call_sid.as_str().to_owned();
        self.outcome.session.clone_from(&self.config.session);
        let starting_input = &self.config.starting_input;
        self.queued_inputs.extend(
            starting_input.event.clone().map(TurnInput::Event).or(starting_input.text.clone().map(TurnInput::Text)),
        );
        self.silence = Silence::default();
        self.note_agent_audio();
        let at = |ms: u64| (ms > 0).then(|| self.now + ms);
        self.timers.put(Timer::CallTooLong, at(self.config.limits.call_ms));
        self.timers.put(Timer::Migration, at(self.config.migrate_after_ms));
        self.report(Report::Started { call_sid, stream_sid, from, to });
    }
}
