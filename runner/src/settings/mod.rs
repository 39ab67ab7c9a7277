//! The settings: each one a flag and an environment variable, checked before anything starts.
//!
//! `given` has them as they come, `layer` and `file` what a configuration's file says of them; `config` checks what is the
//! service's, `agents` and `agent` what is an agent's, with `conversation`, `speech`, `ces`, `handoff` and `sight` for their
//! parts.

mod agent;
mod agents;
mod ces;
mod config;
mod conversation;
mod error;
mod file;
mod given;
mod handoff;
mod layer;
mod limits;
mod numbers;
mod prompts;
mod recording;
mod retake;
mod severity;
mod shown;
mod sight;
mod speech;
#[cfg(test)]
mod tests;
mod tools;
mod traces;
pub(crate) mod value;

pub use agent::AgentConfig;
#[cfg(feature = "lab")]
pub use agent::Lab;
pub use config::{Config, DEFAULT_AGENT, Platform, PublicUrl, TwilioConfig};
pub use dialbridge_agents::{AgentAddress, CesTransport, Endpoint, EsApi, Product};
pub use dialbridge_net::Secret;
pub use error::SettingError;
pub use given::Settings;
pub use limits::Limits;
pub use numbers::Routes;
pub use prompts::PromptsConfig;
pub use retake::with_settings;
pub use severity::Severity;
pub use sight::{EventsConfig, Redaction};
pub use tools::ToolWebhook;
pub use traces::{Sampler, TracesConfig};
