//! Migration to another media stream in the same session, without anybody noticing.

use dialbridge_core::{AgentEvent, CallConfig, CloseReason, Output, UpdateResult};

use crate::test_call::{TestCall, answered, interim, starting_text};

#[test]
fn a_call_in_which_nothing_happens_migrates_at_once() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(1_000);
    test.migrate();
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn an_answer_is_heard_to_its_end_first() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(2_000));
    test.hush(500);
    test.migrate();
    test.hush(1_400);
    assert_eq!(test.closed(), None);
    test.hush(200);
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn a_question_is_answered_first() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(600);
    test.agent(1, interim("what time is it"));
    test.migrate();
    test.hush(600);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.hush(800);
    assert_eq!(test.closed(), None);
    test.agent(1, answered(1_000));
    test.hush(1_100);
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn a_word_that_is_not_understood_yet_is_waited_for() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(2_000));
    test.migrate();
    test.hush(1_500);
    test.speak(300);
    test.hush(800);
    assert_eq!(test.closed(), None, "the prompt is over, and the agent has not said what it heard");
    test.utter(2, 0);
    assert_eq!(test.closed(), None);
    test.agent(2, answered(1_000));
    test.hush(1_100);
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn a_cough_to_which_nothing_comes_is_not_waited_for_longer_than_two_seconds() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.migrate();
    test.hush(1_900);
    assert_eq!(test.closed(), None);
    test.hush(200);
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn what_does_not_come_to_an_end_is_not_waited_for_longer_than_eight_seconds() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(60_000));
    test.migrate();
    test.hush(7_980);
    assert_eq!(test.closed(), None);
    test.migrate();
    test.hush(40);
    assert_eq!(test.closed(), Some(CloseReason::Migrated), "to be told twice gives no more time");
}

#[test]
fn a_call_migrates_before_the_platform_cuts_its_media_stream() {
    let mut test = TestCall::started(CallConfig { migrate_after_ms: 60_000, ..CallConfig::default() });
    test.hush(59_980);
    assert_eq!(test.closed(), None);
    test.hush(40);
    assert_eq!(test.closed(), Some(CloseReason::Migrated));
}

#[test]
fn a_call_that_is_being_handed_off_does_not_migrate() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, crate::test_call::goodbye(1_000));
    test.migrate();
    test.wait(1_100);
    assert!(test.update().is_some_and(|(at, _)| at.as_ms() == 1_000));
    test.updated(UpdateResult::Accepted);
    test.wait(9_000);
    assert_eq!(test.closed(), Some(CloseReason::HandedOff));
}

#[test]
fn after_the_last_moment_a_mark_that_times_out_then_is_not_reported() {
    let mut test = TestCall::started(starting_text());
    test.lose_marks();
    test.agent(1, answered(5_000));
    test.migrate();
    test.wait(8_000);
    assert!(
        matches!(test.outputs.last(), Some((_, Output::Close(CloseReason::Migrated)))),
        "{:?}",
        test.outputs.last()
    );
}
