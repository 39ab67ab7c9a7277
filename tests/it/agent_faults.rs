//! An agent that fails, on real sockets. The caller need not repeat anything, and nothing that the caller says is lost
//! or doubled. If the agent cannot be had at all, the call gets its fallback.

use dialbridge_core::Report;
use dialbridge_lab::agent::TurnRecord;
use dialbridge_lab::twilio::{CallRecord, CallerStep, When};
use dialbridge_runner::settings::Config;
use dialbridge_tests::{Edition, Numbered, TcpHarness, answers, faults, hang_up, numbers, redirected, say};
use tokio::task::JoinSet;

/// The length of the first sentence, in frames.
const FIRST_FRAMES: u32 = 60;

/// Two sentences with time for the answers. All frames are numbered.
fn two_sentences() -> (Vec<CallerStep>, u32) {
    let mut caller = Numbered::default();
    let mut steps = vec![say(When::AgentSilent(0), caller.speech(u64::from(FIRST_FRAMES) * 20))];
    steps.push(say(When::After(0), caller.quiet(2_600)));
    steps.push(say(When::After(0), caller.speech(600)));
    let spoken = caller.count();
    steps.push(say(When::After(0), caller.quiet(1_800)));
    steps.push(hang_up(When::After(0)));
    (steps, spoken)
}

/// An agent that fails once, at its first utterance, and answers all others.
fn script(fault: &str) -> String {
    format!(
        "end_of_utterance_ms = 400\nthink_ms = 100\n[start]\ntone = {{ hz = 400, ms = 200 }}\n\
         [[utterance]]\n{fault}\nsay = \"one\"\ntone = {{ hz = 500, ms = 200 }}\n\
         [[utterance]]\nsay = \"two\"\ntone = {{ hz = 600, ms = 200 }}\n\
         [[utterance]]\nsay = \"three\"\n"
    )
}

/// The frames that the agent heard. Frames of an unanswered turn count only if no later turn got them again.
fn heard(turns: &[TurnRecord]) -> Vec<u32> {
    let mut heard: Vec<u32> = Vec::new();
    let mut answered = true;
    for turn in turns {
        let numbers = numbers(&turn.audio);
        if let Some(first) = numbers.first().filter(|_| !answered) {
            heard.retain(|number| number < first);
        }
        heard.extend(numbers);
        answered = turn.answered;
    }
    heard
}

/// The result of a call in which the agent failed.
struct Outcome {
    call: CallRecord,
    turns: Vec<TurnRecord>,
    reports: Vec<Report>,
    spoken: u32,
}

impl Outcome {
    async fn of(edition: Edition, script: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut harness = TcpHarness::start(edition, script, change).await;
        let (steps, spoken) = two_sentences();
        let call = harness.call(steps).await;
        let reports = harness.reports().into_iter().map(|(_, report)| report).collect();
        Self { turns: harness.turns(&call), call, reports, spoken }
    }

    fn answers(&self) -> Vec<&str> {
        answers(&self.reports).into_iter().filter(|text| !text.is_empty()).collect()
    }

    /// The caller got both answers, each once, and repeated nothing.
    fn is_unnoticed(&self, case: &str) {
        assert_eq!(self.answers(), ["one", "two"], "{case:?}: {:?}", faults(&self.reports));
        self.is_heard_once(case);
        let first: Vec<u32> = (0..FIRST_FRAMES).collect();
        let whole = self.turns.iter().any(|turn| turn.answered && numbers(&turn.audio).starts_with(&first));
        assert!(whole, "{case:?}: the first sentence is answered as a whole");
        assert_eq!(redirected(&self.call), None::<String>, "{case:?}");
    }

    /// Each frame reached the agent once and in order.
    fn is_heard_once(&self, case: &str) {
        let heard = heard(&self.turns);
        assert_eq!(heard, (0..u32::try_from(heard.len()).unwrap()).collect::<Vec<u32>>(), "{case:?}");
        assert!(heard.len() >= self.spoken as usize, "{case:?}: {} of {}", heard.len(), self.spoken);
    }
}

/// Runs all cases at the same time.
async fn all<const N: usize, F: Future<Output = ()> + Send + 'static>(
    edition: Edition,
    cases: [&'static str; N],
    run: impl Fn(Edition, &'static str) -> F,
) {
    let running: JoinSet<()> = cases.into_iter().map(|fault| run(edition, fault)).collect();
    running.join_all().await;
}

/// After one fault the call goes on as if there had been none.
async fn passes(edition: Edition, fault: &'static str) {
    let outcome = Outcome::of(edition, &script(&format!("{fault}\nfault_times = 1")), |config| {
        let call = &mut config.default_agent_mut().call;
        (call.timeouts.answer_ms, call.timeouts.stalled_ms) = (800, 800);
    })
    .await;
    outcome.is_unnoticed(fault);
    assert_eq!(faults(&outcome.reports).len(), 1, "{fault:?}: {:?}", faults(&outcome.reports));
}

each_edition!(after_a_reset_or_refused_stream_another_gets_the_callers_words, [Cx, EsV2], start_paused = false);
async fn after_a_reset_or_refused_stream_another_gets_the_callers_words(edition: Edition) {
    let cases = [
        "fault = \"RESET\"\nfault_after_ms = 600",
        "fault = \"RESET\"",
        "fault = \"REFUSED_STREAM\"\nfault_at = \"opening\"",
    ];
    all(edition, cases, passes).await;
}

each_edition!(a_connection_that_breaks_off_takes_no_words_with_it, [Cx, EsV2], start_paused = false);
async fn a_connection_that_breaks_off_takes_no_words_with_it(edition: Edition) {
    let cases = ["fault = \"CUT\"\nfault_after_ms = 600", "fault = \"CUT\"", "fault = \"CUT\"\nfault_at = \"opening\""];
    all(edition, cases, passes).await;
}

each_edition!(an_endpoint_that_is_down_for_a_while_is_waited_for, [Cx, EsV2], start_paused = false);
async fn an_endpoint_that_is_down_for_a_while_is_waited_for(edition: Edition) {
    let cases = ["fault = \"DOWN\"\nfault_after_ms = 600\ndown_ms = 900", "fault = \"DOWN\"\ndown_ms = 900"];
    all(edition, cases, |edition, fault| async move {
        let outcome = Outcome::of(edition, &script(&format!("{fault}\nfault_times = 1")), |_| {}).await;
        outcome.is_unnoticed(fault);
        assert!(faults(&outcome.reports).len() > 1, "{fault:?}: it is tried more than once");
    })
    .await;
}

each_edition!(a_connection_that_goes_away_ends_no_turn, [Cx, EsV2], start_paused = false);
async fn a_connection_that_goes_away_ends_no_turn(edition: Edition) {
    let cases = [
        "fault = \"GOAWAY\"\nfault_at = \"opening\"",
        "fault = \"GOAWAY\"\nfault_after_ms = 600",
        "fault = \"GOAWAY\"",
        "fault = \"GOAWAY\"\nfault_at = \"middle\"",
    ];
    all(edition, cases, |edition, fault| async move {
        let outcome = Outcome::of(edition, &script(fault), |_| {}).await;
        outcome.is_unnoticed(fault);
        assert_eq!(faults(&outcome.reports), [""; 0], "{fault:?}");
    })
    .await;
}

each_edition!(a_stream_that_stalls_is_replaced, [Cx, EsV2], start_paused = false);
async fn a_stream_that_stalls_is_replaced(edition: Edition) {
    let cases =
        ["fault = \"STALL\"\nfault_at = \"opening\"", "fault = \"STALL\"\nfault_after_ms = 600", "fault = \"STALL\""];
    all(edition, cases, passes).await;
}

each_edition!(a_status_that_may_pass_is_waited_out, [Cx, EsV2], start_paused = false);
async fn a_status_that_may_pass_is_waited_out(edition: Edition) {
    let cases = [
        "fault = \"RESOURCE_EXHAUSTED\"\nfault_at = \"opening\"",
        "fault = \"RESOURCE_EXHAUSTED\"",
        "fault = \"DEADLINE_EXCEEDED\"",
        "fault = \"UNAVAILABLE\"\nfault_after_ms = 600",
        "fault = \"INTERNAL\"\nfault_at = \"opening\"",
    ];
    all(edition, cases, passes).await;
}

each_edition!(a_turn_that_has_answered_is_not_asked_twice, [Cx, EsV2], start_paused = false);
async fn a_turn_that_has_answered_is_not_asked_twice(edition: Edition) {
    let cases = ["RESET", "CUT", "UNAVAILABLE"];
    all(edition, cases, |edition, fault| async move {
        let fault = format!("fault = \"{fault}\"\nfault_at = \"middle\"");
        let outcome = Outcome::of(edition, &script(&fault), |_| {}).await;
        assert_eq!(outcome.answers(), ["one", "two"], "{fault:?}: {:?}", faults(&outcome.reports));
        outcome.is_heard_once(&fault);
        let asked = outcome.turns.iter().filter(|turn| turn.input == "audio" && turn.answered).count();
        assert_eq!(asked, 2, "{fault:?}");
    })
    .await;
}

each_edition!(an_agent_that_cannot_be_had_any_more_gives_the_call_its_fallback, [Cx, EsV2], start_paused = false);
async fn an_agent_that_cannot_be_had_any_more_gives_the_call_its_fallback(edition: Edition) {
    let cases = [
        "fault = \"RESET\"",
        "fault = \"CUT\"\nfault_after_ms = 400",
        "fault = \"STALL\"",
        "fault = \"DOWN\"\ndown_ms = 60000",
        "fault = \"RESOURCE_EXHAUSTED\"",
        "fault = \"REFUSED_STREAM\"\nfault_at = \"opening\"",
        "fault = \"UNAUTHENTICATED\"",
        "fault = \"INVALID_ARGUMENT\"",
    ];
    all(edition, cases, |edition, fault| async move {
        let always =
            format!("end_of_utterance_ms = 400\n[start]\ntone = {{ hz = 400, ms = 200 }}\n[[utterance]]\n{fault}\n");
        let outcome = Outcome::of(edition, &always, |config| {
            let call = &mut config.default_agent_mut().call;
            (call.timeouts.answer_ms, call.timeouts.stalled_ms, call.retry.budget_ms) = (500, 500, 1_200);
        })
        .await;
        let url = redirected(&outcome.call).unwrap_or_else(|| panic!("{fault:?}: {:?}", outcome.call.events));
        assert!(url.contains("VirtualAgentStatus=failed"), "{fault:?}: {url}");
        assert_eq!(outcome.turns.iter().filter(|turn| turn.answered).count(), 1, "{fault:?}: the greeting alone");
    })
    .await;
}
