//! Reads a script and its recordings.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dialbridge_core::audio::wav::{WavError, read_wav};
use dialbridge_core::audio::{AudioFormat, TranscodeError, to_mulaw};

use crate::agent::script::{Reply, Script, Tone};
use crate::agent::speech::tone;

/// Why a script cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file cannot be read.
    Read {
        /// Which file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not a script.
    Toml {
        /// Which file.
        file: String,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// A recording is not a playable WAV.
    Audio {
        /// Which file.
        file: String,
        /// Why.
        error: AudioError,
    },
}

/// Why a recording cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioError {
    /// It is not a WAV.
    Wav(WavError),
    /// It cannot be converted.
    Transcode(TranscodeError),
}

impl fmt::Display for AudioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wav(error) => error.fmt(f),
            Self::Transcode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AudioError {}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "{file}: {error}"),
            Self::Toml { file, error } => write!(f, "{file}: {}", error.to_string().trim_end().replace('\n', " ")),
            Self::Audio { file, error } => write!(f, "{file}: {error}"),
        }
    }
}

impl std::error::Error for ScriptError {}

/// The script of the embedded agent and its recordings.
const BAKERY: &str = include_str!("../../../agents/bakery/agent.toml");

fn bakery_recording(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "hello.wav" => include_bytes!("../../../agents/bakery/hello.wav"),
        "ordered.wav" => include_bytes!("../../../agents/bakery/ordered.wav"),
        "time.wav" => include_bytes!("../../../agents/bakery/time.wav"),
        "person.wav" => include_bytes!("../../../agents/bakery/person.wav"),
        "again.wav" => include_bytes!("../../../agents/bakery/again.wav"),
        "order.wav" => include_bytes!("../../../agents/bakery/order.wav"),
        "nine.wav" => include_bytes!("../../../agents/bakery/nine.wav"),
        "colleague.wav" => include_bytes!("../../../agents/bakery/colleague.wav"),
        _ => return None,
    })
}

/// One of the embedded recordings of the bakery's caller, as mu-law at 8,000 Hz.
///
/// # Errors
/// [`ScriptError`] when there is no recording of that name.
pub fn bakery_caller(name: &str) -> Result<Arc<[u8]>, ScriptError> {
    load(name, &embedded)
}

/// Where recordings come from.
type Recordings<'a> = dyn Fn(&str) -> std::io::Result<Vec<u8>> + 'a;

impl Script {
    /// The embedded agent: a bakery.
    ///
    /// # Errors
    /// [`ScriptError`] if the embedded files are broken, which the tests would show.
    pub fn bakery() -> Result<Self, ScriptError> {
        Self::parse(BAKERY, "agent.toml", &embedded)
    }

    /// Reads a script and the recordings that it names; their paths are relative to it.
    ///
    /// # Errors
    /// [`ScriptError`] with the file and the fault.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScriptError::Read { file: file.clone(), error })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, &file, &|name| std::fs::read(folder.join(name)))
    }

    /// Reads a script from text; `recording` loads its recordings.
    ///
    /// # Errors
    /// [`ScriptError`] with the file and the fault.
    pub fn parse(text: &str, file: &str, recording: &Recordings<'_>) -> Result<Self, ScriptError> {
        let toml = |error| ScriptError::Toml { file: file.to_owned(), error: Box::new(error) };
        let mut script: Self = toml::from_str(text).map_err(toml)?;
        for reply in script.replies_mut() {
            reply.load(recording)?;
        }
        Ok(script)
    }
}

impl Reply {
    fn load(&mut self, recording: &Recordings<'_>) -> Result<(), ScriptError> {
        for reply in &mut self.first {
            reply.load(recording)?;
        }
        for segment in &mut self.mixed {
            segment.mulaw = sound(segment.audio.as_deref(), segment.tone, recording)?;
        }
        self.mulaw = sound(self.audio.as_deref(), self.tone, recording)?;
        Ok(())
    }
}

/// The audio of a file or a tone, if there is either.
fn sound(
    file: Option<&str>,
    tone_of: Option<Tone>,
    recording: &Recordings<'_>,
) -> Result<Option<Arc<[u8]>>, ScriptError> {
    match (file, tone_of) {
        (Some(name), _) => load(name, recording).map(Some),
        (None, tone_of) => Ok(tone_of.map(|of| tone(of).into())),
    }
}

fn load(name: &str, recording: &Recordings<'_>) -> Result<Arc<[u8]>, ScriptError> {
    let bytes = recording(name).map_err(|error| ScriptError::Read { file: name.to_owned(), error })?;
    mulaw_of(&bytes).map(Into::into).map_err(|error| ScriptError::Audio { file: name.to_owned(), error })
}

fn embedded(name: &str) -> std::io::Result<Vec<u8>> {
    bakery_recording(name).map(<[u8]>::to_vec).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// A WAV file as mu-law at 8,000 Hz.
///
/// # Errors
/// [`AudioError`] if it is not a WAV, or one that cannot be converted.
pub fn mulaw_of(wav: &[u8]) -> Result<Vec<u8>, AudioError> {
    read_wav(wav).map_err(AudioError::Wav)?;
    to_mulaw(AudioFormat::TELEPHONE, wav).map_err(AudioError::Transcode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::script::Fault;
    use serde_json::json;

    fn none(_: &str) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn script(text: &str) -> Script {
        Script::parse(text, "a.toml", &none).unwrap()
    }

    #[test]
    fn the_embedded_agent_is_whole() {
        let script = Script::bakery().unwrap();
        assert_eq!(script.utterance.len(), 3);
        assert!(script.utterance.iter().all(|reply| reply.mulaw.is_some()));
        assert!(script.utterance[2].handoff.is_some());
        for name in ["order.wav", "nine.wav", "colleague.wav"] {
            assert!(bakery_caller(name).unwrap().len() > 8_000);
        }
    }

    #[test]
    fn a_wrong_script_says_where() {
        let error = |text| Script::parse(text, "a.toml", &none).unwrap_err().to_string();
        for (text, told) in [
            ("think = 3", "think"),
            ("[start]\nsya = \"hello\"", "sya"),
            ("[start]\nevent = 3", "event"),
            ("[[utterance]]\ntool_call = { name = \"t\" }", "name"),
            ("[[utterance]]\nfault = \"BROKEN\"", "BROKEN"),
            ("[digits.1]\nmixed = [{ url = \"u\" }]", "url"),
        ] {
            assert!(error(text).starts_with("a.toml: ") && error(text).contains(told), "{}", error(text));
        }
        assert!(error("[start]\naudio = \"x.wav\"").starts_with("x.wav: "));
        assert!(error("[event.A]\nmixed = [{ audio = \"y.wav\" }]").starts_with("y.wav: "));
        let lie = |_: &str| Ok(b"RIFF....WAVEfmt ".to_vec());
        assert!(
            Script::parse("[start]\naudio = \"x.wav\"", "a.toml", &lie).unwrap_err().to_string().contains("x.wav: ")
        );
    }

    #[test]
    fn the_manual_is_a_script() {
        let manual = include_str!("mod.rs").lines().map_while(|line| line.strip_prefix("//!"));
        let mut in_code = false;
        let mut blocks: Vec<String> = Vec::new();
        for line in manual.map(|line| line.strip_prefix(' ').unwrap_or(line)) {
            match (line.starts_with("```"), in_code) {
                (true, false) => blocks.push(String::new()),
                (false, true) => blocks.last_mut().unwrap().extend([line, "\n"]),
                (true, true) | (false, false) => {}
            }
            in_code ^= line.starts_with("```");
        }
        assert_eq!(blocks.len(), 5);
        let recording = |_: &str| Ok(include_bytes!("../../../agents/bakery/again.wav").to_vec());
        for block in blocks {
            let script = Script::parse(&block, "manual", &recording).unwrap_or_else(|error| panic!("{error}"));
            assert_ne!(script, Script::default());
        }
    }

    #[test]
    fn an_answer_carries_what_the_script_says() {
        let script = script(
            r#"
            [[utterance]]
            payload = { a = 1 }
            mixed = [{ tone = { hz = 400, ms = 10 } }, { uri = "gs://b/o" }]
            fault = "UNAVAILABLE"
            [[utterance]]
            payload = [{ a = 1 }, { b = 2 }]
            "#,
        );
        let [one, two] = &script.utterance[..] else { panic!() };
        assert_eq!((one.payload.len(), two.payload.len()), (1, 2));
        assert_eq!(json!(two.payload[1]), json!({ "b": 2 }));
        assert_eq!(one.mixed[0].mulaw.as_ref().map(|audio| audio.len()), Some(80));
        assert_eq!((one.mixed[1].mulaw.is_none(), one.fault), (true, Some(Fault::Unavailable)));
    }
}
