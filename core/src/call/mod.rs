//! One call: what comes in from Twilio and from the agent, and what goes out to both.
//!
//! `streams` holds the state of the stream to the agent: one state machine for ES and CX, one for CES, behind one
//! interface. `lifecycle` has the states of the call itself.
//!
//! `interface` is what goes into a call and what comes out of it.
//!
//! These modules hold one part each and know nothing of a call: `playback` what the caller hears and where the agent
//! speaks in it, `caller` what we hear of him (`caller_audio` the audio that waits for a stream or may be sent again,
//! `speech_in_flight` what a stream no longer heard), `inputs` what else the agent gets, `utterance` what the caller
//! says in a turn, `echo` which words are the agent's own, `loudness` how loud both were, `past_turns` what was said so
//! far, `standby` what a backup needs, `stage_recorder` the times of a turn's stages, `waiting_tone` the tone for a
//! caller who waits, `timer` the deadlines, and `outputs` what the driver must do.
//!
//! These modules connect them: `twilio_side` and `agent_side` handle what comes from Twilio and from the agent,
//! `answer` the agent's answers, `end_of_utterance` when the caller has finished, `barge_in` barge-in, `prompt_guard`
//! which words do not interrupt, `dtmf` the digits and texts, `no_input` silence, `tools` the tools that the agent asks
//! for, `fillers` what the caller hears in place of silence, `synthesis` answers without audio, `retry` failures,
//! `replacement` streams that another one carries on, `unanswered` input to which nothing came, `backup` another agent
//! in place of one that cannot be had, `stream_watchdog` streams that do not respond, and `migration` the move to
//! another media stream. Some have a part of their own, which decides what it can alone. Only `impl Call` reaches all
//! parts.

mod agent_side;
mod answer;
mod backup;
mod barge_in;
mod caller;
mod caller_audio;
mod dtmf;
mod echo;
mod end_of_utterance;
mod fillers;
mod inputs;
mod interface;
mod lifecycle;
mod loudness;
mod migration;
mod no_input;
mod outputs;
mod past_turns;
mod playback;
mod prompt_guard;
mod replacement;
mod retry;
mod speech_in_flight;
mod stage_recorder;
mod standby;
mod stream_watchdog;
mod streams;
mod synthesis;
mod timer;
mod tools;
mod twilio_side;
mod unanswered;
mod utterance;
mod waiting_tone;

use std::sync::Arc;

use crate::agent::AgentCommand;
use crate::call_facts::CallFacts;
use crate::carried::CallProgress;
use crate::config::{CallConfig, StartingInput};
use crate::ending::CallLimit;
use crate::error::{InputError, PeerFault};
use crate::handoff::Outcome;
use crate::ids::{FetchId, StreamId, TurnId};
use crate::report::{CloseReason, Report};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use caller::Caller;
use dtmf::DigitCollector;
use end_of_utterance::EndRules;
use fillers::Fillers;
use inputs::AgentInputs;
use lifecycle::{Lifecycle, Migration};
use no_input::Silence;
use outputs::Outputs;
use past_turns::PastTurns;
use playback::{Moment, Playback, PlaybackOutput, ReturnedMark};
use prompt_guard::PromptGuard;
use retry::FailureStreak;
use stage_recorder::StageRecorder;
use standby::Standby;
use streams::AgentStreams;
use timer::Timers;
use tools::Tools;
use unanswered::Unanswered;

pub use crate::parameters::MAX_PARAMETER_BYTES;
pub use caller_audio::MAX_KEPT_MS;
pub use interface::{Input, Output, UpdateResult};
pub use playback::CHUNK_MS;
pub use streams::MAX_ANSWER_TEXT_BYTES;
pub use timer::Timer;

/// One media stream of a phone call, from the opening of its WebSocket to its close. The crate doc says how to drive
/// it.
#[derive(Debug)]
pub struct Call {
    config: Arc<CallConfig>,
    now: CallTime,
    lifecycle: Lifecycle,
    /// When the last message from Twilio came.
    last_twilio_message: CallTime,
    streams: Box<dyn AgentStreams>,
    next_stream: StreamId,
    next_turn: TurnId,
    /// What Twilio says of the call.
    facts: CallFacts,
    inputs: AgentInputs,
    playback: Playback,
    guard: PromptGuard,
    caller: Caller,
    digits: DigitCollector,
    end_rules: EndRules,
    silence: Silence,
    fillers: Fillers,
    tools: Tools,
    failures: FailureStreak,
    standby: Option<Box<Standby>>,
    past_turns: PastTurns,
    unanswered: Unanswered,
    /// How many transfers were refused because of what they name.
    refused_transfers: u32,
    /// Whether the agent should greet the caller and has not said anything yet.
    awaits_greeting: bool,
    stage_recorder: StageRecorder,
    timers: Timers,
    /// What the timer for a fetch is for.
    timed_fetch: Option<FetchId>,
    outcome: Outcome,
    /// The decoded audio of the current frame. Kept to reuse its memory.
    frame: Vec<u8>,
    outputs: Outputs,
}

impl Call {
    /// A call whose WebSocket has just opened. Its deadlines count from `now`, usually [`CallTime::START`].
    #[must_use]
    pub fn new(config: Arc<CallConfig>, now: CallTime) -> Self {
        let until = now + config.timeouts.start_ms;
        Self {
            now,
            lifecycle: Lifecycle::AwaitingStart { until, migration: Migration::default() },
            last_twilio_message: now,
            streams: streams::streams(config.shape),
            next_stream: StreamId(1),
            next_turn: TurnId(1),
            facts: CallFacts::default(),
            inputs: AgentInputs::new(&config),
            playback: Playback::new(config.max_answer_ms),
            guard: PromptGuard::new(&config),
            caller: Caller::default(),
            digits: DigitCollector::default(),
            end_rules: EndRules::new(config.end_of_utterance),
            silence: Silence::default(),
            fillers: Fillers::default(),
            tools: Tools::default(),
            stage_recorder: StageRecorder::default(),
            failures: FailureStreak::new(config.seed, config.carried.failed_turns),
            standby: None,
            past_turns: PastTurns::default(),
            unanswered: Unanswered::default(),
            refused_transfers: 0,
            awaits_greeting: config.first_input() != StartingInput::default(),
            timers: Timers::default(),
            timed_fetch: None,
            outcome: Outcome::default(),
            frame: Vec::new(),
            outputs: Outputs::default(),
            config,
        }
    }

    /// Handles one input. Then drain [`Call::poll_output`] and ask [`Call::poll_timeout`].
    ///
    /// # Errors
    /// [`InputError`] if the call refused the input. The call has not changed.
    pub fn handle_input(&mut self, input: Input<'_>, now: CallTime) -> Result<(), InputError> {
        if self.lifecycle.is_closed() {
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
            Input::Admitted(has_room) => self.on_admitted(has_room),
            Input::Text(text) => self.on_text(text),
            Input::Agent(stream, event) => self.on_agent(stream, event),
            Input::Updated(result) => self.on_updated(result),
            Input::Fetched(id, audio) => self.on_fetched(id, audio),
            Input::ToolsRun(id, results) => self.on_tools_run(id, results),
            Input::AudioRoom(ms) => self.playback.set_room(ms),
            Input::Migrate => self.migrate(),
            Input::Timeout => self.on_timeout(),
        }
        self.advance();
        Ok(())
    }

    /// The next output, or `None` if there is none left.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.take_first()
    }

    /// When [`Input::Timeout`] is due, and why. `None` after the close.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        let deadlines = self.earliest_deadline().into_iter().chain(self.playback.deadline());
        deadlines.filter(|_| !self.lifecycle.is_closed()).min()
    }

    /// Whether the call is closed and all its outputs were taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lifecycle.is_closed() && self.outputs.is_empty()
    }

    /// How far the call has come. The driver keeps it for the call's next media stream.
    #[must_use]
    pub fn progress(&self) -> CallProgress {
        CallProgress {
            failed_turns: self.failures.failed_turns(),
            awaits_greeting: self.awaits_greeting,
            on_backup: self.config.stands_in.is_some(),
        }
    }

    /// How much of the agent's audio waits here, in bytes of mu-law at 8,000 Hz.
    #[must_use]
    pub fn waiting_audio_bytes(&self) -> usize {
        self.playback.waiting_bytes()
    }

    /// Runs after each input and starts what can start.
    fn advance(&mut self) {
        if self.may_open_stream() {
            self.open_stream();
        }
        self.hand_off();
        self.send_inputs();
        self.migrate_in_gap();
        self.set_silence_timers();
        self.set_fetch_timer();
    }

    /// No stream opens for audio while a prompt is fetched if it is told how long the prompt still plays (ES, CX). An
    /// open stream listens on. An agent with one stream for each turn takes the results of its tools next, so
    /// no stream opens before they are there.
    fn may_open_stream(&self) -> bool {
        let awaits_prompt = self.streams.is_told_of_prompts() && self.playback.is_fetching();
        let must_wait = self.inputs.is_empty() && awaits_prompt || self.awaits_tools();
        self.lifecycle.is_active() && self.streams.open().is_none() && !must_wait && !self.timers.is_set(Timer::Retry)
    }

    /// Sends the waiting session parameters and inputs to the open stream, if it takes them (CES).
    fn send_inputs(&mut self) {
        let Some(stream) = self.streams.takes_input().filter(|_| self.lifecycle.is_active()) else { return };
        if !self.inputs.parameters.is_empty() {
            let parameters = std::mem::take(&mut self.inputs.parameters);
            self.streams.note_parameters(parameters.clone());
            self.outputs.agent(stream, AgentCommand::Parameters(parameters));
        }
        while let Some(input) = self.inputs.take_first() {
            self.stage_recorder.input_complete(self.now);
            if self.streams.note_input(&input, self.now, self.answer_due()) {
                self.start_filler_timer();
            }
            self.outputs.agent(stream, AgentCommand::Send(input));
        }
    }

    /// The time and the position in the caller's audio, for the playback.
    fn moment(&self) -> Moment {
        Moment { now: self.now, position: self.caller.audio.received() }
    }

    /// Passes on what the playout asks for. Returns how many prompts could not be played.
    fn poll_playback(&mut self) -> usize {
        let mut refused = 0;
        while let Some(output) = self.playback.poll_output(self.now) {
            match output {
                PlaybackOutput::Twilio(message) => {
                    if let TwilioMessage::Media(audio) = &message {
                        self.guard.echo.sent(self.caller.audio.received(), audio);
                    }
                    self.outputs.add(Output::Twilio(message));
                }
                PlaybackOutput::FirstWord(first) => self.outputs.stages(self.stage_recorder.played(first)),
                PlaybackOutput::Fetch(id, uri) => self.outputs.add(Output::Fetch(id, uri)),
                PlaybackOutput::Refused(why) => {
                    refused += 1;
                    self.outputs.report(Report::PromptRefused { why });
                }
                PlaybackOutput::Begins(turn) => {
                    self.guard.echo.begins(turn, self.caller.audio.received(), self.caller.voice.is_speaking());
                    self.stage_recorder.audio_sent(turn, self.now);
                }
            }
        }
        refused
    }

    fn on_fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>) {
        if self.fillers.awaits(id) {
            let refused = self.fillers.note_spoken(audio);
            refused.into_iter().for_each(|report| self.outputs.report(report));
            return;
        }
        self.playback.fetched(id, audio, self.moment());
        if self.poll_playback() > 0 && !self.playback.is_playing() {
            self.play_missing_answer_filler("unspoken");
        }
        while let Some(stages) = self.stage_recorder.take_unplayed(|turn| self.playback.waits_for(turn)) {
            self.outputs.stages(Some(stages));
        }
    }

    /// The first waiting fetch holds back all audio after it, so it has a timeout.
    fn set_fetch_timer(&mut self) {
        let fetching = self.playback.fetching().filter(|_| !self.lifecycle.is_closed());
        if fetching != self.timed_fetch {
            self.timed_fetch = fetching;
            self.timers.put(Timer::FetchTimeout, fetching.map(|_| self.now + self.config.timeouts.fetch_ms));
        }
    }

    /// The earliest deadline except those of the playout.
    fn earliest_deadline(&self) -> Option<(CallTime, Timer)> {
        [self.timers.earliest(), self.lifecycle.deadline(), self.streams.deadline()].into_iter().flatten().min()
    }

    fn on_timeout(&mut self) {
        while let Some((_, timer)) = self.earliest_deadline().filter(|(at, _)| *at <= self.now) {
            self.timers.stop(timer);
            match timer {
                Timer::StartTimeout => self.close(CloseReason::NoStart),
                Timer::FramesTimeout => self.on_frames_timeout(),
                Timer::AnswerTimeout | Timer::AnswerSettled => self.on_stream_late(),
                Timer::LastWordsTimeout => self.close_turn(Some(AgentCommand::Done)),
                // The next stream waited for this timer; `advance` opens it.
                Timer::Retry => {}
                Timer::FetchTimeout => {
                    if let Some(id) = self.playback.fetching() {
                        self.on_fetched(id, Err("the audio was not there in time"));
                    }
                }
                Timer::DigitsComplete => {
                    if let Some(digits) = self.digits.take_rest() {
                        self.digits_complete(digits);
                    }
                }
                Timer::NoInput => self.on_no_input(),
                Timer::Thinking => self.on_thinking(),
                Timer::AskAgain => self.on_ask_again(),
                Timer::Greeting => self.on_greeting_late(),
                Timer::CallTooLong => self.on_limit_reached(CallLimit::Call),
                Timer::SilenceTooLong => self.on_limit_reached(CallLimit::Silence),
                Timer::Migration => self.migrate(),
                Timer::MigrationTimeout => self.close(CloseReason::Migrated),
                Timer::UpdateTimeout => self.close(CloseReason::NotUpdated),
                Timer::StopTimeout => self.close(CloseReason::HandedOff),
                // Playback keeps these timers: see below.
                Timer::MarkTimeout | Timer::Playout => {}
            }
        }
        if !self.lifecycle.is_closed() {
            let back = self.playback.on_timeout(self.moment());
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
        if self.playback.has_spoken() {
            self.silence.agent_heard(self.now);
        }
        if let Some((turn, ms)) = first_of {
            let first_word = self.playback.note_heard(turn, self.now - ms);
            self.outputs.stages(first_word.and_then(|first| self.stage_recorder.played(first)));
        }
        if is_all {
            self.outputs.report(Report::Played { played_ms: self.playback.played_ms(), by_mark });
        }
    }
}
