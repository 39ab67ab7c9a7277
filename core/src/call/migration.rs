//! Migration to another media stream in the same session, before the platform cuts this one or before this instance
//! ends. We close the WebSocket in a gap of the conversation, and `<Connect action>` carries the call on.

use crate::audio::bytes;
use crate::call::Call;
use crate::call::caller::Caller;
use crate::call::lifecycle::{Lifecycle, Migration};
use crate::call::prompt_guard::PromptGuard;
use crate::call::streams::Heard;
use crate::report::CloseReason;

/// How long the words of a voice may be on their way, in milliseconds: until then the agent may send a transcript.
const UNDERSTOOD_MS: u64 = 2_000;

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
            Some((_, heard)) => heard.utterance.is_empty() && !may_have_spoken(heard, &self.caller, &self.guard),
            None => self.caller.audio.unwritten_ms() == 0,
        };
        is_quiet
            && !self.streams.is_in_exchange()
            && !self.tools.are_running()
            && !self.playback.is_playing()
            && !self.caller.voice.is_speaking()
            && self.digits.is_empty()
            && self.inputs.is_empty()
    }
}

/// Whether a voice that the agent has neither understood nor answered may be the caller's.
fn may_have_spoken(heard: &Heard, caller: &Caller, guard: &PromptGuard) -> bool {
    let now = caller.audio.received();
    let unanswered = heard.began.max(caller.audio.kept_from());
    let since = unanswered.max(now.saturating_sub(bytes(UNDERSTOOD_MS)));
    caller.voice.end_since(since).is_some() && !guard.is_agents_voice(caller, since, now)
}
