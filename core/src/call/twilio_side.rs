//! What Twilio's messages do to a call.

use crate::agent::{AgentCommand, MAX_AUDIO_BYTES};
use crate::audio::BYTES_PER_MS;
use crate::call::Call;
use crate::call::lifecycle::Lifecycle;
use crate::call::streams::{AtLimit, Rotation};
use crate::call::timer::Timer;
use crate::error::{InputError, PeerFault};
use crate::ids::{CallSid, MarkName, StreamSid};
use crate::report::{BargeInBy, CloseReason, EndFoundBy, Report};
use crate::twilio::{self, Inbound, Media, Start};

/// The longest name of an unknown event that is reported, in characters.
const EVENT_NAME_CHARS: usize = 40;

/// How long before a stream's audio limit we cut off even a caller who is speaking, in milliseconds.
const LAST_MOMENT_MS: u64 = 2_000;

impl Call {
    pub(super) fn on_twilio(&mut self, text: &str) -> Result<(), InputError> {
        let is_started = !matches!(self.lifecycle, Lifecycle::AwaitingStart { .. });
        match twilio::parse(text)? {
            Inbound::Connected => {}
            Inbound::Start(_) if is_started => return Err(PeerFault::SecondStart.into()),
            Inbound::Start(start) => {
                let (call_sid, stream_sid) = ids_of(&start)?;
                self.on_started(call_sid, stream_sid, *start);
            }
            Inbound::Stop => self.close(CloseReason::Stop),
            Inbound::Unknown { event } => {
                self.outputs.report(Report::UnknownEvent { event: event.chars().take(EVENT_NAME_CHARS).collect() });
            }
            Inbound::Media(_) | Inbound::Mark { .. } | Inbound::Dtmf(_) if !is_started => {
                return Err(PeerFault::BeforeStart.into());
            }
            Inbound::Media(media) => self.on_media(&media)?,
            Inbound::Mark { name } => {
                if let Some(name) = MarkName::parse(&name) {
                    let back = self.playback.on_mark(name, self.moment());
                    self.poll_playback();
                    self.on_played(back, true);
                }
            }
            Inbound::Dtmf(dtmf) => self.on_digit(dtmf.digit),
        }
        Ok(())
    }

    fn on_media(&mut self, media: &Media<'_>) -> Result<(), InputError> {
        if !media.is_inbound {
            return Ok(());
        }
        let decoded = media.decode(&mut self.frame);
        if decoded.is_ok() {
            self.on_frame();
        }
        self.frame.clear();
        Ok(decoded?)
    }

    /// The caller's audio of 20 ms is in `frame`.
    fn on_frame(&mut self) {
        if !self.lifecycle.is_active() {
            self.caller.audio.ignore(&self.frame);
            return;
        }
        // A recogniser that cannot be told of a prompt without barge-in gets silence while it plays. Otherwise what the
        // caller says meanwhile would be the next turn.
        if !self.config.knows_prompts && self.playback.is_protected() {
            self.caller.audio.withhold(&mut self.frame);
        }
        self.caller.voice.push(self.caller.audio.received(), &self.frame);
        if self.playback.is_playing() || self.caller.voice.is_speaking() {
            self.guard.echo.add_frame(self.caller.audio.received(), &self.frame);
        }
        self.end_rules.note_voice(&self.caller.voice, self.caller.audio.received(), self.now);
        let dropped = self.caller.audio.push(&self.frame);
        if dropped > 0 {
            self.outputs.report(Report::AudioDropped { ms: dropped / BYTES_PER_MS as u64 });
        }
        // Before the write, because what a stream gets in its last moment may not arrive.
        self.rotate();
        self.write_audio();
        self.check_stalled_stream();
        self.check_end_of_utterance();
        let turn = self.streams.listening().map(|(open, _)| open.turn);
        self.check_barge_in(BargeInBy::Voice, turn);
    }

    /// Frames do not re-arm this timer. When it fires, we check when the last message came.
    pub(super) fn on_frames_timeout(&mut self) {
        let deadline = self.last_twilio_message + self.config.timeouts.frames_ms;
        if deadline <= self.now {
            self.close(CloseReason::NoFrames);
        } else {
            self.timers.set(Timer::FramesTimeout, deadline);
        }
    }

    /// Writes all audio that no stream has had to the listening stream.
    pub(super) fn write_audio(&mut self) {
        let Some((open, heard)) = self.streams.listening() else { return };
        while let Some(audio) = self.caller.audio.take_unwritten(MAX_AUDIO_BYTES) {
            self.outputs.agent(open.stream, AgentCommand::Audio(audio));
        }
        self.caller.wrote(heard, self.now);
        self.tell_speech(self.caller.is_in_speech());
    }

    /// Tells the stream whether the caller speaks, if it does not know.
    pub(super) fn tell_speech(&mut self, speaks: bool) {
        if let Some(stream) = self.streams.note_speech(speaks) {
            self.outputs.agent(stream, AgentCommand::CallerSpeaks(speaks));
        }
    }

    /// The agent takes only so much audio in one stream. If the caller is silent, a new stream takes over. If he is
    /// speaking, we wait for a pause as long as there is time.
    fn rotate(&mut self) {
        let Some((open, heard)) = self.streams.listening() else { return };
        let audio_ms = (self.caller.audio.written() - heard.began) / BYTES_PER_MS as u64;
        let limit = self.config.audio_limit_ms;
        if limit == 0 || audio_ms < limit.saturating_sub(self.config.rotation_margin_ms) {
            return;
        }
        let in_speech = !heard.utterance.is_empty() || self.caller.voice.is_speaking();
        let rotation = self.streams.at_limit(AtLimit {
            is_speaking: self.caller.voice.is_speaking(),
            is_playing: self.playback.is_playing(),
            is_last_moment: audio_ms >= limit.saturating_sub(LAST_MOMENT_MS),
        });
        if rotation != Rotation::GoOn {
            self.outputs.report(Report::Rotated { turn: open.turn, in_speech });
        }
        match rotation {
            Rotation::GoOn => {}
            Rotation::Cancel => {
                // A word that ended just now may have no transcript yet.
                self.caller.resend_speech(self.streams.has_unanswered_speech());
                self.cancel_turn();
            }
            Rotation::EndUtterance => self.end_utterance(EndFoundBy::AudioLimit),
            Rotation::Replace => self.replace_stream(),
        }
    }
}

/// The ids of a stream that can be used.
fn ids_of(start: &Start) -> Result<(CallSid, StreamSid), PeerFault> {
    let call_sid = CallSid::new(&start.call_sid).map_err(|_| PeerFault::BadIds)?;
    let stream_sid = StreamSid::new(&start.stream_sid).ok_or(PeerFault::BadIds)?;
    if start.media_format.is_telephone() { Ok((call_sid, stream_sid)) } else { Err(PeerFault::MediaFormat) }
}
