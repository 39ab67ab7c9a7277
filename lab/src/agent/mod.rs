//! A scripted agent, served as Dialogflow and as an agent of the Customer Engagement Suite.

mod answering;
mod asked;
mod ces;
mod connection;
mod conversation;
mod cx;
mod cx_answer;
mod dialect;
mod doors;
mod ears;
mod es;
mod es_answer;
mod listening;
mod protobuf;
mod record;
mod reset;
pub mod script;
mod server;
pub(crate) mod speech;
mod turn;
mod was_reset;

pub use asked::Asked;
pub use ces::{Gap, InputRecord, StreamRecord, ToolAnswer};
#[cfg(target_os = "linux")]
pub(crate) use ces::{SocketEnding, ending_of, json as ces_json};
pub use record::{Record, TurnRecord};
pub use script::{Edition, Script};
pub use server::{LabAgent, ServedAgent};
