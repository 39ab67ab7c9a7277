//! What a call does when a stream to the agent fails. After a backoff it opens another stream in the same session and
//! sends again the audio that was not answered. When the budget is spent, the call gets its backup, or else the
//! fallback.

use crate::agent::{AgentCommand, AgentFault, TurnInput};
use crate::audio::BYTES_PER_MS;
use crate::call::inputs::AgentInputs;
use crate::call::streams::{Broken, NoInputTurn};
use crate::call::{Call, Timer};
use crate::ending::CallLimit;
use crate::ids::TurnId;
use crate::report::Report;
use crate::time::CallTime;

/// The longest backoff, in milliseconds.
const MAX_BACKOFF_MS: u64 = 2_000;

/// The shortest time after which a stream that did not fail has worked, in milliseconds: longer than any connection
/// takes.
const MIN_WORKED_MS: u64 = 15_000;

/// The gRPC code of an input that the agent refuses.
const REFUSED: &str = "INVALID_ARGUMENT";

/// The gRPC code of a server that cannot be reached.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// The gRPC code of something that the agent does not have.
const UNKNOWN: &str = "NOT_FOUND";

/// A series of failures without a success in between.
#[derive(Debug)]
pub(super) struct FailureStreak {
    since: Option<CallTime>,
    attempts: u32,
    /// Whether its last stream had got something that it did not answer.
    is_unanswered: bool,
    /// In the whole call, with its earlier media streams.
    failed_turns: u32,
    random: u64,
}

impl FailureStreak {
    pub(super) fn new(seed: u64, failed_turns: u32) -> Self {
        Self { since: None, attempts: 0, is_unanswered: false, failed_turns, random: seed }
    }

    pub(super) fn failed_turns(&self) -> u32 {
        self.failed_turns
    }

    /// Whether more turns failed than the settings allow. 0: any number.
    fn are_more_than(&self, max_turns: u32) -> bool {
        max_turns > 0 && self.failed_turns > max_turns
    }

    /// Ends the series: the agent has answered, or a stream lasted long enough. A transcript alone is not a success,
    /// because an agent may understand every time and never answer.
    pub(super) fn reset(&mut self) {
        self.since = None;
        self.attempts = 0;
        self.is_unanswered = false;
    }

    /// A stream is over that nobody ended before its time. If it lasted, it has worked, unless it has not answered
    /// something, and the one before it neither.
    pub(super) fn note_over(&mut self, broken: &Broken, now: CallTime, budget_ms: u64) {
        let has_lasted = now.ms_since(broken.opened_at) >= budget_ms.max(MIN_WORKED_MS);
        if has_lasted && !(self.is_unanswered && broken.is_unanswered) {
            self.reset();
        }
        self.is_unanswered = broken.is_unanswered;
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

/// What a failed stream may have refused. The next one does without it. Google documents none of this.
#[derive(Debug)]
struct Refused {
    /// The starting event, which the agent may not know (CES).
    event: bool,
    /// Results of tools that an earlier stream has asked for (CES).
    results: bool,
    /// The page at which the session should go on.
    page: bool,
    /// What the stream told the agent of the conversation so far (CES).
    past_turns: bool,
}

impl Refused {
    /// Takes the page out if it is refused.
    fn of(fault: &AgentFault, broken: &Broken, inputs: &mut AgentInputs, past_turns: bool) -> Self {
        let (is_refused, is_unknown) = (fault.code == REFUSED, fault.code == UNKNOWN);
        Self {
            event: !fault.transient && is_refused && !past_turns && inputs.is_starting_event(&broken.input),
            results: !fault.transient && broken.has_foreign_results,
            page: !fault.transient && (is_refused || is_unknown) && inputs.page.take().is_some(),
            past_turns,
        }
    }

    fn is_anything(&self) -> bool {
        self.event || self.results || self.page || self.past_turns
    }
}

impl Call {
    /// Gives up an open stream that is of no use.
    pub(super) fn give_up_stream(&mut self, why: &str) {
        let Some(open) = self.streams.open() else { return };
        self.outputs.agent(open.stream, AgentCommand::Cancel);
        let fault = AgentFault { code: "DEADLINE_EXCEEDED".to_owned(), message: why.to_owned(), transient: true };
        self.stream_failed(fault, None);
    }

    /// A stream has failed. `last`: its last command, if it has not had one.
    pub(super) fn stream_failed(&mut self, fault: AgentFault, last: Option<AgentCommand>) {
        let Some(mut broken) = self.streams.salvage() else { return };
        self.inputs.restore_parameters(std::mem::take(&mut broken.parameters));
        if broken.is_silent && !broken.is_answered && !fault.transient {
            return self.silence_refused(broken.turn, fault);
        }
        self.failures.failed_turns = self.failures.failed_turns.saturating_add(1);
        // The next stream counts the silence anew.
        broken.unanswered.retain(|input| !self.config.no_input.is_event(input));
        if broken.has_foreign_results && fault.code != UNAVAILABLE {
            // They may be what it failed of. A second stream gets them, no third one, and the caller waits in vain.
            broken.unanswered.retain(|input| !matches!(input, TurnInput::ToolResults(_)));
            self.outputs.report(Report::ToolResultsDropped { turn: broken.turn });
            self.play_missing_answer_filler("unanswered");
        }
        // What came last may be refused first: results of tools that an earlier stream has asked for.
        let may_refuse = !fault.transient && fault.code == REFUSED && !broken.has_foreign_results;
        let refuses_past_turns = self.streams.may_lose_session() && self.past_turns.note_failure(may_refuse);
        if broken.was_listening && last.is_some() {
            self.failures.note_over(&broken, self.now, self.config.retry.budget_ms);
        }
        if broken.is_answered {
            self.answer_broke_off(broken, fault, last);
        } else {
            self.retry(broken, fault, refuses_past_turns);
        }
    }

    /// The agent does not take a stream in which nobody spoke, and refuses it as wrong. That is no failure: the caller
    /// has said nothing. If a word was understood after all, the next stream gets it.
    fn silence_refused(&mut self, turn: TurnId, fault: AgentFault) {
        let has_words = self.streams.heard().is_some_and(|heard| !heard.utterance.is_empty());
        let again = if has_words && self.on_unanswered(turn) { self.caller.audio.rewind() } else { 0 };
        if again > 0 {
            self.inputs.hear_words_first(&*self.streams);
        }
        let again_ms = again / BYTES_PER_MS as u64;
        self.outputs.report(Report::TurnFailed { turn, fault, retry_in_ms: Some(0), again_ms });
        self.stage_recorder.discard_open();
        self.streams.cancel();
        self.timers.stop(Timer::Thinking);
        self.caller.audio.forget_written();
        if !has_words {
            self.count_no_input_turn(NoInputTurn { is_answered: false });
        }
    }

    /// We do not ask again for an answer that has begun; its missing rest is lost. What the caller said during it is
    /// sent again.
    fn answer_broke_off(&mut self, mut broken: Broken, fault: AgentFault, last: Option<AgentCommand>) {
        let again_ms = self.caller.resend_speech(self.streams.has_unanswered_speech()) / BYTES_PER_MS as u64;
        self.inputs.requeue(&mut broken);
        self.outputs.report(Report::TurnFailed { turn: broken.turn, fault, retry_in_ms: None, again_ms });
        self.close_turn(last);
        self.pace_streams(broken.opened_at);
    }

    /// `refuses_past_turns`: the next stream does without what this one brought of the conversation.
    fn retry(&mut self, broken: Broken, fault: AgentFault, refuses_past_turns: bool) {
        self.stage_recorder.discard_open();
        let turn = broken.turn;
        let refused = Refused::of(&fault, &broken, &mut self.inputs, refuses_past_turns);
        let again = self.requeue_turn(broken, &refused);
        let retry = &self.config.retry;
        let is_worth_it = fault.transient || refused.is_anything();
        let pause = is_worth_it
            .then(|| self.failures.next_backoff(self.now, retry.first_backoff_ms, retry.budget_ms))
            .flatten();
        let again_ms = again / BYTES_PER_MS as u64;
        self.outputs.report(Report::TurnFailed { turn, fault, retry_in_ms: pause, again_ms });
        if refused.event {
            self.starting_event_unanswered(turn);
        }
        let max_turns = self.config.limits.failed_turns;
        match pause.filter(|_| self.standby.is_none() || !self.failures.are_more_than(max_turns)) {
            Some(pause) => {
                self.timers.set(Timer::Retry, self.now + pause);
                self.play_retry_filler();
            }
            None => self.on_agent_lost(),
        }
        // A backup that has just taken over has had no failed turns.
        if self.failures.are_more_than(self.config.limits.failed_turns) {
            self.on_limit_reached(CallLimit::FailedTurns);
        }
    }

    /// Cancels the failed stream and queues its turn for the next one, without what was refused. Returns how many bytes
    /// of audio the turn has.
    fn requeue_turn(&mut self, mut broken: Broken, refused: &Refused) -> u64 {
        let is_audio = matches!(broken.input, TurnInput::Audio);
        let has_spoken = |heard| self.guard.spoke_before(&self.caller, heard, self.digits.began());
        let is_spoken = is_audio && self.streams.heard().is_some_and(has_spoken);
        self.streams.cancel();
        self.timers.stop(Timer::Thinking);
        let mut again = 0;
        if broken.was_listening || self.config.retry.answering_turn || !is_audio {
            self.inputs.requeue(&mut broken);
            let input = if refused.event { TurnInput::Audio } else { broken.input };
            again = if self.streams.listens_after(&input) { self.caller.audio.rewind() } else { 0 };
            if input != TurnInput::Audio {
                self.inputs.add_first(input);
            }
            if is_spoken && again > 0 {
                self.inputs.hear_words_first(&*self.streams);
            }
        }
        self.caller.audio.forget_written();
        again
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
