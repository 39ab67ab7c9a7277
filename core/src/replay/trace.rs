//! A replayed call as text, and the part of it that tells most of a moment.

use std::fmt::Write as _;

use crate::agent::{AgentCommand, ToolCall, ToolOutcome, ToolResult, TurnInput};
use crate::audio::BYTES_PER_MS;
use crate::call::Output;
use crate::checksum::Checksum;
use crate::error::InputError;
use crate::ids::StreamId;
use crate::replay::Step;
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// How many lines are shown around a moment.
const AROUND_LINES: usize = 6;

/// How far they may be from it, in milliseconds.
const AROUND_MS: u64 = 3_000;

/// The lines of a trace around a moment that tell most of what the call did then. Each line comes with its time.
///
/// ```
/// use dialbridge_core::CallTime;
/// use dialbridge_core::replay::around;
///
/// let line = |ms, text: &str| (CallTime::from_ms(ms), text.to_owned());
/// let trace = [line(0, "    0.000 report  digit"), line(9_000, "    9.000 twilio  clear")];
/// assert_eq!(around(&trace, CallTime::from_ms(8_000)), ["    9.000 twilio  clear"]);
/// ```
#[must_use]
pub fn around(trace: &[(CallTime, String)], at: CallTime) -> Vec<&str> {
    let tells = |line: &&(CallTime, String)| {
        let (line_at, text) = line;
        let is_near = line_at.ms_since(at).max(at.ms_since(*line_at)) <= AROUND_MS;
        is_near && !["twilio  media", "twilio  mark", "stages:"].iter().any(|part| text.contains(part))
    };
    let near: Vec<&(CallTime, String)> = trace.iter().filter(tells).collect();
    let nearest = near.partition_point(|(line_at, _)| *line_at < at);
    let from = nearest.saturating_sub(AROUND_LINES / 2).min(near.len().saturating_sub(AROUND_LINES));
    near.iter().skip(from).take(AROUND_LINES).map(|(_, text)| text.as_str()).collect()
}

/// The lines of a trace, in order, without line breaks, each with its time.
type Lines = Vec<(CallTime, String)>;

/// One line for each step, in order. Consecutive audio for one stream becomes one line, and so do consecutive refusals of
/// one kind.
pub(super) fn lines(steps: &[(CallTime, Step)]) -> Lines {
    let mut text = Lines::new();
    let mut audio: Option<AudioRun> = None;
    let mut refusals: Option<RefusalRun> = None;
    for (at, step) in steps {
        let continues = match step {
            Step::Output(Output::Agent(stream, AgentCommand::Audio(bytes))) => {
                audio.as_mut().filter(|run| run.stream == *stream).map(|run| run.add(bytes, *at))
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
            Step::Output(Output::Agent(stream, AgentCommand::Audio(bytes))) => {
                audio = Some(AudioRun::new(*stream, *at, bytes));
            }
            Step::Output(output) => push_line(*at, &describe(output), &mut text),
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

fn end_refusals(run: Option<RefusalRun>, text: &mut Lines) {
    if let Some(run) = run {
        let cause = std::error::Error::source(&run.error).map(ToString::to_string).unwrap_or_default();
        let description = match run.count {
            1 => format!("refused {cause}"),
            count => format!("refused {cause}, {count} times until {}", run.to),
        };
        push_line(run.from, &description, text);
    }
}

struct AudioRun {
    stream: StreamId,
    from: CallTime,
    to: CallTime,
    bytes: usize,
    sum: Checksum,
}

impl AudioRun {
    fn new(stream: StreamId, at: CallTime, audio: &[u8]) -> Self {
        let mut run = Self { stream, from: at, to: at, bytes: 0, sum: Checksum::default() };
        run.add(audio, at);
        run
    }

    fn add(&mut self, audio: &[u8], at: CallTime) {
        self.to = at;
        self.bytes += audio.len();
        self.sum.add(audio);
    }
}

fn end_audio(run: Option<AudioRun>, text: &mut Lines) {
    if let Some(run) = run {
        let description =
            format!("agent   {} audio {} ms until {} {}", run.stream, run.bytes / BYTES_PER_MS, run.to, run.sum);
        push_line(run.from, &description, text);
    }
}

fn push_line(at: CallTime, description: &str, text: &mut Lines) {
    text.push((at, format!("{at:>9} {description}", at = at.to_string())));
}

fn describe(output: &Output) -> String {
    match output {
        Output::Twilio(TwilioMessage::Media(audio)) => {
            format!("twilio  media {} ms {}", audio.len() / BYTES_PER_MS, Checksum::of(audio))
        }
        Output::Twilio(TwilioMessage::Mark(name)) => format!("twilio  mark {name}"),
        Output::Twilio(TwilioMessage::Clear) => "twilio  clear".to_owned(),
        Output::Agent(stream, command) => format!("agent   {stream} {}", describe_command(command)),
        Output::Admit(_) => "runner  admit".to_owned(),
        Output::Update { twiml } => format!("runner  update {twiml}"),
        Output::Fetch(id, uri) => format!("runner  {id} {uri}"),
        Output::RunTools(id, calls) => format!("runner  {id}: {}", describe_tools(calls)),
        Output::UseBackup => "runner  use backup".to_owned(),
        Output::Close(reason) => format!("runner  close: {reason}"),
        Output::Report(report) => format!("report  {}", report.tape_text()),
    }
}

fn describe_command(command: &AgentCommand) -> String {
    match command {
        AgentCommand::Open(start) => {
            let mut description = format!("open {}", describe_input(&start.input));
            if let Some(window) = start.barge_in {
                let _ = write!(description, ", prompt until {} ms", window.total_ms);
                if window.protected_ms > 0 {
                    let _ = write!(description, ", protected until {} ms", window.protected_ms);
                }
            }
            if !start.parameters.is_empty() {
                let _ = write!(description, ", parameters {}", serde_json::Value::Object(start.parameters.clone()));
            }
            if let Some(page) = &start.page {
                let _ = write!(description, ", page {page}");
            }
            if !start.past_turns.is_empty() {
                let _ = write!(description, ", past turns: {}", start.past_turns.len());
            }
            description
        }
        AgentCommand::Audio(audio) => format!("audio {} ms", audio.len() / BYTES_PER_MS),
        AgentCommand::Send(input) => format!("send {}", describe_input(input)),
        AgentCommand::Parameters(parameters) => {
            format!("parameters {}", serde_json::Value::Object(parameters.clone()))
        }
        AgentCommand::CallerSpeaks(speaks) => if *speaks { "caller speaks" } else { "caller silent" }.to_owned(),
        AgentCommand::HalfClose => "half-close".to_owned(),
        AgentCommand::Cancel => "cancel".to_owned(),
        AgentCommand::Done => "done".to_owned(),
    }
}

fn describe_input(input: &TurnInput) -> String {
    match input {
        TurnInput::Audio => "audio".to_owned(),
        TurnInput::Event(name) => format!("event {name}"),
        TurnInput::Text(text) => format!("text \"{text}\""),
        TurnInput::Digits(digits, _) => format!("{} digits", digits.digits.len()),
        TurnInput::ToolResults(results) => {
            let description: Vec<String> = results.iter().map(describe_result).collect();
            format!("tool result, {}", description.join(", "))
        }
    }
}

fn describe_result(result: &ToolResult) -> String {
    let tool = &result.call.tool;
    match result.outcome {
        ToolOutcome::Refused => format!("{tool} refused"),
        ToolOutcome::Failed(_) => format!("{tool} failed"),
        ToolOutcome::Done(_) => format!("{tool} done"),
    }
}

fn describe_tools(calls: &[ToolCall]) -> String {
    calls.iter().map(|call| call.tool.as_str()).collect::<Vec<_>>().join(", ")
}
