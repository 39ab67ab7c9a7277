//! Records the times of each turn's stages. Reports them when the caller begins to hear the answer, or when he will not
//! hear it.

use std::collections::VecDeque;

use crate::call::playback::FirstWord;
use crate::ids::TurnId;
use crate::report::Stages;
use crate::time::CallTime;

/// How many answered turns may wait to be heard. Two answers can be queued at Twilio; more than a few never are.
const MAX_AWAITING_TURNS: usize = 4;

/// The open turn, and the turns whose answers are not heard yet.
#[derive(Debug, Default)]
pub(super) struct StageRecorder {
    open: Option<Stages>,
    awaiting: VecDeque<Stages>,
}

impl StageRecorder {
    pub(super) fn opened(&mut self, turn: TurnId, input: &'static str, now: CallTime) {
        self.open = Some(Stages {
            turn,
            input,
            opened: now,
            speech_began: None,
            speech_ended: None,
            input_complete: None,
            final_transcript: None,
            answered: None,
            first_audio_sent: None,
            first_audio_played: None,
        });
    }

    pub(super) fn speech_began(&mut self, at: CallTime) {
        self.mark(|stages| &mut stages.speech_began, at);
    }

    /// Where the voice ends, as far as we know. It moves on until the input is complete. Later speech belongs to the
    /// next turn.
    pub(super) fn speech_ended(&mut self, at: CallTime) {
        if let Some(open) = &mut self.open
            && open.input_complete.is_none_or(|complete| open.speech_ended.is_none() && at <= complete)
        {
            open.speech_ended = Some(at);
        }
    }

    pub(super) fn input_complete(&mut self, at: CallTime) {
        self.mark(|stages| &mut stages.input_complete, at);
    }

    /// The last one counts, because an utterance may have several.
    pub(super) fn final_transcript(&mut self, at: CallTime) {
        if let Some(open) = &mut self.open {
            open.final_transcript = Some(at);
        }
    }

    pub(super) fn answered(&mut self, at: CallTime) {
        self.mark(|stages| &mut stages.answered, at);
    }

    pub(super) fn audio_sent(&mut self, turn: TurnId, at: CallTime) {
        let of_turn = self.awaiting.iter_mut().chain(&mut self.open).find(|stages| stages.turn == turn);
        if let Some(stages) = of_turn {
            stages.first_audio_sent.get_or_insert(at);
        }
    }

    /// The open turn is cancelled and not reported.
    pub(super) fn discard_open(&mut self) {
        self.open = None;
    }

    /// The open turn is complete. Returns what to report: this turn, if nothing of it is still to be heard, or
    /// an older one that has waited too long.
    pub(super) fn completed(&mut self, waits: impl Fn(TurnId) -> bool) -> Option<Stages> {
        let open = self.open.take()?;
        let is_silent = open.first_audio_sent.is_none() && !waits(open.turn);
        if is_silent || open.first_audio_played.is_some() {
            return Some(open);
        }
        self.awaiting.push_back(open);
        if self.awaiting.len() > MAX_AWAITING_TURNS { self.awaiting.pop_front() } else { None }
    }

    /// The caller began to hear a turn's answer. Returns what to report.
    pub(super) fn played(&mut self, FirstWord { turn, heard_at: at }: FirstWord) -> Option<Stages> {
        if let Some(open) = self.open.as_mut().filter(|open| open.turn == turn) {
            open.first_audio_played.get_or_insert(at);
            return None;
        }
        let place = self.awaiting.iter().position(|stages| stages.turn == turn)?;
        let mut stages = self.awaiting.remove(place)?;
        stages.first_audio_played = Some(at);
        Some(stages)
    }

    /// Takes a turn out whose audio will not come: nothing of it was sent and nothing waits.
    pub(super) fn take_unplayed(&mut self, waits: impl Fn(TurnId) -> bool) -> Option<Stages> {
        let place = self.awaiting.iter().position(|stages| stages.first_audio_sent.is_none() && !waits(stages.turn))?;
        self.awaiting.remove(place)
    }

    /// Takes out the turns whose answers were not heard, oldest first. The caller will not hear them any more.
    pub(super) fn take_awaiting(&mut self) -> impl Iterator<Item = Stages> {
        self.awaiting.drain(..)
    }

    fn mark(&mut self, stage: impl FnOnce(&mut Stages) -> &mut Option<CallTime>, at: CallTime) {
        if let Some(open) = &mut self.open {
            stage(open).get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> CallTime {
        CallTime::from_ms(ms)
    }

    #[test]
    fn a_turn_is_told_when_its_answer_is_heard() {
        let mut recorder = StageRecorder::default();
        recorder.opened(TurnId(1), "audio", ms(0));
        recorder.speech_began(ms(100));
        recorder.speech_began(ms(200));
        recorder.answered(ms(900));
        recorder.audio_sent(TurnId(1), ms(901));
        assert_eq!(recorder.completed(|_| false), None);
        assert_eq!(recorder.played(FirstWord { turn: TurnId(2), heard_at: ms(950) }), None);
        let told = recorder.played(FirstWord { turn: TurnId(1), heard_at: ms(950) }).unwrap();
        assert_eq!((told.speech_began, told.first_audio_played), (Some(ms(100)), Some(ms(950))));
        assert_eq!(recorder.played(FirstWord { turn: TurnId(1), heard_at: ms(960) }), None, "once");
    }

    #[test]
    fn the_end_of_the_speech_moves_on_until_the_input_is_complete() {
        let mut recorder = StageRecorder::default();
        recorder.opened(TurnId(1), "audio", ms(0));
        for at in [500, 900] {
            recorder.speech_ended(ms(at));
        }
        recorder.input_complete(ms(1_500));
        recorder.speech_ended(ms(1_400));
        assert_eq!(recorder.completed(|_| false).unwrap().speech_ended, Some(ms(900)));
        recorder.opened(TurnId(2), "audio", ms(2_000));
        recorder.input_complete(ms(3_000));
        recorder.speech_ended(ms(3_100));
        recorder.speech_ended(ms(2_500));
        assert_eq!(
            recorder.completed(|_| false).unwrap().speech_ended,
            Some(ms(2_500)),
            "told by a transcript that came late"
        );
    }

    #[test]
    fn a_turn_without_audio_is_reported_at_once_and_one_that_was_given_up_never() {
        let mut recorder = StageRecorder::default();
        recorder.opened(TurnId(1), "audio", ms(0));
        recorder.discard_open();
        assert_eq!(recorder.completed(|_| false), None);
        recorder.opened(TurnId(2), "event", ms(0));
        assert_eq!(recorder.completed(|_| false).unwrap().turn, TurnId(2));
    }

    #[test]
    fn a_turn_whose_audio_has_to_be_fetched_is_reported_when_that_is_heard_or_will_not_be() {
        let mut recorder = StageRecorder::default();
        for turn in [1, 2] {
            recorder.opened(TurnId(turn), "audio", ms(0));
            assert_eq!(recorder.completed(|_| true), None);
        }
        assert_eq!(recorder.take_unplayed(|_| true), None);
        recorder.audio_sent(TurnId(1), ms(500));
        assert_eq!(recorder.take_unplayed(|_| false).unwrap().turn, TurnId(2));
        assert_eq!(
            recorder.played(FirstWord { turn: TurnId(1), heard_at: ms(510) }).unwrap().first_audio_sent,
            Some(ms(500))
        );
    }

    #[test]
    fn answers_that_nobody_hears_do_not_pile_up() {
        let mut recorder = StageRecorder::default();
        let told: Vec<_> = (1..=6)
            .filter_map(|turn| {
                recorder.opened(TurnId(turn), "audio", ms(0));
                recorder.audio_sent(TurnId(turn), ms(1));
                recorder.completed(|_| false)
            })
            .map(|stages| stages.turn)
            .collect();
        assert_eq!(told, [TurnId(1), TurnId(2)]);
        assert_eq!(recorder.take_awaiting().count(), MAX_AWAITING_TURNS);
    }
}
