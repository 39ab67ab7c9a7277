//! One detect-intent turn, in any dialect: how it begins and ends. How it listens and answers is in `listening` and
//! `answering`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::agent::conversation::{Conversations, OutOfPlace, Said};
use crate::agent::dialect::{Dialect, Opened, Opening, invalid};
use crate::agent::record::{Record, TurnEntry, TurnRecord};
use crate::agent::script::{Closes, Fault, Script};
use crate::agent::server::WasReset;

/// How many responses wait for a client that does not read.
const RESPONSE_QUEUE: usize = 16;

pub(super) type Reader<D> = Streaming<<D as Dialect>::Request>;
pub(super) type Writer<D> = mpsc::Sender<Result<<D as Dialect>::Response, Status>>;

/// What all turns of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    pub(super) script: Arc<Script>,
    pub(super) conversations: Conversations,
    pub(super) record: Record,
    /// How many responses there were.
    pub(super) responses: Arc<AtomicU64>,
}

impl Sessions {
    /// An id that no other response of this agent has.
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
            let was_reset = request.extensions().get::<WasReset>().cloned().unwrap_or_default();
            let mut reader = request.into_inner();
            let first = reader.message().await?.ok_or_else(|| invalid("the stream has no message"))?;
            let turn = Turn::open(sessions, D::open(first)?, was_reset)?;
            let (writer, responses) = mpsc::channel(RESPONSE_QUEUE);
            // The task ends with the stream: when the client reads no more, sending fails.
            tokio::spawn(async move {
                if let Err(status) = turn.run::<D>(reader, &writer).await {
                    let _ = writer.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(responses)))
        })
    }
}

/// A turn that has been opened.
pub(super) struct Turn {
    pub(super) sessions: Sessions,
    pub(super) opened: Opened,
    pub(super) entry: TurnEntry,
    pub(super) was_reset: WasReset,
}

impl Turn {
    fn open(sessions: Sessions, opened: Opened, was_reset: WasReset) -> Result<Self, Status> {
        let entry = sessions.record.begin(&opened.session, record_of(&opened));
        let said = match &opened.input {
            Opening::Listen(_) => None,
            Opening::Said(said) => Some(said),
        };
        sessions.conversations.check(&opened.name, said).map_err(out_of_place)?;
        Ok(Self { sessions, opened, entry, was_reset })
    }

    async fn run<D: Dialect>(mut self, mut reader: Reader<D>, writer: &Writer<D>) -> Result<(), Status> {
        let said = match self.opened.input.clone() {
            Opening::Listen(listening) => match self.listen::<D>(listening, &mut reader, writer).await? {
                Some(said) => said,
                None => return Ok(()),
            },
            Opening::Said(said) => said,
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
        asked: opened.asked.clone(),
        ..TurnRecord::default()
    };
    match &opened.input {
        Opening::Listen(listening) => {
            record.input = "audio";
            record.barge_in = listening.barge_in;
            record.word_info = listening.word_info;
        }
        Opening::Said(Said::Text(text)) => (record.input, record.text) = ("text", text.clone()),
        Opening::Said(Said::Event { name, .. }) => (record.input, record.text) = ("event", name.clone()),
        Opening::Said(Said::Digits { digits, finish }) => {
            (record.input, record.text, record.finish) = ("dtmf", digits.clone(), finish.clone());
        }
        Opening::Said(Said::ToolResult { call, is_error }) => {
            (record.input, record.text, record.is_error) = ("tool_call_result", call.tool.clone(), *is_error);
        }
        Opening::Said(Said::Utterance { .. } | Said::Nothing) => record.input = "other",
    }
    record
}

/// What a stream fails with by the script.
pub(super) fn failure(fault: Fault) -> Status {
    Status::new(fault.code(), "the script has this turn fail")
}

/// Sends a response; an error when the client has gone.
pub(super) async fn send<D: Dialect>(writer: &Writer<D>, response: D::Response) -> Result<(), Status> {
    writer.send(Ok(response)).await.map_err(|_| Status::cancelled("the client has gone"))
}
