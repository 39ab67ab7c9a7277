//! A media socket in the hands of somebody who is not Twilio.

use std::time::Duration;

use dialbridge_lab::net::Pipes;
use dialbridge_lab::twilio::twiml::{Verb, parse};
use dialbridge_lab::twilio::{Account, sign};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::request::post;
use crate::world::TOKEN;

/// An open socket.
pub struct RawSocket(FragmentCollector<TokioIo<Upgraded>>);

/// What came over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A text message.
    Text(String),
    /// A close, with its code.
    Close(u16),
    /// The connection ended without one.
    Gone,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl RawSocket {
    /// Opens a socket with a good signature.
    ///
    /// # Errors
    /// When the handshake is refused: with the answer's status.
    pub async fn open(pipes: &Pipes, path: &str) -> Result<Self, String> {
        Self::open_signed(pipes, path, Some(&sign(TOKEN, &format!("ws://service.test{path}"), &[]))).await
    }

    /// Opens a socket with that signature.
    ///
    /// # Errors
    /// When the handshake is refused: with the answer's status.
    pub async fn open_signed(pipes: &Pipes, path: &str, signature: Option<&str>) -> Result<Self, String> {
        let headers: Vec<_> = signature.map(|signature| ("X-Twilio-Signature", signature)).into_iter().collect();
        Self::open_with(pipes, path, &headers).await
    }

    /// Opens a socket with these headers.
    ///
    /// # Errors
    /// When the handshake is refused: with the answer's status.
    pub async fn open_with(pipes: &Pipes, path: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        let mut request = Request::get(path)
            .header("host", "service.test")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", fastwebsockets::handshake::generate_key())
            .header("sec-websocket-version", "13");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let pipe = pipes.connect("service.test:80").await.unwrap();
        match fastwebsockets::handshake::client(&TokioExecutor::new(), request, pipe).await {
            Ok((mut socket, _)) => {
                // The answer to a close may find nobody there any more; the close is what is looked for.
                socket.set_auto_close(false);
                Ok(Self(FragmentCollector::new(socket)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends a text message.
    pub async fn text(&mut self, text: &str) {
        self.frame(Frame::text(Payload::Owned(text.as_bytes().to_vec()))).await;
    }

    /// Sends a frame. A socket that is closed takes none, and the test will see that it is.
    pub async fn frame(&mut self, frame: Frame<'_>) {
        let frame = Frame::new(frame.fin, frame.opcode, None, Payload::Owned(frame.payload.to_vec()));
        let _ = self.0.write_frame(frame).await;
    }

    /// What comes next within a second.
    pub async fn next(&mut self) -> Came {
        match tokio::time::timeout(Duration::from_secs(1), self.0.read_frame()).await {
            Err(_) => Came::Nothing,
            Ok(Err(_)) => Came::Gone,
            Ok(Ok(frame)) => match frame.opcode {
                OpCode::Close => {
                    Came::Close(frame.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))
                }
                _ => Came::Text(String::from_utf8_lossy(&frame.payload).into_owned()),
            },
        }
    }

    /// What comes first of all but text.
    pub async fn end(&mut self) -> Came {
        loop {
            match self.next().await {
                Came::Text(_) => {}
                other => return other,
            }
        }
    }
}

/// Asks the voice-url for a call and gives what its TwiML says: the path of the socket, and that of the action.
pub async fn voice_url(pipes: &Pipes, call_sid: &str) -> (String, String) {
    let answer = signed_post(pipes, "/twiml", &[("CallSid", call_sid), ("CallStatus", "ringing")]).await;
    paths(&answer.body)
}

/// The path of the socket and that of the action in a document.
#[must_use]
pub fn paths(twiml: &str) -> (String, String) {
    let path = |url: &str| url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap();
    match parse(twiml).unwrap().first() {
        Some(Verb::ConnectStream { stream, action }) => (path(&stream.url), path(action.as_ref().unwrap())),
        other => panic!("{other:?} in {twiml}"),
    }
}

/// A request that Twilio signed.
pub async fn signed_post(pipes: &Pipes, path: &str, form: &[(&str, &str)]) -> crate::HttpAnswer {
    let owned: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let signature = Account::new(Some(TOKEN)).signature(&format!("http://service.test{path}"), &owned).unwrap();
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    post(pipes, &format!("POST {path}"), &headers, &pairs.join("&")).await
}
