//! Places in the caller's audio: told from what he said, because that is what an agent hears.

use crate::replay::caller::CallerStep;

/// A place in the caller's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// This long after the beginning of a step, in milliseconds.
    Step(usize, u64),
    /// This long after the beginning of the stream, in milliseconds, because the caller had said nothing on it.
    Stream(u64),
}

/// The step of the caller's that an agent has heard, and how much of its speech, in milliseconds. `None`: he has said
/// nothing.
pub(super) type Heard = Option<(usize, u64)>;

/// The steps of a caller, by their places in his audio.
#[derive(Debug, Clone, Default)]
pub(super) struct CallerSteps {
    steps: Vec<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// Where the step begins in the caller's audio, in milliseconds; `None` before he has come to it.
    from_ms: Option<u64>,
    /// Where its speech ends, in milliseconds from its beginning. `None`: nobody speaks in it.
    speech_ms: Option<u64>,
}

impl CallerSteps {
    /// Adds a step that begins there.
    pub(super) fn add(&mut self, step: &CallerStep, from_ms: Option<u64>) {
        self.steps.push(Span { from_ms, speech_ms: step.speech_ms() });
    }

    /// The step begins there.
    pub(super) fn begin(&mut self, step: usize, from_ms: u64) {
        if let Some(span) = self.steps.get_mut(step) {
            span.from_ms = Some(from_ms);
        }
    }

    /// How many steps have begun.
    pub(super) fn begun(&self) -> usize {
        self.steps.iter().filter(|span| span.from_ms.is_some()).count()
    }

    /// A position in the caller's audio as a place, on a stream that was opened at `opened_ms`.
    pub(super) fn place(&self, at_ms: u64, opened_ms: u64) -> Place {
        match self.last_spoken(at_ms, opened_ms) {
            Some((n, from_ms, _)) => Place::Step(n, at_ms - from_ms),
            None => Place::Stream(at_ms - opened_ms.min(at_ms)),
        }
    }

    /// Where that place is; `None` if the caller has not come to the step.
    pub(super) fn position(&self, place: Place, opened_ms: u64) -> Option<u64> {
        match place {
            Place::Step(n, ms) => Some(self.steps.get(n)?.from_ms? + ms),
            Place::Stream(ms) => Some(opened_ms + ms),
        }
    }

    /// The step that a stream has heard until there, and how much of its speech, in milliseconds.
    pub(super) fn heard(&self, opened_ms: u64, until_ms: u64) -> Heard {
        let (n, from_ms, speech_ms) = self.last_spoken(until_ms, opened_ms)?;
        Some((n, (until_ms - from_ms).min(speech_ms)))
    }

    /// The last step with speech that had begun by then, and had not been over when the stream was opened.
    fn last_spoken(&self, at_ms: u64, opened_ms: u64) -> Option<(usize, u64, u64)> {
        let spoken = self.steps.iter().enumerate().rev();
        let mut spoken = spoken.filter_map(|(n, span)| Some((n, span.from_ms?, span.speech_ms?)));
        spoken.find(|(_, from_ms, speech_ms)| *from_ms < at_ms && from_ms + speech_ms > opened_ms)
    }
}
