//! What a call brings along from its earlier media streams, and what it leaves to the next one.

use dialbridge_core::agent::TurnInput;
use dialbridge_core::carried::{CallProgress, CarriedOver, Opening};
use dialbridge_core::ending::CallLimit;
use dialbridge_core::{CallConfig, Report};

use crate::failures::fault;
use crate::test_call::{TestCall, answered, empty, starting_text};

fn carrying(carried: CarriedOver) -> CallConfig {
    let mut config = CallConfig { carried, ..starting_text() };
    config.starting_input.event = Some("WELCOME".to_owned());
    config.limits.call_ms = 10_000;
    config.limits.failed_turns = 2;
    config
}

fn limits(test: &TestCall) -> Vec<CallLimit> {
    let limit = |report: &Report| if let Report::LimitReached(limit) = report { Some(*limit) } else { None };
    test.reports().filter_map(limit).collect()
}

#[test]
fn an_empty_answer_does_not_greet_the_caller() {
    let mut test = TestCall::started(carrying(CarriedOver::default()));
    assert!(test.call.progress().awaits_greeting);
    test.agent(1, empty());
    assert_eq!(test.opened_with(2), TurnInput::Text("hi".to_owned()), "the event is not known: the text follows");
    assert!(test.call.progress().awaits_greeting, "a stream that breaks now leaves a caller who has heard nothing");
    test.agent(2, answered(100));
    assert!(!test.call.progress().awaits_greeting);
}

#[test]
fn a_call_that_resumes_is_not_greeted_and_one_with_an_event_gets_that_alone() {
    let resumed = TestCall::started(carrying(CarriedOver { opening: Opening::Resume, ..CarriedOver::default() }));
    assert_eq!((resumed.opened_with(1), resumed.call.progress().awaits_greeting), (TurnInput::Audio, false));
    let opening = Opening::Event("BACK".to_owned());
    let mut back = TestCall::started(carrying(CarriedOver { opening, ..CarriedOver::default() }));
    assert_eq!(back.opened_with(1), TurnInput::Event("BACK".to_owned()));
    back.agent(1, empty());
    assert_eq!(back.opened_with(2), TurnInput::Audio);
}

#[test]
fn the_longest_call_counts_the_earlier_streams() {
    for (elapsed_ms, left_ms) in [(0, 10_000), (9_000, 1_000), (20_000, 1)] {
        let mut test = TestCall::started(carrying(CarriedOver { elapsed_ms, ..CarriedOver::default() }));
        test.wait(left_ms - 1);
        assert_eq!(limits(&test), [], "{elapsed_ms}");
        test.wait(1);
        assert_eq!(limits(&test), [CallLimit::Call], "{elapsed_ms}");
    }
}

#[test]
fn the_most_failed_turns_count_the_earlier_streams() {
    let mut test = TestCall::started(carrying(CarriedOver { failed_turns: 1, ..CarriedOver::default() }));
    for (failed_turns, reached) in [(2, vec![]), (3, vec![CallLimit::FailedTurns])] {
        test.agent(test.last_stream(), fault("UNAVAILABLE", true));
        assert_eq!(test.call.progress(), CallProgress { failed_turns, awaits_greeting: true, on_backup: false });
        assert_eq!(limits(&test), reached);
        test.wait(3_000);
    }
}
