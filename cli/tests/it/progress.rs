//! What shows how far a command has come: a terminal gets it, a pipe does not, and `--quiet` leaves the results alone.
#![cfg(feature = "lab")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Run, Service, Terminal, folder, program, run};

/// What erases a line.
const ERASED: &str = "\x1b[2K";

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// The whole output at a terminal with colours, and the exit code.
async fn at_terminal(command: Command) -> (String, i32) {
    tokio::task::spawn_blocking(move || Terminal::in_colours(command).end()).await.unwrap()
}

/// A folder with the menu's call of docs/, with its tape.
fn menu(name: &str) -> PathBuf {
    let (folder, docs) = (folder(name), Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conversations/menu"));
    for file in ["menu.toml", "menu.cx.jsonl"] {
        fs::copy(docs.join(file), folder.join(file)).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_shows_how_many_calls_are_done_and_tears_no_line() {
    let folder = menu("progress-test");
    let (shown, code) = at_terminal(with(program(&folder), &["test", "."])).await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("] 0 of 1, 0 wrong, "), "{shown:?}");
    assert!(shown.contains(&format!("{ERASED}ok     ./menu.toml (cx)")), "the bar is erased first: {shown:?}");
    let Run { output, errors, .. } = run(with(program(&folder), &["test", "."]), "").await;
    assert!(output.starts_with("ok     ./menu.toml (cx)") && errors.is_empty(), "{output}{errors}");
    for (term, no_color) in [("xterm-256color", "1"), ("dumb", ""), ("", "")] {
        let mut command = with(program(&folder), &["test", "."]);
        command.env("TERM", term).env("NO_COLOR", no_color);
        let (shown, code) = tokio::task::spawn_blocking(move || Terminal::open(command).end()).await.unwrap();
        assert_eq!(code, 0, "{shown}");
        assert!(!shown.contains('\x1b'), "TERM={term} NO_COLOR={no_color}: {shown:?}");
    }
    for option in ["--json", "--quiet"] {
        let (shown, _) = at_terminal(with(program(&folder), &["test", ".", option])).await;
        assert!(!shown.contains('\x1b'), "{option}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_test_prints_what_went_wrong_and_the_summary() {
    let folder = menu("quiet-test");
    let passed = run(with(program(&folder), &["test", "-q", "."]), "").await;
    assert_eq!((passed.code, passed.errors.as_str()), (0, ""), "{passed:?}");
    assert!(passed.output.starts_with("1 of 1 passed, in ") && !passed.output.contains("ok     "), "{passed:?}");
    let file = fs::read_to_string(folder.join("menu.toml")).unwrap();
    fs::write(folder.join("menu.toml"), file.replace("intent = \"hours\"", "intent = \"prices\"")).unwrap();
    let failed = run(with(program(&folder), &["test", "-q", "."]), "").await;
    assert!(failed.code == 1 && failed.output.starts_with("FAILED ./menu.toml (cx)"), "{failed:?}");
    assert!(failed.output.contains("\n0 of 1 passed, 1 failed, in "), "{failed:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_shows_its_stages_its_calls_and_its_faults() {
    let folder = folder("progress-load");
    let load = ["call", "--load", "2", "--seconds", "2", "--warm-up", "1"];
    let (shown, code) = at_terminal(with(program(&folder), &load)).await;
    assert_eq!(code, 0, "{shown}");
    for part in [
        "] service: ramp, 2 of 2 calls up",
        "] service: warm-up, 0 of 1 s, 2 calls up, 0 faults so far",
        "] service: window, 1 of 2 s, 2 calls up, 0 faults so far",
        "] service: the calls end",
    ] {
        assert!(shown.contains(part), "{part}: {shown:?}");
    }
    let after = shown.rsplit(ERASED).next().unwrap();
    assert!(after.starts_with("  uplink ") && after.contains("\r\ncalls   "), "the bar is gone: {shown:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_prints_no_bar_to_a_pipe_and_with_quiet_its_table_alone() {
    let folder = folder("quiet-load");
    let load = ["call", "--load", "2", "--seconds", "1", "--warm-up", "0"];
    let piped = run(with(program(&folder), &load), "").await;
    assert!(piped.code == 0 && piped.errors.starts_with("2 calls at service\n  uplink "), "{piped:?}");
    assert!(!piped.errors.contains('\x1b') && !piped.errors.contains("calls up"), "{piped:?}");
    let quiet = run(with(program(&folder), &[&load[..], &["--quiet"]].concat()), "").await;
    assert_eq!((quiet.code, quiet.errors.as_str()), (0, ""), "{quiet:?}");
    assert!(quiet.output.contains("\nframes lost ") && quiet.output.trim_start().starts_with("service"), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_shows_how_long_it_lasts_and_with_quiet_nothing() {
    let folder = folder("progress-call");
    let service = Service::start(program(&folder).args(["serve", "--log-format", "json"]).env("PORT", "0"));
    let call = ["call", "--dtmf", "1", "--stay", "2", "--url", &service.url()];
    let (shown, code) = at_terminal(with(program(&folder), &call)).await;
    assert!(code == 0 && shown.contains("The call lasts 1s"), "{shown:?}");
    assert!(shown.contains("twilio  the media stream is open\r\n"), "{shown:?}");
    let quiet = run(with(program(&folder), &[&call[..], &["--quiet"]].concat()), "").await;
    assert_eq!((quiet.code, quiet.output.as_str(), quiet.errors.as_str()), (0, "", ""), "{quiet:?}");
}
