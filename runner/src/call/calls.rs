//! The calls of this instance: which are live, which tickets were used, and the last TwiML of calls that are being
//! handed off. No other instance needs any of this.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dialbridge_core::CallSid;
use dialbridge_core::carried::{CallProgress, Opening};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::twilio::ticket::{AccountCall, TICKET_LIFE_MS, Ticket};

/// How long we keep a call's last TwiML and its stream's progress for `/connect-ended`, in milliseconds.
const KEEP_MS: u64 = 60_000;

/// How many orders can be queued for a call.
const ORDER_QUEUE: usize = 4;

/// An order to a live call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOrder {
    /// Another media stream has taken the call.
    TakenOver,
    /// The call should migrate to another instance.
    Migrate,
    /// The caller sends a text as if he had said it: a test of a call flow does.
    Text(String),
}

/// Why a ticket opens no media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmitError {
    /// The ticket was used before.
    Reused,
    /// A newer ticket's media stream has the call.
    Older,
}

impl fmt::Display for AdmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reused => "the ticket was used before",
            Self::Older => "a newer ticket's socket has the call",
        })
    }
}

impl std::error::Error for AdmitError {}

/// The progress of a stream that has not begun.
fn progress_of(ticket: &Ticket) -> CallProgress {
    CallProgress {
        failed_turns: ticket.info.failed_turns,
        awaits_greeting: ticket.opening == Opening::Greet,
        on_backup: ticket.info.backup_of.is_some(),
    }
}

/// The calls of this instance. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    inner: Arc<Mutex<Inner>>,
    /// Notified when a call has left.
    left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    live: BTreeMap<AccountCall, Live>,
    /// Tickets that were used; we keep each one until it expires.
    used: BTreeMap<String, u64>,
    last_twiml: BTreeMap<AccountCall, (u64, String)>,
    ended: BTreeMap<AccountCall, Ended>,
    /// Media streams without a ticket whose call is not known yet.
    unnamed: usize,
}

/// A stream that has ended.
#[derive(Debug)]
struct Ended {
    issued_ms: u64,
    until_ms: u64,
    progress: CallProgress,
}

#[derive(Debug)]
struct Live {
    issued_ms: u64,
    has_started: bool,
    progress: CallProgress,
    orders: mpsc::Sender<CallOrder>,
}

/// A live call's entry in the list. Dropping it removes the call, because its stream has ended, and keeps the stream's
/// progress for the next one. So a call whose task panics keeps it too.
#[derive(Debug)]
pub struct CallRegistration {
    calls: Calls,
    call: AccountCall,
    issued_ms: u64,
    /// When it was admitted, in milliseconds since 1970, and the same moment.
    admitted: (u64, Instant),
    progress: CallProgress,
    /// Orders to the call.
    pub orders: mpsc::Receiver<CallOrder>,
}

/// A media stream whose call is not known yet. Dropping it ends the count.
#[derive(Debug)]
pub struct Waiting(Calls);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lock().unnamed -= 1;
    }
}

impl CallRegistration {
    /// Starts the call's stream. Returns `false` if `max_calls` other streams have started. Calls that start at the
    /// same moment cannot exceed that number.
    #[must_use]
    pub fn start(&self, max_calls: usize) -> bool {
        let mut inner = self.calls.lock();
        let others = inner.live.iter().filter(|(call, live)| live.has_started && **call != self.call);
        if others.count() >= max_calls {
            return false;
        }
        if let Some(live) = self.entry(&mut inner) {
            live.has_started = true;
        }
        true
    }

    /// Notes how far the call has come, also in the list, because Twilio may ask how to continue before we see the media
    /// stream close.
    pub fn note(&mut self, progress: CallProgress) {
        if self.progress != progress {
            self.progress = progress;
            if let Some(live) = self.entry(&mut self.calls.lock()) {
                live.progress = progress;
            }
        }
    }

    /// The stream's progress.
    #[must_use]
    pub fn progress(&self) -> CallProgress {
        self.progress
    }

    /// The call in the list, unless another media stream has it.
    fn entry<'a>(&self, inner: &'a mut Inner) -> Option<&'a mut Live> {
        inner.live.get_mut(&self.call).filter(|live| live.issued_ms == self.issued_ms)
    }
}

impl Drop for CallRegistration {
    fn drop(&mut self) {
        let (admitted_ms, since) = self.admitted;
        let now_ms = admitted_ms + u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX / 2);
        let ended = Ended { issued_ms: self.issued_ms, until_ms: now_ms + KEEP_MS, progress: self.progress };
        self.calls.keep_ended(&self.call, ended, now_ms);
        let mut inner = self.calls.lock();
        if inner.live.get(&self.call).is_some_and(|live| live.issued_ms == self.issued_ms) {
            inner.live.remove(&self.call);
        }
        drop(inner);
        self.calls.left.notify_one();
    }
}

impl Calls {
    /// How many calls are live: their media streams are open.
    #[must_use]
    pub fn live(&self) -> usize {
        self.lock().live.len()
    }

    /// Notified when a call has left.
    pub(crate) fn left(&self) -> &Notify {
        &self.left
    }

    /// How many live calls have a stream that has started.
    #[must_use]
    pub fn started(&self) -> usize {
        self.lock().live.values().filter(|live| live.has_started).count()
    }

    /// How many media streams are open but not started.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let inner = self.lock();
        inner.unnamed + inner.live.values().filter(|live| !live.has_started).count()
    }

    /// Counts a media stream as waiting until its call is known.
    #[must_use]
    pub fn wait(&self) -> Waiting {
        self.lock().unnamed += 1;
        Waiting(self.clone())
    }

    /// Tells all calls to migrate to another instance.
    pub fn migrate_all(&self) {
        for live in self.lock().live.values() {
            // A call whose queue is closed is ending anyway.
            let _ = live.orders.try_send(CallOrder::Migrate);
        }
    }

    /// Passes a text of the caller's to a live call. Returns whether it could be passed.
    #[must_use]
    pub fn send_text(&self, call_sid: &CallSid, text: &str) -> bool {
        let inner = self.lock();
        let live = inner.live.iter().find(|(call, _)| call.call_sid == *call_sid);
        live.is_some_and(|(_, live)| live.orders.try_send(CallOrder::Text(text.to_owned())).is_ok())
    }

    /// Admits the media stream of a ticket whose text is `text`. A newer ticket takes the call from an older one.
    ///
    /// # Errors
    /// [`AdmitError`] when the ticket was used before, or a newer ticket has the call.
    pub fn admit(&self, ticket: &Ticket, text: &str, now_ms: u64) -> Result<CallRegistration, AdmitError> {
        let mut inner = self.lock();
        inner.used.retain(|_, until_ms| *until_ms >= now_ms);
        if inner.used.contains_key(text) {
            return Err(AdmitError::Reused);
        }
        if inner.live.get(&ticket.call()).is_some_and(|live| live.issued_ms >= ticket.issued_ms) {
            return Err(AdmitError::Older);
        }
        inner.used.insert(text.to_owned(), ticket.issued_ms + TICKET_LIFE_MS);
        Ok(self.register(&mut inner, ticket.call(), ticket.issued_ms, progress_of(ticket), now_ms))
    }

    /// Admits a media stream without a ticket, unless the call has a stream. Any ticket takes the call from it.
    #[must_use]
    pub fn admit_bare(&self, call: &AccountCall, now_ms: u64) -> Option<CallRegistration> {
        let mut inner = self.lock();
        let progress = CallProgress::default();
        (!inner.live.contains_key(call)).then(|| self.register(&mut inner, call.clone(), 0, progress, now_ms))
    }

    fn register(
        &self,
        inner: &mut Inner,
        call: AccountCall,
        issued_ms: u64,
        progress: CallProgress,
        now_ms: u64,
    ) -> CallRegistration {
        let (sender, orders) = mpsc::channel(ORDER_QUEUE);
        let live = Live { issued_ms, has_started: false, progress, orders: sender };
        if let Some(older) = inner.live.insert(call.clone(), live) {
            // A call whose queue is closed is ending anyway.
            let _ = older.orders.try_send(CallOrder::TakenOver);
        }
        CallRegistration { calls: self.clone(), call, issued_ms, admitted: (now_ms, Instant::now()), progress, orders }
    }

    /// The progress of the call's stream that was issued at `issued_ms`. `None` if another instance had the stream, or
    /// if it ended long ago.
    #[must_use]
    pub fn progress(&self, call: &AccountCall, issued_ms: u64, now_ms: u64) -> Option<CallProgress> {
        let inner = self.lock();
        if let Some(live) = inner.live.get(call).filter(|live| live.issued_ms == issued_ms) {
            return Some(live.progress);
        }
        let ended = inner.ended.get(call).filter(|ended| ended.issued_ms == issued_ms && ended.until_ms >= now_ms);
        ended.map(|ended| ended.progress)
    }

    /// Whether a backup has the call, as far as we know: we keep it for a minute after a stream.
    #[must_use]
    pub fn is_on_backup(&self, call: &AccountCall, now_ms: u64) -> bool {
        let inner = self.lock();
        let ended = inner.ended.get(call).filter(|ended| ended.until_ms >= now_ms);
        let progress = inner.live.get(call).map(|live| live.progress).or(ended.map(|ended| ended.progress));
        progress.is_some_and(|progress| progress.on_backup)
    }

    /// Notes that the media stream of this ticket was refused, so its stream made no progress, unless the ticket was
    /// used before.
    pub fn refused(&self, ticket: &Ticket, now_ms: u64) {
        if self.progress(&ticket.call(), ticket.issued_ms, now_ms).is_none() {
            let (issued_ms, progress) = (ticket.issued_ms, progress_of(ticket));
            self.keep_ended(&ticket.call(), Ended { issued_ms, until_ms: now_ms + KEEP_MS, progress }, now_ms);
        }
    }

    /// Keeps the progress of the call's newest stream.
    fn keep_ended(&self, call: &AccountCall, ended: Ended, now_ms: u64) {
        let mut inner = self.lock();
        inner.ended.retain(|_, ended| ended.until_ms >= now_ms);
        if inner.ended.get(call).is_none_or(|other| other.issued_ms <= ended.issued_ms) {
            inner.ended.insert(call.clone(), ended);
        }
    }

    /// Keeps a call's last TwiML. Twilio fetches it if the media stream closes before the REST update arrives.
    pub fn keep_last_twiml(&self, call: &AccountCall, twiml: &str, now_ms: u64) {
        let mut inner = self.lock();
        inner.last_twiml.retain(|_, (until_ms, _)| *until_ms >= now_ms);
        inner.last_twiml.insert(call.clone(), (now_ms + KEEP_MS, twiml.to_owned()));
    }

    /// A call's last TwiML, if we still keep it.
    #[must_use]
    pub fn last_twiml(&self, call: &AccountCall, now_ms: u64) -> Option<String> {
        let inner = self.lock();
        let (until_ms, twiml) = inner.last_twiml.get(call)?;
        (*until_ms >= now_ms).then(|| twiml.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::twilio::ticket::CallInfo;

    fn fails(registration: &mut CallRegistration) {
        let progress = registration.progress();
        registration.note(CallProgress { failed_turns: progress.failed_turns + 1, ..progress });
    }

    fn ticket(issued_ms: u64) -> Ticket {
        let info = CallInfo {
            agent: "default".to_owned(),
            backup_of: None,
            language: None,
            began_ms: 0,
            failed_turns: 0,
            account: None,
            trace: None,
        };
        Ticket { call_sid: CallSid::new("CA1").unwrap(), issued_ms, info, opening: Opening::Greet }
    }

    #[test]
    fn a_ticket_opens_one_socket() {
        let calls = Calls::default();
        let registration = calls.admit(&ticket(1_000), "t1", 1_000).unwrap();
        assert_eq!(calls.admit(&ticket(1_000), "t1", 1_000).unwrap_err(), AdmitError::Reused);
        drop(registration);
        assert_eq!(calls.admit(&ticket(1_000), "t1", 60_000).unwrap_err(), AdmitError::Reused);
        assert_eq!(calls.live(), 0);
    }

    #[test]
    fn a_newer_ticket_takes_the_call_over_and_an_older_one_does_not() {
        let calls = Calls::default();
        let mut first = calls.admit(&ticket(1_000), "t1", 1_000).unwrap();
        let second = calls.admit(&ticket(2_000), "t2", 2_000).unwrap();
        assert_eq!(first.orders.try_recv(), Ok(CallOrder::TakenOver));
        assert_eq!(calls.admit(&ticket(1_500), "t3", 2_000).unwrap_err(), AdmitError::Older);
        drop(first);
        assert_eq!(calls.live(), 1, "the first one's end does not end the second");
        drop(second);
        assert_eq!(calls.live(), 0);
    }

    #[test]
    fn a_socket_without_a_ticket_gives_way_to_one_with_a_ticket_and_takes_no_call_over() {
        let calls = Calls::default();
        let sid = ticket(0).call();
        let mut bare = calls.admit_bare(&sid, 1_000).unwrap();
        assert!(calls.admit_bare(&sid, 1_000).is_none());
        let ticketed = calls.admit(&ticket(1_000), "t1", 1_000).unwrap();
        assert_eq!(bare.orders.try_recv(), Ok(CallOrder::TakenOver));
        assert!(calls.admit_bare(&sid, 1_000).is_none());
        drop((bare, ticketed));
        assert!(calls.admit_bare(&sid, 1_000).is_some());
    }

    #[test]
    fn sockets_are_counted_by_whether_their_stream_has_started() {
        let calls = Calls::default();
        let (registration, unnamed) = (calls.admit(&ticket(1_000), "t1", 1_000).unwrap(), calls.wait());
        assert_eq!((calls.live(), calls.waiting(), calls.started()), (1, 2, 0));
        assert!(registration.start(1));
        drop(unnamed);
        assert_eq!((calls.live(), calls.waiting(), calls.started()), (1, 0, 1));
    }

    #[test]
    fn no_more_streams_start_than_there_is_room_for() {
        let calls = Calls::default();
        let admit = |call: &str, issued_ms| {
            let ticket = Ticket { call_sid: CallSid::new(call).unwrap(), ..ticket(issued_ms) };
            calls.admit(&ticket, &format!("{call} {issued_ms}"), 1_000).unwrap()
        };
        let (one, other) = (admit("CA1", 1_000), admit("CA2", 1_000));
        assert!(one.start(1) && !other.start(1), "both were let in, and one may start");
        assert_eq!((calls.started(), calls.waiting()), (1, 1));
        let again = admit("CA1", 2_000);
        assert!(again.start(1), "a call that goes over to another socket has its place");
        drop((one, again));
        assert!(other.start(1), "a place that was left can be taken");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stream_has_been_through_is_known_while_it_is_live_and_for_a_minute_after() {
        let calls = Calls::default();
        let mut failing = ticket(1_000);
        failing.info.failed_turns = 3;
        let failed = |issued_ms, now_ms| {
            calls.progress(&failing.call(), issued_ms, now_ms).map(|progress| progress.failed_turns)
        };
        let mut first = calls.admit(&failing, "t1", 1_000).unwrap();
        assert_eq!(failed(1_000, 1_000), Some(3), "those of earlier streams");
        fails(&mut first);
        assert_eq!((failed(1_000, 1_000), failed(999, 1_000)), (Some(4), None), "of that stream and no other");
        let mut second = calls.admit(&ticket(2_000), "t2", 2_000).unwrap();
        fails(&mut second);
        fails(&mut first);
        drop(first);
        assert_eq!((failed(2_000, 2_000), failed(1_000, 2_000)), (Some(1), Some(5)), "each has its own");
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(second);
        assert_eq!((failed(2_000, 63_000), failed(2_000, 63_001)), (Some(1), None));
        assert_eq!(calls.live(), 0);
    }

    #[test]
    fn a_greeting_is_awaited_until_the_agent_answers_and_by_no_stream_that_was_not_to_have_one() {
        let calls = Calls::default();
        let awaits = |ticket: &Ticket| calls.progress(&ticket.call(), ticket.issued_ms, 3_000).unwrap().awaits_greeting;
        let (greets, later) = (ticket(1_000), Ticket { opening: Opening::Resume, ..ticket(2_000) });
        calls.refused(&greets, 1_000);
        assert!(awaits(&greets), "it was refused");
        let mut registration = calls.admit(&greets, "t1", 1_000).unwrap();
        assert!(awaits(&greets), "its stream has not begun");
        registration.note(CallProgress::default());
        assert!(!awaits(&greets));
        drop(registration);
        calls.refused(&greets, 2_000);
        assert!(!awaits(&greets), "nor after its end, whoever comes with its ticket once more");
        let registration = calls.admit(&later, "t2", 2_000).unwrap();
        assert!(!awaits(&later));
        drop(registration);
        assert!(!awaits(&later));
    }

    #[test]
    fn an_account_reaches_no_call_of_another_one_whatever_call_sid_it_sends() {
        let calls = Calls::default();
        let mut foreign = ticket(2_000);
        foreign.info.account = Some("AC2".to_owned());
        let mut own = calls.admit(&ticket(1_000), "t1", 1_000).unwrap();
        let other = calls.admit(&foreign, "t2", 2_000).unwrap();
        assert!(own.orders.try_recv().is_err(), "it is not taken over");
        calls.keep_last_twiml(&ticket(1_000).call(), "<Response/>", 1_000);
        assert_eq!(calls.last_twiml(&foreign.call(), 1_000), None);
        own.note(CallProgress { failed_turns: 7, ..CallProgress::default() });
        assert_eq!(calls.progress(&foreign.call(), 1_000, 2_000), None);
        drop(other);
        assert_eq!(calls.live(), 1);
    }

    #[test]
    fn the_last_twiml_is_kept_for_a_minute() {
        let calls = Calls::default();
        let sid = ticket(1_000).call();
        calls.keep_last_twiml(&sid, "<Response/>", 1_000);
        assert_eq!(calls.last_twiml(&sid, 61_000).as_deref(), Some("<Response/>"));
        assert_eq!(calls.last_twiml(&sid, 61_001), None);
        assert_eq!(calls.last_twiml(&AccountCall { call_sid: CallSid::new("CA2").unwrap(), ..sid }, 1_000), None);
    }
}
