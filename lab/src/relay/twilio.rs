//! Twilio's side of a call: what is heard from it, and what is played to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{Frame, OpCode, Payload, WebSocket, WebSocketError, WebSocketRead, WebSocketWrite};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{ReadHalf, WriteHalf};

type Socket = TokioIo<Upgraded>;

/// What Twilio sends, as far as it matters here: one flat structure, for that is what serde reads fastest.
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

/// What Twilio is sent.
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

enum Heard {
    Start(Start),
    Audio,
}

/// A call that has started.
pub(super) struct Started {
    pub(super) call_sid: String,
    pub(super) caller: Caller,
    pub(super) player: Player,
}

/// Waits for the start of the call on that socket; `None`: there is none.
pub(super) async fn start(mut socket: WebSocket<Socket>) -> Option<Started> {
    socket.set_writev(false);
    let (reader, writer) = socket.split(tokio::io::split);
    let mut caller = Caller(reader);
    let Heard::Start(Start { stream_sid, call_sid }) = caller.next(&mut Vec::new()).await? else { return None };
    Some(Started { call_sid, caller, player: Player { writer, stream_sid, marks: 0 } })
}

/// What comes from the caller. A read that is dropped half-way loses bytes, so nothing may race with it that the call
/// outlives.
pub(super) struct Caller(WebSocketRead<ReadHalf<Socket>>);

impl Caller {
    /// Waits for the next frame and appends its audio: mu-law at 8,000 Hz. `false`: the caller has gone.
    pub(super) async fn hear(&mut self, audio: &mut Vec<u8>) -> bool {
        matches!(self.next(audio).await, Some(Heard::Audio))
    }

    async fn next(&mut self, audio: &mut Vec<u8>) -> Option<Heard> {
        loop {
            let frame = self.0.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await.ok()?;
            match frame.opcode {
                OpCode::Text => {}
                OpCode::Close => return None,
                OpCode::Ping | OpCode::Pong | OpCode::Binary | OpCode::Continuation => continue,
            }
            match serde_json::from_slice(&frame.payload).ok()? {
                FromTwilio { media: Some(media), .. } => {
                    STANDARD.decode_vec(media.payload, audio).ok()?;
                    return Some(Heard::Audio);
                }
                FromTwilio { start: Some(start), .. } => return Some(Heard::Start(start)),
                FromTwilio { event: "stop", .. } => return None,
                FromTwilio { .. } => {}
            }
        }
    }
}

/// Plays to the caller.
pub(super) struct Player {
    writer: WebSocketWrite<WriteHalf<Socket>>,
    stream_sid: String,
    marks: u64,
}

impl Player {
    /// Plays audio, mu-law at 8,000 Hz, and has a mark come back when it was played.
    pub(super) async fn play(&mut self, audio: &[u8]) -> Result<(), WebSocketError> {
        self.play_base64(&STANDARD.encode(audio)).await
    }

    /// The same with audio in base64, which is what Twilio takes.
    pub(super) async fn play_base64(&mut self, payload: &str) -> Result<(), WebSocketError> {
        self.marks += 1;
        let name = self.marks.to_string();
        let stream_sid = self.stream_sid.as_str();
        let media = json(&ToTwilio::Media { stream_sid, media: Media { payload } });
        let mark = json(&ToTwilio::Mark { stream_sid, mark: Mark { name: &name } });
        self.writer.write_frame(media).await?;
        self.writer.write_frame(mark).await?;
        self.writer.flush().await
    }

    /// Drops what has not been played.
    pub(super) async fn clear(&mut self) -> Result<(), WebSocketError> {
        let clear = json(&ToTwilio::Clear { stream_sid: &self.stream_sid });
        self.writer.write_frame(clear).await?;
        self.writer.flush().await
    }
}

fn json(message: &ToTwilio<'_>) -> Frame<'static> {
    // Such a structure is always JSON.
    Frame::text(Payload::Owned(serde_json::to_vec(message).unwrap_or_default()))
}
