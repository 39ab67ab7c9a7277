//! Going over to another media socket in the same session: before the platform cuts this one, or before this instance
//! ends. The socket is closed in a gap of the conversation, and `<Connect action>` carries the call on.

use crate::call::turn::Turn;
use crate::call::{Call, Lifecycle, Timer};
use crate::report::CloseReason;

impl Call {
    /// The call should go over as soon as nobody would notice, and must when the patience is over.
    pub(super) fn renew(&mut self) {
        let is_live = matches!(self.lifecycle, Lifecycle::AwaitingStart | Lifecycle::Active);
        if is_live && !self.is_renewing() {
            self.timers.set(Timer::RenewalOverdue, self.now + self.config.patience.renewal_ms);
        }
    }

    fn is_renewing(&self) -> bool {
        self.timers.is_set(Timer::RenewalOverdue)
    }

    /// Closes the socket if the call is to be renewed and this is a gap.
    pub(super) fn renew_in_a_gap(&mut self) {
        if self.is_renewing() && self.is_gap() {
            self.close(CloseReason::Renewed);
        }
    }

    /// Whether nothing is being said, heard, pressed or thought about.
    fn is_gap(&self) -> bool {
        let is_quiet = match &self.turn {
            Turn::Idle => self.caller.unwritten_ms() == 0,
            Turn::Listening(turn) => turn.utterance.is_empty(),
            Turn::Responding(_) => false,
        };
        matches!(self.lifecycle, Lifecycle::Active)
            && is_quiet
            && !self.playback.is_playing()
            && !self.voice.is_speaking()
            && self.entry.is_empty()
            && self.first.is_empty()
    }

    pub(super) fn on_renewal_overdue(&mut self) {
        if matches!(self.lifecycle, Lifecycle::AwaitingStart | Lifecycle::Active) {
            self.close(CloseReason::Renewed);
        }
    }
}
