//! Where a call goes when the agent's session ends.

use dialbridge_lab::twilio::{CallEventKind, When};
use dialbridge_tests::{Edition, Harness, ended_by, numbered_speech, redirected, say, spoke};

use super::assert_well_served;

fn ending(how: &str) -> String {
    format!(
        "think_ms = 100\n[start]\ntone = {{ hz = 400, ms = 300 }}\n[[utterance]]\nsay = \"so long\"\n\
         tone = {{ hz = 500, ms = 900 }}\n{how}"
    )
}

each_edition!(each_kind_of_end_sends_the_call_where_it_belongs_when_the_last_words_were_heard, CES);
async fn each_kind_of_end_sends_the_call_where_it_belongs_when_the_last_words_were_heard(edition: Edition) {
    let kinds = [
        ("end = true", "VirtualAgentStatus=completed"),
        ("end_session = { reason = \"done\" }", "VirtualAgentStatus=completed"),
        ("handoff = { queue = \"cakes\" }", r#""liveAgentHandoff":{"queue":"cakes"}"#),
        (
            "end_session = { session_escalated = true, reason = \"angry\" }",
            r#""liveAgentHandoff":{"reason":"angry","session_escalated":true}"#,
        ),
        (
            "end_session = { session_escalated = \"True\", reason = \"angry\" }",
            r#""liveAgentHandoff":{"reason":"angry","session_escalated":"True"}"#,
        ),
        (
            "end_session = { session_escalated = 1, reason = \"angry\" }",
            r#""liveAgentHandoff":{"reason":"angry","session_escalated":1}"#,
        ),
        ("end_session = { session_escalated = \"no\", reason = \"done\" }", "VirtualAgentStatus=completed"),
        ("payload = { dialbridge = { end = \"yes\" } }", "VirtualAgentStatus=completed"),
        ("payload = { dialbridge = { handoff = { skill = \"rye\" } } }", r#""liveAgentHandoff":{"skill":"rye"}"#),
    ];
    for (how, told) in kinds {
        let harness = Harness::with_script(&ending(how)).edition(edition).start();
        let call = harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]).await;
        assert_eq!(spoke(&call), [(300, false), (900, false)], "{how}");
        let url = redirected(&call).unwrap_or_else(|| panic!("{how}: {:?}", call.events));
        assert!(url.contains(told), "{how}: {url}");
        let status = if told.contains("completed") { "completed" } else { "live-agent-handoff" };
        assert!(url.contains(&format!("VirtualAgentStatus={status}")), "{how}: {url}");
        assert_eq!(ended_by(&call), "twiml");
        assert_well_served(&harness.streams(&call));
    }
}

each_edition!(a_transfer_is_dialled, CES);
async fn a_transfer_is_dialled(edition: Edition) {
    for how in [
        "transfer = \"+15550123\"",
        "end_session = { session_escalated = true, params = { PHONE_GATEWAY_TRANSFER = { phoneNumber = \"+15550123\" } } }",
        "payload = { dialbridge = { transfer = { to = \"+15550123\" } } }",
    ] {
        let harness = Harness::with_script(&ending(how)).edition(edition).start();
        let call = harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]).await;
        let to = call.find(|what| if let CallEventKind::Dialled { to, .. } = what { Some(to.clone()) } else { None });
        assert_eq!(to.as_deref(), Some("+15550123"), "{how}");
        assert_eq!(spoke(&call)[1], (900, false), "the last words first");
    }
}

each_edition!(a_call_is_queued_where_a_payload_asks_for_it, CES);
async fn a_call_is_queued_where_a_payload_asks_for_it(edition: Edition) {
    let how = "payload = { dialbridge = { enqueue = { queue = \"support\" } } }";
    let harness = Harness::with_script(&ending(how)).edition(edition).start();
    let call = harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]).await;
    let queue = call.find(|what| if let CallEventKind::Enqueued { queue, .. } = what { queue.clone() } else { None });
    assert_eq!(queue.as_deref(), Some("support"));
}
