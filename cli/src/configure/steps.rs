//! Runs the commands that deploy, step by step.

use std::collections::BTreeMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::deploy::DeployStep;
use super::error::ConfigureError;
use super::input::{Input, say};

/// What the user wants with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Skip,
    Stop,
}

/// Runs each step after it was shown. Without an `input` it asks nothing, and the first step that fails is the last one.
///
/// # Errors
/// Which step failed, or that the user stopped.
pub(super) async fn run(
    steps: &[DeployStep],
    values: &BTreeMap<String, String>,
    mut input: Option<&mut Input>,
) -> Result<(), ConfigureError> {
    for (step, left) in steps.iter().zip((1..=steps.len()).rev()) {
        say(&format!("\n{}", step.shown()));
        let mut question = "Run it? Enter: yes; s: skip it; q: stop: ";
        loop {
            match wish(input.as_deref_mut(), question).await? {
                Wish::Run => {}
                Wish::Skip => break,
                Wish::Stop => return Err(ConfigureError::Step(format!("stopped with {left} steps to go"))),
            }
            let Err(why) = run_step(step, values).await else { break };
            if input.is_none() {
                return Err(ConfigureError::Step(format!("{why}; {left} steps are to go")));
            }
            say(&why);
            question = "Run it again? Enter: yes; s: go on without it; q: stop: ";
        }
    }
    Ok(())
}

async fn wish(input: Option<&mut Input>, question: &str) -> Result<Wish, ConfigureError> {
    let Some(input) = input else { return Ok(Wish::Run) };
    loop {
        let answer = input.ask(question).await.ok_or(ConfigureError::Step("the input has ended".to_owned()))?;
        match answer.as_str() {
            "" | "y" | "yes" => return Ok(Wish::Run),
            "s" | "skip" | "n" | "no" => return Ok(Wish::Skip),
            "q" | "quit" => return Ok(Wish::Stop),
            _ => {}
        }
    }
}

/// Runs the commands of a step in one shell. What they print goes to the error output: the output is for commands.
async fn run_step(step: &DeployStep, values: &BTreeMap<String, String>) -> Result<(), String> {
    let secret = step.secret.as_ref().and_then(|secret| values.get(&secret.variable));
    let spawned = Command::new("sh")
        .args(["-eu", "-c", &step.script()])
        // gcloud takes its defaults instead of asking: nobody could answer.
        .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
        .stdin(if secret.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.map_err(|error| format!("sh cannot be started: {error}"))?;
    if let (Some(secret), Some(mut stdin)) = (secret, child.stdin.take()) {
        // A command that does not read it says so by its exit code.
        let _ = stdin.write_all(secret.as_bytes()).await;
    }
    let ended = child.wait().await.map_err(|error| format!("the commands cannot be waited for: {error}"))?;
    if ended.success() { Ok(()) } else { Err(format!("It failed: {ended}")) }
}
