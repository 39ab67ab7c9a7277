//! Turns: nothing that the caller says is lost between them.

use dialbridge_core::agent::{Answer, AnswerPart, TurnInput};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Output, Report, StreamId};

use crate::test_call::{TestCall, answer, answered, interim, numbers, prompt, starting_text, with};

#[test]
fn the_agent_is_greeted_with_the_starting_text_and_told_of_the_call() {
    let test = TestCall::started(starting_text());
    let [AgentCommand::Open(start), AgentCommand::HalfClose] = &test.commands(1)[..] else { panic!() };
    assert_eq!(start.input, TurnInput::Text("hi".to_owned()));
    assert_eq!(start.parameters["From"], "+15550100");
    assert_eq!(start.parameters["To"], "+15550199");
    assert_eq!(start.parameters["shop"], "north");
    assert_eq!(start.parameters["CallSid"], crate::test_call::CALL_SID);
    assert_eq!(start.payload["telephony"]["caller_id"], "+15550100");
}

#[test]
fn a_starting_event_comes_before_the_starting_text() {
    let mut test =
        TestCall::started(with(starting_text(), |config| config.starting_input.event = Some("WELCOME".to_owned())));
    assert_eq!(test.opened_with(1), TurnInput::Event("WELCOME".to_owned()));
    test.agent(1, answered(500));
    assert_eq!(test.opened_with(2), TurnInput::Audio);
}

#[test]
fn an_event_that_the_agent_does_not_know_is_followed_by_the_starting_text() {
    let mut test = TestCall::started(with(starting_text(), |config| {
        config.starting_input.event = Some("NO_SUCH_EVENT".to_owned())
    }));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() })));
    assert_eq!(test.opened_with(2), TurnInput::Text("hi".to_owned()));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::StartingEventUnanswered { .. })).count(), 1);
    test.agent(2, answered(500));
    assert_eq!(test.opened_with(3), TurnInput::Audio);
}

#[test]
fn without_a_starting_input_the_call_listens_first() {
    let test = TestCall::started(CallConfig::default());
    assert_eq!(test.opened_with(1), TurnInput::Audio);
}

#[test]
fn parameters_are_sent_once() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(500));
    let AgentCommand::Open(start) = &test.commands(2)[0] else { panic!() };
    assert!(start.parameters.is_empty());
}

#[test]
fn an_utterance_is_half_closed_answered_and_followed_by_the_next_turn() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.agent(1, interim("two"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.agent(1, answered(1_000));
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Done));
    assert_eq!(test.opened_with(2), TurnInput::Audio);
    assert_eq!(test.played_ms(), 1_000);
}

#[test]
fn the_next_turn_knows_how_long_the_agent_will_still_speak() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    test.hush(300);
    test.agent(1, answered(1_000));
    let AgentCommand::Open(start) = &test.commands(2)[0] else { panic!() };
    assert_eq!(start.barge_in.unwrap().total_ms, 1_300, "300 ms that waited, then the prompt");
}

#[test]
fn every_frame_goes_to_exactly_one_turn_in_order() {
    let mut test = TestCall::started(starting_text());
    test.speak(700); // during the welcome turn
    test.agent(1, answered(300));
    for turn in 2..6 {
        test.speak(500);
        test.agent(turn, interim("words"));
        test.agent(turn, AgentEvent::EndOfUtterance { end_ms: None });
        test.speak(360); // while the agent thinks
        test.agent(turn, answered(200));
    }
    test.hush(200);
    let all: Vec<u8> = (1..=6).flat_map(|turn| test.written(turn)).collect();
    let expected: Vec<u16> = (0..(700 + 4 * 860 + 200) / 20).collect();
    assert_eq!(numbers(&all), expected);
    assert!(test.written(1).is_empty(), "the welcome turn has no audio");
}

#[test]
fn beyond_thirty_seconds_the_oldest_audio_is_dropped_and_counted() {
    let mut test = TestCall::started(with(starting_text(), |config| config.timeouts.answer_ms = 60_000));
    test.speak(31_000);
    let dropped: u64 =
        test.reports().map(|report| if let Report::AudioDropped { ms } = report { *ms } else { 0 }).sum();
    assert_eq!(dropped, 1_000);
    test.agent(1, answered(100));
    assert_eq!(numbers(&test.written(2)), (50..1550).collect::<Vec<u16>>());
}

#[test]
fn a_server_that_answers_without_an_end_of_utterance_is_half_closed() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(400);
    test.agent(1, answered(200));
    assert!(test.commands(1).contains(&AgentCommand::HalfClose));
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn audio_after_the_result_is_played_before_the_next_turn_opens() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    let result = Answer { part: AnswerPart::Open, prompts: Vec::new(), ..answer(0) };
    test.agent(1, AgentEvent::Answer(Box::new(result)));
    for _ in 0..3 {
        let audio = Answer { prompts: vec![prompt(300)], ..Answer::default() };
        test.agent(1, AgentEvent::Answer(Box::new(audio)));
    }
    assert_eq!((test.played_ms(), test.last_stream()), (900, 1));
    test.agent(1, AgentEvent::Ended);
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn a_server_that_leaves_the_stream_open_after_its_answer_does_not_hold_up_the_next_turn() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(300) })));
    test.hush(980);
    assert_eq!(test.last_stream(), 1, "more audio may come");
    test.hush(40);
    assert_eq!(test.last_stream(), 2);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Done));
}

#[test]
fn audio_that_comes_late_after_the_result_is_waited_for() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(0) })));
    test.hush(4_000);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt(300)], ..Answer::default() })));
    assert_eq!(test.played_ms(), 300);
}

#[test]
fn partial_answers_are_played_in_order_and_the_turn_goes_on_to_the_final_one() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 400);
    for _ in 0..2 {
        test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Partial, ..answer(200) })));
        test.hush(400);
    }
    assert_eq!(test.last_stream(), 1);
    test.agent(1, answered(100));
    assert_eq!((test.played_ms(), test.last_stream()), (500, 2));
}

#[test]
fn without_speech_a_new_stream_takes_over_before_the_limit() {
    let config = CallConfig { audio_limit_ms: 6_000, rotation_margin_ms: 1_000, ..CallConfig::default() };
    let mut test = TestCall::started(config);
    test.hush(11_000);
    assert_eq!(test.last_stream(), 3);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    let all: Vec<u8> = (1..=3).flat_map(|turn| test.written(turn)).collect();
    assert_eq!(numbers(&all), (0..550).collect::<Vec<u16>>());
}

#[test]
fn a_stream_that_is_replaced_gets_nothing_in_its_last_moment() {
    let config = CallConfig { audio_limit_ms: 6_000, rotation_margin_ms: 1_000, ..CallConfig::default() };
    let mut test = TestCall::started(config);
    test.hush(6_000);
    let at = |wanted: fn(&AgentCommand) -> bool| {
        let of_first = |output: &Output| matches!(output, Output::Agent(StreamId(1), command) if wanted(command));
        test.outputs.iter().filter(|(_, output)| of_first(output)).map(|(at, _)| *at).next_back().unwrap()
    };
    let (audio, cancel) =
        (at(|command| matches!(command, AgentCommand::Audio(_))), at(|command| *command == AgentCommand::Cancel));
    assert!(audio < cancel, "it may not arrive any more");
}

#[test]
fn in_speech_the_turn_ends_at_a_pause_before_the_limit_or_two_seconds_before_it() {
    let config = CallConfig { audio_limit_ms: 10_000, rotation_margin_ms: 5_000, ..CallConfig::default() };
    let mut paused = TestCall::started(config.clone());
    paused.speak(6_000);
    paused.agent(1, interim("a long story"));
    assert_eq!(paused.commands(1).len(), 1);
    paused.hush(400);
    assert_eq!(paused.commands(1).last(), Some(&AgentCommand::HalfClose), "at the pause");

    let mut endless = TestCall::started(config);
    endless.agent(1, interim("a long story"));
    endless.speak(9_000);
    assert_eq!(endless.commands(1).last(), Some(&AgentCommand::HalfClose));
    assert_eq!(endless.written(1).len(), 8_000 * 8, "two seconds before the limit");
}

#[test]
fn an_answer_without_words_or_audio_is_followed_by_listening() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() })));
    assert_eq!(test.last_stream(), 2);
    assert_eq!(test.count(|output| matches!(output, Output::Twilio(_))), 0);
}
