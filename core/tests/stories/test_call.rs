//! The test call of all stories. It plays Twilio and the clock; the story plays the caller and the agent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{
    AgentEnd, Answer, AnswerPart, Digits, DigitsForm, Intent, Prompt, Transcript, TurnInput, TurnStart,
};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::g711::linear_to_mulaw;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::Playout;
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallTime, CloseReason, FetchId, Input, InputError, Output, Report,
    StreamId, ToolsId, UpdateResult,
};
use serde_json::json;

pub(crate) const CALL_SID: &str = "CA0123456789abcdef0123456789abcdef";

/// A call and the world around it.
pub(crate) struct TestCall {
    pub(crate) call: Call,
    pub(crate) now: CallTime,
    /// All outputs so far.
    pub(crate) outputs: Vec<(CallTime, Output)>,
    playout: Playout,
    returns_marks: bool,
    frames: u64,
}

impl TestCall {
    /// A call whose WebSocket is open and whose `start` has come.
    pub(crate) fn started(config: CallConfig) -> Self {
        let mut test = Self::open(config);
        test.twilio(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).unwrap();
        test.twilio(&format!(
            r#"{{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{{"callSid":"{CALL_SID}",
            "customParameters":{{"from":"+15550100","to":"+15550199","param.shop":"north"}}}}}}"#
        ))
        .unwrap();
        test
    }

    /// A call whose WebSocket is open.
    pub(crate) fn open(config: CallConfig) -> Self {
        Self {
            call: Call::new(Arc::new(config), CallTime::START),
            now: CallTime::START,
            outputs: Vec::new(),
            playout: Playout::default(),
            returns_marks: true,
            frames: 0,
        }
    }

    /// From now on Twilio returns no mark.
    pub(crate) fn lose_marks(&mut self) {
        self.returns_marks = false;
    }

    pub(crate) fn twilio(&mut self, text: &str) -> Result<(), InputError> {
        self.feed(&Input::Twilio(text))
    }

    pub(crate) fn agent(&mut self, turn: u32, event: AgentEvent) {
        self.feed(&Input::Agent(StreamId(turn), event)).unwrap();
    }

    /// The caller presses digits, one right after the other.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.twilio(&format!(r#"{{"event":"dtmf","dtmf":{{"track":"inbound_track","digit":"{key}"}}}}"#)).unwrap();
        }
    }

    /// The result of a fetch, as a WAV file of mu-law.
    pub(crate) fn fetched(&mut self, id: u32, audio: Result<&[u8], &str>) {
        let wav = audio.map(|audio| write_wav(1, AudioFormat::TELEPHONE, audio));
        self.feed(&Input::Fetched(FetchId(id), wav.as_deref().map_err(|why| *why))).unwrap();
    }

    pub(crate) fn migrate(&mut self) {
        self.feed(&Input::Migrate).unwrap();
    }

    pub(crate) fn updated(&mut self, result: UpdateResult) {
        self.feed(&Input::Updated(result)).unwrap();
    }

    pub(crate) fn feed(&mut self, input: &Input<'_>) -> Result<(), InputError> {
        let result = self.call.handle_input(input.clone(), self.now);
        while let Some(output) = self.call.poll_output() {
            self.playout.advance(self.now);
            match &output {
                Output::Twilio(TwilioMessage::Media(audio)) => self.playout.media(self.now, audio),
                Output::Twilio(TwilioMessage::Mark(name)) => self.playout.mark(name.to_string()),
                Output::Twilio(TwilioMessage::Clear) => self.playout.clear(),
                Output::Agent(..)
                | Output::Admit(_)
                | Output::Update { .. }
                | Output::Fetch(..)
                | Output::RunTools(..)
                | Output::UseBackup
                | Output::Report(_)
                | Output::Close(_) => {}
            }
            self.outputs.push((self.now, output));
        }
        result
    }

    /// Time passes without audio from the caller.
    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        loop {
            let deadline = self.call.poll_timeout().map(|(at, _)| at);
            let mark = self.playout.next_mark_at().filter(|_| self.returns_marks);
            let Some(next) = deadline.into_iter().chain(mark).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            let mut marks = self.playout.advance(self.now);
            marks.retain(|_| self.returns_marks);
            if marks.is_empty() {
                self.feed(&Input::Timeout).unwrap();
            }
            for name in marks {
                self.twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)).unwrap();
            }
        }
        self.now = until;
        self.playout.advance(until);
    }

    /// The caller speaks: a loud square wave. Each frame differs from all others.
    pub(crate) fn speak(&mut self, ms: u64) {
        self.send(ms, 6_000);
    }

    /// The prompt comes back, softer than it was: by 12 dB with an amplitude of 1,900, by 20 dB with one of 770.
    pub(crate) fn echo(&mut self, ms: u64, amplitude: i16) {
        self.send(ms, amplitude);
    }

    /// The agent gives a whole answer with this much audio, over a stream that goes on.
    pub(crate) fn agent_answers(&mut self, stream: u32, ms: usize) {
        self.agent(stream, AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt(ms)], ..Answer::default() })));
        self.agent(stream, empty());
    }

    /// The caller says these words in 400 ms, and the agent understands them.
    pub(crate) fn say(&mut self, stream: u32, words: &str) {
        self.speak(400);
        self.agent(stream, interim(words));
    }

    /// The caller's text comes.
    pub(crate) fn text(&mut self, text: &str) {
        self.feed(&Input::Text(text)).unwrap();
    }

    /// The driver has run these tools, and none has a result.
    pub(crate) fn tools_ran(&mut self, id: u32) {
        self.feed(&Input::ToolsRun(ToolsId(id), Vec::new())).unwrap();
    }

    /// The caller says something, and the agent notices its end.
    pub(crate) fn utter(&mut self, turn: u32, ms: u64) {
        self.speak(ms);
        self.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
    }

    /// The caller is silent: frames go on.
    pub(crate) fn hush(&mut self, ms: u64) {
        self.send(ms, 0);
    }

    /// The caller has spoken for this long while Twilio stalled: all frames come at once.
    pub(crate) fn speech_arrives(&mut self, ms: u64) {
        self.send_each(0, ms, 6_000);
    }

    fn send(&mut self, ms: u64, amplitude: i16) {
        self.send_each(20, ms, amplitude);
    }

    /// Sends frames, one every so many milliseconds.
    fn send_each(&mut self, every_ms: u64, ms: u64, amplitude: i16) {
        for _ in 0..ms / 20 {
            self.wait(every_ms);
            self.send_frame(&frame(self.frames, amplitude));
        }
    }

    /// The next frame comes.
    pub(crate) fn send_frame(&mut self, mulaw: &[u8]) {
        let payload = STANDARD.encode(mulaw);
        self.frames += 1;
        let _ = self.twilio(&format!(
            r#"{{"event":"media","media":{{"track":"inbound","chunk":"{}","payload":"{payload}"}}}}"#,
            self.frames
        ));
    }

    /// All of the caller's audio that this turn got.
    pub(crate) fn written(&self, turn: u32) -> Vec<u8> {
        let mut written = Vec::new();
        for (_, output) in &self.outputs {
            if let Output::Agent(StreamId(id), AgentCommand::Audio(audio)) = output
                && *id == turn
            {
                written.extend_from_slice(audio);
            }
        }
        written
    }

    /// What each `CallerSpeaks` command to that stream says, in order.
    pub(crate) fn caller_speaks(&self, stream: u32) -> Vec<bool> {
        let told = self.outputs.iter().filter_map(|(_, output)| match output {
            Output::Agent(StreamId(id), AgentCommand::CallerSpeaks(speaks)) if *id == stream => Some(*speaks),
            _ => None,
        });
        told.collect()
    }

    /// All commands of that turn except `Audio` and `CallerSpeaks`.
    pub(crate) fn commands(&self, turn: u32) -> Vec<AgentCommand> {
        let commands = self.outputs.iter().filter_map(|(_, output)| match output {
            Output::Agent(StreamId(id), command) if *id == turn => Some(command.clone()),
            _ => None,
        });
        commands.filter(|command| !matches!(command, AgentCommand::Audio(_) | AgentCommand::CallerSpeaks(_))).collect()
    }

    /// The turn's input.
    pub(crate) fn opened_with(&self, turn: u32) -> TurnInput {
        self.start_of(turn).input
    }

    /// The turn's `TurnStart`.
    pub(crate) fn start_of(&self, turn: u32) -> TurnStart {
        match self.commands(turn).first() {
            Some(AgentCommand::Open(start)) => (**start).clone(),
            other => panic!("turn {turn}: {other:?}"),
        }
    }

    /// The stream that was opened last.
    pub(crate) fn last_stream(&self) -> u32 {
        let turn = |output: &Output| match output {
            Output::Agent(StreamId(id), AgentCommand::Open(_)) => Some(*id),
            _ => None,
        };
        self.outputs.iter().rev().find_map(|(_, output)| turn(output)).unwrap_or(0)
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Output) -> bool) -> usize {
        self.outputs.iter().filter(|(_, output)| wanted(output)).count()
    }

    pub(crate) fn clears(&self) -> usize {
        self.count(|output| matches!(output, Output::Twilio(TwilioMessage::Clear)))
    }

    pub(crate) fn reports(&self) -> impl Iterator<Item = &Report> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| if let Output::Report(report) = output { Some(report) } else { None })
    }

    /// How many milliseconds the caller heard of each prompt that was played to its end, by Twilio's marks.
    pub(crate) fn heard(&self) -> Vec<u64> {
        let heard = |report: &Report| match report {
            Report::Played { played_ms, by_mark: true } => Some(*played_ms),
            _ => None,
        };
        self.reports().filter_map(heard).collect()
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.outputs
            .iter()
            .find_map(|(_, output)| if let Output::Close(reason) = output { Some(*reason) } else { None })
    }

    pub(crate) fn update(&self) -> Option<(CallTime, String)> {
        self.outputs.iter().find_map(|(at, output)| match output {
            Output::Update { twiml } => Some((*at, twiml.clone())),
            _ => None,
        })
    }

    /// Milliseconds of audio that went to the caller.
    pub(crate) fn played_ms(&self) -> usize {
        let media = |output: &Output| match output {
            Output::Twilio(TwilioMessage::Media(audio)) => audio.len(),
            _ => 0,
        };
        self.outputs.iter().map(|(_, output)| media(output)).sum::<usize>() / 8
    }

    pub(crate) fn is_playing(&self) -> bool {
        self.playout.is_playing()
    }
}

/// The caller's frame with this number, 160 bytes. Its last four bytes hold the number in quiet codes, so that a test
/// can detect loss, repetition and disorder. Every second one is softer, because the level of a voice is never the
/// same.
pub(crate) fn frame(number: u64, amplitude: i16) -> Vec<u8> {
    let amplitude = if number.is_multiple_of(2) { amplitude } else { amplitude - amplitude / 4 };
    let mut frame: Vec<u8> =
        (0..156).map(|n| linear_to_mulaw(if n % 8 < 4 { amplitude } else { -amplitude })).collect();
    frame.extend((0..4).map(|digit| 0xF0 | (number >> (4 * digit)) as u8 & 0xF));
    frame
}

/// The numbers of the frames in this audio.
pub(crate) fn numbers(audio: &[u8]) -> Vec<u16> {
    let digits = |frame: &[u8]| frame[156..].iter().rev().fold(0, |number, code| number << 4 | u16::from(code & 0xF));
    audio.chunks(160).map(digits).collect()
}

/// A configuration with a change.
pub(crate) fn with(mut config: CallConfig, change: impl FnOnce(&mut CallConfig)) -> CallConfig {
    change(&mut config);
    config
}

pub(crate) fn starting_text() -> CallConfig {
    with(CallConfig::default(), |config| config.starting_input.text = Some("hi".to_owned()))
}

pub(crate) fn prompt(ms: usize) -> Prompt {
    Prompt::new(AudioFormat::TELEPHONE, vec![0x21; ms * 8])
}

/// A final answer with this much audio. Without audio it has nothing to be heard: a payload, and no text.
pub(crate) fn answer(ms: usize) -> Answer {
    let is_heard = ms > 0;
    Answer {
        part: AnswerPart::Final,
        text: if is_heard { "an answer".to_owned() } else { String::new() },
        prompts: if is_heard { vec![prompt(ms)] } else { Vec::new() },
        payloads: if is_heard { Vec::new() } else { vec![json!({ "note": "nothing to say" })] },
        intent: Some(Intent { name: "intents/1".to_owned(), display_name: "order".to_owned() }),
        ..Answer::default()
    }
}

pub(crate) fn answered(ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(answer(ms)))
}

pub(crate) fn goodbye(ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { end: Some(AgentEnd::EndInteraction), ..answer(ms) }))
}

/// Digits as a turn's input.
pub(crate) fn digits(keys: &str, finish: Option<char>) -> TurnInput {
    TurnInput::Digits(Digits { digits: keys.to_owned(), finish_digit: finish }, DigitsForm::Dtmf)
}

/// An empty answer.
pub(crate) fn empty() -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() }))
}

pub(crate) fn interim(text: &str) -> AgentEvent {
    AgentEvent::Transcript(Transcript { text: text.to_owned(), ..Transcript::default() })
}
