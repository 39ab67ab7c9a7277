//! What an agent answers, and how it ends its part of the call.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audio::{AudioFormat, level};
use crate::base64_bytes;

/// What the agent answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    /// Whether more of the answer follows.
    pub part: AnswerPart,
    /// What the agent understood the caller to say (`query_text`, `transcript`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_text: String,
    /// What the agent says, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whether the caller may not barge in on the text, if we must synthesise it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_protected: bool,
    /// What the agent says, as audio, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
    /// Why audio that came cannot be played: the name of its coding, e.g. MP3, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplayable: Option<String>,
    /// The intent that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The page that the conversation is on (CX `current_page.display_name`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub page: String,
    /// The flow that the page belongs to (CX `current_flow.display_name`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flow: String,
    /// `parameters` of the result: those of the session (CX) or of the intent (ES).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// `action` of the result (ES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// How the input matched.
    pub matched: Matched,
    /// The agent is done with the call. We do not listen after this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<AgentEnd>,
    /// Custom payloads, in order. The `dialbridge` part of each is for this service ([`payload`](crate::payload)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Value>,
    /// How the agent wants DTMF digits collected from now on (CX `advanced_settings.dtmf_settings`).
    #[serde(rename = "keys", skip_serializing_if = "Option::is_none")]
    pub dtmf_rules: Option<DtmfRules>,
    /// How the agent wants the caller's speech ended from now on (CX `advanced_settings.speech_settings`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_rules: Option<SpeechRules>,
    /// Tools that the agent wants run before it goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The agent says that the conversation is a success (CX `conversation_success`). It does not end the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub succeeded: bool,
    /// Why the transfer that the agent asks for is none. Another end takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_transfer: Option<String>,
    /// Places that are no custom payload and have a `dialbridge` part in them. We do not act on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub misplaced: Vec<String>,
    /// The statuses of webhooks that failed in this turn. The agent answered all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_faults: Vec<String>,
}

/// How an agent wants DTMF digits collected. The settings decide what it leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DtmfRules {
    /// The finish digit.
    #[serde(rename = "finish", skip_serializing_if = "Option::is_none")]
    pub finish_digit: Option<char>,
    /// The number of digits that completes the input.
    #[serde(rename = "most", skip_serializing_if = "Option::is_none")]
    pub max_digits: Option<u32>,
    /// The longest pause between two of them, in milliseconds.
    #[serde(rename = "gapMs", skip_serializing_if = "Option::is_none")]
    pub interdigit_ms: Option<u64>,
}

/// When an agent wants the caller's speech to end. The settings decide what it leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpeechRules {
    /// The silence that ends an utterance, in milliseconds (`use_timeout_based_endpointing`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    /// The silence after which the caller has said nothing, in milliseconds (`no_speech_timeout`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_speech_ms: Option<u64>,
}

impl Answer {
    /// Whether the answer holds audio and nothing else. ES sends such an answer after the query result.
    #[must_use]
    pub fn is_audio_only(&self) -> bool {
        !self.prompts.is_empty()
            && self.text.is_empty()
            && self.query_text.is_empty()
            && self.intent.is_none()
            && self.end.is_none()
    }

    /// Whether it is a part with nothing but audio in which nobody speaks.
    #[must_use]
    pub fn is_quiet_audio(&self) -> bool {
        let is_quiet = |prompt: &Prompt| prompt.uri.is_none() && level::is_quiet(prompt.format, &prompt.audio);
        let has_more = !self.payloads.is_empty() || !self.tool_calls.is_empty() || !self.parameters.is_empty();
        self.part == AnswerPart::Open && self.is_audio_only() && !has_more && self.prompts.iter().all(is_quiet)
    }

    /// Whether the caller would notice nothing of it. An agent answers so to an event that it does not know.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.prompts.is_empty()
            && self.end.is_none()
            && self.unplayable.is_none()
            && self.payloads.is_empty()
            && self.tool_calls.is_empty()
    }
}

/// A tool that the agent wants its client to run (CX `ResponseMessage.tool_call`, CES `SessionOutput.tool_calls`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolCall {
    /// The agent's id for this call of the tool (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Resource name of the tool, or of its toolset if it belongs to one.
    pub tool: String,
    /// The tool's action (CX), or its name in the toolset (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The tool's display name (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The tool's arguments. Personal.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
}

/// Which part of an answer has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerPart {
    /// More may follow until the stream ends (ES: audio may follow the query result).
    #[default]
    Open,
    /// A first part while the agent still works (CX partial response). A final one follows.
    Partial,
    /// The last part (CX `FINAL`, CES `turn_completed`).
    Final,
}

/// Audio that the agent wants played.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The coding that the stream announces. A WAV header inside the audio takes precedence.
    pub format: AudioFormat,
    /// The bytes as they came, with or without a WAV header. Empty if `uri` is set.
    #[serde(with = "base64_bytes", default, skip_serializing_if = "Bytes::is_empty")]
    pub audio: Bytes,
    /// The address to fetch the audio from: `https:` or `gs:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whether the caller may barge in.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub interruptible: bool,
    /// Whether a later response of the same turn cuts it, e.g. music while the agent works (CX
    /// `DetectIntentResponse.allow_cancellation`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancellable: bool,
}

impl Prompt {
    /// A prompt with its audio. The caller may barge in.
    #[must_use]
    pub fn new(format: AudioFormat, audio: impl Into<Bytes>) -> Self {
        Self { format, audio: audio.into(), uri: None, interruptible: true, cancellable: false }
    }

    /// A prompt whose audio has to be fetched. The caller may barge in.
    #[must_use]
    pub fn at(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::new(AudioFormat::TELEPHONE, Bytes::new()) }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("format", &self.format)
            .field("bytes", &self.audio.len())
            .field("uri", &self.uri.is_some())
            .field("interruptible", &self.interruptible)
            .field("cancellable", &self.cancellable)
            .finish()
    }
}

/// An intent: its resource name and its display name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Intent {
    /// Resource name, or just its last part.
    pub name: String,
    /// Name in the console.
    pub display_name: String,
}

/// How the input matched (CX `Match.match_type`; ES has only the first two).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matched {
    /// An intent matched, or the answer does not say.
    #[default]
    Yes,
    /// The agent did not understand.
    NoMatch,
    /// The caller said nothing for too long.
    NoInput,
}

/// How the agent ends its part of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AgentEnd {
    /// The agent is done.
    EndInteraction,
    /// The agent asks for a live agent. The metadata is the agent's own.
    LiveAgentHandoff {
        /// Any JSON.
        metadata: Value,
    },
    /// The agent asks for a transfer.
    Transfer(Transfer),
    /// The agent asks to queue the call, e.g. for Twilio Flex.
    Enqueue(Enqueue),
    /// The agent pauses: the call does something else and may come back to the same session.
    Pause {
        /// Any JSON.
        parameters: Value,
    },
}

impl AgentEnd {
    /// Whether it says only that the agent is done.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::EndInteraction)
    }
}

/// The target of a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transfer {
    /// A number or an address, as the agent writes it ([`DialTarget`](crate::dial_target::DialTarget)).
    pub to: String,
    /// The digits to press when the number has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The caller ID to show. `None`: the one in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// How long to ring, in seconds. `None`: as the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

impl Transfer {
    /// A transfer to that number or address, otherwise as the settings say.
    #[must_use]
    pub fn to(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }
}

/// The queue for a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enqueue {
    /// The TaskRouter workflow (`WW…`) that gets the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_sid: Option<String>,
    /// The name of a queue, if there is no workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Attributes of the task.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub attributes: Value,
}
