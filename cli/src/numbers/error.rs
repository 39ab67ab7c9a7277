//! Why a number is not listed, pointed or put back.

use std::fmt;

use crate::doctor::Finding;

/// Why it was not done.
#[derive(Debug)]
pub enum NumberError {
    /// The command line lacks something.
    Usage(String),
    /// A setting is missing or wrong.
    Setting(String),
    /// It failed.
    Failed(String),
}

impl NumberError {
    /// The error of a finding: what is wrong and how to mend it.
    pub(crate) fn of_finding(finding: Finding) -> Self {
        let mend = finding.mend.map(|mend| format!("; {mend}")).unwrap_or_default();
        Self::Failed(finding.says + &mend)
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Setting(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NumberError {}
