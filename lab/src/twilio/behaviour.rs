//! What Twilio's pages leave open. A service must bear either way, so a call can be played with both.

/// How this Twilio does what its pages do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwilioBehaviour {
    /// What follows a socket that closes without a close frame.
    pub abnormal_close: AbnormalClose,
    /// Whether `stop` comes before the socket closes when the caller hangs up.
    pub stop_on_hang_up: bool,
    /// Whether `stop` comes, and the socket closes, when a REST update takes the call away.
    pub stop_after_update: bool,
    /// Whether the `<Connect action>` is asked once more when the caller has hung up.
    pub action_after_hang_up: bool,
    /// Whether `start` has an empty `customParameters` where there are none, or leaves it out.
    pub empty_parameters: bool,
    /// Whether counters are numbers, and not strings as in the examples.
    pub numeric_counters: bool,
    /// Milliseconds of audio in a `media` message, a multiple of 20.
    pub frame_ms: u64,
    /// Whether the fallback URL is told `ErrorCode` and `ErrorUrl`.
    pub error_parameters: bool,
    /// Whether the handshake is signed over the URL with a `/` at its end.
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
            slash_in_signature: false,
        }
    }
}

impl TwilioBehaviour {
    /// The usual behaviour, and each of them the other way, with a name.
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

/// What Twilio does when the media socket breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbnormalClose {
    /// As after a proper close: the document goes on with `action`.
    GoesOn,
    /// The call ends.
    EndsCall,
}
