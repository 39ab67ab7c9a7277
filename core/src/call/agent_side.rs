//! What the agent's events do to a call, and how a stream opens and ends. `answer` handles answers, `retry` failures,
//! and `replacement` streams that another one carries on.

use crate::agent::{AgentCommand, AgentEvent, AgentFault, BargeInWindow, Transcript, TurnInput, TurnStart};
use crate::audio::BYTES_PER_MS;
use crate::call::prompt_guard::Source;
use crate::call::streams::{Heard, LAST_WORDS_MS, Late, OpenStream, Opened, Opening, StreamEnd, Understood};
use crate::call::utterance::{TurnAudio, Utterance};
use crate::call::{Call, Timer};
use crate::ids::{StreamId, TurnId};
use crate::report::{BargeInBy, EndFoundBy, Report};
use crate::time::CallTime;

impl Call {
    pub(super) fn on_agent(&mut self, stream: StreamId, event: AgentEvent) {
        // We ignore what a finished or cancelled stream still sends.
        let Some(open) = self.streams.open().filter(|open| open.stream == stream) else { return };
        self.streams.note_response();
        if !event.is_last() {
            self.past_turns.note_response();
        }
        match event {
            AgentEvent::Transcript(transcript) => self.on_transcript(open.turn, &transcript),
            AgentEvent::EndOfUtterance { end_ms } => self.on_end_of_utterance(open.turn, end_ms),
            AgentEvent::Answer(answer) => self.on_answer(open.turn, *answer),
            AgentEvent::Interrupted { barge_in } => self.on_interrupted(open.turn, barge_in),
            AgentEvent::GoAway => self.on_go_away(),
            AgentEvent::Ended => self.on_stream_ended(),
            AgentEvent::Failed(_) if self.streams.is_being_replaced() => self.on_replaced(),
            AgentEvent::Failed(fault) => self.stream_failed(fault, Some(AgentCommand::Done)),
        }
    }

    /// Opens the next stream with input that waits, else with the caller's audio.
    pub(super) fn open_stream(&mut self) {
        let ids = OpenStream { stream: self.next_stream.take(), turn: self.next_turn.take() };
        let begins_with_input = self.inputs.first().is_some_and(|input| self.streams.can_begin_with(input));
        let input = begins_with_input.then(|| self.inputs.take_first()).flatten().unwrap_or(TurnInput::Audio);
        let listens = self.streams.listens_after(&input);
        let resent_ms = if listens { self.caller.resend_in_flight(self.now) } else { 0 };
        let waited_ms = if listens { self.caller.audio.unwritten_ms() } else { 0 };
        let is_told_of_prompts = listens && self.streams.is_told_of_prompts();
        self.outputs.report(Report::TurnOpened { turn: ids.turn, input: input.kind(), waited_ms, resent_ms });
        self.stage_recorder.opened(ids.turn, input.kind(), self.now);
        let start = TurnStart {
            barge_in: is_told_of_prompts.then(|| self.barge_in_window(waited_ms)).flatten(),
            agent_ends: self.end_rules.rule().agent_may_end(),
            ..self.inputs.turn_start(input.clone(), self.past_turns.bring(), &self.outcome.parameters)
        };
        let opened = self.streams.opens(Opening {
            ids,
            is_starting_event: self.inputs.is_starting_event(&input),
            input,
            parameters: start.parameters.clone(),
            heard: Heard::new(
                self.caller.audio.written(),
                self.caller.audio.received(),
                self.now,
                self.caller.watchdog_at_opening(),
            ),
            position: self.caller.audio.received(),
            now: self.now,
            answer_due: self.answer_due(),
        });
        self.outputs.agent(ids.stream, AgentCommand::Open(Box::new(start)));
        match opened {
            Opened::Listening => self.write_audio(),
            Opened::ListeningAndThinking => {
                self.start_filler_timer();
                self.write_audio();
            }
            Opened::InputComplete => self.input_complete(ids.stream),
        }
    }

    /// How long the prompt still plays, for the agent's recogniser. Audio that waited for the stream comes first in it,
    /// so the prompt ends that much later in the stream's own time. If speech waits already, the recogniser must hear
    /// it, so nothing is protected. That speech does not cut the prompt anyway.
    fn barge_in_window(&self, waited_ms: u64) -> Option<BargeInWindow> {
        let (remaining_ms, protected_ms) = (self.playback.remaining_ms(self.now), self.playback.protected_ms(self.now));
        let speech_waits = self.caller.voice.onset_since(self.caller.audio.written()).is_some();
        (remaining_ms > 0).then(|| BargeInWindow {
            protected_ms: if speech_waits || protected_ms == 0 { 0 } else { waited_ms + protected_ms },
            total_ms: waited_ms + remaining_ms,
        })
    }

    fn on_transcript(&mut self, turn: TurnId, transcript: &Transcript) {
        if self.hear(turn, transcript, Utterance::add) == Source::Echo {
            let text = transcript.text.clone();
            return self.outputs.report(Report::Transcript { turn, text, is_final: transcript.is_final });
        }
        if let Some(heard) = self.streams.utterance() {
            self.end_rules.note_transcript(heard, &self.caller, self.now);
        }
        let understood = self.streams.note_transcript(transcript.is_final, self.now, self.answer_due());
        if understood != Understood::Interim {
            self.stage_recorder.final_transcript(self.now);
        }
        if understood == Understood::Latest && !transcript.text.is_empty() {
            self.outcome.query_text.clone_from(&transcript.text);
        }
        self.outputs.report(Report::Transcript { turn, text: transcript.text.clone(), is_final: transcript.is_final });
        self.check_barge_in(BargeInBy::Speech, Some(turn));
        if self.guard.is_interruption_held(&self.playback) {
            self.on_interrupted(turn, true);
        }
        if understood == Understood::Latest {
            self.start_filler_timer();
        }
    }

    /// Words were understood. `add` makes them a part of the open turn's utterance, unless they are echo. Returns whose
    /// they are.
    pub(super) fn hear(
        &mut self,
        turn: TurnId,
        transcript: &Transcript,
        add: fn(&mut Utterance, &Transcript, TurnAudio, u8),
    ) -> Source {
        let Some(heard) = self.streams.heard() else { return Source::Nothing };
        let audio = self.caller.audio_of(heard, self.now);
        self.caller.note_understood(transcript);
        let source = self.judge(turn, transcript, audio);
        if source != Source::Echo
            && let Some(heard) = self.streams.heard_mut()
        {
            add(&mut heard.utterance, transcript, audio, self.config.barge_in.min_confidence);
            self.note_onset(source);
        }
        source
    }

    fn note_onset(&mut self, source: Source) {
        let Some(heard) = self.streams.heard() else { return };
        if let Some(onset) = heard.utterance.onset() {
            let began = self.caller.time_of(onset, self.now);
            self.stage_recorder.speech_began(began);
            if source != Source::Doubt {
                self.silence.caller_active(self.now);
            }
            self.note_end_of_speech();
        }
    }

    /// If the recogniser understood something, the voice detector tells where the speech ended.
    fn note_end_of_speech(&mut self) {
        let heard = self.streams.heard().filter(|heard| !heard.utterance.is_empty());
        if let Some(end) = heard.and_then(|heard| self.caller.voice.end_since(heard.began)) {
            self.stage_recorder.speech_ended(self.caller.time_of(end, self.now));
        }
    }

    fn on_end_of_utterance(&mut self, turn: TurnId, end_ms: Option<u64>) {
        self.caller.note_end_by_agent(end_ms);
        let Some(heard) = self.streams.utterance() else { return };
        let spoken = self.is_spoken(turn, heard);
        let listened_ms = (self.caller.audio.written() - heard.began) / BYTES_PER_MS as u64;
        self.note_whole_utterance(turn);
        // A recogniser that cannot be told of prompts may have spent most of its wait for speech on one. Then its
        // timeout came too early: the caller needs time to answer after the prompt.
        let is_too_early = !self.config.knows_prompts && 2 * self.silence.ms(self.now) < listened_ms;
        let is_beside_prompt = self.playback.is_playing() || is_too_early;
        if !spoken && (is_beside_prompt || !self.digits.is_empty())
            || self.guard.says_nothing(turn, &self.playback, self.now)
        {
            self.replace_unspoken(turn, EndFoundBy::Agent);
            return;
        }
        self.end_utterance(EndFoundBy::Agent);
        if !spoken {
            self.streams.note_no_input();
        }
    }

    /// Whether the caller has said anything. A short word may be over before its transcript comes, so the voice
    /// detector counts too.
    fn is_spoken(&self, turn: TurnId, heard: &Heard) -> bool {
        let has_voice = self.caller.voice.onset_since(heard.began).is_some();
        let has_voice =
            has_voice && !self.guard.is_agents_voice(&self.caller, heard.began, self.caller.audio.received());
        !self.guard.says_nothing(turn, &self.playback, self.now) && (!heard.utterance.is_empty() || has_voice)
    }

    /// The caller has said nothing in that turn to which he should have an answer. Another stream listens on.
    pub(super) fn replace_unspoken(&mut self, turn: TurnId, found_by: EndFoundBy) {
        self.report_end_of_utterance(turn, found_by);
        self.outputs.report(Report::NoInputTurnReplaced { turn });
        self.caller.keep_in_flight();
        self.cancel_turn();
    }

    /// The listening turn's utterance is over.
    fn report_end_of_utterance(&mut self, turn: TurnId, found_by: EndFoundBy) {
        let Some(heard) = self.streams.heard() else { return };
        let voice_end = self.caller.voice.end_since(heard.began);
        let spoken = self.is_spoken(turn, heard);
        let silence_ms = voice_end.map(|end| (self.caller.audio.received() - end) / BYTES_PER_MS as u64);
        self.outputs.report(Report::EndOfUtterance { turn, spoken, found_by, silence_ms });
    }

    /// When the agent must have answered input that is complete now.
    pub(super) fn answer_due(&self) -> CallTime {
        self.now + self.config.timeouts.answer_ms
    }

    /// Half-closes a stream that takes one utterance, if it listens. We then wait for the answer.
    pub(super) fn end_utterance(&mut self, found_by: EndFoundBy) {
        if let Some(open) = self.streams.end_utterance(found_by, self.now, self.answer_due()) {
            self.report_end_of_utterance(open.turn, found_by);
            self.note_end_of_speech();
            self.caller.note_end_found(found_by);
            self.input_complete(open.stream);
        }
    }

    fn input_complete(&mut self, stream: StreamId) {
        self.outputs.agent(stream, AgentCommand::HalfClose);
        self.start_filler_timer();
        self.stage_recorder.input_complete(self.now);
    }

    /// Cancels the open stream. We do not want its answer.
    pub(super) fn cancel_turn(&mut self) {
        let Some(cancelled) = self.streams.cancel() else { return };
        self.outputs.agent(cancelled.ids.stream, AgentCommand::Cancel);
        self.report_answer(cancelled.report);
        self.stage_recorder.discard_open();
        self.caller.audio.forget_written();
        self.finish_playing();
        self.inputs.restore_parameters(cancelled.parameters);
        self.timers.stop(Timer::Thinking);
    }

    fn on_stream_ended(&mut self) {
        match self.streams.ended(self.lifecycle.is_ending()) {
            StreamEnd::Complete => {
                // Also an empty answer is one.
                self.failures.reset();
                self.close_turn(Some(AgentCommand::Done));
            }
            StreamEnd::Replaced => self.on_replaced(),
            StreamEnd::WithoutAnswer => {
                let message = "the agent closed the stream too early".to_owned();
                let fault = AgentFault { code: "OK".to_owned(), message, transient: true };
                self.stream_failed(fault, Some(AgentCommand::Done));
            }
        }
    }

    /// A deadline of the open stream has passed.
    pub(super) fn on_stream_late(&mut self) {
        match self.streams.late() {
            Late::Settled => {
                self.failures.reset();
                self.close_turn(Some(AgentCommand::Done));
            }
            Late::Replace => self.replace_stream(),
            Late::NotEnded => {
                self.speak_unspoken();
                let broken = self.requeue_unanswered();
                self.cancel_turn();
                self.carry_on(broken, LAST_WORDS_MS);
            }
            Late::FirstInput(turn, input) if self.inputs.is_starting_event(&input) => {
                self.streams.skip_first_input();
                self.starting_event_unanswered(turn);
            }
            Late::FirstInput(..) | Late::NoAnswer => self.give_up_stream("no answer came in time"),
        }
    }

    /// Closes the turn with what came of the answer. `last` is the stream's last command, if it has not had one.
    pub(super) fn close_turn(&mut self, last: Option<AgentCommand>) {
        self.speak_unspoken();
        let Some(closed) = self.streams.close() else { return };
        let OpenStream { stream, turn } = closed.ids;
        self.guard.echo.complete(turn);
        for prompt in closed.deferred {
            self.playback.play(prompt, turn, self.moment());
        }
        self.poll_playback();
        if let Some(command) = last {
            self.outputs.agent(stream, command);
        }
        match closed.ask_again.filter(|_| self.on_unanswered(turn)) {
            Some(TurnInput::Audio) => {
                self.caller.audio.rewind();
                self.inputs.hear_words_first(&*self.streams);
            }
            words => {
                self.caller.audio.forget_written();
                words.into_iter().for_each(|words| self.inputs.add_first(words));
            }
        }
        self.finish_playing();
        self.timers.stop(Timer::Thinking);
        if self.awaits_tools() && self.lifecycle.is_active() {
            self.start_filler_timer();
        }
        if closed.is_blank {
            self.stage_recorder.discard_open();
        }
        let stages = self.stage_recorder.completed(|turn| self.playback.waits_for(turn));
        self.outputs.stages(stages);
        self.report_answer(closed.report);
        self.on_unanswered_input(turn, closed.unanswered);
        if let Some(no_input) = closed.no_input {
            self.count_no_input_turn(no_input);
        }
    }

    /// Reports an answer, and keeps what was said if an agent may have to be told of it.
    pub(super) fn report_answer(&mut self, report: Option<Report>) {
        let is_kept = self.streams.may_lose_session() || self.standby.is_some();
        if let Some(Report::Answered { query_text, text, .. }) = report.as_ref().filter(|_| is_kept) {
            self.past_turns.add(query_text, text);
        }
        if let Some(report) = report {
            self.outputs.report(report);
        }
    }

    /// The agent does not know the starting event: sends the starting text, if there is one.
    pub(super) fn starting_event_unanswered(&mut self, turn: TurnId) {
        self.outputs.report(Report::StartingEventUnanswered { turn });
        self.inputs.add_starting_text();
    }
}
