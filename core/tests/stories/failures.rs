//! What the caller notices when an agent fails: as little as possible.

use dialbridge_core::agent::{AgentFault, Answer, AnswerPart, TurnInput};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::test_call::{TestCall, answer, answered, interim, numbers, starting_text, with};

pub(crate) fn fault(code: &str, transient: bool) -> AgentEvent {
    AgentEvent::Failed(AgentFault { code: code.to_owned(), message: String::new(), transient })
}

#[test]
fn after_a_failed_stream_the_next_one_gets_the_unanswered_audio_first() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(1_000);
    test.agent(1, interim("two loaves"));
    test.speak(200);
    test.agent(1, fault("UNAVAILABLE", true));
    test.speak(500);
    assert_eq!(test.last_stream(), 2);
    assert_eq!(numbers(&test.written(2)), (0..85).collect::<Vec<u16>>());
}

#[test]
fn what_was_answered_is_not_sent_again() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    test.agent(1, answered(100));
    test.speak(400);
    test.agent(2, interim("more"));
    test.agent(2, fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(numbers(&test.written(3)), (20..40).collect::<Vec<u16>>());
}

#[test]
fn a_starting_text_that_failed_is_sent_again() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    let AgentCommand::Open(start) = &test.commands(2)[0] else { panic!() };
    assert_eq!(start.input, TurnInput::Text("hi".to_owned()));
}

#[test]
fn parameters_that_a_failed_turn_did_not_confirm_go_to_the_next_one() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.start_of(2).parameters["shop"], "north");
    test.agent(2, answered(300));
    assert!(test.start_of(3).parameters.is_empty(), "the agent has answered to it");

    let mut test = TestCall::started(CallConfig::default());
    test.press("1#");
    assert_eq!(test.start_of(2).parameters["shop"], "north", "the turn that listened was given up for the keys");
}

#[test]
fn a_turn_that_already_gave_an_answer_is_not_asked_twice() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, ..answer(200) })));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(400);
    assert_eq!(test.last_stream(), 2);
    assert_eq!(numbers(&test.written(2)), (20..40).collect::<Vec<u16>>());
}

#[test]
fn a_turn_that_failed_after_the_half_close_is_repeated_unless_that_is_forbidden() {
    for (answering_turn, first) in [(true, 0), (false, 20)] {
        let mut test =
            TestCall::started(with(CallConfig::default(), |config| config.retry.answering_turn = answering_turn));
        test.speak(400);
        test.agent(1, interim("pay now"));
        test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(1, fault("UNAVAILABLE", true));
        test.hush(400);
        assert_eq!(numbers(&test.written(2)), (first..40).collect::<Vec<u16>>());
    }
}

#[test]
fn an_agent_that_does_not_answer_in_time_is_asked_again() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.agent(1, interim("hello"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.hush(400);
    test.wait(29_800);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    assert_eq!(numbers(&test.written(2)), (0..40).collect::<Vec<u16>>());
}

#[test]
fn when_the_budget_is_spent_the_call_gets_its_fallback() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    for _ in 0..100 {
        let turn = test.last_stream();
        test.agent(turn, fault("UNAVAILABLE", true));
        test.wait(2_000);
    }
    let (at, twiml) = test.update().unwrap();
    assert!((13_000..=17_000).contains(&at.as_ms()), "{at}");
    assert!(twiml.contains("<Say ") && twiml.contains("<Hangup/>"));
    assert!(test.last_stream() < 20, "pauses grow");
}

#[test]
fn a_mistake_of_ours_is_not_repeated() {
    let mut test = TestCall::started(with(starting_text(), |config| {
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned())
    }));
    test.agent(1, fault("INVALID_ARGUMENT", false));
    assert_eq!(test.last_stream(), 1);
    assert!(test.update().unwrap().1.contains("VirtualAgentStatus=failed"));
}

#[test]
fn a_server_that_closes_without_a_word_is_not_asked_in_a_hot_loop() {
    let mut test = TestCall::started(CallConfig::default());
    for _ in 0..100 {
        let turn = test.last_stream();
        test.agent(turn, AgentEvent::Ended);
        test.wait(50);
    }
    assert!(test.last_stream() < 10, "{}", test.last_stream());
}

#[test]
fn silence_before_the_failure_is_not_sent_again_for_ever() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(20_000);
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    let again: u64 =
        test.reports().map(|report| if let Report::TurnFailed { again_ms, .. } = report { *again_ms } else { 0 }).sum();
    assert_eq!(again, 3_000);
}

#[test]
fn without_any_timeout_or_backoff_the_budget_is_spent_all_the_same() {
    let mut config = starting_text();
    config.timeouts.answer_ms = 0;
    config.retry.first_backoff_ms = 0;
    config.retry.budget_ms = 50;
    let mut test = TestCall::started(config);
    test.wait(100);
    assert!(test.update().is_some());
    assert!((5..=51).contains(&test.last_stream()), "{}", test.last_stream());
}

#[test]
fn an_answer_whose_rest_does_not_come_is_cancelled_and_not_done_as_well() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, ..answer(200) })));
    test.wait(31_000);
    assert_eq!(test.commands(1)[1..], [AgentCommand::HalfClose, AgentCommand::Cancel]);
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn a_stream_that_says_nothing_of_a_caller_who_speaks_is_replaced_and_the_next_one_gets_all_he_said() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(4_000);
    test.speak(2_000);
    test.hush(14_000);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.last_stream(), 2);
    let again = numbers(&test.written(2));
    assert!(again.contains(&200) && again.contains(&299), "from the first word on: {again:?}");
}

#[test]
fn a_stream_that_stalls_after_the_first_words_is_replaced_too() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(1_000);
    test.agent(1, interim("two loaves"));
    test.speak(400);
    test.hush(5_400);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose), "the words are known");
    test.hush(20_000);
    assert_eq!(test.last_stream(), 2);
    assert_eq!(numbers(&test.written(2))[..70], (0..70).collect::<Vec<u16>>());
}

#[test]
fn a_stream_that_hears_silence_a_cough_or_speech_that_it_tells_of_is_not_replaced() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(20_000);
    test.speak(300);
    test.hush(20_000);
    for number in 0..20 {
        test.speak(1_000);
        test.agent(1, interim(&format!("and then {number}")));
    }
    assert_eq!(test.last_stream(), 1);
    assert_eq!(numbers(&test.written(1)).len(), 60_300 / 20, "it hears all of it");
}

#[test]
fn a_failure_long_after_another_is_the_first_of_a_new_row() {
    let mut test = TestCall::started(CallConfig::default());
    for turn in 1..4 {
        test.agent(turn, fault("UNAVAILABLE", true));
        test.hush(20_000);
        assert_eq!(test.last_stream(), turn + 1, "tried again");
    }
    assert!(test.update().is_none());
}

#[test]
fn an_agent_that_understands_each_time_and_never_answers_is_given_up_after_the_budget() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    for _ in 0..100 {
        let turn = test.last_stream();
        test.agent(turn, interim("two loaves"));
        test.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(turn, fault("RESOURCE_EXHAUSTED", true));
        test.wait(2_000);
    }
    assert!(test.update().is_some());
    assert!(test.last_stream() < 20, "pauses grow: {}", test.last_stream());
}
