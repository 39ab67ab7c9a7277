//! Whether the client has reset a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use http_body_util::BodyExt;
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
    let watch = move |error| {
        watched.0.store(true, Ordering::Relaxed);
        error
    };
    (request.map(|body| Body::new(body.map_err(watch))), was_reset)
}
