//! A prompt that is not sent yet.

use crate::call::playback::prompt_audio::PromptAudio;
use crate::call::playback::sent::Kind;
use crate::ids::FetchId;

/// A prompt that waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Must be fetched first.
    Fetch {
        id: FetchId,
        kind: Kind,
    },
    Audio(Box<PromptAudio>),
}

impl Waiting {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Fetch { kind, .. } => *kind,
            Self::Audio(audio) => audio.kind(),
        }
    }

    pub(super) fn fetch(&self) -> Option<FetchId> {
        match self {
            Self::Fetch { id, .. } => Some(*id),
            Self::Audio(_) => None,
        }
    }

    /// Whether any of it is still to be sent, as far as we know. Audio that is sent stays while more of it may come.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Fetch { .. } => true,
            Self::Audio(audio) => audio.converts_since().is_some() || !audio.unsent().is_empty(),
        }
    }

    /// How much of it is not sent, in bytes of mu-law, as far as we know.
    pub(super) fn unsent_bytes(&self) -> usize {
        match self {
            Self::Fetch { .. } => 0,
            Self::Audio(audio) => audio.unsent_bytes(),
        }
    }
}
