//! Every kind of message that an answer can carry, and what happens to a call when one is broken.

use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_lab::google::{Sound, StorageRequest, Synthesized};
use dialbridge_lab::twilio::{CallEventKind, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, Log, ended_by, hang_up, numbered_speech, press, redirected, say, sounding_ms, spoke, tone,
    tone_ms,
};

fn wav(hz: f64, ms: usize) -> Vec<u8> {
    write_wav(1, AudioFormat::TELEPHONE, &tone(hz, ms))
}

/// A call that listens to the whole first answer.
async fn listened(harness: &Harness) -> CallRecord {
    harness.call(vec![hang_up(When::AgentSilent(1_000))]).await
}

/// The tones that the caller heard, in the order in which they began, each of 400, 600 or 900 Hz.
fn tones(call: &CallRecord) -> Vec<u32> {
    let mut heard = Vec::new();
    for at in (0..call.heard.len()).step_by(400) {
        let piece = &call.heard[at..call.heard.len().min(at + 400)];
        let loudest = [400_u32, 600, 900].into_iter().find(|hz| tone_ms(piece, f64::from(*hz)) > 35.0);
        if let Some(hz) = loudest
            && heard.last() != Some(&hz)
        {
            heard.push(hz);
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn a_caller_hears_an_answer_that_is_shorter_than_a_frame() {
    let harness = Harness::with_script("[start]\ntone = { hz = 400, ms = 10 }").start();
    let call = harness.call(vec![say(When::AgentSilent(300), tone(300.0, 200))]).await;
    assert_eq!(spoke(&call).first(), Some(&(10, false)), "{:?}", call.events);
    let is_said = |event: &CallEventKind| matches!(event, CallEventKind::CallerSpoke { .. });
    assert_eq!(call.count(is_said), 1, "{:?}", call.events);
}

fn refused(reports: &[Report]) -> Vec<String> {
    let why = |report: &Report| match report {
        Report::PromptRefused { why } => Some(why.clone()),
        _ => None,
    };
    reports.iter().filter_map(why).collect()
}

each_edition!(a_recording_is_fetched_and_played_after_the_words, [Cx, EsV2Beta1]);
async fn a_recording_is_fetched_and_played_after_the_words(edition: Edition) {
    let script = r#"
        [start]
        say = "listen"
        tone = { hz = 400, ms = 500 }
        play = "gs://music/jingle.wav"
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    harness.storage.put("music/jingle.wav", wav(600.0, 800));
    let call = listened(&harness).await;
    assert_eq!(tones(&call), [400, 600]);
    assert_eq!(sounding_ms(&call), 1_300);
    assert!(refused(&harness.reports()).is_empty());
    assert_eq!(harness.storage.asked(), [StorageRequest { path: "music/jingle.wav".to_owned(), status: 200 }]);
}

each_edition!(a_custom_payload_has_a_recording_played_in_every_edition, [Cx, EsV2, EsV2Beta1]);
async fn a_custom_payload_has_a_recording_played_in_every_edition(edition: Edition) {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 500 }
        payload = { dialbridge = { play = "gs://music/jingle.wav", bargeIn = false } }
        [[utterance]]
        tone = { hz = 900, ms = 200 }
    "#;
    for audio_messages in ["with-result", "after", "split"] {
        let mut harness =
            Harness::with_script(&format!("audio_messages = \"{audio_messages}\"\n{script}")).edition(edition).start();
        harness.storage.put("music/jingle.wav", wav(600.0, 2_000));
        let steps = vec![say(When::AgentSpeaking(800), numbered_speech(0, 700)), hang_up(When::After(4_000))];
        let call = harness.call(steps).await;
        assert_eq!(spoke(&call)[0], (2_500, false), "{audio_messages}: neither part may be interrupted");
        assert_eq!(tones(&call)[..2], [400, 600], "{audio_messages}");
        let told = harness.reports().into_iter().filter(|report| matches!(report, Report::Payload { .. })).count();
        assert_eq!(told, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_may_not_be_interrupted_is_not() {
    for (protected, cuts) in [("protected = true", 0), ("", 1)] {
        let script = format!(
            "[start]\nplay = \"gs://music/jingle.wav\"\n{protected}\n[[utterance]]\ntone = {{ hz = 900, ms = 200 }}"
        );
        let harness = Harness::with_script(&script).start();
        harness.storage.put("music/jingle.wav", wav(600.0, 4_000));
        let steps = vec![say(When::AgentSpeaking(800), numbered_speech(0, 900)), hang_up(When::After(4_000))];
        let call = harness.call(steps).await;
        assert_eq!(spoke(&call).iter().filter(|(_, cut)| *cut).count(), cuts, "{protected}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_cannot_be_had_leaves_the_rest_of_the_answer_playing() {
    let script = r#"
        [start]
        say = "listen"
        tone = { hz = 400, ms = 500 }
        play = "gs://music/jingle.wav"
        mixed = [{ tone = { hz = 900, ms = 300 } }]
        [[utterance]]
        say = "still here"
        tone = { hz = 600, ms = 300 }
    "#;
    for broken in ["missing", "slow", "too large", "no WAV", "cut off", "empty", "no object", "nobody there"] {
        let script = match broken {
            "no object" => script.replace("gs://music/jingle.wav", "gs://music"),
            "nobody there" => script.replace("gs://music/jingle.wav", "https://nowhere.test/jingle.wav"),
            _ => script.to_owned(),
        };
        let log = Log::start();
        let mut harness = Harness::with_script(&script)
            .config(|config| config.default_agent_mut().prompts.max_bytes = 100_000)
            .start();
        match broken {
            "slow" => harness.storage.put_slow("music/jingle.wav", wav(600.0, 800), Duration::from_secs(30)),
            "too large" => harness.storage.put("music/jingle.wav", wav(600.0, 15_000)),
            "no WAV" => harness.storage.put("music/jingle.wav", &b"RIFFnonsense"[..]),
            "cut off" => harness.storage.put("music/jingle.wav", wav(600.0, 800)[..20].to_vec()),
            "empty" => harness.storage.put("music/jingle.wav", &b""[..]),
            _ => {}
        }
        let steps = vec![say(When::AgentSilent(6_000), numbered_speech(0, 700)), hang_up(When::AgentSilent(500))];
        let call = harness.call(steps).await;
        assert_eq!(tones(&call), [400, 900, 600], "{broken}: the rest, and the next answer");
        let refused = refused(&harness.reports());
        assert_eq!(refused.len(), 1, "{broken}: {refused:?}");
        assert!(log.text().contains("cannot be played"), "{broken}");
        // Nobody waits longer than the settings allow.
        let gap = spoke(&call).len();
        assert_eq!(gap, if broken == "slow" { 3 } else { 2 }, "{broken}: {:?}", spoke(&call));
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_kept_for_a_minute_and_then_asked_whether_it_has_changed() {
    let script = "[start]\nplay = \"gs://music/jingle.wav\"\n[[utterance]]\nplay = \"gs://music/jingle.wav\"";
    let harness = Harness::with_script(script).start();
    harness.storage.put("music/jingle.wav", wav(600.0, 500));
    let word = |after_ms| say(When::After(after_ms), numbered_speech(0, 600));
    let steps = vec![word(3_000), word(57_000), word(3_000), hang_up(When::AgentSilent(500))];
    let call = harness.call(steps).await;
    assert_eq!(spoke(&call), [(500, false); 4]);
    let statuses: Vec<u16> = harness.storage.asked().iter().map(|asked| asked.status).collect();
    assert_eq!(statuses, [200, 304], "the second and the fourth time nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn mixed_audio_is_heard_once_whether_it_is_in_the_answers_audio_or_not() {
    for place in ["apart", "in-output-audio"] {
        let script = format!(
            r#"
            mixed_audio = "{place}"
            [start]
            say = "listen"
            tone = {{ hz = 400, ms = 500 }}
            mixed = [{{ tone = {{ hz = 600, ms = 400 }} }}, {{ tone = {{ hz = 900, ms = 300 }} }}]
            "#
        );
        let harness = Harness::with_script(&script).start();
        let call = listened(&harness).await;
        assert_eq!((tones(&call), sounding_ms(&call)), (vec![400, 600, 900], 1_200), "{place}");
    }
    let script = r#"
        [start]
        mixed = [
            { tone = { hz = 400, ms = 400 } },
            { uri = "gs://music/jingle.wav" },
            { tone = { hz = 900, ms = 300 } },
        ]
    "#;
    let harness = Harness::with_script(script).start();
    harness.storage.put("music/jingle.wav", wav(600.0, 500));
    let call = listened(&harness).await;
    assert_eq!((tones(&call), sounding_ms(&call)), (vec![400, 600, 900], 1_200), "with a part that is fetched");
}

#[tokio::test(start_paused = true)]
async fn words_for_telephones_only_are_synthesised() {
    for (speech, is_ssml) in [("Good morning.", false), ("<speak>Good <break/> morning.</speak>", true)] {
        let script = format!("[start]\nspeech = \"{speech}\"");
        let mut harness = Harness::with_script(&script).edition(Edition::EsV2Beta1).start();
        let call = listened(&harness).await;
        let [synthesized] = &harness.text_to_speech.synthesized()[..] else { panic!("{speech}") };
        assert_eq!((synthesized.words.as_str(), synthesized.is_ssml), (speech, is_ssml));
        assert_eq!(synthesized.language, "en-US");
        assert_eq!(spoke(&call), [(u64::from(synthesized.ms), false)]);
        assert!(refused(&harness.reports()).is_empty());
    }
}

each_edition!(words_that_have_audio_already_are_not_synthesised, [EsV2, EsV2Beta1]);
async fn words_that_have_audio_already_are_not_synthesised(edition: Edition) {
    let both = "[start]\nsay = \"Good morning.\"\nspeech = \"Good morning.\"\ntone = { hz = 400, ms = 700 }";
    let harness = Harness::with_script(both).edition(edition).start();
    let call = listened(&harness).await;
    assert_eq!(spoke(&call), [(700, false)]);
    assert!(harness.text_to_speech.synthesized().is_empty());
}

/// What was synthesised in a call in that language, with these voice settings of the agent: name, gender, rate, pitch.
async fn synthesized(language: &str, voice: [&str; 4]) -> (Synthesized, u64) {
    let names = ["VOICE_NAME", "VOICE_GENDER", "SPEAKING_RATE", "PITCH"];
    let mut harness = Harness::with_script("[start]\nspeech = \"Good morning.\"")
        .edition(Edition::EsV2Beta1)
        .settings(|settings| {
            settings.set("DIALOGFLOW_LANGUAGE", language);
            names.into_iter().zip(voice).for_each(|(name, value)| settings.set(name, value));
        })
        .start();
    let call = listened(&harness).await;
    assert!(refused(&harness.reports()).is_empty(), "{language} {voice:?}");
    let [synthesized] = &harness.text_to_speech.synthesized()[..] else { panic!("{language} {voice:?}") };
    (synthesized.clone(), spoke(&call)[0].0)
}

#[tokio::test(start_paused = true)]
async fn synthesised_words_are_spoken_as_the_agents_voice_is_set() {
    for (language, voice, spoken, rate, pitch) in [
        ("en-US", ["en-US-Neural2-F", "", "1.25", "-2"], ("en-US", "en-US-Neural2-F"), 1.25, -2.0),
        ("en", ["en-US-Neural2-F", "male", "", ""], ("en-US", "en-US-Neural2-F"), 0.0, 0.0),
        ("en-US", ["", "male", "3.5", ""], ("en-US", "MALE"), 2.0, 0.0),
        ("de-DE", ["en-US-Neural2-F", "female", "0.5", ""], ("de-DE", "FEMALE"), 0.5, 0.0),
    ] {
        let (synthesized, played_ms) = synthesized(language, voice).await;
        let sound = &synthesized.sound;
        assert_eq!((synthesized.language.as_str(), synthesized.voice.as_str()), spoken, "{voice:?}");
        assert_eq!((sound.speaking_rate, sound.pitch), (rate, pitch), "{voice:?}");
        assert_eq!(played_ms, u64::from(synthesized.ms), "{voice:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_in_another_voice_are_heard_where_the_set_one_is_refused() {
    let (synthesized, played_ms) = synthesized("en-US", ["en-US-Chirp3-HD-Kore", "", "1.25", "-2"]).await;
    assert_eq!((synthesized.voice.as_str(), synthesized.sound), ("", Sound::default()), "it has no pitch");
    assert_eq!(played_ms, u64::from(synthesized.ms));
}

#[tokio::test(start_paused = true)]
async fn text_to_speech_that_cannot_be_had_leaves_the_call_alive() {
    let script = "[start]\nspeech = \"Good morning.\"\n[[utterance]]\ntone = { hz = 400, ms = 300 }";
    let mut harness = Harness::with_script(script)
        .edition(Edition::EsV2Beta1)
        .config(|config| config.default_agent_mut().prompts.text_to_speech_endpoint = "http://nowhere.test".to_owned())
        .start();
    let call =
        harness.call(vec![say(When::After(2_000), numbered_speech(0, 600)), hang_up(When::AgentSilent(300))]).await;
    assert_eq!(spoke(&call), [(1_000, false), (300, false)], "a tone, and the next answer");
    assert_eq!(refused(&harness.reports()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_response_may_repeat_the_audio_of_those_before_it_or_not() {
    for repeats in [true, false] {
        let script = format!(
            r#"
            [start]
            first = [
                {{ say = "one moment", tone = {{ hz = 400, ms = 500 }} }},
                {{ say = "please", tone = {{ hz = 600, ms = 400 }} }},
            ]
            repeats_partials = {repeats}
            tone = {{ hz = 900, ms = 300 }}
            "#
        );
        let harness = Harness::with_script(&script).start();
        let call = listened(&harness).await;
        assert_eq!((tones(&call), sounding_ms(&call)), (vec![400, 600, 900], 1_200), "{repeats}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_refused_and_the_agent_goes_on() {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 300 }
        [[utterance]]
        say = "let me look that up"
        tone = { hz = 600, ms = 600 }
        tool_call = { tool = "projects/p/locations/l/agents/a/tools/1", action = "look-up" }
        [[utterance]]
        say = "I cannot look that up"
        tone = { hz = 900, ms = 300 }
        [digits.1]
        say = "one"
    "#;
    let log = Log::start();
    let mut harness = Harness::with_script(script).start();
    let steps = vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(500))];
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    let result = turns.iter().find(|turn| turn.input == "tool_call_result").unwrap();
    assert_eq!((result.text.as_str(), result.is_error), ("projects/p/locations/l/agents/a/tools/1", true));
    assert_eq!(tones(&call), [400, 600, 900]);
    assert!(harness.reports().iter().any(|report| matches!(report, Report::ToolRefused { .. })));
    assert!(log.text().contains("wants a tool run"));
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_tool_comes_before_digits_that_were_pressed_meanwhile() {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 300 }
        [[utterance]]
        think_ms = 3000
        tone = { hz = 600, ms = 300 }
        tool_call = { tool = "t", action = "look-up" }
        [[utterance]]
        tone = { hz = 900, ms = 300 }
        [digits.1]
        tone = { hz = 400, ms = 300 }
    "#;
    let harness = Harness::with_script(script).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        press(When::After(1_500), "1#"),
        hang_up(When::After(6_000)),
    ];
    let call = harness.call(steps).await;
    let inputs: Vec<&str> =
        harness.turns(&call).iter().map(|turn| turn.input).filter(|input| *input != "audio").collect();
    assert_eq!(inputs, ["text", "tool_call_result", "dtmf"]);
    assert_eq!(tones(&call), [400, 600, 900, 400]);
}

#[tokio::test(start_paused = true)]
async fn success_is_reported_and_does_not_end_the_call() {
    let script = "[start]\nsuccess = true\ntone = { hz = 400, ms = 300 }\n[[utterance]]\ntone = { hz = 600, ms = 300 }";
    let mut harness = Harness::with_script(script).start();
    let call =
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(300))]).await;
    assert_eq!(tones(&call), [400, 600]);
    assert_eq!(harness.reports().iter().filter(|report| matches!(report, Report::Succeeded { .. })).count(), 1);
}

each_edition!(a_webhook_that_failed_is_logged_and_the_answer_is_played, ALL);
async fn a_webhook_that_failed_is_logged_and_the_answer_is_played(edition: Edition) {
    let log = Log::start();
    let script = "[start]\nwebhook_fault = \"the shop's webhook is down\"\ntone = { hz = 400, ms = 300 }";
    let mut harness = Harness::with_script(script).edition(edition).start();
    let call = listened(&harness).await;
    assert_eq!(tones(&call), [400]);
    let failed = harness.reports().into_iter().find_map(|report| match report {
        Report::WebhookFailed { why, .. } => Some(why),
        _ => None,
    });
    assert_eq!(failed.as_deref(), Some("code 14: the shop's webhook is down"));
    let line = log.text().lines().find(|line| line.contains("webhook is down")).map(ToOwned::to_owned);
    assert!(line.is_some_and(|line| line.contains(r#""severity":"WARNING""#)));
}

each_edition!(a_payload_for_somebody_else_passes_by_and_a_wrong_one_of_ours_is_told, ANY);
async fn a_payload_for_somebody_else_passes_by_and_a_wrong_one_of_ours_is_told(edition: Edition) {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 300 }
        payload = [{ richContent = [[{ type = "info" }]] }, { dialbridge = { transfr = { to = "+15550123" } } }]
        [[utterance]]
        tone = { hz = 600, ms = 300 }
    "#;
    let log = Log::start();
    let mut harness = Harness::with_script(script).edition(edition).start();
    let call =
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(300))]).await;
    assert_eq!(tones(&call), [400, 600], "the call goes on");
    let reports = harness.reports();
    assert_eq!(reports.iter().filter(|report| matches!(report, Report::Payload { .. })).count(), 2);
    let refused = reports.iter().find_map(|report| match report {
        Report::PayloadRefused { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(refused.is_some_and(|why| why.contains("transfr")));
    assert!(log.text().contains("is not understood"));
}

#[tokio::test(start_paused = true)]
async fn a_payload_in_a_partial_response_counts_when_the_last_one_was_heard() {
    let script = r#"
        [start]
        first = [{ tone = { hz = 400, ms = 300 }, payload = { dialbridge = { end = true } }, think_ms = 700 }]
        tone = { hz = 600, ms = 300 }
    "#;
    let harness = Harness::with_script(script).start();
    let call = harness.call(Vec::new()).await;
    assert_eq!((tones(&call), ended_by(&call).as_str()), (vec![400, 600], "twiml"));
    assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=completed"));
}

each_edition!(of_two_ends_of_a_call_the_one_that_says_where_it_goes_wins, ALL);
async fn of_two_ends_of_a_call_the_one_that_says_where_it_goes_wins(edition: Edition) {
    let transfer = |to: &str| format!("{{ dialbridge = {{ transfer = {{ to = \"{to}\" }} }} }}");
    let (one, other) = (transfer("+15550123"), transfer("+15550124"));
    let end = "{ dialbridge = { end = true } }";
    for (answer, dialled) in [
        (format!("end = true\npayload = {one}"), Some("+15550123")),
        (format!("payload = [{end}, {one}]"), Some("+15550123")),
        (format!("payload = [{one}, {other}]"), Some("+15550123")),
        (format!("handoff = {{ a = 1 }}\npayload = {one}"), None),
    ] {
        let harness = Harness::with_script(&format!("[start]\n{answer}\ntone = {{ hz = 400, ms = 300 }}"))
            .edition(edition)
            .start();
        let call = harness.call(Vec::new()).await;
        let to = call.find(|what| if let CallEventKind::Dialled { to, .. } = what { Some(to.clone()) } else { None });
        assert_eq!(to.as_deref(), dialled, "{answer}");
    }
}

each_edition!(what_was_not_understood_is_answered_as_it_is, ANY);
async fn what_was_not_understood_is_answered_as_it_is(edition: Edition) {
    let script = "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nno_match = true\nintent = \"fallback\"\ntone = { hz = 600, ms = 300 }";
    let harness = Harness::with_script(script).edition(edition).start();
    let call =
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(300))]).await;
    assert_eq!(tones(&call), [400, 600]);
}
