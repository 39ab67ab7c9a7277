//! A conversation file: one call, what its caller does, and what must come of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dialbridge_core::CallConfig;
use dialbridge_core::agent::MAX_TEXT_CHARS;
use dialbridge_runner::settings::{Settings, with_settings};

use super::expect::{NumberTest, Test, TextTest};
use super::fields::{Fault, Field, Fields, Source, nearest};
use crate::files;

/// The longest file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// How many steps a call may have.
const MAX_STEPS: usize = 200;

/// The longest wait, in seconds.
const MAX_WAIT_S: u32 = 600;

/// The most keys in one step. A call takes no more as one input.
const MAX_DIGITS: usize = 128;

/// A call to place.
#[derive(Debug, Clone)]
pub struct ConversationFile {
    /// The file.
    pub path: PathBuf,
    /// Its name in reports.
    pub name: String,
    /// The agent's name in the agents' file.
    pub agent: Option<String>,
    /// The call's language.
    pub language: Option<String>,
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// Session parameters of the voice-url.
    pub params: BTreeMap<String, String>,
    /// Settings for this call alone, by the names of their variables.
    pub settings: BTreeMap<String, FileSetting>,
    /// The expectations of the greeting; `None` if the file does not name it.
    pub greeting: Option<Vec<Expectation>>,
    /// The steps of the caller, in order.
    pub steps: Vec<FileStep>,
    /// The expectations of the whole call.
    pub end: Vec<Expectation>,
}

/// A setting of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSetting {
    /// Where it stands.
    pub line: usize,
    /// Its value.
    pub value: String,
}

/// One step of the caller's.
#[derive(Debug, Clone)]
pub struct FileStep {
    /// Where it begins.
    pub line: usize,
    /// Its number in the file, from 1.
    pub number: usize,
    /// The step itself.
    pub action: Action,
    /// When he does it, if it is into a prompt: this long after its first audio, in milliseconds.
    pub barge_in_ms: Option<u64>,
    /// The expectations of the answer.
    pub expect: Vec<Expectation>,
}

/// One thing that the caller does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Says a recording: a WAV file.
    Audio(PathBuf),
    /// Says these words, which are synthesised.
    Say(String),
    /// Sends a text.
    Text(String),
    /// Presses keys.
    Digits(String),
    /// Says nothing, for this many milliseconds.
    Wait(u64),
    /// Hangs up.
    HangUp,
}

/// One expectation of a step, or of the call.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Where it stands.
    pub line: usize,
    /// The value that is compared.
    pub subject: Subject,
    /// How it must be.
    pub test: Test,
}

/// The value that an expectation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The words of the agent.
    Reply,
    /// The words that it understood.
    Understood,
    /// The display name of the intent.
    Intent,
    /// The display name of the flow.
    Flow,
    /// The display name of the page.
    Page,
    /// A parameter.
    Param(Vec<String>),
    /// From the last voiced frame to the answer's first audio, in seconds.
    WithinS,
    /// Whether a prompt was cut.
    PromptCut,
    /// How much of it was heard, in seconds.
    PromptCutS,
    /// How the agent's part ended.
    Status,
    /// Why the media stream was closed.
    Reason,
    /// The TwiML of the hand-off.
    Twiml,
    /// A field of `dialogflowJSON`.
    Handoff(Vec<String>),
    /// How many turns the agent answered.
    Turns,
    /// How many warnings there were.
    Warnings,
    /// How long the call was, in seconds.
    Seconds,
}

impl Subject {
    /// The key in the file.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Reply => "reply".to_owned(),
            Self::Understood => "understood".to_owned(),
            Self::Intent => "intent".to_owned(),
            Self::Flow => "flow".to_owned(),
            Self::Page => "page".to_owned(),
            Self::Param(path) => format!("params.{}", path.join(".")),
            Self::WithinS => "within_s".to_owned(),
            Self::PromptCut => "prompt_cut".to_owned(),
            Self::PromptCutS => "prompt_cut_s".to_owned(),
            Self::Status => "status".to_owned(),
            Self::Reason => "reason".to_owned(),
            Self::Twiml => "twiml".to_owned(),
            Self::Handoff(path) => format!("handoff.{}", path.join(".")),
            Self::Turns => "turns".to_owned(),
            Self::Warnings => "warnings".to_owned(),
            Self::Seconds => "seconds".to_owned(),
        }
    }

    /// Whether a caller can tell it, without what the service saw.
    #[must_use]
    pub fn is_seen_by_caller(&self) -> bool {
        match self {
            Self::WithinS
            | Self::PromptCut
            | Self::PromptCutS
            | Self::Status
            | Self::Twiml
            | Self::Handoff(_)
            | Self::Seconds => true,
            Self::Reply
            | Self::Understood
            | Self::Intent
            | Self::Flow
            | Self::Page
            | Self::Param(_)
            | Self::Reason
            | Self::Turns
            | Self::Warnings => false,
        }
    }

    /// Whether it is something that was said, or a parameter that may hold it.
    #[must_use]
    pub fn is_of_words(&self) -> bool {
        matches!(self, Self::Reply | Self::Understood | Self::Param(_))
    }
}

/// Why a file is not one: all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError(pub Vec<Fault>);

const TOP: [&str; 9] = ["name", "agent", "language", "from", "to", "params", "settings", "step", "end"];
const STEP: [&str; 8] = ["audio", "say", "text", "dtmf", "wait_s", "hang_up", "barge_in_at_s", "expect"];
const STEP_EXPECT: [&str; 9] =
    ["reply", "understood", "intent", "flow", "page", "params", "within_s", "prompt_cut", "prompt_cut_s"];
const END_EXPECT: [&str; 7] = ["status", "reason", "twiml", "handoff", "turns", "warnings", "seconds"];

/// The statuses of a hand-off.
const STATUSES: [&str; 5] = ["completed", "live-agent-handoff", "hangup", "paused", "failed"];

impl ConversationFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`] with all its faults, in the order of their lines.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = files::text(path, MAX_FILE_BYTES).map_err(|what| FileError(vec![Fault { line: 1, what }]))?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; its paths are relative to `path`.
    ///
    /// # Errors
    /// [`FileError`] with all its faults, in the order of their lines.
    pub fn parse(text: &str, path: &Path) -> Result<Self, FileError> {
        let mut source = Source::new(text);
        let file = source.table().map(|table| Self::of(table, path, &mut source));
        source.faults.sort();
        match file {
            Some(file) if source.faults.is_empty() => Ok(file),
            _ => Err(FileError(source.faults)),
        }
    }

    /// Its settings of which the name `is_wanted`, as `NAME=VALUE`, and those of the command line after them.
    pub(super) fn changes(&self, is_wanted: impl Fn(&str) -> bool, further: &[String]) -> Vec<String> {
        let own = self.settings.iter().filter(|(name, _)| is_wanted(name));
        own.map(|(name, setting)| format!("{name}={}", setting.value)).chain(further.iter().cloned()).collect()
    }

    fn of<'a>(mut table: Fields<'a>, path: &Path, source: &mut Source<'a>) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut text = |key: &str, source: &mut Source<'_>| table.take(key)?.text(source);
        let name = text("name", source);
        let (agent, language) = (text("agent", source), text("language", source));
        let (from, to) = (text("from", source), text("to", source));
        let params = table.take("params").map(|field| scalars(field, source)).unwrap_or_default();
        let settings = table.take("settings").map(|field| settings(field, source)).unwrap_or_default();
        let mut steps = table.take("step").map(|field| steps(field, folder, source)).unwrap_or_default();
        let end = table.take("end").map(|field| end(field, source)).unwrap_or_default();
        let line = table.line;
        table.refuse_rest(&TOP, source);
        let greeting = match steps.first() {
            Some(Err(_)) => steps.remove(0).err(),
            _ => None,
        };
        let steps: Vec<FileStep> = steps.into_iter().filter_map(Result::ok).collect();
        if steps.is_empty() && greeting.is_none() && source.faults.is_empty() {
            source.fault(line, "there is no step: add [[step]] with audio, say, text, dtmf, wait_s or hang_up");
        }
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self {
            path: path.to_owned(),
            name: name.unwrap_or(stem),
            agent,
            language,
            from: from.unwrap_or_else(|| "+15550100".to_owned()),
            to: to.unwrap_or_else(|| "+15550199".to_owned()),
            params,
            settings,
            greeting,
            steps,
            end,
        }
    }
}

fn scalars<'a>(field: Field<'a>, source: &mut Source<'a>) -> BTreeMap<String, String> {
    let Some(mut table) = field.table(source) else { return BTreeMap::new() };
    table.take_all().into_iter().filter_map(|(key, field)| Some((key, field.scalar(source)?))).collect()
}

fn settings<'a>(field: Field<'a>, source: &mut Source<'a>) -> BTreeMap<String, FileSetting> {
    let Some(mut table) = field.table(source) else { return BTreeMap::new() };
    let mut settings = BTreeMap::new();
    for (name, field) in table.take_all() {
        let line = field.line;
        let Some(value) = field.scalar(source) else { continue };
        match setting_fault(&name, &value) {
            Some(fault) => source.fault(line, fault),
            None => {
                settings.insert(name, FileSetting { line, value });
            }
        }
    }
    settings
}

/// The fault of a setting; `None` if it is right. A service checks the value of one that is no setting of a call.
fn setting_fault(name: &str, value: &str) -> Option<String> {
    let known: Vec<&str> = Settings::names().collect();
    if !known.contains(&name) {
        return Some(format!("settings.{name} is no setting{}", nearest(name, &known)));
    }
    if !Settings::is_of_call(name) {
        return None;
    }
    with_settings(&CallConfig::default(), "cx", &[format!("{name}={value}")]).err()
}

/// The steps. An `Err` is the first one, if it is the greeting: the caller does nothing in it.
fn steps<'a>(field: Field<'a>, folder: &Path, source: &mut Source<'a>) -> Vec<Result<FileStep, Vec<Expectation>>> {
    let tables = field.tables(source);
    if let Some(beyond) = tables.get(MAX_STEPS) {
        source.fault(beyond.line, format!("a call has at most {MAX_STEPS} steps"));
    }
    let mut steps = Vec::new();
    for (n, mut table) in tables.into_iter().take(MAX_STEPS).enumerate() {
        let (line, before) = (table.line, source.faults.len());
        let actions = actions(&mut table, folder, source);
        let barge_in = table.take("barge_in_at_s");
        let barge_in_line = barge_in.as_ref().map_or(line, |field| field.line);
        let barge_in_ms = barge_in.and_then(|field| field.milliseconds(MAX_WAIT_S, source));
        let expect = table.take("expect").map(|field| step_expectations(field, source)).unwrap_or_default();
        table.refuse_rest(&STEP, source);
        let mut actions = actions.into_iter();
        match (actions.next(), actions.next()) {
            (Some(action), None) => {
                if barge_in_ms.is_some() && matches!(action, Action::Wait(_) | Action::Text(_)) {
                    source.fault(barge_in_line, "barge_in_at_s needs audio, say, dtmf or hang_up in its step");
                }
                steps.push(Ok(FileStep { line, number: n + 1, action, barge_in_ms, expect }));
            }
            (None, _) if n == 0 && barge_in_ms.is_none() => steps.push(Err(expect)),
            // The fault of its action is told already.
            (None, _) if source.faults.len() > before => {}
            (None, _) => source.fault(
                line,
                format!(
                    "step {} needs audio, say, text, dtmf, wait_s or hang_up; only the first step, the greeting, goes without",
                    n + 1
                ),
            ),
            (Some(_), Some(_)) => source.fault(
                line,
                format!("step {} has two of audio, say, text, dtmf, wait_s and hang_up; make it two steps", n + 1),
            ),
        }
    }
    steps
}

fn actions(table: &mut Fields<'_>, folder: &Path, source: &mut Source<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut text = |key: &str, source: &mut Source<'_>| table.take(key)?.text(source);
    actions.extend(text("audio", source).map(|file| Action::Audio(folder.join(file))));
    actions.extend(text("say", source).map(Action::Say));
    if let Some(field) = table.take("text") {
        let line = field.line;
        match field.text(source) {
            Some(text) if text.chars().count() > MAX_TEXT_CHARS => {
                source.fault(
                    line,
                    format!("text has more than {MAX_TEXT_CHARS} characters, which is all that Dialogflow takes"),
                );
            }
            text => actions.extend(text.map(Action::Text)),
        }
    }
    actions.extend(table.take("dtmf").and_then(|field| digits(field, source)).map(Action::Digits));
    actions.extend(table.take("wait_s").and_then(|field| field.milliseconds(MAX_WAIT_S, source)).map(Action::Wait));
    if let Some(field) = table.take("hang_up") {
        let line = field.line;
        match field.flag(source) {
            Some(true) => actions.push(Action::HangUp),
            Some(false) => source.fault(line, "hang_up can only be true"),
            None => {}
        }
    }
    actions
}

fn digits(field: Field<'_>, source: &mut Source<'_>) -> Option<String> {
    let line = field.line;
    let digits = field.text(source)?;
    if let Some(other) = digits.chars().find(|key| !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
        source.fault(line, format!("dtmf has '{other}', which is no key of a telephone: 0 to 9, *, #, A to D"));
        return None;
    }
    if digits.len() > MAX_DIGITS {
        source.fault(line, format!("dtmf has more than {MAX_DIGITS} keys"));
        return None;
    }
    Some(digits)
}

fn step_expectations<'a>(field: Field<'a>, source: &mut Source<'a>) -> Vec<Expectation> {
    let Some(mut table) = field.table(source) else { return Vec::new() };
    let mut expect = Vec::new();
    for (key, subject) in [
        ("reply", Subject::Reply),
        ("understood", Subject::Understood),
        ("intent", Subject::Intent),
        ("flow", Subject::Flow),
        ("page", Subject::Page),
    ] {
        expect.extend(table.take(key).and_then(|field| text_expectation(field, subject, source)));
    }
    if let Some(field) = table.take("params") {
        json_expectations(field, &|path| Subject::Param(path), source, &mut expect);
    }
    for (key, subject) in [("within_s", Subject::WithinS), ("prompt_cut_s", Subject::PromptCutS)] {
        expect.extend(table.take(key).and_then(|field| number_expectation(field, subject, source)));
    }
    expect.extend(table.take("prompt_cut").and_then(|field| {
        let line = field.line;
        Some(Expectation { line, subject: Subject::PromptCut, test: Test::Flag(field.flag(source)?) })
    }));
    table.refuse_rest(&STEP_EXPECT, source);
    expect.sort_by_key(|expectation| expectation.line);
    expect
}

fn end<'a>(field: Field<'a>, source: &mut Source<'a>) -> Vec<Expectation> {
    let Some(mut table) = field.table(source) else { return Vec::new() };
    let expect = table.take("expect").map(|field| end_expectations(field, source)).unwrap_or_default();
    table.refuse_rest(&["expect"], source);
    expect
}

fn end_expectations<'a>(field: Field<'a>, source: &mut Source<'a>) -> Vec<Expectation> {
    let Some(mut table) = field.table(source) else { return Vec::new() };
    let mut expect = Vec::new();
    for (key, subject) in [("status", Subject::Status), ("reason", Subject::Reason), ("twiml", Subject::Twiml)] {
        expect.extend(table.take(key).and_then(|field| text_expectation(field, subject, source)));
    }
    for expectation in &expect {
        if let (Subject::Status, Test::Text(TextTest::Contains(status))) = (&expectation.subject, &expectation.test)
            && !STATUSES.iter().any(|known| known.contains(status.as_str()))
        {
            source.fault(expectation.line, format!("\"{status}\" is no status{}", nearest(status, &STATUSES)));
        }
    }
    if let Some(field) = table.take("handoff") {
        json_expectations(field, &|path| Subject::Handoff(path), source, &mut expect);
    }
    for (key, subject) in [("turns", Subject::Turns), ("warnings", Subject::Warnings), ("seconds", Subject::Seconds)] {
        expect.extend(table.take(key).and_then(|field| number_expectation(field, subject, source)));
    }
    table.refuse_rest(&END_EXPECT, source);
    expect.sort_by_key(|expectation| expectation.line);
    expect
}

fn text_expectation<'a>(field: Field<'a>, subject: Subject, source: &mut Source<'a>) -> Option<Expectation> {
    let line = field.line;
    Some(Expectation { line, subject, test: Test::Text(TextTest::read(field, source)?) })
}

fn number_expectation(field: Field<'_>, subject: Subject, source: &mut Source<'_>) -> Option<Expectation> {
    let line = field.line;
    Some(Expectation { line, subject, test: Test::Number(NumberTest::read(field, source)?) })
}

/// The expectations of a table of values. A table within it goes deeper, unless it is a text expectation.
fn json_expectations<'a>(
    field: Field<'a>,
    subject: &dyn Fn(Vec<String>) -> Subject,
    source: &mut Source<'a>,
    expect: &mut Vec<Expectation>,
) {
    let mut waiting: Vec<(Vec<String>, Field<'a>)> = vec![(Vec::new(), field)];
    while let Some((path, field)) = waiting.pop() {
        if !path.is_empty() && (!field.is_table() || field.has_any(&["regex", "any", "all"])) {
            let line = field.line;
            let test = match field.is_table() {
                true => TextTest::read(field, source).map(Test::Text),
                false => Test::of_json(field, source),
            };
            expect.extend(test.map(|test| Expectation { line, subject: subject(path), test }));
            continue;
        }
        let Some(mut table) = field.table(source) else { continue };
        for (key, field) in table.take_all() {
            waiting.push((path.iter().cloned().chain([key]).collect(), field));
        }
    }
}

#[cfg(test)]
mod tests;
