//! Words that a stream heard and did not answer: the next stream gets them.

use dialbridge_core::agent::{Answer, AnswerPart};
use dialbridge_core::config::StreamShape;
use dialbridge_core::{AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::session_stream::greeted;
use crate::test_call::{TestCall, interim, numbers};

fn first_of(test: &TestCall, stream: u32) -> u16 {
    numbers(&test.written(stream))[0]
}

fn empty_part(part: AnswerPart) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { part, ..Answer::default() }))
}

#[test]
fn a_word_before_a_go_away_is_said_again_even_if_another_word_follows() {
    let mut test = greeted();
    test.hush(1_000);
    test.speak(320);
    test.agent(1, AgentEvent::GoAway);
    test.hush(800);
    test.speak(300);
    test.agent(1, AgentEvent::Ended);
    test.hush(300);
    assert!(first_of(&test, 2) <= 75, "the first word began with frame 75, not {}", first_of(&test, 2));
}

#[test]
fn a_sentence_is_said_again_after_each_of_two_failures() {
    for shape in [StreamShape::PerTurn, StreamShape::PerSession] {
        let mut config = CallConfig { shape, ..CallConfig::default() };
        config.retry.budget_ms = 60_000;
        let mut test = TestCall::started(config);
        for ms in [1_500, 400] {
            test.speak(1_000);
            test.hush(ms);
        }
        test.agent(1, fault("UNAVAILABLE", true));
        test.hush(2_000);
        test.agent(2, fault("UNAVAILABLE", true));
        test.hush(500);
        assert_eq!((first_of(&test, 2), first_of(&test, 3)), (0, 0), "{shape:?}");
    }
}

#[test]
fn a_short_word_at_the_audio_limit_goes_to_the_next_stream() {
    let mut test =
        TestCall::started(CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..CallConfig::default() });
    test.hush(49_300);
    test.speak(300);
    test.hush(560);
    assert!(first_of(&test, 2) <= 2_465, "the word began with frame 2465, not {}", first_of(&test, 2));
}

#[test]
fn words_to_which_only_an_empty_part_came_are_said_again() {
    let mut session = greeted();
    session.speak(400);
    session.agent(1, interim("two loaves"));
    session.agent(1, empty_part(AnswerPart::Open));
    session.agent(1, fault("UNAVAILABLE", true));
    session.hush(300);
    assert!(first_of(&session, 2) <= 45);

    let mut turn = TestCall::started(CallConfig::default());
    turn.speak(400);
    turn.agent(1, interim("two loaves"));
    turn.agent(1, AgentEvent::EndOfUtterance);
    turn.agent(1, empty_part(AnswerPart::Partial));
    turn.agent(1, fault("UNAVAILABLE", true));
    turn.hush(300);
    assert_eq!(first_of(&turn, 2), 0);
}

#[test]
fn a_stream_that_ends_without_an_answer_to_words_has_failed() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, AgentEvent::EndOfUtterance);
    test.agent(1, AgentEvent::Ended);
    test.hush(500);
    assert!(test.reports().any(|report| matches!(report, Report::TurnFailed { retry_in_ms: Some(_), .. })));
    assert_eq!(first_of(&test, 2), 0);
}
