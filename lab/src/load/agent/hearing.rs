//! What a stream hears in either form: it records frames in the ledger and finds the beginning and the end of an
//! utterance. It also makes the audio of the answer.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Failed, LoadAgent};
use crate::load::clock::now_us;
use crate::load::code::{CODE_BYTES, Code, FRAME_BYTES, Kind};
use crate::load::ledger::{Arrival, Sent};
use crate::load::write::speech;

use dialbridge_core::audio::MULAW_SILENCE;

/// The number in the code of an answer to no utterance, such as a greeting.
const NO_UTTERANCE: u32 = 0xFF_FFFF;

/// An interim transcript comes with the first of every so many frames of speech.
const INTERIM_FRAMES: u32 = 25;

/// The voice detector of a stream.
pub(super) struct Hearing<'a> {
    agent: &'a LoadAgent,
    sent: Sent,
    opened_us: u64,
    /// The call, as named by the session.
    call: Option<u16>,
    /// The number of the frame that ended the last utterance.
    ended: Option<u32>,
    /// Whether it is over for the stream, which then hears nothing more.
    is_over: bool,
    /// Frames of speech so far.
    speech: u32,
}

/// What the voice detector noticed in some audio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// The caller speaks.
    pub(super) speech: bool,
    /// There is enough speech for another interim transcript.
    pub(super) interim: bool,
    /// The utterance is over.
    pub(super) end: bool,
}

impl<'a> Hearing<'a> {
    /// The voice detector of a newly opened stream; `sent` says how its client sends audio.
    pub(super) fn begin(agent: &'a LoadAgent, sent: Sent) -> Self {
        Self { agent, sent, opened_us: now_us(), call: None, ended: None, is_over: false, speech: 0 }
    }

    /// Learns the call from the session's name, if it is not known.
    pub(super) fn learn(&mut self, session: &str) -> Result<(), Failed> {
        if self.call.is_none() {
            self.call = Some(call_number(session).ok_or(Failed)?);
        }
        Ok(())
    }

    /// Hears the audio of one message. Bridges send whole frames, one or more; a remainder is counted as a fault.
    pub(super) fn frames(&mut self, audio: &[u8]) -> Noticed {
        let now_us = now_us();
        let mut noticed = Noticed::default();
        let mut ledger = self.agent.ledger();
        ledger.message();
        let frames = audio.chunks_exact(FRAME_BYTES);
        ledger.counts.strange += frames.remainder().len() as u64;
        let count = frames.len();
        for (place, frame) in frames.enumerate() {
            let Some(code) = Code::decode(frame) else {
                if self.sent == Sent::WithoutPause && frame.iter().all(|&byte| byte == MULAW_SILENCE) {
                    ledger.filled(FRAME_BYTES as u64);
                } else {
                    ledger.counts.strange += FRAME_BYTES as u64;
                }
                continue;
            };
            ledger.counts.misrouted += u64::from(Some(code.call) != self.call);
            let is_gathered = self.sent == Sent::WithoutPause && place + 1 < count;
            let is_heard = !self.is_over;
            ledger.frame(&code, &Arrival { opened_us: self.opened_us, now_us, is_gathered, is_heard });
            match code.kind {
                _ if self.is_over => {}
                Kind::Speech => {
                    noticed.speech = true;
                    noticed.interim |= self.speech.is_multiple_of(INTERIM_FRAMES);
                    self.speech += 1;
                }
                // Without speech before it, it ended an utterance that an earlier stream has heard.
                Kind::End if self.speech > 0 => {
                    self.ended = Some(code.number);
                    self.is_over = self.sent == Sent::AsItComes;
                    self.speech = 0;
                    noticed.end = true;
                }
                Kind::End | Kind::Silence | Kind::Answer => {}
            }
        }
        noticed
    }

    /// Blocks of the answer to the last utterance, from that place on, each with its code.
    pub(super) fn answer(&self, from: u64, blocks: u64) -> Result<Bytes, Failed> {
        let call = self.call.ok_or(Failed)?;
        let number = self.ended.unwrap_or(NO_UTTERANCE);
        let at_us = now_us();
        let mut audio = BytesMut::new();
        for place in from..from + blocks {
            let extra = u16::try_from(place).unwrap_or(u16::MAX);
            audio.put_slice(&Code { kind: Kind::Answer, call, number, at_us, extra }.encode());
            audio.put_slice(&self.agent.said.voice.0[CODE_BYTES..]);
        }
        Ok(audio.freeze())
    }
}

/// A frame of the agent's voice.
#[derive(Debug)]
pub(super) struct Voice([u8; FRAME_BYTES]);

impl Default for Voice {
    fn default() -> Self {
        Self(speech())
    }
}

/// The number at the end of a session's name.
fn call_number(session: &str) -> Option<u16> {
    u16::from_str_radix(session.get(session.len().checked_sub(4)?..)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, number: u32) -> Vec<u8> {
        let code = Code { kind, call: 0x12, number, at_us: 1, extra: 0 }.encode();
        code.into_iter().chain([MULAW_SILENCE; FRAME_BYTES - CODE_BYTES]).collect()
    }

    #[test]
    fn an_utterance_begins_and_ends_by_the_codes_of_its_frames() {
        let agent = LoadAgent::default();
        let mut hearing = Hearing::begin(&agent, Sent::AsItComes);
        hearing.learn("projects/p/sessions/CA0012").unwrap();
        let heard = |hearing: &mut Hearing<'_>, kinds: &[Kind], from| {
            let frames = (from..).zip(kinds).flat_map(|(number, kind)| frame(*kind, number));
            hearing.frames(&frames.collect::<Vec<u8>>())
        };
        assert_eq!(heard(&mut hearing, &[Kind::Silence], 0), Noticed::default());
        let begun = heard(&mut hearing, &[Kind::Silence, Kind::Speech], 1);
        assert_eq!(begun, Noticed { speech: true, interim: true, end: false });
        assert_eq!(heard(&mut hearing, &[Kind::Speech], 3), Noticed { speech: true, ..Noticed::default() });
        assert_eq!(heard(&mut hearing, &[Kind::End], 4), Noticed { end: true, ..Noticed::default() });
        let answer = hearing.answer(10, 2).unwrap();
        let code = Code::decode(&answer[FRAME_BYTES..]).unwrap();
        assert_eq!((answer.len(), code.call, code.number, code.extra), (2 * FRAME_BYTES, 0x12, 4, 11));
        let figures = agent.figures();
        assert_eq!((figures.arrived, figures.missing, figures.misrouted, figures.strange_bytes), (5, 0, 0, 0));
    }

    #[test]
    fn silence_that_fills_a_gap_is_no_strange_audio_where_it_is_asked_for() {
        let filled = [MULAW_SILENCE; 3 * FRAME_BYTES];
        for (sent, figures) in [(Sent::AsItComes, (0, 480)), (Sent::WithoutPause, (480, 0))] {
            let agent = LoadAgent::default();
            Hearing::begin(&agent, sent).frames(&filled);
            let heard = agent.figures();
            assert_eq!((heard.filled_bytes, heard.strange_bytes), figures);
        }
    }

    #[test]
    fn a_session_tells_whose_call_it_is() {
        assert_eq!(call_number("a/sessions/CA00ff"), Some(0xFF));
        assert_eq!([call_number("a/sessions/CAxyzw"), call_number("abc")], [None, None]);
    }
}
