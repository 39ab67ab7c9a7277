//! What one call does outside of core: it sends to Twilio and to the agent, has things fetched and run, and reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dialbridge_agents::{PipeFull, StreamHandle, StreamInput};
use dialbridge_core::agent::ToolCall;
use dialbridge_core::{
    AgentCommand, AgentEvent, CallSid, CallTime, CloseReason, FetchId, InputError, Output, Report, StreamId, StreamSid,
    ToolsId, UpdateResult,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::call::calls::CallRegistration;
use crate::call::context::{AgentSide, Backup, CallContext, CallKind};
use crate::call::tasks::{CallTasks, Finished};
use crate::call::watch::{Observed, Watch};
use crate::media::media_socket::MediaSocket;
use crate::telemetry::CallTelemetry;
use crate::twilio::actions::query;
use crate::twilio::rest::RestCall;
use crate::twilio::ticket::AccountCall;

/// The world outside of one call.
pub(super) struct Effects {
    pub(super) context: CallContext,
    pub(super) call_sid: CallSid,
    pub(super) telemetry: CallTelemetry,
    pub(super) socket: MediaSocket,
    pub(super) registration: CallRegistration,
    /// The stream's session parameters, as a URL brings them back.
    parameters: String,
    /// Each until its stream is given up or over, and no longer: a handle keeps the buffers of what its stream was sent.
    streams: BTreeMap<StreamId, OpenStream>,
    events: mpsc::Sender<(StreamId, AgentEvent)>,
    /// All that the call has started. It ends with the call.
    pub(super) tasks: CallTasks,
    /// What could not be done while outputs were performed. Core is told after.
    pub(super) not_done: VecDeque<NotDone>,
    /// Whether there is room for the call. Core is told after its outputs were performed.
    pub(super) has_room: Option<bool>,
    pub(super) closed: Option<CloseReason>,
}

/// A stream to the agent.
#[derive(Debug)]
struct OpenStream {
    handle: StreamHandle,
    opened: Instant,
    /// Whether the agent has sent something.
    has_message: bool,
}

/// A stream that does not take its input is given up.
fn overflow_of(handle: &StreamHandle, stream: StreamId, result: Result<(), PipeFull>) -> Option<NotDone> {
    result.err().map(|PipeFull| {
        handle.cancel();
        NotDone::Stream(stream)
    })
}

/// What could not be done for core.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotDone {
    /// The media stream's queue is full, because Twilio does not read.
    Socket,
    /// The stream's queue is full, because the agent does not read.
    Stream(StreamId),
    /// The stream was not opened: the agent is down for all calls, and there is a backup.
    AgentDown(StreamId),
}

impl Effects {
    pub(super) fn new(
        context: CallContext,
        call_sid: CallSid,
        telemetry: CallTelemetry,
        socket: MediaSocket,
        registration: CallRegistration,
        events: mpsc::Sender<(StreamId, AgentEvent)>,
    ) -> Self {
        Self {
            context,
            call_sid,
            telemetry,
            socket,
            registration,
            parameters: String::new(),
            streams: BTreeMap::new(),
            events,
            tasks: CallTasks::default(),
            not_done: VecDeque::new(),
            has_room: None,
            closed: None,
        }
    }

    /// Tells the agent's breaker how a stream's opening went.
    pub(super) fn note_opening(&mut self, stream: StreamId, event: &AgentEvent) {
        let Some(open) = self.streams.get_mut(&stream).filter(|open| !open.has_message) else { return };
        match event {
            AgentEvent::Failed(fault) => self.context.side.breaker.failed(fault, open.opened),
            AgentEvent::Transcript(_)
            | AgentEvent::EndOfUtterance { .. }
            | AgentEvent::Answer(_)
            | AgentEvent::Interrupted { .. }
            | AgentEvent::GoAway
            | AgentEvent::Ended => {
                open.has_message = true;
                self.context.side.breaker.succeeded();
            }
        }
    }

    pub(super) fn remove_stream(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// Ends what the call has started, gives its place up and closes the media stream.
    pub(super) async fn end(mut self: Box<Self>) {
        if self.tasks.awaits_update() {
            self.telemetry.updated(None);
        }
        drop(self.tasks);
        drop(self.registration);
        if self.closed == Some(CloseReason::Stop) {
            // Twilio has left; in any other case somebody may wait for the socket to close.
            self.telemetry.flushed().await;
        }
        self.socket.close().await;
    }

    /// Logs an input that core has refused.
    pub(super) fn log_refused_input(&self, error: &InputError) {
        if let Some(withheld) = self.context.fault_log.allow() {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            let _of_call = self.telemetry.log_span().enter();
            tracing::warn!(call_sid = %self.call_sid, withheld, cause, "{error}");
        }
    }

    /// Does what core asks for.
    pub(super) fn perform(&mut self, output: Output, now: CallTime, stream_sid: &StreamSid) {
        match output {
            Output::Twilio(message) => {
                let mut text = String::new();
                message.write(stream_sid, &mut text);
                let is_full = self.socket.send(text).is_err();
                if is_full && !self.not_done.contains(&NotDone::Socket) {
                    self.not_done.push_back(NotDone::Socket);
                }
            }
            Output::Agent(stream, command) => self.command(stream, command),
            Output::Admit(parameters) => self.admit(&parameters),
            Output::Update { twiml } => self.update(twiml),
            Output::Fetch(id, uri) => self.fetch(id, uri),
            Output::RunTools(id, calls) => self.run_tools(id, calls),
            Output::UseBackup => self.use_backup(),
            Output::Report(report) => self.report(now, report),
            Output::Close(reason) => self.closed = Some(reason),
        }
    }

    /// Takes a place for the call, and keeps the stream's parameters. The voice-url gives no media stream without room, but
    /// may have given many at once.
    fn admit(&mut self, parameters: &BTreeMap<String, String>) {
        self.parameters = query(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))).text;
        self.has_room = Some(self.registration.start(self.context.max_calls));
    }

    fn command(&mut self, stream: StreamId, command: AgentCommand) {
        if let AgentCommand::Open(start) = &command {
            let events = self.events.clone();
            let AgentSide { agent, session, breaker, .. } = &self.context.side;
            let permit = breaker.permit();
            if permit.is_some() && self.context.backup.is_some() {
                self.not_done.push_back(NotDone::AgentDown(stream));
                return;
            }
            let handle = agent.open_after(permit, session, stream, start, events, self.tasks.set());
            self.streams.insert(stream, OpenStream { handle, opened: Instant::now(), has_message: false });
            return;
        }
        let Some(OpenStream { handle, .. }) = self.streams.get(&stream) else { return };
        match command {
            AgentCommand::Open(_) => {}
            AgentCommand::Audio(audio) => self.not_done.extend(overflow_of(handle, stream, handle.audio(&audio))),
            AgentCommand::Send(input) => {
                self.not_done.extend(overflow_of(handle, stream, handle.put(StreamInput::Input(input))));
            }
            AgentCommand::Parameters(parameters) => {
                self.not_done.extend(overflow_of(handle, stream, handle.put(StreamInput::Parameters(parameters))));
            }
            AgentCommand::CallerSpeaks(speaks) => handle.set_caller_speaks(speaks),
            AgentCommand::HalfClose => handle.half_close(),
            AgentCommand::Cancel => {
                handle.cancel();
                self.streams.remove(&stream);
            }
            AgentCommand::Done => {
                handle.leave();
                self.streams.remove(&stream);
            }
        }
    }

    /// All that goes to the agent goes to its backup from here on.
    fn use_backup(&mut self) {
        let Some(backup) = self.context.backup.take() else { return };
        let Backup { name, edition, redaction, side } = *backup;
        self.telemetry.use_backup(&name, edition, &side.session.language, redaction);
        if let Some(history) = &self.context.history {
            history.use_backup(&side.session.language);
        }
        self.context.side = side;
        if let Some(call) = self.context.config.backup.clone() {
            self.context.config = Arc::new(*call);
        }
        if let Some(state) = &mut self.context.dial_action.state {
            state.info.stand_in(&name);
        }
    }

    fn update(&mut self, twiml: String) {
        let context = &self.context;
        let twiml = context.dial_action.put_into(&twiml, &self.parameters, self.registration.progress().failed_turns);
        if let Some(history) = &context.history {
            history.twiml(&twiml);
        }
        if context.kind == CallKind::Browser {
            // The page stops the stream, as Twilio does.
            self.tasks.spawn_update(async { UpdateResult::Accepted });
            return;
        }
        let call = AccountCall { account: context.account.clone(), call_sid: self.call_sid.clone() };
        context.calls.keep_last_twiml(&call, &twiml, context.clock.now_ms());
        let (rest, call_sid, kind) = (context.rest.clone(), self.call_sid.clone(), context.kind);
        let account = context.account.clone();
        let update = async move {
            let call = RestCall { call_sid: &call_sid, account: account.as_deref() };
            match (rest, kind) {
                (Some(rest), CallKind::Ticket) => rest.update(call, &twiml).await,
                (Some(rest), CallKind::Bare) => rest.update_in_progress(call, &twiml).await,
                (None, _) | (Some(_), CallKind::Browser) => UpdateResult::Impossible,
            }
        };
        let update = update.instrument(self.telemetry.log_span().clone());
        self.tasks.spawn_update(update);
    }

    fn fetch(&mut self, id: FetchId, uri: String) {
        let (prompts, session) = (self.context.side.prompts.clone(), self.context.side.session.clone());
        // Core waits for so long and no longer; then the answer would be for nobody.
        let timeout = Duration::from_millis(self.context.config.timeouts.fetch_ms);
        let fetch = async move {
            let fetched = tokio::time::timeout(timeout, prompts.fetch(&uri, &session.language, &session.speech)).await;
            Finished::Fetched(id, fetched.unwrap_or_else(|_| Err("the audio was not there in time".to_owned())))
        };
        self.tasks.spawn(fetch.instrument(self.telemetry.log_span().clone()));
    }

    fn run_tools(&mut self, id: ToolsId, calls: Vec<ToolCall>) {
        let (tools, session) = (self.context.side.tools.clone(), self.context.side.session.session.clone());
        self.tasks.spawn(async move {
            match tools {
                Some(tools) => Finished::ToolsRun(id, tools.run(&calls, &session).await),
                None => Finished::ToolsRun(id, Vec::new()),
            }
        });
    }

    fn report(&mut self, now: CallTime, report: Report) {
        if matches!(report, Report::Answered { .. }) {
            // An answer's audio has just been queued: now there is most.
            self.telemetry.queued(self.socket.queued());
        }
        self.telemetry.report(now, &report);
        if let Some(history) = &self.context.history {
            history.report(now, &report);
        }
        if let Some(Watch(watch)) = &self.context.watch {
            watch(&Observed { call_sid: self.call_sid.clone(), at: Instant::now(), report });
        }
    }
}
