//! HTTP: which path does what.

pub(crate) mod admin;
mod events;
mod failures;
mod media;
mod page;
mod softphone;
mod status;
mod voice;
// Public for the fuzz targets alone: what takes bytes from outside in is called with any bytes there.
#[doc(hidden)]
pub mod webhook;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument as _;

use crate::service::Service;
use crate::sight::CONTENT_TYPE as METRICS_TYPE;
use crate::sight::trace_context::TraceContext;
use admin::Peer;
use events::EventStream;

type Answer = Response<Full<Bytes>>;

/// An answer that may go on, line by line.
type LongAnswer = Response<Either<Full<Bytes>, EventStream>>;

/// An answer to a request that goes no further.
type Refusal = Box<Answer>;

/// Where calls begin.
const VOICE_URL: &str = "/twiml";

/// Serves one connection to its end; a media socket lives on without it.
pub async fn serve_connection<S>(service: Arc<Service>, connection: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    serve_connection_from(service, connection, None).await;
}

/// [`serve_connection`], for one that comes from that address.
pub async fn serve_connection_from<S>(service: Arc<Service>, connection: S, peer: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = service.config().limits;
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let service = service.clone();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        async move { Ok::<_, Infallible>(traced(service, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(connection), answer)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection has ended early");
    }
}

/// Answers a request in the trace that it came with, or that begins with it. A call that comes of it goes on in that trace.
async fn traced(service: Arc<Service>, mut request: Request<Incoming>) -> LongAnswer {
    let came = TraceContext::of_request(request.headers());
    let (sight, method) = (service.clone(), request.method().clone());
    let told = if request.uri().path() == VOICE_URL { sight.sight().request(came) } else { None };
    let context = told.map(|told| told.context).or(came);
    if let Some(context) = context {
        request.extensions_mut().insert(context);
    }
    let answer = answer(service, request).instrument(sight.sight().log_span(context)).await;
    if let Some(told) = told {
        sight.sight().answered(told, VOICE_URL, method.as_str(), answer.status().as_u16());
    }
    answer
}

async fn answer(service: Arc<Service>, request: Request<Incoming>) -> LongAnswer {
    let path = request.uri().path();
    if page::is_its(path) {
        return page::answer(&service, request).await;
    }
    if !matches!(path, "/health" | "/ready" | "/metrics") {
        service.drain().asked();
    }
    short_answer(&service, request).await.map(Either::Left)
}

async fn short_answer(service: &Arc<Service>, request: Request<Incoming>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_get = method == Method::GET;
    let is_post = method == Method::POST;
    match path.as_str() {
        VOICE_URL if is_get || is_post => voice::twiml(service, request).await,
        VOICE_URL => not_allowed("GET, POST"),
        "/connect-ended" if is_post => voice::connect_ended(service, request).await,
        "/connect-ended" => not_allowed("POST"),
        "/dial-ended" if is_post => voice::dial_ended(service, request).await,
        "/dial-ended" => not_allowed("POST"),
        "/stream-status" if is_post => voice::stream_status(service, request).await,
        "/stream-status" => not_allowed("POST"),
        "/health" if is_get => text(StatusCode::OK, "ok\n"),
        "/ready" if is_get && service.is_ready() => text(StatusCode::OK, "ready\n"),
        "/ready" if is_get => text(StatusCode::SERVICE_UNAVAILABLE, "not yet\n"),
        "/metrics" if is_get => metrics(service, &request),
        "/health" | "/ready" | "/metrics" => not_allowed("GET"),
        "/media" if is_get && service.config().allow_bare_media => media::open_bare(service, request),
        other => match other.strip_prefix("/media/") {
            Some(ticket) if is_get => media::open(service, request, ticket),
            Some(_) => not_allowed("GET"),
            None => nothing_here(),
        },
    }
}

/// What is counted, for whoever is let in.
fn metrics(service: &Service, request: &Request<Incoming>) -> Answer {
    match admin::allowed(service, request) {
        Ok(()) => with_type(StatusCode::OK, METRICS_TYPE, service.metrics_text().into()),
        Err(refusal) => *refusal,
    }
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

fn nothing_here() -> Answer {
    text(StatusCode::NOT_FOUND, "there is nothing here\n")
}

fn refusal(status: StatusCode, body: &'static str) -> Refusal {
    Box::new(text(status, body))
}

fn xml(document: String) -> Answer {
    with_type(StatusCode::OK, "text/xml; charset=utf-8", document.into())
}

fn with_type(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
