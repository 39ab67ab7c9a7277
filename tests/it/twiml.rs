//! The TwiML that a call gets when the agent's part is over, word for word, in `golden/twiml/`. Secrets and values that
//! differ in each call are replaced.

use dialbridge_lab::twilio::{CallPlan, OtherSide, When};
use dialbridge_tests::{Edition, Harness, HarnessBuilder, numbered_speech, say};

use crate::golden::{expect, folder, stems};

/// An agent that gives that answer to the first utterance.
fn answering(answer: &str) -> HarnessBuilder {
    Harness::with_script(&format!(
        r#"
        no_speech_ms = 2000
        [start]
        tone = {{ hz = 400, ms = 300 }}
        [[utterance]]
        heard = "a cake & two loaves <of rye>"
        say = "good bye"
        intent = "order.done"
        action = "finish"
        parameters = {{ loaves = 2, cake = "Sacher & Co", note = "ü" }}
        tone = {{ hz = 600, ms = 300 }}
        {answer}
        [no_input]
        tone = {{ hz = 400, ms = 300 }}
        "#
    ))
}

struct Case {
    name: &'static str,
    harness: HarnessBuilder,
    /// The index of the document in the call.
    document: usize,
}

fn case(name: &'static str, harness: HarnessBuilder) -> Case {
    Case { name, harness, document: 1 }
}

fn ended() -> HarnessBuilder {
    answering("end = true")
}

fn failing() -> HarnessBuilder {
    answering("fault = \"PERMISSION_DENIED\"")
}

fn transfer() -> HarnessBuilder {
    answering("payload = { dialbridge = { transfer = { to = \"+15550123\" } } }")
}

fn cases() -> Vec<Case> {
    let handoff = "handoff = { department = \"cakes\", urgent = true }";
    let bounded = |change: fn(&mut dialbridge_core::config::CallLimits)| {
        answering("").each_call(move |call| {
            change(&mut call.limits);
            call.words.goodbye = Some("Thank you & good bye.".to_owned());
        })
    };
    let no_url = |harness: HarnessBuilder| harness.settings(|settings| settings.set("END_OF_INTERACTION_URL", ""));
    vec![
        case("completed_cx", ended()),
        case("completed_es", ended().edition(Edition::EsV2)),
        case("completed_some_fields", ended().settings(|s| s.set("HANDOFF_FIELDS", "intent,session"))),
        case("completed_without_url", no_url(ended())),
        case("live_agent_handoff_cx", answering(handoff)),
        case("live_agent_handoff_es", answering(handoff).edition(Edition::EsV2)),
        case("payload_handoff", answering("payload = { dialbridge = { handoff = { department = \"cakes\" } } }")),
        case("payload_end", answering("payload = { dialbridge = { end = true } }")),
        case("transfer_number", transfer()),
        case(
            "transfer_sip",
            answering(
                "payload = { dialbridge = { transfer = { to = \"sip:desk@example.com\", callerId = \"+15550177\", timeout = 12 } } }",
            ),
        ),
        case("transfer_message_cx", answering("transfer = \"+15550123\"")),
        case("transfer_message_es", answering("transfer = \"+15550123\"").edition(Edition::EsV2Beta1)),
        Case { document: 2, ..case("transfer_completed", transfer()) },
        Case { document: 2, ..case("transfer_busy", transfer()) },
        case(
            "enqueue_workflow",
            answering(
                "payload = { dialbridge = { enqueue = { workflowSid = \"WW0123\", attributes = { skill = \"cakes & pies\" } } } }",
            ),
        ),
        case("enqueue_queue", answering("payload = { dialbridge = { enqueue = { queue = \"support\" } } }")),
        case("pause", answering("payload = { dialbridge = { pause = { amount = 12, currency = \"EUR\" } } }")),
        case("limit_call", bounded(|bounds| bounds.call_ms = 2_500)),
        case("limit_silence", bounded(|bounds| bounds.silence_ms = 2_000)),
        case("limit_no_input_turns", bounded(|bounds| bounds.no_input_turns = 1)),
        case("limit_failed_turns", {
            answering("fault = \"UNAVAILABLE\"").each_call(|call| {
                call.limits.failed_turns = 1;
                call.words.goodbye = Some("Thank you & good bye.".to_owned());
            })
        }),
        case("agent_failed", failing()),
        case("agent_failed_without_url", no_url(failing())),
        case(
            "agent_failed_fallback",
            failing().settings(|s| s.set("FALLBACK_TWIML", "<Response><Say>Later.</Say></Response>")),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_hand_off_is_as_it_should_be() {
    for Case { name, harness, document } in cases() {
        let harness = harness.start();
        let others = vec![if name == "transfer_busy" {
            OtherSide::Busy
        } else {
            OtherSide::Answers { rings_ms: 1_000, talks_ms: 3_000 }
        }];
        let steps = vec![say(When::AgentSilent(200), numbered_speech(0, 700))];
        let steps = if matches!(name, "limit_silence" | "limit_no_input_turns") { Vec::new() } else { steps };
        let call = harness.twilio.call(CallPlan { others, ..harness.plan(steps) }).await;
        let twiml = call.documents.get(document).unwrap_or_else(|| panic!("{name}: {:?}", call.events));
        let shown = shown(&twiml.replace(&call.call_sid, "CA00000000000000000000000000000001"));
        expect(&folder("golden/twiml").join(format!("{name}.xml")), shown.as_bytes());
    }
}

#[test]
fn a_document_without_a_case_is_left_over() {
    let names: Vec<&str> = cases().iter().map(|case| case.name).collect();
    for golden in stems(&folder("golden/twiml")) {
        assert!(names.contains(&golden.as_str()), "{golden}");
    }
}

/// A document without its ticket and its states, one verb on a line.
fn shown(twiml: &str) -> String {
    let without = replaced(&replaced(&replaced(twiml, "?s=", "STATE"), ";s=", "STATE"), "/media/", "TICKET");
    without.replace("><", ">\n<") + "\n"
}

/// Replaces everything between that text and the end of the attribute.
fn replaced(text: &str, after: &str, by: &str) -> String {
    let mut parts = text.split(after);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').unwrap();
        shown.push_str(&format!("{after}{by}\"{rest}"));
    }
    shown
}
