//! The lab's ES agent is as strict as Google's, called by its methods of v2 and v2beta1. The types are v2beta1's, which
//! has v2's fields under the same numbers; `.ci/interop` calls it with Google's own libraries for v2.

use dialbridge_lab::agent::ServedAgent;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::{MINUTE, SILENCE, SPEECH, agent};

const SESSION: &str = "projects/p/agent/sessions/CA0123456789abcdef0123456789abcdef";

/// The streaming method of an API.
fn method(api: &str) -> PathAndQuery {
    format!("/google.cloud.dialogflow.{api}.Sessions/StreamingDetectIntent").parse().unwrap()
}

async fn ask(
    agent: &ServedAgent,
    messages: Vec<es::StreamingDetectIntentRequest>,
) -> Result<Vec<es::StreamingDetectIntentResponse>, Status> {
    ask_by("v2", agent, messages).await
}

async fn ask_by(
    api: &str,
    agent: &ServedAgent,
    messages: Vec<es::StreamingDetectIntentRequest>,
) -> Result<Vec<es::StreamingDetectIntentResponse>, Status> {
    let mut client = Grpc::new(Endpoint::from_shared(agent.endpoint()).unwrap().connect().await.unwrap());
    client.ready().await.unwrap();
    let (request, codec) = (tonic::Request::new(tokio_stream::iter(messages)), tonic_prost::ProstCodec::default());
    let mut stream = client.streaming(request, method(api), codec).await?.into_inner();
    let mut responses = Vec::new();
    while let Some(response) = stream.message().await? {
        responses.push(response);
    }
    Ok(responses)
}

fn first(input: es::query_input::Input) -> es::StreamingDetectIntentRequest {
    es::StreamingDetectIntentRequest {
        session: SESSION.to_owned(),
        query_input: Some(es::QueryInput { input: Some(input) }),
        output_audio_config: Some(es::OutputAudioConfig {
            audio_encoding: es::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn config() -> es::InputAudioConfig {
    es::InputAudioConfig {
        audio_encoding: es::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: 8000,
        language_code: "en".to_owned(),
        single_utterance: true,
        ..Default::default()
    }
}

fn listen(config: es::InputAudioConfig) -> es::StreamingDetectIntentRequest {
    first(es::query_input::Input::AudioConfig(config))
}

fn audio(audio: &'static [u8]) -> es::StreamingDetectIntentRequest {
    es::StreamingDetectIntentRequest { input_audio: audio.into(), ..Default::default() }
}

fn text(text: &str) -> es::query_input::Input {
    es::query_input::Input::Text(es::TextInput { text: text.to_owned(), language_code: "en".to_owned() })
}

fn event(name: &str) -> es::query_input::Input {
    es::query_input::Input::Event(es::EventInput {
        name: name.to_owned(),
        language_code: "en".to_owned(),
        ..Default::default()
    })
}

#[tokio::test]
async fn what_google_refuses_is_refused_with_invalid_argument() {
    let agent = agent("[start]\nsay = \"hello\"").await;
    let changed = |change: fn(&mut es::StreamingDetectIntentRequest)| {
        let mut message = listen(config());
        change(&mut message);
        vec![message]
    };
    let cases = vec![
        ("no message", Vec::new()),
        ("no session", changed(|message| message.session.clear())),
        ("a CX session", changed(|message| message.session = "projects/p/locations/l/agents/a/sessions/1".to_owned())),
        ("a session id of 37 characters", changed(|message| message.session.push_str("xyz"))),
        ("no query input", changed(|message| message.query_input = None)),
        ("no input", changed(|message| message.query_input = Some(es::QueryInput::default()))),
        ("audio in the first message", changed(|message| message.input_audio = vec![1, 2, 3].into())),
        ("no language", vec![listen(es::InputAudioConfig { language_code: String::new(), ..config() })]),
        ("no sample rate", vec![listen(es::InputAudioConfig { sample_rate_hertz: 0, ..config() })]),
        ("no encoding", vec![listen(es::InputAudioConfig { audio_encoding: 0, ..config() })]),
        ("a text too long", vec![first(text(&"x".repeat(257)))]),
        ("an event without a name", vec![first(event(""))]),
        ("a message without audio", vec![listen(config()), es::StreamingDetectIntentRequest::default()]),
        ("a configuration twice", vec![listen(config()), listen(config())]),
    ];
    for (name, messages) in cases {
        let status = ask(&agent, messages).await.expect_err(name);
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
        assert!(!status.message().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_utterance_has_results_an_end_a_query_result_and_then_its_audio() {
    let agent = agent("[[utterance]]\nsay = \"yes\"\nintent = \"i\"\ntone = { hz = 400, ms = 100 }").await;
    let messages = vec![listen(config()), audio(&SPEECH), audio(&SILENCE)];
    let responses = ask(&agent, messages).await.unwrap();
    let kinds: Vec<String> = responses
        .iter()
        .map(|response| match (&response.recognition_result, &response.query_result) {
            (Some(result), _) if result.is_final => format!("final {}", result.transcript),
            (Some(result), _) => format!("{} {}", result.message_type().as_str_name(), result.transcript),
            (None, Some(result)) => format!("result {}", result.fulfillment_text),
            (None, None) => format!("{} bytes", response.output_audio.len()),
        })
        .collect();
    let expected = [
        "TRANSCRIPT [0.4 s of speech]",
        "TRANSCRIPT [0.8 s of speech]",
        "final [1.0 s of speech]",
        "END_OF_SINGLE_UTTERANCE ",
        "result yes",
        "800 bytes",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn the_deprecated_single_utterance_has_no_effect() {
    let agent = agent("").await;
    let mut opening = listen(es::InputAudioConfig { single_utterance: false, ..config() });
    #[expect(deprecated, reason = "this is what is tested")]
    {
        opening.single_utterance = true;
    }
    let responses = ask(&agent, vec![opening, audio(&SPEECH), audio(&SILENCE)]).await.unwrap();
    assert!(responses.iter().any(|response| response.query_result.is_some()), "it is answered when it is half-closed");
    let ends = responses.iter().filter_map(|response| response.recognition_result.as_ref());
    let end = es::streaming_recognition_result::MessageType::EndOfSingleUtterance;
    assert_eq!(ends.filter(|result| result.message_type() == end).count(), 0);
}

#[tokio::test]
async fn an_event_that_it_does_not_know_matches_nothing() {
    let agent = agent("[start]\nevent = \"WELCOME\"\nsay = \"hello\"\nintent = \"welcome\"").await;
    for (name, intent) in [("OTHER", None), ("WELCOME", Some("welcome"))] {
        let responses = ask(&agent, vec![first(event(name))]).await.unwrap();
        let result = responses[0].query_result.as_ref().unwrap();
        assert_eq!(result.intent.as_ref().map(|intent| intent.display_name.as_str()), intent, "{name}");
    }
}

#[tokio::test]
async fn more_than_a_minute_of_audio_is_too_much() {
    let agent = agent("").await;
    let status = ask(&agent, vec![listen(config()), audio(&MINUTE), audio(&MINUTE)]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn digits_are_an_input_of_v2beta1_only() {
    let agent = agent("[digits.12]\nsay = \"twelve\"\n[start]\nsay = \"hello\"").await;
    let keys = vec![es::TelephonyDtmf::DtmfOne.into(), es::TelephonyDtmf::DtmfTwo.into()];
    let message = first(es::query_input::Input::Dtmf(es::TelephonyDtmfEvents { dtmf_events: keys }));
    let responses = ask_by("v2beta1", &agent, vec![message.clone()]).await.unwrap();
    assert_eq!(responses[0].query_result.as_ref().unwrap().fulfillment_text, "twelve");
    assert_eq!(ask(&agent, vec![message]).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn messages_for_telephones_exist_in_v2beta1_only() {
    use es::intent::message::Message;
    let script = "[start]\nsay = \"hello\"\nplay = \"gs://b/a.wav\"\nspeech = \"good morning\"\npayload = { a = 1 }\nwebhook_fault = \"down\"\nno_match = true";
    let agent = agent(script).await;
    for (api, expected) in
        [("v2beta1", &["text", "payload", "gs://b/a.wav", "speech"][..]), ("v2", &["text", "payload"])]
    {
        let responses = ask_by(api, &agent, vec![first(event("WELCOME"))]).await.unwrap();
        let result = responses[0].query_result.as_ref().unwrap();
        let kinds = result.fulfillment_messages.iter().map(|message| match message.message.as_ref().unwrap() {
            Message::Text(_) => "text",
            Message::Payload(_) => "payload",
            Message::TelephonyPlayAudio(play) => play.audio_uri.as_str(),
            Message::TelephonySynthesizeSpeech(_) => "speech",
            _ => "other",
        });
        assert_eq!(kinds.collect::<Vec<_>>(), expected, "{api}");
        assert!(result.intent.as_ref().unwrap().is_fallback, "{api}");
        assert_eq!(responses[0].webhook_status.as_ref().unwrap().message, "down", "{api}");
    }
}

#[tokio::test]
async fn digits_are_looked_up_as_a_text_and_as_a_parameter_of_an_event_too() {
    let agent = agent(
        "[start]\nsay = \"hello\"\nevent = \"WELCOME\"\n[digits.12]\nsay = \"twelve\"\n[other_digits]\nsay = \"what?\"",
    )
    .await;
    let parameters = prost_types::Struct {
        fields: [(
            "digits".to_owned(),
            prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("12".to_owned())) },
        )]
        .into(),
    };
    let keys = es::EventInput { name: "KEYS".to_owned(), language_code: "en".to_owned(), parameters: Some(parameters) };
    for (input, expected) in [
        (event("WELCOME"), "hello"),
        (text("12"), "twelve"),
        (text("13"), "what?"),
        (es::query_input::Input::Event(keys), "twelve"),
    ] {
        let responses = ask(&agent, vec![first(input)]).await.unwrap();
        assert_eq!(responses[0].query_result.as_ref().unwrap().fulfillment_text, expected);
    }
}
