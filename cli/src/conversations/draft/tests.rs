use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::conversations::{Action, ConversationFile};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dialbridge-draft-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conversations").join(name)
}

#[test]
fn a_tape_becomes_a_file_that_is_read() {
    let folder = folder("tape");
    let (written, notes) = of_tape(&docs("menu/menu.cx.jsonl"), &folder.join("menu.toml")).unwrap();
    let file = ConversationFile::read(&folder.join("menu.toml")).unwrap();
    let actions: Vec<Action> = file.steps.iter().map(|step| step.action.clone()).collect();
    assert_eq!(actions.len(), 4, "{}", fs::read_to_string(folder.join("menu.toml")).unwrap());
    assert_eq!(actions[0], Action::Digits("1".to_owned()));
    assert_eq!((written.len(), notes.len()), (1, 0));
    let text = fs::read_to_string(folder.join("menu.toml")).unwrap();
    for line in
        ["dtmf = \"9#\"", "intent = \"hours\"", "params.opens = 7", "status = \"live-agent-handoff\"", "turns = 5"]
    {
        assert!(text.lines().any(|of_text| of_text == line), "{line}: {text}");
    }
    assert!(!text.contains("+1555") && !text.contains("CallSid"), "{text}");
    let again = of_tape(&docs("menu/menu.cx.jsonl"), &folder.join("menu.toml")).unwrap_err();
    assert!(again.contains("menu.toml: the file exists; --out names another one"), "{again}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_the_caller_said_is_cut_out_of_a_tape() {
    let folder = folder("said");
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/frames/barge_in_during_long_prompt.jsonl");
    let (written, _) = of_tape(&tape, &folder.join("call.toml")).unwrap();
    let file = ConversationFile::read(&folder.join("call.toml")).unwrap();
    assert!(written.len() > 1, "{}", fs::read_to_string(&written[0]).unwrap());
    assert_eq!(file.steps.iter().filter(|step| matches!(step.action, Action::Audio(_))).count(), written.len() - 1);
    assert!(file.steps.iter().any(|step| step.barge_in_ms.is_some()), "{}", fs::read_to_string(&written[0]).unwrap());
    file.caller().unwrap();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_tape_masks_must_be_put_in_before_the_file_runs() {
    let folder = folder("masked");
    let tape = fs::read_to_string(docs("menu/menu.cx.jsonl")).unwrap();
    let (header, rest) = tape.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(header).unwrap();
    header["mask"] = serde_json::json!({ "digits": true });
    fs::write(folder.join("menu.jsonl"), format!("{header}\n{rest}")).unwrap();
    let (_, notes) = of_tape(&folder.join("menu.jsonl"), &folder.join("menu.toml")).unwrap();
    let text = fs::read_to_string(folder.join("menu.toml")).unwrap();
    let told =
        notes.iter().any(|note| note.contains("menu.toml: line ") && note.contains("put in what the caller pressed"));
    assert!(notes.len() == 3 && told, "{notes:?}");
    assert!(text.contains("# dtmf = \"9#\"") && !text.contains("params."), "{text}");
    let error = ConversationFile::read(&folder.join("menu.toml")).unwrap_err();
    assert!(error.0[0].what.contains("needs audio, say, text, dtmf"), "{error:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn recordings_become_a_file_whose_expectations_wait_to_be_written() {
    let folder = folder("wav");
    let wav = folder.join("a.wav");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/agents/bakery/nine.wav"), &wav).unwrap();
    of_recordings(std::slice::from_ref(&wav), &folder.join("a.toml")).unwrap();
    let file = ConversationFile::read(&folder.join("a.toml")).unwrap();
    assert_eq!(file.steps[0].action, Action::Audio(wav));
    assert!(of_recordings(&[folder.join("b.wav")], &folder.join("b.toml")).is_err());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn cx_test_cases_become_texts() {
    let folder = folder("cases");
    let turn =
        |input: &str, output: &str| format!(r#"{{"userInput":{{"input":{input}}},"virtualAgentOutput":{output}}}"#);
    let hello = turn(
        r#"{"text":{"text":"hello"}}"#,
        r#"{"textResponses":[{"text":["Good morning. What now?"]}],"currentPage":{"displayName":"Start Page"}}"#,
    );
    let order = turn(
        r#"{"text":{"text":"two loaves"}}"#,
        r#"{"triggeredIntent":{"displayName":"order.bread"},"sessionParameters":{"loaves":2,"all":[1]}}"#,
    );
    let digits = turn(r#"{"dtmf":{"digits":"12"}}"#, "{}");
    let event = turn(r#"{"event":{"event":"x"}}"#, "{}");
    let case =
        format!(r#"{{"displayName":"Orders / bread","testCaseConversationTurns":[{hello},{order},{digits},{event}]}}"#);
    for (n, text) in
        [format!("[{case}]"), format!(r#"{{"testCases":[{case}]}}"#), format!("{case}\n{case}")].iter().enumerate()
    {
        let export = folder.join("cases.json");
        fs::write(&export, text).unwrap();
        let (written, notes) = import(&export, &folder.join(n.to_string())).unwrap();
        assert!(notes[0].contains("turn 4 is neither a text nor digits"), "{notes:?}");
        let file = ConversationFile::read(&written[0]).unwrap();
        assert_eq!(
            (file.name.as_str(), written[0].file_name().unwrap()),
            ("Orders / bread", "orders-bread.toml".as_ref())
        );
        assert_eq!(file.settings["DIALOGFLOW_STARTING_TEXT"].value, "hello");
        assert_eq!(file.greeting.unwrap().len(), 2);
        let actions: Vec<Action> = file.steps.into_iter().map(|step| step.action).collect();
        assert_eq!(actions, [Action::Text("two loaves".to_owned()), Action::Digits("12#".to_owned())]);
    }
    for (text, why) in [("{", "it is no JSON"), ("[]", "it has no test cases"), ("{\"a\":1}", "it has no test cases")] {
        fs::write(folder.join("cases.json"), text).unwrap();
        assert!(import(&folder.join("cases.json"), &folder).unwrap_err().contains(why));
    }
    fs::remove_dir_all(folder).unwrap();
}
