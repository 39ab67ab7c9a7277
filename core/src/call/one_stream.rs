//! Agents with one stream for the whole call (CES): what is different from a stream for each turn.
//!
//! Audio goes on while the agent answers, and what else the agent gets goes in between. The agent says when a turn is over
//! and when its voice is to stop. A stream that will be cut, or is too old, is half-closed, and another one carries on in
//! the same session: what the caller says meanwhile waits for it.

use crate::agent::{AgentCommand, TurnInput};
use crate::call::turn::{Answered, OpenTurn, Repeated, Said, Turn};
use crate::call::utterance::Utterance;
use crate::call::{Call, Lifecycle, Output, Timer};
use crate::config::StreamShape;
use crate::report::{InterruptedBy, Report};

/// How long a stream that was half-closed may still take to end, in milliseconds.
const LAST_WORDS_MS: u64 = 2_000;

impl Call {
    /// Whether the agent has one stream for the whole call.
    pub(super) fn is_one_stream(&self) -> bool {
        self.config.shape == StreamShape::PerCall
    }

    /// What waits for the agent goes into its open stream.
    pub(super) fn send_what_waits(&mut self) {
        let Turn::Listening(turn) = &self.turn else { return };
        if !self.is_one_stream() || !matches!(self.lifecycle, Lifecycle::Active) {
            return;
        }
        let id = turn.id;
        if !self.parameters.is_empty() {
            let parameters = std::mem::take(&mut self.parameters);
            self.outputs.push_back(Output::Agent(id, AgentCommand::Parameters(parameters)));
        }
        while let Some(input) = self.first.pop_front() {
            self.sight.input_complete(self.now);
            self.await_answer();
            self.outputs.push_back(Output::Agent(id, AgentCommand::Send(input)));
        }
    }

    /// Something was said or sent that the agent should answer.
    pub(super) fn await_answer(&mut self) {
        if let Some(turn) = self.turn.open_mut() {
            turn.finished_at = self.now;
        }
        self.timers.set(Timer::AnswerOverdue, self.now + self.config.patience.answer_ms);
    }

    /// The agent wants its own voice stopped.
    pub(super) fn on_interrupted(&mut self) {
        if self.playback.is_playing() && matches!(self.lifecycle, Lifecycle::Active) {
            let turn = self.turn.open().map(|turn| turn.number);
            self.cut(InterruptedBy::Agent, turn);
        }
    }

    /// The stream will be cut, or is too old: it is half-closed, and another one takes over when it has ended.
    pub(super) fn restart_stream(&mut self) {
        let Some(mut turn) = self.turn.take_listening() else { return };
        turn.is_restarting = true;
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::FinishInput));
        self.timers.set(Timer::AnswerOverdue, self.now + LAST_WORDS_MS);
        self.turn = Turn::Responding(turn);
    }

    /// A stream that was half-closed does not end: another one takes over all the same. Whether that was the case.
    pub(super) fn leave_restarting_stream(&mut self) -> bool {
        let is_restarting = self.turn.open().is_some_and(|turn| turn.is_restarting);
        if is_restarting {
            self.cancel_turn();
        }
        is_restarting
    }

    /// The agent has said all that it has to say for now; its stream stays open.
    pub(super) fn turn_over(&mut self) {
        self.timers.stop(Timer::AnswerSettled);
        self.finish_playing();
        let stages = self.sight.completed(|turn| self.playback.waits_for(turn));
        self.tell_stages(stages);
        let number = self.next_number();
        let now = self.now;
        let Some(turn) = self.turn.open_mut() else { return };
        let told = turn.told();
        turn.begin_anew(number);
        self.sight.opened(number, turn.input.kind(), now);
        if let Some(told) = told {
            self.report(told);
        }
    }

    /// A stream of many turns is over: what the agent has said in the last one is told.
    pub(super) fn tell_what_was_said(&mut self, turn: &OpenTurn) {
        if let Some(told) = turn.told().filter(|_| self.is_one_stream()) {
            self.report(told);
        }
    }
}

impl OpenTurn {
    /// The answer as it is told, where there was one.
    fn told(&self) -> Option<Report> {
        (self.answered == Answered::Yes).then(|| Report::Answered {
            turn: self.number,
            query_text: self.utterance.text().to_owned(),
            text: self.said.text.clone(),
            intent: self.said.intent.clone(),
            parameters: self.said.parameters.clone(),
            audio_ms: self.said.audio_ms,
            thought_ms: self.thought_ms,
        })
    }

    /// Another turn begins in the same stream.
    fn begin_anew(&mut self, number: crate::ids::TurnId) {
        self.number = number;
        self.input = TurnInput::Audio;
        self.utterance = Utterance::default();
        self.answered = Answered::No;
        self.has_audio = false;
        self.is_silent = false;
        self.partial = Repeated::default();
        self.is_protected = false;
        self.said = Said::default();
    }
}
