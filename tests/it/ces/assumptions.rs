//! Facts that no documentation states. The service must work either way.

use dialbridge_core::Report;
use dialbridge_lab::twilio::When;
use dialbridge_tests::{
    Edition, Harness, answers, count, ended_by, faults, hang_up, numbered_speech, pause, say, sounding_ms, spoke,
    tone_ms,
};

use super::assert_well_served;

const AGENT: &str = r#"
    think_ms = 300
    [start]
    say = "hello"
    tone = { hz = 400, ms = 3000 }
    [[utterance]]
    say = "yes"
    tone = { hz = 500, ms = 500 }
"#;

#[tokio::test(start_paused = true)]
async fn the_servers_json_is_read_in_either_kind_of_frame_and_with_fields_that_nobody_knows() {
    for frames in ["binary", "text"] {
        for unpublished in [false, true] {
            let script = format!("{AGENT}\n[ces]\nframes = \"{frames}\"\nunpublished_fields = {unpublished}");
            let mut harness = Harness::with_script(&script).edition(Edition::CesWebSocket).start();
            let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
            let call = harness.call(steps).await;
            assert_eq!(spoke(&call), [(3_000, false), (500, false)], "{frames}, {unpublished}");
            assert_eq!(answers(&harness.reports()), ["hello", "yes"], "{frames}, {unpublished}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn words_and_audio_in_one_output_are_both_taken() {
    for outputs in ["apart", "together"] {
        let script = format!("{AGENT}\n[ces]\noutputs = \"{outputs}\"");
        let mut harness = Harness::with_script(&script).edition(Edition::CesWebSocket).start();
        let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
        let call = harness.call(steps).await;
        assert_eq!(spoke(&call), [(3_000, false), (500, false)], "{outputs}");
        assert_eq!(answers(&harness.reports()), ["hello", "yes"], "{outputs}");
    }
}

each_edition!(an_app_that_takes_its_time_for_the_variables_knows_them_when_it_speaks, CES);
async fn an_app_that_takes_its_time_for_the_variables_knows_them_when_it_speaks(edition: Edition) {
    for variables_ms in [0, 400] {
        for (start, kick_start) in [("", "session_start"), ("hi", "hi")] {
            let harness = Harness::with_script(&format!("{AGENT}\n[ces]\nvariables_ms = {variables_ms}"))
                .edition(edition)
                .settings(|settings| {
                    settings.set("DIALOGFLOW_STARTING_TEXT", start);
                    settings.set("CES_VARIABLES_MS", "");
                    if !start.is_empty() {
                        settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "");
                    }
                })
                .start();
            let call = harness.call(vec![hang_up(When::AgentSilent(400))]).await;
            let stream = &harness.streams(&call)[0];
            assert_eq!(stream.known_at_kick_start.as_ref().unwrap()["From"], "+15550100", "{variables_ms}");
            assert_eq!(harness.inputs(&call), [kick_start], "{variables_ms}");
            assert_eq!(spoke(&call), [(3_000, false)], "{variables_ms}");
        }
    }
}

each_edition!(a_quiet_lead_is_heard_before_the_answer_and_is_not_the_agent_speaking, CES);
async fn a_quiet_lead_is_heard_before_the_answer_and_is_not_the_agent_speaking(edition: Edition) {
    for (lead_ms, speed) in [(0, 4), (5_000, 1), (5_000, 4)] {
        let script = format!("{AGENT}\n[ces]\nlead_ms = {lead_ms}\nspeed = {speed}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
        let call = harness.call(steps).await;
        for (hz, ms) in [(400.0, 3_000.0), (500.0, 500.0)] {
            let heard = tone_ms(&call.heard, hz);
            assert!((ms - 30.0..ms + 30.0).contains(&heard), "{lead_ms}, {speed}: {hz} Hz, {heard}");
        }
        let reports = harness.reports();
        assert_eq!((answers(&reports), faults(&reports)), (vec!["hello", "yes"], vec![]), "{lead_ms}, {speed}");
        let mut waited = reports.iter().filter_map(|report| match report {
            Report::Stages(stages) => Some(stages.first_audio_played?.ms_since(stages.speech_ended?)),
            _ => None,
        });
        assert!(waited.next_back().unwrap() >= lead_ms, "{lead_ms}, {speed}: the caller waits through the lead");
    }
}

each_edition!(a_starting_event_that_the_app_does_not_know_is_ignored_or_refused, CES);
async fn a_starting_event_that_the_app_does_not_know_is_ignored_or_refused(edition: Edition) {
    let refused = "[ces]\nunknown_event = \"refused\"";
    let ignored = "[ces]\nunknown_event = \"ignored\"";
    for (unknown, streams) in [(ignored, 1), (refused, 2)] {
        let script = AGENT.replace("[start]", "[start]\nevent = \"WELCOME\"");
        let mut harness = Harness::with_script(&format!("{script}\n{unknown}"))
            .edition(edition)
            .settings(|settings| settings.set("DIALOGFLOW_STARTING_TEXT", "hi"))
            .start();
        let call = harness.call(vec![pause(16_000), hang_up(When::After(0))]).await;
        let reports = harness.reports();
        assert_eq!(harness.inputs(&call), ["session_start", "hi"], "{unknown}");
        assert_eq!(harness.streams(&call).len(), streams, "{unknown}");
        let unanswered = |report: &Report| matches!(report, Report::StartingEventUnanswered { .. });
        assert_eq!(count(&reports, unanswered), 1, "{unknown}");
        assert_eq!(sounding_ms(&call), 3_000, "{unknown}: the text is greeted");
        assert_eq!(ended_by(&call), "caller", "{unknown}");
    }
}

each_edition!(a_turn_that_the_caller_interrupts_is_completed_or_not, CES);
async fn a_turn_that_the_caller_interrupts_is_completed_or_not(edition: Edition) {
    for completes in [true, false] {
        let script = format!("{AGENT}\n[ces]\ncompletes_interrupted = {completes}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = vec![
            say(When::AgentSpeaking(1_000), numbered_speech(0, 1_200)),
            say(When::AgentSilent(400), numbered_speech(60, 700)),
            hang_up(When::AgentSilent(600)),
        ];
        let call = harness.call(steps).await;
        let [(_, true), (500, false), (500, false)] = spoke(&call)[..] else {
            panic!("{completes}: {:?}", spoke(&call))
        };
        let reports = harness.reports();
        assert_eq!(faults(&reports), [""; 0], "{completes}");
        assert_eq!(answers(&reports).last(), Some(&"yes"), "{completes}");
        assert_well_served(&harness.streams(&call));
    }
}

each_edition!(noise_while_nobody_speaks_does_not_hold_the_call_up, CES);
async fn noise_while_nobody_speaks_does_not_hold_the_call_up(edition: Edition) {
    for ambient in [false, true] {
        let script = format!("{AGENT}\nend = true\n[ces]\nambient = {ambient}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let call = harness.call(vec![say(When::After(5_000), numbered_speech(0, 800)), pause(8_000)]).await;
        let reports = harness.reports();
        assert_eq!(count(&reports, |report| matches!(report, Report::HandedOff { .. })), 1, "{ambient}");
        assert_eq!(faults(&reports), [""; 0], "{ambient}");
        assert_eq!(ended_by(&call), "twiml", "{ambient}");
    }
}

each_edition!(turns_are_counted_over_the_session_or_over_the_stream, CES);
async fn turns_are_counted_over_the_session_or_over_the_stream(edition: Edition) {
    for over in ["session", "stream"] {
        let script = format!("{AGENT}\ngo_away = true\n[ces]\nturn_index = \"{over}\"");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = (0..3).map(|n| say(When::AgentSilent(400), numbered_speech(n * 40, 800)));
        let call = harness.call(steps.chain([hang_up(When::AgentSilent(1_000))]).collect()).await;
        assert_eq!(sounding_ms(&call), 3_000 + 3 * 500, "{over}");
        assert_eq!(answers(&harness.reports()), ["hello", "yes", "yes", "yes"], "{over}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_stream_names_its_session_for_the_hosts_that_route_by_it() {
    for routing in ["named", "any"] {
        let mut harness =
            Harness::with_script(&format!("{AGENT}\n[ces]\nrouting = \"{routing}\"")).edition(Edition::CesGrpc).start();
        let call = harness.call(vec![hang_up(When::AgentSilent(400))]).await;
        assert_eq!((spoke(&call), faults(&harness.reports())), (vec![(3_000, false)], vec![]), "{routing}");
    }
}
