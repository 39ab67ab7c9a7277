//! Why Twilio's text is refused.

use std::fmt;

/// Why a text frame is not a Twilio message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The text is not a JSON object with an `event`.
    NotAMessage,
    /// A required part of the message is missing or has the wrong type.
    Incomplete {
        /// The part, as Twilio spells it.
        part: &'static str,
    },
    /// `media.payload` is not base64.
    Payload,
    /// `dtmf.digit` is not a DTMF digit.
    Digit,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMessage => f.write_str("text that is no JSON object with an \"event\""),
            Self::Incomplete { part } => write!(f, "a message without a usable {part}"),
            Self::Payload => f.write_str("a media payload that is no base64"),
            Self::Digit => f.write_str("a dtmf digit that is on no telephone"),
        }
    }
}

impl std::error::Error for ParseError {}
