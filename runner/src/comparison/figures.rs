//! The figures of one agent, as its metrics have them.

use std::collections::BTreeMap;

use super::exposition::Sample;

/// The prefix of this program's metrics.
pub(super) const PREFIX: &str = "dialbridge_";

/// The status of a hand-off to a person.
const TO_PERSON: &str = "live-agent-handoff";

/// The figures of one agent since its instances have started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AgentFigures {
    /// Streams that have started: a call that migrates has several.
    started: u64,
    /// Streams of another agent that it has got as a backup.
    taken_over: u64,
    /// Calls that went to its backup before they had a stream.
    diverted: u64,
    /// Calls that went to its backup, the diverted ones among them.
    pub(super) left: u64,
    no_matches: u64,
    /// Whether a CES app is or was behind the name. It does not say what it did not understand.
    has_ces: bool,
    pub(super) no_inputs: u64,
    /// Prompts that were cut, by anything but keys.
    pub(super) barge_ins: u64,
    pub(super) to_person: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// The callers' waits for an answer.
    pub(super) waits: Times,
    /// The lengths of the calls that are over.
    pub(super) lengths: Times,
}

impl AgentFigures {
    /// The figures of each agent, summed up over all samples: those of several instances may be together.
    pub(super) fn by_agent(samples: &[Sample]) -> BTreeMap<String, Self> {
        let mut agents: BTreeMap<String, Self> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| !sample.label("agent").is_empty()) {
            agents.entry(sample.label("agent").to_owned()).or_default().add(sample);
        }
        agents
    }

    /// All calls that began with the agent or that it has got as a backup.
    pub(super) fn calls(&self) -> u64 {
        self.started + self.taken_over + self.diverted
    }

    /// The turns in which the caller spoke and heard the answer, or said nothing. They are the same in all editions:
    /// what opens a stream is not.
    pub(super) fn turns(&self) -> u64 {
        self.waits.count() + self.no_inputs
    }

    /// Answers to something that the agent did not understand; `None` if the agent does not say it.
    pub(super) fn no_matches(&self) -> Option<u64> {
        (!self.has_ces).then_some(self.no_matches)
    }

    fn add(&mut self, sample: &Sample) {
        let name = sample.name.strip_prefix(PREFIX).unwrap_or_default();
        let count = sample.count();
        self.has_ces |= sample.label("edition") == "ces";
        if name == "backups_total" {
            self.left += count;
        }
        let label = |name| sample.label(name);
        let counter = match name {
            "calls_total" => &mut self.started,
            "taken_over_total" => &mut self.taken_over,
            "backups_total" if label("during") == "webhook" => &mut self.diverted,
            "no_matches_total" => &mut self.no_matches,
            "no_inputs_total" => &mut self.no_inputs,
            "barge_ins_total" if label("by") != "dtmf" => &mut self.barge_ins,
            "handoffs_total" if label("status") == TO_PERSON => &mut self.to_person,
            "handoffs_total" if label("status") == "completed" => &mut self.completed,
            "handoffs_total" if label("status") == "failed" => &mut self.failed,
            "calls_ended_total" if label("reason") == "panic" => &mut self.failed,
            _ => return self.add_time(name, sample),
        };
        *counter += count;
    }

    fn add_time(&mut self, name: &str, sample: &Sample) {
        let (times, part) = match (name.strip_prefix("turn_seconds_"), name.strip_prefix("call_seconds_")) {
            (Some(part), _) => (&mut self.waits, part),
            (_, Some(part)) => (&mut self.lengths, part),
            (None, None) => return,
        };
        match part {
            "bucket" => times.add_bucket(sample.label("le"), sample.count()),
            "sum" => times.sum += sample.seconds(),
            _ => {}
        }
    }
}

/// A histogram of times.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Times {
    /// How many are not above each bound, by the bound in milliseconds; the last one has all.
    up_to: BTreeMap<u64, u64>,
    /// All together, in seconds.
    sum: f64,
}

/// A part of a histogram, in seconds: above `from`, and not above `to`. There is no `to` above the last bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) from: f64,
    pub(super) to: Option<f64>,
}

impl Times {
    fn add_bucket(&mut self, le: &str, count: u64) {
        let bound = if le == "+Inf" { Some(u64::MAX) } else { le.parse().ok().map(to_ms) };
        if let Some(bound) = bound {
            *self.up_to.entry(bound).or_default() += count;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.up_to.last_key_value().map_or(0, |(_, count)| *count)
    }

    /// The mean, in seconds; `None` if there are none.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum / super::interval::real(self.count()))
    }

    /// The bucket of the value of that rank, from 0 to their number; `None` if there are none.
    pub(super) fn bucket_of(&self, rank: f64) -> Option<Bucket> {
        let mut from = 0;
        for (to, count) in &self.up_to {
            if *count > 0 && super::interval::real(*count) >= rank {
                return Some(Bucket { from: to_seconds(from), to: (*to < u64::MAX).then(|| to_seconds(*to)) });
            }
            from = *to;
        }
        None
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn to_ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}

fn to_seconds(ms: u64) -> f64 {
    super::interval::real(ms) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    const INSTANCE: &str = r#"
dialbridge_calls_total{agent="sales",edition="cx"} 10
dialbridge_turns_total{agent="sales",edition="cx",input="audio"} 3
dialbridge_no_inputs_total{agent="sales",edition="cx"} 10
dialbridge_no_matches_total{agent="sales",edition="cx"} 3
dialbridge_barge_ins_total{agent="sales",edition="cx",by="speech"} 2
dialbridge_barge_ins_total{agent="sales",edition="cx",by="dtmf"} 99
dialbridge_backups_total{agent="sales",edition="cx",during="stream"} 1
dialbridge_backups_total{agent="sales",edition="cx",during="webhook"} 2
dialbridge_taken_over_total{agent="support",edition="ces"} 1
dialbridge_handoffs_total{agent="sales",edition="cx",status="failed"} 1
dialbridge_handoffs_total{agent="sales",edition="cx",status="paused"} 9
dialbridge_calls_ended_total{agent="sales",edition="cx",reason="panic"} 1
dialbridge_turn_seconds_sum{agent="sales",edition="cx"} 24.5
dialbridge_turn_seconds_bucket{le="0.5",agent="sales",edition="cx"} 10
dialbridge_turn_seconds_bucket{le="1.0",agent="sales",edition="cx"} 29
dialbridge_turn_seconds_bucket{le="+Inf",agent="sales",edition="cx"} 30
dialbridge_calls_total{agent="support",edition="ces"} 2
dialbridge_live_calls 4
"#;

    #[test]
    fn the_figures_of_several_instances_are_summed_up_by_agent() {
        let all = samples(&INSTANCE.repeat(2), PREFIX).unwrap();
        let agents = AgentFigures::by_agent(&all);
        assert_eq!(agents.keys().collect::<Vec<_>>(), ["sales", "support"]);
        let sales = &agents["sales"];
        assert_eq!((sales.calls(), sales.turns(), sales.failed, sales.waits.count()), (24, 80, 4, 60));
        assert_eq!((sales.left, sales.barge_ins, sales.no_matches()), (6, 4, Some(6)));
        let support = &agents["support"];
        assert_eq!((support.calls(), support.left, support.no_matches()), (6, 0, None));
        assert_eq!(sales.waits.mean(), Some(49.0 / 60.0));
        assert_eq!(sales.waits.bucket_of(30.0), Some(Bucket { from: 0.5, to: Some(1.0) }));
        assert_eq!(sales.waits.bucket_of(0.0), Some(Bucket { from: 0.0, to: Some(0.5) }));
        assert_eq!(sales.waits.bucket_of(59.5), Some(Bucket { from: 1.0, to: None }));
        assert_eq!((sales.lengths.mean(), sales.lengths.bucket_of(0.0)), (None, None));
    }
}
