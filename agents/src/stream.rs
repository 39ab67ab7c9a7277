//! Streams to a Dialogflow agent: one `StreamingDetectIntent` for each turn, in the messages of its edition.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialbridge_core::agent::{AgentFault, TurnStart};
use dialbridge_core::{AgentEvent, StreamId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::auth::Auth;
use crate::channels::{Channels, Lease};
use crate::fault::fault;
use crate::grpc_stream::{PendingResponse, Receiver, Sender, begin, head};
use crate::message_room::MessageRoom;
use crate::pipe::{InputPipe, ResetOnDrop, Sink, StreamInput};
use crate::session::SessionContext;

/// The messages of an edition and their conversion to core's events.
pub(super) trait Dialect: Send + Sync + 'static {
    /// The path of the method.
    const METHOD: &'static str;
    /// The messages that we send.
    type Request: prost::Message + Default + Send + 'static;
    /// The messages that we receive.
    type Response: prost::Message + Default + Send + 'static;

    /// The first message of a turn.
    fn first(context: &SessionContext, start: &TurnStart) -> Self::Request;
    /// A later message: audio, mu-law at 8,000 Hz.
    fn audio(audio: Bytes) -> Self::Request;
    /// The events of a message, in order.
    fn events(response: Self::Response) -> Vec<AgentEvent>;
}

/// Opens gRPC streams of any edition.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) channels: Channels,
    pub(super) auth: Auth,
    pub(super) room: MessageRoom,
}

/// A turn's stream, whose input goes from the pipe to the agent. Dropping it frees its place in the pool.
pub(super) struct TurnStream<D: Dialect> {
    pub(super) received: Receiver<D::Response>,
    pipe: Arc<InputPipe>,
    _lease: Lease,
}

/// A stream that core has opened, and where its events go.
pub(super) struct OpenedStream {
    pub(super) id: StreamId,
    pub(super) start: TurnStart,
    pub(super) pipe: Arc<InputPipe>,
    pub(super) events: mpsc::Sender<(StreamId, AgentEvent)>,
}

impl OpenedStream {
    /// Reports how a stream ended. `began` is when it was opened with its token.
    pub(super) async fn send_end(&self, ended: Result<(), AgentFault>, auth: &Auth, began: Instant) {
        let last = match ended {
            Ok(()) => AgentEvent::Ended,
            Err(mut fault) => {
                fault.transient |= match fault.code.as_str() {
                    // Google refused the token early: another one may work.
                    "UNAUTHENTICATED" => auth.refresh(began),
                    "PERMISSION_DENIED" => auth.drop_user_project(began, &fault.message),
                    _ => false,
                };
                AgentEvent::Failed(fault)
            }
        };
        // If nobody listens, the call is over.
        let _ = self.events.send((self.id, last)).await;
    }
}

impl Streams {
    /// Runs a stream to its end and reports what the agent says. Dropping it resets the stream.
    pub(super) async fn run<D: Dialect>(self, context: SessionContext, opened: OpenedStream) {
        let began = Instant::now();
        let ended = self.stream::<D>(&context, &opened).await;
        opened.send_end(ended, &self.auth, began).await;
    }

    /// Begins a request to a method on a connection with a place for it.
    pub(super) async fn begin(
        &self,
        method: &'static str,
        metadata: MetadataMap,
    ) -> Result<(Lease, Sender, PendingResponse), AgentFault> {
        let lease = self.channels.lease();
        let requests = lease.connection.ready().await?;
        let url = lease.connection.url_of(method);
        let (sender, response) = begin(requests, url, metadata, self.room.clone())?;
        Ok((lease, sender, response))
    }

    /// Opens a turn's stream that sends what `pipe` gets. The caller holds a [`ResetOnDrop`] of the pipe.
    pub(super) async fn open<D: Dialect>(
        &self,
        context: &SessionContext,
        start: &TurnStart,
        pipe: &Arc<InputPipe>,
    ) -> Result<TurnStream<D>, AgentFault> {
        let mut metadata = MetadataMap::new();
        self.auth.headers(&mut metadata).await.map_err(|error| AgentFault {
            code: "UNAUTHENTICATED".to_owned(),
            message: error.to_string(),
            transient: true,
        })?;
        let (lease, mut sender, response) = self.begin(D::METHOD, metadata).await?;
        sender.send(&D::first(context, start));
        let mut sink = Some(TurnSink::<D> { sender, dialect: PhantomData });
        let received = head(response, |cx| match sink.take() {
            Some(sink) => pipe.send_through(sink, cx),
            None => pipe.send_waiting(cx),
        });
        Ok(TurnStream { received: received.await?, pipe: pipe.clone(), _lease: lease })
    }

    async fn stream<D: Dialect>(&self, context: &SessionContext, opened: &OpenedStream) -> Result<(), AgentFault> {
        let _reset = ResetOnDrop(opened.pipe.clone());
        let mut turn = self.open::<D>(context, &opened.start, &opened.pipe).await?;
        // A response takes some kilobytes, and this future would hold that space for as long as the stream is open.
        let mut next = async || poll_fn(|cx| turn.poll_events(cx)).await.transpose();
        while let Some(events) = next().await.map_err(|status| fault(&status))? {
            for event in events {
                if opened.events.send((opened.id, event)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl<D: Dialect> TurnStream<D> {
    /// The agent's next message. Sends what has waited for room, too; a task that does not poll this leaves that to the next
    /// frame.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<D::Response, Status>>> {
        self.pipe.send_waiting(cx);
        self.received.poll_next(cx)
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<AgentEvent>, Status>>> {
        self.poll_next(cx).map_ok(|response| {
            let mut events = D::events(response);
            self.received.taken.give_to(&mut events);
            events
        })
    }
}

/// Sends a turn's input after its first message. The end of the pipe half-closes the stream.
struct TurnSink<D> {
    sender: Sender,
    dialect: PhantomData<D>,
}

impl<D> fmt::Debug for TurnSink<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnSink")
    }
}

impl<D: Dialect> Sink for TurnSink<D> {
    fn poll_room(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<bool> {
        self.sender.poll_room(bytes, cx)
    }

    fn send(&mut self, input: StreamInput) {
        match input {
            StreamInput::Audio(audio) => self.sender.send(&D::audio(audio)),
            // A stream for one turn has its other input in its first message.
            StreamInput::Input(_) | StreamInput::Parameters(_) => {}
        }
    }

    fn end(&mut self) {
        self.sender.end();
    }
}

#[cfg(test)]
mod tests;
