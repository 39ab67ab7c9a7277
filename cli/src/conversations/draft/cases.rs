//! Files out of exported CX test cases: their turns become texts.
//!
//! The form: `TestCase` of `google.cloud.dialogflow.cx.v3`, as `projects.locations.agents.testCases.export` writes it in
//! JSON. Whether the cases are a list, stand in `testCases`, or on a line each, they are read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Draft, first_sentence, quoted, slug, write_new};
use crate::files;

/// The largest export that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Writes a file for each test case into that folder. Returns what was written, and a sentence for each part of a case
/// that has no place in a call.
///
/// # Errors
/// A sentence that says why nothing can be written.
pub fn import(path: &Path, folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>), String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = files::text(path, MAX_BYTES)?;
    let cases = cases(&text).map_err(|why| told(&why))?;
    if cases.is_empty() {
        return Err(told(&"it has no test cases: export them from the agent's test coverage page as JSON"));
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (mut written, mut notes) = (Vec::new(), Vec::new());
    for case in &cases {
        let name = case["displayName"].as_str().unwrap_or("test case");
        let path = (1..1_000).map(|n| match n {
            1 => folder.join(format!("{}.toml", slug(name))),
            n => folder.join(format!("{}-{n}.toml", slug(name))),
        });
        let Some(path) = path.into_iter().find(|path| !written.contains(path)) else { continue };
        let (draft, more) = draft(name, case);
        write_new(&path, draft.as_str().as_bytes())?;
        notes.extend(more.into_iter().map(|note| format!("{}: {note}", path.display())));
        written.push(path);
    }
    Ok((written, notes))
}

fn cases(text: &str) -> Result<Vec<Value>, String> {
    let of = |value: Value| match value {
        Value::Array(cases) => cases,
        Value::Object(mut object) => match object.remove("testCases") {
            Some(Value::Array(cases)) => cases,
            _ => vec![Value::Object(object)],
        },
        _ => Vec::new(),
    };
    let all = match serde_json::from_str::<Value>(text) {
        Ok(value) => of(value),
        Err(error) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str);
            lines
                .collect::<Result<Vec<Value>, _>>()
                .map_err(|_| format!("it is no JSON: {error}"))?
                .into_iter()
                .flat_map(of)
                .collect()
        }
    };
    Ok(all.into_iter().filter(|case| case["testCaseConversationTurns"].is_array()).collect())
}

fn draft(name: &str, case: &Value) -> (Draft, Vec<String>) {
    let (mut draft, mut notes) = (Draft::default(), Vec::new());
    draft.text("name", name);
    let turns: Vec<&Value> = case["testCaseConversationTurns"].as_array().into_iter().flatten().collect();
    // A call begins with a text that the agent greets to. The case says which.
    let first = turns.first().and_then(|turn| turn.pointer("/userInput/input/text/text")?.as_str());
    if let Some(first) = first {
        draft.line(&format!("settings = {{ DIALOGFLOW_STARTING_TEXT = {} }}", quoted(first)));
    } else {
        draft.line("\n[[step]]");
    }
    for (n, turn) in turns.iter().enumerate() {
        let input = &turn["userInput"]["input"];
        let text = |pointer: &str| input.pointer(pointer).and_then(Value::as_str);
        if turn["userInput"]["injectedParameters"].as_object().is_some_and(|parameters| !parameters.is_empty()) {
            notes.push(format!("turn {} sets parameters, which is left out: params sets those of the call", n + 1));
        }
        match (text("/text/text"), text("/dtmf/digits")) {
            (Some(_), _) if n == 0 => draft.line("\n[[step]]"),
            (Some(text), _) => {
                draft.line("\n[[step]]");
                draft.text("text", text);
            }
            (None, Some(digits)) => {
                draft.line("\n[[step]]");
                draft.text("dtmf", &format!("{digits}{}", text("/dtmf/finishDigit").unwrap_or("#")));
            }
            (None, None) => {
                notes.push(format!("turn {} is neither a text nor digits, and is left out", n + 1));
                continue;
            }
        }
        expectations(&turn["virtualAgentOutput"], &mut draft);
    }
    (draft, notes)
}

fn expectations(output: &Value, draft: &mut Draft) {
    draft.line("[step.expect]");
    let name = |pointer: &str| output.pointer(pointer).and_then(Value::as_str).filter(|name| !name.is_empty());
    if let Some(intent) = name("/triggeredIntent/displayName") {
        draft.text("intent", intent);
    }
    if let Some(page) = name("/currentPage/displayName") {
        draft.text("page", page);
    }
    let texts = output["textResponses"].as_array().into_iter().flatten();
    let mut texts = texts.filter_map(|response| response.pointer("/text/0")?.as_str()).map(first_sentence);
    if let Some(reply) = texts.find(|text| !text.is_empty()) {
        draft.text("reply", reply);
    }
    draft.values("params", output["sessionParameters"].as_object().into_iter().flatten());
}
