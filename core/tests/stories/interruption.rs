//! Barge-in, and what was heard.

use dialbridge_core::agent::{Answer, Prompt, Transcript};
use dialbridge_core::config::{BargeInMode, Clip};
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Output, Report};

use crate::line::{Line, answer, answered, greeting_text, interim, numbers, prompt};

/// A call in which the agent has just begun to say something long.
fn with_long_prompt(config: CallConfig) -> Line {
    let mut line = Line::started(config);
    line.agent(1, answered(10_000));
    assert_eq!(line.last_turn(), 2);
    line
}

fn barge_in(line: &Line) -> Option<(u64, u64)> {
    line.reports().find_map(|report| match report {
        Report::BargeIn { heard_ms, cut_ms, .. } => Some((*heard_ms, *cut_ms)),
        _ => None,
    })
}

#[test]
fn a_caller_who_speaks_into_a_prompt_stops_it() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(1_000);
    line.speak(400);
    line.agent(2, interim("stop"));
    assert_eq!(line.clears(), 1);
    assert!(!line.is_playing());
    assert_eq!(barge_in(&line), Some((1_200, 8_800)), "marks come every 400 ms; 1,400 ms have passed");
}

#[test]
fn one_interruption_is_one_clear() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(1_000);
    line.speak(400);
    for words in ["stop", "stop it", "stop it please"] {
        line.agent(2, interim(words));
        line.speak(100);
    }
    assert_eq!(line.clears(), 1);
}

#[test]
fn after_a_clear_nothing_of_the_old_answer_is_played_and_its_marks_are_not_heard_time() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(1_000);
    line.speak(400);
    line.agent(2, interim("stop"));
    let before = line.played_ms();
    line.hush(2_000);
    line.agent(1, answered(5_000));
    assert_eq!(line.played_ms(), before, "turn 1 is over, whatever its stream still says");
    assert_eq!(line.reports().filter(|report| matches!(report, Report::Heard { .. })).count(), 0);
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, answered(400));
    line.hush(1_000);
    let heard: Vec<_> = line.reports().filter(|report| matches!(report, Report::Heard { .. })).collect();
    assert_eq!(heard, [&Report::Heard { heard_ms: 400, by_mark: true }]);
}

#[test]
fn a_yes_that_came_too_early_is_the_next_turn_and_the_prompt_plays_on() {
    let mut line = Line::started(greeting_text());
    line.speak(600); // "yes", before the agent has said a word
    line.hush(200);
    line.agent(1, answered(3_000));
    line.hush(300);
    line.agent(2, interim("yes"));
    line.agent(2, AgentEvent::EndOfUtterance);
    assert_eq!(line.clears(), 0);
    line.agent(2, answered(1_000));
    assert_eq!(line.clears(), 0);
    line.hush(5_000);
    let heard: Vec<_> = line.reports().filter(|report| matches!(report, Report::Heard { .. })).collect();
    assert_eq!(heard, [&Report::Heard { heard_ms: 4_000, by_mark: true }], "both answers, one after the other");
}

#[test]
fn speech_that_goes_on_from_before_the_prompt_does_not_interrupt_it() {
    let mut line = Line::started(greeting_text());
    line.speak(600);
    line.agent(1, answered(3_000));
    line.speak(600);
    line.agent(2, interim("yes I would like"));
    assert_eq!(line.clears(), 0);
    line.hush(3_000);
    assert_eq!(line.heard(), [3_000]);
}

#[test]
fn with_barge_in_off_every_prompt_is_played_to_its_end() {
    let mut config = greeting_text();
    config.barge_in.mode = BargeInMode::Off;
    let mut line = with_long_prompt(config);
    line.speak(1_000);
    line.agent(2, interim("stop stop stop"));
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, answered(400));
    line.hush(10_000);
    assert_eq!((line.heard(), line.clears()), (vec![10_400], 0), "and the answer to what was said after it");
}

#[test]
fn too_few_words_do_not_interrupt() {
    let mut config = greeting_text();
    config.barge_in.least_words = 2;
    let mut line = with_long_prompt(config);
    line.hush(400);
    line.speak(400);
    line.agent(2, interim("well"));
    assert_eq!(line.clears(), 0);
    line.agent(2, interim("well no"));
    assert_eq!(line.clears(), 1);
}

#[test]
fn a_prompt_that_may_not_be_interrupted_is_never_cut() {
    let mut line = Line::started(greeting_text());
    let fixed = Prompt { interruptible: false, ..prompt(2_000) };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    line.hush(400);
    line.speak(400);
    line.agent(2, interim("stop"));
    assert_eq!(line.clears(), 0);
    line.hush(3_000);
    assert!(line.reports().any(|report| *report == Report::Heard { heard_ms: 2_000, by_mark: true }));
}

#[test]
fn what_is_said_into_a_recording_of_ours_is_not_withheld() {
    let mut config = CallConfig { knows_prompts: false, ..CallConfig::default() };
    config.fillers.thinking = Some(Clip(vec![0x21; 20_000 * 8].into()));
    let mut line = Line::started(config);
    line.speak(400);
    line.agent(1, AgentEvent::EndOfUtterance);
    line.hush(200);
    assert!(line.is_playing());
    line.speak(400);
    line.agent(1, answered(200));
    assert_eq!(numbers(&line.written(2)), (20..50).collect::<Vec<u16>>());
}

#[test]
fn words_that_only_the_answer_tells_interrupt_too() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(400);
    line.speak(400);
    line.agent(2, AgentEvent::EndOfUtterance);
    let told = Answer { query_text: "stop".to_owned(), ..answer(500) };
    line.agent(2, AgentEvent::Answer(Box::new(told)));
    assert_eq!(line.clears(), 1);
    let after_clear: Vec<_> = line.outputs.iter().map(|(_, output)| output).collect();
    let clear = after_clear.iter().position(|output| matches!(output, Output::Twilio(TwilioMessage::Clear))).unwrap();
    let is_media = |output: &&Output| matches!(output, Output::Twilio(TwilioMessage::Media(_)));
    assert!(after_clear[clear..].iter().any(is_media), "the answer comes after the clear");
}

#[test]
fn words_that_the_recogniser_was_not_sure_of_do_not_interrupt_when_the_answer_repeats_them() {
    let mut config = greeting_text();
    config.barge_in.least_confidence = 60;
    for (confidence, clears) in [(0.4, 0), (0.8, 1)] {
        let mut line = with_long_prompt(config.clone());
        line.hush(400);
        line.speak(400);
        let heard = Transcript { text: "stop".to_owned(), confidence: Some(confidence), ..Transcript::default() };
        line.agent(2, AgentEvent::Transcript(heard));
        line.agent(2, AgentEvent::EndOfUtterance);
        let told = Answer { query_text: "stop".to_owned(), ..answer(500) };
        line.agent(2, AgentEvent::Answer(Box::new(told)));
        assert_eq!(line.clears(), clears, "{confidence}");
    }
}

#[test]
fn the_recognisers_own_word_times_decide_where_it_sends_them() {
    // Before the prompt, which begins at 1,000 ms, and into it.
    for (start_ms, end_ms, clears) in [(20, 400, 0), (1_420, 1_800, 1)] {
        let mut line = Line::started(greeting_text());
        line.speak(400);
        line.hush(600);
        line.agent(1, answered(5_000));
        line.hush(400);
        line.speak(400);
        let (text, start_ms, end_ms) = ("yes".to_owned(), Some(start_ms), Some(end_ms));
        line.agent(2, AgentEvent::Transcript(Transcript { text, start_ms, end_ms, ..Transcript::default() }));
        assert_eq!((line.clears(), line.is_playing()), (clears, clears == 0));
    }
}

#[test]
fn a_stream_that_ended_for_want_of_speech_beside_a_prompt_is_replaced_in_silence() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(5_000);
    line.agent(2, AgentEvent::EndOfUtterance);
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(line.last_turn(), 3);
    assert_eq!(line.clears(), 0);
}

#[test]
fn a_recogniser_that_knows_no_prompts_has_not_waited_for_an_answer_while_one_played() {
    for (knows_prompts, quiet_ms, is_replaced) in [(false, 400, true), (false, 4_000, false), (true, 400, false)] {
        let mut line = Line::started(CallConfig { knows_prompts, ..greeting_text() });
        line.agent(1, answered(3_000));
        line.hush(3_000 + quiet_ms);
        line.agent(2, AgentEvent::EndOfUtterance);
        let last = line.commands(2).last().cloned();
        let expected = if is_replaced { AgentCommand::Cancel } else { AgentCommand::FinishInput };
        assert_eq!(last, Some(expected), "{knows_prompts}, {quiet_ms} ms after the prompt");
    }
}

#[test]
fn a_short_word_whose_transcript_comes_after_the_end_of_the_utterance_is_not_thrown_away() {
    let mut line = with_long_prompt(greeting_text());
    line.hush(1_000);
    line.speak(200);
    line.hush(400);
    line.agent(2, AgentEvent::EndOfUtterance);
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::FinishInput));
    line.agent(2, interim("no"));
    assert_eq!(line.clears(), 1);
}

#[test]
fn after_the_prompt_was_heard_silence_is_the_agents_business() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(400));
    line.hush(8_000);
    line.agent(2, AgentEvent::EndOfUtterance);
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::FinishInput), "so that its no-input handler answers");
}

fn by_voice() -> CallConfig {
    let mut config = greeting_text();
    config.barge_in.mode = BargeInMode::Voice;
    config
}

#[test]
fn by_voice_the_prompt_stops_before_anything_is_understood() {
    let mut line = with_long_prompt(by_voice());
    line.hush(1_000);
    line.speak(180);
    assert_eq!(line.clears(), 0, "a cough is shorter than a word");
    line.speak(20);
    assert_eq!(line.clears(), 1);
    assert_eq!(barge_in(&line), Some((1_200, 8_800)));
}

#[test]
fn by_voice_what_began_before_the_prompt_does_not_interrupt_it() {
    let mut line = Line::started(by_voice());
    line.speak(400);
    line.agent(1, answered(3_000));
    line.speak(1_000);
    assert_eq!(line.clears(), 0);
    line.hush(600);
    line.speak(300);
    assert_eq!(line.clears(), 1, "after a pause it is another sentence");
}

#[test]
fn a_recogniser_that_knows_of_no_prompts_hears_silence_while_one_is_protected() {
    let mut line = Line::started(CallConfig { knows_prompts: false, ..greeting_text() });
    line.speak(200);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    line.speak(1_000);
    line.speak(200);
    let written = line.written(2);
    assert_eq!(written.len(), 1_400 * 8, "as much as came");
    let silent = written.iter().filter(|byte| **byte == 0xFF).count();
    // The last frame comes with the mark that ends the prompt.
    let withheld = 200 * 8..1_180 * 8;
    assert!(written[withheld.clone()].iter().all(|byte| *byte == 0xFF));
    assert!(silent < withheld.len() + 400 * 8 / 4, "nothing else is silenced: {silent}");
    line.twilio(r#"{"event":"stop"}"#).unwrap();
    let Some(Report::Ended { audio, .. }) = line.reports().last() else { panic!() };
    assert_eq!((audio.withheld, audio.written), (980 * 8, 1_400 * 8));
}

#[test]
fn a_recogniser_that_knows_of_prompts_is_told_how_long_one_is_protected() {
    let mut line = Line::started(greeting_text());
    line.hush(300);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed, prompt(500)], ..answer(0) })));
    let window = line.start_of(2).barge_in.unwrap();
    assert_eq!((window.protected_ms, window.total_ms), (1_300, 1_800));
}

#[test]
fn speech_that_waits_already_is_heard_even_beside_a_protected_prompt() {
    let mut line = Line::started(greeting_text());
    line.speak(300);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    line.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    let window = line.start_of(2).barge_in.unwrap();
    assert_eq!((window.protected_ms, window.total_ms), (0, 1_300));
}

#[test]
fn the_agent_is_told_what_was_heard_where_a_parameter_is_named() {
    let mut config = greeting_text();
    config.barge_in.heard_parameter = Some("heard".to_owned());
    let mut line = with_long_prompt(config);
    line.hush(1_000);
    line.speak(400);
    line.agent(2, interim("stop"));
    line.agent(2, AgentEvent::EndOfUtterance);
    line.agent(2, answered(400));
    assert_eq!(line.start_of(3).parameters["heard"], serde_json::json!({ "heardMs": 1_200, "cutMs": 8_800 }));
}
