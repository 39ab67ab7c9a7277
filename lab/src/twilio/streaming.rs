//! A call while its media stream is open: sends the caller's words in frames, and plays the agent's.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use dialbridge_core::CallTime;
use dialbridge_core::audio::{FRAME_BYTES, FRAME_MS};
use dialbridge_core::replay::{AgentAudio, CallerAct, Playout};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::twilio::call_state::{ActiveCall, Next, StepSpan};
use crate::twilio::events::CallEventKind;
use crate::twilio::faults::{GARBAGE, StreamFaults};
use crate::twilio::media_stream::{FromService, SimulatedMediaStream};
use crate::twilio::plan::SentText;

/// A call whose media stream is open.
pub(super) struct Streaming<'l, 'a> {
    call: &'l mut ActiveCall<'a>,
    faults: StreamFaults,
    playout: Playout,
    /// When the stream began, in milliseconds of the call.
    began_ms: u64,
    frames: u64,
    /// The caller's audio that is not sent yet, for messages of more than 20 ms.
    unsent: Vec<u8>,
    /// How much the caller had heard when the agent last began to speak.
    speaking_since: Option<usize>,
    /// How much was said and heard before this stream.
    said_before: usize,
}

impl<'l, 'a> Streaming<'l, 'a> {
    pub(super) fn new(call: &'l mut ActiveCall<'a>, faults: StreamFaults) -> Self {
        let began_ms = call.now_ms();
        let said_before = call.record.said.len();
        call.caller.stream_begins(began_ms);
        Self {
            call,
            faults,
            playout: Playout::default(),
            began_ms,
            frames: 0,
            unsent: Vec::new(),
            speaking_since: None,
            said_before,
        }
    }

    pub(super) async fn run(mut self, socket: &mut SimulatedMediaStream) -> Next {
        let mut ticks = interval_at(Instant::now(), Duration::from_millis(FRAME_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let next = loop {
            let next = tokio::select! {
                biased;
                message = socket.next(), if !self.faults.is_late(self.stream_ms()) => {
                    self.on_message(message, socket).await
                }
                Some(update) = self.call.updates.recv() => Some(self.call.updated(update).await),
                _ = ticks.tick() => self.on_tick(socket).await,
            };
            if let Some(next) = next {
                break next;
            }
        };
        let heard = self.playout.into_heard();
        let length = self.call.record.said.len();
        self.call.record.heard.resize(self.said_before, dialbridge_core::audio::MULAW_SILENCE);
        self.call.record.heard.extend(heard);
        self.call.record.heard.resize(length, dialbridge_core::audio::MULAW_SILENCE);
        next
    }

    /// Milliseconds of the stream.
    fn stream_ms(&self) -> u64 {
        self.call.now_ms() - self.began_ms
    }

    fn stream_time(&self) -> CallTime {
        CallTime::from_ms(self.stream_ms())
    }

    async fn on_message(&mut self, message: FromService, socket: &mut SimulatedMediaStream) -> Option<Next> {
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
            FromService::Malformed { code, why } => self.call.record_event(CallEventKind::Warning { code, why }).await,
            FromService::Closed { code: None } => return Some(self.call.broken().await),
            FromService::Closed { code } => {
                self.call.record_event(CallEventKind::StreamClosed { code }).await;
                socket.close().await;
                return Some(Next::Verb);
            }
        }
        None
    }

    async fn on_tick(&mut self, socket: &mut SimulatedMediaStream) -> Option<Next> {
        let stream_ms = self.stream_ms();
        if self.faults.breaks(stream_ms) {
            socket.cut();
            return Some(self.call.broken().await);
        }
        if self.faults.is_deaf(stream_ms) {
            socket.stop_reading();
        }
        self.play(socket).await;
        let now_ms = self.call.now_ms();
        self.hold_caller(now_ms);
        let mut moment = self.call.caller.next(AgentAudio { now_ms, agent_is_speaking: self.playout.is_playing() });
        for act in std::mem::take(&mut moment.acts) {
            if self.act(act, socket).await.is_err() {
                return Some(self.call.broken().await);
            }
        }
        if moment.hangs_up || self.should_hang_up(now_ms) {
            return Some(Next::End("caller".to_owned()));
        }
        if let Some(echo) = self.call.plan.echo {
            let at = usize::try_from(stream_ms).unwrap_or(usize::MAX).saturating_mul(8);
            echo.add_to(&mut moment.frame, self.playout.heard(), at);
        }
        self.call.record.said.extend_from_slice(&moment.frame);
        match self.send_frame(&moment.frame, stream_ms, socket).await {
            Ok(()) => None,
            Err(_) => Some(self.call.broken().await),
        }
    }

    fn hold_caller(&mut self, now_ms: u64) {
        let Some(hold) = &self.call.plan.hold else { return };
        if self.call.caller.begun() == hold.after_steps && !*hold.may_go_on.borrow() {
            self.call.caller.hold(now_ms);
        }
    }

    async fn act(&mut self, act: CallerAct, socket: &mut SimulatedMediaStream) -> io::Result<()> {
        let said_ms = ((self.call.record.said.len() - self.said_before) / 8) as u64;
        let what = match act {
            CallerAct::Begins(_) => {
                let span = StepSpan { stream: self.call.streams, from_ms: said_ms, to_ms: said_ms };
                self.call.record.steps.push(span);
                return Ok(());
            }
            CallerAct::Ends(_) => {
                if let Some(span) = self.call.record.steps.last_mut() {
                    span.to_ms = said_ms + FRAME_MS;
                }
                return Ok(());
            }
            CallerAct::Text { text } => {
                let call_sid = self.call.record.call_sid.clone();
                if let Some(texts) = &self.call.plan.texts {
                    // Whoever passes the texts on may have left.
                    let _ = texts.send(SentText { call_sid, text }).await;
                }
                return Ok(());
            }
            CallerAct::Speaks { label, ms } => CallEventKind::CallerSpeaks { label, ms },
            CallerAct::Spoke { label } => CallEventKind::CallerSpoke { label },
            CallerAct::Digit { digit } => {
                socket.dtmf(digit).await?;
                CallEventKind::Digit { digit }
            }
        };
        self.call.record_event(what).await;
        Ok(())
    }

    /// Sends the caller's audio, or keeps it until a message is full or the connection works again.
    async fn send_frame(&mut self, frame: &[u8], stream_ms: u64, socket: &mut SimulatedMediaStream) -> io::Result<()> {
        self.frames += 1;
        if self.faults.has_garbage() {
            let turn = usize::try_from(self.frames).unwrap_or_default() % GARBAGE.len();
            socket.text(GARBAGE[turn]).await?;
        }
        if self.faults.loses(stream_ms) {
            return Ok(());
        }
        self.unsent.extend_from_slice(frame);
        let frame_ms = self.call.plan.behaviour.frame_ms;
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

    fn should_hang_up(&self, now_ms: u64) -> bool {
        let after_ms = u64::try_from(self.call.plan.hang_up_after.as_millis()).unwrap_or(u64::MAX);
        let timeout_ms = u64::try_from(self.call.plan.step_timeout.as_millis()).unwrap_or(u64::MAX);
        let is_speaking = self.playout.is_playing();
        if !self.call.caller.is_done() && !is_speaking && self.call.caller.idle_ms(now_ms) > timeout_ms {
            return true;
        }
        let since = self.call.caller.since_ms().max(self.began_ms);
        self.call.caller.is_done() && !is_speaking && now_ms > since + after_ms
    }

    /// Plays the next audio and returns the marks that are due.
    async fn play(&mut self, socket: &mut SimulatedMediaStream) {
        let marks: VecDeque<String> = self.playout.advance(self.stream_time()).into();
        for name in marks.into_iter().filter(|_| !self.faults.has_no_marks()) {
            // If the WebSocket is gone, the next tick notices it.
            let _ = socket.mark(&name).await;
        }
        self.notice_speech(false).await;
    }

    async fn notice_speech(&mut self, cut: bool) {
        match (self.playout.is_playing(), self.speaking_since) {
            (true, None) => {
                self.speaking_since = Some(self.playout.played_bytes());
                self.call.record_event(CallEventKind::AgentSpeaks).await;
            }
            (false, Some(since)) => {
                self.speaking_since = None;
                // The caller looks at each tick only, and a busy machine plays a short prompt between two of them.
                self.call.caller.agent_has_spoken(self.call.now_ms());
                let played_ms = ((self.playout.played_bytes() - since) / 8) as u64;
                self.call.record_event(CallEventKind::AgentSpoke { played_ms, cut }).await;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}
