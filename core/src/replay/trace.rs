//! A replayed call as text.

use std::fmt::Write as _;

use crate::agent::{AgentCommand, ToolCall, ToolOutcome, ToolResult, TurnInput};
use crate::audio::BYTES_PER_MS;
use crate::call::Output;
use crate::checksum::Checksum;
use crate::error::InputError;
use crate::ids::TurnId;
use crate::replay::Step;
use crate::report::{Report, Stages};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// One line for each step, in order, except that audio for one turn that nothing else interrupts makes one line, and so
/// do refusals of one kind.
pub(super) fn trace(steps: &[(CallTime, Step)]) -> String {
    let mut text = String::new();
    let mut audio: Option<AudioRun> = None;
    let mut refusals: Option<RefusalRun> = None;
    for (at, step) in steps {
        let continues = match step {
            Step::Output(Output::Agent(turn, AgentCommand::Audio(bytes))) => {
                audio.as_mut().filter(|run| run.turn == *turn).map(|run| run.add(bytes, *at))
            }
            Step::Refused(error) => refusals.as_mut().filter(|run| run.error == *error).map(|run| run.add(*at)),
            Step::Output(_) => None,
        };
        if continues.is_some() {
            continue;
        }
        end_audio(audio.take(), &mut text);
        end_refusals(refusals.take(), &mut text);
        match step {
            Step::Output(Output::Agent(turn, AgentCommand::Audio(bytes))) => {
                audio = Some(AudioRun::new(*turn, *at, bytes));
            }
            Step::Output(output) => line(*at, &told(output), &mut text),
            Step::Refused(error) => {
                refusals = Some(RefusalRun { error: error.clone(), from: *at, to: *at, count: 1 });
            }
        }
    }
    end_audio(audio, &mut text);
    end_refusals(refusals, &mut text);
    text
}

struct RefusalRun {
    error: InputError,
    from: CallTime,
    to: CallTime,
    count: u32,
}

impl RefusalRun {
    fn add(&mut self, at: CallTime) {
        self.to = at;
        self.count += 1;
    }
}

fn end_refusals(run: Option<RefusalRun>, text: &mut String) {
    if let Some(run) = run {
        let cause = std::error::Error::source(&run.error).map(ToString::to_string).unwrap_or_default();
        let told = match run.count {
            1 => format!("refused {cause}"),
            count => format!("refused {cause}, {count} times until {}", run.to),
        };
        line(run.from, &told, text);
    }
}

struct AudioRun {
    turn: TurnId,
    from: CallTime,
    to: CallTime,
    bytes: usize,
    sum: Checksum,
}

impl AudioRun {
    fn new(turn: TurnId, at: CallTime, audio: &[u8]) -> Self {
        let mut run = Self { turn, from: at, to: at, bytes: 0, sum: Checksum::default() };
        run.add(audio, at);
        run
    }

    fn add(&mut self, audio: &[u8], at: CallTime) {
        self.to = at;
        self.bytes += audio.len();
        self.sum.add(audio);
    }
}

fn end_audio(run: Option<AudioRun>, text: &mut String) {
    if let Some(run) = run {
        let told = format!("agent   {} audio {} ms until {} {}", run.turn, run.bytes / BYTES_PER_MS, run.to, run.sum);
        line(run.from, &told, text);
    }
}

fn line(at: CallTime, told: &str, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{at:>9} {told}", at = at.to_string());
}

fn told(output: &Output) -> String {
    match output {
        Output::Twilio(TwilioMessage::Media(audio)) => {
            format!("twilio  media {} ms {}", audio.len() / BYTES_PER_MS, Checksum::of(audio))
        }
        Output::Twilio(TwilioMessage::Mark(name)) => format!("twilio  mark {name}"),
        Output::Twilio(TwilioMessage::Clear) => "twilio  clear".to_owned(),
        Output::Agent(turn, command) => format!("agent   {turn} {}", told_command(command)),
        Output::Update { twiml } => format!("runner  update {twiml}"),
        Output::Fetch(id, uri) => format!("runner  {id} {uri}"),
        Output::RunTools(id, calls) => format!("runner  {id}: {}", told_tools(calls)),
        Output::Close(reason) => format!("runner  close: {reason}"),
        Output::Report(report) => format!("report  {}", told_report(report)),
    }
}

fn told_command(command: &AgentCommand) -> String {
    match command {
        AgentCommand::Open(start) => {
            let mut told = format!("open {}", told_input(&start.input));
            if let Some(window) = start.barge_in {
                let _ = write!(told, ", prompt until {} ms", window.total_ms);
                if window.protected_ms > 0 {
                    let _ = write!(told, ", protected until {} ms", window.protected_ms);
                }
            }
            if !start.parameters.is_empty() {
                let _ = write!(told, ", parameters {}", serde_json::Value::Object(start.parameters.clone()));
            }
            told
        }
        AgentCommand::Audio(audio) => format!("audio {} ms", audio.len() / BYTES_PER_MS),
        AgentCommand::Send(input) => format!("send {}", told_input(input)),
        AgentCommand::Parameters(parameters) => {
            format!("parameters {}", serde_json::Value::Object(parameters.clone()))
        }
        AgentCommand::FinishInput => "finish input".to_owned(),
        AgentCommand::Cancel => "cancel".to_owned(),
        AgentCommand::Done => "done".to_owned(),
    }
}

fn told_input(input: &TurnInput) -> String {
    match input {
        TurnInput::Audio => "audio".to_owned(),
        TurnInput::Event(name) => format!("event {name}"),
        TurnInput::Text(text) => format!("text \"{text}\""),
        TurnInput::Digits(digits, _) => format!("digits, {} keys", digits.keys.len()),
        TurnInput::ToolResults(results) => {
            let told: Vec<String> = results.iter().map(told_result).collect();
            format!("tool result, {}", told.join(", "))
        }
    }
}

fn told_result(result: &ToolResult) -> String {
    let tool = &result.call.tool;
    match result.outcome {
        ToolOutcome::Refused => format!("{tool} refused"),
        ToolOutcome::Failed(_) => format!("{tool} failed"),
        ToolOutcome::Done(_) => format!("{tool} done"),
    }
}

fn told_tools(calls: &[ToolCall]) -> String {
    calls.iter().map(|call| call.tool.as_str()).collect::<Vec<_>>().join(", ")
}

fn told_report(report: &Report) -> String {
    match report {
        Report::Started { call_sid, stream_sid, from: _, to: _ } => {
            format!("started {call_sid} {}", stream_sid.as_str())
        }
        Report::TurnOpened { turn, input, waited_ms } => format!("{turn} opened with {input}, {waited_ms} ms waited"),
        Report::Transcript { turn, text, is_final } => {
            format!("{turn} {} \"{text}\"", if *is_final { "final" } else { "interim" })
        }
        Report::EndOfUtterance { turn, spoken } => {
            format!("{turn} end of utterance{}", if *spoken { "" } else { ", nothing said" })
        }
        Report::Answered { turn, query_text, text, intent, audio_ms, thought_ms, parameters: _ } => format!(
            "{turn} answered after {thought_ms} ms: \"{query_text}\" -> {} \"{text}\", {audio_ms} ms of audio",
            intent.display_name
        ),
        Report::MoreAudio { turn, audio_ms } => format!("{turn} {audio_ms} ms more of audio"),
        Report::Stages(stages) => told_stages(stages),
        Report::PromptRefused { why } => format!("prompt refused: {why}"),
        Report::Cancelled { cut_ms } => format!("{cut_ms} ms cancelled by the answer"),
        Report::Filler { which } => format!("filler while {which}"),
        Report::Payload { turn, payload } => format!("{turn} payload {payload}"),
        Report::PayloadRefused { turn, why } => format!("{turn} payload refused: {why}"),
        Report::ToolRefused { turn, tool } => format!("{turn} tool refused: {tool}"),
        Report::ToolRun { turn, tool, fault: None } => format!("{turn} tool run: {tool}"),
        Report::ToolRun { turn, tool, fault: Some(why) } => format!("{turn} tool failed: {tool}, {why}"),
        Report::Succeeded { turn } => format!("{turn} success"),
        Report::WebhookFailed { turn, why } => format!("{turn} webhook failed: {why}"),
        Report::StartingEventUnanswered { turn } => format!("{turn} starting event unanswered"),
        Report::BargeIn { turn, by, heard_ms, cut_ms } => {
            let turn = turn.map(|turn| format!(" ({turn})")).unwrap_or_default();
            format!("barge-in by {}{turn}: {heard_ms} ms heard, {cut_ms} ms cut", by.as_str())
        }
        Report::Heard { heard_ms, by_mark } => {
            format!("all heard, {heard_ms} ms{}", if *by_mark { "" } else { ", mark overdue" })
        }
        Report::SilentTurnReplaced { turn } => format!("{turn} replaced, nothing said"),
        Report::Rotated { turn, in_speech } => {
            format!("{turn} at its limit{}", if *in_speech { ", in speech" } else { "" })
        }
        Report::TurnFailed { turn, fault, retry_in_ms, again_ms } => match retry_in_ms {
            Some(pause) => format!("{turn} failed, {fault}; again in {pause} ms with {again_ms} ms of audio"),
            None => format!("{turn} failed, {fault}; not again"),
        },
        Report::AudioDropped { ms } => format!("{ms} ms of audio dropped"),
        Report::Digit => "digit".to_owned(),
        Report::DigitsComplete { count } => format!("{count} digits complete"),
        Report::DigitDropped => "digit dropped".to_owned(),
        Report::NoInput { in_a_row, by_event } => {
            format!("no input, {in_a_row} in a row{}", if *by_event { ", told by an event" } else { "" })
        }
        Report::UnknownEvent { event } => format!("unknown event \"{event}\""),
        Report::BoundReached(bound) => format!("bound reached: {}", bound.as_str()),
        Report::HandedOff { status } => format!("handed off, {}", status.as_str()),
        Report::Ended { reason, audio } => format!(
            "ended: {reason}; audio {} received, {} written, {} resent, {} withheld, {} dropped, {} after the end, {} left",
            audio.received, audio.written, audio.resent, audio.withheld, audio.dropped, audio.after_end, audio.left
        ),
    }
}

fn told_stages(stages: &Stages) -> String {
    let mut told = format!("{} stages: opened {}", stages.turn, stages.opened);
    for (name, at) in [
        ("speech began", stages.speech_began),
        ("input complete", stages.input_complete),
        ("final transcript", stages.final_transcript),
        ("answered", stages.answered),
        ("audio sent", stages.first_audio_sent),
        ("audio heard", stages.first_audio_heard),
    ] {
        if let Some(at) = at {
            let _ = write!(told, ", {name} {at}");
        }
    }
    told
}
