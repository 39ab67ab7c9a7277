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
        session_stream has_tools
    }
    DtmfSettings { finish_digit max_digits interdigit_ms first_digit_ms form }
    AgentAnswer { part prompts has_words has_text matched end payload dtmf_rules tools }
    AgentPrompt { format bytes is_wav is_elsewhere interruptible cancellable }
    Parts { call_sid issued_ms later_ms attempt change opening has_language text }
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

/// The smallest number that decodes to variant `number` of `of`.
fn variant(number: u64, of: u64, out: &mut Vec<u8>) {
    let least = (number << 32).div_ceil(of);
    u32::try_from(least).expect("a number below the count").encode(out);
}

impl Encode for Operation {
    fn encode(&self, out: &mut Vec<u8>) {
        let number = |n, out: &mut Vec<u8>| variant(n, 14, out);
        match self {
            Self::Media(is_loud, bytes) => {
                number(0, out);
                (*is_loud, *bytes).encode(out);
            }
            Self::Talk(is_loud, frames) => {
                number(1, out);
                (*is_loud, *frames).encode(out);
            }
            Self::Mark(back) => {
                number(2, out);
                back.encode(out);
            }
            Self::Key(key) => {
                number(3, out);
                key.encode(out);
            }
            Self::Message(message) => {
                number(4, out);
                message.encode(out);
            }
            Self::Binary => number(5, out),
            Self::Agent(back, said) => {
                number(6, out);
                back.encode(out);
                said.encode(out);
            }
            Self::Fetched(back, bytes) => {
                number(7, out);
                (*back, *bytes).encode(out);
            }
            Self::ToolsRun(back, tools, is_well) => {
                number(8, out);
                (*back, *tools).encode(out);
                is_well.encode(out);
            }
            Self::Updated(result) => {
                number(9, out);
                result.encode(out);
            }
            Self::Migrate => number(10, out),
            Self::Wait(ms) => {
                number(11, out);
                ms.encode(out);
            }
            Self::Stop => number(12, out),
            Self::Closed => number(13, out),
        }
    }
}

impl Encode for AgentSays {
    fn encode(&self, out: &mut Vec<u8>) {
        let number = |n, out: &mut Vec<u8>| variant(n, 7, out);
        match self {
            Self::Transcript { words, is_final, confidence, start_ms, end_ms } => {
                number(0, out);
                (*words, *is_final).encode(out);
                [*confidence, *start_ms, *end_ms].encode(out);
            }
            Self::EndOfUtterance => number(1, out),
            Self::Answer(answer) => {
                number(2, out);
                answer.encode(out);
            }
            Self::Interrupted(barge_in) => {
                number(3, out);
                barge_in.encode(out);
            }
            Self::GoAway => number(4, out),
            Self::Ended => number(5, out),
            Self::Failed(transient) => {
                number(6, out);
                transient.encode(out);
            }
        }
    }
}
