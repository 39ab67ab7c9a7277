//! Checks what the agent is sent, as strictly as the protos of `google.cloud.ces.v1` and their comments say.

use bytes::Bytes;
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Map, Value};
use tonic::Status;

use ces::bidi_session_client_message::MessageType;
use ces::session_input::InputType;

use crate::agent::ces::record::{PastMessage, Role};
use crate::agent::protobuf::json_object;
use crate::agent::script::{Ces, Digits, History};

/// The minimum and maximum length of a session's id, in characters.
const ID_CHARS: std::ops::RangeInclusive<usize> = 5..=63;

const NOISE_SUPPRESSION_LEVELS: [&str; 5] = ["", "low", "moderate", "high", "very_high"];

/// A stream's configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opened {
    /// The session's whole name.
    pub(super) name: String,
    /// Its last part.
    pub(super) id: String,
    /// `projects/P/locations/L/apps/A`.
    pub(super) app: String,
    pub(super) location: String,
    /// The coding of the caller's audio; `None`: only text comes.
    pub(super) input: Option<AudioFormat>,
    pub(super) output: Option<AudioFormat>,
    pub(super) deployment: String,
    pub(super) time_zone: String,
    pub(super) noise_suppression: String,
    /// The payload for a remote Dialogflow agent.
    pub(super) payload: Map<String, Value>,
    /// What a remote Dialogflow agent should know of the caller.
    pub(super) end_user: Map<String, Value>,
    /// `historical_contexts`.
    pub(super) history: Vec<PastMessage>,
}

/// A message after the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    Text { text: String, will_continue: bool },
    Event(String),
    Digits(String),
    Audio(Bytes),
    Variables(Map<String, Value>),
    ToolResponses(Vec<Answered>),
}

/// The answer to a tool call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answered {
    pub(super) id: String,
    /// The tool's whole name.
    pub(super) tool: String,
    pub(super) response: Map<String, Value>,
}

/// Reads the first message.
pub(super) fn opened(first: ces::BidiSessionClientMessage, behaviour: &Ces) -> Result<Opened, Status> {
    let config = match first.message_type {
        Some(MessageType::Config(config)) => config,
        Some(MessageType::RealtimeInput(_)) => return Err(invalid("The first message must be the session's config.")),
        None => return Err(invalid("The message has neither config nor realtime_input.")),
    };
    let (app, location, id) = session(&config.session)?;
    check_deployment(&config.deployment, &app, behaviour)?;
    check_entry_agent(&config.entry_agent, &app)?;
    let (input, output) = formats(config.input_audio_config.as_ref(), config.output_audio_config.as_ref())?;
    let history = history(&config.historical_contexts, behaviour)?;
    let remote = config.remote_dialogflow_query_parameters.unwrap_or_default();
    Ok(Opened {
        id,
        app,
        location,
        input,
        output,
        deployment: config.deployment,
        time_zone: config.time_zone,
        noise_suppression: config.input_audio_config.map(|audio| audio.noise_suppression_level).unwrap_or_default(),
        payload: remote.payload.map(json_object).unwrap_or_default(),
        end_user: remote.end_user_metadata.map(json_object).unwrap_or_default(),
        history,
        name: config.session,
    })
}

/// Reads a later message.
pub(super) fn input(later: ces::BidiSessionClientMessage, opened: &Opened, behaviour: &Ces) -> Result<Input, Status> {
    let input = match later.message_type {
        Some(MessageType::RealtimeInput(input)) => input,
        Some(MessageType::Config(_)) => return Err(invalid("Only the first message may be a config.")),
        None => return Err(invalid("The message has neither config nor realtime_input.")),
    };
    match input.input_type {
        None => Err(invalid("The realtime_input has no input.")),
        Some(InputType::Text(text)) if text.is_empty() => Err(empty("text")),
        Some(InputType::Text(text)) => Ok(Input::Text { text, will_continue: input.will_continue }),
        Some(InputType::Event(event)) if event.event.is_empty() => Err(empty("event.event")),
        Some(InputType::Event(event)) => Ok(Input::Event(event.event)),
        Some(InputType::Dtmf(digits)) => dtmf(digits, behaviour.digits),
        Some(InputType::Audio(audio)) => checked_audio(audio, opened.input),
        Some(InputType::Variables(variables)) => Ok(Input::Variables(json_object(variables))),
        Some(InputType::ToolResponses(responses)) => tool_responses(responses),
        Some(InputType::Image(_) | InputType::Blob(_)) => Err(Status::unimplemented("The lab looks at no files.")),
    }
}

/// The app, the location and the id in a session's name.
fn session(name: &str) -> Result<(String, String, String), Status> {
    let parts: Vec<&str> = name.split('/').collect();
    let ["projects", project, "locations", location, "apps", app, "sessions", id] = parts[..] else {
        return Err(invalid("Invalid value at 'config.session': it is no session of an app."));
    };
    if [project, location, app].contains(&"") {
        return Err(invalid("Invalid value at 'config.session': a part of the name is empty."));
    }
    let is_well_formed = ID_CHARS.contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.chars().all(|other| other.is_ascii_alphanumeric() || matches!(other, '-' | '_'));
    if !is_well_formed {
        return Err(invalid("Invalid value at 'config.session': the id must be [a-zA-Z0-9][a-zA-Z0-9-_]{4,62}."));
    }
    Ok((format!("projects/{project}/locations/{location}/apps/{app}"), location.to_owned(), id.to_owned()))
}

fn check_deployment(deployment: &str, app: &str, behaviour: &Ces) -> Result<(), Status> {
    if deployment.is_empty() {
        return Ok(());
    }
    let id = deployment.strip_prefix(app).and_then(|rest| rest.strip_prefix("/deployments/"));
    match id {
        Some(id) if !id.is_empty() && !id.contains('/') => {
            let is_known = behaviour.deployments.is_empty() || behaviour.deployments.iter().any(|known| known == id);
            if is_known { Ok(()) } else { Err(Status::not_found("There is no such deployment.")) }
        }
        Some(_) | None => {
            Err(invalid("Invalid value at 'config.deployment': it is no deployment of the session's app."))
        }
    }
}

fn check_entry_agent(agent: &str, app: &str) -> Result<(), Status> {
    let id = agent.strip_prefix(app).and_then(|rest| rest.strip_prefix("/agents/"));
    let is_right = agent.is_empty() || id.is_some_and(|id| !id.is_empty() && !id.contains('/'));
    if is_right {
        Ok(())
    } else {
        Err(invalid("Invalid value at 'config.entry_agent': it is no agent of the session's app."))
    }
}

/// The past messages: a text of the user or of the agent each.
fn history(messages: &[ces::Message], behaviour: &Ces) -> Result<Vec<PastMessage>, Status> {
    if !messages.is_empty() && behaviour.history == History::Refused {
        return Err(invalid("Invalid value at 'config.historical_contexts'."));
    }
    let past = messages.iter().map(|message| {
        let role = match message.role.as_str() {
            "user" => Role::User,
            "agent" => Role::Agent,
            _ => return Err(invalid("Invalid value at 'config.historical_contexts.role'.")),
        };
        match &message.chunks[..] {
            [ces::Chunk { data: Some(ces::chunk::Data::Text(text)) }] if !text.is_empty() => {
                Ok(PastMessage { role, text: text.clone() })
            }
            _ => Err(invalid("Invalid value at 'config.historical_contexts.chunks': the lab reads one text.")),
        }
    });
    past.collect()
}

type Formats = (Option<AudioFormat>, Option<AudioFormat>);

/// Both codings, or neither: a session with audio needs both.
fn formats(input: Option<&ces::InputAudioConfig>, output: Option<&ces::OutputAudioConfig>) -> Result<Formats, Status> {
    match (input, output) {
        (None, None) => Ok((None, None)),
        (None, Some(_)) => Err(invalid("An audio session needs config.input_audio_config.")),
        (Some(_), None) => Err(invalid("An audio session needs config.output_audio_config.")),
        (Some(input), Some(output)) => {
            if !NOISE_SUPPRESSION_LEVELS.contains(&input.noise_suppression_level.as_str()) {
                return Err(invalid("Invalid value at 'config.input_audio_config.noise_suppression_level'."));
            }
            let heard = format("input", input.audio_encoding(), input.sample_rate_hertz, &[8_000, 16_000, 24_000])?;
            let rates = [8_000, 16_000, 24_000, 48_000];
            let spoken = format("output", output.audio_encoding(), output.sample_rate_hertz, &rates)?;
            Ok((Some(heard), Some(spoken)))
        }
    }
}

fn format(which: &str, encoding: ces::AudioEncoding, rate: i32, linear_rates: &[u32]) -> Result<AudioFormat, Status> {
    let encoding = match encoding {
        ces::AudioEncoding::Unspecified => {
            return Err(invalid(format!("config.{which}_audio_config.audio_encoding is required.")));
        }
        ces::AudioEncoding::Linear16 => Encoding::Linear16,
        ces::AudioEncoding::Mulaw => Encoding::Mulaw,
        ces::AudioEncoding::Alaw => Encoding::Alaw,
    };
    let rates = if encoding == Encoding::Linear16 { linear_rates } else { &[8_000][..] };
    match u32::try_from(rate) {
        Ok(sample_rate) if rates.contains(&sample_rate) => Ok(AudioFormat { encoding, sample_rate }),
        Ok(0) => Err(invalid(format!("config.{which}_audio_config.sample_rate_hertz is required."))),
        Ok(_) | Err(_) => {
            Err(invalid(format!("Invalid value at 'config.{which}_audio_config.sample_rate_hertz' for that encoding.")))
        }
    }
}

fn dtmf(digits: String, how_many: Digits) -> Result<Input, Status> {
    let are_keys = digits.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'));
    if digits.is_empty() || !are_keys {
        return Err(invalid("Invalid value at 'realtime_input.dtmf': digits are 0-9, *, # and A-D."));
    }
    if how_many == Digits::One && digits.len() > 1 {
        return Err(invalid("Invalid value at 'realtime_input.dtmf': one digit at a time."));
    }
    Ok(Input::Digits(digits))
}

fn checked_audio(audio: Bytes, format: Option<AudioFormat>) -> Result<Input, Status> {
    let Some(format) = format else {
        return Err(invalid("Audio needs config.input_audio_config and config.output_audio_config."));
    };
    if audio.is_empty() {
        return Err(empty("audio"));
    }
    if !audio.len().is_multiple_of(usize::from(format.encoding.bytes_per_sample())) {
        return Err(invalid("Invalid value at 'realtime_input.audio': half a sample of LINEAR16."));
    }
    Ok(Input::Audio(audio))
}

fn tool_responses(responses: ces::ToolResponses) -> Result<Input, Status> {
    if responses.tool_responses.is_empty() {
        return Err(empty("tool_responses.tool_responses"));
    }
    let answers = responses.tool_responses.into_iter().map(|of| {
        use ces::tool_response::ToolIdentifier;
        let tool = match of.tool_identifier {
            Some(ToolIdentifier::Tool(tool)) => tool,
            Some(ToolIdentifier::ToolsetTool(tool)) => format!("{}/{}", tool.toolset, tool.tool_id),
            None => return Err(invalid("A tool_response names no tool.")),
        };
        let response = of.response.ok_or_else(|| invalid("A tool_response has no response."))?;
        Ok(Answered { id: of.id, tool, response: json_object(response) })
    });
    answers.collect::<Result<_, _>>().map(Input::ToolResponses)
}

pub(super) fn invalid(text: impl Into<String>) -> Status {
    Status::invalid_argument(text)
}

fn empty(field: &str) -> Status {
    invalid(format!("Invalid value at 'realtime_input.{field}': it is empty."))
}
