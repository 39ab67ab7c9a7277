//! How a script makes a stream fail.

use serde::Deserialize;
use tonic::Code;

use crate::agent::script::{Break, Reply};

/// What a stream fails with: a gRPC code, or a fault below gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fault {
    /// The request is wrong.
    InvalidArgument,
    /// The client is not authenticated.
    Unauthenticated,
    /// The client may not do that.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// The session is in the wrong state.
    FailedPrecondition,
    /// A quota is used up.
    ResourceExhausted,
    /// An internal error.
    Internal,
    /// The server is unavailable.
    Unavailable,
    /// The server does not support it.
    Unimplemented,
    /// It took too long.
    DeadlineExceeded,
    /// The stream is reset.
    Reset,
    /// The stream is reset, and the client learns that the server has not processed it.
    RefusedStream,
    /// The stream stalls: nothing is read from it, and nothing comes any more.
    Stall,
    /// The stream's connection accepts no further streams. The stream itself does not fail.
    Goaway,
    /// The stream's connection breaks.
    Cut,
    /// All connections break, and for a while nobody can connect.
    Down,
}

/// Where a stream fails, if not while it listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultAt {
    /// After its first message has been read, before any response.
    Opening,
    /// In place of the answer, after the partial responses.
    #[default]
    Answer,
    /// After the first message of the answer.
    Middle,
}

impl Fault {
    /// The gRPC code; for a fault without one the code that a client takes it for.
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

    /// Whether it makes the stream fail.
    pub(crate) fn fails_stream(self) -> bool {
        self != Self::Goaway
    }

    /// The same fault on a stream that lasts for the whole call (CES).
    pub(crate) fn as_break(self) -> Break {
        match self {
            Self::Reset | Self::RefusedStream | Self::Cut | Self::Down => Break::Reset,
            Self::Stall => Break::Stall,
            Self::Goaway => Break::Close,
            code => Break::Fault(code),
        }
    }
}

/// A fault of the agent from a command line: the first utterance meets it, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFault {
    fault: Fault,
    after_ms: Option<u64>,
    down_ms: Option<u64>,
}

impl PlannedFault {
    /// The faults that can be parsed, for a message.
    pub const NAMES: &str = "reset, refused-stream, stall, goaway, cut, down+MS, unavailable, resource-exhausted, \
                             unauthenticated, deadline-exceeded, internal; with @MS when so much has been said, e.g. cut@800";

    /// Parses a fault of the command line: `reset`, `cut@800` (after that many milliseconds of speech), `down@800+3000`
    /// (for that long).
    ///
    /// # Errors
    /// With a sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no fault; there are {}", Self::NAMES);
        let ms = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let (rest, down) = text.split_once('+').map_or((text, None), |(rest, down)| (rest, Some(down)));
        let (name, after) = rest.split_once('@').map_or((rest, None), |(name, after)| (name, Some(after)));
        let fault = match name {
            "reset" => Fault::Reset,
            "refused-stream" => Fault::RefusedStream,
            "stall" => Fault::Stall,
            "goaway" => Fault::Goaway,
            "cut" => Fault::Cut,
            "down" => Fault::Down,
            "unavailable" => Fault::Unavailable,
            "resource-exhausted" => Fault::ResourceExhausted,
            "unauthenticated" => Fault::Unauthenticated,
            "deadline-exceeded" => Fault::DeadlineExceeded,
            "internal" => Fault::Internal,
            _ => return Err(wrong()),
        };
        if down.is_some() != (fault == Fault::Down) {
            return Err(wrong());
        }
        Ok(Self { fault, after_ms: after.map(ms).transpose()?, down_ms: down.map(ms).transpose()? })
    }

    /// Adds it to an answer.
    pub(crate) fn apply_to(self, reply: &mut Reply) {
        reply.fault = Some(self.fault);
        reply.fault_after_ms = self.after_ms;
        reply.fault_times = Some(1);
        reply.down_ms = self.down_ms;
        if self.fault == Fault::RefusedStream && self.after_ms.is_none() {
            reply.fault_at = FaultAt::Opening;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_the_command_line() {
        let planned = |fault, after_ms, down_ms| Ok(PlannedFault { fault, after_ms, down_ms });
        assert_eq!(PlannedFault::parse("reset"), planned(Fault::Reset, None, None));
        assert_eq!(PlannedFault::parse("cut@800"), planned(Fault::Cut, Some(800), None));
        assert_eq!(PlannedFault::parse("down@800+3000"), planned(Fault::Down, Some(800), Some(3_000)));
        for text in ["", "rest", "reset@", "reset@x", "down", "down+", "reset+300", "RESET"] {
            let error = PlannedFault::parse(text).unwrap_err();
            assert!(error.contains(&format!("\"{text}\"")) && error.contains("refused-stream"), "{error}");
        }
    }

    #[test]
    fn a_refused_stream_is_refused_at_its_opening() {
        let mut reply = Reply::default();
        PlannedFault::parse("refused-stream").unwrap().apply_to(&mut reply);
        assert_eq!((reply.fault, reply.fault_at), (Some(Fault::RefusedStream), FaultAt::Opening));
    }
}
