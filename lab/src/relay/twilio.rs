//! Twilio's side of a call: the caller's audio, and what is played to the caller.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_net::websocket::{Frame, Incoming, Message, Reader, Role, Writer, split};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use crate::relay::MAX_BYTES;

/// What a connection becomes after the handshake.
pub(super) type Socket = TokioIo<Upgraded>;

/// A message from Twilio, as far as it matters here: one flat structure, because serde reads that fastest.
#[derive(Deserialize)]
struct FromTwilio<'a> {
    event: &'a str,
    start: Option<Start>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    stream_sid: String,
    call_sid: String,
}

#[derive(Deserialize, Serialize)]
struct Media<'a> {
    payload: &'a str,
}

/// A message to Twilio.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum ToTwilio<'a> {
    #[serde(rename_all = "camelCase")]
    Media { stream_sid: &'a str, media: Media<'a> },
    #[serde(rename_all = "camelCase")]
    Mark { stream_sid: &'a str, mark: Mark<'a> },
    #[serde(rename_all = "camelCase")]
    Clear { stream_sid: &'a str },
}

#[derive(Serialize)]
struct Mark<'a> {
    name: &'a str,
}

enum CallerEvent {
    Start(Start),
    Audio,
}

/// A call that has started.
pub(super) struct Started {
    pub(super) call_sid: String,
    pub(super) caller: Caller,
    pub(super) player: Player,
}

/// Waits for the start of the call on that WebSocket; `None`: it does not start.
pub(super) async fn start(socket: Socket) -> Option<Started> {
    let (reader, writer) = split(socket, Role::Server, MAX_BYTES);
    let mut caller = Caller(reader);
    let CallerEvent::Start(Start { stream_sid, call_sid }) = caller.next(&mut Vec::new()).await? else { return None };
    Some(Started { call_sid, caller, player: Player { writer, stream_sid, marks: 0 } })
}

/// The caller's audio. A read that is dropped half-way loses bytes, so nothing that the call outlives may race with it.
pub(super) struct Caller(Reader<Socket>);

impl Caller {
    /// Waits for the next frame and appends its audio: mu-law at 8,000 Hz. `false`: the caller has gone.
    pub(super) async fn hear(&mut self, audio: &mut Vec<u8>) -> bool {
        matches!(self.next(audio).await, Some(CallerEvent::Audio))
    }

    async fn next(&mut self, audio: &mut Vec<u8>) -> Option<CallerEvent> {
        loop {
            let Incoming::Message(Message::Text(text)) = self.0.next().await.ok()? else { continue };
            match serde_json::from_slice(text.as_ref()).ok()? {
                FromTwilio { media: Some(media), .. } => {
                    STANDARD.decode_vec(media.payload, audio).ok()?;
                    return Some(CallerEvent::Audio);
                }
                FromTwilio { start: Some(start), .. } => return Some(CallerEvent::Start(start)),
                FromTwilio { event: "stop", .. } => return None,
                FromTwilio { .. } => {}
            }
        }
    }
}

/// Plays to the caller.
pub(super) struct Player {
    writer: Writer<Socket>,
    stream_sid: String,
    marks: u64,
}

impl Player {
    /// Plays audio, mu-law at 8,000 Hz, and sends a mark that comes back after playout.
    pub(super) async fn play(&mut self, audio: &[u8]) -> io::Result<()> {
        self.play_base64(&STANDARD.encode(audio)).await
    }

    /// Plays audio in base64, which is the form that Twilio accepts.
    pub(super) async fn play_base64(&mut self, payload: &str) -> io::Result<()> {
        self.marks += 1;
        let name = self.marks.to_string();
        let stream_sid = self.stream_sid.as_str();
        let media = json(&ToTwilio::Media { stream_sid, media: Media { payload } });
        let mark = json(&ToTwilio::Mark { stream_sid, mark: Mark { name: &name } });
        self.writer.add(media).await?;
        self.writer.add(mark).await?;
        self.writer.flush().await
    }

    /// Drops audio that has not been played.
    pub(super) async fn clear(&mut self) -> io::Result<()> {
        let clear = json(&ToTwilio::Clear { stream_sid: &self.stream_sid });
        self.writer.send(clear).await
    }
}

fn json(message: &ToTwilio<'_>) -> Frame {
    // This structure always serialises.
    Frame::text(serde_json::to_string(message).unwrap_or_default())
}
