//! Inputs that a call refuses.

use std::fmt;

use crate::twilio::ParseError;

/// Why the call refused an input. The call has not changed and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputError {
    /// The peer of the WebSocket sent something that Twilio does not send.
    PeerMisbehaved(PeerFault),
}

/// What the peer of the WebSocket did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerFault {
    /// A text frame that is not a Twilio message, or an incomplete one.
    Message(ParseError),
    /// A binary frame; Twilio sends text.
    BinaryFrame,
    /// Audio, a digit or a mark before `start`.
    BeforeStart,
    /// A second `start` on the same WebSocket.
    SecondStart,
    /// A `start` whose ids Twilio cannot have given.
    BadIds,
    /// A `start` that announces audio other than mu-law, 8,000 Hz, mono.
    MediaFormat,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerMisbehaved(_) => f.write_str("the socket's other side does not speak as Twilio does"),
        }
    }
}

impl std::error::Error for InputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::PeerMisbehaved(fault) => Some(fault),
        }
    }
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(error) => error.fmt(f),
            Self::BinaryFrame => f.write_str("a binary frame"),
            Self::BeforeStart => f.write_str("a message before start"),
            Self::SecondStart => f.write_str("a second start"),
            Self::BadIds => f.write_str("a start with ids that Twilio does not give"),
            Self::MediaFormat => f.write_str("a start with audio other than audio/x-mulaw, 8000 Hz, 1 channel"),
        }
    }
}

impl std::error::Error for PeerFault {}

impl From<PeerFault> for InputError {
    fn from(fault: PeerFault) -> Self {
        Self::PeerMisbehaved(fault)
    }
}

impl From<ParseError> for InputError {
    fn from(error: ParseError) -> Self {
        PeerFault::Message(error).into()
    }
}
