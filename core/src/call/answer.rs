//! What an answer of the agent does to a call.

use crate::agent::{
    AgentCommand, AgentEnd, Answer, AnswerPart, DIGITS_PARAMETER, DigitsForm, Prompt, Transcript, Transfer,
};
use crate::call::lifecycle::Ending;
use crate::call::streams::{AfterPart, Earlier};
use crate::call::synthesis::remove_unplayable;
use crate::call::unanswered::Unanswered;
use crate::call::utterance::Utterance;
use crate::call::{Call, Timer};
use crate::call_facts::{DIAL_ERROR_MESSAGE, DIAL_STATUS};
use crate::dial_target::DialTarget;
use crate::ids::TurnId;
use crate::parameters::{MAX_PARAMETER_BYTES, add_parameters};
use crate::payload::{self, Action, KEY};
use crate::report::{BargeInBy, EndFoundBy, Report};
use crate::turn_data::TurnData;

/// How many transfers of a call may be refused. An agent that asks for more cannot go on by itself.
const MAX_REFUSED_TRANSFERS: u32 = 3;

impl Call {
    pub(super) fn on_answer(&mut self, turn: TurnId, mut answer: Answer) {
        remove_unplayable(&mut answer);
        if answer.is_quiet_audio() && self.lifecycle.is_active() && self.streams.note_lead(self.answer_due()) {
            let is_thinking = self.timers.is_set(Timer::Thinking);
            self.cancel_fillers();
            if is_thinking {
                self.start_filler_timer();
            }
            self.play_prompts(turn, answer.part, answer.prompts);
            return;
        }
        if !answer.is_empty() || answer.part == AnswerPart::Final {
            self.failures.reset();
        }
        // A server may answer without an end of utterance, for example when it hears DTMF tones in the audio.
        self.end_utterance(EndFoundBy::Answer);
        if self.ask_misheard(turn, &answer) {
            return;
        }
        self.caller.note_matched(answer.matched);
        let Some(earlier) = self.streams.note_answer(&answer, self.now) else { return };
        self.stage_recorder.answered(self.now);
        self.understand(turn, &mut answer, earlier);
        self.take_data(turn, &mut answer, earlier);
        self.act_on_payloads(turn, &mut answer);
        let audio_ms = self.say(turn, &mut answer, earlier);
        outcomes(turn, &answer).for_each(|report| self.outputs.report(report));
        self.on_tool_calls(turn, std::mem::take(&mut answer.tool_calls));
        match answer.end.take().map(dialable) {
            Some(Ok(end)) => self.end(Ending::Agent(end)),
            Some(Err(why)) => self.refuse_transfer(turn, &why),
            None => {}
        }
        let is_ending = self.lifecycle.is_ending();
        match self.streams.after_part(answer.part, audio_ms, is_ending, &self.config.timeouts, self.now) {
            AfterPart::Wait => {}
            AfterPart::FinishPlaying => self.finish_playing(),
            AfterPart::TurnOver => self.turn_over(),
            AfterPart::Complete => self.close_turn(Some(AgentCommand::Done)),
        }
    }

    /// The agent's `query_text` is final. After digits it repeats the digits, and after our own events and texts it
    /// repeats those, so we do not report it as the caller's speech.
    fn understand(&mut self, turn: TurnId, answer: &mut Answer, earlier: Earlier) {
        if self.streams.heard().is_none() {
            answer.query_text.clear();
        } else if !answer.query_text.is_empty() {
            let text = answer.query_text.clone();
            self.hear(turn, &Transcript { text, is_final: true, ..Transcript::default() }, Utterance::settle);
            self.check_barge_in(BargeInBy::Speech, Some(turn));
        }
        if earlier.is_nothing {
            self.note_whole_utterance(turn);
        }
        // The input is answered, so the next stream need not send it again.
        if earlier.is_input_answered {
            if self.streams.heard().is_some() {
                self.caller.keep_unanswered();
            }
            self.caller.audio.forget_written();
        }
    }

    /// Takes what an answer says of the session, and the rules that it brings for what the caller does next.
    fn take_data(&mut self, turn: TurnId, answer: &mut Answer, earlier: Earlier) {
        if matches!(self.config.dtmf.form, DigitsForm::Event(_)) {
            // CX returns digits that went as an event parameter among the session's parameters. They are for the agent
            // alone.
            self.config.parameter_names.remove(&mut answer.parameters, DIGITS_PARAMETER);
        }
        if !self.outcome.update(answer, self.streams.adds_parameters()) {
            self.outputs.report(Report::AnswerTruncated { turn });
        }
        // More of an open answer keeps the rules that came, unless it brings others.
        let is_whole = answer.part != AnswerPart::Open || earlier.is_nothing;
        if is_whole || answer.dtmf_rules.is_some() {
            self.digits.set_rules(answer.dtmf_rules.take());
        }
        if is_whole || answer.speech_rules.is_some() {
            self.end_rules.set_agent(answer.speech_rules.take());
        }
        if earlier.is_nothing {
            self.inputs.page = None;
        }
    }

    /// Plays a part and reports it. Returns the length of its audio in milliseconds, as far as it is known.
    fn say(&mut self, turn: TurnId, answer: &mut Answer, earlier: Earlier) -> u64 {
        self.guard.note_prompt_text(turn, answer);
        let says_something = !answer.text.is_empty() || !answer.prompts.is_empty() || answer.end.is_some();
        if says_something {
            self.awaits_greeting = false;
            self.timers.stop(Timer::Greeting);
        }
        if !answer.is_empty() {
            self.unanswered = Unanswered::default();
        }
        if !answer.prompts.is_empty() {
            self.cancel_fillers();
            if self.tools.are_running() {
                self.start_filler_timer();
            }
        }
        let is_more_audio = earlier.is_something && answer.is_audio_only();
        if is_more_audio && self.streams.is_answer_cut() {
            answer.prompts.clear();
        }
        let audio_ms = self.play_prompts(turn, answer.part, std::mem::take(&mut answer.prompts));
        if audio_ms > 0 {
            self.silence.agent_heard(self.now);
        }
        self.streams.note_audio(audio_ms);
        let report = if is_more_audio {
            self.streams.report_more_audio(audio_ms)
        } else {
            self.streams.report_part(answer, audio_ms, earlier.thought_ms)
        };
        self.report_answer(report);
        audio_ms
    }

    /// Does what a custom payload asks of this service, or reports why not. A payload never ends a call that the
    /// answer's own messages end in another way.
    fn act_on_payloads(&mut self, id: TurnId, answer: &mut Answer) {
        if let Some(AgentEnd::LiveAgentHandoff { metadata }) = &answer.end
            && payload::has_part(metadata)
        {
            answer.misplaced.push("the metadata of a live-agent hand-off".to_owned());
        }
        for place in std::mem::take(&mut answer.misplaced) {
            let why = format!("\"{KEY}\" stands in {place}: it belongs into a custom payload");
            self.outputs.report(Report::PayloadRefused { turn: id, why });
        }
        for payload in std::mem::take(&mut answer.payloads) {
            match payload::actions(&payload) {
                Ok(actions) => {
                    for action in actions {
                        if let Err(why) = self.act(action, answer) {
                            self.outputs.report(Report::PayloadRefused { turn: id, why });
                        }
                    }
                }
                Err(why) => self.outputs.report(Report::PayloadRefused { turn: id, why }),
            }
            self.outputs.report(Report::Payload { turn: id, payload });
        }
    }

    /// Does what a payload asks, or says why not.
    fn act(&mut self, action: Action, answer: &mut Answer) -> Result<(), String> {
        let is_taken = self.config.turn_data == TurnData::EachTurn;
        match action {
            Action::Page(page) if is_taken => self.inputs.page = Some(page),
            // It goes with every turn, so its size has a limit.
            Action::EndUser(more) if is_taken => {
                if !add_parameters(&mut self.inputs.end_user, &more) {
                    let max_kib = MAX_PARAMETER_BYTES >> 10;
                    return Err(format!(
                        "\"{KEY}.endUserMetadata\" adds up to more than {max_kib} KiB: a part of it was left out"
                    ));
                }
            }
            Action::Page(_) | Action::EndUser(_) => {
                return Err(format!(
                    "only an agent of Dialogflow CX takes \"{KEY}.page\" and \"{KEY}.endUserMetadata\""
                ));
            }
            Action::End(end) => answer.end = Some(answer.end.take().filter(|own| !own.is_plain()).unwrap_or(end)),
            Action::Play(prompt) => answer.prompts.push(prompt),
            Action::Protect => self.streams.protect_answer(),
            Action::EndUtterance(rule) if self.streams.has_end_rules() => self.end_rules.set_by_page(rule),
            Action::EndUtterance(_) => {
                return Err(format!("a CES app ends each utterance itself, so it has no \"{KEY}.endOfUtterance\""));
            }
        }
        Ok(())
    }

    /// The agent's address cannot be dialled. The conversation goes on as after a transfer that nobody has answered.
    fn refuse_transfer(&mut self, turn: TurnId, why: &str) {
        self.outputs.report(Report::TransferRefused { turn, why: format!("the number {why}") });
        if !self.lifecycle.is_active() {
            return;
        }
        self.refused_transfers += 1;
        if self.refused_transfers > MAX_REFUSED_TRANSFERS {
            return self.end(Ending::AgentFailed);
        }
        self.inputs.set_parameter(DIAL_STATUS, &"failed".into());
        self.inputs.set_parameter(DIAL_ERROR_MESSAGE, &format!("the number {why}").into());
        self.inputs.add_event(self.config.handoff.dial.failed_event.clone());
    }

    /// Plays the prompts of a part in order. Returns the length of their audio in milliseconds, as far as it is known.
    fn play_prompts(&mut self, turn: TurnId, part: AnswerPart, prompts: Vec<Prompt>) -> u64 {
        let mut audio_ms = 0;
        for prompt in self.streams.arrange(part, prompts) {
            audio_ms += self.playback.play(prompt, turn, self.moment());
        }
        self.poll_playback();
        audio_ms
    }

    /// Nothing more of the answer is expected: the playback holds nothing back.
    pub(super) fn finish_playing(&mut self) {
        self.playback.finish_answer(self.moment());
        self.poll_playback();
    }
}

/// The end with an address that Twilio can dial.
fn dialable(end: AgentEnd) -> Result<AgentEnd, String> {
    let AgentEnd::Transfer(transfer) = end else { return Ok(end) };
    let DialTarget { address, extension } = DialTarget::parse(&transfer.to).map_err(|fault| fault.to_string())?;
    let extension = extension.or(transfer.extension);
    Ok(AgentEnd::Transfer(Transfer { to: address, extension, ..transfer }))
}

/// What an answer says of transfers, webhooks and the goal of the conversation.
fn outcomes(turn: TurnId, answer: &Answer) -> impl Iterator<Item = Report> {
    let refused = answer.refused_transfer.iter().map(move |why| Report::TransferRefused { turn, why: why.clone() });
    let failed = answer.webhook_faults.iter().map(move |why| Report::WebhookFailed { turn, why: why.clone() });
    refused.chain(failed).chain(answer.succeeded.then_some(Report::Succeeded { turn }))
}
