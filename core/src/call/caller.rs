//! What the call hears of the caller: his audio, the voice in it, and what a stream did not hear of it.

use crate::agent::{Matched, Transcript};
use crate::audio::voice::VoiceDetector;
use crate::audio::{BYTES_PER_MS, Position, bytes};
use crate::report::EndFoundBy;
use crate::time::CallTime;

use super::caller_audio::{CallerAudio, MAX_KEPT_MS};
use super::speech_in_flight::{PRE_ROLL, SpeechInFlight};
use super::streams::{Heard, StreamWatchdog};
use super::utterance::TurnAudio;

/// The longest pause inside what a caller says, in milliseconds. A recogniser may wait as long for more of it.
const PAUSE_IN_SPEECH_MS: u64 = 1_000;

/// How long before the first digit a voice must have begun to count as speech, in bytes of audio. A later one may be
/// the digit's own tone.
pub(super) const TONE: Position = 800;

/// How long the words of a voice may be on their way, in milliseconds: until then the agent may send a transcript.
pub(super) const UNDERSTOOD_MS: u64 = 2_000;

/// The caller's side of a call, as we hear it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) audio: CallerAudio,
    pub(super) voice: VoiceDetector,
    in_flight: SpeechInFlight,
}

impl Default for Caller {
    fn default() -> Self {
        let voice = VoiceDetector::new(bytes(MAX_KEPT_MS as u64));
        Self { audio: CallerAudio::default(), voice, in_flight: SpeechInFlight::default() }
    }
}

impl Caller {
    /// When that position of his audio came in.
    pub(super) fn time_of(&self, position: Position, now: CallTime) -> CallTime {
        now - self.audio.received().saturating_sub(position) / BYTES_PER_MS as u64
    }

    /// What is known of the audio that the stream has heard.
    pub(super) fn audio_of(&self, heard: &Heard, now: CallTime) -> TurnAudio {
        let voice_onset = self.voice.onset_since(heard.began);
        TurnAudio { turn_began: heard.began, written: self.audio.written(), voice_onset, now }
    }

    /// Whether he speaks, or pauses in what he says.
    pub(super) fn is_in_speech(&self) -> bool {
        let recent = self.audio.received().saturating_sub(bytes(PAUSE_IN_SPEECH_MS));
        self.voice.end_since(recent).is_some()
    }

    /// For a stream that opens now. Speech that already waits for it counts like speech that follows.
    pub(super) fn watchdog_at_opening(&self) -> StreamWatchdog {
        let written = self.audio.written();
        let waiting = self.voice.first_onset_since(written);
        waiting.map_or_else(StreamWatchdog::default, |onset| StreamWatchdog::of_speech(onset.max(written)))
    }

    /// The listening stream got all that waited. Of what it got, keeps what another stream may have to get again.
    pub(super) fn wrote(&mut self, heard: &Heard, now: CallTime) {
        let written = self.audio.written();
        self.in_flight.wrote(written, now);
        if heard.utterance.is_empty() {
            let in_flight = self.in_flight.on_its_way(written).start;
            self.audio.keep_pre_roll(heard.speech_from().map_or(in_flight, |speech| speech.min(in_flight)));
        }
    }

    /// A transcript came, or the words in an answer.
    pub(super) fn note_understood(&mut self, transcript: &Transcript) {
        self.in_flight.understand(transcript, self.audio.written());
    }

    /// The agent answers.
    pub(super) fn note_matched(&mut self, matched: Matched) {
        self.in_flight.note_matched(matched);
    }

    /// The agent has ended the utterance. It says where the speech ends, if it knows.
    pub(super) fn note_end_by_agent(&mut self, end_ms: Option<u64>) {
        self.in_flight.end_by_agent(end_ms, self.audio.written());
    }

    /// The utterance is over, and so is its stream for his audio.
    pub(super) fn note_end_found(&mut self, found_by: EndFoundBy) {
        self.in_flight.end_found(found_by);
        self.keep_in_flight();
    }

    /// The open stream gets no more audio. What it may not have heard is kept for the next one.
    pub(super) fn keep_in_flight(&mut self) {
        let from = self.in_flight.end(self.audio.written());
        self.audio.hold(Some(from));
    }

    /// A stream opens that gets his audio: it begins with what the last one did not hear. Returns how much that is, in
    /// milliseconds.
    pub(super) fn resend_in_flight(&mut self, now: CallTime) -> u64 {
        let unheard = self.in_flight.unheard_from(self.voice.stretches(), self.audio.written());
        let bytes = unheard.map_or(0, |from| self.audio.rewind_to(from));
        self.audio.hold(None);
        self.audio.forget_written();
        self.in_flight.listens(self.audio.written(), now);
        bytes / BYTES_PER_MS as u64
    }

    /// The agent answers. Keeps what he says that it cannot have answered, unless the stream got no more before that.
    pub(super) fn keep_unanswered(&mut self) {
        if self.in_flight.is_kept() {
            return;
        }
        let from = self.in_flight.end_by_answer(self.voice.stretches(), self.audio.written());
        self.audio.hold(from);
    }

    /// The next turn of a stream that goes on begins.
    pub(super) fn turn_over(&mut self) {
        self.in_flight.turn_over();
    }

    /// The open stream ends before he has finished what he says: queues that for the next one, from that position on. A
    /// key's tone is no speech.
    pub(super) fn resend_current_speech(&mut self, from: Position) {
        if let Some(onset) = self.voice.speaking_since().filter(|onset| onset + TONE < self.audio.received()) {
            self.audio.rewind_to(onset.saturating_sub(PRE_ROLL).max(from));
        }
    }

    /// Queues what he said since the agent's last answer, so that the next stream gets it too. `is_understood`: there
    /// are words to which the agent has not answered. Returns its bytes.
    pub(super) fn resend_speech(&mut self, is_understood: bool) -> u64 {
        if self.in_flight.is_kept() {
            return 0;
        }
        let is_voice = self.voice.is_voice_in(self.audio.kept_from()..self.audio.written());
        if is_voice || is_understood { self.audio.rewind() } else { 0 }
    }
}
