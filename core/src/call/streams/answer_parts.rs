//! The parts of one answer: what has come, what was played of it, and whether the caller may barge in.

use bytes::Buf as _;

use crate::agent::{Answer, AnswerPart, Prompt};
use crate::checksum::Checksum;
use crate::time::CallTime;

/// How much audio can be heard, in milliseconds. The header of an empty WAV counts as less.
const MIN_AUDIBLE_MS: u64 = 20;

/// How much text of an answer is kept to be spoken, in bytes: some minutes.
const MAX_UNSPOKEN_BYTES: usize = 8_000;

/// The parts of an answer so far.
#[derive(Debug, Default)]
pub(in crate::call) struct AnswerParts {
    came: Came,
    /// What the caller has not heard, if no audio comes.
    unspoken: Unspoken,
    /// How much audio came that can be played, in milliseconds.
    audio_ms: u64,
    /// From the end of the input to the first part, in milliseconds.
    pub(super) thought_ms: u64,
    /// Whether the caller may not barge in on it, whichever message the audio comes in.
    pub(super) is_protected: bool,
    /// The audio of its partial responses, which the final one may repeat.
    partial: Repeated,
}

/// An answer that the agent has written, and of which no audio came that can be played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::call) struct Unspoken {
    /// Its text. Empty: the answer was audio that we cannot play.
    pub(in crate::call) text: String,
    /// Whether the caller may not barge in on it.
    pub(in crate::call) is_protected: bool,
    /// Why we cannot play the audio that came.
    pub(in crate::call) fault: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Came {
    #[default]
    Nothing,
    /// Parts without text, audio or end.
    Empty,
    Something,
}

/// The state of an answer before a part of it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) struct Earlier {
    /// Whether nothing came before.
    pub(in crate::call) is_nothing: bool,
    /// Whether something came that was not empty.
    pub(in crate::call) is_something: bool,
    /// Whether this part answers all that was sent before it. The caller's audio may go on during an answer (CES), and
    /// the later parts do not say how much of it the agent has heard. An empty part may be followed by a failure.
    pub(in crate::call) is_input_answered: bool,
    /// From the end of the input to this part, in milliseconds.
    pub(in crate::call) thought_ms: u64,
}

impl AnswerParts {
    /// Whether no part has come.
    pub(super) fn is_nothing(&self) -> bool {
        self.came == Came::Nothing
    }

    /// Whether a part has come that was not empty.
    pub(super) fn is_something(&self) -> bool {
        self.came == Came::Something
    }

    /// Notes a part. Returns what came before.
    pub(super) fn note(&mut self, answer: &Answer, asked_at: CallTime, now: CallTime) -> Earlier {
        let earlier = Earlier {
            is_nothing: self.is_nothing(),
            is_something: self.is_something(),
            is_input_answered: !self.is_something() && (!answer.is_empty() || answer.part == AnswerPart::Final),
            thought_ms: now.ms_since(asked_at),
        };
        if earlier.is_nothing {
            self.thought_ms = earlier.thought_ms;
        }
        self.note_text(answer);
        if !answer.is_empty() {
            self.came = Came::Something;
        } else if self.came == Came::Nothing {
            self.came = Came::Empty;
        }
        earlier
    }

    fn note_text(&mut self, answer: &Answer) {
        let unspoken = &mut self.unspoken;
        // Parts that announce nothing may be pieces of one sentence (CES).
        let begins_anew = answer.part != AnswerPart::Open && !unspoken.text.is_empty();
        for text in [if begins_anew { " " } else { "" }, &answer.text] {
            let room = MAX_UNSPOKEN_BYTES.saturating_sub(unspoken.text.len());
            unspoken.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
        // CX: "Partial responses are not eligible for barge-in".
        unspoken.is_protected |= answer.is_protected || answer.part == AnswerPart::Partial;
        if unspoken.fault.is_none() {
            unspoken.fault.clone_from(&answer.unplayable);
        }
    }

    /// Audio of it plays.
    pub(super) fn note_audio(&mut self, ms: u64) {
        self.audio_ms = self.audio_ms.saturating_add(ms);
    }

    /// Takes out what nobody has spoken, at the end of the answer or where it is cut.
    pub(super) fn take_unspoken(&mut self) -> Option<Unspoken> {
        let mut unspoken = std::mem::take(&mut self.unspoken);
        unspoken.is_protected |= self.is_protected;
        if unspoken.text.trim().is_empty() {
            unspoken.text.clear();
        }
        let is_nothing = unspoken.text.is_empty() && unspoken.fault.is_none();
        (!is_nothing && self.audio_ms < MIN_AUDIBLE_MS).then_some(unspoken)
    }

    /// Takes out of a part's prompts what its earlier parts had, and protects them if the answer is protected. Google
    /// does not document whether the final part repeats the audio of the partial ones.
    pub(super) fn arrange(&mut self, part: AnswerPart, prompts: &mut [Prompt]) {
        match part {
            AnswerPart::Partial => prompts.iter().for_each(|prompt| self.partial.add(&prompt.audio)),
            AnswerPart::Final | AnswerPart::Open => {
                if let Some(first) = prompts.first_mut() {
                    let new = self.partial.new_part(&first.audio).len();
                    first.audio.advance(first.audio.len() - new);
                }
            }
        }
        prompts.iter_mut().for_each(|prompt| prompt.interruptible &= !self.is_protected);
        if prompts.iter().any(|prompt| prompt.uri.is_some()) {
            // We do not know the length of a recording.
            self.audio_ms = self.audio_ms.max(MIN_AUDIBLE_MS);
        }
    }
}

/// Audio that may be repeated: its length in bytes and its checksum.
#[derive(Debug, Clone, Copy, Default)]
struct Repeated {
    bytes: usize,
    sum: Checksum,
}

impl Repeated {
    fn add(&mut self, audio: &[u8]) {
        self.bytes += audio.len();
        self.sum.add(audio);
    }

    /// The new part of the audio, which may begin with a repetition of the earlier audio.
    fn new_part<'a>(&self, audio: &'a [u8]) -> &'a [u8] {
        match audio.split_at_checked(self.bytes) {
            Some((again, new)) if self.bytes > 0 && Checksum::of(again) == self.sum => new,
            _ => audio,
        }
    }
}
