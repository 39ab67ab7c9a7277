//! The figures of a load, for people and for programs.

use std::fmt::Write as _;
use std::io::Write as _;

use dialbridge_lab::load::figures::Faults;
use dialbridge_lab::load::{Held, Latency, Measurement};
use serde::Serialize;

use super::timeline::say;
use crate::progress::Output;

/// How much CPU others may use before the report warns of it, in percent of one core.
const NOISE: f64 = 10.0;

/// One measured load.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// What was measured.
    pub(super) against: String,
    /// Which of the repetitions, from 0.
    pub(super) round: u32,
    pub(super) measurement: Measurement,
    /// The first warnings of the service's log.
    pub(super) complaints: Vec<String>,
}

/// The result of `--find-max`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct MaxFound {
    /// What was measured.
    pub(super) against: String,
    /// Which of the repetitions, from 0.
    pub(super) round: u32,
    /// The highest number of calls that held; 0: none did.
    pub(super) calls: u16,
    /// The lowest number that did not hold, and why.
    pub(super) too_much: Option<(u16, String)>,
}

/// All that was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Report {
    /// The runs; for a search the ones that held with the most calls.
    pub(super) runs: Vec<Run>,
    pub(super) found: Vec<MaxFound>,
    /// Which product the load's agent speaks as; `None` if the load did not start the service.
    pub(super) edition: Option<&'static str>,
    /// Whether the agent fails some turns by plan.
    pub(super) with_faults: bool,
    /// Whether the agent's answers are long recordings, which nobody checks.
    pub(super) with_long_answers: bool,
}

/// Prints a line to standard error.
pub(super) fn note(text: &str) {
    // A failed write means that nobody reads it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Run {
    /// One line for the run, then what went wrong in it.
    pub(super) fn in_a_line(&self) -> String {
        let measured = &self.measurement;
        let mut line = format!("  uplink {}", latency(measured.uplink));
        if let Some(cost) = &measured.cost {
            let _ = write!(line, ", CPU {:.1} ms per call-minute", cost.cpu_ms_per_call_minute);
            let _ = write!(line, " ({:.0} % of a core)", cost.cpu_percent);
        }
        if measured.tool.others_cpu_percent >= NOISE {
            let _ = write!(line, "; others had {:.0} % of a core", measured.tool.others_cpu_percent);
        }
        if let Some(why) = &measured.tool.was_limit {
            let _ = write!(line, "\n  the tool was the limit: {why}");
        }
        if !measured.faults.is_none() {
            let _ = write!(line, "\n  faults: {:?}", measured.faults);
            for complaint in &self.complaints {
                let _ = write!(line, "\n  the log says: {complaint}");
            }
        }
        line
    }
}

impl MaxFound {
    fn in_a_line(&self) -> String {
        let (against, calls) = (&self.against, self.calls);
        match &self.too_much {
            Some((too_many, why)) => format!("{against}: {calls} calls at once; {too_many} are too many: {why}"),
            None => format!("{against}: {calls} calls at once, and no more were tried"),
        }
    }
}

impl Report {
    pub(super) fn print(&self, output: Output) {
        if output.is_json() {
            // This structure always serialises.
            say(&serde_json::to_string(self).unwrap_or_default());
        } else {
            say(self.table().trim_end());
            self.found.iter().for_each(|found| say(&found.in_a_line()));
        }
    }

    /// Whether nothing went wrong by our fault. If the agent fails by plan, we resend what it did not answer.
    pub(super) fn is_clean(&self) -> bool {
        let is_well = |faults: &Faults| {
            faults.is_none()
                || (self.with_faults
                    && (faults.lost, faults.unheard, faults.disordered, faults.broken, faults.unanswered)
                        == (0, 0, 0, 0, 0))
                || (self.with_long_answers && (faults.lost, faults.disordered, faults.broken) == (0, 0, 0))
        };
        let is_clean = |run: &Run| run.against.ends_with("relay") || is_well(&run.measurement.faults);
        !self.runs.is_empty() && self.runs.iter().all(is_clean)
    }

    /// What was measured, in the order of the first measurements.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.against.as_str()) {
                names.push(&run.against);
            }
        }
        names
    }

    fn table(&self) -> String {
        let names = self.names();
        let mut table = format!("{:<34}", "");
        for name in &names {
            let times = self.runs.iter().filter(|run| run.against == *name).count();
            let head = if times > 1 { format!("{name} ({times} times)") } else { (*name).to_owned() };
            let _ = write!(table, "{head:>28}");
        }
        let is_compared = names.len() == 2;
        table.push_str(if is_compared { "   ratio\n" } else { "\n" });
        for (label, figure) in ROWS {
            let columns: Vec<Option<Spread>> = names.iter().map(|name| self.spread(name, *figure)).collect();
            if columns.iter().all(Option::is_none) {
                continue;
            }
            let _ = write!(table, "{label:<34}");
            for column in &columns {
                let _ = write!(table, "{:>28}", column.map(|spread| spread.to_string()).unwrap_or_default());
            }
            if let [Some(one), Some(other)] = columns[..]
                && other.median > 0.0
            {
                let _ = write!(table, "{:>8.2}", one.median / other.median);
            }
            table.push('\n');
        }
        table
    }

    fn spread(&self, name: &str, figure: fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        let runs = self.runs.iter().filter(|run| run.against == name);
        Spread::of(runs.filter_map(|run| figure(&run.measurement)).collect())
    }
}

/// A figure that was measured several times.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { min, median, max })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // More digits would mean nothing.
        let digits = |value: f64| match value {
            value if value.fract() == 0.0 => format!("{value:.0}"),
            value if value < 10.0 => format!("{value:.2}"),
            value => format!("{value:.1}"),
        };
        if self.min.total_cmp(&self.max).is_eq() {
            f.write_str(&digits(self.median))
        } else {
            write!(f, "{} ({} to {})", digits(self.median), digits(self.min), digits(self.max))
        }
    }
}

/// A row of the table: its label, and where its figure is.
type Row = (&'static str, fn(&Measurement) -> Option<f64>);

const ROWS: &[Row] = &[
    ("calls", |m| Some(m.calls.into())),
    ("CPU ms per call-minute", |m| m.cost.map(|cost| cost.cpu_ms_per_call_minute)),
    ("  of them in the program", |m| m.cost.map(|cost| cost.user_ms_per_call_minute)),
    ("  of them in the system", |m| m.cost.map(|cost| cost.system_ms_per_call_minute)),
    ("percent of a core", |m| m.cost.map(|cost| cost.cpu_percent)),
    ("uplink p50 ms", |m| ms(m.uplink.p50_us)),
    ("uplink p99 ms", |m| ms(m.uplink.p99_us)),
    ("uplink max ms", |m| ms(m.uplink.max_us)),
    ("uplink from sending p50 ms", |m| ms(m.uplink_from_sending.p50_us)),
    ("uplink from sending p99 ms", |m| ms(m.uplink_from_sending.p99_us)),
    ("frames gathered, p50 ms", |m| gathered(m, m.gathered.p50_us)),
    ("frames gathered, p99 ms", |m| gathered(m, m.gathered.p99_us)),
    ("frames held for a turn, p99 ms", |m| ms(m.held.p99_us)),
    ("downlink p50 ms", |m| ms(m.downlink.p50_us)),
    ("downlink p99 ms", |m| ms(m.downlink.p99_us)),
    ("downlink max ms", |m| ms(m.downlink.max_us)),
    ("turn p50 ms", |m| ms(m.turn.p50_us)),
    ("turn p99 ms", |m| ms(m.turn.p99_us)),
    ("turn max ms", |m| ms(m.turn.max_us)),
    ("frames lost", |m| count(m.faults.lost)),
    ("  of silence besides", |m| (m.faults.lost_silence > 0).then(|| count(m.faults.lost_silence)).flatten()),
    ("frames of speech unheard", |m| count(m.faults.unheard)),
    ("frames sent again", |m| (m.resent > 0).then(|| count(m.resent)).flatten()),
    ("frames doubled", |m| count(m.faults.doubled)),
    ("frames out of order", |m| count(m.faults.disordered)),
    ("20 ms of answers lost", |m| count(m.faults.answer_lost)),
    ("utterances unanswered", |m| count(m.faults.unanswered)),
    ("calls broken", |m| count(m.faults.broken)),
    ("silence filled in, ms", |m| (m.gathered.count > 0).then(|| count(m.filled_ms)).flatten()),
    ("frames in a message", |m| Some(m.frames.per_message)),
    ("answers", |m| count(m.answers)),
    ("barge-ins", |m| count(m.barge_ins)),
    ("answers cut off", |m| count(m.clears)),
    ("memory idle MiB", |m| m.cost.map(|cost| mebibytes(cost.idle_kib))),
    ("memory with all calls MiB", |m| m.cost.map(|cost| mebibytes(cost.loaded_kib))),
    ("memory per call KiB", |m| m.cost.map(|cost| cost.kib_per_call)),
    ("  at the window's beginning MiB", |m| m.service_held.first().map(memory)),
    ("  in its middle MiB", |m| m.service_held.get(m.service_held.len() / 2).map(memory)),
    ("  at its end MiB", |m| m.service_held.last().map(memory)),
    ("files open: at its beginning", |m| m.service_held.first().and_then(files)),
    ("  in its middle", |m| m.service_held.get(m.service_held.len() / 2).and_then(files)),
    ("  at its end", |m| m.service_held.last().and_then(files)),
    ("threads", |m| m.cost.and_then(|cost| count(cost.threads))),
    ("connections to the agent", |m| count(m.connections)),
    ("streams at once", |m| count(m.streams)),
    ("tool: frames late p99 ms", |m| ms(m.tool.lateness.p99_us)),
    ("tool: percent of a core", |m| Some(m.tool.cpu_percent)),
    ("agent: percent of a core", |m| m.tool.agent_cpu_percent),
    ("others: percent of a core", |m| Some(m.tool.others_cpu_percent)),
];

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn count(count: u64) -> Option<f64> {
    Some(count as f64)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ms(us: u64) -> Option<f64> {
    Some(us as f64 / 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

/// The latency of frames that waited for their message, if any did.
fn gathered(measured: &Measurement, us: u64) -> Option<f64> {
    (measured.gathered.count > 0).then(|| ms(us)).flatten()
}

fn memory(held: &Held) -> f64 {
    mebibytes(held.resident_kib)
}

fn files(held: &Held) -> Option<f64> {
    count(held.files)
}

fn latency(latency: Latency) -> String {
    let ms = |us| ms(us).unwrap_or_default();
    let (p50, p99, max) = (ms(latency.p50_us), ms(latency.p99_us), ms(latency.max_us));
    format!("p50 {p50:.2} p99 {p99:.2} max {max:.1} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_lab::load::Readings;
    use dialbridge_lab::load::process::Usage;

    fn run(against: &str, user_ms: u64) -> Run {
        let service = Some(Usage { user_ms, ..Usage::default() });
        let measurement = Measurement::of(&Readings { calls: 10, window_ms: 60_000, service, ..Readings::default() });
        Run { against: against.to_owned(), round: 0, measurement, complaints: Vec::new() }
    }

    #[test]
    fn a_spread_is_told_by_its_middle_and_its_ends() {
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![3.0]).unwrap().to_string(), "3");
        assert_eq!(Spread::of(vec![30.25, 1.5, 2.0]).unwrap().to_string(), "2 (1.50 to 30.2)");
        assert_eq!(Spread::of(vec![1.0, 2.0]).unwrap().to_string(), "1.50 (1 to 2)");
    }

    #[test]
    fn two_bridges_stand_side_by_side_with_their_ratio() {
        let runs = vec![run("service", 600), run("relay", 400), run("service", 800), run("relay", 400)];
        let table = Report { runs, ..Report::default() }.table();
        let line = table.lines().find(|line| line.starts_with("CPU ms")).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(4).collect();
        assert_eq!(words.join(" "), "70 (60 to 80) 40 1.75");
        assert!(table.lines().next().unwrap().contains("service (2 times)"));
        let alone = Report { runs: vec![run("service", 600)], ..Report::default() }.table();
        assert!(!alone.contains("ratio"));
    }

    #[test]
    fn only_what_is_ours_must_lose_nothing() {
        let faulty = |against: &str| {
            let mut run = run(against, 1);
            run.measurement.faults.lost = 1;
            Report { runs: vec![run], ..Report::default() }
        };
        assert!(!faulty("service").is_clean() && faulty("relay").is_clean());
        let mut failing = Report { with_faults: true, ..faulty("service") };
        assert!(!failing.is_clean(), "what is lost is lost");
        failing.runs[0].measurement.faults.lost_silence = 1;
        failing.runs[0].measurement.faults.lost = 0;
        failing.runs[0].measurement.faults.doubled = 1;
        assert!(failing.is_clean(), "to an agent that fails unanswered speech comes twice");
        assert!(!Report::default().is_clean(), "nothing that held is a failure");
    }
}
