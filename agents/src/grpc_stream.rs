//! A gRPC stream over HTTP/2: messages go out as soon as they are there, and come in one by one.
//!
//! A stream that is dropped before its half-close is reset with CANCEL. Ending it instead would half-close it, and
//! Dialogflow would take that as the end of an utterance.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use dialbridge_core::agent::AgentFault;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::{Body, Frame};
use prost::Message;
use tonic::codec::Codec as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status, Streaming};

use crate::codec::{BASE64, HEAD_BYTES, LeanCodec, MAX_BYTES};
use crate::fault::fault;
use crate::message_room::{MessageRoom, RoomyBody, Taken};

/// What a message of a turn has around its audio at most, in bytes.
const ENVELOPE_BYTES: usize = 32;

/// The header that says how messages are compressed.
const ENCODING: &str = "grpc-encoding";

/// The header with the details of a status.
const DETAILS: &str = "grpc-status-details-bin";

/// The half that sends.
#[derive(Debug)]
pub(super) struct Sender {
    stream: SendStream<Bytes>,
    /// Keeps the memory of messages that are sent.
    buffer: BytesMut,
    is_ended: bool,
}

/// The response, before its head is there.
pub(super) struct PendingResponse {
    response: ResponseFuture,
    room: MessageRoom,
}

/// The half that receives.
pub(super) struct Receiver<R> {
    messages: Streaming<R>,
    /// The room of the message that was read last.
    pub(super) taken: Taken,
}

/// Sends the head of a request.
///
/// # Errors
/// If the connection takes no more streams.
pub(super) fn begin(
    mut requests: SendRequest<Bytes>,
    url: Uri,
    metadata: MetadataMap,
    room: MessageRoom,
) -> Result<(Sender, PendingResponse), AgentFault> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = metadata.into_headers();
    let headers = [
        (TE, "trailers"),
        (CONTENT_TYPE, "application/grpc"),
        (USER_AGENT, concat!("dialbridge/", env!("CARGO_PKG_VERSION"))),
    ];
    request.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    let (response, stream) = requests.send_request(request, false).map_err(|error| fault(&status_of(error)))?;
    Ok((Sender { stream, buffer: BytesMut::new(), is_ended: false }, PendingResponse { response, room }))
}

/// gRPC's status for an error of HTTP/2 (gRPC over HTTP/2, "Errors"). tonic has it only together with its server.
pub(super) fn status_of(error: h2::Error) -> Status {
    let code = match error.reason() {
        Some(Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(Reason::CANCEL) => Code::Cancelled,
        Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        // The connection is broken, or gRPC has no code for the reason.
        None | Some(Reason::STREAM_CLOSED | Reason::HTTP_1_1_REQUIRED) => Code::Unknown,
        Some(_) => Code::Internal,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(Arc::new(error));
    status
}

impl Sender {
    /// Waits until the agent takes some of a message. False if it takes none any more: the response says why. A good guess
    /// of the message's `bytes` saves h2 from reserving room twice.
    pub(super) fn poll_room(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(bytes + ENVELOPE_BYTES);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }

    /// Sends a message, or keeps it until there is room.
    pub(super) fn send(&mut self, message: &impl Message) {
        let framed = frame(message, &mut self.buffer);
        // It fails only when the stream is over, and the response says why.
        let _ = self.stream.send_data(framed, false);
    }

    /// Half-closes the stream, after what it has sent. That needs no room.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
        let _ = self.stream.send_data(Bytes::new(), true);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.is_ended {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

/// Encodes a message as gRPC sends it: a flag, 0 without compression, then the length, then the message.
fn frame(message: &impl Message, buffer: &mut BytesMut) -> Bytes {
    let length = message.encoded_len();
    buffer.reserve(HEAD_BYTES + length);
    buffer.put_u8(0);
    // No message of ours is near 4 GiB: audio has at most 16,000 bytes.
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows, so there is room.
    let _ = message.encode(buffer);
    buffer.split().freeze()
}

impl PendingResponse {
    /// Waits for the head.
    ///
    /// # Errors
    /// What the connection or the agent says.
    pub(super) fn poll<R: Message + Default + 'static>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receiver<R>, AgentFault>> {
        let response = ready!(Pin::new(&mut self.response).poll(cx)).map_err(|error| fault(&status_of(error)))?;
        // We have not said that we take compressed messages.
        if response.headers().get(ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Poll::Ready(Err(fault(&Status::unimplemented("the agent compresses its messages"))));
        }
        let (head, body) = response.into_parts();
        let ended = Status::from_header_map(&readable(head.headers));
        let decoder = LeanCodec::<R, R>::default().decoder();
        let taken = Taken::default();
        let messages = match ended {
            Some(status) if status.code() != Code::Ok => return Poll::Ready(Err(fault(&status))),
            Some(_) => Streaming::new_empty(decoder, Received(body)),
            None => {
                let body = RoomyBody::new(Received(body), self.room.clone(), taken.clone());
                Streaming::new_response(decoder, body, head.status, None, Some(MAX_BYTES))
            }
        };
        Poll::Ready(Ok(Receiver { messages, taken }))
    }
}

impl<R> Receiver<R> {
    /// The next message; `None` if the agent ended the stream without an error.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R, Status>>> {
        futures_core::Stream::poll_next(Pin::new(&mut self.messages), cx)
    }
}

/// What the agent sends, as tonic reads it.
struct Received(RecvStream);

impl Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self(stream) = &mut *self;
        match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                let _ = stream.flow_control().release_capacity(data.len());
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Err(error)) => return Poll::Ready(broken(error)),
            None => {}
        }
        Poll::Ready(match ready!(stream.poll_trailers(cx)) {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(readable(trailers)))),
            Err(error) => broken(error),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// Takes the details of a status out if they are not base64: tonic panics at those.
fn readable(mut headers: HeaderMap) -> HeaderMap {
    if headers.get(DETAILS).is_some_and(|details| BASE64.decode(details).is_err()) {
        headers.remove(DETAILS);
    }
    headers
}

/// How a body ends when its stream breaks. A server that resets the stream without an error of HTTP/2 has ended it early:
/// gRPC's status is missing then.
fn broken(error: h2::Error) -> Option<Result<Frame<Bytes>, Status>> {
    (error.reason() != Some(Reason::NO_ERROR)).then(|| Err(status_of(error)))
}

/// Waits for the head while `send` sends what goes out meanwhile: the agent's head may come only after our messages.
///
/// # Errors
/// What the connection or the agent says.
pub(super) async fn head<R: Message + Default + 'static>(
    mut response: PendingResponse,
    mut send: impl FnMut(&mut Context<'_>),
) -> Result<Receiver<R>, AgentFault> {
    poll_fn(|cx| {
        send(cx);
        response.poll(cx)
    })
    .await
}
