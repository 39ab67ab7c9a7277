//! The calls of this instance as the page shows them: the live ones and the last finished ones. All of it is in memory
//! and bounded by count and by bytes. Without a page nothing is kept. With `HISTORY_DIR` the finished ones are in a folder too,
//! and an instance that starts shows the last ones of it.

mod archive;
mod entry;
mod event_line;
mod last_hour;
mod lines;
mod outcome;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dialbridge_core::{CallSid, CallTime, Report};
use serde_json::{Value, json};
use tokio::sync::watch;

use entry::Entry;
use event_line::latency_ms;
use last_hour::LastHour;
use outcome::CallOutcome;

pub(crate) use archive::Archive;
pub(crate) use entry::{CallStart, KeptTape};

/// How many finished calls are kept.
pub const MAX_FINISHED: usize = 50;

/// How many bytes the timelines of the finished calls may take.
pub const MAX_FINISHED_BYTES: usize = 1 << 20;

/// How many live calls are listed. The others are only counted.
const MAX_LISTED: usize = 100;

/// The calls. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    archive: Option<Archive>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    live: BTreeMap<u64, Arc<WatchedEntry>>,
    finished: VecDeque<Arc<WatchedEntry>>,
    finished_bytes: usize,
    last_hour: LastHour,
}

/// A call's entry, with a channel for its viewers.
#[derive(Debug)]
struct WatchedEntry {
    entry: Mutex<Entry>,
    changed: watch::Sender<()>,
}

impl WatchedEntry {
    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// The calls that an archive has, oldest first, and those to come. Tapes are in `folders`. `shows_words`: whether the page
    /// may show transcripts.
    pub(crate) fn with_archive(archive: Archive, calls: &[Value], folders: &[PathBuf], shows_words: bool) -> Self {
        let history = Self(Arc::new(Shared { archive: Some(archive), ..Shared::default() }));
        let mut inner = history.lock();
        for call in calls {
            let id = inner.last_id + 1;
            if let Some(entry) = Entry::of_json(id, call, folders, shows_words) {
                inner.last_id = id;
                inner.add_finished(Arc::new(WatchedEntry {
                    entry: Mutex::new(entry),
                    changed: watch::Sender::default(),
                }));
            }
        }
        drop(inner);
        history
    }

    /// Adds a call that begins.
    pub(crate) fn begin(&self, start: CallStart) -> HistoryWriter {
        let mut inner = self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        let watched =
            Arc::new(WatchedEntry { entry: Mutex::new(Entry::new(id, start)), changed: watch::Sender::default() });
        inner.live.insert(id, watched.clone());
        drop(inner);
        self.notify();
        HistoryWriter { history: self.clone(), id, watched }
    }

    /// Wakes all viewers of the list.
    pub(crate) fn notify(&self) {
        self.0.changed.send_replace(());
    }

    /// Reports changes of the list.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// The live calls, oldest first, with their number; the finished calls, newest first; and the last hour in figures.
    #[must_use]
    pub fn summary(&self, now_ms: u64) -> Value {
        let (live, finished, count, last_hour) = {
            let inner = self.lock();
            let live: Vec<Arc<WatchedEntry>> = inner.live.values().take(MAX_LISTED).cloned().collect();
            (live, inner.finished.clone(), inner.live.len(), inner.last_hour.summary(now_ms))
        };
        let live: Vec<Value> = live.iter().map(|watched| watched.entry().summary()).collect();
        let finished: Vec<Value> = finished.iter().rev().map(|watched| watched.entry().summary()).collect();
        json!({ "liveCount": count, "live": live, "finished": finished, "lastHour": last_hour })
    }

    /// Watches the call with this id.
    pub(crate) fn by_id(&self, id: u64) -> Option<CallWatcher> {
        let inner = self.lock();
        let watched = inner.live.get(&id).or_else(|| inner.finished.iter().find(|watched| watched.entry().id == id))?;
        Some(CallWatcher::at(watched.clone()))
    }

    /// Watches the newest call with this CallSid.
    pub(crate) fn by_call_sid(&self, call_sid: &CallSid) -> Option<CallWatcher> {
        let inner = self.lock();
        let mut newest_first = inner.live.values().rev().chain(inner.finished.iter().rev());
        let watched = newest_first.find(|watched| watched.entry().call_sid() == call_sid)?;
        Some(CallWatcher::at(watched.clone()))
    }

    fn finish(&self, id: u64) {
        let mut inner = self.lock();
        let Some(watched) = inner.live.remove(&id) else { return };
        if watched.entry().is_call() {
            {
                let entry = watched.entry();
                inner.last_hour.add_call(entry.last_at_ms(), entry.outcome().is_some_and(CallOutcome::is_failure));
            }
            inner.add_finished(watched.clone());
        }
        drop(inner);
        if let Some(archive) = self.0.archive.as_ref() {
            watched.entry().keep_in(archive);
        }
        self.notify();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add_finished(&mut self, watched: Arc<WatchedEntry>) {
        self.finished_bytes += watched.entry().bytes();
        self.finished.push_back(watched);
        while self.finished.len() > MAX_FINISHED || self.finished_bytes > MAX_FINISHED_BYTES {
            let Some(oldest) = self.finished.pop_front() else { break };
            self.finished_bytes -= oldest.entry().bytes();
        }
    }
}

/// Writes a live call's entry. Dropping it marks the call as over.
#[derive(Debug)]
pub(crate) struct HistoryWriter {
    history: History,
    id: u64,
    watched: Arc<WatchedEntry>,
}

impl HistoryWriter {
    /// Adds a report.
    pub(crate) fn report(&self, at: CallTime, report: &Report) {
        let at_ms = {
            let mut entry = self.watched.entry();
            entry.report(at, report);
            entry.last_at_ms()
        };
        if let Report::Stages(stages) = report
            && let Some(wait_ms) = latency_ms(stages).filter(|_| stages.is_spoken())
        {
            self.history.lock().last_hour.add_wait(at_ms, wait_ms);
        }
        self.notify();
    }

    /// Notes the language of the backup that the call goes on with.
    pub(crate) fn use_backup(&self, language: &str) {
        self.watched.entry().use_language(language);
        self.notify();
    }

    /// Notes the TwiML that the call gets at this point.
    pub(crate) fn twiml(&self, twiml: &str) {
        self.watched.entry().twiml(twiml);
        self.notify();
    }

    fn notify(&self) {
        self.watched.changed.send_replace(());
        self.history.notify();
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        self.watched.entry().close();
        self.watched.changed.send_replace(());
        self.history.finish(self.id);
    }
}

/// A viewer of one call.
#[derive(Debug)]
pub(crate) struct CallWatcher {
    watched: Arc<WatchedEntry>,
    changes: watch::Receiver<()>,
    seen: u64,
}

impl CallWatcher {
    fn at(watched: Arc<WatchedEntry>) -> Self {
        let mut changes = watched.changed.subscribe();
        changes.mark_changed();
        Self { watched, changes, seen: 0 }
    }

    /// The call as the list shows it, and all lines of its timeline that are kept.
    pub(crate) fn whole(&self) -> (Value, Vec<Arc<str>>) {
        let entry = self.watched.entry();
        (entry.summary(), entry.lines_after(0).into_iter().map(|(_, line)| line).collect())
    }

    /// The call time at that wall time, in milliseconds.
    pub(crate) fn ms_of_call(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.watched.entry().began_ms())
    }

    /// The call's tape.
    pub(crate) fn tape(&self) -> KeptTape {
        self.watched.entry().tape()
    }

    /// The lines since the last read, and whether the call is over.
    pub(crate) fn new_lines(&mut self) -> (Vec<Arc<str>>, bool) {
        self.changes.mark_unchanged();
        let entry = self.watched.entry();
        let lines = entry.lines_after(self.seen);
        let is_over = entry.is_over();
        drop(entry);
        if let Some((number, _)) = lines.last() {
            self.seen = *number;
        }
        (lines.into_iter().map(|(_, line)| line).collect(), is_over)
    }

    /// Returns when there may be new lines. Nothing is lost when the future is dropped.
    pub(crate) async fn wait(&mut self) {
        // This struct holds the entry, and the entry holds the sender.
        let _ = self.changes.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::TurnId;
    use dialbridge_core::report::{AudioAccount, CloseReason};
    use dialbridge_core::stages::StageLimits;

    fn start(call_sid: &str, words: bool) -> CallStart {
        CallStart {
            call_sid: CallSid::new(call_sid).unwrap(),
            agent: "default".to_owned(),
            backup_of: None,
            language: "en-US".to_owned(),
            kind: "browser",
            began_ms: 0,
            words,
            slow: StageLimits::NONE,
            tape: None,
        }
    }

    fn count(history: &History, list: &str) -> usize {
        history.summary(0)[list].as_array().unwrap().len()
    }

    #[test]
    fn a_call_is_live_until_its_record_goes_and_the_last_fifty_are_kept() {
        let history = History::default();
        for n in 0..60 {
            let record = history.begin(start(&format!("CA{n}"), false));
            assert_eq!(count(&history, "live"), 1);
            record.report(
                CallTime::from_ms(9),
                &Report::Ended { reason: CloseReason::Stop, audio: AudioAccount::default(), unheard_ms: 0 },
            );
        }
        assert_eq!((count(&history, "live"), count(&history, "finished")), (0, MAX_FINISHED));
        assert_eq!(history.summary(0)["finished"][0]["callSid"], "CA59", "the last one first");
        assert!(history.by_call_sid(&CallSid::new("CA59").unwrap()).is_some());
        assert!(history.by_call_sid(&CallSid::new("CA9").unwrap()).is_none());
    }

    #[test]
    fn long_timelines_take_fewer_calls_and_never_more_than_their_bytes() {
        let history = History::default();
        let report = Report::Transcript { turn: TurnId(1), text: "x".repeat(900), is_final: true };
        for n in 0..40 {
            let record = history.begin(start(&format!("CA{n}"), true));
            (0..200).for_each(|ms| record.report(CallTime::from_ms(ms), &report));
        }
        let bytes: usize = history.lock().finished.iter().map(|watched| watched.entry().bytes()).sum();
        assert_eq!(history.lock().finished_bytes, bytes);
        assert!(bytes <= MAX_FINISHED_BYTES && bytes > MAX_FINISHED_BYTES / 2, "{bytes}");
        assert!(count(&history, "finished") < 40);
    }

    #[test]
    fn many_live_calls_are_counted_and_a_hundred_listed() {
        let history = History::default();
        let _records: Vec<HistoryWriter> = (0..250).map(|n| history.begin(start(&format!("CA{n}"), false))).collect();
        assert_eq!((count(&history, "live"), &history.summary(0)["liveCount"]), (MAX_LISTED, &250.into()));
    }

    #[tokio::test]
    async fn a_watcher_gets_each_line_once_and_the_end() {
        let history = History::default();
        let record = history.begin(start("CA1", false));
        let mut watcher = history.by_call_sid(&CallSid::new("CA1").unwrap()).unwrap();
        record.report(CallTime::from_ms(1), &Report::Digit);
        watcher.wait().await;
        let (lines, is_over) = watcher.new_lines();
        assert_eq!((lines.len(), is_over), (1, false));
        assert!(lines[0].contains(r#""what":"digit""#) && lines[0].contains(r#""atMs":1"#), "{}", lines[0]);
        record.twiml("<Response/>");
        drop(record);
        watcher.wait().await;
        let (lines, is_over) = watcher.new_lines();
        assert_eq!((lines.len(), is_over), (1, true));
        assert_eq!(watcher.new_lines().0.len(), 0);
        assert_eq!(watcher.whole().1.len(), 2);
    }
}
