//! What no Twilio and no agent sends: the call is unchanged, or ends with a reason.

use dialbridge_core::agent::{Answer, AnswerPart, ToolCall, Transcript, TurnInput};
use dialbridge_core::config::BargeInMode;
use dialbridge_core::error::{InputError, PeerFault};
use dialbridge_core::twilio::ParseError;
use dialbridge_core::{AgentEvent, CallConfig, CallSid, CloseReason, Input, Output, Report};

use crate::line::{Line, answered, empty, greeting_text, numbers};

fn refused(result: Result<(), InputError>) -> PeerFault {
    match result {
        Err(InputError::PeerMisbehaved(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_message_is_refused_and_the_call_goes_on() {
    let mut line = Line::started(CallConfig::default());
    line.speak(40);
    let before = line.outputs.len();
    assert_eq!(refused(line.twilio("hello")), PeerFault::Message(ParseError::NotAMessage));
    assert_eq!(refused(line.feed(&Input::TwilioBinary)), PeerFault::BinaryFrame);
    let bad = r#"{"event":"media","media":{"payload":"A*"}}"#;
    assert_eq!(refused(line.twilio(bad)), PeerFault::Message(ParseError::Payload));
    let second = r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#;
    assert_eq!(refused(line.twilio(second)), PeerFault::SecondStart);
    assert_eq!(line.outputs.len(), before);
    line.speak(40);
    assert_eq!(numbers(&line.written(1)), [0, 1, 2, 3]);
}

#[test]
fn nothing_but_start_is_taken_before_start() {
    let mut line = Line::open(CallConfig::default());
    for text in [
        r#"{"event":"media","media":{"payload":"/w=="}}"#,
        r#"{"event":"mark","mark":{"name":"e0m1"}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#,
    ] {
        assert_eq!(refused(line.twilio(text)), PeerFault::BeforeStart);
    }
    assert!(line.outputs.is_empty());
}

#[test]
fn a_start_of_another_call_ends_the_socket() {
    let config = CallConfig { call_sid: Some(CallSid::new("CA7").unwrap()), ..CallConfig::default() };
    let line = Line::started(config);
    assert_eq!(line.closed(), Some(CloseReason::WrongCall));
    assert_eq!(line.count(|output| matches!(output, Output::Agent(..))), 0);
}

#[test]
fn a_start_with_ids_or_audio_that_are_not_twilios_is_refused() {
    let start = |call: &str, stream: &str, format: &str| {
        let mut line = Line::open(CallConfig::default());
        refused(line.twilio(&format!(
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
    let mut line = Line::started(CallConfig::default());
    let long = "x".repeat(500);
    line.twilio(&format!(r#"{{"event":"{long}"}}"#)).unwrap();
    let Some(Report::UnknownEvent { event }) = line.reports().last() else { panic!() };
    assert_eq!(event.len(), 40);
}

#[test]
fn marks_that_are_not_ours_change_nothing() {
    let mut line = Line::started(CallConfig::default());
    let before = line.outputs.len();
    for name in ["", "end_of_call", "e0m1", "e9m9", "e0m4294967296"] {
        line.twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)).unwrap();
    }
    assert_eq!(line.outputs.len(), before);
}

#[test]
fn frames_of_any_length_are_taken_as_they_are() {
    let mut line = Line::started(CallConfig::default());
    for payload in ["", "/w==", "//8=", "AQID"] {
        line.twilio(&format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)).unwrap();
    }
    assert_eq!(line.written(1), [0xFF, 0xFF, 0xFF, 1, 2, 3]);
}

#[test]
fn time_that_goes_back_is_taken_as_the_last_seen() {
    let mut line = Line::started(CallConfig::default());
    line.hush(9_000);
    line.now = line.now - 5_000;
    line.hush(100);
    assert_eq!(line.closed(), None);
    assert_eq!(numbers(&line.written(1)), (0..455).collect::<Vec<u16>>());
}

#[test]
fn an_agent_that_names_tools_without_end_fills_no_memory() {
    let mut line = Line::started(greeting_text());
    for _ in 0..1_000 {
        let tool_calls = vec![ToolCall::default()];
        line.agent(
            1,
            AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, tool_calls, ..Answer::default() })),
        );
    }
    line.agent(1, empty());
    let mut told = 0;
    while matches!(line.opened_with(line.last_turn()), TurnInput::ToolResults(_)) {
        told += 1;
        line.agent(line.last_turn(), empty());
    }
    assert_eq!(told, 16);
}

#[test]
fn words_at_times_that_are_not_yet_are_taken_as_spoken_just_now() {
    for (start_ms, end_ms) in [(Some(u64::MAX), None), (None, Some(u64::MAX)), (Some(3_600_000), Some(3_600_000))] {
        let mut line = Line::started(greeting_text());
        line.agent(1, answered(5_000));
        line.hush(1_000);
        let text = "stop".to_owned();
        line.agent(2, AgentEvent::Transcript(Transcript { text, start_ms, end_ms, ..Transcript::default() }));
        assert_eq!(line.clears(), 1);
    }
}

#[test]
fn a_voice_of_any_length_is_too_short_where_the_settings_say_so() {
    for (least_ms, clears) in [(u64::MAX, 0), (200, 1)] {
        let mut config = greeting_text();
        config.barge_in.mode = BargeInMode::Voice;
        config.barge_in.least_ms = least_ms;
        let mut line = Line::started(config);
        line.agent(1, answered(5_000));
        line.speak(2_000);
        assert_eq!(line.clears(), clears);
    }
}
