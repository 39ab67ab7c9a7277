//! A world for whole calls: the lab's agent, a simulated Twilio and the service, joined by pipes inside one process. On
//! tokio's paused clock (`#[tokio::test(start_paused = true)]`) a call of a minute takes milliseconds, and always goes
//! the same way.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a test may panic")]

mod caller;
mod collector;
mod edge;
mod request;
mod seen;
mod site;
mod socket;
mod street;
mod witness;
mod world;

pub use caller::{Numbered, bakery, hang_up, numbered_speech, numbers, pause, press, say, tone, tone_ms};
pub use collector::{Collector, Posted, Reaction};
pub use edge::{Authority, Proxy};
pub use request::{HttpAnswer, post, start};
pub use seen::{
    all_at, answers, barge_ins, close_reasons, count, ended_by, faults, first_at, heard_between, is_silence,
    redirected, said, sounding_ms, spoke,
};
pub use site::{Examined, PLANTED_LOGIN, PLANTED_TOKEN, PUBLIC_URL, Plan};
pub use socket::{Came, RawSocket, paths, signed_post, voice_url};
pub use street::Street;
pub use witness::{Log, Tapes};
pub use world::{END_URL, Edition, SERVICE_URL, TOKEN, World, WorldBuilder, account};
