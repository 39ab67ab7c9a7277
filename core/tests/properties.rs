//! What holds for a call whatever comes in, in whatever order.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{AgentEnd, AgentFault, Answer, AnswerPart, Prompt, Transcript};
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallTime, Input, MarkName, Output, Report, TurnId, UpdateResult,
};
use proptest::prelude::*;

/// One thing that happens to a call.
#[derive(Debug, Clone)]
enum Op {
    Media {
        loud: bool,
        bytes: u8,
    },
    /// The mark that was sent that many marks ago comes back.
    Mark(u8),
    Text(String),
    Binary,
    /// The stream of the last turn, or of one so many before, says something.
    Agent(u8, AgentEvent),
    Updated(UpdateResult),
    /// Time passes, and what is due is met.
    Wait(u16),
    Stop,
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let format = prop_oneof![
        8 => Just(AudioFormat::TELEPHONE),
        1 => Just(AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 }),
        1 => Just(AudioFormat { encoding: Encoding::Linear16, sample_rate: 1 }),
    ];
    (format, 0_usize..20_000, any::<bool>()).prop_map(|(format, bytes, interruptible)| Prompt {
        format,
        audio: vec![0x55; bytes],
        interruptible,
    })
}

fn answer() -> impl Strategy<Value = AgentEvent> {
    let part = prop_oneof![Just(AnswerPart::Final), Just(AnswerPart::Open), Just(AnswerPart::Partial)];
    let end = prop_oneof![9 => Just(None), 1 => Just(Some(AgentEnd::EndInteraction))];
    (part, prop::collection::vec(prompt(), 0..3), end, any::<bool>()).prop_map(|(part, prompts, end, spoken)| {
        let query_text = if spoken { "words".to_owned() } else { String::new() };
        AgentEvent::Answer(Box::new(Answer { part, prompts, end, query_text, ..Answer::default() }))
    })
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
        4 => Just(AgentEvent::EndOfUtterance),
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
        2 => "\\PC{0,40}".prop_map(Op::Text),
        1 => Just(Op::Text(r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#.to_owned())),
        1 => Just(Op::Binary),
        20 => (prop_oneof![9 => Just(0_u8), 1 => 0_u8..4], agent_event()).prop_map(|(back, event)| Op::Agent(back, event)),
        1 => updated.prop_map(Op::Updated),
        10 => (0_u16..3_000).prop_map(Op::Wait),
        1 => Just(Op::Stop),
    ]
}

/// A call and all it has done.
struct Run {
    call: Call,
    now: CallTime,
    outputs: Vec<(CallTime, Output)>,
    /// Whether each input is followed by a `Timeout` that nothing asked for.
    restless: bool,
    sent: Vec<u8>,
}

impl Run {
    fn new(config: CallConfig, restless: bool) -> Self {
        let call = Call::new(Arc::new(config), CallTime::START);
        let mut run = Self { call, now: CallTime::START, outputs: Vec::new(), restless, sent: Vec::new() };
        let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;
        run.feed(&Input::Twilio(start));
        run
    }

    fn feed(&mut self, input: &Input<'_>) {
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
        }
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some((at, _)) = self.call.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.feed(&Input::Timeout);
        }
        self.now = until;
    }

    fn happen(&mut self, op: &Op) {
        match op {
            Op::Media { loud, bytes } => {
                let audio = vec![if *loud { 0x12 } else { 0xFF }; usize::from(*bytes)];
                let payload = STANDARD.encode(&audio);
                self.sent.extend_from_slice(&audio);
                self.feed(&Input::Twilio(&format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)));
            }
            Op::Mark(back) => {
                let marks = self.marks();
                if let Some(name) = marks.iter().rev().nth(usize::from(*back)) {
                    self.feed(&Input::Twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)));
                }
            }
            Op::Text(text) => self.feed(&Input::Twilio(text)),
            Op::Binary => self.feed(&Input::TwilioBinary),
            Op::Agent(back, event) => {
                let turn = TurnId(self.last_turn().saturating_sub(u32::from(*back)));
                self.feed(&Input::Agent(turn, event.clone()));
            }
            Op::Updated(result) => self.feed(&Input::Updated(*result)),
            Op::Wait(ms) => self.wait(u64::from(*ms)),
            Op::Stop => self.feed(&Input::Twilio(r#"{"event":"stop"}"#)),
        }
    }

    fn marks(&self) -> Vec<MarkName> {
        let mark =
            |output: &Output| if let Output::Twilio(TwilioMessage::Mark(name)) = output { Some(*name) } else { None };
        self.outputs.iter().filter_map(|(_, output)| mark(output)).collect()
    }

    fn last_turn(&self) -> u32 {
        self.commands()
            .filter(|(_, command)| matches!(command, AgentCommand::Open(_)))
            .map(|(turn, _)| turn)
            .last()
            .unwrap_or(0)
    }

    fn commands(&self) -> impl Iterator<Item = (u32, &AgentCommand)> {
        self.outputs.iter().filter_map(|(_, output)| match output {
            Output::Agent(TurnId(turn), command) => Some((*turn, command)),
            _ => None,
        })
    }
}

fn config(greets: bool) -> CallConfig {
    let mut config = CallConfig { audio_limit_ms: 20_000, ..CallConfig::default() };
    config.greeting.text = greets.then(|| "hi".to_owned());
    config
}

fn run(ops: &[Op], greets: bool, restless: bool) -> Run {
    let mut run = Run::new(config(greets), restless);
    for op in ops {
        run.happen(op);
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn turns_are_opened_one_after_the_other_and_each_keeps_its_order(
        ops in prop::collection::vec(op(), 0..150), greets: bool,
    ) {
        let run = run(&ops, greets, false);
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
                AgentCommand::FinishInput => {
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
    fn extra_timeouts_change_nothing(ops in prop::collection::vec(op(), 0..100), greets: bool) {
        let (calm, restless) = (run(&ops, greets, false), run(&ops, greets, true));
        prop_assert_eq!(calm.outputs, restless.outputs);
    }

    #[test]
    fn every_byte_of_the_callers_is_accounted_for(ops in prop::collection::vec(op(), 0..150), greets: bool) {
        let mut run = run(&ops, greets, false);
        run.feed(&Input::TwilioClosed);
        let account = run.outputs.iter().find_map(|(_, output)| match output {
            Output::Report(Report::Ended { audio, .. }) => Some(*audio),
            _ => None,
        });
        let account = account.unwrap();
        prop_assert_eq!(account.received, account.written + account.dropped + account.after_end + account.left);
        let written: usize = run.commands().map(|(_, command)| if let AgentCommand::Audio(audio) = command { audio.len() } else { 0 }).sum();
        prop_assert_eq!(written as u64, account.written + account.resent);
    }

    #[test]
    fn without_failures_the_agent_gets_what_the_caller_said_in_order(
        ops in prop::collection::vec(op(), 0..150), greets: bool,
    ) {
        let harmless = |op: &&Op| !matches!(op, Op::Agent(_, AgentEvent::Failed(_) | AgentEvent::Ended));
        let ops: Vec<Op> = ops.iter().filter(harmless).filter(|op| !matches!(op, Op::Wait(ms) if *ms > 500)).cloned().collect();
        let run = run(&ops, greets, false);
        let is_overdue = |report: &Report| matches!(report, Report::TurnFailed { .. } | Report::AudioDropped { .. });
        prop_assume!(!run.outputs.iter().any(|(_, output)| matches!(output, Output::Report(report) if is_overdue(report))));
        let written: Vec<u8> = run.commands().filter_map(|(_, command)| if let AgentCommand::Audio(audio) = command { Some(audio.clone()) } else { None }).flatten().collect();
        prop_assert_eq!(&run.sent[..written.len()], &written[..]);
    }

    #[test]
    fn marks_are_sent_once_and_in_order_and_each_epoch_begins_with_a_clear(
        ops in prop::collection::vec(op(), 0..150), greets: bool,
    ) {
        let run = run(&ops, greets, false);
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
        let mut run = run(&ops, true, false);
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
        let mut run = Run::new(config(true), false);
        for op in &ops {
            let before = run.outputs.len();
            let is_old = matches!(op, Op::Agent(back, _) if *back > 0) && run.last_turn() > 0;
            run.happen(op);
            prop_assert!(!is_old || run.outputs.len() == before, "{op:?}");
        }
    }

    #[test]
    fn a_call_that_is_left_alone_ends_or_listens(ops in prop::collection::vec(op(), 0..100)) {
        let mut run = run(&ops, true, false);
        run.wait(600_000);
        let waits = run.call.poll_timeout();
        prop_assert!(run.call.is_closed() || waits.is_none(), "still waiting for {waits:?} after ten minutes");
    }
}
