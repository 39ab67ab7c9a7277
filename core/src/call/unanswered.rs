//! Words that the agent understands and answers with nothing. The protocol is content, and the caller waits in silence.
//! So the agent gets the words once more. If it has nothing to say again, the caller hears a filler and may speak.

use crate::agent::TurnInput;
use crate::call::Call;
use crate::ids::TurnId;
use crate::report::Report;

/// Whether the agent got the words a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Once,
    Again,
}

impl Call {
    /// Whether the agent may get the same words once more.
    pub(super) fn may_ask_again(&self) -> bool {
        self.lifecycle.is_active() && self.asked == Asked::Once && self.config.retry.answering_turn
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
            self.asked = Asked::Again;
        } else {
            self.asked = Asked::Once;
            self.play_missing_answer_filler("unanswered");
        }
        asks_again
    }

    /// The agent has answered a text with nothing, or audio in which it understood nothing. If that was the caller's
    /// words again, he waits in vain.
    pub(super) fn on_unanswered_again(&mut self, turn: TurnId) {
        if self.asked == Asked::Again {
            self.on_unanswered(turn);
        }
    }

    /// The same as [`Self::on_unanswered`] for an agent whose stream goes on: it gets the words as a text, unless the
    /// caller goes on too. Then it hears the rest and may answer all of it.
    pub(super) fn on_unanswered_words(&mut self, turn: TurnId, words: String) {
        if !self.caller.voice.is_speaking() && self.on_unanswered(turn) {
            self.inputs.add_first(TurnInput::Text(words));
        }
    }
}
