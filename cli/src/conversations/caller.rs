//! The caller of a conversation file: its steps with their recordings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::to_mulaw;
use dialbridge_core::audio::wav::read_wav;
use dialbridge_core::checksum::Checksum;
use dialbridge_core::replay::{CallerStep, When};
use dialbridge_core::tape::{Conversation, RecordedStep};

use super::file::{Action, ConversationFile, FileStep};
use crate::files;

/// How long people wait before they answer, in milliseconds.
const PAUSE_MS: u64 = 400;

/// How long the caller stays on the line after the last answer, in milliseconds.
const STAY_MS: u64 = 3_000;

/// The longest recording that is read, in bytes.
const MAX_WAV_BYTES: u64 = 64 << 20;

impl ConversationFile {
    /// The caller's steps. He hangs up after the last answer if the file does not say so.
    ///
    /// # Errors
    /// A sentence with the line of a step whose recording is missing or cannot be read.
    pub fn caller(&self) -> Result<Vec<CallerStep>, String> {
        let steps = self.steps.iter().enumerate().map(|(n, step)| self.caller_step(n, step));
        let mut steps = steps.collect::<Result<Vec<_>, _>>()?;
        if !matches!(steps.last(), Some(CallerStep::HangUp { .. })) {
            let first = steps.is_empty() && self.greeting.is_none();
            let when = if first { When::AgentSilentOrMute(STAY_MS) } else { When::AgentSilent(STAY_MS) };
            steps.push(CallerStep::HangUp { when });
        }
        Ok(steps)
    }

    fn caller_step(&self, n: usize, step: &FileStep) -> Result<CallerStep, String> {
        let when = match step.barge_in_ms {
            Some(ms) => When::AgentSpeaking(ms),
            None if n == 0 && self.greeting.is_none() => When::AgentSilentOrMute(PAUSE_MS),
            None => When::AgentSilent(PAUSE_MS),
        };
        let recording = |path: &Path| {
            let audio = read_recording(path).map_err(|why| format!("line {}: {why}", step.line))?;
            let said = CallerStep::Say { when, label: path.display().to_string(), audio };
            let nobody =
                || format!("line {}: {}: nobody speaks in it; for silence write wait_s", step.line, path.display());
            said.speech_ms().is_some().then_some(said).ok_or_else(nobody)
        };
        Ok(match &step.action {
            Action::Audio(path) => recording(path)?,
            Action::Say(words) => {
                let path = self.spoken(words);
                if !path.exists() {
                    let why = "nobody has spoken that yet: --record and --live do, and keep it";
                    return Err(format!("line {}: {}: {why}", step.line, path.display()));
                }
                recording(&path)?
            }
            Action::Text(text) => CallerStep::Text { when, text: text.clone() },
            Action::Digits(digits) => CallerStep::Press { when, digits: digits.clone() },
            Action::Wait(ms) => CallerStep::Wait { when: When::AgentSilent(0), ms: *ms },
            Action::HangUp => CallerStep::HangUp { when },
        })
    }

    /// Where the synthesised words of a `say` step are kept: beside the file.
    #[must_use]
    pub fn spoken(&self, words: &str) -> PathBuf {
        let language = self.language.as_deref().unwrap_or_default();
        let named: String =
            words.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(24).collect();
        let sum = Checksum::of(format!("{language}\n{words}").as_bytes()).to_string();
        let sum = sum.trim_start_matches('#');
        let stem = self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        self.path.with_file_name(format!("{stem}.{}-{sum}.wav", named.trim_matches('-')))
    }

    /// Where the tape of the recorded run is.
    #[must_use]
    pub fn tape_path(&self, edition: &str) -> PathBuf {
        self.path.with_extension(format!("{edition}.jsonl"))
    }

    /// The steps of its caller, for the header of a tape and for the comparison with one.
    #[must_use]
    pub fn conversation(&self, steps: &[CallerStep]) -> Conversation {
        let recorded = |step: &CallerStep| RecordedStep { input: step.input(), from_ms: None, to_ms: None };
        Conversation {
            from: self.from.clone(),
            to: self.to.clone(),
            agent: self.agent.clone().unwrap_or_default(),
            language: self.language.clone().unwrap_or_default(),
            params: self.params.clone(),
            settings: self.settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect(),
            steps: steps.iter().map(recorded).collect(),
        }
    }
}

/// A WAV file as mu-law at 8,000 Hz.
///
/// # Errors
/// Why it cannot be read, with its path.
pub(super) fn read_recording(path: &Path) -> Result<Arc<[u8]>, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = files::bytes(path, MAX_WAV_BYTES)?;
    read_wav(&bytes).map_err(|error| told(&error))?;
    let audio = to_mulaw(AudioFormat::TELEPHONE, &bytes).map_err(|error| told(&error))?;
    Ok(audio.into())
}
