//! The end of an utterance: whoever knows it first ends it, and the caller gets his answer whatever the recogniser
//! leaves out.

use dialbridge_core::agent::{Answer, AnswerPart, Matched, SpeechRules, Transcript, TurnInput};
use dialbridge_core::config::{BargeInMode, EndOfUtterance, NoInput};
use dialbridge_core::report::EndFoundBy;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};
use serde_json::json;

use crate::failures::fault;
use crate::test_call::{TestCall, answer, answered, digits, interim, numbers, starting_text, with};

fn ended_by(rule: EndOfUtterance) -> CallConfig {
    with(CallConfig::default(), |config| config.end_of_utterance = rule)
}

fn transcript(text: &str, is_final: bool) -> AgentEvent {
    AgentEvent::Transcript(Transcript { text: text.to_owned(), is_final, ..Transcript::default() })
}

fn timed(text: &str, end_ms: u64) -> AgentEvent {
    AgentEvent::Transcript(Transcript { text: text.to_owned(), end_ms: Some(end_ms), ..Transcript::default() })
}

/// Who found the end of each utterance, and how long after the voice.
fn ends(test: &TestCall) -> Vec<(EndFoundBy, Option<u64>)> {
    let ends = test.reports().filter_map(|report| match report {
        Report::EndOfUtterance { found_by, silence_ms, .. } => Some((*found_by, *silence_ms)),
        _ => None,
    });
    ends.collect()
}

fn is_half_closed(test: &TestCall, turn: u32) -> bool {
    test.commands(turn).contains(&AgentCommand::HalfClose)
}

/// Silence until that turn is half-closed: how long it was, in milliseconds.
fn silence_to_half_close(test: &mut TestCall, turn: u32) -> u64 {
    (0..30_000)
        .step_by(20)
        .find(|_| {
            is_half_closed(test, turn) || {
                test.hush(20);
                false
            }
        })
        .expect("it is half-closed")
}

#[test]
fn a_final_transcript_without_an_end_of_utterance_is_answered_a_moment_later() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(700);
    test.hush(300);
    test.agent(1, transcript("two loaves please", true));
    assert_eq!(silence_to_half_close(&mut test, 1), 1_000);
    assert_eq!(ends(&test), [(EndFoundBy::Final, Some(1_300))]);
}

#[test]
fn a_caller_who_goes_on_after_a_final_transcript_is_heard_out() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(700);
    test.agent(1, transcript("two loaves", true));
    test.speak(1_400);
    assert!(!is_half_closed(&test, 1), "he still speaks");
    test.hush(400);
    test.agent(1, transcript("and a roll", true));
    test.hush(980);
    assert!(!is_half_closed(&test, 1), "another one may follow");
    test.hush(20);
    assert_eq!(ends(&test), [(EndFoundBy::Final, Some(1_400))]);
}

#[test]
fn with_interim_transcripts_alone_our_own_silence_ends_the_utterance() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(700);
    test.agent(1, interim("two"));
    test.hush(200);
    test.agent(1, interim("two loaves please"));
    assert_eq!(silence_to_half_close(&mut test, 1), 5_000);
    assert_eq!(ends(&test), [(EndFoundBy::Silence, Some(5_200))]);
}

#[test]
fn words_in_a_noise_that_sounds_like_a_voice_are_an_utterance_when_no_more_come() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(700);
    test.agent(1, interim("two loaves"));
    test.speak(7_980);
    assert!(!is_half_closed(&test, 1));
    test.speak(20);
    assert!(is_half_closed(&test, 1));
}

#[test]
fn a_recogniser_that_never_says_anything_is_not_ended_by_us() {
    for rule in [EndOfUtterance::Agent, EndOfUtterance::Quick, EndOfUtterance::After(800)] {
        let mut test = TestCall::started(ended_by(rule));
        test.speak(400);
        test.hush(10_000);
        assert_eq!(test.commands(1).len(), 1, "{rule:?}: without words there is nothing to answer");
    }
}

#[test]
fn a_recogniser_that_sends_finals_for_ever_is_ended_by_the_audio_limit() {
    let mut test = TestCall::started(CallConfig::default());
    for number in 0..240 {
        test.speak(500);
        test.agent(1, transcript(&format!("word {number}"), true));
    }
    assert_eq!(ends(&test).first().map(|(found_by, _)| *found_by), Some(EndFoundBy::AudioLimit));
}

#[test]
fn quick_half_closes_as_soon_as_the_words_are_known() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.hush(200);
    test.agent(1, timed("two loaves please", 900));
    assert_eq!(silence_to_half_close(&mut test, 1), 200);
    assert_eq!(ends(&test), [(EndFoundBy::Quick, Some(400))]);
    test.agent(1, answered(200));
    assert_eq!(test.opened_with(2), TurnInput::Audio);
}

#[test]
fn quick_does_not_cut_a_caller_who_goes_on_at_that_moment() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.agent(1, timed("two loaves", 900));
    test.hush(380);
    test.speak(400);
    assert!(!is_half_closed(&test, 1), "the detector knows the voice a tenth of a second after it began");
    assert_eq!(silence_to_half_close(&mut test, 1), 400);
}

#[test]
fn quick_waits_for_a_transcript_that_has_the_last_word_in_it() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.agent(1, timed("two", 500));
    test.hush(400);
    assert!(!is_half_closed(&test, 1), "the transcript ends 400 ms before the voice");
    test.agent(1, timed("two loaves", 880));
    test.hush(20);
    assert!(is_half_closed(&test, 1));
}

#[test]
fn quick_counts_with_the_lag_of_a_recogniser_without_times() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.agent(1, interim("two"));
    test.hush(300);
    test.agent(1, interim("two loaves"));
    assert_eq!(silence_to_half_close(&mut test, 1), 100, "400 ms of silence, and words that came after 300");
}

#[test]
fn quick_waits_as_long_as_the_recogniser_is_late() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.agent(1, timed("two", 200));
    assert_eq!(silence_to_half_close(&mut test, 1), 760, "it is 700 ms late");
}

#[test]
fn quick_waits_longer_for_words_that_end_no_thought() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(900);
    test.agent(1, timed("two loaves and", 900));
    assert_eq!(silence_to_half_close(&mut test, 1), 1_200);
    assert_eq!(ends(&test), [(EndFoundBy::Quick, Some(1_200))]);
}

#[test]
fn a_pause_inside_what_the_caller_says_is_no_end_for_quick() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    for words in 1..=5 {
        test.speak(600);
        test.agent(1, timed(&"loaves ".repeat(words), 850 * words as u64 - 250));
        test.hush(240);
    }
    assert!(!is_half_closed(&test, 1));
}

#[test]
fn frames_that_come_late_are_no_silence() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
    test.speak(400);
    test.agent(1, timed("two", 400));
    test.wait(3_000);
    test.speech_arrives(3_000);
    assert!(!is_half_closed(&test, 1));
    test.hush(320);
    assert!(!is_half_closed(&test, 1));
}

#[test]
fn a_duration_longer_than_the_agents_takes_the_end_from_the_agent() {
    let mut test = TestCall::started(ended_by(EndOfUtterance::After(2_500)));
    assert!(!test.start_of(1).agent_ends, "the recogniser ends nothing by itself");
    test.speak(600);
    test.hush(1_500);
    test.agent(1, transcript("four seven", true));
    test.speak(600);
    test.hush(800);
    test.agent(1, transcript("one one", true));
    assert_eq!(silence_to_half_close(&mut test, 1), 1_700);
    assert_eq!(ends(&test), [(EndFoundBy::Silence, Some(2_500))]);
}

#[test]
fn a_short_duration_leaves_no_input_to_the_agent() {
    let test = TestCall::started(ended_by(EndOfUtterance::After(800)));
    assert!(test.start_of(1).agent_ends);
}

/// A caller who says nothing, while the utterance's end is ours.
fn silent_caller(event: Option<&str>) -> TestCall {
    let mut config = ended_by(EndOfUtterance::After(2_500));
    config.no_input = NoInput { event: event.map(str::to_owned), after_ms: 8_000 };
    let mut test = TestCall::started(config);
    test.hush(7_980);
    assert_eq!(test.commands(1).len(), 1);
    test.hush(20);
    test
}

#[test]
fn no_input_is_ours_too_and_the_agents_own_handler_may_answer_the_half_close() {
    let mut test = silent_caller(None);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    let reprompt = Answer { matched: Matched::NoInput, ..answer(400) };
    test.agent(1, AgentEvent::Answer(Box::new(reprompt)));
    assert_eq!((test.played_ms(), test.opened_with(2)), (400, TurnInput::Audio));
}

#[test]
fn an_agent_that_answers_nothing_to_silence_or_refuses_it_has_not_failed() {
    let nothing = AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() }));
    for event in [nothing, fault("INVALID_ARGUMENT", false)] {
        let mut test = silent_caller(None);
        test.agent(1, event);
        assert_eq!(test.opened_with(2), TurnInput::Audio);
        let in_a_row = test.reports().filter(|report| matches!(report, Report::NoInput { in_a_row: 1, .. })).count();
        assert_eq!((in_a_row, test.update(), test.call.progress().failed_turns), (1, None, 0));
    }
}

#[test]
fn a_word_that_is_understood_after_it_was_taken_for_silence_is_asked_again() {
    let endings = [AgentEvent::Ended, fault("INVALID_ARGUMENT", false), fault("UNAVAILABLE", true)];
    for (ending, again) in
        endings.into_iter().zip([TurnInput::Text("no".to_owned()), TurnInput::Audio, TurnInput::Audio])
    {
        let mut test = silent_caller(None);
        test.agent(1, interim("no"));
        test.agent(1, ending.clone());
        test.hush(200);
        let silent = test.reports().filter(|report| matches!(report, Report::NoInput { .. })).count();
        assert_eq!((test.last_stream(), silent), (2, 0), "{ending:?}");
        assert_eq!(test.opened_with(2), again, "{ending:?}");
        let resent = numbers(&test.written(2)).first().copied();
        assert_eq!(resent, (again == TurnInput::Audio).then_some(249), "the last three seconds: {ending:?}");
    }
}

#[test]
fn a_word_that_was_taken_for_silence_goes_before_keys_that_are_pressed_after_it() {
    let mut test = silent_caller(None);
    test.agent(1, interim("no"));
    test.press("1#");
    test.agent(1, fault("INVALID_ARGUMENT", false));
    assert_eq!(test.opened_with(2), TurnInput::Audio);
    test.agent(2, answered(400));
    assert_eq!(test.opened_with(3), digits("1", Some('#')));
}

#[test]
fn words_that_are_too_many_for_a_text_are_asked_again_as_they_were_said() {
    for (words, again) in [(51, Some("text")), (52, None)] {
        let said = "four ".repeat(words);
        let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
        test.speak(900);
        test.agent(1, timed(said.trim(), 900));
        silence_to_half_close(&mut test, 1);
        let misheard = Answer { matched: Matched::NoMatch, ..answer(400) };
        test.agent(1, AgentEvent::Answer(Box::new(misheard)));
        assert_eq!(again.is_some(), test.opened_with(2) == TurnInput::Text(said.trim().to_owned()));
        let mut silent = TestCall::started(ended_by(EndOfUtterance::Quick));
        silent.speak(900);
        silent.agent(1, timed(said.trim(), 900));
        silence_to_half_close(&mut silent, 1);
        silent.agent(1, AgentEvent::Ended);
        assert_eq!(silent.opened_with(2).kind(), again.unwrap_or("audio"));
    }
}

#[test]
fn an_answer_to_silence_that_breaks_off_is_a_failed_turn() {
    let mut test = silent_caller(None);
    let reprompt = Answer { part: AnswerPart::Partial, matched: Matched::NoInput, ..answer(400) };
    test.agent(1, AgentEvent::Answer(Box::new(reprompt)));
    test.agent(1, fault("INVALID_ARGUMENT", false));
    let broke_off = |report: &Report| matches!(report, Report::TurnFailed { retry_in_ms: None, .. });
    assert_eq!((test.reports().any(broke_off), test.call.progress().failed_turns), (true, 1));
    assert_eq!((test.played_ms(), test.opened_with(2)), (400, TurnInput::Audio));
}

#[test]
fn an_agent_with_an_event_for_silence_gets_it() {
    let test = silent_caller(Some("NO_INPUT"));
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    assert_eq!(test.opened_with(2), TurnInput::Event("NO_INPUT".to_owned()));
}

#[test]
fn an_agent_that_misheard_an_early_half_close_gets_the_words_as_a_text_once() {
    let misheard = [
        Answer { matched: Matched::NoInput, ..answer(400) },
        Answer { matched: Matched::NoMatch, ..answer(400) },
        Answer { part: AnswerPart::Final, ..Answer::default() },
    ];
    for first in misheard {
        let mut test = TestCall::started(ended_by(EndOfUtterance::Quick));
        test.speak(900);
        test.agent(1, timed("two loaves please", 900));
        silence_to_half_close(&mut test, 1);
        test.agent(1, AgentEvent::Answer(Box::new(first)));
        assert_eq!(test.opened_with(2), TurnInput::Text("two loaves please".to_owned()));
        assert_eq!(test.played_ms(), 0, "the caller does not hear that he said nothing");
        test.agent(2, AgentEvent::Answer(Box::new(Answer { matched: Matched::NoMatch, ..answer(400) })));
        assert_eq!((test.opened_with(3), test.played_ms()), (TurnInput::Audio, 400), "once");
    }
}

#[test]
fn a_page_asks_for_another_end_by_a_payload() {
    let mut test = TestCall::started(starting_text());
    let payloads = vec![json!({ "dialbridge": { "endOfUtterance": "2.5s" } })];
    test.agent(1, AgentEvent::Answer(Box::new(Answer { payloads, ..answer(0) })));
    assert!(!test.start_of(2).agent_ends);
    test.speak(600);
    test.agent(2, interim("four seven one one"));
    assert_eq!(silence_to_half_close(&mut test, 2), 2_500);
    let payloads = vec![json!({ "dialbridge": { "endOfUtterance": "agent" } })];
    test.agent(2, AgentEvent::Answer(Box::new(Answer { payloads, ..answer(0) })));
    assert!(test.start_of(3).agent_ends);
}

#[test]
fn a_ces_app_is_told_that_it_ends_each_utterance_itself() {
    let mut test = crate::session_stream::greeted();
    let payloads = vec![json!({ "dialbridge": { "endOfUtterance": "quick" } })];
    test.agent(1, AgentEvent::Answer(Box::new(Answer { payloads, ..answer(0) })));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::PayloadRefused { .. })).count(), 1);
}

#[test]
fn the_agents_own_timeout_of_its_last_answer_holds_quick_back() {
    let mut test = TestCall::started(with(starting_text(), |config| config.end_of_utterance = EndOfUtterance::Quick));
    let speech_rules = Some(SpeechRules { end_ms: Some(1_000), no_speech_ms: None });
    test.agent(1, AgentEvent::Answer(Box::new(Answer { speech_rules, ..answer(0) })));
    test.speak(600);
    test.agent(2, timed("two loaves", 600));
    assert_eq!(silence_to_half_close(&mut test, 2), 1_000);
    test.agent(2, answered(0));
    test.speak(600);
    test.agent(3, timed("two loaves", 600));
    assert_eq!(silence_to_half_close(&mut test, 3), 400, "the answer after it has none");
}

#[test]
fn strange_times_and_confidences_of_a_recogniser_do_no_harm() {
    for (end_ms, confidence) in [(u64::MAX, f32::NAN), (0, f32::INFINITY), (10_000_000, -1.0)] {
        let mut config = ended_by(EndOfUtterance::Quick);
        config.barge_in.mode = BargeInMode::Speech;
        let mut test = TestCall::started(config);
        test.speak(900);
        let (end_ms, confidence) = (Some(end_ms), Some(confidence));
        let strange = Transcript { text: "two loaves".to_owned(), end_ms, confidence, ..Transcript::default() };
        test.agent(1, AgentEvent::Transcript(strange));
        assert!(silence_to_half_close(&mut test, 1) <= 1_600);
    }
}
