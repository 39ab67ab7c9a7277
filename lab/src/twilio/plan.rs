//! The plan of a call.

use std::time::Duration;

use dialbridge_core::audio::g711::{linear_to_mulaw, mulaw_to_linear};
use dialbridge_core::replay::CallerStep;
use tokio::sync::{mpsc, watch};

use crate::twilio::account::Account;
use crate::twilio::behaviour::TwilioBehaviour;
use crate::twilio::events::CallEvent;
use crate::twilio::faults::CallFault;

/// What to play in a call.
#[derive(Debug, Clone)]
pub struct CallPlan {
    /// The number's voice-url.
    pub voice_url: String,
    /// The number's fallback URL: requested if a webhook fails.
    pub fallback_url: Option<String>,
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The subaccount that the number belongs to; `None`: the main account.
    pub subaccount: Option<Account>,
    /// Further parameters of each webhook, such as `Direction`. One replaces Twilio's usual value. `SipHeader_X-Shop` comes with
    /// the first webhook, and with all others if the behaviour says so.
    pub facts: Vec<(String, String)>,
    /// What the caller does.
    pub steps: Vec<CallerStep>,
    /// Before which step the caller waits for a word of whoever plays the call.
    pub hold: Option<Hold>,
    /// When the caller has no step left, he hangs up after this long a silence of the agent.
    pub hang_up_after: Duration,
    /// Receives the texts that the caller sends, because no media stream carries them. Without it they are lost.
    pub texts: Option<mpsc::Sender<SentText>>,
    /// How long the caller waits for the time of a step while nobody speaks, before he gives up and hangs up.
    pub step_timeout: Duration,
    /// The longest duration of the call.
    pub limit: Duration,
    /// What the called party of each `<Dial>` does, in order; the last entry serves all further ones.
    pub others: Vec<OtherSide>,
    /// What happens to a queued call.
    pub queue: Queue,
    /// How the caller's telephone returns what it plays; `None`: not at all.
    pub echo: Option<Echo>,
    /// How Twilio behaves where its pages do not say.
    pub behaviour: TwilioBehaviour,
    /// What fails.
    pub faults: Vec<CallFault>,
    /// Receives each event as it happens, for watchers.
    pub watch: Option<mpsc::Sender<CallEvent>>,
}

impl CallPlan {
    /// A call at that voice-url by a caller who takes these steps.
    #[must_use]
    pub fn new(voice_url: impl Into<String>, steps: Vec<CallerStep>) -> Self {
        Self {
            voice_url: voice_url.into(),
            fallback_url: None,
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            subaccount: None,
            facts: Vec::new(),
            steps,
            hold: None,
            hang_up_after: Duration::from_secs(20),
            texts: None,
            step_timeout: Duration::MAX,
            limit: Duration::from_secs(300),
            others: vec![OtherSide::Answers { rings_ms: 1_000, talks_ms: 5_000 }],
            queue: Queue::Keeps,
            echo: None,
            behaviour: TwilioBehaviour::default(),
            faults: Vec::new(),
            watch: None,
        }
    }
}

/// A caller who waits before a step until he may go on. The time of the step counts from then.
#[derive(Debug, Clone)]
pub struct Hold {
    /// How many steps he takes before.
    pub after_steps: usize,
    /// Whether he may go on.
    pub may_go_on: watch::Receiver<bool>,
}

/// A telephone that returns what it plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// How late it comes back, in milliseconds.
    pub delay_ms: u64,
    /// How much softer it is, in decibels.
    pub softer_db: u8,
}

impl Echo {
    /// Adds to a frame of the caller what the telephone has played. The frame begins at `at`, in bytes of what was heard.
    #[expect(clippy::cast_possible_truncation, reason = "within 16 bits by the clamp")]
    pub(super) fn add_to(self, frame: &mut [u8], heard: &[u8], at: usize) {
        let gain = 10_f64.powf(-f64::from(self.softer_db) / 20.0);
        let delay = usize::try_from(self.delay_ms).unwrap_or(usize::MAX).saturating_mul(8);
        let Some(from) = at.checked_sub(delay) else { return };
        for (code, returned) in frame.iter_mut().zip(heard.get(from..).unwrap_or_default()) {
            let returned = f64::from(mulaw_to_linear(*returned)) * gain;
            if returned.abs() >= 1.0 {
                let sum = f64::from(mulaw_to_linear(*code)) + returned;
                *code = linear_to_mulaw(sum.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16);
            }
        }
    }
}

/// A text that the caller sends as if he had said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentText {
    /// The CallSid.
    pub call_sid: String,
    /// The text.
    pub text: String,
}

/// What the called party does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherSide {
    /// Answers, talks and hangs up.
    Answers {
        /// After this many milliseconds of ringing; `<Dial timeout>` at most.
        rings_ms: u64,
        /// For this many milliseconds.
        talks_ms: u64,
    },
    /// It is busy.
    Busy,
    /// Does not answer while it rings.
    NoAnswer,
    /// Cannot be reached: there is no such number.
    Failed,
}

/// What happens to a queued call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// It stays in the queue: a live agent will take it, which the lab does not play.
    Keeps,
    /// It leaves the queue after this many milliseconds, and the document goes on with `action`.
    Leaves(u64),
}
