//! A scripted agent, served as Dialogflow.

mod answering;
mod asked;
mod conversation;
mod cx;
mod cx_answer;
mod dialect;
mod ears;
mod es;
mod es_answer;
mod listening;
mod protobuf;
mod record;
pub mod script;
mod server;
pub(crate) mod speech;
mod turn;

pub use asked::Asked;
pub use record::{Record, TurnRecord};
pub use script::{Edition, Script};
pub use server::{LabAgent, ServedAgent};
