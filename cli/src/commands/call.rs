//! `call`: places a simulated call at a running service.

use std::process::ExitCode;
use std::sync::Arc;

use dialbridge_lab::agent::Edition;
use dialbridge_lab::agent::script::{bakery_caller, mulaw_of};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, CallEventKind, CallPlan, CallerStep, SimulatedTwilio, When, parse_steps};
use dialbridge_net::dial::Tcp;
use dialbridge_net::proxy::{Proxy, proxied};
use tokio::sync::mpsc;

use super::CONFIG;
use super::called::{first_token, voice_url};
use super::faults::Faults;
use super::local_stack::LocalStack;
use super::timeline::{Timeline, say, stereo};
use crate::args::CallArgs;
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
    let plan = CallPlan { faults: faults.call, ..plan };
    let (watch, mut watched) = mpsc::channel(QUEUE);
    let printing = async {
        let mut timeline = Timeline::default();
        while let Some(seen) = watched.recv().await {
            timeline.event(&seen);
        }
    };
    let (record, ()) = tokio::join!(twilio.call(CallPlan { watch: Some(watch), ..plan }), printing);
    if let Some(out) = &args.out {
        if let Err(error) = std::fs::write(out, stereo(&record)) {
            return log_and_exit(&format!("{}: {error}", out.display()), 1);
        }
        say(&format!("The call's audio is in {} (left the caller, right the agent).", out.display()));
    }
    if record.count(|what| matches!(what, CallEventKind::StreamOpened)) == 0 {
        return log_and_exit("the call never reached an agent", 1);
    }
    ExitCode::SUCCESS
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
