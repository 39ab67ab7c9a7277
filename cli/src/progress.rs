//! How far something long has come: a line on the standard error, for somebody who watches it.

use std::io::{self, Stderr, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::drawing::can_draw;

/// How often a line is drawn anew while nothing happens, for its clock.
pub(crate) const REDRAW: Duration = Duration::from_secs(1);

/// A bar, and a sentence beside it.
const BAR: &str = "[{bar:24}] {msg}";

/// The same with a clock.
#[cfg(feature = "tools")]
const TIMED_BAR: &str = "[{bar:24}] {msg}, {elapsed}";

/// A sentence and a clock.
const CLOCK: &str = "{msg} {elapsed}";

/// What a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Lines for people, as things happen.
    Lines,
    /// The results and errors alone, as lines.
    ResultLines,
    /// One JSON document, and lines on the standard error.
    Json,
    /// One JSON document, and errors alone on the standard error.
    ResultJson,
}

impl Output {
    /// The output that `--json` and `--quiet` ask for.
    pub(crate) fn of(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (false, false) => Self::Lines,
            (false, true) => Self::ResultLines,
            (true, false) => Self::Json,
            (true, true) => Self::ResultJson,
        }
    }

    /// Whether results are a JSON document.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::ResultJson)
    }

    /// Whether nothing but results and errors is printed.
    pub(crate) fn is_quiet(self) -> bool {
        matches!(self, Self::ResultLines | Self::ResultJson)
    }
}

/// A line that shows how far something has come. It is gone after `end`, or when all clones of this are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar that is drawn when something is shown. Nothing is drawn unless somebody can see it and wants lines.
    pub(crate) fn bar(output: Output) -> Self {
        Self::with(output, BAR)
    }

    /// A bar with a clock, which is drawn by a thread of its own too.
    #[cfg(feature = "tools")]
    pub(crate) fn timed_bar(output: Output) -> Self {
        let bar = Self::with(output, TIMED_BAR);
        bar.redraw_by_itself();
        bar
    }

    /// A sentence with a clock, for something whose end nobody knows; drawn by a thread of its own.
    pub(crate) fn clock(output: Output, sentence: &'static str) -> Self {
        let clock = Self::with(output, CLOCK);
        clock.0.set_message(sentence);
        clock.redraw_by_itself();
        clock
    }

    fn with(output: Output, template: &str) -> Self {
        let is_drawn = output == Output::Lines && wants_drawing() && can_draw();
        // On anything but a terminal the library draws nothing either.
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(1), target).with_style(style.progress_chars("=> "));
        Self(bar.with_finish(ProgressFinish::AndClear).with_message("starting"))
    }

    /// Whether a line is drawn.
    pub(crate) fn is_drawn(&self) -> bool {
        !self.0.is_hidden()
    }

    fn redraw_by_itself(&self) {
        if self.is_drawn() {
            self.0.enable_steady_tick(REDRAW);
        }
    }

    /// Shows that so much of the whole is done.
    pub(crate) fn show(&self, done: u64, whole: u64, sentence: String) {
        self.0.set_message(sentence);
        self.0.update(|state| {
            state.set_len(whole);
            state.set_pos(done.min(whole));
        });
    }

    /// Takes the line away while something else is printed.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }

    /// The standard error, beside which the line stays whole.
    pub(crate) fn stderr(&self) -> BesideProgress {
        BesideProgress(self.clone(), io::stderr())
    }
}

/// `NO_COLOR` asks for plain text.
fn wants_drawing() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|wish| wish.is_empty())
}

/// Writes to the standard error, and takes the line away meanwhile.
pub(crate) struct BesideProgress(Progress, Stderr);

impl Write for BesideProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self(progress, stderr) = self;
        progress.aside(|| stderr.write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_quiet_are_independent() {
        for (json, quiet) in [(false, false), (false, true), (true, false), (true, true)] {
            let output = Output::of(json, quiet);
            assert_eq!((output.is_json(), output.is_quiet()), (json, quiet));
        }
    }

    #[test]
    fn the_templates_are_read() {
        for template in [
            BAR,
            #[cfg(feature = "tools")]
            TIMED_BAR,
            CLOCK,
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
