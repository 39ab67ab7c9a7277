//! Answers that the agent has written and not spoken are synthesised; what cannot be synthesised is not silence.

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Prompt};
use dialbridge_core::config::Clip;
use dialbridge_core::{AgentEvent, CallConfig, Output, Report, StreamId};

use crate::session_stream::{end_session, greeted, says, words};
use crate::test_call::{TestCall, answer, answered, empty, interim, prompt, starting_text, with};

fn answers(test: &mut TestCall, turn: u32, answer: Answer) {
    test.agent(turn, AgentEvent::Answer(Box::new(answer)));
}

/// An answer of that kind with a text and no audio.
fn written(part: AnswerPart, text: &str) -> Answer {
    Answer { part, text: text.to_owned(), ..Answer::default() }
}

fn asked(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    test.utter(1, 400);
    test
}

/// What the driver was asked to fetch.
fn fetches(test: &TestCall) -> Vec<&str> {
    let uri = |output: &'_ Output| matches!(output, Output::Fetch(..));
    let fetches = test.outputs.iter().map(|(_, output)| output).filter(|output| uri(output));
    fetches.map(|output| if let Output::Fetch(_, uri) = output { uri.as_str() } else { "" }).collect()
}

fn fillers(test: &TestCall) -> Vec<&'static str> {
    let which = |report: &Report| if let Report::Filler { which } = report { Some(*which) } else { None };
    test.reports().filter_map(which).collect()
}

/// The reports of answers without audio: why, and whether it was the first one.
fn without_audio(test: &TestCall) -> Vec<(Option<String>, bool)> {
    let told = |report: &Report| match report {
        Report::AnswerWithoutAudio { fault, is_first, .. } => Some((fault.clone(), *is_first)),
        _ => None,
    };
    test.reports().filter_map(told).collect()
}

#[test]
fn a_text_without_audio_is_synthesised_and_played_like_any_prompt() {
    let mut test = asked(CallConfig::default());
    answers(&mut test, 1, written(AnswerPart::Final, "You have three messages."));
    assert_eq!(fetches(&test), ["text:You have three messages."]);
    test.fetched(1, Ok(&[0x44; 16_000]));
    test.hush(1_000);
    test.speak(400);
    test.agent(2, interim("stop"));
    assert_eq!((test.clears(), test.is_playing()), (1, false), "the caller may interrupt it");
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    answers(&mut test, 2, written(AnswerPart::Final, "Good."));
    test.fetched(2, Ok(&[0x44; 4_000]));
    test.hush(600);
    assert_eq!(test.heard(), [500]);
    assert_eq!(without_audio(&test), [(None, true), (None, false)]);
}

#[test]
fn audio_of_an_answer_may_come_in_any_of_its_messages() {
    let open = |text: &str| written(AnswerPart::Open, text);
    let audio = |ms| Answer { prompts: vec![prompt(ms)], ..Answer::default() };
    let recording = Answer { prompts: vec![Prompt::at("https://example.com/a.wav")], ..open("a recording") };
    for parts in [
        vec![open("after"), audio(300)],
        vec![Answer { prompts: vec![prompt(300)], ..open("with") }],
        vec![
            Answer { prompts: vec![prompt(300)], ..written(AnswerPart::Partial, "one moment") },
            written(AnswerPart::Final, "done"),
        ],
        vec![recording],
    ] {
        let mut test = asked(CallConfig::default());
        for part in parts {
            answers(&mut test, 1, part);
        }
        test.agent(1, AgentEvent::Ended);
        let synthesised = fetches(&test).into_iter().filter(|uri| uri.starts_with("text:")).count();
        assert_eq!((synthesised, without_audio(&test).len()), (0, 0));
    }
}

#[test]
fn an_answer_that_says_nothing_stays_silent() {
    for answer in
        [answer(0), written(AnswerPart::Final, "  "), Answer { end: Some(AgentEnd::EndInteraction), ..answer(0) }]
    {
        let mut test = asked(CallConfig::default());
        answers(&mut test, 1, answer);
        test.hush(2_000);
        assert_eq!((fetches(&test).len(), test.played_ms()), (0, 0));
    }
}

#[test]
fn a_result_whose_audio_never_comes_is_synthesised_at_the_end_of_its_stream_or_when_it_is_late() {
    for ends in [true, false] {
        let mut test = asked(CallConfig::default());
        answers(&mut test, 1, written(AnswerPart::Open, "Two loaves."));
        assert_eq!(fetches(&test).len(), 0, "its audio may be on its way");
        if ends {
            test.agent(1, AgentEvent::Ended);
        } else {
            test.hush(5_100);
        }
        assert_eq!(fetches(&test), ["text:Two loaves."]);
    }
}

#[test]
fn an_agent_with_one_stream_for_the_whole_call_is_spoken_for_at_the_end_of_each_turn() {
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.hush(200);
    test.agent(1, words("Two "));
    test.agent(1, words("loaves."));
    assert_eq!(fetches(&test).len(), 0);
    test.agent(1, empty());
    assert_eq!(fetches(&test), ["text:Two loaves."]);
    test.fetched(1, Ok(&[0x44; 4_000]));
    test.hush(600);
    test.agent(1, words("Anything else?"));
    test.agent(1, says(300));
    test.agent(1, empty());
    assert_eq!(fetches(&test).len(), 1, "this turn has audio");
    test.hush(400);
    test.agent(1, words("Good bye."));
    test.agent(1, end_session());
    test.hush(1_100);
    assert_eq!(fetches(&test), ["text:Two loaves.", "text:Good bye."]);
    assert!(test.update().is_none(), "the last words are waited for");
    test.fetched(2, Ok(&[0x44; 4_000]));
    test.hush(600);
    assert!(test.update().is_some());
}

#[test]
fn what_the_caller_has_interrupted_is_not_synthesised() {
    let mut test = greeted();
    test.agent(1, words("Once upon a time"));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, empty());
    assert_eq!(fetches(&test).len(), 0);
}

#[test]
fn audio_in_a_coding_that_cannot_be_played_is_synthesised_too() {
    let text = || written(AnswerPart::Final, "Two loaves.");
    let ogg = Prompt { audio: b"OggS\0\x02 and so on".as_slice().into(), ..prompt(10) };
    let mp3 = Some("OUTPUT_AUDIO_ENCODING_MP3".to_owned());
    for (answer, fault) in [
        (Answer { unplayable: mp3, ..text() }, "OUTPUT_AUDIO_ENCODING_MP3"),
        (Answer { prompts: vec![ogg], ..text() }, "Ogg"),
        (
            Answer {
                prompts: vec![Prompt {
                    audio: b"RIFF\x10\0\0\0WAVEfmt \x04\0\0\0none".as_slice().into(),
                    ..prompt(10)
                }],
                ..text()
            },
            "the audio's WAV header cannot be read",
        ),
    ] {
        let mut test = asked(CallConfig::default());
        answers(&mut test, 1, answer);
        assert_eq!(fetches(&test), ["text:Two loaves."], "{fault}");
        assert_eq!(without_audio(&test), [(Some(fault.to_owned()), true)]);
        assert_eq!(test.played_ms(), 0, "noise");
    }
    let mut without_text = asked(CallConfig::default());
    answers(
        &mut without_text,
        1,
        Answer { part: AnswerPart::Final, unplayable: Some("MP3".to_owned()), ..Answer::default() },
    );
    assert_eq!(fillers(&without_text), ["unspoken"], "there is nothing to synthesise");
    assert!(without_text.reports().any(|report| matches!(report, Report::PromptRefused { .. })));
}

#[test]
fn where_nothing_can_be_synthesised_the_caller_hears_a_filler_and_the_call_goes_on() {
    for comes in [true, false] {
        for (recording, ms) in [(None, 1_000), (Some(Clip(vec![0x33; 4_000].into())), 500)] {
            let mut test = asked(with(CallConfig::default(), |config| config.fillers.thinking = recording.clone()));
            answers(&mut test, 1, written(AnswerPart::Final, "You have three messages."));
            if comes {
                test.fetched(1, Err("403"));
            } else {
                test.hush(5_100);
            }
            test.hush(1_100);
            assert_eq!((fillers(&test), test.heard()), (vec!["unspoken"], vec![ms]));
            test.utter(2, 400);
            test.agent(2, answered(300));
            test.hush(400);
            assert_eq!(test.heard(), [ms, 300]);
        }
    }
}

#[test]
fn last_words_without_audio_are_heard_in_full_before_the_hand_off() {
    let mut test = TestCall::started(starting_text());
    answers(&mut test, 1, Answer { end: Some(AgentEnd::EndInteraction), ..written(AnswerPart::Final, "Good bye.") });
    test.hush(1_000);
    assert!(test.update().is_none());
    test.fetched(1, Ok(&[0x44; 8_000]));
    test.hush(900);
    assert!(test.update().is_none());
    test.hush(200);
    assert!(test.update().is_some());
}

#[test]
fn a_text_that_may_not_be_interrupted_is_not_when_it_is_synthesised() {
    let mut test = asked(CallConfig::default());
    answers(&mut test, 1, Answer { is_protected: true, ..written(AnswerPart::Final, "The terms are these.") });
    test.fetched(1, Ok(&[0x44; 16_000]));
    test.hush(400);
    test.speak(600);
    test.agent(2, interim("stop"));
    assert_eq!((test.clears(), test.is_playing()), (0, true));
}

#[test]
fn a_filler_gives_way_to_what_is_synthesised() {
    let clip = Some(Clip(vec![0x33; 160_000].into()));
    let config = with(CallConfig::default(), |config| {
        config.fillers.thinking = clip;
        config.fillers.thinking_after_ms = 500;
    });
    let mut test = asked(config);
    test.hush(1_000);
    assert!(test.is_playing());
    answers(&mut test, 1, written(AnswerPart::Final, "Two loaves."));
    assert_eq!((test.clears(), test.is_playing()), (1, false));
    test.fetched(1, Ok(&[0x44; 4_000]));
    assert!(test.is_playing());
}

#[test]
fn an_answer_that_broke_off_is_spoken_as_far_as_it_came() {
    let mut test = asked(CallConfig::default());
    answers(&mut test, 1, written(AnswerPart::Partial, "Two loaves."));
    test.agent(1, crate::failures::fault("UNAVAILABLE", true));
    assert_eq!(fetches(&test), ["text:Two loaves."]);
    assert_eq!(test.count(|output| matches!(output, Output::Agent(StreamId(2), _))), 0, "its answer plays first");
}
