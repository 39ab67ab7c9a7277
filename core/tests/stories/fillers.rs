//! Recordings of our own, so that the caller never hears dead air.

use dialbridge_core::config::{Clip, Fillers};
use dialbridge_core::{AgentEvent, CallConfig, Report};

use crate::line::{Line, answered, interim};
use crate::trouble::fault;

fn config() -> CallConfig {
    let clip = |byte: u8| Some(Clip(vec![byte; 16_000].into()));
    let fillers = Fillers { thinking: clip(0x33), thinking_after_ms: 1_500, retrying: clip(0x44) };
    CallConfig { fillers, ..CallConfig::default() }
}

fn asked(config: CallConfig) -> Line {
    let mut line = Line::started(config);
    line.speak(400);
    line.agent(1, interim("hello"));
    line.agent(1, AgentEvent::EndOfUtterance);
    line
}

#[test]
fn an_agent_that_thinks_for_long_is_filled_in_for_and_its_answer_cuts_the_filler() {
    let mut line = asked(config());
    line.hush(1_480);
    assert!(!line.is_playing());
    line.hush(820);
    assert!(line.is_playing());
    line.agent(1, answered(600));
    assert_eq!(line.clears(), 1);
    assert!(line.reports().any(|report| matches!(report, Report::Cancelled { cut_ms: 1_200.. })));
    line.hush(700);
    assert!(line.reports().any(|report| *report == Report::Heard { heard_ms: 600, by_mark: true }));
}

#[test]
fn an_answer_in_time_needs_no_filler() {
    let mut line = asked(config());
    line.hush(1_000);
    line.agent(1, answered(600));
    line.hush(2_000);
    let fillers = line.reports().filter(|report| matches!(report, Report::Filler { .. })).count();
    assert_eq!((line.heard(), line.clears(), fillers), (vec![600], 0, 0));
}

#[test]
fn a_caller_who_speaks_into_a_filler_does_not_cut_it_and_is_heard_in_the_next_turn() {
    let mut line = asked(config());
    line.hush(1_800);
    line.speak(400);
    assert_eq!((line.clears(), line.is_playing()), (0, true));
    line.agent(1, answered(600));
    assert_eq!(line.written(2).len(), 2_200 * 8);
}

#[test]
fn a_turn_that_is_tried_again_is_told_once() {
    let mut line = asked(config());
    for _ in 0..3 {
        let turn = line.last_turn();
        line.agent(turn, fault("UNAVAILABLE", true));
        line.wait(500);
    }
    let told: Vec<_> = line.reports().filter(|report| matches!(report, Report::Filler { .. })).collect();
    assert_eq!(told, [&Report::Filler { which: "retrying" }]);
}
