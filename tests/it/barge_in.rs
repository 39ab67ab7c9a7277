//! A caller who speaks into a prompt stops it, and we know how much of it was heard.

use dialbridge_core::Report;
use dialbridge_core::call::CHUNK_MS;
use dialbridge_core::config::{BargeIn, BargeInMode};
use dialbridge_core::report::BargeInBy;
use dialbridge_lab::twilio::{CallEventKind, CallRecord, CallerStep, When};
use dialbridge_tests::Stretch::{Quiet, Speech};
use dialbridge_tests::{
    Edition, Harness, Numbered, all_at, barge_ins, first_at, hang_up, heard_between, is_silence, numbered_speech,
    numbers, pause, press, say, sounding_ms, spoke, tone_ms,
};

/// A long prompt at 400 Hz, and a 900 Hz answer to what the caller says into it.
const PROMPT: &str = r#"
    think_ms = 200
    [start]
    tone = { hz = 400, ms = 6000 }
    [[utterance]]
    heard = "well now listen"
    tone = { hz = 900, ms = 600 }
    [other_digits]
    tone = { hz = 900, ms = 600 }
"#;

/// Two seconds into the prompt the caller speaks.
fn interruption() -> Vec<CallerStep> {
    vec![say(When::AgentSpeaking(2_000), numbered_speech(0, 1_600)), pause(9_000), hang_up(When::After(0))]
}

fn rule(mode: BargeInMode) -> BargeIn {
    BargeIn { mode, ..BargeIn::default() }
}

/// Whether the caller heard about that many milliseconds of a tone in the whole call. mu-law changes its loudness a
/// little.
fn is_heard(call: &CallRecord, hz: f64, expected_ms: f64) -> bool {
    (tone_ms(&call.heard, hz) - expected_ms).abs() < 10.0 + expected_ms / 50.0
}

each_edition!(each_mode_has_its_own_idea_of_an_interruption, ALL);
async fn each_mode_has_its_own_idea_of_an_interruption(edition: Edition) {
    for mode in [BargeInMode::Off, BargeInMode::Speech, BargeInMode::Voice] {
        let mut harness =
            Harness::with_script(PROMPT).edition(edition).each_call(move |call| call.barge_in = rule(mode)).start();
        let call = harness.call(interruption()).await;
        let cuts = barge_ins(&harness.reports());
        match mode {
            BargeInMode::Off => {
                assert!(cuts.is_empty());
                assert_eq!(sounding_ms(&call), 6_600, "the prompt, and the answer after it");
            }
            BargeInMode::Speech | BargeInMode::Voice => {
                let by = if mode == BargeInMode::Voice { BargeInBy::Voice } else { BargeInBy::Speech };
                assert_eq!(cuts.iter().map(|cut| cut.0).collect::<Vec<_>>(), [by]);
                let (played_ms, cut) = spoke(&call)[0];
                // The caller begins at 2,000 ms. The first transcript comes 400 ms later; 180 ms of voice are enough.
                let expected = if mode == BargeInMode::Voice { 2_180..2_300 } else { 2_400..2_500 };
                assert!(cut && expected.contains(&played_ms), "{mode:?}: {played_ms}");
                assert_eq!(spoke(&call)[1], (600, false), "the answer is heard to its end");
            }
        }
    }
}

each_edition!(what_is_reported_as_heard_is_what_was_heard_within_a_chunk, ALL);
async fn what_is_reported_as_heard_is_what_was_heard_within_a_chunk(edition: Edition) {
    for into_ms in [100, 390, 410, 1_000, 2_780, 5_300] {
        let mut harness = Harness::with_script(PROMPT).edition(edition).start();
        let steps = vec![say(When::AgentSpeaking(into_ms), numbered_speech(0, 1_600)), pause(3_000)];
        let call = harness.call(steps).await;
        let [(_, told_ms, cut_ms)] = barge_ins(&harness.reports())[..] else { panic!("{into_ms}") };
        let (played_ms, cut) = spoke(&call)[0];
        assert!(cut, "{into_ms}");
        assert!(told_ms <= played_ms && played_ms - told_ms <= CHUNK_MS, "{told_ms} and {played_ms}");
        assert_eq!(told_ms + cut_ms, 6_000, "heard and cut are the whole prompt");
    }
}

each_edition!(after_the_cut_nothing_of_the_old_answer_is_heard, ANY);
async fn after_the_cut_nothing_of_the_old_answer_is_heard(edition: Edition) {
    for mode in [BargeInMode::Speech, BargeInMode::Voice] {
        let harness =
            Harness::with_script(PROMPT).edition(edition).each_call(move |call| call.barge_in = rule(mode)).start();
        let call = harness.call(interruption()).await;
        let cut_at = first_at(&call, |what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. }));
        let answer_at = all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks))[1];
        assert!(is_silence(heard_between(&call, cut_at, answer_at)));
        let after = heard_between(&call, answer_at, u64::MAX / 16);
        assert!(tone_ms(after, 400.0) < 5.0, "{}", tone_ms(after, 400.0));
        assert!((590.0..610.0).contains(&tone_ms(after, 900.0)), "{}", tone_ms(after, 900.0));
    }
}

each_edition!(as_many_words_as_are_set_interrupt, ALL);
async fn as_many_words_as_are_set_interrupt(edition: Edition) {
    // The caller says three words, one every 400 ms.
    for (min_words, expected) in [(1, Some(2_400..2_500)), (3, Some(3_200..3_300)), (4, None)] {
        let mut harness = Harness::with_script(PROMPT)
            .edition(edition)
            .each_call(move |call| call.barge_in.min_words = min_words)
            .start();
        let call = harness.call(interruption()).await;
        let cuts = barge_ins(&harness.reports());
        match expected {
            Some(expected) => {
                let (played_ms, cut) = spoke(&call)[0];
                assert!(cut && expected.contains(&played_ms), "{min_words}: {played_ms}");
            }
            None => assert!(cuts.is_empty() && sounding_ms(&call) == 6_600, "{cuts:?}"),
        }
    }
}

each_edition!(speech_of_so_many_milliseconds_interrupts, ALL);
async fn speech_of_so_many_milliseconds_interrupts(edition: Edition) {
    let mut harness =
        Harness::with_script(PROMPT).edition(edition).each_call(|call| call.barge_in.min_ms = 1_000).start();
    let call = harness.call(interruption()).await;
    assert_eq!(barge_ins(&harness.reports()).len(), 1);
    let played_ms = spoke(&call)[0].0;
    assert!((3_000..3_300).contains(&played_ms), "{played_ms}");
}

each_edition!(words_that_the_recogniser_is_not_sure_of_do_not_interrupt, ALL);
async fn words_that_the_recogniser_is_not_sure_of_do_not_interrupt(edition: Edition) {
    for (confidence, cuts) in [("confidence = 0.4", 0), ("confidence = 0.9", 1), ("", 1)] {
        let mut harness = Harness::with_script(&format!("{confidence}\n{PROMPT}"))
            .edition(edition)
            .each_call(|call| call.barge_in.min_confidence = 60)
            .start();
        harness.call(interruption()).await;
        assert_eq!(barge_ins(&harness.reports()).len(), cuts, "{confidence}");
    }
}

each_edition!(without_interim_results_the_last_one_interrupts, ALL);
async fn without_interim_results_the_last_one_interrupts(edition: Edition) {
    let mut harness = Harness::with_script(&format!("interim = false\n{PROMPT}")).edition(edition).start();
    let call = harness.call(interruption()).await;
    assert_eq!(barge_ins(&harness.reports()).len(), 1);
    let played_ms = spoke(&call)[0].0;
    assert!((4_200..4_300).contains(&played_ms), "when the utterance is over, {played_ms}");
}

each_edition!(a_prompt_that_may_not_be_interrupted_is_never_cut, ALL);
async fn a_prompt_that_may_not_be_interrupted_is_never_cut(edition: Edition) {
    // CX sets it on a message. In ES a custom payload sets it.
    let protection =
        if edition == Edition::Cx { "protected = true" } else { "payload = { dialbridge = { bargeIn = false } }" };
    let script = PROMPT.replace("[start]", &format!("[start]\nsay = \"a warning\"\n{protection}"));
    for mode in [BargeInMode::Off, BargeInMode::Speech, BargeInMode::Voice] {
        for step in [say(When::AgentSpeaking(1_000), numbered_speech(0, 900)), press(When::AgentSpeaking(1_000), "12#")]
        {
            let mut harness = Harness::with_script(&script)
                .edition(edition)
                .each_call(move |call| call.barge_in = rule(mode))
                .start();
            let call = harness.call(vec![step.clone(), pause(9_000), hang_up(When::After(0))]).await;
            assert!(barge_ins(&harness.reports()).is_empty(), "{mode:?}, {step:?}");
            assert!(is_heard(&call, 400.0, 6_000.0), "{mode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_mixed_audio_only_the_protected_part_is_protected() {
    let script = r#"
        [start]
        mixed = [
            { tone = { hz = 400, ms = 1500 }, protected = true },
            { tone = { hz = 600, ms = 4000 } },
        ]
        [[utterance]]
        tone = { hz = 900, ms = 600 }
    "#;
    let mut harness = Harness::with_script(script).start();
    let call = harness
        .call(vec![say(When::AgentSpeaking(500), numbered_speech(0, 2_500)), pause(5_000), hang_up(When::After(0))])
        .await;
    assert_eq!(barge_ins(&harness.reports()).len(), 1);
    let (played_ms, cut) = spoke(&call)[0];
    assert!(cut && (1_500..2_200).contains(&played_ms), "{played_ms}");
    assert!(is_heard(&call, 400.0, 1_500.0), "the warning is heard to its end");
}

each_edition!(a_yes_that_began_before_the_prompt_is_the_next_turn_by_its_word_times_too, ALL);
async fn a_yes_that_began_before_the_prompt_is_the_next_turn_by_its_word_times_too(edition: Edition) {
    let script = r#"
        word_times = true
        [start]
        think_ms = 1200
        tone = { hz = 400, ms = 3000 }
        [[utterance]]
        heard = "yes"
        tone = { hz = 900, ms = 600 }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let steps = vec![say(When::After(800), numbered_speech(0, 700)), pause(8_000), hang_up(When::After(0))];
    let call = harness.call(steps).await;
    let listening = harness.turns(&call).into_iter().find(|turn| turn.input == "audio").unwrap();
    assert!(listening.word_info, "word times are asked for");
    assert!(barge_ins(&harness.reports()).is_empty());
    assert_eq!(sounding_ms(&call), 3_600);
}

#[tokio::test(start_paused = true)]
async fn partial_responses_play_to_their_end_and_music_while_waiting_is_cut_by_the_answer() {
    for mode in [BargeInMode::Speech, BargeInMode::Voice] {
        let script = r#"
            [start]
            first = [{ say = "one moment", tone = { hz = 400, ms = 2500 }, think_ms = 1500 }]
            tone = { hz = 900, ms = 600 }
        "#;
        let mut harness = Harness::with_script(script).each_call(move |call| call.barge_in = rule(mode)).start();
        let call = harness
            .call(vec![say(When::AgentSpeaking(300), numbered_speech(0, 800)), hang_up(When::After(4_000))])
            .await;
        assert!(barge_ins(&harness.reports()).is_empty(), "{mode:?}");
        assert_eq!(spoke(&call)[0], (3_100, false), "{mode:?}");
    }
    let script = r#"
        [start]
        first = [{ tone = { hz = 400, ms = 20000 }, allow_cancellation = true, think_ms = 2000 }]
        tone = { hz = 900, ms = 600 }
    "#;
    let mut harness = Harness::with_script(script).start();
    let call = harness.call(vec![hang_up(When::AgentSilent(500))]).await;
    assert!(is_heard(&call, 400.0, 2_000.0), "two seconds of music");
    assert!(is_heard(&call, 900.0, 600.0), "the answer");
    let cancelled =
        harness.reports().iter().any(|report| matches!(report, Report::Cancelled { cut_ms } if *cut_ms > 15_000));
    assert!(cancelled);
}

each_edition!(what_the_recogniser_is_told_of_a_prompt_is_true, [Cx, EsV2Beta1]);
async fn what_the_recogniser_is_told_of_a_prompt_is_true(edition: Edition) {
    let script = r#"
        think_ms = 300
        [start]
        tone = { hz = 400, ms = 3000 }
        [[utterance]]
        tone = { hz = 500, ms = 1800 }
    "#;
    let harness = Harness::with_script(script).edition(edition).start();
    let mut caller = Numbered::default();
    let steps = caller.steps(When::After(0), &[Quiet(4_000), Speech(900), Quiet(3_500)]);
    let call = harness.call(steps).await;
    let began = first_at(&call, |what| matches!(what, CallEventKind::StreamOpened));
    let spoken = all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks)).into_iter().zip(spoke(&call));
    let prompts: Vec<u64> = spoken.map(|(at_ms, (played_ms, _))| at_ms - began + played_ms).collect();
    let turns = harness.turns(&call);
    let told: Vec<(u64, u64)> = turns
        .iter()
        .filter_map(|turn| {
            let (_, total_ms) = turn.barge_in?;
            Some((u64::from(numbers(&turn.audio)[0]) * 20, total_ms))
        })
        .collect();
    assert_eq!(told.len(), prompts.len(), "each prompt has a turn beside it");
    for ((stream_began_ms, total_ms), prompt_ended_ms) in told.into_iter().zip(prompts) {
        let ends_ms = stream_began_ms + total_ms;
        assert!(ends_ms.abs_diff(prompt_ended_ms) <= 20, "{ends_ms} and {prompt_ended_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_recogniser_is_told_how_long_it_must_not_listen() {
    let script = PROMPT.replace("[start]", "[start]\nsay = \"a warning\"\nprotected = true");
    let harness = Harness::with_script(&script).start();
    let call = harness.call(vec![say(When::AgentSpeaking(500), numbered_speech(0, 900)), pause(8_000)]).await;
    let window = harness.turns(&call)[1].barge_in.unwrap();
    assert_eq!(window.0, window.1, "all of the prompt is protected: {window:?}");
    let answered = harness.turns(&call).iter().filter(|turn| turn.input == "audio" && turn.answered).count();
    assert_eq!(answered, 0, "what was said into it is no turn");
}

each_edition!(the_agent_is_told_what_was_heard_of_its_prompt, ALL);
async fn the_agent_is_told_what_was_heard_of_its_prompt(edition: Edition) {
    let mut harness = Harness::with_script(PROMPT)
        .edition(edition)
        .each_call(|call| call.barge_in.heard_parameter = Some("heard".to_owned()))
        .start();
    let call = harness.call(interruption()).await;
    let [(_, played_ms, cut_ms)] = barge_ins(&harness.reports())[..] else { panic!() };
    let turns = harness.turns(&call);
    let (before, after) = (&turns[1], &turns[2]);
    let told = if edition.is_es() { &after.payload["heard"] } else { &after.parameters["heard"] };
    assert_eq!(told["heardMs"].as_f64(), Some(played_ms as f64));
    assert_eq!(told["cutMs"].as_f64(), Some(cut_ms as f64));
    assert!(!before.parameters.contains_key("heard") && !before.payload.contains_key("heard"));
}
