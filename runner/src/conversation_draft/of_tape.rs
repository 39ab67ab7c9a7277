//! A conversation file out of a tape: what the caller said and pressed, cut out of his audio, and what the agent made of it.

use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, BYTES_PER_MS, FRAME_MS};
use dialbridge_core::replay::{PlayedCall, said};
use dialbridge_core::report::Stages;
use dialbridge_core::tape::{Tape, TapeInput};
use dialbridge_core::{CallTime, Report, TurnId};
use serde_json::{Map, Value};

use super::{Draft, first_sentence, quoted};

/// How much audio around an utterance is kept, in milliseconds.
const AROUND_MS: u64 = 240;

/// A turn of the call.
#[derive(Debug, Default)]
struct Turn {
    id: Option<TurnId>,
    input: &'static str,
    opened: CallTime,
    understood: String,
    reply: String,
    intent: String,
    parameters: Map<String, Value>,
    stages: Option<Stages>,
}

/// A conversation file out of a tape, and the recordings that it names.
#[derive(Debug, Default)]
pub struct DraftedCall {
    /// The file.
    pub file: Draft,
    /// What the caller said: WAV files by their names.
    pub recordings: Vec<(String, Vec<u8>)>,
    /// What a person must put in before the file runs.
    pub gaps: Vec<Gap>,
}

/// A step in which the tape masks what the caller did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The line of the file, from 1.
    pub line: usize,
    /// What to put in.
    pub what: &'static str,
}

/// Drafts a conversation file out of a tape. `stem` names the call, and begins the names of the recordings.
#[must_use]
pub fn of_tape(tape: &Tape, stem: &str) -> DraftedCall {
    let call = PlayedCall::recorded(tape, &[]);
    let cuts = call.prompt_cuts();
    let mut drafting = Drafting { tape, said: said(tape), stem, drafted: DraftedCall::default() };
    drafting.draft().text("name", stem);
    if tape.header.mask.audio {
        drafting.draft().line("# The tape's audio is masked: the caller's words are spoken anew.");
    }
    // A fact of this one call is no expectation of others.
    let (mut known, told) = (Map::new(), facts(tape));
    let mut since = CallTime::START;
    for (n, turn) in turns(&call).into_iter().enumerate() {
        drafting.draft().line("\n[[step]]");
        drafting.action(&turn, n == 0, since);
        if let Some((began, _)) = turn.heard()
            && let Some((_, from)) = cuts.iter().find(|(at, _)| *at >= began && *at < turn.stages_end())
        {
            drafting.draft().line(&format!("barge_in_at_s = {}", seconds(began.ms_since(*from))));
        }
        drafting.expectations(&turn, |name, value| known.get(name) != Some(value) && !told.contains(value));
        known.extend(turn.parameters);
        since = turn.opened;
    }
    let draft = drafting.draft();
    draft.line("\n[end.expect]");
    if let Some(status) = call.status() {
        draft.text("status", status.as_str());
    }
    draft.line(&format!("turns = {}", call.turns()));
    drafting.drafted
}

/// A file that is being written out of a tape.
struct Drafting<'a> {
    tape: &'a Tape,
    /// The caller's audio.
    said: Vec<u8>,
    stem: &'a str,
    drafted: DraftedCall,
}

impl Drafting<'_> {
    fn draft(&mut self) -> &mut Draft {
        &mut self.drafted.file
    }

    /// Writes the step of the caller that led to a turn.
    fn action(&mut self, turn: &Turn, is_first: bool, since: CallTime) {
        let mask = self.tape.header.mask;
        match (turn.input, turn.heard()) {
            ("audio", Some((began, ended))) if !mask.audio => {
                let wav = format!("{}-{}.wav", self.stem, self.drafted.recordings.len() + 1);
                self.draft().text("audio", &wav);
                self.drafted.recordings.push((wav, utterance(&self.said, began, ended)));
            }
            ("audio", Some(_)) if turn.understood.is_empty() => {
                self.masked("say", "…", "what the caller said: the tape masks it, and has no transcript");
            }
            ("audio", _) if turn.understood.is_empty() => self.draft().line("wait_s = 6"),
            ("audio", _) => self.draft().text("say", &turn.understood),
            ("text", _) if !is_first => self.drafted.file.text("text", &sent_text(self.tape, turn.opened)),
            ("event", _) if !is_first => self.draft().line("wait_s = 8"),
            ("digits", _) if mask.digits => {
                let pressed = digits(self.tape, since, turn.opened);
                self.masked("dtmf", &pressed, "what the caller pressed: the tape masks digits, each is a 0");
            }
            ("digits", _) => self.drafted.file.text("dtmf", &digits(self.tape, since, turn.opened)),
            _ => {}
        }
    }

    /// A step whose action a person must put in. Until then the file is refused with that line.
    fn masked(&mut self, key: &str, text: &str, what: &'static str) {
        self.draft().line(&format!("# Put in {what}."));
        self.draft().line(&format!("# {key} = {}", quoted(text)));
        let line = self.draft().as_str().lines().count();
        self.drafted.gaps.push(Gap { line, what });
    }

    /// Writes the expectations of a turn. A parameter of masked digits is masked too.
    fn expectations(&mut self, turn: &Turn, is_new: impl Fn(&String, &Value) -> bool) {
        self.draft().line("[step.expect]");
        let texts = [
            ("understood", turn.understood.as_str()),
            ("intent", &turn.intent),
            ("reply", first_sentence(&turn.reply)),
        ];
        texts.iter().filter(|(_, text)| !text.is_empty()).for_each(|(key, text)| self.draft().text(key, text));
        let is_masked = turn.input == "digits" && self.tape.header.mask.digits;
        let parameters = turn.parameters.iter().filter(|(name, value)| !is_masked && is_new(name, value));
        self.drafted.file.values("params", parameters);
    }
}

/// The values of the call's own facts: its id, its numbers, the parameters of its voice-url.
fn facts(tape: &Tape) -> Vec<Value> {
    let start = tape.inputs.iter().find_map(|(_, input)| {
        let TapeInput::Twilio(text) = input else { return None };
        let mut message: Value = serde_json::from_str(text).ok()?;
        (message["event"] == "start").then(|| message["start"].take())
    });
    let start = start.unwrap_or_default();
    let custom = start["customParameters"].as_object().into_iter().flat_map(|parameters| parameters.values().cloned());
    custom.chain([start["callSid"].clone()]).collect()
}

impl Turn {
    /// Where the caller spoke.
    fn heard(&self) -> Option<(CallTime, CallTime)> {
        let stages = self.stages.as_ref()?;
        Some((stages.speech_began?, stages.speech_ended?))
    }

    fn stages_end(&self) -> CallTime {
        self.stages.as_ref().and_then(|stages| stages.answered).unwrap_or(CallTime::from_ms(u64::MAX))
    }
}

/// The turns that the agent answered.
fn turns(call: &PlayedCall) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut opened: Vec<(TurnId, &'static str, CallTime)> = Vec::new();
    for (at, report) in call.reports() {
        match report {
            Report::TurnOpened { turn, input, .. } => opened.push((*turn, input, at)),
            Report::Answered { turn, query_text, text, intent, parameters, .. } => {
                if turns.last().is_none_or(|last| last.id != Some(*turn)) {
                    let how = opened.iter().rev().find(|(id, ..)| id == turn);
                    let (input, opened) = how.map_or(("audio", at), |(_, input, at)| (*input, *at));
                    turns.push(Turn { id: Some(*turn), input, opened, ..Turn::default() });
                }
                let Some(last) = turns.last_mut() else { continue };
                for (to, from) in [(&mut last.understood, query_text), (&mut last.intent, &intent.display_name)] {
                    if !from.is_empty() {
                        to.clone_from(from);
                    }
                }
                last.reply = [last.reply.as_str(), text].join(" ").trim().to_owned();
                last.parameters.extend(parameters.clone());
            }
            Report::Stages(stages) => {
                if let Some(turn) = turns.iter_mut().find(|turn| turn.id == Some(stages.turn)) {
                    turn.stages = Some((**stages).clone());
                }
            }
            _ => {}
        }
    }
    turns
}

/// The utterance of the caller, as a WAV file.
fn utterance(said: &[u8], began: CallTime, ended: CallTime) -> Vec<u8> {
    let place = |at: CallTime| usize::try_from(at.as_ms()).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
    let end = place(ended + AROUND_MS + FRAME_MS).min(said.len());
    write_wav(1, AudioFormat::TELEPHONE, &said[place(began - AROUND_MS).min(end)..end])
}

/// The last text that the caller had sent by then. Texts come from tests alone.
fn sent_text(tape: &Tape, by: CallTime) -> String {
    let sent = tape
        .inputs
        .iter()
        .take_while(|(at, _)| *at <= by)
        .filter_map(|(_, input)| if let TapeInput::Text(text) = input { Some(text.clone()) } else { None });
    sent.last().unwrap_or_else(|| "what the caller sends".to_owned())
}

/// The keys that the caller pressed then.
fn digits(tape: &Tape, from: CallTime, to: CallTime) -> String {
    let pressed = tape.inputs.iter().filter(|(at, _)| (from..=to).contains(at)).filter_map(|(_, input)| {
        let TapeInput::Twilio(text) = input else { return None };
        let message: Value = serde_json::from_str(text).ok()?;
        Some(message.pointer("/dtmf/digit")?.as_str()?.to_owned())
    });
    pressed.collect()
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}
