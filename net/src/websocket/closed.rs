//! Why a WebSocket was closed.

use std::io;

use fastwebsockets::WebSocketError;

/// Normal closure (RFC 6455 section 7.4.1).
pub const NORMAL: u16 = 1000;
/// A protocol error (RFC 6455 section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// A message that is too big (RFC 6455 section 7.4.1).
pub const TOO_BIG: u16 = 1009;

/// Why a WebSocket receives nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The peer sent a close frame with this code and reason.
    ByPeer {
        /// `None` if the frame has no code.
        code: Option<u16>,
        /// Empty if the frame has no reason.
        reason: String,
    },
    /// The connection ended without a close frame.
    Broken,
    /// The peer broke a rule of the protocol.
    Fault(Fault),
    /// The peer read nothing for [`Limits::write_timeout`](super::Limits::write_timeout).
    Stalled,
    /// The peer has answered pings before, but sent nothing since the last one.
    Silent,
}

/// The rule that the peer broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A message is longer than the limit.
    TooBig,
    /// A frame violates RFC 6455.
    Protocol(String),
}

impl Closed {
    /// The code in the peer's close frame.
    #[must_use]
    pub fn peer_code(&self) -> Option<u16> {
        if let Self::ByPeer { code, .. } = self { *code } else { None }
    }

    pub(super) fn by_peer(payload: &[u8]) -> Self {
        match payload {
            [high, low, reason @ ..] => Self::ByPeer {
                code: Some(u16::from_be_bytes([*high, *low])),
                reason: String::from_utf8_lossy(reason).into_owned(),
            },
            _ => Self::ByPeer { code: None, reason: String::new() },
        }
    }

    /// The code of our close frame; `None` if nobody is there to read it.
    pub(super) fn answer(&self, echoes_code: bool) -> Option<u16> {
        match self {
            Self::ByPeer { code, .. } => Some(code.filter(|_| echoes_code).unwrap_or(NORMAL)),
            Self::Fault(Fault::TooBig) => Some(TOO_BIG),
            Self::Fault(Fault::Protocol(_)) => Some(PROTOCOL_ERROR),
            Self::Broken | Self::Stalled | Self::Silent => None,
        }
    }
}

impl From<WebSocketError> for Closed {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::IoError(error) if error.kind() == io::ErrorKind::InvalidData => {
                Fault::Protocol(error.to_string()).into()
            }
            WebSocketError::UnexpectedEOF | WebSocketError::IoError(_) | WebSocketError::ConnectionClosed => {
                Self::Broken
            }
            WebSocketError::FrameTooLarge => Fault::TooBig.into(),
            other => Fault::Protocol(other.to_string()).into(),
        }
    }
}

impl From<Fault> for Closed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
