//! The call of dialbridge: what happens between a Twilio phone call and a Dialogflow agent, without any I/O.
//!
//! [`Call`] is a state machine. It reads no clock, no socket, no file, no environment and no randomness of its own:
//! whoever drives it hands in what Twilio and the agent say and what time it is, and does what comes out. So a call
//! flow is tested by feeding it recorded frames ([`tape`], [`replay`](mod@replay)), and the same input gives the same
//! output, byte for byte, on every machine.
//!
//! # How to drive a call
//!
//! 1. [`Call::handle_input`] with one [`Input`], then [`Call::poll_output`] until `None`, then [`Call::poll_timeout`].
//!    The order of the outputs is the order in which they are to be sent. When the deadline comes first, the next
//!    input is [`Input::Timeout`].
//! 2. `now` is a [`CallTime`] and never goes back; an earlier one is taken as the last one seen. A `Timeout` that comes
//!    too early, or once too often, changes nothing.
//! 3. `Err` means that this input was refused and that the call is as it was before. The end of a call is
//!    [`Output::Close`], never an `Err`.
//! 4. After `Close` there are no outputs and no deadline, whatever comes in.
//! 5. An [`AgentEvent`] of a turn that is over is dropped: the driver need not know which turn is open.
//! 6. An [`AgentCommand::Open`] opens a stream under its [`TurnId`]; the commands of one turn are for that stream, in
//!    order. `Cancel` and `Done` are the last of a turn.
//! 7. [`Output::Update`] is answered by one [`Input::Updated`], also where no update can be made, [`Output::Fetch`] by one
//!    [`Input::Fetched`], and [`Output::RunTools`] by one [`Input::ToolsRun`].
//! 8. What a call keeps is bounded: [`call::MAX_KEPT_MS`] of the caller's audio; of the agent's audio nothing but a few
//!    numbers for each chunk of [`call::CHUNK_MS`] that Twilio has queued. Its outputs are to be drained after each
//!    input.
//!
//! ```
//! use std::sync::Arc;
//! use dialbridge_core::{AgentCommand, Call, CallConfig, CallTime, Input, Output};
//!
//! let mut call = Call::new(Arc::new(CallConfig::default()), CallTime::START);
//! let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;
//! call.handle_input(Input::Twilio(start), CallTime::from_ms(12))?;
//! while let Some(output) = call.poll_output() {
//!     match output {
//!         Output::Twilio(_message) => { /* write it to the media socket */ }
//!         Output::Agent(_turn, AgentCommand::Open(_start)) => { /* open a stream to the agent */ }
//!         Output::Agent(_turn, _command) => { /* hand it to that turn's stream */ }
//!         Output::Update { twiml: _ } => { /* POST Calls/{sid}.json */ }
//!         Output::Fetch(_id, _uri) => { /* GET it, and hand in Input::Fetched */ }
//!         Output::RunTools(_id, _calls) => { /* run them, and hand in Input::ToolsRun */ }
//!         Output::Report(_fact) => { /* log it */ }
//!         Output::Close(_reason) => { /* close the media socket */ }
//!     }
//! }
//! let _wake_me_at = call.poll_timeout();
//! # Ok::<(), dialbridge_core::InputError>(())
//! ```
//!
//! # Call flows in a WASI sandbox
//!
//! This crate, and tests that need nothing but it, build for `wasm32-wasip1`. There a call flow can reach no network
//! and no file outside the folder it is started in, and a call does what it does natively, byte for byte. With
//! `rustup target add wasm32-wasip1`, and node 20 or later as the runtime, from dialbridge's folder:
//!
//! ```sh
//! cargo test -p dialbridge-core --target wasm32-wasip1
//! cargo run -p dialbridge-core --example replay --target wasm32-wasip1 -- tests/frames/goodbye_heard_to_its_end.jsonl
//! ```
//!
//! The second prints what the call did; `--out FOLDER` before the tapes writes, for each, the trace and what the caller
//! heard as a WAV. A crate of your own needs `dialbridge-core` as a dependency, and to be told of the runtime:
//!
//! ```sh
//! CARGO_TARGET_WASM32_WASIP1_RUNNER=/path/to/dialbridge/.ci/run-wasi.mjs cargo test --target wasm32-wasip1
//! ```
//!
//! Its tests take their tapes by `include_str!`, or open them by a path that begins at the package's folder. A panic
//! ends the run there: `cargo test … -- --nocapture` shows its message.
//!
//! # What is where
//!
//! [`call`] decides; [`twilio`] reads and writes Media Streams messages; [`agent`] has the words for the agent's side,
//! one vocabulary for Dialogflow ES, CX and CES; [`payload`] what an agent may ask of this service by a custom payload;
//! [`audio`] turns whatever an agent sends into 8 kHz mu-law;
//! [`handoff`] and [`twiml`] write what a call gets when the agent is done, [`ending`] has the words for how; [`report`] says what happened, and [`stages`] where a turn's time went.
#![forbid(unsafe_code)]
// A new event, command or state must be looked at wherever one is matched.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod agent;
pub mod audio;
pub mod call;
mod checksum;
pub mod config;
pub mod ending;
pub mod error;
pub mod handoff;
mod ids;
pub mod payload;
pub mod replay;
pub mod report;
pub mod stages;
pub mod tape;
mod time;
pub mod twilio;
pub mod twiml;

pub use agent::{AgentCommand, AgentEvent};
pub use call::{Call, Input, Output, Timer, UpdateResult};
pub use config::CallConfig;
pub use error::InputError;
pub use ids::{BadCallSid, CallSid, FetchId, MarkName, StreamSid, ToolsId, TurnId};
pub use report::{CloseReason, Report};
pub use time::CallTime;
