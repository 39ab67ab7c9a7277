//! The settings as they are given: a flag and an environment variable each.

use clap::Args;
use serde::{Deserialize, Serialize};

/// The settings as they were given. All are taken as text, so that a wrong one is told in the same way whether it came
/// as a flag or from the environment.
#[derive(Args, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The port to listen on
    #[arg(long, env = "PORT", value_name = "PORT", help_heading = "Service")]
    pub port: Option<String>,
    /// The URL that Twilio sees; without it, what X-Forwarded-Proto and Host say
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", help_heading = "Service")]
    pub public_url: Option<String>,
    /// A TOML file with agents by name, and settings of their own
    #[arg(long = "config", env = "DIALBRIDGE_CONFIG", value_name = "FILE", help_heading = "Service")]
    pub dialbridge_config: Option<String>,
    /// How many calls may stream at once
    #[arg(long, env = "MAX_CALLS", value_name = "N", help_heading = "Service")]
    pub max_calls: Option<String>,
    /// Where calls go that come when MAX_CALLS are there; without it they are told that all lines are busy
    #[arg(long, env = "OVERFLOW_URL", value_name = "URL", help_heading = "Service")]
    pub overflow_url: Option<String>,
    /// The least severity that is logged: debug, info, warning or error
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", help_heading = "Service")]
    pub log_level: Option<String>,
    /// After so long a call goes over to another media socket, because the platform cuts one after an hour; 0: never
    #[arg(long, env = "RENEW_AFTER_SECONDS", value_name = "SECONDS", help_heading = "Service")]
    pub renew_after_seconds: Option<String>,
    /// A folder for a tape of every call; a tape holds the caller's voice
    #[arg(long = "record", env = "RECORD_DIR", value_name = "DIR", help_heading = "Service")]
    pub record_dir: Option<String>,
    /// Whether a tape shows the keys that were pressed
    #[arg(long, env = "RECORD_DIGITS", value_name = "BOOL", help_heading = "Service")]
    pub record_digits: Option<String>,
    /// Whether a tape has a buzz instead of the caller's voice
    #[arg(long, env = "RECORD_MASKED", value_name = "BOOL", help_heading = "Service")]
    pub record_masked: Option<String>,
    /// Opens the page at / and what else is for those who run the service; on Cloud Run and App Engine it is closed without
    #[arg(long, env = "ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true, help_heading = "Service")]
    pub admin_token: Option<String>,
    /// Whether the page shows what was said in phone calls; of calls from the page itself it always does
    #[arg(long, env = "PAGE_TRANSCRIPTS", value_name = "BOOL", help_heading = "Service")]
    pub page_transcripts: Option<String>,

    /// A turn in which the caller waits longer for the answer to begin is slow; 0: there is no such bound
    #[arg(long, env = "SLOW_TURN_MS", value_name = "MS", help_heading = "Sight")]
    pub slow_turn_ms: Option<String>,
    /// How long the stages of a turn may take, such as agent=2500
    #[arg(long, env = "SLOW_STAGES_MS", value_name = "STAGE=MS", help_heading = "Sight")]
    pub slow_stages_ms: Option<String>,
    /// Where events of calls are posted
    #[arg(long, env = "EVENT_WEBHOOK_URL", value_name = "URL", help_heading = "Sight")]
    pub event_webhook_url: Option<String>,
    /// What events are signed with, or several: all sign
    #[arg(long, env = "EVENT_WEBHOOK_SECRET", value_name = "SECRETS", hide_env_values = true, help_heading = "Sight")]
    pub event_webhook_secret: Option<String>,
    /// What is left out of events: all (what was said, and numbers), words or none
    #[arg(long, env = "EVENT_REDACTION", value_name = "LEVEL", help_heading = "Sight")]
    pub event_redaction: Option<String>,
    /// The project that traces in log lines belong to; without it the agent's
    #[arg(long, env = "GOOGLE_CLOUD_PROJECT", value_name = "PROJECT", help_heading = "Sight")]
    pub google_cloud_project: Option<String>,

    /// Where traces are posted, at /v1/traces, by OTLP over HTTP
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", help_heading = "Traces")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The same, with the whole path
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL", help_heading = "Traces")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// Headers of each request: NAME=VALUE, and more after a comma
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        value_name = "HEADERS",
        hide_env_values = true,
        help_heading = "Traces"
    )]
    pub otel_exporter_otlp_headers: Option<String>,
    /// The protocol: http/protobuf
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_name = "PROTOCOL", help_heading = "Traces")]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// How long a request may take
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MS", help_heading = "Traces")]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// The service's name in traces
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME", help_heading = "Traces")]
    pub otel_service_name: Option<String>,
    /// What else is to be told of the service: NAME=VALUE, and more after a comma
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "ATTRIBUTES", help_heading = "Traces")]
    pub otel_resource_attributes: Option<String>,
    /// Which calls are traced, such as always_on or parentbased_traceidratio
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "SAMPLER", help_heading = "Traces")]
    pub otel_traces_sampler: Option<String>,
    /// The share of a ratio's sampler, from 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "SHARE", help_heading = "Traces")]
    pub otel_traces_sampler_arg: Option<String>,

    /// How many media sockets may wait for their stream to start
    #[arg(long, env = "MOST_WAITING_SOCKETS", value_name = "N", help_heading = "Doors")]
    pub most_waiting_sockets: Option<String>,
    /// How many connections may be open that no media socket has become of
    #[arg(long, env = "MOST_CONNECTIONS", value_name = "N", help_heading = "Doors")]
    pub most_connections: Option<String>,
    /// How long the head of a request may take
    #[arg(long, env = "HEAD_SECONDS", value_name = "SECONDS", help_heading = "Doors")]
    pub head_seconds: Option<String>,
    /// The longest head of a request
    #[arg(long, env = "MOST_HEAD_BYTES", value_name = "BYTES", help_heading = "Doors")]
    pub most_head_bytes: Option<String>,
    /// How long the body of a request may take
    #[arg(long, env = "BODY_SECONDS", value_name = "SECONDS", help_heading = "Doors")]
    pub body_seconds: Option<String>,
    /// The longest body of a request
    #[arg(long, env = "MOST_BODY_BYTES", value_name = "BYTES", help_heading = "Doors")]
    pub most_body_bytes: Option<String>,
    /// The longest message over a media socket
    #[arg(long, env = "MOST_MESSAGE_BYTES", value_name = "BYTES", help_heading = "Doors")]
    pub most_message_bytes: Option<String>,
    /// How long a media socket may take until its stream starts
    #[arg(long, env = "START_SECONDS", value_name = "SECONDS", help_heading = "Doors")]
    pub start_seconds: Option<String>,
    /// How long nothing may come over a media socket
    #[arg(long, env = "QUIET_SOCKET_SECONDS", value_name = "SECONDS", help_heading = "Doors")]
    pub quiet_socket_seconds: Option<String>,
    /// How long a media socket may take nothing of what is sent
    #[arg(long, env = "SLOW_SOCKET_SECONDS", value_name = "SECONDS", help_heading = "Doors")]
    pub slow_socket_seconds: Option<String>,
    /// How many messages may wait for a media socket
    #[arg(long, env = "MOST_QUEUED_MESSAGES", value_name = "N", help_heading = "Doors")]
    pub most_queued_messages: Option<String>,
    /// How many streams share a connection to Dialogflow
    #[arg(long, env = "STREAMS_PER_CONNECTION", value_name = "N", help_heading = "Load")]
    pub streams_per_connection: Option<String>,
    /// How long frames are gathered under load, before one wake-up serves them all; 0: never
    #[arg(long, env = "GATHER_MICROSECONDS", value_name = "US", help_heading = "Load")]
    pub gather_microseconds: Option<String>,
    /// How much audio goes to the agent as one message, at least
    #[arg(long, env = "AUDIO_CHUNK_MS", value_name = "MS", help_heading = "Load")]
    pub audio_chunk_ms: Option<String>,

    /// Takes streams of TwiML that others wrote, at /media; read docs/security.md first
    #[arg(long, env = "ALLOW_BARE_MEDIA", value_name = "BOOL", help_heading = "Doors")]
    pub allow_bare_media: Option<String>,

    /// The agent's resource name, or lab:FILE; without it the embedded lab agent
    #[arg(long, env = "DIALOGFLOW_AGENT", value_name = "NAME", help_heading = "Agent")]
    pub dialogflow_agent: Option<String>,
    /// The ES agent of that project, where DIALOGFLOW_AGENT is not set
    #[arg(long, env = "DIALOGFLOW_PROJECT_ID", value_name = "PROJECT", help_heading = "Agent")]
    pub dialogflow_project_id: Option<String>,
    /// Another endpoint than the location's; http:// means plaintext without credentials
    #[arg(long, env = "DIALOGFLOW_ENDPOINT", value_name = "URL", help_heading = "Agent")]
    pub dialogflow_endpoint: Option<String>,
    /// ES's API: v2, or v2beta1 with telephony messages, barge-in configuration and DTMF input
    #[arg(long, env = "DIALOGFLOW_ES_API", value_name = "API", help_heading = "Agent")]
    pub dialogflow_es_api: Option<String>,
    /// The language of the calls
    #[arg(long, env = "DIALOGFLOW_LANGUAGE", value_name = "TAG", help_heading = "Agent")]
    pub dialogflow_language: Option<String>,
    /// The event of the first turn
    #[arg(long, env = "DIALOGFLOW_STARTING_EVENT_NAME", value_name = "EVENT", help_heading = "Agent")]
    pub dialogflow_starting_event_name: Option<String>,
    /// The text of the first turn, where no event is set or the event brought no answer; empty: none
    #[arg(long, env = "DIALOGFLOW_STARTING_TEXT", value_name = "TEXT", help_heading = "Agent")]
    pub dialogflow_starting_text: Option<String>,
    /// Whether a turn is asked again that failed while the agent was answering (a webhook may then run twice)
    #[arg(long, env = "RETRY_ANSWERING_TURN", value_name = "BOOL", help_heading = "Agent")]
    pub retry_answering_turn: Option<String>,
    /// A file with Google credentials; without it the usual places, then the metadata server
    #[arg(long, env = "GOOGLE_APPLICATION_CREDENTIALS", value_name = "FILE", help_heading = "Agent")]
    pub google_application_credentials: Option<String>,
    /// How long an answer is waited for
    #[arg(long, env = "ANSWER_SECONDS", value_name = "SECONDS", help_heading = "Agent")]
    pub answer_seconds: Option<String>,
    /// For so long a stream may say nothing of clear speech before another one takes its place; 0: for ever (CX, ES)
    #[arg(long, env = "STALLED_STREAM_SECONDS", value_name = "SECONDS", help_heading = "Agent")]
    pub stalled_stream_seconds: Option<String>,
    /// For so long a turn that failed is tried again; then the call gets its fallback
    #[arg(long, env = "RETRY_BUDGET_SECONDS", value_name = "SECONDS", help_heading = "Agent")]
    pub retry_budget_seconds: Option<String>,
    /// So long before the agent's limit for audio a new stream takes over
    #[arg(long, env = "ROTATION_MARGIN_MS", value_name = "MS", help_heading = "Agent")]
    pub rotation_margin_ms: Option<String>,
    /// The caller's time zone, as Area/City
    #[arg(long, env = "TIME_ZONE", value_name = "ZONE", help_heading = "Agent")]
    pub time_zone: Option<String>,
    /// Whether the agent tells the mood of what was said
    #[arg(long, env = "SENTIMENT", value_name = "BOOL", help_heading = "Agent")]
    pub sentiment: Option<String>,
    /// Headers for the agent's webhook: Name: value, and more after a comma
    #[arg(long, env = "WEBHOOK_HEADERS", value_name = "HEADERS", hide_env_values = true, help_heading = "Agent")]
    pub webhook_headers: Option<String>,
    /// Versions of flows that are to be used (CX)
    #[arg(long, env = "FLOW_VERSIONS", value_name = "NAMES", help_heading = "Agent")]
    pub flow_versions: Option<String>,

    /// How streams to a CES agent are carried: websocket or grpc
    #[arg(long, env = "CES_TRANSPORT", value_name = "TRANSPORT", help_heading = "CES")]
    pub ces_transport: Option<String>,
    /// The coding in which it gets the caller's audio: mulaw, linear16-8000, linear16-16000 or linear16-24000
    #[arg(long, env = "CES_INPUT_AUDIO", value_name = "CODING", help_heading = "CES")]
    pub ces_input_audio: Option<String>,
    /// The coding in which it speaks: mulaw, or linear16 at 8000, 16000, 24000 or 48000
    #[arg(long, env = "CES_OUTPUT_AUDIO", value_name = "CODING", help_heading = "CES")]
    pub ces_output_audio: Option<String>,
    /// How much of the caller's audio is one message
    #[arg(long, env = "CES_CHUNK_MS", value_name = "MS", help_heading = "CES")]
    pub ces_chunk_ms: Option<String>,
    /// After how many seconds another stream takes over, in a pause
    #[arg(long, env = "CES_STREAM_SECONDS", value_name = "S", help_heading = "CES")]
    pub ces_stream_seconds: Option<String>,
    /// How much noise is taken out of the caller's audio: low, moderate, high or very_high
    #[arg(long, env = "CES_NOISE_SUPPRESSION", value_name = "LEVEL", help_heading = "CES")]
    pub ces_noise_suppression: Option<String>,
    /// Where the tools are run that it asks its client for; without it each is refused
    #[arg(long, env = "CES_TOOL_WEBHOOK_URL", value_name = "URL", help_heading = "CES")]
    pub ces_tool_webhook_url: Option<String>,
    /// What requests to that address are signed with
    #[arg(long, env = "CES_TOOL_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true, help_heading = "CES")]
    pub ces_tool_webhook_secret: Option<String>,
    /// How long a tool may take
    #[arg(long, env = "CES_TOOL_WEBHOOK_MS", value_name = "MS", help_heading = "CES")]
    pub ces_tool_webhook_ms: Option<String>,

    /// What stops a prompt: off, speech (something was understood) or voice (sooner, and a cough does it too)
    #[arg(long, env = "BARGE_IN", value_name = "MODE", help_heading = "Conversation")]
    pub barge_in: Option<String>,
    /// So many words at least interrupt
    #[arg(long, env = "BARGE_IN_LEAST_WORDS", value_name = "N", help_heading = "Conversation")]
    pub barge_in_least_words: Option<String>,
    /// So many milliseconds of speech at least interrupt
    #[arg(long, env = "BARGE_IN_LEAST_MS", value_name = "MS", help_heading = "Conversation")]
    pub barge_in_least_ms: Option<String>,
    /// What was understood with less confidence does not interrupt
    #[arg(long, env = "BARGE_IN_LEAST_CONFIDENCE", value_name = "PERCENT", help_heading = "Conversation")]
    pub barge_in_least_confidence: Option<String>,
    /// A session parameter that tells the agent how much of a prompt was heard that was cut
    #[arg(long, env = "HEARD_PARAMETER", value_name = "NAME", help_heading = "Conversation")]
    pub heard_parameter: Option<String>,
    /// The event of a caller's silence, for an agent that has no handler of its own for it
    #[arg(long, env = "NO_INPUT_EVENT", value_name = "EVENT", help_heading = "Conversation")]
    pub no_input_event: Option<String>,
    /// After so much silence that event is sent
    #[arg(long, env = "NO_INPUT_MS", value_name = "MS", help_heading = "Conversation")]
    pub no_input_ms: Option<String>,
    /// A WAV file that is played while the agent thinks for long
    #[arg(long, env = "FILLER_FILE", value_name = "FILE", help_heading = "Conversation")]
    pub filler_file: Option<String>,
    /// After so much thought it is played
    #[arg(long, env = "FILLER_AFTER_MS", value_name = "MS", help_heading = "Conversation")]
    pub filler_after_ms: Option<String>,
    /// A WAV file that is played when a turn has failed and is tried again
    #[arg(long, env = "RETRY_FILE", value_name = "FILE", help_heading = "Conversation")]
    pub retry_file: Option<String>,

    /// The key that ends an entry, or none
    #[arg(long, env = "KEYS_FINISH", value_name = "KEY", help_heading = "Keys")]
    pub keys_finish: Option<String>,
    /// So many keys are an entry; 0: any number of them
    #[arg(long, env = "KEYS_MOST", value_name = "N", help_heading = "Keys")]
    pub keys_most: Option<String>,
    /// After such a pause an entry is complete
    #[arg(long, env = "KEYS_GAP_MS", value_name = "MS", help_heading = "Keys")]
    pub keys_gap_ms: Option<String>,
    /// Where the agent expects keys, NO_INPUT_EVENT is sent after so long without one; 0: as without keys
    #[arg(long, env = "KEYS_FIRST_MS", value_name = "MS", help_heading = "Keys")]
    pub keys_first_ms: Option<String>,
    /// How the agent gets keys: dtmf, text or event:NAME
    #[arg(long, env = "KEYS_AS", value_name = "FORM", help_heading = "Keys")]
    pub keys_as: Option<String>,

    /// The longest call; 0: no bound, here and below
    #[arg(long, env = "MOST_CALL_SECONDS", value_name = "SECONDS", help_heading = "Bounds")]
    pub most_call_seconds: Option<String>,
    /// The longest time in which nobody says anything
    #[arg(long, env = "MOST_SILENCE_SECONDS", value_name = "SECONDS", help_heading = "Bounds")]
    pub most_silence_seconds: Option<String>,
    /// The most turns that fail in a call
    #[arg(long, env = "MOST_FAILED_TURNS", value_name = "N", help_heading = "Bounds")]
    pub most_failed_turns: Option<String>,
    /// The most turns in a row in which the caller says nothing
    #[arg(long, env = "MOST_SILENT_TURNS", value_name = "N", help_heading = "Bounds")]
    pub most_silent_turns: Option<String>,
    /// What is said to a call that one of these ends
    #[arg(long, env = "GOODBYE_TEXT", value_name = "TEXT", help_heading = "Bounds")]
    pub goodbye_text: Option<String>,

    /// The agent's voice
    #[arg(long, env = "VOICE_NAME", value_name = "NAME", help_heading = "Speech")]
    pub voice_name: Option<String>,
    /// Or what it is like: male, female or neutral
    #[arg(long, env = "VOICE_GENDER", value_name = "GENDER", help_heading = "Speech")]
    pub voice_gender: Option<String>,
    /// How fast it speaks: 0.25 to 4
    #[arg(long, env = "SPEAKING_RATE", value_name = "N", allow_negative_numbers = true, help_heading = "Speech")]
    pub speaking_rate: Option<String>,
    /// How high it is: -20 to 20
    #[arg(long, env = "PITCH", value_name = "SEMITONES", allow_negative_numbers = true, help_heading = "Speech")]
    pub pitch: Option<String>,
    /// How loud it is: -96 to 16
    #[arg(long, env = "VOLUME_GAIN_DB", value_name = "DB", allow_negative_numbers = true, help_heading = "Speech")]
    pub volume_gain_db: Option<String>,
    /// Profiles that are laid over it, such as telephony-class-application
    #[arg(long, env = "EFFECTS_PROFILE", value_name = "PROFILES", help_heading = "Speech")]
    pub effects_profile: Option<String>,
    /// The model by which the caller is understood
    #[arg(long, env = "SPEECH_MODEL", value_name = "MODEL", help_heading = "Speech")]
    pub speech_model: Option<String>,
    /// Its variant: best, standard or enhanced
    #[arg(long, env = "SPEECH_MODEL_VARIANT", value_name = "VARIANT", help_heading = "Speech")]
    pub speech_model_variant: Option<String>,
    /// What callers are likely to say, with commas between
    #[arg(long, env = "PHRASE_HINTS", value_name = "PHRASES", help_heading = "Speech")]
    pub phrase_hints: Option<String>,

    /// The largest recording that is fetched because an agent names it
    #[arg(long, env = "PROMPT_MOST_BYTES", value_name = "BYTES", help_heading = "Recordings")]
    pub prompt_most_bytes: Option<String>,
    /// How long it may take to be fetched
    #[arg(long, env = "PROMPT_FETCH_MS", value_name = "MS", help_heading = "Recordings")]
    pub prompt_fetch_ms: Option<String>,
    /// Cloud Storage
    #[arg(long, env = "STORAGE_ENDPOINT", value_name = "URL", help_heading = "Recordings")]
    pub storage_endpoint: Option<String>,
    /// Cloud Text-to-Speech
    #[arg(long, env = "TEXT_TO_SPEECH_ENDPOINT", value_name = "URL", help_heading = "Recordings")]
    pub text_to_speech_endpoint: Option<String>,

    /// The Twilio account
    #[arg(long, env = "TWILIO_ACCOUNT_SID", value_name = "SID", help_heading = "Twilio")]
    pub twilio_account_sid: Option<String>,
    /// The account's auth token, or several: the first signs, all verify
    #[arg(long, env = "TWILIO_AUTH_TOKEN", value_name = "TOKENS", hide_env_values = true, help_heading = "Twilio")]
    pub twilio_auth_token: Option<String>,
    /// An API key for REST, beside the token
    #[arg(long, env = "TWILIO_API_KEY_SID", value_name = "SID", help_heading = "Twilio")]
    pub twilio_api_key_sid: Option<String>,
    /// The API key's secret
    #[arg(long, env = "TWILIO_API_KEY_SECRET", value_name = "SECRET", hide_env_values = true, help_heading = "Twilio")]
    pub twilio_api_key_secret: Option<String>,
    /// Twilio's REST API
    #[arg(long, env = "TWILIO_API_URL", value_name = "URL", help_heading = "Twilio")]
    pub twilio_api_url: Option<String>,
    /// Twilio's edge location
    #[arg(long, env = "TWILIO_EDGE", value_name = "EDGE", help_heading = "Twilio")]
    pub twilio_edge: Option<String>,
    /// Twilio's region
    #[arg(long, env = "TWILIO_REGION", value_name = "REGION", help_heading = "Twilio")]
    pub twilio_region: Option<String>,
    /// Keys for tickets and state; without them derived from the auth token
    #[arg(long, env = "TICKET_KEY", value_name = "KEYS", hide_env_values = true, help_heading = "Twilio")]
    pub ticket_key: Option<String>,
    /// Lets the service start without an auth token on Cloud Run and App Engine: anyone may then use it
    #[arg(long, env = "ALLOW_UNSIGNED", value_name = "BOOL", help_heading = "Twilio")]
    pub allow_unsigned: Option<String>,

    /// Where the call goes when the agent is done; without it the call is hung up
    #[arg(long, env = "END_OF_INTERACTION_URL", value_name = "URL", help_heading = "Hand-off")]
    pub end_of_interaction_url: Option<String>,
    /// TwiML for a call whose agent cannot be had
    #[arg(long, env = "FALLBACK_TWIML", value_name = "TWIML", help_heading = "Hand-off")]
    pub fallback_twiml: Option<String>,
    /// What may stand in the hand-off's URL
    #[arg(long, env = "HANDOFF_FIELDS", value_name = "FIELDS", help_heading = "Hand-off")]
    pub handoff_fields: Option<String>,
    /// The number that a transfer shows; without it the caller's own
    #[arg(long, env = "DIAL_CALLER_ID", value_name = "NUMBER", help_heading = "Hand-off")]
    pub dial_caller_id: Option<String>,
    /// How long a transfer rings
    #[arg(long, env = "DIAL_TIMEOUT", value_name = "SECONDS", help_heading = "Hand-off")]
    pub dial_timeout: Option<String>,
    /// Whether the caller hears ringing until somebody answers
    #[arg(long, env = "DIAL_ANSWER_ON_BRIDGE", value_name = "BOOL", help_heading = "Hand-off")]
    pub dial_answer_on_bridge: Option<String>,
    /// The event that the agent gets when nobody has answered a transfer
    #[arg(long, env = "DIAL_FAILED_EVENT", value_name = "EVENT", help_heading = "Hand-off")]
    pub dial_failed_event: Option<String>,
}
