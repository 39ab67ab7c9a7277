//! How a turn listens: what is told of the caller's words while they come, and when they are over.

use std::time::Duration;

use tonic::Status;

use crate::agent::conversation::Said;
use crate::agent::dialect::{Dialect, Later, Listening, Recognised};
use crate::agent::ears::{Ears, Noticed};
use crate::agent::script::{Answers, Reply, Transcripts};
use crate::agent::turn::{Failure, Reader, Turn, Writer, send};

/// For so long a stream may go without audio before the recogniser gives up.
const AUDIO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a word takes, in milliseconds.
const WORD_MS: u64 = 400;

/// What stands for the caller's words.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The words that the script has for this utterance.
    scripted: Vec<String>,
    /// Whether they are timed.
    timed: bool,
    confidence: f32,
}

impl Words {
    /// Those that the script has for the utterance which that answers.
    pub(super) fn of(answer: Option<&Reply>) -> Self {
        let scripted =
            answer.map_or_else(Vec::new, |reply| reply.heard.split_whitespace().map(str::to_owned).collect());
        Self { scripted, ..Self::default() }
    }

    /// The words of an utterance of that length; the lab knows none but the script's, and says so.
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
        Recognised { is_final, confidence: self.confidence, end_ms, words: timed.collect(), text: text.clone() }
    }

    fn said(&self, ears: &Ears) -> Said {
        let utterance = |(spoken_ms, _)| Said::Utterance { transcript: self.text(spoken_ms, true) };
        ears.spoken().map_or(Said::Nothing, utterance)
    }
}

impl Turn {
    /// Listens until the turn's input is complete; `None` when the client has gone.
    pub(super) async fn listen<D: Dialect>(
        &self,
        listening: Listening,
        reader: &mut Reader<D>,
        writer: &Writer<D>,
    ) -> Result<Option<Said>, Failure> {
        let script = &self.sessions.script;
        let next = self.sessions.conversations.next_utterance(&self.opened.name);
        let words = self.words(&listening, next.as_ref());
        let mut ears = Ears::new(listening.format, script.end_of_utterance_ms, script.no_speech_ms);
        if let Some((deaf_ms, patient_ms)) = listening.barge_in {
            ears.beside_prompt(deaf_ms, patient_ms);
        }
        let mut is_over = false;
        loop {
            let message = tokio::time::timeout(AUDIO_TIMEOUT, reader.message()).await;
            let Ok(message) = message else { return Err(audio_timeout().into()) };
            let Some(message) = message? else {
                if self.around.was_reset() {
                    return Ok(None);
                }
                self.entry.change(|turn| turn.half_closed = true);
                return Ok(Some(half_closed::<D>(&ears, &words, is_over, writer).await?));
            };
            let audio = match D::later(message)? {
                Later::Audio(audio) => audio,
                Later::Instead(said) => return Ok(Some(said)),
            };
            self.entry.change(|turn| {
                turn.audio.extend_from_slice(&audio);
                turn.messages += 1;
            });
            for noticed in ears.hear(&audio) {
                is_over |= self.tell::<D>(noticed, &words, listening.single_utterance, writer).await?;
            }
            let (limit_ms, beyond) = D::AUDIO_LIMIT;
            if ears.heard_ms() > limit_ms {
                return Err(Status::out_of_range(beyond).into());
            }
            self.break_off(next.as_ref(), &words, &ears)?;
            if is_over && script.answers == Answers::AtOnce {
                return Ok(Some(words.said(&ears)));
            }
        }
    }

    fn words(&self, listening: &Listening, next: Option<&Reply>) -> Words {
        let script = &self.sessions.script;
        let timed = script.word_times && listening.word_info;
        Words { timed, confidence: script.confidence.unwrap_or_default(), ..Words::of(next) }
    }

    /// Fails where the script has the utterance fail before it is over.
    fn break_off(&self, next: Option<&Reply>, words: &Words, ears: &Ears) -> Result<(), Failure> {
        let planned = next.and_then(|reply| Some((reply, reply.fault?, reply.fault_after_ms?)));
        let (Some((reply, fault, after_ms)), Some((spoken_ms, _))) = (planned, ears.spoken()) else { return Ok(()) };
        if spoken_ms < after_ms {
            return Ok(());
        }
        if !fault.fails_stream() {
            self.around.go_away();
            return Ok(());
        }
        self.sessions.conversations.answer(&self.opened.name, &words.said(ears));
        Err(Failure::of(fault, reply))
    }

    /// Tells the client what the ears noticed; whether the utterance is over.
    async fn tell<D: Dialect>(
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
                    parts.insert(place, D::end_of_utterance());
                }
                for part in parts {
                    send::<D>(writer, part).await?;
                }
                Ok(single_utterance)
            }
            Noticed::NoSpeech if single_utterance => {
                send::<D>(writer, D::end_of_utterance()).await?;
                Ok(true)
            }
            Noticed::Speech { .. } | Noticed::NoSpeech => Ok(false),
        }
    }
}

/// The client has said that nothing more comes.
async fn half_closed<D: Dialect>(
    ears: &Ears,
    words: &Words,
    was_over: bool,
    writer: &Writer<D>,
) -> Result<Said, Status> {
    if let Some((spoken_ms, end_ms)) = ears.spoken().filter(|_| !was_over) {
        send::<D>(writer, D::transcript(words.recognised(spoken_ms, end_ms, true))).await?;
    }
    Ok(words.said(ears))
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
        Words { scripted, timed: true, confidence: 0.5 }
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
