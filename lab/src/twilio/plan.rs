//! What is to be played in a call.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::twilio::behaviour::TwilioBehaviour;
use crate::twilio::caller::CallerStep;
use crate::twilio::events::CallEvent;
use crate::twilio::faults::CallFault;

/// What is to be played.
#[derive(Debug, Clone)]
pub struct CallPlan {
    /// The number's voice-url.
    pub voice_url: String,
    /// The number's fallback URL: asked where a webhook fails.
    pub fallback_url: Option<String>,
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// What the caller does.
    pub steps: Vec<CallerStep>,
    /// With nothing left to do, the caller hangs up when the agent has been silent for so long.
    pub hang_up_after: Duration,
    /// The longest call.
    pub limit: Duration,
    /// What the other side of each `<Dial>` does, in order; the last one does the same for all further ones.
    pub others: Vec<OtherSide>,
    /// What becomes of a call that is queued.
    pub queue: Queue,
    /// How Twilio does what its pages do not say.
    pub behaviour: TwilioBehaviour,
    /// What goes wrong.
    pub faults: Vec<CallFault>,
    /// Where each event goes at once, for those who watch.
    pub watch: Option<mpsc::Sender<CallEvent>>,
}

impl CallPlan {
    /// A call at that voice-url by a caller who does these things.
    #[must_use]
    pub fn new(voice_url: impl Into<String>, steps: Vec<CallerStep>) -> Self {
        Self {
            voice_url: voice_url.into(),
            fallback_url: None,
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            steps,
            hang_up_after: Duration::from_secs(20),
            limit: Duration::from_secs(300),
            others: vec![OtherSide::Answers { rings_ms: 1_000, talks_ms: 5_000 }],
            queue: Queue::Keeps,
            behaviour: TwilioBehaviour::default(),
            faults: Vec::new(),
            watch: None,
        }
    }
}

/// What the other side does when it is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherSide {
    /// It answers, talks and hangs up.
    Answers {
        /// After so many milliseconds of ringing; those of `<Dial timeout>` at most.
        rings_ms: u64,
        /// For so many milliseconds.
        talks_ms: u64,
    },
    /// It is busy.
    Busy,
    /// Nobody answers as long as it rings.
    NoAnswer,
    /// It cannot be reached: there is no such number.
    Failed,
}

/// What becomes of a call that is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// It stays in the queue: an agent will take it, which is no part of what is played here.
    Keeps,
    /// It leaves the queue after so many milliseconds, and the document goes on with `action`.
    Leaves(u64),
}
