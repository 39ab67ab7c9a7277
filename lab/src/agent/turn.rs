//! One detect-intent turn, in any dialect: its beginning and its end. `listening` and `answering` do the rest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use h2::Reason;
use http::{Extensions, Request};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::agent::connection::{ConnectionHandle, Outage};
use crate::agent::conversation::{CallerInput, Conversations, OutOfPlace};
use crate::agent::dialect::{Dialect, Opened, Opening, invalid};
use crate::agent::record::{Record, TurnEntry, TurnRecord};
use crate::agent::reset::Reset;
use crate::agent::script::{Closes, Fault, FaultAt, Reply, Script};
use crate::agent::was_reset::WasReset;

/// How many responses may wait for a client that does not read.
const RESPONSE_QUEUE: usize = 16;

/// How long nobody can connect if the script does not say.
const DOWN: Duration = Duration::from_secs(2);

pub(super) type Reader<D> = Streaming<<D as Dialect>::Request>;
pub(super) type Writer<D> = mpsc::Sender<Result<<D as Dialect>::Response, Status>>;

/// What all turns of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    pub(super) script: Arc<Script>,
    pub(super) conversations: Conversations,
    pub(super) record: Record,
    /// The number of responses so far.
    pub(super) responses: Arc<AtomicU64>,
    /// The outage, in which nobody can connect.
    pub(super) outage: Outage,
}

impl Sessions {
    /// An id that is unique among this agent's responses.
    pub(super) fn next_response_id(&self) -> String {
        format!("lab-{}", self.responses.fetch_add(1, Ordering::Relaxed))
    }
}

/// Answers one request to the service of a dialect.
pub(super) async fn answer<D: Dialect>(
    sessions: Sessions,
    method: &str,
    request: Request<Body>,
) -> http::Response<Body> {
    match method {
        "StreamingDetectIntent" => {
            let streams = Streams::<D>(sessions, std::marker::PhantomData);
            Grpc::new(ProstCodec::default()).streaming(streams, request).await
        }
        other => Status::unimplemented(format!("the lab does not serve {other}")).into_http(),
    }
}

struct Streams<D>(Sessions, std::marker::PhantomData<D>);

impl<D: Dialect> StreamingService<D::Request> for Streams<D> {
    type Response = D::Response;
    type ResponseStream = ReceiverStream<Result<D::Response, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Reader<D>>) -> Self::Future {
        let sessions = self.0.clone();
        Box::pin(async move {
            let of = StreamContext::of(request.extensions());
            let mut reader = request.into_inner();
            let first = reader.message().await?.ok_or_else(|| invalid("the stream has no message"))?;
            let turn = ScriptedTurn::open(sessions, D::open(first)?, of)?;
            let (writer, responses) = mpsc::channel(RESPONSE_QUEUE);
            if let Err(failure) = turn.open_as_planned() {
                failure.play(&turn.context, &turn.sessions.outage, std::future::pending()).await?;
                // Its stream was reset, or its connection broke.
                return Err(Status::unavailable("the script has this stream fail"));
            }
            // The task ends with the stream: when the client stops reading, sending fails.
            tokio::spawn(async move {
                let (context, outage) = (turn.context.clone(), turn.sessions.outage.clone());
                if let Err(failure) = turn.run::<D>(reader, &writer).await
                    && let Err(status) = failure.play(&context, &outage, writer.closed()).await
                {
                    let _ = writer.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(responses)))
        })
    }
}

/// The connection of a stream, and how the stream ends.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamContext {
    connection_handle: Option<ConnectionHandle>,
    reset: Reset,
    was_reset: WasReset,
}

impl StreamContext {
    fn of(request: &Extensions) -> Self {
        Self {
            connection_handle: request.get().cloned(),
            reset: request.get().cloned().unwrap_or_default(),
            was_reset: request.get().cloned().unwrap_or_default(),
        }
    }

    /// Whether the client has reset the stream.
    pub(super) fn was_reset(&self) -> bool {
        self.was_reset.get()
    }

    /// Makes the stream's connection refuse further streams.
    pub(super) fn go_away(&self) {
        if let Some(connection_handle) = &self.connection_handle {
            connection_handle.go_away();
        }
    }
}

/// Why a turn ends early.
#[derive(Debug)]
pub(super) enum Failure {
    /// With a status.
    Status(Status),
    /// As the script says, with the length of an outage after it.
    Planned(Fault, Duration),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Failure {
    /// The failure of a script's answer.
    pub(super) fn of(fault: Fault, reply: &Reply) -> Self {
        Self::Planned(fault, reply.down_ms.map_or(DOWN, Duration::from_millis))
    }

    /// Plays the failure; returns the status that the stream ends with, if it has one. `left` completes when the client
    /// has gone.
    async fn play(
        self,
        context: &StreamContext,
        outage: &Outage,
        left: impl Future<Output = ()>,
    ) -> Result<(), Status> {
        match self {
            Self::Status(status) => return Err(status),
            Self::Planned(Fault::Reset, _) => context.reset.with(Reason::INTERNAL_ERROR),
            Self::Planned(Fault::RefusedStream, _) => context.reset.with(Reason::REFUSED_STREAM),
            Self::Planned(Fault::Stall, _) => left.await,
            Self::Planned(Fault::Goaway, _) => context.go_away(),
            Self::Planned(Fault::Cut, _) => {
                if let Some(connection_handle) = &context.connection_handle {
                    connection_handle.cut();
                }
                left.await;
            }
            Self::Planned(Fault::Down, length) => {
                outage.begin(length);
                left.await;
            }
            Self::Planned(fault, _) => return Err(Status::new(fault.code(), "the script has this turn fail")),
        }
        Ok(())
    }
}

/// A turn that has been opened.
pub(super) struct ScriptedTurn {
    pub(super) sessions: Sessions,
    pub(super) opened: Opened,
    pub(super) entry: TurnEntry,
    pub(super) context: StreamContext,
}

impl ScriptedTurn {
    fn open(sessions: Sessions, opened: Opened, context: StreamContext) -> Result<Self, Status> {
        let entry = sessions.record.begin(&opened.session, record_of(&opened));
        let said = match &opened.input {
            Opening::Listen(_) => None,
            Opening::Input(said) => Some(said),
        };
        sessions.conversations.check(&opened.name, said).map_err(out_of_place)?;
        let (page, pages) = (&opened.requested.page, &sessions.script.pages);
        if !page.is_empty() && !pages.is_empty() && !pages.iter().any(|known| page.ends_with(&format!("/{known}"))) {
            return Err(Status::not_found("There is no such page."));
        }
        Ok(Self { sessions, opened, entry, context })
    }

    /// Fails if the script wants the stream to fail at its opening.
    fn open_as_planned(&self) -> Result<(), Failure> {
        let conversations = &self.sessions.conversations;
        let (next, said) = match &self.opened.input {
            Opening::Listen(_) => {
                (conversations.next_utterance(&self.opened.name), CallerInput::Utterance { transcript: String::new() })
            }
            Opening::Input(said) => (conversations.next_answer(&self.opened.name, said), said.clone()),
        };
        let Some(reply) = next.filter(|reply| reply.fault_at == FaultAt::Opening) else { return Ok(()) };
        match reply.fault {
            None => Ok(()),
            Some(Fault::Goaway) => {
                self.context.go_away();
                Ok(())
            }
            Some(fault) => {
                conversations.answer(&self.opened.name, &said);
                Err(Failure::of(fault, &reply))
            }
        }
    }

    async fn run<D: Dialect>(mut self, mut reader: Reader<D>, writer: &Writer<D>) -> Result<(), Failure> {
        let said = match self.opened.input.clone() {
            Opening::Listen(listening) => match self.listen::<D>(listening, &mut reader, writer).await? {
                Some(said) => said,
                None => return Ok(()),
            },
            Opening::Input(said) => said,
        };
        self.answer::<D>(&said, writer).await?;
        if self.sessions.script.closes == Closes::AfterHalfClose {
            while reader.message().await?.is_some() {}
        }
        Ok(())
    }
}

fn out_of_place(why: OutOfPlace) -> Status {
    match why {
        OutOfPlace::ToolResultExpected => {
            Status::failed_precondition("the agent waits for the result of the tool that it asked for")
        }
        OutOfPlace::ToolResultUnasked => invalid("the agent did not ask for the result of that tool"),
    }
}

fn record_of(opened: &Opened) -> TurnRecord {
    let mut record = TurnRecord {
        parameters: opened.parameters.clone(),
        payload: opened.payload.clone(),
        language: opened.language.clone(),
        requested: opened.requested.clone(),
        ..TurnRecord::default()
    };
    match &opened.input {
        Opening::Listen(listening) => {
            record.input = "audio";
            record.barge_in = listening.barge_in;
            record.word_info = listening.word_info;
        }
        Opening::Input(CallerInput::Text(text)) => (record.input, record.text) = ("text", text.clone()),
        Opening::Input(CallerInput::Event { name, .. }) => (record.input, record.text) = ("event", name.clone()),
        Opening::Input(CallerInput::Digits { digits, finish }) => {
            (record.input, record.text, record.finish) = ("dtmf", digits.clone(), finish.clone());
        }
        Opening::Input(CallerInput::ToolResult { call, is_error }) => {
            (record.input, record.text, record.is_error) = ("tool_call_result", call.tool.clone(), *is_error);
        }
        Opening::Input(CallerInput::Utterance { .. } | CallerInput::Nothing) => record.input = "other",
    }
    record
}

/// Sends a response; an error if the client has gone.
pub(super) async fn send<D: Dialect>(writer: &Writer<D>, response: D::Response) -> Result<(), Status> {
    writer.send(Ok(response)).await.map_err(|_| Status::cancelled("the client has gone"))
}
