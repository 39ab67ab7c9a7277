//! Resets a stream instead of ending it. tonic cannot do that, but when a stream's body fails, hyper resets the stream
//! with the reason in the error.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http::Response;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// Whether to reset a stream, and why.
#[derive(Debug, Clone, Default)]
pub(super) struct Reset(Arc<OnceLock<Reason>>);

/// Marks a response that must not even begin.
#[derive(Debug, Clone, Copy)]
struct BeforeAll(Reason);

impl Reset {
    /// Makes the stream end with a reset.
    pub(super) fn with(&self, reason: Reason) {
        // The first reason counts.
        let _ = self.0.set(reason);
    }

    /// The response as it ends, or does not begin.
    pub(super) fn apply(self, mut response: Response<Body>) -> Response<Body> {
        if let Some(reason) = self.0.get() {
            response.extensions_mut().insert(BeforeAll(*reason));
        }
        response.map(|body| Body::new(ResettableBody { body, reset: self }))
    }
}

/// Why a stream is reset before its response has begun, if it is.
pub(super) fn reason_before_all(response: &Response<Body>) -> Option<Reason> {
    response.extensions().get::<BeforeAll>().map(|BeforeAll(reason)| *reason)
}

/// A body that fails in place of its trailers if its stream is to be reset.
struct ResettableBody {
    body: Body,
    reset: Reset,
}

impl http_body::Body for ResettableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_last = match &frame {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        match self.reset.0.get() {
            Some(reason) if is_last => {
                let mut status = Status::internal("the script has this stream reset");
                status.set_source(Arc::new(h2::Error::from(*reason)));
                Poll::Ready(Some(Err(status)))
            }
            _ => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
