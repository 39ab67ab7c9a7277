//! How a turn listens: it sends transcripts while the caller speaks, and finds the end of the utterance.

use std::time::Duration;

use tonic::Status;

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::{Dialect, Later, Listening, Recognised};
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
}

impl Words {
    /// The script's words for the utterance that this answer belongs to.
    pub(super) fn of(answer: Option<&Reply>) -> Self {
        let scripted =
            answer.map_or_else(Vec::new, |reply| reply.heard.split_whitespace().map(str::to_owned).collect());
        Self { scripted, ..Self::default() }
    }

    /// The transcript of an utterance of that length. Without words in the script it names the length instead.
    pub(super) fn text(&self, spoken_ms: u64, is_final: bool) -> String {
        if self.scripted.is_empty() {
            return format!("[{}.{} s of speech]", spoken_ms / 1000, spoken_ms % 1000 / 100);
        }
        let spoken = usize::try_from(spoken_ms / WORD_MS).unwrap_or(usize::MAX).max(1);
        let count = if is_final { self.scripted.len() } else { spoken.min(self.scripted.len()) };
        self.scripted[..count].join(" ")
    }

    fn recognised(&self, spoken_ms: u64, end_ms: u64, is_final: bool) -> Recognised {
        let text = self.text(spoken_ms, is_final);
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

    fn said(&self, vad: &VoiceDetector) -> CallerInput {
        let utterance = |(spoken_ms, _)| CallerInput::Utterance { transcript: self.text(spoken_ms, true) };
        vad.spoken().map_or(CallerInput::Nothing, utterance)
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
        let words = self.words(&listening, next.as_ref());
        let mut vad = VoiceDetector::new(listening.format, script.end_of_utterance_ms, script.no_speech_ms);
        if let Some((deaf_ms, prompt_until_ms)) = listening.barge_in {
            vad.set_prompt_window(deaf_ms, prompt_until_ms);
        }
        let mut is_over = false;
        loop {
            let message = tokio::time::timeout(AUDIO_TIMEOUT, reader.message()).await;
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
                is_over |= self.send_noticed::<D>(noticed, &words, listening.single_utterance, writer).await?;
            }
            let (limit_ms, beyond) = D::AUDIO_LIMIT;
            if vad.audio_ms() > limit_ms {
                return Err(Status::out_of_range(beyond).into());
            }
            self.check_break(next.as_ref(), &words, &vad)?;
            if is_over && script.answers == Answers::AtOnce {
                return Ok(Some(words.said(&vad)));
            }
        }
    }

    fn words(&self, listening: &Listening, next: Option<&Reply>) -> Words {
        let script = &self.sessions.script;
        let timed = script.word_times && listening.word_info;
        let has_end = script.speech_ends == SpeechEnds::InTranscripts;
        Words { timed, has_end, confidence: script.confidence.unwrap_or_default(), ..Words::of(next) }
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
        single_utterance: bool,
        writer: &Writer<D>,
    ) -> Result<bool, Status> {
        let script = &self.sessions.script;
        match noticed {
            Noticed::Speech { spoken_ms, end_ms } if script.interim => {
                send::<D>(writer, D::transcript(words.recognised(spoken_ms, end_ms, false))).await?;
                Ok(false)
            }
            Noticed::EndOfUtterance { spoken_ms, end_ms } => {
                let mut parts = vec![D::transcript(words.recognised(spoken_ms, end_ms, true))];
                if single_utterance {
                    let place = usize::from(script.transcripts == Transcripts::BeforeEnd);
                    let end_ms = Some(end_ms).filter(|_| script.speech_ends == SpeechEnds::InEnd);
                    parts.insert(place, D::end_of_utterance(end_ms));
                }
                for part in parts {
                    send::<D>(writer, part).await?;
                }
                Ok(single_utterance)
            }
            Noticed::NoSpeech if single_utterance => {
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
        Words { scripted, timed: true, has_end: true, confidence: 0.5 }
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
