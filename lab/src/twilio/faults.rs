//! What fails at Twilio, or between Twilio and the service.

use http::StatusCode;

/// A fault of one call. Times are milliseconds of its first media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The connection of the media stream breaks, without a close.
    Breaks {
        /// When.
        at_ms: u64,
    },
    /// Twilio stops reading the media stream.
    Deaf {
        /// From when.
        at_ms: u64,
    },
    /// For a while nothing passes between Twilio and the service; then everything arrives at once.
    Late {
        /// From when.
        at_ms: u64,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// The caller is in a tunnel: for a while Twilio gets no frames from the phone, and they do not come later either.
    Lost {
        /// From when.
        at_ms: u64,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// Marks never come back.
    NoMarks,
    /// Twilio puts messages between the frames that the real one never sends.
    Garbage,
    /// Twilio requests the voice-url twice, and throws the first answer away.
    AsksTwice,
}

impl CallFault {
    /// The faults that can be parsed, for a message.
    pub const NAMES: &str = "break@MS, deaf@MS, late@MS+MS, lost@MS+MS, no-marks, garbage, asks-twice";

    /// Parses a fault of the command line: `break@5000`, `deaf@5000`, `late@5000+800`, `lost@5000+800`, `no-marks`,
    /// `garbage` or `asks-twice`; times in milliseconds.
    ///
    /// # Errors
    /// With a sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, times) = text.split_once('@').unwrap_or((text, ""));
        let (at, length) = times.split_once('+').unwrap_or((times, ""));
        let ms = |text: &str| text.parse::<u64>().ok();
        let fault = match (name, ms(at), ms(length)) {
            ("break", Some(at_ms), None) => Some(Self::Breaks { at_ms }),
            ("deaf", Some(at_ms), None) => Some(Self::Deaf { at_ms }),
            ("late", Some(at_ms), Some(for_ms)) => Some(Self::Late { at_ms, for_ms }),
            ("lost", Some(at_ms), Some(for_ms)) => Some(Self::Lost { at_ms, for_ms }),
            ("no-marks", None, None) => Some(Self::NoMarks),
            ("garbage", None, None) => Some(Self::Garbage),
            ("asks-twice", None, None) => Some(Self::AsksTwice),
            _ => None,
        };
        fault.ok_or_else(|| format!("\"{text}\" is no fault; there are {}, e.g. late@5000+800", Self::NAMES))
    }
}

/// The faults of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamFaults(Vec<CallFault>);

impl StreamFaults {
    /// The faults of a call's first stream; later streams have none.
    pub(super) fn of_stream(number: usize, faults: &[CallFault]) -> Self {
        Self(if number == 1 { faults.to_vec() } else { Vec::new() })
    }

    pub(super) fn breaks(&self, now_ms: u64) -> bool {
        self.0.iter().any(|fault| matches!(fault, CallFault::Breaks { at_ms } if *at_ms <= now_ms))
    }

    pub(super) fn is_deaf(&self, now_ms: u64) -> bool {
        self.0.iter().any(|fault| matches!(fault, CallFault::Deaf { at_ms } if *at_ms <= now_ms))
    }

    pub(super) fn is_late(&self, now_ms: u64) -> bool {
        self.0.iter().any(|fault| matches!(fault, CallFault::Late { at_ms, for_ms } if within(*at_ms, *for_ms, now_ms)))
    }

    pub(super) fn loses(&self, now_ms: u64) -> bool {
        self.0.iter().any(|fault| matches!(fault, CallFault::Lost { at_ms, for_ms } if within(*at_ms, *for_ms, now_ms)))
    }

    pub(super) fn has_no_marks(&self) -> bool {
        self.0.contains(&CallFault::NoMarks)
    }

    pub(super) fn has_garbage(&self) -> bool {
        self.0.contains(&CallFault::Garbage)
    }
}

fn within(at_ms: u64, for_ms: u64, now_ms: u64) -> bool {
    (at_ms..at_ms.saturating_add(for_ms)).contains(&now_ms)
}

/// Messages that the real Twilio never sends, one after another.
pub(super) const GARBAGE: [&str; 6] = [
    "",
    "{",
    r#"{"event":"media","media":{"payload":"no base64!"}}"#,
    r#"{"event":"mark"}"#,
    r#"{"event":"a-new-one","sequenceNumber":"x"}"#,
    r#"{"event":"dtmf","dtmf":{"digit":"a long one"}}"#,
];

/// What one request to the REST API gets instead of its proper answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestFault {
    /// An error. The call does not change.
    Refused {
        /// Status.
        status: StatusCode,
        /// Twilio's code.
        code: u32,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// No answer. The call does not change.
    Silence,
    /// The request takes effect, and its answer is lost.
    DoneButFails,
}

impl RestFault {
    /// The credentials are wrong.
    pub const UNAUTHORIZED: Self = Self::Refused { status: StatusCode::UNAUTHORIZED, code: 20003, retry_after: None };
    /// There is no such call.
    pub const NOT_FOUND: Self = Self::Refused { status: StatusCode::NOT_FOUND, code: 20404, retry_after: None };
    /// The call is over.
    pub const NOT_IN_PROGRESS: Self = Self::Refused { status: StatusCode::BAD_REQUEST, code: 21220, retry_after: None };
    /// Twilio has an internal error.
    pub const UNAVAILABLE: Self =
        Self::Refused { status: StatusCode::SERVICE_UNAVAILABLE, code: 20503, retry_after: None };

    /// Too many requests.
    #[must_use]
    pub fn too_many(retry_after: Option<u64>) -> Self {
        Self::Refused { status: StatusCode::TOO_MANY_REQUESTS, code: 20429, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_the_command_line() {
        for (text, fault) in [
            ("break@5000", CallFault::Breaks { at_ms: 5_000 }),
            ("late@5000+800", CallFault::Late { at_ms: 5_000, for_ms: 800 }),
            ("no-marks", CallFault::NoMarks),
        ] {
            assert_eq!(CallFault::parse(text), Ok(fault));
        }
        for text in ["", "break", "break@", "break@x", "late@5000", "no-marks@3", "late@1+2+3", "lost@-1+2"] {
            assert!(CallFault::parse(text).unwrap_err().contains(&format!("\"{text}\"")));
        }
    }

    #[test]
    fn a_fault_is_there_in_its_time_and_in_the_first_stream_only() {
        let faults = [CallFault::Late { at_ms: 100, for_ms: 50 }, CallFault::Breaks { at_ms: 300 }];
        let first = StreamFaults::of_stream(1, &faults);
        assert_eq!([99, 100, 149, 150].map(|at| first.is_late(at)), [false, true, true, false]);
        assert_eq!([299, 300].map(|at| first.breaks(at)), [false, true]);
        assert!(!StreamFaults::of_stream(2, &faults).breaks(300));
    }
}
