//! What the caller says while the end of his utterance is on its way to us is heard.

use dialbridge_core::agent::{Answer, AnswerPart, Transcript};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};
use proptest::prelude::*;

use crate::failures::fault;
use crate::far_agent::{Answers, FarAgent, HABITS, Habits, Times, Transcripts};
use crate::session_stream::{greeted, says};
use crate::test_call::{TestCall, answer, answered, interim, numbers};

fn transcript(text: &str, end_ms: Option<u64>) -> AgentEvent {
    AgentEvent::Transcript(Transcript { text: text.to_owned(), is_final: true, end_ms, ..Transcript::default() })
}

const END: AgentEvent = AgentEvent::EndOfUtterance { end_ms: None };

#[test]
fn a_caller_who_goes_on_while_the_end_is_on_its_way_is_heard_from_his_first_frame() {
    for distance_ms in [0, 40, 120] {
        for times in [Times::OfTranscripts, Times::OfEnd, Times::Never] {
            for goes_on_after_ms in [40, 80, 120, 160, 220] {
                let mut call = FarAgent::new(Habits { distance_ms, times, ..HABITS });
                for _ in 0..4 {
                    call.speak(800);
                    call.hush(600 + goes_on_after_ms);
                }
                call.hush(3_000);
                let case = format!("{distance_ms} ms away, {goes_on_after_ms} ms after the end, times: {times:?}");
                assert!(call.speech_heard().iter().all(|heard| *heard == 1), "{case}: {:?}", call.speech_heard());
                let is_in_flight = goes_on_after_ms < 2 * distance_ms;
                assert_eq!(call.resent().len(), if is_in_flight { 3 } else { 0 }, "{case}");
                assert!(call.silence_heard_twice() <= 3 * 10, "{case}");
            }
        }
    }
}

#[test]
fn no_more_than_200_ms_before_the_voice_are_heard_twice_and_nothing_of_what_was_understood() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    test.agent(1, transcript("two loaves", Some(1_400)));
    test.agent(1, END);
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2)), (70..80).collect::<Vec<u16>>(), "from the end that the recogniser names");

    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    test.agent(1, transcript("two loaves", Some(800)));
    test.agent(1, END);
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2)), (62..80).collect::<Vec<u16>>());
    let told = |report: &Report| matches!(report, Report::TurnOpened { waited_ms: 360, resent_ms: 360, .. });
    assert!(test.reports().any(told));
}

#[test]
fn a_voice_that_has_just_begun_is_heard_even_if_the_next_stream_opens_at_once() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(20);
    test.agent(1, transcript("two loaves", None));
    test.agent(1, END);
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2)), (62..73).collect::<Vec<u16>>());
}

#[test]
fn a_caller_who_begins_while_the_agent_gives_up_waiting_for_him_is_heard() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(5_000);
    test.speak(120);
    test.agent(1, END);
    test.speak(80);
    test.agent(1, AgentEvent::Ended);
    assert_eq!(numbers(&test.written(2)), (240..260).collect::<Vec<u16>>());
}

#[test]
fn audio_that_waited_for_a_stream_may_hold_more_than_one_utterance() {
    for times in [Times::OfTranscripts, Times::OfEnd, Times::Never] {
        let mut call = FarAgent::new(Habits { think_ms: 6_000, times, ..HABITS });
        call.speak(800);
        call.hush(1_200);
        for _ in 0..3 {
            call.speak(400);
            call.hush(1_100);
        }
        call.hush(30_000);
        assert!(call.speech_heard().iter().all(|heard| *heard == 1), "{times:?}: {:?}", call.speech_heard());
    }
}

#[test]
fn the_answer_itself_and_an_end_after_our_own_half_close_are_ends_too() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    test.agent(1, interim("two loaves"));
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2)), (62..80).collect::<Vec<u16>>());

    let mut test =
        TestCall::started(CallConfig { audio_limit_ms: 3_600, rotation_margin_ms: 2_000, ..CallConfig::default() });
    test.speak(800);
    test.agent(1, interim("two loaves"));
    test.hush(640);
    test.speak(200);
    assert!(test.commands(1).contains(&AgentCommand::HalfClose), "at the limit");
    test.agent(1, END);
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2))[0], 62);
}

#[test]
fn what_we_end_ourselves_was_heard() {
    let config = CallConfig { audio_limit_ms: 6_000, rotation_margin_ms: 2_000, ..CallConfig::default() };
    let mut test = TestCall::started(config);
    test.speak(800);
    test.hush(640);
    test.agent(1, interim("two loaves"));
    test.speak(2_800);
    assert!(test.commands(1).contains(&AgentCommand::HalfClose), "at the limit");
    test.agent(1, transcript("two loaves and a story", None));
    test.agent(1, answered(100));
    let written = [numbers(&test.written(1)), numbers(&test.written(2))].concat();
    assert_eq!(written, (0..212).collect::<Vec<u16>>());
}

#[test]
fn a_recogniser_whose_times_are_wrong_loses_and_repeats_no_more_than_one_without_times() {
    for end_ms in [Some(3_600_000), Some(u64::MAX), None] {
        let mut test = TestCall::started(CallConfig::default());
        test.speak(800);
        test.hush(640);
        test.speak(160);
        test.agent(1, transcript("two loaves", end_ms));
        test.agent(1, AgentEvent::EndOfUtterance { end_ms });
        test.agent(1, answered(100));
        assert_eq!(numbers(&test.written(2)), (62..80).collect::<Vec<u16>>(), "{end_ms:?}");
    }
}

#[test]
fn noise_does_not_go_from_stream_to_stream() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(100);
    for stream in 1..10 {
        test.agent(stream, END);
        test.agent(stream, AgentEvent::Ended);
        test.speak(20);
    }
    let resent = test.reports().filter(|report| matches!(report, Report::TurnOpened { resent_ms: 1.., .. })).count();
    assert_eq!(resent, 1);
}

#[test]
fn a_turn_that_fails_after_its_end_is_sent_again_as_a_whole_and_once() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    test.agent(1, transcript("two loaves", Some(800)));
    test.agent(1, END);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(200);
    assert_eq!(numbers(&test.written(2)), (0..90).collect::<Vec<u16>>());
}

#[test]
fn speech_in_flight_of_a_turn_that_failed_is_heard_after_the_turn_is_sent_again() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    for stream in [1, 2] {
        test.agent(stream, transcript("two loaves", Some(800)));
        test.agent(stream, END);
        test.agent(stream, if stream == 1 { fault("UNAVAILABLE", true) } else { answered(100) });
        test.hush(200);
    }
    assert_eq!(numbers(&test.written(3)), (62..100).collect::<Vec<u16>>());
}

#[test]
fn an_answer_that_breaks_off_takes_nothing_with_it_that_came_after_the_end() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(800);
    test.hush(640);
    test.speak(160);
    test.agent(1, transcript("two loaves", Some(800)));
    test.agent(1, END);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, ..answer(100) })));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(200);
    assert_eq!(numbers(&test.written(test.last_stream())), (62..90).collect::<Vec<u16>>());
}

#[test]
fn what_a_session_cannot_have_answered_goes_to_its_next_stream_from_the_first_word_on() {
    for is_cut in [false, true] {
        let mut test = greeted();
        test.speak(800);
        test.hush(640);
        test.speak(160);
        test.agent(1, interim("two loaves"));
        test.speak(200);
        test.agent(1, says(300));
        test.speak(100);
        if is_cut {
            test.agent(1, fault("UNAVAILABLE", true));
        } else {
            test.agent(1, AgentEvent::GoAway);
            test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() })));
            test.agent(1, AgentEvent::Ended);
        }
        test.hush(400);
        let first = numbers(&test.written(2))[0];
        assert_eq!(first, 25 + 72 - 10, "cut: {is_cut}");
    }
}

fn habits() -> impl Strategy<Value = Habits> {
    let transcripts = prop::sample::select(vec![
        Transcripts::BeforeEnd,
        Transcripts::AfterEnd,
        Transcripts::InterimOnly,
        Transcripts::InAnswer,
    ]);
    let times = prop::sample::select(vec![Times::OfTranscripts, Times::OfEnd, Times::Never]);
    let answers = prop::sample::select(vec![
        Answers::AfterHalfClose,
        Answers::AtOnce { says_end: true },
        Answers::AtOnce { says_end: false },
    ]);
    let silence_ms = (25_u64..40).prop_map(|frames| frames * 20);
    let think_ms = prop_oneof![2 => Just(0_u64), 3 => (0_u64..50).prop_map(|frames| frames * 20)];
    let no_speech_ms = prop_oneof![2 => Just(0), 1 => Just(3_000)];
    let distance_ms = (0_u64..=7).prop_map(|frames| frames * 20);
    (distance_ms, silence_ms, no_speech_ms, think_ms, transcripts, times, answers).prop_map(
        |(distance_ms, silence_ms, no_speech_ms, think_ms, transcripts, times, answers)| {
            // An agent that says nothing before its answer does not say either how old that is.
            let is_told = transcripts != Transcripts::InAnswer || answers != Answers::AtOnce { says_end: false };
            let think_ms = if is_told { think_ms } else { 0 };
            Habits { distance_ms, silence_ms, no_speech_ms, think_ms, transcripts, times, answers }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_of_speech_is_heard_by_a_recogniser_that_listens_and_only_silence_twice(
        habits in habits(), said in prop::collection::vec((5_u64..60, 1_u64..80), 1..8),
    ) {
        let mut call = FarAgent::new(habits);
        for (speech, silence) in said {
            call.speak(speech * 20);
            // Without times nobody can tell whether a recogniser has ended an utterance at a pause that is neither
            // short nor long, if it heard more than real time.
            let is_clear = habits.tells_times() || !(15..=50).contains(&silence);
            call.hush(if is_clear { silence * 20 } else { 1_020 });
        }
        call.hush(12_000);
        let heard = call.speech_heard();
        prop_assert!(heard.iter().all(|times| *times == 1), "{heard:?}");
        prop_assert!(call.silence_heard_twice() <= call.resent().len() * 10);
    }
}
