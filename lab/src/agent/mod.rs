//! A scripted agent, served as Dialogflow.

mod conversation;
mod cx;
mod dialect;
mod ears;
mod es;
mod protobuf;
mod record;
pub mod script;
mod server;
mod speech;
mod turn;

pub use record::{Record, TurnRecord};
pub use script::{Edition, Script};
pub use server::{LabAgent, ServedAgent};
