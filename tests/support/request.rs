//! Plain HTTP requests over pipes, without Twilio's signature.

use dialbridge_lab::net::Pipes;
use dialbridge_net::http_client::send_once;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;

/// The longest response that we read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A response.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. Bytes that are no text are replaced.
    pub body: String,
}

/// Twilio's `start` message of that call.
#[must_use]
pub fn start(call_sid: &str) -> String {
    format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{call_sid}"}}}}"#)
}

/// Sends a request to the service: `head` is `METHOD path`, then header lines.
pub async fn post(pipes: &Pipes, head: &str, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    let (method, path) = head.split_once(' ').expect("METHOD path");
    let mut request = Request::builder().method(method).uri(format!("http://service.test{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
    let pipe = pipes.connect("service.test:80").await.unwrap();
    let (head, body) = send_once(pipe, request, MAX_BYTES).await.unwrap().into_parts();
    HttpAnswer { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() }
}
