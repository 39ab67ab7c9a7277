//! What Twilio says of a transfer that failed: told to the agent as session parameters, and to the log.

use dialbridge_core::CallSid;
use dialbridge_core::call_facts::{DIAL_ERROR_CODE, DIAL_ERROR_MESSAGE, DIAL_STATUS, PARAMETER_PREFIX};

use super::masked::without_numbers;
use super::webhook::Webhook;

/// How much of Twilio's sentence we keep, in characters.
const MAX_MESSAGE_CHARS: usize = 200;

/// A number of at least this many digits may be a telephone number.
const MIN_NUMBER_DIGITS: usize = 6;

/// How a transfer ended without a conversation.
#[derive(Debug)]
pub(super) struct DialFailure {
    /// `DialCallStatus`.
    status: String,
    /// `ErrorCode`.
    code: Option<String>,
    /// `ErrorMessage`.
    message: Option<String>,
}

impl DialFailure {
    /// The failure that Twilio reports.
    pub(super) fn of(webhook: &Webhook, status: String) -> Self {
        let field = |names: [&str; 2]| {
            let value = names.into_iter().find_map(|name| webhook.parameter(name))?;
            Some(value.chars().take(MAX_MESSAGE_CHARS).collect::<String>()).filter(|value| !value.is_empty())
        };
        let (code, message) = (field(["ErrorCode", "DialErrorCode"]), field(["ErrorMessage", "DialErrorMessage"]));
        Self { status: status.chars().take(MAX_MESSAGE_CHARS).collect(), code, message }
    }

    /// A person who is busy or does not answer is no fault. Everything else has a cause that somebody can mend.
    pub(super) fn log(&self, call_sid: &CallSid) {
        let status = &self.status;
        if matches!(status.as_str(), "busy" | "no-answer" | "canceled") && self.code.is_none() {
            tracing::info!(%call_sid, status, "nobody has answered the transfer: the call goes back to the agent");
            return;
        }
        let code = self.code.as_deref().unwrap_or("none");
        let message =
            self.message.as_deref().map(|message| without_numbers(message, MIN_NUMBER_DIGITS)).unwrap_or_default();
        tracing::warn!(%call_sid, status, code, message, "the transfer has failed: the call goes back to the agent");
    }

    /// Adds the failure to the parameters of the next stream. Removes those of an earlier transfer, which the action URL
    /// brought back.
    pub(super) fn put_into(self, parameters: &mut Vec<(String, String)>) {
        let Self { status, code, message } = self;
        for (name, value) in [(DIAL_STATUS, Some(status)), (DIAL_ERROR_CODE, code), (DIAL_ERROR_MESSAGE, message)] {
            let name = format!("{PARAMETER_PREFIX}{name}");
            parameters.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            parameters.extend(value.map(|value| (name, value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_of_an_earlier_transfer_goes() {
        let mut parameters =
            vec![("param.dialerrorcode".to_owned(), "13214".to_owned()), ("to".to_owned(), "x".to_owned())];
        DialFailure { status: "busy".to_owned(), code: None, message: None }.put_into(&mut parameters);
        let expected = [("to", "x"), ("param.DialCallStatus", "busy")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
