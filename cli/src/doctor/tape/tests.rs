//! Each row of a hand-written tape, and what recorded calls of the lab settle.

use dialbridge_core::agent::{AgentEnd, AgentFault, Prompt, Transcript};
use dialbridge_core::audio::{AudioFormat, MULAW_SILENCE};

use super::*;

#[test]
fn each_row_stands_in_the_document() {
    let document = include_str!("../../../../docs/assumptions.md");
    for Row { name, .. } in ROWS {
        assert!(document.contains(&format!("| {name}")), "{name}");
    }
}

/// What a recorded call of the lab settles: the lab's own switches.
#[test]
fn a_recorded_call_settles_the_rows_that_it_shows() {
    let of = |text: &str| {
        let found = of(&Tape::parse(text).unwrap());
        found.into_iter().map(|finding| finding.says).collect::<Vec<_>>()
    };
    let ces = of(include_str!("../../../../tests/frames/barge_in_during_long_prompt_ces.jsonl"));
    for settled in [
        "CES: where `turn_completed` comes: apart",
        "CES: where the end of the session comes, and whether before or after the last audio: in a message of its own or an output with nothing else, after the last audio",
        "CES: the coding of the audio, a WAV header before it: without it (MULAW at 8000 Hz)",
        "CES: whether audio begins with seconds in which nobody speaks: at most 0 ms of it before a word",
        "Twilio: the type of counters: strings",
        "Twilio: the length of a frame: 20 ms",
    ] {
        assert!(ces.iter().any(|says| says == settled), "{settled}: {ces:#?}");
    }
    let es = of(include_str!("../../../../tests/frames/nobody_says_anything_es.jsonl"));
    let silence = "ES v2: how silence ends a turn: an end of the utterance without a transcript, and an answer";
    assert!(es.iter().any(|says| says == silence), "{es:#?}");
    assert!(!es.iter().any(|says| says.starts_with("CES")), "rows of another edition say nothing");
    let cx = of(include_str!("../../../../tests/frames/goodbye_heard_to_its_end.jsonl"));
    let last = "Dialogflow: where the last final transcript comes: before END_OF_SINGLE_UTTERANCE";
    assert!(cx.iter().any(|says| says == last), "{cx:#?}");
    let stop = "Twilio: `stop` after a REST update: it comes";
    assert!(cx.iter().any(|says| says == stop), "a stop before Twilio's answer is one after the update: {cx:#?}");
    let hang_up = of(include_str!("../../../../tests/frames/hang_up_while_an_answer_is_on_its_way.jsonl"));
    assert!(!hang_up.iter().any(|says| says.contains("REST update")), "the caller hung up: {hang_up:#?}");
}

/// A tape by hand: inputs, each with its milliseconds.
fn tape(edition: &str, inputs: impl IntoIterator<Item = (u64, TapeInput)>) -> Tape {
    let mut tape = Tape::parse(&format!("{{\"tape\":1,\"edition\":\"{edition}\"}}")).unwrap();
    tape.inputs = inputs.into_iter().map(|(at, input)| (CallTime::from_ms(at), input)).collect();
    tape
}

fn agent(event: AgentEvent) -> TapeInput {
    TapeInput::Agent(StreamId(1), event)
}

fn answer(answer: Answer) -> TapeInput {
    agent(AgentEvent::Answer(Box::new(answer)))
}

fn audio(part: AnswerPart, audio: Vec<u8>) -> TapeInput {
    answer(Answer { part, prompts: vec![Prompt::new(AudioFormat::TELEPHONE, audio)], ..Answer::default() })
}

fn text() -> TapeInput {
    answer(Answer { text: "two".to_owned(), ..Answer::default() })
}

/// So many milliseconds of a tone of 1,000 Hz.
fn tone(ms: usize) -> Vec<u8> {
    [0x80, 0x80, 0x80, 0x80, 0x00, 0x00, 0x00, 0x00].repeat(ms)
}

fn twilio(message: &str) -> TapeInput {
    TapeInput::Twilio(message.to_owned())
}

fn row_of(name: &str, edition: &str, inputs: impl IntoIterator<Item = (u64, TapeInput)>) -> Option<String> {
    let row = ROWS.iter().find(|row| row.name.starts_with(name)).expect(name);
    (row.answer)(&tape(edition, inputs))
}

#[test]
fn the_audio_of_an_es_answer_is_in_its_result_or_after_it() {
    let row = |inputs: Vec<TapeInput>| row_of("ES: where", "es", inputs.into_iter().map(|input| (1, input)));
    let spoken = || audio(AnswerPart::Open, tone(20));
    assert_eq!(row(vec![spoken()]).as_deref(), Some("in the result's message"));
    assert_eq!(row(vec![text(), spoken()]).as_deref(), Some("in one message after it"));
    assert_eq!(row(vec![text(), spoken(), spoken()]).as_deref(), Some("in several messages"));
    assert_eq!(row(vec![text()]), None);
}

#[test]
fn repeated_audio_is_found_with_and_without_a_header() {
    let row = |last: Vec<u8>| {
        let wav = |audio: &[u8]| wav::write_wav(1, AudioFormat::TELEPHONE, audio);
        let headed = [(1, audio(AnswerPart::Partial, wav(&tone(20)))), (2, audio(AnswerPart::Final, wav(&last)))];
        let bare = [(1, audio(AnswerPart::Partial, tone(20))), (2, audio(AnswerPart::Final, last))];
        (row_of("CX: whether", "cx", headed), row_of("CX: whether", "cx", bare))
    };
    let both = |says: &str| (Some(says.to_owned()), Some(says.to_owned()));
    assert_eq!(row(tone(40)), both("it does"));
    assert_eq!(row(vec![0x90; 400]), both("it does not"));
    assert_eq!(row(Vec::new()), (None, None));
}

#[test]
fn transcripts_show_what_they_bring() {
    let says = |said: Transcript| row_of("Dialogflow: interim", "cx", [(1, agent(AgentEvent::Transcript(said)))]);
    let all = Transcript { confidence: Some(0.5), start_ms: Some(10), ..Transcript::default() };
    assert_eq!(says(all).as_deref(), Some("with interim transcripts, with a confidence, with the times of words"));
    let none = Transcript { is_final: true, ..Transcript::default() };
    let without = "without interim transcripts, without a confidence, without the times of words";
    assert_eq!(says(none).as_deref(), Some(without));
}

#[test]
fn the_end_of_the_session_stands_alone_or_with_more_before_or_after_the_last_audio() {
    let row = |inputs: Vec<TapeInput>| row_of("CES: where the end", "ces", inputs.into_iter().map(|input| (1, input)));
    let end = || Answer { end: Some(AgentEnd::EndInteraction), ..Answer::default() };
    let spoken = || audio(AnswerPart::Open, tone(20));
    let with_audio = Answer { prompts: vec![Prompt::new(AudioFormat::TELEPHONE, tone(20))], ..end() };
    let alone = "in a message of its own or an output with nothing else";
    assert_eq!(row(vec![spoken(), answer(end())]), Some(format!("{alone}, after the last audio")));
    assert_eq!(row(vec![answer(end()), spoken()]), Some(format!("{alone}, before the last audio")));
    assert_eq!(row(vec![answer(with_audio)]).as_deref(), Some("in an output, after the last audio"));
    let completed = Answer { part: AnswerPart::Final, ..end() };
    assert_eq!(row(vec![answer(completed)]).as_deref(), Some("in an output, after the last audio"));
    assert_eq!(row(vec![answer(end()), answer(end())]).as_deref(), Some("in both, after the last audio"));
    assert_eq!(row(vec![spoken()]), None);
}

#[test]
fn an_interrupted_turn_is_completed_or_not() {
    let row = |inputs: [TapeInput; 3]| row_of("CES: whether a turn", "ces", inputs.map(|input| (1, input)));
    let last = || answer(Answer { part: AnswerPart::Final, ..Answer::default() });
    let interrupted = || agent(AgentEvent::Interrupted { barge_in: true });
    assert_eq!(row([text(), interrupted(), last()]).as_deref(), Some("it is"));
    assert_eq!(row([text(), interrupted(), text()]).as_deref(), Some("it is not"));
    assert_eq!(row([last(), interrupted(), text()]), None);
}

#[test]
fn a_go_away_leaves_some_time() {
    let row = |end: Option<AgentEvent>| {
        let end = end.map(|event| (1_900, agent(event)));
        row_of("CES: how much time", "ces", [(400, agent(AgentEvent::GoAway))].into_iter().chain(end))
    };
    let fault = AgentFault { code: "UNAVAILABLE".to_owned(), message: String::new(), transient: true };
    assert_eq!(row(Some(AgentEvent::Failed(fault))).as_deref(), Some("1500 ms, then UNAVAILABLE"));
    let closed = "1500 ms after it the stream was closed (we half-close it ourselves)";
    assert_eq!(row(Some(AgentEvent::Ended)).as_deref(), Some(closed));
    assert_eq!(row(None).as_deref(), Some("the stream did not end by itself"));
}

#[test]
fn audio_has_a_pace_and_a_quiet_lead() {
    let pieces = [vec![MULAW_SILENCE; 8 * 500], tone(500), vec![MULAW_SILENCE; 8 * 500], tone(500)];
    let pieces = || pieces.iter().zip([0, 150, 300, 500]);
    let inputs = || pieces().map(|(piece, at)| (at, audio(AnswerPart::Open, piece.clone())));
    assert_eq!(row_of("CES: how fast", "ces", inputs()).as_deref(), Some("4.0 times as fast as it plays"));
    let lead = row_of("CES: whether audio begins", "ces", inputs());
    assert_eq!(lead.as_deref(), Some("at most 500 ms of it before a word"), "the pause between words is none");
    assert_eq!(row_of("CES: how fast", "ces", inputs().take(1)), None);
}

#[test]
fn a_stop_follows_an_update_or_not() {
    let row = |inputs: &[TapeInput]| row_of("Twilio: `stop`", "cx", inputs.iter().cloned().map(|input| (1, input)));
    let (stop, updated) = (twilio(r#"{"event":"stop"}"#), TapeInput::Updated);
    assert_eq!(row(&[updated(UpdateResult::Accepted), stop.clone()]).as_deref(), Some("it comes"));
    assert_eq!(row(&[updated(UpdateResult::Accepted), TapeInput::Timeout]).as_deref(), Some("it does not come"));
    assert_eq!(row(&[updated(UpdateResult::CallGone), stop.clone()]), None, "the caller hung up");
    assert_eq!(row(&[stop]), None, "nothing was updated");
}

#[test]
fn a_start_has_no_parameters_in_two_ways() {
    let row = |start: &str| row_of("Twilio: `customParameters`", "cx", [(1, twilio(start))]);
    assert_eq!(row(r#"{"event":"start","start":{}}"#).as_deref(), Some("absent"));
    assert_eq!(row(r#"{"event":"start","start":{"customParameters":{}}}"#).as_deref(), Some("an empty object"));
    assert_eq!(row(r#"{"event":"start","start":{"customParameters":{"a":"b"}}}"#), None);
}

#[test]
fn what_is_no_tape_is_a_fault_and_one_that_shows_nothing_says_so() {
    assert!(findings(Path::new("/nowhere/call.jsonl"))[0].is_fault());
    let nothing = of(&Tape::parse("{\"tape\":1,\"edition\":\"cx\"}").unwrap());
    assert_eq!((nothing.len(), nothing[0].mark.as_str()), (1, "skipped"));
}
