//! Digits. The agent's side collects them: they come one by one or together, and make one input.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::conversation::CallerInput;
use crate::agent::script::DtmfRules;

/// The most digits of one input.
const MAX_DIGITS: usize = 64;

/// Collects digits.
#[derive(Debug)]
pub(super) struct DigitCollector {
    rules: DtmfRules,
    default_gap_ms: u64,
    pressed: String,
    until: Option<Instant>,
}

impl DigitCollector {
    pub(super) fn new(default_gap_ms: u64) -> Self {
        Self { rules: DtmfRules::default(), default_gap_ms, pressed: String::new(), until: None }
    }

    /// Sets how digits are collected from here on. Empty or 0 means the default: `#` ends them.
    pub(super) fn follow(&mut self, rules: Option<&DtmfRules>) {
        self.rules = rules.cloned().unwrap_or_default();
    }

    /// Takes a digit; returns the input if the digit completes it.
    pub(super) fn press(&mut self, key: char, now: Instant) -> Option<CallerInput> {
        let finish = if self.rules.finish_digit.is_empty() { "#" } else { &self.rules.finish_digit };
        if finish.starts_with(key) && !self.pressed.is_empty() {
            let finish = key.to_string();
            return self.take(finish);
        }
        self.pressed.push(key);
        let max_digits = usize::try_from(self.rules.max_digits)
            .ok()
            .filter(|digits| (1..MAX_DIGITS).contains(digits))
            .unwrap_or(MAX_DIGITS);
        if self.pressed.len() >= max_digits {
            return self.take(String::new());
        }
        let gap_ms = if self.rules.interdigit_ms > 0 { self.rules.interdigit_ms } else { self.default_gap_ms };
        self.until = Some(now + Duration::from_millis(gap_ms));
        None
    }

    /// When the input is complete without another digit.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.until
    }

    /// The input, if it is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<CallerInput> {
        self.until.filter(|until| *until <= now)?;
        self.finish()
    }

    /// The digits so far, because no more will come.
    pub(super) fn finish(&mut self) -> Option<CallerInput> {
        if self.pressed.is_empty() { None } else { self.take(String::new()) }
    }

    fn take(&mut self, finish: String) -> Option<CallerInput> {
        self.until = None;
        Some(CallerInput::Digits { digits: std::mem::take(&mut self.pressed), finish })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(digits: &str, finish: &str) -> Option<CallerInput> {
        Some(CallerInput::Digits { digits: digits.to_owned(), finish: finish.to_owned() })
    }

    fn press(collector: &mut DigitCollector, pressed: &str, now: Instant) -> Vec<CallerInput> {
        pressed.chars().filter_map(|key| collector.press(key, now)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_ends_with_its_digit_its_length_or_a_pause() {
        let (mut collector, now) = (DigitCollector::new(2_000), Instant::now());
        assert_eq!(press(&mut collector, "12#34", now), Vec::from_iter(digits("12", "#")));
        assert_eq!(collector.due(now + Duration::from_millis(1_999)), None);
        assert_eq!(collector.due(now + Duration::from_millis(2_000)), digits("34", ""));
        assert_eq!((collector.wake(), collector.finish()), (None, None));
        collector.follow(Some(&DtmfRules {
            finish_digit: "*".to_owned(),
            max_digits: 3,
            interdigit_ms: 500,
            endpointing_ms: 0,
        }));
        assert_eq!(press(&mut collector, "1*123#", now), [digits("1", "*").unwrap(), digits("123", "").unwrap()]);
        assert_eq!(collector.wake(), Some(now + Duration::from_millis(500)));
        assert_eq!(collector.finish(), digits("#", ""));
    }
}
