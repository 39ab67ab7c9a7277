//! Drives one call: passes inputs to core, and outputs to `effects`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use dialbridge_agents::{EVENT_QUEUE, PipeFull};
use dialbridge_core::agent::AgentFault;
use dialbridge_core::{AgentCommand, AgentEvent, CallSid, CallTime, Input, Output, StreamId, UpdateResult};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::call::audio_share::AudioShare;
use crate::call::calls::{CallOrder, CallRegistration};
use crate::call::context::CallContext;
use crate::call::effects::{Effects, NotDone};
use crate::call::recorded_call::RecordedCall;
use crate::call::tape_recorder::TapeRecorder;
use crate::call::tasks::Finished;
use crate::call::wake_flag::WakeFlag;
use crate::media::media_socket::{FromTwilio, MediaSocket};
use crate::telemetry::CallTelemetry;

/// Runs a call to its end.
pub fn run(
    context: CallContext,
    call_sid: CallSid,
    telemetry: CallTelemetry,
    socket: MediaSocket,
    registration: CallRegistration,
    recorder: Option<TapeRecorder>,
) -> impl Future<Output = ()> + Send {
    let (sender, events) = mpsc::channel(EVENT_QUEUE);
    // In a box, because an async function keeps the room of its arguments beside what it makes of them.
    drive(Box::new(Effects::new(context, call_sid, telemetry, socket, registration, sender)), events, recorder)
}

async fn drive(
    effects: Box<Effects>,
    mut events: mpsc::Receiver<(StreamId, AgentEvent)>,
    recorder: Option<TapeRecorder>,
) {
    let mut bridge = Bridge {
        call: RecordedCall::new(effects.context.config.clone(), recorder),
        began: Instant::now(),
        rare: WakeFlag::new(),
        audio: AudioShare::of(&effects.context.waiting_audio),
        effects,
    };
    bridge.effects.registration.note(bridge.call.progress());
    // One timer for the whole call: a frame seldom changes the next deadline.
    let mut alarm = pin!(sleep_until(bridge.began));
    let mut armed_for = None;
    // A long answer is converted in slices, each due at once. The caller is heard between two of them.
    let mut after_deadline = false;
    while bridge.effects.closed.is_none() {
        let deadline = bridge.call.poll_timeout().map(|(at, _)| at);
        if deadline != armed_for {
            armed_for = deadline;
            if let Some(at) = deadline {
                alarm.as_mut().reset(bridge.began + Duration::from_millis(at.as_ms()));
                bridge.rare.set();
            }
        }
        let arrived = poll_fn(|cx| {
            if after_deadline && let Poll::Ready(message) = bridge.effects.socket.poll_next(cx) {
                return Poll::Ready(Arrived::Twilio(message));
            }
            let effects = &mut bridge.effects;
            let rare = bridge.rare.poll(cx, |cx| {
                if let Poll::Ready(order) = effects.registration.orders.poll_recv(cx) {
                    return Poll::Ready(Arrived::Order(order));
                }
                if let Poll::Ready(Some(finished)) = effects.tasks.poll_next(cx) {
                    return Poll::Ready(Arrived::Finished(finished));
                }
                if let Poll::Ready(Some((stream, event))) = events.poll_recv(cx) {
                    return Poll::Ready(Arrived::Agent(stream, event));
                }
                if deadline.is_some() { alarm.as_mut().poll(cx).map(|()| Arrived::Due) } else { Poll::Pending }
            });
            // The caller's audio is polled last, so that a flood of it delays nothing else.
            if rare.is_ready() { rare } else { bridge.effects.socket.poll_next(cx).map(Arrived::Twilio) }
        });
        let arrived = arrived.await;
        after_deadline = matches!(arrived, Arrived::Due);
        match arrived {
            Arrived::Order(order) => bridge.on_order(order),
            Arrived::Finished(finished) => bridge.on_finished(finished),
            Arrived::Agent(stream, event) => bridge.on_agent(stream, event),
            Arrived::Due => {
                armed_for = None;
                bridge.feed(Input::Timeout);
                // Other calls go first.
                tokio::task::yield_now().await;
            }
            Arrived::Twilio(message) => bridge.on_twilio(message),
        }
        bridge.report_not_done();
    }
    bridge.effects.end().await;
}

struct Bridge {
    call: RecordedCall,
    began: Instant,
    /// Whether anything but the media stream may be ready.
    rare: WakeFlag,
    /// Its part of all waiting audio.
    audio: AudioShare,
    effects: Box<Effects>,
}

/// What a call waits for.
enum Arrived {
    /// `None`: no order can come, because another media stream has the call.
    Order(Option<CallOrder>),
    Finished(Finished),
    Agent(StreamId, AgentEvent),
    /// The deadline has passed.
    Due,
    Twilio(FromTwilio),
}

impl Bridge {
    fn on_twilio(&mut self, message: FromTwilio) {
        match message {
            FromTwilio::Text(message) => match std::str::from_utf8(message.as_ref()) {
                Ok(text) => self.feed(Input::Twilio(text)),
                Err(_) => self.feed(Input::TwilioBinary),
            },
            FromTwilio::Binary => self.feed(Input::TwilioBinary),
            FromTwilio::Closed => self.feed(Input::TwilioClosed),
            FromTwilio::Stalled => self.on_stalled_socket(),
        }
    }

    fn on_agent(&mut self, stream: StreamId, event: AgentEvent) {
        let is_last = event.is_last();
        self.effects.note_opening(stream, &event);
        self.feed(Input::Agent(stream, event));
        if is_last {
            self.effects.remove_stream(stream);
        }
    }

    fn on_finished(&mut self, finished: Finished) {
        match finished {
            Finished::Nothing => {}
            Finished::Updated(result) => self.on_updated(result),
            Finished::Fetched(id, audio) => {
                self.feed(Input::Fetched(id, audio.as_deref().map_err(String::as_str)));
            }
            Finished::ToolsRun(id, results) => self.feed(Input::ToolsRun(id, results)),
        }
    }

    fn on_updated(&mut self, result: UpdateResult) {
        self.effects.telemetry.updated(Some(result));
        self.feed(Input::Updated(result));
    }

    fn on_order(&mut self, order: Option<CallOrder>) {
        match order {
            Some(CallOrder::Migrate) => self.feed(Input::Migrate),
            Some(CallOrder::Text(text)) => self.feed(Input::Text(&text)),
            Some(CallOrder::TakenOver) | None => {
                self.effects.telemetry.log_span().in_scope(|| {
                    tracing::info!(call_sid = %self.effects.call_sid, "another media stream has the call now");
                });
                self.feed(Input::TakenOver);
            }
        }
    }

    fn on_stalled_socket(&mut self) {
        self.effects.telemetry.log_span().in_scope(|| {
            tracing::warn!(call_sid = %self.effects.call_sid, "Twilio does not read: the media stream is closed");
        });
        self.feed(Input::NotReading);
    }

    /// Passes one input to core and performs its outputs. Says whether there is room for the call if core asks.
    fn feed(&mut self, input: Input<'_>) {
        if matches!(input, Input::Agent(..) | Input::Fetched(..))
            && let Some(room_ms) = self.audio.take_news()
        {
            self.perform(Input::AudioRoom(room_ms));
        }
        self.perform(input);
        if let Some(has_room) = self.effects.has_room.take() {
            self.perform(Input::Admitted(has_room));
        }
    }

    fn perform(&mut self, input: Input<'_>) {
        let elapsed_ms = self.began.elapsed().as_millis();
        let now = CallTime::from_ms(u64::try_from(elapsed_ms).unwrap_or(u64::MAX));
        if let Err(error) = self.call.handle_input(input, now) {
            self.effects.log_refused_input(&error);
        }
        self.audio.note(self.call.waiting_audio_bytes());
        self.effects.registration.note(self.call.progress());
        while let Some(output) = self.call.poll_output(now) {
            if !matches!(output, Output::Agent(_, AgentCommand::Audio(_))) {
                // `perform` may start a task.
                self.rare.set();
            }
            self.effects.perform(output, now, self.call.stream_sid());
        }
    }

    /// Tells core what could not be done while outputs were performed.
    fn report_not_done(&mut self) {
        while let Some(not_done) = self.effects.not_done.pop_front() {
            match not_done {
                NotDone::Socket => self.on_stalled_socket(),
                NotDone::Stream(stream) => self.stream_failed(stream, &PipeFull.to_string(), true),
                // A call with a backup does not wait for the agent.
                NotDone::AgentDown(stream) => self.stream_failed(stream, "the agent is down for all calls", false),
            }
        }
    }

    fn stream_failed(&mut self, stream: StreamId, why: &str, transient: bool) {
        let fault = AgentFault { code: "UNAVAILABLE".to_owned(), message: why.to_owned(), transient };
        self.feed(Input::Agent(stream, AgentEvent::Failed(fault)));
    }
}
