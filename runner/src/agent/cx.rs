//! One turn with a CX agent: a `StreamingDetectIntent` of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dialbridge_core::agent::{AgentFault, TurnStart};
use dialbridge_core::{AgentEvent, TurnId};
use futures_core::Stream;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use cx::sessions_client::SessionsClient;

use super::SessionContext;
use super::auth::Auth;
use super::channels::Channels;
use super::cx_convert::{audio_request, event, fault, first_request};
use super::pipe::AudioPipe;
use super::reset::{ResetOnDrop, Resettable};

/// The largest answer that is taken, in bytes: tonic's own bound of 4 MiB is less than a long prompt in LINEAR16.
const MOST_BYTES: usize = 32 << 20;

/// A CX agent.
#[derive(Debug, Clone)]
pub(super) struct CxAgent {
    channels: Channels,
    auth: Auth,
}

impl CxAgent {
    pub(super) fn new(channels: Channels, auth: Auth) -> Self {
        Self { channels, auth }
    }

    pub(super) async fn warm_up(&self) -> io::Result<()> {
        self.auth.warm_up().await.map_err(io::Error::other)?;
        self.channels.warm_up().await.map_err(io::Error::other)
    }

    /// Runs a turn to its end and tells what the agent says. Dropping it resets the stream.
    pub(super) async fn run_turn(
        self,
        context: SessionContext,
        turn: TurnId,
        start: TurnStart,
        pipe: Arc<AudioPipe>,
        events: mpsc::Sender<(TurnId, AgentEvent)>,
    ) {
        let last = match self.stream(&context, turn, &start, pipe, &events).await {
            Ok(()) => AgentEvent::Ended,
            Err(fault) => AgentEvent::Failed(fault),
        };
        // When nobody listens any more, the call is over.
        let _ = events.send((turn, last)).await;
    }

    async fn stream(
        &self,
        context: &SessionContext,
        turn: TurnId,
        start: &TurnStart,
        pipe: Arc<AudioPipe>,
        events: &mpsc::Sender<(TurnId, AgentEvent)>,
    ) -> Result<(), AgentFault> {
        let mut metadata = MetadataMap::new();
        self.auth.headers(&mut metadata).await.map_err(|error| AgentFault {
            code: "UNAUTHENTICATED".to_owned(),
            message: error.to_string(),
            transient: true,
        })?;
        let lease = self.channels.lease();
        let connection = Resettable { channel: lease.channel.clone(), pipe: pipe.clone() };
        let mut client = SessionsClient::new(connection).max_decoding_message_size(MOST_BYTES);
        let _reset = ResetOnDrop(pipe.clone());
        let mut request = Request::new(Requests { first: Some(first_request(context, start)), pipe });
        *request.metadata_mut() = metadata;
        let of = |status: Status| fault(&status);
        let mut responses = client.streaming_detect_intent(request).await.map_err(of)?.into_inner();
        while let Some(response) = responses.message().await.map_err(of)? {
            if let Some(event) = event(response)
                && events.send((turn, event)).await.is_err()
            {
                break;
            }
        }
        Ok(())
    }
}

/// The messages of a turn: the first one, then audio as it comes; it ends with the pipe, which half-closes the stream.
struct Requests {
    first: Option<cx::StreamingDetectIntentRequest>,
    pipe: Arc<AudioPipe>,
}

impl Stream for Requests {
    type Item = cx::StreamingDetectIntentRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        self.pipe.poll_read(cx).map(|audio| audio.map(audio_request))
    }
}
