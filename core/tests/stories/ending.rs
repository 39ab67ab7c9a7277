//! How calls end.

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, CloseReason, Input, Output, Report, UpdateResult};

use crate::test_call::{TestCall, answer, answered, goodbye, interim, starting_text, with};

const STOP: &str = r#"{"event":"stop","sequenceNumber":"9","streamSid":"MZ1","stop":{"callSid":"CA1"}}"#;

fn with_url() -> CallConfig {
    with(starting_text(), |config| config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned()))
}

#[test]
fn the_goodbye_is_played_in_full_before_the_hand_off() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(2_000));
    test.hush(1_900);
    assert_eq!(test.update(), None);
    test.hush(200);
    let (at, twiml) = test.update().unwrap();
    assert_eq!(at.as_ms(), 2_000);
    assert!(twiml.contains("https://example.com/next?dialogflowJSON="));
}

#[test]
fn from_the_ending_message_on_there_is_no_listening_and_no_barge_in() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(2_000));
    test.speak(1_000);
    test.agent(1, interim("wait"));
    assert_eq!((test.clears(), test.last_stream()), (0, 1));
    test.hush(1_200);
    assert!(test.update().is_some());
}

#[test]
fn nothing_to_say_counts_as_heard() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    assert!(test.update().is_some());
}

#[test]
fn a_goodbye_that_comes_in_pieces_is_heard_whole() {
    let mut test = TestCall::started(with_url());
    let end = Answer { part: AnswerPart::Open, end: Some(AgentEnd::EndInteraction), ..answer(0) };
    test.agent(1, AgentEvent::Answer(Box::new(end)));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(700) })));
    test.agent(1, AgentEvent::Ended);
    assert_eq!(test.update(), None);
    test.wait(800);
    assert_eq!(test.update().unwrap().0.as_ms(), 700);
}

#[test]
fn a_goodbye_whose_mark_never_comes_back_ends_when_its_time_is_over() {
    let mut test = TestCall::started(with_url());
    test.lose_marks();
    test.agent(1, goodbye(1_000));
    test.wait(10_000);
    assert_eq!(test.update().unwrap().0.as_ms(), 4_000);
}

#[test]
fn after_an_accepted_update_the_call_waits_for_stop() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    test.updated(UpdateResult::Accepted);
    assert_eq!(test.closed(), None);
    test.twilio(STOP).unwrap();
    assert_eq!(test.closed(), Some(CloseReason::Stop));
}

#[test]
fn a_stop_that_does_not_follow_the_update_is_not_waited_for_longer_than_five_seconds() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    test.updated(UpdateResult::Accepted);
    test.wait(4_999);
    assert_eq!(test.closed(), None);
    test.wait(1);
    assert_eq!(test.closed(), Some(CloseReason::HandedOff));
}

#[test]
fn where_no_update_can_be_made_the_media_stream_is_closed_for_the_action_to_go_on() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    test.updated(UpdateResult::Impossible);
    assert_eq!(test.closed(), Some(CloseReason::NotUpdated));
}

#[test]
fn an_update_that_nobody_answers_ends_as_one_that_cannot_be_made() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    test.wait(30_000);
    assert_eq!(test.closed(), Some(CloseReason::NotUpdated));
}

#[test]
fn a_call_that_is_gone_at_twilio_is_simply_over() {
    let mut test = TestCall::started(with_url());
    test.agent(1, goodbye(0));
    test.updated(UpdateResult::CallGone);
    assert_eq!(test.closed(), Some(CloseReason::CallGone));
}

#[test]
fn a_person_is_asked_for_with_the_agents_metadata() {
    let mut test = TestCall::started(with_url());
    let end = AgentEnd::LiveAgentHandoff { metadata: serde_json::json!({ "queue": "bread" }) };
    test.agent(1, AgentEvent::Answer(Box::new(Answer { end: Some(end), ..answer(0) })));
    assert!(test.update().unwrap().1.contains("VirtualAgentStatus=live-agent-handoff"));
}

#[test]
fn a_caller_who_hangs_up_while_an_answer_is_on_its_way_is_an_ordinary_end() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(100));
    test.utter(2, 400);
    test.twilio(STOP).unwrap();
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.closed(), Some(CloseReason::Stop));
    let before = test.outputs.len();
    test.agent(2, answered(1_000));
    assert_eq!(test.outputs.len(), before);
}

#[test]
fn a_media_stream_that_closes_without_stop_ends_the_call_too() {
    let mut test = TestCall::started(starting_text());
    test.feed(&Input::TwilioClosed).unwrap();
    assert_eq!(test.closed(), Some(CloseReason::MediaStreamClosed));
}

#[test]
fn after_close_nothing_comes_out_and_nothing_is_waited_for() {
    let mut test = TestCall::started(starting_text());
    test.twilio(STOP).unwrap();
    assert!(test.call.is_closed());
    let before = test.outputs.len();
    test.agent(1, answered(1_000));
    test.speak(200);
    test.feed(&Input::Timeout).unwrap();
    test.feed(&Input::TwilioClosed).unwrap();
    assert_eq!(test.outputs.len(), before);
    assert_eq!(test.call.poll_timeout(), None);
}

#[test]
fn the_last_report_accounts_for_every_byte_of_the_callers() {
    let mut test = TestCall::started(starting_text());
    test.speak(600);
    test.agent(1, answered(100));
    test.utter(2, 400);
    test.speak(200);
    test.twilio(STOP).unwrap();
    let Some(Report::Ended { audio, .. }) = test.reports().last() else { panic!() };
    assert_eq!((audio.received, audio.written, audio.left), (1_200 * 8, 1_000 * 8, 200 * 8));
    assert_eq!(audio.received, audio.written + audio.dropped + audio.after_end + audio.left);
}

#[test]
fn a_call_without_start_is_closed() {
    let mut test = TestCall::open(CallConfig::default());
    test.wait(10_000);
    assert_eq!(test.closed(), Some(CloseReason::NoStart));
    assert_eq!(test.count(|output| matches!(output, Output::Agent(..))), 0);
}

#[test]
fn a_media_stream_that_is_taken_over_or_not_read_closes_with_that_reason() {
    for (input, reason) in [(Input::TakenOver, CloseReason::TakenOver), (Input::NotReading, CloseReason::NotReading)] {
        let mut test = TestCall::started(starting_text());
        test.feed(&input).unwrap();
        assert_eq!((test.closed(), test.update()), (Some(reason), None));
        assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    }
}

#[test]
fn a_media_stream_without_frames_is_closed() {
    let mut test = TestCall::started(starting_text());
    test.speak(20_000);
    test.wait(29_980);
    assert_eq!(test.closed(), None);
    test.wait(40);
    assert_eq!(test.closed(), Some(CloseReason::NoFrames));
}

#[test]
fn what_we_asked_ourselves_is_not_told_as_the_callers_words() {
    let mut test = TestCall::started(with_url());
    let greeted = Answer { query_text: "hi".to_owned(), end: Some(AgentEnd::EndInteraction), ..answer(100) };
    test.agent(1, AgentEvent::Answer(Box::new(greeted)));
    test.hush(200);
    let (_, twiml) = test.update().unwrap();
    assert!(twiml.contains("%22queryText%22%3A%22%22"), "{twiml}");
}

#[test]
fn a_call_without_room_gets_its_twiml_and_the_agent_never_hears_of_it() {
    let busy = "<Response><Say>All our lines are busy</Say></Response>";
    let mut test = TestCall::started(CallConfig { busy: Some(busy.to_owned()), ..CallConfig::default() });
    test.speak(200);
    test.feed(&Input::Admitted(false)).unwrap();
    assert_eq!(test.update().unwrap().1, busy);
    assert_eq!(test.reports().collect::<Vec<_>>(), [&Report::TurnedAway]);
    test.updated(UpdateResult::Accepted);
    test.speak(200);
    test.twilio(r#"{"event":"stop"}"#).unwrap();
    assert_eq!((test.closed(), test.last_stream()), (Some(CloseReason::Stop), 0));
}

#[test]
fn a_call_without_room_that_cannot_be_updated_goes_on_through_connect_action() {
    let mut test = TestCall::started(CallConfig { busy: Some("<Response/>".to_owned()), ..CallConfig::default() });
    test.feed(&Input::Admitted(false)).unwrap();
    test.updated(UpdateResult::Impossible);
    assert_eq!(test.closed(), Some(CloseReason::NotUpdated));
}
