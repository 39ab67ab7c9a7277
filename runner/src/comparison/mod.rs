//! Agents side by side: the figures of `/metrics` by agent, with the intervals that say which differences may be chance. For
//! an agent that gets a share of another one's callers.

mod exposition;
mod figures;
mod interval;
mod rows;

use serde_json::{Value, json};

use exposition::samples;
use figures::{AgentFigures, PREFIX};
use rows::{Figure, Row};

/// The metric that each version of this program has.
const SURE_METRIC: &str = "dialbridge_build_info";

/// How many agents are compared at most: those with the most calls.
const MAX_AGENTS: usize = 8;

/// The figures of agents side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The agents that have had calls, the one with the most calls first.
    agents: Vec<String>,
    rows: Vec<Row>,
}

impl Comparison {
    /// The comparison of what one or several instances answer at `/metrics`, one text each.
    ///
    /// # Errors
    /// The number of the text, counted from 0, and why it is none of `/metrics`.
    pub fn of(texts: &[String]) -> Result<Self, (usize, String)> {
        let mut all = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            let own = samples(text, PREFIX).map_err(|line| (n, format!("the answer is no metrics: {line}")))?;
            if !own.iter().any(|sample| sample.name == SURE_METRIC) {
                return Err((n, "the answer has no metrics of dialbridge's".to_owned()));
            }
            all.extend(own);
        }
        let mut agents: Vec<(String, AgentFigures)> = AgentFigures::by_agent(&all).into_iter().collect();
        agents.retain(|(_, figures)| figures.calls() > 0);
        agents.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.calls()));
        agents.truncate(MAX_AGENTS);
        let (agents, figures): (Vec<_>, Vec<_>) = agents.into_iter().unzip();
        let rows = Figure::ALL.map(|figure| Row::of(figure, &figures)).into();
        Ok(Self { agents, rows })
    }

    /// The agents that have had calls, the one with the most calls first.
    #[must_use]
    pub fn agents(&self) -> &[String] {
        &self.agents
    }

    /// As JSON: the `agents`, and `rows` with a cell for each of them.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "agents": self.agents, "rows": self.rows.iter().map(|row| row.json(&self.agents)).collect::<Vec<_>>() })
    }

    /// As a table, and under it what its numbers mean.
    #[must_use]
    pub fn table(&self) -> String {
        let head: Vec<String> = [String::new()].into_iter().chain(self.agents.iter().cloned()).collect();
        let lines: Vec<Vec<String>> =
            [head].into_iter().chain(self.rows.iter().map(|row| row.texts(&self.agents))).collect();
        let columns = self.agents.len() + 1;
        let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line
                .iter()
                .enumerate()
                .map(|(n, cell)| format!("{cell:width$}", width = widths.get(n).copied().unwrap_or_default()));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text + "\nIn brackets: where the true figure is in 95 of 100 cases. Figures differ if these do not overlap. Behind them: the count.\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an instance answers, with two agents: `calls` and `turns`, `no_matches`, and waits of at most 1 s.
    fn metrics(agents: [(&str, u64, u64, u64, u64); 2]) -> String {
        let of = |(name, calls, turns, no_matches, quick): (&str, u64, u64, u64, u64)| {
            format!(
                "dialbridge_calls_total{{agent=\"{name}\",edition=\"cx\"}} {calls}\n\
                 dialbridge_turns_total{{agent=\"{name}\",edition=\"cx\",input=\"audio\"}} {turns}\n\
                 dialbridge_no_matches_total{{agent=\"{name}\",edition=\"cx\"}} {no_matches}\n\
                 dialbridge_turn_seconds_bucket{{le=\"1.0\",agent=\"{name}\",edition=\"cx\"}} {quick}\n\
                 dialbridge_turn_seconds_bucket{{le=\"2.0\",agent=\"{name}\",edition=\"cx\"}} {turns}\n\
                 dialbridge_turn_seconds_bucket{{le=\"+Inf\",agent=\"{name}\",edition=\"cx\"}} {turns}\n\
                 dialbridge_call_seconds_sum{{agent=\"{name}\",edition=\"cx\"}} {}\n\
                 dialbridge_call_seconds_bucket{{le=\"60.0\",agent=\"{name}\",edition=\"cx\"}} {calls}\n\
                 dialbridge_call_seconds_bucket{{le=\"+Inf\",agent=\"{name}\",edition=\"cx\"}} {calls}\n",
                calls * 40
            )
        };
        "dialbridge_build_info{version=\"1\"} 1\n".to_owned() + &agents.map(of).concat() + "# EOF\n"
    }

    fn says(comparison: &Comparison, figure: &str) -> String {
        let json = comparison.json();
        let row = json["rows"].as_array().unwrap().iter().find(|row| row["figure"] == figure).unwrap();
        row["says"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_difference_beyond_chance_is_told_and_so_is_one_that_may_be_chance() {
        let texts = [metrics([("new-sales", 60, 300, 30, 40), ("sales", 1_200, 6_000, 180, 5_400)])];
        let comparison = Comparison::of(&texts).unwrap();
        assert_eq!(comparison.agents(), ["sales", "new-sales"]);
        assert_eq!(says(&comparison, "no-match"), "more with new-sales than with sales");
        assert_eq!(says(&comparison, "wait, median"), "longer with new-sales than with sales");
        assert_eq!(says(&comparison, "no-input"), "no difference beyond chance");
        let cell = &comparison.json()["rows"][2]["cells"][1];
        assert_eq!((&cell["count"], &cell["of"], &cell["value"]), (&30.into(), &300.into(), &10.0.into()));
        assert_eq!(cell["text"], "10 (7.1 to 13.9), 30");
    }

    #[test]
    fn few_calls_tell_nothing_and_say_so() {
        let comparison = Comparison::of(&[metrics([("a", 10, 20, 2, 10), ("b", 9, 18, 4, 9)])]).unwrap();
        assert_eq!(says(&comparison, "no-match"), "too few turns to tell");
        assert_eq!(says(&comparison, "failed"), "too few calls to tell");
        assert_eq!(says(&comparison, "length, median"), "too few calls to tell");
        assert_eq!(says(&comparison, "calls"), "");
    }

    /// What an instance answers of two agents, whose calls all took so long: at most so many seconds, a bucket's bound.
    fn lengths(agents: [(&str, u64, &str); 2]) -> String {
        let of = |(name, calls, bound): (&str, u64, &str)| {
            let until = |le: &str| {
                let all = if le == "+Inf" || le.len() > bound.len() || le >= bound { calls } else { 0 };
                format!("dialbridge_call_seconds_bucket{{le=\"{le}\",agent=\"{name}\",edition=\"cx\"}} {all}\n")
            };
            let waits = |le: &str| until(le).replace("call_seconds", "turn_seconds");
            format!("dialbridge_calls_total{{agent=\"{name}\",edition=\"cx\"}} {calls}\n")
                + &["10.0", "20.0", "30.0", "+Inf"].map(|le| until(le) + &waits(le)).concat()
        };
        "dialbridge_build_info{version=\"1\"} 1\n".to_owned() + &agents.map(of).concat() + "# EOF\n"
    }

    fn text(comparison: &Comparison, figure: &str, agent: usize) -> String {
        let json = comparison.json();
        let row = json["rows"].as_array().unwrap().iter().find(|row| row["figure"] == figure).unwrap();
        row["cells"][agent]["text"].as_str().unwrap_or("-").to_owned()
    }

    #[test]
    fn one_call_each_is_no_difference_in_length() {
        for calls in [1, 5, 29] {
            let comparison = Comparison::of(&[lengths([("a", calls, "10.0"), ("b", calls, "30.0")])]).unwrap();
            assert_eq!(says(&comparison, "length, median"), "too few calls to tell", "{calls}");
            assert_eq!(says(&comparison, "wait, 95 %"), "too few turns to tell", "{calls}");
        }
        let comparison = Comparison::of(&[lengths([("a", 1, "10.0"), ("b", 1, "30.0")])]).unwrap();
        assert_eq!(text(&comparison, "length, median", 1), "20 to 30 s (not known)");
        let comparison = Comparison::of(&[lengths([("a", 30, "10.0"), ("b", 30, "30.0")])]).unwrap();
        assert_eq!(says(&comparison, "length, median"), "longer with b than with a");
    }

    #[test]
    fn a_bound_that_is_not_known_is_open_and_makes_no_difference() {
        let comparison = Comparison::of(&[lengths([("a", 71, "10.0"), ("b", 72, "30.0")])]).unwrap();
        let (a, b) = (1, 0);
        assert_eq!(text(&comparison, "wait, 95 %", a), "up to 10 s (not known)");
        assert_eq!(text(&comparison, "wait, 95 %", b), "20 to 30 s");
        assert_eq!(says(&comparison, "wait, 95 %"), "too few turns to tell");
        let comparison = Comparison::of(&[lengths([("a", 72, "10.0"), ("b", 71, "30.0")])]).unwrap();
        assert_eq!(text(&comparison, "wait, 95 %", 1), "20 to 30 s (from 20 s)");
        assert_eq!(says(&comparison, "wait, 95 %"), "longer with b than with a", "the known bounds are apart");
    }

    #[test]
    fn barge_ins_are_no_share_of_the_turns_and_make_no_difference() {
        let barge_ins = |agent: &str, count: u64| {
            format!("dialbridge_barge_ins_total{{agent=\"{agent}\",edition=\"cx\",by=\"speech\"}} {count}\n")
        };
        let text = metrics([("a", 100, 300, 30, 40), ("b", 90, 40, 4, 40)]) + &barge_ins("a", 30) + &barge_ins("b", 60);
        let comparison = Comparison::of(&[text]).unwrap();
        assert_eq!(text_of_pair(&comparison, "barge-ins"), ["10, 30", "150, 60"]);
        let row = &comparison.json()["rows"][4];
        assert_eq!((&row["title"], &row["verdict"]), (&"barge-ins, per 100 turns".into(), &Value::Null));
        assert_eq!((says(&comparison, "barge-ins"), &row["cells"][1]["low"]), (String::new(), &Value::Null));
    }

    #[test]
    fn a_ces_app_has_no_no_match() {
        let text = metrics([("cx", 40, 80, 9, 40), ("ces", 50, 100, 0, 50)]);
        let of_ces =
            |line: &str| if line.contains("\"ces\"") { line.replace("\"cx\"", "\"ces\"") } else { line.to_owned() };
        let text = text.lines().map(|line| of_ces(line) + "\n").collect::<String>();
        let comparison = Comparison::of(&[text]).unwrap();
        let json = comparison.json();
        assert_eq!((&json["agents"][0], &json["rows"][2]["cells"][0]), (&"ces".into(), &Value::Null));
        assert_eq!((says(&comparison, "no-match"), &json["rows"][2]["verdict"]), (String::new(), &Value::Null));
        assert!(comparison.table().lines().nth(3).unwrap().contains("  -  "), "{}", comparison.table());
    }

    #[test]
    fn an_agent_that_always_leaves_its_calls_to_its_backup_says_so() {
        let count = |name: &str, agent: &str, more: &str, count: u64| {
            format!("dialbridge_{name}{{agent=\"{agent}\",edition=\"cx\"{more}}} {count}\n")
        };
        let text = "dialbridge_build_info{version=\"1\"} 1\n".to_owned()
            + &count("calls_total", "first", "", 40)
            + &count("backups_total", "first", ",during=\"stream\"", 40)
            + &count("backups_total", "first", ",during=\"webhook\"", 60)
            + &count("calls_total", "second", "", 60)
            + &count("taken_over_total", "second", "", 40)
            + &count("handoffs_total", "second", ",status=\"completed\"", 90);
        let comparison = Comparison::of(&[text]).unwrap();
        assert_eq!(comparison.agents(), ["first", "second"]);
        assert_eq!(text_of_pair(&comparison, "calls"), ["100", "100"]);
        assert_eq!(text_of_pair(&comparison, "left for the backup"), ["100 (96.3 to 100), 100", "0 (0 to 3.7), 0"]);
        assert_eq!(says(&comparison, "left for the backup"), "more with first than with second");
        assert!(text_of_pair(&comparison, "completed")[1].starts_with("90 ("));
    }

    fn text_of_pair(comparison: &Comparison, figure: &str) -> [String; 2] {
        [0, 1].map(|agent| text(comparison, figure, agent))
    }

    #[test]
    fn instances_are_summed_up_and_the_table_has_a_column_for_each_agent() {
        let one = metrics([("sales", 100, 500, 20, 450), ("support", 50, 100, 50, 10)]);
        let table = Comparison::of(&[one.clone(), one]).unwrap().table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].trim_start().starts_with("sales") && lines[0].ends_with("support"), "{table}");
        assert!(lines[1].starts_with("calls") && lines[1].contains("200") && lines[1].contains("100"), "{table}");
        assert!(table.contains("more with support than with sales"), "{table}");
        assert!(table.contains("up to 1 s"), "{table}");
        assert!(table.contains("40 s"), "{table}");
    }

    #[test]
    fn an_agent_without_calls_has_no_column() {
        let comparison = Comparison::of(&[metrics([("a", 10, 20, 2, 10), ("b", 0, 0, 0, 0)])]).unwrap();
        assert_eq!(comparison.agents(), ["a"]);
        assert_eq!(says(&comparison, "no-match"), "");
    }

    #[test]
    fn what_is_no_answer_of_metrics_is_told() {
        let good = metrics([("a", 1, 1, 0, 1), ("b", 1, 1, 0, 1)]);
        let told = |text: &str| Comparison::of(&[good.clone(), text.to_owned()]).unwrap_err();
        assert_eq!(told("<html>"), (1, "the answer is no metrics: <html>".to_owned()));
        assert_eq!(told("go_goroutines 8\n").0, 1);
        assert_eq!(told("").1, "the answer has no metrics of dialbridge's");
    }
}
