//! Serves the agent: one gRPC server with a service for each edition, and CES over WebSockets on the same address.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;

use crate::agent::ces::{CesService, CesSessions, Serving, serve_http1};
use crate::agent::connection::{self, Outage};
use crate::agent::conversation::Conversations;
use crate::agent::cx::Cx;
use crate::agent::dialect::Dialect;
use crate::agent::es::Es;
use crate::agent::http_version;
use crate::agent::record::Record;
use crate::agent::reset::Reset;
use crate::agent::script::Script;
use crate::agent::turn::{Sessions, answer};
use crate::agent::was_reset::watch_resets;

/// How many connections may wait to be served.
const BACKLOG: usize = 64;

/// How long to wait before a port that somebody else has taken is tried again.
const PORT_PAUSE: Duration = Duration::from_millis(50);

/// A scripted agent, ready to be served.
#[derive(Debug, Clone)]
pub struct LabAgent {
    script: Arc<Script>,
    conversations: Conversations,
    record: Record,
    ces: CesSessions,
    ces_streams: Arc<AtomicUsize>,
    outage: Outage,
}

/// An agent that is being served; it stops when this is dropped.
#[derive(Debug)]
pub struct ServedAgent {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ServedAgent {
    /// The value of `DIALOGFLOW_ENDPOINT` for it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for ServedAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LabAgent {
    /// An agent with that script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        let script = Arc::new(script);
        Self {
            conversations: Conversations::new(script.clone()),
            script,
            record: Record::default(),
            ces: CesSessions::default(),
            ces_streams: Arc::default(),
            outage: Outage::default(),
        }
    }

    /// An agent with that script that records everything that it is sent, for tests.
    #[must_use]
    pub fn recording(script: Script) -> Self {
        Self { record: Record::keeping(), ..Self::new(script) }
    }

    /// What it was sent.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its process dies: all connections break, and for this long nobody can connect.
    pub fn die(&self, length: Duration) {
        self.outage.begin(length);
    }

    /// Serves on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn serve_on_loopback(&self) -> io::Result<ServedAgent> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (connections, incoming) = mpsc::channel(BACKLOG);
        let (agent, outage) = (self.clone(), self.outage.clone());
        let task = tokio::spawn(async move {
            tokio::join!(accept(listener, outage, connections), agent.serve(ReceiverStream::new(incoming)));
        });
        Ok(ServedAgent { address, task })
    }

    /// Serves connections from the channel until it closes: those of [`Pipes::listen`](crate::net::Pipes::listen).
    pub async fn serve_on_pipes(self, pipes: mpsc::Receiver<tokio::io::DuplexStream>) {
        self.serve(ReceiverStream::new(pipes).map(Ok::<_, io::Error>)).await;
    }

    /// Serves connections from the channel until it closes.
    pub async fn serve<I, E>(&self, incoming: impl Stream<Item = Result<I, E>>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: std::fmt::Display,
    {
        let sessions = Sessions {
            script: self.script.clone(),
            conversations: self.conversations.clone(),
            record: self.record.clone(),
            responses: Arc::default(),
            outage: self.outage.clone(),
        };
        let ces = Serving::new(sessions.clone(), self.ces.clone(), self.ces_streams.clone());
        let routes = Routes::new(Service::<Cx>::new(&sessions))
            .add_service(Service::<Es<false>>::new(&sessions))
            .add_service(Service::<Es<true>>::new(&sessions))
            .add_service(CesService(ces.clone()))
            .prepare();
        let http2 = move |connection| connection::serve(connection, routes.clone());
        let distance = Duration::from_millis(self.script.distance_ms);
        http_version::serve_each(incoming, &self.outage, distance, http2, move |connection| {
            serve_http1(ces.clone(), connection)
        })
        .await;
    }
}

/// Accepts connections for ever; in an outage nobody listens.
async fn accept(listener: TcpListener, outage: Outage, connections: mpsc::Sender<io::Result<TcpStream>>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    while !connections.is_closed() {
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(PORT_PAUSE).await;
            }
            continue;
        };
        tokio::select! {
            biased;
            until = outage.begins() => {
                listener = None;
                tokio::time::sleep_until(until).await;
            }
            accepted = open.accept() => {
                let stream = accepted.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream));
                // When the server is ending, nobody takes it.
                let _ = connections.send(stream).await;
            }
        }
    }
}

/// The gRPC service of a dialect. Google's generated crates hold clients only, so the dispatch on the path is here.
#[derive(Debug, Clone)]
struct Service<D> {
    sessions: Sessions,
    dialect: PhantomData<D>,
}

impl<D: Dialect> Service<D> {
    fn new(sessions: &Sessions) -> Self {
        Self { sessions: sessions.clone(), dialect: PhantomData }
    }
}

impl<D: Dialect> NamedService for Service<D> {
    const NAME: &'static str = D::SERVICE;
}

impl<D: Dialect> tower_service::Service<Request<Body>> for Service<D> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sessions = self.sessions.clone();
        let (mut request, was_reset) = watch_resets(request);
        request.extensions_mut().insert(was_reset);
        let reset = Reset::default();
        request.extensions_mut().insert(reset.clone());
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move { Ok(reset.apply(answer::<D>(sessions, &method, request).await)) })
    }
}
