//! The WebSocket's JSON messages, in text or binary frames, of 4 MiB at most.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dialbridge_net::websocket::{Closed, Fault, Frame, Limits, PROTOCOL_ERROR, TOO_BIG, WebSocket};
use futures_core::Stream;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tokio::sync::mpsc;

use ces::bidi_session_server_message::MessageType;
use ces::session_output::OutputType;

use crate::agent::ces::ending::{Ending, WebSocketEnding};
use crate::agent::ces::exchange::{FromClient, Outgoing};
use crate::agent::ces::json;
use crate::agent::script::{Break, Ces, Frames as Form, Outputs};

/// The longest message that Google's adapters accept. A client may read nothing for as long as a test lasts.
pub(super) const LIMITS: Limits = Limits {
    max_message_bytes: 4 << 20,
    max_queued_messages: 64,
    write_timeout: Duration::from_secs(600),
    ping_every: None,
    echoes_close_code: true,
};

/// What we record if a close frame has no code (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

/// The frames to a client.
pub(super) struct Frames {
    outgoing: mpsc::Receiver<Outgoing>,
    behaviour: Ces,
    /// A text that waits for its audio.
    text: Option<Box<ces::BidiSessionServerMessage>>,
    /// The end that has come instead of the audio.
    next: Option<Outgoing>,
}

impl Frames {
    pub(super) fn new(outgoing: mpsc::Receiver<Outgoing>, behaviour: Ces) -> Self {
        Self { outgoing, behaviour, text: None, next: None }
    }

    /// Keeps a text that joins the next output. Returns all other messages.
    fn hold_back(&mut self, message: Box<ces::BidiSessionServerMessage>) -> Option<Box<ces::BidiSessionServerMessage>> {
        let joins = matches!(&message.message_type, Some(MessageType::SessionOutput(output))
            if !output.turn_completed && matches!(output.output_type, Some(OutputType::Text(_))));
        if !joins || self.behaviour.outputs == Outputs::Apart || self.text.is_some() {
            return Some(message);
        }
        self.text = Some(message);
        None
    }

    fn frame(&mut self, message: &ces::BidiSessionServerMessage) -> Frame {
        let is_output = matches!(message.message_type, Some(MessageType::SessionOutput(_)));
        let text = if is_output { self.text.take().and_then(|message| text_of(*message)) } else { None };
        let json = json::server_message_with_text(message, self.behaviour.unpublished_fields, text);
        match self.behaviour.frames {
            Form::Binary => Frame::binary(json.into_bytes()),
            Form::Text => Frame::text(json),
        }
    }
}

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            let next = match self.next.take() {
                None => ready!(self.outgoing.poll_recv(cx)),
                next => next,
            };
            if is_end(next.as_ref())
                && let Some(text) = self.text.take()
            {
                self.next = next;
                return Poll::Ready(Some(self.frame(&text)));
            }
            match next {
                None => return Poll::Ready(None),
                Some(Outgoing::Message(message)) => {
                    if let Some(message) = self.hold_back(message) {
                        return Poll::Ready(Some(self.frame(&message)));
                    }
                }
                Some(Outgoing::End(ending)) => {
                    return Poll::Ready(match ending.socket() {
                        WebSocketEnding::Close { code, reason } => Some(Frame::close(code, &reason)),
                        WebSocketEnding::Drop => None,
                    });
                }
            }
        }
    }
}

/// Whether no audio comes after this.
fn is_end(outgoing: Option<&Outgoing>) -> bool {
    match outgoing {
        None | Some(Outgoing::End(_)) => true,
        Some(Outgoing::Message(message)) => matches!(message.message_type, Some(MessageType::EndSession(_))),
    }
}

fn text_of(message: ces::BidiSessionServerMessage) -> Option<String> {
    match message.message_type? {
        MessageType::SessionOutput(ces::SessionOutput { output_type: Some(OutputType::Text(text)), .. }) => Some(text),
        _ => None,
    }
}

/// Waits for the client's next message. Nothing is lost when this is dropped half-way.
pub(super) async fn next(socket: &mut WebSocket) -> FromClient {
    match socket.next().await {
        Ok(message) => understood(&message.into_bytes()),
        Err(Closed::ByPeer { code, .. }) => FromClient::Gone(Some(code.unwrap_or(NO_CODE))),
        Err(Closed::Fault(fault)) => {
            let code = if fault == Fault::TooBig { TOO_BIG } else { PROTOCOL_ERROR };
            FromClient::Unreadable(Ending::Broken(Break::Code(code)))
        }
        Err(Closed::Broken | Closed::Stalled | Closed::Silent) => FromClient::Gone(None),
    }
}

fn understood(message: &[u8]) -> FromClient {
    match json::client_message(message) {
        Ok(message) => FromClient::Message(Box::new(message)),
        Err(status) => FromClient::Unreadable(Ending::Failed(status)),
    }
}
