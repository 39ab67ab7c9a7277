//! The prompts as the caller hears them, and when: the media of a call as Twilio plays it.

use crate::audio::{BYTES_PER_MS, FRAME_BYTES};
use crate::call::Output;
use crate::replay::Replayed;
use crate::replay::caller::is_voice;
use crate::report::Report;
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// The media of a call, in order, each with the time at which it is heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HeardPrompts {
    media: Vec<Heard>,
    /// When prompts were cut, with the beginning of what was playing.
    cuts: Vec<(CallTime, CallTime)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Heard {
    sent: CallTime,
    from: CallTime,
    /// When it ends, or was cut.
    to: CallTime,
    /// The beginning of the prompt that it belongs to.
    prompt: CallTime,
    /// Its first frame that is as loud as a voice, in milliseconds from its beginning.
    voice_ms: Option<u64>,
}

impl HeardPrompts {
    pub(super) fn of(replayed: &Replayed) -> Self {
        let mut heard = Self::default();
        let first_audio = |(_, report): (CallTime, &Report)| {
            let Report::Stages(stages) = report else { return None };
            stages.first_audio_sent
        };
        let answers: Vec<CallTime> = replayed.reports().filter_map(first_audio).collect();
        for (at, output) in replayed.outputs() {
            let Output::Twilio(message) = output else { continue };
            match message {
                TwilioMessage::Media(audio) => heard.add(at, audio),
                TwilioMessage::Clear => heard.clear(at, &answers),
                TwilioMessage::Mark(_) => {}
            }
        }
        heard
    }

    fn add(&mut self, sent: CallTime, audio: &[u8]) {
        let before = self.media.last().filter(|last| last.to >= sent);
        let (from, prompt) = before.map_or((sent, sent), |last| (last.to, last.prompt));
        let to = from + (audio.len() / BYTES_PER_MS) as u64;
        let voice = audio.chunks(FRAME_BYTES).position(is_voice);
        let voice_ms = voice.map(|frame| (frame * FRAME_BYTES / BYTES_PER_MS) as u64);
        self.media.push(Heard { sent, from, to, prompt, voice_ms });
    }

    /// `answers`: when the first audio of each answer was sent.
    fn clear(&mut self, at: CallTime, answers: &[CallTime]) {
        if let Some(playing) = self.media.iter().find(|media| media.to > at) {
            // Two answers may follow each other without a gap: the later one begins with its own audio.
            let answer = answers.iter().copied().filter(|sent| *sent <= playing.sent).max();
            let own =
                answer.and_then(|sent| self.media.iter().find(|media| media.sent >= sent)).map(|media| media.from);
            self.cuts.push((at, own.map_or(playing.prompt, |own| own.max(playing.prompt))));
        }
        // A later prompt begins anew, even if it follows at once.
        let cut = self.media.iter_mut().rev().take_while(|media| media.to > at);
        cut.for_each(|media| (media.from, media.to) = (media.from.min(at), at - 1));
    }

    /// When the caller hears the first voice of what was sent from then on, before `until`. `None` if he hears none.
    pub(super) fn first_voice(&self, sent_from: CallTime, until: CallTime) -> Option<CallTime> {
        let sent = self.media.iter().filter(|media| media.sent >= sent_from && media.sent < until);
        let mut voiced = sent.filter_map(|media| Some((media.from + media.voice_ms?, media.to)));
        voiced.find(|(voice, to)| voice <= to).map(|(voice, _)| voice)
    }

    /// When the prompt began that was sent from then on, before `until`. `None` if the caller heard nothing of it.
    pub(super) fn began(&self, sent_from: CallTime, until: CallTime) -> Option<CallTime> {
        let mut sent = self.media.iter().filter(|media| media.sent >= sent_from && media.sent < until);
        sent.find(|media| media.from <= media.to).map(|media| media.from)
    }

    /// The prompts that were cut: when, and after how much of them, in milliseconds.
    pub(super) fn cuts(&self) -> impl Iterator<Item = (CallTime, u64)> {
        self.cuts.iter().map(|(at, prompt)| (*at, at.ms_since(*prompt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_belongs_to_the_answer_that_plays_and_not_to_the_one_before_it() {
        let at = CallTime::from_ms;
        let audio = |ms: usize| vec![0; ms * BYTES_PER_MS];
        let mut heard = HeardPrompts::default();
        heard.add(at(1_000), &audio(2_000));
        heard.add(at(1_500), &audio(2_000));
        heard.clear(at(3_400), &[at(1_000), at(1_500)]);
        assert_eq!(
            (heard.began(at(1_000), at(1_400)), heard.began(at(1_500), at(9_000))),
            (Some(at(1_000)), Some(at(3_000)))
        );
        assert_eq!(heard.cuts().collect::<Vec<_>>(), [(at(3_400), 400)]);
    }
}
