//! Answers whose audio comes in another message than their payloads.

use dialbridge_core::agent::{Answer, AnswerPart, Prompt};
use dialbridge_core::{AgentEvent, CallConfig, FetchId, Input, Output, Report};
use serde_json::json;

use crate::line::{Line, answer, interim, prompt};

fn answered(line: &mut Line, turn: u32, answer: Answer) {
    line.agent(turn, AgentEvent::Answer(Box::new(answer)));
}

fn fetches(line: &Line) -> usize {
    line.count(|output| matches!(output, Output::Fetch(..)))
}

/// A call in which the caller has said something that is to be answered in turn 1.
fn asked(config: CallConfig) -> Line {
    let mut line = Line::started(config);
    line.speak(400);
    line.agent(1, AgentEvent::EndOfUtterance);
    line
}

#[test]
fn a_payload_protects_audio_that_comes_in_a_later_message_of_the_answer() {
    let mut line = asked(CallConfig::default());
    let payload = json!({ "dialbridge": { "bargeIn": false } });
    answered(&mut line, 1, Answer { part: AnswerPart::Open, payloads: vec![payload], ..answer(0) });
    answered(&mut line, 1, Answer { prompts: vec![prompt(3_000)], ..Answer::default() });
    line.agent(1, AgentEvent::Ended);
    line.hush(400);
    line.speak(600);
    line.agent(2, interim("stop"));
    assert_eq!(line.clears(), 0);
}

#[test]
fn what_has_to_be_fetched_is_played_after_audio_that_comes_in_a_later_message_of_the_answer() {
    let mut line = asked(CallConfig::default());
    let payload = json!({ "dialbridge": { "play": "gs://bucket/jingle.wav" } });
    let telephony = Prompt::at("gs://bucket/telephony.wav");
    let first = Answer { part: AnswerPart::Open, payloads: vec![payload], prompts: vec![telephony], ..answer(0) };
    answered(&mut line, 1, first);
    assert_eq!(fetches(&line), 0);
    answered(&mut line, 1, Answer { prompts: vec![prompt(300)], ..Answer::default() });
    assert_eq!(line.played_ms(), 300, "the answer's own audio does not wait for anything");
    line.agent(1, AgentEvent::Ended);
    assert_eq!(fetches(&line), 2);
    line.feed(&Input::Fetched(FetchId(1), Ok(&[0x21; 800]))).unwrap();
    line.feed(&Input::Fetched(FetchId(2), Ok(&[0x21; 1_600]))).unwrap();
    assert_eq!(line.played_ms(), 300 + 100 + 200);
}

#[test]
fn an_answer_that_is_final_is_fetched_at_once() {
    let mut line = asked(CallConfig::default());
    answered(&mut line, 1, Answer { prompts: vec![Prompt::at("https://example.com/a.wav"), prompt(300)], ..answer(0) });
    assert_eq!((fetches(&line), line.played_ms()), (1, 0), "what comes after it waits for it");
    line.feed(&Input::Fetched(FetchId(1), Err("404"))).unwrap();
    assert_eq!(line.played_ms(), 300);
    assert_eq!(line.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count(), 1);
}
