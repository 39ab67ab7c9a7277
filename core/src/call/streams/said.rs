//! What an agent has said in a turn whose answer comes in many parts, for the report.

use serde_json::{Map, Value};

use crate::agent::{Answer, Intent};
use crate::parameters::add_parameters;

/// How much text of one answer is kept for its report, in bytes. The caller hears all of it.
pub const MAX_ANSWER_TEXT_BYTES: usize = 64 << 10;

/// What the agent has said in a turn. Its answer comes in many parts and is reported when it is complete.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) intent: Intent,
    pub(super) parameters: Map<String, Value>,
    pub(super) audio_ms: u64,
    /// Whether there was no room for a part of it.
    pub(super) is_truncated: bool,
}

impl Said {
    /// Adds a part with that much audio.
    pub(super) fn add(&mut self, answer: &mut Answer, audio_ms: u64) {
        let room = MAX_ANSWER_TEXT_BYTES.saturating_sub(self.text.len());
        let kept = &answer.text[..answer.text.floor_char_boundary(room)];
        self.text.push_str(kept);
        self.is_truncated |= kept.len() < answer.text.len();
        self.audio_ms += audio_ms;
        if let Some(intent) = answer.intent.take() {
            self.intent = intent;
        }
        self.is_truncated |= !add_parameters(&mut self.parameters, &answer.parameters);
    }
}
