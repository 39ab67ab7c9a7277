//! gRPC's framing: one byte that says whether a message is compressed, four bytes of length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Bytes before a message.
const HEAD_BYTES: usize = 5;

/// Assembles messages from the chunks in which they come; a message in a single chunk is not copied.
#[derive(Debug, Default)]
pub(super) struct Messages {
    whole: Bytes,
    /// A message that is not complete yet.
    rest: BytesMut,
}

impl Messages {
    /// Takes a chunk. Take all messages out before the next one.
    pub(super) fn push(&mut self, piece: Bytes) {
        if self.rest.is_empty() {
            self.whole = piece;
        } else {
            self.rest.extend_from_slice(&piece);
            self.whole = self.rest.split().freeze();
        }
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let length = self.whole.get(1..HEAD_BYTES).map_or(usize::MAX, |mut length| length.get_u32() as usize);
        if self.whole.len().saturating_sub(HEAD_BYTES) < length {
            self.rest.extend_from_slice(&std::mem::take(&mut self.whole));
            return None;
        }
        self.whole.advance(HEAD_BYTES);
        Some(self.whole.split_to(length))
    }
}

/// A message with its header.
pub(super) fn framed(message: &impl Message) -> BytesMut {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // There is room.
    let _ = message.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_came_in() {
        let sent = ["", "a", "two of them", "and a longer one that is cut more often"];
        let bytes: Vec<u8> = sent.iter().flat_map(|text| framed(&(*text).to_owned())).collect();
        for size in [1, 3, 7, 20, 1_000] {
            let mut messages = Messages::default();
            let mut came = Vec::new();
            for piece in bytes.chunks(size) {
                messages.push(Bytes::copy_from_slice(piece));
                while let Some(message) = messages.next() {
                    came.push(String::decode(message).unwrap());
                }
            }
            assert_eq!(came, sent, "{size}");
        }
    }
}
