//! An agent with one stream for the whole call (CES).

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, ToolOutcome, ToolResult, Transfer, TurnInput};
use dialbridge_core::config::{BargeInMode, Clip, NoInput, StreamShape};
use dialbridge_core::report::BargeInBy;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report, TurnId};
use serde_json::{Map, Value, json};

use crate::failures::fault;
use crate::test_call::{TestCall, digits, empty, interim, numbers, prompt, with};
use crate::tools::{call, wants};

pub(crate) fn config() -> CallConfig {
    let mut config = CallConfig { shape: StreamShape::PerSession, audio_limit_ms: 0, ..CallConfig::default() };
    config.starting_input.event = Some("session_start".to_owned());
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    config
}

pub(crate) fn says(ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt(ms)], ..Answer::default() }))
}

pub(crate) fn words(text: &str) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { text: text.to_owned(), ..Answer::default() }))
}

pub(crate) fn end_session() -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { end: Some(AgentEnd::EndInteraction), ..Answer::default() }))
}

/// A call whose agent has greeted the caller.
pub(crate) fn greeted() -> TestCall {
    let mut test = TestCall::started(config());
    test.agent_answers(1, 400);
    test.hush(500);
    test
}

#[test]
fn the_stream_begins_with_the_kick_start_and_audio_follows_at_once() {
    let mut test = TestCall::started(config());
    assert_eq!(test.opened_with(1), TurnInput::Event("session_start".to_owned()));
    test.speak(200);
    assert_eq!(numbers(&test.written(1)), (0..10).collect::<Vec<u16>>());
    assert_eq!(test.commands(1).len(), 1, "nothing is half-closed");
}

#[test]
fn audio_goes_on_while_the_agent_answers_turn_after_turn() {
    let mut test = greeted();
    for _ in 0..3 {
        test.speak(400);
        test.agent(1, interim("two loaves"));
        test.hush(200);
        test.agent(1, words("Two "));
        test.agent(1, says(300));
        test.hush(100);
        test.agent(1, words("loaves."));
        test.agent_answers(1, 300);
        test.hush(700);
    }
    assert_eq!(test.last_stream(), 1);
    assert_eq!(numbers(&test.written(1)), (0..25 + 3 * 70).collect::<Vec<u16>>());
    let told: Vec<_> = test
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
        let mut test = greeted();
        test.agent(1, says(5_000));
        test.hush(900);
        test.speak(300);
        test.agent(1, interim("stop"));
        assert_eq!(test.clears(), 0, "a transcript is the agent's business");
        test.agent(1, AgentEvent::Interrupted { barge_in });
        assert_eq!((test.clears(), test.is_playing()), (1, false));
        let by_agent = |report: &Report| matches!(report, Report::BargeIn { by: BargeInBy::Agent, .. });
        assert!(test.reports().any(by_agent));
        test.agent(1, says(200));
        assert!(test.is_playing(), "what comes afterwards is the next answer");
    }
}

#[test]
fn a_caller_does_not_stop_what_may_not_be_interrupted_and_a_newer_answer_does() {
    let protected = Answer {
        payloads: vec![json!({ "dialbridge": { "bargeIn": false } })],
        prompts: vec![prompt(5_000)],
        ..Answer::default()
    };
    let off = || with(config(), |config| config.barge_in.mode = BargeInMode::Off);
    for (config, says) in [(config(), AgentEvent::Answer(Box::new(protected))), (off(), says(5_000))] {
        let mut test = TestCall::started(config);
        test.agent(1, says);
        test.hush(900);
        test.agent(1, AgentEvent::Interrupted { barge_in: true });
        assert_eq!((test.clears(), test.is_playing()), (0, true));
        test.agent(1, AgentEvent::Interrupted { barge_in: false });
        assert_eq!((test.clears(), test.is_playing()), (1, false));
    }
}

#[test]
fn an_answer_that_may_not_be_interrupted_protects_none_of_those_after_it() {
    let mut test = greeted();
    let payload = json!({ "dialbridge": { "bargeIn": false } });
    test.agent(1, AgentEvent::Answer(Box::new(Answer { payloads: vec![payload], ..Answer::default() })));
    test.agent(1, says(2_000));
    test.hush(400);
    test.press("1");
    assert_eq!(test.clears(), 0);
    test.agent(1, empty());
    test.hush(2_000);
    test.agent(1, says(2_000));
    test.hush(400);
    test.press("1");
    assert_eq!(test.clears(), 1);
}

#[test]
fn an_interruption_of_nothing_is_nothing() {
    let mut test = greeted();
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, says(300));
    test.hush(400);
    assert_eq!((test.played_ms(), test.clears()), (700, 0), "the next answer is played");
    assert!(!test.reports().any(|report| matches!(report, Report::BargeIn { .. })));
}

#[test]
fn digits_events_and_tool_refusals_go_in_between_the_audio() {
    let mut test = TestCall::started(CallConfig {
        no_input: NoInput { event: Some("SILENCE".to_owned()), after_ms: 4_000 },
        ..config()
    });
    test.agent_answers(1, 200);
    test.press("42#");
    test.agent(1, wants(&["tools/1", "tools/2"]));
    test.agent(1, empty());
    test.hush(5_000);
    let sent: Vec<_> = test
        .commands(1)
        .into_iter()
        .filter_map(|command| if let AgentCommand::Send(input) = command { Some(input) } else { None })
        .collect();
    let refused = ["tools/1", "tools/2"].map(|tool| ToolResult { call: call(tool), outcome: ToolOutcome::Refused });
    let refused = TurnInput::ToolResults(refused.to_vec());
    assert_eq!(sent, [digits("42", Some('#')), refused, TurnInput::Event("SILENCE".to_owned())]);
    assert_eq!(test.last_stream(), 1);
}

#[test]
fn digits_that_the_agent_still_collects_are_no_stall() {
    let mut test = greeted();
    test.press("4#");
    test.hush(40_000);
    assert_eq!(test.commands(1).len(), 2, "{:?}", test.commands(1));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 0);
}

#[test]
fn a_changed_parameter_goes_into_the_open_stream() {
    let mut test =
        TestCall::started(with(config(), |config| config.barge_in.heard_parameter = Some("heard".to_owned())));
    test.agent(1, says(5_000));
    test.hush(900);
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    let told = test.commands(1).into_iter().find_map(|command| match command {
        AgentCommand::Parameters(parameters) => Some(parameters),
        _ => None,
    });
    assert_eq!(told.unwrap()["heard"]["heardMs"], 800);
}

#[test]
fn a_caller_stops_what_an_earlier_stream_has_said_without_the_agents_word() {
    for (mode, cuts) in [(BargeInMode::Speech, 1), (BargeInMode::Off, 0)] {
        let mut test = TestCall::started(with(config(), |config| config.barge_in.mode = mode));
        test.agent_answers(1, 9_000);
        test.hush(500);
        test.agent(1, AgentEvent::GoAway);
        test.agent(1, AgentEvent::Ended);
        test.hush(500);
        test.speak(600);
        test.agent(2, interim("stop please"));
        let cut = |report: &Report| matches!(report, Report::BargeIn { by: BargeInBy::Speech, .. });
        assert_eq!(test.reports().filter(|report| cut(report)).count(), cuts, "{mode:?}");
        // The new stream's prompt is its own: its agent says when it is interrupted.
        test.agent(2, says(5_000));
        test.hush(200);
        test.speak(600);
        test.agent(2, interim("stop please again"));
        assert_eq!(test.reports().filter(|report| cut(report)).count(), cuts, "{mode:?}");
    }
}

#[test]
fn an_agent_that_thinks_of_the_silence_is_not_told_of_it_again() {
    let no_input = NoInput { event: Some("silence".to_owned()), after_ms: 1_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..config() });
    test.agent_answers(1, 400);
    test.hush(5_000);
    let told = |test: &TestCall| test.commands(1).iter().filter(|sent| matches!(sent, AgentCommand::Send(_))).count();
    assert_eq!(told(&test), 1, "it has not answered yet");
    test.agent_answers(1, 400);
    test.hush(3_000);
    assert_eq!(told(&test), 2, "once more after its answer");
}

#[test]
fn a_filler_that_is_to_come_at_once_waits_for_a_caller_who_speaks_on() {
    let mut config = config();
    config.fillers.thinking = Some(Clip(vec![0x33; 8_000].into()));
    config.fillers.thinking_after_ms = 0;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    let fillers = |test: &TestCall| test.reports().filter(|report| matches!(report, Report::Filler { .. })).count();
    let before = fillers(&test);
    test.speak(400);
    test.agent(1, interim("two"));
    test.speak(600);
    assert_eq!(fillers(&test), before);
    test.hush(1_500);
    assert_eq!(fillers(&test), before + 1);
}

#[test]
fn what_is_said_into_an_answer_in_whose_middle_the_stream_breaks_is_said_again() {
    let mut test = greeted();
    test.agent(1, says(5_000));
    test.hush(1_000);
    test.speak(400);
    test.agent(1, fault("UNAVAILABLE", true));
    assert_eq!(numbers(&test.written(2)), (25..95).collect::<Vec<u16>>(), "all since the answer began");
    let mut test = greeted();
    test.agent(1, says(5_000));
    test.hush(1_000);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(20);
    assert_eq!(numbers(&test.written(2)), [75], "of silence nothing");
}

#[test]
fn a_stream_that_broke_is_replaced_with_what_was_not_answered() {
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, fault("UNAVAILABLE", true));
    test.speak(200);
    assert_eq!(test.opened_with(2), TurnInput::Audio);
    assert_eq!(numbers(&test.written(2)), (0..55).collect::<Vec<u16>>(), "a pre-roll, and then the words");
}

#[test]
fn a_kick_start_that_was_not_heard_is_sent_again_and_one_that_was_never() {
    let mut test = TestCall::started(config());
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    test.agent(2, says(300));
    test.agent(2, fault("UNAVAILABLE", true));
    test.wait(250);
    assert_eq!(test.opened_with(3), TurnInput::Audio);
}

#[test]
fn a_starting_event_that_is_not_known_is_left_unanswered_or_refused_and_the_text_takes_its_place() {
    let mut with_text = config();
    with_text.starting_input.text = Some("hello".to_owned());
    let unanswered = |test: &TestCall| {
        test.reports().filter(|report| matches!(report, Report::StartingEventUnanswered { .. })).count()
    };
    for (config, text) in [(with_text, Some(TurnInput::Text("hello".to_owned()))), (config(), None)] {
        let mut left = TestCall::started(config.clone());
        left.agent(1, empty());
        let sent: Vec<_> = left.commands(1).into_iter().skip(1).collect();
        assert_eq!(sent, text.clone().map(AgentCommand::Send).into_iter().collect::<Vec<_>>());
        left.agent(1, says(300));
        assert_eq!((unanswered(&left), left.played_ms()), (1, 300));

        let mut ignored = TestCall::started(config.clone());
        ignored.hush(7_900);
        assert_eq!(unanswered(&ignored), 0);
        ignored.hush(100);
        let sent: Vec<_> = ignored.commands(1).into_iter().skip(1).collect();
        assert_eq!(sent, text.clone().map(AgentCommand::Send).into_iter().collect::<Vec<_>>());
        ignored.hush(20_000);
        assert_eq!((unanswered(&ignored), ignored.last_stream()), (1, 1), "a caller may think for longer");

        let mut refused = TestCall::started(config);
        refused.speak(100);
        refused.agent(1, fault("INVALID_ARGUMENT", false));
        refused.speak(200);
        assert_eq!((refused.last_stream(), refused.opened_with(2)), (2, text.unwrap_or(TurnInput::Audio)));
        assert_eq!(numbers(&refused.written(2)), (0..15).collect::<Vec<u16>>());
        assert_eq!((unanswered(&refused), refused.update()), (1, None));
        refused.agent(2, fault("INVALID_ARGUMENT", false));
        assert!(refused.update().is_some(), "it was not the event");
    }
}

#[test]
fn parameters_that_a_failed_stream_did_not_confirm_are_sent_again() {
    let mut test = TestCall::started(config());
    assert_eq!(test.start_of(1).parameters["shop"], "north");
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.start_of(2).parameters["shop"], "north");
    test.agent(2, says(300));
    test.agent(2, AgentEvent::GoAway);
    test.agent(2, empty());
    test.agent(2, AgentEvent::Ended);
    test.wait(250);
    assert!(test.start_of(3).parameters.is_empty(), "the agent has answered to it");
}

#[test]
fn what_the_agent_tells_bit_by_bit_is_all_in_the_hand_off() {
    let tells = |name: &str, value: i32| {
        let parameters = Map::from_iter([(name.to_owned(), Value::from(value))]);
        AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, parameters, ..Answer::default() }))
    };
    let mut test = greeted();
    test.agent(1, interim("two loaves"));
    test.agent(1, tells("loaves", 2));
    test.agent(1, interim("at nine"));
    test.agent(1, tells("hour", 9));
    test.agent(1, end_session());
    test.wait(1_100);
    let twiml = test.update().unwrap().1;
    for told in ["%22loaves%22%3A2", "%22hour%22%3A9", "%22queryText%22%3A%22at%20nine%22"] {
        assert!(twiml.contains(told), "{twiml}");
    }
}

#[test]
fn an_end_that_says_where_the_call_goes_takes_the_place_of_one_that_does_not() {
    let ends = |end| AgentEvent::Answer(Box::new(Answer { end: Some(end), ..Answer::default() }));
    let transfer = || ends(AgentEnd::Transfer(Transfer::to("+15550123")));
    for order in [[transfer(), end_session()], [end_session(), transfer()]] {
        let mut test = greeted();
        order.into_iter().for_each(|end| test.agent(1, end));
        test.wait(1_100);
        assert!(test.update().unwrap().1.contains("<Dial"));
        assert_eq!(test.reports().filter(|report| matches!(report, Report::HandedOff { .. })).count(), 1);
    }
}

#[test]
fn a_clean_close_without_an_end_is_a_stream_that_broke() {
    let mut test = greeted();
    test.agent(1, AgentEvent::Ended);
    test.wait(200);
    assert_eq!((test.last_stream(), test.update()), (2, None));
}

#[test]
fn after_the_end_of_the_session_the_remaining_words_are_heard_before_the_hand_off() {
    let mut test = greeted();
    test.agent(1, says(500));
    test.agent(1, end_session());
    test.speak(300);
    assert_eq!(test.written(1).len(), 500 * 8, "nothing is listened for any more");
    test.agent_answers(1, 1_000);
    test.wait(1_150);
    assert_eq!(test.update(), None);
    test.wait(200);
    assert!(test.update().unwrap().1.contains("VirtualAgentStatus=completed"));
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Done));
}

#[test]
fn an_agent_that_says_no_more_after_its_end_is_not_waited_for_for_ever() {
    let mut test = greeted();
    test.agent(1, end_session());
    test.wait(990);
    assert_eq!(test.update(), None);
    test.wait(20);
    assert!(test.update().is_some());
}

#[test]
fn an_answer_that_never_comes_is_a_stall() {
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("hello"));
    test.hush(30_200);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn an_agent_that_says_something_and_closes_again_and_again_is_not_asked_without_a_pause() {
    let mut test = TestCall::started(config());
    for stream in 1..10 {
        test.agent(stream, says(100));
        test.agent(stream, AgentEvent::Ended);
        test.wait(240);
        assert_eq!(test.last_stream(), stream);
        test.wait(10);
        assert_eq!(test.last_stream(), stream + 1);
    }
}

#[test]
fn a_voice_that_interrupts_a_later_answer_of_the_stream_is_told_of_the_turn_in_which_it_speaks() {
    let mut test = TestCall::started(with(config(), |config| config.barge_in.mode = BargeInMode::Voice));
    for _ in 0..3 {
        test.agent_answers(1, 400);
        test.hush(500);
    }
    test.agent(1, says(4_000));
    test.hush(500);
    test.speak(600);
    let interrupted = test.reports().find_map(|report| match report {
        Report::BargeIn { turn, by: BargeInBy::Voice, .. } => *turn,
        _ => None,
    });
    assert_eq!((interrupted, test.last_stream()), (Some(TurnId(4)), 1), "the fourth turn of the first stream");
}
