//! How a stream ends, over both transports.

use http::StatusCode;
use tonic::{Code, Status};

use crate::agent::script::{Break, Fault};

/// The end of a stream.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// Regularly.
    Clean,
    /// With an error.
    Failed(Status),
    /// As the script says.
    Broken(Break),
}

/// The gRPC end of a stream.
#[derive(Debug)]
pub(super) enum GrpcEnding {
    Ok,
    Status(Status),
    Reset,
}

/// The WebSocket end of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WebSocketEnding {
    /// A close frame.
    Close { code: u16, reason: String },
    /// The connection breaks.
    Drop,
}

/// The longest reason in a close frame, in bytes (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

impl Ending {
    /// What a gRPC client gets.
    pub(super) fn grpc(self) -> GrpcEnding {
        match self {
            Self::Clean | Self::Broken(Break::Close | Break::Code(1000)) => GrpcEnding::Ok,
            Self::Failed(status) => GrpcEnding::Status(status),
            // A stalled stream does not end. If it must end after all, it is cut.
            Self::Broken(Break::Reset | Break::Stall | Break::Code(1006)) => GrpcEnding::Reset,
            Self::Broken(Break::Fault(fault)) => GrpcEnding::Status(failure(fault.code())),
            Self::Broken(Break::Code(code)) => GrpcEnding::Status(failure(code_of(code))),
        }
    }

    /// What a WebSocket client gets.
    pub(super) fn socket(self) -> WebSocketEnding {
        match self {
            Self::Clean | Self::Broken(Break::Close) => WebSocketEnding::Close { code: 1000, reason: String::new() },
            Self::Failed(status) => WebSocketEnding::Close { code: close_code(status.code()), reason: reason(&status) },
            Self::Broken(Break::Reset | Break::Stall | Break::Code(1006)) => WebSocketEnding::Drop,
            Self::Broken(Break::Fault(fault)) => Self::Failed(failure(fault.code())).socket(),
            Self::Broken(Break::Code(code @ 400..=599)) => Self::Failed(failure(code_of(code))).socket(),
            Self::Broken(Break::Code(code)) => WebSocketEnding::Close { code, reason: reason(&failure(code_of(code))) },
        }
    }
}

/// What a WebSocket client gets for a gRPC status.
#[cfg(target_os = "linux")]
pub(crate) fn ending_of(status: Status) -> WebSocketEnding {
    Ending::Failed(status).socket()
}

/// A fault as an HTTP status (<https://docs.cloud.google.com/apis/design/errors>).
pub(super) fn http_status(fault: Fault) -> StatusCode {
    match fault {
        Fault::InvalidArgument | Fault::FailedPrecondition => StatusCode::BAD_REQUEST,
        Fault::Unauthenticated => StatusCode::UNAUTHORIZED,
        Fault::PermissionDenied => StatusCode::FORBIDDEN,
        Fault::NotFound | Fault::Unimplemented => StatusCode::NOT_FOUND,
        Fault::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Fault::Unavailable
        | Fault::Reset
        | Fault::RefusedStream
        | Fault::Stall
        | Fault::Goaway
        | Fault::Cut
        | Fault::Down => StatusCode::SERVICE_UNAVAILABLE,
        Fault::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The gRPC code for a close code or an HTTP status.
pub(super) fn code_of(code: u16) -> Code {
    match code {
        400 | 1007 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 | 1008 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 1009 => Code::ResourceExhausted,
        500 | 1011 => Code::Internal,
        502 | 503 | 1001 | 1012 | 1013 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Unknown,
    }
}

/// The close code for a gRPC code. CES was seen to use 1007, 1008 for what is denied or not found, and 1011; the rest
/// follows Google's other gateways.
fn close_code(code: Code) -> u16 {
    match code {
        Code::Ok => 1000,
        Code::InvalidArgument | Code::OutOfRange => 1007,
        Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Unimplemented => 1008,
        _ => 1011,
    }
}

/// A reason as CES words it: it contains the error's name as `generic::not_found`.
fn reason(status: &Status) -> String {
    let name = snake(&format!("{:?}", status.code()));
    let mut reason = format!("[ORIGINAL ERROR] generic::{name}: {}", status.message());
    let end = (0..=MAX_REASON_BYTES.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end));
    reason.truncate(end.unwrap_or_default());
    reason
}

/// `NotFound` as `not_found`.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn failure(code: Code) -> Status {
    Status::new(code, "the script has this stream fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ending: Ending) -> u16 {
        match ending.socket() {
            WebSocketEnding::Close { code, .. } => code,
            WebSocketEnding::Drop => 1006,
        }
    }

    fn code(ending: Ending) -> Code {
        match ending.grpc() {
            GrpcEnding::Ok => Code::Ok,
            GrpcEnding::Status(status) => status.code(),
            GrpcEnding::Reset => Code::Cancelled,
        }
    }

    #[test]
    fn an_ending_means_the_same_over_both_transports() {
        for (ending, close_code, grpc_code) in [
            (Ending::Clean, 1000, Code::Ok),
            (Ending::Broken(Break::Reset), 1006, Code::Cancelled),
            (Ending::Broken(Break::Code(1006)), 1006, Code::Cancelled),
            (Ending::Broken(Break::Code(1012)), 1012, Code::Unavailable),
            (Ending::Broken(Break::Code(1008)), 1008, Code::PermissionDenied),
            (Ending::Broken(Break::Code(429)), 1011, Code::ResourceExhausted),
            (Ending::Broken(Break::Fault(Fault::NotFound)), 1008, Code::NotFound),
            (Ending::Broken(Break::Fault(Fault::Unavailable)), 1011, Code::Unavailable),
            (Ending::Failed(Status::invalid_argument("no")), 1007, Code::InvalidArgument),
        ] {
            assert_eq!((close(ending.clone()), code(ending.clone())), (close_code, grpc_code), "{ending:?}");
        }
    }

    #[test]
    fn a_reason_names_the_error_and_fits_a_close_frame() {
        let status = Status::resource_exhausted("ü".repeat(100));
        let WebSocketEnding::Close { reason, .. } = Ending::Failed(status).socket() else { panic!() };
        assert!(reason.starts_with("[ORIGINAL ERROR] generic::resource_exhausted: ü"), "{reason}");
        assert!((122..=123).contains(&reason.len()), "{}", reason.len());
    }
}
