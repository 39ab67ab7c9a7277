//! A scripted agent, served as Dialogflow.

mod conversation;
mod cx;
mod ears;
mod protobuf;
mod record;
pub mod script;
mod server;
mod speech;

pub use record::{Record, TurnRecord};
pub use script::Script;
pub use server::{LabAgent, ServedAgent};
