//! Streams that end before the call does. Another stream takes over, and the caller does not notice.

use dialbridge_core::Report;
use dialbridge_lab::agent::{PastMessage, Role, StreamRecord};
use dialbridge_lab::twilio::{CallEventKind, CallRecord, CallerStep, When};
use dialbridge_tests::Stretch::{Quiet, Speech};
use dialbridge_tests::{
    Edition, Harness, Numbered, account, answers, count, ended_by, faults, hang_up, numbered_speech, numbers,
    redirected, say, sounding_ms, spoke,
};

use super::assert_well_served;

/// An agent that answers every utterance.
const AGENT: &str = r#"
    think_ms = 300
    [start]
    say = "hello"
    tone = { hz = 400, ms = 600 }
    [[utterance]]
    say = "yes"
    tone = { hz = 500, ms = 500 }
"#;

/// Half a minute of speech and silence, with every frame numbered.
fn story(caller: &mut Numbered) -> Vec<CallerStep> {
    let pairs = [(900, 1_640), (3_000, 1_700), (700, 2_900), (5_000, 1_620), (300, 3_000), (900, 3_000)];
    caller.steps(When::After(0), &pairs.map(|(speech, quiet)| [Speech(speech), Quiet(quiet)]).concat())
}

/// Asserts that all frames reached the agent in order, except those on their way at the end, and none twice in a
/// stream. A stream that is cut without notice may lose up to `on_their_way` frames. Returns how many frames also went
/// to a later stream.
fn assert_gapless(streams: &[StreamRecord], caller: &Numbered, on_their_way: u32, what: &str) -> u64 {
    let (mut next, mut again) = (0, 0);
    for stream in streams {
        let numbers = numbers(&stream.audio);
        let Some(first) = numbers.first() else { continue };
        assert!(*first <= next + on_their_way, "{what}: {next} to {first} are lost");
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{what}: {numbers:?}");
        again += u64::from(next.saturating_sub(*first));
        next = first + u32::try_from(numbers.len()).unwrap();
    }
    assert!((next..next + 3).contains(&caller.count()), "{what}: {next} of {}", caller.count());
    again
}

fn kick_starts(streams: &[StreamRecord]) -> usize {
    streams.iter().map(StreamRecord::kick_starts).sum()
}

each_edition!(a_stream_that_goes_away_is_replaced_without_a_frame_lost_or_a_second_greeting, CES);
async fn a_stream_that_goes_away_is_replaced_without_a_frame_lost_or_a_second_greeting(edition: Edition) {
    for half_close in ["drops", "answers"] {
        for (age_ms, lead_ms) in [(4_000, 5_000), (2_300, 500), (7_000, 0)] {
            for ending in ["close", "reset", "UNAVAILABLE", "1001", "1012"] {
                let ending_toml = ending.parse::<u16>().map_or(format!("\"{ending}\""), |code| code.to_string());
                let script = format!(
                    "{AGENT}\n[ces]\nhalf_close = \"{half_close}\"\ngo_away_ms = {age_ms}\ngo_away_lead_ms = {lead_ms}\ngo_away = \
                     {ending_toml}"
                );
                let what = format!("{half_close}, {age_ms} ms, {lead_ms} ms, {ending}");
                let mut harness = Harness::with_script(&script).edition(edition).start();
                let mut caller = Numbered::default();
                let call = harness.call(story(&mut caller)).await;
                let streams = harness.streams(&call);
                assert_well_served(&streams);
                assert!(streams.len() > 2, "{what}: {}", streams.len());
                let reports = harness.reports();
                let on_their_way = if lead_ms > 0 { 0 } else { 3 };
                let again = assert_gapless(&streams, &caller, on_their_way, &what);
                assert_eq!(kick_starts(&streams), 1, "{what}");
                // A reset may overtake the notice before it. Then nobody knows whether the session is lost.
                let told_again = |stream: &StreamRecord| !stream.variables.is_empty() || !stream.history.is_empty();
                let is_told_again = streams.iter().skip(1).any(told_again);
                assert!(!is_told_again || !faults(&reports).is_empty(), "{what}: told once");
                assert!(
                    faults(&reports).is_empty() || (lead_ms == 0 && ending == "reset"),
                    "{what}: {:?}",
                    faults(&reports)
                );
                let account = account(&reports);
                assert!(account.resent >= again * 160 && account.dropped == 0, "{what}: {again}, {account:?}");
                // If a stream got an utterance and answered it, no other stream gets it.
                let answers = edition == Edition::CesGrpc && half_close == "answers" && lead_ms > 0;
                assert!(again == 0 || !answers, "{what}: {again}");
                assert_eq!(harness.agent.record().refusals(), [""; 0], "{what}");
            }
        }
    }
}

each_edition!(after_an_answer_with_go_away_the_conversation_goes_on_in_another_stream, CES);
async fn after_an_answer_with_go_away_the_conversation_goes_on_in_another_stream(edition: Edition) {
    for go_away in ["go_away = true", "fault = \"GOAWAY\""] {
        let script = format!("{AGENT}\n{go_away}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = (0..4).map(|n| say(When::AgentSilent(400), numbered_speech(n * 40, 800)));
        let call = harness.call(steps.chain([hang_up(When::AgentSilent(2_000))]).collect()).await;
        let streams = harness.streams(&call);
        assert_well_served(&streams);
        assert_eq!((streams.len(), kick_starts(&streams)), (5, 1));
        assert_eq!(answers(&harness.reports()), ["hello", "yes", "yes", "yes", "yes"]);
        assert_eq!(sounding_ms(&call), 600 + 4 * 500, "nothing of an answer is lost");
    }
}

/// A call in which the caller says three things. The stream breaks as the script says.
async fn three_answers(edition: Edition, script: &str) -> (CallRecord, Vec<StreamRecord>, Vec<Report>) {
    let mut harness = Harness::with_script(script).edition(edition).start();
    let steps = (0..3).map(|n| say(When::AgentSilent(400), numbered_speech(n * 40, 800)));
    let call = harness.call(steps.chain([hang_up(When::AgentSilent(3_000))]).collect()).await;
    let (streams, reports) = (harness.streams(&call), harness.reports());
    (call, streams, reports)
}

each_edition!(a_stream_that_breaks_while_the_caller_speaks_is_replaced_and_unanswered_audio_is_sent_again, CES);
async fn a_stream_that_breaks_while_the_caller_speaks_is_replaced_and_unanswered_audio_is_sent_again(edition: Edition) {
    for breaks in ["\"reset\"", "\"UNAVAILABLE\"", "\"close\"", "1011", "1012", "1006"] {
        let script = format!(
            "think_ms = 300\n[start]\ntone = {{ hz = 400, ms = 600 }}\n[[utterance]]\nbreaks = {breaks}\n\
             fault_after_ms = 2000\n[[utterance]]\nsay = \"yes\"\ntone = {{ hz = 500, ms = 500 }}"
        );
        let (call, streams, reports) = three_answers(edition, &script).await;
        assert!(streams.len() >= 2, "{breaks}");
        assert_eq!(kick_starts(&streams), 1, "{breaks}");
        assert!(!faults(&reports).is_empty(), "{breaks}");
        let first = numbers(&streams[0].audio);
        let second = numbers(&streams[1].audio);
        let again = first.iter().filter(|number| second.contains(number)).count();
        assert!(first.is_empty() || again > 0, "{breaks}: words that were not answered are said again");
        assert!(second.is_sorted(), "{breaks}");
        assert!(answers(&reports).contains(&"yes"), "{breaks}");
        assert_eq!(ended_by(&call), "caller", "{breaks}");
    }
}

each_edition!(an_answer_in_whose_middle_the_stream_breaks_is_not_asked_for_again_and_the_call_goes_on, CES);
async fn an_answer_in_whose_middle_the_stream_breaks_is_not_asked_for_again_and_the_call_goes_on(edition: Edition) {
    for breaks in ["\"reset\"", "\"UNAVAILABLE\"", "\"close\"", "1011"] {
        let script = format!(
            "think_ms = 300\n[start]\ntone = {{ hz = 400, ms = 600 }}\n[[utterance]]\nsay = \"first\"\n\
             tone = {{ hz = 500, ms = 1000 }}\nbreaks = {breaks}\n[[utterance]]\nsay = \"second\"\n\
             tone = {{ hz = 600, ms = 500 }}\n[[utterance]]\nsay = \"third\"\ntone = {{ hz = 700, ms = 500 }}"
        );
        let (call, streams, reports) = three_answers(edition, &script).await;
        assert_eq!(answers(&reports), ["", "first", "second", "third"], "{breaks}");
        assert_eq!((streams.len(), kick_starts(&streams)), (2, 1), "{breaks}");
        assert!(spoke(&call).len() >= 4, "{breaks}");
        assert_eq!(ended_by(&call), "caller", "{breaks}");
    }
}

each_edition!(an_agent_that_cannot_be_had_at_first_is_greeted_when_it_can, CES);
async fn an_agent_that_cannot_be_had_at_first_is_greeted_when_it_can(edition: Edition) {
    for fate in ["\"UNAVAILABLE\"", "\"reset\"", "503", "500", "429", "\"RESOURCE_EXHAUSTED\"", "1012"] {
        let script = format!("{AGENT}\n[ces]\nrefuses = [{fate}, {fate}, \"served\"]");
        let (call, streams, reports) = three_answers(edition, &script).await;
        assert_eq!(answers(&reports), ["hello", "yes", "yes", "yes"], "{fate}");
        assert_eq!((streams.len(), kick_starts(&streams)), (1, 1), "{fate}");
        assert_eq!(streams[0].variables[0]["From"], "+15550100", "{fate}: what the call is was told");
        assert_eq!(faults(&reports).len(), 2, "{fate}");
        assert_eq!(ended_by(&call), "caller", "{fate}");
    }
}

each_edition!(what_will_not_pass_gives_the_call_its_fallback_at_once, CES);
async fn what_will_not_pass_gives_the_call_its_fallback_at_once(edition: Edition) {
    for (fate, code) in [
        ("\"PERMISSION_DENIED\"", "PERMISSION_DENIED"),
        ("403", "PERMISSION_DENIED"),
        ("1008", "PERMISSION_DENIED"),
        ("\"UNAUTHENTICATED\"", "UNAUTHENTICATED"),
        ("401", "UNAUTHENTICATED"),
        ("1007", "INVALID_ARGUMENT"),
    ] {
        let script = format!("{AGENT}\n[ces]\nrefuses = [{fate}]");
        let (call, _, reports) = three_answers(edition, &script).await;
        let faults = faults(&reports);
        if code == "INVALID_ARGUMENT" {
            // It may have been the starting event.
            assert_eq!(faults[0], code, "{fate}");
            continue;
        }
        assert_eq!(faults.len(), 1, "{fate}: {faults:?}");
        assert_eq!(faults[0], code, "{fate}");
        assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=failed"), "{fate}");
    }
}

each_edition!(a_stream_that_is_refused_for_good_in_mid_call_gives_the_call_its_fallback_at_once, CES);
async fn a_stream_that_is_refused_for_good_in_mid_call_gives_the_call_its_fallback_at_once(edition: Edition) {
    for code in ["UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT"] {
        for after in ["", "\nfault_after_ms = 400"] {
            let script = format!("[start]\ntone = {{ hz = 400, ms = 600 }}\n[[utterance]]\nfault = \"{code}\"{after}");
            let (call, streams, reports) = three_answers(edition, &script).await;
            let what = format!("{code}{after}");
            assert_eq!(faults(&reports), [code], "{what}");
            assert_eq!((streams.len(), kick_starts(&streams)), (1, 1), "{what}");
            assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=failed"), "{what}");
        }
    }
}

each_edition!(a_host_that_does_not_serve_the_transport_is_named_with_the_other_one, CES);
async fn a_host_that_does_not_serve_the_transport_is_named_with_the_other_one(edition: Edition) {
    let serves = if edition == Edition::CesGrpc { "websocket" } else { "grpc" };
    let script = format!("{AGENT}\n[ces]\nserves = \"{serves}\"");
    let (call, streams, reports) = three_answers(edition, &script).await;
    assert_eq!(streams, []);
    let told = reports.iter().find_map(|report| match report {
        Report::TurnFailed { fault, .. } => Some(fault.to_string()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.starts_with("UNIMPLEMENTED") || told.starts_with("NOT_FOUND"), "{told}");
    for host in ["https://ces.googleapis.com", "https://ces.us.rep.googleapis.com"] {
        assert!(told.contains(host), "{told}");
    }
    assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=failed"));
}

each_edition!(a_stream_that_stalls_is_given_up_and_its_audio_is_sent_again, CES);
async fn a_stream_that_stalls_is_given_up_and_its_audio_is_sent_again(edition: Edition) {
    let script = "think_ms = 300\n[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\nsay = \"first\"\nbreaks = \"stall\"\n\
                  fault_after_ms = 1200\n[[utterance]]\nsay = \"again\"\ntone = { hz = 600, ms = 500 }\n\
                  [[utterance]]\nsay = \"second\"\ntone = { hz = 700, ms = 500 }";
    let mut harness =
        Harness::with_script(script).edition(edition).settings(|settings| settings.set("ANSWER_SECONDS", "3")).start();
    let steps = vec![
        say(When::AgentSilent(400), numbered_speech(0, 1_800)),
        say(When::After(6_000), numbered_speech(90, 600)),
        hang_up(When::AgentSilent(3_000)),
    ];
    let call = harness.call(steps).await;
    let reports = harness.reports();
    assert_eq!(faults(&reports), ["DEADLINE_EXCEEDED"]);
    assert_eq!(answers(&reports), ["", "again", "second"]);
    assert_eq!(ended_by(&call), "caller");
    assert_eq!(count(&reports, |report| matches!(report, Report::HandedOff { .. })), 0);
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0);
}

each_edition!(a_session_that_the_server_has_lost_goes_on_with_what_was_said, CES);
async fn a_session_that_the_server_has_lost_goes_on_with_what_was_said(edition: Edition) {
    let agent = "think_ms = 300\n[start]\nsay = \"hello\"\ntone = { hz = 400, ms = 600 }\n\
        [[utterance]]\nsay = \"first\"\nheard = \"two loaves\"\ntone = { hz = 500, ms = 500 }\nparameters = { loaves = 2 }\n\
        [[utterance]]\nsay = \"second\"\ntone = { hz = 600, ms = 500 }\nfault = \"UNAVAILABLE\"\nfault_times = 1\n\
        [[utterance]]\nsay = \"third\"\ntone = { hz = 700, ms = 500 }";
    for (sessions, history) in [("kept", "taken"), ("kept", "ignored"), ("kept", "refused"), ("lost", "taken")] {
        let what = format!("{sessions}, {history}");
        let script = format!("{agent}\n[ces]\nsessions = \"{sessions}\"\nhistory = \"{history}\"");
        let (call, streams, reports) = three_answers(edition, &script).await;
        assert_eq!(answers(&reports), ["hello", "first", "second", "third"], "{what}");
        let told = |role, text: &str| PastMessage { role, text: text.to_owned() };
        let past = [told(Role::Agent, "hello"), told(Role::User, "two loaves"), told(Role::Agent, "first")];
        assert_eq!(streams[0].history, [], "{what}");
        let last = streams.last().unwrap();
        assert_eq!(last.history, if history == "refused" { &[][..] } else { &past }, "{what}");
        let variables = &last.variables[0];
        assert_eq!((&variables["From"], &variables["loaves"]), (&"+15550100".into(), &2.0.into()), "{what}");
        assert_eq!(kick_starts(&streams), 1, "{what}");
        assert_eq!(ended_by(&call), "caller", "{what}");
    }
}
