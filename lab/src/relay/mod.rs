//! A bare relay: what a competent engineer writes in an afternoon with the crates that dialbridge is made of.
//! dialbridge is compared with it, so it is honest work: it locks, copies and waits only where it must.
//!
//! A call is a WebSocket. With Dialogflow CX it has one stream per turn, one after another, and each frame of audio
//! goes on as a message of its own. With an agent of the Customer Engagement Suite it has one stream for the whole
//! call, over gRPC or a WebSocket, and several frames may share a message; when the agent reports an interruption, the
//! relay clears Twilio's queue. The agent's audio goes back as `media` and a mark. The relay has no signature, no
//! ticket, no barge-in of its own, no retry, no resampling and no hand-off: that is what dialbridge is for.

mod ces;
mod channels;
mod cx;
mod twilio;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dialbridge_core::audio::{BYTES_PER_MS, FRAME_BYTES};
use dialbridge_net::websocket::{Upgrade, accept};
use http::header::{CONTENT_TYPE, HOST};
use http::uri::{Authority, Uri};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use channels::Channels;

/// The largest message of the agent, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// Why a call ended early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How the relay speaks to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Dialogflow CX: gRPC, a stream for each turn.
    Cx,
    /// Customer Engagement Suite: one stream for the call, over gRPC.
    CesGrpc,
    /// The same over a WebSocket, a connection for each call.
    CesWebSocket,
}

/// The relay.
#[derive(Debug)]
pub struct Relay {
    agent: Agent,
    /// How many bytes of the caller's audio make a message to a CES agent.
    message_bytes: usize,
}

#[derive(Debug)]
enum Agent {
    Cx(Channels),
    CesGrpc(Channels),
    CesWebSocket(Authority),
}

impl Relay {
    /// A relay to the agent at that URL, plaintext.
    ///
    /// # Errors
    /// If it is not a URL.
    pub fn new(protocol: Protocol, agent_url: &str) -> Result<Self, Failure> {
        let agent = match protocol {
            Protocol::Cx => Agent::Cx(Channels::new(agent_url)?),
            Protocol::CesGrpc => Agent::CesGrpc(Channels::new(agent_url)?),
            Protocol::CesWebSocket => {
                let authority = agent_url.parse::<Uri>()?.into_parts().authority;
                Agent::CesWebSocket(authority.ok_or("it names no host")?)
            }
        };
        Ok(Self { agent, message_bytes: FRAME_BYTES })
    }

    /// Collects this many milliseconds of audio in each message to a CES agent; without it each frame is a message.
    #[must_use]
    pub fn with_message_ms(self, message_ms: usize) -> Self {
        Self { message_bytes: message_ms * BYTES_PER_MS, ..self }
    }

    /// Serves a listener for ever.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let relay = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(relay.clone().connection(stream));
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one connection, and the call that it becomes.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let (upgrades, mut upgraded) = tokio::sync::mpsc::channel(1);
        let answer = service_fn(move |request| {
            let answered = answer(request, &upgrades);
            async move { Ok::<_, Infallible>(answered) }
        });
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades();
        // A broken connection has no call.
        if served.await.is_err() {
            return;
        }
        if let Some(upgrade) = upgraded.recv().await
            && let Ok(socket) = upgrade.connection().await
            && let Err(why) = self.relay(socket).await
        {
            tracing::debug!(%why, "a call has ended");
        }
    }

    /// Relays a call until either side ends it.
    async fn relay(&self, socket: twilio::Socket) -> Result<(), Failure> {
        let started = twilio::start(socket).await.ok_or("no start")?;
        match &self.agent {
            Agent::Cx(channels) => cx::relay(started, &channels.lease()).await,
            Agent::CesGrpc(channels) => ces::grpc::relay(started, &channels.lease(), self.message_bytes).await,
            Agent::CesWebSocket(agent) => ces::websocket::relay(started, agent, self.message_bytes).await,
        }
    }
}

fn answer(mut request: Request<Incoming>, upgrades: &tokio::sync::mpsc::Sender<Upgrade>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/twiml" => twiml(&request),
        "/media" => {
            let Ok((response, upgrade)) = accept(&mut request) else {
                return status(StatusCode::BAD_REQUEST);
            };
            // A connection is upgraded once.
            let _ = upgrades.try_send(upgrade);
            response
        }
        "/ready" => status(StatusCode::OK),
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn twiml(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let document = format!(r#"<Response><Connect><Stream url="ws://{host}/media"/></Connect></Response>"#);
    let mut response = Response::new(Full::from(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
