//! How calls end.

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, CloseReason, Input, Output, Report, UpdateResult};

use crate::line::{Line, answer, answered, goodbye, greeting_text, interim};

const STOP: &str = r#"{"event":"stop","sequenceNumber":"9","streamSid":"MZ1","stop":{"callSid":"CA1"}}"#;

fn with_url() -> CallConfig {
    let mut config = greeting_text();
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    config
}

#[test]
fn the_goodbye_is_heard_in_full_before_the_call_is_handed_on() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(2_000));
    line.hush(1_900);
    assert_eq!(line.update(), None);
    line.hush(200);
    let (at, twiml) = line.update().unwrap();
    assert_eq!(at.as_ms(), 2_000);
    assert!(twiml.contains("https://example.com/next?dialogflowJSON="));
}

#[test]
fn from_the_ending_message_on_there_is_no_listening_and_no_barge_in() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(2_000));
    line.speak(1_000);
    line.agent(1, interim("wait"));
    assert_eq!((line.clears(), line.last_turn()), (0, 1));
    line.hush(1_200);
    assert!(line.update().is_some());
}

#[test]
fn nothing_to_say_counts_as_heard() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    assert!(line.update().is_some());
}

#[test]
fn a_goodbye_that_comes_in_pieces_is_heard_whole() {
    let mut line = Line::started(with_url());
    let end = Answer { part: AnswerPart::Open, end: Some(AgentEnd::EndInteraction), ..answer(0) };
    line.agent(1, AgentEvent::Answer(Box::new(end)));
    line.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(700) })));
    line.agent(1, AgentEvent::Ended);
    assert_eq!(line.update(), None);
    line.wait(800);
    assert_eq!(line.update().unwrap().0.as_ms(), 700);
}

#[test]
fn a_goodbye_whose_mark_never_comes_back_ends_when_its_time_is_over() {
    let mut line = Line::started(with_url());
    line.lose_marks();
    line.agent(1, goodbye(1_000));
    line.wait(10_000);
    assert_eq!(line.update().unwrap().0.as_ms(), 4_000);
}

#[test]
fn after_an_accepted_update_the_call_waits_for_stop() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    line.updated(UpdateResult::Accepted);
    assert_eq!(line.closed(), None);
    line.twilio(STOP).unwrap();
    assert_eq!(line.closed(), Some(CloseReason::Stop));
}

#[test]
fn a_stop_that_does_not_follow_the_update_is_not_waited_for_longer_than_five_seconds() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    line.updated(UpdateResult::Accepted);
    line.wait(4_999);
    assert_eq!(line.closed(), None);
    line.wait(1);
    assert_eq!(line.closed(), Some(CloseReason::HandedOff));
}

#[test]
fn where_no_update_can_be_made_the_socket_is_closed_for_the_action_to_go_on() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    line.updated(UpdateResult::Impossible);
    assert_eq!(line.closed(), Some(CloseReason::NotUpdated));
}

#[test]
fn an_update_that_nobody_answers_ends_as_one_that_cannot_be_made() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    line.wait(30_000);
    assert_eq!(line.closed(), Some(CloseReason::NotUpdated));
}

#[test]
fn a_call_that_is_gone_at_twilio_is_simply_over() {
    let mut line = Line::started(with_url());
    line.agent(1, goodbye(0));
    line.updated(UpdateResult::CallGone);
    assert_eq!(line.closed(), Some(CloseReason::CallGone));
}

#[test]
fn a_person_is_asked_for_with_the_agents_metadata() {
    let mut line = Line::started(with_url());
    let end = AgentEnd::LiveAgentHandoff { metadata: serde_json::json!({ "queue": "bread" }) };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { end: Some(end), ..answer(0) })));
    assert!(line.update().unwrap().1.contains("VirtualAgentStatus=live-agent-handoff"));
}

#[test]
fn a_caller_who_hangs_up_while_an_answer_is_on_its_way_is_an_ordinary_end() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(100));
    line.speak(400);
    line.agent(2, AgentEvent::EndOfUtterance);
    line.twilio(STOP).unwrap();
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(line.closed(), Some(CloseReason::Stop));
    let before = line.outputs.len();
    line.agent(2, answered(1_000));
    assert_eq!(line.outputs.len(), before);
}

#[test]
fn a_socket_that_closes_without_stop_ends_the_call_too() {
    let mut line = Line::started(greeting_text());
    line.feed(&Input::TwilioClosed).unwrap();
    assert_eq!(line.closed(), Some(CloseReason::SocketClosed));
}

#[test]
fn after_close_nothing_comes_out_and_nothing_is_waited_for() {
    let mut line = Line::started(greeting_text());
    line.twilio(STOP).unwrap();
    assert!(line.call.is_closed());
    let before = line.outputs.len();
    line.agent(1, answered(1_000));
    line.speak(200);
    line.feed(&Input::Timeout).unwrap();
    line.feed(&Input::TwilioClosed).unwrap();
    assert_eq!(line.outputs.len(), before);
    assert_eq!(line.call.poll_timeout(), None);
}

#[test]
fn the_last_report_accounts_for_every_byte_of_the_callers() {
    let mut line = Line::started(greeting_text());
    line.speak(600);
    line.agent(1, answered(100));
    line.speak(400);
    line.agent(2, AgentEvent::EndOfUtterance);
    line.speak(200);
    line.twilio(STOP).unwrap();
    let Some(Report::Ended { audio, .. }) = line.reports().last() else { panic!() };
    assert_eq!((audio.received, audio.written, audio.left), (1_200 * 8, 1_000 * 8, 200 * 8));
    assert_eq!(audio.received, audio.written + audio.dropped + audio.after_end + audio.left);
}

#[test]
fn a_call_without_start_is_closed() {
    let mut line = Line::open(CallConfig::default());
    line.wait(10_000);
    assert_eq!(line.closed(), Some(CloseReason::NoStart));
    assert_eq!(line.count(|output| matches!(output, Output::Agent(..))), 0);
}

#[test]
fn a_socket_over_which_not_even_silence_comes_is_closed() {
    let mut line = Line::started(greeting_text());
    line.speak(20_000);
    line.wait(29_980);
    assert_eq!(line.closed(), None);
    line.wait(40);
    assert_eq!(line.closed(), Some(CloseReason::NoFrames));
}

#[test]
fn what_we_asked_ourselves_is_not_told_as_the_callers_words() {
    let mut line = Line::started(with_url());
    let greeted = Answer { query_text: "hi".to_owned(), end: Some(AgentEnd::EndInteraction), ..answer(100) };
    line.agent(1, AgentEvent::Answer(Box::new(greeted)));
    line.hush(200);
    let (_, twiml) = line.update().unwrap();
    assert!(twiml.contains("%22queryText%22%3A%22%22"), "{twiml}");
}
