//! The media socket, Twilio's end of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocket, WebSocketError, WebSocketWrite};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::net::Net;
use crate::twilio::account::Account;
use crate::twilio::habits::Habits;

type Socket = TokioIo<Upgraded>;

/// How many messages wait for the call to take them.
const QUEUE: usize = 64;

/// The longest message that is taken, in bytes: a whole prompt may be one message.
const MOST_BYTES: usize = 16 << 20;

/// What the service sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromService {
    Media(Vec<u8>),
    Mark(String),
    Clear,
    /// What Twilio reports as a warning.
    Malformed {
        code: u32,
        why: String,
    },
    Closed {
        code: Option<u16>,
    },
}

/// An open socket.
pub(super) struct MediaSocket {
    writer: WebSocketWrite<WriteHalf<Socket>>,
    from_service: mpsc::Receiver<FromService>,
    reader: JoinHandle<()>,
    is_deaf: bool,
    is_cut: bool,
    stream_sid: String,
    habits: Habits,
    sequence: u64,
    chunk: u64,
}

impl Drop for MediaSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl MediaSocket {
    /// Opens the socket with the handshake's signature.
    pub(super) async fn open(
        net: &Net,
        account: &Account,
        url: &str,
        stream_sid: String,
        habits: Habits,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("31923: {error}"))?;
        let connection = net.connect(&uri).await.map_err(|error| format!("31901: {error}"))?;
        let mut request = Request::builder()
            .method("GET")
            .uri(uri.path())
            .header("host", uri.authority().map_or("", |authority| authority.as_str()))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", fastwebsockets::handshake::generate_key())
            .header("sec-websocket-version", "13")
            .header("user-agent", "Twilio.TmeWs/1.0");
        let signed = if habits.slash_in_signature { format!("{url}/") } else { url.to_owned() };
        if let Some(signature) = account.signature(&signed, &[]) {
            request = request.header("x-twilio-signature", signature);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let (socket, _) = fastwebsockets::handshake::client(&TokioExecutor::new(), request, connection)
            .await
            .map_err(|error| format!("31920: {error}"))?;
        Ok(Self::over(socket, stream_sid, habits))
    }

    fn over(mut socket: WebSocket<Socket>, stream_sid: String, habits: Habits) -> Self {
        socket.set_max_message_size(MOST_BYTES);
        socket.set_auto_pong(false);
        socket.set_auto_close(false);
        let (reader, writer) = socket.split(tokio::io::split);
        let (sender, from_service) = mpsc::channel(QUEUE);
        let reader = tokio::spawn(read(FragmentCollectorRead::new(reader), sender, stream_sid.clone()));
        Self { writer, from_service, reader, is_deaf: false, is_cut: false, stream_sid, habits, sequence: 0, chunk: 0 }
    }

    /// The next message of the service's.
    pub(super) async fn next(&mut self) -> FromService {
        if self.is_deaf {
            return std::future::pending().await;
        }
        self.from_service.recv().await.unwrap_or(FromService::Closed { code: None })
    }

    pub(super) async fn connected(&mut self) -> Result<(), WebSocketError> {
        self.send(&json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" })).await
    }

    pub(super) async fn start(
        &mut self,
        account_sid: &str,
        call_sid: &str,
        parameters: &[(String, String)],
    ) -> Result<(), WebSocketError> {
        let parameters: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let mut start = json!({
            "accountSid": account_sid, "streamSid": self.stream_sid, "callSid": call_sid, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        });
        if !parameters.is_empty() || self.habits.empty_parameters {
            start["customParameters"] = parameters.into();
        }
        self.event("start", &start).await
    }

    pub(super) async fn media(&mut self, timestamp_ms: u64, audio: &[u8]) -> Result<(), WebSocketError> {
        self.chunk += 1;
        let media = json!({
            "track": "inbound", "chunk": self.counter(self.chunk), "timestamp": self.counter(timestamp_ms),
            "payload": STANDARD.encode(audio),
        });
        self.event("media", &media).await
    }

    pub(super) async fn dtmf(&mut self, digit: char) -> Result<(), WebSocketError> {
        self.event("dtmf", &json!({ "track": "inbound_track", "digit": digit.to_string() })).await
    }

    pub(super) async fn mark(&mut self, name: &str) -> Result<(), WebSocketError> {
        self.event("mark", &json!({ "name": name })).await
    }

    pub(super) async fn stop(&mut self, account_sid: &str, call_sid: &str) -> Result<(), WebSocketError> {
        self.event("stop", &json!({ "accountSid": account_sid, "callSid": call_sid })).await
    }

    /// Closes the socket from Twilio's side.
    pub(super) async fn close(&mut self) {
        if self.is_cut {
            return;
        }
        // The service may be gone already; then there is nothing to close.
        let _ = self.writer.write_frame(Frame::close(1000, b"")).await;
        let _ = self.writer.flush().await;
    }

    /// Reads no more, and leaves the connection open.
    pub(super) fn go_deaf(&mut self) {
        self.is_deaf = true;
        self.reader.abort();
    }

    /// Says nothing more, not even goodbye: the connection ends with this.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Sends that text as it is.
    pub(super) async fn text(&mut self, text: &str) -> Result<(), WebSocketError> {
        if self.is_cut {
            return Err(WebSocketError::ConnectionClosed);
        }
        self.writer.write_frame(Frame::text(Payload::Borrowed(text.as_bytes()))).await?;
        self.writer.flush().await
    }

    /// Reads what the service still sends until it closes.
    pub(super) async fn until_closed(&mut self) {
        while !matches!(self.next().await, FromService::Closed { .. }) {}
    }

    fn counter(&self, count: u64) -> Value {
        if self.habits.numeric_counters { count.into() } else { count.to_string().into() }
    }

    async fn event(&mut self, name: &str, content: &Value) -> Result<(), WebSocketError> {
        self.sequence += 1;
        let message = json!({
            "event": name, "sequenceNumber": self.counter(self.sequence), "streamSid": self.stream_sid, name: content,
        });
        self.send(&message).await
    }

    async fn send(&mut self, message: &Value) -> Result<(), WebSocketError> {
        self.text(&message.to_string()).await
    }
}

async fn read(
    mut socket: FragmentCollectorRead<ReadHalf<Socket>>,
    sender: mpsc::Sender<FromService>,
    stream_sid: String,
) {
    loop {
        let frame = socket.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await;
        let message = match frame {
            Err(_) => FromService::Closed { code: None },
            Ok(frame) => match frame.opcode {
                OpCode::Close => FromService::Closed { code: close_code(&frame.payload) },
                OpCode::Text => understood(&frame.payload, &stream_sid),
                OpCode::Binary => FromService::Malformed { code: 31950, why: "a binary frame".to_owned() },
                OpCode::Ping | OpCode::Pong | OpCode::Continuation => continue,
            },
        };
        let is_last = matches!(message, FromService::Closed { .. });
        if sender.send(message).await.is_err() || is_last {
            return;
        }
    }
}

fn close_code(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
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
