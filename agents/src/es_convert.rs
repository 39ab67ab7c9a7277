//! Converts between core's types and Dialogflow ES's messages. Pure.
//!
//! v2beta1 has every v2 field that we use, under the same number (a test compares them), and some of its own. So we use
//! its types for both versions, and leave out what v2 lacks. Field names and their meaning: the protos of
//! `google.cloud.dialogflow.v2` and `v2beta1`.

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{
    AgentEnd, Answer, AnswerPart, DIGITS_PARAMETER, Digits, DigitsForm, Intent, Matched, Prompt, Transfer, TurnInput,
    TurnStart,
};
use dialbridge_core::payload::flag;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use serde_json::{Map, Value};

use es::intent::message::Message;
use es::query_input::Input;

use crate::protobuf::{from_struct, misplaced, to_struct};
use crate::session::SessionContext;
use crate::speech::SpeechConfig;
use crate::stream::Dialect;

crate::dialogflow::common_requests!(es);
crate::dialogflow::common_responses!(es, Status);

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
    let speech = &context.speech;
    es::StreamingDetectIntentRequest {
        session: context.session.clone(),
        query_params: Some(es::QueryParameters {
            payload: Some(to_struct(&payload(start))),
            time_zone: speech.time_zone.clone().unwrap_or_default(),
            sentiment_analysis_request_config: speech
                .sentiment
                .then_some(es::SentimentAnalysisRequestConfig { analyze_query_text_sentiment: true }),
            webhook_headers: speech.exposed_headers(),
            ..Default::default()
        }),
        query_input: Some(es::QueryInput { input: Some(input::<BETA>(context, start)) }),
        output_audio_config: Some(output_audio_config(speech.sets_voice().then(|| voice(speech, true)))),
        // The mask names only what is set. Without a mask, the request's configuration would replace the agent's whole
        // voice.
        output_audio_config_mask: Some(prost_types::FieldMask { paths: mask(speech) }),
        ..Default::default()
    }
}

fn input<const BETA: bool>(context: &SessionContext, start: &TurnStart) -> Input {
    let language_code = context.language.clone();
    let given = |parameters: &Map<String, Value>| (!parameters.is_empty()).then(|| to_struct(parameters));
    match &start.input {
        TurnInput::Audio => Input::AudioConfig(input_config::<BETA>(language_code, &context.speech, start)),
        TurnInput::Event(name) => {
            let parameters = given(&start.known_parameters);
            Input::Event(es::EventInput { name: name.clone(), parameters, language_code })
        }
        TurnInput::Text(text) => Input::Text(es::TextInput { text: text.clone(), language_code }),
        TurnInput::Digits(digits, DigitsForm::Dtmf) if BETA => Input::Dtmf(dtmf(digits)),
        // v2 has no DTMF input.
        TurnInput::Digits(digits, DigitsForm::Dtmf | DigitsForm::Text) => {
            Input::Text(es::TextInput { text: digits.digits.clone(), language_code })
        }
        TurnInput::Digits(digits, DigitsForm::Event(name)) => {
            let mut parameters = start.known_parameters.clone();
            parameters.insert(DIGITS_PARAMETER.to_owned(), digits.digits.as_str().into());
            Input::Event(es::EventInput { name: name.clone(), parameters: given(&parameters), language_code })
        }
        // ES calls no tools.
        TurnInput::ToolResults(_) => Input::Text(es::TextInput { text: String::new(), language_code }),
    }
}

/// The digits and the one that ended them, as the caller pressed them.
fn dtmf(digits: &Digits) -> es::TelephonyDtmfEvents {
    let keys = digits.digits.chars().chain(digits.finish_digit);
    es::TelephonyDtmfEvents { dtmf_events: keys.map(|key| telephony_key(key).into()).collect() }
}

fn telephony_key(key: char) -> es::TelephonyDtmf {
    use es::TelephonyDtmf as Key;
    match key {
        '1' => Key::DtmfOne,
        '2' => Key::DtmfTwo,
        '3' => Key::DtmfThree,
        '4' => Key::DtmfFour,
        '5' => Key::DtmfFive,
        '6' => Key::DtmfSix,
        '7' => Key::DtmfSeven,
        '8' => Key::DtmfEight,
        '9' => Key::DtmfNine,
        '0' => Key::DtmfZero,
        'A' => Key::DtmfA,
        'B' => Key::DtmfB,
        'C' => Key::DtmfC,
        'D' => Key::DtmfD,
        '*' => Key::DtmfStar,
        '#' => Key::DtmfPound,
        _ => Key::Unspecified,
    }
}

fn input_config<const BETA: bool>(
    language_code: String,
    speech: &SpeechConfig,
    start: &TurnStart,
) -> es::InputAudioConfig {
    let hints = speech.phrase_hints.clone();
    es::InputAudioConfig {
        audio_encoding: es::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: RATE,
        language_code,
        single_utterance: start.agent_ends,
        // The time of each word tells best whether the caller said it before a prompt began.
        enable_word_info: true,
        speech_contexts: if hints.is_empty() {
            Vec::new()
        } else {
            vec![es::SpeechContext { phrases: hints, boost: 0.0 }]
        },
        model: speech.model.clone().unwrap_or_default(),
        model_variant: model_variant(speech),
        barge_in_config: start.barge_in.filter(|_| BETA).map(barge_in_config),
        ..Default::default()
    }
}

/// The fields of the output configuration that the request sets.
fn mask(speech: &SpeechConfig) -> Vec<String> {
    let parts = [
        (true, "audio_encoding"),
        (true, "sample_rate_hertz"),
        (speech.voice_name.is_some(), "synthesize_speech_config.voice.name"),
        (speech.voice_gender.is_some(), "synthesize_speech_config.voice.ssml_gender"),
        (speech.speaking_rate.is_some(), "synthesize_speech_config.speaking_rate"),
        (speech.pitch.is_some(), "synthesize_speech_config.pitch"),
        (speech.volume_gain_db.is_some(), "synthesize_speech_config.volume_gain_db"),
        (!speech.effects.is_empty(), "synthesize_speech_config.effects_profile_id"),
    ];
    parts.into_iter().filter(|(is_set, _)| *is_set).map(|(_, path)| path.to_owned()).collect()
}

/// ES has no session parameters, so every turn's payload gives a webhook what is known of the call.
fn payload(start: &TurnStart) -> Map<String, Value> {
    let mut payload = start.known_parameters.clone();
    payload.extend(start.payload.clone());
    payload
}

/// Converts a message. It may carry a recognition result, the query's result, audio, or several of these.
fn events(response: es::StreamingDetectIntentResponse) -> Vec<AgentEvent> {
    let mut events: Vec<AgentEvent> = response.recognition_result.and_then(recognition).into_iter().collect();
    let audio = (response.output_audio, response.output_audio_config);
    let answer = match response.query_result {
        Some(result) => Some(answer(result, response.webhook_status, audio)),
        None if audio.0.is_empty() => None,
        None => Some(with_audio(Answer::default(), audio)),
    };
    events.extend(answer.map(|answer| AgentEvent::Answer(Box::new(answer))));
    events
}

type Audio = (Bytes, Option<es::OutputAudioConfig>);
type Status = googleapis_tonic_google_cloud_dialogflow_v2beta1::google::rpc::Status;

fn answer(result: es::QueryResult, webhook: Option<Status>, audio: Audio) -> Answer {
    let end = end(&result);
    let telephony = telephony(&result, audio.0.is_empty());
    let intent = result.intent.unwrap_or_default();
    let payloads = result.fulfillment_messages.into_iter().filter_map(|message| match message.message? {
        Message::Payload(payload) => Some(Value::Object(from_struct(payload))),
        _ => None,
    });
    let answer = Answer {
        // More audio may follow in a separate message.
        part: AnswerPart::Open,
        query_text: result.query_text,
        text: if result.fulfillment_text.is_empty() { telephony.text } else { result.fulfillment_text },
        matched: if intent.is_fallback { Matched::NoMatch } else { Matched::Yes },
        intent: (!intent.name.is_empty() || !intent.display_name.is_empty())
            .then_some(Intent { name: intent.name, display_name: intent.display_name }),
        parameters: result.parameters.map(from_struct).unwrap_or_default(),
        action: result.action,
        end,
        payloads: payloads.collect(),
        misplaced: misplaced(&result.webhook_payload),
        webhook_faults: webhook.as_ref().and_then(webhook_fault).into_iter().collect(),
        ..Answer::default()
    };
    let mut answer = with_audio(answer, audio);
    answer.prompts.extend(telephony.prompts);
    answer
}

/// The contents of v2beta1's telephony messages.
#[derive(Default)]
struct Telephony {
    text: String,
    prompts: Vec<Prompt>,
}

/// Reads the telephony messages. Dialogflow synthesises only the texts of the default platform, so we synthesise a
/// telephony message separately. If the answer has audio of its own, we do not: that audio says the same for other
/// platforms.
fn telephony(result: &es::QueryResult, has_no_audio: bool) -> Telephony {
    use es::intent::message::telephony_synthesize_speech::Source;
    let mut telephony = Telephony::default();
    for message in result.fulfillment_messages.iter().filter_map(|message| message.message.as_ref()) {
        match message {
            Message::TelephonyPlayAudio(play) => telephony.prompts.push(Prompt::at(play.audio_uri.clone())),
            Message::TelephonySynthesizeSpeech(speech) if has_no_audio && result.fulfillment_text.is_empty() => {
                let (scheme, words) = match &speech.source {
                    Some(Source::Text(words)) => ("text", words),
                    Some(Source::Ssml(words)) => ("ssml", words),
                    None => continue,
                };
                telephony.text.push_str(words);
                telephony.prompts.push(Prompt::at(format!("{scheme}:{words}")));
            }
            _ => {}
        }
    }
    telephony
}

fn with_audio(mut answer: Answer, (audio, config): Audio) -> Answer {
    if audio.is_empty() {
        return answer;
    }
    match format(config.as_ref()) {
        Ok(format) => answer.prompts.push(Prompt::new(format, audio)),
        Err(coding) => answer.unplayable = Some(coding),
    }
    answer
}

/// How the agent ends its part: by the intent's own marks, by a telephony message, or by the older mark in the
/// diagnostic information. The metadata of the hand-off is the webhook's payload, else the first custom payload.
fn end(result: &es::QueryResult) -> Option<AgentEnd> {
    let messages = || result.fulfillment_messages.iter().filter_map(|message| message.message.as_ref());
    let transfer = messages().find_map(|message| match message {
        Message::TelephonyTransferCall(transfer) => Some(transfer.phone_number.clone()),
        _ => None,
    });
    if let Some(phone_number) = transfer {
        return Some(AgentEnd::Transfer(Transfer::to(phone_number)));
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
        || diagnostics.get("end_conversation").and_then(flag) == Some(true);
    ends.then_some(AgentEnd::EndInteraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{EsApi, Product};
    use crate::protobuf::{from_duration, to_duration};
    use dialbridge_core::agent::BargeInWindow;
    use dialbridge_core::audio::{AudioFormat, Encoding};
    use prost::Message as _;
    use prost::encoding::{DecodeContext, decode_key, decode_varint, skip_field};
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn context() -> SessionContext {
        SessionContext {
            session: "projects/p/agent/sessions/CA1".to_owned(),
            language: "de".to_owned(),
            product: Product::Es(EsApi::V2),
            speech: Arc::default(),
            ces: Arc::default(),
        }
    }

    fn start(input: TurnInput) -> TurnStart {
        TurnStart {
            known_parameters: json!({ "From": "+15550100", "shop": "north" }).as_object().cloned().unwrap(),
            payload: json!({ "telephony": { "caller_id": "+15550100" } }).as_object().cloned().unwrap(),
            barge_in: Some(BargeInWindow { protected_ms: 0, total_ms: 2_500 }),
            ..TurnStart::new(input)
        }
    }

    /// The fields of a request that are messages. All others are values or messages that we do not look into.
    const MESSAGES: [&str; 5] = ["2", "3", "3.1", "3.2", "3.3"];

    /// The numbers of all fields in a request's bytes. A nested field's number follows its parent's.
    fn fields(mut bytes: &[u8], of: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        while !bytes.is_empty() {
            let (number, kind) = decode_key(&mut bytes).unwrap();
            let field = format!("{of}{number}");
            let before = bytes;
            skip_field(kind, number, &mut bytes, DecodeContext::default()).unwrap();
            if MESSAGES.contains(&field.as_str()) {
                let mut within = &before[..before.len() - bytes.len()];
                decode_varint(&mut within).unwrap();
                found.extend(fields(within, &format!("{field}.")));
            }
            found.insert(field);
        }
        found
    }

    /// Fields that v2's published types have under the same numbers.
    #[test]
    fn what_we_write_for_v2_is_v2() {
        let audio = &["3.1", "3.1.1", "3.1.2", "3.1.3", "3.1.8", "3.1.13"][..];
        for (input, of_input) in [
            (TurnInput::Audio, audio),
            (TurnInput::Text("hi".to_owned()), &["3.2", "3.2.1", "3.2.2"]),
            (TurnInput::Event("WELCOME".to_owned()), &["3.3", "3.3.1", "3.3.2", "3.3.3"]),
        ] {
            let request = first_request::<false>(&context(), &start(input));
            let known = ["1", "2", "2.6", "3", "5", "7"].iter().chain(of_input).map(|&field| field.to_owned());
            assert_eq!(fields(&request.encode_to_vec(), ""), known.collect());
            assert_eq!(request.session, "projects/p/agent/sessions/CA1");
            match request.query_input.unwrap().input.unwrap() {
                Input::AudioConfig(config) => {
                    assert_eq!((config.audio_encoding(), config.sample_rate_hertz), (es::AudioEncoding::Mulaw, 8000));
                    assert!(config.single_utterance, "in the audio configuration, where it has an effect");
                    assert_eq!(config.language_code, "de");
                }
                Input::Event(event) => {
                    assert_eq!((event.name.as_str(), event.language_code.as_str()), ("WELCOME", "de"));
                    assert!(event.parameters.unwrap().fields.contains_key("shop"));
                }
                Input::Text(text) => assert_eq!(text.text, "hi"),
                other => panic!("{other:?}"),
            }
            let payload = request.query_params.unwrap().payload.unwrap();
            assert_eq!(from_struct(payload)["telephony"]["caller_id"], "+15550100");
            assert_eq!(request.output_audio_config.unwrap().audio_encoding(), es::OutputAudioEncoding::Mulaw);
        }
        assert_eq!(Es::<false>::audio(Bytes::from_static(&[1, 2])).encode_to_vec(), [6 << 3 | 2, 2, 1, 2]);
    }

    /// The bytes that v2's published types write.
    #[test]
    fn what_v2_writes_is_read() {
        let read = |bytes: &[u8]| events(es::StreamingDetectIntentResponse::decode(bytes).unwrap());
        let result = b"\x1aA\n\x03bye\x1a\x05leave\"\x10\n\x0e\n\x01n\x12\t\x11\x00\x00\x00\x00\x00\x00\x00@\
            2\x08good byeZ\x17\n\tintents/1\x12\x07leaving\xa8\x01\x01";
        let [AgentEvent::Answer(answer)] = &read(result)[..] else { panic!() };
        assert_eq!((answer.query_text.as_str(), answer.text.as_str()), ("bye", "good bye"));
        assert_eq!((answer.action.as_str(), &answer.parameters["n"]), ("leave", &json!(2)));
        assert_eq!(answer.end, Some(AgentEnd::EndInteraction));
        assert_eq!((answer.part, answer.prompts.len()), (AnswerPart::Open, 0), "audio may follow");
        assert_eq!(read(b"\x12\x02\x08\x02"), [AgentEvent::EndOfUtterance { end_ms: None }]);
        let with_offset = read(b"\x12\x06\x08\x02\x42\x02\x08\x01");
        assert_eq!(with_offset, [AgentEvent::EndOfUtterance { end_ms: Some(1_000) }]);
    }

    #[test]
    fn recognised_speech_ends_with_its_result_or_its_last_word() {
        let end = |speech_end_offset| {
            let word = |end_ms| es::SpeechWordInfo { end_offset: Some(to_duration(end_ms)), ..Default::default() };
            let result = es::StreamingRecognitionResult {
                message_type: es::streaming_recognition_result::MessageType::Transcript.into(),
                speech_word_info: vec![word(400), word(900)],
                speech_end_offset,
                ..Default::default()
            };
            match recognition(result) {
                Some(AgentEvent::Transcript(transcript)) => transcript.end_ms,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((end(Some(to_duration(1_200))), end(None)), (Some(1_200), Some(900)));
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
        assert_eq!(of(transfer), Some(AgentEnd::Transfer(Transfer::to("+15550199"))));
    }

    #[test]
    fn an_event_that_matched_nothing_is_no_answer() {
        let response =
            es::StreamingDetectIntentResponse { query_result: Some(es::QueryResult::default()), ..Default::default() };
        let [AgentEvent::Answer(answer)] = &events(response)[..] else { panic!() };
        assert!(answer.is_empty() && answer.intent.is_none());
    }
}
