//! Drives the calls of a load: one ticker for all of them.
//!
//! Each call has a frame due every 20 ms. The calls are spread over these 20 ms, so that a thousand calls send thirteen
//! frames in each tick instead of all at once. The task of a call only reads what the service sends, which is little.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::JoinSet;

use crate::load::caller::{CallerSpeech, STOP_US};
use crate::load::clock::{TICK_US, Ticker, now_us};
use crate::load::code::FRAME_MS;
use crate::load::histogram::{Histogram, Latency};
use crate::load::load_call::{Identity, LoadCall};
use crate::load::read::{CLOSE, TEXT, take_frame};
use crate::load::write::Bodies;
use crate::twilio::{Account, PlacedCall, SimulatedTwilio};

/// How many calls are placed at once.
const PLACING: usize = 16;

/// Size of the read buffer, in bytes.
const READ_BYTES: usize = 8 * 1024;

/// How long the last frames of a load may take to arrive.
const SETTLE: Duration = Duration::from_millis(500);

/// What to drive.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number's voice-url.
    pub voice_url: String,
    /// How many calls at once; 65,000 at most.
    pub calls: u16,
    /// How many of them begin per second.
    pub ramp: u32,
    /// What the callers say.
    pub speech: CallerSpeech,
}

/// The calls; they end when this is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What the calling side has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerFigures {
    /// From the moment the agent sends audio to its arrival at the caller, in the window.
    pub downlink: Latency,
    /// From the end of an utterance to the first audio of its answer, minus the agent's thinking time.
    pub turn: Latency,
    /// How late frames were sent: the delay of the tool itself.
    pub lateness: Latency,
    /// Frames of the window.
    pub frames: u64,
    /// Frames sent since the beginning.
    pub sent: u64,
    /// Answers that came.
    pub answers: u64,
    /// Utterances without an answer within ten seconds.
    pub unanswered: u64,
    /// Barge-ins.
    pub barge_ins: u64,
    /// How often an answer was cut off.
    pub clears: u64,
    /// Missing blocks of answers, 20 ms each.
    pub answer_lost: u64,
    /// Repeated blocks of answers.
    pub answer_doubled: u64,
    /// Bytes of audio that are not an answer to the call that got them.
    pub answer_strange: u64,
    /// How often a socket did not accept what was written.
    pub blocked: u64,
    /// Calls that broke off.
    pub broken: u64,
    /// Why the first of them broke off.
    pub first_break: Option<String>,
}

/// How the calls of a load are, as the callers see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Calls that are up.
    pub up: u64,
    /// Utterances without an answer, faulty audio and broken calls.
    pub faults: u64,
}

#[derive(Debug)]
struct Shared {
    calls: Mutex<Vec<Vec<Arc<Mutex<LoadCall>>>>>,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began_us: u64,
    frames: u64,
    downlink: Histogram,
    turn: Histogram,
    lateness: Histogram,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Places the calls, one after another, and returns them when the last one is up. Tells how many are up with each.
    ///
    /// # Errors
    /// With a sentence, if a call cannot be placed.
    pub async fn begin(twilio: &SimulatedTwilio, plan: &Plan, up: impl FnMut(u16)) -> Result<Self, String> {
        let slots = usize::try_from(FRAME_MS * 1_000 / TICK_US).unwrap_or(1);
        let calls = Mutex::new((0..slots).map(|_| Vec::new()).collect());
        let shared = Arc::new(Shared { calls, window: Mutex::default() });
        let ticker = Ticker::new().map_err(|error| format!("there is no timer: {error}"))?;
        let mut load = Self { shared, tasks: JoinSet::new() };
        load.tasks.spawn(tick(load.shared.clone(), ticker));
        load.place_all(twilio, plan, up).await?;
        Ok(load)
    }

    async fn place_all(
        &mut self,
        twilio: &SimulatedTwilio,
        plan: &Plan,
        mut up: impl FnMut(u16),
    ) -> Result<(), String> {
        let mut count = 0;
        let mut is_up = || {
            count += 1;
            up(count);
        };
        let bodies = Bodies::new();
        let mut placing = JoinSet::new();
        let began = tokio::time::Instant::now();
        // Calls of an earlier load at the same service must have other numbers.
        let run = Account::new_sid("");
        for number in 0..plan.calls {
            let due = Duration::from_secs(1) * u32::from(number) / plan.ramp.max(1);
            tokio::time::sleep_until(began + due).await;
            if placing.len() >= PLACING {
                self.placed(placing.join_next().await, &bodies, plan.speech)?;
                is_up();
            }
            let (twilio, url) = (twilio.clone(), plan.voice_url.clone());
            let call_sid = format!("CA{}{number:04x}", &run[4..]);
            placing.spawn(async move {
                let identity = Identity { number, stream_sid: call_sid.replacen("CA", "MZ", 1), call_sid };
                let placed = twilio.place(&url, &identity.call_sid).await;
                placed.map(|placed| (identity, placed)).map_err(|why| format!("call {number} was not placed: {why}"))
            });
        }
        while !placing.is_empty() {
            self.placed(placing.join_next().await, &bodies, plan.speech)?;
            is_up();
        }
        Ok(())
    }

    fn placed(
        &mut self,
        placed: Option<Result<Placing, tokio::task::JoinError>>,
        bodies: &Bodies,
        speech: CallerSpeech,
    ) -> Result<(), String> {
        let Some(placed) = placed else { return Ok(()) };
        let (identity, placed) = placed.map_err(|error| error.to_string())??;
        let PlacedCall { socket, early, parameters } = placed;
        let (reader, writer) = socket.into_split();
        let slot = usize::from(identity.number);
        let mut call = LoadCall::begin(identity, &parameters, writer, bodies.clone());
        call.caller.speech = speech;
        let call = Arc::new(Mutex::new(call));
        self.tasks.spawn(read(self.shared.clone(), call.clone(), reader, BytesMut::from(&early[..])));
        let mut calls = lock(&self.shared.calls);
        let slots = calls.len();
        calls[slot % slots].push(call);
        Ok(())
    }

    /// How the calls are at this moment.
    #[must_use]
    pub fn so_far(&self) -> SoFar {
        let (mut calls, mut figures) = (0, CallerFigures::default());
        self.each(|call| {
            calls += 1;
            count(call, &mut figures);
        });
        let CallerFigures { unanswered, answer_lost, answer_doubled, answer_strange, broken, .. } = figures;
        SoFar { up: calls - broken, faults: unanswered + answer_lost + answer_doubled + answer_strange + broken }
    }

    /// Begins the window in which latencies are measured.
    pub fn open_window(&self) {
        *lock(&self.shared.window) = Window { began_us: now_us(), ..Window::default() };
    }

    /// Ends the window: later frames are counted, but not measured.
    pub fn close_window(&self) -> CallerFigures {
        let closed = Window { began_us: u64::MAX, ..Window::default() };
        let window = std::mem::replace(&mut *lock(&self.shared.window), closed);
        CallerFigures {
            downlink: window.downlink.latency(),
            turn: window.turn.latency(),
            lateness: window.lateness.latency(),
            frames: window.frames,
            ..CallerFigures::default()
        }
    }

    /// Lets all callers listen to their last answer and hang up; completes the figures of the window.
    pub async fn end(self, figures: CallerFigures) -> CallerFigures {
        self.each(|call| call.caller.stop());
        let deadline = tokio::time::Instant::now() + Duration::from_micros(STOP_US);
        while !self.all_done() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(SETTLE).await;
        let mut figures = figures;
        self.each(|call| {
            count(call, &mut figures);
            call.hang_up();
        });
        // A bridge that collects frames keeps those of the last message until the call is over.
        tokio::time::sleep(SETTLE).await;
        figures
    }

    fn all_done(&self) -> bool {
        let mut all = true;
        self.each(|call| all &= call.caller.is_done());
        all
    }

    fn each(&self, mut of: impl FnMut(&mut LoadCall)) {
        for call in lock(&self.shared.calls).iter().flatten() {
            of(&mut lock(call));
        }
    }
}

/// A call that was placed, or why it could not be placed.
type Placing = Result<(Identity, PlacedCall), String>;

fn count(call: &LoadCall, figures: &mut CallerFigures) {
    figures.sent += u64::from(call.sent);
    figures.answers += call.caller.counts.answers;
    figures.unanswered += call.caller.counts.unanswered;
    figures.barge_ins += call.caller.counts.barge_ins;
    figures.clears += call.caller.counts.clears;
    figures.answer_lost += call.blocks.lost;
    figures.answer_doubled += call.blocks.doubled;
    figures.answer_strange += call.blocks.strange;
    figures.blocked += call.blocked;
    figures.broken += u64::from(call.broken.is_some());
    if figures.first_break.is_none() {
        figures.first_break.clone_from(&call.broken);
    }
}

/// Sends the frames of all calls when they are due.
async fn tick(shared: Arc<Shared>, mut ticker: Ticker) {
    for slot in (0..).map(|tick: usize| tick) {
        let due_us = ticker.tick().await;
        let calls = lock(&shared.calls);
        let due = &calls[slot % calls.len()];
        if due.is_empty() {
            continue;
        }
        let mut window = lock(&shared.window);
        for call in due {
            if let Some(late_us) = lock(call).tick(due_us)
                && due_us >= window.began_us
            {
                window.frames += 1;
                window.lateness.record(late_us);
            }
        }
    }
}

/// Reads what the service sends to one call.
async fn read(shared: Arc<Shared>, call: Arc<Mutex<LoadCall>>, socket: OwnedReadHalf, mut bytes: BytesMut) {
    let why = loop {
        match take_frame(&mut bytes) {
            Ok(Some(frame)) if frame.opcode == TEXT => {
                let seen = lock(&call).hear(&frame.payload);
                let mut window = lock(&shared.window);
                if window.began_us != u64::MAX {
                    seen.downlink_us.into_iter().for_each(|us| window.downlink.record(us));
                    seen.turn_us.into_iter().for_each(|us| window.turn.record(us));
                }
            }
            Ok(Some(frame)) if frame.opcode == CLOSE => break "the service closed the socket".to_owned(),
            Ok(Some(_)) => {}
            Ok(None) => {
                if let Err(error) = socket.readable().await {
                    break format!("the socket broke: {error}");
                }
                bytes.reserve(READ_BYTES);
                match socket.try_read_buf(&mut bytes) {
                    Ok(0) => break "the service broke the socket off".to_owned(),
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => break format!("the socket broke: {error}"),
                }
            }
            Err(why) => break format!("the service sent {why}"),
        }
    };
    let mut call = lock(&call);
    if !call.caller.is_done() {
        call.fail(why);
    }
}
