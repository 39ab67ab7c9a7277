//! Room for large messages of agents over gRPC: a long answer in one message takes several MiB until it is mu-law. Over a
//! WebSocket (CES) the audio comes in pieces.
//!
//! gRPC gives us a message only when all of it has come. Without a bound, fifty answers of two minutes take 300 MiB at
//! once. So a large message takes room before we read it, and gives it back when its audio is converted. What finds no
//! room stays at the sender by HTTP/2's flow control.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::codec::{HEAD_BYTES, MAX_BYTES};

/// The longest message that takes no room, in bytes: 5 s of LINEAR16 at 24,000 Hz.
const MAX_SMALL_BYTES: usize = 240_000;

const MIB: usize = 1 << 20;

/// How long a message waits for room. A message that stops half-way must not hold up other calls' answers, so after this
/// the next one comes without room.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// How much of large messages may be in memory, in MiB. Clones share it.
#[derive(Debug, Clone)]
pub struct MessageRoom(Arc<Semaphore>);

impl Default for MessageRoom {
    /// Room for the largest message.
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BYTES / MIB)))
    }
}

impl MessageRoom {
    /// How much room is free, in MiB.
    #[must_use]
    pub fn free_mib(&self) -> usize {
        self.0.available_permits()
    }

    /// Waits for room for a message. `None` if none became free in time.
    async fn take(self, bytes: usize) -> Option<Room> {
        let mib = u32::try_from(bytes.min(MAX_BYTES).div_ceil(MIB)).unwrap_or(u32::MAX);
        timeout(MAX_WAIT, self.0.acquire_many_owned(mib)).await.ok()?.ok()
    }
}

/// The room of one message. Dropping it frees the room.
pub(super) type Room = OwnedSemaphorePermit;

/// The room of the message that a stream reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Option<Room>>>);

impl Taken {
    fn set(&self, room: Option<Room>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }

    /// Hands the room of the message that has just come to its audio, which frees it when it is dropped.
    pub(super) fn give_to(&self, events: &mut [AgentEvent]) {
        let Some(room) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let room = Arc::new(room);
        for event in events {
            let AgentEvent::Answer(answer) = event else { continue };
            for prompt in &mut answer.prompts {
                let audio = std::mem::take(&mut prompt.audio);
                prompt.audio = Bytes::from_owner(AudioWithRoom { audio, _room: room.clone() });
            }
        }
    }
}

struct AudioWithRoom {
    audio: Bytes,
    _room: Arc<Room>,
}

impl AsRef<[u8]> for AudioWithRoom {
    fn as_ref(&self) -> &[u8] {
        &self.audio
    }
}

/// The body of a response, whose large messages wait for room.
pub(super) struct RoomyBody<B> {
    body: B,
    room: MessageRoom,
    taken: Taken,
    at: At,
    /// What came behind the head of a message that waits, or before the next large message.
    rest: Bytes,
}

/// Where in the messages of the body we are.
enum At {
    /// So many bytes of a message's head have come.
    Head([u8; HEAD_BYTES], usize),
    /// The message waits for room. So many bytes of it follow.
    Waiting(Pin<Box<dyn Future<Output = Option<Room>> + Send>>, usize),
    /// So many bytes of the message follow.
    Message(usize),
}

impl<B> RoomyBody<B> {
    pub(super) fn new(body: B, room: MessageRoom, taken: Taken) -> Self {
        Self { body, room, taken, at: At::Head([0; HEAD_BYTES], 0), rest: Bytes::new() }
    }

    /// Follows the messages in `data`. Returns how many of its bytes may be passed on now.
    fn follow(&mut self, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let left = &data[done..];
            match &mut self.at {
                At::Head(head, have) => {
                    let new = left.len().min(HEAD_BYTES - *have);
                    head[*have..*have + new].copy_from_slice(&left[..new]);
                    *have += new;
                    if *have < HEAD_BYTES {
                        return data.len();
                    }
                    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                    if length > MAX_SMALL_BYTES {
                        self.at = At::Waiting(Box::pin(self.room.clone().take(length)), length + new);
                        return done;
                    }
                    self.at = At::Message(length);
                    done += new;
                }
                At::Message(length) => {
                    let new = left.len().min(*length);
                    *length -= new;
                    if *length == 0 {
                        self.at = At::Head([0; HEAD_BYTES], 0);
                    }
                    done += new;
                }
                At::Waiting(..) => return done,
            }
        }
        done
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RoomyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            if let At::Waiting(room, length) = &mut self.at {
                let (room, length) = (ready!(room.as_mut().poll(cx)), *length);
                self.taken.set(room);
                self.at = At::Message(length);
            }
            let mut data = if self.rest.is_empty() {
                match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                    Some(Ok(data)) => data,
                    Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                    None => return Poll::Ready(None),
                }
            } else {
                std::mem::take(&mut self.rest)
            };
            let passed = self.follow(&data);
            self.rest = data.split_off(passed);
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !matches!(self.at, At::Waiting(..)) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;

    use dialbridge_core::agent::{Answer, Prompt};
    use dialbridge_core::audio::AudioFormat;

    use super::*;

    /// A body that gets its data from a queue.
    struct Queued(VecDeque<Bytes>);

    impl Body for Queued {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    fn message(bytes: usize, fill: u8) -> Vec<u8> {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&[0], &length[..], &vec![fill; bytes]].concat()
    }

    fn body(room: &MessageRoom, data: &[u8], chunk: usize) -> (RoomyBody<Queued>, Taken) {
        let queued = Queued(data.chunks(chunk).map(Bytes::copy_from_slice).collect());
        let taken = Taken::default();
        (RoomyBody::new(queued, room.clone(), taken.clone()), taken)
    }

    async fn next(body: &mut RoomyBody<Queued>) -> Option<Bytes> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.unwrap().into_data().unwrap())
    }

    fn answer(audio: Vec<u8>) -> AgentEvent {
        let prompts = vec![Prompt::new(AudioFormat::TELEPHONE, audio)];
        AgentEvent::Answer(Box::new(Answer { prompts, ..Answer::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn messages_pass_whole_and_in_order_however_they_are_cut() {
        let sizes = [3, MAX_SMALL_BYTES, 0, 3 * MIB, 1, 2 * MIB, MAX_SMALL_BYTES + 1];
        let data: Vec<u8> = sizes.iter().zip(1..).flat_map(|(bytes, fill)| message(*bytes, fill)).collect();
        for chunk in [1_000, 16_384, 5 * MIB, data.len()] {
            let (mut body, taken) = body(&MessageRoom::default(), &data, chunk);
            let mut passed = Vec::new();
            while let Some(data) = next(&mut body).await {
                passed.extend_from_slice(&data);
                taken.give_to(&mut []);
            }
            assert!(passed == data, "in chunks of {chunk}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_cut_anywhere_is_read() {
        let data = [message(7, 1), message(MAX_SMALL_BYTES + 1, 2)].concat();
        for cut in 1..20 {
            let room = MessageRoom::default();
            let (mut body, _taken) = body(&room, &data[..cut], cut);
            let (_, rest) = data.split_at(cut);
            let mut passed = next(&mut body).await.unwrap_or_default().to_vec();
            body.body = Queued([Bytes::copy_from_slice(rest)].into());
            while let Some(data) = next(&mut body).await {
                passed.extend_from_slice(&data);
            }
            assert!(passed == data, "cut at {cut}");
            assert_eq!(room.free_mib(), MAX_BYTES / MIB - 1, "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_message_takes_room_until_its_audio_is_dropped_and_small_ones_before_it_do_not_wait() {
        let room = MessageRoom::default();
        let free = || room.free_mib();
        let data = [message(9, 1), message(20 * MIB, 2)].concat();
        let (mut first, taken) = body(&room, &data, data.len());
        assert_eq!(next(&mut first).await.unwrap().len(), HEAD_BYTES + 9);
        assert_eq!(free(), 32, "it is not read yet");
        assert_eq!(next(&mut first).await.unwrap().len(), HEAD_BYTES + 20 * MIB);
        let mut events = [answer(vec![2; 8])];
        taken.give_to(&mut events);
        assert_eq!((free(), &events[0]), (12, &answer(vec![2; 8])), "the audio is the same");

        let (mut second, _taken) = body(&room, &data, data.len());
        assert!(next(&mut second).await.is_some(), "a small message does not wait");
        tokio::select! {
            biased;
            _ = next(&mut second) => panic!("there is no room"),
            () = tokio::task::yield_now() => {}
        }
        drop(events);
        assert_eq!(next(&mut second).await.unwrap().len(), HEAD_BYTES + 20 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stops_half_way_holds_up_another_calls_answer_for_two_seconds() {
        let room = MessageRoom::default();
        let data = message(20 * MIB, 1);
        let (mut stops, _taken) = body(&room, &data[..MIB], MIB);
        next(&mut stops).await.unwrap();
        let (mut other, _taken) = body(&room, &data, data.len());
        let began = tokio::time::Instant::now();
        assert_eq!(next(&mut other).await.unwrap().len(), data.len());
        assert_eq!(began.elapsed().as_millis(), MAX_WAIT.as_millis());
    }
}
