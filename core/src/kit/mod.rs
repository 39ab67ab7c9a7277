//! The test kit: a team writes down a call in Rust, plays it, and reads what came of it.
//!
//! [`Tape::build`] is the way in. The test says what the caller does and what the agent hears and answers, and
//! [`TapeBuilder::play`] plays the call in virtual time. There is no network, no clock and no file, and the result is the same on
//! every machine. [`PlayedCall::turn`](crate::replay::PlayedCall::turn) and
//! [`PlayedCall::handoff`](crate::replay::PlayedCall::handoff) read the call. Their assertions panic with what was
//! expected, what was found, and what the call did around that moment.
//!
//! The caller waits until the agent has fallen silent, and 400 ms more, as people do. The recogniser understands one word
//! after another, and ends an utterance after 700 ms of silence. The agent thinks for 250 ms.
//!
//! ```
//! use dialbridge_core::ending::VirtualAgentStatus;
//! use dialbridge_core::kit::Recording;
//! use dialbridge_core::tape::Tape;
//!
//! let call = Tape::build()
//!     .agent_greets("Corner Bakery. Press 1 for opening hours, or say what you need.", Recording::ms(4_000))
//!     .caller_says(Recording::ms(900))
//!     .barge_in_at_ms(1_500)
//!     .agent_hears("two loaves please")
//!     .agent_answers("Two loaves. I put you through.", Recording::ms(1_800))
//!     .with_intent("order.bread")
//!     .with_parameter("loaves", 2)
//!     .hands_off(serde_json::json!({ "queue": "orders" }))
//!     .play();
//! call.turn(1).prompt().assert_cut_at_ms(1_500..2_500);
//! call.turn(2).assert_intent("order.bread").assert_parameter("loaves", 2).assert_wait_ms(..1_500);
//! call.handoff().assert_status(VirtualAgentStatus::LiveAgentHandoff);
//! ```
//!
//! A test that fails:
//!
//! ```text
//! turn 2, intent: expected "order.cake", found "order.bread"
//! what the call did around 3.590 s:
//!     3.340 report  turn 2 end of utterance by agent, 700 ms after the voice
//!     3.340 agent   stream 2 half-close
//!     3.590 report  turn 2 answered after 250 ms: "two loaves please" -> order.bread "Two loaves. …
//! ```
//!
//! A call that gives the agent something that the test does not describe, and a caller who never comes to one of his
//! steps, let the test fail too.
//!
//! A recorded call has the same reader: [`play`](crate::replay::play) plays the tape of a conversation file with its own
//! agent. `TestCall` in this repository's own stories is no part of the kit: it tests the state machine event by event.
//!
//! [`Tape::build`]: crate::tape::Tape::build

mod builder;
mod recording;

pub use builder::TapeBuilder;
pub use recording::Recording;
