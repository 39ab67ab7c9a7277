//! A bounded queue for a receiver that may be slow or gone. A sender never waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// Limits of a queue or a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutboxLimits {
    /// How many items.
    pub(super) items: usize,
    /// How many bytes. The sender states the size of each item.
    pub(super) bytes: usize,
}

/// A queue that keeps the order of its items, and refuses what does not fit.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    limits: OutboxLimits,
    inner: Mutex<Inner<T>>,
    came: Notify,
    /// How many items are settled: sent or given up.
    settled: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    /// How many items were ever queued.
    taken: u64,
}

impl<T> Outbox<T> {
    pub(super) fn new(limits: OutboxLimits) -> Self {
        let inner = Inner { waiting: VecDeque::new(), bytes: 0, taken: 0 };
        Self { limits, inner: Mutex::new(inner), came: Notify::new(), settled: watch::Sender::new(0) }
    }

    /// Queues an item of this size. Returns its number, counted from 1, or `None` if there is no room.
    pub(super) fn put(&self, item: T, bytes: usize) -> Option<u64> {
        let mut inner = self.lock();
        if inner.waiting.len() >= self.limits.items || inner.bytes + bytes > self.limits.bytes {
            return None;
        }
        inner.bytes += bytes;
        inner.taken += 1;
        inner.waiting.push_back((item, bytes));
        let number = inner.taken;
        drop(inner);
        self.came.notify_one();
        Some(number)
    }

    /// Waits until there is an item. Takes out as many items as `max` allows, but at least one.
    pub(super) async fn batch(&self, max: OutboxLimits) -> Vec<T> {
        loop {
            let batch = self.take(max);
            if !batch.is_empty() {
                return batch;
            }
            self.came.notified().await;
        }
    }

    fn take(&self, max: OutboxLimits) -> Vec<T> {
        let mut inner = self.lock();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((_, next)) = inner.waiting.front()
            && batch.len() < max.items
            && (batch.is_empty() || bytes + next <= max.bytes)
        {
            bytes += next;
            batch.extend(inner.waiting.pop_front().map(|(item, _)| item));
        }
        inner.bytes -= bytes;
        batch
    }

    /// Settles this many of the items that were taken out.
    pub(super) fn settle(&self, count: usize) {
        self.settled.send_modify(|settled| *settled += count as u64);
    }

    /// Returns when the item with this number and all before it are settled.
    pub(super) async fn settled(&self, number: u64) {
        // This cannot fail: `self` owns the sender.
        let _ = self.settled.subscribe().wait_for(|settled| *settled >= number).await;
    }

    /// The number of the last queued item.
    pub(super) fn last(&self) -> u64 {
        self.lock().taken
    }

    /// How many items are not settled.
    pub(super) fn waiting(&self) -> u64 {
        self.last() - *self.settled.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const ALL: OutboxLimits = OutboxLimits { items: 100, bytes: 100 };

    #[tokio::test]
    async fn items_leave_in_their_order_and_no_more_of_them_than_may() {
        let outbox = Outbox::new(ALL);
        for n in 0..5 {
            assert_eq!(outbox.put(n, 10), Some(n + 1));
        }
        assert_eq!(outbox.batch(OutboxLimits { items: 2, bytes: 100 }).await, [0, 1]);
        assert_eq!(outbox.batch(OutboxLimits { items: 9, bytes: 25 }).await, [2, 3]);
        assert_eq!(outbox.batch(OutboxLimits { items: 9, bytes: 5 }).await, [4], "one at least");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_not_taken_and_room_comes_back() {
        let outbox = Outbox::new(OutboxLimits { items: 3, bytes: 100 });
        assert_eq!(outbox.put("a", 90), Some(1));
        assert_eq!(outbox.put("b", 11), None, "too many bytes");
        assert_eq!((outbox.put("c", 5), outbox.put("d", 5), outbox.put("e", 0)), (Some(2), Some(3), None));
        assert_eq!(outbox.batch(ALL).await, ["a", "c", "d"]);
        assert_eq!(outbox.put("f", 100), Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_when_his_item_has_left() {
        let outbox = Arc::new(Outbox::new(ALL));
        outbox.put("a", 1);
        let number = outbox.put("b", 1).unwrap();
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.settled(number).await }
        });
        outbox.batch(ALL).await;
        outbox.settle(1);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(outbox.waiting(), 1);
        outbox.settle(1);
        waiting.await.unwrap();
        assert_eq!(outbox.waiting(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_something_gets_it_when_it_comes() {
        let outbox = Arc::new(Outbox::new(ALL));
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.batch(ALL).await }
        });
        tokio::task::yield_now().await;
        outbox.put(7, 1);
        assert_eq!(waiting.await.unwrap(), [7]);
    }
}
