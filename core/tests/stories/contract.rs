//! What the crate doc promises a driver: a test for each clause, under its number.

use dialbridge_core::agent::{Answer, Prompt, TurnInput};
use dialbridge_core::call::{MAX_ANSWER_TEXT_BYTES, MAX_KEPT_MS};
use dialbridge_core::{
    AgentCommand, AgentEvent, Call, CallConfig, CallTime, CloseReason, Input, Output, Report, Timer, ToolsId, TurnId,
    UpdateResult,
};

use crate::failures::fault;
use crate::session_stream;
use crate::test_call::{TestCall, answered, empty, goodbye, interim, prompt, starting_text, with};
use crate::tools::wants;

const STOP: &str = r#"{"event":"stop","stop":{}}"#;

#[test]
fn clause_1_an_input_then_its_outputs_then_the_next_deadline() {
    let mut call = Call::new(CallConfig::default().into(), CallTime::START);
    let (due, timer) = call.poll_timeout().unwrap();
    assert_eq!((call.poll_output(), timer), (None, Timer::StartTimeout));
    call.handle_input(Input::Timeout, due).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| call.poll_output()).collect();
    assert!(matches!(outputs[..], [Output::Report(Report::Ended { .. }), Output::Close(CloseReason::NoStart)]));
    assert_eq!(call.poll_timeout(), None);
}

#[test]
fn clause_2_time_does_not_go_back_and_a_timeout_that_is_not_due_changes_nothing() {
    let mut test = TestCall::started(starting_text());
    test.wait(1_000);
    test.feed(&Input::Timeout).unwrap();
    let before = format!("{:?}", test.call);
    for now in [0, 500, 1_000] {
        test.call.handle_input(Input::Timeout, CallTime::from_ms(now)).unwrap();
        assert_eq!(format!("{:?}", test.call), before, "{now} ms");
    }
}

#[test]
fn clause_3_a_refused_input_leaves_the_call_and_its_clock_as_they_were() {
    let mut test = TestCall::started(starting_text());
    test.speak(100);
    let before = format!("{:?}", test.call);
    for text in [
        "hello",
        r#"{"event":"media","media":{"payload":"/w=A*"}}"#,
        r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#,
    ] {
        test.call.handle_input(Input::Twilio(text), CallTime::from_ms(3_600_000)).unwrap_err();
        assert_eq!(format!("{:?}", test.call), before, "{text}");
    }
    test.call.handle_input(Input::TwilioBinary, CallTime::from_ms(3_600_000)).unwrap_err();
    assert_eq!(format!("{:?}", test.call), before);
}

#[test]
fn clause_3_a_refused_input_is_no_sign_of_life() {
    let mut test = TestCall::started(starting_text());
    test.speak(1_000);
    for _ in 0..31 {
        test.wait(1_000);
        let _ = test.twilio("noise of a socket whose other side is not Twilio any more");
    }
    assert_eq!(test.closed(), Some(CloseReason::NoFrames));
}

#[test]
fn clause_4_after_close_nothing_comes_out_whatever_comes_in() {
    let mut test = TestCall::started(starting_text());
    test.twilio(STOP).unwrap();
    let (before, outputs) = (format!("{:?}", test.call), test.outputs.len());
    let _ = test.twilio(STOP);
    test.agent(1, answered(100));
    test.updated(UpdateResult::Accepted);
    test.migrate();
    test.feed(&Input::TakenOver).unwrap();
    test.wait(60_000);
    assert_eq!((test.outputs.len(), test.call.poll_timeout(), test.call.is_closed()), (outputs, None, true));
    assert_eq!(format!("{:?}", test.call), before);
}

#[test]
fn clause_5_what_a_stream_sends_after_its_end_is_dropped() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(0));
    assert_eq!(test.last_stream(), 2);
    let outputs = test.outputs.len();
    for event in [interim("late"), answered(1_000), AgentEvent::Ended, fault("INTERNAL", true)] {
        test.agent(1, event);
    }
    test.agent(7, answered(1_000));
    assert_eq!(test.outputs.len(), outputs);
}

#[test]
fn clause_6_a_streams_commands_begin_with_open_and_end_with_done_or_cancel() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(0));
    test.hush(1_000);
    test.twilio(STOP).unwrap();
    let commands = (test.commands(1), test.commands(2));
    assert!(matches!(commands.0[..], [AgentCommand::Open(_), AgentCommand::HalfClose, AgentCommand::Done]));
    assert!(matches!(commands.1[..], [AgentCommand::Open(_), AgentCommand::Cancel]));
}

#[test]
fn clause_7_an_update_a_fetch_and_a_run_of_tools_wait_for_their_results() {
    let mut updating = TestCall::started(starting_text());
    updating.agent(1, goodbye(0));
    assert_eq!((updating.update().is_some(), updating.closed()), (true, None));
    updating.updated(UpdateResult::Impossible);
    assert_eq!(updating.closed(), Some(CloseReason::NotUpdated));

    let mut fetching = TestCall::started(starting_text());
    let prompts = vec![Prompt::at("https://example.com/a.wav"), prompt(400)];
    fetching.agent(1, AgentEvent::Answer(Box::new(Answer { prompts, ..Answer::default() })));
    fetching.agent(1, AgentEvent::Ended);
    assert_eq!((fetching.count(|output| matches!(output, Output::Fetch(..))), fetching.played_ms()), (1, 400));
    fetching.fetched(1, Err("404"));
    assert_eq!(fetching.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count(), 1);

    let mut running = TestCall::started(CallConfig { has_tools: true, ..session_stream::config() });
    running.agent(1, wants(&["lookup"]));
    assert_eq!(running.count(|output| matches!(output, Output::RunTools(..))), 1);
    running.feed(&Input::ToolsRun(ToolsId(1), vec![Err("it is closed".to_owned())])).unwrap();
    assert!(matches!(running.commands(1).last(), Some(AgentCommand::Send(TurnInput::ToolResults(_)))));
}

#[test]
fn clause_7_a_call_that_asks_for_room_begins_when_it_is_admitted() {
    let config = CallConfig { busy: Some("<Response/>".to_owned()), ..starting_text() };
    let mut test = TestCall::started(config.clone());
    assert_eq!(test.count(|output| matches!(output, Output::Admit(_))), 1);
    assert_eq!((test.last_stream(), test.reports().count()), (0, 0), "nothing begins before the answer");
    test.feed(&Input::Admitted(true)).unwrap();
    assert_eq!(
        (test.last_stream(), test.reports().filter(|report| matches!(report, Report::Started { .. })).count()),
        (1, 1)
    );
    test.feed(&Input::Admitted(false)).unwrap();
    assert_eq!((test.update(), test.closed()), (None, None), "only one answer counts");

    let mut unanswered = TestCall::started(config);
    unanswered.wait(10_000);
    assert_eq!(unanswered.closed(), Some(CloseReason::NoStart), "the wait for an answer has an end");
}

#[test]
fn clause_8_the_callers_audio_is_bounded_in_milliseconds() {
    let mut test = TestCall::started(starting_text());
    test.hush(MAX_KEPT_MS as u64);
    assert!(!test.reports().any(|report| matches!(report, Report::AudioDropped { .. })));
    test.hush(20);
    let dropped = test.reports().find_map(|report| match report {
        Report::AudioDropped { ms } => Some(*ms),
        _ => None,
    });
    assert_eq!(dropped, Some(20));
}

#[test]
fn clause_8_the_agents_waiting_audio_is_bounded_in_milliseconds() {
    let config = with(session_stream::config(), |config| config.max_answer_ms = 1_200_000);
    let mut test = TestCall::started(config);
    let mut plays =
        |prompt| test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt], ..Answer::default() })));
    plays(Prompt::at("https://example.com/a.wav"));
    // One by one: some WebAssembly runtimes crash at a program that takes much memory at once.
    (0..23).for_each(|_| plays(prompt(60_000)));
    let refused = test.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count();
    assert_eq!((refused, test.played_ms()), (1, 0), "reported once");
    test.fetched(1, Ok(&[]));
    test.agent(1, empty());
    test.wait(1_300_000);
    assert_eq!(test.played_ms(), 1_200_000);
}

#[test]
fn clause_8_the_driver_can_lower_the_bound_of_waiting_audio() {
    let mut test = TestCall::started(session_stream::config());
    test.feed(&Input::AudioRoom(30_000)).unwrap();
    test.agent(1, answered(60_000));
    test.feed(&Input::AudioRoom(u64::MAX)).unwrap();
    test.agent(1, answered(60_000));
    test.wait(200_000);
    assert_eq!(test.played_ms(), 30_000 + 60_000);
    let refused = |report: &&Report| matches!(report, Report::PromptRefused { .. });
    assert_eq!(test.reports().filter(refused).count(), 1);
}

#[test]
fn clause_8_what_is_kept_of_an_answer_in_many_parts_is_bounded_in_bytes() {
    let mut test = TestCall::started(session_stream::config());
    let part = |n: usize| Answer {
        text: "é".repeat(5_000),
        parameters: serde_json::Map::from_iter([(format!("p{n}"), "x".repeat(10_000).into())]),
        ..Answer::default()
    };
    (0..40).for_each(|n| test.agent(1, AgentEvent::Answer(Box::new(part(n)))));
    test.agent(1, empty());
    let reported = test.reports().find_map(|report| match report {
        Report::Answered { text, parameters, .. } => Some((text.len(), parameters.len())),
        _ => None,
    });
    assert_eq!(reported, Some((MAX_ANSWER_TEXT_BYTES, 26)));
    let cut = test.reports().filter(|report| matches!(report, Report::AnswerTruncated { turn: TurnId(1) })).count();
    assert_eq!(cut, 1 + 14, "once for the report, and for each answer of which the hand-off lacks a part");
}

#[test]
fn clause_9_streams_that_open_after_use_backup_are_the_backups() {
    let backup = with(session_stream::config(), |config| config.session = "the backup's".to_owned());
    let mut test = TestCall::started(CallConfig { backup: Some(Box::new(backup)), ..starting_text() });
    for _ in 0..3 {
        let stream = test.last_stream();
        test.agent(stream, fault("PERMISSION_DENIED", false));
    }
    let told = test.outputs.iter().position(|(_, output)| *output == Output::UseBackup).unwrap();
    let opens = |(_, output): &&(CallTime, Output)| matches!(output, Output::Agent(_, AgentCommand::Open(_)));
    let (before, after) = test.outputs.split_at(told);
    assert_eq!((before.iter().filter(opens).count(), after.iter().filter(opens).count()), (1, 1));
    assert_eq!(after.iter().filter(|(_, output)| *output == Output::UseBackup).count(), 1);
}

#[test]
fn clause_10_the_end_of_a_stream_makes_room_for_the_next_one() {
    for end in [AgentEvent::Ended, fault("UNAVAILABLE", true)] {
        let mut test = TestCall::started(starting_text());
        assert_eq!(test.last_stream(), 1);
        test.agent(1, end);
        test.wait(5_000);
        assert_eq!(test.last_stream(), 2);
    }
}
