//! The keys of the telephone: collected until they are complete, then sent to the agent as a turn of their own.
//!
//! ```text
//! Empty --key--> Collecting --finish key, number reached, pause--> complete: waits for its turn
//! ```
//!
//! A key interrupts the prompt that plays, unless that may not be interrupted; keys pressed before the prompt are kept for
//! it. A caller who is speaking when he presses keys is heard out first: his words are a turn, the keys the next one.

use crate::agent::{Digits, DigitsForm, KeyRules, TurnInput};
use crate::call::caller_audio::Position;
use crate::call::turn::Turn;
use crate::call::{Call, Lifecycle, Timer};
use crate::config::Keys;
use crate::report::{InterruptedBy, Report};

/// How many keys may be pressed at a time. A further one is dropped.
const MOST_KEYS: usize = 128;

/// How many complete entries may wait for the agent. The keys of a further one are dropped.
const MOST_ENTRIES: usize = 16;

/// A voice that began so long before the first key is speech; a later one may be the key's own tone. In bytes of audio.
const TONE: Position = 800;

/// The keys of an entry that is not complete.
#[derive(Debug, Default)]
pub(super) struct Entry {
    keys: Digits,
    /// Where in the caller's audio the first one came.
    began: Position,
}

/// What a key makes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pressed {
    /// More may come.
    Collecting,
    /// The entry is complete.
    Complete(Digits),
    /// There is no room for it.
    Dropped,
}

impl Entry {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.keys.is_empty()
    }

    fn press(&mut self, key: char, finish: Option<char>, most: u32, position: Position) -> Pressed {
        if self.is_empty() {
            self.began = position;
        }
        if finish == Some(key) && !self.is_empty() {
            self.keys.finish = Some(key);
            return Pressed::Complete(self.take());
        }
        if self.keys.keys.len() >= MOST_KEYS {
            return Pressed::Dropped;
        }
        self.keys.keys.push(key);
        // Alone, a key that would end an entry is one: "press pound to go on".
        let is_all = finish == Some(key) || (most > 0 && self.keys.keys.len() >= most as usize);
        if is_all { Pressed::Complete(self.take()) } else { Pressed::Collecting }
    }

    fn take(&mut self) -> Digits {
        std::mem::take(&mut self.keys)
    }
}

/// The rules that hold: what the agent's last answer says, and where it says nothing, the settings.
fn rules(settings: &Keys, agent: Option<&KeyRules>) -> (Option<char>, u32, u64) {
    let agent = agent.cloned().unwrap_or_default();
    (agent.finish.or(settings.finish), agent.most.unwrap_or(settings.most), agent.gap_ms.unwrap_or(settings.gap_ms))
}

impl Call {
    /// The key that would end an entry now, where there is one: where each key is an entry, none does.
    #[must_use]
    pub fn finish_key(&self) -> Option<char> {
        let (finish, most, _) = rules(&self.config.keys, self.key_rules.as_ref());
        finish.filter(|_| most != 1)
    }

    pub(super) fn on_digit(&mut self, key: char) {
        self.report(Report::Digit);
        if !matches!(self.lifecycle, Lifecycle::Active) {
            return;
        }
        self.caller_is_there();
        self.interrupt(InterruptedBy::Key, None);
        let config = self.config.clone();
        let (finish, most, gap_ms) = rules(&config.keys, self.key_rules.as_ref());
        match self.entry.press(key, finish, most, self.caller.received()) {
            Pressed::Collecting => self.timers.set(Timer::KeysComplete, self.now + gap_ms),
            Pressed::Complete(keys) => self.keys_complete(keys),
            Pressed::Dropped => self.report(Report::DigitDropped),
        }
    }

    pub(super) fn on_key_pause(&mut self) {
        if !self.entry.is_empty() {
            let keys = self.entry.take();
            self.keys_complete(keys);
        }
    }

    fn keys_complete(&mut self, keys: Digits) {
        self.timers.stop(Timer::KeysComplete);
        let waiting = self.first.iter().filter(|input| matches!(input, TurnInput::Digits(..))).count();
        if waiting >= MOST_ENTRIES {
            self.report(Report::DigitDropped);
            return;
        }
        self.report(Report::DigitsComplete { count: keys.keys.len() });
        let form: DigitsForm = self.config.keys.form.clone();
        self.first.push_back(TurnInput::Digits(keys, form));
        self.leave_listening_for_keys();
    }

    /// The turn that listens makes room for the keys: given up where nothing was said, heard out where something was.
    fn leave_listening_for_keys(&mut self) {
        let Turn::Listening(turn) = &self.turn else { return };
        if self.is_one_stream() {
            return;
        }
        let voice = self.voice.onset_since(turn.began);
        let spoke = voice.is_some_and(|onset| onset + TONE < self.entry.began);
        if turn.utterance.is_empty() && !spoke { self.cancel_turn() } else { self.finish_input() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(keys: &str, finish: Option<char>) -> Pressed {
        Pressed::Complete(Digits { keys: keys.to_owned(), finish })
    }

    fn press(keys: &str, finish: Option<char>, most: u32) -> Vec<Pressed> {
        let mut entry = Entry::default();
        keys.chars().map(|key| entry.press(key, finish, most, 0)).collect()
    }

    #[test]
    fn the_finish_key_ends_an_entry_and_is_not_one_of_its_keys() {
        assert_eq!(press("12#", Some('#'), 0).last(), Some(&digits("12", Some('#'))));
        assert_eq!(press("12#", Some('*'), 0).last(), Some(&Pressed::Collecting));
    }

    #[test]
    fn the_last_of_a_number_of_keys_ends_it() {
        assert_eq!(press("1234", Some('#'), 4).last(), Some(&digits("1234", None)));
        assert_eq!(press("1234", Some('#'), 4)[2], Pressed::Collecting);
    }

    #[test]
    fn the_finish_key_alone_is_an_entry() {
        assert_eq!(press("#", Some('#'), 0), [digits("#", None)]);
    }

    #[test]
    fn whoever_leans_on_the_keys_fills_no_memory() {
        let pressed = press(&"1".repeat(1_000), Some('#'), 0);
        assert_eq!(pressed.iter().filter(|pressed| **pressed == Pressed::Dropped).count(), 1_000 - MOST_KEYS);
    }

    #[test]
    fn what_the_agent_says_goes_before_the_settings() {
        let agent = KeyRules { most: Some(4), ..KeyRules::default() };
        assert_eq!(rules(&Keys::default(), Some(&agent)), (Some('#'), 4, 3_000));
        assert_eq!(rules(&Keys::default(), None), (Some('#'), 0, 3_000));
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = Digits { keys: "4242".to_owned(), finish: None };
        assert!(!format!("{keys:?} {:?}", TurnInput::Digits(keys.clone(), DigitsForm::Dtmf)).contains("42"));
    }
}
