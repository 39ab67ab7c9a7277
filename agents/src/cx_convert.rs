//! Dialogflow CX v3: its dialect, and the conversion of its messages to core's events. Pure: this module tells what a
//! message means, core decides what to do. `cx_request` builds what we send.
//!
//! Field names and their meaning: the protos of `google.cloud.dialogflow.cx.v3`.

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{
    AgentEnd, Answer, AnswerPart, DtmfRules, Intent, Matched, Prompt, SpeechRules, ToolCall, Transfer, TurnStart,
};
use dialbridge_core::audio::AudioFormat;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use serde_json::Value;

use cx::detect_intent_response::ResponseType;
use cx::r#match::MatchType;
use cx::response_message::Message;
use cx::streaming_detect_intent_response::Response;

use crate::cx_request::{audio_request, first_request};
use crate::protobuf::{from_duration, from_struct, misplaced};
use crate::session::SessionContext;
use crate::stream::Dialect;

/// The longest silence that an agent may ask for to end an utterance, in seconds.
const MAX_END_S: u64 = 20;

crate::dialogflow::common_responses!(cx, googleapis_tonic_google_cloud_dialogflow_cx_v3::google::rpc::Status);

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

/// Converts an agent's message; `None` if it says nothing.
fn event(response: cx::StreamingDetectIntentResponse) -> Option<AgentEvent> {
    match response.response? {
        Response::RecognitionResult(result) => recognition(result),
        Response::DetectIntentResponse(response) => Some(AgentEvent::Answer(Box::new(answer(response)))),
    }
}

fn answer(response: cx::DetectIntentResponse) -> Answer {
    let part = match response.response_type() {
        ResponseType::Partial => AnswerPart::Partial,
        ResponseType::Final | ResponseType::Unspecified => AnswerPart::Final,
    };
    let result = response.query_result.unwrap_or_default();
    let mut said = AnswerParts::of(&result.response_messages);
    let audio = (response.output_audio, response.output_audio_config);
    let unplayable = said.put_output_audio(audio);
    // CX: "Partial responses are not eligible for barge-in".
    let may_interrupt = part != AnswerPart::Partial;
    for prompt in &mut said.prompts {
        prompt.interruptible &= may_interrupt;
        prompt.cancellable = response.allow_cancellation;
    }
    let matched = result.r#match.unwrap_or_default();
    let rules = result.advanced_settings.unwrap_or_default();
    Answer {
        part,
        query_text: query_text(result.query),
        text: said.text.join(" "),
        is_protected: !said.texts_interruptible,
        prompts: said.prompts,
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
        page: result.current_page.map(|page| page.display_name).unwrap_or_default(),
        flow: result.current_flow.map(|flow| flow.display_name).unwrap_or_default(),
        parameters: result.parameters.map(from_struct).unwrap_or_default(),
        action: String::new(),
        end: said.end,
        payloads: said.payloads,
        speech_rules: rules.speech_settings.and_then(|settings| speech_rules(&settings)),
        dtmf_rules: rules.dtmf_settings.and_then(key_rules),
        tool_calls: said.tool_calls,
        succeeded: said.succeeded,
        refused_transfer: None,
        misplaced: misplaced(&result.webhook_payloads),
        webhook_faults: result.webhook_statuses.iter().filter_map(webhook_fault).collect(),
    }
}

/// What the caller said, if it was speech. Digits are secret, and the name of an event is not speech.
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

/// CX waits for its endpointing timeout when the digits match a pattern, and for its interdigit timeout before. We do
/// not know the patterns, so the endpointing timeout ends the digits if there is one.
fn key_rules(settings: cx::advanced_settings::DtmfSettings) -> Option<DtmfRules> {
    let ms = |timeout: Option<_>| timeout.map(from_duration).filter(|ms| *ms > 0);
    settings.enabled.then(|| DtmfRules {
        finish_digit: settings.finish_digit.chars().next(),
        max_digits: u32::try_from(settings.max_digits).ok().filter(|most| *most > 0),
        interdigit_ms: ms(settings.endpointing_timeout_duration).or_else(|| ms(settings.interdigit_timeout_duration)),
    })
}

/// The sensitivity is seconds of silence only if the agent says so. Else it is a scale from 0 to 100.
fn speech_rules(settings: &cx::advanced_settings::SpeechSettings) -> Option<SpeechRules> {
    let seconds =
        u64::try_from(settings.endpointer_sensitivity).ok().filter(|seconds| (1..=MAX_END_S).contains(seconds));
    let rules = SpeechRules {
        end_ms: seconds.filter(|_| settings.use_timeout_based_endpointing).map(|seconds| seconds * 1_000),
        no_speech_ms: settings.no_speech_timeout.map(from_duration).filter(|ms| *ms > 0),
    };
    (rules != SpeechRules::default()).then_some(rules)
}

/// The messages of an answer, in order.
struct AnswerParts {
    text: Vec<String>,
    /// Prompts that we must fetch, or whose audio is in the messages.
    prompts: Vec<Prompt>,
    /// Where the response's own audio belongs among the prompts. It speaks the texts.
    text_at: Option<usize>,
    /// Whether the caller may interrupt every text.
    texts_interruptible: bool,
    end: Option<AgentEnd>,
    payloads: Vec<Value>,
    tool_calls: Vec<ToolCall>,
    succeeded: bool,
}

impl AnswerParts {
    fn of(messages: &[cx::ResponseMessage]) -> Self {
        let mut said = Self {
            text: Vec::new(),
            prompts: Vec::new(),
            text_at: None,
            texts_interruptible: true,
            end: None,
            payloads: Vec::new(),
            tool_calls: Vec::new(),
            succeeded: false,
        };
        for message in messages.iter().filter_map(|message| message.message.as_ref()) {
            said.add(message);
        }
        said
    }

    fn add(&mut self, message: &Message) {
        match message {
            Message::Text(text) => self.add_text(&text.text.join(" "), text.allow_playback_interruption),
            Message::OutputAudioText(text) => {
                use cx::response_message::output_audio_text::Source;
                let Some(Source::Text(words) | Source::Ssml(words)) = &text.source else { return };
                self.add_text(words, text.allow_playback_interruption);
            }
            Message::PlayAudio(play) => self
                .prompts
                .push(Prompt { interruptible: play.allow_playback_interruption, ..Prompt::at(play.audio_uri.clone()) }),
            Message::MixedAudio(mixed) => self.prompts.extend(mixed.segments.iter().filter_map(segment)),
            // The end without a target is the weakest: a hand-off beside it says where the call goes.
            Message::EndInteraction(_) => self.end = self.end.take().or(Some(AgentEnd::EndInteraction)),
            Message::LiveAgentHandoff(handoff) => {
                let metadata = Value::Object(handoff.metadata.clone().map(from_struct).unwrap_or_default());
                if !matches!(self.end, Some(AgentEnd::Transfer(_))) {
                    self.end = Some(AgentEnd::LiveAgentHandoff { metadata });
                }
            }
            Message::TelephonyTransferCall(transfer) => {
                use cx::response_message::telephony_transfer_call::Endpoint;
                if let Some(Endpoint::PhoneNumber(number)) = &transfer.endpoint {
                    self.end = Some(AgentEnd::Transfer(Transfer::to(number.clone())));
                }
            }
            Message::Payload(payload) => self.payloads.push(Value::Object(from_struct(payload.clone()))),
            Message::ToolCall(call) => {
                let (tool, action) = (call.tool.clone(), call.action.clone());
                let arguments = call.input_parameters.clone().map(from_struct).unwrap_or_default();
                self.tool_calls.push(ToolCall { tool, action, arguments, ..ToolCall::default() });
            }
            Message::ConversationSuccess(_) => self.succeeded = true,
            Message::KnowledgeInfoCard(_) => {}
        }
    }

    fn add_text(&mut self, words: &str, interruptible: bool) {
        self.text.push(words.to_owned());
        self.texts_interruptible &= interruptible;
        self.text_at.get_or_insert(self.prompts.len());
    }

    /// Puts the response's audio where its texts are. Google does not document whether it repeats mixed audio, so a
    /// segment that it contains is not played again. Returns the name of the coding if we cannot play it.
    fn put_output_audio(&mut self, (audio, config): (Bytes, Option<cx::OutputAudioConfig>)) -> Option<String> {
        if audio.is_empty() {
            return None;
        }
        let format = match format(config.as_ref()) {
            Ok(format) => format,
            Err(coding) => return Some(coding),
        };
        let mut at = self.text_at.unwrap_or(0);
        let mut place = 0;
        self.prompts.retain(|prompt| {
            let is_there = !prompt.audio.is_empty() && contains(&audio, &prompt.audio);
            if is_there && place < at {
                at -= 1;
            }
            place += usize::from(!is_there);
            !is_there
        });
        let whole = Prompt { interruptible: self.texts_interruptible, ..Prompt::new(format, audio) };
        self.prompts.insert(at.min(self.prompts.len()), whole);
        None
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    // The segment's own header is not in the joined audio.
    let part = part.strip_prefix(b"RIFF").map_or(part, |_| part.get(44..).unwrap_or_default());
    !part.is_empty() && memchr::memmem::find(whole, part).is_some()
}

fn segment(segment: &cx::response_message::mixed_audio::Segment) -> Option<Prompt> {
    use cx::response_message::mixed_audio::segment::Content;
    let prompt = match segment.content.as_ref()? {
        // In the coding that we requested.
        Content::Audio(audio) => Prompt::new(AudioFormat::TELEPHONE, audio.clone()),
        Content::Uri(uri) => Prompt::at(uri.clone()),
    };
    Some(Prompt { interruptible: segment.allow_playback_interruption, ..prompt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{to_duration, to_struct};
    use cx::response_message as message;
    use dialbridge_core::audio::Encoding;
    use serde_json::json;

    fn response(messages: Vec<Message>) -> cx::DetectIntentResponse {
        let response_messages = messages
            .into_iter()
            .map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() })
            .collect();
        let result = cx::QueryResult { response_messages, ..Default::default() };
        cx::DetectIntentResponse { query_result: Some(result), ..Default::default() }
    }

    fn answered(messages: Vec<Message>) -> Answer {
        answer(response(messages))
    }

    fn text(words: &str, allow_playback_interruption: bool) -> Message {
        Message::Text(message::Text { text: vec![words.to_owned()], allow_playback_interruption })
    }

    fn segment(content: message::mixed_audio::segment::Content, allow: bool) -> message::mixed_audio::Segment {
        message::mixed_audio::Segment { allow_playback_interruption: allow, content: Some(content) }
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
    fn one_message_that_may_not_be_interrupted_protects_the_audio_of_all_texts() {
        let of = |messages: Vec<Message>| {
            let output_audio = Bytes::from_static(&[1, 2]);
            answer(cx::DetectIntentResponse { output_audio, ..response(messages) })
        };
        assert!(of(vec![text("a", true)]).prompts[0].interruptible);
        assert!(!of(vec![text("a", true), text("b", false)]).prompts[0].interruptible);
        assert!(of(Vec::new()).prompts[0].interruptible);
    }

    #[test]
    fn a_partial_response_is_not_interrupted_and_a_later_one_may_cut_it() {
        let partial = |allow_cancellation| cx::DetectIntentResponse {
            response_type: ResponseType::Partial.into(),
            output_audio: Bytes::from_static(&[1, 2]),
            allow_cancellation,
            ..response(vec![text("one moment", true)])
        };
        let plain = answer(partial(false));
        assert_eq!((plain.part, plain.prompts[0].interruptible), (AnswerPart::Partial, false));
        assert!(!plain.prompts[0].cancellable && answer(partial(true)).prompts[0].cancellable);
    }

    #[test]
    fn audio_plays_in_the_order_of_its_messages() {
        let play = Message::PlayAudio(message::PlayAudio {
            audio_uri: "gs://b/jingle.wav".to_owned(),
            allow_playback_interruption: false,
        });
        let uri = |prompt: &Prompt| prompt.uri.is_some();
        let of = |messages| {
            let output_audio = Bytes::from_static(&[1, 2]);
            let answer = answer(cx::DetectIntentResponse { output_audio, ..response(messages) });
            answer.prompts.iter().map(uri).collect::<Vec<_>>()
        };
        assert_eq!(of(vec![play.clone(), text("a", true)]), [true, false]);
        assert_eq!(of(vec![text("a", true), play.clone()]), [false, true]);
        let alone = answered(vec![play]);
        assert_eq!(
            (alone.prompts[0].uri.as_deref(), alone.prompts[0].interruptible),
            (Some("gs://b/jingle.wav"), false)
        );
    }

    #[test]
    fn mixed_audio_plays_once_whether_it_is_in_the_answers_audio_too_or_not() {
        use message::mixed_audio::segment::Content;
        let mixed = || {
            Message::MixedAudio(message::MixedAudio {
                segments: vec![
                    segment(Content::Audio(Bytes::from_static(&[7, 8, 9])), false),
                    segment(Content::Uri("https://e.com/a.wav".to_owned()), true),
                ],
            })
        };
        let of = |output_audio: &'static [u8]| {
            let output_audio = Bytes::from_static(output_audio);
            answer(cx::DetectIntentResponse { output_audio, ..response(vec![text("a", true), mixed()]) }).prompts
        };
        let apart = of(&[1, 2, 3, 4]);
        assert_eq!(apart.iter().map(|prompt| prompt.audio.len()).collect::<Vec<_>>(), [4, 3, 0]);
        assert_eq!(apart.iter().map(|prompt| prompt.interruptible).collect::<Vec<_>>(), [true, false, true]);
        let inside = of(&[1, 7, 8, 9, 2]);
        assert_eq!(inside.iter().map(|prompt| prompt.audio.len()).collect::<Vec<_>>(), [5, 0]);
    }

    #[test]
    fn the_agents_own_rules_for_speech_are_read() {
        let of = |use_timeout_based_endpointing, endpointer_sensitivity, no_speech_ms| {
            let speech_settings = Some(cx::advanced_settings::SpeechSettings {
                endpointer_sensitivity,
                use_timeout_based_endpointing,
                no_speech_timeout: Some(to_duration(no_speech_ms)),
                ..Default::default()
            });
            let advanced_settings = Some(cx::AdvancedSettings { speech_settings, ..Default::default() });
            let result = cx::QueryResult { advanced_settings, ..Default::default() };
            answer(cx::DetectIntentResponse { query_result: Some(result), ..Default::default() }).speech_rules
        };
        let rules = |end_ms, no_speech_ms| Some(SpeechRules { end_ms, no_speech_ms });
        assert_eq!(of(true, 3, 7_000), rules(Some(3_000), Some(7_000)));
        assert_eq!(of(false, 90, 7_000), rules(None, Some(7_000)), "a scale, no time");
        for strange in [0, -1, 90] {
            assert_eq!(of(true, strange, 0), None);
        }
    }

    #[test]
    fn the_agents_own_rules_for_dtmf_are_read() {
        let of = |settings: cx::advanced_settings::DtmfSettings| {
            let advanced_settings = Some(cx::AdvancedSettings { dtmf_settings: Some(settings), ..Default::default() });
            let result = cx::QueryResult { advanced_settings, ..Default::default() };
            answer(cx::DetectIntentResponse { query_result: Some(result), ..Default::default() }).dtmf_rules
        };
        let settings = cx::advanced_settings::DtmfSettings {
            enabled: true,
            max_digits: 4,
            finish_digit: "*".to_owned(),
            interdigit_timeout_duration: Some(to_duration(1_500)),
            ..Default::default()
        };
        assert_eq!(
            of(settings.clone()),
            Some(DtmfRules { finish_digit: Some('*'), max_digits: Some(4), interdigit_ms: Some(1_500) })
        );
        let endpointing = cx::advanced_settings::DtmfSettings {
            endpointing_timeout_duration: Some(crate::protobuf::to_duration(700)),
            ..settings.clone()
        };
        assert_eq!(of(endpointing).unwrap().interdigit_ms, Some(700));
        let none = cx::advanced_settings::DtmfSettings {
            endpointing_timeout_duration: Some(crate::protobuf::to_duration(0)),
            ..settings.clone()
        };
        assert_eq!(of(none).unwrap().interdigit_ms, of(settings.clone()).unwrap().interdigit_ms, "0 is none");
        assert_eq!(of(cx::advanced_settings::DtmfSettings { enabled: false, ..settings }), None);
        let open = cx::advanced_settings::DtmfSettings { enabled: true, ..Default::default() };
        assert_eq!(of(open), Some(DtmfRules::default()), "what is not said is for the settings");
    }

    #[test]
    fn payloads_tools_success_and_webhooks_are_told() {
        let payload = json!({ "a": 1 });
        let messages = vec![
            Message::Payload(to_struct(payload.as_object().unwrap())),
            Message::ToolCall(cx::ToolCall { tool: "t".to_owned(), action: "x".to_owned(), ..Default::default() }),
            Message::ConversationSuccess(message::ConversationSuccess::default()),
            Message::KnowledgeInfoCard(message::KnowledgeInfoCard {}),
        ];
        let mut response = response(messages);
        let status = |code: i32, message: &str| googleapis_tonic_google_cloud_dialogflow_cx_v3::google::rpc::Status {
            code,
            message: message.to_owned(),
            ..Default::default()
        };
        response.query_result.as_mut().unwrap().webhook_statuses = vec![status(0, ""), status(14, "down")];
        let ours = to_struct(json!({ "dialbridge": { "end": true } }).as_object().unwrap());
        response.query_result.as_mut().unwrap().webhook_payloads = vec![Default::default(), ours];
        let answer = answer(response);
        assert_eq!(answer.misplaced, ["the payload of a webhook's response"]);
        assert_eq!((answer.payloads, answer.succeeded), (vec![payload], true));
        let call = ToolCall { tool: "t".to_owned(), action: "x".to_owned(), ..ToolCall::default() };
        assert_eq!(answer.tool_calls, [call]);
        assert_eq!(answer.webhook_faults, ["code 14: down"]);
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
