//! The facts that Twilio tells of a call: which ones the agent is told, and which ones leave with the call.

use dialbridge_core::agent::{AgentEnd, Answer};
use dialbridge_core::call_facts::CallParameter;
use dialbridge_core::parameters::NameCase;
use dialbridge_core::{AgentEvent, CallConfig};
use serde_json::{Value, json};

use crate::test_call::{CALL_SID, TestCall, answer, answered, starting_text, with};

/// A call with these `<Parameter>`s.
fn started(config: CallConfig, custom: &Value) -> TestCall {
    let mut test = TestCall::open(config);
    let start = json!({ "event": "start", "streamSid": "MZ1", "start": {
        "callSid": CALL_SID, "accountSid": "AC1", "customParameters": custom } });
    test.twilio(&start.to_string()).unwrap();
    test
}

fn told(chosen: &[(&str, &str)]) -> CallConfig {
    with(starting_text(), |config| {
        let parameter =
            |(fact, name): &(&str, &str)| CallParameter { fact: (*fact).to_owned(), name: (*name).to_owned() };
        config.call_parameters = chosen.iter().map(parameter).collect();
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    })
}

/// The URL of a hand-off whose agent returns these parameters and asks for a live agent.
fn handed_off(mut test: TestCall, parameters: &Value, metadata: &Value) -> String {
    let end = Some(AgentEnd::LiveAgentHandoff { metadata: metadata.clone() });
    let parameters = parameters.as_object().cloned().unwrap();
    test.agent(1, AgentEvent::Answer(Box::new(Answer { end, parameters, ..answer(100) })));
    test.agent(1, AgentEvent::Ended);
    test.wait(1_000);
    let (_, twiml) = test.update().unwrap();
    percent_encoding::percent_decode_str(&twiml).decode_utf8().unwrap().into_owned()
}

#[test]
fn a_parameter_of_the_voice_url_takes_the_place_of_a_fact_of_the_same_name() {
    let custom = json!({ "from": "+15550100", "to": "+15550199", "param.from": "Paris", "param.Shop": "north" });
    let start = started(told(&[("From", "From"), ("To", "To")]), &custom).start_of(1);
    assert_eq!(Value::Object(start.parameters), json!({ "from": "Paris", "To": "+15550199", "Shop": "north" }));
    let exact = with(told(&[("From", "From")]), |config| config.parameter_names = NameCase::Exact);
    let start = started(exact, &custom).start_of(1);
    assert_eq!(Value::Object(start.parameters), json!({ "From": "+15550100", "Shop": "north", "from": "Paris" }));
}

#[test]
fn the_settings_name_what_the_agent_is_told() {
    let custom = json!({ "from": "+15550100", "to": "+15550199", "call.StirVerstat": "TN-Validation-Passed-A" });
    let config = told(&[("From", "ani"), ("StirVerstat", "trust"), ("AccountSid", "account"), ("CallerName", "name")]);
    let start = started(config, &custom).start_of(1);
    let expected = json!({ "ani": "+15550100", "trust": "TN-Validation-Passed-A", "account": "AC1" });
    assert_eq!(Value::Object(start.parameters), expected, "a fact that Twilio does not say is left out");
    assert_eq!(start.payload["telephony"]["caller_id"], "+15550100");
    let silent = started(told(&[]), &custom).start_of(1);
    assert!(silent.parameters.is_empty() && silent.payload.is_empty(), "{silent:?}");
}

#[test]
fn the_caller_of_a_call_that_we_placed_is_who_was_called() {
    let custom = json!({ "from": "+15550199", "to": "+15550100", "call.Direction": "outbound-api" });
    let start = started(starting_text(), &custom).start_of(1);
    assert_eq!(start.payload["telephony"]["caller_id"], "+15550100");
    assert_eq!((&start.parameters["From"], &start.parameters["To"]), (&"+15550199".into(), &"+15550100".into()));
}

#[test]
fn no_number_of_the_call_leaves_in_the_hand_offs_url_in_whatever_case_the_agent_returns_it() {
    let custom = json!({ "from": "+15550100", "to": "+15550199" });
    let config = told(&[("From", "From"), ("To", "Line"), ("CallSid", "CallSid")]);
    let returned = json!({ "from": "+15550100", "LINE": "+15550199", "callsid": CALL_SID, "copy": "+1 (555) 0100",
        "to": "+15550177", "shop": "north" });
    let url = handed_off(started(config, &custom), &returned, &json!({ "reach": "+15550100", "department": "bread" }));
    assert!(!url.contains("5550"), "{url}");
    assert!(url.contains(r#""parameters":{"shop":"north"}"#), "{url}");
    assert!(url.contains(r#""AgentHandoffParameters":{"department":"bread"}"#), "{url}");
    assert!(url.contains(r#""ConversationId":"CA"#), "the CallSid is the conversation's id: {url}");
}

#[test]
fn a_number_of_the_call_in_a_text_a_name_or_the_callers_words_is_masked_in_the_url() {
    let mut test = started(told(&[("From", "From")]), &json!({ "from": "+15550100", "to": "+15550199" }));
    let words = "my number is 555 0100".to_owned();
    test.agent(1, answered(100));
    test.hush(300);
    test.speak(300);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    let end = Some(AgentEnd::LiveAgentHandoff { metadata: json!({ "note": "Caller +1 555 0100 wants 2" }) });
    let parameters = json!({ "+15550100": "x", "shop": "north" }).as_object().cloned().unwrap();
    test.agent(2, AgentEvent::Answer(Box::new(Answer { end, parameters, query_text: words, ..answer(100) })));
    test.agent(2, AgentEvent::Ended);
    test.wait(1_000);
    let url = percent_encoding::percent_decode_str(&test.update().unwrap().1).decode_utf8().unwrap().into_owned();
    assert!(!url.contains("0100"), "{url}");
    assert!(url.contains(r#""queryText":"my number is …""#) && url.contains("Caller … wants 2"), "{url}");
    assert!(url.contains(r#""parameters":{"shop":"north"}"#), "{url}");
}

#[test]
fn a_form_that_asks_for_from_and_to_is_handed_off_as_it_was_filled_in() {
    let url = handed_off(
        started(told(&[]), &json!({ "from": "+15550100" })),
        &json!({ "from": "Paris", "to": "Rome" }),
        &json!({}),
    );
    assert!(url.contains(r#""parameters":{"from":"Paris","to":"Rome"}"#), "{url}");
}

#[test]
fn what_the_caller_heard_of_a_prompt_takes_the_place_of_a_parameter_in_another_case() {
    let config = with(starting_text(), |config| config.barge_in.heard_parameter = Some("heard".to_owned()));
    let mut test = started(config, &json!({ "param.Heard": "nothing" }));
    test.agent(1, answered(3_000));
    test.speak(500);
    test.agent(2, crate::test_call::interim("no no"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(500));
    let start = test.start_of(3);
    let names: Vec<_> = start.known_parameters.keys().filter(|name| name.eq_ignore_ascii_case("heard")).collect();
    assert_eq!(names, ["heard"], "{start:?}");
}
