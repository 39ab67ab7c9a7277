//! What a call does when a stream to the agent fails. After a backoff it opens another stream in the same session and
//! sends again the audio that was not answered. When the budget is spent, the call gets the fallback.

use crate::agent::{AgentCommand, AgentFault, TurnInput};
use crate::audio::BYTES_PER_MS;
use crate::call::turn::{Answered, TurnState};
use crate::call::{Call, Ending, Output, Timer};
use crate::ending::CallLimit;
use crate::report::Report;
use crate::time::CallTime;

/// The longest backoff, in milliseconds.
const MAX_BACKOFF_MS: u64 = 2_000;

/// The gRPC code of an input that the agent refuses.
const REFUSED: &str = "INVALID_ARGUMENT";

/// A series of failures without a success in between.
#[derive(Debug)]
pub(super) struct FailureStreak {
    since: Option<CallTime>,
    attempts: u32,
    /// In the whole call, with its earlier media streams.
    failed_turns: u32,
    random: u64,
}

impl FailureStreak {
    pub(super) fn new(seed: u64, failed_turns: u32) -> Self {
        Self { since: None, attempts: 0, failed_turns, random: seed }
    }

    pub(super) fn failed_turns(&self) -> u32 {
        self.failed_turns
    }

    /// Ends the series: the agent has answered, or a stream lasted long enough. A transcript alone is not a success,
    /// because an agent may understand every time and never answer.
    pub(super) fn reset(&mut self) {
        self.since = None;
        self.attempts = 0;
    }

    /// The next backoff, in milliseconds. `None` when the budget is spent.
    pub(super) fn next_backoff(&mut self, now: CallTime, first_backoff_ms: u64, budget_ms: u64) -> Option<u64> {
        let since = *self.since.get_or_insert(now);
        // At least one millisecond, because the budget is spent only if time passes.
        let doubled = first_backoff_ms.saturating_mul(1 << self.attempts.min(16)).clamp(1, MAX_BACKOFF_MS);
        let pause = doubled - self.chance() % (doubled / 2 + 1);
        self.attempts += 1;
        (now.ms_since(since) + pause <= budget_ms).then_some(pause)
    }

    /// The next pseudo-random number. It depends only on the seed (splitmix64).
    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Call {
    pub(super) fn on_turn_failed(&mut self, fault: AgentFault) {
        self.turn_failed(fault, false);
    }

    /// `is_cancelled`: whether the stream has already had its last command.
    fn turn_failed(&mut self, fault: AgentFault, is_cancelled: bool) {
        let is_responding = matches!(self.turn, TurnState::Responding(_));
        self.restore_unconfirmed_parameters();
        let Some(turn) = self.turn.open() else { return };
        let (id, input, opened_at) = (turn.number, turn.input.clone(), turn.opened_at);
        let has_others_results = turn.has_others_results;
        let was_well = matches!(self.turn, TurnState::Listening(_)) && !is_cancelled;
        self.failures.failed_turns = self.failures.failed_turns.saturating_add(1);
        if was_well && self.now.ms_since(opened_at) >= self.config.retry.budget_ms {
            // There was nothing to answer yet, but the stream worked.
            self.failures.reset();
        }
        if turn.answered == Answered::Yes {
            // We do not ask again for an answer that has begun; its missing rest is lost. What the caller said during
            // it is sent again.
            let again = if self.has_session_stream() { self.resend_speech() } else { 0 };
            self.requeue_inputs();
            let again_ms = again / BYTES_PER_MS as u64;
            self.report(Report::TurnFailed { turn: id, fault, retry_in_ms: None, again_ms });
            if is_cancelled {
                self.close_turn(None)
            } else {
                self.complete_turn()
            }
            self.pace_streams(opened_at);
            return;
        }
        self.stage_recorder.discard_open();
        let may_repeat = !is_responding || self.config.retry.answering_turn || !matches!(input, TurnInput::Audio);
        if may_repeat {
            self.requeue_inputs();
        }
        self.clear_turn();
        // Google does not document whether an agent refuses an event that it does not know (CES).
        let refuses_event = !fault.transient && fault.code == REFUSED && self.is_starting_event(&input);
        // Nor does it document whether an agent takes results of tools that an earlier stream asked for. We do not send
        // those again.
        let refuses_results = !fault.transient && has_others_results;
        let retry = &self.config.retry;
        let pause = if fault.transient || refuses_event || refuses_results {
            self.failures.next_backoff(self.now, retry.first_backoff_ms, retry.budget_ms)
        } else {
            None
        };
        let input = if refuses_event { TurnInput::Audio } else { input };
        let again = if may_repeat { self.retry_input(input) } else { 0 };
        self.caller.forget_written();
        self.report(Report::TurnFailed { turn: id, fault, retry_in_ms: pause, again_ms: again / BYTES_PER_MS as u64 });
        if refuses_event {
            self.starting_event_unanswered(id);
        }
        match pause {
            Some(pause) => {
                self.timers.set(Timer::Retry, self.now + pause);
                self.play_retry_filler();
            }
            None => self.end(Ending::AgentFailed),
        }
        let max_turns = self.config.limits.failed_turns;
        if max_turns > 0 && self.failures.failed_turns > max_turns {
            self.on_limit_reached(CallLimit::FailedTurns);
        }
    }

    /// Queues the failed turn's input for the next one. Returns how many bytes of audio it has.
    fn retry_input(&mut self, input: TurnInput) -> u64 {
        if !matches!(input, TurnInput::Audio) {
            self.queued_inputs.push_front(input);
            if !self.has_session_stream() {
                return 0;
            }
        }
        self.resend_audio()
    }

    /// Sends the stream's audio, as far as it is kept, again to the next one. Returns how many bytes.
    pub(super) fn resend_audio(&mut self) -> u64 {
        let again = self.caller.rewind();
        self.account.written -= again;
        self.account.resent += again;
        again
    }

    pub(super) fn on_answer_timeout(&mut self) {
        if self.force_replacement() || self.stop_awaiting_starting_event() {
            return;
        }
        self.give_up_stream("no answer came in time");
    }

    /// Gives up an open stream that is of no use.
    pub(super) fn give_up_stream(&mut self, why: &str) {
        let Some(turn) = self.turn.open() else { return };
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        let fault = AgentFault { code: "DEADLINE_EXCEEDED".to_owned(), message: why.to_owned(), transient: true };
        self.turn_failed(fault, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_grow_to_a_limit_and_end_with_the_budget() {
        let mut failures = FailureStreak::new(7, 0);
        let mut now = CallTime::START;
        let mut pauses = Vec::new();
        while let Some(pause) = failures.next_backoff(now, 100, 15_000) {
            pauses.push(pause);
            now = now + pause;
        }
        assert!((50..=100).contains(&pauses[0]) && (100..=200).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= MAX_BACKOFF_MS));
        assert!((13_000..=15_000).contains(&now.as_ms()), "{now}");
    }

    #[test]
    fn a_success_gives_the_whole_budget_back() {
        let mut failures = FailureStreak::new(7, 0);
        assert!(failures.next_backoff(CallTime::START, 100, 1_000).is_some());
        assert!(failures.next_backoff(CallTime::from_ms(5_000), 100, 1_000).is_none());
        failures.reset();
        assert!(failures.next_backoff(CallTime::from_ms(5_000), 100, 1_000).is_some());
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_one_others() {
        let pauses = |seed| {
            let mut failures = FailureStreak::new(seed, 0);
            [(); 6].map(|()| failures.next_backoff(CallTime::START, 1_000, 60_000))
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
