//! CES's `BidiRunSession` over gRPC.

use bytes::Bytes;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::Code;

use super::ces::{Conversation, Order, until};
use super::planned::Planned;
use super::response::{begin_response, status};
use super::{Failed, LoadAgent};
use crate::load::grpc::{Messages, framed};

pub(super) const PATH: &str = "/google.cloud.ces.v1.SessionService/BidiRunSession";

/// Serves a stream to its end: the client's half-close, or a planned fault.
pub(super) async fn run(
    agent: &LoadAgent,
    mut body: RecvStream,
    respond: SendResponse<Bytes>,
    connection: mpsc::Sender<Planned>,
) -> Result<(), Failed> {
    let mut answer = begin_response(respond)?;
    let mut conversation = Conversation::begin(agent);
    let mut messages = Messages::default();
    loop {
        tokio::select! {
            chunk = body.data() => match chunk {
                // The client has half-closed and expects nothing more.
                None => return Ok(answer.send_trailers(status(Code::Ok))?),
                Some(Err(error)) if error.is_reset() => return Ok(()),
                Some(chunk) => {
                    let chunk = chunk?;
                    body.flow_control().release_capacity(chunk.len())?;
                    messages.push(chunk);
                    while let Some(message) = messages.next() {
                        conversation.message(ces::BidiSessionClientMessage::decode(message).map_err(|_| Failed)?)?;
                    }
                }
            },
            () = until(conversation.due_us()) => conversation.run()?,
        }
        for order in conversation.take_orders() {
            if obey(order, &mut answer, &connection).await? {
                return Ok(());
            }
        }
    }
}

/// Takes the conversation's actions. Returns whether the stream is over.
async fn obey(
    order: Order,
    answer: &mut SendStream<Bytes>,
    connection: &mpsc::Sender<Planned>,
) -> Result<bool, Failed> {
    match order {
        Order::Send(message) => {
            answer.send_data(framed(&*message).freeze(), false)?;
            return Ok(false);
        }
        Order::Reset => answer.send_reset(Reason::INTERNAL_ERROR),
        Order::End(code) => answer.send_trailers(status(code))?,
        Order::Cut => {
            let _ = connection.try_send(Planned::Cut);
            // The stream ends with its connection.
            std::future::pending().await
        }
    }
    Ok(true)
}
