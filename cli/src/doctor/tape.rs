//! Which rows of `docs/assumptions.md` a recorded real call settles, and which way.
//!
//! Each row is a function over the inputs of a tape. It answers only if the call shows it: a call without silence says
//! nothing about silence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dialbridge_core::agent::{Answer, AnswerPart};
use dialbridge_core::audio::{BYTES_PER_MS, Encoding, level, to_mulaw, wav};
use dialbridge_core::tape::{Tape, TapeInput};
use dialbridge_core::{AgentEvent, CallTime, StreamId, UpdateResult};
use serde_json::Value;

use super::finding::Finding;

const CHECK: &str = "tape";

/// The shortest pause between two answers of a stream, in milliseconds.
const ANSWER_PAUSE_MS: u64 = 1_000;

/// A row, and what it says of a call: the name as it stands in `docs/assumptions.md`.
struct Row {
    name: &'static str,
    editions: &'static [&'static str],
    answer: fn(&Tape) -> Option<String>,
}

const ANY: &[&str] = &["es", "cx", "ces"];
const DIALOGFLOW: &[&str] = &["es", "cx"];
const ES: &[&str] = &["es"];
const CX: &[&str] = &["cx"];
const CES: &[&str] = &["ces"];

const ROWS: [Row; 17] = [
    Row {
        name: "Dialogflow: where the last final transcript comes",
        editions: DIALOGFLOW,
        answer: last_final_transcript,
    },
    Row { name: "ES: where the answer's audio comes", editions: ES, answer: audio_of_es },
    Row { name: "Dialogflow: a WAV header before MULAW and ALAW", editions: DIALOGFLOW, answer: wav_header },
    Row { name: "ES v2: how silence ends a turn", editions: ES, answer: end_of_silence },
    Row {
        name: "CX: whether the last response repeats the audio of the partial ones",
        editions: CX,
        answer: repeated_audio,
    },
    Row {
        name: "Dialogflow: interim transcripts, their confidence, the times of words",
        editions: DIALOGFLOW,
        answer: transcripts,
    },
    Row {
        name: "CES: where the end of the session comes, and whether before or after the last audio",
        editions: CES,
        answer: end_of_session,
    },
    Row { name: "CES: where `turn_completed` comes", editions: CES, answer: turn_completed },
    Row {
        name: "CES: whether a turn that the caller interrupts is completed",
        editions: CES,
        answer: interrupted_turn,
    },
    Row { name: "CES: how much time a `go_away` leaves, and how the stream ends then", editions: CES, answer: go_away },
    Row { name: "CES: the coding of the audio, a WAV header before it", editions: CES, answer: wav_header },
    Row {
        name: "CES: how fast audio comes, and whether noise comes while nobody speaks",
        editions: CES,
        answer: audio_pace,
    },
    Row { name: "CES: whether audio begins with seconds in which nobody speaks", editions: CES, answer: quiet_lead },
    Row { name: "Twilio: `stop` after a REST update", editions: ANY, answer: stop_after_update },
    Row { name: "Twilio: `customParameters` where there are none", editions: ANY, answer: custom_parameters },
    Row { name: "Twilio: the type of counters", editions: ANY, answer: counters },
    Row { name: "Twilio: the length of a frame", editions: ANY, answer: frame_length },
];

/// The findings of a tape: a line for each row that it settles.
pub(crate) fn findings(path: &Path) -> Vec<Finding> {
    let fault = |why: String, mend: &str| vec![Finding::fault(CHECK, format!("{}: {why}", path.display()), mend)];
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return fault(error.to_string(), "name a file that `serve --record-dir DIR` wrote"),
    };
    match Tape::parse(&text) {
        Ok(tape) => of(&tape),
        Err(error) => fault(error.to_string(), "record the call once more: RECORD_DIR"),
    }
}

fn of(tape: &Tape) -> Vec<Finding> {
    let rows = ROWS.iter().filter(|row| row.editions.contains(&tape.header.edition.as_str()));
    let settled = rows.filter_map(|row| Some(Finding::ok(CHECK, format!("{}: {}", row.name, (row.answer)(tape)?))));
    let settled: Vec<Finding> = settled.collect();
    if settled.is_empty() {
        vec![Finding::skipped(CHECK, "the call settles no row of docs/assumptions.md")]
    } else {
        settled
    }
}

/// The agent's events, each with its time and its stream.
fn events(tape: &Tape) -> impl Iterator<Item = (CallTime, StreamId, &AgentEvent)> {
    tape.inputs.iter().filter_map(|(at, input)| match input {
        TapeInput::Agent(stream, event) => Some((*at, *stream, event)),
        _ => None,
    })
}

fn answers(tape: &Tape) -> impl Iterator<Item = (CallTime, StreamId, &Answer)> {
    events(tape).filter_map(|(at, stream, event)| match event {
        AgentEvent::Answer(answer) => Some((at, stream, answer.as_ref())),
        _ => None,
    })
}

/// The events of each stream.
fn by_stream(tape: &Tape) -> Vec<Vec<&AgentEvent>> {
    let streams: BTreeSet<StreamId> = events(tape).map(|(_, stream, _)| stream).collect();
    let of = |wanted: StreamId| events(tape).filter(move |(_, stream, _)| *stream == wanted).map(|(.., event)| event);
    streams.into_iter().map(|stream| of(stream).collect()).collect()
}

/// The messages of Twilio that are JSON.
fn from_twilio(tape: &Tape) -> impl Iterator<Item = Value> {
    tape.inputs.iter().filter_map(|(_, input)| match input {
        TapeInput::Twilio(text) => serde_json::from_str(text).ok(),
        _ => None,
    })
}

/// The different answers in a row, or none.
fn all_of(answers: impl IntoIterator<Item = String>) -> Option<String> {
    let answers: BTreeSet<String> = answers.into_iter().collect();
    (!answers.is_empty()).then(|| answers.into_iter().collect::<Vec<_>>().join("; "))
}

fn last_final_transcript(tape: &Tape) -> Option<String> {
    all_of(by_stream(tape).into_iter().filter_map(|events| {
        let end = events.iter().position(|event| matches!(event, AgentEvent::EndOfUtterance))?;
        let last = events.iter().rposition(|event| matches!(event, AgentEvent::Transcript(said) if said.is_final))?;
        Some(if last < end { "before END_OF_SINGLE_UTTERANCE" } else { "after END_OF_SINGLE_UTTERANCE" }.to_owned())
    }))
}

fn audio_of_es(tape: &Tape) -> Option<String> {
    all_of(by_stream(tape).into_iter().filter_map(|events| {
        let audio: Vec<bool> = events.iter().filter_map(|event| has_audio(event)).collect();
        let later = audio.iter().skip(1).filter(|has_audio| **has_audio).count();
        match (audio.first()?, later) {
            (true, 0) => Some("in the result's message".to_owned()),
            (false, 1) => Some("in one message after it".to_owned()),
            (_, 0) => None,
            (..) => Some("in several messages".to_owned()),
        }
    }))
}

/// Whether an answer has audio.
fn has_audio(event: &AgentEvent) -> Option<bool> {
    match event {
        AgentEvent::Answer(answer) => Some(answer.prompts.iter().any(|prompt| !prompt.audio.is_empty())),
        _ => None,
    }
}

fn wav_header(tape: &Tape) -> Option<String> {
    let is_ces = tape.header.edition == "ces";
    let prompts = answers(tape).flat_map(|(.., answer)| &answer.prompts).filter(|prompt| !prompt.audio.is_empty());
    let prompts: Vec<_> = prompts.filter(|prompt| is_ces || prompt.format.encoding != Encoding::Linear16).collect();
    let first = prompts.first()?;
    let with = if prompts.iter().any(|prompt| wav::is_wav(&prompt.audio)) { "with it" } else { "without it" };
    let coding = format!("{:?}", first.format.encoding).to_uppercase();
    Some(format!("{with} ({coding} at {} Hz)", first.format.sample_rate))
}

fn end_of_silence(tape: &Tape) -> Option<String> {
    all_of(by_stream(tape).into_iter().filter_map(|events| {
        events.iter().position(|event| matches!(event, AgentEvent::EndOfUtterance))?;
        let is_silent = !events.iter().any(|event| matches!(event, AgentEvent::Transcript(_)));
        let is_answered = events.iter().any(|event| matches!(event, AgentEvent::Answer(_)));
        is_silent.then(|| {
            let answer = if is_answered { "and an answer" } else { "and no answer" };
            format!("an end of the utterance without a transcript, {answer}")
        })
    }))
}

fn repeated_audio(tape: &Tape) -> Option<String> {
    all_of(by_stream(tape).into_iter().filter_map(|events| {
        let (mut partial, mut last) = (Vec::<u8>::new(), Vec::<u8>::new());
        for event in events {
            let AgentEvent::Answer(answer) = event else { continue };
            let audio = answer.prompts.iter().flat_map(|prompt| &prompt.audio);
            if answer.part == AnswerPart::Partial { partial.extend(audio) } else { last.extend(audio) }
        }
        let is_shown = !partial.is_empty() && !last.is_empty();
        is_shown.then(|| if last.starts_with(&partial) { "it does" } else { "it does not" }.to_owned())
    }))
}

fn transcripts(tape: &Tape) -> Option<String> {
    let all: Vec<_> = events(tape)
        .filter_map(|(.., event)| match event {
            AgentEvent::Transcript(said) => Some(said),
            _ => None,
        })
        .collect();
    let with = |is: bool, what: &str| format!("{} {what}", if is { "with" } else { "without" });
    all.first()?;
    Some(format!(
        "{}, {}, {}",
        with(all.iter().any(|said| !said.is_final), "interim transcripts"),
        with(all.iter().any(|said| said.confidence.is_some()), "a confidence"),
        with(all.iter().any(|said| said.start_ms.is_some()), "the times of words"),
    ))
}

fn end_of_session(tape: &Tape) -> Option<String> {
    let answers: Vec<&Answer> = answers(tape).map(|(.., answer)| answer).collect();
    let end = answers.iter().position(|answer| answer.end.is_some())?;
    let is_later =
        |answer: &&&Answer| answer.prompts.iter().any(|prompt| !level::is_quiet(prompt.format, &prompt.audio));
    let later = answers[end..].iter().find(is_later);
    Some(if later.is_some() { "before the last audio" } else { "after the last audio" }.to_owned())
}

fn turn_completed(tape: &Tape) -> Option<String> {
    let finals = answers(tape).filter(|(.., answer)| answer.part == AnswerPart::Final);
    all_of(finals.map(|(.., answer)| if answer.is_empty() { "apart" } else { "with the last output" }.to_owned()))
}

fn interrupted_turn(tape: &Tape) -> Option<String> {
    let mut verdicts = Vec::new();
    // A turn that was complete before the caller spoke says nothing.
    let (mut is_open, mut is_interrupted) = (false, false);
    for (.., event) in events(tape) {
        match event {
            AgentEvent::Interrupted { barge_in: true } => is_interrupted = is_open,
            AgentEvent::Answer(answer) => {
                if is_interrupted {
                    let is_completed = answer.part == AnswerPart::Final && answer.is_empty();
                    verdicts.push(if is_completed { "it is" } else { "it is not" }.to_owned());
                }
                (is_open, is_interrupted) = (answer.part != AnswerPart::Final, false);
            }
            _ => {}
        }
    }
    all_of(verdicts)
}

fn go_away(tape: &Tape) -> Option<String> {
    let (told, stream, _) = events(tape).find(|(.., event)| matches!(event, AgentEvent::GoAway))?;
    let last = events(tape).filter(|(_, of, event)| *of == stream && event.is_last()).last();
    Some(match last {
        Some((at, _, AgentEvent::Failed(fault))) => format!("{} ms, then {}", at.ms_since(told), fault.code),
        Some((at, ..)) => {
            format!("{} ms after it the stream was closed (we half-close it ourselves)", at.ms_since(told))
        }
        None => "the stream did not end by itself".to_owned(),
    })
}

/// The audio of each answer: when its messages came, and how long it is, in milliseconds.
fn runs(tape: &Tape) -> Vec<(CallTime, CallTime, u64, u64)> {
    let mut runs: Vec<(CallTime, CallTime, u64, u64)> = Vec::new();
    for (at, _, answer) in answers(tape) {
        for prompt in &answer.prompts {
            let Ok(mulaw) = to_mulaw(prompt.format, &prompt.audio) else { continue };
            let ms = (mulaw.len() / BYTES_PER_MS) as u64;
            let is_quiet = level::is_quiet(prompt.format, &prompt.audio);
            match runs.last_mut() {
                Some((_, last, all, lead)) if at.ms_since(*last) < ANSWER_PAUSE_MS => {
                    *lead += if is_quiet && *lead == *all { ms } else { 0 };
                    (*last, *all) = (at, *all + ms);
                }
                _ => runs.push((at, at, ms, if is_quiet { ms } else { 0 })),
            }
        }
    }
    runs
}

fn audio_pace(tape: &Tape) -> Option<String> {
    let long = runs(tape).into_iter().filter(|(first, last, ms, _)| *ms > 1_000 && last > first);
    let (took, ms) = long.fold((0, 0), |(took, all), (first, last, ms, _)| (took + last.ms_since(first), all + ms));
    let tenths = (ms * 10).checked_div(took)?;
    Some(format!("{}.{} times as fast as it plays", tenths / 10, tenths % 10))
}

fn quiet_lead(tape: &Tape) -> Option<String> {
    let longest = runs(tape).into_iter().filter(|(.., ms, lead)| lead < ms).map(|(.., lead)| lead).max()?;
    Some(format!("at most {longest} ms of it before a word"))
}

fn stop_after_update(tape: &Tape) -> Option<String> {
    let updated = |input: &TapeInput| matches!(input, TapeInput::Updated(UpdateResult::Accepted));
    let at = tape.inputs.iter().position(|(_, input)| updated(input))?;
    let is_stop = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|message| message["event"] == "stop");
    let stop = tape.inputs[at..].iter().any(|(_, input)| matches!(input, TapeInput::Twilio(text) if is_stop(text)));
    Some(if stop { "it comes" } else { "it does not come" }.to_owned())
}

fn custom_parameters(tape: &Tape) -> Option<String> {
    let start = from_twilio(tape).find(|message| message["event"] == "start")?;
    match start["start"].get("customParameters") {
        None => Some("absent".to_owned()),
        Some(parameters) if parameters.as_object().is_some_and(serde_json::Map::is_empty) => {
            Some("an empty object".to_owned())
        }
        Some(_) => None,
    }
}

fn counters(tape: &Tape) -> Option<String> {
    all_of(from_twilio(tape).filter_map(|message| match &message["sequenceNumber"] {
        Value::String(_) => Some("strings".to_owned()),
        Value::Number(_) => Some("numbers".to_owned()),
        _ => None,
    }))
}

fn frame_length(tape: &Tape) -> Option<String> {
    let payloads =
        from_twilio(tape).filter_map(|message| Some(message["media"]["payload"].as_str()?.trim_end_matches('=').len()));
    all_of(payloads.map(|characters| format!("{} ms", characters * 3 / 4 / BYTES_PER_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_in_the_document() {
        let document = include_str!("../../../docs/assumptions.md");
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
        let ces = of(include_str!("../../../tests/frames/barge_in_during_long_prompt_ces.jsonl"));
        for settled in [
            "CES: where `turn_completed` comes: apart",
            "CES: where the end of the session comes, and whether before or after the last audio: after the last audio",
            "CES: the coding of the audio, a WAV header before it: without it (MULAW at 8000 Hz)",
            "CES: whether audio begins with seconds in which nobody speaks: at most 0 ms of it before a word",
            "Twilio: the type of counters: strings",
            "Twilio: the length of a frame: 20 ms",
        ] {
            assert!(ces.iter().any(|says| says == settled), "{settled}: {ces:#?}");
        }
        let es = of(include_str!("../../../tests/frames/nobody_says_anything_es.jsonl"));
        let silence = "ES v2: how silence ends a turn: an end of the utterance without a transcript, and an answer";
        assert!(es.iter().any(|says| says == silence), "{es:#?}");
        assert!(!es.iter().any(|says| says.starts_with("CES")), "rows of another edition say nothing");
        let cx = of(include_str!("../../../tests/frames/goodbye_heard_to_its_end.jsonl"));
        let last = "Dialogflow: where the last final transcript comes: before END_OF_SINGLE_UTTERANCE";
        assert!(cx.iter().any(|says| says == last), "{cx:#?}");
    }

    #[test]
    fn an_interrupted_turn_is_completed_or_not() {
        let says = r#"{"event":"answer","text":"two"}"#;
        let last = r#"{"event":"answer","part":"final"}"#;
        let interrupted = r#"{"event":"interrupted","bargeIn":true}"#;
        for (messages, settled) in [
            ([says, interrupted, last], Some("it is")),
            ([says, interrupted, says], Some("it is not")),
            ([last, interrupted, says], None),
        ] {
            let lines =
                messages.map(|message| format!("{{\"at_ms\":1,\"from\":\"agent\",\"turn\":1,\"message\":{message}}}"));
            let text = format!("{{\"tape\":1,\"edition\":\"ces\"}}\n{}", lines.join("\n"));
            assert_eq!(interrupted_turn(&Tape::parse(&text).unwrap()).as_deref(), settled, "{messages:?}");
        }
    }

    #[test]
    fn what_is_no_tape_is_a_fault_and_one_that_shows_nothing_says_so() {
        assert!(findings(Path::new("/nowhere/call.jsonl"))[0].is_fault());
        let nothing = of(&Tape::parse("{\"tape\":1,\"edition\":\"cx\"}").unwrap());
        assert_eq!((nothing.len(), nothing[0].mark.as_str()), (1, "skipped"));
    }
}
