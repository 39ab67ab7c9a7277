//! DTMF digits: collected until they are complete, then sent to the agent as a turn of their own.
//!
//! ```text
//! Empty --digit--> Collecting --finish digit, maximum, timeout--> complete: waits for its turn
//! Empty --finish digit, or a digit that is the most--> complete: waits for its turn
//! ```
//!
//! A digit cuts the prompt that plays, unless the prompt forbids barge-in. Digits pressed before a prompt are kept for
//! it. If the caller is speaking when he presses a key, we first let the turn of his speech end. The digits are the
//! next turn.

use crate::agent::{Digits, DigitsForm, DtmfRules};
use crate::audio::{Position, bytes};
use crate::call::caller::{TONE, UNDERSTOOD_MS};
use crate::call::{Call, Timer};
use crate::config::DtmfConfig;
use crate::report::{BargeInBy, EndFoundBy, Report};

/// How many digits one input may have. We drop further ones.
const MAX_DIGITS: usize = 128;

/// The digits of an input that is not complete, and the rules for them.
#[derive(Debug, Default)]
pub(super) struct DigitCollector {
    collected: Digits,
    /// The position of the first digit in the caller's audio.
    began: Position,
    /// How the agent wants them collected.
    rules: Option<DtmfRules>,
}

/// The state of the input after a digit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pressed {
    /// More may come.
    Collecting,
    /// The input is complete.
    Complete(Digits),
    /// There was no room for the digit.
    Dropped,
}

impl DigitCollector {
    pub(super) fn is_empty(&self) -> bool {
        self.collected.digits.is_empty()
    }

    /// The agent's last answer says how it wants digits collected, or leaves it open.
    pub(super) fn set_rules(&mut self, rules: Option<DtmfRules>) {
        self.rules = rules;
    }

    /// Whether the agent's last answer says how it wants digits collected.
    pub(super) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Nothing more comes. Returns the digits that came.
    pub(super) fn take_rest(&mut self) -> Option<Digits> {
        (!self.is_empty()).then(|| self.take())
    }

    /// Where the last input began in the caller's audio.
    pub(super) fn began(&self) -> Position {
        self.began
    }

    fn press(&mut self, digit: char, finish_digit: Option<char>, max_digits: u32, position: Position) -> Pressed {
        if self.is_empty() {
            self.began = position;
        }
        if finish_digit == Some(digit) && !self.is_empty() {
            self.collected.finish_digit = Some(digit);
            return Pressed::Complete(self.take());
        }
        if self.collected.digits.len() >= MAX_DIGITS {
            return Pressed::Dropped;
        }
        self.collected.digits.push(digit);
        // A finish digit on its own is an input: "press pound to go on".
        let is_all =
            finish_digit == Some(digit) || (max_digits > 0 && self.collected.digits.len() >= max_digits as usize);
        if is_all { Pressed::Complete(self.take()) } else { Pressed::Collecting }
    }

    fn take(&mut self) -> Digits {
        std::mem::take(&mut self.collected)
    }
}

/// The rules that apply: those of the agent's last answer, and the settings for what it leaves open.
fn rules(settings: &DtmfConfig, agent: Option<&DtmfRules>) -> (Option<char>, u32, u64) {
    let agent = agent.cloned().unwrap_or_default();
    (
        agent.finish_digit.or(settings.finish_digit),
        agent.max_digits.unwrap_or(settings.max_digits),
        agent.interdigit_ms.unwrap_or(settings.interdigit_ms),
    )
}

impl Call {
    /// The finish digit of the current input. `None` if each digit is an input of its own.
    #[must_use]
    pub fn finish_digit(&self) -> Option<char> {
        let (finish_digit, max_digits, _) = rules(&self.config.dtmf, self.digits.rules.as_ref());
        finish_digit.filter(|_| max_digits != 1)
    }

    pub(super) fn on_digit(&mut self, digit: char) {
        self.outputs.report(Report::Digit);
        if !self.lifecycle.is_active() {
            return;
        }
        self.silence.caller_active(self.now);
        self.check_barge_in(BargeInBy::Dtmf, None);
        self.collect_digit(digit);
    }

    pub(super) fn collect_digit(&mut self, digit: char) {
        let (finish_digit, max_digits, interdigit_ms) = rules(&self.config.dtmf, self.digits.rules.as_ref());
        match self.digits.press(digit, finish_digit, max_digits, self.caller.audio.received()) {
            Pressed::Collecting => self.timers.set(Timer::DigitsComplete, self.now + interdigit_ms),
            Pressed::Complete(digits) => self.digits_complete(digits),
            Pressed::Dropped => self.outputs.report(Report::DigitDropped),
        }
    }

    pub(super) fn digits_complete(&mut self, digits: Digits) {
        self.timers.stop(Timer::DigitsComplete);
        let count = digits.digits.len();
        let form: DigitsForm = self.config.dtmf.form.clone();
        if !self.inputs.add_digits(digits, form) {
            self.outputs.report(Report::DigitDropped);
            return;
        }
        self.outputs.report(Report::DigitsComplete { count });
        self.end_listening(self.digits.began());
    }

    /// A text of the caller's. It is a turn of its own, as digits are, and cuts no prompt.
    pub(super) fn on_text(&mut self, text: &str) {
        if self.lifecycle.is_active() && self.inputs.add_text(text) {
            self.silence.caller_active(self.now);
            self.end_listening(self.caller.audio.received() + TONE);
        }
    }

    /// Ends the listening turn to make room for another input, which began there. Cancels the turn if the caller said
    /// nothing before it; otherwise half-closes it, when he pauses. If words wait to be sent again, they go first.
    fn end_listening(&mut self, began: Position) {
        let Some(heard) = self.streams.utterance() else {
            let written = self.caller.audio.written();
            if self.guard.is_voice_before(&self.caller, written, began) {
                self.inputs.hear_words_before_last(&*self.streams);
            }
            return;
        };
        // An older voice would have been understood by now.
        let recent = heard.began.max(began.saturating_sub(bytes(UNDERSTOOD_MS)));
        if heard.utterance.is_empty() && !self.guard.is_voice_before(&self.caller, recent, began) {
            if !self.guard.is_agents_voice(&self.caller, began, self.caller.audio.received()) {
                self.caller.resend_current_speech(began);
            }
            self.cancel_turn();
        } else if !self.caller.voice.is_speaking() {
            self.end_utterance(EndFoundBy::Digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::TurnInput;

    fn digits(keys: &str, finish_digit: Option<char>) -> Pressed {
        Pressed::Complete(Digits { digits: keys.to_owned(), finish_digit })
    }

    fn press(keys: &str, finish_digit: Option<char>, max_digits: u32) -> Vec<Pressed> {
        let mut collector = DigitCollector::default();
        keys.chars().map(|digit| collector.press(digit, finish_digit, max_digits, 0)).collect()
    }

    #[test]
    fn the_finish_digit_ends_an_input_and_is_not_one_of_its_digits() {
        assert_eq!(press("12#", Some('#'), 0).last(), Some(&digits("12", Some('#'))));
        assert_eq!(press("12#", Some('*'), 0).last(), Some(&Pressed::Collecting));
    }

    #[test]
    fn the_maximum_of_digits_ends_an_input() {
        assert_eq!(press("1234", Some('#'), 4).last(), Some(&digits("1234", None)));
        assert_eq!(press("1234", Some('#'), 4)[2], Pressed::Collecting);
    }

    #[test]
    fn the_finish_digit_alone_is_an_input() {
        assert_eq!(press("#", Some('#'), 0), [digits("#", None)]);
    }

    #[test]
    fn digits_without_end_fill_no_memory() {
        let pressed = press(&"1".repeat(1_000), Some('#'), 0);
        assert_eq!(pressed.iter().filter(|pressed| **pressed == Pressed::Dropped).count(), 1_000 - MAX_DIGITS);
    }

    #[test]
    fn what_the_agent_says_goes_before_the_settings() {
        let agent = DtmfRules { max_digits: Some(4), ..DtmfRules::default() };
        assert_eq!(rules(&DtmfConfig::default(), Some(&agent)), (Some('#'), 4, 3_000));
        assert_eq!(rules(&DtmfConfig::default(), None), (Some('#'), 0, 3_000));
    }

    #[test]
    fn digits_are_not_printed() {
        let keys = Digits { digits: "4242".to_owned(), finish_digit: None };
        assert!(!format!("{keys:?} {:?}", TurnInput::Digits(keys.clone(), DigitsForm::Dtmf)).contains("42"));
    }
}
