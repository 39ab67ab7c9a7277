//! gRPC's codes in core's words: what failed, and whether another attempt may succeed.

use dialbridge_core::agent::AgentFault;
use tonic::{Code, Status};

/// Why a stream failed.
pub(super) fn fault(status: &Status) -> AgentFault {
    let (code, transient) = match status.code() {
        Code::Ok => ("OK", true),
        Code::Cancelled => ("CANCELLED", true),
        Code::Unknown => ("UNKNOWN", true),
        Code::InvalidArgument => ("INVALID_ARGUMENT", false),
        Code::DeadlineExceeded => ("DEADLINE_EXCEEDED", true),
        Code::NotFound => ("NOT_FOUND", false),
        Code::AlreadyExists => ("ALREADY_EXISTS", false),
        Code::PermissionDenied => ("PERMISSION_DENIED", false),
        Code::ResourceExhausted => ("RESOURCE_EXHAUSTED", true),
        Code::FailedPrecondition => ("FAILED_PRECONDITION", false),
        Code::Aborted => ("ABORTED", true),
        // The stream got too long, or no audio came for a while: the next one begins anew.
        Code::OutOfRange => ("OUT_OF_RANGE", true),
        Code::Unimplemented => ("UNIMPLEMENTED", false),
        Code::Internal => ("INTERNAL", true),
        Code::Unavailable => ("UNAVAILABLE", true),
        Code::DataLoss => ("DATA_LOSS", true),
        Code::Unauthenticated => ("UNAUTHENTICATED", false),
    };
    AgentFault { code: code.to_owned(), message: status.message().to_owned(), transient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_may_pass_are_transient() {
        let transient = |code| fault(&Status::new(code, "x")).transient;
        for code in [Code::Unavailable, Code::Internal, Code::ResourceExhausted, Code::OutOfRange, Code::Aborted] {
            assert!(transient(code), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::NotFound, Code::PermissionDenied, Code::FailedPrecondition] {
            assert!(!transient(code), "{code:?}");
        }
        assert_eq!(fault(&Status::unavailable("gone")).to_string(), "UNAVAILABLE: gone");
    }
}
