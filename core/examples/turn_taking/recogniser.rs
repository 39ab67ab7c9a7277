//! A recogniser as Google's: interim transcripts while somebody speaks, and after a silence the end of the utterance and a
//! final transcript. It knows what is said, and says so late.

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::Transcript;

use crate::random::Random;
use crate::speech::SpokenWord;

/// How often it looks for new words, in milliseconds of audio.
const INTERIM_MS: u64 = 200;

/// The silence after which the utterance is over, in milliseconds.
const SILENCE_MS: u64 = 800;

/// What kind of recogniser it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// How late a transcript is, in milliseconds: from, to.
    pub(crate) lag_ms: (f64, f64),
    /// Whether a transcript says where its speech ends.
    pub(crate) has_times: bool,
}

/// One stream's recogniser.
#[derive(Debug)]
pub(crate) struct Recogniser {
    kind: Kind,
    /// Where its audio begins, in milliseconds of the call.
    began_ms: u64,
    heard_ms: u64,
    looked_ms: u64,
    words: usize,
    /// Whether it ends the utterance.
    ends: bool,
    is_over: bool,
    /// No event comes before an earlier one.
    latest_ms: u64,
}

impl Recogniser {
    pub(crate) fn new(kind: Kind, began_ms: u64, ends: bool) -> Self {
        Self { kind, began_ms, heard_ms: began_ms, looked_ms: began_ms, words: 0, ends, is_over: false, latest_ms: 0 }
    }

    /// Hears more audio. Returns what it will send, and when.
    pub(crate) fn hear(
        &mut self,
        ms: u64,
        spoken: &[SpokenWord],
        now_ms: u64,
        random: &mut Random,
    ) -> Vec<(u64, AgentEvent)> {
        self.heard_ms += ms;
        if self.is_over {
            return Vec::new();
        }
        let heard: Vec<&SpokenWord> =
            spoken.iter().filter(|word| word.end_ms > self.began_ms && word.end_ms <= self.heard_ms).collect();
        let Some(last) = heard.last() else { return Vec::new() };
        let mut events = Vec::new();
        let is_speaking = spoken.iter().any(|word| (word.start_ms..word.end_ms).contains(&self.heard_ms));
        if self.heard_ms >= last.end_ms + SILENCE_MS && !is_speaking && self.ends {
            self.is_over = true;
            let end = self.later(now_ms, (50.0, 150.0), random);
            events.push((end, AgentEvent::EndOfUtterance { end_ms: None }));
            events.push((self.later(end, (20.0, 120.0), random), self.transcript(&heard, true)));
        } else if self.heard_ms >= self.looked_ms + INTERIM_MS && heard.len() > self.words {
            self.looked_ms = self.heard_ms;
            self.words = heard.len();
            events.push((self.later(now_ms, self.kind.lag_ms, random), self.transcript(&heard, false)));
        }
        events
    }

    fn transcript(&self, heard: &[&SpokenWord], is_final: bool) -> AgentEvent {
        let texts: Vec<&str> = heard.iter().map(|word| word.text.as_str()).collect();
        let end_ms = heard.last().map(|word| word.end_ms - self.began_ms).filter(|_| self.kind.has_times);
        AgentEvent::Transcript(Transcript { text: texts.join(" "), is_final, end_ms, ..Transcript::default() })
    }

    fn later(&mut self, now_ms: u64, lag_ms: (f64, f64), random: &mut Random) -> u64 {
        let lag = random.between(lag_ms.0, lag_ms.1) as u64;
        self.latest_ms = self.latest_ms.max(now_ms + lag);
        self.latest_ms
    }
}
