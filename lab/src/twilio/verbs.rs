//! Plays the verbs of a document, one after another.

use std::time::Duration;

use tokio::time::sleep;

use crate::twilio::Update;
use crate::twilio::account::Account;
use crate::twilio::call_state::{ActiveCall, Next};
use crate::twilio::events::CallEventKind;
use crate::twilio::plan::{OtherSide, Queue};
use crate::twilio::twiml::{Dial, Enqueue, Verb};

/// How long a `<Say>` takes, in milliseconds per character.
const SAY_MS_PER_CHAR: u64 = 65;

/// How long it takes until the caller hears the busy tone, in milliseconds.
const BUSY_MS: u64 = 500;

impl ActiveCall<'_> {
    pub(super) async fn verb(&mut self, verb: Verb) -> Next {
        match verb {
            Verb::ConnectStream { action, stream } => {
                let next = self.stream(&stream).await;
                match (next, action) {
                    (Next::Verb, Some(action)) => Next::Fetch(action, Vec::new()),
                    (Next::End(by), Some(action)) => {
                        if self.plan.behaviour.action_after_hang_up {
                            self.send_final_action(&action).await;
                        }
                        Next::End(by)
                    }
                    (next, _) => next,
                }
            }
            Verb::Redirect { url } => {
                self.record_event(CallEventKind::Redirected { url: url.clone() }).await;
                Next::Fetch(url, Vec::new())
            }
            Verb::Say { text } => {
                let next = self.pass(text.chars().count() as u64 * SAY_MS_PER_CHAR).await;
                self.record_event(CallEventKind::Said { text }).await;
                next
            }
            Verb::Pause { seconds } => self.pass(seconds.saturating_mul(1000)).await,
            Verb::Dial(dial) => self.dial(dial).await,
            Verb::Enqueue(enqueue) => self.enqueue(enqueue).await,
            Verb::Hangup => Next::End("twiml".to_owned()),
            Verb::Other { name } => Next::End(format!("<{name}>, which the lab does not play")),
        }
    }

    /// Lets time pass, unless a REST update takes the call away.
    async fn pass(&mut self, ms: u64) -> Next {
        tokio::select! {
            Some(update) = self.updates.recv() => self.updated(update).await,
            () = sleep(Duration::from_millis(ms)) => Next::Verb,
        }
    }

    pub(super) async fn updated(&mut self, update: Update) -> Next {
        // The sender of the update may have gone; the update holds all the same.
        let _ = update.taken.send(());
        self.record_event(CallEventKind::Updated).await;
        Next::Document(update.twiml)
    }

    /// Dials, then goes on as Twilio does: with `action`, else with the next verb.
    async fn dial(&mut self, dial: Dial) -> Next {
        let lacks_caller_id = dial.caller_id.is_none() && dial.to.starts_with('+') && !self.plan.from.starts_with('+');
        let other = if lacks_caller_id { OtherSide::Failed } else { self.next_other() };
        self.record_event(CallEventKind::Dialled { to: dial.to, caller_id: dial.caller_id }).await;
        let longest_ms = dial.timeout_s.saturating_mul(1000);
        let (rings_ms, talks_ms, status) = match other {
            OtherSide::Answers { rings_ms, talks_ms } if rings_ms <= longest_ms => (rings_ms, talks_ms, "completed"),
            OtherSide::Answers { .. } | OtherSide::NoAnswer => (longest_ms, 0, "no-answer"),
            OtherSide::Busy => (BUSY_MS, 0, "busy"),
            OtherSide::Failed => (0, 0, "failed"),
        };
        match self.pass(rings_ms + talks_ms).await {
            Next::Verb => {}
            taken_away => return taken_away,
        }
        self.record_event(CallEventKind::DialEnded { status: status.to_owned(), talked_ms: talks_ms }).await;
        let Some(action) = dial.action else { return Next::Verb };
        let mut more = vec![("DialCallStatus", status.to_owned()), ("DialCallSid", Account::new_sid("CA"))];
        if lacks_caller_id {
            more.push(("ErrorCode", "13214".to_owned()));
            more.push((
                "ErrorMessage",
                "callerId must be provided for TwilioClient and SIP calls when using Dial".to_owned(),
            ));
        } else if other == OtherSide::Failed {
            more.push(("ErrorCode", "13224".to_owned()));
            more.push(("ErrorMessage", "Dial: Invalid phone number".to_owned()));
        }
        if status == "completed" {
            more.push(("DialCallDuration", (talks_ms / 1000).to_string()));
        }
        Next::Fetch(action, more)
    }

    fn next_other(&mut self) -> OtherSide {
        let place = self.dialled.min(self.plan.others.len().saturating_sub(1));
        self.dialled += 1;
        self.plan.others.get(place).copied().unwrap_or(OtherSide::Failed)
    }

    async fn enqueue(&mut self, enqueue: Enqueue) -> Next {
        let Enqueue { workflow_sid, queue, attributes, action } = enqueue;
        self.record_event(CallEventKind::Enqueued { workflow_sid, queue, attributes }).await;
        let ms = match self.plan.queue {
            Queue::Keeps => return Next::End("the queue".to_owned()),
            Queue::Leaves(ms) => ms,
        };
        match self.pass(ms).await {
            Next::Verb => {}
            taken_away => return taken_away,
        }
        let Some(action) = action else { return Next::Verb };
        let more = [
            ("QueueResult", "leave".to_owned()),
            ("QueueSid", Account::new_sid("QU")),
            ("QueueTime", (ms / 1000).to_string()),
        ];
        Next::Fetch(action, more.into())
    }
}
