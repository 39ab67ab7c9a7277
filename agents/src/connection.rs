//! A connection to Google's endpoint that carries gRPC streams.
//!
//! A call sends its frames into h2 itself. hyper's client and tonic's channel would put a task between the call and the
//! connection, and that task would wake for each frame.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::agent::AgentFault;
use dialbridge_net::dial::Opened;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use http::Uri;
use http::uri::PathAndQuery;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::fault::fault;
use crate::grpc_stream::status_of;
use crate::target::{CONNECT_TIMEOUT, Target, not_in_time};

/// How often we ping an open connection, even without calls. gRPC servers allow one ping in five minutes without
/// streams; with streams, Google allows more.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long the answer to a ping may take. After that the connection is dead and its streams fail.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2's window of a stream, in bytes. Five seconds of LINEAR16 at 24,000 Hz fit into it and do not wait for a round
/// trip. A larger one delays other calls' frames: what fifty streams have received is read at once. The window of a
/// connection has room for those of all its streams, so a stream whose message waits for room holds up no other.
const STREAM_WINDOW: u32 = 256 << 10;

/// HTTP/2's largest window, in bytes (RFC 9113, section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// How many streams we open before the server has told how many it takes.
const FIRST_STREAMS: usize = 100;

/// The longest headers that we accept, in bytes.
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(super) struct Connector {
    target: Target,
    http2: Builder,
    /// The tasks that drive the connections. They end with the connector.
    tasks: Mutex<JoinSet<()>>,
}

impl Connector {
    /// Opens connections for `max_streams` streams each.
    pub(super) fn new(target: Target, max_streams: usize) -> Self {
        let connection_window = u32::try_from(max_streams).unwrap_or(u32::MAX).saturating_mul(STREAM_WINDOW);
        let mut http2 = Builder::new();
        http2
            .enable_push(false)
            .initial_max_send_streams(FIRST_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window.min(MAX_WINDOW));
        Self { target, http2, tasks: Mutex::default() }
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, AgentFault> {
        let connection = Opened(self.target.connect().await?);
        // It only writes our settings; the server's may come later.
        let opened = self.http2.handshake(connection).await;
        let (requests, connection) = opened.map_err(|error| fault(&status_of(error)))?;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(drive(connection));
        Ok(requests)
    }
}

/// Reads and writes until the connection has ended or is dead.
async fn drive(mut connection: h2::client::Connection<Opened, Bytes>) {
    let pings = connection.ping_pong();
    tokio::select! {
        biased;
        // Its streams are told how it ended.
        _ = connection => {}
        () = unanswered(pings) => {}
    }
}

/// Pings, and returns when a ping is not answered.
async fn unanswered(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(KEEP_ALIVE).await;
        if !matches!(timeout(KEEP_ALIVE_TIMEOUT, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// A connection that opens when a stream needs it.
///
/// After GOAWAY it takes no new streams. Then another one is opened in its place, and the streams on the old one run to
/// their end.
#[derive(Debug)]
pub(super) struct Connection {
    connector: Arc<Connector>,
    state: AsyncMutex<State>,
}

#[derive(Debug)]
enum State {
    /// No stream has needed it yet.
    New,
    Open(SendRequest<Bytes>),
    /// The last attempt to open it failed at that moment.
    Failed(Instant, AgentFault),
}

impl Connection {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, state: AsyncMutex::new(State::New) }
    }

    /// The URL of a method at the endpoint.
    pub(super) fn url_of(&self, method: &'static str) -> Uri {
        self.connector.target.url_of(PathAndQuery::from_static(method))
    }

    /// Waits until it takes a stream, but no longer than opening it may take.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) async fn ready(&self) -> Result<SendRequest<Bytes>, AgentFault> {
        let asked = Instant::now();
        // Another one may be opening it, and may give up in the middle.
        timeout_at(asked + CONNECT_TIMEOUT, self.opened(asked)).await.unwrap_or_else(|_| Err(not_in_time()))
    }

    /// All who wait for the same attempt to open it learn how that ended.
    async fn opened(&self, asked: Instant) -> Result<SendRequest<Bytes>, AgentFault> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(requests) => {
                if let Ok(ready) = requests.clone().ready().await {
                    return Ok(ready);
                }
            }
            State::Failed(at, fault) if *at > asked => return Err(fault.clone()),
            State::New | State::Failed(..) => {}
        }
        let opened = self.connector.connect().await;
        *state = match &opened {
            Ok(requests) => State::Open(requests.clone()),
            Err(fault) => State::Failed(Instant::now(), fault.clone()),
        };
        opened
    }
}
