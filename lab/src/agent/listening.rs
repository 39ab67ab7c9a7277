//! How a turn listens: it sends transcripts while the caller speaks, and finds the end of the utterance.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::{Dialect, Later, Listening, Recognised};
use crate::agent::own_words::OwnWords;
use crate::agent::script::{Answers, Reply, SpeechEnds, Transcripts};
use crate::agent::turn::{Failure, Reader, ScriptedTurn, Writer, send};
use crate::agent::voice_detector::{Noticed, VoiceDetector};

/// How long a stream may go without audio before the recogniser gives up.
const AUDIO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a word takes, in milliseconds.
const WORD_MS: u64 = 400;

/// The transcript of the caller's words.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The words that the script has for this utterance.
    scripted: Vec<String>,
    /// Whether they get times.
    timed: bool,
    /// Whether each transcript says where it ends.
    has_end: bool,
    confidence: f32,
    /// The parts of the utterance that are over, if the recogniser listens on after a pause.
    parts: Vec<String>,
    /// Whether a transcript repeats them.
    repeats_parts: bool,
    /// The agent's own words, if the recogniser understands those too.
    own: Option<OwnWords>,
    /// When the speech began, and how much of it is the caller's own, in milliseconds.
    heard: Option<(Instant, u64)>,
}

impl Words {
    /// The script's words for the utterance that this answer belongs to.
    pub(super) fn of(answer: Option<&Reply>, own: Option<OwnWords>) -> Self {
        let scripted =
            answer.map_or_else(Vec::new, |reply| reply.heard.split_whitespace().map(str::to_owned).collect());
        Self { scripted, own, ..Self::default() }
    }

    /// Notes what the voice detector has heard.
    pub(super) fn note(&mut self, vad: &VoiceDetector) {
        if let Some((spoken_ms, _)) = vad.spoken() {
            let began =
                self.heard.map_or_else(|| Instant::now() - Duration::from_millis(spoken_ms), |(began, _)| began);
            self.heard = Some((began, vad.caller_ms()));
        }
    }

    /// The transcript of an utterance of that length. Without words in the script it names the length instead.
    pub(super) fn text(&self, spoken_ms: u64, is_final: bool) -> String {
        if let Some((own, (began, caller_ms))) = self.own.as_ref().zip(self.heard) {
            let mut words = own.heard(began, spoken_ms.saturating_sub(caller_ms)).to_vec();
            if caller_ms > 0 {
                words.push(self.of_caller(caller_ms, is_final));
            }
            return words.join(" ");
        }
        self.of_caller(spoken_ms, is_final)
    }

    fn of_caller(&self, spoken_ms: u64, is_final: bool) -> String {
        if self.scripted.is_empty() {
            return format!("[{}.{} s of speech]", spoken_ms / 1000, spoken_ms % 1000 / 100);
        }
        let spoken = usize::try_from(spoken_ms / WORD_MS).unwrap_or(usize::MAX).max(1);
        let count = if is_final { self.scripted.len() } else { spoken.min(self.scripted.len()) };
        self.scripted[..count].join(" ")
    }

    fn recognised(&self, spoken_ms: u64, end_ms: u64, is_final: bool) -> Recognised {
        let text = self.text(spoken_ms, is_final);
        let text = if self.repeats_parts { self.with_parts(text) } else { text };
        let words: Vec<&str> = text.split_whitespace().filter(|_| self.timed).collect();
        let each_ms = spoken_ms / (words.len() as u64).max(1);
        let onset_ms = end_ms - spoken_ms;
        let timed = words.iter().zip(0_u64..).map(|(word, place)| {
            let start_ms = onset_ms + place * each_ms;
            ((*word).to_owned(), start_ms, start_ms + each_ms)
        });
        let (words, end_ms) = (timed.collect(), Some(end_ms).filter(|_| self.has_end));
        Recognised { is_final, confidence: self.confidence, end_ms, words, text: text.clone() }
    }

    /// The same with the parts before it.
    fn with_parts(&self, text: String) -> String {
        self.parts.iter().cloned().chain([text]).collect::<Vec<_>>().join(" ")
    }

    /// A part of the utterance is over.
    fn part_over(&mut self, spoken_ms: u64) {
        self.parts.push(self.text(spoken_ms, true));
        self.scripted.clear();
    }

    fn said(&self, vad: &VoiceDetector) -> CallerInput {
        match vad.spoken() {
            Some((spoken_ms, _)) => CallerInput::Utterance { transcript: self.with_parts(self.text(spoken_ms, true)) },
            None if self.parts.is_empty() => CallerInput::Nothing,
            None => CallerInput::Utterance { transcript: self.parts.join(" ") },
        }
    }
}

/// What the recogniser has noticed and not said yet, because it needs time.
#[derive(Debug)]
struct LateResults {
    lag: Duration,
    jitter_ms: u64,
    noticed: u64,
    waiting: VecDeque<(Instant, Noticed)>,
}

impl LateResults {
    fn new(lag_ms: u64, jitter_ms: u64) -> Self {
        Self { lag: Duration::from_millis(lag_ms), jitter_ms, noticed: 0, waiting: VecDeque::new() }
    }

    /// Results keep their order. The jitter of each follows from its number alone.
    fn add(&mut self, noticed: Noticed) {
        let jitter = Duration::from_millis(self.noticed * 7 % 11 * self.jitter_ms / 10);
        let due = Instant::now() + self.lag + jitter;
        let due = self.waiting.back().map_or(due, |(before, _)| due.max(*before));
        self.noticed += 1;
        self.waiting.push_back((due, noticed));
    }

    /// The next result, when it is due.
    async fn next(&mut self) -> Noticed {
        match self.waiting.front() {
            Some((due, noticed)) => {
                let noticed = *noticed;
                // A sleep lasts a millisecond at least.
                if *due > Instant::now() {
                    tokio::time::sleep_until(*due).await;
                }
                self.waiting.pop_front();
                noticed
            }
            None => std::future::pending().await,
        }
    }
}

impl ScriptedTurn {
    /// Listens until the turn's input is complete; `None` if the client has gone.
    pub(super) async fn listen<D: Dialect>(
        &self,
        listening: Listening,
        reader: &mut Reader<D>,
        writer: &Writer<D>,
    ) -> Result<Option<CallerInput>, Failure> {
        let script = &self.sessions.script;
        let next = self.sessions.conversations.next_utterance(&self.opened.name);
        let mut words = self.words(&listening, next.as_ref());
        let listens_on = !(listening.single_utterance && script.transcripts.have_end());
        let mut vad = VoiceDetector::new(listening.format, script.end_of_utterance_ms, script.no_speech_ms);
        if let Some((deaf_ms, prompt_until_ms)) = listening.barge_in {
            vad.set_prompt_window(deaf_ms, prompt_until_ms);
        }
        let mut late = LateResults::new(script.recogniser_lag_ms, script.recogniser_jitter_ms);
        let mut is_over = false;
        loop {
            let message = tokio::select! {
                biased;
                noticed = late.next() => {
                    is_over |= self.send_noticed::<D>(noticed, &words, !listens_on, writer).await?;
                    if let Noticed::EndOfUtterance { spoken_ms, .. } = noticed && listens_on {
                        words.part_over(spoken_ms);
                    }
                    if is_over && script.answers == Answers::AtOnce {
                        return Ok(Some(words.said(&vad)));
                    }
                    continue;
                }
                message = tokio::time::timeout(AUDIO_TIMEOUT, reader.message()) => message,
            };
            let Ok(message) = message else { return Err(audio_timeout().into()) };
            let Some(message) = message? else {
                if self.context.was_reset() {
                    return Ok(None);
                }
                self.entry.change(|turn| turn.half_closed = true);
                return Ok(Some(half_closed::<D>(&vad, &words, is_over, writer).await?));
            };
            let audio = match D::later(message)? {
                Later::Audio(audio) => audio,
                Later::Instead(said) => return Ok(Some(said)),
            };
            let noticed = vad.hear(&audio);
            self.entry.change(|turn| {
                turn.audio.extend_from_slice(&audio);
                turn.messages += 1;
                turn.heard = vad.heard_bytes().min(turn.audio.len());
            });
            for noticed in noticed {
                words.note(&vad);
                late.add(noticed);
                if listens_on && matches!(noticed, Noticed::EndOfUtterance { .. }) {
                    vad.start_utterance();
                }
            }
            let (limit_ms, beyond) = D::AUDIO_LIMIT;
            if vad.audio_ms() > limit_ms {
                return Err(Status::out_of_range(beyond).into());
            }
            self.check_break(next.as_ref(), &words, &vad)?;
        }
    }

    fn words(&self, listening: &Listening, next: Option<&Reply>) -> Words {
        let script = &self.sessions.script;
        let timed = script.word_times && listening.word_info;
        let own = self.sessions.conversations.own_words(&self.opened.name);
        Words {
            timed,
            has_end: script.speech_ends == SpeechEnds::InTranscripts,
            confidence: script.confidence.unwrap_or_default(),
            repeats_parts: script.transcripts == Transcripts::InterimOnly,
            ..Words::of(next, own)
        }
    }

    /// Fails if the script wants the utterance to fail before it is over.
    fn check_break(&self, next: Option<&Reply>, words: &Words, vad: &VoiceDetector) -> Result<(), Failure> {
        let planned = next.and_then(|reply| Some((reply, reply.fault?, reply.fault_after_ms?)));
        let (Some((reply, fault, after_ms)), Some((spoken_ms, _))) = (planned, vad.spoken()) else { return Ok(()) };
        if spoken_ms < after_ms {
            return Ok(());
        }
        if !fault.fails_stream() {
            self.context.go_away();
            return Ok(());
        }
        self.sessions.conversations.answer(&self.opened.name, &words.said(vad));
        Err(Failure::of(fault, reply))
    }

    /// Tells the client what the voice detector noticed. Returns whether the utterance is over.
    async fn send_noticed<D: Dialect>(
        &self,
        noticed: Noticed,
        words: &Words,
        ends: bool,
        writer: &Writer<D>,
    ) -> Result<bool, Status> {
        let script = &self.sessions.script;
        match noticed {
            Noticed::Speech { spoken_ms, end_ms } if script.interim => {
                send::<D>(writer, D::transcript(words.recognised(spoken_ms, end_ms, false))).await?;
                Ok(false)
            }
            Noticed::EndOfUtterance { spoken_ms, end_ms } => {
                let is_final = script.transcripts != Transcripts::InterimOnly;
                let mut parts = vec![D::transcript(words.recognised(spoken_ms, end_ms, is_final))];
                if ends {
                    let place = usize::from(script.transcripts == Transcripts::BeforeEnd);
                    let end_ms = Some(end_ms).filter(|_| script.speech_ends == SpeechEnds::InEnd);
                    parts.insert(place, D::end_of_utterance(end_ms));
                }
                for part in parts {
                    send::<D>(writer, part).await?;
                }
                Ok(ends)
            }
            Noticed::NoSpeech if ends => {
                send::<D>(writer, D::end_of_utterance(None)).await?;
                Ok(true)
            }
            Noticed::Speech { .. } | Noticed::NoSpeech => Ok(false),
        }
    }
}

/// The client has half-closed.
async fn half_closed<D: Dialect>(
    vad: &VoiceDetector,
    words: &Words,
    was_over: bool,
    writer: &Writer<D>,
) -> Result<CallerInput, Status> {
    if let Some((spoken_ms, end_ms)) = vad.spoken().filter(|_| !was_over) {
        send::<D>(writer, D::transcript(words.recognised(spoken_ms, end_ms, true))).await?;
    }
    Ok(words.said(vad))
}

fn audio_timeout() -> Status {
    Status::out_of_range(
        "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scripted: &str) -> Words {
        let scripted = scripted.split_whitespace().map(str::to_owned).collect();
        Words { scripted, timed: true, has_end: true, confidence: 0.5, ..Words::default() }
    }

    #[test]
    fn scripted_words_come_one_after_the_other() {
        let words = words("two loaves please");
        let texts: Vec<String> = [100, 800, 4_000].iter().map(|ms| words.text(*ms, false)).collect();
        assert_eq!(texts, ["two", "two loaves", "two loaves please"]);
        assert_eq!(words.text(100, true), "two loaves please");
    }

    #[test]
    fn without_a_script_the_transcript_says_how_long_somebody_spoke() {
        assert_eq!(words("").text(1_240, true), "[1.2 s of speech]");
    }

    #[test]
    fn words_are_timed_from_the_onset_to_the_end() {
        let recognised = words("yes please").recognised(800, 1_300, true);
        let times: Vec<(u64, u64)> = recognised.words.iter().map(|(_, start, end)| (*start, *end)).collect();
        assert_eq!(times, [(500, 900), (900, 1_300)]);
        assert!(Words { timed: false, ..words("yes") }.recognised(400, 400, true).words.is_empty());
    }
}
