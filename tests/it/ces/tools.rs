//! Tools that the agent asks its client to run.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_lab::twilio::When;
use dialbridge_tests::{Edition, Harness, count, hang_up, numbered_speech, say, sounding_ms};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::assert_well_served;

const AGENT: &str = r#"
    think_ms = 100
    [start]
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    tool_call = { tool = "tools/stock", args = { bread = "rye" } }
    more_tool_calls = [{ tool = "tools/weather" }]
    [[utterance]]
    tone = { hz = 900, ms = 700 }
"#;

async fn call(harness: &Harness) -> dialbridge_lab::twilio::CallRecord {
    harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(3_000))]).await
}

each_edition!(without_a_webhook_tools_are_refused_at_once_and_the_agent_goes_on, CES);
async fn without_a_webhook_tools_are_refused_at_once_and_the_agent_goes_on(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).start();
    let call = call(&harness).await;
    let streams = harness.streams(&call);
    assert_well_served(&streams);
    let answers = &streams[0].tool_answers;
    assert_eq!(answers.len(), 2);
    for (answer, tool) in answers.iter().zip(["stock", "weather"]) {
        assert_eq!(answer.tool, format!("projects/lab/locations/us/apps/lab/tools/{tool}"));
        assert!(answer.response["error"].as_str().unwrap().contains("no tools"));
    }
    assert_eq!(count(&harness.reports(), |report| matches!(report, Report::ToolRefused { .. })), 2);
    assert_eq!(sounding_ms(&call), 1_000, "the greeting, and the answer");
}

/// The requests to a webhook, each with its signature.
type Asked = Arc<Mutex<Vec<(Value, Option<String>)>>>;

/// Serves the webhook of tools. Rye is in stock, and the weather takes long or fails.
fn webhook(harness: &Harness, tasks: &mut JoinSet<()>) -> Asked {
    let asked = Asked::default();
    let (mut connections, seen) = (harness.pipes.listen("tools.test:80"), asked.clone());
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Some(pipe) = next(&mut connections).await {
            let seen = seen.clone();
            serving.spawn(async move {
                let service = service_fn(move |request| answer(seen.clone(), request));
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(pipe), service).await;
            });
        }
    });
    asked
}

async fn next(connections: &mut mpsc::Receiver<tokio::io::DuplexStream>) -> Option<tokio::io::DuplexStream> {
    connections.recv().await
}

async fn answer(asked: Asked, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let signature = request.headers().get("x-dialbridge-signature").map(|it| it.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let is_weather = body["tool"].as_str().unwrap().ends_with("weather");
    asked.lock().unwrap().push((body, signature));
    if is_weather {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    Ok(Response::new(Full::from(json!({ "stock": 7 }).to_string())))
}

each_edition!(with_a_webhook_they_are_run_by_it_and_one_that_takes_too_long_has_failed, CES);
async fn with_a_webhook_they_are_run_by_it_and_one_that_takes_too_long_has_failed(edition: Edition) {
    let mut harness = Harness::with_script(AGENT)
        .edition(edition)
        .settings(|settings| {
            settings.set("CES_TOOL_WEBHOOK_URL", "http://tools.test/run?x=1");
            settings.set("CES_TOOL_WEBHOOK_SECRET", "the-tools-secret");
            settings.set("CES_TOOL_WEBHOOK_MS", "1500");
        })
        .start();
    let mut tasks = JoinSet::new();
    let asked = webhook(&harness, &mut tasks);
    let call = call(&harness).await;
    let streams = harness.streams(&call);
    assert_well_served(&streams);
    let answers = &streams[0].tool_answers;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].response["stock"].as_f64(), Some(7.0));
    assert_eq!(answers[1].response["error"], "the tool has not answered in time");
    let reports = harness.reports();
    assert_eq!(count(&reports, |report| matches!(report, Report::ToolRun { fault: None, .. })), 1);
    assert_eq!(count(&reports, |report| matches!(report, Report::ToolRun { fault: Some(_), .. })), 1);
    let asked = asked.lock().unwrap().clone();
    let (stock, signature) = asked.iter().find(|(body, _)| body["args"]["bread"] == "rye").unwrap();
    assert_eq!(stock["session"], format!("projects/lab/locations/us/apps/lab/sessions/{}", call.call_sid));
    assert!(signature.as_ref().is_some_and(|signature| signature.len() == 44), "{signature:?}");
    assert_eq!(sounding_ms(&call), 1_000, "the greeting, and the answer");
}

#[tokio::test(start_paused = true)]
async fn the_tools_of_a_cx_agent_are_run_by_the_same_webhook() {
    let script = AGENT.replace("more_tool_calls = [{ tool = \"tools/weather\" }]", "");
    let mut harness = Harness::with_script(&script)
        .edition(Edition::Cx)
        .settings(|settings| settings.set("CES_TOOL_WEBHOOK_URL", "http://tools.test/run?x=1"))
        .start();
    let mut tasks = JoinSet::new();
    let asked = webhook(&harness, &mut tasks);
    let call = call(&harness).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!((asked.len(), &asked[0].0["args"]["bread"]), (1, &json!("rye")));
    let turns = harness.turns(&call);
    let result = turns.iter().find(|turn| turn.input == "tool_call_result").unwrap();
    assert!(!result.is_error);
    let reports = harness.reports();
    assert_eq!(count(&reports, |report| matches!(report, Report::ToolRun { fault: None, .. })), 1);
    assert_eq!(sounding_ms(&call), 1_000, "the greeting, and the answer");
}

each_edition!(another_stream_takes_what_came_of_a_tool_or_refuses_it_and_the_call_goes_on_either_way, CES);
async fn another_stream_takes_what_came_of_a_tool_or_refuses_it_and_the_call_goes_on_either_way(edition: Edition) {
    for calls in ["session", "stream"] {
        // The stream gets a go-away while the weather tool runs.
        let script = format!(
            "{AGENT}\n[[utterance]]\ntone = {{ hz = 600, ms = 500 }}\n\
             [ces]\ntool_calls = \"{calls}\"\ngo_away_ms = 2900\ngo_away_lead_ms = 400"
        );
        let mut harness = Harness::with_script(&script)
            .edition(edition)
            .settings(|settings| {
                settings.set("CES_TOOL_WEBHOOK_URL", "http://tools.test/run?x=1");
                settings.set("CES_TOOL_WEBHOOK_MS", "3000");
            })
            .start();
        let mut tasks = JoinSet::new();
        let _asked = webhook(&harness, &mut tasks);
        let steps = vec![
            say(When::AgentSilent(300), numbered_speech(0, 700)),
            say(When::After(8_000), numbered_speech(40, 700)),
            hang_up(When::After(4_000)),
        ];
        let call = harness.call(steps).await;
        let reports = harness.reports();
        let refused =
            |report: &Report| matches!(report, Report::TurnFailed { fault, .. } if fault.code == "INVALID_ARGUMENT");
        let is_refused = calls == "stream";
        assert_eq!(count(&reports, refused), usize::from(is_refused), "{calls}");
        assert_eq!(count(&reports, |report| matches!(report, Report::ToolRun { .. })), 2, "{calls}");
        // The results get an answer of 700 ms, the next utterance one of 500 ms. If the results are refused, the
        // caller hears the tone of a second, and the utterance gets the first answer.
        let after_results_ms = if is_refused { 1_000 + 700 } else { 700 + 500 };
        assert_eq!(sounding_ms(&call), 300 + after_results_ms, "{calls}");
        assert_eq!(
            count(&reports, |report| matches!(report, Report::ToolResultsDropped { .. })),
            usize::from(is_refused)
        );
    }
}
