//! The states of a call, and how it begins and ends.
//!
//! ```text
//! AwaitingStart --start, room is asked for: Admit--> AwaitingRoom --room--> Active
//! AwaitingRoom --no room: Update--> HandingOff
//! AwaitingStart --start, room is not asked for--> Active
//! Active --agent's end, agent failed--> Ending
//! Active --limit: Cancel--> Ending
//! AwaitingStart --start of another call--> Closed
//! AwaitingStart, AwaitingRoom --timeout--> Closed
//! Ending --answer complete, playout over: Update--> HandingOff
//! HandingOff --update accepted--> Leaving --stop, or timeout--> Closed
//! HandingOff --call gone, not updated, timeout--> Closed
//! AwaitingStart, AwaitingRoom --migration timeout--> Closed
//! Active --migration: a gap, or timeout--> Closed
//! Active, and what comes after --no valid message from Twilio in time--> Closed
//! any --stop, WebSocket closed, Twilio does not read, taken over--> Closed
//! ```
//!
//! A state that goes to Closed cancels the open stream.

use crate::agent::{AgentCommand, AgentEnd};
use crate::call::{Call, Output, Timer, UpdateResult};
use crate::call_facts::{CallFacts, ToldFacts};
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::handoff::{self, LastTwiml};
use crate::ids::{CallSid, StreamSid};
use crate::report::{CloseReason, Report};
use crate::time::CallTime;
use crate::twilio::Start;

use super::no_input::Silence;
use super::standby::Standby;

/// How long we listen to the agent after its part has ended, in milliseconds. Without this limit, an answer or the
/// noise in its audio could go on forever.
const MAX_LAST_WORDS_MS: u64 = 60_000;

/// How many characters a report has of the names of what was left out. An agent chooses the names.
const MAX_LISTED_CHARS: usize = 300;

/// The state of the call.
#[derive(Debug)]
pub(super) enum Lifecycle {
    /// The WebSocket is open. Twilio has not said which call it is.
    AwaitingStart { until: CallTime, migration: Migration },
    /// Twilio has said which call it is. The driver has not said whether there is room for it.
    AwaitingRoom { call_sid: CallSid, stream_sid: StreamSid, until: CallTime, migration: Migration },
    /// The agent has the call.
    Active { migration: Migration },
    /// The agent's part is over. The caller still hears its last words. We do not listen.
    Ending(Ending),
    /// We give the call its last TwiML.
    HandingOff { until: CallTime },
    /// Twilio accepted the last TwiML and will stop the stream.
    Leaving { until: CallTime },
    /// Nothing happens any more.
    Closed,
}

/// Whether the call should migrate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Migration {
    #[default]
    NotDue,
    /// It closes in the next gap, or at that time.
    AwaitingGap { until: CallTime },
}

impl Migration {
    pub(super) fn deadline(self) -> Option<(CallTime, Timer)> {
        match self {
            Self::NotDue => None,
            Self::AwaitingGap { until } => Some((until, Timer::MigrationTimeout)),
        }
    }
}

/// Why the agent's part is over.
#[derive(Debug)]
pub(super) enum Ending {
    Agent(AgentEnd),
    AgentFailed,
    Limit(CallLimit),
}

impl Lifecycle {
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Active { .. })
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether the agent's part is over, and the caller still hears its last words.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self, Self::Ending(_))
    }

    /// When the state ends by itself, and why.
    pub(super) fn deadline(&self) -> Option<(CallTime, Timer)> {
        match self {
            Self::AwaitingStart { until, migration } | Self::AwaitingRoom { until, migration, .. } => {
                Some((*until, Timer::StartTimeout)).into_iter().chain(migration.deadline()).min()
            }
            Self::Active { migration } => migration.deadline(),
            Self::HandingOff { until } => Some((*until, Timer::UpdateTimeout)),
            Self::Leaving { until } => Some((*until, Timer::StopTimeout)),
            Self::Ending(_) | Self::Closed => None,
        }
    }
}

impl Call {
    /// Twilio has said which call it is, and with which parameters it started the stream.
    pub(super) fn on_started(&mut self, call_sid: CallSid, stream_sid: StreamSid, start: Start) {
        let Lifecycle::AwaitingStart { until, migration } = self.lifecycle else { return };
        if self.config.call_sid.as_ref().is_some_and(|expected| *expected != call_sid) {
            return self.close(CloseReason::WrongCall);
        }
        let custom = start.custom_parameters;
        self.facts = CallFacts::of(&call_sid, &start.account_sid, &custom);
        let told = ToldFacts::new(&self.facts, &self.config.call_parameters, self.config.parameter_names);
        self.inputs.start(&self.facts, &told, &custom);
        self.standby = Standby::new(&self.config, &self.facts, &custom, self.now);
        self.outcome.told = told;
        self.outcome.caller_id = self.facts.caller_id();
        if self.config.busy.is_some() {
            self.lifecycle = Lifecycle::AwaitingRoom { call_sid, stream_sid, until, migration };
            self.outputs.add(Output::Admit(custom));
        } else {
            self.begin(call_sid, stream_sid, migration);
        }
    }

    /// The driver says whether there is room for the call. The agent never hears of a call that is turned away.
    pub(super) fn on_admitted(&mut self, has_room: bool) {
        let Lifecycle::AwaitingRoom { call_sid, stream_sid, migration, .. } = &self.lifecycle else { return };
        if has_room {
            self.begin(call_sid.clone(), stream_sid.clone(), *migration);
        } else {
            self.outputs.report(Report::TurnedAway);
            let busy = self.config.busy.clone().unwrap_or_default();
            self.update(busy);
        }
    }

    fn begin(&mut self, call_sid: CallSid, stream_sid: StreamSid, migration: Migration) {
        let (from, to) = (self.facts.from().map(ToOwned::to_owned), self.facts.to().map(ToOwned::to_owned));
        self.lifecycle = Lifecycle::Active { migration };
        self.timers.set(Timer::FramesTimeout, self.now + self.config.timeouts.frames_ms);
        self.outcome.call_sid = call_sid.as_str().to_owned();
        self.outcome.session.clone_from(&self.config.session);
        self.outcome.stands_in.clone_from(&self.config.stands_in);
        self.silence = Silence::default();
        self.silence.agent_heard(self.now);
        self.start_greeting_timer();
        self.timers.put(Timer::CallTooLong, self.config.call_limit_ms().map(|ms| self.now + ms));
        let migrate_after_ms = self.config.migrate_after_ms;
        self.timers.put(Timer::Migration, (migrate_after_ms > 0).then(|| self.now + migrate_after_ms));
        self.outputs.report(Report::Started { call_sid, stream_sid, from, to });
    }

    /// Ends the agent's part. From here on we do not listen. An agent that only said that it is done may still say
    /// where the call goes.
    pub(super) fn end(&mut self, why: Ending) {
        if let (Lifecycle::Ending(Ending::Agent(said)), Ending::Agent(end)) = (&mut self.lifecycle, &why)
            && said.is_plain()
        {
            said.clone_from(end);
        }
        if !self.lifecycle.is_active() {
            return;
        }
        self.caller.audio.end();
        // No audio follows, so the stream waits for none.
        self.tell_speech(false);
        self.inputs.clear();
        for timer in [
            Timer::Retry,
            Timer::DigitsComplete,
            Timer::Thinking,
            Timer::Greeting,
            Timer::CallTooLong,
            Timer::Migration,
        ] {
            self.timers.stop(timer);
        }
        self.timers.set(Timer::LastWordsTimeout, self.now + MAX_LAST_WORDS_MS);
        self.lifecycle = Lifecycle::Ending(why);
    }

    /// A limit of the settings ends the call. The prompt plays to its end, and the agent gets nothing more.
    pub(super) fn on_limit_reached(&mut self, limit: CallLimit) {
        if !self.lifecycle.is_active() {
            return;
        }
        self.outputs.report(Report::LimitReached(limit));
        self.cancel_turn();
        self.end(Ending::Limit(limit));
    }

    /// Hands the call off when the caller has heard the last words.
    pub(super) fn hand_off(&mut self) {
        let Lifecycle::Ending(why) = &self.lifecycle else { return };
        if self.streams.open().is_some() || self.playback.is_playing() {
            return;
        }
        let (config, words) = (&self.config.handoff, &self.config.words);
        let (status, LastTwiml { twiml, loss }) = match why {
            Ending::Agent(end) => (VirtualAgentStatus::of(end), handoff::ended(config, end, &self.outcome)),
            Ending::AgentFailed => (VirtualAgentStatus::Failed, handoff::failed(config, words, &self.outcome)),
            Ending::Limit(limit) => (limit.status(), handoff::limit_reached(config, *limit, words, &self.outcome)),
        };
        let lacks_caller_id = match why {
            Ending::Agent(end) => handoff::lacks_caller_id(&config.dial, end, &self.outcome),
            Ending::AgentFailed | Ending::Limit(_) => false,
        };
        self.outputs.report(Report::HandedOff { status });
        if lacks_caller_id {
            self.outputs.report(Report::CallerIdMissing);
        }
        if !loss.is_nothing() {
            self.outputs.report(Report::HandoffShortened {
                left_out: listed(&loss.left_out),
                shortened: listed(&loss.shortened),
            });
        }
        self.update(twiml);
    }

    /// Gives the call its last TwiML.
    fn update(&mut self, twiml: String) {
        self.timers.stop(Timer::LastWordsTimeout);
        self.lifecycle = Lifecycle::HandingOff { until: self.now + self.config.timeouts.update_ms };
        self.outputs.add(Output::Update { twiml });
    }

    pub(super) fn on_updated(&mut self, result: UpdateResult) {
        if !matches!(self.lifecycle, Lifecycle::HandingOff { .. }) {
            return;
        }
        match result {
            UpdateResult::Accepted => {
                self.lifecycle = Lifecycle::Leaving { until: self.now + self.config.timeouts.stop_ms };
            }
            UpdateResult::CallGone => self.close(CloseReason::CallGone),
            UpdateResult::Impossible => self.close(CloseReason::NotUpdated),
        }
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        if let Some(cancelled) = self.streams.cancel() {
            self.outputs.agent(cancelled.ids.stream, AgentCommand::Cancel);
            if let Some(report) = cancelled.report {
                self.outputs.report(report);
            }
        }
        self.outputs.stages(self.stage_recorder.take_awaiting());
        let unheard_ms = self.playback.remaining_ms(self.now);
        self.timers.stop_all();
        self.caller.audio.close();
        self.lifecycle = Lifecycle::Closed;
        self.outputs.report(Report::Ended { reason, audio: self.caller.audio.account(), unheard_ms });
        self.outputs.add(Output::Close(reason));
    }
}

/// Names as one text for a report.
fn listed(names: &[String]) -> String {
    let mut text = names.join(", ");
    if let Some((end, _)) = text.char_indices().nth(MAX_LISTED_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
