//! Runs the commands that deploy, step by step.

use std::collections::BTreeMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::deploy::DeployStep;
use super::error::ConfigureError;
use crate::input::{Input, Lines, Terminal, say};

/// What the user wants with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Skip,
    Stop,
}

/// How often a step has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    NotYet,
    Failed,
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
        let mut tried = Tried::NotYet;
        loop {
            match wish(input.as_deref_mut(), tried).await? {
                Wish::Run => {}
                Wish::Skip => break,
                Wish::Stop => return Err(ConfigureError::Step(format!("stopped with {left} steps to go"))),
            }
            let Err(why) = run_step(step, values).await else { break };
            if input.is_none() {
                return Err(ConfigureError::Step(format!("{why}; {left} steps are to go")));
            }
            say(&why);
            tried = Tried::Failed;
        }
    }
    Ok(())
}

async fn wish(input: Option<&mut Input>, tried: Tried) -> Result<Wish, ConfigureError> {
    let wish = match input {
        None => Some(Wish::Run),
        Some(Input::Terminal(terminal)) => chosen_wish(terminal, tried).await,
        Some(Input::Lines(lines)) => typed_wish(lines, tried).await,
    };
    wish.ok_or_else(|| ConfigureError::Step("the input has ended".to_owned()))
}

async fn chosen_wish(terminal: &mut Terminal, tried: Tried) -> Option<Wish> {
    let (question, run, skip) = match tried {
        Tried::NotYet => ("Run this step?", "run it", "skip it"),
        Tried::Failed => ("Run it again?", "run it again", "go on without it"),
    };
    let choices = [(Wish::Run, run), (Wish::Skip, skip), (Wish::Stop, "stop")];
    let chosen = terminal.choose(question, choices.iter().map(|(_, words)| (*words).to_owned()).collect()).await?;
    choices.get(chosen).map(|(wish, _)| *wish)
}

async fn typed_wish(lines: &mut Lines, tried: Tried) -> Option<Wish> {
    let question = match tried {
        Tried::NotYet => "Run it? Enter: yes; s: skip it; q: stop: ",
        Tried::Failed => "Run it again? Enter: yes; s: go on without it; q: stop: ",
    };
    loop {
        match lines.ask(question).await?.as_str() {
            "" | "y" | "yes" => return Some(Wish::Run),
            "s" | "skip" | "n" | "no" => return Some(Wish::Skip),
            "q" | "quit" => return Some(Wish::Stop),
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
