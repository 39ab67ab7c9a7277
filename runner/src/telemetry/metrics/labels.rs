//! The labels of metrics. They have few values, and callers cannot choose them.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

/// What can happen to the caller's audio.
pub(super) const AUDIO_OUTCOMES: [&str; 7] =
    ["received", "written", "resent", "withheld", "dropped", "after-end", "left"];

/// The label for a fault whose code is not one of gRPC's.
pub(super) const OTHER_CODE: &str = "OTHER";

/// gRPC's codes.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// An agent's name in the settings, and its edition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AgentLabels {
    pub(crate) name: Arc<str>,
    pub(crate) edition: &'static str,
}

/// An agent's labels and one more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Labels {
    pub(super) agent: AgentLabels,
    pub(super) more: (&'static str, &'static str),
}

impl EncodeLabelSet for AgentLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        ("agent", &*self.name).encode(encoder.encode_label())?;
        ("edition", self.edition).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.agent.encode(encoder)?;
        self.more.encode(encoder.encode_label())
    }
}

/// When a backup has got a call of its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TookOver {
    /// Before its media stream: the agent was down for all calls.
    Webhook,
    /// In its media stream.
    Stream,
}

impl TookOver {
    pub(super) const ALL: [Self; 2] = [Self::Webhook, Self::Stream];

    /// The value of the label `during`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Stream => "stream",
        }
    }
}
