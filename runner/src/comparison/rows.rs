//! The rows of the comparison: a figure of each agent, and whether the agents differ in it.

use serde_json::{Value, json};

use super::figures::{AgentFigures, Bucket, Times};
use super::interval::{Interval, Ranks, ranks, real, wilson};

/// With fewer turns or calls than this, equal figures say nothing.
const MIN_SAMPLES: u64 = 30;

/// A row of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Calls,
    Turns,
    NoMatch,
    NoInput,
    BargeIns,
    Completed,
    ToPerson,
    Failed,
    LeftForBackup,
    WaitMedian,
    WaitP95,
    LengthMedian,
    LengthMean,
}

impl Figure {
    pub(super) const ALL: [Self; 13] = [
        Self::Calls,
        Self::Turns,
        Self::NoMatch,
        Self::NoInput,
        Self::BargeIns,
        Self::Completed,
        Self::ToPerson,
        Self::Failed,
        Self::LeftForBackup,
        Self::WaitMedian,
        Self::WaitP95,
        Self::LengthMedian,
        Self::LengthMean,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Turns => "turns",
            Self::NoMatch => "no-match",
            Self::NoInput => "no-input",
            Self::BargeIns => "barge-ins",
            Self::Completed => "completed",
            Self::ToPerson => "to a person",
            Self::Failed => "failed",
            Self::LeftForBackup => "left for the backup",
            Self::WaitMedian => "wait, median",
            Self::WaitP95 => "wait, 95 %",
            Self::LengthMedian => "length, median",
            Self::LengthMean => "length, mean",
        }
    }

    /// The unit that a rate counts per 100 and a time has one value for: turns or calls.
    fn unit(self) -> &'static str {
        match self {
            Self::NoMatch | Self::NoInput | Self::BargeIns | Self::WaitMedian | Self::WaitP95 => "turns",
            Self::Calls
            | Self::Turns
            | Self::Completed
            | Self::ToPerson
            | Self::Failed
            | Self::LeftForBackup
            | Self::LengthMedian
            | Self::LengthMean => "calls",
        }
    }

    /// What a higher value is.
    fn is_higher(self) -> &'static str {
        match self {
            Self::WaitMedian | Self::WaitP95 | Self::LengthMedian | Self::LengthMean => "longer",
            Self::Calls
            | Self::Turns
            | Self::NoMatch
            | Self::NoInput
            | Self::BargeIns
            | Self::Completed
            | Self::ToPerson
            | Self::Failed
            | Self::LeftForBackup => "more",
        }
    }

    fn of(self, figures: &AgentFigures) -> Option<Cell> {
        let (calls, turns) = (figures.calls(), figures.turns());
        match self {
            Self::Calls => Some(Cell::Count(calls)),
            Self::Turns => Some(Cell::Count(turns)),
            Self::NoMatch => Cell::rate(figures.no_matches()?, turns),
            Self::NoInput => Cell::rate(figures.no_inputs, turns),
            // A barge-in may cut the greeting, which is no turn.
            Self::BargeIns => (turns > 0).then_some(Cell::Ratio { count: figures.barge_ins, of: turns }),
            Self::Completed => Cell::rate(figures.completed, calls),
            Self::ToPerson => Cell::rate(figures.to_person, calls),
            Self::Failed => Cell::rate(figures.failed, calls),
            Self::LeftForBackup => Cell::rate(figures.left, calls),
            Self::WaitMedian => Cell::quantile(&figures.waits, 0.5),
            Self::WaitP95 => Cell::quantile(&figures.waits, 0.95),
            Self::LengthMedian => Cell::quantile(&figures.lengths, 0.5),
            Self::LengthMean => figures.lengths.mean().map(Cell::Mean),
        }
    }
}

/// A figure of one agent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Count(u64),
    /// `count` of `of`, with the interval of the share.
    Rate {
        count: u64,
        of: u64,
        interval: Interval,
    },
    /// `count` beside `of`, of which it is no part: there is no interval.
    Ratio {
        count: u64,
        of: u64,
    },
    /// A quantile is in the bucket `at`, and its interval in `within`, which may have no upper bound.
    Quantile {
        at: Bucket,
        within: Bucket,
        of: u64,
        /// Whether there are too few values for a bound of the interval.
        is_open: bool,
    },
    /// A mean, in seconds. Its interval is not known.
    Mean(f64),
}

impl Cell {
    fn rate(count: u64, of: u64) -> Option<Self> {
        (of > 0).then(|| Self::Rate { count, of, interval: wilson(count, of) })
    }

    fn quantile(times: &Times, quantile: f64) -> Option<Self> {
        let of = times.count();
        let at = times.bucket_of(quantile * real(of))?;
        let Ranks { low, high } = ranks(quantile, of);
        let bucket = |rank: Option<u64>| rank.and_then(|rank| times.bucket_of(real(rank)));
        let within =
            Bucket { from: bucket(low).map_or(0.0, |low| low.from), to: bucket(high).and_then(|high| high.to) };
        Some(Self::Quantile { at, within, of, is_open: low.is_none() || high.is_none() })
    }

    /// The interval, and what it may tell.
    fn known(self, agent: usize) -> Option<Known> {
        match self {
            Self::Rate { interval, of, .. } => {
                Some(Known { agent, interval, is_few: of < MIN_SAMPLES, may_differ: true })
            }
            Self::Quantile { within, of, is_open, .. } => Some(Known {
                agent,
                interval: Interval { low: within.from, high: within.to.unwrap_or(f64::INFINITY) },
                is_few: of < MIN_SAMPLES || is_open,
                may_differ: of >= MIN_SAMPLES,
            }),
            Self::Count(_) | Self::Ratio { .. } | Self::Mean(_) => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Rate { count, of, interval } => {
                let value = short(100.0 * share(count, of));
                format!("{value} ({} to {}), {count}", short(100.0 * interval.low), short(100.0 * interval.high))
            }
            Self::Ratio { count, of } => format!("{}, {count}", short(per_100(count, of))),
            Self::Quantile { at, within, .. } if within == at => range(at),
            Self::Quantile { at, within, .. } => format!("{} ({})", range(at), interval_range(within)),
            Self::Mean(seconds) => format!("{} s", short(seconds)),
        }
    }

    fn json(self) -> Value {
        let mut json = match self {
            Self::Count(count) => json!({ "count": count }),
            Self::Rate { count, of, interval } => json!({
                "count": count, "of": of, "value": rounded(100.0 * share(count, of)),
                "low": rounded(100.0 * interval.low), "high": rounded(100.0 * interval.high),
            }),
            Self::Ratio { count, of } => json!({ "count": count, "of": of, "value": rounded(per_100(count, of)) }),
            Self::Quantile { at, within, of, .. } => {
                json!({ "of": of, "above": at.from, "upTo": at.to, "low": within.from, "high": within.to })
            }
            Self::Mean(seconds) => json!({ "value": rounded(seconds) }),
        };
        json["text"] = self.text().into();
        json
    }
}

/// The interval of an agent's figure.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The agent's place.
    agent: usize,
    interval: Interval,
    /// Whether there are too few values to call an overlap "no difference".
    is_few: bool,
    /// Whether an interval that does not overlap with it says that the agents differ.
    may_differ: bool,
}

impl Known {
    fn is_above(self, other: Self) -> bool {
        self.may_differ && other.may_differ && self.interval.is_above(other.interval)
    }
}

/// What the intervals of a row say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// There are no two intervals.
    NotCompared,
    /// The intervals overlap.
    Alike,
    /// The intervals overlap, and are wide because there are few turns or calls.
    TooFew,
    /// Pairs of agents, by their place: the first one's interval is above the second one's.
    Differs(Vec<(usize, usize)>),
}

/// A figure of all agents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    figure: Figure,
    cells: Vec<Option<Cell>>,
    verdict: Verdict,
}

impl Row {
    pub(super) fn of(figure: Figure, agents: &[AgentFigures]) -> Self {
        let cells: Vec<Option<Cell>> = agents.iter().map(|agent| figure.of(agent)).collect();
        let verdict = verdict(&cells);
        Self { figure, cells, verdict }
    }

    /// The name, the text of each agent, and what the intervals say.
    pub(super) fn texts(&self, agents: &[String]) -> Vec<String> {
        let cells = self.cells.iter().map(|cell| cell.map_or("-".to_owned(), Cell::text));
        [self.title()].into_iter().chain(cells).chain([self.says(agents)]).collect()
    }

    pub(super) fn json(&self, agents: &[String]) -> Value {
        let verdict = match self.verdict {
            Verdict::NotCompared => Value::Null,
            Verdict::Alike => "alike".into(),
            Verdict::TooFew => "too-few".into(),
            Verdict::Differs(_) => "differs".into(),
        };
        json!({
            "figure": self.figure.name(), "title": self.title(), "verdict": verdict, "says": self.says(agents),
            "cells": self.cells.iter().map(|cell| cell.map(Cell::json)).collect::<Vec<_>>(),
        })
    }

    fn title(&self) -> String {
        let (name, unit) = (self.figure.name(), self.figure.unit());
        match self.cells.iter().flatten().next() {
            Some(Cell::Rate { .. }) => format!("{name}, of 100 {unit}"),
            Some(Cell::Ratio { .. }) => format!("{name}, per 100 {unit}"),
            Some(Cell::Count(_) | Cell::Quantile { .. } | Cell::Mean(_)) | None => name.to_owned(),
        }
    }

    fn says(&self, agents: &[String]) -> String {
        let name = |n: usize| agents.get(n).map_or("", String::as_str);
        match &self.verdict {
            Verdict::NotCompared => String::new(),
            Verdict::Alike => "no difference beyond chance".to_owned(),
            Verdict::TooFew => format!("too few {} to tell", self.figure.unit()),
            Verdict::Differs(pairs) => {
                let pair = |(higher, lower): &(usize, usize)| {
                    format!("{} with {} than with {}", self.figure.is_higher(), name(*higher), name(*lower))
                };
                pairs.iter().map(pair).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

fn verdict(cells: &[Option<Cell>]) -> Verdict {
    let known: Vec<Known> =
        cells.iter().enumerate().filter_map(|(agent, cell)| cell.and_then(|cell| cell.known(agent))).collect();
    let below = |a: &Known| {
        let (known, a) = (&known, *a);
        known.iter().filter(move |b| a.is_above(**b)).map(move |b| (a.agent, b.agent))
    };
    let pairs: Vec<(usize, usize)> = known.iter().flat_map(below).collect();
    if known.len() < 2 {
        Verdict::NotCompared
    } else if !pairs.is_empty() {
        Verdict::Differs(pairs)
    } else if known.iter().any(|known| known.is_few) {
        Verdict::TooFew
    } else {
        Verdict::Alike
    }
}

/// How many of `count` there are for 100 of `of`, which is not 0.
fn per_100(count: u64, of: u64) -> f64 {
    100.0 * real(count) / real(of)
}

/// The share of `count` in `of`, which is not 0. More than all is all.
fn share(count: u64, of: u64) -> f64 {
    (real(count) / real(of)).min(1.0)
}

/// A bucket in seconds.
fn range(Bucket { from, to }: Bucket) -> String {
    match to {
        Some(to) if from == 0.0 => format!("up to {to} s"),
        Some(to) => format!("{from} to {to} s"),
        None => format!("over {from} s"),
    }
}

/// An interval in seconds. Its upper bound may be unknown.
fn interval_range(within: Bucket) -> String {
    match within.to {
        Some(_) => range(within),
        None if within.from == 0.0 => "not known".to_owned(),
        None => format!("from {} s", within.from),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// With one decimal at most.
fn short(value: f64) -> String {
    format!("{}", (value * 10.0).round() / 10.0)
}
