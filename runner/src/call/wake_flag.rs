//! What seldom happens in a call costs nothing while it does not happen.
//!
//! A call waits for its media stream, and for things that seldom come: orders, results, events of the agent, deadlines.
//! Polling all of them for each frame takes more than a thousand instructions. So they have a waker of their own, and the
//! call polls them only after it was woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Says whether something rare may have happened.
#[derive(Debug)]
pub(super) struct WakeFlag {
    flag: Arc<Flag>,
    /// Sets the flag and wakes the task.
    waker: Waker,
    /// The task's waker, as the flag knows it.
    task: Waker,
}

#[derive(Debug)]
struct Flag {
    is_set: AtomicBool,
    task: Mutex<Waker>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}

impl WakeFlag {
    pub(super) fn new() -> Self {
        let task = Waker::noop().clone();
        let flag = Arc::new(Flag { is_set: AtomicBool::new(true), task: Mutex::new(task.clone()) });
        Self { waker: flag.clone().into(), flag, task }
    }

    /// Something rare may be ready without a wake-up: it was begun or changed just now.
    pub(super) fn set(&self) {
        self.flag.is_set.store(true, Ordering::Relaxed);
    }

    /// Polls what is rare, if it may be ready.
    pub(super) fn poll<T>(&mut self, cx: &mut Context<'_>, rare: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
            self.flag.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cx.waker());
        }
        if !self.flag.is_set.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        // Cleared before the polling, so that a wake-up during it counts.
        self.flag.is_set.swap(false, Ordering::AcqRel);
        let polled = rare(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            // Others may be ready too. They were not polled.
            self.set();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_polled_at_first_and_then_only_after_a_wake_up() {
        let mut flag = WakeFlag::new();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut polls, mut woken) = (0, None);
        for _ in 0..3 {
            let pending: Poll<()> = flag.poll(&mut cx, |cx| {
                (polls, woken) = (polls + 1, Some(cx.waker().clone()));
                Poll::Pending
            });
            assert!(pending.is_pending());
        }
        assert_eq!(polls, 1);
        woken.unwrap().wake();
        assert!(flag.poll(&mut cx, |_| Poll::Ready(())).is_ready());
        assert!(flag.poll(&mut cx, |_| Poll::Ready(())).is_ready(), "what is ready may have more");
        let pending: Poll<()> = flag.poll(&mut cx, |_| Poll::Pending);
        assert!(pending.is_pending());
        assert!(flag.poll(&mut cx, |_| Poll::Ready(())).is_pending(), "nobody has woken it");
        flag.set();
        assert!(flag.poll(&mut cx, |_| Poll::Ready(())).is_ready());
    }
}
