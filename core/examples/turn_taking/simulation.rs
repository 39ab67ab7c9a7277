//! A call on virtual time: the call logic of the service, Twilio's playout, and a recogniser.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::audio::FRAME_MS;
use dialbridge_core::audio::g711::mulaw_to_linear;
use dialbridge_core::replay::Playout;
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{AgentCommand, AgentEvent, Call, CallConfig, CallTime, Input, Output, Report, StreamId};

use crate::detection::mulaw;
use crate::random::Random;
use crate::recogniser::{Kind, Recogniser};
use crate::speech::SpokenWord;

/// How late the echo of a prompt is, in milliseconds.
const ECHO_MS: u64 = 150;

/// A call and what is around it.
pub(crate) struct Simulation {
    call: Call,
    pub(crate) now_ms: u64,
    frames: u64,
    playout: Playout,
    recogniser: Option<(StreamId, Recogniser)>,
    kind: Kind,
    /// What the recogniser can hear.
    pub(crate) words: Vec<SpokenWord>,
    events: BTreeMap<(u64, u64), (StreamId, AgentEvent)>,
    scheduled: u64,
    random: Random,
    waited_ms: u64,
    /// When an utterance was half-closed.
    pub(crate) half_closed_ms: Option<u64>,
    /// When each `clear` was sent.
    pub(crate) clears_ms: Vec<u64>,
    /// When the first audio was sent.
    pub(crate) prompt_ms: Option<u64>,
    /// Whether the prompt is being heard.
    pub(crate) is_playing: bool,
}

impl Simulation {
    pub(crate) fn new(config: CallConfig, kind: Kind, random: Random) -> Self {
        let mut simulation = Self {
            call: Call::new(Arc::new(config), CallTime::START),
            now_ms: 0,
            frames: 0,
            playout: Playout::default(),
            recogniser: None,
            kind,
            words: Vec::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            random,
            waited_ms: 0,
            half_closed_ms: None,
            clears_ms: Vec::new(),
            prompt_ms: None,
            is_playing: false,
        };
        let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;
        simulation.feed(&Input::Twilio(start));
        simulation
    }

    /// 20 ms of the caller's audio come. What the caller hears comes back in it, at that gain.
    pub(crate) fn frame(&mut self, samples: &[f64], echo: f64) {
        self.pass_time(FRAME_MS);
        let mut heard = samples.to_vec();
        if echo > 0.0 {
            let from = ((self.now_ms.saturating_sub(FRAME_MS + ECHO_MS)) * 8) as usize;
            let played = self.playout.heard();
            for (n, sample) in heard.iter_mut().enumerate().filter(|_| self.now_ms >= FRAME_MS + ECHO_MS) {
                *sample += played.get(from + n).map_or(0.0, |code| f64::from(mulaw_to_linear(*code)) * echo);
            }
        }
        let payload = STANDARD.encode(mulaw(&heard));
        self.frames += 1;
        let mut text = String::new();
        let _ = write!(text, r#"{{"event":"media","media":{{"track":"inbound","payload":"{payload}"}}}}"#);
        self.feed(&Input::Twilio(&text));
    }

    /// The agent sends something on the first stream.
    pub(crate) fn agent(&mut self, stream: u32, event: AgentEvent) {
        self.feed(&Input::Agent(StreamId(stream), event));
    }

    fn pass_time(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        loop {
            let deadline = self.call.poll_timeout().map(|(at, _)| at.as_ms());
            let mark = self.playout.next_mark_at().map(CallTime::as_ms);
            let event = self.events.keys().next().map(|(at, _)| *at);
            let Some(next) = deadline.into_iter().chain(mark).chain(event).min().filter(|at| *at <= until) else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            if event.is_some_and(|at| at <= self.now_ms) {
                if let Some((_, (stream, event))) = self.events.pop_first() {
                    self.feed(&Input::Agent(stream, event));
                }
                continue;
            }
            let marks = self.playout.advance(CallTime::from_ms(self.now_ms));
            if marks.is_empty() {
                self.feed(&Input::Timeout);
            }
            for name in marks {
                self.feed(&Input::Twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)));
            }
        }
        self.now_ms = until;
        self.playout.advance(CallTime::from_ms(until));
        self.is_playing = self.playout.is_playing();
    }

    fn feed(&mut self, input: &Input<'_>) {
        let _ = self.call.handle_input(input.clone(), CallTime::from_ms(self.now_ms));
        while let Some(output) = self.call.poll_output() {
            self.playout.advance(CallTime::from_ms(self.now_ms));
            match output {
                Output::Twilio(message) => self.on_twilio(&message),
                Output::Agent(stream, command) => self.on_command(stream, command),
                Output::Report(Report::TurnOpened { waited_ms, .. }) => self.waited_ms = waited_ms,
                _ => {}
            }
        }
    }

    fn on_twilio(&mut self, message: &TwilioMessage) {
        match message {
            TwilioMessage::Media(audio) => {
                self.prompt_ms.get_or_insert(self.now_ms);
                self.playout.media(CallTime::from_ms(self.now_ms), audio);
            }
            TwilioMessage::Mark(name) => self.playout.mark(name.to_string()),
            TwilioMessage::Clear => {
                self.playout.clear();
                self.clears_ms.push(self.now_ms);
            }
        }
    }

    fn on_command(&mut self, stream: StreamId, command: AgentCommand) {
        match command {
            AgentCommand::Open(start) => {
                let began_ms = (self.frames * FRAME_MS).saturating_sub(self.waited_ms);
                self.recogniser = Some((stream, Recogniser::new(self.kind, began_ms, start.agent_ends)));
            }
            AgentCommand::Audio(audio) => {
                let Some((of, recogniser)) = &mut self.recogniser else { return };
                let ms = (audio.len() / 8) as u64;
                for (at, event) in recogniser.hear(ms, &self.words, self.now_ms, &mut self.random) {
                    self.scheduled += 1;
                    self.events.insert((at, self.scheduled), (*of, event));
                }
            }
            AgentCommand::HalfClose => {
                self.half_closed_ms.get_or_insert(self.now_ms);
            }
            _ => {}
        }
    }
}
