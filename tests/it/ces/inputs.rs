//! What the agent gets besides the caller's voice: digits, variables, and silence in place of missing audio.

use dialbridge_core::Report;
use dialbridge_lab::twilio::{CallEventKind, CallFault, CallPlan, When};
use dialbridge_tests::Stretch::{Quiet, Speech};
use dialbridge_tests::{
    Edition, Harness, Log, Numbered, Tapes, account, answers, count, ended_by, hang_up, numbered_speech, numbers,
    pause, press, redirected, say,
};

use super::{assert_well_served, heard};

const DTMF_AGENT: &str = r#"
    think_ms = 100
    [start]
    tone = { hz = 400, ms = 500 }
    [digits.4711]
    say = "thank you"
    parameters = { pin = "4711" }
    tone = { hz = 900, ms = 400 }
    end = true
    [other_digits]
    say = "once more"
    tone = { hz = 700, ms = 400 }
"#;

each_edition!(each_digit_goes_at_once_as_an_input_of_its_own_and_the_agent_collects_them, CES);
async fn each_digit_goes_at_once_as_an_input_of_its_own_and_the_agent_collects_them(edition: Edition) {
    for digits in ["many", "one"] {
        let script = format!("{DTMF_AGENT}\n[ces]\ndigits = \"{digits}\"");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let call = harness.call(vec![press(When::AgentSilent(300), "4711"), pause(6_000)]).await;
        let streams = harness.streams(&call);
        assert_well_served(&streams);
        let sent: Vec<&str> =
            streams[0].inputs.iter().filter(|input| input.kind == "dtmf").map(|input| input.text.as_str()).collect();
        assert_eq!(sent, ["4", "7", "1", "1"], "{digits}");
        assert_eq!(ended_by(&call), "twiml", "{digits}");
        assert_eq!(count(&harness.reports(), |report| matches!(report, Report::TurnFailed { .. })), 0);
    }
}

each_edition!(digits_are_collected_here_where_that_is_set, CES);
async fn digits_are_collected_here_where_that_is_set(edition: Edition) {
    for (dtmf_as, kind, text) in [("dtmf", "dtmf", "4711#"), ("text", "text", "4711"), ("event:KEYS", "event", "KEYS")]
    {
        let harness = Harness::with_script(DTMF_AGENT)
            .edition(edition)
            .settings(|settings| {
                settings.set("DTMF_MAX_DIGITS", "0");
                settings.set("DTMF_AS", dtmf_as);
            })
            .start();
        let call = harness.call(vec![press(When::AgentSilent(300), "4711#"), pause(4_000)]).await;
        let stream = &harness.streams(&call)[0];
        let last = stream.inputs.last().unwrap();
        assert_eq!((last.kind, last.text.as_str()), (kind, text));
        let told = stream.variables.iter().any(|variables| variables.get("digits") == Some(&"4711".into()));
        assert_eq!(told, kind == "event");
    }
}

each_edition!(digits_that_went_one_by_one_are_in_no_log_line_above_debug_and_on_no_tape, CES);
async fn digits_that_went_one_by_one_are_in_no_log_line_above_debug_and_on_no_tape(edition: Edition) {
    let (log, tapes) = (Log::start(), Tapes::new(&format!("ces-keys-{edition:?}")));
    let folder = tapes.folder();
    let harness = Harness::with_script(DTMF_AGENT)
        .edition(edition)
        .settings(move |settings| {
            settings.set("RECORD_DIR", folder);
            settings.set("HANDOFF_FIELDS", "intent,queryText");
        })
        .start();
    let call = harness.call(vec![press(When::AgentSilent(300), "4711"), pause(6_000)]).await;
    assert_eq!(ended_by(&call), "twiml");
    assert!(!tapes.tape().contains("4711"));
    let told = log.text();
    let above_debug = told.lines().filter(|line| !line.contains("\"severity\":\"DEBUG\""));
    assert_eq!(above_debug.filter(|line| line.contains("4711")).count(), 0);
}

each_edition!(variables_go_to_the_agent_and_its_own_come_back_in_the_hand_off, CES);
async fn variables_go_to_the_agent_and_its_own_come_back_in_the_hand_off(edition: Edition) {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 300 }
        [[utterance]]
        heard = "two loaves please"
        say = "two loaves"
        parameters = { loaves = 2, kind = "rye" }
        tone = { hz = 500, ms = 300 }
        [[utterance]]
        heard = "at nine"
        parameters = { hour = 9 }
        tone = { hz = 600, ms = 300 }
        end_session = { reason = "done", params = { order = "A-7" } }
    "#;
    let harness = Harness::with_script(script).edition(edition).start();
    let mut plan = harness.plan(vec![
        say(When::AgentSilent(300), numbered_speech(0, 1_000)),
        say(When::AgentSilent(300), numbered_speech(60, 800)),
    ]);
    plan.voice_url += "?param.shop=north%20side";
    let call = harness.twilio.call(plan).await;
    let stream = &harness.streams(&call)[0];
    let told = &stream.variables[0];
    assert_eq!(
        (&told["shop"], &told["From"], &told["To"]),
        (&"north side".into(), &"+15550100".into(), &"+15550199".into())
    );
    assert_eq!((told["CallSid"].as_str(), stream.variables.len()), (Some(call.call_sid.as_str()), 1));
    assert_eq!(stream.payload["telephony"]["caller_id"], "+15550100");
    let url = redirected(&call).unwrap();
    for part in [r#""loaves":2"#, r#""kind":"rye""#, r#""hour":9"#, r#""order":"A-7""#, r#""queryText":"at nine""#] {
        assert!(url.contains(part), "{url}");
    }
    assert!(!url.contains("15550100"), "{url}");
}

each_edition!(deployment_time_zone_and_noise_are_told_and_no_token_or_address_through_twilio, CES);
async fn deployment_time_zone_and_noise_are_told_and_no_token_or_address_through_twilio(edition: Edition) {
    let log = Log::start();
    let harness =
        Harness::with_script("[start]\ntone = { hz = 400, ms = 300 }\nend = true\n[ces]\ndeployments = [\"live\"]")
            .edition(edition)
            .settings(|settings| {
                settings.set("DIALOGFLOW_AGENT", "projects/lab/locations/us/apps/planted/deployments/live");
                settings.set("TIME_ZONE", "Europe/Berlin");
                settings.set("CES_NOISE_SUPPRESSION", "very_high");
            })
            .start();
    let call = harness.call(Vec::new()).await;
    let stream = &harness.streams(&call)[0];
    assert_eq!(stream.deployment, "projects/lab/locations/us/apps/planted/deployments/live");
    assert_eq!(stream.session, format!("projects/lab/locations/us/apps/planted/sessions/{}", call.call_sid));
    assert_eq!((stream.time_zone.as_str(), stream.noise_suppression.as_str()), ("Europe/Berlin", "very_high"));
    assert_eq!(stream.user_project, None, "only credentials name one");
    assert!(!stream.has_token, "a plaintext endpoint gets none");
    let seen = format!("{:?}", call.events);
    assert!(!seen.contains("planted") && !seen.contains("agent.test"), "{seen}");
    assert!(!log.text().contains("planted"), "{}", log.text());
}

each_edition!(when_twilio_stalls_in_silence_silence_stands_in_for_the_callers_audio_and_all_of_it_comes_later, CES);
async fn when_twilio_stalls_in_silence_silence_stands_in_for_the_callers_audio_and_all_of_it_comes_later(
    edition: Edition,
) {
    let script = "think_ms = 200\n[start]\ntone = { hz = 400, ms = 500 }\n[[utterance]]\ntone = { hz = 500, ms = 300 }";
    for fault in [CallFault::Late { at_ms: 3_000, for_ms: 3_000 }, CallFault::Lost { at_ms: 3_000, for_ms: 3_000 }] {
        let mut harness = Harness::with_script(script).edition(edition).start();
        let mut caller = Numbered::default();
        let steps = caller.steps(When::After(1_000), &[Speech(600), Quiet(5_000), Speech(600), Quiet(2_000)]);
        let call = harness.twilio.call(CallPlan { faults: vec![fault], ..harness.plan(steps) }).await;
        let streams = harness.streams(&call);
        assert_well_served(&streams);
        let reports = harness.reports();
        assert_eq!(count(&reports, |report| matches!(report, Report::TurnFailed { .. })), 0, "{fault:?}");
        let received = account(&reports);
        assert_eq!(received.written, received.received, "silence is none of the caller's audio");
        let sent = streams[0].audio.len() as u64;
        assert!(sent > received.received + 2_500 * 8 - 960, "{fault:?}: {sent} {}", received.received);
        let numbers = numbers(&streams[0].audio);
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
        if matches!(fault, CallFault::Late { .. }) {
            assert!(
                numbers.len() + 3 > usize::try_from(caller.count()).unwrap(),
                "{} of {}",
                numbers.len(),
                caller.count()
            );
        }
        assert_eq!(heard(&streams).len(), numbers.len());
    }
}

each_edition!(a_stall_in_the_middle_of_a_word_is_one_utterance, ANY);
async fn a_stall_in_the_middle_of_a_word_is_one_utterance(edition: Edition) {
    let script = "think_ms = 200\nend_of_utterance_ms = 400\n[start]\nsay = \"hello\"\ntone = { hz = 400, ms = 500 }\n\
                  [[utterance]]\nsay = \"once\"\ntone = { hz = 500, ms = 300 }\n\
                  [[utterance]]\nsay = \"twice\"\ntone = { hz = 600, ms = 300 }";
    for for_ms in [700, 1_500, 3_000] {
        let mut harness = Harness::with_script(script).edition(edition).start();
        let steps = vec![say(When::After(1_500), numbered_speech(0, 5_000)), hang_up(When::After(6_000))];
        let fault = CallFault::Late { at_ms: 3_000, for_ms };
        harness.twilio.call(CallPlan { faults: vec![fault], ..harness.plan(steps) }).await;
        assert_eq!(answers(&harness.reports()), ["hello", "once"], "{for_ms}");
    }
}

each_edition!(a_caller_who_hangs_up_at_any_moment_leaves_no_stream_behind, CES);
async fn a_caller_who_hangs_up_at_any_moment_leaves_no_stream_behind(edition: Edition) {
    for after in [0, 50, 130, 400, 1_000, 1_600, 2_200] {
        let mut harness = Harness::with_script(DTMF_AGENT).edition(edition).start();
        let steps = vec![say(When::After(0), numbered_speech(0, 400)), hang_up(When::After(after))];
        let call = harness.call(steps).await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        assert_eq!(ended_by(&call), "caller");
        assert_eq!((harness.service.calls().live(), harness.agent.record().open_streams()), (0, 0), "{after}");
        assert!(matches!(harness.reports().last(), Some(Report::Ended { .. })));
        assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0);
    }
}
