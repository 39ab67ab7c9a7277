//! `BidiRunSession` over a WebSocket with JSON, a connection for each call.
//!
//! Pings of the agent's are not answered: that would need its writer where it is read.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fastwebsockets::handshake::{client, generate_key};
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocket, WebSocketError, WebSocketWrite};
use http::Request;
use http::uri::Authority;
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{KICK_START, gather, run, session};
use crate::relay::twilio::{Caller, Player, Started};
use crate::relay::{Failure, MOST_BYTES};

type Socket = TokioIo<Upgraded>;
type Reader = FragmentCollectorRead<ReadHalf<Socket>>;
type Writer = WebSocketWrite<WriteHalf<Socket>>;

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/global";

/// How long the agent may take to open a connection.
const OPENING: Duration = Duration::from_secs(10);

/// Relays a call until either side ends it.
pub(in crate::relay) async fn relay(started: Started, agent: &Authority, bytes: usize) -> Result<(), Failure> {
    let Started { call_sid, caller, player } = started;
    let mut socket = timeout(OPENING, open(agent)).await??;
    socket.set_writev(false);
    socket.set_auto_pong(false);
    socket.set_auto_close(false);
    socket.set_max_message_size(MOST_BYTES);
    let (reader, writer) = socket.split(tokio::io::split);
    run(send(caller, session(&call_sid), writer, bytes), play(player, FragmentCollectorRead::new(reader))).await
}

async fn open(agent: &Authority) -> Result<WebSocket<Socket>, Failure> {
    let connection = TcpStream::connect((agent.host(), agent.port_u16().unwrap_or(80))).await?;
    connection.set_nodelay(true)?;
    let request = Request::get(PATH)
        .header("host", agent.as_str())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-version", "13")
        .body(Empty::<Bytes>::new())?;
    let (socket, _) = client(&TokioExecutor::new(), request, connection).await?;
    Ok(socket)
}

/// Sends what the caller says, and closes.
async fn send(mut caller: Caller, session: String, mut writer: Writer, bytes: usize) -> Result<(), Failure> {
    write(&mut writer, &ToAgent::Config(Config::of(&session))).await?;
    write(&mut writer, &ToAgent::RealtimeInput(Input::Event(Event { event: KICK_START }))).await?;
    let (mut audio, mut base64) = (Vec::new(), String::new());
    let mut is_there = true;
    while is_there {
        is_there = gather(&mut caller, &mut audio, bytes).await;
        if !audio.is_empty() {
            STANDARD.encode_string(&audio, &mut base64);
            write(&mut writer, &ToAgent::RealtimeInput(Input::Audio(&base64))).await?;
            audio.clear();
            base64.clear();
        }
    }
    writer.write_frame(Frame::close(1000, b"")).await?;
    Ok(writer.flush().await?)
}

async fn write(writer: &mut Writer, message: &ToAgent<'_>) -> Result<(), Failure> {
    let json = serde_json::to_vec(message)?;
    writer.write_frame(Frame::text(Payload::Owned(json))).await?;
    Ok(writer.flush().await?)
}

/// Plays what the agent says.
async fn play(mut player: Player, mut reader: Reader) -> Result<(), Failure> {
    loop {
        let frame = reader.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => {}
            OpCode::Close => return Ok(()),
            OpCode::Ping | OpCode::Pong | OpCode::Continuation => continue,
        }
        match serde_json::from_slice(&frame.payload)? {
            // It is what Twilio takes already.
            FromAgent { session_output: Some(output), .. } if !output.audio.is_empty() => {
                player.play_base64(&output.audio).await?;
            }
            FromAgent { interruption_signal: Some(_), .. } => player.clear().await?,
            FromAgent { .. } => {}
        }
    }
}

/// What the agent is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum ToAgent<'a> {
    Config(Config<'a>),
    RealtimeInput(Input<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Input<'a> {
    Event(Event),
    Audio(&'a str),
}

#[derive(Serialize)]
struct Event {
    event: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    session: &'a str,
    input_audio_config: AudioConfig,
    output_audio_config: AudioConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AudioConfig {
    audio_encoding: &'static str,
    sample_rate_hertz: u32,
}

impl<'a> Config<'a> {
    fn of(session: &'a str) -> Self {
        let audio = || AudioConfig { audio_encoding: "MULAW", sample_rate_hertz: 8_000 };
        Self { session, input_audio_config: audio(), output_audio_config: audio() }
    }
}

/// What the agent sends, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FromAgent<'a> {
    #[serde(borrow)]
    session_output: Option<Output<'a>>,
    interruption_signal: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Output<'a> {
    /// Base64. JSON may write its `=` and `/` as escapes.
    #[serde(borrow, default)]
    audio: Cow<'a, str>,
}
