//! The table of settings. An entry is all that is said of a setting: who can have it, its name, the type of its value, which
//! values it takes, what holds without one, and one sentence for `--help` and docs/settings.md.
//!
//! A new setting is one entry here and one line that reads it: `values.get(&table::NAME)`, or `find` where it has no default.
//! One that is part of a call's configuration names its fields there by `sets`.
//! Afterwards `UPDATE_DOCS=1 cargo test -p dialbridge-runner settings` writes its row.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::call_facts::CallParameter;
use dialbridge_core::config::{BargeInMode, Clip, EndOfUtterance};
use dialbridge_core::handoff::HandoffField;
use dialbridge_core::stages::TurnStage;
use dialbridge_net::Secret;
use dialbridge_net::guarded::AllowedHosts;
use http::{HeaderName, HeaderValue};

use super::config::Redaction;
use super::prompts::prompt_hosts;
use super::public_url::{PublicUrl, public_url};
use super::recording::recording;
use super::setting::{Declared, Scope, Setting, choice, decimal, form, number, path, secrets, switch, text, web_url};
use super::severity::{LogFormat, Severity};
use super::value::{
    MAX_STAGE_MS, account_sid, admin_token, agent_name, agent_of_project, attributes, audio_chunk, base_url,
    call_parameters, caller_id, ces_entry_agent, digits_form, end_of_utterance, endpoint, event, fallback_twiml,
    finish_digit, flow_versions, handoff_fields, host_label, ignored_phrases, language, list, listening_address,
    log_level, parameter_name, phrases, project, renewal_seconds, sentence, stage_times, time_zone, trace_headers,
    webhook_headers,
};
use super::webhook_secret::{WebhookSecret, webhook_secrets};
use dialbridge_agents::{CesTransport, Endpoint, EsApi};
use dialbridge_agents::{ModelVariant, VoiceGender};

/// `SECTION { /// HELP SCOPE NAME: TYPE = KIND; … }`
macro_rules! settings {
    ($($section:literal { $(#[doc = $help:literal] $scope:ident $name:ident: $type:ty = $kind:expr;)+ })+) => {
        $($(
            #[doc = $help]
            pub(super) static $name: Setting<$type> =
                $kind.named(stringify!($name)).under($section).of(Scope::$scope).help($help);
        )+)+

        /// All settings, in the order of `--help` and of docs/settings.md.
        pub(super) static ALL: &[&dyn Declared] = &[$($(&$name),+),+];
    };
}

settings! {
    "Service" {
        /// The port that the service listens on
        Service PORT: u16 = number(0..=65_535).default_is("8080");
        /// The address that the service listens on
        Service HOST: IpAddr = form("ADDRESS", "", listening_address).example("127.0.0.1").otherwise("all, IPv4 and IPv6");
        /// The URL of this service as Twilio sees it, with the path that stands before its own paths
        Service PUBLIC_URL: PublicUrl = form("URL", "", public_url).example("https://calls.example.com")
            .otherwise("`Host` and the front end's headers");
        /// A TOML file with agents by name, each with settings of its own
        Service DIALBRIDGE_CONFIG: PathBuf = path("FILE").flag("config").example("agents.toml");
        /// How many calls may stream at once
        Service MAX_CALLS: usize = number(1..=1_000_000).default_is("1000");
        /// Where calls go while MAX_CALLS are live
        Agent OVERFLOW_URL: String = web_url().otherwise("the caller hears that all lines are busy");
        /// The least severity that is logged; debug shows what was said
        Service LOG_LEVEL: Severity = form("LEVEL", "debug, info, warning, error", log_level).default_is("info");
        /// How the lines of the log are written
        Service LOG_FORMAT: LogFormat = choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .otherwise("text on a terminal, else json");
        /// When a live call goes to another media stream, in a gap of the conversation; 0: never
        Service MIGRATE_AFTER_SECONDS: u64 = form("SECONDS", "0, 120 to 86400", renewal_seconds).example("3300")
            .otherwise("3300 on Cloud Run and App Engine, else 0");
        /// The token that opens the page at / and the metrics
        Service ADMIN_TOKEN: Secret = form("TOKEN", "", admin_token).example("a-long-random-text").secret();
        /// Whether the page shows what was said in phone calls, and not only in its own
        Service PAGE_TRANSCRIPTS: bool = switch().default_is("false");
        /// A folder that keeps finished calls for the page beyond this instance, each with its tape
        Service HISTORY_DIR: PathBuf = path("DIR").example("history");
        /// How many days it keeps them
        Service HISTORY_DAYS: u64 = number(1..=3_650).default_is("7");
        /// A folder for a tape of every call, made if it is not there; a tape holds the caller's voice
        Agent RECORD_DIR: PathBuf = path("DIR").flag("record").example("tapes");
        /// Whether a tape shows the digits that were pressed; else each is a 0, but the one that ends an entry
        Agent RECORD_DIGITS: bool = switch().default_is("false");
        /// Whether a tape has a buzz, as loud, instead of the caller's voice
        Agent RECORD_MASKED: bool = switch().default_is("false");
    }
    "Agent" {
        /// The agent's resource name, or lab:FILE for a lab script
        Agent DIALOGFLOW_AGENT: String = form("NAME", "", agent_name).otherwise("the lab's agent")
            .example("projects/my-project/locations/us-central1/agents/00000000-0000-0000-0000-000000000000");
        /// The project whose ES agent answers, where DIALOGFLOW_AGENT is not set
        Agent DIALOGFLOW_PROJECT_ID: String = form("PROJECT", "", agent_of_project).example("my-project");
        /// The endpoint of the agent; http:// means plaintext without credentials
        Agent DIALOGFLOW_ENDPOINT: Endpoint = form("URL", "", endpoint).otherwise("from the location")
            .example("https://europe-west3-dialogflow.googleapis.com");
        /// The API of Dialogflow ES
        Agent DIALOGFLOW_ES_API: EsApi = choice(&[("v2", EsApi::V2), ("v2beta1", EsApi::V2Beta1)]).default_is("v2")
            .idle_for_ces();
        /// The language of the calls, a tag such as de-DE or a name such as German
        Agent DIALOGFLOW_LANGUAGE: String = form("TAG", "", language).default_is("en-US").example("de-DE")
            .sets(&["/words/language", "/greeting/text"]);
        /// The event of the first turn; empty: none
        Agent DIALOGFLOW_STARTING_EVENT_NAME: String = text("EVENT").may_be_empty().example("WELCOME")
            .otherwise("ES `WELCOME`, CES `session_start`, CX none").sets(&["/greeting/event"]);
        /// The text of the first turn, where there is no event or the agent did not answer it; empty: none
        Agent DIALOGFLOW_STARTING_TEXT: String = text("TEXT").may_be_empty().example("hi")
            .otherwise("CX by language, in English `hi`; ES and CES none").sets(&["/greeting/text"]);
        /// Whether the service retries a turn that failed while the agent answered; a webhook may then run twice
        Agent RETRY_ANSWERING_TURN: bool = switch().default_is("true").sets(&["/retry/answeringTurn"]);
        /// How long the service retries a turn that failed, before the call gets its fallback
        Agent RETRY_BUDGET_SECONDS: u64 = number(0..=300).default_is("15").sets(&["/retry/budgetMs"]);
        /// How long the service waits for an answer
        Agent ANSWER_SECONDS: u64 = number(1..=300).default_is("20").sets(&["/patience/answerMs"]);
        /// How long a stream may report nothing of clear speech before another one replaces it; 0: for ever
        Agent STALLED_STREAM_SECONDS: u64 = number(0..=300).default_is("15").sets(&["/patience/stalledMs"]);
        /// How long before the agent's limit for audio a new stream takes over
        Agent ROTATION_MARGIN_MS: u64 = number(2_000..=86_395_000).default_is("10000").sets(&["/rotationMarginMs"]);
        /// A file with Google credentials
        Agent GOOGLE_APPLICATION_CREDENTIALS: PathBuf = path("FILE").example("credentials.json")
            .otherwise("the usual places, then the metadata server");
        /// The caller's time zone, as Europe/Berlin or UTC
        Agent TIME_ZONE: String = form("ZONE", "", time_zone).otherwise("the agent's").example("Europe/Berlin");
        /// Whether the agent tells the mood of what was said
        Agent SENTIMENT: bool = switch().default_is("false").idle_for_ces();
        /// Headers for the agent's webhook, a list of Name: value
        Agent WEBHOOK_HEADERS: BTreeMap<String, Secret> = form("HEADERS", "list", webhook_headers).default_is("")
            .example("X-Tenant: north, X-Shop: 7").secret();
        /// Versions of flows, a list of resource names (CX)
        Agent FLOW_VERSIONS: Vec<String> = form("NAMES", "list", flow_versions).otherwise("the environment's")
            .example("projects/p/locations/l/agents/a/flows/f/versions/1");
        /// The channel whose messages the agent answers with (CX)
        Agent CHANNEL: String = text("NAME").otherwise("messages without a channel").example("telephony");
        /// How long a session is kept after its last request, for calls that come back after a pause (CX)
        Agent SESSION_TTL_MINUTES: u64 = number(1..=1_440).otherwise("Google's 30").example("240");
    }
    "Customer Engagement Suite" {
        /// How streams to a CES agent are carried
        Agent CES_TRANSPORT: CesTransport =
            choice(&[("grpc", CesTransport::Grpc), ("websocket", CesTransport::WebSocket)]).default_is("websocket");
        /// The coding in which a CES agent gets the caller's audio
        Agent CES_INPUT_AUDIO: AudioFormat =
            choice(&[LINEAR16_8000, LINEAR16_16000, LINEAR16_24000, MULAW]).default_is("mulaw");
        /// The coding in which a CES agent speaks
        Agent CES_OUTPUT_AUDIO: AudioFormat =
            choice(&[LINEAR16_8000, LINEAR16_16000, LINEAR16_24000, LINEAR16_48000, MULAW]).default_is("mulaw");
        /// How much of the caller's audio is one message to a CES agent
        Agent CES_CHUNK_MS: u64 = number(40..=120).default_is("60");
        /// The agent of a CES app that begins, by its id or its full name
        Agent CES_ENTRY_AGENT: String = form("AGENT", "", ces_entry_agent).otherwise("the app's root agent")
            .example("front-desk");
        /// How long a CES agent has to take the variables before it is asked to speak; 0: no time
        Agent CES_VARIABLES_MS: u64 = number(0..=5_000).default_is("500");
        /// When another stream to a CES agent takes over, in a pause
        Agent CES_STREAM_SECONDS: u64 = number(60..=86_400).default_is("3600").example("900").sets(&["/audioLimitMs"]);
        /// How much noise a CES agent takes out of the caller's audio
        Agent CES_NOISE_SUPPRESSION: &'static str =
            choice(&[("low", "low"), ("moderate", "moderate"), ("high", "high"), ("very_high", "very_high")])
                .otherwise("the app's");
        /// Where the tools run that a CES or CX agent asks its client for
        Agent CES_TOOL_WEBHOOK_URL: String = web_url().otherwise("each tool is refused");
        /// What requests to CES_TOOL_WEBHOOK_URL are signed with
        Agent CES_TOOL_WEBHOOK_SECRET: String = text("SECRET").example("a-long-random-text").secret()
            .needs("CES_TOOL_WEBHOOK_URL");
        /// How long a tool may take
        Agent CES_TOOL_WEBHOOK_MS: u64 = number(100..=60_000).default_is("10000").needs("CES_TOOL_WEBHOOK_URL");
    }
    "Conversation" {
        /// What stops a prompt
        Agent BARGE_IN: BargeInMode = choice(&[
            ("off", BargeInMode::Off), ("speech", BargeInMode::Speech), ("voice", BargeInMode::Voice),
        ]).default_is("speech").sets(&["/bargeIn/mode"]);
        /// How many words interrupt a prompt at least; by voice none are counted
        Agent BARGE_IN_MIN_WORDS: u32 = number(1..=100).default_is("1").example("2").idle_for_ces()
            .sets(&["/bargeIn/leastWords"]);
        /// How many milliseconds of speech interrupt a prompt at least
        Agent BARGE_IN_MIN_MS: u64 = number(0..=60_000).default_is("0").example("300").sets(&["/bargeIn/leastMs"]);
        /// With how much confidence, in percent, speech interrupts a prompt at least
        Agent BARGE_IN_MIN_CONFIDENCE: u8 = number(0..=100).default_is("0").example("60").idle_for_ces()
            .sets(&["/bargeIn/leastConfidence"]);
        /// Whether the agent's own words that come back are told from the caller's
        Agent ECHO_GUARD: bool = choice(&[("on", true), ("off", false)]).default_is("on").sets(&["/bargeIn/echoGuard"]);
        /// Words that alone do not interrupt a prompt, a list of words and phrases; empty: none
        Agent BARGE_IN_IGNORE: Vec<String> = form("PHRASES", "list", ignored_phrases).may_be_empty()
            .otherwise("by language").example("mhm,okay,i see").sets(&["/bargeIn/ignore"]);
        /// Who ends what the caller says: the agent, we as soon as his words are known, or we after that much silence
        Agent END_OF_UTTERANCE: EndOfUtterance = form("RULE", "agent, quick, or a duration", end_of_utterance)
            .default_is("agent").example("800ms").idle_for_ces().sets(&["/endOfUtterance"]);
        /// Which facts of the call the agent is told, a list of NAME or NAME=parameter; empty: none
        Agent CALL_PARAMETERS: Vec<CallParameter> = form("FACTS", "list", call_parameters).may_be_empty()
            .default_is("From,To,CallSid").example("From=caller_number,Direction,SipHeader_X-Shop=shop")
            .sets(&["/callParameters"]);
        /// A session parameter that tells the agent how much of a cut prompt was heard
        Agent HEARD_PARAMETER: String = form("NAME", "", parameter_name).example("heard")
            .sets(&["/bargeIn/heardParameter"]);
        /// The event that an agent without a no-input handler gets when the caller does not answer
        Agent NO_INPUT_EVENT: String = form("EVENT", "", event).example("NO_INPUT").sets(&["/noInput/event"]);
        /// After how much silence NO_INPUT_EVENT is sent. A voice that is not understood yet holds it up for 2 s at most
        Agent NO_INPUT_MS: u64 = number(500..=600_000).default_is("8000").needs("NO_INPUT_EVENT")
            .sets(&["/noInput/afterMs"]);
        /// A WAV file that is played once in a turn while the agent thinks
        Agent FILLER_FILE: Clip = form("FILE", "", recording).path().example("one-moment.wav")
            .sets(&["/fillers/thinking"]);
        /// After how much thought FILLER_FILE is played
        Agent FILLER_AFTER_MS: u64 = number(0..=60_000).default_is("2000").needs("FILLER_FILE")
            .sets(&["/fillers/thinkingAfterMs"]);
        /// A WAV file that is played when a turn has failed and is retried
        Agent RETRY_FILE: Clip = form("FILE", "", recording).path().example("one-moment.wav")
            .sets(&["/fillers/retrying"]);
    }
    "DTMF" {
        /// The key that ends an entry of digits
        Agent DTMF_FINISH_DIGIT: Option<char> = form("KEY", "0 to 9, *, #, A to D, none", finish_digit).default_is("#")
            .sets(&["/keys/finish"]);
        /// How many digits are an entry; 0: any number of them
        Agent DTMF_MAX_DIGITS: u32 = number(0..=100).otherwise("0, CES 1").example("4").sets(&["/keys/most"]);
        /// The pause after which an entry of digits is complete
        Agent DTMF_INTERDIGIT_MS: u64 = number(100..=60_000).default_is("3000").sets(&["/keys/gapMs"]);
        /// How long the first digit may take where the agent expects one, before NO_INPUT_EVENT; 0: NO_INPUT_MS
        Agent DTMF_FIRST_DIGIT_MS: u64 = number(0..=300_000).default_is("0").example("5000").needs("NO_INPUT_EVENT")
            .sets(&["/keys/firstMs"]);
        /// How the agent gets digits
        Agent DTMF_AS: DigitsForm = form("FORM", "dtmf, text, event:NAME", digits_form)
            .otherwise("CX and CES dtmf, ES text").example("text").sets(&["/keys/form"]);
    }
    "Limits" {
        /// The longest call, over all its media streams
        Agent MAX_CALL_SECONDS: u64 = number(0..=86_400).default_is("7200").sets(&["/bounds/callMs"]);
        /// The longest time in which nobody says anything
        Agent MAX_SILENCE_SECONDS: u64 = number(0..=86_400).default_is("300").sets(&["/bounds/silenceMs"]);
        /// The longest answer or recording that is played; what is longer is cut
        Agent MAX_ANSWER_SECONDS: u64 = number(10..=7_200).default_is("1800").sets(&["/maxAnswerMs"]);
        /// How many turns of a call may fail
        Agent MAX_FAILED_TURNS: u32 = number(0..=1_000_000).default_is("20").sets(&["/bounds/failedTurns"]);
        /// How many turns in a row may pass without input
        Agent MAX_NO_INPUT_TURNS: u32 = number(0..=1_000_000).default_is("8").sets(&["/bounds/silentTurns"]);
    }
    "The service's own words" {
        /// The goodbye to a call that a limit ends, at most 500 characters
        Agent TEXT_GOODBYE: String = form("TEXT", "", sentence).otherwise("by language")
            .example("Thank you for calling. Good bye.").sets(&["/words/goodbye"]);
        /// The sentence for a call that comes while MAX_CALLS are live
        Agent TEXT_BUSY: String = form("TEXT", "", sentence).otherwise("by language")
            .example("All our lines are busy. Please call again in ten minutes.").sets(&["/words/busy"]);
        /// The sentence for a call whose agent cannot be had
        Agent TEXT_FAILED: String = form("TEXT", "", sentence).otherwise("by language")
            .example("We cannot answer at the moment. Please call again tomorrow.").sets(&["/words/failed"]);
        /// The sentence for a call whose connection is lost
        Agent TEXT_LOST: String = form("TEXT", "", sentence).otherwise("by language")
            .example("The connection was lost. Please call again.").sets(&["/words/lost"]);
    }
    "Speech" {
        /// The agent's voice, one of Google's such as en-US-Neural2-F
        Agent VOICE_NAME: String = text("NAME").otherwise("the agent's").example("en-US-Neural2-F")
            .sets(&["/words/voice"]);
        /// The gender of the agent's voice
        Agent VOICE_GENDER: VoiceGender = choice(&[
            ("male", VoiceGender::Male), ("female", VoiceGender::Female), ("neutral", VoiceGender::Neutral),
        ]).otherwise("the agent's");
        /// How fast the agent speaks
        Agent SPEAKING_RATE: f64 = decimal(0.25..=4.0).otherwise("the agent's").example("1.2");
        /// How high the agent speaks, in semitones
        Agent PITCH: f64 = decimal(-20.0..=20.0).otherwise("the agent's").example("-2.5");
        /// How loud the agent speaks, in decibels
        Agent VOLUME_GAIN_DB: f64 = decimal(-96.0..=16.0).otherwise("the agent's").example("6");
        /// Profiles that are laid over the agent's voice, a list
        Agent EFFECTS_PROFILE: Vec<String> = form("PROFILES", "list", |value| Ok(list(value))).otherwise("the agent's")
            .example("telephony-class-application");
        /// The recogniser's model, such as telephony_short
        Agent SPEECH_MODEL: String = text("MODEL").otherwise("the agent's").example("telephony_short").idle_for_ces();
        /// The variant of the recogniser's model
        Agent SPEECH_MODEL_VARIANT: ModelVariant = choice(&[
            ("best", ModelVariant::BestAvailable), ("standard", ModelVariant::Standard),
            ("enhanced", ModelVariant::Enhanced),
        ]).otherwise("the agent's").idle_for_ces();
        /// What callers are likely to say, a list of at most 5,000 phrases of 100 characters
        Agent PHRASE_HINTS: Vec<String> = form("PHRASES", "list", phrases).default_is("").example("rye bread,sourdough")
            .idle_for_ces();
    }
    "Recordings that an agent names" {
        /// The largest recording that the service fetches
        Agent PROMPT_MAX_BYTES: usize = number(1_000..=32 << 20).default_is("20971520");
        /// How long the fetch of a recording may take
        Agent PROMPT_FETCH_MS: u64 = number(100..=60_000).default_is("5000").sets(&["/patience/fetchMs"]);
        /// The hosts from which https: addresses are fetched, a list; public: all public addresses
        Agent PROMPT_HOSTS: AllowedHosts = form("HOSTS", "list", prompt_hosts).default_is("public")
            .example("public,recordings.corp.internal,10.1.0.0/16");
        /// Cloud Storage, where gs: addresses are fetched
        Agent STORAGE_ENDPOINT: String = form("URL", "", base_url).default_is("https://storage.googleapis.com");
        /// Cloud Text-to-Speech, where texts are spoken that Dialogflow does not speak itself
        Agent TEXT_TO_SPEECH_ENDPOINT: String = form("URL", "", base_url).default_is("https://texttospeech.googleapis.com")
            .example("https://eu-texttospeech.googleapis.com");
    }
    "Twilio" {
        /// The Twilio account; a hand-off over REST needs it
        Service TWILIO_ACCOUNT_SID: String = form("SID", "", account_sid).example("AC00000000000000000000000000000000");
        /// The account's auth token: with it the service refuses unsigned requests; of a list the first one signs
        Service TWILIO_AUTH_TOKEN: Vec<Secret> = secrets("TOKENS").example("0123456789abcdef0123456789abcdef");
        /// An API key for REST, beside the token
        Service TWILIO_API_KEY_SID: String = text("SID").example("SK00000000000000000000000000000000");
        /// The secret of TWILIO_API_KEY_SID
        Service TWILIO_API_KEY_SECRET: String = text("SECRET").example("the-secret").secret();
        /// Twilio's REST API
        Service TWILIO_API_URL: String = form("URL", "", base_url).otherwise("`https://api.twilio.com`").example("https://api.twilio.com");
        /// Twilio's edge location: https://api.EDGE.REGION.twilio.com
        Service TWILIO_EDGE: String = form("EDGE", "", host_label).example("dublin");
        /// Twilio's region
        Service TWILIO_REGION: String = form("REGION", "", host_label).example("ie1");
        /// Keys for the tickets of media streams, a list while one is changed
        Service TICKET_KEY: Vec<Secret> = secrets("KEYS").otherwise("from the auth token").example("a-long-random-text");
        /// Whether the service starts without an auth token on Cloud Run and App Engine: anyone may then use it
        Service ALLOW_UNSIGNED: bool = switch().default_is("false");
    }
    "Connections" {
        /// How many media streams may be open that have not started; a further one is answered with 503
        Service MAX_WAITING_SOCKETS: usize = number(1..=1_000_000).default_is("200");
        /// How many connections may be open that are no media stream; further ones wait to be accepted
        Service MAX_CONNECTIONS: usize = number(1..=1_000_000).default_is("5000");
        /// How long the head of a request may take; then the connection is closed
        Service HEAD_SECONDS: u64 = number(1..=300).default_is("10");
        /// The longest head of a request; a longer one is answered with 431
        Service MAX_HEAD_BYTES: usize = number(8_192..=1 << 20).default_is("16384");
        /// How long the body of a request may take; then it is answered with 408
        Service BODY_SECONDS: u64 = number(1..=300).default_is("10");
        /// The longest body of a request; a longer one is answered with 413
        Service MAX_BODY_BYTES: usize = number(1..=1 << 20).default_is("65536");
        /// The longest message of a media stream, its fragments together; a longer one closes it with 1009
        Service MAX_MESSAGE_BYTES: usize = number(1..=1 << 20).default_is("65536");
        /// How long a media stream may be open without its start; then it is closed
        Service START_SECONDS: u64 = number(1..=300).default_is("10");
        /// How long a media stream may be quiet
        Service QUIET_SOCKET_SECONDS: u64 = number(1..=300).default_is("30");
        /// How long a media stream may take nothing of what is sent
        Service SLOW_SOCKET_SECONDS: u64 = number(1..=300).default_is("20");
        /// How many messages may wait for a media stream
        Service MAX_QUEUED_MESSAGES: usize = number(1..=100_000).default_is("1024");
        /// Whether the service takes streams of TwiML that others wrote, at /media; read docs/security.md first
        Service ALLOW_BARE_MEDIA: bool = switch().default_is("false");
    }
    "Telemetry" {
        /// When a turn is slow, from the caller's last word to the answer's first audio; 0: never
        Agent SLOW_TURN_MS: u64 = number(0..=MAX_STAGE_MS).default_is("3000");
        /// When the stages of a turn are slow, a list such as agent=2500; 0: never
        Agent SLOW_STAGES_MS: Vec<(TurnStage, u64)> = form("STAGE=MS", "list", stage_times)
            .otherwise("waiting=1000, recogniser=1500, agent=2000, first-audio=500, playout=500")
            .example("agent=2500,recogniser=1500");
        /// Where events of calls are posted
        Agent EVENT_WEBHOOK_URL: String = web_url();
        /// What events are signed with; of a list all sign
        Agent EVENT_WEBHOOK_SECRET: Vec<WebhookSecret> = form("SECRETS", "list", webhook_secrets).default_is("")
            .example("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").secret()
            .needs("EVENT_WEBHOOK_URL");
        /// What is left out of events
        Agent EVENT_REDACTION: Redaction = choice(&[
            ("none", Redaction::None), ("words", Redaction::Words), ("all", Redaction::All),
        ]).default_is("all").needs("EVENT_WEBHOOK_URL");
        /// Where each turn is posted, in the form of Twilio's own Dialogflow connector
        Agent STATUS_CALLBACK_URL: String = web_url();
        /// The project that traces in log lines belong to
        Service GOOGLE_CLOUD_PROJECT: String = form("PROJECT", "", project).otherwise("that of the default agent")
            .example("my-project");
    }
    "Traces" {
        /// Where spans are posted, at /v1/traces, by OTLP over HTTP
        Service OTEL_EXPORTER_OTLP_ENDPOINT: String = form("URL", "", base_url).example("http://127.0.0.1:4318");
        /// Where spans are posted, with the whole path; it goes before OTEL_EXPORTER_OTLP_ENDPOINT
        Service OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: String = web_url().example("http://127.0.0.1:4318/v1/traces");
        /// Headers of each request with spans, a list of NAME=VALUE
        Service OTEL_EXPORTER_OTLP_HEADERS: Vec<(HeaderName, HeaderValue)> = form("HEADERS", "list", trace_headers)
            .default_is("").example("api-key=secret").secret();
        /// The protocol of spans: no other is spoken
        Service OTEL_EXPORTER_OTLP_PROTOCOL: () = choice(&[("http/protobuf", ())]).default_is("http/protobuf");
        /// How long a request with spans may take, in milliseconds
        Service OTEL_EXPORTER_OTLP_TIMEOUT: u64 = number(1..=60_000).default_is("10000");
        /// The service's name in traces
        Service OTEL_SERVICE_NAME: String = text("NAME").default_is("dialbridge");
        /// What else traces tell of the service, a list of NAME=VALUE
        Service OTEL_RESOURCE_ATTRIBUTES: Vec<(String, String)> = form("ATTRIBUTES", "list", attributes).default_is("")
            .example("deployment.environment.name=production");
        /// Which calls are traced
        Service OTEL_TRACES_SAMPLER: (bool, Option<f64>) = choice(&[
            ("always_on", (false, None)), ("always_off", (false, Some(0.0))), ("traceidratio", (false, Some(1.0))),
            ("parentbased_always_off", (true, Some(0.0))), ("parentbased_traceidratio", (true, Some(1.0))),
            ("parentbased_always_on", (true, None)),
        ]).default_is("parentbased_always_on");
        /// The share of calls that a ratio's sampler traces
        Service OTEL_TRACES_SAMPLER_ARG: f64 = decimal(0.0..=1.0).default_is("1").example("0.1");
    }
    "Load" {
        /// How many streams share a connection to Dialogflow
        Service STREAMS_PER_CONNECTION: usize = number(1..=100).default_is("80");
        /// How long frames wait for each other under load, before one wake-up serves them all; 0: never
        Service COALESCE_MICROSECONDS: u64 = number(0..=5_000).default_is("250");
        /// How much audio a message to the agent has at least
        Agent AUDIO_CHUNK_MS: usize = form("MS", "20 to 200, in steps of 20", audio_chunk).default_is("20").example("40");
    }
    "Hand-off" {
        /// Where the call goes when the agent is done
        Agent END_OF_INTERACTION_URL: String = web_url().otherwise("hang up").sets(&["/handoff/endOfInteractionUrl"]);
        /// The TwiML of a call whose agent cannot be had
        Agent FALLBACK_TWIML: String = form("TWIML", "", fallback_twiml).personal()
            .otherwise("`END_OF_INTERACTION_URL` with `failed`, else TEXT_FAILED")
            .example("<Response><Say>Please call again later.</Say><Hangup/></Response>")
            .sets(&["/handoff/fallbackTwiml"]);
        /// What may stand in the hand-off's URL, a list; also session
        Agent HANDOFF_FIELDS: Vec<HandoffField> = form("FIELDS", "list", handoff_fields)
            .default_is("intent,parameters,queryText,action,liveAgentHandoff").example("intent,parameters")
            .sets(&["/handoff/fields"]);
        /// The number that a transfer shows
        Agent DIAL_CALLER_ID: String = form("NUMBER", "", caller_id).personal()
            .otherwise("the caller's own, or the called number if the caller has none")
            .example("+15550100").sets(&["/handoff/dial/callerId"]);
        /// How long a transfer rings, in seconds
        Agent DIAL_TIMEOUT: u32 = number(1..=600).default_is("30").sets(&["/handoff/dial/timeoutS"]);
        /// Whether the caller hears ringing until somebody answers
        Agent DIAL_ANSWER_ON_BRIDGE: bool = switch().default_is("true").sets(&["/handoff/dial/answerOnBridge"]);
        /// The event that the agent gets when nobody has answered a transfer
        Agent DIAL_FAILED_EVENT: String = form("EVENT", "", event).example("NO_ANSWER");
    }
}

/// Codings of audio by their names.
const MULAW: (&str, AudioFormat) = ("mulaw", AudioFormat::TELEPHONE);
const LINEAR16_8000: (&str, AudioFormat) = ("linear16-8000", linear16(8_000));
const LINEAR16_16000: (&str, AudioFormat) = ("linear16-16000", linear16(16_000));
const LINEAR16_24000: (&str, AudioFormat) = ("linear16-24000", linear16(24_000));
const LINEAR16_48000: (&str, AudioFormat) = ("linear16-48000", linear16(48_000));

const fn linear16(sample_rate: u32) -> AudioFormat {
    AudioFormat { encoding: Encoding::Linear16, sample_rate }
}
