//! What Twilio's pages leave open. A service must cope with either way, so a call can be played with both.

/// How this Twilio behaves where Twilio's pages do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwilioBehaviour {
    /// What follows when the media stream closes without a close frame.
    pub abnormal_close: AbnormalClose,
    /// Whether `stop` comes before the WebSocket closes when the caller hangs up.
    pub stop_on_hang_up: bool,
    /// Whether `stop` comes, and the WebSocket closes, when a REST update takes the call away.
    pub stop_after_update: bool,
    /// Whether the `<Connect action>` is requested once more when the caller has hung up.
    pub action_after_hang_up: bool,
    /// Whether `start` has an empty `customParameters` if there are none, or leaves it out.
    pub empty_parameters: bool,
    /// Whether counters are numbers, not strings as in the examples.
    pub numeric_counters: bool,
    /// Milliseconds of audio in a `media` message, a multiple of 20.
    pub frame_ms: u64,
    /// Whether the fallback URL gets `ErrorCode` and `ErrorUrl`.
    pub error_parameters: bool,
    /// Whether every webhook gets the headers of a call by SIP, or the first one alone.
    pub repeats_sip_headers: bool,
    /// Whether the signature of the handshake covers the URL with a `/` at its end.
    pub slash_in_signature: bool,
}

impl Default for TwilioBehaviour {
    fn default() -> Self {
        Self {
            abnormal_close: AbnormalClose::GoesOn,
            stop_on_hang_up: true,
            stop_after_update: true,
            action_after_hang_up: true,
            empty_parameters: true,
            numeric_counters: false,
            frame_ms: 20,
            error_parameters: true,
            repeats_sip_headers: false,
            slash_in_signature: false,
        }
    }
}

impl TwilioBehaviour {
    /// The usual behaviour, then one variant for each field with that field changed, each with a name.
    #[must_use]
    pub fn variants() -> Vec<(&'static str, Self)> {
        let usual = Self::default();
        vec![
            ("usual", usual),
            ("an abnormal close ends the call", Self { abnormal_close: AbnormalClose::EndsCall, ..usual }),
            ("no stop when the caller hangs up", Self { stop_on_hang_up: false, ..usual }),
            ("no stop after an update", Self { stop_after_update: false, ..usual }),
            ("no action after a hang-up", Self { action_after_hang_up: false, ..usual }),
            ("no customParameters where there are none", Self { empty_parameters: false, ..usual }),
            ("numbers as counters", Self { numeric_counters: true, ..usual }),
            ("frames of 60 ms", Self { frame_ms: 60, ..usual }),
            ("the handshake signed with a slash", Self { slash_in_signature: true, ..usual }),
        ]
    }
}

/// What Twilio does when the media stream breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbnormalClose {
    /// The same as after a proper close: the document goes on with `action`.
    GoesOn,
    /// The call ends.
    EndsCall,
}
