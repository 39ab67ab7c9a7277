//! The settings: each one a flag and an environment variable, checked before anything starts.

mod address;
mod config;
mod error;
mod secret;

use clap::Args;

pub use address::{AgentAddress, Endpoint, EsApi, LAB_AGENT, Product};
pub use config::{Config, Limits, Platform, PublicUrl, TwilioConfig};
pub use error::SettingError;
pub use secret::Secret;

/// The settings as they were given. All are taken as text, so that a wrong one is told in the same way whether it came
/// as a flag or from the environment.
#[derive(Args, Clone, Default)]
pub struct Settings {
    /// The port to listen on
    #[arg(long, env = "PORT", value_name = "PORT", help_heading = "Service")]
    pub port: Option<String>,
    /// The URL that Twilio sees; without it, what X-Forwarded-Proto and Host say
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", help_heading = "Service")]
    pub public_url: Option<String>,
    /// How many calls may stream at once
    #[arg(long, env = "MAX_CALLS", value_name = "N", help_heading = "Service")]
    pub max_calls: Option<String>,
    /// Where calls go that come when MAX_CALLS are there; without it they are told that all lines are busy
    #[arg(long, env = "OVERFLOW_URL", value_name = "URL", help_heading = "Service")]
    pub overflow_url: Option<String>,
    /// The least severity that is logged: debug, info, warning or error
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", help_heading = "Service")]
    pub log_level: Option<String>,
    /// A folder for a tape of every call; a tape holds the caller's voice
    #[arg(long = "record", env = "RECORD_DIR", value_name = "DIR", help_heading = "Service")]
    pub record_dir: Option<String>,

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
}
