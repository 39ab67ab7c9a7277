//! `demo`: one call to the lab's agent, through everything that a real call goes through.

use std::process::ExitCode;

use dialbridge_core::Report;
use dialbridge_lab::agent::Edition;
use dialbridge_lab::agent::script::bakery_caller;
use dialbridge_lab::twilio::{CallEvent, CallEventKind, CallPlan, CallRecord, CallerStep, When};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::faults::Faults;
use super::held_lines::{HOLD, HeldLines};
use super::local_stack::LocalStack;
use super::timeline::{Timeline, reported, say, stereo};
use super::{CONFIG, USAGE};
use crate::args::DemoArgs;
use crate::progress::{Output, Progress};
use dialbridge_runner::call::watch::Observed;
use dialbridge_runner::settings::Severity;
use dialbridge_runner::telemetry::log::{self, log_and_exit};

/// How many events may wait to be printed.
const QUEUE: usize = 256;

/// Runs `demo`.
pub async fn run(args: &DemoArgs) -> ExitCode {
    let Some(level) = Severity::parse(&args.log_level) else {
        return log_and_exit("--log-level can be debug, info, warning or error", CONFIG);
    };
    let faults = match Faults::parse(&args.faults) {
        Ok(faults) => faults,
        Err(why) => return log_and_exit(&why, USAGE),
    };
    let output = Output::of(false, args.quiet);
    let progress = Progress::clock(output, "The call lasts");
    let beside = progress.clone();
    log::start(level, super::log_style(), move || beside.stderr());
    let played = play(args, faults, Printer { output, progress: progress.clone() }).await;
    progress.end();
    match played {
        Ok(faults) if faults.is_empty() => {
            say("The call went as its script says: three turns, a barge-in, a hand-off to a person.");
            ExitCode::SUCCESS
        }
        Ok(faults) => log_and_exit(&format!("the call did not go as its script says: {}", faults.join("; ")), 1),
        Err(why) => log_and_exit(&why, 1),
    }
}

/// Starts everything, plays the call and returns what went wrong.
async fn play(args: &DemoArgs, faults: Faults, printer: Printer) -> Result<Vec<String>, String> {
    let edition = args.edition;
    let stack = LocalStack::start(&faults, edition, args.record.as_deref()).await?;
    let (url, twilio) = (&stack.url, &stack.twilio);

    // A CES agent is reached over WebSockets, unless something else is set.
    let carriers = if edition == Edition::Ces { "HTTP, WebSockets" } else { "HTTP, WebSocket, gRPC" };
    let edition = edition.name().to_uppercase();
    printer
        .say(&format!("A call to the lab's {edition} agent, through {url}: {carriers}, REST. It takes half a minute."));
    let (watch, watched) = mpsc::channel(QUEUE);
    let plan = CallPlan { watch: Some(watch), faults: faults.call, ..CallPlan::new(format!("{url}/twiml"), steps()?) };
    let (record, reports) = tokio::join!(twilio.call(plan), printer.print(watched, stack.observed));

    std::fs::write(&args.out, stereo(&record)).map_err(|error| format!("{}: {error}", args.out.display()))?;
    printer.say(&format!("The call's audio is in {} (left the caller, right the agent).", args.out.display()));
    Ok(shortcomings(&record, &reports))
}

/// What the caller does: orders, barges in on a question, and asks for a person.
fn steps() -> Result<Vec<CallerStep>, String> {
    let say = |label: &str, when| {
        let audio = bakery_caller(label).map_err(|error| error.to_string())?;
        Ok::<_, String>(CallerStep::Say { when, label: label.to_owned(), audio })
    };
    Ok(vec![
        say("order.wav", When::AgentSilent(400))?,
        say("nine.wav", When::AgentSpeaking(3_000))?,
        say("colleague.wav", When::AgentSilent(400))?,
    ])
}

/// Prints the call, unless the results alone are wanted.
struct Printer {
    output: Output,
    progress: Progress,
}

impl Printer {
    fn say(&self, text: &str) {
        if !self.output.is_quiet() {
            self.progress.aside(|| say(text));
        }
    }

    /// Prints both sides' events as they come, until the call is over; returns the service's reports.
    async fn print(
        &self,
        mut watched: mpsc::Receiver<CallEvent>,
        mut observed: mpsc::Receiver<Observed>,
    ) -> Vec<Report> {
        let began = Instant::now();
        let mut reports = Vec::new();
        let (mut timeline, mut held) = (Timeline::default(), HeldLines::default());
        let mut looks = tokio::time::interval(HOLD);
        let ms = |at: Instant| u64::try_from((at - began).as_millis()).unwrap_or(u64::MAX);
        let add = |at_ms: u64, line: Option<(&'static str, String)>, held: &mut HeldLines| {
            if let Some((who, what)) = line.filter(|_| !self.output.is_quiet()) {
                held.add(at_ms, who, &what);
            }
        };
        let mut note = |seen: Observed, held: &mut HeldLines| {
            add(ms(seen.at), reported(&seen.report), held);
            reports.push(seen.report);
        };
        loop {
            tokio::select! {
                Some(seen) = observed.recv() => note(seen, &mut held),
                seen = watched.recv() => {
                    let Some(seen) = seen else { break };
                    add(seen.at_ms, timeline.described(&seen), &mut held);
                }
                _ = looks.tick() => held.print_due(ms(Instant::now()), &self.progress),
            }
        }
        while let Ok(seen) = observed.try_recv() {
            note(seen, &mut held);
        }
        held.print_rest(&self.progress);
        reports
    }
}

fn shortcomings(record: &CallRecord, reports: &[Report]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    // A CES agent names no intent: its words tell which answer it is.
    let answered = |name: &str, words: &str| {
        reports.iter().any(|report| match report {
            Report::Answered { intent, text, .. } if intent.display_name.is_empty() => text.starts_with(words),
            Report::Answered { intent, .. } => intent.display_name == name,
            _ => false,
        })
    };
    for (intent, words) in [
        ("welcome", "Corner Bakery"),
        ("order.bread", "Two loaves"),
        ("order.time", "Nine o'clock"),
        ("speak-to-an-agent", "Of course"),
    ] {
        expect(answered(intent, words), &format!("the agent did not answer with {intent}"));
    }
    let barge_ins = reports.iter().filter(|report| matches!(report, Report::BargeIn { .. })).count();
    expect(barge_ins == 1, &format!("{barge_ins} barge-ins instead of one"));
    let cut = record.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. }));
    expect(cut == 1, &format!("the agent was cut off {cut} times instead of once"));
    let status = record.find(|what| match what {
        CallEventKind::Redirected { url } => Some(url.contains("VirtualAgentStatus=live-agent-handoff")),
        _ => None,
    });
    expect(status == Some(true), "the call was not handed on to a person");
    expect(
        record.count(|what| matches!(what, CallEventKind::Warning { .. })) == 0,
        "Twilio warns of malformed messages",
    );
    let ended = record.find(|what| if let CallEventKind::Ended { by } = what { Some(by == "twiml") } else { None });
    expect(ended == Some(true), "the call did not end with the hand-off's TwiML");
    faults
}
