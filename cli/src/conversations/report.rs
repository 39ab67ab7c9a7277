//! The results of the files: for people, as JSON, and as JUnit's XML.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::Difference;
use super::coverage::Coverage;
use super::run::{TestResult, Verdict};
use super::seen::{SeenStep, seconds};
use crate::junit::{self, Case, Outcome};

/// How many differences of a file are shown.
const MAX_DIFFERENCES: usize = 8;

/// How many slow turns the summary names.
const SLOW_TURNS: usize = 3;

/// How a difference is told, without the lines around it.
fn told(difference: &Difference) -> String {
    let Difference { line, step, key, expected, found, .. } = difference;
    let place = step.map_or("end".to_owned(), |step| format!("step {step}"));
    format!("line {line}, {place}, {key}: expected {expected}, found {found}")
}

impl TestResult {
    /// The file and its edition.
    fn title(&self) -> String {
        let edition = self.edition.map(|edition| format!(" ({edition})")).unwrap_or_default();
        format!("{}{edition}", self.path.display())
    }

    /// The lines for people: one, and more where something is wrong.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        let took = format!("{}.{:03} s", self.took.as_secs(), self.took.subsec_millis());
        let word = match &self.verdict {
            Verdict::Passed if self.is_flaky() => "flaky ",
            Verdict::Passed => "ok    ",
            Verdict::Failed(_) => "FAILED",
            Verdict::Broken(_) => "BROKEN",
        };
        let tries = if self.tries > 1 { format!(", {} tries", self.tries) } else { String::new() };
        let recorded = self.recorded.as_ref().map(|path| format!(", recorded {}", path.display())).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = write!(lines, "{word} {}, {took}{tries}{recorded}", self.title());
        match &self.verdict {
            Verdict::Passed => {}
            Verdict::Broken(faults) => {
                for fault in faults {
                    let _ = write!(lines, "\n       {fault}");
                }
            }
            Verdict::Failed(differences) => {
                for difference in differences.iter().take(MAX_DIFFERENCES) {
                    let _ = write!(lines, "\n       {}", told(difference));
                    for line in &difference.around {
                        let _ = write!(lines, "\n         {}", folded(line));
                    }
                }
                if differences.len() > MAX_DIFFERENCES {
                    let _ = write!(lines, "\n       … and {} more", differences.len() - MAX_DIFFERENCES);
                }
            }
        }
        lines
    }

    /// The result as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let (verdict, differences, faults) = match &self.verdict {
            Verdict::Passed => ("passed", &[][..], &[][..]),
            Verdict::Failed(differences) => ("failed", &differences[..], &[][..]),
            Verdict::Broken(faults) => ("broken", &[][..], &faults[..]),
        };
        let differences: Vec<Value> = differences
            .iter()
            .map(|difference| {
                let Difference { line, step, key, expected, found, around } = difference;
                json!({ "line": line, "step": step, "key": key, "expected": expected, "found": found, "around": around })
            })
            .collect();
        let steps = self.seen.as_ref().map(|seen| {
            let greeting = (!seen.greeting.reply.is_empty()).then(|| step_json(None, &seen.greeting));
            let taken = self.numbers.iter().zip(&seen.steps);
            let taken = taken.filter_map(|(number, step)| Some(step_json(Some(*number), step.as_ref()?)));
            greeting.into_iter().chain(taken).collect::<Vec<_>>()
        });
        let end = self.seen.as_ref().map(|seen| {
            let warnings: Vec<&str> = seen.end.warnings.iter().map(|(_, warning)| warning.as_str()).collect();
            json!({
                "status": seen.end.status, "reason": seen.end.reason, "turns": seen.end.turns,
                "ms": seen.end.at.as_ms(), "handoff": seen.end.handoff, "warnings": warnings,
            })
        });
        json!({
            "file": self.path.display().to_string(), "name": self.name, "edition": self.edition, "verdict": verdict,
            "tries": self.tries, "flaky": self.is_flaky(), "tookMs": milliseconds(self.took), "differences": differences,
            "faults": faults, "steps": steps, "end": end,
            "recorded": self.recorded.as_ref().map(|path| path.display().to_string()),
        })
    }
}

fn step_json(number: Option<usize>, step: &SeenStep) -> Value {
    json!({
        "step": number, "atMs": step.at.as_ms(), "understood": step.understood, "reply": step.reply,
        "intent": step.intent, "flow": step.flow, "page": step.page, "params": step.params,
        "withinMs": step.within_ms, "promptCutMs": step.cut.map(|(ms, _)| ms), "stages": step.stages,
    })
}

/// A line of a trace, cut to what a terminal shows.
fn folded(line: &str) -> String {
    const MAX_CHARS: usize = 140;
    if line.chars().count() <= MAX_CHARS {
        return line.to_owned();
    }
    line.chars().take(MAX_CHARS).chain(['…']).collect()
}

/// All results.
#[derive(Debug, Default)]
pub struct Summary {
    /// In the order in which they came.
    pub results: Vec<TestResult>,
    /// How long it took.
    pub took: Duration,
    /// TOML files in the folders that are no conversation files.
    pub others: usize,
    /// The parts of an agent that were visited, if they are asked for.
    pub coverage: Option<Coverage>,
}

impl Summary {
    fn count(&self, is_counted: impl Fn(&Verdict) -> bool) -> usize {
        self.results.iter().filter(|result| is_counted(&result.verdict)).count()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// How many could not be run.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Broken(_)))
    }

    fn flaky(&self) -> usize {
        self.results.iter().filter(|result| result.is_flaky()).count()
    }

    /// The lines for people.
    #[must_use]
    pub fn lines(&self) -> String {
        let (count, passed) = (self.results.len(), self.count(|verdict| *verdict == Verdict::Passed));
        let more = [(self.failed(), "failed"), (self.broken(), "could not be run"), (self.flaky(), "flaky")];
        let more = more.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
        let others = match self.others {
            0 => String::new(),
            1 => ", 1 other TOML file".to_owned(),
            others => format!(", {others} other TOML files"),
        };
        let took = seconds(milliseconds(self.took));
        let mut lines = format!("{passed} of {count} passed{}{others}, in {took}", more.collect::<String>());
        for (ms, title, step, stages) in self.slowest() {
            // Writing to a String does not fail.
            let _ = write!(lines, "\n  slow: {}, step {step} of {title}", seconds(ms));
            if !stages.is_empty() {
                let _ = write!(lines, " ({stages})");
            }
        }
        if let Some(coverage) = &self.coverage {
            let _ = write!(lines, "\n{}", coverage.lines());
        }
        lines
    }

    /// The turns for whose answer a caller waited longest.
    fn slowest(&self) -> Vec<(u64, String, usize, &str)> {
        let turns = self.results.iter().flat_map(|result| {
            let steps = result.seen.iter().flat_map(|seen| &seen.steps);
            result.numbers.iter().zip(steps).filter_map(move |(number, step)| {
                let step = step.as_ref()?;
                Some((u64::try_from(step.within_ms?).ok()?, result.title(), *number, step.stages.as_str()))
            })
        });
        let mut turns: Vec<_> = turns.collect();
        turns.sort_by_key(|turn| std::cmp::Reverse(turn.0));
        turns.truncate(SLOW_TURNS);
        turns
    }

    /// All as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "runs": self.results.len(), "failed": self.failed(), "broken": self.broken(), "flaky": self.flaky(),
            "tookMs": milliseconds(self.took), "coverage": self.coverage.as_ref().map(Coverage::json),
            "results": self.results.iter().map(TestResult::json).collect::<Vec<_>>(),
        })
    }

    /// All as JUnit's XML: one test case for each run. A test that could not be run is an error.
    #[must_use]
    pub fn junit(&self) -> String {
        let case = |result: &TestResult| Case {
            name: result.name.clone(),
            class: result.title(),
            took: result.took,
            outcome: match &result.verdict {
                Verdict::Passed => {
                    Outcome::Passed(result.is_flaky().then(|| format!("flaky: passed at try {}", result.tries)))
                }
                Verdict::Failed(differences) => {
                    Outcome::Failed(differences.first().map(told).unwrap_or_default(), result.lines())
                }
                Verdict::Broken(faults) => {
                    Outcome::Broken(faults.first().cloned().unwrap_or_default(), faults.join("\n"))
                }
            },
        };
        junit::document(&self.results.iter().map(case).collect::<Vec<_>>(), self.took)
    }
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
