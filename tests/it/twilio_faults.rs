//! Faults of Twilio, or on the way to it. The call still ends as its script says, or goes on.

use std::time::Duration;

use dialbridge_core::CloseReason;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEventKind, CallFault, CallPlan, CallRecord, CallerStep, RestFault, When};
use dialbridge_tests::{Edition, Harness, bakery, close_reasons, numbered_speech, numbers, pause, say};
use http::StatusCode;

const ENDS: &str = "[start]\ntone = { hz = 400, ms = 600 }\nend = true";

pub(crate) const ECHO: &str =
    "think_ms = 120\n[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\ntone = { hz = 500, ms = 300 }";

/// Four sentences, their frames numbered from 0 to 179.
pub(crate) fn four_sentences() -> Vec<CallerStep> {
    let mut steps = Vec::new();
    for n in 0..4 {
        steps.push(say(When::After(0), numbered_speech(n * 45, 900)));
        steps.push(pause(620));
    }
    steps.push(CallerStep::HangUp { when: When::After(2_000) });
    steps
}

/// The frames that a recogniser which listened heard.
pub(crate) fn heard_numbers(harness: &Harness, call: &CallRecord) -> Vec<u32> {
    harness.turns(call).iter().flat_map(|turn| numbers(&turn.audio[..turn.heard])).collect()
}

fn redirects(call: &CallRecord) -> usize {
    call.count(|what| matches!(what, CallEventKind::Redirected { url } if url.contains("VirtualAgentStatus=completed")))
}

/// Whether the call got its last TwiML over REST and not from the action.
fn was_updated(call: &CallRecord) -> bool {
    call.count(|what| matches!(what, CallEventKind::Updated)) > 0
}

async fn ended_with(faults: &[RestFault]) -> (CallRecord, Option<CloseReason>) {
    let mut harness = Harness::with_script(ENDS).start();
    harness.twilio.fail_rest(faults.iter().copied());
    // The caller waits for the outcome.
    let plan = CallPlan { hang_up_after: Duration::from_secs(30), ..harness.plan(Vec::new()) };
    let call = harness.twilio.call(plan).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(harness.service.calls().live(), 0, "{faults:?}");
    (call, close_reasons(&harness.reports()).first().copied())
}

#[tokio::test(start_paused = true)]
async fn an_update_that_twilio_cannot_take_at_the_moment_is_tried_again() {
    let bad_gateway = RestFault::Refused { status: StatusCode::BAD_GATEWAY, code: 0, retry_after: None };
    for faults in [
        vec![RestFault::too_many(Some(2))],
        vec![RestFault::too_many(None); 3],
        vec![RestFault::UNAVAILABLE, bad_gateway],
        vec![RestFault::Silence],
    ] {
        let (call, _) = ended_with(&faults).await;
        assert!(was_updated(&call), "{faults:?}: {:?}", call.events);
        assert_eq!(redirects(&call), 1, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn twilios_own_pause_is_kept_before_the_next_attempt() {
    let (at_once, _) = ended_with(&[RestFault::too_many(Some(0))]).await;
    let (later, _) = ended_with(&[RestFault::too_many(Some(3))]).await;
    let updated =
        |call: &CallRecord| call.events.iter().find(|event| event.kind == CallEventKind::Updated).unwrap().at_ms;
    assert_eq!(updated(&later) - updated(&at_once), 3_000);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_updated_goes_on_through_the_streams_action() {
    for (faults, reason) in [
        (vec![RestFault::UNAUTHORIZED], CloseReason::NotUpdated),
        (vec![RestFault::NOT_FOUND], CloseReason::NotUpdated),
        (vec![RestFault::NOT_IN_PROGRESS], CloseReason::CallGone),
        (vec![RestFault::UNAVAILABLE; 9], CloseReason::NotUpdated),
        (vec![RestFault::Silence; 9], CloseReason::NotUpdated),
        (vec![RestFault::too_many(Some(3_600)); 9], CloseReason::NotUpdated),
    ] {
        let (call, ended) = ended_with(&faults).await;
        assert!(!was_updated(&call), "{faults:?}");
        assert_eq!((redirects(&call), ended), (1, Some(reason)), "{faults:?}: {:?}", call.events);
        // The caller waits at most ten seconds after the last prompt, plus two for the media stream to close.
        let spoke =
            call.events.iter().find(|event| matches!(event.kind, CallEventKind::AgentSpoke { .. })).unwrap().at_ms;
        let closed =
            call.events.iter().find(|event| matches!(event.kind, CallEventKind::StreamClosed { .. })).unwrap().at_ms;
        assert!(closed - spoke <= 12_000, "{faults:?}: {} ms", closed - spoke);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_answer_is_lost_does_not_redirect_the_call_twice() {
    let (call, ended) = ended_with(&[RestFault::DoneButFails]).await;
    assert_eq!((redirects(&call), ended), (1, Some(CloseReason::Stop)), "{:?}", call.events);
}

each_edition!(a_call_goes_as_its_script_says_without_marks_among_garbage_and_asked_for_twice, [Cx, EsV2]);
async fn a_call_goes_as_its_script_says_without_marks_among_garbage_and_asked_for_twice(edition: Edition) {
    for fault in [CallFault::NoMarks, CallFault::Garbage, CallFault::AsksTwice] {
        let harness = Harness::with(Script::bakery().unwrap()).edition(edition).start();
        let call = harness.twilio.call(CallPlan { faults: vec![fault], ..harness.plan(bakery()) }).await;
        let handed_on = call.find(|what| match what {
            CallEventKind::Redirected { url } => Some(url.contains("VirtualAgentStatus=live-agent-handoff")),
            _ => None,
        });
        assert_eq!(handed_on, Some(true), "{fault:?}: {:?}", call.events);
    }
}

each_edition!(a_network_that_stands_still_for_a_while_loses_no_word, [Cx, EsV2]);
async fn a_network_that_stands_still_for_a_while_loses_no_word(edition: Edition) {
    for for_ms in [300, 800, 5_000] {
        let harness = Harness::with_script(ECHO).edition(edition).start();
        let faults = vec![CallFault::Late { at_ms: 1_200, for_ms }];
        let call = harness.twilio.call(CallPlan { faults, ..harness.plan(four_sentences()) }).await;
        assert_eq!(heard_numbers(&harness, &call), (0..180).collect::<Vec<u32>>(), "{for_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_a_tunnel_loses_what_the_tunnel_took_and_no_more() {
    let harness = Harness::with_script(ECHO).start();
    let faults = vec![CallFault::Lost { at_ms: 1_000, for_ms: 200 }];
    let mut steps = vec![say(When::After(900), numbered_speech(0, 900)), pause(2_000)];
    steps.push(CallerStep::HangUp { when: When::After(0) });
    let call = harness.twilio.call(CallPlan { faults, ..harness.plan(steps) }).await;
    let expected: Vec<u32> = (0..45).filter(|number| !(5..15).contains(number)).collect();
    assert_eq!(heard_numbers(&harness, &call), expected);
}

each_edition!(a_socket_that_breaks_in_mid_turn_is_followed_by_another_and_the_caller_is_not_greeted_again, [Cx, EsV2]);
async fn a_socket_that_breaks_in_mid_turn_is_followed_by_another_and_the_caller_is_not_greeted_again(edition: Edition) {
    let harness = Harness::with_script(ECHO).edition(edition).start();
    let faults = vec![CallFault::Breaks { at_ms: 3_000 }];
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 2_600)),
        pause(3_000),
        say(When::After(0), numbered_speech(200, 600)),
        pause(3_000),
        CallerStep::HangUp { when: When::After(0) },
    ];
    let mut plan = CallPlan { faults, ..harness.plan(steps) };
    plan.voice_url += "?param.shop=north%20side%26";
    let call = harness.twilio.call(plan).await;
    let turns = harness.turns(&call);
    let north = Some("north side&".into());
    let told = turns.iter().filter(|turn| turn.parameters.get("shop").or(turn.payload.get("shop")) == north.as_ref());
    assert!(told.count() >= 2, "the agent is told again at the new socket");
    let greetings = turns.iter().filter(|turn| turn.input == "text" || turn.input == "event").count();
    assert_eq!(greetings, 1, "{turns:?}");
    assert_eq!(call.count(|what| matches!(what, CallEventKind::StreamOpened)), 2);
    let heard = heard_numbers(&harness, &call);
    assert!((200..230).all(|number| heard.contains(&number)), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_twilio_that_does_not_read_costs_its_own_call_and_no_other() {
    // A prompt of a minute, which Twilio does not read.
    let script = "think_ms = 500\n[start]\ntone = { hz = 400, ms = 60000 }";
    let mut harness = Harness::with_script(script).start();
    let plan = harness.plan(Vec::new());
    let deaf = CallPlan {
        faults: vec![CallFault::Deaf { at_ms: 100 }],
        limit: Duration::from_secs(200),
        steps: vec![CallerStep::HangUp { when: When::After(150_000) }],
        ..plan.clone()
    };
    let well = CallPlan { hang_up_after: Duration::from_secs(2), ..plan };
    let (deaf, well) = tokio::join!(harness.twilio.call(deaf), harness.twilio.call(well));
    let heard =
        well.find(|what| if let CallEventKind::AgentSpoke { played_ms, .. } = what { Some(*played_ms) } else { None });
    assert_eq!(heard, Some(60_000));
    assert_eq!(deaf.count(|what| matches!(what, CallEventKind::AgentSpeaks)), 0);
    // The service gives up the first stream. The call resumes over another one.
    assert_eq!(close_reasons(&harness.reports()), [CloseReason::NotReading, CloseReason::Stop, CloseReason::Stop]);
    assert_eq!(harness.service.calls().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_numbers_fallback_url_greets_a_call_that_nobody_has_greeted_whether_it_is_told_of_the_error_or_not() {
    for (fallback, error_parameters) in [("/twiml", true), ("/twiml?resume=1", true), ("/twiml?resume=1", false)] {
        let harness = Harness::with_script(ECHO).start();
        let mut plan = harness.plan(vec![say(When::After(200), numbered_speech(0, 600)), pause(1_500)]);
        plan.voice_url = "http://nobody.test/twiml#rc=2&rp=all".to_owned();
        plan.fallback_url = Some(format!("{}{fallback}", dialbridge_tests::SERVICE_URL));
        plan.behaviour.error_parameters = error_parameters;
        let call = harness.twilio.call(plan).await;
        let turns = harness.turns(&call);
        let inputs: Vec<&str> = turns.iter().map(|turn| turn.input).collect();
        assert_eq!(inputs.iter().filter(|input| **input == "text").count(), 1, "one greeting: {inputs:?}");
        assert_eq!(heard_numbers(&harness, &call), (0..30).collect::<Vec<u32>>(), "{fallback} {error_parameters}");
    }
}
