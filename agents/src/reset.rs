//! Resets a stream whose input is still open.
//!
//! Dropping the response of a gRPC stream does not end it: hyper's client still waits for the request's body, and the
//! server for audio. Ending the body would half-close the stream, and Dialogflow would take that as the end of an
//! utterance. So the body ends with an error. hyper then sends `RST_STREAM` with the reason in the error's source:
//! CANCEL.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Error};
use tower_service::Service;

use crate::pipe::InputPipe;

/// A connection whose requests are reset with their pipe.
#[derive(Debug, Clone)]
pub(super) struct Resettable {
    pub(super) channel: Channel,
    pub(super) pipe: Arc<InputPipe>,
}

impl Service<Request<Body>> for Resettable {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let pipe = self.pipe.clone();
        self.channel.call(request.map(|body| Body::new(ResettableBody { body, pipe })))
    }
}

struct ResettableBody {
    body: Body,
    pipe: Arc<InputPipe>,
}

impl http_body::Body for ResettableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.pipe.is_reset() {
            let mut status = Status::cancelled("the turn is given up");
            status.set_source(Arc::new(h2::Error::from(h2::Reason::CANCEL)));
            return Poll::Ready(Some(Err(status)));
        }
        // Waiting for audio means waiting in the pipe, and a reset wakes the pipe too.
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Resets a stream when its task ends for any reason. After the half-close there is nothing to reset.
pub(super) struct ResetOnDrop(pub(super) Arc<InputPipe>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        self.0.reset();
    }
}
