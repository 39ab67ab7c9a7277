//! Encodes what `arbitrary` decodes. A test decodes each seed again, so a change of either side is noticed.

use crate::call::{AgentAnswer, AgentPrompt, AgentSays, DtmfSettings, Operation, Settings};
use crate::ticket::Parts;

/// Encodes a value to the bytes from which `arbitrary` makes it.
pub(super) trait Encode {
    fn encode(&self, out: &mut Vec<u8>);

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {
        $(impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

integers!(u8 u16 u32 u64);

macro_rules! structures {
    ($($name:ident { $($field:ident)* })*) => {
        $(impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
            }
        })*
    };
}

structures! {
    Settings {
        starts event text barge_in min_words min_ms min_confidence tells_heard knows_prompts dtmf_rules no_input limits
        thinking retrying has_url audio_limit_ms rotation_margin_ms migrate_after_ms timeouts retry answering_turn seed
        session_stream has_tools has_backup
    }
    DtmfSettings { finish_digit max_digits interdigit_ms first_digit_ms form }
    AgentAnswer { part prompts has_words has_text matched end payload dtmf_rules tools }
    AgentPrompt { format bytes is_wav is_elsewhere interruptible cancellable }
    Parts { call_sid issued_ms later_ms attempt change opening has_language text }
}

impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        u8::from(*self).encode(out);
    }
}

/// Must be the last field: a text takes all remaining bytes.
impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        self.iter().for_each(|value| value.encode(out));
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.encode(out));
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl Encode for (u8, u8, u8, u8) {
    fn encode(&self, out: &mut Vec<u8>) {
        [self.0, self.1, self.2, self.3].encode(out);
    }
}

/// Encodes variant `number` of `of` as the smallest number that decodes to it, and then its content.
fn variant(number: u64, of: u64, content: &dyn Encode, out: &mut Vec<u8>) {
    let least = (number << 32).div_ceil(of);
    u32::try_from(least).expect("a number below the count").encode(out);
    content.encode(out);
}

impl Encode for Operation {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut is = |number, content: &dyn Encode| variant(number, 14, content, out);
        match self {
            Self::Media(is_loud, bytes) => is(0, &(*is_loud, *bytes)),
            Self::Talk(is_loud, frames) => is(1, &(*is_loud, *frames)),
            Self::Mark(back) => is(2, back),
            Self::Key(key) => is(3, key),
            Self::Message(message) => is(4, message),
            Self::Binary => is(5, &()),
            Self::Agent(back, said) => is(6, &(*back, said.clone())),
            Self::Fetched(back, bytes) => is(7, &(*back, *bytes)),
            Self::ToolsRun(back, tools, is_well) => is(8, &((*back, *tools), *is_well)),
            Self::Updated(result) => is(9, result),
            Self::Migrate => is(10, &()),
            Self::Wait(ms) => is(11, ms),
            Self::Stop => is(12, &()),
            Self::Closed => is(13, &()),
        }
    }
}

impl Encode for AgentSays {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut is = |number, content: &dyn Encode| variant(number, 7, content, out);
        match self {
            Self::Transcript { words, is_final, confidence, start_ms, end_ms } => {
                is(0, &((*words, *is_final), [*confidence, *start_ms, *end_ms]));
            }
            Self::EndOfUtterance { end_ms } => is(1, end_ms),
            Self::Answer(answer) => is(2, answer),
            Self::Interrupted(barge_in) => is(3, barge_in),
            Self::GoAway => is(4, &()),
            Self::Ended => is(5, &()),
            Self::Failed(transient) => is(6, transient),
        }
    }
}
