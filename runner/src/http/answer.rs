//! Short responses, and the type of the long one.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

pub(super) const HTML: &str = "text/html; charset=utf-8";

pub(super) type Answer = Response<Full<Bytes>>;

/// A response that ends the request early.
pub(super) type Refusal = Box<Answer>;

pub(super) fn text(status: StatusCode, body: &'static str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

pub(super) fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "there is nothing here\n")
}

pub(super) fn refusal(status: StatusCode, body: &'static str) -> Refusal {
    Box::new(text(status, body))
}

pub(super) fn xml(document: String) -> Answer {
    with_type(StatusCode::OK, "text/xml; charset=utf-8", document.into())
}

pub(super) fn with_type(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn not_allowed(methods: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

pub(super) fn json_answer(value: &Value) -> Answer {
    with_type(StatusCode::OK, "application/json", value.to_string().into())
}
