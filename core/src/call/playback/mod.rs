//! What the caller hears: which audio is queued at Twilio, how much of it was heard, and what a `clear` cuts off.
//!
//! ```text
//! Silent --media--> Playing --last mark back, or timeout--> Silent
//!                   Playing --clear--> Silent, and the epoch grows by one
//! ```
//!
//! The state is not stored. Something is playing while a mark is still out for queued audio.
//!
//! The agent's audio goes to Twilio as fast as it comes, and Twilio queues it. A mark follows each [`CHUNK_MS`] of
//! audio. Twilio returns a mark when it has played all audio before it. After a `clear`, Twilio returns all marks at
//! once. So a mark's name holds the number of `clear`s before it, the epoch: audio before a mark of an old epoch was
//! not heard.
//!
//! Two kinds of audio wait here instead (`waiting`). Audio that must be fetched holds back everything after it. Audio
//! that a later response may cut goes out only a little ahead of its time, so that little of it has to be cut at
//! Twilio.

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

/// Audio between two marks, in milliseconds. We know the played time only to this precision.
pub const CHUNK_MS: u64 = 400;

#[expect(clippy::cast_possible_truncation, reason = "3,200")]
const CHUNK_BYTES: usize = CHUNK_MS as usize * BYTES_PER_MS;

/// How far cancellable audio goes out ahead of its time, in bytes: three chunks.
const AHEAD_BYTES: usize = 3 * CHUNK_BYTES;

/// How many prompts may wait. We refuse further ones.
const MAX_WAITING_PROMPTS: usize = 64;

/// How much of the agent's audio may wait, in bytes of mu-law: 17 minutes. We refuse more.
pub const MAX_WAITING_BYTES: usize = 8 << 20;

/// The playout of one call.
#[derive(Debug)]
pub(super) struct Playback {
    sent: Sent,
    waiting: VecDeque<Waiting>,
    next_fetch: FetchId,
    /// Whether nothing follows. Then the last chunk gets its mark.
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
    /// Milliseconds that the caller has heard since the playout began.
    pub(super) played_ms: u64,
    /// Milliseconds that were queued but not heard.
    pub(super) cut_ms: u64,
}

/// When something happens to the playout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: CallTime,
    /// How much of the caller's audio has come.
    pub(super) position: Position,
}

/// An output of the playout.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PlaybackOutput {
    Twilio(TwilioMessage),
    Fetch(FetchId, String),
    /// The first audio of that turn's answer was sent.
    Begins(TurnId),
    /// A prompt could not be played.
    Refused(String),
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

    /// The next output, or `None` if there is none left.
    pub(super) fn poll_output(&mut self) -> Option<PlaybackOutput> {
        self.sent.outputs.pop_front()
    }

    /// Whether anything is queued here or at Twilio.
    pub(super) fn is_playing(&self) -> bool {
        self.sent.is_sounding() || !self.waiting.is_empty()
    }

    /// Where the current playout began in the caller's audio. `None` if it has not begun to sound.
    pub(super) fn began_position(&self) -> Option<Position> {
        self.sent.began().filter(|_| self.is_playing())
    }

    /// Milliseconds still to be played, by the clock. Audio that must be fetched does not count.
    pub(super) fn remaining_ms(&self, now: CallTime) -> u64 {
        let waiting = self.waiting_bytes();
        self.sent.remaining_ms(now) + (waiting / BYTES_PER_MS) as u64
    }

    /// Milliseconds until the last audio without barge-in has been played.
    pub(super) fn protected_ms(&self, now: CallTime) -> u64 {
        match self.waiting.iter().rposition(|waiting| !waiting.kind().interruptible) {
            None => self.sent.protected_ms(now),
            Some(last) => {
                let bytes: usize = self.waiting.iter().take(last + 1).map(Waiting::known_bytes).sum();
                self.sent.remaining_ms(now) + (bytes / BYTES_PER_MS) as u64
            }
        }
    }

    /// Whether all queued audio allows barge-in.
    pub(super) fn is_interruptible(&self) -> bool {
        self.sent.is_interruptible() && self.waiting.iter().all(|waiting| waiting.kind().interruptible)
    }

    /// Whether any queued audio must be heard before the caller's speech counts. Audio that plays only until an answer
    /// comes does not count.
    pub(super) fn is_protected(&self) -> bool {
        self.sent.is_protected() || self.waiting.iter().any(|waiting| waiting.kind().is_protected())
    }

    /// When we stop waiting for the last mark.
    pub(super) fn mark_deadline(&self) -> Option<CallTime> {
        self.sent.mark_deadline()
    }

    /// Whether any audio must still be fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.fetch().is_some())
    }

    /// Whether any audio of that turn's answer is not sent yet.
    pub(super) fn waits_for(&self, turn: TurnId) -> bool {
        self.waiting.iter().any(|waiting| waiting.kind().turn == Some(turn))
    }

    /// The fetch that holds back everything else.
    pub(super) fn fetching(&self) -> Option<FetchId> {
        self.waiting.front().and_then(Waiting::fetch)
    }

    /// Queues a prompt of an answer after the others. Parts of one audio stream in the same coding join without a gap.
    /// Returns the milliseconds of audio that were sent or wait.
    pub(super) fn play(&mut self, prompt: &Prompt, turn: TurnId, moment: Moment) -> u64 {
        self.is_complete = false;
        let kind = Kind { turn: Some(turn), interruptible: prompt.interruptible, cancellable: prompt.cancellable };
        if let Some(uri) = &prompt.uri {
            self.fetch(uri, kind, moment);
            return 0;
        }
        if self.waiting.is_empty() && !prompt.cancellable {
            return self.convert(prompt.format, &prompt.audio, kind, moment);
        }
        let mut audio = Vec::new();
        self.finish_converter(moment);
        if let Err(error) = convert_whole(prompt.format, &prompt.audio, &mut audio) {
            self.refuse(error.to_string());
        }
        let ms = (audio.len() / BYTES_PER_MS) as u64;
        let waits = self.wait(Waiting::audio(audio, kind));
        self.pump(moment);
        if waits { ms } else { 0 }
    }

    /// Plays a filler, which any answer cuts. Does nothing if something is already playing.
    pub(super) fn play_filler(&mut self, audio: &[u8], moment: Moment) -> bool {
        if self.is_playing() {
            return false;
        }
        let kind = Kind { turn: None, interruptible: false, cancellable: true };
        self.wait(Waiting::audio(audio.to_vec(), kind));
        self.is_complete = true;
        self.pump(moment);
        true
    }

    /// An answer is complete: plays what the converter still holds and sends a mark after the last audio.
    pub(super) fn finish_answer(&mut self, moment: Moment) {
        self.is_complete = true;
        self.finish_converter(moment);
        self.pump(moment);
    }

    /// Audio was fetched, or could not be. Nothing is played if nobody waits for it.
    pub(super) fn fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>, moment: Moment) {
        let Some(place) = self.waiting.iter().position(|waiting| waiting.fetch() == Some(id)) else { return };
        let kind = self.waiting[place].kind();
        let mut mulaw = Vec::new();
        let fault = match audio {
            // An address does not tell the coding. Without a header the bytes could be a web page, which would play as
            // noise.
            Ok(audio) if !is_wav(audio) => Some("the audio that the agent names is no WAV".to_owned()),
            Ok(audio) => convert_whole(AudioFormat::TELEPHONE, audio, &mut mulaw).err().map(|error| error.to_string()),
            Err(why) => Some(why.to_owned()),
        };
        let too_long = self.too_long(mulaw.len());
        if too_long.is_some() {
            mulaw = Vec::new();
        }
        if let Some(why) = fault.or(too_long) {
            self.refuse(why);
        }
        self.waiting[place] = Waiting::audio(mulaw, kind);
        self.pump(moment);
    }

    /// A mark came back.
    pub(super) fn on_mark(&mut self, name: MarkName, moment: Moment) -> ReturnedMark {
        let back = self.sent.on_mark(name);
        self.after_marks(back, moment)
    }

    /// The last mark has not come in time: all audio that was sent counts as heard.
    pub(super) fn give_up_marks(&mut self, moment: Moment) -> ReturnedMark {
        let back = self.sent.give_up_marks();
        self.after_marks(back, moment)
    }

    fn after_marks(&mut self, back: ReturnedMark, moment: Moment) -> ReturnedMark {
        self.pump(moment);
        match back {
            ReturnedMark::AllPlayed { first_of } if self.is_playing() => ReturnedMark::Played { first_of },
            other @ (ReturnedMark::Played { .. } | ReturnedMark::AllPlayed { .. } | ReturnedMark::Nothing) => other,
        }
    }

    /// Drops all audio that is queued here and at Twilio, and resets the converter. Sends the `clear` even if nothing
    /// waits here, because Twilio's queue holds the audio.
    pub(super) fn clear(&mut self) -> Cut {
        let waiting = self.waiting_bytes();
        self.waiting.clear();
        self.converter = None;
        let (heard, cut) = self.sent.clear();
        self.sent.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Clear));
        Cut { played_ms: (heard / BYTES_PER_MS) as u64, cut_ms: ((cut + waiting) / BYTES_PER_MS) as u64 }
    }

    /// A later response has come: drops the audio that it cuts. Audio at Twilio goes with a `clear` if nothing else is
    /// queued there. Otherwise it plays on, and it is short. Returns how many milliseconds were cut.
    pub(super) fn cancel(&mut self, moment: Moment) -> u64 {
        let is_cancelled = |waiting: &Waiting| waiting.kind().cancellable;
        let dropped: usize =
            self.waiting.iter().filter(|waiting| is_cancelled(waiting)).map(Waiting::known_bytes).sum();
        self.waiting.retain(|waiting| !is_cancelled(waiting));
        let mut cut = dropped;
        if self.sent.is_all_cancellable() {
            self.converter = None;
            cut += self.sent.clear().1;
            self.sent.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Clear));
        }
        self.pump(moment);
        (cut / BYTES_PER_MS) as u64
    }

    /// Milliseconds that the caller has heard since the playout began.
    pub(super) fn played_ms(&self) -> u64 {
        self.sent.played_ms()
    }

    fn fetch(&mut self, uri: &str, kind: Kind, moment: Moment) {
        self.finish_converter(moment);
        let id = self.next_fetch;
        self.next_fetch = id.next();
        if self.wait(Waiting::Fetch { id, kind }) {
            self.sent.outputs.push_back(PlaybackOutput::Fetch(id, uri.to_owned()));
        }
    }

    fn wait(&mut self, waiting: Waiting) -> bool {
        // Nothing joins the audio that was sent before.
        self.sent.mark_open_chunk();
        let fault = if self.waiting.len() >= MAX_WAITING_PROMPTS {
            Some(format!("{MAX_WAITING_PROMPTS} prompts wait already"))
        } else {
            self.too_long(waiting.kept_bytes())
        };
        let has_room = fault.is_none();
        match fault {
            Some(why) => self.refuse(why),
            None => self.waiting.push_back(waiting),
        }
        has_room
    }

    /// Why `bytes` more of audio may not wait; `None` if they may.
    fn too_long(&self, bytes: usize) -> Option<String> {
        let kept: usize = self.waiting.iter().map(Waiting::kept_bytes).sum();
        let minutes = MAX_WAITING_BYTES / (60_000 * BYTES_PER_MS);
        (kept + bytes > MAX_WAITING_BYTES).then(|| format!("{minutes} minutes of audio wait already"))
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Waiting::known_bytes).sum()
    }

    fn refuse(&mut self, why: String) {
        self.sent.outputs.push_back(PlaybackOutput::Refused(why));
    }

    /// Sends the waiting audio that can go out.
    fn pump(&mut self, moment: Moment) {
        while let Some(front) = self.waiting.front_mut() {
            match front {
                Waiting::Fetch { .. } => {
                    self.sent.mark_open_chunk();
                    break;
                }
                Waiting::Audio { audio, at, kind } => {
                    let room = if kind.cancellable {
                        AHEAD_BYTES.saturating_sub(self.sent.unplayed_bytes()).next_multiple_of(CHUNK_BYTES)
                    } else {
                        usize::MAX
                    };
                    if room == 0 {
                        self.sent.mark_open_chunk();
                        break;
                    }
                    let end = audio.len().min(at.saturating_add(room));
                    self.sent.queue(&audio[*at..end], *kind, moment);
                    *at = end;
                    if end < audio.len() {
                        break;
                    }
                }
            }
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() && self.is_complete {
            self.sent.mark_open_chunk();
        }
    }

    fn convert(&mut self, format: AudioFormat, audio: &[u8], kind: Kind, moment: Moment) -> u64 {
        // A WAV does not join the audio before it, whose header may have left its length open.
        let is_wav = audio.starts_with(b"RIFF");
        if self.converter.as_ref().is_some_and(|converter| is_wav || converter.declared != format) {
            self.finish_converter(moment);
        }
        let converter =
            self.converter.get_or_insert_with(|| Converter { declared: format, to_mulaw: ToMulaw::new(format), kind });
        converter.kind = kind;
        let mut mulaw = Vec::new();
        if let Err(error) = converter.to_mulaw.push(audio, &mut mulaw) {
            self.refuse(error.to_string());
        }
        self.sent.queue(&mulaw, kind, moment);
        (mulaw.len() / BYTES_PER_MS) as u64
    }

    fn finish_converter(&mut self, moment: Moment) {
        let Some(mut converter) = self.converter.take() else { return };
        let mut tail = Vec::new();
        if let Err(error) = converter.to_mulaw.finish(&mut tail) {
            self.refuse(error.to_string());
        }
        self.sent.queue(&tail, converter.kind, moment);
    }
}

fn convert_whole(format: AudioFormat, audio: &[u8], mulaw: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let mut to_mulaw = ToMulaw::new(format);
    to_mulaw.push(audio, mulaw)?;
    to_mulaw.finish(mulaw)
}

#[cfg(test)]
mod tests;
