//! What the agent's events do to a call, and how a turn opens and ends.

use crate::agent::{
    AgentCommand, AgentEvent, AgentFault, Answer, AnswerPart, BargeInWindow, Prompt, Transcript, TurnInput, TurnStart,
};
use crate::call::turn::{Answered, OpenTurn, Turn};
use crate::call::utterance::{Heard, Utterance};
use crate::call::{Call, Ending, Lifecycle, Output, Timer};
use crate::ids::TurnId;
use crate::report::Report;

impl Call {
    pub(super) fn on_agent(&mut self, id: TurnId, event: AgentEvent) {
        // What a finished or cancelled turn still says is not for this call any more.
        if !self.turn.is(id) {
            return;
        }
        match event {
            AgentEvent::Transcript(transcript) => self.on_transcript(id, &transcript),
            AgentEvent::EndOfUtterance => self.on_end_of_utterance(id),
            AgentEvent::Answer(answer) => self.on_answer(id, *answer),
            AgentEvent::Ended => self.on_turn_ended(),
            AgentEvent::Failed(fault) => self.on_turn_failed(fault),
            // They belong to agents with one stream for the whole call.
            AgentEvent::Interrupted { .. } | AgentEvent::GoAway => {}
        }
    }

    /// Opens the next turn: the greeting first, then the caller's words.
    pub(super) fn open_turn(&mut self) {
        let id = self.next_turn;
        self.next_turn = id.next();
        let input = self.first.take().unwrap_or(TurnInput::Audio);
        let is_audio = matches!(input, TurnInput::Audio);
        let waited_ms = if is_audio { self.caller.unwritten_ms() } else { 0 };
        self.report(Report::TurnOpened { turn: id, input: input.kind(), waited_ms });
        let start = TurnStart {
            input: input.clone(),
            parameters: std::mem::take(&mut self.parameters),
            known_parameters: self.known_parameters.clone(),
            payload: self.payload.clone(),
            barge_in: is_audio.then(|| self.barge_in_window(waited_ms)).flatten(),
        };
        self.outputs.push_back(Output::Agent(id, AgentCommand::Open(Box::new(start))));
        self.turn = Turn::Listening(OpenTurn {
            id,
            input,
            began: self.caller.written(),
            finished_at: self.now,
            utterance: Utterance::default(),
            answered: Answered::No,
            has_audio: false,
        });
        if is_audio { self.write_audio() } else { self.finish_input() }
    }

    /// What the agent's recogniser must know of a prompt that is still playing. What was said before it stands at the
    /// beginning of the stream, so the prompt's end lies that much later in the stream's own time.
    fn barge_in_window(&self, waited_ms: u64) -> Option<BargeInWindow> {
        let remaining_ms = self.playback.remaining_ms(self.now);
        (remaining_ms > 0).then(|| BargeInWindow { protected_ms: 0, total_ms: waited_ms + remaining_ms })
    }

    fn on_transcript(&mut self, id: TurnId, transcript: &Transcript) {
        self.trouble.is_over();
        self.hear(transcript);
        self.report(Report::Transcript { turn: id, text: transcript.text.clone(), is_final: transcript.is_final });
        self.barge_in(id);
    }

    /// Adds words to the open turn's utterance.
    fn hear(&mut self, transcript: &Transcript) {
        let Some(turn) = self.turn.open() else { return };
        let heard = self.heard_in(turn);
        if let Some(turn) = self.turn.open_mut() {
            turn.utterance.add(transcript, heard);
        }
    }

    fn heard_in(&self, turn: &OpenTurn) -> Heard {
        let voice_onset = self.voice.onset_since(turn.began);
        Heard { turn_began: turn.began, written: self.caller.written(), voice_onset }
    }

    /// Cuts the prompt off when what was said in the open turn interrupts it.
    fn barge_in(&mut self, id: TurnId) {
        let is_active = matches!(self.lifecycle, Lifecycle::Active);
        if !is_active || !self.playback.is_playing() || !self.playback.is_interruptible() {
            return;
        }
        let interrupts = self.turn.open().is_some_and(|turn| {
            let heard = self.heard_in(turn);
            turn.utterance.interrupts(self.playback.began_position(), heard, &self.config.barge_in)
        });
        if interrupts {
            let outputs = &mut self.outputs;
            let cut = self.playback.clear(&mut |message| outputs.push_back(Output::Twilio(message)));
            self.report(Report::BargeIn { turn: id, heard_ms: cut.heard_ms, cut_ms: cut.cut_ms });
        }
    }

    fn on_end_of_utterance(&mut self, id: TurnId) {
        let Turn::Listening(turn) = &self.turn else { return };
        // A short word may be over before its transcript comes, so the voice's level counts too.
        let spoken = !turn.utterance.is_empty() || self.voice.onset_since(turn.began).is_some();
        self.report(Report::EndOfUtterance { turn: id, spoken });
        if !spoken && self.playback.is_playing() {
            self.report(Report::SilentTurnReplaced { turn: id });
            self.cancel_turn();
        } else {
            self.finish_input();
        }
    }

    /// Half-closes the stream: the answer is awaited.
    pub(super) fn finish_input(&mut self) {
        let Some(mut turn) = self.turn.take_listening() else { return };
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::FinishInput));
        self.timers.set(Timer::AnswerOverdue, self.now + self.config.patience.answer_ms);
        turn.finished_at = self.now;
        self.turn = Turn::Responding(turn);
    }

    /// Gives a turn up in which nothing was said.
    pub(super) fn cancel_turn(&mut self) {
        if let Some(turn) = self.turn.open() {
            self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Cancel));
        }
        self.caller.forget_written();
        self.leave_turn();
    }

    fn on_answer(&mut self, id: TurnId, answer: Answer) {
        self.trouble.is_over();
        // A server may answer without having told the end of the utterance: it hears keys in the audio, for one.
        self.finish_input();
        let Turn::Responding(turn) = &mut self.turn else { return };
        let is_audio = matches!(turn.input, TurnInput::Audio);
        let thought_ms = self.now.ms_since(turn.finished_at);
        let is_more_audio = turn.answered == Answered::Yes && answer.is_audio_only();
        match (turn.answered, answer.is_empty()) {
            (_, false) => turn.answered = Answered::Yes,
            (Answered::No, true) => turn.answered = Answered::Emptily,
            (Answered::Emptily | Answered::Yes, true) => {}
        }
        if is_audio && !answer.query_text.is_empty() {
            self.hear(&Transcript { text: answer.query_text.clone(), is_final: true, ..Transcript::default() });
            self.barge_in(id);
        }
        // What was asked is answered: it need not be asked again.
        self.caller.forget_written();
        self.timers.stop(Timer::AnswerOverdue);
        self.outcome.update(&answer);
        if let Some(coding) = &answer.unplayable {
            self.report(Report::PromptRefused { turn: id, why: format!("{coding} cannot be played") });
        }
        let audio_ms = self.play(id, &answer.prompts);
        if let Some(turn) = self.turn.open_mut() {
            turn.has_audio |= audio_ms > 0;
        }
        self.report(if is_more_audio {
            Report::MoreAudio { turn: id, audio_ms }
        } else {
            Report::Answered {
                turn: id,
                query_text: answer.query_text,
                text: answer.text,
                intent: answer.intent.unwrap_or_default(),
                audio_ms,
                thought_ms,
            }
        });
        if let Some(end) = answer.end {
            self.end(Ending::Agent(end));
        }
        self.await_rest(id, answer.part);
    }

    fn await_rest(&mut self, id: TurnId, part: AnswerPart) {
        let patience = &self.config.patience;
        match part {
            AnswerPart::Final => self.complete_turn(),
            AnswerPart::Open => {
                let has_audio = self.turn.open().is_some_and(|turn| turn.has_audio);
                let ms = if has_audio { patience.more_audio_ms } else { patience.first_audio_ms };
                self.timers.set(Timer::AnswerSettled, self.now + ms);
            }
            AnswerPart::Partial => {
                self.timers.set(Timer::AnswerOverdue, self.now + patience.answer_ms);
                self.finish_playing(id);
            }
        }
    }

    /// Plays prompts in order; returns how many milliseconds of audio they are.
    fn play(&mut self, id: TurnId, prompts: &[Prompt]) -> u64 {
        let position = self.caller.received();
        let mut audio_ms = 0;
        for prompt in prompts {
            let outputs = &mut self.outputs;
            let mut send = |message| outputs.push_back(Output::Twilio(message));
            match self.playback.play(prompt, position, self.now, &mut send) {
                Ok(ms) => audio_ms += ms,
                Err(error) => self.report(Report::PromptRefused { turn: id, why: error.to_string() }),
            }
        }
        audio_ms
    }

    /// What has come of the answer is whole: nothing is held back for what may follow.
    fn finish_playing(&mut self, id: TurnId) {
        let position = self.caller.received();
        let outputs = &mut self.outputs;
        let mut send = |message| outputs.push_back(Output::Twilio(message));
        if let Err(error) = self.playback.finish_answer(position, self.now, &mut send) {
            self.report(Report::PromptRefused { turn: id, why: error.to_string() });
        }
    }

    fn on_turn_ended(&mut self) {
        match &self.turn {
            Turn::Listening(_) => self.on_turn_failed(AgentFault {
                code: "OK".to_owned(),
                message: "the stream was closed before an answer".to_owned(),
                transient: true,
            }),
            Turn::Responding(_) | Turn::Idle => self.complete_turn(),
        }
    }

    /// The answer is complete: the next turn may open.
    pub(super) fn complete_turn(&mut self) {
        let Some(turn) = self.turn.take_responding() else { return };
        self.outputs.push_back(Output::Agent(turn.id, AgentCommand::Done));
        self.caller.forget_written();
        self.finish_playing(turn.id);
        self.leave_turn();
        let is_event = matches!(turn.input, TurnInput::Event(_));
        if is_event && turn.answered != Answered::Yes {
            self.report(Report::StartingEventUnanswered { turn: turn.id });
            self.first = self.config.greeting.text.clone().map(TurnInput::Text);
        }
    }

    pub(super) fn leave_turn(&mut self) {
        self.turn = Turn::Idle;
        self.timers.stop(Timer::AnswerOverdue);
        self.timers.stop(Timer::AnswerSettled);
    }
}
