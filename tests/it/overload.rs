//! Half as many calls again as there is room for. Calls in progress go on as if nobody else called. Callers without
//! room are told so or sent elsewhere, and nobody is left in silence.

use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_lab::twilio::{AbnormalClose, CallEventKind, CallPlan, CallRecord, CallerStep, TwilioBehaviour, When};
use dialbridge_tests::{
    Came, Edition, Harness, HarnessBuilder, Numbered, RawSocket, ended_by, hang_up, numbers, paths, pause, redirected,
    said, say, signed_post, spoke, start, voice_url,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// `MAX_CALLS`.
const ROOM: usize = 20;

/// One and a half times as many.
const PLACED: usize = 30;

/// Where callers without room go: another document, which the lab's hand-off handler serves.
const ELSEWHERE: &str = "http://api.twilio.test/handoff?all=busy";

const AGENT: &str = r#"
    end_of_utterance_ms = 400
    think_ms = 200
    [start]
    tone = { hz = 400, ms = 600 }
    [[utterance]]
    tone = { hz = 500, ms = 400 }
    [[utterance]]
    tone = { hz = 600, ms = 500 }
"#;

/// What a served caller hears: the greeting and two answers, each to its end.
const WHOLE: [(u64, bool); 3] = [(600, false), (400, false), (500, false)];

fn harness(edition: Edition) -> HarnessBuilder {
    Harness::with_script(AGENT).edition(edition).settings(|settings| settings.set("MAX_CALLS", ROOM.to_string()))
}

/// Two sentences with silence between them, all frames numbered. Returns the number of frames too.
fn two_sentences() -> (Vec<CallerStep>, u32) {
    let mut caller = Numbered::default();
    let mut steps = vec![pause(1_200)];
    for _ in 0..2 {
        steps.push(say(When::After(0), caller.speech(900)));
        steps.push(say(When::After(0), caller.quiet(1_800)));
    }
    steps.extend([pause(300), hang_up(When::After(0))]);
    (steps, caller.count())
}

/// Places calls, each `apart` after the one before. Returns their records and the maximum number of live streams.
async fn place(
    harness: &Harness,
    calls: usize,
    apart: Duration,
    behaviour: TwilioBehaviour,
) -> (Vec<CallRecord>, usize) {
    let mut placed = JoinSet::new();
    for number in 0..calls {
        let plan = CallPlan { behaviour, ..harness.plan(two_sentences().0) };
        let (twilio, wait) = (harness.twilio.clone(), apart * u32::try_from(number).unwrap());
        placed.spawn(async move {
            sleep(wait).await;
            twilio.call(plan).await
        });
    }
    let (mut records, mut most) = (Vec::new(), 0);
    while !placed.is_empty() {
        tokio::select! {
            Some(call) = placed.join_next() => records.push(call.unwrap()),
            () = sleep(Duration::from_millis(5)) => most = most.max(harness.service.calls().started()),
        }
    }
    (records, most)
}

/// Whether the caller had the whole conversation: the caller heard all of the agent, and the agent all of the caller,
/// or neither heard anything.
fn is_served(harness: &Harness, call: &CallRecord) -> bool {
    if spoke(call).is_empty() {
        return false;
    }
    assert_eq!(spoke(call), WHOLE, "{:?}", call.events);
    assert_eq!(ended_by(call), "caller");
    let heard = numbers(&harness.audio(call));
    assert_eq!(heard, (0..two_sentences().1).collect::<Vec<u32>>(), "no frame is lost or doubled");
    let streams = harness.streams(call).len();
    assert!(streams <= 1, "{streams} streams");
    true
}

/// The caller was told at once that there is no room, and the agent never heard of the caller.
fn is_told(harness: &Harness, call: &CallRecord) {
    let said = said(call);
    assert!(said.is_some_and(|text| text.starts_with("All our lines are busy")), "{:?}", call.events);
    assert_eq!(ended_by(call), "twiml");
    assert!(harness.turns(call).is_empty() && harness.streams(call).is_empty(), "no turn is begun");
}

/// How many were served. The others must have been told.
fn served(harness: &Harness, calls: &[CallRecord]) -> usize {
    let (served, turned_away): (Vec<_>, Vec<_>) = calls.iter().partition(|call| is_served(harness, call));
    turned_away.iter().for_each(|call| is_told(harness, call));
    served.len()
}

fn busy_refusals(harness: &Harness) -> String {
    let text = harness.service.metrics_text();
    let line =
        text.lines().find(|line| line.starts_with("dialbridge_refused_requests_total{") && line.contains("busy"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

each_edition!(calls_beyond_the_limit_are_told_and_the_others_do_not_notice, [Cx, EsV2, CesWebSocket, CesGrpc]);
async fn calls_beyond_the_limit_are_told_and_the_others_do_not_notice(edition: Edition) {
    let harness = harness(edition).start();
    let (calls, most) = place(&harness, PLACED, Duration::from_millis(150), TwilioBehaviour::default()).await;
    assert_eq!((served(&harness, &calls), most), (ROOM, ROOM));
    assert_eq!(busy_refusals(&harness), (PLACED - ROOM).to_string());
    let streams =
        calls.iter().filter(|call| call.count(|what| matches!(what, CallEventKind::StreamOpened)) > 0).count();
    assert_eq!(streams, ROOM, "the others' voice-url gave no stream");
    let again = harness.call(two_sentences().0).await;
    assert!(is_served(&harness, &again), "there is room again");
}

each_edition!(of_calls_that_come_in_one_moment_no_more_start_than_there_is_room_for, [Cx, EsV2, CesWebSocket, CesGrpc]);
async fn of_calls_that_come_in_one_moment_no_more_start_than_there_is_room_for(edition: Edition) {
    let mut harness = harness(edition).start();
    let (calls, most) = place(&harness, PLACED, Duration::ZERO, TwilioBehaviour::default()).await;
    assert_eq!((served(&harness, &calls), most), (ROOM, ROOM));
    let started = harness.reports().iter().filter(|report| matches!(report, Report::Started { .. })).count();
    assert_eq!((started, harness.service.calls().live()), (ROOM, 0));
    let metrics = harness.service.metrics_text();
    let lengths = metrics.lines().find(|line| line.starts_with("dialbridge_call_seconds_count{")).unwrap();
    assert!(lengths.ends_with(&format!("}} {ROOM}")), "only calls that were served have a length: {lengths}");
    assert_eq!(busy_refusals(&harness), (PLACED - ROOM).to_string());
    let again = harness.call(two_sentences().0).await;
    assert!(is_served(&harness, &again), "there is room again");
}

each_edition!(as_soon_as_a_call_ends_another_one_is_admitted, [Cx, CesWebSocket]);
async fn as_soon_as_a_call_ends_another_one_is_admitted(edition: Edition) {
    let harness = harness(edition).start();
    // A call takes 7 s, so about 30 are wanted at any time.
    let (calls, most) = place(&harness, 3 * PLACED, Duration::from_millis(230), TwilioBehaviour::default()).await;
    let served = served(&harness, &calls);
    assert_eq!(most, ROOM);
    assert!(served > 2 * ROOM && served < 3 * PLACED, "{served}");
}

each_edition!(where_calls_go_elsewhere_those_go_too_whose_stream_finds_no_room, [Cx, CesGrpc]);
async fn where_calls_go_elsewhere_those_go_too_whose_stream_finds_no_room(edition: Edition) {
    for apart in [Duration::ZERO, Duration::from_millis(150)] {
        let harness = harness(edition).settings(|settings| settings.set("OVERFLOW_URL", ELSEWHERE)).start();
        let (calls, most) = place(&harness, PLACED, apart, TwilioBehaviour::default()).await;
        let (served, sent): (Vec<_>, Vec<_>) = calls.iter().partition(|call| is_served(&harness, call));
        assert_eq!((served.len(), most), (ROOM, ROOM));
        assert!(sent.iter().all(|call| redirected(call).as_deref() == Some(ELSEWHERE)));
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_twilio_does_and_without_its_rest_api_nobody_is_left_in_silence() {
    let usual = TwilioBehaviour::default();
    let behaviour = [
        usual,
        TwilioBehaviour { stop_after_update: false, ..usual },
        TwilioBehaviour { stop_on_hang_up: false, action_after_hang_up: false, ..usual },
        TwilioBehaviour { abnormal_close: AbnormalClose::EndsCall, ..usual },
    ];
    for behaviour in behaviour {
        for has_rest in [true, false] {
            let harness = harness(Edition::Cx)
                .settings(|settings| {
                    if !has_rest {
                        settings.set("TWILIO_ACCOUNT_SID", "");
                    }
                })
                .start();
            let (calls, most) = place(&harness, PLACED, Duration::ZERO, behaviour).await;
            assert_eq!((served(&harness, &calls), most), (ROOM, ROOM), "{behaviour:?}, REST: {has_rest}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_too_whose_socket_there_was_no_room_for() {
    let harness = harness(Edition::Cx).config(|config| config.limits.waiting_sockets = 3).start();
    let (calls, most) = place(&harness, PLACED, Duration::ZERO, TwilioBehaviour::default()).await;
    let refused =
        calls.iter().filter(|call| call.count(|what| matches!(what, CallEventKind::StreamRefused { .. })) > 0).count();
    assert!(refused > 0, "some handshakes are refused");
    let served = served(&harness, &calls);
    assert!(served > 0 && served <= ROOM && most <= ROOM, "{served} {most}");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_call_is_admitted_beyond_max_calls() {
    let harness = Harness::with_script(AGENT).settings(|settings| settings.set("MAX_CALLS", "1")).start();
    let call = |number: u32| format!("CA{number:032}");
    let (media, action) = voice_url(&harness.pipes, &call(1)).await;
    let other = voice_url(&harness.pipes, &call(2)).await.0;
    let mut broken = RawSocket::open(&harness.pipes, &media).await.unwrap();
    broken.text(&start(&call(1))).await;
    assert!(matches!(broken.next().await, Came::Text(_)), "the agent greets");
    drop(broken);
    sleep(Duration::from_millis(10)).await;
    let mut taking = RawSocket::open(&harness.pipes, &other).await.unwrap();
    taking.text(&start(&call(2))).await;
    assert!(matches!(taking.next().await, Came::Text(_)), "there was room again");
    let form = [("CallSid", &*call(1)), ("CallStatus", "in-progress")];
    let back = paths(&signed_post(&harness.pipes, &action, &form).await.body).0;
    let mut back = RawSocket::open(&harness.pipes, &back).await.unwrap();
    back.text(&start(&call(1))).await;
    assert_eq!(back.next().await, Came::Nothing, "it is neither greeted nor closed");
    assert_eq!(harness.service.calls().started(), 2);
}
