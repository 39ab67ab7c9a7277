//! `call`: places a simulated call at a running service.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use dialbridge_lab::agent::Edition;
use dialbridge_lab::agent::script::{bakery_caller, mulaw_of};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{
    Account, CallEvent, CallEventKind, CallPlan, CallRecord, CallerStep, SimulatedTwilio, When, parse_steps,
};
use dialbridge_net::dial::Tcp;
use dialbridge_net::proxy::{Proxy, proxied};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::CONFIG;
use super::called::{first_token, voice_url};
use super::faults::Faults;
use super::held_lines::{HOLD, HeldLines};
use super::local_stack::LocalStack;
use super::timeline::{Timeline, say, stereo};
use crate::args::CallArgs;
use crate::progress::{Output, Progress};
use dialbridge_runner::telemetry::log::log_and_exit;

/// How many events may wait to be printed.
const QUEUE: usize = 256;

/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

/// What the caller says by default: the caller's part of the embedded agent's conversation.
const BAKERY_CALLER: [&str; 3] = ["order.wav", "nine.wav@3000", "colleague.wav"];

/// Runs `call`.
pub async fn run(args: &CallArgs) -> ExitCode {
    #[cfg(target_os = "linux")]
    if args.load.load.is_some() {
        if !args.faults.is_empty() {
            return log_and_exit("--fault is for one call; a load has --faults", USAGE);
        }
        return super::load::run(args).await;
    }
    let (mut plan, faults) = match plan(args).and_then(|plan| Ok((plan, faults(args)?))) {
        Ok(planned) => planned,
        Err(why) => return log_and_exit(&why, USAGE),
    };
    // A fault of the agent needs an agent that can be made to fail.
    let stand = match faults.agent {
        Some(_) => match start_local(&faults, args, &mut plan).await {
            Ok(stack) => Some(stack),
            Err(why) => return log_and_exit(&why, 1),
        },
        None => None,
    };
    let proxy = match Proxy::from_variables(|name| std::env::var(name).ok()) {
        Ok(proxy) => proxy,
        Err(fault) => return log_and_exit(&fault.to_string(), CONFIG),
    };
    let elsewhere = || {
        let net = Net::Dialled(proxied(Arc::new(Tcp), proxy));
        SimulatedTwilio::new(Account::new(first_token(args)), net)
    };
    let twilio = stand.as_ref().map_or_else(elsewhere, |stack| stack.twilio.clone());
    if let Some(why) = args.out.as_deref().and_then(unwritable) {
        return log_and_exit(&why, USAGE);
    }
    let plan = CallPlan { faults: faults.call, ..plan };
    let (watch, mut watched) = mpsc::channel(QUEUE);
    let output = Output::of(args.json, args.quiet);
    let printing = async {
        let progress = Progress::clock(output, "The call lasts");
        let (began, mut timeline, mut held) = (Instant::now(), Timeline::default(), HeldLines::default());
        let mut looks = tokio::time::interval(HOLD);
        loop {
            tokio::select! {
                seen = watched.recv() => {
                    let Some(seen) = seen else { break };
                    if let Some((who, what)) = timeline.described(&seen).filter(|_| output == Output::Lines) {
                        held.add(seen.at_ms, who, &what);
                    }
                }
                _ = looks.tick() => held.print_due(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), &progress),
            }
        }
        held.print_rest(&progress);
    };
    let (record, ()) = tokio::join!(twilio.call(CallPlan { watch: Some(watch), ..plan }), printing);
    if let Some(out) = &args.out {
        if let Err(error) = std::fs::write(out, stereo(&record)) {
            return log_and_exit(&format!("{}: {error}", out.display()), 1);
        }
        if output == Output::Lines {
            say(&format!("The call's audio is in {} (left the caller, right the agent).", out.display()));
        }
    }
    let failure = failure(&record);
    if args.json {
        say(&format!("{:#}", json(&record, failure)));
    }
    match failure {
        Some(why) => log_and_exit(why, 1),
        None => ExitCode::SUCCESS,
    }
}

/// Why a file cannot be written. It is asked before the call.
fn unwritable(path: &Path) -> Option<String> {
    let opened = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(path);
    opened.err().map(|error| format!("--out {}: {error}", path.display()))
}

/// Why the call was no conversation with an agent; `None` if it was one.
fn failure(record: &CallRecord) -> Option<&'static str> {
    let count = |wanted: &dyn Fn(&CallEventKind) -> bool| record.count(wanted);
    let redirected = |what: &CallEventKind| matches!(what, CallEventKind::Redirected { .. });
    // Without a hand-off, `<Say>` is the fallback or a goodbye of ours.
    let is_ours = count(&|what| matches!(what, CallEventKind::Said { .. })) > 0 && count(&redirected) == 0;
    let is_failed = |what: &CallEventKind| matches!(what, CallEventKind::Redirected { url } if url.contains("VirtualAgentStatus=failed"));
    if count(&|what| matches!(what, CallEventKind::StreamOpened)) == 0 {
        return Some("the call never reached an agent");
    }
    if count(&is_failed) > 0 || is_ours {
        return Some("the call got its fallback: the agent could not be had, or a limit ended the call");
    }
    (count(&|what| *what == CallEventKind::AgentSpeaks) == 0).then_some("the caller never heard the agent")
}

/// What happened, as JSON.
fn json(record: &CallRecord, failure: Option<&str>) -> Value {
    let mut timeline = Timeline::default();
    let event = |event: &CallEvent| {
        let (who, what) = timeline.described(event)?;
        Some(json!({ "atMs": event.at_ms, "who": who, "what": what }))
    };
    json!({
        "callSid": record.call_sid, "failure": failure, "events": record.events.iter().filter_map(event).collect::<Vec<_>>(),
        "saidMs": record.said.len() / 8, "documents": record.documents,
    })
}

fn faults(args: &CallArgs) -> Result<Faults, String> {
    let faults = Faults::parse(&args.faults)?;
    match (&faults.agent, &args.url) {
        (Some(_), Some(_)) => Err(
            "--fault: a fault of the agent's is played by an agent and a service that are started for it, so without --url; \
             an agent of a running service fails by its script (DIALOGFLOW_AGENT=lab:FILE)"
                .to_owned(),
        ),
        _ => Ok(faults),
    }
}

/// Starts a service and an agent for this call alone; the plan's call goes there.
async fn start_local(faults: &Faults, args: &CallArgs, plan: &mut CallPlan) -> Result<LocalStack, String> {
    let stack = LocalStack::start(faults, Edition::Cx, None).await?;
    plan.voice_url = voice_url(&stack.url, &args.params)?;
    Ok(stack)
}

fn plan(args: &CallArgs) -> Result<CallPlan, String> {
    let embedded = |name: &str| bakery_caller(name).map_err(|error| error.to_string());
    let from_file = |name: &str| {
        let bytes = std::fs::read(name).map_err(|error| format!("{name}: {error}"))?;
        mulaw_of(&bytes).map(Arc::from).map_err(|error| format!("{name}: {error}"))
    };
    let mut steps = if args.audio.is_empty() && args.dtmf.is_none() {
        parse_steps(&BAKERY_CALLER.map(ToOwned::to_owned), None, &embedded)?
    } else {
        parse_steps(&args.audio, args.dtmf.as_deref(), &from_file)?
    };
    // An agent that keeps asking would hold a caller who has nothing to say for ever.
    steps.push(CallerStep::HangUp { when: When::After(args.stay.saturating_mul(1_000)) });
    let url = args.url.as_deref().unwrap_or("http://127.0.0.1:8080");
    let plan = CallPlan::new(voice_url(url, &args.params)?, steps);
    Ok(CallPlan { from: args.from.clone(), to: args.to.clone(), ..plan })
}
