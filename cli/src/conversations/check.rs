//! Compares a call with the expectations of its file.

use dialbridge_core::CallTime;
use dialbridge_core::replay::around;
use serde_json::Value;

use super::expect::Test;
use super::file::{ConversationFile, Expectation, Subject};
use super::seen::{SeenCall, SeenEnd, SeenStep, seconds};

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The line of the file.
    pub line: usize,
    /// The step, from 1; `None`: the whole call.
    pub step: Option<usize>,
    /// The key.
    pub key: String,
    /// The expected value, in words.
    pub expected: String,
    /// The value that was found.
    pub found: String,
    /// The lines of the trace around that moment.
    pub around: Vec<String>,
}

impl SeenCall {
    /// The expectations of the file that do not hold. A step that the caller never came to is one difference.
    #[must_use]
    pub fn differences(&self, file: &ConversationFile) -> Vec<Difference> {
        let told_around = |at| around(&self.trace, at).into_iter().map(ToOwned::to_owned).collect();
        let mut differences = Vec::new();
        let greeting = file.greeting.iter().flatten();
        let mut push = |expectation: &Expectation, step: Option<usize>, found: Option<(String, CallTime)>| {
            let Some((found, at)) = found else { return };
            differences.push(Difference {
                line: expectation.line,
                step,
                key: expectation.subject.key(),
                expected: expectation.test.to_string(),
                found,
                around: told_around(at),
            });
        };
        greeting.for_each(|expectation| push(expectation, Some(1), self.greeting.unlike(expectation)));
        for (step, seen) in file.steps.iter().zip(self.steps.iter().chain(std::iter::repeat(&None))) {
            if let Some(seen) = seen {
                step.expect.iter().for_each(|expect| push(expect, Some(step.number), seen.unlike(expect)));
            }
        }
        file.end.iter().for_each(|expectation| push(expectation, None, self.end.unlike(expectation)));
        let missed = file.steps.iter().enumerate().find(|(n, _)| !matches!(self.steps.get(*n), Some(Some(_))));
        if let Some((_, step)) = missed {
            differences.push(Difference {
                line: step.line,
                step: Some(step.number),
                key: "step".to_owned(),
                expected: "the caller takes it".to_owned(),
                found: "the call ended before its time came: the agent did not speak, or the call was handed off"
                    .to_owned(),
                around: told_around(self.end.at),
            });
        }
        differences.sort_by_key(|difference| difference.line);
        differences
    }
}

impl SeenStep {
    /// The value that was found and its time, if it is not as expected.
    fn unlike(&self, expectation: &Expectation) -> Option<(String, CallTime)> {
        let at = self.answered_at.unwrap_or(self.at);
        let text = |found: &str| text_unlike(&expectation.test, found);
        let found = match &expectation.subject {
            Subject::Reply => text(&self.reply),
            Subject::Understood => text(&self.understood),
            Subject::Intent => text(&self.intent),
            Subject::Flow => text(&self.flow),
            Subject::Page => text(&self.page),
            Subject::Param(path) => value_unlike(&expectation.test, self.params.get(&path[0]), &path[1..]),
            Subject::WithinS => within_unlike(&expectation.test, self.within_ms),
            Subject::PromptCutS => {
                return seconds_unlike(&expectation.test, self.cut.map(|(ms, _)| ms), "no prompt was cut")
                    .map(|found| (found, self.cut.map_or(at, |(_, at)| at)));
            }
            Subject::PromptCut => match &expectation.test {
                Test::Flag(flag) if *flag == self.cut.is_some() => None,
                _ => Some(self.cut.map_or("no prompt was cut".to_owned(), |(ms, _)| {
                    format!("a prompt was cut after {}", seconds(ms))
                })),
            },
            Subject::Status
            | Subject::Reason
            | Subject::Twiml
            | Subject::Handoff(_)
            | Subject::Turns
            | Subject::Warnings
            | Subject::Seconds => None,
        };
        let missing = if self.stages.is_empty() { String::new() } else { format!(" ({})", self.stages) };
        found.map(|found| match expectation.subject {
            Subject::WithinS => (format!("{found}{missing}"), at),
            _ => (found, at),
        })
    }
}

impl SeenEnd {
    fn unlike(&self, expectation: &Expectation) -> Option<(String, CallTime)> {
        let found = match &expectation.subject {
            Subject::Status if self.status.is_empty() && self.twiml.is_empty() => {
                Some("the agent's part did not end: no hand-off".to_owned())
            }
            Subject::Status if self.status.is_empty() => {
                Some("its TwiML does not say; the service's page does, with ADMIN_TOKEN".to_owned())
            }
            Subject::Status => text_unlike(&expectation.test, &self.status),
            Subject::Reason => text_unlike(&expectation.test, &self.reason),
            Subject::Twiml => text_unlike(&expectation.test, &self.twiml),
            Subject::Handoff(path) => self.handoff_unlike(&expectation.test, path),
            Subject::Turns => count_unlike(&expectation.test, self.turns).map(|count| count.to_string()),
            Subject::Warnings => {
                let told = self.warnings.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
                let found = count_unlike(&expectation.test, self.warnings.len())?;
                let at = self.warnings.first().map_or(self.at, |(at, _)| *at);
                return Some((if told.is_empty() { found.to_string() } else { format!("{found}: {told}") }, at));
            }
            Subject::Seconds => seconds_unlike(&expectation.test, Some(self.at.as_ms()), ""),
            Subject::Reply
            | Subject::Understood
            | Subject::Intent
            | Subject::Flow
            | Subject::Page
            | Subject::Param(_)
            | Subject::WithinS
            | Subject::PromptCut
            | Subject::PromptCutS => None,
        };
        found.map(|found| (found, self.at))
    }

    /// A field of `dialogflowJSON`, or of the parameters or the live agent's metadata within it.
    fn handoff_unlike(&self, test: &Test, path: &[String]) -> Option<String> {
        let places = ["", "/liveAgentHandoff", "/parameters"];
        let found = places.iter().find_map(|place| self.handoff.pointer(place)?.get(&path[0]));
        match found {
            None if self.handoff.is_null() => Some("there is no dialogflowJSON".to_owned()),
            found => value_unlike(test, found, &path[1..]),
        }
    }
}

fn text_unlike(test: &Test, found: &str) -> Option<String> {
    let holds = match test {
        Test::Text(test) => test.holds(found),
        Test::Number(_) | Test::Flag(_) | Test::Json(_) => test.holds_for(&Value::from(found)),
    };
    (!holds).then(|| if found.is_empty() { "nothing".to_owned() } else { format!("{found:?}") })
}

fn value_unlike(test: &Test, found: Option<&Value>, path: &[String]) -> Option<String> {
    let found = path.iter().fold(found, |found, key| found?.get(key));
    match found {
        None => Some("there is none of that name".to_owned()),
        Some(found) => (!test.holds_for(found)).then(|| found.to_string()),
    }
}

fn seconds_unlike(test: &Test, found_ms: Option<u64>, none: &str) -> Option<String> {
    let Some(ms) = found_ms else { return Some(none.to_owned()) };
    #[expect(clippy::cast_precision_loss, reason = "no call lasts that long")]
    let found = ms as f64 / 1_000.0;
    let holds = matches!(test, Test::Number(test) if test.holds(found, true));
    (!holds).then(|| format!("{}.{:03} s", ms / 1_000, ms % 1_000))
}

/// An answer that begins before the caller has finished is never in time.
fn within_unlike(test: &Test, within_ms: Option<i64>) -> Option<String> {
    let ms = within_ms.map(|ms| u64::try_from(ms).map_err(|_| ms.unsigned_abs())).transpose();
    match ms {
        Ok(ms) => seconds_unlike(test, ms, "no answer was heard"),
        Err(early_ms) => Some(format!("the answer began {} before the caller had finished", seconds(early_ms))),
    }
}

fn count_unlike(test: &Test, found: usize) -> Option<usize> {
    #[expect(clippy::cast_precision_loss, reason = "no call has that many")]
    let holds = matches!(test, Test::Number(test) if test.holds(found as f64, false));
    (!holds).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversations::expect::NumberTest;

    #[test]
    fn an_answer_that_begins_before_the_caller_has_finished_is_never_in_time() {
        let test = Test::Number(NumberTest::parse("<1.5").unwrap());
        assert_eq!(within_unlike(&test, Some(0)), None);
        let told = within_unlike(&test, Some(-400)).unwrap();
        assert_eq!(told, "the answer began 0.40 s before the caller had finished");
        assert_eq!(within_unlike(&test, None).unwrap(), "no answer was heard");
    }
}
