//! Migration to another media stream in the same session, before the platform cuts this one or before this instance
//! ends. We close the WebSocket in a gap of the conversation, and `<Connect action>` carries the call on.

use crate::call::turn::TurnState;
use crate::call::{Call, Lifecycle, Timer};
use crate::report::CloseReason;

impl Call {
    /// The call should migrate as soon as nobody would notice it, and must when the timeout is over.
    pub(super) fn migrate(&mut self) {
        let is_live = matches!(self.lifecycle, Lifecycle::AwaitingStart | Lifecycle::Active);
        if is_live && !self.is_migrating() {
            self.timers.set(Timer::MigrationTimeout, self.now + self.config.timeouts.migration_ms);
        }
    }

    fn is_migrating(&self) -> bool {
        self.timers.is_set(Timer::MigrationTimeout)
    }

    /// Closes the WebSocket if the call should migrate and this is a gap.
    pub(super) fn migrate_in_gap(&mut self) {
        if self.is_migrating() && self.is_gap() {
            self.close(CloseReason::Migrated);
        }
    }

    /// Whether nobody speaks, nothing plays, no digits come and the agent is not thinking.
    fn is_gap(&self) -> bool {
        let is_quiet = match &self.turn {
            TurnState::Idle => self.caller.unwritten_ms() == 0,
            TurnState::Listening(turn) => turn.utterance.is_empty(),
            TurnState::Responding(_) => false,
        };
        matches!(self.lifecycle, Lifecycle::Active)
            && is_quiet
            && !self.playback.is_playing()
            && !self.voice.is_speaking()
            && self.digits.is_empty()
            && self.queued_inputs.is_empty()
    }

    pub(super) fn on_migration_timeout(&mut self) {
        if matches!(self.lifecycle, Lifecycle::AwaitingStart | Lifecycle::Active) {
            self.close(CloseReason::Migrated);
        }
    }
}
