//! `dialbridge test` as people start it: exit codes, what it prints, and what it needs from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of this test run, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conversations").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program in that folder, without the developer's environment.
fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(folder).args(arguments);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A copy of the menu's call of docs/, with its tape.
fn menu(name: &str) -> PathBuf {
    let (folder, docs) = (scratch(name), Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conversations/menu"));
    for file in ["agent.toml", "menu.toml", "menu.cx.jsonl"] {
        fs::copy(docs.join(file), folder.join(file)).unwrap();
    }
    folder
}

#[test]
fn the_call_of_the_docs_passes_against_its_tape_and_a_changed_expectation_fails() {
    let folder = menu("passes");
    let (code, told, faults) = run(&folder, &["test", "."], &[]);
    assert_eq!(code, 0, "{told}{faults}");
    assert!(
        told.starts_with("ok     ./menu.toml (cx), ") && told.contains("1 of 1 passed, 1 other TOML file"),
        "{told}"
    );
    let file = fs::read_to_string(folder.join("menu.toml")).unwrap();
    fs::write(folder.join("menu.toml"), file.replace("intent = \"hours\"", "intent = \"prices\"")).unwrap();
    let (code, told, _) = run(&folder, &["test", "menu.toml", "--junit", "report.xml"], &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("line 14, step 2, intent: expected \"prices\", found \"hours\""), "{told}");
    assert!(fs::read_to_string(folder.join("report.xml")).unwrap().contains("failures=\"1\""));
    let (code, told, _) = run(&folder, &["test", "menu.toml", "--json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &json["results"][0]["verdict"]), (1, &"failed".into()));
}

#[test]
fn a_test_that_cannot_be_run_ends_with_2() {
    let folder = menu("broken");
    for (arguments, why) in [
        (&["test", "nowhere"][..], "No such file"),
        (&["test", "menu.toml", "--edition", "es"], "menu.es.jsonl"),
        (&["test", "agent.toml"], "start is no key"),
        (&["test", "menu.toml", "--coverage", "agent.toml"], "the zip archive cannot be read"),
        (&["test", "menu.toml", "--setting", "BARGE_IN=loud"], "it can be off, speech or voice"),
        (&["test", "menu.toml", "--setting", "BARGING=off"], "BARGING is no setting"),
        (&["test", "menu.toml", "--junit", "nowhere/report.xml"], "nowhere/report.xml"),
    ] {
        let (code, told, faults) = run(&folder, arguments, &[]);
        assert_eq!(code, 2, "{arguments:?}: {told}{faults}");
        assert!(told.contains(why) || faults.contains(why), "{arguments:?}: {told}{faults}");
    }
    fs::create_dir(folder.join("empty")).unwrap();
    let (code, _, faults) = run(&folder, &["test", "empty"], &[]);
    assert!(code == 2 && faults.contains("empty: no conversation file"), "{faults}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_tests_run() {
    let folder = menu("junit");
    let (code, told, faults) = run(&folder, &["test", "menu.toml", "--junit", "nowhere/report.xml"], &[]);
    assert_eq!((code, told.as_str()), (2, ""), "{faults}");
    assert!(faults.contains("nowhere/report.xml: No such file"), "{faults}");
}

#[test]
fn a_folder_without_tapes_is_no_check_that_passes() {
    let folder = scratch("no-tapes");
    let (code, _, faults) = run(&folder, &["replay", "--check", "."], &[]);
    assert!(code == 2 && faults.contains("there is no tape there"), "{code}: {faults}");
}

#[test]
fn the_trace_that_replay_prints_has_media_that_follow_each_other_on_one_line() {
    let folder = menu("folded");
    let (code, told, faults) = run(&folder, &["replay", "menu.cx.jsonl"], &[]);
    assert_eq!(code, 0, "{faults}");
    assert!(told.contains("twilio  media ×") && told.contains(" ms until "), "{told}");
}

#[test]
fn the_admin_token_of_the_environment_goes_to_no_service_in_plaintext() {
    let folder = menu("plaintext");
    let token = ("ADMIN_TOKEN", "the-tests-admin-token-0123456789");
    let (code, _, faults) = run(&folder, &["test", "menu.toml", "--url", "http://calls.example.com"], &[token]);
    assert!(code == 78 && faults.contains("ADMIN_TOKEN would go to calls.example.com unencrypted"), "{code}: {faults}");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let folder = menu("usage");
    for arguments in [
        &["test"][..],
        &["test", "menu.toml", "--retries", "2"],
        &["test", "menu.toml", "--live", "--record"],
        &["test", "menu.toml", "--live", "--edition", "cx"],
        &["test", "menu.toml", "--url", "http://h", "--setting", "BARGE_IN=off"],
        &["test", "menu.toml", "--jobs", "0"],
    ] {
        let (code, _, faults) = run(&folder, arguments, &[]);
        assert_eq!(code, 64, "{arguments:?}: {faults}");
    }
    let (code, _, faults) = run(&folder, &["test", "menu.toml", "--url", "ftp://h"], &[]);
    assert!(code == 78 && faults.contains("is no URL"), "{faults}");
}

#[test]
fn an_agent_that_is_down_is_told_and_keeps_the_tape() {
    let folder = menu("down");
    let tape = fs::read(folder.join("menu.cx.jsonl")).unwrap();
    fs::write(folder.join("down.toml"), "[start]\nfault = \"UNAUTHENTICATED\"\n").unwrap();
    let (code, told, faults) =
        run(&folder, &["test", "--record", "menu.toml"], &[("DIALOGFLOW_AGENT", "lab:down.toml")]);
    assert_eq!(code, 2, "{told}{faults}");
    assert!(told.contains("the agent gave no answer: UNAUTHENTICATED"), "{told}");
    assert_eq!(fs::read(folder.join("menu.cx.jsonl")).unwrap(), tape);
}

#[test]
fn words_without_a_recording_are_spoken_by_espeak_and_kept_beside_the_file() {
    let folder = scratch("say");
    let agent = "think_ms = 50\n[start]\nsay = \"Hello.\"\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nheard = \"two loaves\"\n\
                 say = \"Good bye.\"\ntone = { hz = 400, ms = 300 }\nend = true\n";
    fs::write(folder.join("agent.toml"), agent).unwrap();
    let file = "[[step]]\nexpect.reply = \"Hello\"\n[[step]]\nsay = \"Two loaves, please!\"\nexpect.understood = \"two loaves\"\n";
    fs::write(folder.join("loaves.toml"), file).unwrap();
    let agent = ("DIALOGFLOW_AGENT", "lab:agent.toml");
    let (code, told, _) = run(&folder, &["test", "--record", "loaves.toml"], &[agent, ("PATH", "/nowhere")]);
    assert_eq!(code, 2, "{told}");
    assert!(
        told.contains("line 3: nobody can say it: Text-to-Speech: ") && told.contains("espeak-ng: it is not installed"),
        "{told}"
    );

    // It says what it was asked to say in a file, and speaks with a recording of the lab.
    let voice = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/agents/bakery/nine.wav");
    let script = format!("#!/bin/sh\necho \"$@\" > said.txt\nexec cat {}\n", voice.display());
    fs::create_dir(folder.join("bin")).unwrap();
    let espeak = folder.join("bin/espeak-ng");
    fs::write(&espeak, script).unwrap();
    fs::set_permissions(&espeak, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let (code, told, faults) = run(&folder, &["test", "--record", "loaves.toml"], &[agent, ("PATH", &path)]);
    assert_eq!(code, 0, "{told}{faults}");
    assert_eq!(
        fs::read_to_string(folder.join("said.txt")).unwrap(),
        "-v en-us -s 150 --stdout -- Two loaves, please!\n"
    );
    // The next run needs nothing.
    let (code, told, _) = run(&folder, &["test", "loaves.toml"], &[("PATH", "/nowhere")]);
    assert_eq!(code, 0, "{told}");
}
