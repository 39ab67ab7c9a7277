//! Streams to a Dialogflow agent: one `StreamingDetectIntent` for each turn, in the messages of its edition.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialbridge_core::agent::{AgentFault, TurnStart};
use dialbridge_core::{AgentEvent, StreamId};
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Streaming;
use tonic::metadata::MetadataMap;

use crate::auth::Auth;
use crate::channels::{Channels, Lease};
use crate::fault::fault;
use crate::message_room::{MessageRoom, Taken};
use crate::pipe::{InputPipe, StreamInput};
use crate::reset::{ResetOnDrop, open};
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

    /// Opens a stream that sends what `pipe` gets. It keeps its place in the pool for as long as the lease lives.
    pub(super) async fn open<D: Dialect>(
        &self,
        context: &SessionContext,
        start: &TurnStart,
        pipe: &Arc<InputPipe>,
    ) -> Result<(Lease, Streaming<D::Response>, Taken), AgentFault> {
        let mut metadata = MetadataMap::new();
        self.auth.headers(&mut metadata).await.map_err(|error| AgentFault {
            code: "UNAUTHENTICATED".to_owned(),
            message: error.to_string(),
            transient: true,
        })?;
        let lease = self.channels.lease();
        let first = Some(D::first(context, start));
        let requests = Requests::<D> { first, pipe: pipe.clone(), dialect: PhantomData };
        let responses =
            open(lease.channel.clone(), D::METHOD, metadata, requests, pipe.clone(), self.room.clone()).await;
        let (responses, taken) = responses.map_err(|status| fault(&status))?;
        Ok((lease, responses, taken))
    }

    async fn stream<D: Dialect>(&self, context: &SessionContext, opened: &OpenedStream) -> Result<(), AgentFault> {
        let _reset = ResetOnDrop(opened.pipe.clone());
        let (_lease, mut responses, taken) = self.open::<D>(context, &opened.start, &opened.pipe).await?;
        // A response takes some kilobytes, and this future would hold that space for as long as the stream is open.
        let mut next =
            async || poll_fn(|cx| Pin::new(&mut responses).poll_next(cx).map_ok(D::events)).await.transpose();
        while let Some(mut events) = next().await.map_err(|status| fault(&status))? {
            taken.give_to(&mut events);
            for event in events {
                if opened.events.send((opened.id, event)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The messages of a turn: the first one, then audio as it comes. The end of the pipe half-closes the stream.
struct Requests<D: Dialect> {
    first: Option<D::Request>,
    pipe: Arc<InputPipe>,
    dialect: PhantomData<D>,
}

// Nothing in it is pinned.
impl<D: Dialect> Unpin for Requests<D> {}

impl<D: Dialect> Stream for Requests<D> {
    type Item = D::Request;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        loop {
            let input = match self.pipe.poll_read(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(input) => input,
            };
            match input {
                None => return Poll::Ready(None),
                Some(StreamInput::Audio(audio)) => return Poll::Ready(Some(D::audio(audio))),
                // A stream for one turn has its other input in its first message.
                Some(StreamInput::Input(_) | StreamInput::Parameters(_)) => {}
            }
        }
    }
}
