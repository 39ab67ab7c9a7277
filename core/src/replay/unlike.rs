//! How a test fails whose call went otherwise: with what was expected, what was found, and the trace around that moment.

use std::fmt;

use crate::replay::trace::around;
use crate::replay::{PlayedCall, Replayed};
use crate::time::CallTime;

/// A place in a call that a test looks at, with its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    call: &'a Replayed,
    at: CallTime,
}

impl<'a> Place<'a> {
    pub(super) fn new(call: &'a PlayedCall, at: CallTime) -> Self {
        Self { call: &call.replayed, at }
    }

    /// Panics if it does not hold. `what` names what is compared.
    #[track_caller]
    pub(super) fn assert(
        self,
        holds: bool,
        what: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        if !holds {
            self.fail(format_args!("{what}: expected {expected}, found {found}"));
        }
    }

    /// Panics with what is wrong, and the lines of the trace around that moment.
    #[track_caller]
    pub(super) fn fail(self, what: impl fmt::Display) -> ! {
        let trace = self.call.trace_lines();
        panic!("{what}\nwhat the call did around {} s:\n{}\n", self.at, around(&trace, self.at).join("\n"));
    }
}

/// Text as a failure shows it.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("{text:?}") }
}

/// A time that may not have come.
pub(super) fn in_ms(ms: Option<u64>, none: &str) -> String {
    ms.map_or(none.to_owned(), |ms| format!("{ms} ms"))
}
