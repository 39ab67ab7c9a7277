//! A call under watch: for any input, the output must keep the contract of `dialbridge_core`.

use std::sync::Arc;

use dialbridge_core::agent::{Answer, AnswerPart, MAX_AUDIO_BYTES};
use dialbridge_core::call::CHUNK_MS;
use dialbridge_core::config::StreamShape;
use dialbridge_core::report::AudioAccount;
use dialbridge_core::twilio::{Inbound, TwilioMessage, parse};
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallTime, FetchId, Input, MarkName, Output, Report, StreamId, ToolsId,
};

/// How many outputs one input may cause, apart from those for its prompt audio.
const MAX_OUTPUTS: u64 = 1_000;

/// How many timeouts a call may request for one moment.
const MAX_TIMEOUTS_AT_ONCE: u32 = 32;

/// How many turns other than the caller's speech may wait for the agent: core's limit for digits, and some more.
const MAX_WAITING_TURNS: u32 = 180;

/// The audio of one chunk, in bytes of mu-law.
const CHUNK_BYTES: u64 = CHUNK_MS * 8;

/// The longest filler that is not of the settings, in bytes of mu-law: a sentence of ten seconds.
const MAX_OWN_FILLER_BYTES: u64 = 80_000;

/// Twilio's first message about a call.
pub const START: &str = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;

/// A call, and what its outputs alone tell of it.
pub struct WatchedCall {
    call: Call,
    config: Arc<CallConfig>,
    now: CallTime,
    /// The open turn, and whether its input is complete.
    open: Option<(u32, bool)>,
    /// Whether this input ends its stream. Then it need not be cancelled.
    has_ended: bool,
    last_turn: u32,
    marks: Vec<MarkName>,
    clears: u32,
    fetches: Vec<FetchId>,
    tools: Vec<ToolsId>,
    on_backup: bool,
    updates: u32,
    is_closed: bool,
    account: Option<AudioAccount>,
    /// Bytes of the caller's audio: received, and sent to the agent.
    received: u64,
    written: u64,
    /// Bytes of audio for the caller: at most received from the agent, and sent.
    given: u64,
    played: u64,
}

impl WatchedCall {
    /// A call whose media stream has just opened.
    #[must_use]
    pub fn new(config: CallConfig) -> Self {
        let config = Arc::new(config);
        Self {
            call: Call::new(config.clone(), CallTime::START),
            config,
            now: CallTime::START,
            open: None,
            has_ended: false,
            last_turn: 0,
            marks: Vec::new(),
            clears: 0,
            fetches: Vec::new(),
            tools: Vec::new(),
            on_backup: false,
            updates: 0,
            is_closed: false,
            account: None,
            received: 0,
            written: 0,
            given: 0,
            played: 0,
        }
    }

    /// The last turn that was opened; 0 before the first.
    #[must_use]
    pub fn last_stream(&self) -> u32 {
        self.last_turn
    }

    /// The mark that was sent that many marks ago.
    #[must_use]
    pub fn mark(&self, back: usize) -> Option<MarkName> {
        self.marks.iter().rev().nth(back).copied()
    }

    /// The fetch that was requested that many fetches ago.
    #[must_use]
    pub fn fetch(&self, back: usize) -> Option<FetchId> {
        self.fetches.iter().rev().nth(back).copied()
    }

    /// The tools that were requested that many requests ago.
    #[must_use]
    pub fn tools(&self, back: usize) -> Option<ToolsId> {
        self.tools.iter().rev().nth(back).copied()
    }

    /// Feeds an input at the current time and checks all outputs.
    pub fn feed(&mut self, input: &Input<'_>) {
        self.take(input, audio_of(input));
    }

    /// Feeds a `media` message that carries that many bytes of audio.
    pub fn feed_frame(&mut self, media: &str, bytes: u64) {
        self.take(&Input::Twilio(media), bytes);
    }

    fn take(&mut self, input: &Input<'_>, bytes: u64) {
        let deadline = self.call.poll_timeout();
        let was_closed = self.is_closed;
        let taken = self.call.handle_input(input.clone(), self.now);
        if taken.is_err() {
            assert_eq!(self.call.poll_output(), None, "a refused input does nothing");
            assert_eq!(self.call.poll_timeout(), deadline, "a refused input moves no deadline");
            return;
        }
        if let Input::Agent(StreamId(turn), event) = input
            && event.is_last()
        {
            self.has_ended = self.open.is_some_and(|(open, _)| open == *turn);
        }
        if !was_closed {
            self.received += bytes;
            self.given += self.sound_of(input);
        }
        self.drain();
        if std::mem::take(&mut self.has_ended) {
            self.open = None;
        }
        assert!(
            !was_closed || (taken.is_ok() && self.call.poll_timeout().is_none()),
            "after the close there is nothing"
        );
        self.wake_early();
    }

    /// A `Timeout` that is not due changes nothing.
    fn wake_early(&mut self) {
        let deadline = self.call.poll_timeout();
        if deadline.is_some_and(|(at, _)| at <= self.now) {
            return;
        }
        assert_eq!(self.call.handle_input(Input::Timeout, self.now), Ok(()));
        assert_eq!(self.call.poll_output(), None, "a timeout too early does nothing");
        assert_eq!(self.call.poll_timeout(), deadline, "a timeout too early moves no deadline");
    }

    /// Lets time pass and fires each deadline at its time.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        let mut at_once = 0;
        while let Some((at, timer)) = self.call.poll_timeout().filter(|(at, _)| *at <= until) {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once <= MAX_TIMEOUTS_AT_ONCE, "{timer} is due at {at} for ever");
            self.now = self.now.max(at);
            self.feed(&Input::Timeout);
        }
        self.now = until;
    }

    /// Goes to that time without firing deadlines, because the tape has them.
    pub fn jump(&mut self, at: CallTime) {
        self.now = self.now.max(at);
    }

    /// Gives empty answers to everything that waits for the agent, until the call listens or waits for something else.
    /// No more may have been kept than the limits allow.
    pub fn settle(&mut self) {
        let mut answered = 0;
        while let Some((turn, true)) = self.open {
            answered += 1;
            assert!(answered <= MAX_WAITING_TURNS, "so many turns wait for the agent");
            let nothing = Answer { part: AnswerPart::Final, ..Answer::default() };
            self.feed(&Input::Agent(StreamId(turn), AgentEvent::Answer(Box::new(nothing))));
            // A stream for the whole call does not end with an answer.
            if self.config.shape == StreamShape::PerSession && self.open == Some((turn, true)) {
                self.feed(&Input::Agent(StreamId(turn), AgentEvent::Ended));
            }
        }
    }

    /// Closes the media stream. The call must end once, with all of the caller's audio accounted for.
    pub fn finish(mut self) {
        self.feed(&Input::TwilioClosed);
        let Some(account) = self.account else { panic!("the call did not say that it ended") };
        let accounted = account.written + account.dropped + account.after_end + account.left;
        assert_eq!(account.received, accounted, "{account:?}");
        assert_eq!(account.received, self.received, "what came is what was counted");
        assert_eq!(account.written + account.resent, self.written, "what was written is what was counted");
        assert!(account.withheld <= account.received, "{account:?}");
        self.feed(&Input::Migrate);
        self.feed(&Input::Twilio(START));
        assert!(self.call.is_closed());
    }

    fn drain(&mut self) {
        let max_outputs = MAX_OUTPUTS + 2 * self.given / CHUNK_BYTES;
        let mut outputs = 0;
        while let Some(output) = self.call.poll_output() {
            outputs += 1;
            assert!(outputs <= max_outputs, "so many outputs of one input");
            self.look(&output);
        }
        assert!(self.played <= self.given, "{} bytes were played of {}", self.played, self.given);
    }

    fn look(&mut self, output: &Output) {
        assert!(!self.is_closed, "{output:?} after the close");
        assert!(self.account.is_none() || matches!(output, Output::Close(_)), "{output:?} after the end was told");
        match output {
            Output::Twilio(message) => self.look_at_message(message),
            Output::Agent(StreamId(turn), command) => self.look_at_command(*turn, command),
            Output::Admit(_) => assert!(self.config.busy.is_some()),
            Output::Update { twiml } => {
                self.updates += 1;
                assert_eq!(self.updates, 1, "a call is given its last TwiML once");
                assert!(twiml.starts_with("<?xml") || self.config.handoff.fallback_twiml.as_ref() == Some(twiml));
            }
            Output::Fetch(id, _) => {
                assert!(self.fetches.last().is_none_or(|last| last < id));
                self.fetches.push(*id);
            }
            Output::RunTools(id, calls) => {
                assert!(self.config.has_tools && !calls.is_empty());
                assert!(self.tools.last().is_none_or(|last| last < id));
                self.tools.push(*id);
            }
            Output::UseBackup => {
                assert!(self.config.backup.is_some() && !self.on_backup, "a call has one backup");
                self.on_backup = true;
                self.config = self.config.backup.clone().map(|backup| Arc::new(*backup)).unwrap();
            }
            Output::Report(report) => self.look_at_report(report),
            Output::Close(_) => {
                assert!(self.account.is_some() && (self.open.is_none() || self.has_ended));
                self.is_closed = true;
            }
        }
    }

    fn look_at_message(&mut self, message: &TwilioMessage) {
        match message {
            TwilioMessage::Media(audio) => {
                assert!(!audio.is_empty() && audio.len() as u64 <= CHUNK_BYTES);
                self.played += audio.len() as u64;
            }
            TwilioMessage::Mark(name) => {
                assert!(self.marks.last().is_none_or(|last| last.number < name.number));
                assert_eq!(name.epoch, self.clears, "a mark tells how many clears were before it");
                self.marks.push(*name);
            }
            TwilioMessage::Clear => self.clears += 1,
        }
    }

    fn look_at_command(&mut self, turn: u32, command: &AgentCommand) {
        match command {
            AgentCommand::Open(_) => {
                assert_eq!(turn, self.last_turn + 1, "turns are counted");
                assert!(self.open.is_none() || self.has_ended, "one turn after the other");
                self.last_turn = turn;
                self.open = Some((turn, false));
                self.has_ended = false;
            }
            AgentCommand::Audio(audio) => {
                assert_eq!(self.open, Some((turn, false)), "audio for a turn that does not listen");
                assert!(!audio.is_empty() && audio.len() <= MAX_AUDIO_BYTES);
                self.written += audio.len() as u64;
            }
            AgentCommand::Send(_) | AgentCommand::Parameters(_) | AgentCommand::CallerSpeaks(_) => {
                assert_eq!(self.open, Some((turn, false)), "input for a stream that takes none");
                assert_eq!(self.config.shape, StreamShape::PerSession);
            }
            AgentCommand::HalfClose => {
                assert_eq!(self.open, Some((turn, false)));
                self.open = Some((turn, true));
            }
            AgentCommand::Cancel | AgentCommand::Done => {
                assert!(self.open.is_some_and(|(open, _)| open == turn));
                self.open = None;
            }
        }
    }

    fn look_at_report(&mut self, report: &Report) {
        match report {
            Report::Ended { audio, .. } => self.account = Some(*audio),
            Report::Filler { which } => {
                let fillers = &self.config.fillers;
                let clips = match *which {
                    "thinking" => [&fillers.thinking, &None],
                    "retrying" => [&fillers.retrying, &None],
                    _ => [&fillers.retrying, &fillers.thinking],
                };
                let clip = clips.into_iter().flatten().next().map(|clip| clip.0.len() as u64);
                let own = if matches!(*which, "thinking" | "retrying") { 0 } else { MAX_OWN_FILLER_BYTES };
                self.given += clip.unwrap_or(own);
            }
            _ => {}
        }
    }

    /// The maximum mu-law bytes of an input's audio for the caller. No sample rate is below the telephone's.
    fn sound_of(&self, input: &Input<'_>) -> u64 {
        match input {
            Input::Agent(_, AgentEvent::Answer(answer)) => {
                answer.prompts.iter().map(|prompt| prompt.audio.len() as u64 + 1).sum()
            }
            Input::Fetched(_, Ok(audio)) => audio.len() as u64 + 1,
            _ => 0,
        }
    }
}

/// How many bytes of the caller's audio an accepted input carries.
fn audio_of(input: &Input<'_>) -> u64 {
    let Input::Twilio(text) = input else { return 0 };
    let Ok(Inbound::Media(media)) = parse(text) else { return 0 };
    let mut audio = Vec::new();
    match media.decode(&mut audio) {
        Ok(()) if media.is_inbound => audio.len() as u64,
        _ => 0,
    }
}
