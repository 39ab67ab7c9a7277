//! No task of the service outlives its call, however the call ends.

use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_lab::twilio::{CallFault, CallPlan, CallRecord, CallerStep, When};
use dialbridge_tests::{Edition, TcpHarness, ended_by, hang_up, numbered_speech, pause, press, redirected, say};
use tokio::runtime::{Builder, Handle};

/// An agent that fails in several ways before it ends a call.
const SCRIPT: &str = r#"
    end_of_utterance_ms = 300
    [start]
    tone = { hz = 400, ms = 200 }
    [[utterance]]
    fault = "RESET"
    fault_times = 1
    tone = { hz = 500, ms = 200 }
    [[utterance]]
    fault = "STALL"
    fault_times = 1
    tone = { hz = 500, ms = 200 }
    [[utterance]]
    fault = "RESOURCE_EXHAUSTED"
    fault_times = 1
    tone = { hz = 500, ms = 200 }
    end = true
    [digits.9]
    say = "nine"
"#;

/// How often all calls are placed.
const ROUNDS: usize = 2;

fn sentence() -> CallerStep {
    say(When::AgentSilent(100), numbered_speech(0, 600))
}

/// Calls that end in all ways: by the agent, by the caller at several times, by a panic (the second last), and by a
/// broken media stream.
fn plans(harness: &TcpHarness) -> Vec<CallPlan> {
    let steps = |steps| CallPlan { limit: Duration::from_secs(20), ..CallPlan::new(&harness.voice_url, steps) };
    let to_the_end = || vec![sentence(); 3];
    vec![
        steps(to_the_end()),
        steps(to_the_end()),
        steps(vec![hang_up(When::After(50))]),
        steps(vec![say(When::AgentSilent(100), numbered_speech(0, 400)), hang_up(When::After(0))]),
        steps(vec![sentence(), sentence(), hang_up(When::After(500))]),
        steps(vec![press(When::AgentSilent(100), "9#"), pause(5_000)]),
        CallPlan {
            faults: vec![CallFault::Breaks { at_ms: 800 }],
            ..steps(vec![
                sentence(),
                pause(1_000),
                say(When::After(0), numbered_speech(0, 600)),
                hang_up(When::After(0)),
            ])
        },
    ]
}

async fn play(harness: &TcpHarness) -> Vec<CallRecord> {
    let calls = plans(harness).into_iter().map(|plan| {
        let twilio = harness.twilio.clone();
        tokio::spawn(async move { twilio.call(plan).await })
    });
    let mut records = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        records.push(call.await.unwrap());
    }
    records
}

/// Waits until at most `most` tasks are left, or for longer than any task has reason to stay, such as that of a stream
/// that was left. Returns the number of tasks.
async fn settled(service: &Handle, most: usize) -> usize {
    let mut alive = usize::MAX;
    for _ in 0..150 {
        alive = service.metrics().num_alive_tasks();
        if alive <= most {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    alive
}

each_edition!(calls_that_end_in_all_ways_leave_no_tasks_behind, [Cx, EsV2], start_paused = false);
async fn calls_that_end_in_all_ways_leave_no_tasks_behind(edition: Edition) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let service = runtime.handle().clone();
    let harness = TcpHarness::start_apart(
        edition,
        SCRIPT,
        |config| {
            config.default_agent_mut().call.timeouts.answer_ms = 700;
            // Without REST: its client keeps a connection for each request that ran at the same time.
            config.twilio.account_sid = None;
        },
        &service,
        |observed| {
            let is_digits = matches!(observed.report, Report::TurnOpened { input: "digits", .. });
            assert!(!is_digits, "a fault of ours");
        },
    )
    .await;
    // The first call opens what stays: connections to the agent, and the tasks that look after them.
    harness.twilio.call(plans(&harness).swap_remove(0)).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = service.metrics().num_alive_tasks();
    for round in 0..ROUNDS {
        let calls = play(&harness).await;
        let url = |call: &CallRecord| redirected(call).unwrap_or_default();
        for call in &calls[..2] {
            assert!(url(call).contains("VirtualAgentStatus=completed"), "{:?}", call.events);
        }
        assert!(url(&calls[5]).contains("VirtualAgentStatus=failed"), "{:?}", calls[5].events);
        for call in [&calls[2], &calls[3], &calls[4], &calls[6]] {
            assert_eq!(ended_by(call), "caller");
        }
        let after = settled(&service, before).await;
        assert!(after <= before, "{before} tasks before, {after} after round {round}");
        assert_eq!(harness.service.calls().live(), 0);
    }
    drop(harness);
    runtime.shutdown_background();
}
