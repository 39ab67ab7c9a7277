//! Twilio Media Streams: the messages of one WebSocket, read and written.
//!
//! Source: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.

mod inbound;
mod media;
mod outbound;
mod parse_error;
mod text;

pub use inbound::{Dtmf, Inbound, MediaFormat, Start, parse};
pub use media::Media;
pub use outbound::TwilioMessage;
pub use parse_error::ParseError;
pub use text::Text;
