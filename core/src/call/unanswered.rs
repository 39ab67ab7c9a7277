//! Words that the agent understands and answers with nothing. The protocol is content, and the caller waits in silence.
//! So the agent gets the words once more. If it has nothing to say again, the caller hears a filler and may speak. It
//! plays at once after digits and results of tools: these do not go twice, because the agent may add them up.

use crate::agent::TurnInput;
use crate::call::prompt_guard::UNDERSTOOD_MS;
use crate::call::{Call, Timer};
use crate::ids::TurnId;
use crate::report::Report;

/// The last words that the agent has not answered.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    asked: Asked,
    /// A turn and its words, after which the caller went on. If that was no word, the agent gets these again.
    waiting: Option<(TurnId, String)>,
}

/// Whether the agent got the words a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Once,
    Again,
}

impl Call {
    /// Whether the agent may get the same words once more.
    pub(super) fn may_ask_again(&self) -> bool {
        self.lifecycle.is_active() && self.unanswered.asked == Asked::Once && self.config.retry.answering_turn
    }

    /// A turn with words in it is over, and nothing came. Returns whether the agent gets the words again. It may then
    /// run its webhook twice.
    pub(super) fn on_unanswered(&mut self, turn: TurnId) -> bool {
        if !self.lifecycle.is_active() {
            return false;
        }
        let asks_again = self.may_ask_again();
        self.outputs.report(Report::TurnUnanswered { turn, asks_again });
        if asks_again {
            self.unanswered.asked = Asked::Again;
        } else {
            self.unanswered.asked = Asked::Once;
            self.play_missing_answer_filler("unanswered");
        }
        asks_again
    }

    /// The agent has answered other input than words with nothing, or audio in which it understood nothing. Only if that
    /// was the caller's words again, or what he has pressed or the tools have found, he waits in vain.
    pub(super) fn on_unanswered_input(&mut self, turn: TurnId, input: &TurnInput) {
        let is_caller_waiting = match input {
            TurnInput::Digits(..) | TurnInput::ToolResults(_) => {
                self.inputs.is_empty() && self.digits.is_empty() && !self.tools.are_running()
            }
            TurnInput::Text(_) | TurnInput::Audio => self.unanswered.asked == Asked::Again,
            TurnInput::Event(_) => false,
        };
        if is_caller_waiting {
            self.unanswered.asked = Asked::Again;
            self.on_unanswered(turn);
        }
    }

    /// The same as [`Self::on_unanswered`] for an agent whose stream goes on: it gets the words as a text, unless the
    /// caller goes on too. Then it hears the rest and may answer all of it.
    pub(super) fn on_unanswered_words(&mut self, turn: TurnId, words: String) {
        if self.caller.voice.is_speaking() {
            self.unanswered.waiting = Some((turn, words));
            self.timers.set(Timer::AskAgain, self.now + UNDERSTOOD_MS);
        } else if self.on_unanswered(turn) {
            self.inputs.add_first(TurnInput::Text(words));
        }
    }

    /// The caller went on, and what he said should be understood by now. It may have been a noise.
    pub(super) fn on_ask_again(&mut self) {
        let Some((turn, words)) = self.unanswered.waiting.take() else { return };
        let has_more = self.streams.heard().is_some_and(|heard| !heard.utterance.is_empty());
        if !has_more && self.on_unanswered(turn) {
            self.inputs.add_first(TurnInput::Text(words));
        }
    }
}
