//! What happened in a simulated call, as Twilio and the caller saw it.

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEvent {
    /// Milliseconds since the call was placed.
    pub at_ms: u64,
    /// What it was.
    pub kind: CallEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEventKind {
    /// TwiML came from this path (without its query and ticket).
    Twiml {
        /// The path.
        path: String,
        /// Its verbs.
        verbs: Vec<String>,
    },
    /// A webhook failed.
    WebhookFailed {
        /// Why.
        why: String,
    },
    /// The WebSocket is open and `start` is sent.
    StreamOpened,
    /// The WebSocket could not be opened.
    StreamRefused {
        /// The answer to the handshake.
        why: String,
    },
    /// The caller begins to speak.
    CallerSpeaks {
        /// Which recording.
        label: String,
        /// How long it is, in milliseconds.
        ms: u64,
    },
    /// The caller has finished speaking.
    CallerSpoke {
        /// Which recording.
        label: String,
    },
    /// The caller pressed a key.
    Digit {
        /// Which one.
        digit: char,
    },
    /// The first audio after a silence reached Twilio.
    AgentSpeaks,
    /// All queued audio was heard, or the rest was cleared.
    AgentSpoke {
        /// How long the caller heard it, in milliseconds.
        played_ms: u64,
        /// Whether a `clear` cut it off.
        cut: bool,
    },
    /// The service closed the WebSocket.
    StreamClosed {
        /// The close code, if there was one.
        code: Option<u16>,
    },
    /// A REST update gave the call new TwiML.
    Updated,
    /// Twilio follows a `<Redirect>`.
    Redirected {
        /// The whole URL.
        url: String,
    },
    /// A `<Say>` was spoken.
    Said {
        /// Its text.
        text: String,
    },
    /// A number or address was dialled.
    Dialled {
        /// Which one.
        to: String,
        /// The caller id that is shown, if the document names one.
        caller_id: Option<String>,
    },
    /// A `<Dial>` is over.
    DialEnded {
        /// `DialCallStatus`.
        status: String,
        /// How long both talked, in milliseconds.
        talked_ms: u64,
    },
    /// The call was queued.
    Enqueued {
        /// `workflowSid`.
        workflow_sid: Option<String>,
        /// The queue's name, if there is no workflow.
        queue: Option<String>,
        /// The task's attributes: JSON.
        attributes: String,
    },
    /// The service sent something that Twilio reports as a warning (31950, 31951).
    Warning {
        /// Twilio's code.
        code: u32,
        /// What was wrong.
        why: String,
    },
    /// The call is over.
    Ended {
        /// Who ended it: `caller`, `twiml`, `nothing left to do`, or what went wrong.
        by: String,
    },
}
