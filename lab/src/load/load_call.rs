//! One call of a load: its socket, its caller and its counts.

use std::io;

use tokio::net::tcp::OwnedWriteHalf;

use crate::load::agent::{ANSWER_BLOCKS, THINK_MS};
use crate::load::caller::Caller;
use crate::load::clock::now_us;
use crate::load::code::Code;
use crate::load::read::{AnswerBlocks, Message, Piece, understand};
use crate::load::write::{Bodies, Frames};

/// How much may wait for a service that does not read, in bytes: some ten seconds of frames.
const MAX_WAITING_BYTES: usize = 256 * 1024;

/// The agent's thinking time, in microseconds.
const THINK_US: u64 = THINK_MS * 1_000;

/// One call.
#[derive(Debug)]
pub(super) struct LoadCall {
    number: u16,
    call_sid: String,
    pub(super) caller: Caller,
    frames: Frames,
    socket: OwnedWriteHalf,
    /// What is sent next; usually empty between two frames.
    out: Vec<u8>,
    /// The number of the next frame, which is how many were sent.
    pub(super) sent: u32,
    /// When the end of the last utterance was sent.
    asked_us: Option<u64>,
    pub(super) blocks: AnswerBlocks,
    /// Why the call ended early.
    pub(super) broken: Option<String>,
    /// How often the socket did not accept everything.
    pub(super) blocked: u64,
}

/// The latencies in a message of the service, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// From the moment the agent sent it to its arrival here.
    pub(super) downlink_us: Option<u64>,
    /// From the end of the utterance to the first audio of its answer, minus the agent's thinking time. That time is
    /// the same for every bridge, and would make the histogram's classes too coarse for the rest.
    pub(super) turn_us: Option<u64>,
}

/// Which call it is.
pub(super) struct Identity {
    pub(super) number: u16,
    pub(super) call_sid: String,
    pub(super) stream_sid: String,
}

impl LoadCall {
    /// A call on that socket; sends `connected` and `start`.
    pub(super) fn begin(
        identity: Identity,
        parameters: &[(String, String)],
        socket: OwnedWriteHalf,
        bodies: Bodies,
    ) -> Self {
        let Identity { number, call_sid, stream_sid } = identity;
        let mut frames = Frames::new(&stream_sid, bodies);
        let mut out = Vec::new();
        frames.begin(&mut out, &call_sid, parameters);
        Self {
            number,
            call_sid,
            caller: Caller::new(now_us(), number),
            frames,
            socket,
            out,
            sent: 0,
            asked_us: None,
            blocks: AnswerBlocks::default(),
            broken: None,
            blocked: 0,
        }
    }

    /// Sends the frame that is due, and the marks that were played. Returns how late it was, or `None` if no frame was
    /// due.
    pub(super) fn tick(&mut self, due_us: u64) -> Option<u64> {
        let now_us = now_us();
        while let Some(name) = self.caller.take_mark(now_us) {
            self.frames.mark(&mut self.out, &name);
        }
        let late_us = now_us.saturating_sub(due_us);
        let kind = self.caller.frame(now_us);
        if let Some(kind) = kind {
            let extra = u16::try_from(late_us).unwrap_or(u16::MAX);
            let code = Code { kind, call: self.number, number: self.sent, at_us: due_us, extra };
            self.frames.media(&mut self.out, &code);
            self.sent += 1;
            if kind == crate::load::code::Kind::End {
                self.asked_us = Some(now_us);
            }
        }
        self.flush();
        kind.map(|_| late_us)
    }

    fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        match self.socket.try_write(&self.out) {
            Ok(written) if written == self.out.len() => self.out.clear(),
            Ok(written) => {
                self.blocked += 1;
                self.out.drain(..written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked += 1,
            Err(error) => self.fail(format!("the socket broke: {error}")),
        }
        if self.out.len() > MAX_WAITING_BYTES {
            self.fail("the service does not read".to_owned());
        }
    }

    /// Takes a text message of the service.
    pub(super) fn hear(&mut self, text: &[u8]) -> Seen {
        let now_us = now_us();
        match understand(text) {
            Message::Media { bytes, code } => self.audio(now_us, bytes, code),
            Message::Mark(name) => {
                self.caller.mark(now_us, name);
                Seen::default()
            }
            Message::Clear => {
                self.caller.clear(now_us);
                self.blocks.cut(ANSWER_BLOCKS);
                Seen::default()
            }
            Message::Other => Seen::default(),
        }
    }

    fn audio(&mut self, now_us: u64, bytes: usize, code: Option<Code>) -> Seen {
        let piece = self.blocks.add(self.number, bytes, code, ANSWER_BLOCKS);
        let is_first = piece.is_some_and(|piece| piece.is_first);
        self.caller.media(now_us, bytes, is_first);
        let Some(Piece { sent_us, is_first }) = piece else { return Seen::default() };
        Seen {
            downlink_us: Some(now_us.saturating_sub(sent_us)),
            turn_us: self.asked_us.take_if(|_| is_first).map(|asked_us| now_us.saturating_sub(asked_us + THINK_US)),
        }
    }

    /// Hangs up, as far as the socket accepts it.
    pub(super) fn hang_up(&mut self) {
        self.frames.end(&mut self.out, &self.call_sid);
        self.flush();
        self.caller.give_up();
    }

    /// The call cannot go on.
    pub(super) fn fail(&mut self, why: String) {
        self.broken.get_or_insert(why);
        self.out = Vec::new();
        self.caller.give_up();
    }
}
