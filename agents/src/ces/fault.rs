//! Converts the refusal or the close of a WebSocket to a gRPC code, as core knows them.

use dialbridge_core::agent::AgentFault;
use http::StatusCode;
use tonic::{Code, Status};

use super::json::{GoogleError, error_in};
use crate::address::{CES_HOST, ces_regional_host};
use crate::fault::{USER_PROJECT_DENIED, fault as of_status};

/// How much of the server's error text we keep, in characters.
const MAX_CHARS: usize = 300;

/// The codes by name. The reason in a close frame may contain one.
const NAMES: [(&str, Code); 15] = [
    ("CANCELLED", Code::Cancelled),
    ("INVALID_ARGUMENT", Code::InvalidArgument),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ("NOT_FOUND", Code::NotFound),
    ("ALREADY_EXISTS", Code::AlreadyExists),
    ("PERMISSION_DENIED", Code::PermissionDenied),
    ("RESOURCE_EXHAUSTED", Code::ResourceExhausted),
    ("FAILED_PRECONDITION", Code::FailedPrecondition),
    ("ABORTED", Code::Aborted),
    ("OUT_OF_RANGE", Code::OutOfRange),
    ("UNIMPLEMENTED", Code::Unimplemented),
    ("INTERNAL", Code::Internal),
    ("UNAVAILABLE", Code::Unavailable),
    ("DATA_LOSS", Code::DataLoss),
    ("UNAUTHENTICATED", Code::Unauthenticated),
];

/// A fault with that code.
pub(super) fn fault(code: Code, message: &str) -> AgentFault {
    of_status(&Status::new(code, masked(message)))
}

/// Why the server closed a WebSocket (RFC 6455 section 7.4.1); `None` for a normal end. `code` comes from the close
/// frame.
pub(super) fn closed(code: Option<u16>, reason: &str) -> Option<AgentFault> {
    let of_code = match code {
        None | Some(1000 | 1005) => return None,
        Some(1003 | 1007 | 1009) => Code::InvalidArgument,
        Some(1008) => Code::PermissionDenied,
        // Going away, unexpected condition, restart, overload, bad gateway.
        Some(1001 | 1006 | 1011..=1014) => Code::Unavailable,
        Some(1002) => Code::Internal,
        Some(_) => Code::Unknown,
    };
    let code_text = code.map(|code| format!("closed with {code}")).unwrap_or_default();
    let message = if reason.is_empty() { code_text } else { format!("{code_text}: {reason}") };
    Some(fault(named_in(reason).unwrap_or(of_code), &message))
}

/// Why the server refused to open a WebSocket.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> AgentFault {
    let of_status = match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 | 504 => Code::DeadlineExceeded,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        500..=599 => Code::Unavailable,
        // A server that answers with another status is the wrong server.
        _ => Code::FailedPrecondition,
    };
    let error = error_in(body).unwrap_or_default();
    // Google names the refusal of a quota project in the details too, whatever the text says.
    let is_user_project = memchr::memmem::find(body, USER_PROJECT_DENIED.as_bytes()).is_some();
    let reason = if is_user_project { format!(" ({USER_PROJECT_DENIED})") } else { String::new() };
    let message = match error.message.is_empty() {
        true => format!("answered with {}{reason}", status.as_u16()),
        false => format!("answered with {}{reason}: {}", status.as_u16(), error.message),
    };
    fault(named(&error.status).unwrap_or(of_status), &message)
}

/// The fault of an error that came as a message.
pub(super) fn fault_of_error(error: &GoogleError) -> AgentFault {
    fault(named(&error.status).unwrap_or(Code::Unknown), &error.message)
}

/// Adds a hint to the fault of a stream that did not open: another host may serve this agent.
pub(super) fn with_hint(fault: AgentFault, session: &str) -> AgentFault {
    if !matches!(fault.code.as_str(), "UNIMPLEMENTED" | "NOT_FOUND") {
        return fault;
    }
    let location = location(session);
    let regional = ces_regional_host(if location == "global" { "us" } else { location });
    let hint = format!(
        "where the app, its deployment and its location are right, DIALOGFLOW_ENDPOINT=https://{CES_HOST} or \
         https://{regional} may serve it, or another CES_TRANSPORT"
    );
    let separator = if fault.message.is_empty() { "" } else { "; " };
    AgentFault { message: format!("{}{separator}{hint}", fault.message), ..fault }
}

/// The location in a session's name.
pub(super) fn location(session: &str) -> &str {
    session.split('/').nth(3).unwrap_or("global")
}

fn named(name: &str) -> Option<Code> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

/// The code that a reason names, as `NOT_FOUND` or as `generic::not_found`.
fn named_in(reason: &str) -> Option<Code> {
    let end = |text: &str| text.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(text.len());
    let generic = reason.split("generic::").skip(1).find_map(|text| named(&text[..end(text)].to_ascii_uppercase()));
    let words = reason.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    generic.or_else(|| words.into_iter().find_map(named))
}

/// Shortens the server's text and masks the operator's names, because the text goes into the log.
pub(super) fn masked(message: &str) -> String {
    let mut words = Vec::new();
    for word in message.split_whitespace() {
        match word.find("projects/") {
            Some(at) => {
                let begin = word[..at].trim_end_matches(|c: char| c != '\'' && c != '"' && c != '(');
                let end = word.trim_end_matches(['\'', '"', ')', '.', ',', ';']).len();
                words.push(format!("{begin}…{}", &word[end..]));
            }
            None => words.push(word.to_owned()),
        }
    }
    words.join(" ").chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "projects/my-project/locations/eu/apps/a/sessions/CA1";

    fn code(fault: Option<AgentFault>) -> (String, bool) {
        fault.map(|fault| (fault.code, fault.transient)).unwrap_or_default()
    }

    #[test]
    fn each_close_code_is_a_code_of_grpc() {
        for (close, name, transient) in [
            (1001, "UNAVAILABLE", true),
            (1002, "INTERNAL", true),
            (1003, "INVALID_ARGUMENT", false),
            (1006, "UNAVAILABLE", true),
            (1007, "INVALID_ARGUMENT", false),
            (1008, "PERMISSION_DENIED", false),
            (1009, "INVALID_ARGUMENT", false),
            (1011, "UNAVAILABLE", true),
            (1012, "UNAVAILABLE", true),
            (1013, "UNAVAILABLE", true),
            (1014, "UNAVAILABLE", true),
            (4000, "UNKNOWN", true),
        ] {
            assert_eq!(code(closed(Some(close), "")), (name.to_owned(), transient), "{close}");
        }
        for ordinary in [None, Some(1000), Some(1005)] {
            assert_eq!(closed(ordinary, "bye"), None);
        }
    }

    #[test]
    fn a_code_in_the_reason_says_more_than_the_close_code() {
        let of = |reason| code(closed(Some(1008), reason)).0;
        assert_eq!(of("RESOURCE_EXHAUSTED: quota exceeded"), "RESOURCE_EXHAUSTED");
        assert_eq!(of("generic::UNAUTHENTICATED: token expired"), "UNAUTHENTICATED");
        assert_eq!(of("[ORIGINAL ERROR] generic::not_found: There is no such deployment."), "NOT_FOUND");
        assert_eq!(of("generic::nothing known: INTERNAL"), "INTERNAL");
        assert_eq!(of("Permission 'ces.sessions.bidiRunSession' denied"), "PERMISSION_DENIED");
        assert_eq!(closed(Some(1011), "try\nagain").unwrap().to_string(), "UNAVAILABLE: closed with 1011: try again");
    }

    /// As Google's own client (cxas-scrapi) names them.
    #[test]
    fn the_reasons_that_ces_was_seen_to_give_are_retried_only_where_it_can_help() {
        let original = |kind: &str| format!("[ORIGINAL ERROR] generic::{kind}: because");
        for (close, reason, name, transient) in [
            (
                1008,
                "Permission 'ces.sessions.bidiRunSession' denied on resource".to_owned(),
                "PERMISSION_DENIED",
                false,
            ),
            (1008, original("permission_denied"), "PERMISSION_DENIED", false),
            (1008, original("not_found"), "NOT_FOUND", false),
            (1007, original("failed_precondition"), "FAILED_PRECONDITION", false),
            (1007, original("invalid_argument"), "INVALID_ARGUMENT", false),
            (1011, original("resource_exhausted"), "RESOURCE_EXHAUSTED", true),
            (1011, original("unavailable"), "UNAVAILABLE", true),
            (1011, original("internal"), "INTERNAL", true),
        ] {
            assert_eq!(code(closed(Some(close), &reason)), (name.to_owned(), transient), "{close} {reason}");
        }
    }

    #[test]
    fn each_status_of_a_refusal_is_a_code_of_grpc() {
        for (status, name, transient) in [
            (400, "INVALID_ARGUMENT", false),
            (401, "UNAUTHENTICATED", false),
            (403, "PERMISSION_DENIED", false),
            (404, "NOT_FOUND", false),
            (429, "RESOURCE_EXHAUSTED", true),
            (500, "UNAVAILABLE", true),
            (503, "UNAVAILABLE", true),
            (504, "DEADLINE_EXCEEDED", true),
            (302, "FAILED_PRECONDITION", false),
            (200, "FAILED_PRECONDITION", false),
        ] {
            let fault = refused(StatusCode::from_u16(status).unwrap(), b"<html>");
            assert_eq!((fault.code.as_str(), fault.transient), (name, transient), "{status}");
            assert_eq!(fault.message, format!("answered with {status}"));
        }
        for body in [
            r#"{"error":{"code":403,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#,
            r#"[{"error":{"message":"quota","status":"RESOURCE_EXHAUSTED","details":[]}}]"#,
        ] {
            let fault = refused(StatusCode::FORBIDDEN, body.as_bytes());
            assert_eq!(fault.to_string(), "RESOURCE_EXHAUSTED: answered with 403: quota");
        }
    }

    #[test]
    fn no_resource_of_the_operators_stands_in_a_fault() {
        let reason = format!("Permission denied on resource '//ces.googleapis.com/{SESSION}' (or \"{SESSION}\").");
        let fault = closed(Some(1008), &reason).unwrap();
        assert_eq!(fault.message, "closed with 1008: Permission denied on resource '…' (or \"…\").");
        assert_eq!(masked(&"x ".repeat(1_000)).chars().count(), MAX_CHARS);
    }

    #[test]
    fn where_the_host_may_be_the_wrong_one_the_fault_names_both() {
        let hinted = with_hint(fault(Code::Unimplemented, ""), SESSION).message;
        assert!(hinted.contains("https://ces.googleapis.com or https://ces.eu.rep.googleapis.com"), "{hinted}");
        let global =
            with_hint(fault(Code::NotFound, "no app"), "projects/p/locations/global/apps/a/sessions/s").message;
        assert!(global.starts_with("no app; ") && global.contains("ces.us.rep.googleapis.com"), "{global}");
        let other = fault(Code::PermissionDenied, "no");
        assert_eq!(with_hint(other.clone(), SESSION), other);
    }
}
