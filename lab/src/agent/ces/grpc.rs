//! `google.cloud.ces.v1.SessionService` over gRPC. Google's generated crates hold clients only, so the dispatch on the
//! path is here. `RunSession` and `StreamRunSession` are not implemented.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream as Responding;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::agent::ces::ending::{Ending, GrpcEnding};
use crate::agent::ces::exchange::Outgoing;
use crate::agent::ces::serving::{Serving, StreamRequest};
use crate::agent::ces::stream::{Inbox, Stream};
use crate::agent::script::{Break, Routing, Serves};
use crate::agent::was_reset::{WasReset, watch_resets};

/// How many messages may wait for a client that does not read.
const QUEUE: usize = 64;

/// How long a client is kept at a stream that stalls before its first message.
const STALL: std::time::Duration = std::time::Duration::from_secs(600);

/// The service.
#[derive(Debug, Clone)]
pub(in crate::agent) struct CesService(pub(in crate::agent) Serving);

impl NamedService for CesService {
    const NAME: &'static str = "google.cloud.ces.v1.SessionService";
}

impl tower_service::Service<Request<Body>> for CesService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let serving = self.0.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            let is_served = serving.script().ces.serves != Serves::Websocket && is_routed(&serving, request.headers());
            if method != "BidiRunSession" || !is_served {
                serving.streams().refuse(&format!("{method} is not served here"));
                return Ok(Status::unimplemented(format!("{method} is not served here.")).into_http());
            }
            let (request, was_reset) = watch_resets(request);
            let stream_request = serving.note_request("grpc", request.headers(), None);
            let is_cut = IsCut::default();
            let is_authorized = serving.is_authorized(request.headers());
            let streams = Streams { serving, stream_request, was_reset, is_cut: is_cut.clone(), is_authorized };
            let response = Grpc::new(ProstCodec::default()).streaming(streams, request).await;
            Ok(response.map(|body| Body::new(CuttableBody { body, is_cut })))
        })
    }
}

/// Whether the front end of that host knows to which server the stream goes.
fn is_routed(serving: &Serving, headers: &HeaderMap) -> bool {
    let named = headers.get("x-goog-request-params").and_then(|value| value.to_str().ok());
    let session = named.and_then(|params| params.split('&').find_map(|param| param.strip_prefix("session=")));
    let is_session = session.is_some_and(|name| name.replace("%2F", "/").starts_with("projects/"));
    serving.script().ces.routing == Routing::Any || is_session
}

struct Streams {
    serving: Serving,
    stream_request: StreamRequest,
    was_reset: WasReset,
    is_cut: IsCut,
    is_authorized: bool,
}

impl StreamingService<ces::BidiSessionClientMessage> for Streams {
    type Response = ces::BidiSessionServerMessage;
    type ResponseStream = Responses;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Responses>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<ces::BidiSessionClientMessage>>) -> Self::Future {
        let (serving, stream_request) = (self.serving.clone(), self.stream_request.clone());
        let (was_reset, is_cut, is_authorized) = (self.was_reset.clone(), self.is_cut.clone(), self.is_authorized);
        Box::pin(async move {
            if !is_authorized {
                serving.streams().refuse("no token");
                return Err(Status::unauthenticated("The request has no valid authentication credentials."));
            }
            if let Some(broken) = serving.refusal(&stream_request) {
                return end(Ending::Broken(broken), is_cut).await;
            }
            let mut inbox = Inbox::Grpc(Box::new(request.into_inner()), was_reset);
            let stream = match Stream::open(&serving, stream_request, &mut inbox).await {
                Ok(stream) => stream,
                Err(ending) => return end(ending, is_cut).await,
            };
            let (outbox, messages) = mpsc::channel(QUEUE);
            // The task ends with the stream: when the client stops reading, the channel closes.
            tokio::spawn(async move { stream.run(&mut inbox, outbox).await });
            Ok(tonic::Response::new(Responses { messages, is_cut }))
        })
    }
}

/// A stream that ends before its first response.
async fn end(ending: Ending, is_cut: IsCut) -> Result<tonic::Response<Responses>, Status> {
    if matches!(ending, Ending::Broken(Break::Stall)) {
        tokio::time::sleep(STALL).await;
    }
    let (outbox, messages) = mpsc::channel(1);
    match ending.grpc() {
        GrpcEnding::Status(status) => Err(status),
        // Dropping the sender ends the responses.
        GrpcEnding::Ok => Ok(tonic::Response::new(Responses { messages, is_cut })),
        GrpcEnding::Reset => {
            let _ = outbox.try_send(Outgoing::End(Ending::Broken(Break::Reset)));
            Ok(tonic::Response::new(Responses { messages, is_cut }))
        }
    }
}

/// The responses of a stream.
struct Responses {
    messages: mpsc::Receiver<Outgoing>,
    is_cut: IsCut,
}

impl Responding for Responses {
    type Item = Result<ces::BidiSessionServerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(cx).map(|outgoing| match outgoing? {
            Outgoing::Message(message) => Some(Ok(*message)),
            Outgoing::End(ending) => match ending.grpc() {
                GrpcEnding::Ok => None,
                GrpcEnding::Status(status) => Some(Err(status)),
                GrpcEnding::Reset => {
                    self.is_cut.0.store(true, Ordering::Relaxed);
                    None
                }
            },
        })
    }
}

/// Whether to reset a stream instead of ending it. tonic cannot do that.
#[derive(Debug, Clone, Default)]
struct IsCut(Arc<AtomicBool>);

/// A body that fails in place of its trailers, which makes hyper reset the stream.
struct CuttableBody {
    body: Body,
    is_cut: IsCut,
}

impl http_body::Body for CuttableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_last =
            matches!(&frame, Poll::Ready(None)) || matches!(&frame, Poll::Ready(Some(Ok(of))) if of.is_trailers());
        if is_last && self.is_cut.0.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(Status::new(Code::Internal, "the script has this stream reset"))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
