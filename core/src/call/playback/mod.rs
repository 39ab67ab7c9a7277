//! What the caller hears: which audio is queued at Twilio, how much of it was heard, and what a `clear` cuts off.
//!
//! ```text
//! Silent --media--> Playing --last mark back, or timeout--> Silent
//!                   Playing --clear--> Silent, and the epoch grows by one
//! ```
//!
//! The state is not stored. Something is playing while a mark is still out for queued audio, or audio waits here.
//!
//! Audio goes to Twilio a few seconds ahead of its time (`sent`), and the rest waits here (`waiting`). So an answer may
//! be as long as it likes, and a `clear` does not have to catch up with a long queue. A mark follows each [`CHUNK_MS`]
//! of audio. Twilio returns a mark when it has played all audio before it. After a `clear`, Twilio returns all marks at
//! once. So a mark's name holds the number of `clear`s before it, the epoch: audio before a mark of an old epoch was
//! not heard.
//!
//! Audio that must be fetched holds back everything after it. What the agent sends becomes mu-law in slices
//! (`prompt_audio`), because all calls share a thread.

mod agent_voice;
mod prompt_audio;
mod sent;
mod waiting;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::agent::Prompt;
use crate::audio::wav::is_wav;
use crate::audio::{AudioFormat, BYTES_PER_MS, Position};
use crate::call::Timer;
use crate::ids::{FetchId, MarkName, TurnId};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

use agent_voice::AgentVoice;
pub(super) use agent_voice::FirstWord;
use prompt_audio::{Length, PromptAudio};
use sent::{Kind, Sent};
use waiting::Waiting;

pub(super) use sent::ReturnedMark;

/// Audio between two marks, in milliseconds. We know the played time only to this precision.
pub const CHUNK_MS: u64 = 400;

#[expect(clippy::cast_possible_truncation, reason = "3,200")]
const CHUNK_BYTES: usize = CHUNK_MS as usize * BYTES_PER_MS;

/// How much of the agent's audio is converted at once, in bytes of linear audio: some 30 microseconds of work. Fifty
/// calls may have a long answer at the same time.
const SLICE_BYTES: usize = 32 * 1024;

/// How many prompts may wait. We refuse further ones.
const MAX_WAITING_PROMPTS: usize = 64;

/// The playout of one call.
#[derive(Debug)]
pub(super) struct Playback {
    sent: Sent,
    voice: AgentVoice,
    waiting: VecDeque<Waiting>,
    /// How much audio may wait, in milliseconds: by the settings, and by the driver.
    max_waiting_ms: u64,
    driver_room_ms: u64,
    /// Whether we have reported that audio was cut because too much waits.
    is_cut_reported: bool,
    next_fetch: FetchId,
    /// Whether nothing follows. Then the last chunk gets its mark.
    is_complete: bool,
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
    /// The audio that was sent last has the first word of an answer whose lead the caller has heard.
    FirstWord(FirstWord),
    /// A prompt could not be played.
    Refused(String),
}

impl Playback {
    /// A playout in which at most `max_waiting_ms` of audio wait.
    pub(super) fn new(max_waiting_ms: u64) -> Self {
        Self {
            sent: Sent::default(),
            voice: AgentVoice::default(),
            waiting: VecDeque::new(),
            max_waiting_ms,
            driver_room_ms: u64::MAX,
            is_cut_reported: false,
            next_fetch: FetchId(1),
            is_complete: true,
        }
    }

    /// The next output, or `None` if there is none left. Finds where the agent begins to speak in the audio that goes
    /// out.
    pub(super) fn poll_output(&mut self, now: CallTime) -> Option<PlaybackOutput> {
        let output = self.sent.outputs.pop_front()?;
        if let PlaybackOutput::Twilio(TwilioMessage::Media(audio)) = &output
            && let Some(first) = self.voice.sent(self.began_position(), audio, now)
        {
            self.sent.outputs.push_front(PlaybackOutput::FirstWord(first));
        }
        Some(output)
    }

    /// Whether anything is queued here or at Twilio.
    pub(super) fn is_playing(&self) -> bool {
        self.sent.is_sounding() || self.is_waiting()
    }

    /// Where the current playout began in the caller's audio. `None` if it has not begun to sound.
    pub(super) fn began_position(&self) -> Option<Position> {
        self.sent.began().filter(|_| self.is_playing())
    }

    /// Where the agent begins to speak in it. `None` if it has not said anything.
    pub(super) fn speech_began(&self) -> Option<Position> {
        self.voice.began(self.began_position()?)
    }

    /// Whether the agent has spoken in the last playout.
    pub(super) fn has_spoken(&self) -> bool {
        self.voice.has_begun()
    }

    /// Whether the caller hears the agent, or will as soon as what is queued has played. Audio in which nobody has
    /// spoken yet does not count.
    pub(super) fn is_speaking(&self) -> bool {
        let is_lead = self.began_position().is_some() && self.speech_began().is_none();
        self.is_playing() && !is_lead
    }

    /// The caller has heard a turn's audio since then. Returns when he hears its first word, if that is known.
    pub(super) fn note_heard(&mut self, turn: TurnId, since: CallTime) -> Option<FirstWord> {
        self.voice.heard(turn, since)
    }

    /// Milliseconds still to be played, by the clock. Audio that must be fetched does not count.
    pub(super) fn remaining_ms(&self, now: CallTime) -> u64 {
        self.sent.remaining_ms(now) + self.waiting_ms()
    }

    /// Milliseconds until the last audio without barge-in has been played.
    pub(super) fn protected_ms(&self, now: CallTime) -> u64 {
        match self.waiting.iter().rposition(|waiting| !waiting.kind().interruptible && waiting.is_unsent()) {
            None => self.sent.protected_ms(now),
            Some(last) => {
                let bytes: usize = self.waiting.iter().take(last + 1).map(Waiting::unsent_bytes).sum();
                self.sent.remaining_ms(now) + (bytes / BYTES_PER_MS) as u64
            }
        }
    }

    /// Whether all queued audio allows barge-in.
    pub(super) fn is_interruptible(&self) -> bool {
        self.sent.is_interruptible() && self.unsent().all(|waiting| waiting.kind().interruptible)
    }

    /// Whether any queued audio must be heard before the caller's speech counts. Audio that plays only until an answer
    /// comes does not count.
    pub(super) fn is_protected(&self) -> bool {
        self.sent.is_protected() || self.unsent().any(|waiting| waiting.kind().is_protected())
    }

    /// When something is to be done, and why.
    pub(super) fn deadline(&self) -> Option<(CallTime, Timer)> {
        let convert = self.waiting.iter().find_map(|waiting| match waiting {
            Waiting::Audio(audio) => audio.converts_since(),
            Waiting::Fetch { .. } => None,
        });
        let send = match self.waiting.front() {
            Some(Waiting::Audio(audio)) if !audio.unsent().is_empty() => Some(self.sent.refill_at(audio.kind())),
            Some(Waiting::Audio(_) | Waiting::Fetch { .. }) | None => None,
        };
        let mark = self.sent.mark_deadline().map(|at| (at, Timer::MarkTimeout));
        convert.into_iter().chain(send).map(|at| (at, Timer::Playout)).chain(mark).min()
    }

    /// Whether any audio must still be fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.fetch().is_some())
    }

    /// Whether any audio of that turn's answer is not sent yet.
    pub(super) fn waits_for(&self, turn: TurnId) -> bool {
        self.unsent().any(|waiting| waiting.kind().turn == Some(turn))
    }

    /// The fetch that holds back everything else.
    pub(super) fn fetching(&self) -> Option<FetchId> {
        self.waiting.front().and_then(Waiting::fetch)
    }

    /// Queues a prompt of an answer after the others. Parts of one audio stream in the same coding join without a gap.
    /// Returns the milliseconds of audio that were sent or wait.
    pub(super) fn play(&mut self, prompt: Prompt, turn: TurnId, moment: Moment) -> u64 {
        self.is_complete = false;
        let kind = Kind { turn: Some(turn), interruptible: prompt.interruptible, cancellable: prompt.cancellable };
        if let Some(uri) = prompt.uri {
            self.fetch(uri, kind, moment);
            return 0;
        }
        let length = self.add(prompt.format, prompt.audio, kind, moment.now);
        self.report_cut(length.cut_ms);
        self.pump(moment);
        length.ms
    }

    /// Plays a filler, which any answer cuts. Does nothing if something is already playing.
    pub(super) fn play_filler(&mut self, audio: &[u8], moment: Moment) -> bool {
        if self.is_playing() {
            return false;
        }
        let kind = Kind { turn: None, interruptible: false, cancellable: true };
        self.wait(Waiting::Audio(Box::new(PromptAudio::mulaw(audio.to_vec(), kind))));
        self.is_complete = true;
        self.pump(moment);
        true
    }

    /// An answer is complete: plays what the converter still holds and sends a mark after the last audio.
    pub(super) fn finish_answer(&mut self, moment: Moment) {
        self.is_complete = true;
        self.complete_last();
        self.pump(moment);
    }

    /// Audio was fetched, or could not be. Nothing is played if nobody waits for it.
    pub(super) fn fetched(&mut self, id: FetchId, audio: Result<&[u8], &str>, moment: Moment) {
        let Some(place) = self.waiting.iter().position(|waiting| waiting.fetch() == Some(id)) else { return };
        let kind = self.waiting[place].kind();
        let bytes = match audio {
            // An address does not tell the coding. Without a header the bytes could be a web page, which would play as
            // noise.
            Ok(audio) if !is_wav(audio) => Err("the audio that the agent names is no WAV"),
            Ok(audio) => Ok(Bytes::copy_from_slice(audio)),
            Err(why) => Err(why),
        };
        match bytes {
            Err(why) => {
                self.refuse(why.to_owned());
                self.waiting.remove(place);
            }
            Ok(bytes) => {
                let room_ms = self.room_ms();
                let (mut fetched, length) = PromptAudio::new(AudioFormat::TELEPHONE, bytes, kind, moment.now, room_ms);
                fetched.complete();
                self.waiting[place] = Waiting::Audio(Box::new(fetched));
                self.report_cut(length.cut_ms);
            }
        }
        self.pump(moment);
    }

    /// A mark came back.
    pub(super) fn on_mark(&mut self, name: MarkName, moment: Moment) -> ReturnedMark {
        let back = self.sent.on_mark(name, moment.now);
        self.after_marks(back, moment)
    }

    /// A deadline may have passed. If the last mark has not come in time, all audio that was sent counts as heard.
    pub(super) fn on_timeout(&mut self, moment: Moment) -> ReturnedMark {
        match self.deadline().filter(|(at, _)| *at <= moment.now) {
            Some((_, Timer::MarkTimeout)) => {
                let back = self.sent.give_up_marks();
                self.after_marks(back, moment)
            }
            Some(_) => {
                self.pump(moment);
                ReturnedMark::Nothing
            }
            None => ReturnedMark::Nothing,
        }
    }

    fn after_marks(&mut self, back: ReturnedMark, moment: Moment) -> ReturnedMark {
        self.pump(moment);
        match back {
            ReturnedMark::AllPlayed { first_of } if self.is_playing() => ReturnedMark::Played { first_of },
            other @ (ReturnedMark::Played { .. } | ReturnedMark::AllPlayed { .. } | ReturnedMark::Nothing) => other,
        }
    }

    /// Drops all audio that is queued here and at Twilio. Sends the `clear` even if nothing waits here, because
    /// Twilio's queue holds the audio.
    pub(super) fn clear(&mut self) -> Cut {
        let waiting_ms = self.waiting_ms();
        self.waiting.clear();
        let (heard, cut) = self.sent.clear();
        self.sent.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Clear));
        Cut { played_ms: (heard / BYTES_PER_MS) as u64, cut_ms: (cut / BYTES_PER_MS) as u64 + waiting_ms }
    }

    /// A later response has come: drops the audio that it cuts. Audio at Twilio goes with a `clear` if nothing else is
    /// queued there. Otherwise it plays on, and it is short. Returns how many milliseconds were cut.
    pub(super) fn cancel(&mut self, moment: Moment) -> u64 {
        let before_ms = self.waiting_ms();
        self.waiting.retain(|waiting| !waiting.kind().cancellable);
        let mut cut_ms = before_ms - self.waiting_ms();
        if self.sent.is_all_cancellable() {
            cut_ms += (self.sent.clear().1 / BYTES_PER_MS) as u64;
            self.sent.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Clear));
        }
        self.pump(moment);
        cut_ms
    }

    /// Milliseconds that the caller has heard since the playout began.
    pub(super) fn played_ms(&self) -> u64 {
        self.sent.played_ms()
    }

    /// How much audio waits, in bytes of mu-law, as far as it is known.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Waiting::unsent_bytes).sum()
    }

    /// How much audio of that turn's answer waits, in bytes of mu-law, as far as it is known.
    pub(super) fn waiting_bytes_of(&self, turn: TurnId) -> usize {
        self.waiting.iter().filter(|waiting| waiting.kind().turn == Some(turn)).map(Waiting::unsent_bytes).sum()
    }

    /// At most so much audio waits from now on. What waits already stays.
    pub(super) fn set_max(&mut self, max_waiting_ms: u64) {
        self.max_waiting_ms = max_waiting_ms;
    }

    /// The driver says how much audio may wait.
    pub(super) fn set_room(&mut self, ms: u64) {
        self.driver_room_ms = ms;
    }

    fn add(&mut self, format: AudioFormat, bytes: Bytes, kind: Kind, now: CallTime) -> Length {
        let room_ms = self.room_ms();
        match self.waiting.back_mut() {
            Some(Waiting::Audio(last)) if last.is_continued_by(format, &bytes, kind) => last.add(bytes, now, room_ms),
            Some(Waiting::Audio(_) | Waiting::Fetch { .. }) | None => {
                let (audio, length) = PromptAudio::new(format, bytes, kind, now, room_ms);
                if self.wait(Waiting::Audio(Box::new(audio))) { length } else { Length::default() }
            }
        }
    }

    /// The number of the call's next fetch, whoever needs it.
    pub(super) fn new_fetch(&mut self) -> FetchId {
        self.next_fetch.take()
    }

    fn fetch(&mut self, uri: String, kind: Kind, moment: Moment) {
        let id = self.new_fetch();
        if self.wait(Waiting::Fetch { id, kind }) {
            self.sent.outputs.push_back(PlaybackOutput::Fetch(id, uri));
        }
        self.pump(moment);
    }

    /// Adds a prompt behind the others. Returns whether there was room.
    fn wait(&mut self, waiting: Waiting) -> bool {
        self.complete_last();
        let has_room = self.waiting.len() < MAX_WAITING_PROMPTS;
        if has_room {
            self.waiting.push_back(waiting);
        } else {
            self.refuse(format!("{MAX_WAITING_PROMPTS} prompts wait already"));
        }
        has_room
    }

    /// No further part of the last prompt comes.
    fn complete_last(&mut self) {
        if let Some(Waiting::Audio(last)) = self.waiting.back_mut() {
            last.complete();
        }
    }

    /// The prompts that are not sent yet.
    fn unsent(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().filter(|waiting| waiting.is_unsent())
    }

    fn is_waiting(&self) -> bool {
        self.unsent().next().is_some()
    }

    fn waiting_ms(&self) -> u64 {
        (self.waiting_bytes() / BYTES_PER_MS) as u64
    }

    fn limit_ms(&self) -> u64 {
        self.max_waiting_ms.min(self.driver_room_ms)
    }

    /// How much more audio may wait, in milliseconds.
    fn room_ms(&self) -> u64 {
        self.limit_ms().saturating_sub(self.waiting_ms())
    }

    /// Reports once that audio was cut, until audio fits again.
    fn report_cut(&mut self, cut_ms: u64) {
        let is_cut = cut_ms > 0;
        if is_cut && !self.is_cut_reported {
            self.refuse(format!("more than {} s of audio wait: the rest is cut", self.limit_ms() / 1_000));
        }
        self.is_cut_reported = is_cut;
    }

    fn refuse(&mut self, why: String) {
        self.sent.outputs.push_back(PlaybackOutput::Refused(why));
    }

    /// Converts a slice of what waits, and sends the audio that can go out.
    fn pump(&mut self, moment: Moment) {
        self.convert_slice();
        while let Some(front) = self.waiting.front_mut() {
            let Waiting::Audio(audio) = front else {
                self.sent.mark_open_chunk();
                break;
            };
            let bytes = audio.unsent().len().min(self.sent.room(audio.kind(), moment.now));
            self.sent.queue(&audio.unsent()[..bytes], audio.kind(), moment);
            audio.note_sent(bytes);
            if !audio.is_used_up() {
                break;
            }
            self.waiting.pop_front();
        }
        if self.is_complete && !self.is_waiting() {
            self.sent.mark_open_chunk();
        }
    }

    fn convert_slice(&mut self) {
        let mut left = SLICE_BYTES;
        let mut faults = Vec::new();
        for waiting in &mut self.waiting {
            let Waiting::Audio(audio) = waiting else { continue };
            match audio.convert(left) {
                Ok(cost) => left = left.saturating_sub(cost),
                Err(error) => faults.push(error.to_string()),
            }
            if left == 0 {
                break;
            }
        }
        faults.into_iter().for_each(|why| self.refuse(why));
    }
}

#[cfg(test)]
mod tests;
