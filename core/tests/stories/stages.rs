//! The times of each turn's stages.

use dialbridge_core::report::Stages;
use dialbridge_core::{AgentEvent, CallConfig, CallTime, Report};

use crate::test_call::{TestCall, answered, interim, starting_text};

fn stages(test: &TestCall) -> Vec<Stages> {
    test.reports()
        .filter_map(|report| if let Report::Stages(stages) = report { Some((**stages).clone()) } else { None })
        .collect()
}

fn ms(ms: u64) -> Option<CallTime> {
    Some(CallTime::from_ms(ms))
}

#[test]
fn a_turn_tells_its_stages_when_its_answer_begins_to_be_heard() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(1_000);
    test.speak(600);
    test.agent(1, interim("two loaves"));
    test.hush(500);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.hush(300);
    test.agent(1, answered(1_000));
    test.hush(420);
    let [stages] = &stages(&test)[..] else { panic!() };
    assert_eq!(stages.speech_began, ms(1_000), "where the voice rose");
    assert_eq!(stages.speech_ended, ms(1_600), "where it fell");
    assert_eq!(stages.input_complete, ms(2_100));
    assert_eq!(stages.answered, ms(2_400));
    assert_eq!(stages.first_audio_sent, ms(2_400));
    assert_eq!(stages.first_audio_played, ms(2_400));
}

#[test]
fn an_answer_that_has_to_wait_behind_another_is_heard_later() {
    let mut test = TestCall::started(starting_text());
    test.speak(400);
    test.agent(1, answered(2_000));
    test.agent(2, interim("yes"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(400));
    test.hush(3_000);
    let all = stages(&test);
    assert_eq!(all.iter().map(|stages| stages.turn.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((all[1].first_audio_sent, all[1].first_audio_played), (ms(400), ms(2_400)));
}

#[test]
fn an_answer_that_is_cut_before_it_is_heard_is_reported_too() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(5_000));
    test.press("1");
    let [stages] = &stages(&test)[..] else { panic!() };
    assert_eq!((stages.first_audio_sent, stages.first_audio_played), (ms(0), None));
}

#[test]
fn a_call_that_ends_tells_what_is_left_to_be_told() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(5_000));
    test.twilio(r#"{"event":"stop"}"#).unwrap();
    assert_eq!(stages(&test).len(), 1);
}
