//! A stream that another one carries on, because the server will cut it or it is near the most audio that it takes.
//! What the old stream has not answered goes to the new one.

use crate::agent::{AgentCommand, TurnInput};
use crate::call::streams::Broken;
use crate::call::{Call, Timer};
use crate::time::CallTime;

/// A stream that must be replaced sooner than this, in milliseconds, has failed if it has said nothing.
const SHORT_STREAM_MS: u64 = 1_000;

impl Call {
    /// The server will cut the stream. We first wait for the rest of an answer.
    pub(super) fn on_go_away(&mut self) {
        let stream = self.streams.go_away(self.now);
        if let Some(stream) = stream {
            self.outputs.agent(stream, AgentCommand::HalfClose);
        }
    }

    /// Half-closes the stream. Another one takes over when it has ended.
    pub(super) fn replace_stream(&mut self) {
        let stream = self.streams.replace(self.now);
        if let Some(stream) = stream {
            self.outputs.agent(stream, AgentCommand::HalfClose);
        }
    }

    /// A stream to be replaced has ended, and another one takes over.
    pub(super) fn on_replaced(&mut self) {
        let broken = self.requeue_unanswered();
        self.close_turn(Some(AgentCommand::Done));
        self.carry_on(broken, 0);
    }

    /// The next stream takes over from one that was waited for. If that had to be replaced at once, or with something
    /// unanswered, the agent has failed.
    pub(super) fn carry_on(&mut self, broken: Option<Broken>, waited_ms: u64) {
        let Some(broken) = broken else { return };
        let retry = &self.config.retry;
        self.failures.note_over(&broken, self.now, retry.budget_ms);
        let is_short = !broken.is_answered && self.now.ms_since(broken.opened_at) < SHORT_STREAM_MS + waited_ms;
        if !(is_short || broken.is_unanswered) || !self.lifecycle.is_active() {
            self.pace_streams(broken.opened_at);
            return;
        }
        match self.failures.next_backoff(self.now, retry.first_backoff_ms, retry.budget_ms) {
            Some(pause) if is_short && pause > waited_ms => self.timers.set(Timer::Retry, self.now + pause),
            Some(_) => {}
            None => self.on_agent_lost(),
        }
    }

    /// Delays the next stream if the last one, opened at `opened_at`, ended at once.
    pub(super) fn pace_streams(&mut self, opened_at: CallTime) {
        let min_ms = self.streams.min_stream_ms();
        if self.lifecycle.is_active() && self.now.ms_since(opened_at) < min_ms {
            self.timers.set(Timer::Retry, opened_at + min_ms);
        }
    }

    /// Queues what the old stream has not answered, for the next stream. Returns what the old one was.
    pub(super) fn requeue_unanswered(&mut self) -> Option<Broken> {
        self.caller.resend_speech(self.streams.has_unanswered_speech());
        let mut broken = self.streams.salvage()?;
        self.inputs.restore_parameters(std::mem::take(&mut broken.parameters));
        self.inputs.requeue(&mut broken);
        if !broken.is_answered && !matches!(broken.input, TurnInput::Audio) {
            self.inputs.add_first(broken.input.clone());
        }
        Some(broken)
    }

    /// The agent has finished its answer. Its stream stays open.
    pub(super) fn turn_over(&mut self) {
        self.speak_unspoken();
        self.finish_playing();
        let stages = self.stage_recorder.completed(|turn| self.playback.waits_for(turn));
        self.outputs.stages(stages);
        let next = self.next_turn.take();
        let Some(over) = self.streams.turn_over(next) else { return };
        if !self.streams.awaits_answer() && !self.tools.are_running() {
            self.timers.stop(Timer::Thinking);
        }
        self.guard.echo.complete(over.turn);
        self.caller.turn_over();
        self.stage_recorder.opened(next, TurnInput::Audio.kind(), self.now);
        self.report_answer(over.report);
        match over.unanswered_words {
            Some(words) => self.on_unanswered_words(over.turn, words),
            None => self.on_unanswered_input(over.turn, over.unanswered),
        }
        if over.must_replace {
            self.replace_stream();
        }
    }
}
