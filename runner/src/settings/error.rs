//! A wrong setting, told in one line: which one, what is wrong with it, and how it would be right.

use std::fmt;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    name: &'static str,
    fault: String,
    example: &'static str,
}

impl SettingError {
    /// The setting of that name has that fault; `example` is a value that would do.
    #[must_use]
    pub fn new(name: &'static str, fault: impl Into<String>, example: &'static str) -> Self {
        Self { name, fault: fault.into(), example }
    }

    /// The setting's name as an environment variable.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.fault.replace(['\n', '\r'], " ");
        write!(f, "{} {fault}; for example {}={}", self.name, self.name, self.example)
    }
}

impl std::error::Error for SettingError {}
