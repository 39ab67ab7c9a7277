//! `compare`: two runs of conversation files side by side, turn by turn, worst first: an old agent and a new one. With
//! `--metrics` the agents of a running service instead.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use dialbridge_runner::telemetry::log::log_and_exit;
use serde_json::{Value, json};

use super::compare_agents;
use crate::args::CompareArgs;
use crate::files;

/// `EX_DATAERR` of sysexits: the file is no run.
const DATA_ERROR: u8 = 65;

/// `EX_UNAVAILABLE` of sysexits: no instance gave its metrics.
const NO_METRICS: u8 = 69;

/// The largest run that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// A wait that differs by less is the same, in milliseconds.
const MIN_DIFFERENCE_MS: i64 = 50;

/// How one turn differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// How bad it is: 0 is the worst.
    rank: u8,
    /// The longer the new wait is, the smaller.
    waits_less_ms: i64,
    file: String,
    step: String,
    lines: Vec<String>,
}

/// Runs `compare`.
pub async fn run(args: &CompareArgs) -> ExitCode {
    let (text, code) = match (&args.old, &args.new) {
        (Some(old), Some(new)) => (runs(old, new, args.json), DATA_ERROR),
        _ => {
            let admin_token = args.admin_token.as_deref().filter(|token| !token.is_empty());
            (compare_agents::compared(&args.metrics, admin_token, args.json).await, NO_METRICS)
        }
    };
    let text = match text {
        Ok(text) => text,
        Err(why) => return log_and_exit(&why, code),
    };
    // A reader that has read enough closes the pipe.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    ExitCode::SUCCESS
}

/// Two runs side by side.
fn runs(old: &Path, new: &Path, is_json: bool) -> Result<String, String> {
    let (old, new) = (read(old)?, read(new)?);
    let (turns, same, notes) = compared(&old, &new);
    Ok(if is_json { format!("{:#}", as_json(&turns, same, &notes)) } else { as_lines(&turns, same, &notes) })
}

fn read(path: &Path) -> Result<Vec<Value>, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = files::text(path, MAX_BYTES)?;
    let mut run: Value = serde_json::from_str(&text).map_err(|error| told(&format!("it is no JSON: {error}")))?;
    match run["results"].take() {
        Value::Array(results) => Ok(results),
        _ => Err(told(&"it is no run: dialbridge test --json writes one")),
    }
}

/// The turns that differ, worst first; how many are the same; and what could not be compared.
fn compared(old: &[Value], new: &[Value]) -> (Vec<Turn>, usize, Vec<String>) {
    let (mut turns, mut same, mut notes) = (Vec::new(), 0, Vec::new());
    for after in new {
        let Some(before) = counterpart(after, new, old) else {
            notes.push(format!("{}: only in the new run", title(after)));
            continue;
        };
        let is_same_edition = before["edition"] == after["edition"];
        let name = if is_same_edition { title(after) } else { format!("{}, was {}", title(after), edition(before)) };
        let (Some(steps), Some(then)) = (after["steps"].as_array(), before["steps"].as_array()) else {
            notes.push(format!("{name}: it could not be run in one of the two"));
            continue;
        };
        for step in steps {
            match then.iter().find(|then| then["step"] == step["step"]) {
                Some(then) => match difference(&name, then, step, is_same_edition) {
                    Some(turn) => turns.push(turn),
                    None => same += 1,
                },
                None => notes.push(format!("{name}: step {} is only in the new run", step["step"])),
            }
        }
        if steps.len() < then.len() {
            notes.push(format!("{name}: the new call ended after {} of {} turns", steps.len(), then.len()));
        }
    }
    notes.extend(
        old.iter()
            .filter(|before| counterpart(before, old, new).is_none())
            .map(|before| format!("{}: only in the old run", title(before))),
    );
    turns.sort();
    (turns, same, notes)
}

/// The result of the other run to compare one with: the same file with the same edition. Where each run has one edition of
/// the file, they are compared whatever these are.
fn counterpart<'a>(result: &Value, own: &[Value], other: &'a [Value]) -> Option<&'a Value> {
    let is_file = |candidate: &&Value| candidate["file"] == result["file"];
    let of_file: Vec<&Value> = other.iter().filter(is_file).collect();
    let is_single = of_file.len() == 1 && own.iter().filter(is_file).count() == 1;
    let same = of_file.iter().find(|candidate| candidate["edition"] == result["edition"]);
    same.or(of_file.first().filter(|_| is_single)).copied()
}

fn edition(result: &Value) -> &str {
    result["edition"].as_str().unwrap_or("of an unknown edition")
}

/// The file and its edition.
fn title(result: &Value) -> String {
    let file = result["file"].as_str().unwrap_or_default();
    result["edition"].as_str().map_or_else(|| file.to_owned(), |edition| format!("{file} ({edition})"))
}

fn difference(file: &str, then: &Value, now: &Value, is_same_edition: bool) -> Option<Turn> {
    let mut lines = Vec::new();
    let mut rank = 4;
    for (name, of) in [("intent", 0), ("page", 1), ("understood", 2), ("reply", 3)] {
        let [was, is] = [then, now].map(|step| step[name].as_str().unwrap_or_default());
        // An agent of another edition may have no intents or pages at all.
        let may_be_unknown = !is_same_edition && matches!(name, "intent" | "page");
        let is_known = !may_be_unknown || (!was.is_empty() && !is.is_empty());
        if was != is && is_known {
            lines.push(format!("{name}: {was:?} is now {is:?}"));
            rank = rank.min(of);
        }
    }
    let wait = |step: &Value| step["withinMs"].as_i64();
    let waits = match (wait(then), wait(now)) {
        (Some(0..), Some(is @ ..0)) => {
            lines.push(format!("wait: the answer begins {} s before the caller has finished now", seconds(-is)));
            rank = 0;
            i64::MAX
        }
        (Some(was), Some(is)) if (is - was).abs() >= MIN_DIFFERENCE_MS => {
            lines.push(format!("wait: {} s is now {} s", seconds(was), seconds(is)));
            is - was
        }
        (Some(was), None) => {
            lines.push(format!("wait: {} s, and now no answer is heard", seconds(was)));
            rank = 0;
            i64::MAX
        }
        _ => 0,
    };
    let step = now["step"].as_u64().map_or("the greeting".to_owned(), |step| format!("step {step}"));
    (!lines.is_empty()).then(|| Turn {
        rank,
        waits_less_ms: waits.saturating_neg(),
        file: file.to_owned(),
        step,
        lines,
    })
}

fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", ms.abs() / 1_000, ms.abs() % 1_000 / 10)
}

fn as_lines(turns: &[Turn], same: usize, notes: &[String]) -> String {
    let mut lines = Vec::new();
    for turn in turns {
        lines.push(format!("{}, {}", turn.file, turn.step));
        lines.extend(turn.lines.iter().map(|line| format!("  {line}")));
    }
    lines.extend(notes.iter().cloned());
    lines.push(format!("{} turns differ, {same} are the same", turns.len()));
    lines.join("\n")
}

fn as_json(turns: &[Turn], same: usize, notes: &[String]) -> Value {
    let turn = |turn: &Turn| json!({ "file": turn.file, "step": turn.step, "differences": turn.lines });
    json!({ "differ": turns.iter().map(turn).collect::<Vec<_>>(), "same": same, "notes": notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64, intent: &str, reply: &str, within_ms: Option<u64>) -> Value {
        json!({ "step": number, "intent": intent, "page": "", "understood": "x", "reply": reply, "withinMs": within_ms })
    }

    #[test]
    fn turns_are_compared_worst_first() {
        let run = |steps: Vec<Value>| vec![json!({ "file": "a.toml", "steps": steps })];
        let old = run(vec![
            step(2, "order", "Two loaves.", Some(900)),
            step(3, "time", "Nine.", Some(900)),
            step(4, "bye", "Bye.", Some(900)),
            step(5, "x", "Y", Some(900)),
        ]);
        let new = run(vec![
            step(2, "order", "Two loaves.", Some(1_900)),
            step(3, "hours", "Nine.", Some(920)),
            step(4, "", "Good bye.", Some(900)),
            step(5, "x", "Y", Some(920)),
        ]);
        let (turns, same, notes) = compared(&old, &new);
        let told: Vec<(&str, &str)> = turns.iter().map(|turn| (turn.step.as_str(), turn.lines[0].as_str())).collect();
        let expected = [
            ("step 3", "intent: \"time\" is now \"hours\""),
            ("step 4", "intent: \"bye\" is now \"\""),
            ("step 2", "wait: 0.90 s is now 1.90 s"),
        ];
        assert_eq!((told.as_slice(), same, notes.len()), (&expected[..], 1, 0));
        assert!(as_lines(&turns, same, &notes).ends_with("3 turns differ, 1 are the same"));
    }

    #[test]
    fn an_intent_that_became_empty_is_a_difference_unless_the_edition_is_another() {
        let run = |edition: &str, intent: &str| {
            vec![json!({ "file": "a.toml", "edition": edition, "steps": [step(2, intent, "b", Some(1))] })]
        };
        let (turns, ..) = compared(&run("cx", "order"), &run("cx", ""));
        assert_eq!((turns[0].rank, turns[0].lines[0].as_str()), (0, "intent: \"order\" is now \"\""));
        let (turns, same, notes) = compared(&run("cx", "order"), &run("ces", ""));
        assert_eq!((turns, same, notes.len()), (Vec::new(), 1, 0), "CES names no intents");
    }

    #[test]
    fn each_edition_of_a_file_is_compared_with_itself() {
        let result = |edition: &str, reply: &str| json!({ "file": "a.toml", "edition": edition, "steps": [step(2, "a", reply, Some(1))] });
        let old = [result("es", "From ES."), result("cx", "From CX.")];
        let (turns, same, notes) = compared(&old, &[result("cx", "From CX."), result("es", "Otherwise.")]);
        assert_eq!((turns[0].file.as_str(), turns.len(), same, notes.len()), ("a.toml (es)", 1, 1, 0));
        let (turns, _, notes) = compared(&old, &[result("ces", "x")]);
        assert_eq!(turns, []);
        assert_eq!(notes.len(), 3, "{notes:?}");
        let (turns, _, notes) = compared(&old[..1], &[result("ces", "x")]);
        assert_eq!((turns[0].file.as_str(), notes.len()), ("a.toml (ces), was es", 0));
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let old = [json!({ "file": "a.toml", "steps": [step(2, "a", "b", Some(1))] }), json!({ "file": "b.toml" })];
        let new = [json!({ "file": "a.toml", "steps": [] }), json!({ "file": "c.toml", "steps": [] })];
        let (_, _, notes) = compared(&old, &new);
        let told = [
            "a.toml: the new call ended after 0 of 1 turns",
            "c.toml: only in the new run",
            "b.toml: only in the old run",
        ];
        assert_eq!(notes, told);
        let mut early = json!({ "file": "a.toml", "steps": [step(2, "a", "b", None)] });
        early["steps"][0]["withinMs"] = json!(-400);
        let (turns, ..) = compared(&old[..1], &[early]);
        let told = "wait: the answer begins 0.40 s before the caller has finished now";
        assert_eq!((turns[0].rank, turns[0].lines[0].as_str()), (0, told));
        let (turns, ..) = compared(&old[..1], &[json!({ "file": "a.toml", "steps": [step(2, "a", "b", None)] })]);
        assert_eq!((turns[0].rank, turns[0].lines[0].as_str()), (0, "wait: 0.00 s, and now no answer is heard"));
    }
}
