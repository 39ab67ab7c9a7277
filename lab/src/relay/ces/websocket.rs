//! `BidiRunSession` over a WebSocket with JSON, a connection for each call.
//!
//! It does not answer the agent's pings: the reading loop would need the writer for that.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_net::dial::Tcp;
use dialbridge_net::tls::connect;
use dialbridge_net::websocket::{self, Closed, Frame, Incoming, NORMAL, Role, handshake, split};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{KICK_START, collect_audio, run, session};
use crate::relay::twilio::{Caller, Player, Socket, Started};
use crate::relay::{Failure, MAX_BYTES};

type Reader = websocket::Reader<Socket>;
type Writer = websocket::Writer<Socket>;

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/global";

/// How long the agent may take to open a connection.
const OPENING: Duration = Duration::from_secs(10);

/// Relays a call until either side ends it.
pub(in crate::relay) async fn relay(started: Started, agent: &Authority, bytes: usize) -> Result<(), Failure> {
    let Started { call_sid, caller, player } = started;
    let socket = timeout(OPENING, open(agent)).await??;
    let (reader, writer) = split(socket, Role::Client, MAX_BYTES);
    run(send(caller, session(&call_sid), writer, bytes), play(player, reader)).await
}

async fn open(agent: &Authority) -> Result<Socket, Failure> {
    let url = Uri::builder().scheme("http").authority(agent.as_str()).path_and_query(PATH).build()?;
    let connection = connect(&Tcp, None, &url).await?;
    Ok(handshake(connection, &url, &HeaderMap::new()).await?)
}

/// Sends what the caller says, and closes.
async fn send(mut caller: Caller, session: String, mut writer: Writer, bytes: usize) -> Result<(), Failure> {
    write(&mut writer, &ToAgent::Config(Config::of(&session))).await?;
    write(&mut writer, &ToAgent::RealtimeInput(Input::Event(Event { event: KICK_START }))).await?;
    let (mut audio, mut base64) = (Vec::new(), String::new());
    let mut is_there = true;
    while is_there {
        is_there = collect_audio(&mut caller, &mut audio, bytes).await;
        if !audio.is_empty() {
            STANDARD.encode_string(&audio, &mut base64);
            write(&mut writer, &ToAgent::RealtimeInput(Input::Audio(&base64))).await?;
            audio.clear();
            base64.clear();
        }
    }
    Ok(writer.send(Frame::close(NORMAL, "")).await?)
}

async fn write(writer: &mut Writer, message: &ToAgent<'_>) -> Result<(), Failure> {
    Ok(writer.send(Frame::text(serde_json::to_string(message)?)).await?)
}

/// Plays what the agent says.
async fn play(mut player: Player, mut reader: Reader) -> Result<(), Failure> {
    loop {
        let message = match reader.next().await {
            Ok(Incoming::Message(message)) => message.into_bytes(),
            Ok(Incoming::Ping(_) | Incoming::Pong(_)) => continue,
            Err(Closed::ByPeer { .. }) => return Ok(()),
            Err(why) => return Err(format!("{why:?}").into()),
        };
        match serde_json::from_slice(&message)? {
            // It is already in the form that Twilio accepts.
            FromAgent { session_output: Some(output), .. } if !output.audio.is_empty() => {
                player.play_base64(&output.audio).await?;
            }
            FromAgent { interruption_signal: Some(_), .. } => player.clear().await?,
            FromAgent { .. } => {}
        }
    }
}

/// A message to the agent.
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

/// A message from the agent, as far as it matters here.
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
