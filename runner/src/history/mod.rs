//! The calls of this instance as the page shows them: the live ones, and the last ones that are over. All of it is in
//! memory and bounded, by count and by bytes; nothing is kept where the page is closed.

mod entry;
mod line;
mod lines;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dialbridge_core::{CallSid, CallTime, Report};
use serde_json::{Value, json};
use tokio::sync::watch;

use entry::Entry;

pub(crate) use entry::Beginning;

/// How many calls that are over are kept.
pub const MOST_FINISHED: usize = 50;

/// How many bytes of their timelines.
pub const MOST_FINISHED_BYTES: usize = 1 << 20;

/// How many live calls are listed; of further ones only the number is told.
const MOST_LISTED: usize = 100;

/// The calls. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct CallBook(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    live: BTreeMap<u64, Arc<Page>>,
    finished: VecDeque<Arc<Page>>,
    finished_bytes: usize,
}

/// A call's page of the book.
#[derive(Debug)]
struct Page {
    entry: Mutex<Entry>,
    changed: watch::Sender<()>,
}

impl Page {
    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallBook {
    /// A call begins.
    pub(crate) fn begin(&self, beginning: Beginning) -> Record {
        let mut inner = self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        let page = Arc::new(Page { entry: Mutex::new(Entry::new(id, beginning)), changed: watch::Sender::default() });
        inner.live.insert(id, page.clone());
        drop(inner);
        self.touch();
        Record { book: self.clone(), id, page }
    }

    /// Has all who look on look again.
    pub(crate) fn touch(&self) {
        self.0.changed.send_replace(());
    }

    /// Tells whoever waits for it that something has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// The live calls, the oldest first, with their number; and those that are over, the last one first.
    #[must_use]
    pub fn summary(&self) -> Value {
        let (live, finished, count) = {
            let inner = self.lock();
            let live: Vec<Arc<Page>> = inner.live.values().take(MOST_LISTED).cloned().collect();
            (live, inner.finished.clone(), inner.live.len())
        };
        let live: Vec<Value> = live.iter().map(|page| page.entry().summary()).collect();
        let finished: Vec<Value> = finished.iter().rev().map(|page| page.entry().summary()).collect();
        json!({ "liveCount": count, "live": live, "finished": finished })
    }

    /// Looks on at the call of that id.
    pub(crate) fn by_id(&self, id: u64) -> Option<Onlooker> {
        let inner = self.lock();
        let page = inner.live.get(&id).or_else(|| inner.finished.iter().find(|page| page.entry().id == id))?;
        Some(Onlooker::at(page.clone()))
    }

    /// Looks on at the newest call of that CallSid.
    pub(crate) fn by_call_sid(&self, call_sid: &CallSid) -> Option<Onlooker> {
        let inner = self.lock();
        let mut newest_first = inner.live.values().rev().chain(inner.finished.iter().rev());
        let page = newest_first.find(|page| page.entry().call_sid() == call_sid)?;
        Some(Onlooker::at(page.clone()))
    }

    fn finish(&self, id: u64) {
        let mut inner = self.lock();
        let Some(page) = inner.live.remove(&id) else { return };
        inner.finished_bytes += page.entry().bytes();
        inner.finished.push_back(page);
        while inner.finished.len() > MOST_FINISHED || inner.finished_bytes > MOST_FINISHED_BYTES {
            let Some(oldest) = inner.finished.pop_front() else { break };
            inner.finished_bytes -= oldest.entry().bytes();
        }
        drop(inner);
        self.touch();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live call's hand in the book; dropping it says that the call is over.
#[derive(Debug)]
pub(crate) struct Record {
    book: CallBook,
    id: u64,
    page: Arc<Page>,
}

impl Record {
    /// Writes a report down.
    pub(crate) fn report(&self, at: CallTime, report: &Report) {
        self.page.entry().report(at, report);
        self.tell();
    }

    /// Writes down what a phone call would be given now.
    pub(crate) fn twiml(&self, twiml: &str) {
        self.page.entry().twiml(twiml);
        self.tell();
    }

    fn tell(&self) {
        self.page.changed.send_replace(());
        self.book.touch();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.page.entry().over();
        self.page.changed.send_replace(());
        self.book.finish(self.id);
    }
}

/// Somebody who looks on at one call.
#[derive(Debug)]
pub(crate) struct Onlooker {
    page: Arc<Page>,
    changes: watch::Receiver<()>,
    seen: u64,
}

impl Onlooker {
    fn at(page: Arc<Page>) -> Self {
        let mut changes = page.changed.subscribe();
        changes.mark_changed();
        Self { page, changes, seen: 0 }
    }

    /// The call as a list has it, and all of its timeline that is kept.
    pub(crate) fn whole(&self) -> (Value, Vec<Arc<str>>) {
        let entry = self.page.entry();
        (entry.summary(), entry.lines_after(0).into_iter().map(|(_, line)| line).collect())
    }

    /// The lines that were not seen yet, and whether the call is over.
    pub(crate) fn news(&mut self) -> (Vec<Arc<str>>, bool) {
        self.changes.mark_unchanged();
        let entry = self.page.entry();
        let lines = entry.lines_after(self.seen);
        let is_over = entry.is_over();
        drop(entry);
        if let Some((number, _)) = lines.last() {
            self.seen = *number;
        }
        (lines.into_iter().map(|(_, line)| line).collect(), is_over)
    }

    /// Returns when there may be news. Nothing is lost when this is dropped.
    pub(crate) async fn wait(&mut self) {
        // The sender lives in the page that this holds.
        let _ = self.changes.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::TurnId;
    use dialbridge_core::report::{AudioAccount, CloseReason};
    use dialbridge_core::stages::StageBounds;

    fn beginning(call_sid: &str, words: bool) -> Beginning {
        Beginning {
            call_sid: CallSid::new(call_sid).unwrap(),
            agent: "default".to_owned(),
            language: "en-US".to_owned(),
            kind: "phone",
            began_ms: 0,
            words,
            slow: StageBounds::NONE,
        }
    }

    fn count(book: &CallBook, list: &str) -> usize {
        book.summary()[list].as_array().unwrap().len()
    }

    #[test]
    fn a_call_is_live_until_its_record_goes_and_the_last_fifty_are_kept() {
        let book = CallBook::default();
        for n in 0..60 {
            let record = book.begin(beginning(&format!("CA{n}"), false));
            assert_eq!(count(&book, "live"), 1);
            record.report(
                CallTime::from_ms(9),
                &Report::Ended { reason: CloseReason::Stop, audio: AudioAccount::default() },
            );
        }
        assert_eq!((count(&book, "live"), count(&book, "finished")), (0, MOST_FINISHED));
        assert_eq!(book.summary()["finished"][0]["callSid"], "CA59", "the last one first");
        assert!(book.by_call_sid(&CallSid::new("CA59").unwrap()).is_some());
        assert!(book.by_call_sid(&CallSid::new("CA9").unwrap()).is_none());
    }

    #[test]
    fn long_timelines_take_fewer_calls_and_never_more_than_their_bytes() {
        let book = CallBook::default();
        let report = Report::Transcript { turn: TurnId(1), text: "x".repeat(900), is_final: true };
        for n in 0..40 {
            let record = book.begin(beginning(&format!("CA{n}"), true));
            (0..200).for_each(|ms| record.report(CallTime::from_ms(ms), &report));
        }
        let bytes: usize = book.lock().finished.iter().map(|page| page.entry().bytes()).sum();
        assert_eq!(book.lock().finished_bytes, bytes);
        assert!(bytes <= MOST_FINISHED_BYTES && bytes > MOST_FINISHED_BYTES / 2, "{bytes}");
        assert!(count(&book, "finished") < 40);
    }

    #[test]
    fn many_live_calls_are_counted_and_a_hundred_listed() {
        let book = CallBook::default();
        let _records: Vec<Record> = (0..250).map(|n| book.begin(beginning(&format!("CA{n}"), false))).collect();
        assert_eq!((count(&book, "live"), &book.summary()["liveCount"]), (MOST_LISTED, &250.into()));
    }

    #[tokio::test]
    async fn an_onlooker_gets_each_line_once_and_is_told_of_the_end() {
        let book = CallBook::default();
        let record = book.begin(beginning("CA1", false));
        let mut onlooker = book.by_call_sid(&CallSid::new("CA1").unwrap()).unwrap();
        record.report(CallTime::from_ms(1), &Report::Digit);
        onlooker.wait().await;
        let (lines, is_over) = onlooker.news();
        assert_eq!((lines.len(), is_over), (1, false));
        assert!(lines[0].contains(r#""what":"key""#) && lines[0].contains(r#""atMs":1"#), "{}", lines[0]);
        record.twiml("<Response/>");
        drop(record);
        onlooker.wait().await;
        let (lines, is_over) = onlooker.news();
        assert_eq!((lines.len(), is_over), (1, true));
        assert_eq!(onlooker.news().0.len(), 0);
        assert_eq!(onlooker.whole().1.len(), 2);
    }
}
