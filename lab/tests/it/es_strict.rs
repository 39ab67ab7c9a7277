//! The lab's ES agent is as strict as Google's, asked by the published clients of v2 and v2beta1.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};
use googleapis_tonic_google_cloud_dialogflow_v2::google::cloud::dialogflow::v2;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const SESSION: &str = "projects/p/agent/sessions/CA0123456789abcdef0123456789abcdef";

async fn agent(script: &str) -> ServedAgent {
    let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    LabAgent::new(Script::parse(script, "test", &none).unwrap()).serve_on_loopback().await.unwrap()
}

async fn channel(agent: &ServedAgent) -> Channel {
    Endpoint::from_shared(agent.endpoint()).unwrap().connect().await.unwrap()
}

async fn ask(
    agent: &ServedAgent,
    messages: Vec<v2::StreamingDetectIntentRequest>,
) -> Result<Vec<v2::StreamingDetectIntentResponse>, Status> {
    let mut client = v2::sessions_client::SessionsClient::new(channel(agent).await);
    let mut stream = client.streaming_detect_intent(tokio_stream::iter(messages)).await?.into_inner();
    let mut responses = Vec::new();
    while let Some(response) = stream.message().await? {
        responses.push(response);
    }
    Ok(responses)
}

fn first(input: v2::query_input::Input) -> v2::StreamingDetectIntentRequest {
    v2::StreamingDetectIntentRequest {
        session: SESSION.to_owned(),
        query_input: Some(v2::QueryInput { input: Some(input) }),
        output_audio_config: Some(v2::OutputAudioConfig {
            audio_encoding: v2::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn config() -> v2::InputAudioConfig {
    v2::InputAudioConfig {
        audio_encoding: v2::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: 8000,
        language_code: "en".to_owned(),
        single_utterance: true,
        ..Default::default()
    }
}

fn listen(config: v2::InputAudioConfig) -> v2::StreamingDetectIntentRequest {
    first(v2::query_input::Input::AudioConfig(config))
}

fn audio(audio: &'static [u8]) -> v2::StreamingDetectIntentRequest {
    v2::StreamingDetectIntentRequest { input_audio: audio.into(), ..Default::default() }
}

fn text(text: &str) -> v2::query_input::Input {
    v2::query_input::Input::Text(v2::TextInput { text: text.to_owned(), language_code: "en".to_owned() })
}

fn event(name: &str) -> v2::query_input::Input {
    v2::query_input::Input::Event(v2::EventInput {
        name: name.to_owned(),
        language_code: "en".to_owned(),
        ..Default::default()
    })
}

#[tokio::test]
async fn what_google_refuses_is_refused_with_invalid_argument() {
    let agent = agent("[start]\nsay = \"hello\"").await;
    let changed = |change: fn(&mut v2::StreamingDetectIntentRequest)| {
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
        ("no input", changed(|message| message.query_input = Some(v2::QueryInput::default()))),
        ("audio in the first message", changed(|message| message.input_audio = vec![1, 2, 3].into())),
        ("no language", vec![listen(v2::InputAudioConfig { language_code: String::new(), ..config() })]),
        ("no sample rate", vec![listen(v2::InputAudioConfig { sample_rate_hertz: 0, ..config() })]),
        ("no encoding", vec![listen(v2::InputAudioConfig { audio_encoding: 0, ..config() })]),
        ("a text too long", vec![first(text(&"x".repeat(257)))]),
        ("an event without a name", vec![first(event(""))]),
        ("a message without audio", vec![listen(config()), v2::StreamingDetectIntentRequest::default()]),
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
    static SPEECH: [u8; 8_000] = [0x12; 8_000];
    static SILENCE: [u8; 8_000] = [0xFF; 8_000];
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
    static SPEECH: [u8; 8_000] = [0x12; 8_000];
    static SILENCE: [u8; 8_000] = [0xFF; 8_000];
    let agent = agent("").await;
    let mut opening = listen(v2::InputAudioConfig { single_utterance: false, ..config() });
    #[expect(deprecated, reason = "this is what is tested")]
    {
        opening.single_utterance = true;
    }
    let responses = ask(&agent, vec![opening, audio(&SPEECH), audio(&SILENCE)]).await.unwrap();
    let ends = responses.iter().filter_map(|response| response.recognition_result.as_ref());
    let end = v2::streaming_recognition_result::MessageType::EndOfSingleUtterance;
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
    static MINUTE: [u8; 480_000] = [0xFF; 480_000];
    let agent = agent("").await;
    let status = ask(&agent, vec![listen(config()), audio(&MINUTE), audio(&MINUTE)]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn keys_are_an_input_of_v2beta1_only() {
    let agent = agent("[digits.12]\nsay = \"twelve\"\n[start]\nsay = \"hello\"").await;
    let keys = vec![v2beta1::TelephonyDtmf::DtmfOne.into(), v2beta1::TelephonyDtmf::DtmfTwo.into()];
    let message = v2beta1::StreamingDetectIntentRequest {
        session: SESSION.to_owned(),
        query_input: Some(v2beta1::QueryInput {
            input: Some(v2beta1::query_input::Input::Dtmf(v2beta1::TelephonyDtmfEvents { dtmf_events: keys })),
        }),
        ..Default::default()
    };
    let mut client = v2beta1::sessions_client::SessionsClient::new(channel(&agent).await);
    let mut stream =
        client.streaming_detect_intent(tokio_stream::iter(vec![message.clone()])).await.unwrap().into_inner();
    let response = stream.message().await.unwrap().unwrap();
    assert_eq!(response.query_result.unwrap().fulfillment_text, "twelve");

    use prost::Message as _;
    let as_v2 = v2::StreamingDetectIntentRequest::decode(&message.encode_to_vec()[..]).unwrap();
    assert_eq!(ask(&agent, vec![as_v2]).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn messages_for_telephones_exist_in_v2beta1_only() {
    use prost::Message as _;
    use v2beta1::intent::message::Message;
    let script = "[start]\nsay = \"hello\"\nplay = \"gs://b/a.wav\"\nspeech = \"good morning\"\npayload = { a = 1 }\nwebhook_fault = \"down\"\nno_match = true";
    let agent = agent(script).await;
    let request = first(event("WELCOME"));
    let as_beta = v2beta1::StreamingDetectIntentRequest::decode(&request.encode_to_vec()[..]).unwrap();
    let mut client = v2beta1::sessions_client::SessionsClient::new(channel(&agent).await);
    let mut stream = client.streaming_detect_intent(tokio_stream::iter(vec![as_beta])).await.unwrap().into_inner();
    let result = stream.message().await.unwrap().unwrap().query_result.unwrap();
    let kinds = result.fulfillment_messages.iter().map(|message| match message.message.as_ref().unwrap() {
        Message::Text(_) => "text",
        Message::Payload(_) => "payload",
        Message::TelephonyPlayAudio(play) => play.audio_uri.as_str(),
        Message::TelephonySynthesizeSpeech(_) => "speech",
        _ => "other",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["text", "payload", "gs://b/a.wav", "speech"]);

    let responses = ask(&agent, vec![request]).await.unwrap();
    let result = responses[0].query_result.as_ref().unwrap();
    assert_eq!(result.fulfillment_messages.len(), 2, "the text and the payload");
    assert!(result.intent.as_ref().unwrap().is_fallback);
    assert_eq!(responses[0].webhook_status.as_ref().unwrap().message, "down");
}

#[tokio::test]
async fn keys_are_looked_up_as_a_text_and_as_a_parameter_of_an_event_too() {
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
    let keys = v2::EventInput { name: "KEYS".to_owned(), language_code: "en".to_owned(), parameters: Some(parameters) };
    for (input, expected) in [
        (event("WELCOME"), "hello"),
        (text("12"), "twelve"),
        (text("13"), "what?"),
        (v2::query_input::Input::Event(keys), "twelve"),
    ] {
        let responses = ask(&agent, vec![first(input)]).await.unwrap();
        assert_eq!(responses[0].query_result.as_ref().unwrap().fulfillment_text, expected);
    }
}
