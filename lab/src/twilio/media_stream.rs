//! Twilio's end of the media stream.

use std::fmt;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_net::websocket::{Frame, Incoming, Message, NORMAL, Reader, Role, Writer, handshake, split};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Uri};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::net::Net;
use crate::twilio::account::Account;
use crate::twilio::behaviour::TwilioBehaviour;

type Socket = TokioIo<Upgraded>;

/// How long the service may take to answer the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many messages may wait for the call.
const QUEUE: usize = 64;

/// The longest message that is accepted, in bytes: a whole prompt may be one message.
const MAX_BYTES: usize = 16 << 20;

/// What the service sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromService {
    Media(Vec<u8>),
    Mark(String),
    Clear,
    /// Something that Twilio reports as a warning.
    Malformed {
        code: u32,
        why: String,
    },
    Closed {
        code: Option<u16>,
    },
}

/// An open WebSocket.
pub(super) struct SimulatedMediaStream {
    writer: Writer<Socket>,
    from_service: mpsc::Receiver<FromService>,
    reader: JoinHandle<()>,
    is_deaf: bool,
    is_cut: bool,
    stream_sid: String,
    behaviour: TwilioBehaviour,
    sequence: u64,
    chunk: u64,
}

impl Drop for SimulatedMediaStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl SimulatedMediaStream {
    /// Opens the WebSocket; signs the handshake.
    pub(super) async fn open(
        net: &Net,
        account: &Account,
        url: &str,
        stream_sid: String,
        behaviour: TwilioBehaviour,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("31923: {error}"))?;
        let headers = headers(account, url, behaviour).map_err(|error| format!("31920: {error}"))?;
        let opened = async {
            let connection = net.connect(&uri).await.map_err(|error| format!("31901: {error}"))?;
            handshake(connection, &uri, &headers).await.map_err(|error| format!("31920: {error}"))
        };
        let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, opened)
            .await
            .unwrap_or_else(|_| Err("31920: no answer to the handshake within 10 s".to_owned()))?;
        let (reader, writer) = split(connection, Role::Client, MAX_BYTES);
        let (sender, from_service) = mpsc::channel(QUEUE);
        let reader = tokio::spawn(read(reader, sender, stream_sid.clone()));
        Ok(Self {
            writer,
            from_service,
            reader,
            is_deaf: false,
            is_cut: false,
            stream_sid,
            behaviour,
            sequence: 0,
            chunk: 0,
        })
    }

    /// The service's next message.
    pub(super) async fn next(&mut self) -> FromService {
        if self.is_deaf {
            return std::future::pending().await;
        }
        self.from_service.recv().await.unwrap_or(FromService::Closed { code: None })
    }

    pub(super) async fn connected(&mut self) -> io::Result<()> {
        self.send(&json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" })).await
    }

    pub(super) async fn start(
        &mut self,
        account_sid: &str,
        call_sid: &str,
        parameters: &[(String, String)],
    ) -> io::Result<()> {
        let parameters: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let mut start = json!({
            "accountSid": account_sid, "streamSid": self.stream_sid, "callSid": call_sid, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        });
        if !parameters.is_empty() || self.behaviour.empty_parameters {
            start["customParameters"] = parameters.into();
        }
        self.event("start", &start).await
    }

    pub(super) async fn media(&mut self, timestamp_ms: u64, audio: &[u8]) -> io::Result<()> {
        self.chunk += 1;
        let (chunk, timestamp) = (self.counter(self.chunk), self.counter(timestamp_ms));
        let payload = STANDARD.encode(audio);
        let media = format!(r#"{{"track":"inbound","chunk":{chunk},"timestamp":{timestamp},"payload":"{payload}"}}"#);
        self.event("media", &media).await
    }

    pub(super) async fn dtmf(&mut self, digit: char) -> io::Result<()> {
        self.event("dtmf", &json!({ "track": "inbound_track", "digit": digit.to_string() })).await
    }

    pub(super) async fn mark(&mut self, name: &str) -> io::Result<()> {
        self.event("mark", &json!({ "name": name })).await
    }

    pub(super) async fn stop(&mut self, account_sid: &str, call_sid: &str) -> io::Result<()> {
        self.event("stop", &json!({ "accountSid": account_sid, "callSid": call_sid })).await
    }

    /// Closes the WebSocket from Twilio's side.
    pub(super) async fn close(&mut self) {
        if self.is_cut {
            return;
        }
        // The service may already be gone; then there is nothing to close.
        let _ = self.writer.send(Frame::close(NORMAL, "")).await;
    }

    /// Stops reading, and leaves the connection open.
    pub(super) fn stop_reading(&mut self) {
        self.is_deaf = true;
        self.reader.abort();
    }

    /// Breaks the connection without a close frame.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Sends this text as it is.
    pub(super) async fn text(&mut self, text: &str) -> io::Result<()> {
        if self.is_cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.writer.send(Frame::text(text)).await
    }

    /// Reads what the service still sends until it closes.
    pub(super) async fn until_closed(&mut self) {
        while !matches!(self.next().await, FromService::Closed { .. }) {}
    }

    fn counter(&self, count: u64) -> Value {
        if self.behaviour.numeric_counters { count.into() } else { count.to_string().into() }
    }

    /// Sends an event with its members in Twilio's order.
    async fn event(&mut self, name: &str, content: &impl fmt::Display) -> io::Result<()> {
        self.sequence += 1;
        let (number, stream_sid) = (self.counter(self.sequence), Value::from(self.stream_sid.as_str()));
        let head = format!(r#"{{"event":"{name}","sequenceNumber":{number},"{name}":{content},"#);
        self.text(&format!(r#"{head}"streamSid":{stream_sid}}}"#)).await
    }

    async fn send(&mut self, message: &Value) -> io::Result<()> {
        self.text(&message.to_string()).await
    }
}

pub(super) fn headers(
    account: &Account,
    url: &str,
    behaviour: TwilioBehaviour,
) -> Result<HeaderMap, http::header::InvalidHeaderValue> {
    let mut headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("Twilio.TmeWs/1.0"))]);
    let signed = if behaviour.slash_in_signature { format!("{url}/") } else { url.to_owned() };
    if let Some(signature) = account.signature(&signed, &[]) {
        headers.insert("x-twilio-signature", signature.try_into()?);
    }
    Ok(headers)
}

async fn read(mut socket: Reader<Socket>, sender: mpsc::Sender<FromService>, stream_sid: String) {
    loop {
        let message = match socket.next().await {
            Ok(Incoming::Message(Message::Text(text))) => understood(text.as_ref(), &stream_sid),
            Ok(Incoming::Message(Message::Binary(_))) => {
                FromService::Malformed { code: 31950, why: "a binary frame".to_owned() }
            }
            Ok(Incoming::Ping(_) | Incoming::Pong(_)) => continue,
            Err(closed) => FromService::Closed { code: closed.peer_code() },
        };
        let is_last = matches!(message, FromService::Closed { .. });
        if sender.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// Reads a message as strictly as Twilio: a field too many or too few is a warning.
fn understood(payload: &[u8], stream_sid: &str) -> FromService {
    let malformed = |why: &str| FromService::Malformed { code: 31951, why: why.to_owned() };
    let Ok(Value::Object(message)) = serde_json::from_slice(payload) else { return malformed("no JSON object") };
    let has_exactly = |object: &serde_json::Map<String, Value>, names: &[&str]| {
        object.len() == names.len() && names.iter().all(|name| object.contains_key(*name))
    };
    if message.get("streamSid").and_then(Value::as_str) != Some(stream_sid) {
        return malformed("another streamSid");
    }
    let text = |object: &str, field: &str| {
        let object = message.get(object)?.as_object().filter(|object| has_exactly(object, &[field]))?;
        object.get(field)?.as_str().map(ToOwned::to_owned)
    };
    match message.get("event").and_then(Value::as_str) {
        Some("media") if has_exactly(&message, &["event", "streamSid", "media"]) => {
            match text("media", "payload").and_then(|payload| STANDARD.decode(payload).ok()) {
                Some(audio) => FromService::Media(audio),
                None => malformed("media without just a base64 payload"),
            }
        }
        Some("mark") if has_exactly(&message, &["event", "streamSid", "mark"]) => {
            text("mark", "name").map_or_else(|| malformed("mark without just a name"), FromService::Mark)
        }
        Some("clear") if has_exactly(&message, &["event", "streamSid"]) => FromService::Clear,
        Some("media" | "mark" | "clear") => malformed("a field too many or too few"),
        _ => malformed("an unknown event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Pipes;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_answer_the_handshake_is_given_up() {
        let pipes = Pipes::default();
        let _accepted_by_nobody = pipes.listen("deaf.test:80");
        let (net, account) = (Net::Pipes(pipes), Account::new(None));
        let url = "ws://deaf.test/media/x";
        let opened =
            SimulatedMediaStream::open(&net, &account, url, "MZ1".to_owned(), TwilioBehaviour::default()).await;
        assert_eq!(opened.err().as_deref(), Some("31920: no answer to the handshake within 10 s"));
    }

    #[test]
    fn only_what_twilio_documents_is_understood() {
        let read = |text: &str| understood(text.as_bytes(), "MZ1");
        let good = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQL/"}}"#;
        assert_eq!(read(good), FromService::Media(vec![1, 2, 0xFF]));
        assert_eq!(read(r#"{"event":"clear","streamSid":"MZ1"}"#), FromService::Clear);
        for bad in [
            "hello",
            r#"{"event":"clear","streamSid":"MZ2"}"#,
            r#"{"event":"clear"}"#,
            r#"{"event":"stop","streamSid":"MZ1"}"#,
            r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQL/","track":"outbound"}}"#,
            r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQL"}}"#,
            r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a"},"x":1}"#,
        ] {
            assert!(matches!(read(bad), FromService::Malformed { code: 31951, .. }), "{bad}");
        }
    }
}
