//! Drives one stream over either transport: reads, keeps the time and the record, and writes.

use std::time::Duration;

use dialbridge_net::websocket::WebSocket;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use ces::bidi_session_server_message::MessageType;
use ces::session_output::OutputType;

use crate::agent::ces::check::{Input, Opened, input, invalid, opened};
use crate::agent::ces::ending::Ending;
use crate::agent::ces::exchange::{FromClient, Outgoing};
use crate::agent::ces::frames;
use crate::agent::ces::live::Live;
use crate::agent::ces::record::{GAP_MS, Gap, InputRecord, Role, StreamEntry, StreamRecord, ToolAnswer};
use crate::agent::ces::serving::{Serving, StreamRequest};
use crate::agent::script::{AfterEnd, Ces, History, SessionState};
use crate::agent::was_reset::WasReset;

/// Reads a client's messages.
pub(super) enum Inbox {
    Grpc(Box<Streaming<ces::BidiSessionClientMessage>>, WasReset),
    Socket(WebSocket),
}

impl Inbox {
    /// The next message. None is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> FromClient {
        match self {
            Self::Socket(socket) => frames::next(socket).await,
            Self::Grpc(messages, was_reset) => match messages.message().await {
                Ok(Some(message)) => FromClient::Message(Box::new(message)),
                Ok(None) if was_reset.get() => FromClient::Gone(None),
                Ok(None) => FromClient::HalfClosed,
                Err(_) if was_reset.get() => FromClient::Gone(None),
                Err(status) => FromClient::Unreadable(Ending::Failed(status)),
            },
        }
    }
}

/// The writer found that the client is gone.
struct Left;

/// A stream whose configuration has been read.
pub(super) struct Stream {
    live: Live,
    opened: Opened,
    behaviour: Ces,
    entry: StreamEntry,
    began: Instant,
    /// When audio last came, or the stream began.
    last_audio: Instant,
    idle_at: Instant,
    /// When each message with variables came.
    variables_at: Vec<Instant>,
}

impl Stream {
    /// Waits for the first message and opens the stream with it.
    ///
    /// # Errors
    /// If the client did something wrong, or the script breaks the stream.
    pub(super) async fn open(
        serving: &Serving,
        stream_request: StreamRequest,
        inbox: &mut Inbox,
    ) -> Result<Self, Ending> {
        let timeout = Duration::from_millis(serving.script().ces.idle_ms);
        let first = match tokio::time::timeout(timeout, inbox.next()).await {
            Ok(FromClient::Message(first)) => first,
            Ok(FromClient::Unreadable(ending)) => return Err(refused(serving, ending)),
            Ok(FromClient::HalfClosed) => {
                return Err(refused(serving, Ending::Failed(invalid("The stream has no message."))));
            }
            Ok(FromClient::Gone(_)) => return Err(Ending::Clean),
            Err(_) => return Err(Ending::Broken(serving.script().ces.idle)),
        };
        let opened =
            checked(serving, &stream_request, *first).map_err(|status| refused(serving, Ending::Failed(status)))?;
        if let Some(broken) = serving.break_at_config(&stream_request) {
            return Err(Ending::Broken(broken));
        }
        restore(serving, &opened);
        let now = Instant::now();
        let entry = serving.streams().begin(&opened.id, record_of(&opened, stream_request));
        Ok(Self {
            live: Live::new(serving.clone(), opened.clone(), now),
            behaviour: serving.script().ces.clone(),
            opened,
            entry,
            began: now,
            last_audio: now,
            idle_at: now + timeout,
            variables_at: Vec::new(),
        })
    }

    /// Serves the stream to its end.
    pub(super) async fn run(mut self, inbox: &mut Inbox, outbox: mpsc::Sender<Outgoing>) {
        let mut is_open = true;
        while self.pass_on(&outbox).await.is_ok() {
            let wake = self.live.wake().map_or(self.idle_at, |wake| wake.min(self.idle_at));
            let taken = tokio::select! {
                biased;
                message = inbox.next(), if is_open => match message {
                    FromClient::Gone(code) => {
                        self.gone(code);
                        break;
                    }
                    FromClient::HalfClosed => {
                        is_open = false;
                        self.half_closed().map_err(Ending::Failed)
                    }
                    FromClient::Unreadable(ending) => Err(ending),
                    FromClient::Message(message) => self.message(*message).map_err(Ending::Failed),
                },
                () = sleep_until(wake) => self.due().map_err(Ending::Failed),
                () = outbox.closed() => {
                    self.gone(None);
                    break;
                }
            };
            if let Err(ending) = taken {
                self.entry.change(|stream| stream.refused = Some(describe(&ending)));
                // The error does not matter: a client that stopped reading learns nothing.
                let _ = self.pass_on(&outbox).await;
                let _ = outbox.send(Outgoing::End(ending)).await;
                break;
            }
        }
        self.note_gap(Instant::now());
    }

    /// Sends the pending messages; an error if the stream ends here.
    async fn pass_on(&mut self, outbox: &mpsc::Sender<Outgoing>) -> Result<(), Left> {
        for message in self.live.take_messages() {
            self.note_sent(&message);
            outbox.send(Outgoing::Message(Box::new(message))).await.map_err(|_| Left)?;
        }
        if let Some(ending) = self.live.take_ending() {
            let _ = outbox.send(Outgoing::End(ending)).await;
            return Err(Left);
        }
        Ok(())
    }

    fn message(&mut self, message: ces::BidiSessionClientMessage) -> Result<(), Status> {
        let input = input(message, &self.opened, &self.behaviour)?;
        let now = Instant::now();
        if !self.live.has_ended() {
            self.idle_at = now + Duration::from_millis(self.behaviour.idle_ms);
        }
        self.note_input(&input, now);
        self.live.take(input, now)
    }

    fn half_closed(&mut self) -> Result<(), Status> {
        let now = Instant::now();
        self.entry.change(|stream| stream.half_closed = true);
        self.live.half_close(now)
    }

    fn due(&mut self) -> Result<(), Status> {
        let now = Instant::now();
        if now >= self.idle_at {
            self.idle_at = now + Duration::from_millis(self.behaviour.idle_ms);
            self.live.break_stream(self.behaviour.idle, now);
            return Ok(());
        }
        self.live.run(now)
    }

    fn gone(&mut self, code: Option<u16>) {
        self.entry.change(|stream| {
            stream.closed = code;
            stream.broke_off = code.is_none() && !stream.half_closed;
        });
    }

    fn note_input(&mut self, input: &Input, now: Instant) {
        let at_ms = self.ms_until(now);
        let has_ended = self.live.has_ended();
        match input {
            Input::Audio(audio) if has_ended => self.entry.change(|stream| stream.ignored_audio += audio.len()),
            Input::Audio(audio) => {
                self.note_gap(now);
                self.last_audio = now;
                self.entry.change(|stream| {
                    stream.audio.extend_from_slice(audio);
                    stream.messages.push(audio.len());
                });
            }
            Input::Text { text, .. } => {
                self.note_kick_start(now);
                self.note_text("text", text, at_ms);
            }
            Input::Event(name) => {
                self.note_kick_start(now);
                self.note_text("event", name, at_ms);
            }
            Input::Digits(digits) => self.note_text("dtmf", digits, at_ms),
            Input::Variables(variables) => {
                self.variables_at.push(now);
                self.entry.change(|stream| stream.variables.push(variables.clone()));
            }
            Input::ToolResponses(answers) => self.entry.change(|stream| {
                stream.tool_answers.extend(answers.iter().map(|answer| ToolAnswer {
                    id: answer.id.clone(),
                    tool: answer.tool.clone(),
                    response: answer.response.clone(),
                }));
            }),
        }
    }

    /// Records which variables the app has taken by now.
    fn note_kick_start(&self, now: Instant) {
        let takes = Duration::from_millis(self.behaviour.variables_ms);
        let taken = self.variables_at.iter().filter(|at| **at + takes <= now).count();
        self.entry.change(|stream| {
            let variables = stream
                .variables
                .iter()
                .take(taken)
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            stream.known_at_kick_start.get_or_insert(variables);
        });
    }

    fn note_text(&self, kind: &'static str, text: &str, at_ms: u64) {
        self.entry.change(|stream| stream.inputs.push(InputRecord { kind, text: text.to_owned(), at_ms }));
    }

    /// Records a pause in the audio that is too long. A text session has none, nor has a session after its end.
    fn note_gap(&self, now: Instant) {
        let ms = u64::try_from((now - self.last_audio).as_millis()).unwrap_or(u64::MAX);
        if ms > GAP_MS && self.opened.input.is_some() && !self.live.has_ended() {
            let at_ms = self.ms_until(self.last_audio);
            self.entry.change(|stream| stream.gaps.push(Gap { at_ms, ms }));
        }
    }

    fn note_sent(&self, message: &ces::BidiSessionServerMessage) {
        self.entry.change(|stream| match &message.message_type {
            Some(MessageType::SessionOutput(output)) => {
                stream.turns_completed += usize::from(output.turn_completed);
                stream.end_session |= matches!(output.output_type, Some(OutputType::EndSession(_)));
            }
            Some(MessageType::InterruptionSignal(signal)) => stream.interruptions.push(signal.barge_in),
            Some(MessageType::EndSession(_)) => stream.end_session = true,
            Some(MessageType::GoAway(_)) => stream.go_away = true,
            Some(MessageType::RecognitionResult(_)) | None => {}
        });
    }

    fn ms_until(&self, then: Instant) -> u64 {
        u64::try_from((then - self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Checks the first message, also against the path.
fn checked(
    serving: &Serving,
    stream_request: &StreamRequest,
    first: ces::BidiSessionClientMessage,
) -> Result<Opened, Status> {
    let opened = opened(first, &serving.script().ces)?;
    if stream_request.location.as_ref().is_some_and(|location| *location != opened.location) {
        return Err(invalid("Invalid value at 'config.session': its location is not that of the path."));
    }
    if serving.script().ces.after_end == AfterEnd::Refused && serving.state.has_ended(&opened.name) {
        return Err(Status::failed_precondition("The session has ended."));
    }
    Ok(opened)
}

/// Finds the session's place in the script: where it was, where its history ends, or the beginning.
fn restore(serving: &Serving, opened: &Opened) {
    let behaviour = &serving.script().ces;
    let (session, conversations) = (&opened.name, &serving.sessions.conversations);
    if serving.state.take_break(session) && behaviour.sessions == SessionState::Lost {
        conversations.forget(session);
        serving.state.forget(session);
    }
    if behaviour.history == History::Taken && !opened.history.is_empty() {
        let said = opened.history.iter().filter(|message| message.role == Role::User).count();
        conversations.go_on_after(session, said);
    }
}

fn refused(serving: &Serving, ending: Ending) -> Ending {
    serving.streams().refuse(&describe(&ending));
    ending
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Failed(status) => status.message().to_owned(),
        Ending::Clean | Ending::Broken(_) => format!("{ending:?}"),
    }
}

fn record_of(opened: &Opened, stream_request: StreamRequest) -> StreamRecord {
    StreamRecord {
        transport: stream_request.transport,
        session: opened.name.clone(),
        deployment: opened.deployment.clone(),
        time_zone: opened.time_zone.clone(),
        noise_suppression: opened.noise_suppression.clone(),
        input: opened.input,
        output: opened.output,
        payload: opened.payload.clone(),
        end_user: opened.end_user.clone(),
        history: opened.history.clone(),
        user_project: stream_request.user_project,
        has_token: stream_request.has_token,
        ..StreamRecord::default()
    }
}
