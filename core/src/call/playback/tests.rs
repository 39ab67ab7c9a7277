//! What is played, heard, cut and held back.

use super::*;

const NOW: CallTime = CallTime::from_ms(1_000);
const TURN: TurnId = TurnId(1);

/// A playout and its outputs.
struct Played {
    playback: Playback,
    outputs: Vec<PlaybackOutput>,
    now: CallTime,
}

impl Played {
    fn new() -> Self {
        Self { playback: Playback::new(1_800_000), outputs: Vec::new(), now: NOW }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Playback, Moment) -> R) -> R {
        let result = act(&mut self.playback, Moment { now: self.now, position: 7 });
        let outputs = std::iter::from_fn(|| self.playback.poll_output(self.now));
        // The beginning of an answer matters only for the stages of turns.
        self.outputs.extend(
            outputs.filter(|output| !matches!(output, PlaybackOutput::Begins(_) | PlaybackOutput::FirstWord(_))),
        );
        result
    }

    fn play(&mut self, prompt: &Prompt) {
        self.act(|playback, moment| playback.play(prompt.clone(), TURN, moment));
    }

    /// A whole answer.
    fn answer(&mut self, prompts: &[Prompt]) {
        prompts.iter().for_each(|prompt| self.play(prompt));
        self.act(Playback::finish_answer);
    }

    fn mark(&mut self, name: MarkName) -> ReturnedMark {
        self.act(|playback, moment| playback.on_mark(name, moment))
    }

    /// Returns all marks that were sent, in order.
    fn hear_all(&mut self) {
        let mut at = 0;
        while let Some(name) = self.marks().get(at).copied() {
            self.mark(name);
            at += 1;
        }
    }

    fn marks(&self) -> Vec<MarkName> {
        let mark = |output: &PlaybackOutput| {
            if let PlaybackOutput::Twilio(TwilioMessage::Mark(name)) = output { Some(*name) } else { None }
        };
        self.outputs.iter().filter_map(mark).collect()
    }

    fn sent_ms(&self) -> usize {
        self.audio().len() / BYTES_PER_MS
    }

    fn audio(&self) -> Vec<u8> {
        self.outputs.iter().flat_map(media).copied().collect()
    }

    fn clears(&self) -> usize {
        let clear = |output: &&PlaybackOutput| **output == PlaybackOutput::Twilio(TwilioMessage::Clear);
        self.outputs.iter().filter(clear).count()
    }
}

/// The audio of an output.
fn media(output: &PlaybackOutput) -> &[u8] {
    if let PlaybackOutput::Twilio(TwilioMessage::Media(audio)) = output { audio } else { &[] }
}

fn prompt(ms: usize) -> Prompt {
    Prompt::new(AudioFormat::TELEPHONE, vec![0x12; ms * BYTES_PER_MS])
}

fn protected(ms: usize) -> Prompt {
    Prompt { interruptible: false, ..prompt(ms) }
}

fn cancellable(ms: usize) -> Prompt {
    Prompt { cancellable: true, ..prompt(ms) }
}

#[test]
fn an_answer_goes_out_whole_in_chunks_with_a_mark_behind_each() {
    let mut played = Played::new();
    played.answer(&[prompt(1_000)]);
    let sizes: Vec<_> = played.outputs.iter().map(|output| media(output).len()).collect();
    assert_eq!(sizes, [3200, 0, 3200, 0, 1600, 0]);
    assert_eq!(played.playback.remaining_ms(NOW), 1_000);
    assert_eq!(played.playback.began_position(), Some(7));
}

#[test]
fn heard_time_grows_with_each_mark_and_the_last_one_ends_the_playout() {
    let mut played = Played::new();
    played.answer(&[prompt(1_000)]);
    let marks = played.marks();
    assert_eq!(played.mark(marks[0]), ReturnedMark::Played { first_of: Some((TURN, 400)) });
    assert_eq!(played.playback.played_ms(), 400);
    assert_eq!(played.mark(marks[2]), ReturnedMark::AllPlayed { first_of: None });
    assert_eq!(played.playback.played_ms(), 1_000);
    assert!(!played.playback.is_playing());
    assert_eq!(played.mark(marks[2]), ReturnedMark::Nothing, "a mark settles once");
    assert_eq!(played.playback.began_position(), None);
}

#[test]
fn marks_that_a_clear_returned_were_not_heard() {
    let mut played = Played::new();
    played.answer(&[prompt(1_000)]);
    let old = played.marks();
    played.mark(old[0]);
    assert_eq!(played.act(|playback, _| playback.clear()), Cut { played_ms: 400, cut_ms: 600 });
    played.answer(&[prompt(400)]);
    assert_eq!((played.mark(old[1]), played.mark(old[2])), (ReturnedMark::Nothing, ReturnedMark::Nothing));
    assert!(played.playback.is_playing());
    let new = *played.marks().last().unwrap();
    assert!(matches!(played.mark(new), ReturnedMark::AllPlayed { .. }));
    assert_eq!(played.playback.played_ms(), 400);
}

#[test]
fn a_clear_goes_out_even_when_nothing_waits_here() {
    let mut played = Played::new();
    played.act(|playback, _| playback.clear());
    assert_eq!(played.outputs, [PlaybackOutput::Twilio(TwilioMessage::Clear)]);
}

#[test]
fn pieces_of_one_answer_join_and_a_small_piece_waits_for_no_mark() {
    let mut played = Played::new();
    for _ in 0..3 {
        played.play(&prompt(100));
    }
    assert_eq!(
        played.outputs.len(),
        3,
        "audio goes out at once, the mark when the chunk is full or the answer complete"
    );
    played.act(Playback::finish_answer);
    assert_eq!(played.marks().len(), 1);
    assert_eq!(played.playback.remaining_ms(NOW), 300);
}

#[test]
fn a_mark_that_never_comes_back_does_not_hold_the_call() {
    let mut played = Played::new();
    played.answer(&[prompt(1_000)]);
    let late = NOW + 1_000 + sent::MARK_GRACE_MS;
    assert_eq!(played.playback.deadline(), Some((late, Timer::MarkTimeout)));
    assert_eq!(played.act(Playback::on_timeout), ReturnedMark::Nothing, "too early");
    played.now = late;
    assert_eq!(played.act(Playback::on_timeout), ReturnedMark::AllPlayed { first_of: None });
    assert_eq!(played.playback.played_ms(), 1_000);
    assert_eq!(played.playback.deadline(), None);
}

#[test]
fn a_prompt_that_may_not_be_interrupted_protects_until_it_was_heard() {
    let mut played = Played::new();
    played.answer(&[prompt(500), protected(300), prompt(200)]);
    assert!(!played.playback.is_interruptible());
    assert_eq!(played.playback.protected_ms(NOW), 800);
    assert_eq!(played.playback.protected_ms(NOW + 600), 200);
    let marks = played.marks();
    played.mark(marks[2]);
    assert!(played.playback.is_interruptible());
    assert_eq!(played.playback.protected_ms(NOW + 800), 0);
}

#[test]
fn what_must_be_fetched_holds_up_what_comes_after_it_and_nothing_before() {
    let mut played = Played::new();
    played.answer(&[prompt(200), Prompt::at("https://e.com/a.wav"), prompt(300)]);
    assert_eq!(played.sent_ms(), 200);
    let id = played.playback.fetching().unwrap();
    assert!(played.outputs.contains(&PlaybackOutput::Fetch(id, "https://e.com/a.wav".to_owned())));
    let wav = crate::audio::wav::write_wav(1, AudioFormat::TELEPHONE, &[0x21; 800]);
    played.act(|playback, moment| playback.fetched(id, Ok(&wav), moment));
    assert_eq!(played.sent_ms(), 200 + 100 + 300);
    assert_eq!(played.playback.fetching(), None);
    played.hear_all();
    assert!(!played.playback.is_playing());
}

#[test]
fn what_cannot_be_fetched_is_left_out() {
    let mut played = Played::new();
    played.answer(&[Prompt::at("https://e.com/a.wav"), prompt(300)]);
    let id = played.playback.fetching().unwrap();
    played.act(|playback, moment| playback.fetched(id, Err("404"), moment));
    assert_eq!(played.sent_ms(), 300);
    assert!(played.outputs.contains(&PlaybackOutput::Refused("404".to_owned())));
    played.act(|playback, moment| playback.fetched(id, Ok(&[1, 2, 3]), moment));
    assert_eq!(played.sent_ms(), 300, "once");
}

#[test]
fn a_clear_drops_what_is_being_fetched_too() {
    let mut played = Played::new();
    played.answer(&[Prompt::at("https://e.com/a.wav"), prompt(300)]);
    let id = played.playback.fetching().unwrap();
    assert_eq!(played.act(|playback, _| playback.clear()).cut_ms, 300);
    played.act(|playback, moment| playback.fetched(id, Ok(&[0x12; 800]), moment));
    assert_eq!((played.sent_ms(), played.playback.is_playing()), (0, false));
}

#[test]
fn audio_that_may_be_cancelled_goes_out_a_little_ahead_of_its_time() {
    let mut played = Played::new();
    played.answer(&[cancellable(10_000)]);
    assert_eq!(played.sent_ms(), 1_200);
    let first = played.marks()[0];
    played.mark(first);
    assert_eq!(played.sent_ms(), 1_600);
    played.hear_all();
    assert_eq!((played.sent_ms(), played.playback.is_playing()), (10_000, false));
}

#[test]
fn a_later_response_cuts_what_may_be_cancelled() {
    let mut played = Played::new();
    played.answer(&[cancellable(10_000)]);
    let first = played.marks()[0];
    played.mark(first);
    assert_eq!(played.act(|playback, moment| playback.cancel(moment)), 9_600);
    assert_eq!((played.clears(), played.playback.is_playing()), (1, false));
    played.answer(&[prompt(200)]);
    assert_eq!(played.playback.remaining_ms(NOW), 200);
}

#[test]
fn what_may_not_be_cancelled_is_never_cleared_by_a_later_response() {
    let mut played = Played::new();
    played.answer(&[prompt(1_000), cancellable(10_000)]);
    let cut = played.act(|playback, moment| playback.cancel(moment));
    assert_eq!(played.clears(), 0);
    assert!(cut >= 9_000, "{cut}");
    played.answer(&[prompt(200)]);
    played.hear_all();
    assert!(!played.playback.is_playing());
}

#[test]
fn a_filler_is_played_into_silence_only_and_any_answer_cuts_it() {
    let mut played = Played::new();
    assert!(played.act(|playback, moment| playback.play_filler(&[0x33; 8_000], moment)));
    assert!(!played.act(|playback, moment| playback.play_filler(&[0x33; 8_000], moment)));
    let marks = played.marks();
    assert_eq!(played.mark(marks[0]), ReturnedMark::Played { first_of: None }, "it is no turn's answer");
    assert_eq!(played.act(|playback, moment| playback.cancel(moment)), 600);
    assert_eq!(played.clears(), 1);
}

#[test]
fn prompts_without_end_fill_no_memory() {
    let mut played = Played::new();
    for _ in 0..1_000 {
        played.play(&Prompt::at("https://e.com/a.wav"));
    }
    let fetches = played.outputs.iter().filter(|output| matches!(output, PlaybackOutput::Fetch(..))).count();
    assert_eq!(fetches, MAX_WAITING_PROMPTS);
}

/// Meets all deadlines until then. No mark comes back.
fn wait_until(played: &mut Played, until: CallTime) {
    while let Some((at, timer)) = played.playback.deadline().filter(|(at, _)| *at <= until) {
        assert_eq!(timer, Timer::Playout);
        played.now = played.now.max(at);
        played.act(Playback::on_timeout);
    }
    played.now = until;
}

#[test]
fn of_a_long_answer_five_to_ten_seconds_lie_at_twilio() {
    let mut played = Played::new();
    played.answer(&[prompt(600_000)]);
    assert_eq!(played.sent_ms(), 10_000);
    assert_eq!(played.playback.remaining_ms(NOW), 600_000);
    for second in 1..590 {
        let now = NOW + second * 1_000;
        wait_until(&mut played, now);
        let ahead_ms = played.sent_ms() as u64 - second * 1_000;
        assert!((5_000..=10_000).contains(&ahead_ms), "{ahead_ms} ms ahead after {second} s");
        assert_eq!(played.playback.remaining_ms(now), 600_000 - second * 1_000);
    }
    wait_until(&mut played, NOW + 600_000);
    assert_eq!(played.sent_ms(), 600_000);
    assert_eq!(played.marks().len(), 1_500);
}

#[test]
fn marks_correct_the_clock() {
    let mut played = Played::new();
    played.answer(&[prompt(60_000)]);
    let marks = played.marks();
    // Twilio began two seconds late.
    wait_until(&mut played, NOW + 2_400);
    played.mark(marks[0]);
    assert_eq!(played.playback.remaining_ms(played.now), 59_600);
    assert_eq!(played.sent_ms(), 10_400);
}

#[test]
fn a_barge_in_cuts_what_waits_too() {
    let mut played = Played::new();
    played.answer(&[prompt(600_000)]);
    let first = played.marks()[0];
    played.mark(first);
    assert_eq!(played.act(|playback, _| playback.clear()), Cut { played_ms: 400, cut_ms: 599_600 });
    wait_until(&mut played, NOW + 600_000);
    assert_eq!((played.sent_ms(), played.playback.is_playing()), (10_400, false));
}

/// Ten minutes of LINEAR16 at 24,000 Hz: 28,800,000 bytes.
fn long_linear() -> (AudioFormat, Vec<u8>) {
    let format = AudioFormat { encoding: crate::audio::Encoding::Linear16, sample_rate: 24_000 };
    let samples = (0..14_400_000_u32).map(|n| if n / 12 % 2 == 0 { 4_000_i16 } else { -4_000 });
    (format, samples.flat_map(i16::to_le_bytes).collect())
}

#[test]
fn a_long_answer_is_converted_in_slices_and_kept_once() {
    let (format, audio) = long_linear();
    let whole = crate::audio::to_mulaw(format, &audio).unwrap();
    let mut played = Played::new();
    played.play(&Prompt::new(format, audio));
    played.act(Playback::finish_answer);
    let remaining_ms = played.playback.remaining_ms(NOW);
    assert!((599_990..=600_000).contains(&remaining_ms), "what is not converted yet counts: {remaining_ms}");
    assert!(played.sent_ms() > 1_000, "the first slice is played at once");
    let mut slices = 2;
    while played.playback.deadline().is_some_and(|(at, _)| at <= NOW) {
        played.act(Playback::on_timeout);
        slices += 1;
    }
    assert_eq!(slices, 28_800_000_usize.div_ceil(SLICE_BYTES));
    let Some(Waiting::Audio(waiting)) = played.playback.waiting.front() else { panic!("nothing waits") };
    assert!(waiting.kept_bytes() <= whole.len(), "{} bytes", waiting.kept_bytes());
    wait_until(&mut played, NOW + 600_000);
    assert_eq!(played.audio(), whole);
}

#[test]
fn parts_that_come_while_others_wait_join_without_a_gap() {
    let (format, audio) = long_linear();
    let audio = &audio[..48_000 * 40];
    let mut played = Played::new();
    for part in audio.chunks(4_801) {
        played.play(&Prompt::new(format, part.to_vec()));
    }
    played.act(Playback::finish_answer);
    wait_until(&mut played, NOW + 40_000);
    assert_eq!(played.audio(), crate::audio::to_mulaw(format, audio).unwrap());
}

#[test]
fn what_is_longer_than_the_limit_is_cut_and_reported_once() {
    let mut played = Played::new();
    played.playback = Playback::new(60_000);
    played.play(&prompt(59_000));
    for _ in 0..50 {
        played.play(&prompt(2_000));
    }
    played.act(Playback::finish_answer);
    assert_eq!(played.playback.remaining_ms(NOW), 60_000 + 10_000, "what is sent does not wait");
    let refused = |output: &&PlaybackOutput| matches!(output, PlaybackOutput::Refused(_));
    assert_eq!(played.outputs.iter().filter(refused).count(), 1);
}

#[test]
fn of_audio_that_comes_in_pieces_nothing_is_kept_once_it_is_sent() {
    for (format, piece) in [(AudioFormat::TELEPHONE, vec![0x12; 480]), (long_linear().0, vec![1; 2_880])] {
        let mut played = Played::new();
        for n in 0..500 {
            wait_until(&mut played, NOW + n * 60);
            played.play(&Prompt::new(format, piece.clone()));
            let Some(Waiting::Audio(waiting)) = played.playback.waiting.front() else { panic!("the answer goes on") };
            assert_eq!((waiting.kept_bytes(), waiting.unsent().len()), (0, 0), "after {n} pieces");
        }
    }
}
