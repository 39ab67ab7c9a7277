//! Each turn for a receiver that was written for Twilio's own Dialogflow connector (`<VirtualAgent statusCallback>`).

use std::time::Duration;

use dialbridge_lab::twilio::{When, sign};
use dialbridge_runner::http::webhook::pairs;
use dialbridge_tests::{Collector, Edition, Harness, Log, Posted, Reaction, hang_up, numbered_speech, say};
use serde_json::{Value, json};

const TALK: &str = r#"
    [start]
    say = "Hello!"
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    heard = "two loaves"
    say = "Two loaves."
    tone = { hz = 400, ms = 300 }
    intent = "order.bread"
    parameters = { loaves = 2 }
"#;

const URL: &str = "http://turns.test/store?key=planted";

fn telling(edition: Edition, url: &str) -> Harness {
    Harness::with_script(TALK).edition(edition).settings(|settings| settings.set("STATUS_CALLBACK_URL", url)).start()
}

async fn call(harness: &Harness) -> String {
    let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(1_500))];
    let call = harness.call(steps).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    call.call_sid
}

/// The form of a request, and what the agent says in it.
fn read(posted: &Posted) -> (Vec<(String, String)>, Value) {
    let form = pairs(&posted.body);
    let data = form.iter().find(|(name, _)| name == "VirtualAgentProviderData").unwrap();
    let data = serde_json::from_str(&data.1).unwrap();
    (form, data)
}

each_edition!(each_turn_is_posted_as_twilios_connector_posts_it_and_signed_as_twilio_signs, ANY);
async fn each_turn_is_posted_as_twilios_connector_posts_it_and_signed_as_twilio_signs(edition: Edition) {
    let harness = telling(edition, URL);
    let collector = Collector::start(&harness.pipes, "turns.test:80");
    let call_sid = call(&harness).await;
    let posted = collector.posted();
    assert_eq!(posted.len(), 2, "{posted:?}");
    let said: Vec<Value> = posted
        .iter()
        .map(|posted| {
            assert_eq!(posted.path, "/store?key=planted");
            assert_eq!(posted.headers["content-type"], "application/x-www-form-urlencoded");
            let (form, data) = read(posted);
            let signature = sign(harness.twilio.account().auth_token.as_deref().unwrap(), URL, &form);
            assert_eq!(posted.headers["x-twilio-signature"], signature.as_str());
            let value = |name: &str| form.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            assert_eq!(value("CallSid"), Some(call_sid.as_str()));
            assert_eq!(value("AccountSid"), Some(harness.twilio.account().sid.as_str()));
            assert!(value("Timestamp").is_some_and(|time| time.ends_with('Z')), "{form:?}");
            let provider = value("VirtualAgentProvider").unwrap();
            assert_eq!(provider == "DialogflowCX", edition == Edition::Cx, "{provider}");
            assert_eq!((&data["ConversationId"], &data["LanguageCode"]), (&json!(call_sid), &json!("en-US")));
            json!([data["ResolvedInput"], data["ReplyText"]])
        })
        .collect();
    assert_eq!(said, [json!(["", "Hello!"]), json!(["two loaves", "Two loaves."])]);
    let (_, last) = read(&posted[1]);
    if edition == Edition::Cx {
        assert_eq!((&last["IntentDisplayName"], &last["Parameters"]["loaves"]), (&json!("order.bread"), &json!(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn partial_responses_are_one_turn() {
    let script = "[start]\nfirst = [{ say = \"One moment.\", tone = { hz = 400, ms = 300 }, think_ms = 300 }]\nsay = \"Hello!\"\n\
                  tone = { hz = 500, ms = 300 }";
    let harness = Harness::with_script(script).settings(|settings| settings.set("STATUS_CALLBACK_URL", URL)).start();
    let collector = Collector::start(&harness.pipes, "turns.test:80");
    call(&harness).await;
    let replies: Vec<Value> = collector.posted().iter().map(|posted| read(posted).1["ReplyText"].clone()).collect();
    assert_eq!(replies.first(), Some(&json!("One moment. Hello!")), "{replies:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_costs_no_call_anything_and_nothing_is_said_of_it_aloud() {
    let harness = telling(Edition::Cx, URL);
    let collector = Collector::start(&harness.pipes, "turns.test:80");
    collector.always(Reaction::Status(403));
    let log = Log::start();
    call(&harness).await;
    let lines = log.text();
    drop(log);
    assert!(lines.contains("status callbacks"), "{lines}");
    let mut loud = lines.lines().filter(|line| !line.contains("\"DEBUG\""));
    assert!(!lines.contains("planted") && loud.all(|line| !line.contains("loaves")), "{lines}");
    let metrics = harness.service.metrics_text();
    assert!(metrics.lines().any(|line| line.starts_with("dialbridge_events_total{result=\"lost\"} 2")), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_holds_up_no_other() {
    let harness = telling(Edition::Cx, URL);
    let collector = Collector::start(&harness.pipes, "turns.test:80");
    collector.react([Reaction::Hangs]);
    call(&harness).await;
    let replies: Vec<Value> = collector.posted().iter().map(|posted| read(posted).1["ReplyText"].clone()).collect();
    assert_eq!(replies, ["Hello!", "Two loaves.", "Hello!"], "the second turn before the first one is tried again");
}
