//! The hand-off of a call that was played.

use percent_encoding::percent_decode_str;

use crate::call::Output;
use crate::ending::VirtualAgentStatus;
use crate::replay::PlayedCall;
use crate::replay::unlike::{Place, quoted};
use crate::report::Report;
use crate::time::CallTime;

/// The hand-off of a call: how the agent's part ended, and what the call got.
///
/// ```
/// use dialbridge_core::ending::VirtualAgentStatus;
/// # use dialbridge_core::{kit::Recording, tape::Tape};
/// # let call = Tape::build()
/// #     .agent_greets("Yes?", Recording::ms(2_000))
/// #     .caller_says(Recording::ms(900))
/// #     .barge_in_at_ms(500)
/// #     .agent_hears("two loaves")
/// #     .agent_answers("Two loaves. Good bye.", Recording::ms(1_000))
/// #     .with_intent("order.bread")
/// #     .ends_interaction()
/// #     .play();
/// let handoff = call.handoff();
/// assert_eq!(handoff.twiml(), r#"<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>"#);
/// handoff.assert_status(VirtualAgentStatus::Completed).assert_twiml("<Hangup/>");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PlayedHandoff<'a> {
    call: &'a PlayedCall,
    at: CallTime,
    status: VirtualAgentStatus,
}

impl<'a> PlayedHandoff<'a> {
    pub(super) fn of(call: &'a PlayedCall) -> Option<Self> {
        call.reports().find_map(|(at, report)| {
            if let Report::HandedOff { status } = report { Some(Self { call, at, status: *status }) } else { None }
        })
    }

    /// When it was.
    #[must_use]
    pub fn at(self) -> CallTime {
        self.at
    }

    /// How the agent's part ended.
    #[must_use]
    pub fn status(self) -> VirtualAgentStatus {
        self.status
    }

    /// The TwiML that the call got; empty: none, because the caller had hung up.
    #[must_use]
    pub fn twiml(self) -> &'a str {
        let twiml =
            |output: &'a Output| if let Output::Update { twiml } = output { Some(twiml.as_str()) } else { None };
        self.call.replayed.outputs().find_map(|(_, output)| twiml(output)).unwrap_or_default()
    }

    /// A parameter of the URL that the TwiML redirects to, such as `dialogflowJSON` or `VirtualAgentStatus`. `None`: it
    /// has none of that name.
    #[must_use]
    pub fn parameter(self, name: &str) -> Option<String> {
        let (_, redirect) = self.twiml().split_once("<Redirect")?;
        let (_, query) = redirect.split('<').next()?.split_once('?')?;
        let mut pairs = query.split("&amp;").filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    /// Checks the status.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn assert_status(self, expected: VirtualAgentStatus) -> Self {
        let found = self.status;
        self.place().assert(found == expected, "hand-off, status", expected.as_str(), found.as_str());
        self
    }

    /// Checks that the TwiML contains this text.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_twiml(self, expected: &str) -> Self {
        let found = self.twiml();
        self.place().assert(found.contains(expected), "hand-off, TwiML", quoted(expected), quoted(found));
        self
    }

    fn place(self) -> Place<'a> {
        Place::new(self.call, self.at)
    }
}
