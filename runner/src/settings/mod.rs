//! The settings. Each one is a flag and an environment variable, and is checked before anything starts.
//!
//! - `table` declares each setting once. `setting` defines its entries, `value` reads their texts.
//! - `given` holds the values of flags and the environment, `file` those of the agents' file. `layer` picks the one
//!   that counts.
//! - `service`, `agent` and `conversation` turn the values into the types of `config`. `agents` checks everything in
//!   one go.
//! - `spelling` finds names that only look like settings.

mod accounts;
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
mod public_url;
mod recording;
mod retake;
mod service;
mod setting;
mod severity;
mod shares;
mod spelling;
mod table;
#[cfg(test)]
mod tests;
mod tools;
pub(crate) mod value;
mod webhook_secret;

pub use accounts::TwilioAccount;
#[cfg(feature = "lab")]
pub use config::Lab;
pub use config::{
    AgentConfig, Config, DEFAULT_AGENT, EventsConfig, Limits, Platform, Redaction, Sampler, TracesConfig, TwilioConfig,
};
pub use dialbridge_agents::{AgentAddress, CesTransport, Endpoint, EsApi, Product};
pub use dialbridge_net::Secret;
pub use error::SettingError;
pub use faults::SettingErrors;
pub use given::Settings;
pub use numbers::Routes;
pub use prompts::PromptsConfig;
pub use public_url::PublicUrl;
pub use retake::with_settings;
pub use severity::{LogFormat, Severity};
pub use shares::Shares;
pub use spelling::{misspelt, no_setting};
pub use tools::ToolWebhook;
pub use webhook_secret::WebhookSecret;
