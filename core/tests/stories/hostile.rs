//! Input that neither Twilio nor an agent sends: the call does not change, or ends with a reason.

use dialbridge_core::agent::{Answer, AnswerPart, ToolCall, Transcript, TurnInput};
use dialbridge_core::config::BargeInMode;
use dialbridge_core::error::{InputError, PeerFault};
use dialbridge_core::twilio::ParseError;
use dialbridge_core::{AgentEvent, CallConfig, CallSid, CloseReason, Input, Output, Report};

use crate::test_call::{TestCall, answered, empty, numbers, starting_text};

fn refused(result: Result<(), InputError>) -> PeerFault {
    match result {
        Err(InputError::PeerMisbehaved(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_message_is_refused_and_the_call_goes_on() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(40);
    let before = test.outputs.len();
    assert_eq!(refused(test.twilio("hello")), PeerFault::Message(ParseError::NotAMessage));
    assert_eq!(refused(test.feed(&Input::TwilioBinary)), PeerFault::BinaryFrame);
    let bad = r#"{"event":"media","media":{"payload":"A*"}}"#;
    assert_eq!(refused(test.twilio(bad)), PeerFault::Message(ParseError::Payload));
    let second = r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#;
    assert_eq!(refused(test.twilio(second)), PeerFault::SecondStart);
    assert_eq!(test.outputs.len(), before);
    test.speak(40);
    assert_eq!(numbers(&test.written(1)), [0, 1, 2, 3]);
}

#[test]
fn nothing_but_start_is_taken_before_start() {
    let mut test = TestCall::open(CallConfig::default());
    for text in [
        r#"{"event":"media","media":{"payload":"/w=="}}"#,
        r#"{"event":"mark","mark":{"name":"e0m1"}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#,
    ] {
        assert_eq!(refused(test.twilio(text)), PeerFault::BeforeStart);
    }
    assert!(test.outputs.is_empty());
}

#[test]
fn a_start_of_another_call_ends_the_media_stream() {
    let config = CallConfig { call_sid: Some(CallSid::new("CA7").unwrap()), ..CallConfig::default() };
    let test = TestCall::started(config);
    assert_eq!(test.closed(), Some(CloseReason::WrongCall));
    assert_eq!(test.count(|output| matches!(output, Output::Agent(..))), 0);
}

#[test]
fn a_start_with_ids_or_audio_that_are_not_twilios_is_refused() {
    let start = |call: &str, stream: &str, format: &str| {
        let mut test = TestCall::open(CallConfig::default());
        refused(test.twilio(&format!(
            r#"{{"event":"start","streamSid":"{stream}","start":{{"callSid":"{call}","mediaFormat":{format}}}}}"#
        )))
    };
    let telephone = r#"{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}"#;
    assert_eq!(start("../../x", "MZ1", telephone), PeerFault::BadIds);
    assert_eq!(start("CA1", "", telephone), PeerFault::BadIds);
    let wide = r#"{"encoding":"audio/x-l16","sampleRate":16000,"channels":1}"#;
    assert_eq!(start("CA1", "MZ1", wide), PeerFault::MediaFormat);
}

#[test]
fn events_of_the_future_are_reported_and_ignored() {
    let mut test = TestCall::started(CallConfig::default());
    let long = "x".repeat(500);
    test.twilio(&format!(r#"{{"event":"{long}"}}"#)).unwrap();
    let Some(Report::UnknownEvent { event }) = test.reports().last() else { panic!() };
    assert_eq!(event.len(), 40);
}

#[test]
fn marks_that_are_not_ours_change_nothing() {
    let mut test = TestCall::started(CallConfig::default());
    let before = test.outputs.len();
    for name in ["", "end_of_call", "e0m1", "e9m9", "e0m4294967296"] {
        test.twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)).unwrap();
    }
    assert_eq!(test.outputs.len(), before);
}

#[test]
fn frames_of_any_length_are_taken_as_they_are() {
    let mut test = TestCall::started(CallConfig::default());
    for payload in ["", "/w==", "//8=", "AQID"] {
        test.twilio(&format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)).unwrap();
    }
    assert_eq!(test.written(1), [0xFF, 0xFF, 0xFF, 1, 2, 3]);
}

#[test]
fn time_that_goes_back_is_taken_as_the_last_seen() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(9_000);
    test.now = test.now - 5_000;
    test.hush(100);
    assert_eq!(test.closed(), None);
    assert_eq!(numbers(&test.written(1)), (0..455).collect::<Vec<u16>>());
}

#[test]
fn an_agent_that_names_tools_without_end_fills_no_memory() {
    let mut test = TestCall::started(starting_text());
    for _ in 0..1_000 {
        let tool_calls = vec![ToolCall::default()];
        test.agent(
            1,
            AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, tool_calls, ..Answer::default() })),
        );
    }
    test.agent(1, empty());
    let mut told = 0;
    while matches!(test.opened_with(test.last_stream()), TurnInput::ToolResults(_)) {
        told += 1;
        test.agent(test.last_stream(), empty());
    }
    assert_eq!(told, 16);
}

#[test]
fn words_at_times_that_are_not_yet_are_taken_as_spoken_just_now() {
    for (start_ms, end_ms) in [(Some(u64::MAX), None), (None, Some(u64::MAX)), (Some(3_600_000), Some(3_600_000))] {
        let mut test = TestCall::started(starting_text());
        test.agent(1, answered(5_000));
        test.hush(1_000);
        let text = "stop".to_owned();
        test.agent(2, AgentEvent::Transcript(Transcript { text, start_ms, end_ms, ..Transcript::default() }));
        assert_eq!(test.clears(), 1);
    }
}

#[test]
fn a_voice_of_any_length_is_too_short_where_the_settings_say_so() {
    for (min_ms, clears) in [(u64::MAX, 0), (200, 1)] {
        let mut config = starting_text();
        config.barge_in.mode = BargeInMode::Voice;
        config.barge_in.min_ms = min_ms;
        let mut test = TestCall::started(config);
        test.agent(1, answered(5_000));
        test.speak(2_000);
        assert_eq!(test.clears(), clears);
    }
}
