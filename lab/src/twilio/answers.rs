//! Answers of the REST API.

use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// The longest request, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

pub(super) fn error(status: StatusCode, code: u32, message: &str) -> Response<Full<Bytes>> {
    let body: Value = json!({
        "code": code, "message": message, "status": status.as_u16(),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
    });
    let mut response = response(status, "application/json", body.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let realm = http::HeaderValue::from_static("Basic realm=\"Twilio API\"");
        response.headers_mut().insert("www-authenticate", realm);
    }
    response
}

pub(super) fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response
}
