//! Whether the client has reset a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// Whether the client has reset the stream. tonic's server takes a reset for a regular end of the input.
#[derive(Debug, Clone, Default)]
pub(super) struct WasReset(Arc<AtomicBool>);

impl WasReset {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches a request for a reset by the client.
pub(super) fn watch_resets(request: Request<Body>) -> (Request<Body>, WasReset) {
    let was_reset = WasReset::default();
    let watched = was_reset.clone();
    (request.map(|body| Body::new(WatchedBody { body, was_reset: watched })), was_reset)
}

struct WatchedBody {
    body: Body,
    was_reset: WasReset,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &frame {
            self.was_reset.0.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
