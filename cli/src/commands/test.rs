//! `test`: runs conversation files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dialbridge_net::dial::Tcp;
use dialbridge_net::proxy::{Proxy, proxied};
use dialbridge_runner::telemetry::log::{self, log_and_exit};
use tokio::time::Instant;

use super::CONFIG;
use super::called::{first_of, voice_url};
use crate::conversations::{
    Coverage, Found, Mode, Run, RunningService, Summary, Surroundings, TestArgs, TestCommand, TestResult, Verdict,
    import, of_recordings, of_tape,
};
use crate::doctor::check_private;
use crate::junit;
use crate::progress::{Output, Progress};
use dialbridge_runner::settings::{Settings, Severity};

/// `EX_USAGE` of sysexits: options that do not go together.
const USAGE: u8 = 64;

/// A test failed.
const FAILED: u8 = 1;

/// A test could not be run.
const BROKEN: u8 = 2;

/// Runs `test`.
pub async fn run(args: &TestArgs) -> ExitCode {
    if let Some(command) = &args.command {
        return write(command);
    }
    let (run, found, coverage) = match prepared(args) {
        Ok(prepared) => prepared,
        Err((why, code)) => return log_and_exit(&why, code),
    };
    let output = Output::of(args.json, args.quiet);
    let progress = Progress::timed_bar(output);
    let beside = progress.clone();
    log::start(Severity::Error, super::log_style(), move || beside.stderr());
    let summary = summary(&run, found, coverage, Results::new(output, progress)).await;
    if let Some(junit) = &args.junit
        && let Err(error) = std::fs::write(junit, summary.junit())
    {
        return log_and_exit(&format!("{}: {error}", junit.display()), BROKEN);
    }
    say(&if output.is_json() { format!("{:#}", summary.json()) } else { summary.lines() });
    match (summary.failed(), summary.broken()) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(BROKEN),
        _ => ExitCode::from(FAILED),
    }
}

/// All that can be wrong before the first call: the run, its files, and the agent's export. An error has its exit code.
fn prepared(args: &TestArgs) -> Result<(Run, Found, Option<Coverage>), (String, u8)> {
    let is_offline = !args.live && !args.record && args.url.is_none();
    if is_offline && args.retries > 0 {
        let why = "--retries is for --live, --record and --url: a run from a tape always goes the same way";
        return Err((why.to_owned(), USAGE));
    }
    let broken = |why: String| (why, BROKEN);
    let mode = mode(args).map_err(|why| (why, CONFIG))?;
    let coverage = args.coverage.as_deref().map(Coverage::of).transpose().map_err(broken)?;
    let found = Found::of(&args.paths);
    if found.files.is_empty() && found.faults.is_empty() {
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        let why = "no conversation file, which is a TOML file with [[step]]";
        return Err(broken(format!("{}: {why}", paths.join(", "))));
    }
    args.junit.as_deref().map_or(Ok(()), junit::check_writable).map_err(broken)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.map_or(if is_offline { cores } else { 1 }, usize::from);
    let run = Run { mode, settings: settings(), changes: args.setting.clone(), jobs, retries: args.retries };
    Ok((run, found, coverage))
}

/// Runs the files, and tells each result as it comes.
async fn summary(run: &Run, found: Found, mut coverage: Option<Coverage>, mut results: Results) -> Summary {
    let began = Instant::now();
    results.summary.others = found.others;
    results.show(found.files.len());
    for (path, why) in found.faults {
        results.done(TestResult::broken(&path, vec![why]), 0);
    }
    run.files(found.files, |result, count| results.done(result, count)).await;
    results.progress.end();
    let summary = results.summary;
    if let Some(coverage) = &mut coverage {
        summary.results.iter().filter_map(|result| result.seen.as_ref()).for_each(|call| coverage.add(call));
    }
    Summary { took: began.elapsed(), coverage, ..summary }
}

/// Writes files instead of running them.
fn write(command: &TestCommand) -> ExitCode {
    let written = match command {
        TestCommand::New { sources, out } => new(sources, out.as_deref()),
        TestCommand::Import { cases, out } => {
            let folder = out.clone().unwrap_or_else(|| cases.parent().unwrap_or(Path::new("")).to_owned());
            import(cases, &folder)
        }
    };
    match written {
        Ok((written, notes)) => {
            written.iter().for_each(|path| say(&format!("{}: written", path.display())));
            notes.iter().for_each(|note| say(note));
            ExitCode::SUCCESS
        }
        Err(why) => log_and_exit(&why, BROKEN),
    }
}

fn new(sources: &[PathBuf], out: Option<&Path>) -> Result<(Vec<PathBuf>, Vec<String>), String> {
    let is_tape = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let Some(first) = sources.first() else { return Ok((Vec::new(), Vec::new())) };
    let out = out.map_or_else(|| first.with_extension("toml"), Path::to_owned);
    if !is_tape(first) {
        return of_recordings(sources, &out).map(|()| (vec![out], Vec::new()));
    }
    if sources.len() > 1 {
        return Err("one tape at a time: each becomes a file of its own".to_owned());
    }
    of_tape(first, &out)
}

/// The settings of the environment.
fn settings() -> Settings {
    Settings::of(Settings::names().filter_map(|name| Some((name, std::env::var(name).ok()?))))
}

fn mode(args: &TestArgs) -> Result<Mode, String> {
    if !args.live && !args.record && args.url.is_none() {
        return Ok(Mode::Offline(args.edition.clone()));
    }
    let proxy = Proxy::from_variables(|name| std::env::var(name).ok()).map_err(|fault| fault.to_string())?;
    let dial = proxied(Arc::new(Tcp), proxy);
    if let Some(url) = &args.url {
        let auth_token = args.auth_token.as_deref().and_then(first_of).map(ToOwned::to_owned);
        let admin_token = args.admin_token.clone().filter(|token| !token.is_empty());
        if admin_token.is_some() {
            check_private("--url", url)?;
        }
        return Ok(Mode::Url(RunningService { voice_url: voice_url(url, &[])?, auth_token, admin_token, dial }));
    }
    let surroundings = Surroundings::sockets(dial);
    Ok(if args.record { Mode::Record(surroundings) } else { Mode::Live(surroundings) })
}

/// Prints each result as it comes, and on a terminal how far the run has come.
struct Results {
    output: Output,
    progress: Progress,
    summary: Summary,
}

impl Results {
    fn new(output: Output, progress: Progress) -> Self {
        Self { output, progress, summary: Summary::default() }
    }

    fn done(&mut self, result: TestResult, count: usize) {
        let is_told = match self.output {
            Output::Lines => true,
            Output::ResultLines => result.verdict != Verdict::Passed || result.is_flaky(),
            Output::Json | Output::ResultJson => false,
        };
        if is_told {
            self.progress.aside(|| say(&result.lines()));
        }
        self.summary.results.push(result);
        self.show(count);
    }

    /// Shows how many of `count` runs are done. A file with several tapes is several runs.
    fn show(&self, count: usize) {
        let (done, wrong) = (self.summary.results.len(), self.summary.failed() + self.summary.broken());
        let count = count.max(done);
        self.progress.show(done as u64, count as u64, format!("{done} of {count}, {wrong} wrong"));
    }
}

fn say(text: &str) {
    // A reader that has read enough closes the pipe.
    let _ = writeln!(std::io::stdout(), "{text}");
}
