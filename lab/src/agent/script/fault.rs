//! How a stream fails by the script.

use serde::Deserialize;
use tonic::Code;

use crate::agent::script::Break;

/// What a stream fails with: a gRPC code, or something below gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fault {
    /// The request is wrong.
    InvalidArgument,
    /// The client has not said who it is.
    Unauthenticated,
    /// The client may not do that.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// That is not how things stand.
    FailedPrecondition,
    /// A quota is used up.
    ResourceExhausted,
    /// Something broke inside.
    Internal,
    /// The server cannot be had.
    Unavailable,
    /// The server does not do that.
    Unimplemented,
    /// It took too long.
    DeadlineExceeded,
    /// The stream is reset.
    Reset,
    /// The stream is reset, and the client told that nobody has looked at it.
    RefusedStream,
    /// Nothing is read from the stream, and nothing comes any more.
    Stall,
    /// The stream's connection takes no further ones. The stream itself does not fail.
    Goaway,
    /// The stream's connection breaks off.
    Cut,
    /// All connections break off, and for a while nobody can connect.
    Down,
}

/// Where a stream fails that does not fail while it listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultAt {
    /// When its first message has been read, before anything is said about it.
    Opening,
    /// In the place of the answer, after the partial ones.
    #[default]
    Answer,
    /// After the first message of the answer.
    Middle,
}

impl Fault {
    /// The gRPC code; of what has none the one that a client takes it for.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::InvalidArgument => Code::InvalidArgument,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::ResourceExhausted => Code::ResourceExhausted,
            Self::Internal => Code::Internal,
            Self::Unimplemented => Code::Unimplemented,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unavailable
            | Self::Reset
            | Self::RefusedStream
            | Self::Stall
            | Self::Goaway
            | Self::Cut
            | Self::Down => Code::Unavailable,
        }
    }

    /// Whether the stream fails of it.
    pub(crate) fn fails_stream(self) -> bool {
        self != Self::Goaway
    }

    /// What it is to a stream that lasts for the whole call (CES).
    pub(crate) fn as_break(self) -> Break {
        match self {
            Self::Reset | Self::RefusedStream | Self::Cut | Self::Down => Break::Reset,
            Self::Stall => Break::Stall,
            Self::Goaway => Break::Close,
            code => Break::Fault(code),
        }
    }
}
