//! A web server that receives events, traces or webhooks, keeps the requests and answers as the test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialbridge_lab::net::Pipes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// With that status.
    Status(u16),
    /// Never.
    Hangs,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A web server over pipes. Dropping it ends the server.
pub struct Collector {
    kept: Arc<Mutex<Kept>>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Kept {
    posted: Vec<Posted>,
    next: VecDeque<Reaction>,
    usual: Reaction,
}

impl Collector {
    /// Listens under that name and answers every request with 204.
    #[must_use]
    pub fn start(pipes: &Pipes, authority: &str) -> Self {
        let kept = Kept { posted: Vec::new(), next: VecDeque::new(), usual: Reaction::Status(204) };
        let kept = Arc::new(Mutex::new(kept));
        let mut serving = JoinSet::new();
        serving.spawn(accept(pipes.listen(authority), kept.clone()));
        Self { kept, _serving: serving }
    }

    /// Sets the answers to the next requests. Later ones are answered as before.
    pub fn react(&self, next: impl IntoIterator<Item = Reaction>) {
        self.lock().next.extend(next);
    }

    /// Answers all requests like that.
    pub fn always(&self, usual: Reaction) {
        self.lock().usual = usual;
    }

    /// The requests so far.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.lock().posted.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(mut pipes: mpsc::Receiver<DuplexStream>, kept: Arc<Mutex<Kept>>) {
    let mut connections = JoinSet::new();
    while let Some(pipe) = pipes.recv().await {
        let kept = kept.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(request, kept.clone()));
            // A client may break off.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(pipe), answer).await;
        });
    }
}

async fn answer(request: Request<Incoming>, kept: Arc<Mutex<Kept>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let reaction = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.posted.push(Posted { path: head.uri.to_string(), headers: head.headers, body });
        kept.next.pop_front().unwrap_or(kept.usual)
    };
    let status = match reaction {
        Reaction::Status(status) => status,
        Reaction::Hangs => loop {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        },
    };
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}
