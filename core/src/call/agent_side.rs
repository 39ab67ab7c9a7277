//! What the agent's events do to a call, and how a turn opens and ends. What an answer does is in `answer`.

use crate::agent::{AgentCommand, AgentEvent, AgentFault, BargeInWindow, Transcript, TurnInput, TurnStart};
use crate::audio::BYTES_PER_MS;
use crate::call::turn::{Answered, OpenTurn, Repeated, Said, Turn};
use crate::call::utterance::{Heard, Utterance};
use crate::call::{Call, Lifecycle, Output, Timer};
use crate::ids::TurnId;
use crate::report::{InterruptedBy, Report};
use crate::time::CallTime;

impl Call {
    pub(super) fn on_agent(&mut self, id: TurnId, event: AgentEvent) {
        // What a finished or cancelled turn still says is not for this call any more.
        if !self.turn.is(id) {
            return;
        }
        self.stream_spoke();
        let turn = self.turn.open().map_or(id, |turn| turn.number);
        match event {
            AgentEvent::Transcript(transcript) => self.on_transcript(turn, &transcript),
            AgentEvent::EndOfUtterance => self.on_end_of_utterance(turn),
            AgentEvent::Answer(answer) => self.on_answer(turn, *answer),
            AgentEvent::Interrupted { barge_in } if self.is_one_stream() => self.on_interrupted(barge_in),
            AgentEvent::GoAway if self.is_one_stream() => self.on_go_away(),
            // An agent with a stream for each turn says neither.
            AgentEvent::Interrupted { .. } | AgentEvent::GoAway => {}
            AgentEvent::Ended => self.on_turn_ended(),
            AgentEvent::Failed(_) if self.is_being_replaced() => self.on_replaced(),
            AgentEvent::Failed(fault) => self.on_turn_failed(fault),
        }
    }

    pub(super) fn next_number(&mut self) -> TurnId {
        self.turns = self.turns.wrapping_add(1);
        TurnId(self.turns)
    }

    /// What the next stream begins with. One that lasts for the whole call begins with what greets, and takes the rest in
    /// between.
    fn next_input(&mut self) -> TurnInput {
        let is_greeting = matches!(self.first.front(), Some(TurnInput::Event(_) | TurnInput::Text(_)));
        let next = if self.is_one_stream() && !is_greeting { None } else { self.first.pop_front() };
        next.unwrap_or(TurnInput::Audio)
    }

    /// Opens the next turn: what waits for the agent first, then the caller's words.
    pub(super) fn open_turn(&mut self) {
        let id = self.next_turn;
        self.next_turn = id.next();
        let number = self.next_number();
        let input = self.next_input();
        let is_audio = matches!(input, TurnInput::Audio) || self.is_one_stream();
        let waited_ms = if is_audio { self.caller.unwritten_ms() } else { 0 };
        self.report(Report::TurnOpened { turn: number, input: input.kind(), waited_ms });
        self.sight.opened(number, input.kind(), self.now);
        let start = TurnStart {
            input: input.clone(),
            parameters: std::mem::take(&mut self.parameters),
            known_parameters: self.known_parameters.clone(),
            payload: self.payload.clone(),
            barge_in: (is_audio && !self.is_one_stream()).then(|| self.barge_in_window(waited_ms)).flatten(),
        };
        let told = start.parameters.clone();
        self.await_greeting(&input);
        self.outputs.push_back(Output::Agent(id, AgentCommand::Open(Box::new(start))));
        self.turn = Turn::Listening(OpenTurn {
            id,
            number,
            input,
            opened_at: self.now,
            opened: self.caller.received(),
            began: self.caller.written(),
            finished_at: self.now,
            utterance: Utterance::default(),
            unheeded: self.unheeded_at_opening(),
            has_spoken: false,
            answered: Answered::No,
            has_audio: false,
            is_silent: false,
            partial: Repeated::default(),
            told,
            said: Said::default(),
            thought_ms: 0,
            is_greeting_left: false,
            has_asked_for_tools: false,
            has_others_results: false,
            sent: Vec::new(),
            is_leaving: false,
            is_restarting: false,
            is_protected: false,
            later: Vec::new(),
        });
        if is_audio { self.write_audio() } else { self.finish_input() }
    }

    /// What the agent's recogniser must know of a prompt that is still playing. What was said before it stands at the
    /// beginning of the stream, so the prompt's end lies that much later in the stream's own time. Speech that waits
    /// already must be heard, so then nothing is protected there; what is said into the prompt does not cut it anyway.
    fn barge_in_window(&self, waited_ms: u64) -> Option<BargeInWindow> {
        let (remaining_ms, protected_ms) = (self.playback.remaining_ms(self.now), self.playback.protected_ms(self.now));
        let speech_waits = self.voice.onset_since(self.caller.written()).is_some();
        (remaining_ms > 0).then(|| BargeInWindow {
            protected_ms: if speech_waits || protected_ms == 0 { 0 } else { waited_ms + protected_ms },
            total_ms: waited_ms + remaining_ms,
        })
    }

    fn on_transcript(&mut self, id: TurnId, transcript: &Transcript) {
        self.hear(transcript);
        // An agent with one stream calls no transcript final: the last one is.
        if transcript.is_final || self.is_one_stream() {
            self.sight.final_transcript(self.now);
        }
        // Nor does it say in its answer what it took the caller to have said.
        if self.is_one_stream() && !transcript.text.is_empty() {
            self.outcome.query_text.clone_from(&transcript.text);
        }
        self.report(Report::Transcript { turn: id, text: transcript.text.clone(), is_final: transcript.is_final });
        self.interrupt(InterruptedBy::Speech, Some(id));
        if self.is_one_stream() {
            self.await_answer();
        }
    }

    /// Adds words to the open turn's utterance.
    pub(super) fn hear(&mut self, transcript: &Transcript) {
        let Some(turn) = self.turn.open() else { return };
        let heard = self.heard_in(turn);
        let least_confidence = self.config.barge_in.least_confidence;
        let Some(turn) = self.turn.open_mut() else { return };
        turn.utterance.add(transcript, heard, least_confidence);
        if let Some(onset) = turn.utterance.onset() {
            let began = self.moment_of(onset);
            self.sight.speech_began(began);
            self.caller_is_there();
            self.watch_end_of_speech();
        }
    }

    /// Where words were understood, the level of the voice tells where they ended.
    fn watch_end_of_speech(&mut self) {
        let turn = self.turn.open().filter(|turn| !turn.utterance.is_empty());
        if let Some(end) = turn.and_then(|turn| self.voice.end_since(turn.began)) {
            self.sight.speech_ended(self.moment_of(end));
        }
    }

    pub(super) fn heard_in(&self, turn: &OpenTurn) -> Heard {
        let voice_onset = self.voice.onset_since(turn.began);
        Heard { turn_began: turn.began, written: self.caller.written(), voice_onset }
    }

    /// When that place in the caller's audio came in.
    fn moment_of(&self, position: u64) -> CallTime {
        self.now - self.caller.received().saturating_sub(position) / BYTES_PER_MS as u64
    }

    fn on_end_of_utterance(&mut self, id: TurnId) {
        let Turn::Listening(turn) = &mut self.turn else { return };
        // A short word may be over before its transcript comes, so the voice's level counts too.
        let spoken = !turn.utterance.is_empty() || self.voice.onset_since(turn.began).is_some();
        turn.is_silent = !spoken;
        let listened_ms = (self.caller.written() - turn.began) / BYTES_PER_MS as u64;
        self.report(Report::EndOfUtterance { turn: id, spoken });
        if !spoken && (self.playback.is_playing() || !self.entry.is_empty() || self.was_beside_prompt(listened_ms)) {
            self.report(Report::SilentTurnReplaced { turn: id });
            self.cancel_turn();
        } else {
            self.finish_input();
        }
    }

    /// Whether a recogniser that cannot be told of prompts has waited for speech mostly while one played. Then its patience was
    /// over too soon: a caller needs time to answer once the prompt was heard.
    fn was_beside_prompt(&self, listened_ms: u64) -> bool {
        !self.config.knows_prompts && 2 * self.silence_ms() < listened_ms
    }

    /// Half-closes the stream: the answer is awaited.
    pub(super) fn finish_input(&mut self) {
        if matches!(self.turn, Turn::Listening(_)) {
            self.watch_end_of_speech();
        }
        let Some(mut turn) = self.turn.take_listening() else { return };
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::FinishInput));
        self.timers.set(Timer::AnswerOverdue, self.now + self.config.patience.answer_ms);
        self.await_thought();
        self.sight.input_complete(self.now);
        turn.finished_at = self.now;
        self.turn = Turn::Responding(turn);
    }

    /// Gives a turn up whose answer is not wanted.
    pub(super) fn cancel_turn(&mut self) {
        if let Some(turn) = self.turn.open() {
            self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        }
        self.sight.abandoned();
        self.caller.forget_written();
        self.tell_again();
        self.leave_turn();
    }

    /// The open stream comes to nothing: what it was told of the call is told to the next one, where nothing newer is.
    pub(super) fn tell_again(&mut self) {
        let Some(turn) = self.turn.open_mut() else { return };
        for (name, value) in std::mem::take(&mut turn.told) {
            self.parameters.entry(name).or_insert(value);
        }
    }

    fn on_turn_ended(&mut self) {
        let is_ending = matches!(self.lifecycle, Lifecycle::Ending(_));
        match &self.turn {
            _ if self.is_being_replaced() => self.on_replaced(),
            Turn::Listening(_) if !is_ending => self.on_turn_failed(AgentFault {
                code: "OK".to_owned(),
                message: "the stream was closed before an answer".to_owned(),
                transient: true,
            }),
            Turn::Listening(_) | Turn::Responding(_) | Turn::Idle => self.complete_turn(),
        }
    }

    /// The answer is complete: the next turn may open.
    pub(super) fn complete_turn(&mut self) {
        self.close_turn(Some(AgentCommand::Done));
    }

    /// What has come of the answer is all. `last` is the stream's last command, where it has not had one.
    pub(super) fn close_turn(&mut self, last: Option<AgentCommand>) {
        self.play_later();
        let is_one_stream = self.is_one_stream();
        let turn = if is_one_stream { self.turn.take() } else { self.turn.take_responding() };
        let Some(turn) = turn else { return };
        self.outputs.extend(last.map(|command| Output::Agent(turn.id, command)));
        self.caller.forget_written();
        self.finish_playing();
        self.leave_turn();
        if is_one_stream && turn.is_blank() {
            self.sight.abandoned();
        }
        let stages = self.sight.completed(|turn| self.playback.waits_for(turn));
        self.tell_stages(stages);
        self.tell_what_was_said(&turn);
        let is_answered = turn.answered == Answered::Yes;
        if !is_answered && !turn.is_restarting && self.awaits_greeting(&turn) {
            self.starting_event_unanswered(turn.number);
        }
        if turn.is_silent {
            self.count_silent_turn(&turn, is_answered);
        }
    }

    pub(super) fn is_starting_event(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Event(event) if self.config.greeting.event.as_ref() == Some(event))
    }

    /// Whether the starting event of that turn is still to be answered.
    pub(super) fn awaits_greeting(&self, turn: &OpenTurn) -> bool {
        !turn.is_greeting_left && self.is_starting_event(&turn.input)
    }

    /// An agent that does not know the starting event gets the starting text, where there is one.
    pub(super) fn starting_event_unanswered(&mut self, turn: TurnId) {
        self.report(Report::StartingEventUnanswered { turn });
        self.first.extend(self.config.greeting.text.clone().map(TurnInput::Text));
    }

    pub(super) fn leave_turn(&mut self) {
        self.turn = Turn::Idle;
        self.timers.stop(Timer::AnswerOverdue);
        self.timers.stop(Timer::AnswerSettled);
        self.timers.stop(Timer::Thinking);
    }
}
