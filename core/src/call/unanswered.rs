//! Words that the agent understands and answers with nothing. The protocol is content, and the caller waits in silence.
//! So the agent gets the words once more. If it has nothing to say again, the caller hears a filler and may speak. It
//! plays at once after digits and results of tools: these do not go twice, because the agent may add them up.

use crate::agent::TurnInput;
use crate::call::caller::UNDERSTOOD_MS;
use crate::call::{Call, Timer};
use crate::ids::TurnId;
use crate::report::Report;

/// How much is asked again at most of what the caller said in several turns, in bytes.
const MAX_WORDS_BYTES: usize = 2_000;

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

impl Unanswered {
    /// The words that wait to be asked again.
    pub(super) fn into_words(self) -> Option<String> {
        self.waiting.map(|(_, words)| words)
    }

    /// More words that the agent has not answered. Returns them behind those that wait, if they fit, and the report of
    /// those.
    fn join(&mut self, words: String) -> (String, Option<Report>) {
        let Some((turn, earlier)) = self.waiting.take() else { return (words, None) };
        // A recogniser may go on with its words from turn to turn.
        let holds_them = words.starts_with(&earlier);
        let fits = earlier.len() + words.len() <= MAX_WORDS_BYTES;
        let words = if fits && !holds_them { format!("{earlier} {words}") } else { words };
        (words, Some(Report::TurnUnanswered { turn, asks_again: fits || holds_them }))
    }
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

    /// The agent has answered this with nothing: another input than words, or audio in which it understood nothing. If
    /// that was the caller's words again, or what he has pressed or the tools have found, he waits in vain.
    pub(super) fn on_unanswered_input(&mut self, turn: TurnId, input: Option<TurnInput>) {
        let is_waited_for = match input {
            Some(input) if self.inputs.is_starting_event(&input) => return self.starting_event_unanswered(turn),
            Some(TurnInput::Digits(..) | TurnInput::ToolResults(_)) => {
                self.inputs.is_empty() && self.digits.is_empty() && !self.tools.are_running()
            }
            Some(TurnInput::Text(_) | TurnInput::Audio) => self.unanswered.asked == Asked::Again,
            Some(TurnInput::Event(_)) | None => false,
        };
        if is_waited_for {
            // Then it does not go once more.
            self.unanswered.asked = Asked::Again;
            self.on_unanswered(turn);
        }
    }

    /// The same as [`Self::on_unanswered`] for an agent whose stream goes on: it gets the words as a text, unless the
    /// caller goes on too. Then it hears the rest and may answer all of it.
    pub(super) fn on_unanswered_words(&mut self, turn: TurnId, words: String) {
        let (words, report) = self.unanswered.join(words);
        report.into_iter().for_each(|report| self.outputs.report(report));
        if self.caller.voice.is_speaking() {
            self.unanswered.waiting = Some((turn, words));
            self.timers.set(Timer::AskAgain, self.now + UNDERSTOOD_MS);
        } else if self.on_unanswered(turn) {
            self.inputs.add_first(TurnInput::Text(words));
        }
    }

    /// The caller went on, and what he said should be understood by now. It may have been a noise.
    pub(super) fn on_ask_again(&mut self) {
        if self.streams.heard().is_some_and(|heard| !heard.utterance.is_empty()) {
            return;
        }
        let Some((turn, words)) = self.unanswered.waiting.take() else { return };
        if self.on_unanswered(turn) {
            self.inputs.add_first(TurnInput::Text(words));
        }
    }
}
