//! Resets a stream whose input is still open.
//!
//! Dropping the response of a gRPC stream does not end it: hyper's client still waits for the request's body, and the
//! server for audio. Ending the body would half-close the stream, and Dialogflow would take that as the end of an
//! utterance. So the body ends with an error. hyper then sends `RST_STREAM` with the reason in the error's source:
//! CANCEL.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_core::Stream;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body::Frame;
use prost::Message;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Error};
use tonic::{Status, Streaming};
use tower_service::Service;

use crate::codec::{HEAD_BYTES, LeanCodec, MAX_BYTES};
use crate::message_room::{MessageRoom, RoomyBody, Taken};
use crate::pipe::InputPipe;

/// Opens a stream that sends `messages` and is reset with `pipe`. Returns when the response's head is there: the
/// messages, and the room of the one that was read last.
///
/// # Errors
/// What the connection or the agent says.
pub(super) async fn open<M, R>(
    channel: Channel,
    method: &'static str,
    metadata: MetadataMap,
    messages: impl Stream<Item = M> + Send + Unpin + 'static,
    pipe: Arc<InputPipe>,
    room: MessageRoom,
) -> Result<(Streaming<R>, Taken), Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let taken = Taken::default();
    let body = Body::new(MessagesBody { messages, pipe, buffer: BytesMut::new() });
    let mut client = Grpc::new(Resettable { channel, body: Some(body), room, taken: taken.clone() })
        .max_decoding_message_size(MAX_BYTES);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let mut request = tonic::Request::new(tokio_stream::empty());
    *request.metadata_mut() = metadata;
    let path = PathAndQuery::from_static(method);
    let responses = client.streaming(request, path, LeanCodec::<M, R>::default()).await?;
    Ok((responses.into_inner(), taken))
}

/// A connection whose request and response get bodies of ours. tonic's body of a request cannot be reset, and it takes
/// 750 instructions more for a frame of audio.
#[derive(Debug)]
struct Resettable {
    channel: Channel,
    body: Option<Body>,
    room: MessageRoom,
    taken: Taken,
}

impl Service<Request<Body>> for Resettable {
    type Response = Response<RoomyBody<Body>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let body = self.body.take();
        let response = self.channel.call(request.map(|tonics| body.unwrap_or(tonics)));
        let (room, taken) = (self.room.clone(), self.taken.clone());
        Box::pin(async move { Ok(response.await?.map(|body| RoomyBody::new(body, room, taken))) })
    }
}

/// The messages of a stream, each in a frame of its own.
struct MessagesBody<S> {
    messages: S,
    pipe: Arc<InputPipe>,
    /// Keeps the memory of messages that are sent.
    buffer: BytesMut,
}

impl<M: Message, S: Stream<Item = M> + Unpin> http_body::Body for MessagesBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.pipe.is_reset() {
            let mut status = Status::cancelled("the turn is given up");
            status.set_source(Arc::new(h2::Error::from(h2::Reason::CANCEL)));
            return Poll::Ready(Some(Err(status)));
        }
        // Waiting for audio means waiting in the pipe, and a reset wakes the pipe too.
        let Some(message) = ready!(Pin::new(&mut self.messages).poll_next(cx)) else { return Poll::Ready(None) };
        let framed = frame_message(&message, &mut self.buffer);
        Poll::Ready(Some(framed.map(Frame::data)))
    }
}

/// Encodes a message as gRPC sends it: a flag, 0 without compression, then the length, then the message.
fn frame_message(message: &impl Message, buffer: &mut BytesMut) -> Result<Bytes, Status> {
    buffer.put_bytes(0, HEAD_BYTES);
    message.encode(buffer).map_err(|error| Status::internal(error.to_string()))?;
    let mut framed = buffer.split();
    let length = u32::try_from(framed.len() - HEAD_BYTES).map_err(|_| Status::out_of_range("a message of 4 GiB"))?;
    framed[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(framed.freeze())
}

/// Resets a stream when its task ends for any reason. After the half-close there is nothing to reset.
pub(super) struct ResetOnDrop(pub(super) Arc<InputPipe>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        self.0.reset();
    }
}
