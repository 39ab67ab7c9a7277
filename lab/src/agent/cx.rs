//! Dialogflow CX v3 `Sessions/StreamingDetectIntent`, as strict as Google's about what it is sent.
//!
//! Facts and sources: the protos of `google.cloud.dialogflow.cx.v3` and their comments.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use http::Request;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

use crate::agent::conversation::{Conversations, Said};
use crate::agent::ears::{Ears, Noticed};
use crate::agent::protobuf::{json_object, protobuf_struct};
use crate::agent::record::{Record, TurnEntry, TurnRecord};
use crate::agent::script::{Answers, Closes, Output, Reply, Script, Transcripts};
use crate::agent::server::{Edition, WasReset};
use crate::agent::speech::coded;

/// The most audio in one stream (`AudioInput`: "up to 2 minutes").
const AUDIO_LIMIT_MS: u64 = 120_000;

/// For so long a stream may go without audio before the recogniser gives up.
const AUDIO_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest session id, in characters.
const SESSION_ID_CHARS: usize = 36;

/// The longest text, in characters.
const TEXT_CHARS: usize = 256;

/// How many responses wait for a client that does not read.
const RESPONSE_QUEUE: usize = 16;

type Reader = Streaming<cx::StreamingDetectIntentRequest>;
type Writer = mpsc::Sender<Result<cx::StreamingDetectIntentResponse, Status>>;

/// The service.
#[derive(Debug, Clone)]
pub(super) struct CxSessions {
    script: Arc<Script>,
    conversations: Conversations,
    record: Record,
}

impl CxSessions {
    pub(super) fn new(script: Arc<Script>, conversations: Conversations, record: Record) -> Self {
        Self { script, conversations, record }
    }
}

impl Edition for CxSessions {
    const NAME: &'static str = "google.cloud.dialogflow.cx.v3.Sessions";

    async fn call(self, method: String, request: Request<Body>) -> http::Response<Body> {
        match method.as_str() {
            "StreamingDetectIntent" => Grpc::new(ProstCodec::default()).streaming(Streams(self), request).await,
            _ => Status::unimplemented(format!("the lab does not serve {method}")).into_http(),
        }
    }
}

struct Streams(CxSessions);

impl StreamingService<cx::StreamingDetectIntentRequest> for Streams {
    type Response = cx::StreamingDetectIntentResponse;
    type ResponseStream = ReceiverStream<Result<Self::Response, Status>>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Reader>) -> Self::Future {
        let sessions = self.0.clone();
        Box::pin(async move {
            let was_reset = request.extensions().get::<WasReset>().cloned().unwrap_or_default();
            let mut reader = request.into_inner();
            let first = reader.message().await?.ok_or_else(|| invalid("the stream has no message"))?;
            let turn = Turn::open(sessions, first, was_reset)?;
            let (writer, responses) = mpsc::channel(RESPONSE_QUEUE);
            // The task ends with the stream: when the client reads no more, sending fails.
            tokio::spawn(async move {
                if let Err(status) = turn.run(reader, &writer).await {
                    let _ = writer.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(responses)))
        })
    }
}

fn invalid(text: impl Into<String>) -> Status {
    Status::invalid_argument(text)
}

/// One stream: one detect-intent turn.
struct Turn {
    sessions: CxSessions,
    session: String,
    language: String,
    input: Input,
    output: Option<cx::OutputAudioConfig>,
    partial_responses: bool,
    entry: TurnEntry,
    was_reset: WasReset,
}

impl Turn {
    fn open(
        sessions: CxSessions,
        first: cx::StreamingDetectIntentRequest,
        was_reset: WasReset,
    ) -> Result<Self, Status> {
        let session = session_id(&first.session)?;
        let query = first.query_input.ok_or_else(|| invalid("the first message has no query_input"))?;
        if query.language_code.is_empty() {
            return Err(invalid("query_input.language_code is required"));
        }
        let input = query.input.ok_or_else(|| invalid("query_input has no input"))?;
        check_input(&input)?;
        let parameters = first.query_params.and_then(|params| params.parameters);
        let record = TurnRecord { parameters: parameters.map(json_object).unwrap_or_default(), ..turn_record(&input) };
        let entry = sessions.record.begin(&session, record);
        Ok(Self {
            session,
            language: query.language_code,
            input,
            output: first.output_audio_config,
            partial_responses: first.enable_partial_response,
            entry,
            was_reset,
            sessions,
        })
    }

    async fn run(mut self, mut reader: Reader, writer: &Writer) -> Result<(), Status> {
        let said = match &self.input {
            Input::Audio(audio) => {
                let config = audio.config.clone().unwrap_or_default();
                let said = self.listen(&config, &mut reader, writer).await?;
                match said {
                    Some(said) => said,
                    None => return Ok(()),
                }
            }
            Input::Text(_) => Said::Text,
            Input::Event(event) => Said::Event(event.event.clone()),
            Input::Dtmf(dtmf) => Said::Digits(dtmf.digits.clone()),
            Input::Intent(_) | Input::ToolCallResult(_) => return Err(Status::unimplemented("not in the lab")),
        };
        self.answer(&said, writer).await?;
        if self.sessions.script.closes == Closes::AfterHalfClose {
            while reader.message().await?.is_some() {}
        }
        Ok(())
    }

    /// Listens until the turn's input is complete; `None` when the client has gone.
    async fn listen(
        &self,
        config: &cx::InputAudioConfig,
        reader: &mut Reader,
        writer: &Writer,
    ) -> Result<Option<Said>, Status> {
        let script = &self.sessions.script;
        let mut ears = Ears::new(input_format(config)?, script.end_of_utterance_ms, script.no_speech_ms);
        if let Some(window) = &config.barge_in_config {
            ears.beside_prompt(duration_ms(window.no_barge_in_duration), duration_ms(window.total_duration));
        }
        let mut is_over = false;
        loop {
            let message = tokio::time::timeout(AUDIO_TIMEOUT, reader.message()).await;
            let Ok(message) = message else { return Err(audio_timeout()) };
            let Some(message) = message? else {
                if self.was_reset.get() {
                    return Ok(None);
                }
                self.entry.change(|turn| turn.half_closed = true);
                return self.half_closed(&ears, is_over, writer).await;
            };
            let audio = later_audio(message)?;
            self.entry.change(|turn| {
                turn.audio.extend_from_slice(&audio);
                turn.messages += 1;
            });
            for noticed in ears.hear(&audio) {
                is_over |= self.tell(noticed, config.single_utterance, writer).await?;
            }
            if ears.heard_ms() > AUDIO_LIMIT_MS {
                return Err(Status::out_of_range("Exceeded maximum allowed stream duration of 120 seconds."));
            }
            if is_over && script.answers == Answers::AtOnce {
                return Ok(Some(said(&ears)));
            }
        }
    }

    /// The client has said that nothing more comes.
    async fn half_closed(&self, ears: &Ears, was_over: bool, writer: &Writer) -> Result<Option<Said>, Status> {
        if let Some((spoken_ms, end_ms)) = ears.spoken().filter(|_| !was_over) {
            send(writer, transcript(spoken_ms, end_ms, true)).await?;
        }
        Ok(Some(said(ears)))
    }

    /// Tells the client what the ears noticed; whether the utterance is over.
    async fn tell(&self, noticed: Noticed, single_utterance: bool, writer: &Writer) -> Result<bool, Status> {
        match noticed {
            Noticed::Speech { spoken_ms, end_ms } => {
                send(writer, transcript(spoken_ms, end_ms, false)).await?;
                Ok(false)
            }
            Noticed::EndOfUtterance { spoken_ms, end_ms } => {
                let final_one = transcript(spoken_ms, end_ms, true);
                let mut parts = vec![final_one];
                if single_utterance {
                    let place = usize::from(self.sessions.script.transcripts == Transcripts::BeforeEnd);
                    parts.insert(place, end_of_utterance(end_ms));
                }
                for part in parts {
                    send(writer, part).await?;
                }
                Ok(single_utterance)
            }
            Noticed::NoSpeech if single_utterance => {
                send(writer, end_of_utterance(0)).await?;
                Ok(true)
            }
            Noticed::NoSpeech => Ok(false),
        }
    }

    async fn answer(&mut self, said: &Said, writer: &Writer) -> Result<(), Status> {
        let script = &self.sessions.script;
        let reply = self.sessions.conversations.answer(&self.session, said);
        let think_ms = reply.as_ref().and_then(|reply| reply.think_ms).unwrap_or(script.think_ms);
        tokio::time::sleep(Duration::from_millis(think_ms)).await;
        let reply = reply.unwrap_or_default();
        if self.partial_responses {
            for first in &reply.first {
                let response = self.response(first, said, cx::detect_intent_response::ResponseType::Partial)?;
                send(writer, response).await?;
                tokio::time::sleep(Duration::from_millis(first.think_ms.unwrap_or(script.think_ms))).await;
            }
        }
        let response = self.response(&reply, said, cx::detect_intent_response::ResponseType::Final)?;
        self.entry.answered();
        send(writer, response).await
    }

    fn response(
        &self,
        reply: &Reply,
        said: &Said,
        part: cx::detect_intent_response::ResponseType,
    ) -> Result<Part, Status> {
        let (audio, audio_config) = self.audio(reply)?;
        Ok(Part::DetectIntentResponse(cx::DetectIntentResponse {
            response_id: format!("lab-{}", self.session),
            query_result: Some(self.query_result(reply, said)),
            output_audio: audio,
            output_audio_config: audio_config,
            response_type: part.into(),
            ..Default::default()
        }))
    }

    fn query_result(&self, reply: &Reply, said: &Said) -> cx::QueryResult {
        let match_type = match said {
            Said::Event(_) if !reply.intent.is_empty() || !reply.say.is_empty() => cx::r#match::MatchType::Event,
            Said::Event(_) => cx::r#match::MatchType::NoMatch,
            Said::Nothing => cx::r#match::MatchType::NoInput,
            Said::Text | Said::Utterance { .. } | Said::Digits(_) => cx::r#match::MatchType::Intent,
        };
        let intent = (!reply.intent.is_empty()).then(|| cx::Intent {
            name: format!("projects/lab/locations/global/agents/lab/intents/{}", reply.intent),
            display_name: reply.intent.clone(),
            ..Default::default()
        });
        let query = match &self.input {
            Input::Audio(_) => Some(cx::query_result::Query::Transcript(said.transcript())),
            Input::Text(text) => Some(cx::query_result::Query::Text(text.text.clone())),
            Input::Event(event) => Some(cx::query_result::Query::TriggerEvent(event.event.clone())),
            Input::Dtmf(dtmf) => Some(cx::query_result::Query::Dtmf(dtmf.clone())),
            Input::Intent(_) | Input::ToolCallResult(_) => None,
        };
        cx::QueryResult {
            language_code: self.language.clone(),
            parameters: Some(protobuf_struct(&reply.parameters)),
            response_messages: messages(reply),
            r#match: Some(cx::Match { intent, match_type: match_type.into(), confidence: 1.0, ..Default::default() }),
            query,
            ..Default::default()
        }
    }

    /// The reply's audio as asked for, or as the agent's own settings want it.
    fn audio(&self, reply: &Reply) -> Result<(Bytes, Option<cx::OutputAudioConfig>), Status> {
        let own = self.sessions.script.output;
        let (Some(mulaw), Some(asked)) = (&reply.mulaw, &self.output) else { return Ok((Bytes::new(), None)) };
        let output = match own {
            Some(own) => own,
            None => asked_output(asked)?,
        };
        let format = AudioFormat { encoding: output.encoding, sample_rate: output.sample_rate };
        let audio = coded(mulaw, format, output.wav).map_err(|error| invalid(error.to_string()))?;
        let config = cx::OutputAudioConfig {
            audio_encoding: match output.encoding {
                Encoding::Linear16 => cx::OutputAudioEncoding::Linear16,
                Encoding::Mulaw => cx::OutputAudioEncoding::Mulaw,
                Encoding::Alaw => cx::OutputAudioEncoding::Alaw,
            }
            .into(),
            sample_rate_hertz: i32::try_from(output.sample_rate).unwrap_or_default(),
            ..Default::default()
        };
        Ok((audio.into(), Some(config)))
    }
}

/// The session's id, from a full resource name.
fn session_id(name: &str) -> Result<String, Status> {
    if name.is_empty() {
        return Err(invalid("the first message has no session"));
    }
    let parts: Vec<&str> = name.split('/').collect();
    let id = match parts[..] {
        ["projects", _, "locations", _, "agents", _, "sessions", id]
        | ["projects", _, "locations", _, "agents", _, "environments", _, "sessions", id] => id,
        _ => return Err(invalid(format!("\"{name}\" is no session of a CX agent"))),
    };
    if id.is_empty() || id.chars().count() > SESSION_ID_CHARS {
        return Err(invalid(format!("a session id has 1 to {SESSION_ID_CHARS} characters")));
    }
    Ok(id.to_owned())
}

fn check_input(input: &Input) -> Result<(), Status> {
    match input {
        Input::Audio(audio) => {
            let config = audio.config.as_ref();
            let config = config.ok_or_else(|| invalid("the first message has no query_input.audio.config"))?;
            if !audio.audio.is_empty() {
                return Err(invalid("the first message must not carry audio"));
            }
            input_format(config).map(|_| ())
        }
        Input::Text(text) if text.text.is_empty() => Err(invalid("the text is empty")),
        Input::Text(text) if text.text.chars().count() > TEXT_CHARS => {
            Err(invalid(format!("a text has at most {TEXT_CHARS} characters")))
        }
        Input::Event(event) if event.event.is_empty() => Err(invalid("the event has no name")),
        Input::Dtmf(dtmf) if dtmf.digits.is_empty() => Err(invalid("there are no digits")),
        Input::Text(_) | Input::Event(_) | Input::Dtmf(_) | Input::Intent(_) | Input::ToolCallResult(_) => Ok(()),
    }
}

fn input_format(config: &cx::InputAudioConfig) -> Result<AudioFormat, Status> {
    use cx::AudioEncoding::{Alaw, Linear16, Mulaw};
    let known = [(Mulaw, Encoding::Mulaw), (Alaw, Encoding::Alaw), (Linear16, Encoding::Linear16)];
    let asked = config.audio_encoding();
    let encoding = known.into_iter().find(|(encoding, _)| *encoding == asked).map(|(_, encoding)| encoding);
    let encoding = encoding.ok_or_else(|| invalid(format!("the lab does not hear {}", asked.as_str_name())))?;
    let sample_rate = u32::try_from(config.sample_rate_hertz).unwrap_or(0);
    if !(8_000..=48_000).contains(&sample_rate) {
        return Err(invalid("sample_rate_hertz must be from 8000 to 48000"));
    }
    Ok(AudioFormat { encoding, sample_rate })
}

fn asked_output(asked: &cx::OutputAudioConfig) -> Result<Output, Status> {
    use cx::OutputAudioEncoding::{Alaw, Linear16, Mulaw};
    let known = [(Mulaw, Encoding::Mulaw), (Alaw, Encoding::Alaw), (Linear16, Encoding::Linear16)];
    let wanted = asked.audio_encoding();
    let encoding = known.into_iter().find(|(encoding, _)| *encoding == wanted).map(|(_, encoding)| encoding);
    let encoding = encoding.ok_or_else(|| invalid(format!("the lab does not speak {}", wanted.as_str_name())))?;
    let rate = u32::try_from(asked.sample_rate_hertz).unwrap_or(0);
    let default = if encoding == Encoding::Linear16 { 24_000 } else { 8_000 };
    Ok(Output { encoding, sample_rate: if rate == 0 { default } else { rate }, wav: false })
}

/// The audio of a message after the first one.
fn later_audio(message: cx::StreamingDetectIntentRequest) -> Result<Bytes, Status> {
    match message.query_input.and_then(|query| query.input) {
        Some(Input::Audio(audio)) if audio.config.is_none() => Ok(audio.audio),
        Some(_) => Err(invalid("after the first message only query_input.audio.audio may be sent")),
        None => Err(invalid("a message without audio")),
    }
}

fn turn_record(input: &Input) -> TurnRecord {
    let (input, text, barge_in) = match input {
        Input::Audio(audio) => {
            let window = audio.config.as_ref().and_then(|config| config.barge_in_config);
            let ms = |window: cx::BargeInConfig| {
                (duration_ms(window.no_barge_in_duration), duration_ms(window.total_duration))
            };
            ("audio", String::new(), window.map(ms))
        }
        Input::Text(text) => ("text", text.text.clone(), None),
        Input::Event(event) => ("event", event.event.clone(), None),
        Input::Dtmf(dtmf) => ("dtmf", dtmf.digits.clone(), None),
        Input::Intent(_) | Input::ToolCallResult(_) => ("other", String::new(), None),
    };
    TurnRecord { input, text, barge_in, ..TurnRecord::default() }
}

fn messages(reply: &Reply) -> Vec<cx::ResponseMessage> {
    use cx::response_message::{EndInteraction, LiveAgentHandoff, Message, TelephonyTransferCall, Text};
    let text = (!reply.say.is_empty())
        .then(|| Message::Text(Text { text: vec![reply.say.clone()], allow_playback_interruption: !reply.protected }));
    let handoff = reply.handoff.as_ref().map(|metadata| {
        let metadata = metadata.as_object().map(protobuf_struct);
        Message::LiveAgentHandoff(LiveAgentHandoff { metadata })
    });
    let transfer = reply.transfer.clone().map(|number| {
        use cx::response_message::telephony_transfer_call::Endpoint;
        Message::TelephonyTransferCall(TelephonyTransferCall { endpoint: Some(Endpoint::PhoneNumber(number)) })
    });
    let end = reply.end.then_some(Message::EndInteraction(EndInteraction {}));
    let all = [text, handoff, transfer, end].into_iter().flatten();
    all.map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() }).collect()
}

fn transcript(spoken_ms: u64, end_ms: u64, is_final: bool) -> Part {
    Part::RecognitionResult(cx::StreamingRecognitionResult {
        message_type: MessageType::Transcript.into(),
        transcript: Said::Utterance { spoken_ms }.transcript(),
        is_final,
        stability: if is_final { 0.0 } else { 0.9 },
        speech_end_offset: Some(duration(end_ms)),
        ..Default::default()
    })
}

fn said(ears: &Ears) -> Said {
    ears.spoken().map_or(Said::Nothing, |(spoken_ms, _)| Said::Utterance { spoken_ms })
}

fn end_of_utterance(end_ms: u64) -> Part {
    Part::RecognitionResult(cx::StreamingRecognitionResult {
        message_type: MessageType::EndOfSingleUtterance.into(),
        speech_end_offset: Some(duration(end_ms)),
        ..Default::default()
    })
}

fn audio_timeout() -> Status {
    Status::out_of_range(
        "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.",
    )
}

fn duration(ms: u64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(ms / 1000).unwrap_or_default(),
        nanos: i32::try_from(ms % 1000 * 1_000_000).unwrap_or_default(),
    }
}

fn duration_ms(duration: Option<prost_types::Duration>) -> u64 {
    let Some(duration) = duration else { return 0 };
    u64::try_from(duration.seconds * 1000 + i64::from(duration.nanos) / 1_000_000).unwrap_or(0)
}

async fn send(writer: &Writer, part: Part) -> Result<(), Status> {
    let response = cx::StreamingDetectIntentResponse { response: Some(part), ..Default::default() };
    writer.send(Ok(response)).await.map_err(|_| Status::cancelled("the client has gone"))
}
