//! Silence: a caller who does not answer, and a call that would never end.

use crate::agent::TurnInput;
use crate::call::turn::{OpenTurn, TurnState};
use crate::call::{Call, Ending, Lifecycle, Timer};
use crate::ending::CallLimit;
use crate::report::Report;
use crate::time::CallTime;

/// When the call was last active.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When the caller was last active, or the agent was last heard.
    since: CallTime,
    /// No-input turns in a row.
    no_input_turns: u32,
}

impl Call {
    /// The caller has said something, or pressed a key.
    pub(super) fn note_caller_activity(&mut self) {
        self.silence.since = self.now;
        self.silence.no_input_turns = 0;
    }

    /// The agent is heard, or was heard until now.
    pub(super) fn note_agent_audio(&mut self) {
        self.silence.since = self.now;
    }

    /// How long neither side was heard, in milliseconds.
    pub(super) fn silence_ms(&self) -> u64 {
        self.now.ms_since(self.silence.since)
    }

    /// Sets the timers for silence.
    pub(super) fn set_silence_timers(&mut self) {
        let is_active = matches!(self.lifecycle, Lifecycle::Active);
        let is_quiet = is_active && !self.playback.is_playing();
        let max_ms = self.config.limits.silence_ms;
        let too_long = (is_quiet && max_ms > 0).then(|| self.silence.since + max_ms);
        self.timers.put(Timer::SilenceTooLong, too_long);
        let no_input = self.no_input_after().filter(|_| is_quiet).map(|ms| self.silence.since + ms);
        self.timers.put(Timer::NoInput, no_input);
    }

    /// How long silence may last before we tell the agent. `None` if the agent notices by itself or is not listening.
    fn no_input_after(&self) -> Option<u64> {
        let TurnState::Listening(turn) = &self.turn else { return None };
        let rule = &self.config.no_input;
        let speaks = !turn.utterance.is_empty() || self.voice.is_speaking() || !self.digits.is_empty();
        // With one stream for the whole call, the agent may still be working on this event or on what the caller said.
        let is_thinking = self.timers.is_set(Timer::AnswerTimeout);
        if speaks || is_thinking || rule.event.is_none() {
            return None;
        }
        let first_key_ms = self.config.dtmf.first_digit_ms;
        let expects_keys = self.dtmf_rules.is_some() && first_key_ms > 0;
        Some(if expects_keys { first_key_ms } else { rule.after_ms })
    }

    /// The caller has said nothing for too long. An agent that does not handle no-input gets an event.
    pub(super) fn on_no_input(&mut self) {
        if !self.has_session_stream() {
            self.cancel_turn();
        }
        self.count_no_input(true);
        self.send_no_input_event();
    }

    fn send_no_input_event(&mut self) {
        self.silence.since = self.now;
        if let Some(event) = &self.config.no_input.event {
            self.queued_inputs.push_front(TurnInput::Event(event.clone()));
        }
    }

    /// After an answer to an audio turn: counts the turn as no-input if the caller said nothing. An agent that did not
    /// answer it gets an event.
    pub(super) fn count_no_input_turn(&mut self, turn: &OpenTurn, is_answered: bool) {
        if !matches!(turn.input, TurnInput::Audio) {
            return;
        }
        if !turn.utterance.is_empty() {
            self.silence.no_input_turns = 0;
            return;
        }
        let by_event = !is_answered && self.config.no_input.event.is_some();
        self.count_no_input(by_event);
        if by_event {
            self.send_no_input_event();
        }
    }

    fn count_no_input(&mut self, by_event: bool) {
        self.silence.no_input_turns += 1;
        let in_a_row = self.silence.no_input_turns;
        self.report(Report::NoInput { in_a_row, by_event });
        let max_turns = self.config.limits.no_input_turns;
        if max_turns > 0 && in_a_row > max_turns {
            self.on_limit_reached(CallLimit::NoInputTurns);
        }
    }

    /// A limit of the settings ends the call. The prompt plays to its end, and the agent gets nothing more.
    pub(super) fn on_limit_reached(&mut self, limit: CallLimit) {
        if !matches!(self.lifecycle, Lifecycle::Active) {
            return;
        }
        self.report(Report::LimitReached(limit));
        if !self.turn.is_idle() {
            self.cancel_turn();
        }
        self.end(Ending::Limit(limit));
    }
}
