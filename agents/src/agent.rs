//! An endpoint of Google, and the streams that we open there.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::agent::{AgentFault, TurnStart};
use dialbridge_core::{AgentEvent, StreamId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::address::{CesTransport, Endpoint, EsApi, Product};
use crate::auth::{Auth, AuthError};
use crate::ces::{self, Carrier, WebSockets};
use crate::channels::Channels;
use crate::connection::Connector;
use crate::cx_convert::Cx;
use crate::endpointing::{self, Endpointing};
use crate::es_convert::Es;
use crate::message_room::MessageRoom;
use crate::pipe::{InputPipe, PipeFull, StreamInput};
use crate::session::SessionContext;
use crate::stream::{OpenedStream, Streams};
use crate::target::{InvalidTarget, Target};
use dialbridge_net::dial::Dial;

/// How many events of one call can wait to be handled. When the queue is full, the call's streams wait.
pub const EVENT_QUEUE: usize = 64;

/// How long a stream may stay open after its answer. Google closes it at once, or after our half-close.
const LINGER: Duration = Duration::from_secs(5);

/// An endpoint of Google with its credentials. All agents at the endpoint share its connections.
#[derive(Debug, Clone)]
pub struct Agent {
    endpoint: Arc<str>,
    streams: Streams,
    /// Opens CES's WebSockets; `None` if the endpoint has none.
    sockets: Option<WebSockets>,
}

/// The future that a stream awaits before it opens.
pub type OpenPermit = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The protocol of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// gRPC.
    Grpc,
    /// WebSockets, for CES.
    WebSocket,
}

impl Link {
    /// The protocol of a product's agents.
    #[must_use]
    pub fn to(product: Product) -> Self {
        match product {
            Product::Cx | Product::Es(_) | Product::Ces(CesTransport::Grpc) => Self::Grpc,
            Product::Ces(CesTransport::WebSocket) => Self::WebSocket,
        }
    }
}

impl Agent {
    /// Creates an endpoint without connecting it. Must run inside tokio, because it starts to fetch tokens.
    /// `credentials` is a credentials file; without one, Google's default credentials are used. A plaintext endpoint
    /// gets no credentials. `max_streams` streams share a connection, and all agents share `room`.
    ///
    /// # Errors
    /// [`AgentError`] if there are no usable credentials or the endpoint cannot be used.
    pub fn new(
        endpoint: &Endpoint,
        link: Link,
        credentials: Option<&Path>,
        dial: Arc<dyn Dial>,
        max_streams: usize,
        room: MessageRoom,
    ) -> Result<Self, AgentError> {
        let auth = match endpoint.is_plaintext {
            true => Auth::none(),
            false => Auth::google(credentials).map_err(AgentError::Auth)?,
        };
        let sockets = match link {
            Link::Grpc => None,
            Link::WebSocket => {
                Some(WebSockets::new(endpoint, auth.clone(), dial.clone()).map_err(AgentError::Endpoint)?)
            }
        };
        let target = Target::http2(endpoint, dial).map_err(AgentError::Endpoint)?;
        let channels = Channels::new(Connector::new(target, max_streams), max_streams);
        Ok(Self { endpoint: endpoint.url.as_str().into(), streams: Streams { channels, auth, room }, sockets })
    }

    /// The endpoint's URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The credentials, for requests to other Google APIs.
    #[must_use]
    pub fn auth(&self) -> Auth {
        self.streams.auth.clone()
    }

    /// Opens a connection and fetches a token before the first call.
    ///
    /// # Errors
    /// Why the agent cannot be reached.
    pub async fn warm_up(&self) -> io::Result<()> {
        self.streams.auth.warm_up().await.map_err(io::Error::other)?;
        match &self.sockets {
            None => self.streams.channels.warm_up().await,
            Some(sockets) => sockets.warm_up().await,
        }
        .map_err(|fault| io::Error::other(fault.to_string()))
    }

    /// The number of connections, and of streams on all of them.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.streams.channels.load()
    }

    /// Closes connections that are not needed, for as long as it is polled.
    pub async fn maintain(self) {
        self.streams.channels.maintain().await;
    }

    /// Opens a stream and sends its events over `events`. The stream ends with its task, which `tasks` owns.
    pub fn open<T: From<()> + Send + 'static>(
        &self,
        context: &SessionContext,
        id: StreamId,
        start: &TurnStart,
        events: mpsc::Sender<(StreamId, AgentEvent)>,
        tasks: &mut JoinSet<T>,
    ) -> StreamHandle {
        self.open_after(None, context, id, start, events, tasks)
    }

    /// As [`open`](Self::open), but first awaits `permit`. The caller's audio waits with it.
    pub fn open_after<T: From<()> + Send + 'static>(
        &self,
        permit: Option<OpenPermit>,
        context: &SessionContext,
        id: StreamId,
        start: &TurnStart,
        events: mpsc::Sender<(StreamId, AgentEvent)>,
        tasks: &mut JoinSet<T>,
    ) -> StreamHandle {
        let pipe = InputPipe::new(context.speech.audio_chunk_ms);
        let opened = OpenedStream { id, start: start.clone(), pipe: pipe.clone(), events };
        let (stream, input) = (self.stream(context.clone(), opened), pipe.clone());
        let task = tasks.spawn(async move {
            if let Some(permit) = permit {
                permit.await;
            }
            lingering(input, stream).await;
            T::from(())
        });
        StreamHandle { pipe, task }
    }

    /// Plays one turn with this audio, mu-law at 8,000 Hz, to an agent of CX, and returns how its recogniser waits for
    /// speech and for its end. `None` if the agent does not tell.
    ///
    /// # Errors
    /// What the agent refuses.
    pub async fn endpointing(&self, context: &SessionContext, audio: &[u8]) -> Result<Option<Endpointing>, AgentFault> {
        endpointing::endpointing(&self.streams, context, audio).await
    }

    /// A stream of the product's, from its opening to its end.
    fn stream(&self, context: SessionContext, opened: OpenedStream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let streams = self.streams.clone();
        match context.product {
            Product::Cx => Box::pin(streams.run::<Cx>(context, opened)),
            Product::Es(EsApi::V2) => Box::pin(streams.run::<Es<false>>(context, opened)),
            Product::Es(EsApi::V2Beta1) => Box::pin(streams.run::<Es<true>>(context, opened)),
            Product::Ces(_) => {
                let auth = streams.auth.clone();
                let carrier = self.sockets.clone().map_or(Carrier::Grpc(streams), Carrier::WebSocket);
                Box::pin(ces::run(carrier, auth, context, opened))
            }
        }
    }
}

/// Runs a stream to its end, but only for a short time after the call left it. The future is boxed: an argument that is
/// awaited would take its space in the task twice.
async fn lingering(pipe: Arc<InputPipe>, mut stream: Pin<Box<dyn Future<Output = ()> + Send>>) {
    tokio::select! {
        () = &mut stream => {}
        () = pipe.left_for(LINGER) => {}
    }
}

/// Why an agent cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum AgentError {
    /// No usable credentials.
    Auth(AuthError),
    /// The endpoint cannot be used.
    Endpoint(InvalidTarget),
}

impl std::fmt::Display for AgentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auth(error) => error.fmt(f),
            Self::Endpoint(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AgentError {}

/// An open stream.
#[derive(Debug)]
pub struct StreamHandle {
    pipe: Arc<InputPipe>,
    task: tokio::task::AbortHandle,
}

impl StreamHandle {
    /// Sends audio.
    ///
    /// # Errors
    /// [`PipeFull`] if the agent has taken no audio for too long.
    pub fn audio(&self, audio: &[u8]) -> Result<(), PipeFull> {
        self.pipe.write(audio)
    }

    /// Sends other input into a stream that lasts for the whole call.
    ///
    /// # Errors
    /// [`PipeFull`] if the agent has taken no input for too long.
    pub fn put(&self, input: StreamInput) -> Result<(), PipeFull> {
        self.pipe.put(input)
    }

    /// Notes whether the caller speaks. While he does, audio that is late is waited for.
    pub fn set_caller_speaks(&self, speaks: bool) {
        self.pipe.set_caller_speaks(speaks);
    }

    /// Half-closes the stream.
    pub fn half_close(&self) {
        self.pipe.close();
    }

    /// Resets the stream.
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// Lets the stream end by itself, within a time limit.
    pub fn leave(&self) {
        self.pipe.leave();
    }
}
