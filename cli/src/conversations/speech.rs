//! Speaks the `say` steps that nobody has spoken yet: by Text-to-Speech with the agent's credentials, else by
//! `espeak-ng` where it is installed. The recording is kept beside the file, so that the next run needs neither.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use tokio::process::Command;

use super::file::{Action, ConversationFile};
use super::stack::Stack;

/// How long a sentence may take to be spoken.
const DEADLINE: Duration = Duration::from_secs(20);

impl ConversationFile {
    /// Speaks what nobody has spoken yet.
    pub(super) async fn speak(&self, stack: &Stack) -> Result<(), String> {
        for step in &self.steps {
            let Action::Say(words) = &step.action else { continue };
            let path = self.spoken(words);
            if path.exists() {
                continue;
            }
            let agent = self.agent.as_ref().unwrap_or(&stack.default_agent);
            let language =
                self.language.clone().or_else(|| stack.language(agent)).unwrap_or_else(|| "en-US".to_owned());
            let google = stack.service.synthesize(agent, &language, words);
            let audio =
                match tokio::time::timeout(DEADLINE, google).await.unwrap_or(Err("it takes too long".to_owned())) {
                    Ok(audio) => write_wav_of(&audio),
                    Err(google) => espeak(&language, words).await.map_err(|espeak| {
                        format!("line {}: nobody can say it: Text-to-Speech: {google}; espeak-ng: {espeak}", step.line)
                    })?,
                };
            write(&path, &audio)?;
        }
        Ok(())
    }
}

/// The audio of Text-to-Speech, as a WAV file.
fn write_wav_of(audio: &[u8]) -> Vec<u8> {
    if audio.starts_with(b"RIFF") { audio.to_vec() } else { write_wav(1, AudioFormat::TELEPHONE, audio) }
}

async fn espeak(language: &str, words: &str) -> Result<Vec<u8>, String> {
    let voice = language.to_lowercase();
    let main = voice.split('-').next().unwrap_or("en").to_owned();
    let mut last = String::new();
    for voice in [voice, main] {
        let mut command = Command::new("espeak-ng");
        // Words that begin with a dash are no option.
        command.args(["-v", &voice, "-s", "150", "--stdout", "--", words]);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let output = match tokio::time::timeout(DEADLINE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err("it is not installed".to_owned());
            }
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("it takes too long".to_owned()),
        };
        if output.status.success() && output.stdout.starts_with(b"RIFF") {
            return Ok(output.stdout);
        }
        last = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    }
    Err(if last.is_empty() { "it speaks nothing".to_owned() } else { last })
}

fn write(path: &Path, audio: &[u8]) -> Result<(), String> {
    fs::write(path, audio).map_err(|error| format!("{}: {error}", path.display()))
}
