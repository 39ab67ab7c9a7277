//! A Dialogflow stream: one turn, from its first message and the half-close to the answer.

use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use prost::Message;
use tokio::sync::mpsc;

use super::hearing::Hearing;
use super::planned::Planned;
use super::response::{begin_response, status};
use super::{ANSWER_BLOCKS, Failed, LoadAgent, THINK_MS};
use crate::load::grpc::{Messages, framed};
use crate::load::ledger::Sent;

/// What CX and ES have in common, apart from the form of their messages.
pub(super) trait Dialect {
    type Response: Message;

    /// The session and the audio of a request; `None` if it cannot be read.
    fn read(request: Bytes) -> Option<Request>;

    fn transcript(is_final: bool) -> Self::Response;

    fn end_of_utterance() -> Self::Response;

    fn answer(audio: Bytes) -> Self::Response;
}

/// The fields of a request that matter here.
pub(super) struct Request {
    /// Given in the first one.
    pub(super) session: String,
    pub(super) audio: Option<Bytes>,
}

/// Messages that are sent again and again, framed and ready.
#[derive(Debug)]
pub(super) struct Phrases {
    interim: Bytes,
    /// The final transcript and the end of the utterance.
    end: Bytes,
}

impl Phrases {
    pub(super) fn of<D: Dialect>() -> Self {
        let end = [D::transcript(true), D::end_of_utterance()].map(|phrase| framed(&phrase)).concat();
        Self { interim: framed(&D::transcript(false)).freeze(), end: end.into() }
    }
}

/// One stream.
pub(super) struct LoadTurn<'a> {
    agent: &'a LoadAgent,
    phrases: &'a Phrases,
    hearing: Hearing<'a>,
    /// Orders for the connection.
    orders: mpsc::Sender<Planned>,
}

impl<'a> LoadTurn<'a> {
    pub(super) fn new(agent: &'a LoadAgent, phrases: &'a Phrases, orders: mpsc::Sender<Planned>) -> Self {
        Self { agent, phrases, hearing: Hearing::begin(agent, Sent::AsItComes), orders }
    }

    pub(super) async fn run<D: Dialect>(
        mut self,
        mut body: RecvStream,
        respond: SendResponse<Bytes>,
    ) -> Result<(), Failed> {
        let mut answer = begin_response(respond)?;
        let mut messages = Messages::default();
        while let Some(chunk) = body.data().await {
            let chunk = match chunk {
                // The client has reset the stream and does not wait for an answer.
                Err(error) if error.is_reset() => return Ok(()),
                chunk => chunk?,
            };
            body.flow_control().release_capacity(chunk.len())?;
            messages.push(chunk);
            while let Some(message) = messages.next() {
                self.hear::<D>(message, &mut answer)?;
            }
        }
        tokio::time::sleep(Duration::from_millis(THINK_MS)).await;
        match self.agent.next_fault() {
            None => return self.answer::<D>(&mut answer),
            Some(Planned::Reset) => answer.send_reset(Reason::INTERNAL_ERROR),
            Some(Planned::Status(code)) => answer.send_trailers(status(code))?,
            Some(order @ Planned::GoAway) => {
                // If others are waiting, the order is already there.
                let _ = self.orders.try_send(order);
                return self.answer::<D>(&mut answer);
            }
            Some(order @ Planned::Cut) => {
                let _ = self.orders.try_send(order);
                // The stream ends with its connection.
                std::future::pending().await
            }
        }
        Ok(())
    }

    fn hear<D: Dialect>(&mut self, message: Bytes, answer: &mut SendStream<Bytes>) -> Result<(), Failed> {
        let Request { session, audio } = D::read(message).ok_or(Failed)?;
        self.hearing.learn(&session)?;
        let Some(audio) = audio else { return Ok(()) };
        let noticed = self.hearing.frames(&audio);
        if noticed.interim {
            answer.send_data(self.phrases.interim.clone(), false)?;
        }
        if noticed.end {
            answer.send_data(self.phrases.end.clone(), false)?;
        }
        Ok(())
    }

    fn answer<D: Dialect>(self, answer: &mut SendStream<Bytes>) -> Result<(), Failed> {
        let audio = match &self.agent.long_answer {
            Some(audio) => audio.clone(),
            None => self.hearing.answer(0, ANSWER_BLOCKS)?,
        };
        self.agent.ledger().counts.turns += 1;
        answer.send_data(framed(&D::answer(audio)).freeze(), false)?;
        Ok(answer.send_trailers(status(tonic::Code::Ok))?)
    }
}
