//! Dialogflow CX v3 and core's words, both ways. Pure: what a message means is told here, what to do about it in core.
//!
//! Field names and their meaning: the protos of `google.cloud.dialogflow.cx.v3`.

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Intent, Matched, Prompt, Transcript, TurnInput, TurnStart};
use dialbridge_core::audio::{AudioFormat, Encoding, SAMPLE_RATE};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use serde_json::{Map, Value};

use cx::detect_intent_response::ResponseType;
use cx::r#match::MatchType;
use cx::query_input::Input;
use cx::response_message::Message;
use cx::streaming_detect_intent_response::Response;
use cx::streaming_recognition_result::MessageType;

use super::SessionContext;
use super::protobuf::{from_duration, from_struct, to_duration, to_struct};
use super::stream::Dialect;

/// The telephone's sample rate as protobuf has it.
const RATE: i32 = SAMPLE_RATE.cast_signed();

/// CX v3.
#[derive(Debug)]
pub(super) struct Cx;

impl Dialect for Cx {
    const METHOD: &'static str = "/google.cloud.dialogflow.cx.v3.Sessions/StreamingDetectIntent";
    type Request = cx::StreamingDetectIntentRequest;
    type Response = cx::StreamingDetectIntentResponse;

    fn first(context: &SessionContext, start: &TurnStart) -> Self::Request {
        first_request(context, start)
    }

    fn audio(audio: Bytes) -> Self::Request {
        audio_request(audio)
    }

    fn events(response: Self::Response) -> Vec<AgentEvent> {
        event(response).into_iter().collect()
    }
}

/// The first message of a turn: session, parameters, input and output configuration; no audio yet.
fn first_request(context: &SessionContext, start: &TurnStart) -> cx::StreamingDetectIntentRequest {
    let input = match &start.input {
        TurnInput::Audio => Input::Audio(cx::AudioInput { config: Some(input_config(start)), audio: Bytes::new() }),
        TurnInput::Event(event) => Input::Event(cx::EventInput { event: event.clone() }),
        TurnInput::Text(text) => Input::Text(cx::TextInput { text: text.clone() }),
    };
    cx::StreamingDetectIntentRequest {
        session: context.session.clone(),
        query_params: query_parameters(start),
        query_input: Some(cx::QueryInput { language_code: context.language.clone(), input: Some(input) }),
        // No synthesize_speech_config: one that is set replaces the agent's own voice.
        output_audio_config: Some(cx::OutputAudioConfig {
            audio_encoding: cx::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: RATE,
            synthesize_speech_config: None,
        }),
        enable_partial_response: true,
        ..Default::default()
    }
}

fn input_config(start: &TurnStart) -> cx::InputAudioConfig {
    cx::InputAudioConfig {
        audio_encoding: cx::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: RATE,
        single_utterance: true,
        barge_in_config: start.barge_in.map(|window| cx::BargeInConfig {
            no_barge_in_duration: Some(to_duration(window.protected_ms)),
            total_duration: Some(to_duration(window.total_ms)),
        }),
        ..Default::default()
    }
}

fn query_parameters(start: &TurnStart) -> Option<cx::QueryParameters> {
    let given = |map: &Map<String, Value>| (!map.is_empty()).then(|| to_struct(map));
    let (parameters, payload) = (given(&start.parameters), given(&start.payload));
    (parameters.is_some() || payload.is_some()).then(|| cx::QueryParameters {
        parameters,
        payload,
        ..Default::default()
    })
}

/// A later message of a turn: audio, mu-law at 8,000 Hz.
fn audio_request(audio: Bytes) -> cx::StreamingDetectIntentRequest {
    cx::StreamingDetectIntentRequest {
        query_input: Some(cx::QueryInput {
            input: Some(Input::Audio(cx::AudioInput { config: None, audio })),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What a message of the agent's means; `None` for one that says nothing.
fn event(response: cx::StreamingDetectIntentResponse) -> Option<AgentEvent> {
    match response.response? {
        Response::RecognitionResult(result) => recognition(result),
        Response::DetectIntentResponse(response) => Some(AgentEvent::Answer(Box::new(answer(response)))),
    }
}

fn recognition(result: cx::StreamingRecognitionResult) -> Option<AgentEvent> {
    match result.message_type() {
        MessageType::EndOfSingleUtterance => Some(AgentEvent::EndOfUtterance),
        MessageType::Transcript => Some(AgentEvent::Transcript(Transcript {
            is_final: result.is_final,
            confidence: (result.confidence > 0.0).then_some(result.confidence),
            start_ms: result.speech_word_info.first().and_then(|word| word.start_offset).map(from_duration),
            end_ms: result.speech_end_offset.map(from_duration),
            text: result.transcript,
        })),
        MessageType::Unspecified => None,
    }
}

fn answer(response: cx::DetectIntentResponse) -> Answer {
    let part = match response.response_type() {
        ResponseType::Partial => AnswerPart::Partial,
        ResponseType::Final | ResponseType::Unspecified => AnswerPart::Final,
    };
    let result = response.query_result.unwrap_or_default();
    let said = Said::of(&result.response_messages);
    let (prompts, unplayable) = match format(response.output_audio_config.as_ref()) {
        _ if response.output_audio.is_empty() => (Vec::new(), None),
        Ok(format) => {
            let audio = response.output_audio.to_vec();
            (vec![Prompt { format, audio, interruptible: said.interruptible }], None)
        }
        Err(coding) => (Vec::new(), Some(coding)),
    };
    let matched = result.r#match.unwrap_or_default();
    Answer {
        part,
        query_text: query_text(result.query),
        text: said.text.join(" "),
        prompts,
        unplayable,
        matched: match matched.match_type() {
            MatchType::NoInput => Matched::NoInput,
            MatchType::NoMatch => Matched::NoMatch,
            MatchType::Unspecified
            | MatchType::Intent
            | MatchType::DirectIntent
            | MatchType::ParameterFilling
            | MatchType::Event
            | MatchType::KnowledgeConnector
            | MatchType::Playbook => Matched::Yes,
        },
        intent: matched.intent.map(|intent| Intent { name: intent.name, display_name: intent.display_name }),
        parameters: result.parameters.map(from_struct).unwrap_or_default(),
        action: String::new(),
        end: said.end,
    }
}

/// What the caller said, where it was words: digits are a secret, and an event's name is no words.
fn query_text(query: Option<cx::query_result::Query>) -> String {
    match query {
        Some(cx::query_result::Query::Text(text) | cx::query_result::Query::Transcript(text)) => text,
        Some(
            cx::query_result::Query::TriggerIntent(_)
            | cx::query_result::Query::TriggerEvent(_)
            | cx::query_result::Query::Dtmf(_),
        )
        | None => String::new(),
    }
}

/// What the messages of an answer say.
struct Said {
    text: Vec<String>,
    /// Whether every message that is heard may be interrupted.
    interruptible: bool,
    end: Option<AgentEnd>,
}

impl Said {
    fn of(messages: &[cx::ResponseMessage]) -> Self {
        let mut said = Self { text: Vec::new(), interruptible: true, end: None };
        for message in messages.iter().filter_map(|message| message.message.as_ref()) {
            said.add(message);
        }
        said
    }

    fn add(&mut self, message: &Message) {
        match message {
            Message::Text(text) => {
                self.text.extend(text.text.iter().cloned());
                self.interruptible &= text.allow_playback_interruption;
            }
            Message::OutputAudioText(text) => {
                use cx::response_message::output_audio_text::Source;
                if let Some(Source::Text(words) | Source::Ssml(words)) = &text.source {
                    self.text.push(words.clone());
                }
                self.interruptible &= text.allow_playback_interruption;
            }
            // The end without a word is the weakest: a hand-over beside it says where the call goes.
            Message::EndInteraction(_) => self.end = self.end.take().or(Some(AgentEnd::EndInteraction)),
            Message::LiveAgentHandoff(handoff) => {
                let metadata = Value::Object(handoff.metadata.clone().map(from_struct).unwrap_or_default());
                if !matches!(self.end, Some(AgentEnd::Transfer { .. })) {
                    self.end = Some(AgentEnd::LiveAgentHandoff { metadata });
                }
            }
            Message::TelephonyTransferCall(transfer) => {
                use cx::response_message::telephony_transfer_call::Endpoint;
                if let Some(Endpoint::PhoneNumber(number)) = &transfer.endpoint {
                    self.end = Some(AgentEnd::Transfer { phone_number: number.clone() });
                }
            }
            Message::Payload(_)
            | Message::ConversationSuccess(_)
            | Message::PlayAudio(_)
            | Message::MixedAudio(_)
            | Message::KnowledgeInfoCard(_)
            | Message::ToolCall(_) => {}
        }
    }
}

/// The coding of the answer's audio, which need not be the one that was asked for; its name where it cannot be played.
fn format(config: Option<&cx::OutputAudioConfig>) -> Result<AudioFormat, String> {
    let Some(config) = config else { return Ok(AudioFormat::TELEPHONE) };
    use cx::OutputAudioEncoding::{Alaw, Linear16, Mp3, Mp364Kbps, Mulaw, OggOpus, Unspecified};
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
    use cx::response_message as message;
    use dialbridge_core::agent::BargeInWindow;
    use serde_json::json;

    fn context() -> SessionContext {
        SessionContext { session: "projects/p/sessions/CA1".to_owned(), language: "de".to_owned() }
    }

    fn start(input: TurnInput) -> TurnStart {
        TurnStart { input, parameters: Map::new(), known_parameters: Map::new(), payload: Map::new(), barge_in: None }
    }

    fn answered(messages: Vec<Message>) -> Answer {
        let result = cx::QueryResult {
            response_messages: messages
                .into_iter()
                .map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() })
                .collect(),
            ..Default::default()
        };
        answer(cx::DetectIntentResponse { query_result: Some(result), ..Default::default() })
    }

    #[test]
    fn a_listening_turn_asks_for_mu_law_both_ways_and_for_one_utterance() {
        let barge_in = Some(BargeInWindow { protected_ms: 0, total_ms: 2_500 });
        let request = first_request(&context(), &TurnStart { barge_in, ..start(TurnInput::Audio) });
        let query = request.query_input.unwrap();
        assert_eq!(query.language_code, "de", "CX wants the language beside the input, not in it");
        let Some(Input::Audio(audio)) = query.input else { panic!() };
        let config = audio.config.unwrap();
        assert!(audio.audio.is_empty(), "the first message must not carry audio");
        assert_eq!((config.audio_encoding(), config.sample_rate_hertz), (cx::AudioEncoding::Mulaw, 8000));
        assert!(config.single_utterance);
        assert_eq!(from_duration(config.barge_in_config.unwrap().total_duration.unwrap()), 2_500);
        let output = request.output_audio_config.unwrap();
        assert_eq!((output.audio_encoding(), output.sample_rate_hertz), (cx::OutputAudioEncoding::Mulaw, 8000));
        assert!(output.synthesize_speech_config.is_none(), "or the agent's own voice would be lost");
        assert!(request.query_params.is_none());
    }

    #[test]
    fn parameters_go_beside_an_event_and_the_caller_id_to_the_webhook() {
        let mut start = start(TurnInput::Event("WELCOME".to_owned()));
        start.parameters = json!({ "From": "+15550100", "n": 2 }).as_object().cloned().unwrap();
        start.payload = json!({ "telephony": { "caller_id": "+15550100" } }).as_object().cloned().unwrap();
        let request = first_request(&context(), &start);
        let params = request.query_params.unwrap();
        assert_eq!(from_struct(params.parameters.unwrap()), start.parameters);
        assert_eq!(from_struct(params.payload.unwrap()), start.payload);
        assert_eq!(
            request.query_input.unwrap().input,
            Some(Input::Event(cx::EventInput { event: "WELCOME".to_owned() }))
        );
    }

    #[test]
    fn end_interaction_is_an_end_though_it_is_empty() {
        let end = Message::EndInteraction(message::EndInteraction {});
        assert_eq!(answered(vec![end]).end, Some(AgentEnd::EndInteraction));
        assert_eq!(answered(Vec::new()).end, None);
    }

    #[test]
    fn a_hand_over_beside_an_end_says_where_the_call_goes() {
        let metadata = json!({ "queue": "cakes", "n": 1 });
        let handoff =
            Message::LiveAgentHandoff(message::LiveAgentHandoff { metadata: metadata.as_object().map(to_struct) });
        let end = Message::EndInteraction(message::EndInteraction {});
        for messages in [vec![handoff.clone(), end.clone()], vec![end, handoff]] {
            assert_eq!(answered(messages).end, Some(AgentEnd::LiveAgentHandoff { metadata: metadata.clone() }));
        }
    }

    #[test]
    fn one_message_that_may_not_be_interrupted_protects_the_whole_answer() {
        let text =
            |allow| Message::Text(message::Text { text: vec!["a".to_owned()], allow_playback_interruption: allow });
        let of = |messages: Vec<Message>| {
            let result = cx::QueryResult {
                response_messages: messages
                    .into_iter()
                    .map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() })
                    .collect(),
                ..Default::default()
            };
            let output_audio = Bytes::from_static(&[1, 2]);
            answer(cx::DetectIntentResponse { query_result: Some(result), output_audio, ..Default::default() })
        };
        assert!(of(vec![text(true)]).prompts[0].interruptible);
        assert!(!of(vec![text(true), text(false)]).prompts[0].interruptible);
        assert!(of(Vec::new()).prompts[0].interruptible);
    }

    #[test]
    fn the_answers_coding_is_read_and_not_assumed() {
        let with = |encoding: cx::OutputAudioEncoding, rate| {
            answer(cx::DetectIntentResponse {
                output_audio: Bytes::from_static(&[1, 2]),
                output_audio_config: Some(cx::OutputAudioConfig {
                    audio_encoding: encoding.into(),
                    sample_rate_hertz: rate,
                    ..Default::default()
                }),
                ..Default::default()
            })
        };
        let format = with(cx::OutputAudioEncoding::Linear16, 24_000).prompts[0].format;
        assert_eq!(format, AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 });
        let mp3 = with(cx::OutputAudioEncoding::Mp3, 0);
        assert_eq!((mp3.prompts.len(), mp3.unplayable.as_deref()), (0, Some("OUTPUT_AUDIO_ENCODING_MP3")));
    }

    #[test]
    fn digits_and_event_names_are_no_words_of_the_callers() {
        let dtmf = cx::DtmfInput { digits: "1234".to_owned(), finish_digit: "#".to_owned() };
        assert_eq!(query_text(Some(cx::query_result::Query::Dtmf(dtmf))), "");
        assert_eq!(query_text(Some(cx::query_result::Query::TriggerEvent("WELCOME".to_owned()))), "");
        assert_eq!(query_text(Some(cx::query_result::Query::Transcript("yes".to_owned()))), "yes");
    }
}
