//! When nobody says anything, and calls that would not end by themselves.

use dialbridge_core::agent::{Answer, KeyRules, Matched, TurnInput};
use dialbridge_core::config::{Bounds, NoInput};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::line::{Line, answer, answered, empty, greeting_text, interim};

fn with_event() -> CallConfig {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 5_000 };
    CallConfig { no_input, ..greeting_text() }
}

fn bounded(bounds: Bounds) -> CallConfig {
    let mut config = CallConfig { bounds, ..greeting_text() };
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    config
}

#[test]
fn an_agent_without_a_handler_gets_an_event_some_seconds_after_its_prompt_was_heard() {
    let mut line = Line::started(with_event());
    line.agent(1, answered(2_000));
    line.hush(6_980);
    assert_eq!(line.last_turn(), 2);
    line.hush(40);
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(line.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
    assert!(line.reports().any(|report| *report == Report::NoInput { in_a_row: 1, by_event: true }));
}

#[test]
fn a_caller_who_speaks_is_not_told_to_be_silent() {
    let mut line = Line::started(with_event());
    line.agent(1, answered(400));
    line.hush(4_000);
    line.speak(2_000);
    line.agent(2, interim("well"));
    line.hush(4_900);
    assert_eq!(line.last_turn(), 2);
}

#[test]
fn where_keys_are_expected_the_first_one_has_a_time_of_its_own() {
    let mut config = with_event();
    config.keys.first_ms = 2_000;
    let mut line = Line::started(config);
    line.agent(1, AgentEvent::Answer(Box::new(Answer { keys: Some(KeyRules::default()), ..answer(400) })));
    line.hush(2_420);
    assert_eq!(line.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
}

#[test]
fn an_agent_that_has_no_answer_to_silence_gets_the_event() {
    let mut line = Line::started(with_event());
    line.agent(1, answered(0));
    line.hush(3_000);
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, empty());
    assert_eq!(line.opened_with(3), TurnInput::Event("SILENCE".to_owned()));
}

#[test]
fn the_agents_own_answer_to_silence_is_played_as_it_is() {
    let mut line = Line::started(with_event());
    line.agent(1, answered(0));
    line.hush(3_000);
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(700) })));
    assert_eq!((line.played_ms(), line.opened_with(3)), (700, TurnInput::Audio));
    assert!(line.reports().any(|report| *report == Report::NoInput { in_a_row: 1, by_event: false }));
}

#[test]
fn after_so_many_silent_turns_in_a_row_the_call_ends_and_says_why() {
    let mut line = Line::started(bounded(Bounds { silent_turns: 2, ..Bounds::default() }));
    line.agent(1, answered(0));
    for turn in 2..5 {
        assert_eq!(line.update(), None);
        line.hush(1_000);
        line.agent(turn, AgentEvent::EndOfUtterance);
        line.agent(turn, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(300) })));
    }
    line.wait(400);
    let (_, twiml) = line.update().unwrap();
    assert!(twiml.contains("VirtualAgentStatus=hangup") && twiml.contains("no-input"), "{twiml}");
}

#[test]
fn a_word_in_between_begins_the_row_anew() {
    let mut line = Line::started(bounded(Bounds { silent_turns: 1, ..Bounds::default() }));
    line.agent(1, answered(0));
    for turn in [2, 4] {
        line.hush(1_000);
        line.agent(turn, AgentEvent::EndOfUtterance);
        line.agent(turn, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoInput, ..answer(0) })));
        line.agent(turn + 1, interim("yes"));
        line.agent(turn + 1, AgentEvent::EndOfUtterance);
        line.agent(turn + 1, answered(0));
    }
    let silent = line.reports().filter(|report| matches!(report, Report::NoInput { in_a_row: 1, .. })).count();
    assert_eq!((silent, line.update()), (2, None));
}

#[test]
fn a_call_that_is_too_long_ends_after_what_is_being_said() {
    let mut line = Line::started(bounded(Bounds {
        call_ms: 10_000,
        goodbye: Some("Time is up.".to_owned()),
        ..Bounds::default()
    }));
    line.agent(1, answered(0));
    line.hush(9_000);
    line.agent(2, interim("tell me a story"));
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, answered(3_000));
    line.hush(2_900);
    assert_eq!(line.update(), None, "the agent is heard out");
    line.hush(200);
    let (at, twiml) = line.update().unwrap();
    assert_eq!(at.as_ms(), 12_000);
    assert!(twiml.contains("<Say>Time is up.</Say><Redirect") && twiml.contains("call-too-long"), "{twiml}");
    assert_eq!(line.commands(3).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn a_call_in_which_nobody_says_anything_ends() {
    let mut line = Line::started(bounded(Bounds { silence_ms: 8_000, ..Bounds::default() }));
    line.agent(1, answered(2_000));
    line.hush(9_900);
    assert_eq!(line.update(), None);
    line.hush(200);
    assert!(line.update().unwrap().1.contains("silence"));
}

#[test]
fn turns_that_fail_again_and_again_end_the_call_as_one_whose_agent_failed() {
    let mut line = Line::started(bounded(Bounds { failed_turns: 3, ..Bounds::default() }));
    line.agent(1, answered(0));
    for turn in [2, 4, 6, 8] {
        line.agent(turn, crate::trouble::fault("UNAVAILABLE", true));
        line.wait(3_000);
        if turn < 8 {
            let turn = line.last_turn();
            line.agent(turn, interim("yes"));
            line.agent(turn, AgentEvent::EndOfUtterance);
            line.agent(turn, answered(0));
        }
    }
    assert!(line.update().unwrap().1.contains("VirtualAgentStatus=failed"));
}
