//! `load-agent`: the agent of a load, in a process of its own. It answers each input line with one line of figures. The
//! line `begin` starts the measuring window; any other line only asks for the figures. The process ends with its input.

use std::io::{self, BufRead};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;

use dialbridge_lab::load::LoadAgent;
use serde_json::json;

use super::timeline::say;
use crate::args::LoadAgentArgs;
use dialbridge_runner::telemetry::log::log_and_exit;

/// The line that begins the window.
pub(super) const BEGIN: &str = "begin";

/// The line that asks for the figures.
pub(super) const REPORT: &str = "report";

/// Runs `load-agent`.
#[expect(clippy::unused_async, reason = "a command like the others")]
pub async fn run(args: &LoadAgentArgs) -> ExitCode {
    match serve(args) {
        Ok(agent) => run_commands(&agent),
        Err(error) => log_and_exit(&format!("port {}: {error}", args.port), 1),
    }
}

/// Serves on a single thread: threads that share the work would only cost time.
fn serve(args: &LoadAgentArgs) -> io::Result<LoadAgent> {
    let listener = TcpListener::bind(("127.0.0.1", args.port))?;
    listener.set_nonblocking(true)?;
    say(&json!({ "port": listener.local_addr()?.port() }).to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agent = if args.faults { LoadAgent::with_faults() } else { LoadAgent::default() };
    let agent = agent.at_distance(args.distance);
    let agent = match args.long_answers {
        Some(seconds) => agent.with_long_answers(seconds),
        None => agent,
    };
    let serving = agent.clone();
    thread::Builder::new()
        .name("agent".to_owned())
        .spawn(move || runtime.block_on(async { serving.serve(tokio::net::TcpListener::from_std(listener)?).await }))?;
    Ok(agent)
}

fn run_commands(agent: &LoadAgent) -> ExitCode {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if line == BEGIN {
            agent.begin();
        }
        match serde_json::to_string(&agent.figures()) {
            Ok(figures) => say(&figures),
            Err(error) => return log_and_exit(&error.to_string(), 1),
        }
    }
    ExitCode::SUCCESS
}
