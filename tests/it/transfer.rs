//! Calls that are transferred, queued, paused and resumed.

use dialbridge_core::report::CloseReason;
use dialbridge_lab::twilio::{CallEventKind, CallPlan, CallRecord, OtherSide, Queue, When};
use dialbridge_tests::{
    Edition, Harness, HarnessBuilder, SERVICE_URL, all_at, close_reasons, ended_by, first_at, hang_up, numbered_speech,
    redirected, say, signed_post, spoke,
};

/// An agent that transfers the call after the first utterance, and has an answer to a failed transfer.
fn transferring(order: &str) -> String {
    format!(
        r#"
        think_ms = 100
        [start]
        event = "WELCOME"
        tone = {{ hz = 400, ms = 500 }}
        [[utterance]]
        say = "I will put you through"
        tone = {{ hz = 600, ms = 1300 }}
        {order}
        [[utterance]]
        say = "what else?"
        tone = {{ hz = 900, ms = 400 }}
        [event.TRANSFER_FAILED]
        say = "nobody is there"
        tone = {{ hz = 900, ms = 700 }}
        "#
    )
}

const TO_NUMBER: &str = r#"payload = { dialbridge = { transfer = { to = "+15550123" } } }"#;
const TO_SIP: &str = r#"payload = { dialbridge = { transfer = { to = "sip:desk@example.com", callerId = "+15550177", timeout = 12 } } }"#;

fn harness(edition: Edition, order: &str) -> HarnessBuilder {
    with_script(edition, &transferring(order))
}

fn with_script(edition: Edition, script: &str) -> HarnessBuilder {
    Harness::with_script(script)
        .edition(edition)
        .settings(|settings| settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "WELCOME"))
        .config(|config| config.default_agent_mut().dial_failed_event = Some("TRANSFER_FAILED".to_owned()))
}

/// The caller says one thing, and another when the call comes back to the agent.
fn plan(harness: &Harness, others: &[OtherSide]) -> CallPlan {
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::AgentSilent(300), numbered_speech(35, 700)),
        hang_up(When::AgentSilent(1_500)),
    ];
    CallPlan { others: others.to_vec(), ..harness.plan(steps) }
}

async fn call(harness: &Harness, others: &[OtherSide]) -> CallRecord {
    harness.twilio.call(plan(harness, others)).await
}

fn dialled(call: &CallRecord) -> Vec<(String, Option<String>)> {
    let dialled = |what: &CallEventKind| match what {
        CallEventKind::Dialled { to, caller_id } => Some((to.clone(), caller_id.clone())),
        _ => None,
    };
    call.events.iter().filter_map(|event| dialled(&event.kind)).collect()
}

fn dial_statuses(call: &CallRecord) -> Vec<String> {
    let status = |what: &CallEventKind| match what {
        CallEventKind::DialEnded { status, .. } => Some(status.clone()),
        _ => None,
    };
    call.events.iter().filter_map(|event| status(&event.kind)).collect()
}

const ANSWERS: OtherSide = OtherSide::Answers { rings_ms: 2_000, talks_ms: 9_000 };

each_edition!(a_number_is_dialled_when_the_last_words_were_heard_and_the_call_ends_with_the_conversation, ANY);
async fn a_number_is_dialled_when_the_last_words_were_heard_and_the_call_ends_with_the_conversation(edition: Edition) {
    // An agent with a message for it uses that. v2 uses the payload.
    let orders: &[&str] =
        if edition == Edition::EsV2 { &[TO_NUMBER] } else { &[TO_NUMBER, "transfer = \"+15550123\""] };
    for order in orders {
        let mut harness = harness(edition, order).start();
        let call = call(&harness, &[ANSWERS]).await;
        assert_eq!(dialled(&call), [("+15550123".to_owned(), None)], "{order}");
        assert_eq!(spoke(&call).last(), Some(&(1_300, false)), "the last words are heard");
        let (heard, updated) = (
            *all_at(&call, |what| matches!(what, CallEventKind::AgentSpoke { .. })).last().unwrap(),
            first_at(&call, |what| matches!(what, CallEventKind::Updated)),
        );
        assert!(heard <= updated);
        assert_eq!((dial_statuses(&call), ended_by(&call)), (vec!["completed".to_owned()], "twiml".to_owned()));
        assert_eq!(close_reasons(&harness.reports()), [CloseReason::Stop], "one stream, and no other after it");
    }
}

each_edition!(a_sip_address_is_dialled_as_the_payload_says, ANY);
async fn a_sip_address_is_dialled_as_the_payload_says(edition: Edition) {
    let harness = harness(edition, TO_SIP).start();
    let call = call(&harness, &[OtherSide::NoAnswer]).await;
    assert_eq!(dialled(&call)[0], ("sip:desk@example.com".to_owned(), Some("+15550177".to_owned())));
    let rang = first_at(&call, |what| matches!(what, CallEventKind::DialEnded { .. }))
        - first_at(&call, |what| matches!(what, CallEventKind::Dialled { .. }));
    assert!((12_000..12_100).contains(&rang), "{rang}");
}

each_edition!(where_nobody_answers_the_agent_gets_the_call_back_in_the_same_session_and_is_told_why, ANY);
async fn where_nobody_answers_the_agent_gets_the_call_back_in_the_same_session_and_is_told_why(edition: Edition) {
    for (other, status) in
        [(OtherSide::Busy, "busy"), (OtherSide::NoAnswer, "no-answer"), (OtherSide::Failed, "failed")]
    {
        let mut harness = harness(edition, TO_NUMBER).start();
        let call = call(&harness, &[other]).await;
        assert_eq!(dial_statuses(&call), [status]);
        assert_eq!(harness.inputs(&call), ["WELCOME", "TRANSFER_FAILED"], "it does not greet again");
        assert_eq!(harness.parameter(&call, "DialCallStatus")[0], status);
        assert!(harness.parameter(&call, "CallSid").iter().all(|told| *told == call.call_sid.as_str()));
        // The agent's answer to the event, and then to the caller's next utterance.
        assert_eq!(spoke(&call)[2..4], [(700, false), (400, false)], "{status}: {:?}", spoke(&call));
        assert_eq!(ended_by(&call), "caller");
        assert_eq!(harness.agent.record().overlaps(), 0);
        assert_eq!(close_reasons(&harness.reports()), [CloseReason::Stop, CloseReason::Stop]);
    }
}

each_edition!(without_an_event_for_it_the_agent_listens_after_a_transfer_that_failed, ANY);
async fn without_an_event_for_it_the_agent_listens_after_a_transfer_that_failed(edition: Edition) {
    let harness =
        harness(edition, TO_NUMBER).config(|config| config.default_agent_mut().dial_failed_event = None).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::After(8_000), numbered_speech(35, 700)),
        hang_up(When::AgentSilent(500)),
    ];
    let call = harness.twilio.call(CallPlan { others: vec![OtherSide::Busy], ..harness.plan(steps) }).await;
    assert_eq!(harness.inputs(&call), ["WELCOME"]);
    assert_eq!(spoke(&call).last(), Some(&(400, false)), "{:?}", spoke(&call));
}

/// An agent that transfers the call twice.
fn transferring_twice() -> String {
    transferring(TO_NUMBER).replace(
        "say = \"what else?\"",
        "say = \"another one\"\npayload = { dialbridge = { transfer = { to = \"+15550124\" } } }",
    )
}

each_edition!(a_call_that_nobody_answered_brings_its_voice_urls_parameters_back_to_any_instance, ANY);
async fn a_call_that_nobody_answered_brings_its_voice_urls_parameters_back_to_any_instance(edition: Edition) {
    let start = || with_script(edition, &transferring_twice()).start();
    let (harness, another) = (start(), start());
    let mut plan = plan(&harness, &[OtherSide::Busy, OtherSide::NoAnswer]);
    plan.voice_url += "?param.shop=north%20side%26";
    let call = harness.twilio.call(plan).await;
    assert_eq!(dial_statuses(&call), ["busy", "no-answer"]);
    let (shops, sids) = (harness.parameter(&call, "shop"), harness.parameter(&call, "CallSid"));
    assert!(shops.len() >= 3 && shops.len() == sids.len(), "{shops:?}");
    assert!(shops.iter().all(|shop| shop == "north side&"), "{shops:?}");
    assert_eq!(harness.parameter(&call, "DialCallStatus").last(), Some(&"no-answer".into()));

    let dial = call.documents.iter().rfind(|document| document.contains("<Dial ")).unwrap();
    let action = dial.split('"').find(|text| text.contains("/dial-ended?")).unwrap().replace("&amp;", "&");
    let form = [("CallSid", call.call_sid.as_str()), ("CallStatus", "in-progress"), ("DialCallStatus", "failed")];
    let back = signed_post(&another.pipes, action.strip_prefix(SERVICE_URL).unwrap(), &form).await.body;
    assert!(back.contains(r#"<Parameter name="param.shop" value="north side&amp;">"#), "{back}");
    assert_eq!(back.matches(r#"<Parameter name="param.DialCallStatus""#).count(), 1, "{back}");
    assert!(back.contains(r#"<Parameter name="param.DialCallStatus" value="failed">"#), "{back}");
}

each_edition!(a_call_may_be_put_through_a_second_time, ANY);
async fn a_call_may_be_put_through_a_second_time(edition: Edition) {
    let harness = with_script(edition, &transferring_twice()).start();
    let call = call(&harness, &[OtherSide::Busy, ANSWERS]).await;
    let numbers: Vec<String> = dialled(&call).into_iter().map(|(to, _)| to).collect();
    assert_eq!(numbers, ["+15550123", "+15550124"]);
    assert_eq!(dial_statuses(&call), ["busy", "completed"]);
    assert_eq!(ended_by(&call), "twiml");
}

each_edition!(a_call_is_queued_for_a_workflow_or_by_a_name, ANY);
async fn a_call_is_queued_for_a_workflow_or_by_a_name(edition: Edition) {
    let workflow = r#"payload = { dialbridge = { enqueue = { workflowSid = "WW0123", attributes = { skill = "cakes", loaves = 2 } } } }"#;
    let queue = r#"payload = { dialbridge = { enqueue = { queue = "support" } } }"#;
    for (order, workflow_sid, name, attributes) in
        [(workflow, Some("WW0123"), None, r#"{"loaves":2,"skill":"cakes"}"#), (queue, None, Some("support"), "")]
    {
        let harness = harness(edition, order).start();
        let call = call(&harness, &[]).await;
        let queued = call.find(|what| match what {
            CallEventKind::Enqueued { workflow_sid, queue, attributes } => {
                Some((workflow_sid.clone(), queue.clone(), attributes.clone()))
            }
            _ => None,
        });
        let expected = (workflow_sid.map(str::to_owned), name.map(str::to_owned), attributes.to_owned());
        assert_eq!(queued, Some(expected));
        assert_eq!(spoke(&call).last(), Some(&(1_300, false)), "the last words are heard");
        assert_eq!(ended_by(&call), "the queue");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_the_queue_has_nothing_left_to_do() {
    let order = r#"payload = { dialbridge = { enqueue = { queue = "support" } } }"#;
    let harness = harness(Edition::Cx, order).start();
    let steps = vec![say(When::AgentSilent(300), numbered_speech(0, 700))];
    let call = harness.twilio.call(CallPlan { queue: Queue::Leaves(20_000), ..harness.plan(steps) }).await;
    assert_eq!(ended_by(&call), "nothing left to do");
}

each_edition!(a_paused_call_does_something_else_and_comes_back_to_the_same_session, ANY);
async fn a_paused_call_does_something_else_and_comes_back_to_the_same_session(edition: Edition) {
    let script = r#"
        think_ms = 100
        [start]
        event = "WELCOME"
        tone = { hz = 400, ms = 500 }
        [[utterance]]
        say = "please pay now"
        tone = { hz = 600, ms = 800 }
        payload = { dialbridge = { pause = { amount = 12 } } }
        [[utterance]]
        say = "anything else?"
        tone = { hz = 900, ms = 400 }
        [event.PAID]
        say = "thank you for paying"
        tone = { hz = 900, ms = 700 }
    "#;
    for event in ["&amp;event=PAID", ""] {
        let harness = with_script(edition, script).start();
        harness.twilio.answer_hand_off(format!(
            "<Response><Say>Your card, please.</Say><Pause length=\"5\"/>\
             <Redirect>{SERVICE_URL}/twiml?resume=1{event}</Redirect></Response>"
        ));
        let steps = vec![
            say(When::AgentSilent(300), numbered_speech(0, 700)),
            say(When::After(15_000), numbered_speech(35, 700)),
            hang_up(When::AgentSilent(500)),
        ];
        let call = harness.call(steps).await;
        let url = redirected(&call).unwrap();
        assert!(url.contains("VirtualAgentStatus=paused"), "{url}");
        assert!(url.contains("\"PauseParameters\":{\"amount\":12"), "{url}");
        let expected: &[&str] = if event.is_empty() { &["WELCOME"] } else { &["WELCOME", "PAID"] };
        assert_eq!(harness.inputs(&call), expected);
        let answers = if event.is_empty() { vec![(400, false)] } else { vec![(700, false), (400, false)] };
        assert_eq!(spoke(&call)[2..], answers, "{event}: the session goes on where it was");
        assert_eq!(ended_by(&call), "caller");
        assert_eq!(harness.agent.record().overlaps(), 0);
    }
}

each_edition!(from_the_ending_message_on_there_is_no_listening_and_no_interruption, ANY);
async fn from_the_ending_message_on_there_is_no_listening_and_no_interruption(edition: Edition) {
    let mut harness = harness(edition, TO_NUMBER).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::AgentSpeaking(300), numbered_speech(35, 800)),
    ];
    let call = harness.twilio.call(CallPlan { others: vec![ANSWERS], ..harness.plan(steps) }).await;
    assert_eq!(spoke(&call).last(), Some(&(1_300, false)));
    let account = harness.account();
    assert!(account.after_end >= 60 * 160, "what is said into the goodbye is counted: {account:?}");
    assert_eq!(account.received, account.written + account.after_end);
}
