//! A queue of bytes in blocks of one size. A ring buffer that doubles would hold up to twice its content, and with a
//! thousand calls it would leave gaps of all sizes in memory. A block that one call frees fits the next call.

use std::collections::VecDeque;

/// Bytes in a block: half a second of mu-law.
const BLOCK_BYTES: usize = 4_000;

/// A queue of bytes: added at the end, dropped at the beginning.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    /// All but the last are full.
    blocks: VecDeque<Vec<u8>>,
    /// How many bytes at the beginning of the first block are already dropped. Fewer than a block.
    dropped: usize,
}

impl ByteQueue {
    pub(super) fn len(&self) -> usize {
        let last = self.blocks.back().map_or(0, Vec::len);
        self.blocks.len().saturating_sub(1) * BLOCK_BYTES + last - self.dropped
    }

    /// Adds bytes at the end.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|last| last.len() == BLOCK_BYTES) {
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
            }
            let Some(last) = self.blocks.back_mut() else { return };
            let (fits, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - last.len()));
            last.extend_from_slice(fits);
            bytes = rest;
        }
    }

    /// The bytes from `from` to `to`, both counted from the beginning and at most the length.
    pub(super) fn copy(&self, from: usize, to: usize) -> Vec<u8> {
        let (from, to) = (self.dropped + from, self.dropped + to);
        let mut bytes = Vec::with_capacity(to - from);
        let begins = (0..).step_by(BLOCK_BYTES).skip(from / BLOCK_BYTES);
        for (begin, block) in begins.zip(self.blocks.iter().skip(from / BLOCK_BYTES)) {
            if begin >= to {
                break;
            }
            bytes.extend_from_slice(&block[from.saturating_sub(begin)..block.len().min(to - begin)]);
        }
        bytes
    }

    /// Drops up to `bytes` bytes at the beginning. Returns how many it dropped.
    pub(super) fn drop_first(&mut self, bytes: usize) -> usize {
        let bytes = bytes.min(self.len());
        self.dropped += bytes;
        while self.dropped >= BLOCK_BYTES {
            self.blocks.pop_front();
            self.dropped -= BLOCK_BYTES;
        }
        if self.len() == 0 {
            // The remaining block can be filled again from its beginning.
            self.blocks.truncate(1);
            self.blocks.iter_mut().for_each(Vec::clear);
            self.dropped = 0;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same bytes in a plain vector.
    fn bytes(from: usize, len: usize) -> Vec<u8> {
        (from..from + len).map(|number| u8::try_from(number % 251).unwrap()).collect()
    }

    #[test]
    fn bytes_come_out_as_they_went_in_wherever_the_blocks_end() {
        let mut queue = ByteQueue::default();
        let (mut first, mut end) = (0, 0);
        for (push, drop) in
            [(3_999, 0), (1, 3_999), (1, 1), (9_000, 4_000), (160, 5_161), (4_000, 4_000), (7_999, 7_998)]
        {
            queue.push(&bytes(end, push));
            end += push;
            assert_eq!(queue.drop_first(drop), drop);
            first += drop;
            assert_eq!(queue.len(), end - first);
            assert_eq!(queue.copy(0, queue.len()), bytes(first, end - first));
            let middle = queue.len() / 2;
            assert_eq!(queue.copy(middle / 2, middle), bytes(first + middle / 2, middle - middle / 2));
        }
        assert_eq!(queue.drop_first(100_000), end - first);
        assert_eq!(queue.copy(0, 0), Vec::<u8>::new());
    }

    #[test]
    fn no_more_is_held_than_what_is_in_it_and_two_blocks() {
        let mut queue = ByteQueue::default();
        let held = |queue: &ByteQueue| queue.blocks.iter().map(Vec::capacity).sum::<usize>();
        for _ in 0..3_000 {
            queue.push(&[1; 160]);
            let over = queue.len().saturating_sub(40_000);
            queue.drop_first(over);
            assert!(held(&queue) <= queue.len() + 2 * BLOCK_BYTES);
        }
        queue.drop_first(40_000);
        assert!(held(&queue) <= BLOCK_BYTES, "{}", held(&queue));
    }
}
