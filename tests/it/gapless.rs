//! Nothing that the caller says is lost, doubled or out of order. Withheld, dropped and resent audio is counted.

use dialbridge_core::Report;
use dialbridge_core::report::AudioAccount;
use dialbridge_lab::agent::{StreamRecord, TurnRecord};
use dialbridge_lab::twilio::{CallEventKind, CallerStep, When};
use dialbridge_tests::Stretch::{Quiet, Speech, Story};
use dialbridge_tests::{Edition, Harness, Numbered, TcpHarness, account, count, numbers};

/// Bytes in a frame.
const FRAME: u64 = 160;

/// An agent that thinks and answers every utterance with a tone.
const AGENT: &str = r#"
    think_ms = 700
    [start]
    tone = { hz = 400, ms = 900 }
    [[utterance]]
    tone = { hz = 500, ms = 500 }
"#;

/// The numbers of all frames that reached the agent, turn by turn.
fn heard(turns: &[TurnRecord]) -> Vec<u32> {
    turns.iter().flat_map(|turn| numbers(&turn.audio)).collect()
}

fn bytes(turns: &[TurnRecord]) -> u64 {
    turns.iter().map(|turn| turn.audio.len() as u64).sum()
}

/// The account of a call in which every byte was written once.
fn all_written(received: u64) -> AudioAccount {
    AudioAccount { received, written: received, ..AudioAccount::default() }
}

each_edition!(every_frame_from_the_first_on_reaches_the_agent_once_and_in_order, [Cx, EsV2, EsV2Beta1]);
async fn every_frame_from_the_first_on_reaches_the_agent_once_and_in_order(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).start();
    let mut caller = Numbered::default();
    // Speaks into the greeting, over the ends of utterances, into the think time and into answers.
    let pairs = [(900, 640), (300, 400), (1_200, 700), (200, 900), (2_000, 620), (100, 3_000)];
    let steps = caller.steps(When::After(0), &pairs.map(|(speech, quiet)| [Speech(speech), Quiet(quiet)]).concat());
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    assert_eq!(heard(&turns), (0..caller.count()).collect::<Vec<u32>>());
    assert!(turns.iter().filter(|turn| turn.answered).count() >= 5, "{}", turns.len());
    assert_eq!(bytes(&turns), u64::from(caller.count()) * FRAME, "nothing else reaches the agent");
    assert_eq!(harness.account(), all_written(u64::from(caller.count()) * FRAME));
}

each_edition!(a_caller_who_says_nothing_for_minutes_is_heard_all_the_time, ALL);
async fn a_caller_who_says_nothing_for_minutes_is_heard_all_the_time(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).start();
    let mut caller = Numbered::default();
    let steps = caller.steps(When::After(0), &[Quiet(240_000), Speech(1_000), Quiet(3_000)]);
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    assert_eq!(heard(&turns), (0..caller.count()).collect::<Vec<u32>>());
    let reports = harness.reports();
    let rotated = count(&reports, |report| matches!(report, Report::Rotated { in_speech: false, .. }));
    assert_eq!(rotated, if edition.is_es() { 4 } else { 2 }, "before a minute (ES), two minutes (CX)");
    assert_eq!(count(&reports, |report| matches!(report, Report::TurnFailed { .. })), 0);
    assert_eq!(account(&reports), all_written(u64::from(caller.count()) * FRAME));
}

each_edition!(a_caller_who_talks_for_three_minutes_is_heard_all_the_time, ALL);
async fn a_caller_who_talks_for_three_minutes_is_heard_all_the_time(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).start();
    let mut caller = Numbered::default();
    let steps = caller.steps(When::After(500), &[Story(180_000), Quiet(4_000)]);
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    assert_eq!(heard(&turns), (0..caller.count()).collect::<Vec<u32>>());
    let reports = harness.reports();
    let rotated = count(&reports, |report| matches!(report, Report::Rotated { in_speech: true, .. }));
    assert_eq!(rotated, if edition.is_es() { 3 } else { 1 });
    assert_eq!(count(&reports, |report| matches!(report, Report::TurnFailed { .. })), 0);
    let limit = if edition.is_es() { 60_000 } else { 120_000 };
    assert!(turns.iter().all(|turn| turn.audio.len() <= limit * 8), "no stream has more than the agent takes");
}

#[tokio::test(start_paused = true)]
async fn near_the_limit_a_caller_is_cut_off_at_a_pause_where_there_is_one() {
    let mut harness = Harness::with_script(AGENT).edition(Edition::EsV2).start();
    let mut caller = Numbered::default();
    // The pause is too short for the end of an utterance, and long enough for a breath.
    let steps = caller.steps(When::After(2_000), &[Story(52_000), Quiet(400), Story(10_000), Quiet(4_000)]);
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    assert_eq!(heard(&turns), (0..caller.count()).collect::<Vec<u32>>());
    let first = numbers(&turns[1].audio);
    assert!((2_600..2_620).contains(first.last().unwrap()), "in the pause: {:?}", first.last());
    assert_eq!(count(&harness.reports(), |report| matches!(report, Report::Rotated { in_speech: true, .. })), 1);
}

each_edition!(what_is_said_into_a_protected_prompt_is_withheld_from_es_v2_and_from_no_other, ALL);
async fn what_is_said_into_a_protected_prompt_is_withheld_from_es_v2_and_from_no_other(edition: Edition) {
    let script = r#"
        [start]
        payload = { dialbridge = { bargeIn = false } }
        tone = { hz = 400, ms = 3000 }
        [[utterance]]
        tone = { hz = 500, ms = 500 }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let mut caller = Numbered::default();
    let steps = caller.steps(When::AgentSpeaking(400), &[Speech(1_000), Quiet(3_000), Speech(800), Quiet(3_000)]);
    let call = harness.call(steps).await;
    let (turns, account) = (harness.turns(&call), harness.account());
    assert_eq!(bytes(&turns), account.written);
    assert_eq!(account.received, account.written + account.left);
    let all: Vec<u32> = (0..caller.count()).collect();
    if edition == Edition::EsV2 {
        // The prompt's three seconds, to the frame. Silence of the same length replaces them.
        assert!((149..=150).contains(&(account.withheld / FRAME)), "{}", account.withheld);
        let at = |wanted: fn(&CallEventKind) -> bool| {
            call.events.iter().find(|event| wanted(&event.kind)).map(|event| event.at_ms).unwrap()
        };
        let prompt_ends = at(|what| matches!(what, CallEventKind::AgentSpeaks)) + 3_000;
        let speech_begins = at(|what| matches!(what, CallEventKind::CallerSpeaks { .. }));
        let said_into_it = usize::try_from((prompt_ends - speech_begins).div_ceil(20)).unwrap();
        assert_eq!(heard(&turns), all[said_into_it..], "all but what was said into the prompt");
    } else {
        assert_eq!((account.withheld, heard(&turns)), (0, all));
    }
    let spoken = turns.iter().filter(|turn| turn.input == "audio" && turn.answered).count();
    assert_eq!(spoken, 1, "what was said into the prompt is no turn");
}

each_edition!(beyond_half_a_minute_without_a_stream_the_oldest_audio_is_dropped_and_counted, ALL);
async fn beyond_half_a_minute_without_a_stream_the_oldest_audio_is_dropped_and_counted(edition: Edition) {
    let script =
        "[start]\nthink_ms = 40000\ntone = { hz = 400, ms = 300 }\n[[utterance]]\ntone = { hz = 500, ms = 300 }";
    let mut harness =
        Harness::with_script(script).edition(edition).each_call(|call| call.timeouts.answer_ms = 60_000).start();
    let mut caller = Numbered::default();
    let steps = caller.steps(When::After(0), &[Speech(39_000), Quiet(4_000)]);
    let call = harness.call(steps).await;
    let (turns, reports) = (harness.turns(&call), harness.reports());
    let account = account(&reports);
    let dropped = u32::try_from(account.dropped / FRAME).unwrap();
    assert!((490..=510).contains(&dropped), "10 s are {dropped} frames");
    assert_eq!(heard(&turns), (dropped..caller.count()).collect::<Vec<u32>>());
    assert_eq!(account.received, account.written + account.dropped);
    let told: u64 = reports.iter().map(|report| if let Report::AudioDropped { ms } = report { *ms } else { 0 }).sum();
    assert_eq!(told * 8, account.dropped);
}

each_edition!(the_unanswered_audio_of_a_failed_stream_goes_to_the_next_one_and_counts_as_resent, ALL);
async fn the_unanswered_audio_of_a_failed_stream_goes_to_the_next_one_and_counts_as_resent(edition: Edition) {
    for (fault, half_closed) in
        [("fault = \"UNAVAILABLE\"\nfault_after_ms = 1600", false), ("fault = \"UNAVAILABLE\"", true)]
    {
        let script = format!(
            "think_ms = 300\n[start]\ntone = {{ hz = 400, ms = 300 }}\n[[utterance]]\n{fault}\n[[utterance]]\ntone = {{ hz = 500, ms = 300 }}"
        );
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let mut caller = Numbered::default();
        let steps = caller.steps(When::AgentSilent(0), &[Speech(2_000), Quiet(4_000)]);
        let call = harness.call(steps).await;
        let turns = harness.turns(&call);
        let account = harness.account();
        let [failed, tried_again] = &turns[1..3] else { panic!("{}", turns.len()) };
        let (first, second) = (numbers(&failed.audio), numbers(&tried_again.audio));
        assert!(second.starts_with(&first), "{:?} and {:?}", first.len(), second.len());
        assert_eq!(account.resent, failed.audio.len() as u64, "{fault}");
        assert_eq!(failed.half_closed, half_closed, "{fault}");
        let rest: Vec<u32> = turns[2..].iter().flat_map(|turn| numbers(&turn.audio)).collect();
        assert_eq!(rest, (0..caller.count()).collect::<Vec<u32>>());
        assert_eq!(bytes(&turns), account.written + account.resent);
    }
}

/// A caller who goes on so many milliseconds after the recogniser has ended his utterance, each time.
const GOES_ON_AFTER_MS: [u64; 5] = [40, 80, 120, 160, 220];

/// What such a caller does, and whether he speaks in each of his frames.
fn goes_on(caller: &mut Numbered) -> (Vec<CallerStep>, Vec<bool>) {
    let each = GOES_ON_AFTER_MS.map(|ms| [Speech(900), Quiet(600 + ms)]);
    let stretches = [&[Quiet(1_500)][..], &each.concat(), &[Speech(900), Quiet(3_000)]].concat();
    let mut spoken = Vec::new();
    for stretch in &stretches {
        let (ms, speaks) = match stretch {
            Speech(ms) | Story(ms) => (*ms, true),
            Quiet(ms) => (*ms, false),
        };
        spoken.extend(std::iter::repeat_n(speaks, usize::try_from(ms / 20).unwrap()));
    }
    (caller.steps(When::After(0), &stretches), spoken)
}

/// Checks that a recogniser that listened heard each frame of speech once, and none twice but up to 200 ms of silence before
/// what was sent again.
fn assert_heard(turns: &[TurnRecord], streams: &[StreamRecord], spoken: &[bool], resends: usize, what: &str) {
    let mut heard = vec![0; spoken.len()];
    let of_turns = turns.iter().map(|turn| &turn.audio[..turn.heard.min(turn.audio.len())]);
    for audio in of_turns.chain(streams.iter().map(|stream| &stream.audio[..])) {
        for number in numbers(audio) {
            heard[usize::try_from(number).unwrap()] += 1;
        }
    }
    let times =
        |speaks| spoken.iter().zip(&heard).filter(move |(spoken, _)| **spoken == speaks).map(|(_, times)| *times);
    let speech: Vec<u32> = times(true).collect();
    assert!(speech.iter().all(|times| *times == 1), "{what}: {speech:?}");
    assert!(times(false).filter(|times| *times > 1).count() <= resends * 10, "{what}: {heard:?}");
}

/// How often the next turn got what the last one did not hear.
fn resends(reports: &[Report]) -> usize {
    count(reports, |report| matches!(report, Report::TurnOpened { resent_ms: 1.., .. }))
}

each_edition!(
    what_is_said_while_the_end_of_an_utterance_is_on_its_way_is_heard,
    [Cx, EsV2, EsV2Beta1, CesWebSocket, CesGrpc]
);
async fn what_is_said_while_the_end_of_an_utterance_is_on_its_way_is_heard(edition: Edition) {
    for distance_ms in [0, 40, 120] {
        for says in [
            "",
            "speech_ends = \"in-end\"",
            "speech_ends = \"nowhere\"",
            "transcripts = \"after-end\"",
            "answers = \"at-once\"",
        ] {
            let script = format!("distance_ms = {distance_ms}\n{says}\n{AGENT}");
            let mut harness = Harness::with_script(&script).edition(edition).start();
            let mut caller = Numbered::default();
            let (steps, spoken) = goes_on(&mut caller);
            let call = harness.call(steps).await;
            let (turns, streams, reports) = (harness.turns(&call), harness.streams(&call), harness.reports());
            let what = format!("{distance_ms} ms away, {says}");
            assert_heard(&turns, &streams, &spoken, resends(&reports), &what);
            let in_flight = GOES_ON_AFTER_MS.iter().filter(|ms| **ms < 2 * distance_ms).count();
            assert_eq!(resends(&reports), if edition.is_ces() { 0 } else { in_flight }, "{what}");
            let account = account(&reports);
            if !edition.is_ces() {
                // What was on its way when the caller hung up did not arrive.
                let lost = account.written + account.resent - bytes(&turns);
                assert!(lost <= distance_ms * 8, "{what}: {lost}");
            }
        }
    }
}

each_edition!(
    over_sockets_an_agent_that_is_far_away_hears_all_that_is_said,
    [Cx, EsV2, CesWebSocket, CesGrpc],
    start_paused = false
);
async fn over_sockets_an_agent_that_is_far_away_hears_all_that_is_said(edition: Edition) {
    let call_at = async |distance_ms: u64| {
        let script = format!("distance_ms = {distance_ms}\n{AGENT}");
        let mut harness = TcpHarness::start(edition, &script, |_| {}).await;
        let mut caller = Numbered::default();
        let (steps, spoken) = goes_on(&mut caller);
        let call = harness.call(steps).await;
        let reports: Vec<Report> = harness.reports().into_iter().map(|(_, report)| report).collect();
        let record = harness.agent.record();
        let (turns, streams) = (record.turns(&call.call_sid), record.streams(&call.call_sid));
        assert_heard(&turns, &streams, &spoken, resends(&reports), &format!("{distance_ms} ms away"));
    };
    tokio::join!(call_at(0), call_at(40), call_at(120));
}
