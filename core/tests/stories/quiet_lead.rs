//! An agent's audio may begin with seconds in which nobody speaks (CES). They are played, but the agent is not
//! speaking.

use dialbridge_core::agent::{Answer, Prompt, TurnInput};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::config::{BargeInMode, NoInput, Timeouts};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::failures::fault;
use crate::session_stream::{config, greeted, says};
use crate::test_call::{TestCall, empty, interim, numbers, with};

/// Audio in which nobody speaks.
fn quiet(ms: usize) -> AgentEvent {
    let prompt = Prompt::new(AudioFormat::TELEPHONE, vec![0xFE; ms * 8]);
    AgentEvent::Answer(Box::new(Answer { prompts: vec![prompt], ..Answer::default() }))
}

#[test]
fn a_lead_is_played_whole_and_the_answer_after_it() {
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("two loaves"));
    for _ in 0..25 {
        test.agent(1, quiet(200));
        test.hush(200);
    }
    test.agent(1, says(1_000));
    test.agent(1, empty());
    test.hush(1_100);
    assert_eq!((test.played_ms(), test.clears()), (400 + 5_000 + 1_000, 0));
    let answered = test.reports().filter_map(|report| match report {
        Report::Answered { audio_ms, thought_ms, .. } => Some((*audio_ms, *thought_ms)),
        _ => None,
    });
    assert_eq!(answered.last(), Some((1_000, 5_000)), "the agent thought until its first word");
    let stages = test.reports().filter_map(|report| match report {
        Report::Stages(stages) => Some((stages.speech_ended?, stages.first_audio_played?)),
        _ => None,
    });
    let (ended, heard) = stages.last().unwrap();
    assert!((5_000..5_100).contains(&heard.ms_since(ended)), "{ended} {heard}");
}

#[test]
fn what_the_caller_says_into_the_lead_is_the_next_turn() {
    for mode in [BargeInMode::Speech, BargeInMode::Voice] {
        let mut test = TestCall::started(with(config(), |config| config.barge_in.mode = mode));
        test.agent(1, quiet(3_000));
        test.hush(500);
        test.speak(400);
        test.agent(1, interim("hello"));
        test.hush(1_000);
        assert_eq!((test.clears(), test.is_playing()), (0, true), "{mode:?}");
        test.agent(1, says(3_000));
        test.speak(400);
        assert_eq!(test.clears(), 0, "{mode:?}: the caller does not hear the agent yet");
        test.hush(1_500);
        test.speak(400);
        let cuts = usize::from(mode == BargeInMode::Voice);
        assert_eq!(test.clears(), cuts, "{mode:?}: into its words he is heard, by the rule of the mode");
    }
}

#[test]
fn a_stream_that_breaks_in_the_lead_has_answered_nothing() {
    let mut test = TestCall::started(config());
    test.agent(1, quiet(400));
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    let mut test = greeted();
    test.speak(400);
    test.agent(1, interim("two loaves"));
    test.agent(1, quiet(400));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(400);
    assert!(numbers(&test.written(2)).starts_with(&(0..45).collect::<Vec<u16>>()), "the words are said again");
}

#[test]
fn a_lead_on_a_stream_that_goes_away_has_answered_nothing() {
    let mut test = TestCall::started(config());
    for event in [quiet(400), AgentEvent::GoAway, quiet(400), AgentEvent::Ended] {
        test.agent(1, event);
    }
    test.wait(300);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    let mut test = greeted();
    test.speak(400);
    for event in [interim("two loaves"), quiet(400), AgentEvent::GoAway, quiet(400), AgentEvent::Ended] {
        test.agent(1, event);
    }
    test.hush(400);
    assert!(numbers(&test.written(2)).starts_with(&(0..45).collect::<Vec<u16>>()), "the words are said again");
}

#[test]
fn noise_is_no_answer_however_long_it_goes_on() {
    let timeouts = Timeouts { answer_ms: 4_000, ..Timeouts::default() };
    let mut test = TestCall::started(CallConfig { timeouts, ..config() });
    test.agent_answers(1, 400);
    test.hush(500);
    test.speak(400);
    test.agent(1, interim("two loaves"));
    for _ in 0..50 {
        test.agent(1, quiet(100));
        test.hush(100);
    }
    assert_eq!(test.last_stream(), 1, "a lead may last for longer than an answer may take");
    for _ in 0..100 {
        test.agent(1, quiet(100));
        test.hush(100);
    }
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    assert!(test.reports().any(|report| matches!(report, Report::TurnFailed { .. })));
}

#[test]
fn a_caller_in_whose_ear_nobody_speaks_is_silent() {
    let no_input = NoInput { event: Some("NO_INPUT".to_owned()), after_ms: 2_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..config() });
    test.agent_answers(1, 400);
    test.hush(500);
    for _ in 0..25 {
        test.agent(1, quiet(100));
        test.hush(100);
    }
    assert_eq!(test.reports().filter(|report| matches!(report, Report::NoInput { .. })).count(), 1);
}
