//! How much of the agents' audio waits in all calls together. The memory of the process has a bound, whatever a thousand
//! agents say at once: beyond it each call keeps what it has and takes little more.

use std::cmp;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much audio may wait in all calls together before each one gets little room, in bytes: nine hours of mu-law.
const MAX_BYTES: usize = 256 << 20;

/// How much more of an answer a call takes then, in milliseconds.
const LITTLE_ROOM_MS: u64 = 30_000;

/// The waiting audio of all calls, in bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingAudio(Arc<AtomicUsize>);

/// The part of one call. Dropping it takes it out.
#[derive(Debug)]
pub(super) struct AudioShare {
    all: WaitingAudio,
    bytes: usize,
    /// What core was told last.
    told: Room,
}

/// How much audio may wait in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// As much as its settings say.
    Ample,
    Little,
}

impl AudioShare {
    pub(super) fn of(all: &WaitingAudio) -> Self {
        Self { all: all.clone(), bytes: 0, told: Room::Ample }
    }

    /// Notes how much waits in the call.
    pub(super) fn note(&mut self, bytes: usize) {
        match bytes.cmp(&self.bytes) {
            cmp::Ordering::Equal => return,
            cmp::Ordering::Greater => self.all.0.fetch_add(bytes - self.bytes, Ordering::Relaxed),
            cmp::Ordering::Less => self.all.0.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }

    /// How much audio core may take from now on, in milliseconds. `None` if that has not changed.
    pub(super) fn take_news(&mut self) -> Option<u64> {
        let is_full = self.all.0.load(Ordering::Relaxed) >= MAX_BYTES;
        let room = if is_full { Room::Little } else { Room::Ample };
        let is_news = std::mem::replace(&mut self.told, room) != room;
        is_news.then_some(if is_full { LITTLE_ROOM_MS } else { u64::MAX })
    }
}

impl Drop for AudioShare {
    fn drop(&mut self) {
        self.note(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_little_room_while_all_together_keep_too_much() {
        let all = WaitingAudio::default();
        let (mut long, mut other) = (AudioShare::of(&all), AudioShare::of(&all));
        assert_eq!(other.take_news(), None);
        long.note(MAX_BYTES);
        assert_eq!((other.take_news(), other.take_news()), (Some(LITTLE_ROOM_MS), None));
        long.note(MAX_BYTES - 1);
        assert_eq!(other.take_news(), Some(u64::MAX));
        other.note(1);
        assert_eq!(long.take_news(), Some(LITTLE_ROOM_MS));
        drop(other);
        assert_eq!(long.take_news(), Some(u64::MAX));
    }
}
