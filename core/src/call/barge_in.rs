//! Barge-in: a caller who speaks or presses a key during a prompt stops it.
//!
//! Speech that began before the agent's first word does not count: it is the next turn. The caller cannot cut a prompt
//! that forbids barge-in. How many words, with which confidence, and how many milliseconds it takes: [`Utterance`]. The
//! agent itself may cut its prompt too ([`Call::on_interrupted`]).
//!
//! Words that do not interrupt, whatever the rule: `prompt_guard`.
//!
//! [`Utterance`]: super::utterance::Utterance

use serde_json::json;

use crate::audio::{BYTES_PER_MS, Position};
use crate::call::Call;
use crate::config::BargeInMode;
use crate::ids::TurnId;
use crate::report::{BargeInBy, Report};

/// The shortest voice that counts as barge-in, in milliseconds.
const MIN_VOICE_MS: u64 = 180;

impl Call {
    /// Cuts the prompt if `by` counts as barge-in.
    pub(super) fn check_barge_in(&mut self, by: BargeInBy, turn: Option<TurnId>) {
        let is_active = self.lifecycle.is_active();
        if is_active && self.playback.is_playing() && self.playback.is_interruptible() && self.interrupts(by) {
            self.cut(by, turn);
        }
    }

    fn interrupts(&self, by: BargeInBy) -> bool {
        let rule = &self.config.barge_in;
        let Some(playout_began) = self.playback.began_position() else { return false };
        // Before its first word, the agent says nothing that could be interrupted.
        let speech_began = self.playback.speech_began();
        match (by, rule.mode) {
            (BargeInBy::Dtmf | BargeInBy::Agent, _) => true,
            // The agent itself says when its prompt is interrupted.
            (BargeInBy::Speech, _) if self.streams.hears_barge_in(playout_began) => false,
            (BargeInBy::Speech, BargeInMode::Speech | BargeInMode::Voice) => {
                let Some((heard, speech_began)) = self.streams.heard().zip(speech_began) else { return false };
                self.guard.may_interrupt(rule.min_words)
                    && heard.utterance.interrupts(speech_began, self.caller.audio_of(heard, self.now), rule)
            }
            (BargeInBy::Voice, BargeInMode::Voice) => {
                let min_ms = rule.min_ms.max(MIN_VOICE_MS);
                self.caller.voice.speaking_since().zip(speech_began).is_some_and(|(onset, speech_began)| {
                    let is_long = (self.caller.audio.received() - onset) / BYTES_PER_MS as u64 >= min_ms;
                    onset >= speech_began
                        && is_long
                        && self.guard.is_louder_than_echo(&self.caller, speech_began, min_ms)
                })
            }
            (BargeInBy::Speech | BargeInBy::Voice, _) => false,
        }
    }

    /// The agent wants its prompt stopped. The caller cannot stop a prompt without barge-in; a newer answer can.
    pub(super) fn on_interrupted(&mut self, turn: TurnId, by_caller: bool) {
        if !self.streams.stops_prompts() {
            return;
        }
        let may_cut = self.playback.is_interruptible() && self.config.barge_in.mode != BargeInMode::Off;
        if by_caller
            && may_cut
            && self.playback.is_playing()
            && self.guard.holds_interruption(turn, &self.playback, &self.caller)
        {
            return;
        }
        self.streams.note_interrupted(self.answer_due());
        if by_caller && !may_cut {
            return;
        }
        // Nothing interrupts the agent's last words.
        if !self.lifecycle.is_active() {
            return;
        }
        // What the agent has written and not spoken is interrupted too.
        self.streams.take_unspoken();
        if self.playback.is_playing() {
            self.cut(BargeInBy::Agent, Some(turn));
        }
    }

    fn cut(&mut self, by: BargeInBy, turn: Option<TurnId>) {
        self.guard.echo.cut(self.caller.audio.received(), self.playback.waiting_bytes() as Position);
        let cut = self.playback.clear();
        self.streams.cut_answer();
        self.poll_playback();
        self.silence.agent_heard(self.now);
        self.outputs.report(Report::BargeIn { turn, by, played_ms: cut.played_ms, cut_ms: cut.cut_ms });
        self.outputs.stages(self.stage_recorder.take_awaiting());
        if let Some(name) = &self.config.barge_in.heard_parameter {
            self.inputs.set_parameter(name, &json!({ "heardMs": cut.played_ms, "cutMs": cut.cut_ms }));
        }
    }
}
