//! One call: what comes in from Twilio and from the agent, and what goes out to both.
//!
//! ```text
//! AwaitingStart --start--> Active --ending answer, limit, agent failed--> Ending
//! AwaitingStart --timeout, start of another call--> Closed
//! Ending --answer complete, playout over: Update--> HandingOff
//! HandingOff --update accepted--> Leaving --stop, or timeout--> Closed
//! HandingOff --update refused, or timeout--> Closed
//! AwaitingStart, Active --migrated in a gap, or at the timeout--> Closed
//! any after start --no frames--> Closed
//! any --stop, WebSocket closed, Twilio does not read, taken over--> Closed
//! ```
//!
//! Each of these modules holds one part: `turn` is the stream to the agent, `playback` what the caller hears,
//! `caller_audio` the audio that waits for a stream, `utterance` what the caller says in a turn, `voice_detector` where
//! speech begins, `dtmf` the digits, `stage_recorder` the times of a turn's stages, and `timer` the deadlines.
//!
//! These modules connect them: `twilio_side` and `agent_side` handle what comes from Twilio and from the agent,
//! `answer` the agent's answers, `barge_in` barge-in, `no_input` silence, `tools` the tools that the agent asks for,
//! `session_stream` agents with one stream for the whole call, `fillers` our own recordings, `retry` failures,
//! `stream_watchdog` streams that do not respond, and `migration` the move to another media stream. This module handles
//! the beginning and the end of a call.

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
use crate::carried::CallProgress;
use crate::config::{CallConfig, StartingInput};
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::error::{InputError, PeerFault};
use crate::handoff::{self, Outcome};
use crate::ids::{CallSid, FetchId, StreamId, StreamSid, ToolsId, TurnId};
use crate::report::{AudioAccount, CloseReason, Report, Stages};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use caller_audio::CallerAudio;
use dtmf::DigitCollector;
use fillers::Fillers;
use no_input::Silence;
use playback::{Moment, Playback, PlaybackOutput, ReturnedMark};
use retry::FailureStreak;
use stage_recorder::StageRecorder;
use timer::Timers;
use tools::Tools;
use turn::TurnState;
use voice_detector::VoiceDetector;

pub use caller_audio::MAX_KEPT_MS;
pub use playback::{CHUNK_MS, MAX_WAITING_BYTES};
pub use timer::Timer;

/// One phone call, from Twilio's `start` to its `stop` or to our close. The crate doc says how to drive it.
#[derive(Debug)]
pub struct Call {
    config: Arc<CallConfig>,
    now: CallTime,
    lifecycle: Lifecycle,
    /// When the last message from Twilio came.
    last_twilio_message: CallTime,
    turn: TurnState,
    next_stream: StreamId,
    next_turn: TurnId,
    /// Input that the agent gets before it listens: the starting event, digits, and retries.
    queued_inputs: VecDeque<TurnInput>,
    /// Session parameters that the agent does not know yet.
    parameters: Map<String, Value>,
    /// All session parameters.
    known_parameters: Map<String, Value>,
    /// The payload of every turn for the agent's webhook.
    payload: Map<String, Value>,
    playback: Playback,
    caller: CallerAudio,
    voice: VoiceDetector,
    /// The digits of the current input.
    digits: DigitCollector,
    dtmf_rules: Option<DtmfRules>,
    silence: Silence,
    fillers: Fillers,
    tools: Tools,
    failures: FailureStreak,
    /// What the agent gets before the caller says anything.
    starting_input: StartingInput,
    /// Whether the agent should greet the caller and has not said anything yet.
    awaits_greeting: bool,
    stage_recorder: StageRecorder,
    timers: Timers,
    outcome: Outcome,
    account: AudioAccount,
    /// When the agent's part ended.
    ended_at: CallTime,
    /// The decoded audio of the current frame. Kept to reuse its memory.
    frame: Vec<u8>,
    outputs: VecDeque<Output>,
}

/// The state of the call.
#[derive(Debug)]
enum Lifecycle {
    /// The WebSocket is open. Twilio has not said which call it is.
    AwaitingStart,
    /// The agent has the call.
    Active,
    /// The agent's part is over. The caller still hears its last words. We do not listen.
    Ending(Ending),
    /// We give the call its last TwiML.
    HandingOff,
    /// Twilio accepted the last TwiML and will stop the stream.
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

/// An input of the call: what happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// A text frame came over the WebSocket.
    Twilio(&'a str),
    /// A binary frame came, which Twilio never sends.
    TwilioBinary,
    /// The WebSocket closed.
    TwilioClosed,
    /// Twilio does not read what we send, so the WebSocket's queue is full.
    NotReading,
    /// Another media stream has the call now.
    TakenOver,
    /// That stream sent an event.
    Agent(StreamId, AgentEvent),
    /// Twilio's REST API answered [`Output::Update`], or could not be reached.
    Updated(UpdateResult),
    /// The result of [`Output::Fetch`]: the bytes of a WAV, or a sentence that says why there are none. Anything but a
    /// WAV is not played.
    Fetched(FetchId, Result<&'a [u8], &'a str>),
    /// The results of [`Output::RunTools`], one for each tool call, in the same order. An `Err` is a sentence for the
    /// agent that says why there is no result.
    ToolsRun(ToolsId, Vec<Result<Map<String, Value>, String>>),
    /// The call should migrate because this instance will end. It closes in a gap of the conversation, by
    /// [`Timeouts::migration_ms`](crate::config::Timeouts) at the latest.
    Migrate,
    /// The deadline passed. If it comes too early or once too often, nothing changes.
    Timeout,
}

/// The result of a REST update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateResult {
    /// Twilio accepted it and will stop the stream.
    Accepted,
    /// The call is already over (404, 21220).
    CallGone,
    /// It could not be done, or not in time. The call must go on through `<Connect action>`.
    Impossible,
}

/// What the driver must do. The outputs come in the order in which it must do them.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this over the WebSocket.
    Twilio(TwilioMessage),
    /// Pass this to that stream.
    Agent(StreamId, AgentCommand),
    /// Update the call with this TwiML over REST. If the WebSocket closes first, `/connect-ended` answers with it.
    /// Answer with one [`Input::Updated`].
    Update {
        /// A whole document. If it contains [`DIAL_ACTION`](crate::twiml::DIAL_ACTION), the driver puts its own URL
        /// there.
        twiml: String,
    },
    /// Fetch audio from this address. Answer with one [`Input::Fetched`]. The driver limits its size and time.
    Fetch(FetchId, String),
    /// Run these tools. Comes only if [`CallConfig::has_tools`] is set. Answer with one [`Input::ToolsRun`]. The driver
    /// limits how long it takes.
    RunTools(ToolsId, Vec<ToolCall>),
    /// A fact for logs and metrics.
    Report(Report),
    /// Close the WebSocket. The last output.
    Close(CloseReason),
}

impl Call {
    /// A call whose WebSocket has just opened. Its deadlines count from `now`, usually [`CallTime::START`].
    #[must_use]
    pub fn new(config: Arc<CallConfig>, now: CallTime) -> Self {
        let starting_input = config.first_input();
        let mut timers = Timers::default();
        timers.set(Timer::StartTimeout, now + config.timeouts.start_ms);
        Self {
            now,
            lifecycle: Lifecycle::AwaitingStart,
            last_twilio_message: now,
            turn: TurnState::Idle,
            next_stream: StreamId(1),
            next_turn: TurnId(1),
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
            failures: FailureStreak::new(config.seed, config.carried.failed_turns),
            awaits_greeting: starting_input != StartingInput::default(),
            starting_input,
            timers,
            outcome: Outcome::default(),
            account: AudioAccount::default(),
            ended_at: now,
            frame: Vec::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Handles one input. Then drain [`Call::poll_output`] and ask [`Call::poll_timeout`].
    ///
    /// # Errors
    /// [`InputError`] if the call refused the input. The call has not changed.
    pub fn handle_input(&mut self, input: Input<'_>, now: CallTime) -> Result<(), InputError> {
        if matches!(self.lifecycle, Lifecycle::Closed) {
            return Ok(());
        }
        let before = self.now;
        self.now = before.max(now);
        match input {
            Input::Twilio(text) => {
                if let Err(error) = self.on_twilio(text) {
                    self.now = before;
                    return Err(error);
                }
                self.last_twilio_message = self.now;
            }
            Input::TwilioBinary => {
                self.now = before;
                return Err(PeerFault::BinaryFrame.into());
            }
            Input::TwilioClosed => self.close(CloseReason::MediaStreamClosed),
            Input::NotReading => self.close(CloseReason::NotReading),
            Input::TakenOver => self.close(CloseReason::TakenOver),
            Input::Agent(stream, event) => self.on_agent(stream, event),
            Input::Updated(result) => self.on_updated(result),
            Input::Fetched(id, audio) => self.on_fetched(id, audio),
            Input::ToolsRun(id, results) => self.on_tools_run(id, results),
            Input::Migrate => self.migrate(),
            Input::Timeout => self.on_timeout(),
        }
        self.advance();
        Ok(())
    }

    /// The next output, or `None` if there is none left.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, and why. `None` if the call waits for nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        let mark = self.playback.mark_deadline().map(|at| (at, Timer::MarkTimeout));
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        self.timers.earliest().into_iter().chain(mark).filter(|_| !is_closed).min()
    }

    /// Whether the call is over. It takes no input and gives no output.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Closed) && self.outputs.is_empty()
    }

    /// How far the call has come. The driver keeps it for the call's next media stream.
    #[must_use]
    pub fn progress(&self) -> CallProgress {
        CallProgress { failed_turns: self.failures.failed_turns(), awaits_greeting: self.awaits_greeting }
    }

    /// Runs after each input and starts what can start.
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

    /// We do not listen while audio is fetched, because we must tell the agent's recogniser how long the prompt plays.
    fn may_open_turn(&self) -> bool {
        let must_wait = self.queued_inputs.is_empty() && self.playback.is_fetching();
        !must_wait && !self.timers.is_set(Timer::Retry)
    }

    /// Now, for the playout.
    fn moment(&self) -> Moment {
        Moment { now: self.now, position: self.caller.received() }
    }

    /// Passes on what the playout asks for.
    fn poll_playback(&mut self) {
        while let Some(output) = self.playback.poll_output() {
            match output {
                PlaybackOutput::Twilio(message) => self.outputs.push_back(Output::Twilio(message)),
                PlaybackOutput::Fetch(id, uri) => self.outputs.push_back(Output::Fetch(id, uri)),
                PlaybackOutput::Refused(why) => self.report(Report::PromptRefused { why }),
                PlaybackOutput::Begins(turn) => self.stage_recorder.audio_sent(turn, self.now),
            }
        }
    }

    fn on_fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>) {
        self.timers.stop(Timer::FetchTimeout);
        self.playback.fetched(id, audio, self.moment());
        self.poll_playback();
        while let Some(stages) = self.stage_recorder.take_unplayed(|turn| self.playback.waits_for(turn)) {
            self.report_stages(Some(stages));
        }
    }

    /// A fetch holds up all audio after it, so it has a timeout.
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
                // The next turn waited for this timer; `advance` opens it.
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
                // Playback keeps this timer: see below.
                Timer::MarkTimeout => {}
            }
        }
        let is_closed = matches!(self.lifecycle, Lifecycle::Closed);
        if !is_closed && self.playback.mark_deadline().is_some_and(|at| at <= self.now) {
            let back = self.playback.give_up_marks(self.moment());
            self.poll_playback();
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

    /// Ends the agent's part. From here on we do not listen. An agent that only said that it is done may still say
    /// where the call goes.
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

    /// The caller has heard the last words. The call gets its last TwiML.
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
        let starting_input = &self.starting_input;
        self.queued_inputs.extend(
            starting_input.event.clone().map(TurnInput::Event).or(starting_input.text.clone().map(TurnInput::Text)),
        );
        self.silence = Silence::default();
        self.note_agent_audio();
        self.timers.put(Timer::CallTooLong, self.config.call_limit_ms().map(|ms| self.now + ms));
        let migrate_after_ms = self.config.migrate_after_ms;
        self.timers.put(Timer::Migration, (migrate_after_ms > 0).then(|| self.now + migrate_after_ms));
        self.report(Report::Started { call_sid, stream_sid, from, to });
    }
}
