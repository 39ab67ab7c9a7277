//! Runs a file against the tape of its recorded run: no network, and no time passes.

use std::path::Path;

use dialbridge_core::replay::play;
use dialbridge_core::tape::{Conversation, Tape};
use dialbridge_runner::settings::{Settings, with_settings};

use super::file::{ConversationFile, FileSetting};
use super::seen::SeenCall;
use crate::files::{self, MAX_TAPE_BYTES};

/// The editions that a tape can have.
pub const EDITIONS: [&str; 3] = ["cx", "es", "ces"];

impl ConversationFile {
    /// The editions of its recorded runs.
    #[must_use]
    pub fn recorded_editions(&self) -> Vec<&'static str> {
        EDITIONS.into_iter().filter(|edition| self.tape_path(edition).exists()).collect()
    }

    /// Plays the file's call with the agent of its tape. `changes` are further settings, as `NAME=VALUE`.
    ///
    /// # Errors
    /// A sentence that says why it cannot be played: a recording or the tape is missing, or does not fit the file.
    pub fn play_offline(&self, edition: &str, changes: &[String]) -> Result<SeenCall, String> {
        let path = self.tape_path(edition);
        let tape = read_tape(&path)?;
        let steps = self.caller()?;
        let anew = format!("record it anew: dialbridge test --record {}", self.path.display());
        let Some(recorded) = &tape.header.conversation else {
            return Err(format!(
                "{}: this tape is not the recorded run of a conversation file; {anew}",
                path.display()
            ));
        };
        if let Some(what) = recorded.difference(&self.conversation(&steps)) {
            return Err(format!("{}: the tape no longer fits the file: {what}; {anew}", path.display()));
        }
        if let Some(what) = self.unseen_setting(recorded) {
            return Err(format!("{what}; {anew}"));
        }
        let changes = self.changes(Settings::is_of_call, changes);
        let config = with_settings(&tape.header.config, &tape.header.edition, &changes)?;
        let mut seen = SeenCall::of(&play(&tape, steps, config));
        if let Some(stopped) = &mut seen.stopped {
            *stopped = format!("{}: the call leaves its tape: {stopped}; {anew}", path.display());
        }
        Ok(seen)
    }

    /// A setting of the agent or the service that is not as in the recording. No tape shows what it changes.
    fn unseen_setting(&self, recorded: &Conversation) -> Option<String> {
        let is_other = |(name, setting): &(&String, &FileSetting)| {
            !Settings::is_of_call(name) && recorded.settings.get(*name) != Some(&setting.value)
        };
        let (name, FileSetting { line, value }) = self.settings.iter().find(is_other)?;
        Some(format!("line {line}: the tape was recorded without {name}={value}, and cannot show what it changes"))
    }
}

/// What to do about a tape that cannot be used.
const ANEW: &str = "record it anew: dialbridge test --record";

fn read_tape(path: &Path) -> Result<Tape, String> {
    let text = files::text(path, MAX_TAPE_BYTES)?;
    let tape = Tape::parse(&text).map_err(|error| format!("{}: {error}; {ANEW}", path.display()))?;
    let is_whole = tape.outputs.iter().any(|line| line.contains("\"close\""));
    if !is_whole {
        return Err(format!("{}: the tape breaks off before the end of its call; {ANEW}", path.display()));
    }
    Ok(tape)
}
