//! Other Google services, as far as the service uses them: recordings in Cloud Storage, Text-to-Speech, tokens, and
//! Cloud Run's Admin API.

mod cloud_run;
mod identity;
mod storage;
mod text_to_speech;

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub use cloud_run::CloudRun;
pub use identity::Identity;
pub use storage::{Storage, StorageRequest};
pub use text_to_speech::{Sound, Synthesized, TextToSpeech};

/// Answers the requests of one connection.
async fn serve<F: Future<Output = Response<Full<Bytes>>>>(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: impl Fn(Request<Incoming>) -> F,
) {
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A client that breaks off does not concern Google.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}
