//! How an agent behaves where Google's documentation leaves it open, and what it is served as.

use dialbridge_core::audio::Encoding;
use serde::Deserialize;

/// The product whose agent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edition {
    /// Dialogflow CX.
    Cx,
    /// Dialogflow ES.
    Es,
    /// The Customer Engagement Suite.
    Ces,
}

impl Edition {
    /// Its name in scripts and options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cx => "cx",
            Self::Es => "es",
            Self::Ces => "ces",
        }
    }

    /// A resource name for an agent of that edition.
    #[must_use]
    pub fn agent_name(self) -> &'static str {
        match self {
            Self::Cx => "projects/lab/locations/global/agents/lab",
            Self::Es => "projects/lab/agent",
            Self::Ces => "projects/lab/locations/us/apps/lab",
        }
    }
}

/// Where ES puts the answer's audio. Its protos promise messages after the result for v2beta1, and say nothing for v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudioMessages {
    /// In the message with the result.
    WithResult,
    /// In one message after it.
    After,
    /// In several messages after it.
    Split,
}

/// Whether the audio of mixed audio's segments is also in the answer's audio (CX). The protos do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixedAudio {
    /// It is in its own message only.
    Apart,
    /// It is in `output_audio` too, after the audio of the texts.
    InOutputAudio,
}

/// In which case the names of a session's parameters come back (CX). Names are case-insensitive, and Google says that the
/// case is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnedNames {
    /// As they were set.
    AsSet,
    /// In small letters.
    Lower,
    /// In capital letters.
    Upper,
}

impl ReturnedNames {
    pub(in crate::agent) fn spelled(self, name: &str) -> String {
        match self {
            Self::AsSet => name.to_owned(),
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
        }
    }
}

/// Where the debugging info of a turn stands, if the client asks for it (CX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DebuggingInfo {
    /// In the message with the answer.
    WithAnswer,
    /// In a message of its own after it.
    Apart,
    /// Nowhere.
    Never,
}

/// When the server closes a stream. Google was seen to do both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closes {
    /// Right after the answer.
    AfterAnswer,
    /// When the client half-closes, however late after the answer.
    AfterHalfClose,
}

/// When the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// When the client has half-closed.
    AfterHalfClose,
    /// When the utterance is over.
    AtOnce,
}

/// Where the last final transcript comes. Google's own tables disagree about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transcripts {
    /// Before the end of the utterance.
    BeforeEnd,
    /// After it.
    AfterEnd,
    /// There is no end: the recogniser listens until the client half-closes.
    WithoutEnd,
    /// The same, and no transcript is final before that.
    InterimOnly,
}

impl Transcripts {
    /// Whether the recogniser itself ends an utterance.
    pub(in crate::agent) fn have_end(self) -> bool {
        matches!(self, Self::BeforeEnd | Self::AfterEnd)
    }
}

/// What says where the recognised speech ends (`speech_end_offset`). Google's protos say it of transcripts only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeechEnds {
    /// Each transcript.
    #[default]
    InTranscripts,
    /// The end of the utterance.
    InEnd,
    /// Nothing.
    Nowhere,
}

/// A fixed coding of the agent's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// `linear16`, `mulaw` or `alaw`.
    pub encoding: Encoding,
    /// In hertz.
    pub sample_rate: u32,
    /// Whether mu-law and A-law get a WAV header too. LINEAR16 always has one.
    #[serde(default)]
    pub wav: bool,
    /// A coding that the answer announces although nobody asked for it, and that is not the audio's.
    #[serde(default)]
    pub announced: Option<Announced>,
}

/// A coding that the service does not play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announced {
    /// MP3.
    Mp3,
    /// Opus in Ogg.
    OggOpus,
}
