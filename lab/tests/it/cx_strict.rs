//! The lab's CX agent is as strict as Google's, called with the published client.

use dialbridge_lab::agent::ServedAgent;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::{MINUTE, SILENCE, SPEECH, agent};
use cx::query_input::Input;
use cx::response_message::Message;
use cx::sessions_client::SessionsClient;
use cx::streaming_detect_intent_response::Response;
use cx::streaming_recognition_result::MessageType;

const SESSION: &str = "projects/p/locations/global/agents/a/sessions/CA0123456789abcdef0123456789abcdef";

async fn ask(
    agent: &ServedAgent,
    messages: Vec<cx::StreamingDetectIntentRequest>,
) -> Result<Vec<cx::StreamingDetectIntentResponse>, Status> {
    let channel = Endpoint::from_shared(agent.endpoint()).unwrap().connect().await.unwrap();
    let mut client = SessionsClient::new(channel);
    let mut stream = client.streaming_detect_intent(tokio_stream::iter(messages)).await?.into_inner();
    let mut responses = Vec::new();
    while let Some(response) = stream.message().await? {
        responses.push(response);
    }
    Ok(responses)
}

fn first(input: Input) -> cx::StreamingDetectIntentRequest {
    cx::StreamingDetectIntentRequest {
        session: SESSION.to_owned(),
        query_input: Some(cx::QueryInput { language_code: "en".to_owned(), input: Some(input) }),
        output_audio_config: Some(cx::OutputAudioConfig {
            audio_encoding: cx::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn config() -> cx::InputAudioConfig {
    cx::InputAudioConfig {
        audio_encoding: cx::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: 8000,
        single_utterance: true,
        ..Default::default()
    }
}

fn listen(config: Option<cx::InputAudioConfig>, audio: &'static [u8]) -> Input {
    Input::Audio(cx::AudioInput { config, audio: audio.into() })
}

fn audio(audio: &'static [u8]) -> cx::StreamingDetectIntentRequest {
    let query_input = Some(cx::QueryInput { input: Some(listen(None, audio)), ..Default::default() });
    cx::StreamingDetectIntentRequest { query_input, ..Default::default() }
}

fn text(text: &str) -> Input {
    Input::Text(cx::TextInput { text: text.to_owned() })
}

#[tokio::test]
async fn what_google_refuses_is_refused_with_invalid_argument() {
    let agent = agent("[start]\nsay = \"hello\"").await;
    let long_id = format!("projects/p/locations/global/agents/a/sessions/{}", "x".repeat(37));
    let without = |change: fn(&mut cx::StreamingDetectIntentRequest)| {
        let mut message = first(listen(Some(config()), &[]));
        change(&mut message);
        vec![message]
    };
    let mut cases = vec![
        ("no message", Vec::new()),
        ("no session", without(|message| message.session.clear())),
        ("no query input", without(|message| message.query_input = None)),
        ("no language", without(|message| message.query_input.as_mut().unwrap().language_code.clear())),
        ("no input", without(|message| message.query_input.as_mut().unwrap().input = None)),
        ("audio before its configuration", vec![first(listen(None, &[1, 2, 3]))]),
        ("audio in the first message", vec![first(listen(Some(config()), &[1, 2, 3]))]),
        ("no sample rate", vec![first(listen(Some(cx::InputAudioConfig { sample_rate_hertz: 0, ..config() }), &[]))]),
        ("no encoding", vec![first(listen(Some(cx::InputAudioConfig { audio_encoding: 0, ..config() }), &[]))]),
        ("a text too long", vec![first(text(&"x".repeat(257)))]),
        ("a configuration twice", vec![first(listen(Some(config()), &[])), first(listen(Some(config()), &[]))]),
        ("an ES session", without(|message| message.session = "projects/p/agent/sessions/1".to_owned())),
    ];
    let mut long = first(text("hi"));
    long.session = long_id;
    cases.push(("a session id of 37 characters", vec![long]));
    for (name, messages) in cases {
        let status = ask(&agent, messages).await.expect_err(name);
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
        assert!(!status.message().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_utterance_has_results_an_end_and_an_answer_with_audio_as_asked_for() {
    let agent = agent("[[utterance]]\nsay = \"yes\"\nintent = \"i\"\ntone = { hz = 400, ms = 100 }").await;
    let messages = vec![first(listen(Some(config()), &[])), audio(&SPEECH), audio(&SILENCE)];
    let responses = ask(&agent, messages).await.unwrap();
    let kinds: Vec<String> = responses
        .iter()
        .map(|response| match response.response.as_ref().unwrap() {
            Response::RecognitionResult(result) if result.message_type() == MessageType::Transcript => {
                format!("{} {}", if result.is_final { "final" } else { "interim" }, result.transcript)
            }
            Response::RecognitionResult(result) => result.message_type().as_str_name().to_owned(),
            Response::DetectIntentResponse(response) => format!("answer with {} bytes", response.output_audio.len()),
        })
        .collect();
    let expected = [
        "interim [0.4 s of speech]",
        "interim [0.8 s of speech]",
        "final [1.0 s of speech]",
        "END_OF_SINGLE_UTTERANCE",
        "answer with 800 bytes",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn an_event_that_it_does_not_know_has_no_answer() {
    let agent = agent("[start]\nevent = \"WELCOME\"\nsay = \"hello\"\ntone = { hz = 400, ms = 100 }").await;
    let said = |event: &str| ask(&agent, vec![first(Input::Event(cx::EventInput { event: event.to_owned() }))]);
    for (event, messages) in [("OTHER", 0), ("WELCOME", 1)] {
        let responses = said(event).await.unwrap();
        let Some(Response::DetectIntentResponse(response)) = &responses[0].response else { panic!() };
        assert_eq!(response.query_result.as_ref().unwrap().response_messages.len(), messages, "{event}");
        assert_eq!(response.output_audio.is_empty(), messages == 0);
    }
}

#[tokio::test]
async fn a_text_takes_the_place_of_what_was_heard() {
    let agent = agent("[start]\nsay = \"hello\"").await;
    let messages = vec![first(listen(Some(config()), &[])), audio(&SPEECH), first(text("hi"))];
    let responses = ask(&agent, messages).await.unwrap();
    let Some(Response::DetectIntentResponse(response)) = &responses.last().unwrap().response else { panic!() };
    let query = response.query_result.as_ref().unwrap().query.clone();
    assert_eq!(query, Some(cx::query_result::Query::Text("hi".to_owned())));
}

#[tokio::test]
async fn what_google_takes_and_the_lab_does_not_is_no_fault_of_the_clients() {
    let agent = agent("").await;
    let flac = cx::InputAudioConfig { audio_encoding: cx::AudioEncoding::Flac.into(), ..config() };
    let status = ask(&agent, vec![first(listen(Some(flac), &[]))]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn more_than_two_minutes_of_audio_are_too_much() {
    let agent = agent("").await;
    let messages = vec![first(listen(Some(config()), &[])), audio(&MINUTE), audio(&MINUTE), audio(&MINUTE)];
    assert_eq!(ask(&agent, messages).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn words_are_timed_for_a_client_that_asks_for_it_and_for_no_other() {
    let script = "word_times = true\nconfidence = 0.5\ninterim = false\n[[utterance]]\nheard = \"two loaves\"";
    let agent = agent(script).await;
    for enable_word_info in [true, false] {
        let config = cx::InputAudioConfig { enable_word_info, ..config() };
        let messages = vec![first(listen(Some(config), &[])), audio(&SILENCE), audio(&SPEECH), audio(&SILENCE)];
        let responses = ask(&agent, messages).await.unwrap();
        let Some(Response::RecognitionResult(result)) = &responses[0].response else { panic!() };
        assert_eq!((result.transcript.as_str(), result.is_final, result.confidence), ("two loaves", true, 0.5));
        let starts = result.speech_word_info.iter().map(|word| word.start_offset.unwrap());
        let starts: Vec<_> = starts.map(|start| (start.seconds, start.nanos / 1_000_000)).collect();
        let expected = if enable_word_info { vec![(1, 0), (1, 500)] } else { Vec::new() };
        assert_eq!(starts, expected);
    }
}

#[tokio::test]
async fn after_a_tool_call_its_result_must_come_and_nothing_else() {
    let agent =
        agent("[start]\ntool_call = { tool = \"t\", action = \"a\" }\n[[utterance]]\nsay = \"well, then\"").await;
    let result = |tool: &str| {
        let error = cx::tool_call_result::Error { message: "no tools here".to_owned() };
        let result = Some(cx::tool_call_result::Result::Error(error));
        Input::ToolCallResult(cx::ToolCallResult { tool: tool.to_owned(), action: "a".to_owned(), result })
    };
    let asked = |input: Input| ask(&agent, vec![first(input)]);
    assert_eq!(asked(result("t")).await.unwrap_err().code(), Code::InvalidArgument, "nobody asked for it");
    let responses = asked(text("hi")).await.unwrap();
    let Some(Response::DetectIntentResponse(response)) = &responses[0].response else { panic!() };
    let messages = &response.query_result.as_ref().unwrap().response_messages;
    assert!(matches!(&messages[0].message, Some(Message::ToolCall(call)) if call.tool == "t"), "{messages:?}");
    assert_eq!(asked(text("hi")).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(asked(result("other")).await.unwrap_err().code(), Code::InvalidArgument);
    let responses = asked(result("t")).await.unwrap();
    let Some(Response::DetectIntentResponse(response)) = &responses[0].response else { panic!() };
    let messages = &response.query_result.as_ref().unwrap().response_messages;
    assert!(matches!(&messages[0].message, Some(Message::Text(text)) if text.text == ["well, then"]));
}

#[tokio::test]
async fn partial_responses_come_to_a_client_that_asks_for_them_and_may_be_repeated_in_the_last_one() {
    let script = "[start]\nfirst = [{ tone = { hz = 400, ms = 100 }, allow_cancellation = true }]\nrepeats_partials = true\ntone = { hz = 500, ms = 50 }";
    let agent = agent(script).await;
    for (enable_partial_response, expected) in
        [(true, vec![("PARTIAL", 800, true), ("FINAL", 1_200, false)]), (false, vec![("FINAL", 400, false)])]
    {
        let event = Input::Event(cx::EventInput { event: "WELCOME".to_owned() });
        let message = cx::StreamingDetectIntentRequest { enable_partial_response, ..first(event) };
        let responses = ask(&agent, vec![message]).await.unwrap();
        let told = responses.iter().map(|response| match &response.response {
            Some(Response::DetectIntentResponse(response)) => {
                (response.response_type().as_str_name(), response.output_audio.len(), response.allow_cancellation)
            }
            _ => panic!(),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_turn_fails_where_the_script_says_so_and_the_next_attempt_gets_the_next_answer() {
    let agent = agent(
        "[[utterance]]\nfault = \"UNAVAILABLE\"\nfault_after_ms = 500\n[[utterance]]\nfault = \"INVALID_ARGUMENT\"\n[[utterance]]\nsay = \"yes\"",
    )
    .await;
    let turn = || vec![first(listen(Some(config()), &[])), audio(&SPEECH)];
    assert_eq!(ask(&agent, turn()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(ask(&agent, turn()).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(ask(&agent, turn()).await.is_ok());
}
