//! What the agent's events do to a call, and how a turn opens and ends. `answer` handles its answers.

use crate::agent::{AgentCommand, AgentEvent, AgentFault, BargeInWindow, Transcript, TurnInput, TurnStart};
use crate::audio::BYTES_PER_MS;
use crate::call::turn::{AnswerSoFar, Answered, OpenTurn, Repeated, TurnState};
use crate::call::utterance::{TurnAudio, Utterance};
use crate::call::{Call, Lifecycle, Output, Timer};
use crate::ids::{StreamId, TurnId};
use crate::report::{BargeInBy, Report};
use crate::time::CallTime;

impl Call {
    pub(super) fn on_agent(&mut self, id: StreamId, event: AgentEvent) {
        // We ignore what a finished or cancelled stream still sends.
        if !self.turn.is(id) {
            return;
        }
        self.note_stream_event();
        let Some(turn) = self.turn.open().map(|turn| turn.number) else { return };
        match event {
            AgentEvent::Transcript(transcript) => self.on_transcript(turn, &transcript),
            AgentEvent::EndOfUtterance => self.on_end_of_utterance(turn),
            AgentEvent::Answer(answer) => self.on_answer(turn, *answer),
            AgentEvent::Interrupted { barge_in } if self.has_session_stream() => self.on_interrupted(barge_in),
            AgentEvent::GoAway if self.has_session_stream() => self.on_go_away(),
            // An agent with one stream for each turn sends neither.
            AgentEvent::Interrupted { .. } | AgentEvent::GoAway => {}
            AgentEvent::Ended => self.on_turn_ended(),
            AgentEvent::Failed(_) if self.is_being_replaced() => self.on_replaced(),
            AgentEvent::Failed(fault) => self.on_turn_failed(fault),
        }
    }

    pub(super) fn next_turn_number(&mut self) -> TurnId {
        let number = self.next_turn;
        self.next_turn = number.next();
        number
    }

    /// The input that the next stream begins with. A stream for the whole call begins with an event or a text; other
    /// input goes in between its audio.
    fn next_input(&mut self) -> TurnInput {
        let is_starting_input = matches!(self.queued_inputs.front(), Some(TurnInput::Event(_) | TurnInput::Text(_)));
        let next = if self.has_session_stream() && !is_starting_input { None } else { self.queued_inputs.pop_front() };
        next.unwrap_or(TurnInput::Audio)
    }

    /// Opens the next turn: queued input first, then the caller's audio.
    pub(super) fn open_turn(&mut self) {
        let id = self.next_stream;
        self.next_stream = id.next();
        let number = self.next_turn_number();
        let input = self.next_input();
        let is_audio = matches!(input, TurnInput::Audio) || self.has_session_stream();
        let waited_ms = if is_audio { self.caller.unwritten_ms() } else { 0 };
        self.report(Report::TurnOpened { turn: number, input: input.kind(), waited_ms });
        self.stage_recorder.opened(number, input.kind(), self.now);
        let start = TurnStart {
            input: input.clone(),
            parameters: std::mem::take(&mut self.parameters),
            known_parameters: self.known_parameters.clone(),
            payload: self.payload.clone(),
            barge_in: (is_audio && !self.has_session_stream()).then(|| self.barge_in_window(waited_ms)).flatten(),
        };
        let unconfirmed_parameters = start.parameters.clone();
        self.await_starting_event(&input);
        self.outputs.push_back(Output::Agent(id, AgentCommand::Open(Box::new(start))));
        self.turn = TurnState::Listening(OpenTurn {
            id,
            number,
            input,
            opened_at: self.now,
            opened: self.caller.received(),
            began: self.caller.written(),
            finished_at: self.now,
            utterance: Utterance::default(),
            watchdog: self.watchdog_at_opening(),
            has_responded: false,
            answered: Answered::No,
            has_audio: false,
            is_no_input: false,
            partial: Repeated::default(),
            unconfirmed_parameters,
            answer_so_far: AnswerSoFar::default(),
            thought_ms: 0,
            is_starting_event_skipped: false,
            has_asked_for_tools: false,
            has_others_results: false,
            unanswered_inputs: Vec::new(),
            is_restart_pending: false,
            is_restarting: false,
            is_protected: false,
            deferred_prompts: Vec::new(),
        });
        if is_audio { self.write_audio() } else { self.half_close() }
    }

    /// How long the prompt still plays, for the agent's recogniser. Audio that waited for the stream comes first in it,
    /// so the prompt ends that much later in the stream's own time. If speech waits already, the recogniser must hear
    /// it, so nothing is protected. That speech does not cut the prompt anyway.
    fn barge_in_window(&self, waited_ms: u64) -> Option<BargeInWindow> {
        let (remaining_ms, protected_ms) = (self.playback.remaining_ms(self.now), self.playback.protected_ms(self.now));
        let speech_waits = self.voice.onset_since(self.caller.written()).is_some();
        (remaining_ms > 0).then(|| BargeInWindow {
            protected_ms: if speech_waits || protected_ms == 0 { 0 } else { waited_ms + protected_ms },
            total_ms: waited_ms + remaining_ms,
        })
    }

    fn on_transcript(&mut self, id: TurnId, transcript: &Transcript) {
        self.note_transcript(transcript);
        // An agent with one stream for the whole call marks no transcript as final: the last one counts.
        if transcript.is_final || self.has_session_stream() {
            self.stage_recorder.final_transcript(self.now);
        }
        // Its answer does not say what it understood either.
        if self.has_session_stream() && !transcript.text.is_empty() {
            self.outcome.query_text.clone_from(&transcript.text);
        }
        self.report(Report::Transcript { turn: id, text: transcript.text.clone(), is_final: transcript.is_final });
        self.check_barge_in(BargeInBy::Speech, Some(id));
        if self.has_session_stream() {
            self.await_answer();
        }
    }

    /// Adds a transcript to the open turn's utterance.
    pub(super) fn note_transcript(&mut self, transcript: &Transcript) {
        let Some(turn) = self.turn.open() else { return };
        let audio = self.audio_of(turn);
        let min_confidence = self.config.barge_in.min_confidence;
        let Some(turn) = self.turn.open_mut() else { return };
        turn.utterance.add(transcript, audio, min_confidence);
        if let Some(onset) = turn.utterance.onset() {
            let began = self.moment_of(onset);
            self.stage_recorder.speech_began(began);
            self.note_caller_activity();
            self.note_end_of_speech();
        }
    }

    /// If the recogniser understood something, the level of the voice tells where the speech ended.
    fn note_end_of_speech(&mut self) {
        let turn = self.turn.open().filter(|turn| !turn.utterance.is_empty());
        if let Some(end) = turn.and_then(|turn| self.voice.end_since(turn.began)) {
            self.stage_recorder.speech_ended(self.moment_of(end));
        }
    }

    pub(super) fn audio_of(&self, turn: &OpenTurn) -> TurnAudio {
        let voice_onset = self.voice.onset_since(turn.began);
        TurnAudio { turn_began: turn.began, written: self.caller.written(), voice_onset }
    }

    /// When that position of the caller's audio came in.
    fn moment_of(&self, position: u64) -> CallTime {
        self.now - self.caller.received().saturating_sub(position) / BYTES_PER_MS as u64
    }

    fn on_end_of_utterance(&mut self, id: TurnId) {
        let TurnState::Listening(turn) = &mut self.turn else { return };
        // A short word may be over before its transcript comes, so the voice detector counts too.
        let spoken = !turn.utterance.is_empty() || self.voice.onset_since(turn.began).is_some();
        turn.is_no_input = !spoken;
        let listened_ms = (self.caller.written() - turn.began) / BYTES_PER_MS as u64;
        self.report(Report::EndOfUtterance { turn: id, spoken });
        if !spoken
            && (self.playback.is_playing() || !self.digits.is_empty() || self.listened_during_prompt(listened_ms))
        {
            self.report(Report::NoInputTurnReplaced { turn: id });
            self.cancel_turn();
        } else {
            self.half_close();
        }
    }

    /// Whether a recogniser that cannot be told of prompts spent most of its wait for speech on a prompt. Then its
    /// timeout came too early: the caller needs time to answer after the prompt.
    fn listened_during_prompt(&self, listened_ms: u64) -> bool {
        !self.config.knows_prompts && 2 * self.silence_ms() < listened_ms
    }

    /// Half-closes the stream. We then wait for the answer.
    pub(super) fn half_close(&mut self) {
        if matches!(self.turn, TurnState::Listening(_)) {
            self.note_end_of_speech();
        }
        let Some(mut turn) = self.turn.take_listening() else { return };
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::HalfClose));
        self.timers.set(Timer::AnswerTimeout, self.now + self.config.timeouts.answer_ms);
        self.start_filler_timer();
        self.stage_recorder.input_complete(self.now);
        turn.finished_at = self.now;
        self.turn = TurnState::Responding(turn);
    }

    /// Cancels the turn. We do not want its answer.
    pub(super) fn cancel_turn(&mut self) {
        if let Some(turn) = self.turn.open() {
            self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        }
        self.stage_recorder.discard_open();
        self.caller.forget_written();
        self.restore_unconfirmed_parameters();
        self.clear_turn();
    }

    /// Puts back the session parameters that this stream did not confirm, so that the next stream sends them. Newer
    /// values stay.
    pub(super) fn restore_unconfirmed_parameters(&mut self) {
        let Some(turn) = self.turn.open_mut() else { return };
        for (name, value) in std::mem::take(&mut turn.unconfirmed_parameters) {
            self.parameters.entry(name).or_insert(value);
        }
    }

    fn on_turn_ended(&mut self) {
        let is_ending = matches!(self.lifecycle, Lifecycle::Ending(_));
        match &self.turn {
            _ if self.is_being_replaced() => self.on_replaced(),
            TurnState::Listening(_) if !is_ending => self.on_turn_failed(AgentFault {
                code: "OK".to_owned(),
                message: "the stream was closed before an answer".to_owned(),
                transient: true,
            }),
            TurnState::Listening(_) | TurnState::Responding(_) | TurnState::Idle => self.complete_turn(),
        }
    }

    /// The answer is complete. The next turn may open.
    pub(super) fn complete_turn(&mut self) {
        self.close_turn(Some(AgentCommand::Done));
    }

    /// Closes the turn with what came of the answer. `last` is the stream's last command, if it has not had one.
    pub(super) fn close_turn(&mut self, last: Option<AgentCommand>) {
        self.play_deferred();
        let has_session_stream = self.has_session_stream();
        let turn = if has_session_stream { self.turn.take() } else { self.turn.take_responding() };
        let Some(turn) = turn else { return };
        self.outputs.extend(last.map(|command| Output::Agent(turn.id, command)));
        self.caller.forget_written();
        self.finish_playing();
        self.clear_turn();
        if has_session_stream && turn.is_blank() {
            self.stage_recorder.discard_open();
        }
        let stages = self.stage_recorder.completed(|turn| self.playback.waits_for(turn));
        self.report_stages(stages);
        self.report_session_answer(&turn);
        let is_answered = turn.answered == Answered::Yes;
        if !is_answered && !turn.is_restarting && self.awaits_starting_event(&turn) {
            self.starting_event_unanswered(turn.number);
        }
        if turn.is_no_input {
            self.count_no_input_turn(&turn, is_answered);
        }
    }

    pub(super) fn is_starting_event(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Event(event) if self.starting_input.event.as_ref() == Some(event))
    }

    /// Whether the starting event of that turn still has no answer.
    pub(super) fn awaits_starting_event(&self, turn: &OpenTurn) -> bool {
        !turn.is_starting_event_skipped && self.is_starting_event(&turn.input)
    }

    /// The agent does not know the starting event: sends the starting text, if there is one.
    pub(super) fn starting_event_unanswered(&mut self, turn: TurnId) {
        self.report(Report::StartingEventUnanswered { turn });
        self.queued_inputs.extend(self.starting_input.text.clone().map(TurnInput::Text));
    }

    pub(super) fn clear_turn(&mut self) {
        self.turn = TurnState::Idle;
        self.timers.stop(Timer::AnswerTimeout);
        self.timers.stop(Timer::AnswerSettled);
        self.timers.stop(Timer::Thinking);
    }
}
