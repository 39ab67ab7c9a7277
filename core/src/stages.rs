//! How the time of a turn divides into stages, and which stage took too long.
//!
//! ```text
//! the caller falls silent ──waiting──▶ the stream opens ──recogniser──▶ the text is there ──agent──▶ the answer comes
//!     ──first audio──▶ it goes to Twilio ──playout──▶ the caller hears it
//! ```

use crate::report::Stages;
use crate::time::CallTime;

/// A stage of a turn, with one party responsible for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TurnStage {
    /// The caller's speech waited for a stream, because the turn before was not over or was being retried.
    Waiting,
    /// From the end of the speech to the end of the utterance and its last transcript.
    Recogniser,
    /// From there to the first part of the answer: the agent, its webhook, its speech synthesis.
    Agent,
    /// From there to the first audio that goes to Twilio. The audio came later than the answer, or had to be fetched.
    FirstAudio,
    /// From there until the caller hears it: Twilio and the network, or an older answer that still plays.
    Playout,
}

impl TurnStage {
    /// All stages, in the order in which they happen.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Recogniser, Self::Agent, Self::FirstAudio, Self::Playout];

    /// A word for logs, metrics and spans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Recogniser => "recogniser",
            Self::Agent => "agent",
            Self::FirstAudio => "first-audio",
            Self::Playout => "playout",
        }
    }
}

/// The time between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The earlier one.
    pub from: CallTime,
    /// The later one.
    pub to: CallTime,
}

impl Interval {
    /// Its length in milliseconds.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.to.ms_since(self.from)
    }
}

impl Stages {
    /// When the caller begins to wait: at the end of his speech if we heard it end, else at the end of the input.
    #[must_use]
    pub fn caller_waits_from(&self) -> CallTime {
        self.speech_ended.or(self.input_complete).unwrap_or(self.opened)
    }

    /// From [`Stages::caller_waits_from`] until the caller begins to hear the answer. `None` if he heard none.
    #[must_use]
    pub fn whole(&self) -> Option<Interval> {
        let from = self.caller_waits_from();
        self.first_audio_played.map(|to| Interval { from, to: to.max(from) })
    }

    /// Whether the caller spoke. In any other turn he does not wait for an answer to his words.
    #[must_use]
    pub fn is_spoken(&self) -> bool {
        self.input == "audio" && (self.speech_ended.is_some() || self.final_transcript.is_some())
    }

    /// The interval of a stage. `None` if the stage did not finish. Stages follow each other without a gap. If the
    /// input is not audio, there is no waiting and no recogniser stage.
    #[must_use]
    pub fn interval(&self, stage: TurnStage) -> Option<Interval> {
        let waits_from = self.caller_waits_from();
        let listens_from = waits_from.max(self.opened);
        let understood = self.understood().map(|at| at.max(listens_from));
        let answered = self.answered.map(|at| at.max(understood.unwrap_or(listens_from)));
        let sent = self.first_audio_sent.map(|at| at.max(answered.unwrap_or(listens_from)));
        let (from, to) = match stage {
            TurnStage::Waiting | TurnStage::Recogniser if self.input != "audio" => return None,
            TurnStage::Waiting => (Some(waits_from), Some(listens_from)),
            TurnStage::Recogniser => (Some(listens_from), understood),
            TurnStage::Agent => (understood.or(Some(listens_from)), answered),
            TurnStage::FirstAudio => (answered, sent),
            TurnStage::Playout => (sent, self.first_audio_played),
        };
        let (from, to) = (from?, to?);
        Some(Interval { from, to: to.max(from) })
    }

    /// When the recogniser was done: at the end of the utterance, or with the last transcript if that came later. A
    /// transcript that comes together with the answer does not count, because it does not tell what the wait was for.
    fn understood(&self) -> Option<CallTime> {
        let transcript = self.final_transcript.filter(|at| self.answered.is_none_or(|answered| *at < answered));
        self.input_complete.max(transcript)
    }
}

/// How long a turn and its stages may take, each in milliseconds. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageLimits {
    /// From the end of the caller's speech to the beginning of the answer.
    pub whole_ms: Option<u64>,
    /// [`TurnStage::Waiting`].
    pub waiting_ms: Option<u64>,
    /// [`TurnStage::Recogniser`].
    pub recogniser_ms: Option<u64>,
    /// [`TurnStage::Agent`].
    pub agent_ms: Option<u64>,
    /// [`TurnStage::FirstAudio`].
    pub first_audio_ms: Option<u64>,
    /// [`TurnStage::Playout`].
    pub playout_ms: Option<u64>,
}

impl Default for StageLimits {
    /// What a caller tolerates: three seconds in all. Google's recogniser ends an utterance half a second to a second
    /// after the last word. An agent with a webhook takes a second or more.
    fn default() -> Self {
        Self {
            whole_ms: Some(3_000),
            waiting_ms: Some(1_000),
            recogniser_ms: Some(1_500),
            agent_ms: Some(2_000),
            first_audio_ms: Some(500),
            playout_ms: Some(500),
        }
    }
}

/// The slow stage of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowStage {
    /// Which one.
    pub stage: TurnStage,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl StageLimits {
    /// No limits: no turn is slow.
    pub const NONE: Self = Self {
        whole_ms: None,
        waiting_ms: None,
        recogniser_ms: None,
        agent_ms: None,
        first_audio_ms: None,
        playout_ms: None,
    };

    /// The limit of a stage, in milliseconds.
    #[must_use]
    pub fn of(&self, stage: TurnStage) -> Option<u64> {
        match stage {
            TurnStage::Waiting => self.waiting_ms,
            TurnStage::Recogniser => self.recogniser_ms,
            TurnStage::Agent => self.agent_ms,
            TurnStage::FirstAudio => self.first_audio_ms,
            TurnStage::Playout => self.playout_ms,
        }
    }

    /// Sets the limit of a stage, in milliseconds.
    pub fn set(&mut self, stage: TurnStage, ms: Option<u64>) {
        let limit = match stage {
            TurnStage::Waiting => &mut self.waiting_ms,
            TurnStage::Recogniser => &mut self.recogniser_ms,
            TurnStage::Agent => &mut self.agent_ms,
            TurnStage::FirstAudio => &mut self.first_audio_ms,
            TurnStage::Playout => &mut self.playout_ms,
        };
        *limit = ms;
    }

    /// The slow stage of a turn. `None` if the turn was not slow. A turn is slow if a stage is over its limit, or if
    /// all stages together are over theirs. The slow stage is the one that is furthest over its own limit. If none is
    /// over, it is the one nearest to its limit. Of two equal ones, the earlier counts.
    #[must_use]
    pub fn slow_stage(&self, stages: &Stages) -> Option<SlowStage> {
        let beyond = |ms: u64, limit: u64| i128::from(ms) - i128::from(limit);
        let is_too_long = self.whole_ms.is_some_and(|limit| stages.whole().is_some_and(|whole| whole.ms() > limit));
        let all = TurnStage::ALL.into_iter().filter_map(|stage| {
            let took_ms = stages.interval(stage)?.ms();
            // A stage without a limit of its own can only be the slow stage of a turn that is too long as a whole.
            let excess = beyond(took_ms, self.of(stage).or(self.whole_ms)?);
            let is_over = excess > 0 && self.of(stage).is_some();
            (is_over || is_too_long).then_some((excess, SlowStage { stage, took_ms }))
        });
        // The first of the largest.
        all.reduce(|most, next| if next.0 > most.0 { next } else { most }).map(|(_, slow)| slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TurnId;

    fn at(ms: u64) -> Option<CallTime> {
        Some(CallTime::from_ms(ms))
    }

    /// A caller who stops speaking at 2 s: transcript 700 ms later, answer after 250 ms more, heard after 60 ms more.
    fn usual() -> Stages {
        Stages {
            turn: TurnId(2),
            input: "audio",
            opened: CallTime::from_ms(500),
            speech_began: at(1_000),
            speech_ended: at(2_000),
            input_complete: at(2_700),
            final_transcript: at(2_690),
            answered: at(2_950),
            first_audio_sent: at(2_950),
            first_audio_played: at(3_010),
        }
    }

    fn times(stages: &Stages) -> [Option<u64>; 5] {
        TurnStage::ALL.map(|stage| stages.interval(stage).map(Interval::ms))
    }

    fn slow_stage(stages: &Stages) -> Option<(&'static str, u64)> {
        StageLimits::default().slow_stage(stages).map(|slow| (slow.stage.as_str(), slow.took_ms))
    }

    #[test]
    fn the_stages_together_are_the_whole_wait() {
        let stages = usual();
        assert_eq!(times(&stages), [Some(0), Some(700), Some(250), Some(0), Some(60)]);
        assert_eq!(stages.whole().map(Interval::ms), Some(1_010));
        assert_eq!(slow_stage(&stages), None);
    }

    #[test]
    fn a_transcript_after_the_end_of_the_utterance_is_the_recognisers_and_one_with_the_answer_nobodys() {
        let late = Stages { final_transcript: at(2_900), ..usual() };
        assert_eq!(times(&late)[1..3], [Some(900), Some(50)]);
        let with_answer = Stages { final_transcript: at(2_950), ..usual() };
        assert_eq!(times(&with_answer)[1..3], [Some(700), Some(250)]);
    }

    #[test]
    fn words_that_waited_for_their_stream_are_not_the_recognisers_fault() {
        let stages = Stages { opened: CallTime::from_ms(4_000), input_complete: at(4_100), ..usual() };
        let stages =
            Stages { answered: at(4_300), first_audio_sent: at(4_300), first_audio_played: at(4_350), ..stages };
        assert_eq!(times(&stages), [Some(2_000), Some(100), Some(200), Some(0), Some(50)]);
        assert_eq!(slow_stage(&stages), Some(("waiting", 2_000)));
    }

    #[test]
    fn each_stage_that_passes_its_limit_is_named() {
        let recogniser = Stages { input_complete: at(3_600), final_transcript: at(3_600), ..usual() };
        assert_eq!(slow_stage(&Stages { answered: at(3_700), ..recogniser }), Some(("recogniser", 1_600)));
        let agent =
            Stages { answered: at(4_800), first_audio_sent: at(4_800), first_audio_played: at(4_850), ..usual() };
        assert_eq!(slow_stage(&agent), Some(("agent", 2_100)));
        let audio = Stages { first_audio_sent: at(3_500), first_audio_played: at(3_510), ..usual() };
        assert_eq!(slow_stage(&audio), Some(("first-audio", 550)));
        assert_eq!(slow_stage(&Stages { first_audio_played: at(3_900), ..usual() }), Some(("playout", 950)));
    }

    #[test]
    fn of_several_the_one_that_is_furthest_beyond_its_limit_is_the_slow_stage() {
        let stages = Stages { input_complete: at(3_600), final_transcript: None, answered: at(6_000), ..usual() };
        let stages = Stages { first_audio_sent: at(6_000), first_audio_played: at(6_600), ..stages };
        // Over the limits by 100 ms, 400 ms and 100 ms.
        assert_eq!(slow_stage(&stages), Some(("agent", 2_400)));
    }

    #[test]
    fn a_turn_that_is_too_long_as_a_whole_names_the_stage_that_is_nearest_to_its_limit() {
        let stages = Stages { input_complete: at(3_400), answered: at(5_200), ..usual() };
        let stages = Stages { first_audio_sent: at(5_200), first_audio_played: at(5_300), ..stages };
        assert_eq!(times(&stages), [Some(0), Some(1_400), Some(1_800), Some(0), Some(100)]);
        assert_eq!(slow_stage(&stages), Some(("recogniser", 1_400)), "100 ms from its limit, the agent 200 ms");
        let limits = StageLimits { whole_ms: Some(3_300), ..StageLimits::default() };
        assert_eq!(limits.slow_stage(&stages), None);
        let only_whole = StageLimits { whole_ms: Some(3_000), ..StageLimits::NONE };
        assert_eq!(only_whole.slow_stage(&stages), Some(SlowStage { stage: TurnStage::Agent, took_ms: 1_800 }));
    }

    #[test]
    fn without_limits_no_turn_is_slow() {
        assert_eq!(StageLimits::NONE.slow_stage(&Stages { first_audio_played: at(u64::MAX), ..usual() }), None);
        let mut limits = StageLimits::default();
        for stage in TurnStage::ALL {
            limits.set(stage, None);
            assert_eq!(limits.of(stage), None);
        }
    }

    #[test]
    fn an_input_that_is_no_audio_waits_from_its_beginning() {
        let stages = Stages {
            input: "event",
            speech_began: None,
            speech_ended: None,
            input_complete: at(500),
            final_transcript: None,
            ..usual()
        };
        assert_eq!(times(&stages), [None, None, Some(2_450), Some(0), Some(60)]);
        assert_eq!(slow_stage(&stages), Some(("agent", 2_450)));
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let stages = Stages { answered: None, first_audio_sent: None, first_audio_played: None, ..usual() };
        assert_eq!(times(&stages), [Some(0), Some(700), None, None, None]);
        assert_eq!(stages.whole(), None);
        // Cut before the caller heard it, in a stage that had already taken too long.
        let cut = Stages { answered: at(5_000), first_audio_sent: at(5_000), first_audio_played: None, ..usual() };
        assert_eq!(slow_stage(&cut), Some(("agent", 2_300)));
    }

    #[test]
    fn moments_out_of_order_make_no_negative_times() {
        let stages = Stages { first_audio_played: at(0), answered: at(10), speech_ended: at(9_000), ..usual() };
        assert!(times(&stages).iter().flatten().all(|ms| *ms < 9_000), "{stages:?}");
        assert_eq!(stages.whole().map(Interval::ms), Some(0));
    }
}
