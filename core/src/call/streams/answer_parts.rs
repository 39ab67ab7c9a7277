//! The parts of one answer: what has come, what was played of it, and whether the caller may barge in.

use crate::agent::{Answer, AnswerPart, Prompt};
use crate::checksum::Checksum;
use crate::time::CallTime;

/// The parts of an answer so far.
#[derive(Debug, Default)]
pub(super) struct AnswerParts {
    came: Came,
    /// From the end of the input to the first part, in milliseconds.
    pub(super) thought_ms: u64,
    /// Whether the caller may not barge in on it, whichever message the audio comes in.
    pub(super) is_protected: bool,
    /// The audio of its partial responses, which the final one may repeat.
    partial: Repeated,
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
    /// Whether this part answers all that was sent before it. The caller's audio may go on during an answer (CES), and the
    /// later parts do not say how much of it the agent has heard. An empty part may be followed by a failure.
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
        if !answer.is_empty() {
            self.came = Came::Something;
        } else if self.came == Came::Nothing {
            self.came = Came::Empty;
        }
        earlier
    }

    /// Takes out of a part's prompts what its earlier parts had, and protects them if the answer is protected. Google
    /// does not document whether the final part repeats the audio of the partial ones.
    pub(super) fn arrange(&mut self, part: AnswerPart, prompts: &mut [Prompt]) {
        match part {
            AnswerPart::Partial => prompts.iter().for_each(|prompt| self.partial.add(&prompt.audio)),
            AnswerPart::Final | AnswerPart::Open => {
                if let Some(first) = prompts.first_mut() {
                    let new = self.partial.new_part(&first.audio).len();
                    first.audio.drain(..first.audio.len() - new);
                }
            }
        }
        prompts.iter_mut().for_each(|prompt| prompt.interruptible &= !self.is_protected);
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
