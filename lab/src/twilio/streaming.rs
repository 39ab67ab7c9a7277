//! A call while its media socket is open: what the caller says goes out in frames, what the agent says is heard.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use dialbridge_core::CallTime;
use dialbridge_core::replay::Playout;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::twilio::call_state::{Line, Next};
use crate::twilio::caller::{Ear, FRAME_BYTES, FRAME_MS};
use crate::twilio::events::What;
use crate::twilio::faults::{GARBAGE, StreamFaults};
use crate::twilio::media_socket::{FromService, MediaSocket};

/// A call whose media socket is open.
pub(super) struct Streaming<'l, 'a> {
    line: &'l mut Line<'a>,
    faults: StreamFaults,
    playout: Playout,
    /// When the stream began, in milliseconds of the call.
    began_ms: u64,
    frames: u64,
    /// What was said and is not sent yet, for messages of more than 20 ms.
    unsent: Vec<u8>,
    /// What the caller heard when the agent last began to speak.
    speaking_since: Option<usize>,
    /// What was said and heard before this stream.
    said_before: usize,
}

impl<'l, 'a> Streaming<'l, 'a> {
    pub(super) fn new(line: &'l mut Line<'a>, faults: StreamFaults) -> Self {
        let began_ms = line.now_ms();
        let said_before = line.record.said.len();
        line.caller.stream_begins(began_ms);
        Self {
            line,
            faults,
            playout: Playout::default(),
            began_ms,
            frames: 0,
            unsent: Vec::new(),
            speaking_since: None,
            said_before,
        }
    }

    pub(super) async fn run(mut self, socket: &mut MediaSocket) -> Next {
        let mut ticks = interval_at(Instant::now(), Duration::from_millis(FRAME_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let next = loop {
            let next = tokio::select! {
                biased;
                message = socket.next(), if !self.faults.is_late(self.stream_ms()) => {
                    self.on_message(message, socket).await
                }
                Some(update) = self.line.updates.recv() => Some(self.line.updated(update).await),
                _ = ticks.tick() => self.on_tick(socket).await,
            };
            if let Some(next) = next {
                break next;
            }
        };
        let heard = self.playout.into_heard();
        let length = self.line.record.said.len();
        self.line.record.heard.resize(self.said_before, dialbridge_core::audio::MULAW_SILENCE);
        self.line.record.heard.extend(heard);
        self.line.record.heard.resize(length, dialbridge_core::audio::MULAW_SILENCE);
        next
    }

    /// Milliseconds of the stream.
    fn stream_ms(&self) -> u64 {
        self.line.now_ms() - self.began_ms
    }

    fn stream_time(&self) -> CallTime {
        CallTime::from_ms(self.stream_ms())
    }

    async fn on_message(&mut self, message: FromService, socket: &mut MediaSocket) -> Option<Next> {
        self.play(socket).await;
        match message {
            FromService::Media(audio) => {
                self.playout.media(self.stream_time(), &audio);
                self.notice_speech(false).await;
            }
            FromService::Mark(name) => {
                self.playout.mark(name);
                self.play(socket).await;
            }
            FromService::Clear => {
                self.playout.clear();
                self.notice_speech(true).await;
                self.play(socket).await;
            }
            FromService::Malformed { code, why } => self.line.tell(What::Warning { code, why }).await,
            FromService::Closed { code: None } => return Some(self.line.broken().await),
            FromService::Closed { code } => {
                self.line.tell(What::SocketClosed { code }).await;
                socket.close().await;
                return Some(Next::Verb);
            }
        }
        None
    }

    async fn on_tick(&mut self, socket: &mut MediaSocket) -> Option<Next> {
        let stream_ms = self.stream_ms();
        if self.faults.breaks(stream_ms) {
            socket.cut();
            return Some(self.line.broken().await);
        }
        if self.faults.is_deaf(stream_ms) {
            socket.go_deaf();
        }
        self.play(socket).await;
        let now_ms = self.line.now_ms();
        let moment = self.line.caller.next(Ear { now_ms, agent_is_speaking: self.playout.is_playing() });
        for what in moment.events {
            if let What::Digit { digit } = &what
                && socket.dtmf(*digit).await.is_err()
            {
                return Some(self.line.broken().await);
            }
            self.line.tell(what).await;
        }
        if moment.hangs_up || self.has_lost_patience(now_ms) {
            return Some(Next::End("caller".to_owned()));
        }
        self.line.record.said.extend_from_slice(&moment.frame);
        match self.send_frame(&moment.frame, stream_ms, socket).await {
            Ok(()) => None,
            Err(_) => Some(self.line.broken().await),
        }
    }

    /// Sends what the caller said, or keeps it until a message is full or the way is free.
    async fn send_frame(&mut self, frame: &[u8], stream_ms: u64, socket: &mut MediaSocket) -> io::Result<()> {
        self.frames += 1;
        if self.faults.has_garbage() {
            let turn = usize::try_from(self.frames).unwrap_or_default() % GARBAGE.len();
            socket.text(GARBAGE[turn]).await?;
        }
        if self.faults.loses(stream_ms) {
            return Ok(());
        }
        self.unsent.extend_from_slice(frame);
        let frame_ms = self.line.plan.habits.frame_ms;
        if self.faults.is_late(stream_ms) || !(self.frames * FRAME_MS).is_multiple_of(frame_ms) {
            return Ok(());
        }
        let unsent = std::mem::take(&mut self.unsent);
        let messages = unsent.chunks(FRAME_BYTES * usize::try_from(frame_ms / FRAME_MS).unwrap_or(1));
        let mut timestamp = (self.frames * FRAME_MS).saturating_sub(messages.len() as u64 * frame_ms);
        for message in messages {
            socket.media(timestamp, message).await?;
            timestamp += frame_ms;
        }
        Ok(())
    }

    fn has_lost_patience(&self, now_ms: u64) -> bool {
        let patience = u64::try_from(self.line.plan.patience.as_millis()).unwrap_or(u64::MAX);
        let since = self.line.caller.since_ms().max(self.began_ms);
        self.line.caller.is_done() && !self.playout.is_playing() && now_ms > since + patience
    }

    /// Plays on and returns the marks that are due.
    async fn play(&mut self, socket: &mut MediaSocket) {
        let marks: VecDeque<String> = self.playout.advance(self.stream_time()).into();
        for name in marks.into_iter().filter(|_| !self.faults.has_no_marks()) {
            // When the socket is gone, the next tick notices it.
            let _ = socket.mark(&name).await;
        }
        self.notice_speech(false).await;
    }

    async fn notice_speech(&mut self, cut: bool) {
        match (self.playout.is_playing(), self.speaking_since) {
            (true, None) => {
                self.speaking_since = Some(self.playout.heard_bytes());
                self.line.tell(What::AgentSpeaks).await;
            }
            (false, Some(since)) => {
                self.speaking_since = None;
                let heard_ms = ((self.playout.heard_bytes() - since) / 8) as u64;
                self.line.tell(What::AgentSpoke { heard_ms, cut }).await;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}
