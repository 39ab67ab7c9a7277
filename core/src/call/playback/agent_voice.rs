//! When the agent begins to speak in what the caller hears.
//!
//! An agent's audio may begin with seconds in which nobody speaks (CES). That lead is played like all audio, but the
//! agent is not speaking yet: the caller cannot interrupt it, and it is not when the caller got his answer.

use crate::audio::level::{MIN_VOICE_LEVEL, mulaw_level};
use crate::audio::{BYTES_PER_MS, FRAME_BYTES, Position};
use crate::ids::TurnId;
use crate::time::CallTime;

/// The lead of the current playout.
#[derive(Debug, Default)]
pub(super) struct AgentVoice {
    playout: Option<Playout>,
    has_begun: bool,
    /// The turn whose audio the caller hears, but not a word of it yet.
    unheard: Option<TurnId>,
}

/// A playout and its audio before the first word.
#[derive(Debug, Clone, Copy)]
struct Playout {
    /// Where it began in the caller's audio.
    position: Position,
    began: CallTime,
    /// In bytes.
    lead: u64,
}

/// A turn whose first word the caller hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) struct FirstWord {
    pub(in crate::call) turn: TurnId,
    pub(in crate::call) heard_at: CallTime,
}

impl AgentVoice {
    /// Audio of the playout that began at `position` was sent to Twilio. Returns the turn that waited for its first
    /// word.
    pub(super) fn sent(&mut self, position: Option<Position>, mulaw: &[u8], now: CallTime) -> Option<FirstWord> {
        let position = position?;
        let mut playout = match self.playout {
            Some(playout) if playout.position == position => playout,
            Some(_) | None => {
                self.has_begun = false;
                Playout { position, began: now, lead: 0 }
            }
        };
        if !self.has_begun {
            let is_quiet = |frame: &&[u8]| mulaw_level(frame) <= MIN_VOICE_LEVEL;
            let lead: usize = mulaw.chunks(FRAME_BYTES).take_while(is_quiet).map(<[u8]>::len).sum();
            playout.lead += lead as u64;
            self.has_begun = lead < mulaw.len();
        }
        self.playout = Some(playout);
        let turn = self.unheard.take_if(|_| self.has_begun)?;
        Some(FirstWord { turn, heard_at: playout.first_word_at() })
    }

    /// The caller has heard a turn's audio since then. Returns when he hears its first word, if that is known.
    pub(super) fn heard(&mut self, turn: TurnId, since: CallTime) -> Option<FirstWord> {
        self.unheard = Some(turn).filter(|_| !self.has_begun);
        let playout = self.playout.filter(|_| self.has_begun)?;
        Some(FirstWord { turn, heard_at: since.max(playout.first_word_at()) })
    }

    /// Whether the agent has spoken in the last playout.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Where the agent begins to speak in the playout that began there. `None` if it has not said anything.
    pub(super) fn began(&self, position: Position) -> Option<Position> {
        let playout = self.playout.filter(|playout| self.has_begun && playout.position == position)?;
        Some(position + playout.lead)
    }
}

impl Playout {
    fn first_word_at(self) -> CallTime {
        self.began + self.lead / BYTES_PER_MS as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: [u8; 160] = [0xFF; 160];
    const LOUD: [u8; 160] = [0x21; 160];

    #[test]
    fn the_agent_speaks_from_its_first_loud_frame_on() {
        let mut voice = AgentVoice::default();
        let now = CallTime::START;
        voice.sent(Some(800), &QUIET.repeat(10), now);
        assert_eq!(voice.began(800), None);
        voice.sent(Some(800), &[QUIET, LOUD, QUIET].concat(), now);
        voice.sent(Some(800), &QUIET, now);
        assert_eq!((voice.began(800), voice.began(0)), (Some(800 + 11 * 160), None));
        voice.sent(Some(9_000), &LOUD, now);
        assert_eq!((voice.began(9_000), voice.began(800)), (Some(9_000), None), "each playout has its own lead");
    }

    #[test]
    fn a_turn_is_heard_when_its_first_word_is() {
        let (mut voice, turn, at) = (AgentVoice::default(), TurnId(3), CallTime::from_ms);
        voice.sent(Some(0), &QUIET.repeat(50), at(1_000));
        assert_eq!(voice.heard(turn, at(1_000)), None, "not a word of it yet");
        let first = |ms| Some(FirstWord { turn, heard_at: at(ms) });
        assert_eq!(voice.sent(Some(0), &LOUD, at(1_400)), first(2_000));
        assert_eq!(voice.sent(Some(0), &LOUD, at(1_400)), None, "once");
        assert_eq!(voice.heard(turn, at(1_000)), first(2_000));
        assert_eq!(voice.heard(turn, at(3_000)), first(3_000), "a later answer of the playout");
    }

    #[test]
    fn a_lead_may_come_in_several_playouts() {
        let (mut voice, turn, at) = (AgentVoice::default(), TurnId(3), CallTime::from_ms);
        voice.sent(Some(0), &QUIET, at(0));
        assert_eq!(voice.heard(turn, at(0)), None);
        voice.sent(Some(8_000), &QUIET, at(1_000));
        let first = Some(FirstWord { turn, heard_at: at(2_020) });
        assert_eq!(voice.sent(Some(16_000), &[QUIET, LOUD].concat(), at(2_000)), first);
    }
}
