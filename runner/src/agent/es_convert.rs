//! Dialogflow ES and core's words, both ways. Pure.
//!
//! v2beta1 has all of v2's fields that are used here, under the same numbers (a test compares them), and some of its own;
//! so its types serve both, and what only v2beta1 knows is left out for v2. Field names and their meaning: the protos of
//! `google.cloud.dialogflow.v2` and `v2beta1`.

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Intent, Matched, Prompt, Transcript, TurnInput, TurnStart};
use dialbridge_core::audio::{AudioFormat, Encoding, SAMPLE_RATE};
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use serde_json::{Map, Value};

use es::query_input::Input;
use es::streaming_recognition_result::MessageType;

use super::SessionContext;
use super::protobuf::{from_duration, from_struct, to_duration, to_struct};
use super::stream::Dialect;

/// The telephone's sample rate as protobuf has it.
const RATE: i32 = SAMPLE_RATE.cast_signed();

/// ES, as v2 or as v2beta1.
#[derive(Debug)]
pub(super) struct Es<const BETA: bool>;

impl<const BETA: bool> Dialect for Es<BETA> {
    const METHOD: &'static str = if BETA {
        "/google.cloud.dialogflow.v2beta1.Sessions/StreamingDetectIntent"
    } else {
        "/google.cloud.dialogflow.v2.Sessions/StreamingDetectIntent"
    };
    type Request = es::StreamingDetectIntentRequest;
    type Response = es::StreamingDetectIntentResponse;

    fn first(context: &SessionContext, start: &TurnStart) -> Self::Request {
        first_request::<BETA>(context, start)
    }

    fn audio(audio: Bytes) -> Self::Request {
        es::StreamingDetectIntentRequest { input_audio: audio, ..Default::default() }
    }

    fn events(response: Self::Response) -> Vec<AgentEvent> {
        events(response)
    }
}

fn first_request<const BETA: bool>(context: &SessionContext, start: &TurnStart) -> es::StreamingDetectIntentRequest {
    let language_code = context.language.clone();
    let input = match &start.input {
        TurnInput::Audio => Input::AudioConfig(input_config::<BETA>(language_code, start)),
        TurnInput::Event(name) => Input::Event(es::EventInput {
            name: name.clone(),
            parameters: (!start.known_parameters.is_empty()).then(|| to_struct(&start.known_parameters)),
            language_code,
        }),
        TurnInput::Text(text) => Input::Text(es::TextInput { text: text.clone(), language_code }),
    };
    es::StreamingDetectIntentRequest {
        session: context.session.clone(),
        query_params: Some(es::QueryParameters { payload: Some(to_struct(&payload(start))), ..Default::default() }),
        query_input: Some(es::QueryInput { input: Some(input) }),
        output_audio_config: Some(es::OutputAudioConfig {
            audio_encoding: es::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: RATE,
            synthesize_speech_config: None,
        }),
        // Only these two: without a mask the request's configuration, which names no voice, would replace the agent's.
        output_audio_config_mask: Some(prost_types::FieldMask {
            paths: vec!["audio_encoding".to_owned(), "sample_rate_hertz".to_owned()],
        }),
        ..Default::default()
    }
}

fn input_config<const BETA: bool>(language_code: String, start: &TurnStart) -> es::InputAudioConfig {
    es::InputAudioConfig {
        audio_encoding: es::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: RATE,
        language_code,
        single_utterance: true,
        barge_in_config: start.barge_in.filter(|_| BETA).map(|window| es::BargeInConfig {
            no_barge_in_duration: Some(to_duration(window.protected_ms)),
            total_duration: Some(to_duration(window.total_ms)),
        }),
        ..Default::default()
    }
}

/// ES has no session parameters: a webhook finds what is known of the call in the payload of every turn.
fn payload(start: &TurnStart) -> Map<String, Value> {
    let mut payload = start.known_parameters.clone();
    payload.extend(start.payload.clone());
    payload
}

/// What a message means. One may carry a recognition result, or the query's result, or audio, or several of these.
fn events(response: es::StreamingDetectIntentResponse) -> Vec<AgentEvent> {
    let mut events: Vec<AgentEvent> = response.recognition_result.and_then(recognition).into_iter().collect();
    let audio = (response.output_audio, response.output_audio_config);
    let answer = match response.query_result {
        Some(result) => Some(answer(result, audio)),
        None if audio.0.is_empty() => None,
        None => Some(with_audio(Answer::default(), audio)),
    };
    events.extend(answer.map(|answer| AgentEvent::Answer(Box::new(answer))));
    events
}

fn recognition(result: es::StreamingRecognitionResult) -> Option<AgentEvent> {
    match result.message_type() {
        MessageType::EndOfSingleUtterance => Some(AgentEvent::EndOfUtterance),
        MessageType::Transcript => Some(AgentEvent::Transcript(Transcript {
            is_final: result.is_final,
            confidence: (result.confidence > 0.0).then_some(result.confidence),
            start_ms: result.speech_word_info.first().and_then(|word| word.start_offset).map(from_duration),
            end_ms: result.speech_end_offset.map(from_duration),
            text: result.transcript,
        })),
        MessageType::Unspecified | MessageType::DtmfDigits | MessageType::PartialDtmfDigits => None,
    }
}

fn answer(result: es::QueryResult, audio: (Bytes, Option<es::OutputAudioConfig>)) -> Answer {
    let end = end(&result);
    let intent = result.intent.unwrap_or_default();
    let answer = Answer {
        // More audio may follow, in a message of its own.
        part: AnswerPart::Open,
        query_text: result.query_text,
        text: result.fulfillment_text,
        matched: if intent.is_fallback { Matched::NoMatch } else { Matched::Yes },
        intent: (!intent.name.is_empty() || !intent.display_name.is_empty())
            .then_some(Intent { name: intent.name, display_name: intent.display_name }),
        parameters: result.parameters.map(from_struct).unwrap_or_default(),
        action: result.action,
        end,
        ..Answer::default()
    };
    with_audio(answer, audio)
}

fn with_audio(mut answer: Answer, (audio, config): (Bytes, Option<es::OutputAudioConfig>)) -> Answer {
    if audio.is_empty() {
        return answer;
    }
    match format(config.as_ref()) {
        Ok(format) => answer.prompts.push(Prompt { format, audio: audio.to_vec(), interruptible: true }),
        Err(coding) => answer.unplayable = Some(coding),
    }
    answer
}

/// How the agent ends its part: by the intent's own marks, by a telephony message, or by the older mark in the
/// diagnostic information. The hand-over's metadata is the webhook's payload, else the first custom payload.
fn end(result: &es::QueryResult) -> Option<AgentEnd> {
    use es::intent::message::Message;
    let messages = || result.fulfillment_messages.iter().filter_map(|message| message.message.as_ref());
    let transfer = messages().find_map(|message| match message {
        Message::TelephonyTransferCall(transfer) => Some(transfer.phone_number.clone()),
        _ => None,
    });
    if let Some(phone_number) = transfer {
        return Some(AgentEnd::Transfer { phone_number });
    }
    let intent = result.intent.as_ref();
    if intent.is_some_and(|intent| intent.live_agent_handoff) {
        let payload = messages().find_map(|message| match message {
            Message::Payload(payload) => Some(payload.clone()),
            _ => None,
        });
        let metadata = result.webhook_payload.clone().or(payload).map(from_struct).unwrap_or_default();
        return Some(AgentEnd::LiveAgentHandoff { metadata: Value::Object(metadata) });
    }
    let diagnostics = result.diagnostic_info.clone().map(from_struct).unwrap_or_default();
    let ends = intent.is_some_and(|intent| intent.end_interaction)
        || diagnostics.get("end_conversation") == Some(&Value::Bool(true));
    ends.then_some(AgentEnd::EndInteraction)
}

/// The coding of the answer's audio, which need not be the one that was asked for; its name where it cannot be played.
fn format(config: Option<&es::OutputAudioConfig>) -> Result<AudioFormat, String> {
    use es::OutputAudioEncoding::{Alaw, Linear16, Mp3, Mp364Kbps, Mulaw, OggOpus, Unspecified};
    let Some(config) = config else { return Ok(AudioFormat::TELEPHONE) };
    let encoding = match config.audio_encoding() {
        Linear16 => Encoding::Linear16,
        Mulaw | Unspecified => Encoding::Mulaw,
        Alaw => Encoding::Alaw,
        other @ (Mp3 | Mp364Kbps | OggOpus) => return Err(other.as_str_name().to_owned()),
    };
    Ok(AudioFormat { encoding, sample_rate: u32::try_from(config.sample_rate_hertz).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::agent::BargeInWindow;
    use googleapis_tonic_google_cloud_dialogflow_v2::google::cloud::dialogflow::v2;
    use prost::Message as _;
    use serde_json::json;

    fn context() -> SessionContext {
        SessionContext { session: "projects/p/agent/sessions/CA1".to_owned(), language: "de".to_owned() }
    }

    fn start(input: TurnInput) -> TurnStart {
        TurnStart {
            input,
            parameters: Map::new(),
            known_parameters: json!({ "From": "+15550100", "shop": "north" }).as_object().cloned().unwrap(),
            payload: json!({ "telephony": { "caller_id": "+15550100" } }).as_object().cloned().unwrap(),
            barge_in: Some(BargeInWindow { protected_ms: 0, total_ms: 2_500 }),
        }
    }

    /// What a v2 server reads from bytes that we write, written again.
    fn through_v2<A: prost::Message, B: prost::Message + Default + PartialEq>(message: &A) -> B {
        let bytes = message.encode_to_vec();
        let read = B::decode(&bytes[..]).unwrap();
        assert_eq!(read.encode_to_vec(), bytes, "v2 knows every field that we write");
        read
    }

    #[test]
    fn what_we_write_for_v2_is_v2() {
        for input in [TurnInput::Audio, TurnInput::Event("WELCOME".to_owned()), TurnInput::Text("hi".to_owned())] {
            let request = first_request::<false>(&context(), &start(input));
            let read: v2::StreamingDetectIntentRequest = through_v2(&request);
            assert_eq!(read.session, "projects/p/agent/sessions/CA1");
            match read.query_input.unwrap().input.unwrap() {
                v2::query_input::Input::AudioConfig(config) => {
                    assert_eq!((config.audio_encoding(), config.sample_rate_hertz), (v2::AudioEncoding::Mulaw, 8000));
                    assert!(config.single_utterance, "in the audio configuration, where it has an effect");
                    assert_eq!(config.language_code, "de");
                }
                v2::query_input::Input::Event(event) => {
                    assert_eq!((event.name.as_str(), event.language_code.as_str()), ("WELCOME", "de"));
                    assert!(event.parameters.unwrap().fields.contains_key("shop"));
                }
                v2::query_input::Input::Text(text) => assert_eq!(text.text, "hi"),
            }
            let payload = read.query_params.unwrap().payload.unwrap();
            assert_eq!(from_struct(payload)["telephony"]["caller_id"], "+15550100");
            assert_eq!(read.output_audio_config.unwrap().audio_encoding(), v2::OutputAudioEncoding::Mulaw);
        }
        let audio: v2::StreamingDetectIntentRequest = through_v2(&Es::<false>::audio(Bytes::from_static(&[1, 2])));
        assert_eq!(&audio.input_audio[..], [1, 2]);
    }

    #[test]
    fn what_v2_writes_is_read() {
        let response = v2::StreamingDetectIntentResponse {
            query_result: Some(v2::QueryResult {
                query_text: "bye".to_owned(),
                action: "leave".to_owned(),
                fulfillment_text: "good bye".to_owned(),
                parameters: Some(to_struct(json!({ "n": 2 }).as_object().unwrap())),
                intent: Some(v2::Intent {
                    name: "intents/1".to_owned(),
                    display_name: "leaving".to_owned(),
                    end_interaction: true,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let response = es::StreamingDetectIntentResponse::decode(&response.encode_to_vec()[..]).unwrap();
        let [AgentEvent::Answer(answer)] = &events(response)[..] else { panic!() };
        assert_eq!((answer.query_text.as_str(), answer.text.as_str()), ("bye", "good bye"));
        assert_eq!((answer.action.as_str(), &answer.parameters["n"]), ("leave", &json!(2)));
        assert_eq!(answer.end, Some(AgentEnd::EndInteraction));
        assert_eq!((answer.part, answer.prompts.len()), (AnswerPart::Open, 0), "audio may follow");

        let result = v2::StreamingRecognitionResult {
            message_type: v2::streaming_recognition_result::MessageType::EndOfSingleUtterance.into(),
            ..Default::default()
        };
        let response = v2::StreamingDetectIntentResponse { recognition_result: Some(result), ..Default::default() };
        let response = es::StreamingDetectIntentResponse::decode(&response.encode_to_vec()[..]).unwrap();
        assert_eq!(events(response), [AgentEvent::EndOfUtterance]);
    }

    #[test]
    fn only_v2beta1_is_told_of_the_prompt() {
        let config = |request: es::StreamingDetectIntentRequest| match request.query_input.unwrap().input {
            Some(Input::AudioConfig(config)) => config.barge_in_config,
            other => panic!("{other:?}"),
        };
        assert!(config(first_request::<false>(&context(), &start(TurnInput::Audio))).is_none());
        let window = config(first_request::<true>(&context(), &start(TurnInput::Audio))).unwrap();
        assert_eq!(from_duration(window.total_duration.unwrap()), 2_500);
    }

    #[test]
    fn audio_in_a_message_of_its_own_is_part_of_the_answer() {
        let config = es::OutputAudioConfig {
            audio_encoding: es::OutputAudioEncoding::Linear16.into(),
            sample_rate_hertz: 16_000,
            ..Default::default()
        };
        let response = es::StreamingDetectIntentResponse {
            output_audio: Bytes::from_static(&[1, 2, 3, 4]),
            output_audio_config: Some(config),
            ..Default::default()
        };
        let [AgentEvent::Answer(answer)] = &events(response)[..] else { panic!() };
        let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: 16_000 };
        assert_eq!((answer.prompts[0].format, answer.part), (format, AnswerPart::Open));
    }

    #[test]
    fn every_way_to_end_is_known() {
        let intent = |live_agent_handoff, end_interaction| {
            Some(es::Intent { live_agent_handoff, end_interaction, ..Default::default() })
        };
        let payload = to_struct(json!({ "queue": "cakes" }).as_object().unwrap());
        let of = |result: es::QueryResult| end(&result);
        assert_eq!(of(es::QueryResult::default()), None);
        assert_eq!(
            of(es::QueryResult { intent: intent(false, true), ..Default::default() }),
            Some(AgentEnd::EndInteraction)
        );
        let handoff =
            es::QueryResult { intent: intent(true, true), webhook_payload: Some(payload), ..Default::default() };
        assert_eq!(of(handoff), Some(AgentEnd::LiveAgentHandoff { metadata: json!({ "queue": "cakes" }) }));
        let diagnostics = to_struct(json!({ "end_conversation": true }).as_object().unwrap());
        let old = es::QueryResult { diagnostic_info: Some(diagnostics), ..Default::default() };
        assert_eq!(of(old), Some(AgentEnd::EndInteraction));
        let message = es::intent::message::TelephonyTransferCall { phone_number: "+15550199".to_owned() };
        let transfer = es::QueryResult {
            fulfillment_messages: vec![es::intent::Message {
                message: Some(es::intent::message::Message::TelephonyTransferCall(message)),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(of(transfer), Some(AgentEnd::Transfer { phone_number: "+15550199".to_owned() }));
    }

    #[test]
    fn an_event_that_matched_nothing_is_no_answer() {
        let response =
            es::StreamingDetectIntentResponse { query_result: Some(es::QueryResult::default()), ..Default::default() };
        let [AgentEvent::Answer(answer)] = &events(response)[..] else { panic!() };
        assert!(answer.is_empty() && answer.intent.is_none());
    }
}
