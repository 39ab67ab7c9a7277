//! A turn of a call that was played: what the agent understood and said, and when.

use std::fmt;
use std::ops::RangeBounds;

use serde_json::{Map, Value};

use crate::agent::Answer;
use crate::replay::PlayedCall;
use crate::replay::caller::waited_ms;
use crate::replay::unlike::{Place, in_ms, quoted};
use crate::report::{EndFoundBy, Report, Stages};
use crate::time::CallTime;

/// A turn of a call: the part from one step of the caller's until the next, or before the first one.
///
/// Its assertions panic with what was expected, what was found, and the lines of the trace around that moment. They
/// return the turn, so that they can follow one another.
///
/// ```
/// # use dialbridge_core::{kit::Recording, tape::Tape};
/// # let call = Tape::build()
/// #     .agent_greets("Yes?", Recording::ms(2_000))
/// #     .caller_says(Recording::ms(900))
/// #     .barge_in_at_ms(500)
/// #     .agent_hears("two loaves")
/// #     .agent_answers("Two loaves. Good bye.", Recording::ms(1_000))
/// #     .with_intent("order.bread")
/// #     .ends_interaction()
/// #     .play();
/// let turn = call.turn(2);
/// assert_eq!((turn.transcript().as_str(), turn.reply().as_str()), ("two loaves", "Two loaves. Good bye."));
/// turn.assert_intent("order.bread").assert_wait_ms(..1_500);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PlayedTurn<'a> {
    pub(super) call: &'a PlayedCall,
    /// `None`: before the first step.
    pub(super) step: Option<usize>,
    pub(super) from: CallTime,
    pub(super) to: CallTime,
}

/// A prompt that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptCut {
    /// When.
    pub at: CallTime,
    /// How much of it the caller had heard, in milliseconds.
    pub played_ms: u64,
}

impl<'a> PlayedTurn<'a> {
    /// When it began.
    #[must_use]
    pub fn began(&self) -> CallTime {
        self.from
    }

    fn is_within(&self, at: CallTime) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The answers to this step.
    fn answers(self) -> impl Iterator<Item = &'a Answer> {
        self.call.answers().filter(move |(at, _)| self.is_within(*at)).map(|(_, answer)| answer)
    }

    /// Whether the agent answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answers().any(|answer| !answer.is_empty())
    }

    /// The words of the agent.
    #[must_use]
    pub fn reply(&self) -> String {
        let texts: Vec<&str> =
            self.answers().map(|answer| answer.text.as_str()).filter(|text| !text.is_empty()).collect();
        texts.join(" ")
    }

    /// The words that the agent understood.
    #[must_use]
    pub fn transcript(&self) -> String {
        let queries = self.answers().map(|answer| answer.query_text.as_str()).filter(|text| !text.is_empty());
        if let Some(query) = queries.last() {
            return query.to_owned();
        }
        // CES has no query text, and no final transcript either.
        let transcripts = self.call.reports().filter(|(at, _)| self.is_within(*at)).filter_map(|(_, report)| {
            if let Report::Transcript { text, .. } = report { Some(text.as_str()) } else { None }
        });
        transcripts.last().unwrap_or_default().to_owned()
    }

    /// The display name of the intent that matched; empty: none.
    #[must_use]
    pub fn intent(&self) -> &'a str {
        let intents = self.answers().filter_map(|answer| answer.intent.as_ref());
        intents.map(|intent| intent.display_name.as_str()).last().unwrap_or_default()
    }

    /// The page that the conversation was on; empty: the agent did not say.
    #[must_use]
    pub fn page(&self) -> &'a str {
        self.answers().map(|answer| answer.page.as_str()).filter(|page| !page.is_empty()).last().unwrap_or_default()
    }

    /// Its flow; empty: the agent did not say.
    #[must_use]
    pub fn flow(&self) -> &'a str {
        self.answers().map(|answer| answer.flow.as_str()).filter(|flow| !flow.is_empty()).last().unwrap_or_default()
    }

    /// A parameter of the answers. `None`: there is none of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Value> {
        self.parameters().remove(name)
    }

    /// The parameters of the answers; a later one replaces an earlier one of its name.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        self.answers().flat_map(|answer| answer.parameters.clone()).collect()
    }

    /// From the end of the caller's speech, or of his last key, until he began to hear the answer, in milliseconds. It
    /// counts from the beginning of the call for the greeting, and from the beginning of a wait. Negative: the answer
    /// began before he had finished. `None` if he heard none.
    #[must_use]
    pub fn wait_ms(&self) -> Option<i64> {
        let from = self.step.map_or(Some(CallTime::START), |step| self.call.steps[step].waits_from())?;
        let sent = self.stages().find_map(|stages| stages.first_audio_sent)?;
        let voice = self.call.prompts.first_voice(sent, self.to);
        voice.map(|heard| waited_ms(from.as_ms(), heard.as_ms()))
    }

    /// Who found the end of the caller's utterance. `None`: he said nothing, or the agent has one stream for the whole call.
    #[must_use]
    pub fn utterance_ended_by(&self) -> Option<EndFoundBy> {
        let ends = self.call.reports().filter(|(at, _)| self.is_within(*at)).filter_map(|(_, report)| {
            if let Report::EndOfUtterance { spoken: true, found_by, .. } = report { Some(*found_by) } else { None }
        });
        ends.last()
    }

    /// The answer as the caller heard it.
    ///
    /// # Panics
    /// If he heard nothing of it.
    #[must_use]
    #[track_caller]
    pub fn prompt(&self) -> PlayedPrompt<'a> {
        let prompts = &self.call.prompts;
        let mut sent = self.stages().filter_map(|stages| stages.first_audio_sent);
        let Some(began) = sent.find_map(|sent| prompts.began(sent, self.to)) else {
            self.place().fail(format_args!("{}: the caller heard no prompt", self.name()));
        };
        let cut_ms = prompts.cuts().find_map(|(at, played_ms)| (at - played_ms == began).then_some(played_ms));
        PlayedPrompt { turn: *self, began, cut_ms }
    }

    /// The stages of its turns, in order.
    pub fn stages(self) -> impl Iterator<Item = &'a Stages> {
        self.call.reports().filter_map(move |(_, report)| {
            let Report::Stages(stages) = report else { return None };
            let complete = stages.input_complete.or(stages.answered).unwrap_or(stages.opened);
            self.is_within(complete).then_some(&**stages)
        })
    }

    /// The first prompt that the caller cut in this turn: one of an earlier turn, or a filler.
    #[must_use]
    pub fn prompt_cut(&self) -> Option<PromptCut> {
        let mut cuts = self.call.prompts.cuts().filter(|(at, _)| self.is_within(*at));
        cuts.next().map(|(at, played_ms)| PromptCut { at, played_ms })
    }

    /// The turn's number, from 1.
    fn number(&self) -> usize {
        self.call.number_of(self.step)
    }

    fn name(&self) -> String {
        format!("turn {}", self.number())
    }

    /// The turn's answer, or else its beginning.
    fn place(&self) -> Place<'a> {
        let answered = self.stages().find_map(|stages| stages.answered);
        Place::new(self.call, answered.unwrap_or(self.from))
    }

    #[track_caller]
    fn assert(
        self,
        holds: bool,
        what: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        self.place().assert(holds, format_args!("{}, {what}", self.name()), expected, found);
        self
    }

    #[track_caller]
    fn assert_text(self, what: &str, expected: &str, found: &str) -> Self {
        self.assert(found.contains(expected), what, quoted(expected), quoted(found))
    }

    #[track_caller]
    fn assert_name(self, what: &str, expected: &str, found: &str) -> Self {
        self.assert(found == expected, what, quoted(expected), quoted(found))
    }

    /// Checks that what the agent understood contains this text.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_transcript(self, expected: &str) -> Self {
        self.assert_text("transcript", expected, &self.transcript())
    }

    /// Checks that what the agent said contains this text.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_reply(self, expected: &str) -> Self {
        self.assert_text("reply", expected, &self.reply())
    }

    /// Checks the display name of the intent.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn assert_intent(self, expected: &str) -> Self {
        self.assert_name("intent", expected, self.intent())
    }

    /// Checks the display name of the page.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn assert_page(self, expected: &str) -> Self {
        self.assert_name("page", expected, self.page())
    }

    /// Checks the display name of the flow.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn assert_flow(self, expected: &str) -> Self {
        self.assert_name("flow", expected, self.flow())
    }

    /// Checks a parameter.
    ///
    /// # Panics
    /// If it has another value, or there is none of that name.
    #[track_caller]
    pub fn assert_parameter(self, name: &str, expected: impl Into<Value>) -> Self {
        let (expected, found) = (expected.into(), self.parameter(name));
        let told = found.as_ref().map_or("none of that name".to_owned(), Value::to_string);
        self.assert(found.as_ref() == Some(&expected), format_args!("parameter {name}"), &expected, told)
    }

    /// Checks how long the caller waited for the answer ([`wait_ms`](Self::wait_ms)), in milliseconds.
    ///
    /// # Panics
    /// If it is outside that range, he heard no answer, or the answer began before he had finished.
    #[track_caller]
    pub fn assert_wait_ms(self, expected: impl RangeBounds<u64> + fmt::Debug) -> Self {
        let found = self.wait_ms();
        let holds = found.is_some_and(|ms| u64::try_from(ms).is_ok_and(|ms| expected.contains(&ms)));
        let told = match found {
            Some(ms @ ..0) => format!("an answer that began {} ms before he had finished", ms.unsigned_abs()),
            Some(ms) => format!("{ms} ms"),
            None => "no answer that is heard".to_owned(),
        };
        self.assert(holds, "wait", format_args!("{expected:?} ms"), told)
    }

    /// Checks who found the end of the caller's utterance.
    ///
    /// # Panics
    /// If it was another one, or there was no utterance.
    #[track_caller]
    pub fn assert_utterance_ended_by(self, expected: EndFoundBy) -> Self {
        let found = self.utterance_ended_by();
        let told = found.map_or("nobody", EndFoundBy::as_str);
        self.assert(found == Some(expected), "end of utterance by", expected.as_str(), told)
    }
}

/// An answer as the caller heard it.
///
/// ```
/// # use dialbridge_core::{kit::Recording, tape::Tape};
/// # let call = Tape::build()
/// #     .agent_greets("Yes?", Recording::ms(2_000))
/// #     .caller_says(Recording::ms(900))
/// #     .barge_in_at_ms(500)
/// #     .agent_hears("two loaves")
/// #     .agent_answers("Two loaves. Good bye.", Recording::ms(1_000))
/// #     .with_intent("order.bread")
/// #     .ends_interaction()
/// #     .play();
/// let greeting = call.turn(1).prompt();
/// assert!(greeting.was_cut_at().is_some_and(|ms| (500..2_000).contains(&ms)));
/// call.turn(2).prompt().assert_not_cut();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PlayedPrompt<'a> {
    turn: PlayedTurn<'a>,
    began: CallTime,
    cut_ms: Option<u64>,
}

impl PlayedPrompt<'_> {
    /// When the caller began to hear it.
    #[must_use]
    pub fn began(&self) -> CallTime {
        self.began
    }

    /// How much of it the caller had heard when it was cut, in milliseconds. `None`: it was played to its end.
    #[must_use]
    pub fn was_cut_at(&self) -> Option<u64> {
        self.cut_ms
    }

    /// Checks how much of it the caller had heard when it was cut, in milliseconds.
    ///
    /// # Panics
    /// If that is outside the range, or it was played to its end.
    #[track_caller]
    pub fn assert_cut_at_ms(self, expected: impl RangeBounds<u64> + fmt::Debug) -> Self {
        let holds = self.cut_ms.is_some_and(|ms| expected.contains(&ms));
        self.assert(holds, format_args!("{expected:?} ms"));
        self
    }

    /// Checks that it was played to its end.
    ///
    /// # Panics
    /// If it was cut.
    #[track_caller]
    pub fn assert_not_cut(self) -> Self {
        self.assert(self.cut_ms.is_none(), "never");
        self
    }

    #[track_caller]
    fn assert(&self, holds: bool, expected: impl fmt::Display) {
        let place = Place::new(self.turn.call, self.began + self.cut_ms.unwrap_or_default());
        let what = format_args!("{}, prompt cut at", self.turn.name());
        place.assert(holds, what, expected, in_ms(self.cut_ms, "never"));
    }
}
