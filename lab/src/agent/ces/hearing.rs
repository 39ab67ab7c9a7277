//! How a stream hears the caller's audio, which runs for the whole call. It sends transcripts while the caller speaks,
//! and answers when the utterance is over. Speech into an answer interrupts the answer.

use bytes::Bytes;
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tokio::time::Instant;
use tonic::Status;

use ces::bidi_session_server_message::MessageType;

use crate::agent::ces::answer::bytes_of;
use crate::agent::ces::live::Live;
use crate::agent::conversation::CallerInput;
use crate::agent::listening::Words;
use crate::agent::script::Fault;
use crate::agent::voice_detector::{Noticed, VoiceDetector};

impl Live {
    /// Hears audio, ten milliseconds at a time.
    pub(super) fn hear(&mut self, audio: &Bytes, now: Instant) -> Result<(), Status> {
        let Some((mut vad, format)) = self.vad.take().zip(self.opened.input) else { return Ok(()) };
        for window in audio.chunks(vad.window_bytes()) {
            // While the caller may not interrupt, the agent does not listen.
            let is_deaf = self.is_protected && now < self.playing_until;
            let noticed = if is_deaf { vad.hear(&silence(window.len(), format)) } else { vad.hear(window) };
            if vad.is_speaking() {
                self.silent_ms = 0;
                self.interrupt(now);
                self.expect_words();
            }
            for noticed in noticed {
                if let Some((words, _)) = &mut self.words {
                    words.note(&vad);
                }
                self.notice(noticed, &mut vad);
            }
            self.check_break(&mut vad, now);
        }
        self.vad = Some(vad);
        self.prompt(audio.len(), format, now);
        self.run(now)
    }

    fn notice(&mut self, noticed: Noticed, vad: &mut VoiceDetector) {
        match noticed {
            Noticed::Speech { spoken_ms, .. } if self.script().interim => {
                self.expect_words();
                let transcript = self.transcript(spoken_ms, false);
                self.send(MessageType::RecognitionResult(ces::RecognitionResult { transcript }));
            }
            Noticed::EndOfUtterance { spoken_ms, .. } => {
                self.utterance(spoken_ms);
                vad.start_utterance();
            }
            Noticed::Speech { .. } | Noticed::NoSpeech => {}
        }
    }

    fn expect_words(&mut self) {
        if self.words.is_none() {
            let next = self.serving.sessions.conversations.next_utterance(&self.opened.name);
            let own = self.serving.sessions.conversations.own_words(&self.opened.name);
            self.words = Some((Words::of(next.as_ref(), own), next));
        }
    }

    /// The text of this utterance so far.
    fn transcript(&self, spoken_ms: u64, is_whole: bool) -> String {
        let words = self.words.as_ref().map(|(words, _)| words.text(spoken_ms, is_whole)).unwrap_or_default();
        let parts = [self.fragment.as_str(), &words];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The utterance is over; text that was waiting joins it.
    pub(super) fn utterance(&mut self, spoken_ms: u64) {
        self.expect_words();
        let transcript = self.transcript(spoken_ms, true);
        (self.words, self.fragment) = (None, String::new());
        self.send(MessageType::RecognitionResult(ces::RecognitionResult { transcript: transcript.clone() }));
        self.said(CallerInput::Utterance { transcript });
    }

    /// Breaks the stream if the script wants that before the utterance is over.
    fn check_break(&mut self, vad: &mut VoiceDetector, now: Instant) {
        let Some((spoken_ms, _)) = vad.spoken() else { return };
        let next = self.words.as_ref().and_then(|(_, next)| next.as_ref());
        let planned = next.filter(|next| next.fault_after_ms.is_some_and(|after_ms| spoken_ms >= after_ms));
        let broken = planned
            .and_then(|next| next.fault.filter(|fault| fault.fails_stream()).map(Fault::as_break).or(next.breaks));
        if let Some(broken) = broken {
            let transcript = self.transcript(spoken_ms, true);
            self.serving.sessions.conversations.answer(&self.opened.name, &CallerInput::Utterance { transcript });
            self.words = None;
            vad.start_utterance();
            self.break_stream(broken, now);
        }
    }

    /// Speaks to a caller who has been silent for long.
    fn prompt(&mut self, bytes: usize, format: AudioFormat, now: Instant) {
        let is_quiet = now >= self.playing_until && self.turn.is_none() && self.pending.is_empty();
        let limit_ms = self.script().no_speech_ms;
        if limit_ms == 0 || !is_quiet || self.serving.state.turn(&self.opened.name) == 0 {
            self.silent_ms = 0;
            return;
        }
        self.silent_ms += bytes as u64 * 1000 / bytes_of(1000, format) as u64;
        if self.silent_ms >= limit_ms {
            self.silent_ms = 0;
            self.said(CallerInput::Nothing);
        }
    }

    /// The caller speaks: the answer that is playing stops.
    fn interrupt(&mut self, now: Instant) {
        if now >= self.playing_until || self.is_protected {
            return;
        }
        self.playing_until = now;
        self.send(MessageType::InterruptionSignal(ces::InterruptionSignal { barge_in: true }));
        self.drop_speech();
    }
}

fn silence(bytes: usize, format: AudioFormat) -> Vec<u8> {
    let code = match format.encoding {
        Encoding::Mulaw => 0xFF,
        Encoding::Alaw => 0xD5,
        Encoding::Linear16 => 0,
    };
    vec![code; bytes]
}
