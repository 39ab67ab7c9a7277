//! A caller and an agent that is some milliseconds away, each way. Its recogniser hears what arrives when it arrives,
//! and nothing of a stream after it has ended the utterance there.

use std::collections::BTreeMap;

use dialbridge_core::agent::{Answer, Transcript, TurnInput};
use dialbridge_core::audio::FRAME_MS;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, CallTime, Output, Report, StreamId};

use crate::test_call::{TestCall, answer, numbers};

/// How an agent ends an utterance, and what it says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// How far away it is, each way.
    pub(crate) distance_ms: u64,
    /// The silence that ends an utterance.
    pub(crate) silence_ms: u64,
    /// The silence that counts as no-input. 0: never.
    pub(crate) no_speech_ms: u64,
    /// How long it thinks before it answers.
    pub(crate) think_ms: u64,
    pub(crate) transcripts: Transcripts,
    pub(crate) times: Times,
    pub(crate) answers: Answers,
}

/// Which transcripts come, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transcripts {
    BeforeEnd,
    AfterEnd,
    /// None is final. They come while the caller speaks.
    InterimOnly,
    /// The answer alone says what was understood.
    InAnswer,
}

/// What says where the recognised speech ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    OfTranscripts,
    OfEnd,
    Never,
}

/// When the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    AfterHalfClose,
    /// When the utterance is over. The end itself may be said or not.
    AtOnce {
        says_end: bool,
    },
}

impl Habits {
    /// Whether it says where the recognised speech ends.
    pub(crate) fn tells_times(self) -> bool {
        match self.times {
            Times::OfTranscripts => matches!(self.transcripts, Transcripts::BeforeEnd | Transcripts::AfterEnd),
            Times::OfEnd => self.answers != Answers::AtOnce { says_end: false },
            Times::Never => false,
        }
    }
}

pub(crate) const HABITS: Habits = Habits {
    distance_ms: 120,
    silence_ms: 600,
    no_speech_ms: 0,
    think_ms: 300,
    transcripts: Transcripts::BeforeEnd,
    times: Times::OfTranscripts,
    answers: Answers::AfterHalfClose,
};

/// A call with such an agent.
pub(crate) struct FarAgent {
    pub(crate) test: TestCall,
    habits: Habits,
    /// How many of the call's outputs have been sent on their way.
    taken: usize,
    /// What is on its way, by the time of its arrival.
    on_its_way: BTreeMap<(CallTime, usize), Travelling>,
    sent: usize,
    recogniser: Option<Recogniser>,
    /// Whether the caller speaks in each frame.
    spoken: Vec<bool>,
    /// How often a recogniser that listened heard each frame.
    heard: Vec<u32>,
}

#[derive(Debug)]
enum Travelling {
    Command(u32, AgentCommand),
    Event(u32, AgentEvent),
}

/// The recogniser of one stream.
#[derive(Debug)]
struct Recogniser {
    stream: u32,
    is_over: bool,
    /// How many frames it has heard.
    frames: u64,
    spoken: u64,
    /// The end of the speech so far, in frames.
    speech_end: u64,
    has_answered: bool,
}

impl FarAgent {
    pub(crate) fn new(habits: Habits) -> Self {
        Self {
            test: TestCall::started(CallConfig::default()),
            habits,
            taken: 0,
            on_its_way: BTreeMap::new(),
            sent: 0,
            recogniser: None,
            spoken: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn speak(&mut self, ms: u64) {
        self.frames(ms, true);
    }

    pub(crate) fn hush(&mut self, ms: u64) {
        self.frames(ms, false);
    }

    fn frames(&mut self, ms: u64, speaks: bool) {
        for _ in 0..ms / FRAME_MS {
            self.spoken.push(speaks);
            self.heard.push(0);
            if speaks {
                self.test.speak(FRAME_MS)
            } else {
                self.test.hush(FRAME_MS)
            }
            self.travel();
        }
    }

    /// How often a recogniser that listened heard each frame in which the caller speaks.
    pub(crate) fn speech_heard(&self) -> Vec<u32> {
        self.spoken.iter().zip(&self.heard).filter(|(speaks, _)| **speaks).map(|(_, heard)| *heard).collect()
    }

    /// How many frames of silence were heard twice.
    pub(crate) fn silence_heard_twice(&self) -> usize {
        self.spoken.iter().zip(&self.heard).filter(|(speaks, heard)| !**speaks && **heard > 1).count()
    }

    /// How many milliseconds each turn got again.
    pub(crate) fn resent(&self) -> Vec<u64> {
        let resent = |report: &Report| match report {
            Report::TurnOpened { resent_ms, .. } if *resent_ms > 0 => Some(*resent_ms),
            _ => None,
        };
        self.test.reports().filter_map(resent).collect()
    }

    /// Everything arrives that is due.
    fn travel(&mut self) {
        loop {
            self.take_commands();
            let Some(next) = self.on_its_way.first_entry().filter(|next| next.key().0 <= self.test.now) else { break };
            match next.remove() {
                Travelling::Command(stream, command) => self.arrives(stream, command),
                Travelling::Event(stream, event) => self.test.agent(stream, event),
            }
        }
    }

    fn take_commands(&mut self) {
        let new: Vec<_> = self.test.outputs[self.taken..].to_vec();
        self.taken += new.len();
        for (at, output) in new {
            if let Output::Agent(StreamId(stream), command) = output {
                self.send(at + self.habits.distance_ms, Travelling::Command(stream, command));
            }
        }
    }

    fn send(&mut self, arrives_at: CallTime, what: Travelling) {
        self.sent += 1;
        self.on_its_way.insert((arrives_at, self.sent), what);
    }

    fn say(&mut self, stream: u32, event: AgentEvent) {
        self.send(self.test.now + self.habits.distance_ms, Travelling::Event(stream, event));
    }

    fn arrives(&mut self, stream: u32, command: AgentCommand) {
        match command {
            AgentCommand::Open(start) => {
                assert_eq!(start.input, TurnInput::Audio, "this agent only listens");
                let (is_over, frames, spoken, speech_end, has_answered) = (false, 0, 0, 0, false);
                self.recogniser = Some(Recogniser { stream, is_over, frames, spoken, speech_end, has_answered });
            }
            AgentCommand::Audio(audio) => numbers(&audio).into_iter().for_each(|number| self.hear(number)),
            AgentCommand::HalfClose => self.half_closed(),
            AgentCommand::Cancel | AgentCommand::Done => self.recogniser = None,
            AgentCommand::Send(_) | AgentCommand::Parameters(_) | AgentCommand::CallerSpeaks(_) => {}
        }
    }

    fn hear(&mut self, number: u16) {
        let Habits { silence_ms, no_speech_ms, transcripts, .. } = self.habits;
        let Some(recogniser) = self.recogniser.as_mut().filter(|recogniser| !recogniser.is_over) else { return };
        self.heard[usize::from(number)] += 1;
        recogniser.frames += 1;
        if self.spoken[usize::from(number)] {
            recogniser.spoken += 1;
            recogniser.speech_end = recogniser.frames;
            if transcripts == Transcripts::InterimOnly && recogniser.spoken.is_multiple_of(5) {
                let (stream, transcript) = (recogniser.stream, self.transcript(false));
                self.say(stream, transcript);
            }
        } else if recogniser.spoken > 0 {
            let silence = recogniser.frames - recogniser.speech_end;
            if silence * FRAME_MS >= silence_ms {
                self.end();
            }
        } else if no_speech_ms > 0 && recogniser.frames * FRAME_MS >= no_speech_ms {
            self.end();
        }
    }

    /// The utterance is over, here.
    fn end(&mut self) {
        let Some(recogniser) = &mut self.recogniser else { return };
        recogniser.is_over = true;
        let (stream, end_ms) = (recogniser.stream, recogniser.speech_end * FRAME_MS);
        let end_ms = Some(end_ms).filter(|_| self.habits.times == Times::OfEnd && recogniser.spoken > 0);
        let is_final = matches!(self.habits.transcripts, Transcripts::BeforeEnd | Transcripts::AfterEnd);
        let words = (recogniser.spoken > 0 && is_final).then(|| self.transcript(true));
        let end = AgentEvent::EndOfUtterance { end_ms };
        let end = Some(end).filter(|_| self.habits.answers != Answers::AtOnce { says_end: false });
        let comes_last = self.habits.transcripts == Transcripts::AfterEnd;
        let events = if comes_last { [end, words] } else { [words, end] };
        events.into_iter().flatten().for_each(|event| self.say(stream, event));
        if matches!(self.habits.answers, Answers::AtOnce { .. }) {
            self.answer();
        }
    }

    fn half_closed(&mut self) {
        let Some(recogniser) = &mut self.recogniser else { return };
        recogniser.is_over = true;
        self.answer();
    }

    fn answer(&mut self) {
        let Some(recogniser) = self.recogniser.as_mut().filter(|recogniser| !recogniser.has_answered) else { return };
        recogniser.has_answered = true;
        let query_text = if recogniser.spoken > 0 { "words".to_owned() } else { String::new() };
        let answer = AgentEvent::Answer(Box::new(Answer { query_text, ..answer(60) }));
        let (stream, at) = (recogniser.stream, self.test.now + self.habits.think_ms + self.habits.distance_ms);
        self.send(at, Travelling::Event(stream, answer));
    }

    fn transcript(&self, is_final: bool) -> AgentEvent {
        let end_ms = self.recogniser.as_ref().map(|recogniser| recogniser.speech_end * FRAME_MS);
        let end_ms = end_ms.filter(|_| self.habits.times == Times::OfTranscripts);
        AgentEvent::Transcript(Transcript { text: "words".to_owned(), is_final, end_ms, ..Transcript::default() })
    }
}
