//! The settings: each one a flag and an environment variable, checked before anything starts.
//!
//! `table` declares each setting once, `setting` says what an entry is and `value` how texts are read. `given` has the values
//! as they come, `file` those of the agents' file, and `layer` says which of them counts. `service`, `agent` and
//! `conversation` make of them what `config` describes; `agents` checks all of it in one go. `spelling` knows names that
//! only look like settings.

mod agent;
mod agents;
mod config;
mod conversation;
mod error;
mod faults;
mod file;
mod given;
mod layer;
mod numbers;
mod old_names;
mod prompts;
mod recording;
mod retake;
mod service;
mod setting;
mod severity;
mod spelling;
mod table;
#[cfg(test)]
mod tests;
mod tools;
pub(crate) mod value;

#[cfg(feature = "lab")]
pub use config::Lab;
pub use config::{
    AgentConfig, Config, DEFAULT_AGENT, EventsConfig, Limits, Platform, PublicUrl, Redaction, Sampler, TracesConfig,
    TwilioConfig,
};
pub use dialbridge_agents::{AgentAddress, CesTransport, Endpoint, EsApi, Product};
pub use dialbridge_net::Secret;
pub use error::SettingError;
pub use faults::SettingErrors;
pub use given::Settings;
pub use numbers::Routes;
pub use prompts::PromptsConfig;
pub use retake::with_settings;
pub use severity::Severity;
pub use spelling::misspelt;
pub use tools::ToolWebhook;
