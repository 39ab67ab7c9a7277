//! Our own recordings, so that the caller never hears dead air.

use dialbridge_core::config::{Clip, Fillers};
use dialbridge_core::{AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::test_call::{TestCall, answered, interim};

fn config() -> CallConfig {
    let clip = |byte: u8| Some(Clip(vec![byte; 16_000].into()));
    let fillers = Fillers { thinking: clip(0x33), thinking_after_ms: 1_500, retrying: clip(0x44) };
    CallConfig { fillers, ..CallConfig::default() }
}

fn asked(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    test.speak(400);
    test.agent(1, interim("hello"));
    test.agent(1, AgentEvent::EndOfUtterance);
    test
}

#[test]
fn an_agent_that_thinks_for_long_is_filled_in_for_and_its_answer_cuts_the_filler() {
    let mut test = asked(config());
    test.hush(1_480);
    assert!(!test.is_playing());
    test.hush(820);
    assert!(test.is_playing());
    test.agent(1, answered(600));
    assert_eq!(test.clears(), 1);
    assert!(test.reports().any(|report| matches!(report, Report::Cancelled { cut_ms: 1_200.. })));
    test.hush(700);
    assert!(test.reports().any(|report| *report == Report::Played { played_ms: 600, by_mark: true }));
}

#[test]
fn an_answer_in_time_needs_no_filler() {
    let mut test = asked(config());
    test.hush(1_000);
    test.agent(1, answered(600));
    test.hush(2_000);
    let fillers = test.reports().filter(|report| matches!(report, Report::Filler { .. })).count();
    assert_eq!((test.heard(), test.clears(), fillers), (vec![600], 0, 0));
}

#[test]
fn a_caller_who_speaks_into_a_filler_does_not_cut_it_and_is_heard_in_the_next_turn() {
    let mut test = asked(config());
    test.hush(1_800);
    test.speak(400);
    assert_eq!((test.clears(), test.is_playing()), (0, true));
    test.agent(1, answered(600));
    assert_eq!(test.written(2).len(), 2_200 * 8);
}

#[test]
fn a_turn_that_is_tried_again_is_reported_once() {
    let mut test = asked(config());
    for _ in 0..3 {
        let turn = test.last_stream();
        test.agent(turn, fault("UNAVAILABLE", true));
        test.wait(500);
    }
    let told: Vec<_> = test.reports().filter(|report| matches!(report, Report::Filler { .. })).collect();
    assert_eq!(told, [&Report::Filler { which: "retrying" }]);
}
