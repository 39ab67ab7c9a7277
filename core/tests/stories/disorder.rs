//! What no agent of the Customer Engagement Suite should do, and one may: the call goes on, or ends in time.

use dialbridge_core::agent::TurnInput;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::line::{Line, digits, interim, numbers};
use crate::one_stream::{config, end_session, greeted, says, turn_completed};
use crate::trouble::fault;

#[test]
fn an_agent_that_sends_audio_for_ever_after_its_end_does_not_keep_the_call() {
    let mut line = greeted();
    line.agent(1, end_session());
    for _ in 0..400 {
        line.agent(1, says(200));
        line.hush(200);
    }
    let (at, twiml) = line.update().unwrap();
    assert!((60_000..63_000).contains(&at.as_ms()), "{at}");
    assert!(twiml.contains("VirtualAgentStatus=completed"));
}

#[test]
fn a_goodbye_of_most_of_a_minute_is_heard_to_its_end() {
    let mut line = Line::started(config());
    line.agent(1, end_session());
    for _ in 0..250 {
        line.agent(1, says(200));
        line.hush(200);
    }
    line.wait(1_100);
    assert!(line.update().is_some_and(|(at, _)| at.as_ms() >= 50_000));
    assert_eq!((line.played_ms(), line.clears()), (50_000, 0));
}

#[test]
fn a_caller_is_greeted_though_the_first_stream_took_longer_to_fail_than_a_greeting_may() {
    for text in [None, Some("hello".to_owned())] {
        let mut config = config();
        config.greeting.text = text;
        let mut line = Line::started(config);
        line.hush(10_000);
        line.agent(1, fault("UNAVAILABLE", true));
        line.hush(200);
        assert_eq!(line.opened_with(2), TurnInput::Event("session_start".to_owned()));
        line.agent(2, says(300));
        line.agent(2, turn_completed());
        line.hush(9_000);
        assert_eq!(line.commands(2).len(), 1, "and once: {:?}", line.commands(2));
    }
}

#[test]
fn a_starting_text_that_was_not_answered_is_sent_again() {
    let mut config = config();
    config.greeting.text = Some("hello".to_owned());
    let mut line = Line::started(config);
    line.agent(1, turn_completed());
    line.agent(1, fault("UNAVAILABLE", true));
    line.hush(200);
    assert_eq!(line.opened_with(2), TurnInput::Text("hello".to_owned()));
}

#[test]
fn keys_that_a_stream_has_not_answered_go_to_the_next_one() {
    let sent = |line: &Line, stream| {
        let sent = line.commands(stream).into_iter().filter_map(|command| match command {
            AgentCommand::Send(input) => Some(input),
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    for ends in [&[fault("UNAVAILABLE", true)][..], &[AgentEvent::GoAway, AgentEvent::Ended]] {
        let mut line = greeted();
        line.press("42#7#");
        ends.iter().for_each(|event| line.agent(1, event.clone()));
        line.hush(300);
        assert_eq!(sent(&line, 2), [digits("42", Some('#')), digits("7", Some('#'))]);
        line.agent(2, says(300));
        line.press("1#");
        line.agent(2, fault("UNAVAILABLE", true));
        line.hush(300);
        assert_eq!(sent(&line, 3), [digits("1", Some('#'))], "what was answered is not sent again");
    }
    let mut line = Line::started(config());
    line.press("1#");
    line.agent(1, fault("UNAVAILABLE", true));
    line.hush(300);
    assert_eq!(line.opened_with(2), TurnInput::Event("session_start".to_owned()));
    assert_eq!(sent(&line, 2), [digits("1", Some('#'))], "after what greets");
}

#[test]
fn a_stream_that_takes_all_and_never_says_anything_is_replaced_while_the_caller_speaks() {
    let mut line = Line::started(config());
    line.hush(9_000);
    line.speak(1_000);
    line.hush(14_000);
    assert_eq!(line.last_turn(), 1);
    line.hush(1_500);
    assert_eq!((line.commands(1).last(), line.last_turn()), (Some(&AgentCommand::Cancel), 2));
    assert_eq!(line.opened_with(2), TurnInput::Event("session_start".to_owned()));
    let again = numbers(&line.written(2));
    assert!(again[0] <= 450 && again.windows(2).all(|pair| pair[1] == pair[0] + 1), "{again:?}");

    let mut heeds_no_noise = greeted();
    heeds_no_noise.speak(60_000);
    assert_eq!(heeds_no_noise.last_turn(), 1, "what it takes for noise is no stall");
}

#[test]
fn of_a_turn_in_which_nobody_says_anything_nothing_is_told() {
    for last in [end_session(), AgentEvent::GoAway] {
        let mut line = greeted();
        line.agent(1, last);
        line.agent(1, AgentEvent::Ended);
        line.hush(500);
        assert_eq!(line.reports().filter(|report| matches!(report, Report::Stages(_))).count(), 1);
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
        let mut line = greeted();
        line.agent(1, says(3_000));
        line.agent(1, end_session());
        line.hush(500);
        line.press("1");
        line.agent(1, event.clone());
        line.wait(5_000);
        assert_eq!((line.clears(), line.last_turn()), (0, 1), "{event:?}");
        let (at, twiml) = line.update().unwrap();
        assert!(at.as_ms() >= 500 + 3_000 && twiml.contains("VirtualAgentStatus=completed"), "{event:?}, {at}");
    }
}

#[test]
fn a_greeting_in_whose_middle_the_stream_goes_away_is_not_asked_for_again() {
    for event in [AgentEvent::GoAway, fault("UNAVAILABLE", true)] {
        let mut line = Line::started(config());
        line.agent(1, says(400));
        line.agent(1, event);
        line.agent(1, AgentEvent::Ended);
        line.hush(500);
        assert_eq!(line.opened_with(2), TurnInput::Audio);
    }
}

#[test]
fn an_old_stream_is_not_replaced_while_a_prompt_plays_but_in_the_last_moment() {
    let of_a_minute = CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..config() };
    let half_closed = |line: &Line| line.commands(1).last() == Some(&AgentCommand::FinishInput);
    let mut line = Line::started(of_a_minute.clone());
    line.hush(45_000);
    line.agent(1, says(8_000));
    line.agent(1, turn_completed());
    line.hush(7_900);
    assert!(!half_closed(&line), "it would not learn of a barge-in");
    line.hush(300);
    assert!(half_closed(&line));
    let mut line = Line::started(of_a_minute);
    line.hush(45_000);
    line.speak(12_900);
    assert!(!half_closed(&line), "not in the middle of a sentence");
    line.speak(200);
    assert!(half_closed(&line));
}
