//! Converts core's input to messages of Dialogflow CX v3. Pure.
//!
//! Field names and their meaning: the protos of `google.cloud.dialogflow.cx.v3`.

use bytes::Bytes;
use dialbridge_core::agent::{DIGITS_PARAMETER, Digits, DigitsForm, ToolOutcome, ToolResult, TurnInput, TurnStart};
use dialbridge_core::parameters::NameCase;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use serde_json::Map;

use cx::query_input::Input;

use crate::protobuf::{to_duration, to_struct};
use crate::session::SessionContext;
use crate::speech::SpeechConfig;

crate::dialogflow::common_requests!(cx);

/// The answer to a tool call that we do not run.
const NO_TOOLS: &str = "this client runs no tools: go on without";

/// The first message of a turn: session, parameters, input and output configuration, without audio.
pub(super) fn first_request(context: &SessionContext, start: &TurnStart) -> cx::StreamingDetectIntentRequest {
    let speech = &context.speech;
    let names_voice = speech.voice_name.is_some() || speech.voice_gender.is_some();
    cx::StreamingDetectIntentRequest {
        session: context.session.clone(),
        query_params: query_parameters(context, start),
        query_input: Some(cx::QueryInput {
            language_code: context.language.clone(),
            input: Some(input(start, speech)),
        }),
        // A voice in the request replaces the agent's own.
        output_audio_config: Some(output_audio_config(speech.sets_voice().then(|| voice(speech, names_voice)))),
        enable_partial_response: true,
        ..Default::default()
    }
}

/// A later message of a turn: audio, mu-law at 8,000 Hz.
pub(super) fn audio_request(audio: Bytes) -> cx::StreamingDetectIntentRequest {
    cx::StreamingDetectIntentRequest {
        query_input: Some(cx::QueryInput {
            input: Some(Input::Audio(cx::AudioInput { config: None, audio })),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn input(start: &TurnStart, speech: &SpeechConfig) -> Input {
    match &start.input {
        TurnInput::Audio => {
            Input::Audio(cx::AudioInput { config: Some(input_config(start, speech)), audio: Bytes::new() })
        }
        TurnInput::Event(event) => Input::Event(cx::EventInput { event: event.clone() }),
        TurnInput::Text(text) => Input::Text(cx::TextInput { text: text.clone() }),
        TurnInput::Digits(digits, DigitsForm::Dtmf) => Input::Dtmf(cx::DtmfInput {
            digits: digits.digits.clone(),
            finish_digit: digits.finish_digit.map(String::from).unwrap_or_default(),
        }),
        TurnInput::Digits(digits, DigitsForm::Text) => Input::Text(cx::TextInput { text: digits.digits.clone() }),
        TurnInput::Digits(_, DigitsForm::Event(event)) => Input::Event(cx::EventInput { event: event.clone() }),
        // A turn has one tool result.
        TurnInput::ToolResults(results) => Input::ToolCallResult(results.first().map(tool_result).unwrap_or_default()),
    }
}

fn tool_result(result: &ToolResult) -> cx::ToolCallResult {
    use cx::tool_call_result::{Error, Result::Error as Failed, Result::OutputParameters};
    let failed = |why: &str| Failed(Error { message: why.to_owned() });
    let outcome = match &result.outcome {
        ToolOutcome::Done(parameters) => OutputParameters(to_struct(parameters)),
        ToolOutcome::Failed(why) => failed(why),
        ToolOutcome::Refused => failed(NO_TOOLS),
    };
    cx::ToolCallResult { tool: result.call.tool.clone(), action: result.call.action.clone(), result: Some(outcome) }
}

fn input_config(start: &TurnStart, speech: &SpeechConfig) -> cx::InputAudioConfig {
    cx::InputAudioConfig {
        audio_encoding: cx::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: RATE,
        single_utterance: start.agent_ends,
        // The time of each word tells best whether the caller said it before a prompt began.
        enable_word_info: true,
        phrase_hints: speech.phrase_hints.clone(),
        model: speech.model.clone().unwrap_or_default(),
        model_variant: model_variant(speech),
        barge_in_config: start.barge_in.map(barge_in_config),
        ..Default::default()
    }
}

/// The full name of a page of the session's agent.
fn full_page(page: &str, session: &str) -> String {
    let agent = session.split_once("/sessions/").map_or(session, |(agent, _)| agent);
    let agent = agent.split_once("/environments/").map_or(agent, |(agent, _)| agent);
    if page.starts_with("projects/") { page.to_owned() } else { format!("{agent}/{page}") }
}

fn query_parameters(context: &SessionContext, start: &TurnStart) -> Option<cx::QueryParameters> {
    let speech = &context.speech;
    let mut parameters = start.parameters.clone();
    // CX's events have no parameters.
    if let TurnInput::Digits(Digits { digits: keys, .. }, DigitsForm::Event(_)) = &start.input {
        NameCase::Ignored.insert(&mut parameters, DIGITS_PARAMETER, keys.as_str().into());
    }
    let given = |map: &Map<_, _>| (!map.is_empty()).then(|| to_struct(map));
    let params = cx::QueryParameters {
        parameters: given(&parameters),
        current_page: start.page.as_deref().map(|page| full_page(page, &context.session)).unwrap_or_default(),
        payload: given(&start.payload),
        time_zone: speech.time_zone.clone().unwrap_or_default(),
        analyze_query_text_sentiment: speech.sentiment,
        webhook_headers: speech.exposed_headers(),
        flow_versions: speech.flow_versions.clone(),
        channel: speech.channel.clone().unwrap_or_default(),
        end_user_metadata: given(&start.end_user),
        session_ttl: speech.session_ttl_minutes.map(|minutes| to_duration(minutes * 60_000)),
        ..Default::default()
    };
    (params != cx::QueryParameters::default()).then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Product;
    use crate::protobuf::{from_duration, from_struct};
    use crate::speech::ModelVariant;
    use dialbridge_core::agent::{BargeInWindow, ToolCall};
    use dialbridge_net::Secret;
    use serde_json::json;
    use std::sync::Arc;

    fn context(speech: SpeechConfig) -> SessionContext {
        SessionContext {
            session: "projects/p/locations/l/agents/a/sessions/CA1".to_owned(),
            language: "en-US".to_owned(),
            product: Product::Cx,
            speech: speech.into(),
            ces: Arc::default(),
        }
    }

    fn start(input: TurnInput) -> TurnStart {
        TurnStart::new(input)
    }

    fn first(input: TurnInput) -> cx::StreamingDetectIntentRequest {
        first_request(&context(SpeechConfig::default()), &start(input))
    }

    fn sent(request: cx::StreamingDetectIntentRequest) -> Input {
        request.query_input.unwrap().input.unwrap()
    }

    #[test]
    fn the_first_message_names_session_language_and_codings_and_carries_no_audio() {
        let request = first(TurnInput::Audio);
        assert!(request.session.ends_with("/sessions/CA1"));
        let output = request.output_audio_config.clone().unwrap();
        assert_eq!((output.audio_encoding(), output.sample_rate_hertz), (cx::OutputAudioEncoding::Mulaw, 8000));
        assert!(output.synthesize_speech_config.is_none(), "the agent's own voice stays");
        assert_eq!(request.query_input.as_ref().unwrap().language_code, "en-US");
        assert!(request.query_params.is_none());
        let Input::Audio(audio) = sent(request) else { panic!() };
        assert!(audio.audio.is_empty());
        let config = audio.config.unwrap();
        assert_eq!((config.audio_encoding(), config.single_utterance), (cx::AudioEncoding::Mulaw, true));
        assert!(config.barge_in_config.is_none());
    }

    #[test]
    fn session_parameters_and_the_payload_go_along() {
        let mut start = start(TurnInput::Text("hi".to_owned()));
        start.parameters = json!({ "From": "+15550100" }).as_object().cloned().unwrap();
        start.payload = json!({ "telephony": { "caller_id": "+15550100" } }).as_object().cloned().unwrap();
        let params = first_request(&context(SpeechConfig::default()), &start).query_params.unwrap();
        assert_eq!(from_struct(params.parameters.unwrap())["From"], "+15550100");
        assert_eq!(from_struct(params.payload.unwrap())["telephony"]["caller_id"], "+15550100");
    }

    #[test]
    fn the_page_and_what_is_known_of_the_caller_go_along() {
        let mut start = start(TurnInput::Text("hi".to_owned()));
        start.end_user = json!({ "plan": "gold" }).as_object().cloned().unwrap();
        let full = "projects/p/locations/l/agents/a/flows/F/pages/P";
        for (page, session) in [("flows/F/pages/P", "sessions/CA1"), (full, "environments/e/sessions/CA1")] {
            start.page = Some(page.to_owned());
            let session = format!("projects/p/locations/l/agents/a/{session}");
            let context = SessionContext { session, ..context(SpeechConfig::default()) };
            let params = first_request(&context, &start).query_params.unwrap();
            assert_eq!(params.current_page, full);
            assert_eq!(from_struct(params.end_user_metadata.unwrap())["plan"], "gold");
        }
        let agent = "projects/p/locations/l/agents/a";
        assert_eq!(full_page("flows/F/pages/P", &format!("{agent}/environments/e/sessions/CA1")), full);
    }

    #[test]
    fn the_recogniser_is_told_of_a_prompt_that_plays() {
        let mut start = start(TurnInput::Audio);
        start.barge_in = Some(BargeInWindow { protected_ms: 1_000, total_ms: 2_500 });
        let Input::Audio(audio) = sent(first_request(&context(SpeechConfig::default()), &start)) else { panic!() };
        let window = audio.config.unwrap().barge_in_config.unwrap();
        assert_eq!(from_duration(window.no_barge_in_duration.unwrap()), 1_000);
        assert_eq!(from_duration(window.total_duration.unwrap()), 2_500);
    }

    #[test]
    fn digits_go_as_dtmf_as_text_or_as_an_event_with_a_parameter() {
        let digits = || Digits { digits: "12".to_owned(), finish_digit: Some('#') };
        let Input::Dtmf(dtmf) = sent(first(TurnInput::Digits(digits(), DigitsForm::Dtmf))) else { panic!() };
        assert_eq!((dtmf.digits.as_str(), dtmf.finish_digit.as_str()), ("12", "#"));
        let Input::Text(text) = sent(first(TurnInput::Digits(digits(), DigitsForm::Text))) else { panic!() };
        assert_eq!(text.text, "12");
        let request = first(TurnInput::Digits(digits(), DigitsForm::Event("keys".to_owned())));
        assert_eq!(from_struct(request.query_params.clone().unwrap().parameters.unwrap())["digits"], "12");
        let Input::Event(event) = sent(request) else { panic!() };
        assert_eq!(event.event, "keys");
    }

    #[test]
    fn a_tool_is_refused_by_its_name() {
        let call = ToolCall { tool: "tools/1".to_owned(), action: "look-up".to_owned(), ..ToolCall::default() };
        let refused = ToolResult { call, outcome: ToolOutcome::Refused };
        let Input::ToolCallResult(result) = sent(first(TurnInput::ToolResults(vec![refused]))) else { panic!() };
        assert_eq!((result.tool.as_str(), result.action.as_str()), ("tools/1", "look-up"));
        let Some(cx::tool_call_result::Result::Error(error)) = result.result else { panic!() };
        assert!(error.message.contains("no tools"));
    }

    #[test]
    fn what_is_set_of_speech_goes_along() {
        let speech = SpeechConfig {
            voice_name: Some("en-US-Wavenet-F".to_owned()),
            speaking_rate: Some(1.25),
            effects: vec!["telephony-class-application".to_owned()],
            model: Some("telephony".to_owned()),
            model_variant: Some(ModelVariant::Enhanced),
            phrase_hints: vec!["rye".to_owned()],
            sentiment: true,
            time_zone: Some("Europe/Berlin".to_owned()),
            webhook_headers: [("X-Tenant".to_owned(), Secret::new("north"))].into(),
            flow_versions: vec!["flows/1/versions/2".to_owned()],
            channel: Some("telephony".to_owned()),
            session_ttl_minutes: Some(90),
            ..SpeechConfig::default()
        };
        let request = first_request(&context(speech), &start(TurnInput::Audio));
        let synthesize = request.output_audio_config.clone().unwrap().synthesize_speech_config.unwrap();
        assert_eq!((synthesize.voice.unwrap().name.as_str(), synthesize.speaking_rate), ("en-US-Wavenet-F", 1.25));
        assert_eq!(synthesize.effects_profile_id, ["telephony-class-application"]);
        let params = request.query_params.clone().unwrap();
        assert_eq!((params.time_zone.as_str(), params.analyze_query_text_sentiment), ("Europe/Berlin", true));
        assert_eq!(
            (&params.webhook_headers["X-Tenant"], &params.flow_versions[0][..]),
            (&"north".to_owned(), "flows/1/versions/2")
        );
        assert_eq!((params.channel.as_str(), from_duration(params.session_ttl.unwrap())), ("telephony", 90 * 60_000));
        let Input::Audio(audio) = sent(request) else { panic!() };
        let config = audio.config.unwrap();
        assert_eq!((config.model.as_str(), config.model_variant()), ("telephony", cx::SpeechModelVariant::UseEnhanced));
        assert_eq!(config.phrase_hints, ["rye"]);
    }

    #[test]
    fn audio_goes_as_it_is() {
        let Input::Audio(audio) = sent(audio_request(Bytes::from_static(&[1, 2]))) else { panic!() };
        assert_eq!((&audio.audio[..], audio.config), (&[1, 2][..], None));
    }
}
