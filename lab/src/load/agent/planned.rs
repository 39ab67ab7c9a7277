//! What goes wrong by plan in a soak.

use tonic::Code;

/// What goes wrong in the place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    /// The stream is reset.
    Reset,
    /// The stream ends with that gRPC status.
    Status(Code),
    /// The turn is answered; then the connection takes no further streams, or the client of a stream for the whole call is
    /// told to go away.
    GoAway,
    /// The connection breaks off.
    Cut,
}

impl Planned {
    /// Of twenty turns four have a fault; each tenth of those takes its whole connection with it.
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
