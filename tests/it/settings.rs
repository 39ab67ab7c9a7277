//! Settings do what their page says, in whole calls.

use std::time::Duration;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_lab::twilio::{CallEventKind, CallPlan, CallRecord, CallerStep, When};
use dialbridge_runner::settings::Settings;
use dialbridge_tests::{Edition, Harness, HarnessBuilder, numbered_speech, numbers, pause, said, say};

const SCRIPT: &str = r#"
    [start]
    tone = { hz = 400, ms = 2000 }
    [[utterance]]
    tone = { hz = 500, ms = 300 }
    [digits.12]
    tone = { hz = 600, ms = 300 }
    end = true
"#;

fn harness(script: &str, change: impl FnOnce(&mut Settings)) -> HarnessBuilder {
    Harness::with_script(script).settings(change)
}

fn inputs(harness: &Harness, call: &CallRecord) -> Vec<(&'static str, String)> {
    harness.turns(call).into_iter().map(|turn| (turn.input, turn.text)).collect()
}

fn heard(call: &CallRecord) -> Vec<u64> {
    let spoke = call.events.iter().filter_map(|event| match event.kind {
        CallEventKind::AgentSpoke { played_ms, .. } => Some(played_ms),
        _ => None,
    });
    spoke.collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_migrates_in_pauses_as_often_as_it_must() {
    let harness = harness(SCRIPT, |settings| settings.set("MIGRATE_AFTER_SECONDS", "120")).start();
    // Twilio streams nothing between the old media stream and the new one, so we migrate in a pause.
    let minutes =
        (0..10).flat_map(|n| [pause(30_000), say(When::After(0), numbered_speech(n * 40, 800)), pause(29_200)]);
    let steps = minutes.chain([CallerStep::HangUp { when: When::After(0) }]).collect();
    let call = harness.twilio.call(CallPlan { limit: Duration::from_secs(1_200), ..harness.plan(steps) }).await;
    let turns = harness.turns(&call);
    let said: Vec<u32> = turns.iter().flat_map(|turn| numbers(&turn.audio)).collect();
    assert_eq!(said, (0..10 * 40).collect::<Vec<u32>>());
    assert_eq!(turns.iter().filter(|turn| turn.input != "audio").count(), 1, "one greeting");
    let streams = call.count(|what| matches!(what, CallEventKind::StreamOpened));
    assert!((5..=6).contains(&streams), "{streams} sockets in ten minutes");
    assert_eq!(
        call.find(|what| if let CallEventKind::Ended { by } = what { Some(by.clone()) } else { None }).unwrap(),
        "caller"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_long_is_told_good_bye() {
    let harness = harness(SCRIPT, |settings| {
        settings.set("MAX_CALL_SECONDS", "20");
        settings.set("TEXT_GOODBYE", "Thank you, good bye.");
    })
    .start();
    let call = harness.call((0..20).map(|n| say(When::After(2_000), numbered_speech(n * 30, 600))).collect()).await;
    let told = said(&call);
    assert_eq!(told.as_deref(), Some("Thank you, good bye."));
    assert!(call.documents.iter().any(|document| document.contains("VirtualAgentStatus=hangup")));
}

#[tokio::test(start_paused = true)]
async fn the_longest_call_is_counted_over_all_its_sockets() {
    let harness = harness(SCRIPT, |settings| {
        settings.set("MIGRATE_AFTER_SECONDS", "120");
        settings.set("MAX_CALL_SECONDS", "280");
    })
    .start();
    let steps = (0..6).flat_map(|n| [pause(30_000), say(When::After(0), numbered_speech(n * 40, 800)), pause(29_200)]);
    let plan = harness.plan(steps.collect());
    let call = harness.twilio.call(CallPlan { limit: Duration::from_secs(1_200), ..plan }).await;
    assert_eq!(call.count(|what| matches!(what, CallEventKind::StreamOpened)), 3);
    let ended = call.events.iter().find(|event| matches!(event.kind, CallEventKind::Updated)).unwrap();
    assert!((280_000..285_000).contains(&ended.at_ms), "{}", ended.at_ms);
}

each_edition!(digits_reach_each_edition_in_its_form_or_in_the_one_that_is_set, [Cx, EsV2, EsV2Beta1]);
async fn digits_reach_each_edition_in_its_form_or_in_the_one_that_is_set(edition: Edition) {
    let cases = match edition {
        Edition::Cx => [(None, "dtmf", "12"), (Some("text"), "text", "12")],
        Edition::EsV2 => [(None, "text", "12"), (Some("event:TYPED"), "event", "TYPED")],
        _ => [(None, "text", "12"), (Some("dtmf"), "dtmf", "12*")],
    };
    for (form, input, sent) in cases {
        let harness = harness(SCRIPT, |settings| {
            settings.set("DTMF_AS", form.unwrap_or_default());
            settings.set("DTMF_FINISH_DIGIT", "*");
        })
        .edition(edition)
        .start();
        let steps = vec![CallerStep::Press { when: When::AgentSilent(500), digits: "12*".to_owned() }, pause(3_000)];
        let call = harness.call(steps).await;
        let inputs = inputs(&harness, &call);
        assert!(inputs.contains(&(input, sent.to_owned())), "{form:?}: {inputs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_an_event_where_one_is_set() {
    let harness = harness(SCRIPT, |settings| {
        settings.set("NO_INPUT_EVENT", "SILENCE");
        settings.set("NO_INPUT_MS", "3000");
    })
    .start();
    let call = harness.call(vec![pause(7_000), CallerStep::HangUp { when: When::After(0) }]).await;
    assert_eq!(inputs(&harness, &call).iter().filter(|(_, text)| text == "SILENCE").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_interrupted_as_it_is_set_and_the_agent_is_told_what_was_heard() {
    for (mode, is_cut) in [("off", false), ("speech", true), ("voice", true)] {
        let harness = harness(SCRIPT, |settings| {
            settings.set("BARGE_IN", mode);
            settings.set("HEARD_PARAMETER", "heard");
        })
        .start();
        let call = harness.call(vec![say(When::AgentSpeaking(700), numbered_speech(0, 900)), pause(3_000)]).await;
        assert_eq!(
            call.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. })) > 0,
            is_cut,
            "{mode}"
        );
        let told = harness.turns(&call).iter().any(|turn| turn.parameters.contains_key("heard"));
        assert_eq!(told, is_cut, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filler_is_played_while_the_agent_thinks() {
    let wav = std::env::temp_dir().join(format!("dialbridge-filler-{}.wav", std::process::id()));
    std::fs::write(&wav, write_wav(1, AudioFormat::TELEPHONE, &[0x20; 700 * 8])).unwrap();
    let script = "[start]\nthink_ms = 4000\ntone = { hz = 400, ms = 500 }\nend = true";
    let harness = harness(script, |settings| {
        settings.set("FILLER_FILE", wav.display().to_string());
        settings.set("FILLER_AFTER_MS", "1500");
    })
    .start();
    let call = harness.call(Vec::new()).await;
    assert_eq!(heard(&call), [700, 500], "the filler, then the agent");
    std::fs::remove_file(wav).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_dialled_as_it_is_set() {
    let script = "[start]\ntone = { hz = 400, ms = 300 }\ntransfer = \"+15550123\"";
    let harness = harness(script, |settings| {
        settings.set("DIAL_CALLER_ID", "+15550111");
        settings.set("DIAL_TIMEOUT", "45");
        settings.set("DIAL_ANSWER_ON_BRIDGE", "false");
    })
    .start();
    let call = harness.call(Vec::new()).await;
    let dial = call.documents.iter().find(|document| document.contains("<Dial")).unwrap();
    assert!(dial.contains("callerId=\"+15550111\"") && dial.contains("timeout=\"45\""), "{dial}");
    assert!(!dial.contains("answerOnBridge=\"true\""), "{dial}");
}
