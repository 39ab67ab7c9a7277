//! Answers that the agent has written and not spoken: its speech synthesis has failed, or its audio has a coding that
//! we cannot play. The driver synthesises the text. If it cannot, the caller hears a filler.

use crate::agent::{Answer, Prompt};
use crate::audio::ToMulaw;
use crate::call::Call;
use crate::call::streams::Unspoken;
use crate::report::Report;

/// The longest text in one request to the driver, in bytes: a minute of speech. A longer text goes in pieces, because
/// they are synthesised at the same time.
const MAX_PIECE_BYTES: usize = 1_000;

/// How much of a prompt shows whether it can be played, in bytes: a WAV header and its first samples.
const PROBE_BYTES: usize = 256;

/// The first bytes of files in codings that we cannot play. Without this they would play as noise.
const UNPLAYABLE: [(&[u8], &str); 4] = [(b"OggS", "Ogg"), (b"ID3", "MP3"), (b"fLaC", "FLAC"), (b"#!AMR", "AMR")];

/// Why a prompt cannot be played. `None` if it can.
fn fault(prompt: &Prompt) -> Option<String> {
    let begin = &prompt.audio[..prompt.audio.len().min(PROBE_BYTES)];
    if let Some((_, coding)) = UNPLAYABLE.iter().find(|(begins, _)| begin.starts_with(begins)) {
        return Some((*coding).to_owned());
    }
    ToMulaw::new(prompt.format).push(begin, &mut Vec::new()).err().map(|error| error.to_string())
}

/// Takes out of an answer the prompts that cannot be played.
pub(super) fn remove_unplayable(answer: &mut Answer) {
    let unplayable = &mut answer.unplayable;
    answer.prompts.retain(|prompt| match fault(prompt) {
        Some(fault) => {
            unplayable.get_or_insert(fault);
            false
        }
        None => true,
    });
}

impl Call {
    /// The answer is complete. Has the driver speak it if nothing of it can be heard.
    pub(super) fn speak_unspoken(&mut self) {
        let Some((open, unspoken)) = self.streams.open().zip(self.streams.take_unspoken()) else { return };
        let Unspoken { text, is_protected, fault } = unspoken;
        if text.is_empty() {
            self.outputs
                .report(Report::PromptRefused { why: format!("{} cannot be played", fault.unwrap_or_default()) });
            self.play_missing_answer_filler("unspoken");
            return;
        }
        let is_first = self.fillers.note_unspoken();
        self.outputs.report(Report::AnswerWithoutAudio { turn: open.turn, fault, is_first });
        self.cancel_fillers();
        for uri in requests(&text) {
            let prompt = Prompt { interruptible: !is_protected, ..Prompt::at(uri) };
            self.playback.play(prompt, open.turn, self.moment());
        }
        self.poll_playback();
    }
}

/// The text in the addresses that the driver synthesises. SSML is one piece, unless it is too long: then only its words
/// are spoken.
fn requests(text: &str) -> Vec<String> {
    let text = text.trim();
    let is_ssml = text.starts_with("<speak") && text.ends_with("</speak>");
    if is_ssml && text.len() <= MAX_PIECE_BYTES && text.matches("<speak").count() == 1 {
        return vec![format!("ssml:{text}")];
    }
    let words = if text.contains("<speak") { without_tags(text) } else { text.to_owned() };
    pieces(&words).into_iter().map(|piece| format!("text:{piece}")).collect()
}

/// The words of SSML.
pub(super) fn without_tags(ssml: &str) -> String {
    let (mut words, mut is_tag) = (String::new(), false);
    for c in ssml.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                words.push(' ');
            }
            _ if is_tag => {}
            _ => words.push(c),
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cuts a text at the ends of sentences, else between words.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while rest.len() > MAX_PIECE_BYTES {
        let most = &rest[..rest.floor_char_boundary(MAX_PIECE_BYTES)];
        let at = end_of_sentence(most).or_else(|| most.rfind(char::is_whitespace)).filter(|at| *at > 0);
        let (piece, more) = rest.split_at(at.unwrap_or(most.len()));
        pieces.push(piece.trim());
        rest = more.trim_start();
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where the last sentence ends that ends within the text.
fn end_of_sentence(text: &str) -> Option<usize> {
    let ends = text.char_indices().zip(text.chars().skip(1).map(Some).chain([None]));
    let ends = ends.filter(|((_, c), next)| match c {
        '.' | '!' | '?' | '؟' => next.is_some_and(char::is_whitespace),
        '。' | '！' | '？' | '।' | '\n' => true,
        _ => false,
    });
    ends.last().map(|((at, c), _)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::write_wav;
    use crate::audio::{AudioFormat, Encoding};

    #[test]
    fn a_short_text_is_one_request_and_ssml_stays_ssml() {
        assert_eq!(requests(" Three messages. "), ["text:Three messages."]);
        assert_eq!(
            requests("<speak>Three <break/> messages.</speak>"),
            ["ssml:<speak>Three <break/> messages.</speak>"]
        );
        assert_eq!(requests("Hello. <speak>Three <break/>messages.</speak>"), ["text:Hello. Three messages."]);
        assert_eq!(requests("5 < 6"), ["text:5 < 6"]);
    }

    #[test]
    fn a_long_text_is_cut_at_the_ends_of_sentences_and_nothing_is_lost() {
        let sentence = "It costs 3.50 a loaf, and there are 120 of them. ";
        let text = sentence.repeat(50);
        let cut = pieces(&text);
        assert!(cut.len() == 3 && cut.iter().all(|piece| piece.ends_with("them.")), "{cut:?}");
        assert_eq!(cut.join(" "), text.trim());
        let japanese = "申し訳ございません。".repeat(200);
        let cut = pieces(&japanese);
        assert!(cut.iter().all(|piece| piece.ends_with('。') && piece.len() <= MAX_PIECE_BYTES));
        assert_eq!(cut.concat(), japanese);
    }

    #[test]
    fn a_text_without_an_end_is_cut_between_words_or_anywhere() {
        let words = "word ".repeat(500);
        assert_eq!(pieces(&words).join(" "), words.trim());
        let one = "é".repeat(1_200);
        let cut = pieces(&one);
        assert!(cut.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
        assert_eq!(cut.concat(), one);
    }

    #[test]
    fn what_cannot_be_played_is_told_from_what_can() {
        let with = |format, audio: &[u8]| fault(&Prompt::new(format, audio.to_vec()));
        let telephone = AudioFormat::TELEPHONE;
        let linear = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 };
        for (format, audio) in [
            (telephone, vec![0x55; 400]),
            (telephone, Vec::new()),
            (telephone, write_wav(1, linear, &[0; 4_800])),
            (linear, vec![0; 4_800]),
            (linear, write_wav(1, telephone, &[0x55; 10])),
        ] {
            assert_eq!(with(format, &audio), None);
        }
        let mut adpcm = write_wav(1, linear, &[0; 4_800]);
        adpcm[20] = 0x11;
        for audio in [b"OggS\0\x02".to_vec(), b"ID3\x04".to_vec(), b"fLaC\0".to_vec(), adpcm] {
            assert!(with(telephone, &audio).is_some(), "{:?}", &audio[..4]);
        }
        let odd_rate = AudioFormat { encoding: Encoding::Linear16, sample_rate: 7 };
        assert_eq!(with(odd_rate, &[0; 400]).as_deref(), Some("the audio's sample rate is not supported"));
    }
}
