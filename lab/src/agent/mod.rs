//! A scripted agent, served as Dialogflow and as an agent of the Customer Engagement Suite.

mod answering;
mod ces;
mod connection;
mod conversation;
mod cx;
mod cx_answer;
mod dialect;
mod es;
mod es_answer;
mod http_version;
mod listening;
mod own_words;
mod protobuf;
mod record;
mod requested_config;
mod reset;
mod rest;
pub mod script;
mod server;
pub(crate) mod speech;
mod turn;
mod voice_detector;
mod was_reset;

pub use ces::{Gap, InputRecord, PastMessage, Role, StreamRecord, ToolAnswer};
#[cfg(target_os = "linux")]
pub(crate) use ces::{WebSocketEnding, ending_of, json as ces_json};
pub use record::{Record, TurnRecord};
pub use requested_config::RequestedConfig;
pub use script::{Edition, Script};
pub use server::{LabAgent, ServedAgent};
