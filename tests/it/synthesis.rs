//! What the service speaks because nobody else does: answers without audio, and a sentence for a caller who waits.

use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_lab::twilio::CallEventKind;
use dialbridge_lab::twilio::{CallPlan, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, HarnessBuilder, Log, ended_by, first_at, hang_up, numbered_speech, pause, redirected, say, spoke,
};

/// An agent that answers with texts alone.
const TEXTS: &str = "[start]\nsay = \"Hello there.\"\n[[utterance]]\nsay = \"You have three messages.\"\n\
                     [[utterance]]\nsay = \"Good bye.\"\nend = true";

/// What was synthesised, in order.
fn words(harness: &Harness) -> Vec<String> {
    harness.text_to_speech.synthesized().into_iter().map(|synthesized| synthesized.words).collect()
}

fn twice() -> Vec<dialbridge_lab::twilio::CallerStep> {
    vec![say(When::AgentSilent(300), numbered_speech(0, 700)), say(When::AgentSilent(300), numbered_speech(35, 700))]
}

fn fillers(harness: &mut Harness) -> Vec<&'static str> {
    let which = |report: Report| if let Report::Filler { which } = report { Some(which) } else { None };
    harness.reports().into_iter().filter_map(which).collect()
}

each_edition!(an_answer_without_audio_is_spoken_by_the_service_and_its_last_words_are_heard_in_full, ANY);
async fn an_answer_without_audio_is_spoken_by_the_service_and_its_last_words_are_heard_in_full(edition: Edition) {
    let log = Log::start();
    let harness = Harness::with_script(TEXTS).edition(edition).start();
    let call = harness.call(twice()).await;
    assert_eq!(words(&harness), ["Hello there.", "You have three messages.", "Good bye."]);
    let heard: Vec<u64> = spoke(&call).into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(heard, harness.text_to_speech.synthesized().iter().map(|said| u64::from(said.ms)).collect::<Vec<_>>());
    assert!(redirected(&call).is_some_and(|url| url.contains("VirtualAgentStatus=completed")));
    let is_warning = |line: &&str| line.contains("WARNING") && line.contains("an answer has no audio");
    assert_eq!(log.text().lines().filter(is_warning).count(), 1, "it is told once a call");
    let metrics = harness.service.metrics_text();
    let counted = metrics.lines().find(|line| line.starts_with("dialbridge_answers_without_audio_total{"));
    assert!(counted.is_some_and(|line| line.ends_with(" 3")), "{counted:?}");
}

each_edition!(audio_in_a_coding_that_is_not_played_is_spoken_by_the_service, [Cx, EsV2, EsV2Beta1]);
async fn audio_in_a_coding_that_is_not_played_is_spoken_by_the_service(edition: Edition) {
    for announced in ["mp3", "ogg-opus"] {
        let script = format!(
            "output = {{ encoding = \"mulaw\", sample_rate = 8000, announced = \"{announced}\" }}\n\
             [start]\nsay = \"Hello there.\"\ntone = {{ hz = 400, ms = 5000 }}\nend = true"
        );
        let harness = Harness::with_script(&script).edition(edition).start();
        let call = harness.call(Vec::new()).await;
        assert_eq!(words(&harness), ["Hello there."], "{announced}");
        assert_eq!(spoke(&call), [(u64::from(harness.text_to_speech.synthesized()[0].ms), false)], "{announced}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_words_are_synthesised_once() {
    let harness = Harness::with_script(TEXTS).start();
    for _ in 0..2 {
        let call = harness.call(twice()).await;
        assert_eq!(spoke(&call).len(), 3);
    }
    assert_eq!(words(&harness).len(), 3, "the second call hears what is kept");
}

#[tokio::test(start_paused = true)]
async fn words_are_spoken_by_the_voice_that_is_set_in_the_language_of_the_call() {
    let harness = Harness::with_script(TEXTS)
        .edition(Edition::CesWebSocket)
        .settings(|settings| settings.set("VOICE_NAME", "de-DE-Neural2-C"))
        .start();
    let mut plan: CallPlan = harness.plan(twice());
    plan.voice_url += "?language=german";
    harness.twilio.call(plan).await;
    let said = &harness.text_to_speech.synthesized()[0];
    assert_eq!((said.language.as_str(), said.voice.as_str()), ("de-DE", "de-DE-Neural2-C"));
}

/// An agent that cannot be had for the first seconds of a call.
fn down(ms: u32) -> HarnessBuilder {
    let script = format!("[start]\nfault = \"DOWN\"\ndown_ms = {ms}\nfault_times = 1\ntone = {{ hz = 400, ms = 300 }}");
    Harness::with_script(&script)
}

/// When the caller first heard anything, in milliseconds after the stream opened.
fn first_sound(call: &CallRecord) -> u64 {
    let opened = first_at(call, |what| matches!(what, CallEventKind::StreamOpened));
    first_at(call, |what| matches!(what, CallEventKind::AgentSpeaks)) - opened
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_down_when_a_call_begins_is_not_silence() {
    let mut harness = down(9_000).start();
    let mut plan = harness.plan(vec![pause(14_000), hang_up(When::After(0))]);
    plan.voice_url += "?language=fr";
    plan.hang_up_after = Duration::from_secs(30);
    let call = harness.twilio.call(plan).await;
    assert_eq!(words(&harness), ["Un instant, s'il vous plaît."]);
    assert!((2_900..3_500).contains(&first_sound(&call)), "{}", first_sound(&call));
    let heard = spoke(&call);
    assert_eq!(heard.last(), Some(&(300, false)), "retries go on, and the agent greets: {heard:?}");
    assert!(fillers(&mut harness).iter().all(|which| *which == "greeting"));
    assert_eq!(ended_by(&call), "caller");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_synthesised_a_caller_who_waits_hears_a_tone() {
    let nowhere = |config: &mut dialbridge_runner::settings::Config| {
        config.default_agent_mut().prompts.text_to_speech_endpoint = "http://nowhere.test".to_owned();
    };
    let mut harness = down(5_000).config(nowhere).start();
    let call = harness.call(vec![pause(12_000), hang_up(When::After(0))]).await;
    assert!((2_900..3_500).contains(&first_sound(&call)), "{}", first_sound(&call));
    assert_eq!(spoke(&call)[0], (1_000, false));
    assert_eq!(fillers(&mut harness).first(), Some(&"greeting"));
}
