//! Reads what `/metrics` answers: OpenMetrics 1.0, and the classic text format 0.0.4.

use std::collections::BTreeMap;

/// One line of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// The name, with `_total` or `_bucket`.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    value: String,
}

impl Sample {
    /// The labels' value; empty if there is none.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The value of a counter.
    pub(super) fn count(&self) -> u64 {
        self.value.parse().unwrap_or_default()
    }

    /// A value in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.value.parse().unwrap_or_default()
    }
}

/// Returns the samples whose names begin with `prefix`.
///
/// # Errors
/// Returns the start of the first line that is not a metric.
pub(super) fn samples(text: &str, prefix: &str) -> Result<Vec<Sample>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut all = Vec::new();
    for line in lines {
        let sample = sample(line).ok_or_else(|| line.chars().take(60).collect::<String>())?;
        if sample.name.starts_with(prefix) {
            all.push(sample);
        }
    }
    Ok(all)
}

/// A line: `name{label="value",…} 1`. A time stamp or an exemplar may follow.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')))?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?;
    value.parse::<f64>().ok()?;
    (!name.is_empty()).then(|| Sample { name: name.to_owned(), labels, value: value.to_owned() })
}

/// The labels up to `}`, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.insert(name.trim().to_owned(), value);
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_and_labels_may_have_any_text() {
        let text = "# HELP a A.\n# TYPE a counter\na_total{agent=\"x\\\"y}, z\",edition=\"cx\"} 3 1700000000 # {trace=\"1\"} 1\n\nb 2.5\n# EOF\n";
        let all = samples(text, "").unwrap();
        let told: Vec<_> =
            all.iter().map(|sample| (sample.name.as_str(), sample.label("agent"), sample.count())).collect();
        assert_eq!(told, [("a_total", "x\"y}, z", 3), ("b", "", 0)]);
        assert!((all[1].seconds() - 2.5).abs() < 1e-9);
        assert_eq!(samples(text, "b").unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_metric_is_told() {
        for text in ["<!doctype html>", "{\"a\": 1}", "a_total{agent=\"x} 1", "a_total{agent=\"x\"}", "a_total one"] {
            assert_eq!(samples(text, ""), Err(text.to_owned()));
        }
    }
}
