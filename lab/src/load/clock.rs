//! The clock of a load: the system's monotonic clock, which all processes of the machine share; and a ticker on it.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

/// Microseconds of `CLOCK_MONOTONIC`: the same for all processes of a machine.
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000 + nanos / 1_000
}

/// Microseconds between two ticks: eighty in a frame's time. With fewer, frames would come in bursts, which a network
/// does not do and which cost a service less; with more, the tool itself would use too much CPU.
pub(super) const TICK_US: u64 = 250;

/// Ticks. tokio's timers have a resolution of a millisecond, so a thread sleeps instead, which is exact to some fifty
/// microseconds. The thread ends with the ticker.
#[derive(Debug)]
pub(super) struct Ticker {
    woken: mpsc::Receiver<()>,
    next_us: u64,
}

impl Ticker {
    /// A ticker whose first tick is one of the next.
    pub(super) fn new() -> io::Result<Self> {
        let next_us = now_us() + 2 * TICK_US;
        let (wake, woken) = mpsc::channel(1);
        thread::Builder::new().name("ticker".to_owned()).spawn(move || keep_waking(&wake, next_us))?;
        Ok(Self { woken, next_us })
    }

    /// Waits for the next tick and returns when it was due. A late tick does not move later ones.
    pub(super) async fn tick(&mut self) -> u64 {
        if now_us() >= self.next_us + TICK_US {
            // Behind schedule: yields, so that the other tasks of this thread run all the same.
            tokio::task::yield_now().await;
        }
        while now_us() < self.next_us && self.woken.recv().await.is_some() {}
        let due_us = self.next_us;
        self.next_us += TICK_US;
        due_us
    }
}

fn keep_waking(wake: &mpsc::Sender<()>, mut next_us: u64) {
    loop {
        thread::sleep(Duration::from_micros(next_us.saturating_sub(now_us())));
        // The channel is full: the ticker is behind and need not be woken.
        if let Err(mpsc::error::TrySendError::Closed(())) = wake.try_send(()) {
            return;
        }
        next_us = (next_us + TICK_US).max(now_us());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ticks_are_evenly_apart_and_never_early() {
        let mut ticker = Ticker::new().unwrap();
        let first = ticker.tick().await;
        for number in 1..20 {
            let due = ticker.tick().await;
            assert_eq!(due, first + number * TICK_US);
            assert!(now_us() >= due);
        }
    }
}
