//! Shows how far a load has come: which stage, how many calls are up, how many faults there were.

use std::time::Duration;

use dialbridge_lab::load::Load;
use tokio::time::{Instant, sleep};

use crate::progress::{Output, Progress, REDRAW};

/// The stages of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The calls run, and nothing is measured yet.
    WarmUp,
    /// What happens is measured.
    Window,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Window => "window",
        }
    }
}

/// A line for the load, where somebody watches it.
#[derive(Debug)]
pub(super) struct LoadProgress {
    progress: Progress,
    /// The name of the load's target.
    against: &'static str,
    calls: u16,
}

impl LoadProgress {
    pub(super) fn new(output: Output, against: &'static str, calls: u16) -> Self {
        Self { progress: Progress::bar(output), against, calls }
    }

    /// Shows how many calls are up while they begin.
    pub(super) fn ramp(&self, up: u16) {
        let (against, calls) = (self.against, self.calls);
        self.progress.show(up.into(), calls.into(), format!("{against}: ramp, {up} of {calls} calls up"));
    }

    /// Waits so long, and shows the stage meanwhile. The thread that measures draws the line, so that the tool stays on
    /// its core.
    pub(super) async fn wait(&self, load: &Load, stage: Stage, passed: Duration, wait: Duration, whole: Duration) {
        if !self.progress.is_drawn() {
            return sleep(wait).await;
        }
        let (began, mut waited) = (Instant::now(), Duration::ZERO);
        while waited < wait {
            self.show(load, stage, passed + waited, whole);
            sleep(REDRAW.min(wait - waited)).await;
            waited = began.elapsed();
        }
    }

    fn show(&self, load: &Load, stage: Stage, passed: Duration, whole: Duration) {
        let so_far = load.so_far();
        let (against, stage) = (self.against, stage.name());
        let (passed, whole, up, faults) = (passed.as_secs(), whole.as_secs(), so_far.up, so_far.faults);
        let sentence = format!("{against}: {stage}, {passed} of {whole} s, {up} calls up, {faults} faults so far");
        self.progress.show(passed, whole, sentence);
    }

    /// Shows that the callers hear their last answers and hang up.
    pub(super) fn show_end(&self) {
        self.progress.show(1, 1, format!("{}: the calls end", self.against));
    }
}
