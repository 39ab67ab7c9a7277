//! Which rows of `docs/assumptions.md` a recorded real call settles, and which way.
//!
//! Each row is a function over the inputs of a tape. It answers only if the call shows it: a call without silence says
//! nothing about silence.

use std::collections::BTreeSet;
use std::path::Path;

use dialbridge_core::agent::{Answer, AnswerPart};
use dialbridge_core::audio::{BYTES_PER_MS, Encoding, level, to_mulaw, wav};
use dialbridge_core::replay::replay;
use dialbridge_core::tape::{Tape, TapeInput};
use dialbridge_core::{AgentEvent, CallTime, Output, StreamId, UpdateResult};
use serde_json::Value;

use super::finding::Finding;
use crate::files::{self, MAX_TAPE_BYTES};

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
    let text = match files::text(path, MAX_TAPE_BYTES) {
        Ok(text) => text,
        Err(why) => return vec![Finding::fault(CHECK, why, "name a file that `serve --record DIR` wrote")],
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
        let end = events.iter().position(|event| matches!(event, AgentEvent::EndOfUtterance { .. }))?;
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
        events.iter().position(|event| matches!(event, AgentEvent::EndOfUtterance { .. }))?;
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
            let audio = answer.prompts.iter().flat_map(|prompt| samples(&prompt.audio));
            if answer.part == AnswerPart::Partial { partial.extend(audio) } else { last.extend(audio) }
        }
        let is_shown = !partial.is_empty() && !last.is_empty();
        is_shown.then(|| if last.starts_with(&partial) { "it does" } else { "it does not" }.to_owned())
    }))
}

/// The audio without its WAV header, if it has one.
fn samples(audio: &[u8]) -> &[u8] {
    wav::read_wav(audio).map_or(audio, |wav| wav.data)
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
    let (ending, later) = (answers[end], &answers[end + 1..]);
    // The tape does not tell a message of its own from an output that has nothing else.
    let is_alone = ending.part == AnswerPart::Open
        && ending.text.is_empty()
        && ending.prompts.is_empty()
        && ending.payloads.is_empty();
    let place = match (later.iter().any(|answer| answer.end.is_some()), is_alone) {
        (true, _) => "in both",
        (false, true) => "in a message of its own or an output with nothing else",
        (false, false) => "in an output",
    };
    let speaks = |answer: &&Answer| answer.prompts.iter().any(|prompt| !level::is_quiet(prompt.format, &prompt.audio));
    let order = if later.iter().any(speaks) { "before" } else { "after" };
    Some(format!("{place}, {order} the last audio"))
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

/// The audio of one answer.
struct Run {
    /// When its first and its last message came.
    first: CallTime,
    last: CallTime,
    /// How long it plays.
    ms: u64,
    /// How much of it passes before anybody speaks.
    lead_ms: u64,
}

/// The audio of each answer, in order.
fn runs(tape: &Tape) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, _, answer) in answers(tape) {
        for prompt in &answer.prompts {
            let Ok(mulaw) = to_mulaw(prompt.format, &prompt.audio) else { continue };
            let ms = (mulaw.len() / BYTES_PER_MS) as u64;
            let quiet_ms = if level::is_quiet(prompt.format, &prompt.audio) { ms } else { 0 };
            match runs.last_mut() {
                Some(run) if at.ms_since(run.last) < ANSWER_PAUSE_MS => {
                    run.lead_ms += if run.lead_ms == run.ms { quiet_ms } else { 0 };
                    run.ms += ms;
                    run.last = at;
                }
                _ => runs.push(Run { first: at, last: at, ms, lead_ms: quiet_ms }),
            }
        }
    }
    runs
}

fn audio_pace(tape: &Tape) -> Option<String> {
    let long = runs(tape).into_iter().filter(|run| run.ms > 1_000 && run.last > run.first);
    let (took, ms) = long.fold((0, 0), |(took, ms), run| (took + run.last.ms_since(run.first), ms + run.ms));
    let tenths = (ms * 10).checked_div(took)?;
    Some(format!("{}.{} times as fast as it plays", tenths / 10, tenths % 10))
}

fn quiet_lead(tape: &Tape) -> Option<String> {
    let longest = runs(tape).into_iter().filter(|run| run.lead_ms < run.ms).map(|run| run.lead_ms).max()?;
    Some(format!("at most {longest} ms of it before a word"))
}

fn stop_after_update(tape: &Tape) -> Option<String> {
    let result = tape.inputs.iter().find_map(|(_, input)| match input {
        TapeInput::Updated(result) => Some(*result),
        _ => None,
    });
    // A `stop` may come before Twilio answers the update. The call is over then, and the tape has no answer.
    let is_updated = match result {
        Some(result) => result == UpdateResult::Accepted,
        None => replay(tape).outputs().any(|(_, output)| matches!(output, Output::Update { .. })),
    };
    let is_stopped = from_twilio(tape).any(|message| message["event"] == "stop");
    match (is_updated, is_stopped) {
        (true, true) => Some("it comes".to_owned()),
        (true, false) if result.is_some() => Some("it does not come".to_owned()),
        _ => None,
    }
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
mod tests;
