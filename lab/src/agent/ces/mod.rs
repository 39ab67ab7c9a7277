//! `google.cloud.ces.v1.SessionService.BidiRunSession`: an agent of Google's Customer Engagement Suite, over both
//! transports. It is as strict as Google about what it is sent.
//!
//! - gRPC, [`grpc`]: as the published protos and Google's generated clients have it.
//! - WebSocket and JSON, [`websocket`]: there is no published client package. The wire format comes from the source of
//!   Google's and Twilio's adapters: `ces-genesys-adapter`, `ces-twilio-adapter`, `cxas-scrapi` and its web client (all
//!   Google's), `twilio-agent-connect-google` (Twilio's). Their JSON is protobuf's own JSON of the same messages.
//!
//! One stream carries a whole call. [`check`] reads what the stream is sent, [`live`] and [`hearing`] decide what it
//! does, and [`stream`] keeps the time; none of them knows the transport. Facts and sources: the comments of the
//! protos, as the PyPI package `google-cloud-ces` 0.7 and the crate `googleapis-tonic-google-cloud-ces-v1` 0.5 have
//! them. Where they leave something open, the script's table `[ces]` has a switch.

mod ambient;
mod answer;
mod check;
mod dtmf;
mod ending;
mod exchange;
mod frames;
mod grpc;
mod hearing;
pub(crate) mod json;
mod live;
mod record;
mod serving;
mod sessions;
mod stream;
mod websocket;

#[cfg(target_os = "linux")]
pub(crate) use ending::{WebSocketEnding, ending_of};
pub(super) use grpc::CesService;
pub(super) use record::Streams;
pub use record::{Gap, InputRecord, PastMessage, Role, StreamRecord, ToolAnswer};
pub(super) use serving::Serving;
pub(super) use sessions::CesSessions;
pub(super) use websocket::serve as serve_http1;
