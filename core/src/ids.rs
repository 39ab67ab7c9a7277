//! The ids that go into and out of this crate, each a type of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Twilio's id of a call, `CA` and 32 hexadecimal digits. It is the id of the Dialogflow session too.
///
/// It becomes part of a session name and of a REST path. So it may hold only letters, digits, `-` and `_`, and at most
/// 36 of them, which is Dialogflow's limit for a session id (`session.proto`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallSid(String);

/// A text that cannot be a [`CallSid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCallSid;

impl fmt::Display for BadCallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CallSid is 1 to 36 letters, digits, '-' or '_', e.g. CA and 32 hexadecimal digits")
    }
}

impl std::error::Error for BadCallSid {}

impl CallSid {
    /// Dialogflow's limit for a session id, in characters (`session.proto` of ES and CX).
    pub const MAX_CHARS: usize = 36;

    /// Checks the id of a call.
    ///
    /// # Errors
    /// [`BadCallSid`] if the text is empty, too long, or holds a character other than a letter, a digit, `-` or `_`.
    pub fn new(text: &str) -> Result<Self, BadCallSid> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > Self::MAX_CHARS || !text.bytes().all(plain) {
            return Err(BadCallSid);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as Twilio wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id has the form of a call that Twilio's REST API knows: `CA` and 32 hexadecimal digits.
    #[must_use]
    pub fn is_twilio(&self) -> bool {
        let Some(hex) = self.0.strip_prefix("CA") else { return false };
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    }
}

impl TryFrom<String> for CallSid {
    type Error = BadCallSid;

    fn try_from(text: String) -> Result<Self, BadCallSid> {
        Self::new(&text)
    }
}

impl From<CallSid> for String {
    fn from(sid: CallSid) -> Self {
        sid.0
    }
}

impl fmt::Display for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Twilio's id of one media stream, `MZ` and 32 hexadecimal digits. Every message to Twilio must carry it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamSid(String);

impl StreamSid {
    /// The longest id that we accept, in bytes. Twilio's have 34.
    pub const MAX_BYTES: usize = 128;

    /// Takes a stream's id as Twilio sent it. `None` if it is empty or longer than [`StreamSid::MAX_BYTES`].
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= Self::MAX_BYTES).then(|| Self(text.to_owned()))
    }

    /// The id as Twilio wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of a stream to the agent in one call, from 1: one `StreamingDetectIntent` (ES, CX) or one
/// `BidiRunSession` (CES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub u32);

impl StreamId {
    /// Takes this number. The next one follows it.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self(self.0.wrapping_add(1));
        std::mem::replace(self, next)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// The number of a turn in one call, from 1, as reports name it: one input of the caller and the agent's answer.
///
/// With ES and CX each stream is one turn. With CES one stream serves many turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub u32);

impl TurnId {
    /// Takes this number. The next one follows it.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self(self.0.wrapping_add(1));
        std::mem::replace(self, next)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "turn {}", self.0)
    }
}

/// The number of a fetch in one call, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FetchId(pub u32);

impl FetchId {
    /// Takes this number. The next one follows it.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self(self.0.wrapping_add(1));
        std::mem::replace(self, next)
    }
}

impl fmt::Display for FetchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch {}", self.0)
    }
}

/// The number of a request for tools in one call, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ToolsId(pub u32);

impl ToolsId {
    /// Takes this number. The next one follows it.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self(self.0.wrapping_add(1));
        std::mem::replace(self, next)
    }
}

impl fmt::Display for ToolsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tools {}", self.0)
    }
}

/// The name of a `mark`: the epoch, which grows by one with each `clear`, and the mark's number.
///
/// The epoch tells a mark that came back because its audio was played from one that a `clear` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkName {
    /// How many times the playout had been cleared when the mark was sent.
    pub epoch: u32,
    /// Number of the mark in its call, from 1.
    pub number: u32,
}

impl MarkName {
    /// Reads a name that this crate wrote. `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.strip_prefix('e')?.split_once('m')?;
        Some(Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}m{}", self.epoch, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_sid_cannot_smuggle_a_path_or_a_query() {
        assert!(CallSid::new("CA0123456789abcdef0123456789abcdef").is_ok_and(|sid| sid.is_twilio()));
        assert!(CallSid::new("browser-7f3a").is_ok_and(|sid| !sid.is_twilio()));
        for bad in ["", "CA/../x", "CA1?x=1", "CA 1", "CA\u{e9}", "CA01234567890123456789012345678901234"] {
            assert_eq!(CallSid::new(bad), Err(BadCallSid), "{bad}");
        }
    }

    #[test]
    fn a_mark_name_reads_back_as_it_was_written() {
        let name = MarkName { epoch: 3, number: 41 };
        assert_eq!(name.to_string(), "e3m41");
        assert_eq!(MarkName::parse("e3m41"), Some(name));
        for other in ["", "e3", "m41", "e3m", "e3m41x", "end_of_call", "e-1m2", "e3m99999999999"] {
            assert_eq!(MarkName::parse(other), None, "{other}");
        }
    }
}
