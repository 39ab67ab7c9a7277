//! What a check found, for people and for programs.

use std::fmt;

use serde::Serialize;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// It works, but may not be what was meant.
    Warning,
    /// It does not work, or will fail in a call.
    Fault,
    /// It could not be checked.
    Skipped,
}

impl Mark {
    /// The word that is printed for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name; it is the same in every run.
    pub check: &'static str,
    /// The result.
    pub mark: Mark,
    /// A sentence: what is there, what is wrong, or why nothing was checked.
    pub says: String,
    /// For a fault and a warning: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    /// A finding that all is well.
    pub fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, mark: Mark::Ok, says: says.into(), mend: None }
    }

    /// A warning: it may not be what was meant.
    pub fn warning(check: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, mark: Mark::Warning, says: says.into(), mend: Some(mend.into()) }
    }

    /// A fault, with how to mend it.
    pub fn fault(check: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, mark: Mark::Fault, says: says.into(), mend: Some(mend.into()) }
    }

    /// The check was skipped because something else is missing.
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, mark: Mark::Skipped, says: why.into(), mend: None }
    }

    /// Whether it is a fault.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.mark == Mark::Fault
    }

    /// The same, each text on one line, with `…` in the place of every known secret.
    #[must_use]
    pub fn without(self, secrets: &[String]) -> Self {
        let clean = |text: String| {
            let shown = secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "…"));
            shown.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
        };
        Self { says: clean(self.says), mend: self.mend.map(clean), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<22} {}", self.mark.as_str(), self.check, self.says)?;
        match &self.mend {
            Some(mend) => write!(f, "\n{:<8} {:<22} mend: {mend}", "", ""),
            None => Ok(()),
        }
    }
}

/// Counts the findings by result, as a sentence.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let count = |mark| findings.iter().filter(|finding| finding.mark == mark).count();
    let of = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let (faults, warnings) = (of(count(Mark::Fault), "fault"), of(count(Mark::Warning), "warning"));
    format!("{faults}, {warnings}, {} ok, {} skipped", count(Mark::Ok), count(Mark::Skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_mend_another() {
        let fault = Finding::fault("agent", "there is none", "set DIALOGFLOW_AGENT");
        let gap = " ".repeat(31);
        assert_eq!(
            fault.to_string(),
            format!("fault    agent{}there is none\n{gap} mend: set DIALOGFLOW_AGENT", " ".repeat(18))
        );
        assert_eq!(summary(&[fault, Finding::ok("clock", "right")]), "1 fault, 0 warnings, 1 ok, 0 skipped");
    }

    #[test]
    fn no_secret_is_shown_and_no_line_is_broken() {
        let found = Finding::fault("x", "the token\r\n  planted is wrong", "not planted\n");
        let shown = found.without(&["planted".to_owned()]);
        assert_eq!((shown.says.as_str(), shown.mend.as_deref()), ("the token … is wrong", Some("not …")));
    }
}
