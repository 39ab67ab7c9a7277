//! A CES stream, which is the whole call, over either transport. Messages and times go in, messages come out; it waits
//! for nothing.
//!
//! ```text
//! listening --kick-start, or the end of an utterance--> thinking --250 ms--> saying --last piece--> listening
//! saying, and as long as it plays --speech--> interrupted: the rest is dropped
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tonic::Code;

use ces::bidi_session_client_message::MessageType as FromClient;
use ces::bidi_session_server_message::MessageType as ToClient;
use ces::session_input::InputType;
use ces::session_output::OutputType;

use super::hearing::{Hearing, Noticed};
use super::planned::Planned;
use super::{ANSWER_BLOCKS, Failed, LoadAgent, THINK_MS};
use crate::load::clock::now_us;
use crate::load::code::FRAME_MS;
use crate::load::ledger::Sent;

/// Blocks of 20 ms in a message of an answer, and how many times faster than real time the messages are sent; both as
/// in the lab's scripted agent.
const PIECE_BLOCKS: u64 = 10;
const SPEED: u64 = 4;

/// How long a message of an answer plays, in microseconds.
const PIECE_US: u64 = PIECE_BLOCKS * FRAME_MS * 1_000;

/// What the transport must do.
#[derive(Debug)]
pub(super) enum Order {
    Send(Box<ces::BidiSessionServerMessage>),
    /// Reset the stream.
    Reset,
    /// End the stream with this status.
    End(Code),
    /// Break the connection.
    Cut,
}

/// A step of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The agent has finished thinking.
    Begin,
    /// The message with the blocks from this one on.
    Piece(u64),
}

/// The stream.
pub(super) struct Conversation<'a> {
    agent: &'a LoadAgent,
    hearing: Hearing<'a>,
    is_configured: bool,
    turn: i32,
    /// When all audio so far has been played, in microseconds.
    playing_until_us: u64,
    /// What to do and when, in order.
    steps: VecDeque<(u64, Step)>,
    /// Whether to tell the client to go away after this answer.
    goes_away: bool,
    orders: Vec<Order>,
}

impl<'a> Conversation<'a> {
    pub(super) fn begin(agent: &'a LoadAgent) -> Self {
        Self {
            agent,
            hearing: Hearing::begin(agent, Sent::WithoutPause),
            is_configured: false,
            turn: 1,
            playing_until_us: 0,
            steps: VecDeque::new(),
            goes_away: false,
            orders: Vec::new(),
        }
    }

    /// Takes a message. The first one is the configuration; no later one may be.
    pub(super) fn message(&mut self, message: ces::BidiSessionClientMessage) -> Result<(), Failed> {
        match (message.message_type.ok_or(Failed)?, self.is_configured) {
            (FromClient::Config(config), false) => {
                self.is_configured = true;
                self.hearing.learn(&config.session)
            }
            (FromClient::RealtimeInput(input), true) => {
                match input.input_type.ok_or(Failed)? {
                    InputType::Audio(audio) => {
                        let noticed = self.hearing.frames(&audio);
                        self.notice(noticed);
                    }
                    InputType::Event(_) | InputType::Text(_) => self.think(),
                    _ => {}
                }
                Ok(())
            }
            (FromClient::Config(_), true) | (FromClient::RealtimeInput(_), false) => Err(Failed),
        }
    }

    fn notice(&mut self, noticed: Noticed) {
        if noticed.speech {
            self.interrupt();
        }
        if noticed.interim || noticed.end {
            let transcript = "a few words".to_owned();
            self.send(ToClient::RecognitionResult(ces::RecognitionResult { transcript }));
        }
        if noticed.end {
            self.think();
        }
    }

    /// The caller speaks: the answer that is being said or played stops.
    fn interrupt(&mut self) {
        let now_us = now_us();
        if now_us < self.playing_until_us {
            self.playing_until_us = now_us;
            self.send(ToClient::InterruptionSignal(ces::InterruptionSignal { barge_in: true }));
            let said = self.steps.len();
            self.steps.retain(|(_, step)| *step == Step::Begin);
            if self.steps.len() < said {
                self.complete();
            }
        }
    }

    fn think(&mut self) {
        self.steps.push_back((now_us() + THINK_MS * 1_000, Step::Begin));
    }

    /// When to call [`run`](Self::run) next, in microseconds.
    pub(super) fn due_us(&self) -> Option<u64> {
        self.steps.front().map(|(at_us, _)| *at_us)
    }

    /// Does everything that is due.
    pub(super) fn run(&mut self) -> Result<(), Failed> {
        while self.due_us().is_some_and(|at_us| at_us <= now_us()) {
            match self.steps.pop_front() {
                Some((_, Step::Begin)) => self.answer(),
                Some((_, Step::Piece(from))) => self.say(from)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Begins an answer, or fails instead.
    fn answer(&mut self) {
        match self.agent.next_fault() {
            Some(Planned::Reset) => return self.orders.push(Order::Reset),
            Some(Planned::Status(code)) => return self.orders.push(Order::End(code)),
            Some(Planned::Cut) => return self.orders.push(Order::Cut),
            Some(Planned::GoAway) => self.goes_away = true,
            None => {}
        }
        self.output(Some(OutputType::Text("an answer".to_owned())), false);
        let pieces = (0..ANSWER_BLOCKS).step_by(usize::try_from(PIECE_BLOCKS).unwrap_or(1));
        let now_us = now_us();
        let steps = (0..).zip(pieces).map(|(number, from)| (now_us + number * PIECE_US / SPEED, Step::Piece(from)));
        // While the agent is still speaking, the answer to a new utterance comes after it.
        self.steps.extend(steps);
        self.steps.make_contiguous().sort_by_key(|(at_us, _)| *at_us);
    }

    fn say(&mut self, from: u64) -> Result<(), Failed> {
        let audio: Bytes = self.hearing.answer(from, PIECE_BLOCKS.min(ANSWER_BLOCKS - from))?;
        self.output(Some(OutputType::Audio(audio)), false);
        self.playing_until_us = self.playing_until_us.max(now_us()) + PIECE_US;
        if from + PIECE_BLOCKS >= ANSWER_BLOCKS {
            self.complete();
        }
        Ok(())
    }

    fn complete(&mut self) {
        self.output(None, true);
        self.turn += 1;
        self.agent.ledger().counts.turns += 1;
        if std::mem::take(&mut self.goes_away) {
            self.send(ToClient::GoAway(ces::GoAway {}));
        }
    }

    fn output(&mut self, output_type: Option<OutputType>, turn_completed: bool) {
        let output = ces::SessionOutput { turn_index: self.turn, turn_completed, output_type, ..Default::default() };
        self.send(ToClient::SessionOutput(output));
    }

    fn send(&mut self, message: ToClient) {
        let message = ces::BidiSessionServerMessage { message_type: Some(message) };
        self.orders.push(Order::Send(Box::new(message)));
    }

    /// The actions to take now, in order.
    pub(super) fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }
}

/// Waits until this moment of [`now_us`]; for ever if there is none.
pub(super) async fn until(due_us: Option<u64>) {
    match due_us {
        Some(due_us) => tokio::time::sleep(std::time::Duration::from_micros(due_us.saturating_sub(now_us()))).await,
        None => std::future::pending().await,
    }
}
