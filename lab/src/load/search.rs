//! How many calls a service can carry: doubles until it fails, then halves the interval.

/// The search for the highest number that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// The highest number that held; 0: none yet.
    held: u16,
    /// The lowest number that did not hold.
    failed: Option<u16>,
    next: u16,
    max: u16,
}

impl Search {
    /// Begins with `first`, and goes no higher than `most`.
    #[must_use]
    pub fn new(first: u16, max: u16) -> Self {
        Self { held: 0, failed: None, next: first.clamp(1, max.max(1)), max: max.max(1) }
    }

    /// The next number to try; `None` when the answer is accurate to a twentieth.
    #[must_use]
    pub fn next(&self) -> Option<u16> {
        let is_near = match self.failed {
            Some(failed) => failed - self.held <= (self.held / 20).max(1),
            None => self.held == self.max,
        };
        (!is_near).then_some(self.next)
    }

    /// Takes the result of that number.
    pub fn tried(&mut self, number: u16, held: bool) {
        if held {
            self.held = self.held.max(number);
        } else {
            self.failed = Some(self.failed.map_or(number, |failed| failed.min(number)));
        }
        self.next = match self.failed {
            None => self.held.saturating_mul(2).min(self.max),
            Some(failed) => self.held + (failed - self.held.min(failed)) / 2,
        };
    }

    /// The highest number that held; 0 when none did.
    #[must_use]
    pub fn found(&self) -> u16 {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches where everything up to `limit` holds; returns the answer, and what was tried.
    fn search(first: u16, max: u16, limit: u16) -> (u16, Vec<u16>) {
        let mut search = Search::new(first, max);
        let mut tried = Vec::new();
        while let Some(number) = search.next() {
            assert!(tried.len() < 40, "{tried:?}");
            tried.push(number);
            search.tried(number, number <= limit);
        }
        (search.found(), tried)
    }

    #[test]
    fn the_highest_number_is_found_to_a_twentieth() {
        let (found, tried) = search(100, 10_000, 630);
        assert_eq!((found, &tried[..6]), (625, &[100, 200, 400, 800, 600, 700][..]));
        for limit in [1, 2, 3, 10, 99, 100, 101, 777, 5_000, 9_999] {
            let (found, tried) = search(50, 10_000, limit);
            assert!(found <= limit && limit - found <= (found / 20).max(1), "{limit}: {tried:?}");
        }
    }

    #[test]
    fn a_service_that_holds_everything_is_tried_up_to_the_maximum() {
        assert_eq!(search(300, 1_000, u16::MAX), (1_000, vec![300, 600, 1_000]));
        assert_eq!(search(3_000, 1_000, u16::MAX), (1_000, vec![1_000]));
    }

    #[test]
    fn one_that_holds_nothing_is_found_out() {
        assert_eq!(search(8, 1_000, 0), (0, vec![8, 4, 2, 1]));
    }
}
