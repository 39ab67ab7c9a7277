//! Barge-in: a caller who speaks or presses a key during a prompt stops it.
//!
//! Speech that began before the playout does not count: it is the next turn. The caller cannot cut a prompt that forbids
//! barge-in. How many words, with which confidence, and how many milliseconds it takes: [`Utterance`]. The agent itself
//! may cut its prompt too (`session_stream`).
//!
//! [`Utterance`]: super::utterance::Utterance

use serde_json::json;

use crate::audio::BYTES_PER_MS;
use crate::call::caller_audio::Position;
use crate::call::{Call, Lifecycle};
use crate::config::BargeInMode;
use crate::ids::TurnId;
use crate::report::{BargeInBy, Report};

/// The shortest voice that counts as barge-in, in milliseconds.
const MIN_VOICE_MS: u64 = 200;

impl Call {
    /// Cuts the prompt if `by` counts as barge-in.
    pub(super) fn check_barge_in(&mut self, by: BargeInBy, turn: Option<TurnId>) {
        let is_active = matches!(self.lifecycle, Lifecycle::Active);
        if is_active && self.playback.is_playing() && self.playback.is_interruptible() && self.interrupts(by) {
            self.cut(by, turn);
        }
    }

    fn interrupts(&self, by: BargeInBy) -> bool {
        let rule = &self.config.barge_in;
        let Some(playout_began) = self.playback.began_position() else { return false };
        match (by, rule.mode) {
            (BargeInBy::Dtmf | BargeInBy::Agent, _) => true,
            // The agent itself says when its prompt is interrupted. It may not know of a prompt from an earlier stream.
            (BargeInBy::Speech, _) if self.has_session_stream() && self.is_of_open_stream(playout_began) => false,
            (BargeInBy::Speech, BargeInMode::Speech | BargeInMode::Voice) => {
                let Some(turn) = self.turn.open() else { return false };
                turn.utterance.interrupts(playout_began, self.audio_of(turn), rule)
            }
            (BargeInBy::Voice, BargeInMode::Voice) => {
                let min_ms = rule.min_ms.max(MIN_VOICE_MS);
                self.voice.speaking_since().is_some_and(|onset| {
                    onset >= playout_began && (self.caller.received() - onset) / BYTES_PER_MS as u64 >= min_ms
                })
            }
            (BargeInBy::Speech | BargeInBy::Voice, _) => false,
        }
    }

    /// Whether the playout came over the open stream, or no stream is open.
    fn is_of_open_stream(&self, playout_began: Position) -> bool {
        self.turn.open().is_none_or(|turn| turn.opened <= playout_began)
    }

    pub(super) fn cut(&mut self, by: BargeInBy, turn: Option<TurnId>) {
        let cut = self.playback.clear();
        self.poll_playback();
        self.note_agent_audio();
        self.report(Report::BargeIn { turn, by, played_ms: cut.played_ms, cut_ms: cut.cut_ms });
        while let Some(stages) = self.stage_recorder.take_awaiting() {
            self.report_stages(Some(stages));
        }
        if let Some(name) = self.config.barge_in.heard_parameter.clone() {
            let heard = json!({ "heardMs": cut.played_ms, "cutMs": cut.cut_ms });
            self.known_parameters.insert(name.clone(), heard.clone());
            self.parameters.insert(name, heard);
        }
    }
}
