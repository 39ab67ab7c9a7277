//! Drives one call: hands core what comes in, and does what comes out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::agent::{AgentFault, ToolCall};
use dialbridge_core::twilio::{Inbound, parse};
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallSid, CallTime, CloseReason, FetchId, Input, Output, Report,
    StreamSid, ToolsId, TurnId, UpdateResult,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use crate::call::calls::{CallOrder, CallRegistration, Calls};
use crate::call::prompts::Prompts;
use crate::call::tape_recorder::TapeRecorder;
use crate::call::tools::{ToolResult, Tools};
use crate::history::HistoryWriter;
use crate::media::media_socket::{FromTwilio, MediaSocket};
use crate::telemetry::CallTelemetry;
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::twilio::actions::{DialAction, query};
use crate::twilio::rest::RestClient;
use dialbridge_agents::{Agent, EVENT_QUEUE, PipeFull, SessionContext, StreamHandle, StreamInput};

/// A fact of a call, for those who watch: the demo's timeline, tests.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The call.
    pub call_sid: CallSid,
    /// When it was.
    pub at: Instant,
    /// What it was.
    pub report: Report,
}

/// Whoever watches calls: called with each fact, in the call's own task, so it must not wait.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(&Observed) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Sends each fact into a channel; whoever reads too slowly misses some.
    #[must_use]
    pub fn into_channel(sender: mpsc::Sender<Observed>) -> Self {
        Self(Arc::new(move |observed| {
            let _ = sender.try_send(observed.clone());
        }))
    }
}

/// What opened a call's media socket: it says what may be done to the call over REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A ticket of ours: the call is what the ticket says.
    Ticket,
    /// The handshake's signature alone: the call is what the stream says, so Twilio is asked first.
    Bare,
    /// A ticket of the page's: Twilio knows no such call, and is never told of it.
    Browser,
}

/// What a call needs of the service.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The agent.
    pub agent: Agent,
    /// Session and language.
    pub session: SessionContext,
    /// What core is told.
    pub config: Arc<CallConfig>,
    /// What `<Dial action>` of this call is.
    pub dial_action: DialAction,
    /// What opened its media socket.
    pub kind: CallKind,
    /// Twilio's REST API, where it can be used.
    pub rest: Option<Arc<RestClient>>,
    /// Audio that the agent names by its address.
    pub prompts: Prompts,
    /// What runs the tools that the agent asks for.
    pub tools: Option<Tools>,
    /// The instance's calls.
    pub calls: Calls,
    /// For what is kept for a time.
    pub clock: WallClock,
    /// For lines that Twilio's side causes.
    pub fault_log: Arc<LogLimit>,
    /// Whoever watches.
    pub watch: Option<Watch>,
    /// With so many started streams of others there is no room for this one.
    pub max_calls: usize,
    /// What the call is given then.
    pub busy: String,
    /// The call's hand in the page's history.
    pub(crate) history: Option<Arc<HistoryWriter>>,
}

/// Runs a call to its end. Gives whether there was room for it.
pub async fn run(
    context: CallContext,
    call_sid: CallSid,
    telemetry: CallTelemetry,
    socket: MediaSocket,
    registration: CallRegistration,
    recorder: Option<TapeRecorder>,
) -> bool {
    let (events_sender, mut events) = mpsc::channel(EVENT_QUEUE);
    let mut bridge = Bridge {
        call: Call::new(context.config.clone(), CallTime::START),
        context,
        call_sid,
        telemetry,
        stream_sid: StreamSid::default(),
        parameters: String::new(),
        began: Instant::now(),
        registration,
        socket,
        turns: BTreeMap::new(),
        tasks: JoinSet::new(),
        events: events_sender,
        updates: JoinSet::new(),
        fetches: JoinSet::new(),
        tools: JoinSet::new(),
        recorder,
        overflows: VecDeque::new(),
        room: Room::Unasked,
        closed: None,
    };
    // One for the whole call: a frame seldom changes when the next deadline is.
    let mut alarm = pin!(sleep_until(bridge.began));
    let mut armed_for = None;
    while bridge.closed.is_none() && bridge.room != Room::None {
        let deadline = bridge.call.poll_timeout();
        if let Some((at, _)) = deadline.filter(|(at, _)| armed_for != Some(*at)) {
            alarm.as_mut().reset(bridge.began + Duration::from_millis(at.as_ms()));
            armed_for = Some(at);
        }
        tokio::select! {
            // The caller's audio comes last, for it comes most often: nothing else has to wait for a flood of it.
            biased;
            order = bridge.registration.orders.recv() => bridge.on_order(order),
            Some(result) = bridge.updates.join_next() => {
                bridge.on_updated(result.unwrap_or(UpdateResult::Impossible));
            }
            Some(fetched) = bridge.fetches.join_next() => bridge.on_fetched(fetched),
            // A task that panicked leaves the agent to wait, which it does not do for ever.
            Some(run) = bridge.tools.join_next() => if let Ok((id, results)) = run {
                bridge.feed(Input::ToolsRun(id, results), None);
            },
            Some((turn, event)) = events.recv() => bridge.on_agent(turn, event),
            () = &mut alarm, if deadline.is_some() => {
                armed_for = None;
                bridge.feed(Input::Timeout, deadline.map(|(_, timer)| timer.to_string()));
            }
            message = bridge.socket.next() => bridge.on_twilio(message),
        }
        bridge.settle();
        while bridge.tasks.try_join_next().is_some() {}
    }
    let had_room = bridge.room != Room::None;
    if !had_room {
        bridge.refuse_call().await;
    }
    bridge.tasks.abort_all();
    let now_ms = bridge.context.clock.now_ms();
    let Bridge { telemetry, registration, socket, closed, updates, .. } = bridge;
    if !updates.is_empty() {
        telemetry.updated(None);
    }
    drop(updates);
    registration.leave(now_ms);
    if closed == Some(CloseReason::Stop) {
        // Twilio has left; in any other case somebody may wait for the socket to close.
        telemetry.flushed().await;
    }
    socket.close().await;
    had_room
}

/// Whether the call has a place among those that are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Its stream has not started.
    Unasked,
    /// It has.
    Taken,
    /// All places were taken when its stream started.
    None,
}

struct Bridge {
    call: Call,
    context: CallContext,
    call_sid: CallSid,
    telemetry: CallTelemetry,
    stream_sid: StreamSid,
    /// The stream's session parameters, as a URL brings them back.
    parameters: String,
    began: Instant,
    registration: CallRegistration,
    socket: MediaSocket,
    /// Each until its stream is given up or over, and no longer: a handle keeps the buffers of what its stream was sent.
    turns: BTreeMap<TurnId, StreamHandle>,
    /// The streams to the agent. They end with the call.
    tasks: JoinSet<()>,
    events: mpsc::Sender<(TurnId, AgentEvent)>,
    updates: JoinSet<UpdateResult>,
    fetches: JoinSet<(FetchId, Result<Bytes, String>)>,
    tools: JoinSet<(ToolsId, Vec<ToolResult>)>,
    recorder: Option<TapeRecorder>,
    /// Queues that overflowed while outputs were performed; core is told after.
    overflows: VecDeque<Overflow>,
    room: Room,
    closed: Option<CloseReason>,
}

/// Whether Twilio has ended the stream.
fn has_left(message: &FromTwilio) -> bool {
    match message {
        FromTwilio::Text(message) => {
            std::str::from_utf8(message.as_ref()).is_ok_and(|text| matches!(parse(text), Ok(Inbound::Stop)))
        }
        FromTwilio::Binary => false,
        FromTwilio::Closed => true,
    }
}

/// A stream that does not take its input is given up.
fn overflow_of(handle: &StreamHandle, turn: TurnId, result: Result<(), PipeFull>) -> Option<Overflow> {
    result.err().map(|PipeFull| {
        handle.cancel();
        Overflow::Turn(turn)
    })
}

/// A queue that is full because its other side does not read.
#[derive(Debug)]
enum Overflow {
    Socket,
    Turn(TurnId),
}

impl Bridge {
    fn now(&self) -> CallTime {
        CallTime::from_ms(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn on_twilio(&mut self, message: FromTwilio) {
        match message {
            FromTwilio::Text(message) => match std::str::from_utf8(message.as_ref()) {
                Ok(text) => {
                    self.take_room(text);
                    if self.room != Room::None {
                        self.feed(Input::Twilio(text), None);
                    }
                }
                Err(_) => self.feed(Input::TwilioBinary, None),
            },
            FromTwilio::Binary => self.feed(Input::TwilioBinary, None),
            FromTwilio::Closed => self.feed(Input::TwilioClosed, None),
        }
    }

    /// Takes a place for the call when its stream starts, and what it brings of the session. The voice-url gives no stream
    /// when there is no room, but many may have been given one in the same moment.
    fn take_room(&mut self, text: &str) {
        if self.room == Room::Unasked
            && let Ok(Inbound::Start(start)) = parse(text)
            && start.call_sid == self.call_sid.as_str()
        {
            let parameters = start.custom_parameters.iter();
            self.parameters = query(parameters.map(|(name, value)| (name.as_str(), value.as_str())));
            self.room = if self.registration.start(self.context.max_calls) { Room::Taken } else { Room::None };
        }
    }

    /// Gives a call for which there is no room its TwiML, over REST or through `<Connect action>`, and waits for Twilio to
    /// leave. The agent never hears of it.
    async fn refuse_call(&mut self) {
        tracing::warn!(call_sid = %self.call_sid, "MAX_CALLS are live: the call is turned away as its stream starts");
        let timeouts = &self.context.config.timeouts;
        let (update, stop) = (Duration::from_millis(timeouts.update_ms), Duration::from_millis(timeouts.stop_ms));
        self.update(self.context.busy.clone());
        let mut alarm = pin!(tokio::time::sleep(update));
        loop {
            tokio::select! {
                Some(result) = self.updates.join_next() => {
                    let result = result.unwrap_or(UpdateResult::Impossible);
                    self.telemetry.updated(Some(result));
                    if result != UpdateResult::Accepted {
                        return;
                    }
                    alarm.as_mut().reset(Instant::now() + stop);
                }
                () = &mut alarm => return,
                message = self.socket.next() => if has_left(&message) {
                    return;
                },
            }
        }
    }

    fn on_agent(&mut self, turn: TurnId, event: AgentEvent) {
        if matches!(event, AgentEvent::Answer(_)) {
            self.registration.greeted();
        }
        let is_last = event.is_last();
        self.feed(Input::Agent(turn, event), None);
        if is_last {
            self.turns.remove(&turn);
        }
    }

    fn on_updated(&mut self, result: UpdateResult) {
        self.telemetry.updated(Some(result));
        self.feed(Input::Updated(result), None);
    }

    fn on_order(&mut self, order: Option<CallOrder>) {
        match order {
            Some(CallOrder::Migrate) => self.feed(Input::Migrate, None),
            Some(CallOrder::TakenOver) | None => {
                tracing::info!(call_sid = %self.call_sid, "another socket has the call now");
                self.feed(Input::TwilioClosed, None);
            }
        }
    }

    /// Hands one input to core and does what comes out.
    fn feed(&mut self, input: Input<'_>, timer: Option<String>) {
        let now = self.now();
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input, timer.as_deref(), &self.call);
        }
        if let Err(error) = self.call.handle_input(input, now)
            && let Some(withheld) = self.context.fault_log.allow()
        {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let _traced = self.telemetry.log_span().enter();
            tracing::warn!(call_sid = %self.call_sid, withheld, cause, "{error}");
        }
        while let Some(output) = self.call.poll_output() {
            if let Some(recorder) = &mut self.recorder {
                recorder.output(now, &output, &self.stream_sid);
            }
            self.perform(output, now);
        }
    }

    /// Tells core of the queues that overflowed.
    fn settle(&mut self) {
        while let Some(overflow) = self.overflows.pop_front() {
            match overflow {
                Overflow::Socket => {
                    tracing::warn!(call_sid = %self.call_sid, "Twilio does not read: the call is closed");
                    self.feed(Input::TwilioClosed, None);
                }
                Overflow::Turn(turn) => {
                    let fault =
                        AgentFault { code: "UNAVAILABLE".to_owned(), message: PipeFull.to_string(), transient: true };
                    self.feed(Input::Agent(turn, AgentEvent::Failed(fault)), None);
                }
            }
        }
    }

    fn perform(&mut self, output: Output, now: CallTime) {
        match output {
            Output::Twilio(message) => {
                let mut text = String::new();
                message.write(&self.stream_sid, &mut text);
                if self.socket.send(text).is_err() {
                    self.overflows.push_back(Overflow::Socket);
                }
            }
            Output::Agent(turn, command) => self.command(turn, command),
            Output::Update { twiml } => self.update(twiml),
            Output::Fetch(id, uri) => self.fetch(id, uri),
            Output::RunTools(id, calls) => self.run_tools(id, calls),
            Output::Report(report) => self.report(now, report),
            Output::Close(reason) => self.closed = Some(reason),
        }
    }

    fn command(&mut self, turn: TurnId, command: AgentCommand) {
        if let AgentCommand::Open(start) = &command {
            let events = self.events.clone();
            let handle = self.context.agent.open(&self.context.session, turn, start, events, &mut self.tasks);
            self.turns.insert(turn, handle);
            return;
        }
        let Some(handle) = self.turns.get(&turn) else { return };
        match command {
            AgentCommand::Open(_) => {}
            AgentCommand::Audio(audio) => self.overflows.extend(overflow_of(handle, turn, handle.audio(&audio))),
            AgentCommand::Send(input) => {
                self.overflows.extend(overflow_of(handle, turn, handle.put(StreamInput::Input(input))));
            }
            AgentCommand::Parameters(parameters) => {
                self.overflows.extend(overflow_of(handle, turn, handle.put(StreamInput::Parameters(parameters))));
            }
            AgentCommand::HalfClose => handle.half_close(),
            AgentCommand::Cancel => {
                handle.cancel();
                self.turns.remove(&turn);
            }
            AgentCommand::Done => {
                handle.leave();
                self.turns.remove(&turn);
            }
        }
    }

    fn update(&mut self, twiml: String) {
        let context = &self.context;
        let twiml = context.dial_action.put_into(&twiml, &self.parameters, self.registration.progress().failed_turns);
        if context.kind == CallKind::Browser {
            self.show(&twiml);
            return;
        }
        context.calls.keep_last_twiml(&self.call_sid, &twiml, context.clock.now_ms());
        let (rest, call_sid, kind) = (context.rest.clone(), self.call_sid.clone(), context.kind);
        let update = async move {
            match (rest, kind) {
                (Some(rest), CallKind::Ticket) => rest.update(&call_sid, &twiml).await,
                (Some(rest), CallKind::Bare) => rest.update_in_progress(&call_sid, &twiml).await,
                (None, _) | (Some(_), CallKind::Browser) => UpdateResult::Impossible,
            }
        };
        self.updates.spawn(update.instrument(self.telemetry.log_span().clone()));
    }

    /// Shows a call from the browser what a phone call would be given now. It is up to the page to stop the stream, as
    /// Twilio does.
    fn show(&mut self, twiml: &str) {
        if let Some(history) = &self.context.history {
            history.twiml(twiml);
        }
        self.updates.spawn(async { UpdateResult::Accepted });
    }

    fn fetch(&mut self, id: FetchId, uri: String) {
        let (prompts, session) = (self.context.prompts.clone(), self.context.session.clone());
        // Core waits for so long and no longer; then the answer would be for nobody.
        let timeout = Duration::from_millis(self.context.config.timeouts.fetch_ms);
        self.fetches.spawn(async move {
            let fetched = tokio::time::timeout(timeout, prompts.fetch(&uri, &session.language, &session.speech)).await;
            (id, fetched.unwrap_or_else(|_| Err("the audio was not there in time".to_owned())))
        });
    }

    fn run_tools(&mut self, id: ToolsId, calls: Vec<ToolCall>) {
        let (tools, session) = (self.context.tools.clone(), self.context.session.session.clone());
        self.tools.spawn(async move {
            match tools {
                Some(tools) => (id, tools.run(&calls, &session).await),
                None => (id, Vec::new()),
            }
        });
    }

    fn on_fetched(&mut self, fetched: Result<(FetchId, Result<Bytes, String>), tokio::task::JoinError>) {
        // A task that panicked leaves core to wait, and core does not wait for ever.
        let Ok((id, audio)) = fetched else { return };
        self.feed(Input::Fetched(id, audio.as_deref().map_err(String::as_str)), None);
    }

    fn report(&mut self, now: CallTime, report: Report) {
        if let Report::Started { stream_sid, .. } = &report {
            self.stream_sid = stream_sid.clone();
        }
        if matches!(report, Report::TurnFailed { .. }) {
            self.registration.turn_failed();
        }
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
