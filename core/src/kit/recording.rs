//! Audio for a test: a WAV file's bytes, or a length.

use std::sync::Arc;

use crate::agent::Prompt;
use crate::audio::wav::{read_wav, write_wav};
use crate::audio::{AudioFormat, buzz, to_mulaw};

/// Audio of the caller's or the agent's: the bytes of a WAV file, or a buzz of some length.
///
/// A WAV has 16-bit PCM, mu-law or A-law, one or two channels, and any usual rate; the caller's is converted to 8,000 Hz
/// mu-law, the agent's is played as the call plays it.
///
/// ```
/// use dialbridge_core::audio::{AudioFormat, wav::write_wav};
/// use dialbridge_core::kit::Recording;
///
/// let wav = write_wav(1, AudioFormat::TELEPHONE, &[0x21; 8_000]);
/// let (_two_loaves, _one_second) = (Recording::from(&wav[..]), Recording::ms(1_000));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Wav(Vec<u8>),
    Ms(u64),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wav(bytes) => write!(f, "a WAV of {} bytes", bytes.len()),
            Self::Ms(ms) => write!(f, "{ms} ms"),
        }
    }
}

/// The period of the caller's buzz, in samples: 1,000 Hz.
const CALLER_PERIOD: usize = 8;

/// The period of the agent's buzz: 400 Hz.
const AGENT_PERIOD: usize = 20;

impl Recording {
    /// A buzz of this many milliseconds, as loud as a voice. Nobody understands it: say what is understood.
    #[must_use]
    pub fn ms(ms: u64) -> Self {
        Self(Source::Ms(ms))
    }

    /// What the caller's microphone hears: mu-law at 8,000 Hz. The error says what is wrong with the WAV.
    pub(super) fn to_caller(&self) -> Result<Arc<[u8]>, String> {
        match &self.0 {
            Source::Ms(ms) => Ok(buzz(*ms, CALLER_PERIOD).into()),
            Source::Wav(bytes) => {
                read_wav(bytes).map_err(|error| error.to_string())?;
                to_mulaw(AudioFormat::TELEPHONE, bytes).map(Into::into).map_err(|error| error.to_string())
            }
        }
    }

    /// What the agent sends. None for a length of 0.
    pub(super) fn to_agent(&self) -> Result<Vec<Prompt>, String> {
        let audio = match &self.0 {
            Source::Ms(0) => return Ok(Vec::new()),
            Source::Ms(ms) => buzz(*ms, AGENT_PERIOD),
            Source::Wav(_) => self.to_wav()?,
        };
        Ok(vec![Prompt::new(AudioFormat::TELEPHONE, audio)])
    }

    /// The file.
    pub(super) fn to_wav(&self) -> Result<Vec<u8>, String> {
        match &self.0 {
            Source::Ms(ms) => Ok(write_wav(1, AudioFormat::TELEPHONE, &buzz(*ms, AGENT_PERIOD))),
            Source::Wav(bytes) => {
                read_wav(bytes).map_err(|error| error.to_string())?;
                Ok(bytes.clone())
            }
        }
    }
}

impl From<&[u8]> for Recording {
    fn from(wav: &[u8]) -> Self {
        Self(Source::Wav(wav.to_owned()))
    }
}

/// What `include_bytes!` gives.
impl<const N: usize> From<&[u8; N]> for Recording {
    fn from(wav: &[u8; N]) -> Self {
        Self::from(&wav[..])
    }
}

impl From<Vec<u8>> for Recording {
    fn from(wav: Vec<u8>) -> Self {
        Self(Source::Wav(wav))
    }
}
