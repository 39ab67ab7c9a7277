//! `call --load`: many calls at once, and what they cost. docs/performance.md explains the figures.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use dialbridge_lab::agent::Edition;
use dialbridge_lab::load::figures::Readings;
use dialbridge_lab::load::process::{Usage, machine_busy_ms, pinned, raise_file_limit};
use dialbridge_lab::load::{CallerSpeech, Held, Load, Measurement, Plan, Search};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, SimulatedTwilio};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::called::{first_token, voice_url};
use super::load_processes::{AgentProcess, ServiceProcess, ServiceSpec, TOKEN};
use super::load_progress::{LoadProgress, Stage};
use super::load_report::{MaxFound, Report, Run, note};
use crate::args::{CallArgs, LoadArgs, LoadTarget};
use crate::progress::Output;
use dialbridge_runner::telemetry::log::log_and_exit;

/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

/// How long a service idles before we read its memory without calls.
const REST: Duration = Duration::from_millis(500);

/// The agent's port if the load did not start the service.
const AGENT_PORT: u16 = 9090;

/// How often we read the service's memory and files.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The highest number of calls: a frame's code has no room for more.
const MAX_CALLS: u16 = 65_000;

/// Runs `call --load`.
pub(super) async fn run(args: &CallArgs) -> ExitCode {
    let setup = match Setup::of(args) {
        Ok(setup) => setup,
        Err(why) => return log_and_exit(&why, USAGE),
    };
    raise_file_limit();
    let output = setup.output;
    match alone(setup).await {
        Ok(report) => {
            report.print(output);
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => log_and_exit(&why, 1),
    }
}

/// Measures on a single thread, so that the tool stays on its one core.
async fn alone(setup: Setup) -> Result<Report, String> {
    let (done, report) = oneshot::channel();
    let measuring = move || {
        let measured = || {
            let _guard = setup.pins.tool.map(pinned).transpose().map_err(|error| format!("--pin tool: {error}"))?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(setup.measure_all())
        };
        // If nobody receives this, the program is ending.
        let _ = done.send(measured());
    };
    thread::Builder::new().name("load".to_owned()).spawn(measuring).map_err(|error| error.to_string())?;
    report.await.map_err(|_| "the load has ended early".to_owned())?
}

/// What to measure.
#[derive(Debug, Clone)]
struct Setup {
    load: LoadArgs,
    output: Output,
    calls: u16,
    /// The voice-url of a running service.
    url: Option<String>,
    token: Option<String>,
    pins: Pins,
    settings: Vec<(String, String)>,
}

/// Which process is bound to which core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pins {
    service: Option<usize>,
    tool: Option<usize>,
    agent: Option<usize>,
}

impl Pins {
    fn parse(pins: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        for pin in pins {
            let wrong = || format!("--pin {pin} is not like service=0, tool=1 or agent=1");
            let (who, core) = pin.split_once('=').ok_or_else(wrong)?;
            let core = Some(core.parse().map_err(|_| wrong())?);
            match who {
                "service" => parsed.service = core,
                "tool" => parsed.tool = core,
                "agent" => parsed.agent = core,
                _ => return Err(wrong()),
            }
        }
        Ok(parsed)
    }
}

impl Setup {
    fn of(args: &CallArgs) -> Result<Self, String> {
        let load = args.load.clone();
        if load.edition == Edition::Es && load.against.iter().any(|against| *against != LoadTarget::Service) {
            return Err("--against: the relay knows CX and CES, and --edition is es".to_owned());
        }
        if load.edition == Edition::Ces && load.long_answers.is_some() {
            return Err("--long-answers: the load's agent has them for CX and ES, and --edition is ces".to_owned());
        }
        let url = args.url.as_deref().map(|url| voice_url(url, &args.params)).transpose()?;
        if let Some(url) = url.as_deref().filter(|url| url.starts_with("https:")) {
            return Err(format!(
                "--url {url}: a load drives plaintext media streams only; name the http:// address of the service"
            ));
        }
        let setting = |text: &str| {
            let (name, value) = text.split_once('=').ok_or_else(|| format!("--setting {text} has no '='"))?;
            Ok::<_, String>((name.to_owned(), value.to_owned()))
        };
        // A call in which every third turn fails reaches its limit in a minute or two.
        let given = load.failing.then_some("MAX_FAILED_TURNS=0").into_iter();
        let given = given.chain(load.setting.iter().map(String::as_str));
        Ok(Self {
            output: Output::of(args.json, args.quiet),
            calls: load.load.unwrap_or(1),
            url,
            token: first_token(args).map(ToOwned::to_owned),
            pins: Pins::parse(&load.pin)?,
            settings: given.map(setting).collect::<Result<_, _>>()?,
            load,
        })
    }

    /// Measures the services in turns, so that a noisy moment of the machine hits all of them.
    async fn measure_all(self) -> Result<Report, String> {
        // A running service has its own agent name.
        let edition = self.url.is_none().then(|| self.load.edition.name());
        let with_faults = self.load.failing;
        let with_long_answers = self.load.long_answers.is_some();
        let mut report = Report { edition, with_faults, with_long_answers, ..Report::default() };
        for round in 0..self.load.repeat {
            for &against in &self.load.against {
                if self.load.find_max {
                    let (found, best) = self.find_max(against, round).await?;
                    report.found.push(found);
                    report.runs.extend(best);
                } else {
                    let (run, _) = self.run(against, round, self.calls).await?;
                    report.runs.push(run);
                }
            }
        }
        Ok(report)
    }

    /// Raises the number of calls until it is too much; returns the run with the most calls that held, if any did.
    async fn find_max(&self, against: LoadTarget, round: u32) -> Result<(MaxFound, Option<Run>), String> {
        let mut search = Search::new(self.calls, MAX_CALLS);
        let mut best = None;
        let mut too_much = None;
        while let Some(calls) = search.next() {
            let fails = match self.run(against, round, calls).await {
                Ok((run, None)) => {
                    best = Some(run);
                    None
                }
                Ok((_, fails)) => fails,
                // A load that cannot even start tells nothing about the limit.
                Err(why) if best.is_none() => return Err(why),
                Err(why) => Some(why),
            };
            search.tried(calls, fails.is_none());
            if let Some(why) = fails {
                too_much = Some((calls, why));
            }
        }
        Ok((MaxFound { against: self.name(against).to_owned(), round, calls: search.found(), too_much }, best))
    }

    /// Runs one load, and returns why it does not hold, if it does not.
    async fn run(&self, against: LoadTarget, round: u32, calls: u16) -> Result<(Run, Option<String>), String> {
        if !self.output.is_quiet() {
            note(&format!("{calls} calls at {}", self.name(against)));
        }
        let (measurement, complaints) = self.measure(against, calls).await?;
        let fails = measurement.fails(self.load.bound * 1_000);
        let run = Run { against: self.name(against).to_owned(), round, measurement, complaints };
        if !self.output.is_quiet() || !run.measurement.faults.is_none() {
            note(&run.in_a_line());
        }
        Ok((run, fails))
    }

    fn name(&self, against: LoadTarget) -> &'static str {
        match (&self.url, against) {
            (Some(_), _) => "url",
            (None, LoadTarget::Service) => "service",
            (None, LoadTarget::Relay) => "relay",
            (None, LoadTarget::CoalescingRelay) => "coalescing relay",
        }
    }

    /// Runs one load, with processes of its own.
    async fn measure(&self, against: LoadTarget, calls: u16) -> Result<(Measurement, Vec<String>), String> {
        let agent_port = if self.url.is_some() { AGENT_PORT } else { 0 };
        let agent_port = self.load.agent_port.unwrap_or(agent_port);
        let agent = AgentProcess::start(agent_port, &self.load, self.pins.agent).await?;
        let endpoint = agent.endpoint();
        let (service, url, token) = match &self.url {
            Some(url) => (None, url.clone(), self.token.as_deref()),
            None => {
                let spec = ServiceSpec {
                    against,
                    edition: self.load.edition,
                    agent: &endpoint,
                    calls,
                    settings: &self.settings,
                    core: self.pins.service,
                };
                let service = ServiceProcess::start(&spec).await?;
                let url = format!("{}/twiml", service.url());
                (Some(service), url, Some(TOKEN))
            }
        };
        sleep(REST).await;
        let twilio = SimulatedTwilio::new(Account::new(token), Net::Tcp);
        let speech = match (self.load.silent, self.load.distance) {
            (true, _) => CallerSpeech::Nothing,
            (false, Some(_)) => CallerSpeech::GoesOn,
            (false, None) => CallerSpeech::Utterances,
        };
        let plan = Plan { voice_url: url, calls, ramp: self.load.ramp, speech };
        let progress = LoadProgress::new(self.output, self.name(against), calls);
        let mut window = Window { setup: self, service: service.as_ref(), agent, progress };
        let idle_kib = window.service_usage()?.map_or(0, |usage| usage.resident_kib);
        let load = Load::begin(&twilio, &plan, |up| window.progress.ramp(up)).await?;
        let readings = window.measure(load, Readings { calls, idle_kib, ..Readings::default() }).await?;
        if readings.agent.arrived == 0 {
            return Err(format!(
                "no audio has reached the load's agent: the service must be started with \
                 DIALOGFLOW_ENDPOINT={endpoint} DIALOGFLOW_AGENT=projects/p/locations/global/agents/load"
            ));
        }
        let complaints = service.map(|service| service.complaints()).unwrap_or_default();
        Ok((Measurement::of(&readings), complaints))
    }
}

/// The window in which latencies and costs are measured.
struct Window<'a> {
    setup: &'a Setup,
    service: Option<&'a ServiceProcess>,
    agent: AgentProcess,
    progress: LoadProgress,
}

impl Window<'_> {
    fn service_usage(&self) -> Result<Option<Usage>, String> {
        match (self.service, self.setup.load.service_pid) {
            (Some(service), _) => service.usage().map(Some),
            (None, Some(pid)) => Usage::of(pid).map(Some).map_err(|error| format!("--service-pid {pid}: {error}")),
            (None, None) => Ok(None),
        }
    }

    fn used(&self) -> Result<Used, String> {
        Ok(Used {
            service: self.service_usage()?,
            tool: Usage::of(std::process::id()).map_err(|error| error.to_string())?,
            agent: self.agent.usage()?,
            machine_busy_ms: machine_busy_ms().map_err(|error| error.to_string())?,
        })
    }

    /// Waits for the end of the window, and samples the service's memory and files meanwhile.
    async fn watch(&self, load: &Load, began: Instant, window: Duration) -> Result<Vec<Held>, String> {
        let mut held = Vec::new();
        loop {
            let passed = began.elapsed();
            if let Some(Usage { resident_kib, files, .. }) = self.service_usage()? {
                held.push(Held { at_ms: in_ms(passed), resident_kib, files });
            }
            if passed >= window {
                return Ok(held);
            }
            let wait = CHECK_INTERVAL.min(window - passed);
            self.progress.wait(load, Stage::Window, passed, wait, window).await;
        }
    }

    async fn measure(&mut self, load: Load, readings: Readings) -> Result<Readings, String> {
        let (options, pins) = (&self.setup.load, self.setup.pins);
        let warm_up = Duration::from_secs(options.warm_up);
        self.progress.wait(&load, Stage::WarmUp, Duration::ZERO, warm_up, warm_up).await;
        self.agent.begin().await?;
        load.open_window();
        let (before, began) = (self.used()?, Instant::now());
        let held = self.watch(&load, began, Duration::from_secs(options.seconds)).await?;
        let (after, window) = (self.used()?, began.elapsed());
        let caller = load.close_window();
        let in_window = self.agent.report().await?;
        self.progress.show_end();
        let caller = load.end(caller).await;
        let in_all = self.agent.report().await?;
        Ok(Readings {
            window_ms: in_ms(window),
            held,
            caller,
            agent: in_window.completed_by(&in_all),
            service: before.service.zip(after.service).map(|(before, after)| after.since(&before)),
            tool: after.tool.since(&before.tool),
            agent_process: Some(after.agent.since(&before.agent)),
            machine_busy_ms: after.machine_busy_ms.saturating_sub(before.machine_busy_ms),
            share_a_core: pins.tool.is_some() && pins.tool == pins.agent,
            ..readings
        })
    }
}

/// CPU time that was used up to some moment.
struct Used {
    service: Option<Usage>,
    tool: Usage,
    agent: Usage,
    machine_busy_ms: u64,
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_name_processes_and_cores() {
        let parse = |pins: &[&str]| Pins::parse(&pins.iter().map(|pin| (*pin).to_owned()).collect::<Vec<_>>());
        let pins = Pins { service: Some(0), tool: Some(1), agent: None };
        assert_eq!(parse(&["service=0", "tool=1"]), Ok(pins));
        for wrong in ["service", "service=x", "phone=1", "tool=-1"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }
}
