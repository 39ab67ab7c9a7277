//! Silence: a caller who does not answer, and a call that would never end.

use crate::agent::TurnInput;
use crate::call::caller::UNDERSTOOD_MS;
use crate::call::streams::{Heard, NoInputTurn};
use crate::call::{Call, Timer};
use crate::ending::CallLimit;
use crate::report::{EndFoundBy, Report};
use crate::time::CallTime;

/// When the call was last active.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When the caller was last active, or the agent was last heard.
    since: CallTime,
    /// When we last told the agent of the silence.
    told: CallTime,
    /// No-input turns in a row.
    no_input_turns: u32,
}

impl Silence {
    /// The caller has said something, or pressed a key.
    pub(super) fn caller_active(&mut self, now: CallTime) {
        self.since = now;
        self.no_input_turns = 0;
    }

    /// The agent is heard, or was heard until now.
    pub(super) fn agent_heard(&mut self, now: CallTime) {
        self.since = now;
    }

    /// How long neither side was heard, in milliseconds.
    pub(super) fn ms(&self, now: CallTime) -> u64 {
        now.ms_since(self.since)
    }
}

impl Call {
    /// Sets the timers for silence.
    pub(super) fn set_silence_timers(&mut self) {
        let is_quiet = self.lifecycle.is_active() && !self.playback.is_speaking();
        let max_ms = self.config.limits.silence_ms;
        let too_long = (is_quiet && max_ms > 0).then(|| self.silence.since + max_ms);
        self.timers.put(Timer::SilenceTooLong, too_long);
        self.timers.put(Timer::NoInput, is_quiet.then(|| self.no_input_at()).flatten());
    }

    /// When the caller has said nothing for too long. A word of just now may have no transcript yet: it is waited for,
    /// but no longer than that, because a noise may sound like a voice.
    fn no_input_at(&self) -> Option<CallTime> {
        let (_, heard) = self.streams.listening()?;
        let at = self.silence.since.max(self.silence.told) + self.no_input_after(heard)?;
        let may_have_spoken = at <= self.now && self.guard.may_have_spoken(&self.caller, heard, self.now);
        Some(if may_have_spoken { at + UNDERSTOOD_MS } else { at })
    }

    /// How long silence may last before we tell the agent that is listening. `None` if it notices by itself or is at
    /// work.
    fn no_input_after(&self, heard: &Heard) -> Option<u64> {
        let rule = &self.config.no_input;
        let speaks = !heard.utterance.is_empty() || self.caller.voice.is_speaking() || !self.digits.is_empty();
        // The agent may still be working on this event or on what the caller said.
        let notices = self.streams.utterance().is_none() || self.end_rules.rule().agent_may_end();
        if speaks || self.streams.awaits_answer() || self.tools.are_running() || (rule.event.is_none() && notices) {
            return None;
        }
        let first_key_ms = self.config.dtmf.first_digit_ms;
        let expects_keys = self.digits.has_rules() && first_key_ms > 0;
        Some(match (expects_keys, notices) {
            (true, _) => first_key_ms,
            (false, true) => rule.after_ms,
            (false, false) => self.end_rules.no_speech_ms(rule.after_ms),
        })
    }

    /// The caller has said nothing for too long. An agent that does not handle no-input gets an event. One that handles
    /// it itself, and was told not to notice silence, may do so when the stream is half-closed.
    pub(super) fn on_no_input(&mut self) {
        if self.no_input_at().is_some_and(|at| at > self.now) {
            return;
        }
        if self.streams.takes_input().is_none() {
            if self.config.no_input.event.is_none() {
                self.silence.told = self.now;
                self.end_utterance(EndFoundBy::Silence);
                self.streams.note_no_input();
                return;
            }
            self.cancel_turn();
        }
        self.count_no_input(true);
        self.send_no_input_event();
    }

    fn send_no_input_event(&mut self) {
        self.silence.told = self.now;
        if let Some(event) = &self.config.no_input.event {
            self.inputs.add_first(TurnInput::Event(event.clone()));
        }
    }

    /// After a turn in which the agent noticed that the caller said nothing. An agent that did not answer it gets an
    /// event.
    pub(super) fn count_no_input_turn(&mut self, turn: NoInputTurn) {
        let by_event = !turn.is_answered && self.config.no_input.event.is_some();
        self.count_no_input(by_event);
        if by_event {
            self.send_no_input_event();
        }
    }

    fn count_no_input(&mut self, by_event: bool) {
        self.silence.no_input_turns += 1;
        let in_a_row = self.silence.no_input_turns;
        self.outputs.report(Report::NoInput { in_a_row, by_event });
        let max_turns = self.config.limits.no_input_turns;
        if max_turns > 0 && in_a_row > max_turns {
            self.on_limit_reached(CallLimit::NoInputTurns);
        }
    }
}
