//! An agent with one stream for the whole call (CES).

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, ToolCall, TurnInput};
use dialbridge_core::config::{NoInput, StreamShape};
use dialbridge_core::report::InterruptedBy;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::line::{Line, digits, interim, numbers, prompt};
use crate::trouble::fault;

fn config() -> CallConfig {
    let mut config = CallConfig { shape: StreamShape::PerCall, audio_limit_ms: 0, ..CallConfig::default() };
    config.greeting.event = Some("session_start".to_owned());
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    config
}

fn says(ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt(ms)], ..Answer::default() }))
}

fn words(text: &str) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { text: text.to_owned(), ..Answer::default() }))
}

fn turn_completed() -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() }))
}

fn end_session() -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { end: Some(AgentEnd::EndInteraction), ..Answer::default() }))
}

/// A call whose agent has greeted the caller.
fn greeted() -> Line {
    let mut line = Line::started(config());
    line.agent(1, says(400));
    line.agent(1, turn_completed());
    line.hush(500);
    line
}

#[test]
fn the_stream_begins_with_the_kick_start_and_audio_follows_at_once() {
    let mut line = Line::started(config());
    assert_eq!(line.opened_with(1), TurnInput::Event("session_start".to_owned()));
    line.speak(200);
    assert_eq!(numbers(&line.written(1)), (0..10).collect::<Vec<u16>>());
    assert_eq!(line.commands(1).len(), 1, "nothing is half-closed");
}

#[test]
fn audio_goes_on_while_the_agent_answers_turn_after_turn() {
    let mut line = greeted();
    for _ in 0..3 {
        line.speak(400);
        line.agent(1, interim("two loaves"));
        line.hush(200);
        line.agent(1, words("Two "));
        line.agent(1, says(300));
        line.hush(100);
        line.agent(1, words("loaves."));
        line.agent(1, says(300));
        line.agent(1, turn_completed());
        line.hush(700);
    }
    assert_eq!(line.last_turn(), 1);
    assert_eq!(numbers(&line.written(1)), (0..25 + 3 * 70).collect::<Vec<u16>>());
    let told: Vec<_> = line
        .reports()
        .filter_map(|report| match report {
            Report::Answered { turn, query_text, text, audio_ms, .. } => {
                Some((turn.0, query_text.as_str(), text.as_str(), *audio_ms))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told[0], (1, "", "", 400));
    assert_eq!(told[1], (2, "two loaves", "Two loaves.", 600));
    assert_eq!(told.len(), 4);
}

#[test]
fn the_agent_says_when_its_words_are_interrupted() {
    for barge_in in [true, false] {
        let mut line = greeted();
        line.agent(1, says(5_000));
        line.hush(900);
        line.speak(300);
        line.agent(1, interim("stop"));
        assert_eq!(line.clears(), 0, "a transcript is the agent's business");
        line.agent(1, AgentEvent::Interrupted { barge_in });
        assert_eq!((line.clears(), line.is_playing()), (1, false));
        let by_agent = |report: &Report| matches!(report, Report::BargeIn { by: InterruptedBy::Agent, .. });
        assert!(line.reports().any(by_agent));
        line.agent(1, says(200));
        assert!(line.is_playing(), "what comes afterwards is the next answer");
    }
}

#[test]
fn an_answer_that_may_not_be_interrupted_protects_none_of_those_after_it() {
    let mut line = greeted();
    let payload = serde_json::json!({ "dialbridge": { "bargeIn": false } });
    line.agent(1, AgentEvent::Answer(Box::new(Answer { payloads: vec![payload], ..Answer::default() })));
    line.agent(1, says(2_000));
    line.hush(400);
    line.press("1");
    assert_eq!(line.clears(), 0);
    line.agent(1, turn_completed());
    line.hush(2_000);
    line.agent(1, says(2_000));
    line.hush(400);
    line.press("1");
    assert_eq!(line.clears(), 1);
}

#[test]
fn an_interruption_of_nothing_is_nothing() {
    let mut line = greeted();
    line.agent(1, AgentEvent::Interrupted { barge_in: true });
    assert_eq!(line.clears(), 0);
}

#[test]
fn keys_events_and_tool_refusals_go_in_between_the_audio() {
    let mut line = Line::started(CallConfig {
        no_input: NoInput { event: Some("SILENCE".to_owned()), after_ms: 4_000 },
        ..config()
    });
    line.agent(1, says(200));
    line.agent(1, turn_completed());
    line.press("42#");
    let call = ToolCall { tool: "tools/1".to_owned(), action: String::new() };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { tool_call: Some(call.clone()), ..Answer::default() })));
    line.agent(1, turn_completed());
    line.hush(5_000);
    let sent: Vec<_> = line
        .commands(1)
        .into_iter()
        .filter_map(|command| if let AgentCommand::Send(input) = command { Some(input) } else { None })
        .collect();
    assert_eq!(sent, [digits("42", Some('#')), TurnInput::ToolRefused(call), TurnInput::Event("SILENCE".to_owned())]);
    assert_eq!(line.last_turn(), 1);
}

#[test]
fn a_changed_parameter_goes_into_the_open_stream() {
    let mut config = config();
    config.barge_in.heard_parameter = Some("heard".to_owned());
    let mut line = Line::started(config);
    line.agent(1, says(5_000));
    line.hush(900);
    line.agent(1, AgentEvent::Interrupted { barge_in: true });
    let told = line.commands(1).into_iter().find_map(|command| match command {
        AgentCommand::Parameters(parameters) => Some(parameters),
        _ => None,
    });
    assert_eq!(told.unwrap()["heard"]["heardMs"], 800);
}

#[test]
fn a_stream_that_will_be_cut_is_replaced_and_nothing_is_lost_or_doubled() {
    let mut line = greeted();
    line.speak(300);
    line.agent(1, AgentEvent::GoAway);
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::FinishInput));
    line.speak(300);
    assert_eq!(line.last_turn(), 1, "the old one is waited for");
    line.agent(1, says(100));
    line.agent(1, AgentEvent::Ended);
    assert_eq!(line.opened_with(2), TurnInput::Audio, "no kick-start again");
    line.speak(200);
    let all: Vec<u8> = (1..=2).flat_map(|stream| line.written(stream)).collect();
    assert_eq!(numbers(&all), (0..65).collect::<Vec<u16>>());
    assert_eq!(line.played_ms(), 500, "what the old stream still said was played");
}

#[test]
fn a_stream_that_does_not_end_after_its_go_away_is_not_waited_for_longer_than_two_seconds() {
    let mut line = greeted();
    line.agent(1, AgentEvent::GoAway);
    line.hush(1_980);
    assert_eq!(line.last_turn(), 1);
    line.hush(40);
    assert_eq!((line.commands(1).last(), line.last_turn()), (Some(&AgentCommand::Cancel), 2));
    assert_eq!(line.reports().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 0);
}

#[test]
fn an_old_stream_is_replaced_in_a_pause() {
    let mut line = Line::started(CallConfig { audio_limit_ms: 60_000, rotation_margin_ms: 10_000, ..config() });
    line.hush(49_000);
    line.speak(3_000);
    line.agent(1, interim("a story"));
    assert_eq!(line.commands(1).last(), line.commands(1).first(), "not in the middle of a sentence");
    line.agent(1, turn_completed());
    line.hush(1_000);
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::FinishInput));
}

#[test]
fn a_stream_that_broke_is_replaced_with_what_was_not_answered() {
    let mut line = greeted();
    line.speak(400);
    line.agent(1, interim("two loaves"));
    line.agent(1, fault("UNAVAILABLE", true));
    line.speak(200);
    assert_eq!(line.opened_with(2), TurnInput::Audio);
    assert_eq!(numbers(&line.written(2)), (0..55).collect::<Vec<u16>>(), "a pre-roll, and then the words");
}

#[test]
fn a_kick_start_that_was_not_heard_is_sent_again_and_one_that_was_never() {
    let mut line = Line::started(config());
    line.agent(1, fault("UNAVAILABLE", true));
    line.wait(200);
    assert_eq!(line.opened_with(2), TurnInput::Event("session_start".to_owned()));
    line.agent(2, says(300));
    line.agent(2, fault("UNAVAILABLE", true));
    line.wait(200);
    assert_eq!(line.opened_with(3), TurnInput::Audio);
}

#[test]
fn a_clean_close_without_an_end_is_a_stream_that_broke() {
    let mut line = greeted();
    line.agent(1, AgentEvent::Ended);
    line.wait(200);
    assert_eq!((line.last_turn(), line.update()), (2, None));
}

#[test]
fn after_the_end_of_the_session_the_remaining_words_are_heard_before_the_hand_off() {
    let mut line = greeted();
    line.agent(1, says(500));
    line.agent(1, end_session());
    line.speak(300);
    assert_eq!(line.written(1).len(), 500 * 8, "nothing is listened for any more");
    line.agent(1, says(1_000));
    line.agent(1, turn_completed());
    line.wait(1_150);
    assert_eq!(line.update(), None);
    line.wait(200);
    assert!(line.update().unwrap().1.contains("VirtualAgentStatus=completed"));
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::Done));
}

#[test]
fn an_agent_that_says_no_more_after_its_end_is_not_waited_for_for_ever() {
    let mut line = greeted();
    line.agent(1, end_session());
    line.wait(990);
    assert_eq!(line.update(), None);
    line.wait(20);
    assert!(line.update().is_some());
}

#[test]
fn an_answer_that_never_comes_is_a_stall() {
    let mut line = greeted();
    line.speak(400);
    line.agent(1, interim("hello"));
    line.hush(30_200);
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::Cancel));
    assert_eq!(line.last_turn(), 2);
}
