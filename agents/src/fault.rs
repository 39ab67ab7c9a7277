//! Converts gRPC's codes to core's faults: what failed, and whether a retry may succeed.

use std::error::Error;
use std::io;

use dialbridge_core::agent::AgentFault;
use tonic::{Code, Status};

/// The reason in the details of an error when the credentials may not use the quota project that they bring.
pub(super) const USER_PROJECT_DENIED: &str = "USER_PROJECT_DENIED";

/// Why a stream failed.
pub(super) fn fault(status: &Status) -> AgentFault {
    // The server did not say this: the client met it below gRPC, where the connection broke.
    let is_below = matches!(status.code(), Code::Cancelled | Code::Unknown) && status.source().is_some();
    let (code, transient) = match status.code() {
        Code::Cancelled | Code::Unknown if is_below => ("UNAVAILABLE", true),
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
        // The stream was too long, or no audio came for a while. A new stream can succeed.
        Code::OutOfRange => ("OUT_OF_RANGE", true),
        Code::Unimplemented => ("UNIMPLEMENTED", false),
        Code::Internal => ("INTERNAL", true),
        Code::Unavailable => ("UNAVAILABLE", true),
        Code::DataLoss => ("DATA_LOSS", true),
        Code::Unauthenticated => ("UNAUTHENTICATED", false),
    };
    if let Some(why) = certificate_fault(status) {
        return untrusted(code, &why);
    }
    AgentFault { code: code.to_owned(), message: message(status), transient }
}

/// The status's text. Google names the refusal of a quota project in the details too, whatever the text says.
fn message(status: &Status) -> String {
    let text = status.message();
    let is_named = memchr::memmem::find(status.details(), USER_PROJECT_DENIED.as_bytes()).is_some();
    if is_named { format!("({USER_PROJECT_DENIED}) {text}") } else { text.to_owned() }
}

/// There is no connection to the endpoint.
pub(super) fn unreachable(why: &str) -> AgentFault {
    fault(&Status::unavailable(why))
}

/// The endpoint's certificate is not trusted. A retry would meet the same one.
pub(super) fn untrusted(code: &str, why: &str) -> AgentFault {
    let message = format!("the certificate of the agent's endpoint is not accepted: {why}");
    AgentFault { code: code.to_owned(), message, transient: false }
}

/// The problem with the other side's certificate, if the error comes from it.
#[must_use]
pub fn certificate_fault(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(format!("{why:?}"));
        }
        // The error inside an `io::Error` is not its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_accepted_is_no_fault_that_passes() {
        let mut status = Status::unavailable("transport error");
        let why = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        // hyper-rustls wraps it twice.
        status.set_source(std::sync::Arc::new(io::Error::other(io::Error::other(why))));
        let fault = fault(&status);
        assert!(!fault.transient && fault.message.contains("UnknownIssuer"), "{fault}");
    }

    #[test]
    fn a_refused_quota_project_is_named_whether_the_text_or_the_details_name_it() {
        let details = bytes::Bytes::from_static(b"\x0a\x13USER_PROJECT_DENIED\x12\x0egoogleapis.com");
        let status = Status::with_details(Code::PermissionDenied, "no", details);
        assert_eq!(fault(&status).to_string(), "PERMISSION_DENIED: (USER_PROJECT_DENIED) no");
    }

    #[test]
    fn a_connection_that_breaks_is_an_agent_that_is_unavailable_whatever_the_client_calls_it() {
        for code in [Code::Unknown, Code::Cancelled] {
            let mut broken = Status::new(code, "operation was canceled");
            assert_ne!(fault(&broken).code, "UNAVAILABLE", "the server says so");
            broken.set_source(std::sync::Arc::new(io::Error::from(io::ErrorKind::BrokenPipe)));
            assert_eq!(fault(&broken).code, "UNAVAILABLE");
        }
    }

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
