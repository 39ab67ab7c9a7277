//! What an answer of the agent does to a call.

use crate::agent::{Answer, AnswerPart, DIGITS_PARAMETER, DigitsForm, Matched, Prompt, Transcript, TurnInput};
use crate::call::turn::{Answered, TurnState};
use crate::call::{Call, Ending, Lifecycle, Timer};
use crate::ids::TurnId;
use crate::payload::{self, Action};
use crate::report::{BargeInBy, Report};

/// The most prompts that wait for the rest of their answer before they are fetched. Further ones do not wait.
const MAX_DEFERRED_PROMPTS: usize = 16;

/// How long we listen to an agent with one stream for the whole call after its part has ended, in milliseconds. Without
/// this limit, background noise in its audio could go on forever.
const MAX_LAST_WORDS_MS: u64 = 60_000;

impl Call {
    pub(super) fn on_answer(&mut self, id: TurnId, mut answer: Answer) {
        self.failures.reset();
        // A server may answer without an end of utterance, for example when it hears DTMF tones in the audio.
        if !self.has_session_stream() {
            self.half_close();
        }
        let Some(earlier) = self.note_answer(&answer) else { return };
        self.stage_recorder.answered(self.now);
        self.understand(id, &mut answer);
        self.remove_digits(&mut answer);
        // The input is answered, so the next stream need not send it again. With one stream for the whole call, audio
        // goes on meanwhile, and later parts of an answer say nothing about it.
        if !self.has_session_stream() || earlier.answered == Answered::No {
            self.caller.forget_written();
            if let Some(turn) = self.turn.open_mut() {
                turn.unanswered_inputs.clear();
            }
        }
        self.timers.stop(Timer::AnswerTimeout);
        self.outcome.update(&answer, self.has_session_stream());
        if let Some(turn) = self.turn.open_mut() {
            turn.unconfirmed_parameters.clear();
        }
        if answer.dtmf_rules.is_some() || answer.part != AnswerPart::Open || earlier.answered == Answered::No {
            self.dtmf_rules = answer.dtmf_rules.take();
        }
        self.act_on_payloads(id, &mut answer);
        if !answer.prompts.is_empty() {
            self.cancel_fillers();
        }
        let is_more_audio = earlier.answered == Answered::Yes && answer.is_audio_only();
        let audio_ms = self.play(id, answer.part, std::mem::take(&mut answer.prompts));
        self.report_answer(id, &mut answer, audio_ms, earlier.thought_ms, is_more_audio);
        self.report_faults(id, &answer);
        self.on_tool_calls(id, std::mem::take(&mut answer.tool_calls));
        if let Some(end) = answer.end {
            self.end(Ending::Agent(end));
        }
        self.await_rest(answer.part);
    }

    /// Notes that an answer came. Returns the state of the turn before it.
    fn note_answer(&mut self, answer: &Answer) -> Option<Earlier> {
        let has_session_stream = self.has_session_stream();
        let turn = match &mut self.turn {
            TurnState::Responding(turn) => turn,
            TurnState::Listening(turn) if has_session_stream => turn,
            TurnState::Listening(_) | TurnState::Idle => return None,
        };
        let earlier = Earlier { answered: turn.answered, thought_ms: self.now.ms_since(turn.finished_at) };
        if earlier.answered == Answered::No {
            turn.thought_ms = earlier.thought_ms;
        }
        match (turn.answered, answer.is_empty()) {
            (_, false) => {
                turn.answered = Answered::Yes;
                self.awaits_greeting = false;
            }
            (Answered::No, true) => turn.answered = Answered::Empty,
            (Answered::Empty | Answered::Yes, true) => {}
        }
        turn.is_no_input |= answer.matched == Matched::NoInput;
        Some(earlier)
    }

    /// The agent's `query_text` is final. After digits it repeats the digits, and after our own events and texts it
    /// repeats those, so we do not report it as the caller's speech.
    fn understand(&mut self, id: TurnId, answer: &mut Answer) {
        let listened = self.turn.open().filter(|turn| matches!(turn.input, TurnInput::Audio));
        let Some(confidence) = listened.map(|turn| turn.utterance.confidence()) else {
            answer.query_text.clear();
            return;
        };
        if !answer.query_text.is_empty() {
            // An answer has no confidence, so we use that of the last transcript.
            let text = answer.query_text.clone();
            self.note_transcript(&Transcript { text, is_final: true, confidence, ..Transcript::default() });
            self.check_barge_in(BargeInBy::Speech, Some(id));
        }
    }

    /// CX returns digits that went as an event parameter among the session's parameters. They are for the agent alone.
    fn remove_digits(&self, answer: &mut Answer) {
        if matches!(self.config.dtmf.form, DigitsForm::Event(_)) {
            answer.parameters.remove(DIGITS_PARAMETER);
        }
    }

    /// Does what a custom payload asks of this service, or reports why not. A payload never ends a call that the
    /// answer's own messages end in another way.
    fn act_on_payloads(&mut self, id: TurnId, answer: &mut Answer) {
        for payload in std::mem::take(&mut answer.payloads) {
            match payload::actions(&payload) {
                Ok(actions) => actions.into_iter().for_each(|action| self.act(action, answer)),
                Err(why) => self.report(Report::PayloadRefused { turn: id, why }),
            }
            self.report(Report::Payload { turn: id, payload });
        }
    }

    fn act(&mut self, action: Action, answer: &mut Answer) {
        match action {
            Action::End(end) => answer.end = Some(answer.end.take().filter(|own| !own.is_plain()).unwrap_or(end)),
            Action::Play(prompt) => answer.prompts.push(prompt),
            Action::Protect => {
                if let Some(turn) = self.turn.open_mut() {
                    turn.is_protected = true;
                }
            }
        }
    }

    fn report_answer(&mut self, id: TurnId, answer: &mut Answer, audio_ms: u64, thought_ms: u64, is_more_audio: bool) {
        if self.has_session_stream() {
            self.collect_answer(answer, audio_ms);
            return;
        }
        self.report(if is_more_audio {
            Report::MoreAudio { turn: id, audio_ms }
        } else {
            Report::Answered {
                turn: id,
                query_text: std::mem::take(&mut answer.query_text),
                text: std::mem::take(&mut answer.text),
                intent: answer.intent.take().unwrap_or_default(),
                parameters: std::mem::take(&mut answer.parameters),
                audio_ms,
                thought_ms,
            }
        });
    }

    /// Collects an answer that comes in many parts, to report it when it is complete.
    fn collect_answer(&mut self, answer: &mut Answer, audio_ms: u64) {
        let Some(turn) = self.turn.open_mut() else { return };
        turn.answer_so_far.text.push_str(&answer.text);
        turn.answer_so_far.audio_ms += audio_ms;
        if let Some(intent) = answer.intent.take() {
            turn.answer_so_far.intent = intent;
        }
        turn.answer_so_far.parameters.append(&mut answer.parameters);
    }

    fn report_faults(&mut self, id: TurnId, answer: &Answer) {
        if let Some(coding) = &answer.unplayable {
            self.report(Report::PromptRefused { why: format!("{coding} cannot be played") });
        }
        for why in &answer.webhook_faults {
            self.report(Report::WebhookFailed { turn: id, why: why.clone() });
        }
        if answer.succeeded {
            self.report(Report::Succeeded { turn: id });
        }
    }

    fn await_rest(&mut self, part: AnswerPart) {
        let is_active = matches!(self.lifecycle, Lifecycle::Active);
        let timeouts = &self.config.timeouts;
        match part {
            AnswerPart::Final if self.has_session_stream() && is_active => self.turn_over(),
            // The agent's last words may still be on their way.
            AnswerPart::Final | AnswerPart::Open if self.has_session_stream() && !is_active => {
                let settled_at = (self.now + timeouts.more_audio_ms).min(self.ended_at + MAX_LAST_WORDS_MS);
                self.timers.set(Timer::AnswerSettled, settled_at);
            }
            // The agent itself says when its answer is complete.
            AnswerPart::Open if self.has_session_stream() => self.await_last_words(),
            AnswerPart::Final => self.complete_turn(),
            AnswerPart::Open => {
                let has_audio = self.turn.open().is_some_and(|turn| turn.has_audio);
                let ms = if has_audio { timeouts.more_audio_ms } else { timeouts.first_audio_ms };
                self.timers.set(Timer::AnswerSettled, self.now + ms);
            }
            AnswerPart::Partial => {
                self.timers.set(Timer::AnswerTimeout, self.now + timeouts.answer_ms);
                self.finish_playing();
            }
        }
    }

    /// Plays prompts in order. Returns the length of their audio in milliseconds, as far as it is known. Prompts that
    /// have to be fetched wait until the rest of the answer has come.
    fn play(&mut self, id: TurnId, part: AnswerPart, mut prompts: Vec<Prompt>) -> u64 {
        self.leave_out_repeats(part, &mut prompts);
        let has_session_stream = self.has_session_stream();
        if let Some(turn) = self.turn.open_mut() {
            prompts.iter_mut().for_each(|prompt| prompt.interruptible &= !turn.is_protected);
            // With one stream for the whole call, the parts of an answer come in the order in which they are played.
            if part == AnswerPart::Open && !has_session_stream && turn.deferred_prompts.len() < MAX_DEFERRED_PROMPTS {
                turn.deferred_prompts.extend(prompts.extract_if(.., |prompt| prompt.uri.is_some()));
            }
        }
        let mut audio_ms = 0;
        for prompt in &prompts {
            audio_ms += self.playback.play(prompt, id, self.moment());
        }
        self.poll_playback();
        if audio_ms > 0 {
            self.note_agent_audio();
        }
        if let Some(turn) = self.turn.open_mut() {
            turn.has_audio |= audio_ms > 0;
        }
        audio_ms
    }

    /// Removes audio that the partial responses already had. Google does not document whether the final one repeats it.
    fn leave_out_repeats(&mut self, part: AnswerPart, prompts: &mut [Prompt]) {
        let Some(turn) = self.turn.open_mut() else { return };
        match part {
            AnswerPart::Partial => prompts.iter().for_each(|prompt| turn.partial.add(&prompt.audio)),
            AnswerPart::Final | AnswerPart::Open => {
                if let Some(first) = prompts.first_mut() {
                    let new = turn.partial.new_part(&first.audio).len();
                    first.audio.drain(..first.audio.len() - new);
                }
            }
        }
    }

    /// The answer has come: plays the prompts to be fetched after its own audio.
    pub(super) fn play_deferred(&mut self) {
        let TurnState::Responding(turn) = &mut self.turn else { return };
        let (id, later) = (turn.number, std::mem::take(&mut turn.deferred_prompts));
        for prompt in &later {
            self.playback.play(prompt, id, self.moment());
        }
        self.poll_playback();
    }

    /// Nothing more of the answer is expected: the playback holds nothing back.
    pub(super) fn finish_playing(&mut self) {
        self.playback.finish_answer(self.moment());
        self.poll_playback();
    }
}

/// The state of a turn before a part of its answer came.
struct Earlier {
    answered: Answered,
    thought_ms: u64,
}
