//! What a CES agent should not do but may: the call goes on, or ends in time.

use dialbridge_core::agent::TurnInput;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::session_stream::{config, end_session, greeted, says};
use crate::test_call::{TestCall, digits, empty, interim, numbers, with};

#[test]
fn an_agent_that_sends_audio_for_ever_after_its_end_does_not_keep_the_call() {
    let mut test = greeted();
    test.agent(1, end_session());
    for _ in 0..400 {
        test.agent(1, says(200));
        test.hush(200);
    }
    let (at, twiml) = test.update().unwrap();
    assert!((60_000..63_000).contains(&at.as_ms()), "{at}");
    assert!(twiml.contains("VirtualAgentStatus=completed"));
}

#[test]
fn a_goodbye_of_most_of_a_minute_is_heard_to_its_end() {
    let mut test = TestCall::started(config());
    test.agent(1, end_session());
    for _ in 0..250 {
        test.agent(1, says(200));
        test.hush(200);
    }
    test.wait(1_100);
    assert!(test.update().is_some_and(|(at, _)| at.as_ms() >= 50_000));
    assert_eq!((test.played_ms(), test.clears()), (50_000, 0));
}

#[test]
fn a_caller_is_greeted_though_the_first_stream_took_longer_to_fail_than_a_greeting_may() {
    for text in [None, Some("hello".to_owned())] {
        let mut test = TestCall::started(with(config(), |config| config.starting_input.text = text));
        test.hush(10_000);
        test.agent(1, fault("UNAVAILABLE", true));
        test.hush(200);
        assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
        test.agent_answers(2, 300);
        test.hush(9_000);
        assert_eq!(test.commands(2).len(), 1, "and once: {:?}", test.commands(2));
    }
}

#[test]
fn a_starting_text_that_was_not_answered_is_sent_again() {
    let mut test = TestCall::started(with(config(), |config| config.starting_input.text = Some("hello".to_owned())));
    test.agent(1, empty());
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(200);
    assert_eq!(test.opened_with(2), TurnInput::Text("hello".to_owned()));
}

#[test]
fn digits_that_a_stream_has_not_answered_go_to_the_next_one() {
    let sent = |test: &TestCall, stream| {
        let sent = test.commands(stream).into_iter().filter_map(|command| match command {
            AgentCommand::Send(input) => Some(input),
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    for ends in [&[fault("UNAVAILABLE", true)][..], &[AgentEvent::GoAway, AgentEvent::Ended]] {
        let mut test = greeted();
        test.press("42#7#");
        ends.iter().for_each(|event| test.agent(1, event.clone()));
        test.hush(300);
        assert_eq!(sent(&test, 2), [digits("42", Some('#')), digits("7", Some('#'))]);
        test.agent(2, says(300));
        test.press("1#");
        test.agent(2, fault("UNAVAILABLE", true));
        test.hush(300);
        assert_eq!(sent(&test, 3), [digits("1", Some('#'))], "what was answered is not sent again");
    }
    let mut test = TestCall::started(config());
    test.press("1#");
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(300);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    assert_eq!(sent(&test, 2), [digits("1", Some('#'))], "after what greets");
}

#[test]
fn a_stream_that_takes_all_and_never_says_anything_is_replaced_while_the_caller_speaks() {
    let mut test = TestCall::started(config());
    test.hush(9_000);
    test.speak(1_000);
    test.hush(14_000);
    assert_eq!(test.last_stream(), 1);
    test.hush(1_500);
    assert_eq!((test.commands(1).last(), test.last_stream()), (Some(&AgentCommand::Cancel), 2));
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    let again = numbers(&test.written(2));
    assert!(again[0] <= 450 && again.windows(2).all(|pair| pair[1] == pair[0] + 1), "{again:?}");

    let mut heeds_no_noise = greeted();
    heeds_no_noise.speak(60_000);
    assert_eq!(heeds_no_noise.last_stream(), 1, "what it takes for noise is no stall");
}

#[test]
fn a_turn_in_which_nobody_says_anything_is_not_reported() {
    for last in [end_session(), AgentEvent::GoAway] {
        let mut test = greeted();
        test.agent(1, last);
        test.agent(1, AgentEvent::Ended);
        test.hush(500);
        assert_eq!(test.reports().filter(|report| matches!(report, Report::Stages(_))).count(), 1);
    }
}

#[test]
fn nothing_cuts_a_goodbye() {
    for event in [
        AgentEvent::Interrupted { barge_in: true },
        AgentEvent::Interrupted { barge_in: false },
        AgentEvent::GoAway,
        end_session(),
        interim("but wait"),
        fault("UNAVAILABLE", true),
        AgentEvent::Ended,
    ] {
        let mut test = greeted();
        test.agent(1, says(3_000));
        test.agent(1, end_session());
        test.hush(500);
        test.press("1");
        test.agent(1, event.clone());
        test.wait(5_000);
        assert_eq!((test.clears(), test.last_stream()), (0, 1), "{event:?}");
        let (at, twiml) = test.update().unwrap();
        assert!(at.as_ms() >= 500 + 3_000 && twiml.contains("VirtualAgentStatus=completed"), "{event:?}, {at}");
    }
}

#[test]
fn a_starting_event_in_whose_answer_the_stream_goes_away_is_not_sent_again() {
    for event in [AgentEvent::GoAway, fault("UNAVAILABLE", true)] {
        let mut test = TestCall::started(config());
        test.agent(1, says(400));
        test.agent(1, event);
        test.agent(1, AgentEvent::Ended);
        test.hush(500);
        assert_eq!(test.opened_with(2), TurnInput::Audio);
    }
}

#[test]
fn an_old_stream_is_not_replaced_while_a_prompt_plays_but_in_the_last_moment() {
    let of_a_minute = CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..config() };
    let half_closed = |test: &TestCall| test.commands(1).last() == Some(&AgentCommand::HalfClose);
    let mut test = TestCall::started(of_a_minute.clone());
    test.hush(45_000);
    test.agent_answers(1, 8_000);
    test.hush(7_900);
    assert!(!half_closed(&test), "it would not learn of a barge-in");
    test.hush(300);
    assert!(half_closed(&test));
    let mut test = TestCall::started(of_a_minute);
    test.hush(45_000);
    test.speak(12_900);
    assert!(!half_closed(&test), "not in the middle of a sentence");
    test.speak(200);
    assert!(half_closed(&test));
}
