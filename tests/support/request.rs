//! Plain HTTP requests over pipes, for those who are not Twilio.

use dialbridge_lab::net::Pipes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

/// Twilio's `start` of that call.
#[must_use]
pub fn start(call_sid: &str) -> String {
    format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{call_sid}"}}}}"#)
}

/// Sends a request to the service: `head` is `METHOD path`, then header lines.
pub async fn post(pipes: &Pipes, head: &str, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    let (method, path) = head.split_once(' ').expect("METHOD path");
    let mut request = Request::builder().method(method).uri(path).header("host", "service.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
    let pipe = pipes.connect("service.test:80").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(pipe)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    HttpAnswer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}
