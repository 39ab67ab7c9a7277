//! Migration to another media stream in the same session, before the platform cuts this one or before this instance
//! ends. We close the WebSocket in a gap of the conversation, and `<Connect action>` carries the call on.

use crate::call::lifecycle::{Lifecycle, Migration};
use crate::call::{Call, Timer};
use crate::report::CloseReason;

impl Call {
    /// The call should migrate as soon as nobody would notice it, and must when the timeout is over.
    pub(super) fn migrate(&mut self) {
        let until = self.now + self.config.timeouts.migration_ms;
        if let Lifecycle::AwaitingStart { migration, .. }
        | Lifecycle::AwaitingRoom { migration, .. }
        | Lifecycle::Active { migration } = &mut self.lifecycle
            && matches!(migration, Migration::NotDue)
        {
            *migration = Migration::AwaitingGap { until };
        }
    }

    /// Closes the WebSocket if the call should migrate and this is a gap.
    pub(super) fn migrate_in_gap(&mut self) {
        if matches!(self.lifecycle, Lifecycle::Active { migration: Migration::AwaitingGap { .. } }) && self.is_gap() {
            self.close(CloseReason::Migrated);
        }
    }

    /// Whether nobody speaks or has just spoken, nothing plays, no digits come, no tool runs and nothing waits for its
    /// answer.
    fn is_gap(&self) -> bool {
        let is_quiet = match self.streams.listening() {
            Some((_, heard)) => {
                heard.utterance.is_empty() && !self.guard.may_have_spoken(&self.caller, heard, self.now)
            }
            None => self.caller.audio.unwritten_ms() == 0,
        };
        is_quiet
            && !self.streams.is_in_exchange()
            && !self.timers.is_set(Timer::AskAgain)
            && !self.tools.are_running()
            && !self.playback.is_playing()
            && !self.caller.voice.is_speaking()
            && self.digits.is_empty()
            && self.inputs.is_empty()
    }
}
