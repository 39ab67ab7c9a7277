//! The call logic of dialbridge: what happens between a Twilio phone call and a Dialogflow agent, without any I/O.
//!
//! [`Call`] is a state machine. It reads no clock, no socket, no file, no environment and no random source. The code
//! that uses it is the driver. The driver passes in what Twilio and the agent send and what time it is, and does what
//! the outputs ask. The same input gives the same output, byte for byte, on every machine. So recorded frames can test
//! a call flow ([`tape`], [`replay`](mod@replay)).
//!
//! # How to drive a call
//!
//! 1. Call [`Call::handle_input`] with one [`Input`], then [`Call::poll_output`] until it returns `None`, then
//!    [`Call::poll_timeout`]. Send the outputs in the order in which they come. If the deadline passes before another
//!    input comes, the next input is [`Input::Timeout`].
//! 2. `now`, the time of the input, is a [`CallTime`]. It must not go back; if it does, the call uses the latest one
//!    it has seen. A `Timeout` that comes too early, or once too often, brings nothing but the time.
//! 3. `Err` means that the call refused this input and has not changed: the input is no sign of life of Twilio's, and
//!    its `now` does not count. A call ends with [`Output::Close`], never with an `Err`.
//! 4. After `Close` a call has no outputs and no deadline, whatever comes in.
//! 5. The call ignores an [`AgentEvent`] of a stream that is over. The driver does not need to know which stream is
//!    open.
//! 6. [`AgentCommand::Open`] opens a stream under its [`StreamId`]. The commands of that id go to that stream, in
//!    order. `Cancel` or `Done` is the last command of a stream. A stream that has failed or ended may get neither.
//! 7. The driver answers [`Output::Admit`] with one [`Input::Admitted`] before any other input, each
//!    [`Output::Update`] with one [`Input::Updated`], even if it cannot update the call, each [`Output::Fetch`] with
//!    one [`Input::Fetched`], and each [`Output::RunTools`] with one [`Input::ToolsRun`].
//! 8. A call's memory is bounded. It keeps at most [`call::MAX_KEPT_MS`] of the caller's audio. Of the agent's audio it
//!    keeps what Twilio does not have yet, up to [`CallConfig::max_answer_ms`] as mu-law ([`Input::AudioRoom`] lowers
//!    that limit), and a few numbers for each chunk of [`call::CHUNK_MS`] that Twilio has queued. An answer is kept as
//!    it came until it is converted. Of an answer that comes in many parts it keeps [`call::MAX_ANSWER_TEXT_BYTES`] of
//!    text for its report, and less of it to speak it, to know its echo and to tell the next stream. Of the parameters
//!    that such answers add up it keeps [`call::MAX_PARAMETER_BYTES`], of results of tools a mebibyte. The driver must
//!    drain the outputs after each input.
//! 9. [`Output::UseBackup`] comes once at most, when the agent cannot be had and [`CallConfig::backup`] is set. Streams
//!    that open later go to the backup. It may be an agent of another edition.
//! 10. The driver owes each stream that it opened one [`AgentEvent::Ended`] or [`AgentEvent::Failed`], unless the stream's
//!     last command was `Cancel` or `Done`. All inputs take their `now` from one clock that never goes back: the `now` of
//!     [`Call::new`] plus the whole milliseconds since then, rounded down.
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
//!         Output::Agent(_stream, AgentCommand::Open(_start)) => { /* open a stream to the agent */ }
//!         Output::Agent(_stream, _command) => { /* send it to that stream */ }
//!         Output::Admit(_parameters) => { /* is there room? then pass in Input::Admitted */ }
//!         Output::Update { twiml: _ } => { /* POST Calls/{sid}.json */ }
//!         Output::Fetch(_id, _uri) => { /* GET it, then pass in Input::Fetched */ }
//!         Output::RunTools(_id, _calls) => { /* run them, then pass in Input::ToolsRun */ }
//!         Output::UseBackup => { /* later streams go to the backup */ }
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
//! This crate, and tests that need nothing else, build for `wasm32-wasip1`. There a call flow can reach no network and
//! no file outside the folder it is started in, and a call behaves as it does natively, byte for byte. You need
//! `rustup target add wasm32-wasip1`, and node 20 or later as the runtime. In dialbridge's folder, run:
//!
//! ```sh
//! cargo test -p dialbridge-core --target wasm32-wasip1
//! cargo run -p dialbridge-core --example replay --target wasm32-wasip1 -- tests/frames/goodbye_heard_to_its_end.jsonl
//! ```
//!
//! The second command prints what the call did. With `--out FOLDER` before the tapes, it also writes, for each tape,
//! the trace and a WAV of what the caller heard. A crate of your own needs `dialbridge-core` as a dependency, and this
//! variable, which names the runtime:
//!
//! ```sh
//! CARGO_TARGET_WASM32_WASIP1_RUNNER=/path/to/dialbridge/.ci/run-wasi.mjs cargo test --target wasm32-wasip1
//! ```
//!
//! Tests of that crate read their tapes by `include_str!`, or open them by a path that begins at the package's folder.
//! A panic ends the run: `cargo test … -- --nocapture` shows its message.
//!
//! # What is where
//!
//! - [`call`] decides what happens.
//! - [`carried`] says what goes from one media stream of a call to the next.
//! - [`twilio`] reads and writes Media Streams messages.
//! - [`agent`] has the types for the agent's side, the same ones for Dialogflow ES, CX and CES.
//! - [`config`] has the settings of a call, and [`edition`] what a call to each of Google's products is like.
//! - [`kit`] is the test kit: it builds the call of a test, plays it, and checks what came of it.
//! - [`payload`] reads what an agent asks of this service in a custom payload.
//! - [`call_facts`], [`parameters`] and [`turn_data`] have what we tell the agent of a call.
//! - [`audio`] converts whatever an agent sends into 8 kHz mu-law, and hears whether the caller speaks.
//! - [`handoff`] and [`twiml`] write the TwiML that a call gets when it leaves the agent, or does not get to it.
//!   [`dial_target`] reads the address of a transfer. [`ending`] says how the agent's part ended.
//! - [`breaker`] says whether an agent is down for all calls.
//! - [`words`] has what the service says in its own words, and [`language`] reads the language of a call.
//! - [`report`] says what happened, and [`stages`] where a turn's time went.
#![forbid(unsafe_code)]
// Every match must handle each new event, command or state explicitly.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod agent;
pub mod audio;
mod base64_bytes;
pub mod breaker;
pub mod call;
pub mod call_facts;
mod call_numbers;
pub mod carried;
pub mod checksum;
pub mod config;
pub mod dial_target;
pub mod edition;
pub mod ending;
pub mod error;
pub mod handoff;
mod ids;
pub mod kit;
pub mod language;
pub mod parameters;
pub mod payload;
pub mod replay;
pub mod report;
pub mod stages;
pub mod tape;
mod time;
pub mod turn_data;
pub mod twilio;
pub mod twiml;
pub mod words;

pub use agent::{AgentCommand, AgentEvent};
pub use call::{Call, Input, Output, Timer, UpdateResult};
pub use config::CallConfig;
pub use error::InputError;
pub use ids::{BadCallSid, CallSid, FetchId, MarkName, StreamId, StreamSid, ToolsId, TurnId};
pub use report::{CloseReason, Report};
pub use time::CallTime;
