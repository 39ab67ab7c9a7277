//! Words that a stream heard and did not answer: the next stream gets them.

use dialbridge_core::agent::{Answer, AnswerPart, Matched, TurnInput};
use dialbridge_core::config::{Clip, EndOfUtterance, StreamShape};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::session_stream::greeted;
use crate::test_call::{TestCall, answered, interim, numbers};

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
    turn.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    turn.agent(1, empty_part(AnswerPart::Partial));
    turn.agent(1, fault("UNAVAILABLE", true));
    turn.hush(300);
    assert_eq!(first_of(&turn, 2), 0);
}

#[test]
fn words_to_which_nothing_comes_are_said_again_once_and_then_the_caller_hears_the_retry_filler() {
    let endings = [AgentEvent::Ended, empty_part(AnswerPart::Final)];
    for ending in endings {
        let mut test = TestCall::started(with_retry_filler(StreamShape::PerTurn));
        for stream in [1, 2] {
            test.speak(400);
            test.agent(stream, interim("two loaves"));
            test.agent(stream, AgentEvent::EndOfUtterance { end_ms: None });
            test.agent(stream, ending.clone());
            test.hush(500);
        }
        assert_eq!(first_of(&test, 2), 0, "the agent gets the words again");
        assert_eq!(unanswered(&test), [true, false]);
        assert_eq!(test.played_ms(), 1_000, "then the caller is told");
        assert!(first_of(&test, 3) > 0, "and may speak");
    }
}

#[test]
fn an_answer_makes_the_next_silence_a_first_one_again() {
    let mut test = TestCall::started(with_retry_filler(StreamShape::PerTurn));
    for (stream, answer) in [(1, answered(0)), (2, answered(400)), (3, empty_part(AnswerPart::Final))] {
        test.speak(400);
        test.agent(stream, interim("two loaves"));
        test.agent(stream, AgentEvent::EndOfUtterance { end_ms: None });
        let answer = if stream == 1 { empty_part(AnswerPart::Final) } else { answer };
        test.agent(stream, answer);
        test.hush(1_000);
    }
    assert_eq!(unanswered(&test), [true, true]);
}

#[test]
fn a_session_gets_words_without_an_answer_again_as_a_text() {
    let mut test = TestCall::started(with_retry_filler(StreamShape::PerSession));
    test.agent(1, answered(0));
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.hush(600);
    test.agent(1, empty_part(AnswerPart::Final));
    let again = AgentCommand::Send(TurnInput::Text("two loaves".to_owned()));
    assert_eq!(test.commands(1).last(), Some(&again));
    assert_eq!(test.played_ms(), 0);
    for _ in 0..2 {
        test.agent(1, empty_part(AnswerPart::Final));
        assert_eq!((unanswered(&test), test.played_ms()), (vec![true, false], 1_000), "the caller is told, once");
    }
}

#[test]
fn words_of_an_utterance_that_we_ended_and_to_which_nothing_comes_twice_are_no_silence_either() {
    let mut config = with_retry_filler(StreamShape::PerTurn);
    config.end_of_utterance = EndOfUtterance::Quick;
    let mut test = TestCall::started(config);
    test.speak(900);
    test.agent(1, interim("two loaves please"));
    test.hush(2_000);
    test.agent(1, AgentEvent::Ended);
    assert_eq!(test.opened_with(2), TurnInput::Text("two loaves please".to_owned()));
    assert_eq!(test.played_ms(), 0);
    test.agent(2, empty_part(AnswerPart::Final));
    assert_eq!((unanswered(&test), test.played_ms()), (vec![true, false], 1_000), "the caller is told");
    assert_eq!(test.opened_with(3), TurnInput::Audio, "and may speak");
}

#[test]
fn an_agent_that_may_not_be_asked_twice_is_not() {
    let mut config = with_retry_filler(StreamShape::PerTurn);
    config.retry.answering_turn = false;
    let mut test = TestCall::started(config);
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(1, empty_part(AnswerPart::Final));
    assert_eq!((unanswered(&test), test.played_ms()), (vec![false], 1_000));
}

#[test]
fn silence_needs_no_answer() {
    let mut test = TestCall::started(with_retry_filler(StreamShape::PerTurn));
    test.hush(5_000);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(1, empty_part(AnswerPart::Final));
    assert_eq!((unanswered(&test), test.played_ms()), (vec![], 0));
}

#[test]
fn a_noise_that_the_agent_itself_takes_back_is_no_unanswered_word() {
    let mut test = TestCall::started(with_retry_filler(StreamShape::PerTurn));
    test.speak(400);
    test.agent(1, interim("uh"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    let no_input = Answer { part: AnswerPart::Final, matched: Matched::NoInput, ..Answer::default() };
    test.agent(1, AgentEvent::Answer(Box::new(no_input)));
    assert_eq!((unanswered(&test), test.played_ms()), (vec![], 0));
}

#[test]
fn an_empty_turn_after_a_text_that_the_caller_has_talked_over_is_no_answer_to_it() {
    let mut test = TestCall::started(with_retry_filler(StreamShape::PerSession));
    test.agent(1, answered(0));
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.hush(600);
    test.agent(1, empty_part(AnswerPart::Final));
    test.speak(400);
    test.agent(1, interim("hello"));
    test.agent(1, empty_part(AnswerPart::Final));
    test.press("1#");
    test.agent(1, empty_part(AnswerPart::Final));
    assert_eq!((unanswered(&test), test.played_ms()), (vec![true], 0), "he goes on");
}

fn with_retry_filler(shape: StreamShape) -> CallConfig {
    let mut config = CallConfig { shape, ..CallConfig::default() };
    config.fillers.retrying = Some(Clip(vec![0x33; 8_000].into()));
    config
}

/// Whether the agent got the words again, for each turn without an answer.
fn unanswered(test: &TestCall) -> Vec<bool> {
    let asked = |report: &Report| match report {
        Report::TurnUnanswered { asks_again, .. } => Some(*asks_again),
        _ => None,
    };
    test.reports().filter_map(asked).collect()
}

#[test]
fn an_empty_answer_to_the_starting_event_is_none_to_words_and_a_caller_who_goes_on_is_heard_out() {
    let mut config = with_retry_filler(StreamShape::PerSession);
    config.starting_input.event = Some("session_start".to_owned());
    let mut test = TestCall::started(config);
    test.speak(400);
    test.agent(1, interim("hello"));
    test.agent(1, empty_part(AnswerPart::Final));
    assert!(unanswered(&test).is_empty(), "the empty answer is to the event");
    test.agent(1, interim("two loaves and"));
    test.speak(400);
    test.agent(1, empty_part(AnswerPart::Final));
    assert!(unanswered(&test).is_empty(), "the caller speaks");
    test.hush(1_000);
    test.agent(1, interim("two loaves and a roll"));
    test.agent(1, empty_part(AnswerPart::Final));
    assert_eq!(unanswered(&test), [true, true], "both turns go again, as one text");
    let again = AgentCommand::Send(TurnInput::Text("two loaves and a roll".to_owned()));
    assert_eq!(test.commands(1).last(), Some(&again));
}
