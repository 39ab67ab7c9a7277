//! A media stream that the test drives itself, without the simulated Twilio.

use std::time::Duration;

use dialbridge_lab::net::Pipes;
use dialbridge_lab::twilio::twiml::{Verb, parse};
use dialbridge_lab::twilio::{Account, sign};
use dialbridge_net::websocket::{Closed, Frame, Incoming, Reader, Role, Writer, handshake, split};
use http::{HeaderMap, HeaderName};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::harness::TOKEN;
use crate::request::post;

/// The longest message that we accept, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// An open WebSocket.
pub struct RawSocket(Reader<TokioIo<Upgraded>>, Writer<TokioIo<Upgraded>>);

/// A received message, or the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A text message.
    Text(String),
    /// A close frame, with its code.
    Close(u16),
    /// The connection ended without a close frame.
    Gone,
    /// Nothing in the time that we waited.
    Nothing,
}

impl RawSocket {
    /// Opens a WebSocket with a good signature.
    ///
    /// # Errors
    /// If the handshake is refused: the status of the response.
    pub async fn open(pipes: &Pipes, path: &str) -> Result<Self, String> {
        Self::open_signed(pipes, path, Some(&sign(TOKEN, &format!("ws://service.test{path}"), &[]))).await
    }

    /// Opens a WebSocket with that signature.
    ///
    /// # Errors
    /// If the handshake is refused: the status of the response.
    pub async fn open_signed(pipes: &Pipes, path: &str, signature: Option<&str>) -> Result<Self, String> {
        let headers: Vec<_> = signature.map(|signature| ("X-Twilio-Signature", signature)).into_iter().collect();
        Self::open_with(pipes, path, &headers).await
    }

    /// Opens a WebSocket with these headers.
    ///
    /// # Errors
    /// If the handshake is refused: the status of the response.
    pub async fn open_with(pipes: &Pipes, path: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        let named = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        let headers: HeaderMap = headers.iter().map(named).collect();
        let url = format!("http://service.test{path}").parse().unwrap();
        let pipe = pipes.connect("service.test:80").await.unwrap();
        let connection = handshake(pipe, &url, &headers).await.map_err(|error| error.to_string())?;
        let (reader, writer) = split(connection, Role::Client, MAX_MESSAGE_BYTES);
        Ok(Self(reader, writer))
    }

    /// Sends a text message.
    pub async fn text(&mut self, text: &str) {
        self.frame(Frame::text(text)).await;
    }

    /// Sends a frame. A closed socket takes none, and the test notices that later.
    pub async fn frame(&mut self, frame: Frame) {
        let _ = self.1.send(frame).await;
    }

    /// The next message, within a second.
    pub async fn next(&mut self) -> Came {
        match tokio::time::timeout(Duration::from_secs(1), self.0.next()).await {
            Err(_) => Came::Nothing,
            Ok(Ok(Incoming::Message(message))) => {
                Came::Text(String::from_utf8_lossy(&message.into_bytes()).into_owned())
            }
            Ok(Ok(other @ (Incoming::Ping(_) | Incoming::Pong(_)))) => panic!("{other:?}"),
            Ok(Err(Closed::ByPeer { code, .. })) => Came::Close(code.unwrap_or(1005)),
            Ok(Err(_)) => Came::Gone,
        }
    }

    /// The first thing that is not text.
    pub async fn end(&mut self) -> Came {
        loop {
            match self.next().await {
                Came::Text(_) => {}
                other => return other,
            }
        }
    }
}

/// Requests the voice-url for a call and returns the paths of the media stream and of the action in its TwiML.
pub async fn voice_url(pipes: &Pipes, call_sid: &str) -> (String, String) {
    let answer = signed_post(pipes, "/twiml", &[("CallSid", call_sid), ("CallStatus", "ringing")]).await;
    paths(&answer.body)
}

/// The paths of the media stream and of the action in a document.
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
