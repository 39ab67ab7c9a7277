//! Twilio's frames stop in the middle of a word, and come in a burst some seconds later.

use dialbridge_core::agent::TurnInput;
use dialbridge_core::config::NoInput;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::session_stream::{end_session, greeted};
use crate::test_call::{TestCall, answered, interim, numbers, starting_text, with};

#[test]
fn a_stall_in_the_middle_of_a_word_is_one_utterance_for_an_agent_that_hears_turn_by_turn() {
    for stall_ms in [700, 1_500, 3_000] {
        let no_input = NoInput { event: Some("NO_INPUT".to_owned()), after_ms: 500 };
        let mut test = TestCall::started(with(starting_text(), |config| config.no_input = no_input));
        test.agent(1, answered(400));
        test.hush(300);
        test.speak(300);
        // The agent has understood nothing yet: that the caller speaks is known from his audio alone.
        test.wait(stall_ms);
        assert_eq!(test.commands(2).len(), 1, "{stall_ms}: nothing ends the utterance");
        test.speech_arrives(stall_ms);
        test.speak(300);
        test.agent(2, interim("two loaves"));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose));
        test.agent(2, answered(400));
        assert_eq!((test.opened_with(2), test.opened_with(3)), (TurnInput::Audio, TurnInput::Audio));
        let frames = numbers(&test.written(2));
        assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + 1), "{stall_ms}: one after the other");
        assert!(!test.reports().any(|report| matches!(report, Report::NoInput { .. } | Report::TurnFailed { .. })));
    }
}

#[test]
fn a_session_is_told_when_the_caller_is_in_the_middle_of_a_word() {
    let mut test = greeted();
    assert_eq!(test.caller_speaks(1), [false; 0]);
    test.speak(300);
    assert_eq!(test.caller_speaks(1), [true]);
    test.wait(3_000);
    assert_eq!(test.caller_speaks(1), [true], "a stall changes nothing");
    test.speech_arrives(3_000);
    test.hush(900);
    assert_eq!(test.caller_speaks(1), [true], "a pause may be a part of it");
    test.hush(200);
    assert_eq!(test.caller_speaks(1), [true, false]);
    assert_eq!(test.last_stream(), 1);
}

#[test]
fn after_the_agents_part_no_audio_is_waited_for() {
    let mut test = greeted();
    test.speak(300);
    test.agent(1, end_session());
    assert_eq!(test.caller_speaks(1), [true, false]);
    test.speak(300);
    assert_eq!(test.caller_speaks(1), [true, false]);
}

#[test]
fn another_stream_is_told_anew() {
    let mut test = greeted();
    test.speak(300);
    test.agent(1, AgentEvent::Ended);
    test.wait(300);
    assert_eq!((test.last_stream(), test.caller_speaks(2)), (2, vec![true]), "although no frame has come since");
}

#[test]
fn an_agent_that_hears_turn_by_turn_is_told_nothing() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(300);
    test.hush(2_000);
    assert_eq!(test.caller_speaks(1), [false; 0]);
}
