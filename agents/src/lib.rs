//! The agent's side: streams to Dialogflow, one for each turn, or to the Customer Engagement Suite, one for each call.
//! Besides the lab, only this crate uses Google's protobuf types.
#![forbid(unsafe_code)]

pub mod address;
mod agent;
mod auth;
mod ces;
mod channels;
mod codec;
mod connection;
mod cx_convert;
mod cx_request;
mod dialogflow;
mod endpointing;
mod es_convert;
mod fault;
mod grpc_stream;
mod message_room;
mod pipe;
mod protobuf;
mod session;
mod speech;
mod stream;
mod target;

pub use address::{AgentAddress, CesTransport, Endpoint, EsApi, Product};
pub use agent::{Agent, AgentError, EVENT_QUEUE, Link, OpenPermit, StreamHandle};
pub use auth::{Auth, AuthError};
pub use ces::CesConfig;
pub use endpointing::Endpointing;
pub use fault::certificate_fault;
pub use message_room::MessageRoom;
pub use pipe::{InputPipe, PipeFull, StreamInput};
pub use session::SessionContext;
pub use speech::{ModelVariant, SpeechConfig, VoiceGender};
pub use target::InvalidTarget;
