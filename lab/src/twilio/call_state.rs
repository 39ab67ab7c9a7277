//! A simulated call while it lasts, and its record afterwards.

use dialbridge_core::replay::Caller;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::twilio::events::{CallEvent, CallEventKind};
use crate::twilio::plan::CallPlan;
use crate::twilio::{SimulatedTwilio, Update};

/// The record of a call.
#[derive(Debug, Clone, Default)]
pub struct CallRecord {
    /// The CallSid.
    pub call_sid: String,
    /// What happened, in order.
    pub events: Vec<CallEvent>,
    /// The documents that were run, in order.
    pub documents: Vec<String>,
    /// What the caller said, from the first stream on: mu-law at 8,000 Hz.
    pub said: Vec<u8>,
    /// What the caller heard, of the same length.
    pub heard: Vec<u8>,
    /// When the caller took his steps. One that he never took is missing.
    pub steps: Vec<StepSpan>,
}

/// A step of the caller's, by its place in the audio of its media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSpan {
    /// The media stream, from 1.
    pub stream: usize,
    /// Where it begins, in milliseconds of the caller's audio.
    pub from_ms: u64,
    /// Where it ends.
    pub to_ms: u64,
}

impl CallRecord {
    /// The first event that `wanted` accepts.
    pub fn find<T>(&self, wanted: impl Fn(&CallEventKind) -> Option<T>) -> Option<T> {
        self.events.iter().find_map(|event| wanted(&event.kind))
    }

    /// How many events the function accepts.
    pub fn count(&self, wanted: impl Fn(&CallEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.kind)).count()
    }
}

/// A call in progress.
pub(super) struct ActiveCall<'a> {
    pub(super) twilio: &'a SimulatedTwilio,
    pub(super) plan: CallPlan,
    pub(super) caller: Caller,
    pub(super) began: Instant,
    pub(super) record: CallRecord,
    pub(super) updates: mpsc::Receiver<Update>,
    /// How many streams were opened.
    pub(super) streams: usize,
    /// How many times somebody was dialled.
    pub(super) dialled: usize,
    /// WebSockets that nobody closed, and pending status callbacks. They end with the call.
    pub(super) lingering: JoinSet<()>,
}

/// How a stream or a document ended.
pub(super) enum Next {
    /// The document goes on with its next verb.
    Verb,
    /// Another document is to run.
    Document(String),
    /// Another document is to be fetched, with these parameters in addition to those of every webhook.
    Fetch(String, Vec<(&'static str, String)>),
    /// The call is over.
    End(String),
}

/// Where status callbacks go, and for which stream.
pub(super) struct StatusCallback {
    pub(super) url: Option<String>,
    pub(super) stream_sid: String,
}
