//! The trace of a call for people: audio that goes to Twilio in many messages is one line.

use std::fmt::Write as _;

/// A trace whose runs of media and marks are folded. All other lines stay.
pub(super) fn folded(trace: &str) -> String {
    let (mut text, mut run) = (String::new(), Run::default());
    for line in trace.lines() {
        if !run.takes(line) {
            run.end(&mut text);
            if !run.takes(line) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    run.end(&mut text);
    text
}

/// Messages to Twilio that follow each other, the first of them audio.
#[derive(Default)]
struct Run<'a> {
    lines: Vec<&'a str>,
    media: usize,
    ms: u64,
    marks: Vec<&'a str>,
}

impl<'a> Run<'a> {
    /// Takes a line if it goes on with the run.
    fn takes(&mut self, line: &'a str) -> bool {
        let Some((_, what)) = line.trim_start().split_once(" twilio  ") else { return false };
        if let Some(ms) = what.strip_prefix("media ").and_then(|media| media.split_once(" ms ")?.0.parse::<u64>().ok())
        {
            self.media += 1;
            self.ms += ms;
        } else if let Some(mark) = what.strip_prefix("mark ").filter(|_| self.media > 0) {
            self.marks.push(mark);
        } else {
            return false;
        }
        self.lines.push(line);
        true
    }

    fn end(&mut self, text: &mut String) {
        let Self { lines, media, ms, marks } = std::mem::take(self);
        if media < 2 {
            lines.iter().for_each(|line| text.extend([line, "\n"]));
            return;
        }
        let time = |line: Option<&&str>| {
            line.and_then(|line| line.trim_start().split(' ').next()).unwrap_or_default().to_owned()
        };
        let (from, to) = (time(lines.first()), time(lines.last()));
        // Writing to a String does not fail.
        let _ = write!(text, "{from:>9} twilio  media \u{d7}{media}, {ms} ms until {to}");
        let _ = match marks[..] {
            [] => Ok(()),
            [mark] => write!(text, ", mark {mark}"),
            [first, .., last] => write!(text, ", marks {first} to {last}"),
        };
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_that_follow_each_other_become_one_line_and_all_else_stays() {
        let trace = "    0.100 twilio  media 400 ms #a7b9ec45
    0.100 twilio  mark e0m1
    0.100 twilio  media 400 ms #a7b9ec45
    0.500 twilio  media 200 ms #00000000
    0.500 twilio  mark e0m2
    0.600 report  turn 2 interim \"well\"
    0.600 twilio  clear
    0.700 twilio  media 400 ms #a7b9ec45
    0.700 twilio  mark e1m3
    0.800 twilio  mark e1m4
    0.800 runner  close: stop
";
        let expected = "    0.100 twilio  media \u{d7}3, 1000 ms until 0.500, marks e0m1 to e0m2
    0.600 report  turn 2 interim \"well\"
    0.600 twilio  clear
    0.700 twilio  media 400 ms #a7b9ec45
    0.700 twilio  mark e1m3
    0.800 twilio  mark e1m4
    0.800 runner  close: stop
";
        assert_eq!(folded(trace), expected);
    }
}
