//! Planned faults of a soak.

use tonic::Code;

/// A fault in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    /// The stream is reset.
    Reset,
    /// The stream ends with that gRPC status.
    Status(Code),
    /// The turn is answered. Then the connection accepts no further streams, or a client with one stream for the whole
    /// call is told to go away.
    GoAway,
    /// The connection breaks.
    Cut,
}

impl Planned {
    /// Of twenty turns four have a fault; every tenth of those breaks its whole connection.
    pub(super) fn of(turn: u32) -> Option<Self> {
        match turn % 20 {
            3 => Some(Self::Reset),
            8 => Some(Self::Status(Code::ResourceExhausted)),
            13 => Some(Self::Status(Code::Unavailable)),
            18 if turn % 200 == 198 => Some(Self::Cut),
            18 => Some(Self::GoAway),
            _ => None,
        }
    }
}
