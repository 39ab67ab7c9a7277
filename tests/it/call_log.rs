//! The log of a call: each line names the agent, and the last one sums the call up.

use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{RestFault, When};
use dialbridge_tests::{Harness, Log, bakery, hang_up, numbered_speech, say};
use http::StatusCode;
use serde_json::Value;

const ENDS: &str = "[start]\ntone = { hz = 400, ms = 200 }\nend = true";

/// All lines of calls, in order.
fn of_calls(log: &Log) -> Vec<Value> {
    let lines: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.into_iter().filter(|line| line["call_sid"].is_string()).collect()
}

/// The one line that sums the call up.
fn summary(log: &Log) -> Value {
    let mut lines = of_calls(log);
    lines.retain(|line| line["message"] == "the call is over");
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

/// How a call ended, by its summary: status, reason, hand-off, end of the media stream.
fn endings(line: &Value) -> [&str; 4] {
    ["status", "reason", "handoff", "stream_end"].map(|name| line[name].as_str().unwrap_or("none"))
}

#[tokio::test(start_paused = true)]
async fn each_line_of_a_call_names_its_agent_and_edition() {
    let log = Log::start();
    let script = "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nfault = \"INTERNAL\"";
    let file = "[agents.sales]\ndialogflow_agent = \"projects/lab/locations/global/agents/sales\"\n\
                [agents.support]\ndialogflow_agent = \"projects/lab/agent\"\n";
    let harness = Harness::with_script(script).file(file).agent("sales", script).agent("support", script).start();
    for (agent, edition) in [("sales", "cx"), ("support", "es")] {
        let mut plan = harness.plan(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]);
        plan.voice_url = format!("{}?agent={agent}&language=nonsense", plan.voice_url);
        let call = harness.twilio.call(plan).await;
        let lines = of_calls(&log);
        let own: Vec<&Value> = lines.iter().filter(|line| line["call_sid"] == call.call_sid).collect();
        assert!(own.len() > 8, "{own:?}");
        // Twilio's words about a stream come to an instance that may not know it.
        for line in own.into_iter().filter(|line| line["message"] != "Twilio tells of a stream") {
            assert_eq!((&line["agent"], &line["edition"]), (&agent.into(), &edition.into()), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_line_sums_a_call_up() {
    let log = Log::start();
    let mut harness = Harness::with(Script::bakery().unwrap()).start();
    harness.call(bakery()).await;
    let line = summary(&log);
    assert_eq!(endings(&line), ["live-agent-handoff", "agent", "overtaken", "stop"]);
    let count = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{name}: {line}"));
    // The greeting, and three utterances.
    assert_eq!((count("turns"), count("failed_turns"), count("barge_ins"), count("no_inputs")), (4, 0, 1, 0));
    assert!(count("median_wait_ms") >= 700 && count("slowest_wait_ms") >= count("median_wait_ms"), "{line}");
    assert!((2..=4).contains(&count("slowest_turn")) && line["slowest_stage"] == "recogniser", "{line}");
    let audio = harness.account();
    assert_eq!(count("audio_received"), audio.received, "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_updated_over_rest_is_handed_off_all_the_same() {
    let log = Log::start();
    let harness = Harness::with_script(ENDS).start();
    harness.twilio.fail_rest(Some(RestFault::Refused {
        status: StatusCode::NOT_FOUND,
        code: 20404,
        retry_after: None,
    }));
    harness.call(vec![hang_up(When::AgentSilent(3_000))]).await;
    assert_eq!(endings(&summary(&log)), ["completed", "agent", "impossible", "not updated over REST"]);
}

#[tokio::test(start_paused = true)]
async fn the_summary_says_who_has_ended_the_call() {
    let fails = "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nfault = \"INVALID_ARGUMENT\"";
    let hears = "[start]\ntone = { hz = 400, ms = 300 }";
    for (script, steps, expected) in [
        (hears, vec![hang_up(When::AgentSilent(300))], ["hangup", "caller", "none", "stop"]),
        (
            fails,
            vec![say(When::AgentSilent(300), numbered_speech(0, 700))],
            ["failed", "INVALID_ARGUMENT", "overtaken", "stop"],
        ),
        (hears, vec![hang_up(When::After(60_000))], ["hangup", "silence", "overtaken", "stop"]),
    ] {
        let log = Log::start();
        let harness =
            Harness::with_script(script).settings(|settings| settings.set("MAX_SILENCE_SECONDS", "20")).start();
        harness.call(steps).await;
        let line = summary(&log);
        assert_eq!(endings(&line), expected, "{line}");
        assert_eq!(line.get("slowest_stage"), None, "no words were answered: {line}");
    }
}
