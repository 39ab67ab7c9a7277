//! A call's timeline: lines of JSON. When they take too many bytes, the oldest ones are dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The bytes that a line takes beside its text.
const OVERHEAD: usize = 64;

/// A timeline.
#[derive(Debug)]
pub(super) struct Lines {
    kept: VecDeque<NumberedLine>,
    max_bytes: usize,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct NumberedLine {
    number: u64,
    text: Arc<str>,
    /// Whether the next line replaces this one.
    is_passing: bool,
}

impl Lines {
    pub(super) fn up_to(max_bytes: usize) -> Self {
        Self { kept: VecDeque::new(), max_bytes, bytes: 0, next: 1 }
    }

    /// Adds a line at this call time. The line replaces the last one if that was passing.
    pub(super) fn add(&mut self, at_ms: u64, mut line: Map<String, Value>, is_passing: bool) {
        let number = self.next;
        self.next += 1;
        line.insert("number".to_owned(), number.into());
        line.insert("atMs".to_owned(), at_ms.into());
        if self.kept.back().is_some_and(|last| last.is_passing)
            && let Some(last) = self.kept.pop_back()
        {
            self.bytes -= cost(&last);
        }
        let line = NumberedLine { number, text: Value::Object(line).to_string().into(), is_passing };
        self.bytes += cost(&line);
        self.kept.push_back(line);
        while self.bytes > self.max_bytes
            && let Some(first) = self.kept.pop_front()
        {
            self.bytes -= cost(&first);
        }
    }

    /// The lines after this number, each with its number.
    pub(super) fn after(&self, number: u64) -> Vec<(u64, Arc<str>)> {
        let later = self.kept.iter().filter(|line| line.number > number);
        later.map(|line| (line.number, line.text.clone())).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(line: &NumberedLine) -> usize {
    line.text.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Map<String, Value> {
        [("text".to_owned(), text.into())].into_iter().collect()
    }

    fn numbers(lines: &Lines, after: u64) -> Vec<u64> {
        lines.after(after).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many() {
        let mut lines = Lines::up_to(1_000);
        for n in 0..1_000 {
            lines.add(n, line("x"), false);
            assert!(lines.bytes() <= 1_000);
        }
        let numbers = numbers(&lines, 0);
        assert!(numbers.len() > 5 && numbers.ends_with(&[999, 1_000]), "{numbers:?}");
        lines.add(0, line(&"x".repeat(2_000)), false);
        assert_eq!((lines.bytes(), lines.after(0).len()), (0, 0), "a line that is too long by itself");
    }

    #[test]
    fn a_passing_line_is_replaced_by_whatever_follows() {
        let mut lines = Lines::up_to(10_000);
        lines.add(1, line("a"), false);
        for n in 2..5 {
            lines.add(n, line("passing"), true);
        }
        assert_eq!(numbers(&lines, 0), [1, 4]);
        lines.add(5, line("b"), false);
        assert_eq!(numbers(&lines, 0), [1, 5]);
        assert_eq!(numbers(&lines, 1), [5]);
        let counted: usize = lines.after(0).iter().map(|(_, text)| text.len() + OVERHEAD).sum();
        assert_eq!(lines.bytes(), counted);
    }
}
