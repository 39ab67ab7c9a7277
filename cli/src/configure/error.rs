//! Why `configure` ends early.

use std::fmt;
use std::path::PathBuf;

/// Why nothing was written, or not all of the deploy was run.
#[derive(Debug)]
pub enum ConfigureError {
    /// The input ended before all questions were answered.
    InputEnded,
    /// Something is wrong that no question asks for, in the words of `serve`.
    Setting(String),
    /// There are faults, and nobody to ask about them.
    Faults,
    /// The file cannot be written.
    File(PathBuf, std::io::Error),
    /// The written file would be read differently.
    ReadsOtherwise(String),
    /// The file is written, and a step of the deploy failed.
    Step(String),
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputEnded => f.write_str("the input has ended before all was answered; nothing was written"),
            Self::Setting(line) => write!(f, "{line}; nothing was written"),
            Self::Faults => f.write_str("there are faults; nothing was written"),
            Self::File(path, error) => write!(f, "{} cannot be written: {error}", path.display()),
            Self::ReadsOtherwise(name) => write!(f, "{name} cannot stand in the file; nothing was written"),
            Self::Step(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConfigureError {}
