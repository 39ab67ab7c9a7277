//! Digits, which the agent's side collects: they come one by one or together, and are one input.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::conversation::Said;
use crate::agent::script::KeyRules;

/// Most digits of one input.
const MOST: usize = 64;

/// Collects digits.
#[derive(Debug)]
pub(super) struct Keys {
    rules: KeyRules,
    default_gap_ms: u64,
    pressed: String,
    until: Option<Instant>,
}

impl Keys {
    pub(super) fn new(default_gap_ms: u64) -> Self {
        Self { rules: KeyRules::default(), default_gap_ms, pressed: String::new(), until: None }
    }

    /// How they are collected from now on; what is empty or 0 has its default: `#` ends them.
    pub(super) fn follow(&mut self, rules: Option<&KeyRules>) {
        self.rules = rules.cloned().unwrap_or_default();
    }

    /// Takes a key; the input, where that completes it.
    pub(super) fn press(&mut self, key: char, now: Instant) -> Option<Said> {
        let finish = if self.rules.finish.is_empty() { "#" } else { &self.rules.finish };
        if finish.starts_with(key) && !self.pressed.is_empty() {
            let finish = key.to_string();
            return self.take(finish);
        }
        self.pressed.push(key);
        let most = usize::try_from(self.rules.most).ok().filter(|most| (1..MOST).contains(most)).unwrap_or(MOST);
        if self.pressed.len() >= most {
            return self.take(String::new());
        }
        let gap_ms = if self.rules.gap_ms > 0 { self.rules.gap_ms } else { self.default_gap_ms };
        self.until = Some(now + Duration::from_millis(gap_ms));
        None
    }

    /// When the input is complete without another key.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.until
    }

    /// The input, where it is time.
    pub(super) fn due(&mut self, now: Instant) -> Option<Said> {
        self.until.filter(|until| *until <= now)?;
        self.finish()
    }

    /// What there is, for no key will come.
    pub(super) fn finish(&mut self) -> Option<Said> {
        if self.pressed.is_empty() { None } else { self.take(String::new()) }
    }

    fn take(&mut self, finish: String) -> Option<Said> {
        self.until = None;
        Some(Said::Digits { digits: std::mem::take(&mut self.pressed), finish })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(digits: &str, finish: &str) -> Option<Said> {
        Some(Said::Digits { digits: digits.to_owned(), finish: finish.to_owned() })
    }

    fn press(keys: &mut Keys, pressed: &str, now: Instant) -> Vec<Said> {
        pressed.chars().filter_map(|key| keys.press(key, now)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_ends_with_its_key_its_length_or_a_pause() {
        let (mut keys, now) = (Keys::new(2_000), Instant::now());
        assert_eq!(press(&mut keys, "12#34", now), Vec::from_iter(digits("12", "#")));
        assert_eq!(keys.due(now + Duration::from_millis(1_999)), None);
        assert_eq!(keys.due(now + Duration::from_millis(2_000)), digits("34", ""));
        assert_eq!((keys.wake(), keys.finish()), (None, None));
        keys.follow(Some(&KeyRules { finish: "*".to_owned(), most: 3, gap_ms: 500 }));
        assert_eq!(press(&mut keys, "1*123#", now), [digits("1", "*").unwrap(), digits("123", "").unwrap()]);
        assert_eq!(keys.wake(), Some(now + Duration::from_millis(500)));
        assert_eq!(keys.finish(), digits("#", ""));
    }
}
