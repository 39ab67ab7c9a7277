//! Going over to another media socket in the same session, so that nobody notices.

use dialbridge_core::{AgentEvent, CallConfig, CloseReason, Output, UpdateResult};

use crate::line::{Line, answered, greeting_text, interim};

#[test]
fn a_call_in_which_nothing_happens_is_renewed_at_once() {
    let mut line = Line::started(CallConfig::default());
    line.hush(1_000);
    line.renew();
    assert_eq!(line.closed(), Some(CloseReason::Renewed));
}

#[test]
fn an_answer_is_heard_to_its_end_first() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(2_000));
    line.hush(500);
    line.renew();
    line.hush(1_400);
    assert_eq!(line.closed(), None);
    line.hush(200);
    assert_eq!(line.closed(), Some(CloseReason::Renewed));
}

#[test]
fn a_question_is_answered_first() {
    let mut line = Line::started(CallConfig::default());
    line.speak(600);
    line.agent(1, interim("what time is it"));
    line.renew();
    line.hush(600);
    line.agent(1, AgentEvent::EndOfUtterance);
    line.hush(800);
    assert_eq!(line.closed(), None);
    line.agent(1, answered(1_000));
    line.hush(1_100);
    assert_eq!(line.closed(), Some(CloseReason::Renewed));
}

#[test]
fn what_does_not_come_to_an_end_is_not_waited_for_longer_than_eight_seconds() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(60_000));
    line.renew();
    line.hush(7_980);
    assert_eq!(line.closed(), None);
    line.renew();
    line.hush(40);
    assert_eq!(line.closed(), Some(CloseReason::Renewed), "to be told twice gives no more time");
}

#[test]
fn a_call_is_renewed_before_the_platform_cuts_its_socket() {
    let mut line = Line::started(CallConfig { renew_after_ms: 60_000, ..CallConfig::default() });
    line.hush(59_980);
    assert_eq!(line.closed(), None);
    line.hush(40);
    assert_eq!(line.closed(), Some(CloseReason::Renewed));
}

#[test]
fn a_call_that_is_being_handed_on_is_not_renewed() {
    let mut line = Line::started(greeting_text());
    line.agent(1, crate::line::goodbye(1_000));
    line.renew();
    line.wait(1_100);
    assert!(line.update().is_some_and(|(at, _)| at.as_ms() == 1_000));
    line.updated(UpdateResult::Accepted);
    line.wait(9_000);
    assert_eq!(line.closed(), Some(CloseReason::HandedOff));
}

#[test]
fn after_the_last_moment_nothing_is_told_of_a_mark_that_is_overdue_at_the_same() {
    let mut line = Line::started(greeting_text());
    line.lose_marks();
    line.agent(1, answered(5_000));
    line.renew();
    line.wait(8_000);
    assert!(matches!(line.outputs.last(), Some((_, Output::Close(CloseReason::Renewed)))), "{:?}", line.outputs.last());
}
