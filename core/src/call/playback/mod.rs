//! What the caller hears: which audio is queued at Twilio, how much of it was heard, and what a `clear` cuts off.
//!
//! ```text
//! Silent --media--> Playing --last mark back, or overdue--> Silent
//!                   Playing --clear--> Silent, and the epoch is one more
//! ```
//!
//! The state is not stored: the caller is being played to while something is queued whose mark is not back.
//!
//! Audio goes to Twilio as fast as the agent gives it; Twilio queues it. After each [`CHUNK_MS`] of audio goes a mark.
//! Twilio returns a mark when all before it was played, and returns all marks at once after a `clear`: so a mark's
//! name carries the number of `clear`s before it (the epoch), and one of an old epoch was not heard.
//!
//! Two kinds of audio wait here instead (`waiting`): what must be fetched first, with all that comes after it, and what a
//! later response may cut, which goes out a little ahead of its time, so that little of it has to be cut at Twilio.

mod sent;
mod waiting;

use std::collections::VecDeque;

use crate::agent::Prompt;
use crate::audio::transcode::{ToMulaw, TranscodeError};
use crate::audio::wav::is_wav;
use crate::audio::{AudioFormat, BYTES_PER_MS};
use crate::call::caller_audio::Position;
use crate::ids::{FetchId, MarkName, TurnId};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use sent::{Kind, Sent};
use waiting::Waiting;

pub(super) use sent::ReturnedMark;

/// How much audio lies between two marks, in milliseconds: what is known of the heard time is that fine.
pub const CHUNK_MS: u64 = 400;

#[expect(clippy::cast_possible_truncation, reason = "3,200")]
const CHUNK_BYTES: usize = CHUNK_MS as usize * BYTES_PER_MS;

/// How far audio that may be cancelled goes out ahead of its time, in bytes: three chunks.
const AHEAD_BYTES: usize = 3 * CHUNK_BYTES;

/// How many prompts may wait; a further one is refused.
const MAX_WAITING_PROMPTS: usize = 64;

/// The playout of one call.
#[derive(Debug)]
pub(super) struct Playback {
    sent: Sent,
    waiting: VecDeque<Waiting>,
    next_fetch: FetchId,
    /// Whether nothing follows what was given: then the last chunk gets its mark.
    is_complete: bool,
    converter: Option<Converter>,
}

#[derive(Debug)]
struct Converter {
    declared: AudioFormat,
    to_mulaw: ToMulaw,
    kind: Kind,
}

/// What a `clear` cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Milliseconds the caller has heard since the playout began.
    pub(super) played_ms: u64,
    /// Milliseconds that were queued and not heard.
    pub(super) cut_ms: u64,
}

/// Where outputs of the playout go, and what the moment is.
pub(super) struct PlaybackContext<'a> {
    pub(super) now: CallTime,
    /// Where the caller's audio stands.
    pub(super) position: Position,
    pub(super) out: &'a mut dyn FnMut(PlaybackOutput),
}

/// What the playout wants done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PlaybackOutput {
    Twilio(TwilioMessage),
    Fetch(FetchId, String),
    /// The first audio of that turn's answer goes out.
    Begins(TurnId),
    /// A prompt could not be played.
    Refused(String),
}

impl PlaybackContext<'_> {
    fn send(&mut self, message: TwilioMessage) {
        (self.out)(PlaybackOutput::Twilio(message));
    }

    fn refuse(&mut self, why: String) {
        (self.out)(PlaybackOutput::Refused(why));
    }
}

impl Playback {
    pub(super) fn new() -> Self {
        Self {
            sent: Sent::default(),
            waiting: VecDeque::new(),
            next_fetch: FetchId(1),
            is_complete: true,
            converter: None,
        }
    }

    /// Whether anything is queued here or at Twilio.
    pub(super) fn is_playing(&self) -> bool {
        self.sent.is_sounding() || !self.waiting.is_empty()
    }

    /// Where in the caller's audio the playout began that is running; `None` while nothing of it has sounded.
    pub(super) fn began_position(&self) -> Option<Position> {
        self.sent.began().filter(|_| self.is_playing())
    }

    /// Milliseconds that are still to be played, by the clock. What has to be fetched counts for nothing.
    pub(super) fn remaining_ms(&self, now: CallTime) -> u64 {
        let waiting: usize = self.waiting.iter().map(Waiting::known_bytes).sum();
        self.sent.remaining_ms(now) + (waiting / BYTES_PER_MS) as u64
    }

    /// Milliseconds until the last of what may not be interrupted is played.
    pub(super) fn protected_ms(&self, now: CallTime) -> u64 {
        match self.waiting.iter().rposition(|waiting| !waiting.kind().interruptible) {
            None => self.sent.protected_ms(now),
            Some(last) => {
                let bytes: usize = self.waiting.iter().take(last + 1).map(Waiting::known_bytes).sum();
                self.sent.remaining_ms(now) + (bytes / BYTES_PER_MS) as u64
            }
        }
    }

    /// Whether nothing that is queued forbids an interruption.
    pub(super) fn is_interruptible(&self) -> bool {
        self.sent.is_interruptible() && self.waiting.iter().all(|waiting| waiting.kind().interruptible)
    }

    /// Whether anything that is queued is to be heard by the caller before his words count. What plays only until an answer
    /// comes is not.
    pub(super) fn is_protected(&self) -> bool {
        self.sent.is_protected() || self.waiting.iter().any(|waiting| waiting.kind().is_protected())
    }

    /// When the last mark is overdue.
    pub(super) fn mark_deadline(&self) -> Option<CallTime> {
        self.sent.mark_deadline()
    }

    /// Whether anything has to be fetched still.
    pub(super) fn is_fetching(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.fetch().is_some())
    }

    /// Whether anything of that turn's answer is not sent yet.
    pub(super) fn waits_for(&self, turn: TurnId) -> bool {
        self.waiting.iter().any(|waiting| waiting.kind().turn == Some(turn))
    }

    /// The fetch that everything waits for.
    pub(super) fn fetching(&self) -> Option<FetchId> {
        self.waiting.front().and_then(Waiting::fetch)
    }

    /// Plays a prompt of an answer after what is queued; pieces of one stream of audio in the same coding join without a
    /// seam. Returns how many milliseconds of audio went out or wait.
    pub(super) fn play(&mut self, prompt: &Prompt, turn: TurnId, context: &mut PlaybackContext<'_>) -> u64 {
        self.is_complete = false;
        let kind = Kind { turn: Some(turn), interruptible: prompt.interruptible, cancellable: prompt.cancellable };
        if let Some(uri) = &prompt.uri {
            self.fetch(uri, kind, context);
            return 0;
        }
        if self.waiting.is_empty() && !prompt.cancellable {
            return self.convert(prompt.format, &prompt.audio, kind, context);
        }
        let mut audio = Vec::new();
        self.finish_converter(context);
        if let Err(error) = convert_whole(prompt.format, &prompt.audio, &mut audio) {
            context.refuse(error.to_string());
        }
        let ms = (audio.len() / BYTES_PER_MS) as u64;
        self.wait(Waiting::audio(audio, kind), context);
        self.pump(context);
        ms
    }

    /// Plays a recording of ours that any answer cuts; nothing where something is being played.
    pub(super) fn play_filler(&mut self, audio: &[u8], context: &mut PlaybackContext<'_>) -> bool {
        if self.is_playing() {
            return false;
        }
        let kind = Kind { turn: None, interruptible: false, cancellable: true };
        self.wait(Waiting::audio(audio.to_vec(), kind), context);
        self.is_complete = true;
        self.pump(context);
        true
    }

    /// An answer is complete: plays what the converter still holds and puts a mark behind the last audio.
    pub(super) fn finish_answer(&mut self, context: &mut PlaybackContext<'_>) {
        self.is_complete = true;
        self.finish_converter(context);
        self.pump(context);
    }

    /// Audio was fetched, or could not be. Of one that nobody waits for any more nothing is played.
    pub(super) fn fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>, context: &mut PlaybackContext<'_>) {
        let Some(place) = self.waiting.iter().position(|waiting| waiting.fetch() == Some(id)) else { return };
        let kind = self.waiting[place].kind();
        let mut mulaw = Vec::new();
        let fault = match audio {
            // An address says nothing of a coding: without a header it could be a page of text, and would be noise.
            Ok(audio) if !is_wav(audio) => Some("the audio that the agent names is no WAV".to_owned()),
            Ok(audio) => convert_whole(AudioFormat::TELEPHONE, audio, &mut mulaw).err().map(|error| error.to_string()),
            Err(why) => Some(why.to_owned()),
        };
        if let Some(why) = fault {
            context.refuse(why);
        }
        self.waiting[place] = Waiting::audio(mulaw, kind);
        self.pump(context);
    }

    /// A mark came back.
    pub(super) fn on_mark(&mut self, name: MarkName, context: &mut PlaybackContext<'_>) -> ReturnedMark {
        let back = self.sent.on_mark(name);
        self.after_marks(back, context)
    }

    /// The last mark should have come back: its time is over, so all that was sent counts as heard.
    pub(super) fn give_up_marks(&mut self, context: &mut PlaybackContext<'_>) -> ReturnedMark {
        let back = self.sent.give_up_marks();
        self.after_marks(back, context)
    }

    fn after_marks(&mut self, back: ReturnedMark, context: &mut PlaybackContext<'_>) -> ReturnedMark {
        self.pump(context);
        match back {
            ReturnedMark::AllPlayed { first_of } if self.is_playing() => ReturnedMark::Played { first_of },
            other @ (ReturnedMark::Played { .. } | ReturnedMark::AllPlayed { .. } | ReturnedMark::Nothing) => other,
        }
    }

    /// Drops all that is queued here and at Twilio, with the converter's memory of it; the `clear` goes out even where
    /// nothing waits here, for it is Twilio's queue that holds the audio.
    pub(super) fn clear(&mut self, context: &mut PlaybackContext<'_>) -> Cut {
        let waiting: usize = self.waiting.iter().map(Waiting::known_bytes).sum();
        self.waiting.clear();
        self.converter = None;
        let (heard, cut) = self.sent.clear();
        context.send(TwilioMessage::Clear);
        Cut { played_ms: (heard / BYTES_PER_MS) as u64, cut_ms: ((cut + waiting) / BYTES_PER_MS) as u64 }
    }

    /// A later response has come: drops what it cuts. What is at Twilio already goes with a `clear` where nothing else is
    /// there; else it plays on, and is short. Returns how many milliseconds were cut.
    pub(super) fn cancel(&mut self, context: &mut PlaybackContext<'_>) -> u64 {
        let is_cancelled = |waiting: &Waiting| waiting.kind().cancellable;
        let dropped: usize =
            self.waiting.iter().filter(|waiting| is_cancelled(waiting)).map(Waiting::known_bytes).sum();
        self.waiting.retain(|waiting| !is_cancelled(waiting));
        let mut cut = dropped;
        if self.sent.is_all_cancellable() {
            self.converter = None;
            cut += self.sent.clear().1;
            context.send(TwilioMessage::Clear);
        }
        self.pump(context);
        (cut / BYTES_PER_MS) as u64
    }

    /// Milliseconds heard since the playout began.
    pub(super) fn played_ms(&self) -> u64 {
        self.sent.played_ms()
    }

    fn fetch(&mut self, uri: &str, kind: Kind, context: &mut PlaybackContext<'_>) {
        self.finish_converter(context);
        let id = self.next_fetch;
        self.next_fetch = id.next();
        if self.wait(Waiting::Fetch { id, kind }, context) {
            (context.out)(PlaybackOutput::Fetch(id, uri.to_owned()));
        }
    }

    fn wait(&mut self, waiting: Waiting, context: &mut PlaybackContext<'_>) -> bool {
        // Nothing joins what was sent before any more.
        self.sent.mark_open_chunk(context);
        let has_room = self.waiting.len() < MAX_WAITING_PROMPTS;
        if has_room {
            self.waiting.push_back(waiting);
        } else {
            context.refuse(format!("{MAX_WAITING_PROMPTS} prompts wait already"));
        }
        has_room
    }

    /// Sends what can be sent of what waits.
    fn pump(&mut self, context: &mut PlaybackContext<'_>) {
        while let Some(front) = self.waiting.front_mut() {
            match front {
                Waiting::Fetch { .. } => {
                    self.sent.mark_open_chunk(context);
                    break;
                }
                Waiting::Audio { audio, at, kind } => {
                    let room = if kind.cancellable {
                        AHEAD_BYTES.saturating_sub(self.sent.unplayed_bytes()).next_multiple_of(CHUNK_BYTES)
                    } else {
                        usize::MAX
                    };
                    if room == 0 {
                        self.sent.mark_open_chunk(context);
                        break;
                    }
                    let end = audio.len().min(at.saturating_add(room));
                    self.sent.queue(&audio[*at..end], *kind, context);
                    *at = end;
                    if end < audio.len() {
                        break;
                    }
                }
            }
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() && self.is_complete {
            self.sent.mark_open_chunk(context);
        }
    }

    fn convert(&mut self, format: AudioFormat, audio: &[u8], kind: Kind, context: &mut PlaybackContext<'_>) -> u64 {
        // A WAV of its own does not join what came before: that one's length may have been left open.
        let is_wav = audio.starts_with(b"RIFF");
        if self.converter.as_ref().is_some_and(|converter| is_wav || converter.declared != format) {
            self.finish_converter(context);
        }
        let converter =
            self.converter.get_or_insert_with(|| Converter { declared: format, to_mulaw: ToMulaw::new(format), kind });
        converter.kind = kind;
        let mut mulaw = Vec::new();
        if let Err(error) = converter.to_mulaw.push(audio, &mut mulaw) {
            context.refuse(error.to_string());
        }
        self.sent.queue(&mulaw, kind, context);
        (mulaw.len() / BYTES_PER_MS) as u64
    }

    fn finish_converter(&mut self, context: &mut PlaybackContext<'_>) {
        let Some(mut converter) = self.converter.take() else { return };
        let mut tail = Vec::new();
        if let Err(error) = converter.to_mulaw.finish(&mut tail) {
            context.refuse(error.to_string());
        }
        self.sent.queue(&tail, converter.kind, context);
    }
}

fn convert_whole(format: AudioFormat, audio: &[u8], mulaw: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let mut to_mulaw = ToMulaw::new(format);
    to_mulaw.push(audio, mulaw)?;
    to_mulaw.finish(mulaw)
}

#[cfg(test)]
mod tests;
