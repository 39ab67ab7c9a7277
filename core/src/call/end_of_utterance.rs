//! When an utterance is over, for an agent that takes one in a stream (ES, CX).
//!
//! Whoever knows it first says so: the agent's recogniser, a final transcript that no other one follows, we by the
//! caller's silence and his words ([`EndOfUtterance`]), or the answer itself. Without words we end nothing: then the
//! agent says that nobody spoke.
//!
//! Silence counts in the caller's audio and in time, whichever is less: late frames are no silence, and frames that
//! come all at once give the recogniser no time.

use crate::agent::{Answer, Matched, SpeechRules, TurnInput};
use crate::audio::voice::VoiceDetector;
use crate::audio::{BYTES_PER_MS, FRAME_MS, Position};
use crate::call::Call;
use crate::call::caller::Caller;
use crate::call::streams::Heard;
use crate::call::utterance::END_TOLERANCE;
use crate::config::EndOfUtterance;
use crate::ids::TurnId;
use crate::report::EndFoundBy;
use crate::time::CallTime;
use crate::words::unfinished::is_unfinished;

/// The silence after which `quick` ends an utterance whose words are known, in milliseconds.
const QUICK_MS: u64 = 400;

/// The same, if the words end no thought.
const UNFINISHED_MS: u64 = 1_200;

/// How much later than usual a transcript may come, in milliseconds.
const LAG_MARGIN_MS: u64 = 60;

/// How late a transcript comes before we know it of this call, in milliseconds.
const FIRST_LAG_MS: u64 = 300;

/// The longest lag that we count with, in milliseconds.
const MAX_LAG_MS: u64 = 1_500;

/// The silence after which known words are an utterance, if the agent's recogniser should say so and does not, in
/// milliseconds.
const AGENT_SILENCE_MS: u64 = 5_000;

/// How much longer than the agent's own rule we wait for it, in milliseconds.
const AGENT_MARGIN_MS: u64 = 2_000;

/// The longest time without new words or digits before those that came are an utterance, in milliseconds. A noise may
/// sound like a voice.
const MAX_UNCHANGED_MS: u64 = 8_000;

/// How long the caller may say nothing if nothing else says so, in milliseconds.
const NO_SPEECH_MS: u64 = 8_000;

/// What a call knows for the end of its utterances.
#[derive(Debug)]
pub(super) struct EndRules {
    /// The rule of the settings.
    setting: EndOfUtterance,
    /// What an answer of the agent asked for.
    by_page: Option<EndOfUtterance>,
    /// The agent's own rules, as its last answer has them.
    agent: SpeechRules,
    /// Where the caller's voice ended, and when that frame came.
    voice_end: Position,
    voice_at: CallTime,
    /// How late a transcript comes, in milliseconds.
    lag_ms: u64,
}

impl EndRules {
    /// `setting`: the rule of the settings.
    pub(super) fn new(setting: EndOfUtterance) -> Self {
        let (by_page, agent, voice_end, voice_at) = (None, SpeechRules::default(), 0, CallTime::START);
        Self { setting, by_page, agent, voice_end, voice_at, lag_ms: FIRST_LAG_MS }
    }

    /// The agent's answer asks for another rule.
    pub(super) fn set_by_page(&mut self, rule: EndOfUtterance) {
        self.by_page = Some(rule);
    }

    /// The agent's answer has these rules of its own.
    pub(super) fn set_agent(&mut self, rules: Option<SpeechRules>) {
        self.agent = rules.unwrap_or_default();
    }

    /// The rule for utterances that begin now. An agent that asks for a certain silence is not ended before it.
    pub(super) fn rule(&self) -> EndOfUtterance {
        let by_agent = self.agent.end_ms.filter(|_| self.setting == EndOfUtterance::Quick).map(EndOfUtterance::After);
        self.by_page.or(by_agent).unwrap_or(self.setting)
    }

    /// How long the caller may say nothing, in milliseconds, before that is no-input. `after_ms`: by the settings.
    pub(super) fn no_speech_ms(&self, after_ms: u64) -> u64 {
        let setting_ms = Some(after_ms).filter(|ms| *ms > 0);
        self.agent.no_speech_ms.or(setting_ms).unwrap_or(NO_SPEECH_MS)
    }

    /// The frame that begins at `position` was heard.
    pub(super) fn note_voice(&mut self, voice: &VoiceDetector, position: Position, now: CallTime) {
        let Some(end) = voice.end_since(0) else { return };
        if end > position {
            self.voice_at = now;
        } else {
            // What was taken for the end of a word was noise.
            let back_ms = self.voice_end.saturating_sub(end) / BYTES_PER_MS as u64;
            self.voice_at = self.voice_at - back_ms;
        }
        self.voice_end = end;
    }

    /// A transcript was added to the utterance: measures how late it came. Without the recogniser's own times, that is
    /// how long after the voice new words come. Audio that waited for its stream tells nothing.
    pub(super) fn note_transcript(&mut self, heard: &Heard, caller: &Caller, now: CallTime) {
        let said = &heard.utterance;
        let spoken_at = match said.end() {
            Some(end) => (end > heard.live_from).then(|| caller.time_of(end, now)),
            None if said.is_final() || now.ms_since(self.voice_at) < 2 * FRAME_MS => None,
            None => Some(self.voice_at).filter(|at| *at > heard.opened_at),
        };
        if let Some(at) = spoken_at.filter(|_| said.changed_at() == now) {
            self.note_lag(now.ms_since(at));
        }
    }

    /// A transcript came that much after the speech that it ends with. The lag follows later ones at once and sooner
    /// ones slowly.
    fn note_lag(&mut self, ms: u64) {
        let ms = ms.min(MAX_LAG_MS);
        self.lag_ms = if ms > self.lag_ms { ms } else { (self.lag_ms * 7 + ms) / 8 };
    }

    /// What is known of an utterance that is not empty.
    fn known(&self, heard: &Heard, caller: &Caller, language: &str, now: CallTime) -> Known {
        let said = &heard.utterance;
        let unchanged_ms = now.ms_since(said.changed_at());
        let silence_ms = self.silence_after(heard, caller, now).unwrap_or(unchanged_ms);
        // The words are looked at only when it matters, because this runs for each frame.
        let ends_no_thought = || is_unfinished(language, said.text());
        Known {
            silence_ms,
            hidden_ms: caller.voice.hidden_ms(),
            unchanged_ms,
            is_final: said.is_final(),
            is_covered: self.is_covered(heard, caller, silence_ms),
            is_unfinished: silence_ms >= QUICK_MS && self.rule() == EndOfUtterance::Quick && ends_no_thought(),
        }
    }

    /// How long the caller has been silent since he spoke in this turn, in milliseconds. `None` if his voice is too
    /// soft for the detector.
    fn silence_after(&self, heard: &Heard, caller: &Caller, now: CallTime) -> Option<u64> {
        let end = caller.voice.end_since(heard.began)?;
        let heard_ms = caller.audio.received().saturating_sub(end.max(heard.live_from)) / BYTES_PER_MS as u64;
        Some(heard_ms.min(now.ms_since(self.voice_at.max(heard.opened_at))))
    }

    /// Whether the transcripts so far have the end of the speech in them: by the recogniser's own times, or because
    /// nothing new has come for as long as the recogniser takes.
    fn is_covered(&self, heard: &Heard, caller: &Caller, silence_ms: u64) -> bool {
        let voice_end = caller.voice.end_since(heard.began).unwrap_or_default();
        let by_times = heard.utterance.end().is_some_and(|end| end + END_TOLERANCE >= voice_end);
        let came_after = heard.utterance.changed_at() >= self.voice_at + self.lag_ms;
        by_times || came_after || silence_ms >= self.lag_ms + LAG_MARGIN_MS
    }
}

/// What is known of an utterance.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The caller's silence, in milliseconds.
    silence_ms: u64,
    /// How much of it may be his voice that the noise hides, in milliseconds.
    hidden_ms: u64,
    /// How long the text has been the same, in milliseconds.
    unchanged_ms: u64,
    /// Whether all of the text is final.
    is_final: bool,
    /// Whether the text has the end of the speech in it.
    is_covered: bool,
    /// Whether the text ends no thought.
    is_unfinished: bool,
}

impl Known {
    /// Whether an utterance is over, by this rule. `settle_ms` is the time for another final transcript.
    fn end(self, rule: EndOfUtterance, settle_ms: u64, agent_ms: Option<u64>) -> Option<EndFoundBy> {
        let settled_ms = self.silence_ms.min(self.unchanged_ms);
        let quick_ms = if self.is_unfinished { UNFINISHED_MS } else { QUICK_MS };
        let agent_ms = agent_ms.map_or(0, |ms| ms.saturating_add(AGENT_MARGIN_MS)).max(AGENT_SILENCE_MS);
        match rule {
            EndOfUtterance::Quick if self.is_covered && self.silence_ms >= quick_ms + self.hidden_ms => {
                Some(EndFoundBy::Quick)
            }
            EndOfUtterance::After(ms) if self.is_covered && self.silence_ms >= ms => Some(EndFoundBy::Silence),
            EndOfUtterance::After(ms) => {
                (self.unchanged_ms >= ms.saturating_add(MAX_UNCHANGED_MS)).then_some(EndFoundBy::Silence)
            }
            EndOfUtterance::Agent | EndOfUtterance::Quick if self.is_final && settled_ms >= settle_ms => {
                Some(EndFoundBy::Final)
            }
            EndOfUtterance::Agent | EndOfUtterance::Quick => {
                let is_long = settled_ms >= agent_ms || self.unchanged_ms >= agent_ms.max(MAX_UNCHANGED_MS);
                is_long.then_some(EndFoundBy::Silence)
            }
        }
    }
}

impl Call {
    /// Runs after each frame. Half-closes the stream if the utterance is over.
    pub(super) fn check_end_of_utterance(&mut self) {
        let Some(found_by) = self.streams.utterance().and_then(|heard| self.end_found(heard)) else { return };
        match self.streams.open().filter(|open| {
            found_by != EndFoundBy::Digits && self.guard.says_nothing(open.turn, &self.playback, self.now)
        }) {
            Some(open) => self.replace_unspoken(open.turn, found_by),
            None => self.end_utterance(found_by),
        }
    }

    fn end_found(&self, heard: &Heard) -> Option<EndFoundBy> {
        // A caller who types may go on to speak, and digits that are complete wait for the end of what he says.
        let goes_on = self.caller.voice.is_speaking() && self.silence.ms(self.now) < MAX_UNCHANGED_MS;
        if !self.inputs.is_empty() && !goes_on {
            return Some(EndFoundBy::Digits);
        }
        // He may just go on: that a sound is a voice is known a tenth of a second after it began.
        if heard.utterance.is_empty() || !self.digits.is_empty() || self.caller.voice.may_begin() {
            return None;
        }
        let known = self.end_rules.known(heard, &self.caller, &self.config.words.language, self.now);
        known.end(self.end_rules.rule(), self.config.timeouts.final_settle_ms, self.end_rules.agent.end_ms)
    }

    /// An agent may not understand an utterance that we ended before its recogniser was done: it answers that nobody
    /// spoke, or that it did not understand. Then it gets the words as a text, once. Returns whether it does.
    pub(super) fn ask_misheard(&mut self, turn: TurnId, answer: &Answer) -> bool {
        let is_misheard = answer.query_text.is_empty() && answer.matched != Matched::Yes;
        let Some(words) = self.streams.words_of_early_end().filter(|_| is_misheard) else { return false };
        if !self.may_ask_again() {
            return false;
        }
        self.on_unanswered(turn);
        self.cancel_turn();
        self.inputs.add_first(TurnInput::Text(words));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known =
        Known { silence_ms: 0, hidden_ms: 0, unchanged_ms: 0, is_final: false, is_covered: true, is_unfinished: false };

    fn end(rule: EndOfUtterance, known: Known) -> Option<EndFoundBy> {
        known.end(rule, 1_000, None)
    }

    #[test]
    fn without_the_agent_s_word_a_final_transcript_settles_the_utterance() {
        let known = Known { silence_ms: 1_000, unchanged_ms: 999, is_final: true, ..KNOWN };
        assert_eq!(end(EndOfUtterance::Agent, known), None);
        assert_eq!(end(EndOfUtterance::Agent, Known { unchanged_ms: 1_000, ..known }), Some(EndFoundBy::Final));
        assert_eq!(end(EndOfUtterance::Agent, Known { unchanged_ms: 1_000, silence_ms: 20, ..known }), None);
    }

    #[test]
    fn interim_words_are_an_utterance_after_a_long_silence_and_in_noise_that_brings_no_more() {
        let known = Known { silence_ms: 5_000, unchanged_ms: 5_000, ..KNOWN };
        assert_eq!(end(EndOfUtterance::Agent, known), Some(EndFoundBy::Silence));
        assert_eq!(end(EndOfUtterance::Agent, Known { silence_ms: 4_999, ..known }), None);
        let noise = Known { unchanged_ms: 8_000, ..KNOWN };
        for rule in [EndOfUtterance::Agent, EndOfUtterance::Quick] {
            assert_eq!(end(rule, noise), Some(EndFoundBy::Silence), "{rule:?}");
        }
        for asked_ms in [4_000, u64::MAX] {
            assert_eq!(
                known.end(EndOfUtterance::Agent, 1_000, Some(asked_ms)),
                None,
                "the agent asks for {asked_ms} ms"
            );
            assert_eq!(end(EndOfUtterance::After(asked_ms), noise), None);
        }
    }

    #[test]
    fn quick_waits_for_the_words_and_longer_for_a_thought() {
        let silent = |silence_ms| Known { silence_ms, ..KNOWN };
        assert_eq!(end(EndOfUtterance::Quick, silent(QUICK_MS)), Some(EndFoundBy::Quick));
        assert_eq!(end(EndOfUtterance::Quick, silent(QUICK_MS - 20)), None);
        assert_eq!(end(EndOfUtterance::Quick, Known { is_covered: false, ..silent(QUICK_MS) }), None);
        assert_eq!(end(EndOfUtterance::Quick, Known { hidden_ms: 40, ..silent(QUICK_MS + 20) }), None);
        assert_eq!(
            end(EndOfUtterance::Quick, Known { hidden_ms: 40, ..silent(QUICK_MS + 40) }),
            Some(EndFoundBy::Quick)
        );
        assert_eq!(end(EndOfUtterance::Quick, Known { is_unfinished: true, ..silent(QUICK_MS) }), None);
        assert_eq!(
            end(EndOfUtterance::Quick, Known { is_unfinished: true, ..silent(UNFINISHED_MS) }),
            Some(EndFoundBy::Quick)
        );
    }

    #[test]
    fn a_duration_waits_for_that_silence_whatever_the_transcripts_are() {
        let known = Known { silence_ms: 2_480, unchanged_ms: 2_480, is_final: true, ..KNOWN };
        assert_eq!(end(EndOfUtterance::After(2_500), known), None);
        assert_eq!(end(EndOfUtterance::After(2_500), Known { silence_ms: 2_500, ..known }), Some(EndFoundBy::Silence));
        assert_eq!(
            end(EndOfUtterance::After(2_500), Known { silence_ms: 0, hidden_ms: 0, unchanged_ms: 10_500, ..known }),
            Some(EndFoundBy::Silence)
        );
    }

    #[test]
    fn the_lag_follows_a_late_transcript_at_once_and_is_bounded() {
        let mut rules = EndRules::new(EndOfUtterance::Quick);
        rules.note_lag(900);
        assert_eq!(rules.lag_ms, 900);
        rules.note_lag(100);
        assert_eq!(rules.lag_ms, 800);
        rules.note_lag(1_000_000);
        assert_eq!(rules.lag_ms, MAX_LAG_MS);
    }

    #[test]
    fn an_agent_that_asks_for_a_silence_gets_it_unless_the_page_says_otherwise() {
        let asks = Some(SpeechRules { end_ms: Some(3_000), no_speech_ms: None });
        let mut quick = EndRules::new(EndOfUtterance::Quick);
        quick.set_agent(asks);
        assert_eq!(quick.rule(), EndOfUtterance::After(3_000));
        let mut by_agent = EndRules::new(EndOfUtterance::Agent);
        by_agent.set_agent(asks);
        assert_eq!(by_agent.rule(), EndOfUtterance::Agent);
        by_agent.set_by_page(EndOfUtterance::Quick);
        assert_eq!(by_agent.rule(), EndOfUtterance::Quick);
    }
}
