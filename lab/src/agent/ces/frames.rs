//! The WebSocket's frames: messages of JSON in text or binary frames, fragmented or not, of 4 MiB at most; pings are
//! answered, a close is returned.

use std::time::Duration;

use fastwebsockets::{Frame, OpCode, Payload, WebSocketError, WebSocketRead, WebSocketWrite};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tonic::Status;

use crate::agent::ces::ending::{Ending, SocketEnding};
use crate::agent::ces::json;
use crate::agent::ces::stream::{FromClient, Outgoing};
use crate::agent::script::{Break, Ces, Frames};

type Reader = WebSocketRead<ReadHalf<TokioIo<Upgraded>>>;
type Writer = WebSocketWrite<WriteHalf<TokioIo<Upgraded>>>;

/// The longest message, in bytes: what Google's adapters take.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// How long the server waits for the client to return its close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What a close without a code is noted as (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

/// What the reader has the writer do.
pub(super) enum Control {
    Pong(Vec<u8>),
    /// The client closes.
    Close(Vec<u8>),
}

/// Reads until the client is gone.
pub(super) async fn read(mut reader: Reader, messages: mpsc::Sender<FromClient>, control: mpsc::Sender<Control>) {
    let mut message = Vec::new();
    let mut is_fragmented = false;
    loop {
        let frame = reader.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await;
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                let _ = messages.send(unreadable(&error)).await;
                return;
            }
        };
        match frame.opcode {
            OpCode::Ping => {
                if control.send(Control::Pong(frame.payload.to_vec())).await.is_err() {
                    return;
                }
                continue;
            }
            OpCode::Pong => continue,
            OpCode::Close => {
                let code = frame.payload.first_chunk().map_or(NO_CODE, |code| u16::from_be_bytes(*code));
                let _ = control.send(Control::Close(frame.payload.to_vec())).await;
                let _ = messages.send(FromClient::Gone(Some(code))).await;
                return;
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {}
        }
        if (frame.opcode == OpCode::Continuation) != is_fragmented {
            let _ = messages.send(unreadable(&WebSocketError::InvalidFragment)).await;
            return;
        }
        is_fragmented = !frame.fin;
        message.extend_from_slice(&frame.payload);
        if message.len() > MOST_BYTES {
            let _ = messages.send(unreadable(&WebSocketError::FrameTooLarge)).await;
            return;
        }
        if frame.fin {
            let read = understood(&std::mem::take(&mut message));
            if messages.send(read).await.is_err() {
                return;
            }
        }
    }
}

fn understood(message: &[u8]) -> FromClient {
    match json::client_message(message) {
        Ok(message) => FromClient::Message(Box::new(message)),
        Err(status) => FromClient::Unreadable(Ending::Failed(status)),
    }
}

fn unreadable(error: &WebSocketError) -> FromClient {
    match error {
        WebSocketError::FrameTooLarge => FromClient::Unreadable(Ending::Broken(Break::Code(1009))),
        WebSocketError::InvalidUTF8 => FromClient::Unreadable(Ending::Failed(Status::invalid_argument("no UTF-8"))),
        WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed | WebSocketError::IoError(_) => {
            FromClient::Gone(None)
        }
        _ => FromClient::Unreadable(Ending::Broken(Break::Code(1002))),
    }
}

/// Writes until the stream ends or the client is gone.
pub(super) async fn write(
    mut writer: Writer,
    mut outgoing: mpsc::Receiver<Outgoing>,
    mut control: mpsc::Receiver<Control>,
    habits: &Ces,
) {
    loop {
        let written = tokio::select! {
            biased;
            Some(asked) = control.recv() => match asked {
                Control::Pong(payload) => send(&mut writer, Frame::pong(Payload::Owned(payload))).await,
                Control::Close(payload) => {
                    // A client that does not wait for it is gone already.
                    let _ = send(&mut writer, Frame::close_raw(Payload::Owned(payload))).await;
                    return;
                }
            },
            next = outgoing.recv() => match next {
                None => return,
                Some(Outgoing::End(ending)) => return end(writer, ending, control).await,
                Some(Outgoing::Message(message)) => {
                    let json = json::server_message(&message, habits.unpublished_fields).into_bytes();
                    let payload = Payload::Owned(json);
                    let frame = match habits.frames {
                        Frames::Binary => Frame::binary(payload),
                        Frames::Text => Frame::text(payload),
                    };
                    send(&mut writer, frame).await
                }
            },
        };
        if written.is_err() {
            return;
        }
    }
}

async fn end(mut writer: Writer, ending: Ending, mut control: mpsc::Receiver<Control>) {
    let SocketEnding::Close { code, reason } = ending.socket() else { return };
    if send(&mut writer, Frame::close(code, reason.as_bytes())).await.is_err() {
        return;
    }
    let returned = async {
        while let Some(asked) = control.recv().await {
            if matches!(asked, Control::Close(_)) {
                break;
            }
        }
    };
    // A client that does not return it is left all the same.
    let _ = tokio::time::timeout(CLOSE_PATIENCE, returned).await;
}

async fn send(writer: &mut Writer, frame: Frame<'_>) -> Result<(), WebSocketError> {
    writer.write_frame(frame).await?;
    writer.flush().await
}
