//! The conversation so far, for a server that may have lost its session (CES).

use dialbridge_core::agent::{Answer, PastTurn, TurnInput};
use dialbridge_core::{AgentEvent, CallConfig};
use serde_json::json;

use crate::failures::fault;
use crate::session_stream::{config, says, words};
use crate::test_call::{TestCall, answered, empty, interim, with};

fn past(caller: &str, agent: &str) -> PastTurn {
    PastTurn { caller: caller.to_owned(), agent: agent.to_owned() }
}

/// A call in which the agent has greeted the caller and answered him once.
fn conversation() -> TestCall {
    let mut test = TestCall::started(with(config(), |config| {
        config.parameters.insert("shop".to_owned(), "north".into());
    }));
    test.agent(1, words("Hello!"));
    test.agent_answers(1, 200);
    test.hush(500);
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, words("Two "));
    test.agent(1, words("loaves."));
    let order = json!({ "loaves": 2 }).as_object().cloned().unwrap();
    test.agent(1, AgentEvent::Answer(Box::new(Answer { parameters: order, ..Answer::default() })));
    test.agent_answers(1, 200);
    test.hush(500);
    test
}

#[test]
fn after_a_failed_stream_the_next_one_brings_what_was_said_and_all_parameters() {
    let mut test = conversation();
    test.speak(400);
    test.agent(1, interim("and a cake"));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    let start = test.start_of(2);
    assert_eq!(start.past_turns, [past("", "Hello!"), past("two loaves", "Two loaves.")]);
    assert_eq!(start.input, TurnInput::Audio, "what it has not answered is said again");
    assert_eq!((&start.parameters["shop"], &start.parameters["loaves"]), (&json!("north"), &json!(2)));
    test.agent(2, interim("and a cake"));
    test.agent(2, says(200));
    test.agent(2, AgentEvent::GoAway);
    test.agent(2, empty());
    test.agent(2, AgentEvent::Ended);
    test.hush(500);
    assert_eq!(test.start_of(3).past_turns, [], "the server has taken it");
    assert!(test.start_of(3).parameters.is_empty());
}

#[test]
fn a_stream_that_replaces_another_one_brings_nothing() {
    for ends in [AgentEvent::Ended, fault("UNAVAILABLE", true)] {
        let mut test = conversation();
        test.agent(1, AgentEvent::GoAway);
        test.agent(1, ends);
        test.hush(500);
        assert_eq!(test.start_of(2).past_turns, []);
        assert!(test.start_of(2).parameters.is_empty());
    }
}

#[test]
fn streams_that_do_not_respond_bring_it_again_and_a_part_of_an_answer_is_a_turn() {
    let mut test = conversation();
    test.speak(400);
    test.agent(1, interim("and a cake"));
    test.agent(1, words("Which "));
    test.agent(1, says(100));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!(test.start_of(2).past_turns[2], past("and a cake", "Which "));
    test.agent(2, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!(test.start_of(3).past_turns.len(), 3);
}

#[test]
fn a_server_that_refuses_it_is_asked_without_it() {
    let mut test = conversation();
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!(test.start_of(2).past_turns.len(), 2);
    test.agent(2, fault("INVALID_ARGUMENT", false));
    test.hush(1_000);
    assert_eq!(test.start_of(3).past_turns, []);
    assert_eq!(test.closed(), None);
    test.agent(3, fault("INVALID_ARGUMENT", false));
    test.hush(100);
    assert!(test.update().is_some(), "it was not the history");
}

#[test]
fn an_agent_with_one_stream_for_each_turn_keeps_its_session() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(1, answered(200));
    test.agent(1, AgentEvent::Ended);
    test.hush(500);
    test.agent(2, fault("UNAVAILABLE", true));
    test.hush(1_000);
    let start = test.start_of(3);
    assert_eq!((start.past_turns.len(), start.parameters.len()), (0, 0));
}
