//! The beginning and the end of a gRPC response.

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::Code;

use super::Failed;

/// Begins a gRPC response.
pub(super) fn begin_response(mut respond: SendResponse<Bytes>) -> Result<SendStream<Bytes>, Failed> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(respond.send_response(head, false)?)
}

/// Ends a gRPC stream.
pub(super) fn status(code: Code) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(i32::from(code)))])
}
