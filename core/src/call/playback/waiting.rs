//! Audio that is not sent yet.

use crate::call::playback::sent::Kind;
use crate::ids::FetchId;

/// A prompt that waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Must be fetched first.
    Fetch { id: FetchId, kind: Kind },
    /// Mu-law at 8,000 Hz, sent up to `at`.
    Audio { audio: Vec<u8>, at: usize, kind: Kind },
}

impl Waiting {
    pub(super) fn audio(audio: Vec<u8>, kind: Kind) -> Self {
        Self::Audio { audio, at: 0, kind }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Fetch { kind, .. } | Self::Audio { kind, .. } => *kind,
        }
    }

    pub(super) fn fetch(&self) -> Option<FetchId> {
        match self {
            Self::Fetch { id, .. } => Some(*id),
            Self::Audio { .. } => None,
        }
    }

    /// The bytes that it keeps, sent ones too.
    pub(super) fn kept_bytes(&self) -> usize {
        match self {
            Self::Fetch { .. } => 0,
            Self::Audio { audio, .. } => audio.len(),
        }
    }

    /// Its remaining bytes, as far as they are known.
    pub(super) fn known_bytes(&self) -> usize {
        match self {
            Self::Fetch { .. } => 0,
            Self::Audio { audio, at, .. } => audio.len() - at,
        }
    }
}
