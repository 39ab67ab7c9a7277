//! Twilio Media Streams: the messages of one WebSocket, read and written.
//!
//! Source: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.

mod inbound;
mod media;
mod outbound;

pub use inbound::{Dtmf, Inbound, MediaFormat, ParseError, Start, parse};
pub use media::Media;
pub use outbound::TwilioMessage;
