//! Agents with one stream for the whole call (CES): how they differ from agents with one stream for each turn.
//!
//! Audio goes on while the agent answers, and other input goes in between. The agent says when a turn is over and when
//! its prompt must stop. We half-close a stream that will be cut or is too old, and another stream carries on in the
//! same session. What the caller says meanwhile waits for it.

use crate::agent::{AgentCommand, Intent, TurnInput};
use crate::call::turn::{AnswerSoFar, Answered, OpenTurn, Repeated, TurnState};
use crate::call::utterance::Utterance;
use crate::call::{Call, Ending, Lifecycle, Output, Timer};
use crate::config::{BargeInMode, StreamShape};
use crate::ids::TurnId;
use crate::report::{BargeInBy, Report};
use crate::time::CallTime;

/// How long a half-closed stream may take to end, in milliseconds.
const LAST_WORDS_MS: u64 = 2_000;

/// How long we wait for an answer to the starting event, in milliseconds. After that, we assume that the agent does not
/// know the event.
const UNKNOWN_EVENT_MS: u64 = 8_000;

/// A stream that must be replaced sooner than this and has not answered has failed, in milliseconds.
const SHORT_STREAM_MS: u64 = 1_000;

/// The shortest time between two streams, in milliseconds, if a server ends them at once.
const MIN_STREAM_MS: u64 = 250;

/// How many unanswered digits and texts we keep for the next stream.
const MAX_UNANSWERED_INPUTS: usize = 32;

impl Call {
    /// Whether the agent has one stream for the whole call.
    pub(super) fn has_session_stream(&self) -> bool {
        self.config.shape == StreamShape::PerSession
    }

    /// Sends the queued inputs into the open stream.
    pub(super) fn send_queued_inputs(&mut self) {
        let TurnState::Listening(turn) = &self.turn else { return };
        if !self.has_session_stream() || !matches!(self.lifecycle, Lifecycle::Active) {
            return;
        }
        let id = turn.id;
        if !self.parameters.is_empty() {
            let parameters = std::mem::take(&mut self.parameters);
            if let Some(turn) = self.turn.open_mut() {
                turn.unconfirmed_parameters.extend(parameters.clone());
            }
            self.outputs.push_back(Output::Agent(id, AgentCommand::Parameters(parameters)));
        }
        while let Some(input) = self.queued_inputs.pop_front() {
            self.stage_recorder.input_complete(self.now);
            // The agent decides how many digits it answers.
            if !matches!(input, TurnInput::Digits(..)) {
                self.await_answer();
            }
            if let Some(turn) = self.turn.open_mut() {
                turn.keep_unanswered(&input);
            }
            if matches!(input, TurnInput::ToolResults(_))
                && let Some(turn) = self.turn.open_mut()
            {
                turn.has_others_results |= !turn.has_asked_for_tools;
            }
            self.outputs.push_back(Output::Agent(id, AgentCommand::Send(input)));
        }
    }

    /// Queues what the open stream got besides audio and has not answered, so that the next stream sends it.
    pub(super) fn requeue_inputs(&mut self) {
        let Some(turn) = self.turn.open_mut() else { return };
        let mut sent = std::mem::take(&mut turn.unanswered_inputs);
        let (input, is_unanswered) = (turn.input.clone(), turn.answered == Answered::No);
        // The starting event is sent again. The starting text follows only if the agent does not answer it.
        if is_unanswered && self.is_starting_event(&input) {
            sent.retain(|input| !matches!(input, TurnInput::Text(_)));
        }
        for input in sent.into_iter().rev() {
            self.queued_inputs.push_front(input);
        }
    }

    /// A stream may begin with the starting event. An agent that does not know the event may refuse it or stay silent.
    pub(super) fn await_starting_event(&mut self, input: &TurnInput) {
        if self.has_session_stream() && self.is_starting_event(input) {
            self.timers.set(Timer::AnswerTimeout, self.now + UNKNOWN_EVENT_MS);
            self.start_filler_timer();
        }
    }

    /// Stops waiting for an answer to the starting event, if nobody has said anything. Returns whether it was still
    /// waiting.
    pub(super) fn stop_awaiting_starting_event(&mut self) -> bool {
        let is_vain = |turn: &&OpenTurn| turn.answered == Answered::No && turn.utterance.is_empty();
        let Some(turn) = self.turn.open().filter(is_vain) else { return false };
        let number = turn.number;
        if !self.has_session_stream() || !self.awaits_starting_event(turn) {
            return false;
        }
        // The input stays in the turn, because the next stream sends it again if this one fails for another reason.
        if let Some(turn) = self.turn.open_mut() {
            turn.is_starting_event_skipped = true;
        }
        self.starting_event_unanswered(number);
        true
    }

    /// We sent something that the agent should answer.
    pub(super) fn await_answer(&mut self) {
        if let Some(turn) = self.turn.open_mut() {
            turn.finished_at = self.now;
        }
        self.timers.set(Timer::AnswerTimeout, self.now + self.config.timeouts.answer_ms);
        self.start_filler_timer();
    }

    /// The agent wants its prompt stopped. The caller cannot stop a prompt without barge-in; a newer answer can.
    pub(super) fn on_interrupted(&mut self, by_caller: bool) {
        let may_cut = self.playback.is_interruptible() && self.config.barge_in.mode != BargeInMode::Off;
        if by_caller && !may_cut {
            return;
        }
        if self.playback.is_playing() && matches!(self.lifecycle, Lifecycle::Active) {
            let turn = self.turn.open().map(|turn| turn.number);
            self.cut(BargeInBy::Agent, turn);
        }
    }

    /// The server will cut the stream, so another one must take over. We first wait for the rest of the answer, because
    /// not every transport delivers it after a half-close.
    pub(super) fn on_go_away(&mut self) {
        match &mut self.turn {
            TurnState::Listening(turn) if turn.answered == Answered::Yes => {
                turn.is_restart_pending = true;
                self.await_last_words();
            }
            TurnState::Listening(_) => self.restart_stream(),
            TurnState::Responding(_) | TurnState::Idle => {}
        }
    }

    /// The rest of an answer must come soon if the stream will be cut.
    pub(super) fn await_last_words(&mut self) {
        if self.turn.open().is_some_and(|turn| turn.is_restart_pending) {
            self.timers.set(Timer::AnswerTimeout, self.now + LAST_WORDS_MS);
        }
    }

    /// Whether another stream takes over when this one ends, however it ends.
    pub(super) fn is_being_replaced(&self) -> bool {
        self.turn.open().is_some_and(|turn| turn.is_restarting || turn.is_restart_pending)
    }

    /// Half-closes a stream that will be cut or is too old. Another one takes over when it has ended.
    pub(super) fn restart_stream(&mut self) {
        let Some(mut turn) = self.turn.take_listening() else { return };
        turn.is_restarting = true;
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::HalfClose));
        self.timers.set(Timer::AnswerTimeout, self.now + LAST_WORDS_MS);
        self.turn = TurnState::Responding(turn);
    }

    /// A stream to be replaced has ended, and another one takes over. If it ended at once without an answer, the agent
    /// has failed.
    pub(super) fn on_replaced(&mut self) {
        let Some(turn) = self.turn.open() else { return };
        let (opened_at, is_answered) = (turn.opened_at, turn.answered == Answered::Yes);
        self.requeue_unanswered();
        self.complete_turn();
        let is_short = self.now.ms_since(opened_at) < SHORT_STREAM_MS;
        if is_answered || !is_short || !matches!(self.lifecycle, Lifecycle::Active) {
            self.pace_streams(opened_at);
            return;
        }
        let retry = &self.config.retry;
        match self.failures.next_backoff(self.now, retry.first_backoff_ms, retry.budget_ms) {
            Some(pause) => self.timers.set(Timer::Retry, self.now + pause),
            None => self.end(Ending::AgentFailed),
        }
    }

    /// Delays the next stream if the last one, opened at `opened_at`, ended at once.
    pub(super) fn pace_streams(&mut self, opened_at: CallTime) {
        let is_active = matches!(self.lifecycle, Lifecycle::Active);
        if is_active && self.has_session_stream() && self.now.ms_since(opened_at) < MIN_STREAM_MS {
            self.timers.set(Timer::Retry, opened_at + MIN_STREAM_MS);
        }
    }

    /// Queues what the old stream has not answered, for the next stream.
    fn requeue_unanswered(&mut self) {
        self.resend_speech();
        self.requeue_inputs();
        let unanswered = self.turn.open().filter(|turn| turn.answered == Answered::No).map(|turn| turn.input.clone());
        if let Some(kick_start @ (TurnInput::Event(_) | TurnInput::Text(_))) = unanswered {
            self.queued_inputs.push_front(kick_start);
        }
    }

    /// Queues the audio of what the caller said since the agent's last answer, so that the next stream gets it too.
    /// Returns its bytes.
    pub(super) fn resend_speech(&mut self) -> u64 {
        let Some(turn) = self.turn.open() else { return 0 };
        let is_voice =
            self.voice.onset_since(self.caller.kept_from()).is_some_and(|onset| onset < self.caller.written());
        let is_speech = turn.answered != Answered::Yes && !turn.utterance.is_empty();
        if is_voice || is_speech { self.resend_audio() } else { 0 }
    }

    /// Replaces a stream that has gone silent or does not end. Returns whether one was to be replaced.
    pub(super) fn force_replacement(&mut self) -> bool {
        if matches!(&self.turn, TurnState::Listening(turn) if turn.is_restart_pending) {
            self.restart_stream();
            return true;
        }
        let is_restarting = self.turn.open().is_some_and(|turn| turn.is_restarting);
        if is_restarting {
            self.requeue_unanswered();
            self.cancel_turn();
        }
        is_restarting
    }

    /// The agent has finished its answer. Its stream stays open.
    pub(super) fn turn_over(&mut self) {
        self.timers.stop(Timer::AnswerSettled);
        self.finish_playing();
        let stages = self.stage_recorder.completed(|turn| self.playback.waits_for(turn));
        self.report_stages(stages);
        let number = self.next_turn_number();
        let now = self.now;
        let Some(turn) = self.turn.open_mut() else { return };
        let answered = turn.answer_report();
        let unanswered = turn.number;
        let is_unanswered = turn.answered != Answered::Yes;
        let is_starting_event_unanswered =
            is_unanswered && self.turn.open().is_some_and(|turn| self.awaits_starting_event(turn));
        let Some(turn) = self.turn.open_mut() else { return };
        turn.begin_next_turn(number);
        self.stage_recorder.opened(number, turn.input.kind(), now);
        if let Some(answered) = answered {
            self.report(answered);
        }
        if is_starting_event_unanswered {
            self.starting_event_unanswered(unanswered);
        }
        if self.turn.open().is_some_and(|turn| turn.is_restart_pending) {
            self.restart_stream();
        }
    }

    /// Reports what the agent said in the last turn of its stream.
    pub(super) fn report_session_answer(&mut self, turn: &OpenTurn) {
        if let Some(answered) = turn.answer_report().filter(|_| self.has_session_stream()) {
            self.report(answered);
        }
    }
}

impl OpenTurn {
    /// Keeps input that the caller would have to repeat. Tool results belong only to the stream that asked for them.
    fn keep_unanswered(&mut self, input: &TurnInput) {
        if matches!(input, TurnInput::Digits(..) | TurnInput::Text(_))
            && self.unanswered_inputs.len() < MAX_UNANSWERED_INPUTS
        {
            self.unanswered_inputs.push(input.clone());
        }
    }

    /// The report of the answer, if there was one. The end of the conversation alone is not an answer.
    fn answer_report(&self) -> Option<Report> {
        let AnswerSoFar { text, intent, parameters, audio_ms } = &self.answer_so_far;
        let says = !text.is_empty() || *audio_ms > 0 || !parameters.is_empty() || *intent != Intent::default();
        (self.answered == Answered::Yes && says).then(|| Report::Answered {
            turn: self.number,
            query_text: self.utterance.text().to_owned(),
            text: self.answer_so_far.text.clone(),
            intent: self.answer_so_far.intent.clone(),
            parameters: self.answer_so_far.parameters.clone(),
            audio_ms: self.answer_so_far.audio_ms,
            thought_ms: self.thought_ms,
        })
    }

    /// Whether nothing happened in the turn. Such a turn began only because the one before was over.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.input, TurnInput::Audio) && self.utterance.is_empty() && self.answer_report().is_none()
    }

    /// Starts the next turn in the same stream.
    fn begin_next_turn(&mut self, number: TurnId) {
        self.number = number;
        self.input = TurnInput::Audio;
        self.is_starting_event_skipped = false;
        self.utterance = Utterance::default();
        self.answered = Answered::No;
        self.has_audio = false;
        self.is_no_input = false;
        self.partial = Repeated::default();
        self.is_protected = false;
        self.answer_so_far = AnswerSoFar::default();
    }
}
