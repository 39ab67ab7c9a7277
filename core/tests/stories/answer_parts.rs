//! Answers whose audio comes in another message than their payloads, or from another place.

use dialbridge_core::agent::{Answer, AnswerPart, Prompt, ToolCall, ToolOutcome, ToolResult, TurnInput};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, CallTime, FetchId, Input, Output, Report};
use serde_json::json;

use crate::test_call::{TestCall, answer, interim, prompt};

fn answered(test: &mut TestCall, turn: u32, answer: Answer) {
    test.agent(turn, AgentEvent::Answer(Box::new(answer)));
}

fn wav(ms: usize) -> Vec<u8> {
    write_wav(1, AudioFormat::TELEPHONE, &vec![0x21; ms * 8])
}

fn fetched(test: &mut TestCall, id: u32, ms: usize) {
    test.feed(&Input::Fetched(FetchId(id), Ok(&wav(ms)))).unwrap();
}

fn fetches(test: &TestCall) -> usize {
    test.count(|output| matches!(output, Output::Fetch(..)))
}

/// A call in which the caller has spoken and turn 1 must answer.
fn asked(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    test.utter(1, 400);
    test
}

#[test]
fn a_payload_protects_audio_that_comes_in_a_later_message_of_the_answer() {
    for (interruptible, clears) in [(false, 0), (true, 1)] {
        let mut test = asked(CallConfig::default());
        let payload = json!({ "dialbridge": { "bargeIn": interruptible } });
        answered(&mut test, 1, Answer { part: AnswerPart::Open, payloads: vec![payload], ..answer(0) });
        answered(&mut test, 1, Answer { prompts: vec![prompt(3_000)], ..Answer::default() });
        test.agent(1, AgentEvent::Ended);
        test.hush(400);
        test.speak(600);
        test.agent(2, interim("stop"));
        assert_eq!((test.clears(), test.is_playing()), (clears, !interruptible));
    }
}

#[test]
fn what_has_to_be_fetched_is_played_after_audio_that_comes_in_a_later_message_of_the_answer() {
    let mut test = asked(CallConfig::default());
    let payload = json!({ "dialbridge": { "play": "gs://bucket/jingle.wav" } });
    let telephony = Prompt::at("gs://bucket/telephony.wav");
    let first = Answer { part: AnswerPart::Open, payloads: vec![payload], prompts: vec![telephony], ..answer(0) };
    answered(&mut test, 1, first);
    assert_eq!(fetches(&test), 0);
    answered(&mut test, 1, Answer { prompts: vec![prompt(300)], ..Answer::default() });
    assert_eq!(test.played_ms(), 300, "the answer's own audio does not wait for anything");
    test.agent(1, AgentEvent::Ended);
    assert_eq!(fetches(&test), 2);
    fetched(&mut test, 1, 100);
    fetched(&mut test, 2, 200);
    assert_eq!(test.played_ms(), 300 + 100 + 200);
}

#[test]
fn an_answer_that_is_final_is_fetched_at_once() {
    let mut test = asked(CallConfig::default());
    answered(&mut test, 1, Answer { prompts: vec![Prompt::at("https://example.com/a.wav"), prompt(300)], ..answer(0) });
    assert_eq!((fetches(&test), test.played_ms()), (1, 0), "what comes after it waits for it");
    test.feed(&Input::Fetched(FetchId(1), Err("404"))).unwrap();
    assert_eq!(test.played_ms(), 300);
    assert_eq!(test.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count(), 1);
}

#[test]
fn the_result_of_a_tool_goes_before_digits_that_wait() {
    let mut test = asked(CallConfig::default());
    for key in ["1", "#"] {
        test.twilio(&format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{key}"}}}}"#)).unwrap();
    }
    let call = ToolCall { tool: "tools/1".to_owned(), action: "look-up".to_owned(), ..ToolCall::default() };
    answered(&mut test, 1, Answer { tool_calls: vec![call.clone()], ..answer(100) });
    let AgentCommand::Open(start) = &test.commands(2)[0] else { panic!() };
    let refused = ToolResult { call, outcome: ToolOutcome::Refused };
    assert_eq!(start.input, TurnInput::ToolResults(vec![refused]));
}

#[test]
fn what_was_fetched_and_is_no_wav_is_not_played_as_noise() {
    for page in [&b"<html>please log in</html>"[..], b"ID3\x04 an mp3", b"", b"RIFF....AVI LIST"] {
        let mut test = asked(CallConfig::default());
        answered(
            &mut test,
            1,
            Answer { prompts: vec![Prompt::at("https://example.com/a.wav"), prompt(300)], ..answer(0) },
        );
        test.feed(&Input::Fetched(FetchId(1), Ok(page))).unwrap();
        assert_eq!(test.played_ms(), 300);
        assert_eq!(test.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count(), 1);
    }
}

#[test]
fn the_recogniser_is_told_of_audio_that_is_fetched_so_it_is_waited_for() {
    let mut test = asked(CallConfig::default());
    let fixed = Prompt { interruptible: false, ..Prompt::at("https://example.com/warning.wav") };
    answered(&mut test, 1, Answer { prompts: vec![prompt(300), fixed], ..answer(0) });
    test.hush(100);
    assert_eq!(test.last_stream(), 1);
    fetched(&mut test, 1, 2_000);
    let AgentCommand::Open(start) = &test.commands(2)[0] else { panic!() };
    let window = start.barge_in.unwrap();
    assert_eq!((window.protected_ms, window.total_ms), (2_300, 2_300), "100 ms of both have passed and waited");
    assert_eq!(test.written(2).len(), 100 * 8, "what was said meanwhile is there");
}

#[test]
fn audio_that_never_comes_is_not_waited_for_for_ever() {
    let mut test = asked(CallConfig::default());
    answered(&mut test, 1, Answer { prompts: vec![Prompt::at("https://example.com/a.wav")], ..answer(0) });
    test.hush(4_900);
    assert_eq!(test.last_stream(), 1);
    test.hush(200);
    assert_eq!(test.last_stream(), 2);
}

#[test]
fn the_stages_of_an_answer_that_is_fetched_have_the_moment_at_which_it_was_heard() {
    let mut test = asked(CallConfig::default());
    answered(&mut test, 1, Answer { prompts: vec![Prompt::at("https://example.com/a.wav")], ..answer(0) });
    test.hush(400);
    fetched(&mut test, 1, 1_000);
    test.hush(1_200);
    let stages: Vec<_> = test
        .reports()
        .filter_map(|report| if let Report::Stages(stages) = report { Some(stages) } else { None })
        .collect();
    let [stages] = &stages[..] else { panic!("{stages:?}") };
    let began = Some(CallTime::from_ms(800));
    assert_eq!((stages.first_audio_sent, stages.first_audio_played), (began, began));
}

#[test]
fn the_stages_of_an_answer_that_cannot_be_fetched_are_told_without_it() {
    let mut test = asked(CallConfig::default());
    answered(&mut test, 1, Answer { prompts: vec![Prompt::at("https://example.com/a.wav")], ..answer(0) });
    test.hush(400);
    test.feed(&Input::Fetched(FetchId(1), Err("404"))).unwrap();
    let told = |report: &Report| matches!(report, Report::Stages(stages) if stages.first_audio_sent.is_none());
    assert_eq!(test.reports().filter(|report| told(report)).count(), 1);
}
