//! Barge-in, and how much of a prompt was heard.

use dialbridge_core::agent::{Answer, Prompt, Transcript};
use dialbridge_core::config::{BargeInMode, Clip};
use dialbridge_core::twilio::TwilioMessage;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Output, Report};

use crate::test_call::{TestCall, answer, answered, interim, numbers, prompt, starting_text, with};

/// A call in which the agent has just begun a long prompt.
fn with_long_prompt(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    test.agent(1, answered(10_000));
    assert_eq!(test.last_stream(), 2);
    test
}

fn barge_in(test: &TestCall) -> Option<(u64, u64)> {
    test.reports().find_map(|report| match report {
        Report::BargeIn { played_ms, cut_ms, .. } => Some((*played_ms, *cut_ms)),
        _ => None,
    })
}

#[test]
fn a_caller_who_speaks_into_a_prompt_stops_it() {
    let mut test = with_long_prompt(starting_text());
    test.hush(1_000);
    test.speak(400);
    test.agent(2, interim("stop"));
    assert_eq!(test.clears(), 1);
    assert!(!test.is_playing());
    assert_eq!(barge_in(&test), Some((1_200, 8_800)), "marks come every 400 ms; 1,400 ms have passed");
}

#[test]
fn one_interruption_is_one_clear() {
    let mut test = with_long_prompt(starting_text());
    test.hush(1_000);
    test.speak(400);
    for words in ["stop", "stop it", "stop it please"] {
        test.agent(2, interim(words));
        test.speak(100);
    }
    assert_eq!(test.clears(), 1);
}

#[test]
fn after_a_clear_nothing_of_the_old_answer_is_played_and_its_marks_are_not_heard_time() {
    let mut test = with_long_prompt(starting_text());
    test.hush(1_000);
    test.speak(400);
    test.agent(2, interim("stop"));
    let before = test.played_ms();
    test.hush(2_000);
    test.agent(1, answered(5_000));
    assert_eq!(test.played_ms(), before, "turn 1 is over, whatever its stream still says");
    assert_eq!(test.reports().filter(|report| matches!(report, Report::Played { .. })).count(), 0);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(400));
    test.hush(1_000);
    let heard: Vec<_> = test.reports().filter(|report| matches!(report, Report::Played { .. })).collect();
    assert_eq!(heard, [&Report::Played { played_ms: 400, by_mark: true }]);
}

#[test]
fn a_yes_that_came_too_early_is_the_next_turn_and_the_prompt_plays_on() {
    let mut test = TestCall::started(starting_text());
    test.speak(600); // "yes", before the agent has said a word
    test.hush(200);
    test.agent(1, answered(3_000));
    test.hush(300);
    test.agent(2, interim("yes"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.clears(), 0);
    test.agent(2, answered(1_000));
    assert_eq!(test.clears(), 0);
    test.hush(5_000);
    let heard: Vec<_> = test.reports().filter(|report| matches!(report, Report::Played { .. })).collect();
    assert_eq!(heard, [&Report::Played { played_ms: 4_000, by_mark: true }], "both answers, one after the other");
}

#[test]
fn speech_that_goes_on_from_before_the_prompt_does_not_interrupt_it() {
    let mut test = TestCall::started(starting_text());
    test.speak(600);
    test.agent(1, answered(3_000));
    test.speak(600);
    test.agent(2, interim("yes I would like"));
    assert_eq!(test.clears(), 0);
    test.hush(3_000);
    assert_eq!(test.heard(), [3_000]);
}

#[test]
fn with_barge_in_off_every_prompt_is_played_to_its_end() {
    let mut test = with_long_prompt(with(starting_text(), |config| config.barge_in.mode = BargeInMode::Off));
    test.speak(1_000);
    test.agent(2, interim("stop stop stop"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(400));
    test.hush(10_000);
    assert_eq!((test.heard(), test.clears()), (vec![10_400], 0), "and the answer to what was said after it");
}

#[test]
fn too_few_words_do_not_interrupt() {
    let mut test = with_long_prompt(with(starting_text(), |config| config.barge_in.min_words = 2));
    test.hush(400);
    test.speak(400);
    test.agent(2, interim("well"));
    assert_eq!(test.clears(), 0);
    test.agent(2, interim("well no"));
    assert_eq!(test.clears(), 1);
}

#[test]
fn a_prompt_that_may_not_be_interrupted_is_never_cut() {
    let mut test = TestCall::started(starting_text());
    let fixed = Prompt { interruptible: false, ..prompt(2_000) };
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    test.hush(400);
    test.speak(400);
    test.agent(2, interim("stop"));
    assert_eq!(test.clears(), 0);
    test.hush(3_000);
    assert!(test.reports().any(|report| *report == Report::Played { played_ms: 2_000, by_mark: true }));
}

#[test]
fn what_is_said_into_a_recording_of_ours_is_not_withheld() {
    let mut config = CallConfig { knows_prompts: false, ..CallConfig::default() };
    config.fillers.thinking = Some(Clip(vec![0x21; 20_000 * 8].into()));
    let mut test = TestCall::started(config);
    test.utter(1, 400);
    test.hush(200);
    assert!(test.is_playing());
    test.speak(400);
    test.agent(1, answered(200));
    assert_eq!(numbers(&test.written(2)), (20..50).collect::<Vec<u16>>());
}

#[test]
fn words_that_only_the_answer_tells_interrupt_too() {
    let mut test = with_long_prompt(starting_text());
    test.hush(400);
    test.utter(2, 400);
    let told = Answer { query_text: "stop".to_owned(), ..answer(500) };
    test.agent(2, AgentEvent::Answer(Box::new(told)));
    assert_eq!(test.clears(), 1);
    let after_clear: Vec<_> = test.outputs.iter().map(|(_, output)| output).collect();
    let clear = after_clear.iter().position(|output| matches!(output, Output::Twilio(TwilioMessage::Clear))).unwrap();
    let is_media = |output: &&Output| matches!(output, Output::Twilio(TwilioMessage::Media(_)));
    assert!(after_clear[clear..].iter().any(is_media), "the answer comes after the clear");
}

#[test]
fn words_that_the_recogniser_was_not_sure_of_do_not_interrupt_when_the_answer_repeats_them() {
    let mut config = starting_text();
    config.barge_in.min_confidence = 60;
    for (confidence, clears) in [(0.4, 0), (0.8, 1)] {
        let mut test = with_long_prompt(config.clone());
        test.hush(400);
        test.speak(400);
        let heard = Transcript { text: "stop".to_owned(), confidence: Some(confidence), ..Transcript::default() };
        test.agent(2, AgentEvent::Transcript(heard));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        let told = Answer { query_text: "stop".to_owned(), ..answer(500) };
        test.agent(2, AgentEvent::Answer(Box::new(told)));
        assert_eq!(test.clears(), clears, "{confidence}");
    }
}

#[test]
fn the_recognisers_own_word_times_decide_where_it_sends_them() {
    // Before the prompt, which begins at 1,000 ms, and during it.
    for (start_ms, end_ms, clears) in [(20, 400, 0), (1_420, 1_800, 1)] {
        let mut test = TestCall::started(starting_text());
        test.speak(400);
        test.hush(600);
        test.agent(1, answered(5_000));
        test.hush(400);
        test.speak(400);
        let (text, start_ms, end_ms) = ("yes".to_owned(), Some(start_ms), Some(end_ms));
        test.agent(2, AgentEvent::Transcript(Transcript { text, start_ms, end_ms, ..Transcript::default() }));
        assert_eq!((test.clears(), test.is_playing()), (clears, clears == 0));
    }
}

#[test]
fn a_stream_that_ended_for_want_of_speech_beside_a_prompt_is_replaced_in_silence() {
    let mut test = with_long_prompt(starting_text());
    test.hush(5_000);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.last_stream(), 3);
    assert_eq!(test.clears(), 0);
}

#[test]
fn a_recogniser_that_knows_no_prompts_has_not_waited_for_an_answer_while_one_played() {
    for (knows_prompts, quiet_ms, is_replaced) in [(false, 400, true), (false, 4_000, false), (true, 400, false)] {
        let mut test = TestCall::started(CallConfig { knows_prompts, ..starting_text() });
        test.agent(1, answered(3_000));
        test.hush(3_000 + quiet_ms);
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        let last = test.commands(2).last().cloned();
        let expected = if is_replaced { AgentCommand::Cancel } else { AgentCommand::HalfClose };
        assert_eq!(last, Some(expected), "{knows_prompts}, {quiet_ms} ms after the prompt");
    }
}

#[test]
fn a_short_word_whose_transcript_comes_after_the_end_of_the_utterance_is_not_thrown_away() {
    let mut test = with_long_prompt(starting_text());
    test.hush(1_000);
    test.speak(200);
    test.hush(400);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose));
    test.agent(2, interim("no"));
    assert_eq!(test.clears(), 1);
}

#[test]
fn after_the_prompt_was_played_no_input_is_left_to_the_agent() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(400));
    test.hush(8_000);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose), "so that its no-input handler answers");
}

fn by_voice() -> CallConfig {
    with(starting_text(), |config| config.barge_in.mode = BargeInMode::Voice)
}

#[test]
fn by_voice_the_prompt_stops_before_anything_is_understood() {
    let mut test = with_long_prompt(by_voice());
    test.hush(1_000);
    test.speak(160);
    assert_eq!(test.clears(), 0, "a cough is shorter than a word");
    test.speak(20);
    assert_eq!(test.clears(), 1);
    assert_eq!(barge_in(&test), Some((800, 9_200)), "by the marks so far");
}

#[test]
fn by_voice_what_began_before_the_prompt_does_not_interrupt_it() {
    let mut test = TestCall::started(by_voice());
    test.speak(400);
    test.agent(1, answered(3_000));
    test.speak(1_000);
    assert_eq!(test.clears(), 0);
    test.hush(600);
    test.speak(300);
    assert_eq!(test.clears(), 1, "after a pause it is another sentence");
}

#[test]
fn a_recogniser_that_knows_of_no_prompts_hears_silence_while_one_is_protected() {
    let mut test = TestCall::started(CallConfig { knows_prompts: false, ..starting_text() });
    test.speak(200);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    test.speak(1_000);
    test.speak(200);
    let written = test.written(2);
    assert_eq!(written.len(), 1_400 * 8, "as much as came");
    let silent = written.iter().filter(|byte| **byte == 0xFF).count();
    // The last frame comes with the mark that ends the prompt.
    let withheld = 200 * 8..1_180 * 8;
    assert!(written[withheld.clone()].iter().all(|byte| *byte == 0xFF));
    assert!(silent < withheld.len() + 400 * 8 / 4, "nothing else is silenced: {silent}");
    test.twilio(r#"{"event":"stop"}"#).unwrap();
    let Some(Report::Ended { audio, .. }) = test.reports().last() else { panic!() };
    assert_eq!((audio.withheld, audio.written), (980 * 8, 1_400 * 8));
}

#[test]
fn a_recogniser_that_knows_of_prompts_is_told_how_long_one_is_protected() {
    let mut test = TestCall::started(starting_text());
    test.hush(300);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed, prompt(500)], ..answer(0) })));
    let window = test.start_of(2).barge_in.unwrap();
    assert_eq!((window.protected_ms, window.total_ms), (1_300, 1_800));
}

#[test]
fn speech_that_waits_already_is_heard_even_beside_a_protected_prompt() {
    let mut test = TestCall::started(starting_text());
    test.speak(300);
    let fixed = Prompt { interruptible: false, ..prompt(1_000) };
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![fixed], ..answer(0) })));
    let window = test.start_of(2).barge_in.unwrap();
    assert_eq!((window.protected_ms, window.total_ms), (0, 1_300));
}

#[test]
fn the_agent_is_told_what_was_heard_where_a_parameter_is_named() {
    let mut test =
        with_long_prompt(with(starting_text(), |config| config.barge_in.heard_parameter = Some("heard".to_owned())));
    test.hush(1_000);
    test.speak(400);
    test.agent(2, interim("stop"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(400));
    assert_eq!(test.start_of(3).parameters["heard"], serde_json::json!({ "heardMs": 1_200, "cutMs": 8_800 }));
}

#[test]
fn nothing_more_of_an_answer_plays_after_a_digit_has_cut_it() {
    let part = |ms| AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt(ms)], ..Answer::default() }));
    let mut test = TestCall::started(starting_text());
    test.agent(1, part(2_000));
    test.wait(500);
    test.press("1");
    assert_eq!((test.clears(), test.is_playing()), (1, false));
    test.agent(1, part(400));
    test.agent(1, AgentEvent::Ended);
    assert!(!test.is_playing(), "the rest of the old answer");
}

#[test]
fn a_digit_into_an_older_prompt_does_not_cut_an_answer_whose_audio_has_not_come() {
    let part = |text: &str, prompts| {
        AgentEvent::Answer(Box::new(Answer { text: text.to_owned(), prompts, ..Answer::default() }))
    };
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(10_000));
    test.utter(2, 400);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, part("Two loaves.", Vec::new()));
    test.press("1");
    assert!(!test.is_playing());
    test.agent(2, part("", vec![prompt(400)]));
    assert!(test.is_playing(), "the caller has not heard it yet");
}
