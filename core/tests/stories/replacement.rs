//! A stream that another one carries on (CES): the server will cut it, or it is near the most audio that it takes.

use dialbridge_core::agent::TurnInput;
use dialbridge_core::config::Clip;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::session_stream::{config, greeted, says, words};
use crate::test_call::{TestCall, empty, interim, numbers};

#[test]
fn a_stream_that_will_be_cut_is_replaced_and_nothing_is_lost_or_doubled() {
    let mut test = greeted();
    test.speak(300);
    test.agent(1, AgentEvent::GoAway);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.speak(300);
    assert_eq!(test.last_stream(), 1, "the old one is waited for");
    test.agent(1, says(100));
    test.agent(1, AgentEvent::Ended);
    assert_eq!(test.opened_with(2), TurnInput::Audio, "no kick-start again");
    test.speak(200);
    let all: Vec<u8> = (1..=2).flat_map(|stream| test.written(stream)).collect();
    assert_eq!(numbers(&all), (0..65).collect::<Vec<u16>>());
    assert_eq!(test.played_ms(), 500, "what the old stream still said was played");
}

#[test]
fn words_that_a_replaced_stream_has_left_unanswered_are_said_again() {
    for ends in [true, false] {
        let mut test = greeted();
        test.hush(1_000);
        test.speak(400);
        test.agent(1, interim("two"));
        test.agent(1, AgentEvent::GoAway);
        test.speak(300);
        if ends {
            test.agent(1, AgentEvent::Ended)
        } else {
            test.hush(2_100)
        }
        let second = numbers(&test.written(2));
        assert!(second.first().is_some_and(|first| *first <= 75), "from before the words on: {:?}", second.first());
        assert!(second.windows(2).all(|pair| pair[1] == pair[0] + 1) && *second.last().unwrap() >= 109);
    }
}

#[test]
fn a_kick_start_that_a_replaced_stream_has_left_unanswered_goes_to_the_next_one() {
    for ends in [true, false] {
        let mut test = TestCall::started(config());
        test.agent(1, AgentEvent::GoAway);
        if ends {
            test.agent(1, AgentEvent::Ended);
            test.wait(200);
        } else {
            test.hush(2_100);
        }
        assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
        let unanswered = |report: &Report| matches!(report, Report::StartingEventUnanswered { .. });
        assert_eq!(test.reports().filter(|report| unanswered(report)).count(), 0);
    }
}

#[test]
fn a_stream_that_does_not_end_after_its_go_away_is_not_waited_for_longer_than_two_seconds() {
    let mut test = greeted();
    test.agent(1, AgentEvent::GoAway);
    test.hush(1_980);
    assert_eq!(test.last_stream(), 1);
    test.hush(40);
    assert_eq!((test.commands(1).last(), test.last_stream()), (Some(&AgentCommand::Cancel), 2));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 0);
}

#[test]
fn a_half_closed_stream_that_speaks_on_and_does_not_end_is_not_waited_for_without_end() {
    let mut test = TestCall::started(CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..config() });
    test.agent(1, empty());
    test.hush(50_500);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.agent(1, words("Are you still there?"));
    test.hush(1_980);
    assert_eq!(test.last_stream(), 1, "the rest may come");
    test.hush(40);
    assert_eq!((test.commands(1).last(), test.last_stream()), (Some(&AgentCommand::Cancel), 2));
}

#[test]
fn a_go_away_that_is_said_again_and_again_gives_the_stream_no_more_time() {
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, words("Two "));
    test.agent(1, AgentEvent::GoAway);
    test.hush(1_500);
    test.agent(1, AgentEvent::GoAway);
    test.hush(520);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
}

#[test]
fn parameters_that_a_replaced_stream_did_not_confirm_go_to_the_next_one() {
    for end in [AgentEvent::Ended, fault("UNAVAILABLE", true)] {
        let mut test = TestCall::started(config());
        test.agent(1, AgentEvent::GoAway);
        test.agent(1, end);
        test.wait(250);
        assert_eq!(test.start_of(2).parameters["shop"], "north");
    }
}

#[test]
fn an_old_stream_is_replaced_in_a_pause() {
    let mut test = TestCall::started(CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..config() });
    test.hush(49_000);
    test.speak(3_000);
    test.agent(1, interim("a story"));
    assert_eq!(test.commands(1).last(), test.commands(1).first(), "not in the middle of a sentence");
    test.agent(1, empty());
    test.hush(1_000);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
}

#[test]
fn what_the_agent_is_saying_when_its_stream_is_to_go_away_is_waited_for() {
    for ends in [empty(), AgentEvent::Ended, fault("UNAVAILABLE", true)] {
        let mut test = greeted();
        test.speak(300);
        test.agent(1, says(300));
        test.agent(1, AgentEvent::GoAway);
        assert_ne!(test.commands(1).last(), Some(&AgentCommand::HalfClose), "not half-closed in its middle");
        test.hush(100);
        test.agent(1, says(200));
        test.agent(1, ends.clone());
        if ends == empty() {
            assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
            test.agent(1, AgentEvent::Ended);
        }
        test.hush(1_000);
        assert_eq!((test.last_stream(), test.opened_with(2)), (2, TurnInput::Audio));
        assert_eq!(test.played_ms(), 400 + 500);
        assert_eq!(test.reports().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 0);
    }
    let mut test = greeted();
    test.agent(1, says(300));
    test.agent(1, AgentEvent::GoAway);
    test.hush(2_020);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose), "but not for ever");
}

#[test]
fn a_stream_that_breaks_after_its_go_away_is_replaced_and_has_not_failed() {
    let mut test = greeted();
    test.hush(1_000);
    test.agent(1, AgentEvent::GoAway);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(20);
    assert_eq!((test.last_stream(), test.opened_with(2)), (2, TurnInput::Audio));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 0);
}

#[test]
fn an_agent_whose_streams_are_to_go_away_as_soon_as_they_open_has_failed_in_the_end() {
    let mut test = TestCall::started(config());
    let mut gone = 0;
    for _ in 0..1_000 {
        let stream = test.last_stream();
        if stream > gone {
            test.agent(stream, AgentEvent::GoAway);
            test.agent(stream, AgentEvent::Ended);
            gone = stream;
        }
        test.hush(100);
    }
    assert!(test.update().unwrap().1.contains("VirtualAgentStatus=failed"));
    assert!(test.last_stream() < 60);
}

#[test]
fn a_caller_who_waits_for_the_answer_of_a_half_closed_stream_hears_the_filler() {
    let mut config = config();
    config.fillers.thinking = Some(Clip(vec![0x33; 3_200].into()));
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, AgentEvent::GoAway);
    test.hush(1_500);
    assert_eq!(test.reports().filter(|report| matches!(report, Report::Filler { .. })).count(), 1);
}
