//! A harness for whole calls: the lab's agent, a simulated Twilio and the service, connected by pipes inside one
//! process. On tokio's paused clock (`#[tokio::test(start_paused = true)]`) a call of a minute takes milliseconds and
//! always goes the same way.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a test may panic")]

mod caller;
mod collector;
mod doctor_plan;
mod front_end;
mod harness;
mod log_and_tapes;
mod request;
mod seen;
mod socket;
mod tcp_harness;
mod temp_file;

pub use caller::{Numbered, Stretch, bakery, hang_up, numbered_speech, numbers, pause, press, say, tone, tone_ms};
pub use collector::{Collector, Posted, Reaction};
pub use doctor_plan::{DoctorPlan, Examined, PLANTED_LOGIN, PLANTED_TOKEN, PUBLIC_URL};
pub use front_end::{Authority, Proxy};
pub use harness::{END_URL, Edition, Harness, HarnessBuilder, SERVICE_URL, TOKEN, account};
pub use log_and_tapes::{Log, Tapes};
pub use request::{HttpAnswer, post, start};
pub use seen::{
    all_at, answers, barge_ins, close_reasons, count, ended_by, faults, first_at, heard_between, is_silence,
    redirected, said, sounding_ms, spoke,
};
pub use socket::{Came, RawSocket, paths, signed_post, voice_url};
pub use tcp_harness::TcpHarness;
pub use temp_file::TempFile;
