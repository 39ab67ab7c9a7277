//! Silent callers, and calls that would not end by themselves.

use dialbridge_core::agent::{Answer, DtmfRules, Matched, TurnInput};
use dialbridge_core::config::{CallLimits, NoInput};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::test_call::{TestCall, answer, answered, empty, interim, starting_text, with};

fn with_event() -> CallConfig {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 5_000 };
    CallConfig { no_input, ..starting_text() }
}

fn limited(limits: CallLimits) -> CallConfig {
    with(CallConfig { limits, ..starting_text() }, |config| {
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned())
    })
}

#[test]
fn an_agent_without_a_handler_gets_an_event_some_seconds_after_its_prompt_was_heard() {
    let mut test = TestCall::started(with_event());
    test.agent(1, answered(2_000));
    test.hush(6_980);
    assert_eq!(test.last_stream(), 2);
    test.hush(40);
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
    assert!(test.reports().any(|report| *report == Report::NoInput { in_a_row: 1, by_event: true }));
}

#[test]
fn a_caller_who_speaks_is_not_told_to_be_silent() {
    let mut test = TestCall::started(with_event());
    test.agent(1, answered(400));
    test.hush(4_000);
    test.speak(2_000);
    test.agent(2, interim("well"));
    test.hush(4_900);
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn where_digits_are_expected_the_first_one_has_a_time_of_its_own() {
    let mut test = TestCall::started(with(with_event(), |config| config.dtmf.first_digit_ms = 2_000));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { dtmf_rules: Some(DtmfRules::default()), ..answer(400) })));
    test.hush(2_420);
    assert_eq!(test.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
}

#[test]
fn an_agent_that_has_no_answer_to_no_input_gets_the_event() {
    let mut test = TestCall::started(with_event());
    test.agent(1, answered(0));
    test.hush(3_000);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, empty());
    assert_eq!(test.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
}

#[test]
fn the_agents_own_answer_to_no_input_is_played_as_it_is() {
    let mut test = TestCall::started(with_event());
    test.agent(1, answered(0));
    test.hush(3_000);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(700) })));
    assert_eq!((test.played_ms(), test.opened_with(3)), (700, TurnInput::Audio));
    assert!(test.reports().any(|report| *report == Report::NoInput { in_a_row: 1, by_event: false }));
}

#[test]
fn after_so_many_no_input_turns_in_a_row_the_call_ends_and_says_why() {
    let mut test = TestCall::started(limited(CallLimits { no_input_turns: 2, ..CallLimits::default() }));
    test.agent(1, answered(0));
    for turn in 2..5 {
        assert_eq!(test.update(), None);
        test.hush(1_000);
        test.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(turn, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(300) })));
    }
    test.wait(400);
    let (_, twiml) = test.update().unwrap();
    assert!(twiml.contains("VirtualAgentStatus=hangup") && twiml.contains("no-input"), "{twiml}");
}

#[test]
fn a_word_in_between_begins_the_row_anew() {
    let mut test = TestCall::started(limited(CallLimits { no_input_turns: 1, ..CallLimits::default() }));
    test.agent(1, answered(0));
    for turn in [2, 4] {
        test.hush(1_000);
        test.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(turn, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(0) })));
        test.agent(turn + 1, interim("yes"));
        test.agent(turn + 1, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(turn + 1, answered(0));
    }
    let silent = test.reports().filter(|report| matches!(report, Report::NoInput { in_a_row: 1, .. })).count();
    assert_eq!((silent, test.update()), (2, None));
}

#[test]
fn a_call_that_is_too_long_ends_after_what_is_being_said() {
    let config = limited(CallLimits { call_ms: 10_000, ..CallLimits::default() });
    let mut test = TestCall::started(with(config, |config| config.words.goodbye = Some("Time is up.".to_owned())));
    test.agent(1, answered(0));
    test.hush(9_000);
    test.agent(2, interim("tell me a story"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(3_000));
    test.hush(2_900);
    assert_eq!(test.update(), None, "the agent is heard out");
    test.hush(200);
    let (at, twiml) = test.update().unwrap();
    assert_eq!(at.as_ms(), 12_000);
    assert!(twiml.contains(">Time is up.</Say><Redirect") && twiml.contains("call-too-long"), "{twiml}");
    assert_eq!(test.commands(3).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn a_call_in_which_nobody_says_anything_ends() {
    let mut test = TestCall::started(limited(CallLimits { silence_ms: 8_000, ..CallLimits::default() }));
    test.agent(1, answered(2_000));
    test.hush(9_900);
    assert_eq!(test.update(), None);
    test.hush(200);
    assert!(test.update().unwrap().1.contains("silence"));
}

#[test]
fn turns_that_fail_again_and_again_end_the_call_as_one_whose_agent_failed() {
    let mut test = TestCall::started(limited(CallLimits { failed_turns: 3, ..CallLimits::default() }));
    test.agent(1, answered(0));
    for turn in [2, 4, 6, 8] {
        test.agent(turn, crate::failures::fault("UNAVAILABLE", true));
        test.wait(3_000);
        if turn < 8 {
            let turn = test.last_stream();
            test.agent(turn, interim("yes"));
            test.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
            test.agent(turn, answered(0));
        }
    }
    assert!(test.update().unwrap().1.contains("VirtualAgentStatus=failed"));
}
