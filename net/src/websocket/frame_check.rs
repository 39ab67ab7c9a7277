//! Checks incoming WebSocket frames for errors that fastwebsockets does not catch. RFC 6455 requires a server to fail
//! the connection for an unmasked frame and a client for a masked one (section 5.1), and both for a control frame of
//! more than 125 bytes (5.5).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fastwebsockets::Role;
use tokio::io::{AsyncRead, ReadBuf};

/// The longest payload of a control frame, in bytes.
const MAX_CONTROL_BYTES: u64 = 125;

/// The reading half of a connection. Bad frames end the reading with `InvalidData`.
#[derive(Debug)]
pub(super) struct FrameCheck<S> {
    inner: S,
    place: Place,
    /// Whether frames must be masked. If not, they must be unmasked.
    is_masked: bool,
}

/// The position of the next byte in a frame.
#[derive(Debug)]
enum Place {
    /// In the head. `gathered` bytes of it are there: two, plus up to eight for the length, without the mask.
    Head { bytes: [u8; 10], gathered: usize },
    /// In the mask and payload. That many bytes are left.
    Body(u64),
}

impl Place {
    const BEGIN: Self = Self::Head { bytes: [0; 10], gathered: 0 };

    /// Checks received bytes. Fails with the rule that they break.
    fn check(&mut self, mut bytes: &[u8], is_masked: bool) -> Result<(), &'static str> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self {
                Self::Body(left) => {
                    let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        *self = Self::BEGIN;
                    }
                }
                Self::Head { bytes: head, gathered } => {
                    head[*gathered] = byte;
                    *gathered += 1;
                    bytes = rest;
                    if let Some(left) = body_after(&head[..*gathered], is_masked)? {
                        *self = if left == 0 { Self::BEGIN } else { Self::Body(left) };
                    }
                }
            }
        }
        Ok(())
    }
}

/// The number of bytes after a head, including the mask; `None` if the head is not complete.
fn body_after(head: &[u8], is_masked: bool) -> Result<Option<u64>, &'static str> {
    let [first, second, length @ ..] = head else { return Ok(None) };
    if (second & 0x80 != 0) != is_masked {
        return Err(if is_masked { "a frame that is not masked" } else { "a frame that is masked" });
    }
    let length = match (second & 0x7F, length) {
        (126, [high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        (127, &[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        (126 | 127, _) => return Ok(None),
        (length, _) => u64::from(length),
    };
    let is_control = first & 0x08 != 0;
    if is_control && length > MAX_CONTROL_BYTES {
        return Err("a control frame of more than 125 bytes");
    }
    // The socket's own limit handles a length that is too large.
    Ok(Some(length.saturating_add(if is_masked { 4 } else { 0 })))
}

impl<S> FrameCheck<S> {
    /// Checks a connection after its handshake.
    pub(super) fn new(inner: S, role: Role) -> Self {
        Self { inner, place: Place::BEGIN, is_masked: role == Role::Server }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameCheck<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let passed = this.place.check(&buf.filled()[before..], this.is_masked);
                Poll::Ready(passed.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault)))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]]) -> Result<(), &'static str> {
        let mut frames = Place::BEGIN;
        chunks.iter().try_for_each(|chunk| frames.check(chunk, true))
    }

    fn masked(first: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match u16::try_from(payload) {
            Ok(short @ 0..126) => frame.push(0x80 | u8::try_from(short).unwrap()),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        // A payload that looks like the heads of unmasked frames.
        frame.extend([1, 2, 3, 4]);
        frame.resize(frame.len() + payload, 0x01);
        frame
    }

    #[test]
    fn masked_frames_of_any_length_pass_however_they_are_cut() {
        let frames: Vec<u8> = [0, 1, 125, 126, 300, 65_535, 65_536].into_iter().flat_map(|n| masked(0x81, n)).collect();
        assert_eq!(check(&[&frames]), Ok(()));
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(check(&frames.chunks(size).collect::<Vec<_>>()), Ok(()), "{size}");
        }
    }

    #[test]
    fn a_frame_without_a_mask_is_a_fault_wherever_it_stands() {
        assert!(check(&[&[0x81, 0x05]]).is_err());
        let good = masked(0x81, 300);
        assert!(check(&[&good, &[0x81], &[0x00]]).is_err());
    }

    #[test]
    fn a_server_may_not_mask() {
        let from_server = |chunk: &[u8]| {
            let mut place = Place::BEGIN;
            place.check(chunk, false)
        };
        assert_eq!(from_server(&[&[0x81, 3], &b"abc"[..], &[0x82, 0, 0x81, 1, b'x']].concat()), Ok(()));
        assert!(from_server(&masked(0x81, 3)).is_err());
        assert!(from_server(&[0x88, 126, 0, 126]).is_err(), "a long control frame");
    }

    #[test]
    fn a_long_control_frame_is_a_fault() {
        assert_eq!(check(&[&masked(0x8A, 125)]), Ok(()));
        assert!(check(&[&masked(0x8A, 126)]).is_err());
        assert!(check(&[&masked(0x88, 70_000)]).is_err());
    }

    #[test]
    fn a_length_beyond_all_limits_does_not_overflow() {
        assert_eq!(check(&[&[0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &[0; 100]]), Ok(()));
    }
}
