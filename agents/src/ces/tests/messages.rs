//! CES's messages as protobuf and as JSON: both must mean the same.

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Prompt, ToolCall, Transcript, Transfer};
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Value, json};

use ces::bidi_session_server_message::MessageType;
use ces::chunk::Data;
use ces::session_output::{DiagnosticInfo, OutputType};
use ces::tool_call::ToolIdentifier;

use super::object;
use crate::ces::convert::{Message, event};
use crate::ces::json::{FromWebSocket, read};
use crate::protobuf::to_struct;

const OUTPUT: AudioFormat = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 };

/// The meaning of the message in both forms.
fn meaning(message: MessageType, json: &str) -> Option<AgentEvent> {
    let of_json = meaning_of_json(json);
    // The gRPC form: encoded and decoded.
    let bytes = prost::Message::encode_to_vec(&Message { message_type: Some(message) });
    let of_protobuf = event(prost::Message::decode(&bytes[..]).unwrap(), OUTPUT);
    assert_eq!(of_json, of_protobuf, "{json}");
    of_json
}

fn meaning_of_json(json: &str) -> Option<AgentEvent> {
    let mut events = events_of_json(json);
    assert!(events.len() < 2, "{json}");
    events.pop()
}

fn events_of_json(json: &str) -> Vec<AgentEvent> {
    match read(json.as_bytes()) {
        Ok(FromWebSocket::Messages(messages)) => {
            messages.into_iter().filter_map(|message| event(message, OUTPUT)).collect()
        }
        Ok(FromWebSocket::Error(error)) => panic!("{error:?}"),
        Err(error) => panic!("{error}: {json}"),
    }
}

fn output(output_type: Option<OutputType>) -> MessageType {
    MessageType::SessionOutput(ces::SessionOutput { turn_index: 3, output_type, ..Default::default() })
}

fn end(metadata: Option<Value>) -> ces::EndSession {
    ces::EndSession { metadata: metadata.map(|metadata| to_struct(&object(metadata))) }
}

fn answered(answer: Answer) -> Option<AgentEvent> {
    Some(AgentEvent::Answer(Box::new(answer)))
}

#[test]
fn a_transcript_is_of_the_whole_turn_so_far() {
    let result =
        |transcript: &str| MessageType::RecognitionResult(ces::RecognitionResult { transcript: transcript.to_owned() });
    assert_eq!(
        meaning(result("two loaves"), r#"{"recognitionResult":{"transcript":"two loaves"}}"#),
        Some(AgentEvent::Transcript(Transcript { text: "two loaves".to_owned(), ..Transcript::default() }))
    );
    assert_eq!(meaning(result(""), r#"{"recognitionResult":{}}"#), None);
}

#[test]
fn an_empty_piece_of_audio_says_nothing() {
    assert_eq!(
        meaning(output(Some(OutputType::Audio(Bytes::new()))), r#"{"sessionOutput":{"turnIndex":3,"audio":""}}"#),
        None
    );
    let last = Answer { part: AnswerPart::Final, ..Answer::default() };
    assert_eq!(meaning_of_json(r#"{"sessionOutput":{"audio":"","turnCompleted":true}}"#), answered(last));
}

#[test]
fn metadata_may_be_nested_a_hundred_deep_and_what_is_deeper_is_refused() {
    let ends =
        |deep: usize| format!(r#"{{"endSession":{{"metadata":{}1{}}}}}"#, r#"{"a":"#.repeat(deep), "}".repeat(deep));
    let Some(AgentEvent::Answer(answer)) = meaning_of_json(&ends(100)) else { panic!() };
    assert!(answer.end.is_some());
    assert!(read(ends(10_000).as_bytes()).is_err());
}

#[test]
fn words_and_audio_of_an_answer_come_apart() {
    let text = output(Some(OutputType::Text("Good morning.".to_owned())));
    let words = Answer { text: "Good morning.".to_owned(), ..Answer::default() };
    assert_eq!(meaning(text, r#"{"sessionOutput":{"turnIndex":3,"text":"Good morning."}}"#), answered(words));

    let audio = output(Some(OutputType::Audio(Bytes::from_static(&[0xFB, 0xFF, 0xFE, 0]))));
    let heard = Answer { prompts: vec![Prompt::new(OUTPUT, vec![0xFB, 0xFF, 0xFE, 0])], ..Answer::default() };
    for base64 in ["+//+AA==", "-__-AA==", "-__-AA"] {
        let json = format!(r#"{{"sessionOutput":{{"turnIndex":3,"audio":"{base64}"}}}}"#);
        assert_eq!(meaning(audio.clone(), &json), answered(heard.clone()), "{base64}");
    }
}

#[test]
fn words_audio_and_the_end_may_come_in_one_output() {
    let json = r#"{"recognitionResult":{"transcript":"bye"},"sessionOutput":{"text":"Bye.","audio":"+//+AA==",
        "payload":{"a":1},"endSession":{"metadata":{"reason":"done"}},"turnCompleted":true}}"#;
    let of = |answer: Answer| AgentEvent::Answer(Box::new(answer));
    let expected = [
        AgentEvent::Transcript(Transcript { text: "bye".to_owned(), ..Transcript::default() }),
        of(Answer { text: "Bye.".to_owned(), ..Answer::default() }),
        of(Answer { payloads: vec![json!({ "a": 1 })], ..Answer::default() }),
        of(Answer { prompts: vec![Prompt::new(OUTPUT, vec![0xFB, 0xFF, 0xFE, 0])], ..Answer::default() }),
        of(Answer { end: Some(AgentEnd::EndInteraction), part: AnswerPart::Final, ..Answer::default() }),
    ];
    assert_eq!(events_of_json(json), expected);
}

#[test]
fn a_message_of_flags_alone_says_that_the_turn_is_over_or_nothing() {
    let flags = |turn_completed| {
        MessageType::SessionOutput(ces::SessionOutput { turn_index: 2, turn_completed, ..Default::default() })
    };
    let over = Answer { part: AnswerPart::Final, ..Answer::default() };
    assert_eq!(
        meaning(flags(true), r#"{"sessionOutput":{"turnIndex":2,"turnCompleted":true}}"#),
        answered(over.clone())
    );
    assert_eq!(meaning(flags(false), r#"{"sessionOutput":{"turnIndex":2}}"#), None);
    let last_words = MessageType::SessionOutput(ces::SessionOutput {
        turn_completed: true,
        output_type: Some(OutputType::Text("Bye.".to_owned())),
        ..Default::default()
    });
    assert_eq!(
        meaning(last_words, r#"{"sessionOutput":{"text":"Bye.","turnCompleted":true}}"#),
        answered(Answer { text: "Bye.".to_owned(), ..over })
    );
}

#[test]
fn variables_that_the_agent_has_set_stand_in_the_diagnostics_of_its_last_message() {
    let chunk = |data| ces::Chunk { data: Some(data) };
    let set = |value: Value| chunk(Data::UpdatedVariables(to_struct(&object(value))));
    let message = |chunks| ces::Message { chunks, ..Default::default() };
    let messages = vec![
        message(vec![chunk(Data::Transcript("two loaves".to_owned())), set(json!({ "loaves": 1, "kind": "rye" }))]),
        message(vec![set(json!({ "loaves": 2, "deep": { "list": [1.5, null, "x"] } }))]),
    ];
    let completed = MessageType::SessionOutput(ces::SessionOutput {
        turn_completed: true,
        diagnostic_info: Some(DiagnosticInfo { messages, root_span: None }),
        ..Default::default()
    });
    let json = r#"{"sessionOutput":{"turnCompleted":true,"diagnosticInfo":{"rootSpan":{"name":"x","duration":"1.5s"},
        "messages":[{"role":"user","chunks":[{"transcript":"two loaves"},
        {"updatedVariables":{"loaves":1,"kind":"rye"}}],"eventTime":"2026-01-01T00:00:00Z"},
        {"role":"agent","chunks":[{"updatedVariables":{"loaves":2,"deep":{"list":[1.5,null,"x"]}}}]}]}}}"#;
    let parameters = object(json!({ "loaves": 2, "kind": "rye", "deep": { "list": [1.5, null, "x"] } }));
    let expected = Answer { part: AnswerPart::Final, parameters, ..Answer::default() };
    assert_eq!(meaning(completed, json), answered(expected));
}

#[test]
fn tools_are_asked_for_by_their_ids() {
    let call = |id: &str, tool_identifier| ces::ToolCall {
        id: id.to_owned(),
        display_name: "stock".to_owned(),
        args: Some(to_struct(&object(json!({ "bread": "rye" })))),
        tool_identifier: Some(tool_identifier),
    };
    let in_toolset = ces::ToolsetTool { toolset: "toolsets/s".to_owned(), tool_id: "t".to_owned() };
    let tool_calls =
        vec![call("1", ToolIdentifier::Tool("tools/t".to_owned())), call("2", ToolIdentifier::ToolsetTool(in_toolset))];
    let json = r#"{"sessionOutput":{"turnIndex":"3","toolCalls":{"toolCalls":[
        {"id":"1","displayName":"stock","args":{"bread":"rye"},"tool":"tools/t"},
        {"id":"2","displayName":"stock","args":{"bread":"rye"},"toolsetTool":{"toolset":"toolsets/s","toolId":"t"}}]}}}"#;
    let expected = |id: &str, tool: &str, action: &str| ToolCall {
        id: id.to_owned(),
        tool: tool.to_owned(),
        action: action.to_owned(),
        display_name: "stock".to_owned(),
        arguments: object(json!({ "bread": "rye" })),
    };
    let tool_calls_told = vec![expected("1", "tools/t", ""), expected("2", "toolsets/s", "t")];
    let asked = output(Some(OutputType::ToolCalls(ces::ToolCalls { tool_calls })));
    assert_eq!(meaning(asked, json), answered(Answer { tool_calls: tool_calls_told, ..Answer::default() }));
}

#[test]
fn a_payload_is_passed_on_and_citations_are_not() {
    let payload = json!({ "dialbridge": { "end": true }, "n": 7 });
    let message = output(Some(OutputType::Payload(to_struct(&object(payload.clone())))));
    let json = format!(r#"{{"sessionOutput":{{"payload":{payload}}}}}"#);
    assert_eq!(meaning(message, &json), answered(Answer { payloads: vec![payload], ..Answer::default() }));

    let citations = output(Some(OutputType::Citations(ces::Citations::default())));
    assert_eq!(meaning(citations, r#"{"sessionOutput":{"citations":{"citedChunks":[{"uri":"https://x"}]}}}"#), None);
    let suggestions = output(Some(OutputType::GoogleSearchSuggestions(ces::GoogleSearchSuggestions::default())));
    assert_eq!(meaning(suggestions, r#"{"sessionOutput":{"googleSearchSuggestions":{"htmls":["x"]}}}"#), None);
}

#[test]
fn an_interruption_says_whether_it_was_the_caller() {
    for barge_in in [true, false] {
        let signal = MessageType::InterruptionSignal(ces::InterruptionSignal { barge_in });
        let json = format!(r#"{{"interruptionSignal":{{"bargeIn":{barge_in}}}}}"#);
        assert_eq!(meaning(signal, &json), Some(AgentEvent::Interrupted { barge_in }));
    }
    // proto3's JSON leaves out `false`.
    assert_eq!(meaning_of_json(r#"{"interruptionSignal":{}}"#), Some(AgentEvent::Interrupted { barge_in: false }));
}

#[test]
fn a_stream_that_will_be_cut_says_so() {
    assert_eq!(meaning(MessageType::GoAway(ces::GoAway {}), r#"{"goAway":{}}"#), Some(AgentEvent::GoAway));
}

/// The meaning of the end of a session in both places where it can be.
fn ended(metadata: Option<Value>) -> Answer {
    let written = metadata.as_ref().map(|metadata| format!("\"metadata\":{metadata}")).unwrap_or_default();
    let at_top = meaning(MessageType::EndSession(end(metadata.clone())), &format!(r#"{{"endSession":{{{written}}}}}"#));
    let json = format!(r#"{{"sessionOutput":{{"turnIndex":3,"endSession":{{{written}}}}}}}"#);
    let inside = meaning(output(Some(OutputType::EndSession(end(metadata)))), &json);
    assert_eq!(at_top, inside);
    match at_top {
        Some(AgentEvent::Answer(answer)) => *answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_metadata_of_an_end_says_where_the_call_goes() {
    let of = |metadata: Value| ended(Some(metadata)).end.unwrap();
    let person = |metadata: Value| AgentEnd::LiveAgentHandoff { metadata };
    assert_eq!(ended(None).end, Some(AgentEnd::EndInteraction));
    assert_eq!(of(json!({ "reason": "done", "session_escalated": false })), AgentEnd::EndInteraction);
    let escalated = json!({ "session_escalated": true, "reason": "angry", "params": { "ESCALATION_MESSAGE": "help" } });
    assert_eq!(of(escalated.clone()), person(escalated));

    let transfer = json!({ "phoneNumber": " +15550123", "useOriginatingTrunk": true });
    for metadata in [
        json!({ "session_escalated": true, "params": { "PHONE_GATEWAY_TRANSFER": transfer } }),
        json!({ "params": { "PHONE_GATEWAY_TRANSFER": transfer, "LIVE_AGENT_HANDOFF": {} } }),
        json!({ "PHONE_GATEWAY_TRANSFER": transfer }),
        json!({ "params": { "PHONE_GATEWAY_TRANSFER": "+1 555 0123" } }),
    ] {
        assert_eq!(of(metadata), AgentEnd::Transfer(Transfer::to("+15550123")));
    }
    let premium = ended(Some(json!({ "params": { "PHONE_GATEWAY_TRANSFER": { "phoneNumber": "+1 900 555 0100" } } })));
    assert!(premium.refused_transfer.is_some_and(|why| why.contains("premium-rate") && !why.contains("900")));
    // A number of JSON has no sign: whether a country code is in it, nobody knows.
    for number in [json!(15_550_123), json!(15_550_123.0), json!("15550123")] {
        let bare = ended(Some(json!({ "params": { "PHONE_GATEWAY_TRANSFER": { "phoneNumber": number } } })));
        assert!(bare.refused_transfer.is_some_and(|why| why.contains("country code")), "{number}");
    }
    let undialable = json!({ "params": { "PHONE_GATEWAY_TRANSFER": { "phoneNumber": "the desk" } } });
    assert_eq!(of(undialable.clone()), person(undialable));

    let handoff = json!({ "params": { "LIVE_AGENT_HANDOFF": { "queue": "cakes", "n": 2, "endSession": true } } });
    assert_eq!(of(handoff), person(json!({ "queue": "cakes", "n": 2, "endSession": true })));
    let with_reason = json!({
        "session_escalated": true,
        "reason": "asks for a person",
        "params": { "LIVE_AGENT_HANDOFF": { "queue": "cakes" }, "ESCALATION_MESSAGE": "a cake for forty" },
    });
    let told = json!({ "queue": "cakes", "reason": "asks for a person", "ESCALATION_MESSAGE": "a cake for forty" });
    assert_eq!(of(with_reason), person(told));
    assert_eq!(
        of(json!({ "params": { "LIVE_AGENT_HANDOFF": "yes" } })),
        person(json!({ "LIVE_AGENT_HANDOFF": "yes" }))
    );
    // A model fills them: a flag is a text or a number, and stands among the parameters or beside them.
    for yes in [json!("true"), json!("True"), json!(1), json!("1"), json!("yes")] {
        let escalated = json!({ "session_escalated": yes });
        assert_eq!(of(escalated.clone()), person(escalated));
        let escalated = json!({ "params": { "session_escalated": yes } });
        assert_eq!(of(escalated.clone()), person(escalated));
    }
    for no in [json!("false"), json!("False"), json!(0), json!("no"), json!("maybe")] {
        assert_eq!(of(json!({ "session_escalated": no })), AgentEnd::EndInteraction, "{no}");
    }
    for no in [json!(false), json!("no"), json!(null)] {
        let params = json!({ "LIVE_AGENT_HANDOFF": no, "PHONE_GATEWAY_TRANSFER": no });
        assert_eq!(of(json!({ "params": params })), AgentEnd::EndInteraction, "{no}");
    }
    // Metadata of the wrong type still ends the call.
    for odd in [json!({ "params": "x" }), json!({ "session_escalated": [] }), json!({ "params": null })] {
        assert_eq!(of(odd), AgentEnd::EndInteraction);
    }
}

#[test]
fn what_else_the_agent_says_at_its_end_is_told_in_the_hand_off() {
    let params = json!({ "order": { "loaves": 2 }, "ESCALATION_MESSAGE": "m", "LIVE_AGENT_HANDOFF": { "queue": "q" } });
    let answer = ended(Some(json!({ "session_escalated": true, "params": params })));
    assert_eq!(answer.parameters, object(json!({ "order": { "loaves": 2 } })));
    assert!(ended(Some(json!({ "reason": "done" }))).parameters.is_empty());
}

#[test]
fn names_of_the_proto_nulls_and_fields_of_the_future_are_tolerated() {
    for (other, usual) in [
        (r#"{"session_output":{"turn_index":1,"turn_completed":true}}"#, r#"{"sessionOutput":{"turnCompleted":true}}"#),
        (r#"{"recognition_result":{"transcript":"a","is_final":true}}"#, r#"{"recognitionResult":{"transcript":"a"}}"#),
        (r#"{"interruption_signal":{"barge_in":true}}"#, r#"{"interruptionSignal":{"bargeIn":true}}"#),
        (r#"{"end_session":{"metadata":null,"cause":{"by":"agent"}}}"#, r#"{"endSession":{}}"#),
        (r#"{"go_away":{"in":"5s"},"error":null}"#, r#"{"goAway":{}}"#),
        (
            r#"{"sessionOutput":{"text":"a","audio":null,"turnIndex":null,"diagnosticInfo":null,"new":[{}]},"x":1}"#,
            r#"{"sessionOutput":{"text":"a"}}"#,
        ),
        (
            r#"{"session_output":{"tool_calls":{"tool_calls":[{"id":"1","display_name":"d",
               "toolset_tool":{"toolset":"s","tool_id":"t"}}]}}}"#,
            r#"{"sessionOutput":{"toolCalls":{"toolCalls":[{"id":"1","displayName":"d",
               "toolsetTool":{"toolset":"s","toolId":"t"}}]}}}"#,
        ),
    ] {
        assert!(meaning_of_json(other).is_some(), "{other}");
        assert_eq!(meaning_of_json(other), meaning_of_json(usual));
    }
    for nothing in ["{}", r#"{"setupComplete":{}}"#, r#"{"sessionOutput":null}"#] {
        assert_eq!(meaning_of_json(nothing), None, "{nothing}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    for wrong in ["", "[]", "7", "{", r#"{"sessionOutput":{"audio":"%%%"}}"#, r#"{"sessionOutput":{"text":7}}"#] {
        assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let error = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#;
    let Ok(FromWebSocket::Error(error)) = read(error.as_bytes()) else { panic!() };
    assert_eq!((error.status.as_str(), error.message.as_str()), ("RESOURCE_EXHAUSTED", "quota"));
}
