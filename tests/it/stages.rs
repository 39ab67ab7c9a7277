//! The times of a turn's stages, as reported for figures.

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::report::Stages;
use dialbridge_core::{CallTime, Report, TurnId};
use dialbridge_lab::twilio::{CallEventKind, When};
use dialbridge_tests::{Edition, Harness, all_at, first_at, hang_up, numbered_speech, press, say, tone};

fn stages(reports: &[Report]) -> Vec<Stages> {
    let told = |report: &Report| match report {
        Report::Stages(stages) => Some((**stages).clone()),
        _ => None,
    };
    reports.iter().filter_map(told).collect()
}

/// The turns that were answered, in order.
fn answered(reports: &[Report]) -> Vec<TurnId> {
    let turn = |report: &Report| match report {
        Report::Answered { turn, .. } => Some(*turn),
        _ => None,
    };
    let mut turns: Vec<TurnId> = reports.iter().filter_map(turn).collect();
    turns.dedup();
    turns
}

/// All stages that a turn must have, in order.
fn in_order(stages: &Stages) -> Vec<CallTime> {
    let heard = [stages.answered, stages.first_audio_sent, stages.first_audio_played];
    let asked = match stages.input {
        "audio" => vec![stages.speech_began, stages.input_complete],
        _ => vec![Some(stages.opened), stages.input_complete],
    };
    let all = asked.into_iter().chain(heard);
    all.map(|at| at.unwrap_or_else(|| panic!("a stage is missing: {stages:?}"))).collect()
}

each_edition!(each_turn_that_was_answered_has_its_stages_once_complete_and_in_order, ALL);
async fn each_turn_that_was_answered_has_its_stages_once_complete_and_in_order(edition: Edition) {
    let script = r#"
        think_ms = 300
        [start]
        tone = { hz = 400, ms = 600 }
        [[utterance]]
        tone = { hz = 500, ms = 900 }
        [[utterance]]
        play = "gs://music/jingle.wav"
        [[utterance]]
        tone = { hz = 500, ms = 6000 }
        [other_digits]
        tone = { hz = 600, ms = 300 }
    "#;
    for transcripts in ["before-end", "after-end"] {
        let mut harness = Harness::with_script(&format!("transcripts = \"{transcripts}\"\n{script}"))
            .edition(edition)
            // An answer of v2 that only names a recording is no answer.
            .each_call(move |call| call.retry.answering_turn = edition != Edition::EsV2)
            .start();
        harness.storage.put("music/jingle.wav", write_wav(1, AudioFormat::TELEPHONE, &tone(700.0, 500)));
        let recordings = edition != Edition::EsV2;
        let second = if recordings { When::AgentSilent(300) } else { When::After(2_500) };
        let steps = vec![
            say(When::AgentSilent(300), numbered_speech(0, 700)),
            say(When::AgentSilent(300), numbered_speech(35, 700)),
            say(second, numbered_speech(70, 700)),
            // Into the long answer.
            say(When::AgentSpeaking(1_000), numbered_speech(105, 700)),
            press(When::AgentSilent(300), "12#"),
            hang_up(When::AgentSilent(500)),
        ];
        let call = harness.call(steps).await;
        let reports = harness.reports();
        let told = stages(&reports);
        let turns: Vec<TurnId> = told.iter().map(|stages| stages.turn).collect();
        assert_eq!(turns, answered(&reports), "{transcripts}");
        assert_eq!(turns.len(), 6, "{transcripts}");
        let mut expected = harness.turns(&call);
        expected.retain(|turn| turn.answered);
        for (stages, turn) in told.iter().zip(expected) {
            let input = if matches!(turn.text.as_str(), "12" | "12#") { "digits" } else { turn.input };
            assert_eq!(stages.input, input);
            if stages.input == "audio" {
                let at = stages.final_transcript.unwrap();
                assert!(at <= stages.answered.unwrap() && at >= stages.speech_began.unwrap(), "{stages:?}");
            }
            let silent = !recordings && stages.first_audio_sent.is_none();
            if silent {
                continue;
            }
            let moments = in_order(stages);
            assert!(moments.is_sorted(), "{stages:?}");
        }
        let silent = told.iter().filter(|stages| stages.first_audio_sent.is_none()).count();
        assert_eq!(silent, usize::from(!recordings), "v2 names no recordings");
    }
}

each_edition!(the_stages_are_true, ALL);
async fn the_stages_are_true(edition: Edition) {
    let script = "think_ms = 300\n[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\ntone = { hz = 500, ms = 900 }";
    let mut harness = Harness::with_script(script).edition(edition).start();
    let call =
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(500))]).await;
    let told = stages(&harness.reports());
    let stages = &told[1];
    let began = first_at(&call, |what| matches!(what, CallEventKind::StreamOpened));
    let near = |at: Option<CallTime>, expected_ms: u64| at.unwrap().as_ms().abs_diff(expected_ms - began) <= 40;
    let speaks = first_at(&call, |what| matches!(what, CallEventKind::CallerSpeaks { .. }));
    assert!(near(stages.speech_began, speaks), "{stages:?}");
    assert!(near(stages.input_complete, speaks + 700 + 600), "{stages:?}");
    let heard = all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks))[1];
    assert!(near(stages.answered, heard), "{stages:?}");
    assert!(near(stages.first_audio_played, heard), "{stages:?}");
}
