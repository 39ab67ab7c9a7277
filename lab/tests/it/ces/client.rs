//! Clients of both transports, over pipes on a virtual clock. The WebSocket client writes its JSON by hand, so that it
//! does not copy the lab's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_lab::agent::{LabAgent, Script, StreamRecord};
use dialbridge_lab::net::Pipes;
use dialbridge_net::dial::Connector;
use dialbridge_net::websocket::{
    Closed, Frame, HandshakeError, Incoming, NORMAL, Reader, Role, Writer, handshake, split,
};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use http::{HeaderMap, HeaderName};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use ces::session_input::InputType;
use ces::session_service_client::SessionServiceClient;

use super::got::{Ended, Got, from_grpc, from_json};

pub(crate) const ID: &str = "CA0123456789abcdef0123456789abcdef";
pub(crate) const APP: &str = "projects/p/locations/us/apps/a";
const AUTHORITY: &str = "ces.test:80";

/// One millisecond of speech and of silence.
const SPEECH: [u8; 8] = [0x12; 8];
const SILENCE: [u8; 8] = [0xFF; 8];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    WebSocket,
}

pub(crate) const BOTH: [Transport; 2] = [Transport::Grpc, Transport::WebSocket];

/// A lab agent that records.
pub(crate) struct World {
    pub(crate) agent: LabAgent,
    pipes: Pipes,
    _serving: JoinSet<()>,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Config(Box<ces::SessionConfig>),
    Text(&'static str),
    /// A text whose rest is still to come.
    Part(&'static str),
    Event(&'static str),
    Digits(&'static str),
    Audio(Vec<u8>),
    Variables(Value),
    /// The answer of a tool: the call's id, the tool, the result.
    Tool(String, String, Value),
}

/// A stream from its client's side.
pub(crate) struct Client {
    sending: Sending,
    got: Arc<Mutex<Vec<(u64, Got)>>>,
    ended: Arc<Mutex<Option<(u64, Ended)>>>,
    began: Instant,
    tasks: JoinSet<()>,
}

enum Sending {
    Grpc(Option<mpsc::Sender<ces::BidiSessionClientMessage>>),
    Socket(Box<Writer<TokioIo<Upgraded>>>),
    Nowhere,
}

pub(crate) fn config() -> ces::SessionConfig {
    let audio = |rate| (ces::AudioEncoding::Mulaw.into(), rate);
    let (audio_encoding, sample_rate_hertz) = audio(8000);
    ces::SessionConfig {
        session: format!("{APP}/sessions/{ID}"),
        input_audio_config: Some(ces::InputAudioConfig { audio_encoding, sample_rate_hertz, ..Default::default() }),
        output_audio_config: Some(ces::OutputAudioConfig { audio_encoding, sample_rate_hertz }),
        ..Default::default()
    }
}

pub(crate) fn opening() -> Say {
    Say::Config(Box::new(config()))
}

impl World {
    pub(crate) fn new(script: &str) -> Self {
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Self::with(Script::parse(script, "test", &none).unwrap())
    }

    pub(crate) fn with(script: Script) -> Self {
        let (agent, pipes) = (LabAgent::recording(script), Pipes::default());
        let incoming = ReceiverStream::new(pipes.listen(AUTHORITY)).map(Ok::<_, std::io::Error>);
        let (serving, mut tasks) = (agent.clone(), JoinSet::new());
        tasks.spawn(async move { serving.serve(incoming).await });
        Self { agent, pipes, _serving: tasks }
    }

    /// The streams of the session so far.
    pub(crate) fn streams(&self) -> Vec<StreamRecord> {
        self.agent.record().streams(ID)
    }

    /// The last of them.
    pub(crate) fn stream(&self) -> StreamRecord {
        self.streams().pop().unwrap()
    }

    /// Opens a stream and sends the configuration.
    pub(crate) async fn open(&self, transport: Transport) -> Client {
        let mut client = self.connect(transport, "us", &[]).await;
        client.say(opening()).await;
        client
    }

    /// Opens a stream, sends the kick-start, and is silent for this many milliseconds.
    pub(crate) async fn greeted(&self, transport: Transport, silence_ms: u64) -> Client {
        let mut client = self.open(transport).await;
        client.say(Say::Event("session_start")).await;
        client.silence(silence_ms).await;
        client
    }

    /// Opens a stream.
    pub(crate) async fn connect(&self, transport: Transport, location: &str, headers: &[(&str, &str)]) -> Client {
        match transport {
            Transport::Grpc => self.connect_grpc(headers).await,
            Transport::WebSocket => {
                let path = format!("/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/{location}");
                self.connect_socket(&path, headers).await
            }
        }
    }

    pub(crate) async fn channel(&self) -> tonic::transport::Channel {
        let connector = Connector(Arc::new(self.pipes.clone()));
        Endpoint::from_static("http://ces.test").connect_with_connector(connector).await.unwrap()
    }

    async fn connect_grpc(&self, headers: &[(&str, &str)]) -> Client {
        let (sender, messages) = mpsc::channel(1_000);
        let mut client = Client::new(Sending::Grpc(Some(sender)));
        let mut grpc = SessionServiceClient::new(self.channel().await).max_decoding_message_size(8 << 20);
        let mut request = tonic::Request::new(ReceiverStream::new(messages));
        for (name, value) in headers {
            let name: tonic::metadata::AsciiMetadataKey = name.parse().unwrap();
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let (got, ended, began) = (client.got.clone(), client.ended.clone(), client.began);
        client.tasks.spawn(async move {
            let status = async {
                let mut responses = grpc.bidi_run_session(request).await?.into_inner();
                while let Some(message) = responses.message().await? {
                    let at_ms = ms_since(began);
                    got.lock().unwrap().extend(from_grpc(message).into_iter().map(|part| (at_ms, part)));
                }
                Ok(())
            };
            let status = status.await.map_or_else(|status: tonic::Status| status, |()| tonic::Status::ok(""));
            let ending = Ended::Grpc(status.code(), status.message().to_owned());
            *ended.lock().unwrap() = Some((ms_since(began), ending));
        });
        client
    }

    pub(crate) async fn connect_socket(&self, path: &str, headers: &[(&str, &str)]) -> Client {
        let pipe = self.pipes.connect(AUTHORITY).await.unwrap();
        let mut client = Client::new(Sending::Nowhere);
        let named = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        let headers: HeaderMap = headers.iter().map(named).collect();
        let url = format!("http://ces.test{path}").parse().unwrap();
        match handshake(pipe, &url, &headers).await {
            Ok(connection) => {
                let (reader, writer) = split(connection, Role::Client, 64 << 20);
                client.sending = Sending::Socket(Box::new(writer));
                client.tasks.spawn(read(reader, client.got.clone(), client.ended.clone(), client.began));
            }
            Err(HandshakeError::Refused(response)) => {
                let status = response.status().as_u16();
                let body: Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(body["error"]["code"], status);
                client.end(Ended::Http(status, body["error"]["status"].as_str().unwrap().to_owned()));
            }
            Err(HandshakeError::Broken(_)) => client.end(Ended::Closed(1006, String::new())),
            Err(other) => panic!("{other}"),
        }
        client
    }
}

async fn read(
    mut reader: Reader<TokioIo<Upgraded>>,
    got: Arc<Mutex<Vec<(u64, Got)>>>,
    ended: Arc<Mutex<Option<(u64, Ended)>>>,
    began: Instant,
) {
    let ending = loop {
        match reader.next().await {
            Ok(Incoming::Message(message)) => {
                let message: Value = serde_json::from_slice(&message.into_bytes()).unwrap();
                let at_ms = ms_since(began);
                got.lock().unwrap().extend(from_json(&message).into_iter().map(|part| (at_ms, part)));
            }
            Ok(Incoming::Pong(_)) => got.lock().unwrap().push((ms_since(began), Got::Text(-1, "pong".to_owned()))),
            Ok(Incoming::Ping(_)) => panic!(),
            Err(Closed::ByPeer { code, reason }) => break Ended::Closed(code.unwrap_or(1005), reason),
            Err(_) => break Ended::Closed(1006, String::new()),
        }
    };
    *ended.lock().unwrap() = Some((ms_since(began), ending));
}

fn ms_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap()
}

impl Client {
    fn new(sending: Sending) -> Self {
        Self { sending, got: Arc::default(), ended: Arc::default(), began: Instant::now(), tasks: JoinSet::new() }
    }

    fn end(&self, ended: Ended) {
        *self.ended.lock().unwrap() = Some((ms_since(self.began), ended));
    }

    pub(crate) async fn say(&mut self, say: Say) {
        match &mut self.sending {
            // When the stream has ended, nobody reads on.
            Sending::Grpc(sender) => drop(sender.as_ref().unwrap().send(say.message()).await),
            Sending::Socket(_) => self.send_json(&say.json()).await,
            Sending::Nowhere => {}
        }
    }

    pub(crate) async fn send_json(&mut self, json: &Value) {
        self.send_frame(Frame::text(json.to_string())).await;
    }

    /// Any message, over gRPC.
    pub(crate) async fn send_grpc(&mut self, message: ces::BidiSessionClientMessage) {
        let Sending::Grpc(Some(sender)) = &self.sending else { panic!() };
        let _ = sender.send(message).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        let Sending::Socket(writer) = &mut self.sending else { panic!() };
        // The server may have left.
        let _ = writer.send(frame).await;
    }

    /// Speaks for this many milliseconds, in real time, in messages of 100 ms.
    pub(crate) async fn speak(&mut self, ms: u64) {
        self.sound(&SPEECH, ms).await;
    }

    /// Is silent, but keeps sending audio.
    pub(crate) async fn silence(&mut self, ms: u64) {
        self.sound(&SILENCE, ms).await;
    }

    async fn sound(&mut self, of: &[u8], ms: u64) {
        for _ in 0..ms / 100 {
            self.say(Say::Audio(of.repeat(100))).await;
            pause(100).await;
        }
    }

    /// Ends the input: gRPC half-closes, a WebSocket closes.
    pub(crate) async fn finish(&mut self) {
        match &mut self.sending {
            Sending::Grpc(sender) => *sender = None,
            Sending::Socket(_) => self.send_frame(Frame::close(NORMAL, "")).await,
            Sending::Nowhere => {}
        }
        pause(10).await;
    }

    /// Breaks off.
    pub(crate) async fn break_off(mut self) {
        self.tasks.shutdown().await;
        drop(self);
        pause(10).await;
    }

    /// Everything that has come since this was last called.
    pub(crate) fn got(&mut self) -> Vec<Got> {
        self.timed().into_iter().map(|(_, got)| got).collect()
    }

    /// The same, with the milliseconds since the stream was opened.
    pub(crate) fn timed(&mut self) -> Vec<(u64, Got)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    /// How it ended.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.ended.lock().unwrap().clone().map(|(_, ended)| ended)
    }

    /// When it ended, in milliseconds since it was opened.
    pub(crate) fn ended_ms(&self) -> u64 {
        self.ended.lock().unwrap().as_ref().unwrap().0
    }
}

/// Waits; on the paused clock, everything that can happen meanwhile happens.
pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

impl Say {
    pub(crate) fn message(self) -> ces::BidiSessionClientMessage {
        use ces::bidi_session_client_message::MessageType::{Config, RealtimeInput};
        let input = |of: InputType| RealtimeInput(ces::SessionInput { will_continue: false, input_type: Some(of) });
        let message_type = match self {
            Self::Config(config) => Config(*config),
            Self::Text(text) => input(InputType::Text(text.to_owned())),
            Self::Part(text) => {
                let input_type = Some(InputType::Text(text.to_owned()));
                RealtimeInput(ces::SessionInput { will_continue: true, input_type })
            }
            Self::Event(event) => input(InputType::Event(ces::Event { event: event.to_owned() })),
            Self::Digits(digits) => input(InputType::Dtmf(digits.to_owned())),
            Self::Audio(audio) => input(InputType::Audio(audio.into())),
            Self::Variables(variables) => input(InputType::Variables(structure(&variables))),
            Self::Tool(id, tool, response) => {
                let tool_identifier = Some(ces::tool_response::ToolIdentifier::Tool(tool));
                let response = ces::ToolResponse {
                    id,
                    tool_identifier,
                    response: Some(structure(&response)),
                    ..Default::default()
                };
                input(InputType::ToolResponses(ces::ToolResponses { tool_responses: vec![response] }))
            }
        };
        ces::BidiSessionClientMessage { message_type: Some(message_type) }
    }

    pub(crate) fn json(self) -> Value {
        let input = |of: Value| json!({ "realtimeInput": of });
        match self {
            Self::Config(config) => json!({ "config": config_json(&config) }),
            Self::Text(text) => input(json!({ "text": text })),
            Self::Part(text) => input(json!({ "text": text, "willContinue": true })),
            Self::Event(event) => input(json!({ "event": { "event": event } })),
            Self::Digits(digits) => input(json!({ "dtmf": digits })),
            Self::Audio(audio) => input(json!({ "audio": STANDARD.encode(audio) })),
            Self::Variables(variables) => input(json!({ "variables": variables })),
            Self::Tool(id, tool, response) => {
                let response = json!({ "id": id, "tool": tool, "response": response });
                input(json!({ "toolResponses": { "toolResponses": [response] } }))
            }
        }
    }
}

fn config_json(config: &ces::SessionConfig) -> Value {
    let encoding = |number: i32| match number {
        1 => json!("LINEAR16"),
        2 => json!("MULAW"),
        3 => json!("ALAW"),
        other => json!(other),
    };
    let mut json = json!({ "session": config.session });
    if let Some(audio) = &config.input_audio_config {
        json["inputAudioConfig"] = json!({
            "audioEncoding": encoding(audio.audio_encoding),
            "sampleRateHertz": audio.sample_rate_hertz,
            "noiseSuppressionLevel": audio.noise_suppression_level,
        });
    }
    if let Some(audio) = &config.output_audio_config {
        json["outputAudioConfig"] =
            json!({ "audioEncoding": encoding(audio.audio_encoding), "sampleRateHertz": audio.sample_rate_hertz });
    }
    for (name, value) in
        [("deployment", &config.deployment), ("timeZone", &config.time_zone), ("entryAgent", &config.entry_agent)]
    {
        if !value.is_empty() {
            json[name] = json!(value);
        }
    }
    if let Some(payload) = config.remote_dialogflow_query_parameters.clone().and_then(|parameters| parameters.payload) {
        json["remoteDialogflowQueryParameters"] = json!({ "payload": super::got::plain(payload) });
    }
    json
}

/// JSON as a `Struct`.
pub(crate) fn structure(object: &Value) -> prost_types::Struct {
    use prost_types::value::Kind;
    fn value(of: &Value) -> prost_types::Value {
        let kind = match of {
            Value::Null => Kind::NullValue(0),
            Value::Bool(flag) => Kind::BoolValue(*flag),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(items) => {
                Kind::ListValue(prost_types::ListValue { values: items.iter().map(value).collect() })
            }
            Value::Object(_) => Kind::StructValue(structure(of)),
        };
        prost_types::Value { kind: Some(kind) }
    }
    let fields = object.as_object().unwrap().iter().map(|(name, of)| (name.clone(), value(of)));
    prost_types::Struct { fields: fields.collect() }
}
