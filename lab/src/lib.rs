//! The offline lab: the world around dialbridge, for the embedded default agent, the demo and the tests.
//!
//! - [`agent`] is a scripted agent, served as real Dialogflow gRPC. It is as strict as Google about what it is sent. It
//!   does not recognise words: it hears when and how long somebody speaks, and its transcripts say so.
//! - [`twilio`] is a simulated Twilio: it requests the voice-url, follows the TwiML, opens the media stream, plays the
//!   caller's part and answers the REST update.
//! - [`google`] serves the recordings and the synthesised words of an agent: Cloud Storage and Text-to-Speech.
//! - [`balancer`] stands before several instances of the service, as Cloud Run's front end does.
//! - [`proxy`] stands between the service and the Internet, as a company's proxy does.
//! - [`served`] serves any of them on a port of its own.
//! - [`net`] connects both to the service over TCP, or inside one process on a virtual clock.
//! - `load` places many calls at once and measures what they cost (Linux only); [`relay`] is the bridge that it is
//!   compared with.
#![forbid(unsafe_code)]

pub mod agent;
pub mod balancer;
mod distance;
pub mod google;
#[cfg(target_os = "linux")]
pub mod load;
pub mod net;
pub mod proxy;
pub mod relay;
pub mod served;
pub mod twilio;
