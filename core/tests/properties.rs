//! Properties of a call that hold whatever comes in, in whatever order.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{AgentEnd, AgentFault, Answer, AnswerPart, Matched, Prompt, ToolCall, Transcript};
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::config::{BargeInMode, CallLimits, Clip, NoInput, StreamShape};
use dialbridge_core::report::BargeInBy;
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallTime, FetchId, Input, MarkName, Output, Report, StreamId, Timer,
    UpdateResult,
};
use proptest::prelude::*;

/// One event in a call.
#[derive(Debug, Clone)]
enum Op {
    Media {
        loud: bool,
        bytes: u8,
    },
    /// The mark that was sent this many marks ago comes back.
    Mark(u8),
    Key(char),
    Text(String),
    Binary,
    /// The stream of the last turn, or of one this many turns ago, sends an event.
    Agent(u8, AgentEvent),
    /// The fetch from this many fetches ago succeeds or fails.
    Fetched(u8, bool),
    Updated(UpdateResult),
    /// Time passes and due deadlines are met.
    Wait(u16),
    Stop,
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let format = prop_oneof![
        8 => Just(AudioFormat::TELEPHONE),
        1 => Just(AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 }),
        1 => Just(AudioFormat { encoding: Encoding::Linear16, sample_rate: 1 }),
    ];
    let flags =
        (any::<bool>(), prop_oneof![4 => Just(false), 1 => Just(true)], prop_oneof![6 => Just(false), 1 => Just(true)]);
    (format, 0_usize..20_000, flags).prop_map(|(format, bytes, (interruptible, cancellable, fetched))| Prompt {
        format,
        audio: if fetched { Bytes::new() } else { vec![0x55; bytes].into() },
        uri: fetched.then(|| "https://example.com/a.wav".to_owned()),
        interruptible,
        cancellable,
    })
}

fn answer() -> impl Strategy<Value = AgentEvent> {
    let part = prop_oneof![Just(AnswerPart::Final), Just(AnswerPart::Open), Just(AnswerPart::Partial)];
    let end = prop_oneof![9 => Just(None), 1 => Just(Some(AgentEnd::EndInteraction))];
    let tools = prop_oneof![9 => Just(0), 1 => 1_usize..3].prop_map(|count| vec![ToolCall::default(); count]);
    let words = (any::<bool>(), any::<bool>());
    (part, prop::collection::vec(prompt(), 0..3), end, tools, words).prop_map(
        |(part, prompts, end, tool_calls, (spoken, silent))| {
            let query_text = if spoken { "words".to_owned() } else { String::new() };
            let matched = if silent { Matched::NoInput } else { Matched::Yes };
            AgentEvent::Answer(Box::new(Answer {
                part,
                prompts,
                end,
                tool_calls,
                query_text,
                matched,
                ..Answer::default()
            }))
        },
    )
}

fn agent_event() -> impl Strategy<Value = AgentEvent> {
    let transcript = (any::<bool>(), proptest::option::of(0_u64..5_000)).prop_map(|(is_final, end_ms)| {
        AgentEvent::Transcript(Transcript { text: "some words".to_owned(), is_final, end_ms, ..Transcript::default() })
    });
    let failed = any::<bool>().prop_map(|transient| {
        AgentEvent::Failed(AgentFault { code: "X".to_owned(), message: String::new(), transient })
    });
    prop_oneof![
        4 => transcript,
        4 => Just(AgentEvent::EndOfUtterance { end_ms: None }),
        6 => answer(),
        2 => Just(AgentEvent::Ended),
        2 => failed,
        1 => any::<bool>().prop_map(|barge_in| AgentEvent::Interrupted { barge_in }),
        1 => Just(AgentEvent::GoAway),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let updated =
        prop_oneof![Just(UpdateResult::Accepted), Just(UpdateResult::CallGone), Just(UpdateResult::Impossible)];
    prop_oneof![
        30 => (any::<bool>(), prop_oneof![9 => Just(160), 1 => 0_u8..]).prop_map(|(loud, bytes)| Op::Media { loud, bytes }),
        5 => (0_u8..8).prop_map(Op::Mark),
        3 => prop::sample::select(vec!['1', '2', '#', '*']).prop_map(Op::Key),
        2 => "\\PC{0,40}".prop_map(Op::Text),
        1 => Just(Op::Text(r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#.to_owned())),
        1 => Just(Op::Binary),
        20 => (prop_oneof![9 => Just(0_u8), 1 => 0_u8..4], agent_event()).prop_map(|(back, event)| Op::Agent(back, event)),
        2 => (0_u8..3, any::<bool>()).prop_map(|(back, is_there)| Op::Fetched(back, is_there)),
        1 => updated.prop_map(Op::Updated),
        10 => (0_u16..3_000).prop_map(Op::Wait),
        1 => Just(Op::Stop),
    ]
}

/// Configurations of a call, most of them ordinary.
fn settings() -> impl Strategy<Value = CallConfig> {
    let shape = prop_oneof![3 => Just(StreamShape::PerTurn), 1 => Just(StreamShape::PerSession)];
    let mode = prop_oneof![1 => Just(BargeInMode::Off), 2 => Just(BargeInMode::Speech), 1 => Just(BargeInMode::Voice)];
    let backed = any::<bool>();
    (mode, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), shape, backed).prop_map(
        |(mode, greets, knows, events, fills, shape, backed)| {
            let mut config =
                CallConfig { audio_limit_ms: 20_000, knows_prompts: knows, shape, ..CallConfig::default() };
            config.barge_in.mode = mode;
            config.starting_input.text = greets.then(|| "hi".to_owned());
            if events {
                config.no_input = NoInput { event: Some("silence".to_owned()), after_ms: 4_000 };
                config.limits = CallLimits { call_ms: 60_000, silence_ms: 20_000, failed_turns: 5, no_input_turns: 3 };
                config.barge_in.heard_parameter = Some("heard".to_owned());
            }
            config.fillers.greeting_after_ms = 2_000;
            if fills {
                let clip = Some(Clip(vec![0x33; 16_000].into()));
                config.fillers.thinking = clip.clone();
                config.fillers.thinking_after_ms = 500;
                config.fillers.retrying = clip;
            }
            if backed {
                let shape = match shape {
                    StreamShape::PerTurn => StreamShape::PerSession,
                    StreamShape::PerSession => StreamShape::PerTurn,
                };
                config.backup = Some(Box::new(CallConfig { shape, ..config.clone() }));
            }
            config
        },
    )
}

/// A call and everything it has done.
struct Run {
    call: Call,
    now: CallTime,
    outputs: Vec<(CallTime, Output)>,
    /// Whether an unrequested `Timeout` follows each input.
    restless: bool,
    sent: Vec<u8>,
    /// The number of inputs so far, and for each output the input that caused it.
    inputs: usize,
    of_input: Vec<usize>,
    /// The prompts, each with audio of a byte of its own, and the input that each came with.
    prompts: Vec<(Prompt, usize)>,
    /// Returned marks, each with the number of outputs at that time.
    heard: Vec<(MarkName, usize)>,
    /// When the call gave up marks, as numbers of outputs. Audio without a returned mark counts as heard then.
    given_up: Vec<usize>,
}

impl Run {
    fn new(config: CallConfig, restless: bool) -> Self {
        let call = Call::new(Arc::new(config), CallTime::START);
        let mut run = Self {
            call,
            now: CallTime::START,
            outputs: Vec::new(),
            restless,
            sent: Vec::new(),
            prompts: Vec::new(),
            heard: Vec::new(),
            given_up: Vec::new(),
            inputs: 0,
            of_input: Vec::new(),
        };
        let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;
        run.feed(&Input::Twilio(start));
        run
    }

    fn feed(&mut self, input: &Input<'_>) {
        self.inputs += 1;
        let _ = self.call.handle_input(input.clone(), self.now);
        self.drain();
        let is_due = self.call.poll_timeout().is_some_and(|(at, _)| at <= self.now);
        if self.restless && !is_due {
            self.call.handle_input(Input::Timeout, self.now).unwrap();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            self.outputs.push((self.now, output));
            self.of_input.push(self.inputs);
        }
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some((at, timer)) = self.call.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            if timer == Timer::MarkTimeout {
                let so_far = self.outputs.len();
                self.heard.extend(self.marks().into_iter().map(|mark| (mark, so_far)));
                self.given_up.push(so_far);
            }
            self.feed(&Input::Timeout);
        }
        self.now = until;
    }

    fn happen(&mut self, op: &Op) {
        match op {
            Op::Media { loud, bytes } => {
                let wave = |n| if n % 16 < 8 { 0x12 } else { 0x92 };
                let audio: Vec<u8> = (0..*bytes).map(|n| if *loud { wave(n) } else { 0xFF }).collect();
                let payload = STANDARD.encode(&audio);
                self.sent.extend_from_slice(&audio);
                self.feed(&Input::Twilio(&format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)));
            }
            Op::Mark(back) => {
                let marks = self.marks();
                if let Some(name) = marks.iter().rev().nth(usize::from(*back)) {
                    let so_far = self.outputs.len();
                    self.heard
                        .extend(marks.iter().filter(|mark| mark.number <= name.number).map(|mark| (*mark, so_far)));
                    self.feed(&Input::Twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)));
                }
            }
            Op::Key(key) => self.feed(&Input::Twilio(&format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{key}"}}}}"#))),
            Op::Text(text) => self.feed(&Input::Twilio(text)),
            Op::Binary => self.feed(&Input::TwilioBinary),
            Op::Agent(back, event) => {
                let turn = StreamId(self.last_stream().saturating_sub(u32::from(*back)));
                let event = self.numbered(event.clone());
                self.feed(&Input::Agent(turn, event));
            }
            Op::Fetched(back, is_there) => {
                let fetches = self.outputs.iter().rev().filter_map(|(_, output)| fetch(output));
                if let Some(id) = fetches.clone().nth(usize::from(*back)) {
                    let wav = write_wav(1, AudioFormat::TELEPHONE, &[0xFD; 4_000]);
                    self.feed(&Input::Fetched(id, if *is_there { Ok(&wav) } else { Err("404") }));
                }
            }
            Op::Updated(result) => self.feed(&Input::Updated(*result)),
            Op::Wait(ms) => self.wait(u64::from(*ms)),
            Op::Stop => self.feed(&Input::Twilio(r#"{"event":"stop"}"#)),
        }
    }

    /// Gives each prompt of an answer audio of a byte of its own, so that we can find it again.
    fn numbered(&mut self, event: AgentEvent) -> AgentEvent {
        let AgentEvent::Answer(mut answer) = event else { return event };
        for prompt in &mut answer.prompts {
            let byte = u8::try_from(self.prompts.len() % 0xF0).unwrap();
            prompt.audio = vec![byte; prompt.audio.len()].into();
            self.prompts.push((prompt.clone(), self.inputs + 1));
        }
        AgentEvent::Answer(answer)
    }

    /// The prompt that this audio belongs to, and when it came. `None` for fetched and converted audio and for fillers.
    fn prompt_of(&self, audio: &[u8]) -> Option<&(Prompt, usize)> {
        let byte = *audio.first()?;
        let is_one = |(prompt, _): &&(Prompt, usize)| {
            prompt.format == AudioFormat::TELEPHONE && prompt.audio.first() == Some(&byte)
        };
        let known: Vec<_> = self.prompts.iter().filter(is_one).collect();
        if known.len() == 1 && self.prompts.len() < 0xF0 { known.first().copied() } else { None }
    }

    fn marks(&self) -> Vec<MarkName> {
        let mark =
            |output: &Output| if let Output::Twilio(TwilioMessage::Mark(name)) = output { Some(*name) } else { None };
        self.outputs.iter().filter_map(|(_, output)| mark(output)).collect()
    }

    fn last_stream(&self) -> u32 {
        self.commands()
            .filter(|(_, command)| matches!(command, AgentCommand::Open(_)))
            .map(|(turn, _)| turn)
            .last()
            .unwrap_or(0)
    }

    fn commands(&self) -> impl Iterator<Item = (u32, &AgentCommand)> {
        self.outputs.iter().filter_map(|(_, output)| match output {
            Output::Agent(StreamId(turn), command) => Some((*turn, command)),
            _ => None,
        })
    }
}

fn fetch(output: &Output) -> Option<FetchId> {
    if let Output::Fetch(id, _) = output { Some(*id) } else { None }
}

fn greeted() -> CallConfig {
    let mut config = CallConfig { audio_limit_ms: 20_000, ..CallConfig::default() };
    config.starting_input.text = Some("hi".to_owned());
    config
}

fn run(ops: &[Op], config: &CallConfig, restless: bool) -> Run {
    let mut run = Run::new(config.clone(), restless);
    for op in ops {
        run.happen(op);
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn turns_are_opened_one_after_the_other_and_each_keeps_its_order(
        ops in prop::collection::vec(op(), 0..150), config in settings(),
    ) {
        let run = run(&ops, &config, false);
        let mut open: Option<(u32, bool)> = None;
        let mut last = 0;
        for (turn, command) in run.commands() {
            match command {
                AgentCommand::Open(_) => {
                    prop_assert_eq!(turn, last + 1);
                    last = turn;
                    open = Some((turn, false));
                }
                AgentCommand::Audio(audio) => {
                    prop_assert_eq!(open, Some((turn, false)));
                    prop_assert!(!audio.is_empty() && audio.len() <= dialbridge_core::agent::MAX_AUDIO_BYTES);
                }
                AgentCommand::Send(_) | AgentCommand::Parameters(_) | AgentCommand::CallerSpeaks(_) => {
                    prop_assert_eq!(open, Some((turn, false)));
                    let shapes = [Some(config.shape), config.backup.as_ref().map(|backup| backup.shape)];
                    prop_assert!(shapes.contains(&Some(StreamShape::PerSession)));
                }
                AgentCommand::HalfClose => {
                    prop_assert_eq!(open, Some((turn, false)));
                    open = Some((turn, true));
                }
                AgentCommand::Cancel | AgentCommand::Done => {
                    prop_assert!(open.is_some_and(|(id, _)| id == turn));
                    open = None;
                }
            }
        }
    }

    #[test]
    fn extra_timeouts_change_nothing(ops in prop::collection::vec(op(), 0..100), config in settings()) {
        let (calm, restless) = (run(&ops, &config, false), run(&ops, &config, true));
        prop_assert_eq!(calm.outputs, restless.outputs);
    }

    #[test]
    fn every_byte_of_the_callers_is_accounted_for(ops in prop::collection::vec(op(), 0..150), config in settings()) {
        let mut run = run(&ops, &config, false);
        run.feed(&Input::TwilioClosed);
        let account = run.outputs.iter().find_map(|(_, output)| match output {
            Output::Report(Report::Ended { audio, .. }) => Some(*audio),
            _ => None,
        });
        let account = account.unwrap();
        prop_assert_eq!(account.received, account.written + account.dropped + account.after_end + account.left);
        prop_assert!(account.withheld <= account.received);
        let written: usize = run.commands().map(|(_, command)| if let AgentCommand::Audio(audio) = command { audio.len() } else { 0 }).sum();
        prop_assert_eq!(written as u64, account.written + account.resent);
    }

    #[test]
    fn without_failures_the_agent_gets_what_the_caller_said_in_order(
        ops in prop::collection::vec(op(), 0..150), config in settings(),
    ) {
        let harmless = |op: &&Op| !matches!(op, Op::Agent(_, AgentEvent::Failed(_) | AgentEvent::Ended));
        let ops: Vec<Op> = ops.iter().filter(harmless).filter(|op| !matches!(op, Op::Wait(ms) if *ms > 500)).cloned().collect();
        let mut run = run(&ops, &config, false);
        run.feed(&Input::TwilioClosed);
        let is_overdue = |report: &Report| matches!(report, Report::TurnFailed { .. } | Report::TurnUnanswered { .. } | Report::AudioDropped { .. })
            || matches!(report, Report::Ended { audio, .. } if audio.resent > 0);
        prop_assume!(!run.outputs.iter().any(|(_, output)| matches!(output, Output::Report(report) if is_overdue(report))));
        let written: Vec<u8> = run.commands().filter_map(|(_, command)| if let AgentCommand::Audio(audio) = command { Some(audio.clone()) } else { None }).flatten().collect();
        let account = run.sent.iter().zip(&written).filter(|(sent, written)| sent != written).count();
        prop_assert!(written.len() <= run.sent.len());
        prop_assert!(account == 0 || !config.knows_prompts, "what is withheld goes as silence, and nothing else is changed");
        let silenced = run.sent.iter().zip(&written).filter(|(sent, written)| sent != written).all(|(_, written)| *written == 0xFF);
        prop_assert!(silenced);
    }

    #[test]
    fn a_clear_cuts_nothing_that_may_not_be_cut(ops in prop::collection::vec(op(), 0..150), config in settings()) {
        let run = run(&ops, &config, false);
        let mut queued: Vec<(MarkName, Vec<&Prompt>)> = Vec::new();
        let mut open: Vec<&Prompt> = Vec::new();
        for (at, (_, output)) in run.outputs.iter().enumerate() {
            if run.given_up.contains(&at) {
                open.clear();
            }
            match output {
                Output::Twilio(TwilioMessage::Media(audio)) => open.extend(run.prompt_of(audio).map(|(prompt, _)| prompt)),
                Output::Twilio(TwilioMessage::Mark(name)) => queued.push((*name, std::mem::take(&mut open))),
                Output::Twilio(TwilioMessage::Clear) => {
                    let unheard = || queued.iter().filter(|(name, _)| !run.heard.iter().any(|(heard, before)| heard == name && *before <= at)).flat_map(|(_, prompts)| prompts).chain(&open);
                    let interruptible = unheard().all(|prompt| prompt.interruptible);
                    let cancellable = unheard().all(|prompt| prompt.cancellable);
                    // An agent may stop its own prompt.
                    let by_agent = matches!(run.outputs.get(at + 1), Some((_, Output::Report(Report::BargeIn { by: BargeInBy::Agent, .. }))));
                    prop_assert!(interruptible || cancellable || by_agent);
                    queued.clear();
                    open.clear();
                }
                _ => {}
            }
        }
    }

    #[test]
    fn after_a_barge_in_nothing_of_an_older_answer_is_played(ops in prop::collection::vec(op(), 0..150), config in settings()) {
        let run = run(&ops, &config, false);
        let mut cut_at = 0;
        for ((_, output), of_input) in run.outputs.iter().zip(&run.of_input) {
            match output {
                Output::Report(Report::BargeIn { .. }) => cut_at = *of_input,
                Output::Twilio(TwilioMessage::Media(audio)) => {
                    if let Some((_, given_at)) = run.prompt_of(audio) {
                        prop_assert!(*given_at >= cut_at, "given in input {given_at}, cut in {cut_at}");
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn marks_are_sent_once_and_in_order_and_each_epoch_begins_with_a_clear(
        ops in prop::collection::vec(op(), 0..150), config in settings(),
    ) {
        let run = run(&ops, &config, false);
        let marks = run.marks();
        prop_assert!(marks.windows(2).all(|pair| pair[0].number < pair[1].number && pair[0].epoch <= pair[1].epoch));
        prop_assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), marks.len());
        let mut clears = 0;
        for (_, output) in &run.outputs {
            match output {
                Output::Twilio(TwilioMessage::Clear) => clears += 1,
                Output::Twilio(TwilioMessage::Mark(name)) => prop_assert_eq!(name.epoch, clears),
                _ => {}
            }
        }
    }

    #[test]
    fn after_close_there_is_nothing(ops in prop::collection::vec(op(), 0..150), more in prop::collection::vec(op(), 0..20)) {
        let mut run = run(&ops, &greeted(), false);
        run.feed(&Input::TwilioClosed);
        let closes = run.outputs.iter().filter(|(_, output)| matches!(output, Output::Close(_))).count();
        prop_assert_eq!(closes, 1);
        prop_assert!(matches!(run.outputs.last(), Some((_, Output::Close(_)))));
        let before = run.outputs.len();
        for op in &more {
            run.happen(op);
        }
        prop_assert_eq!(run.outputs.len(), before);
        prop_assert_eq!(run.call.poll_timeout(), None);
    }

    #[test]
    fn what_an_earlier_turn_still_says_changes_nothing(ops in prop::collection::vec(op(), 0..100)) {
        let mut run = Run::new(greeted(), false);
        for op in &ops {
            let before = run.outputs.len();
            let is_old = matches!(op, Op::Agent(back, _) if *back > 0) && run.last_stream() > 0;
            run.happen(op);
            prop_assert!(!is_old || run.outputs.len() == before, "{op:?}");
        }
    }

    #[test]
    fn a_call_that_is_left_alone_ends_or_listens(ops in prop::collection::vec(op(), 0..100)) {
        let mut run = run(&ops, &greeted(), false);
        run.wait(600_000);
        let waits = run.call.poll_timeout();
        prop_assert!(run.call.is_closed() || waits.is_none(), "still waiting for {waits:?} after ten minutes");
    }
}
