//! The program as people start it: commands, exit codes, one line for each fault.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use dialbridge_runner::settings::Settings;

use crate::program::Service;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    // Without the developer's environment and `.env`.
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(scratch(""));
    command
}

/// A file in a folder of this test run.
fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

#[test]
fn a_wrong_setting_is_one_line_and_exit_code_78() {
    for (name, value) in [
        ("PORT", "http"),
        ("DIALOGFLOW_AGENT", "my-agent"),
        ("TWILIO_ACCOUNT_SID", "me"),
        ("K_SERVICE", "on-cloud-run-without-a-token"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json"),
    ] {
        let mut command = program();
        command.env(name, value);
        if name == "GOOGLE_APPLICATION_CREDENTIALS" {
            command.env("DIALOGFLOW_AGENT", "projects/p/locations/global/agents/a").env("PORT", "0");
        }
        let (code, _, told) = run(command.arg("serve"));
        assert_eq!((code, told.lines().count()), (78, 1), "{name}: {told}");
        let named = if name == "K_SERVICE" { "TWILIO_AUTH_TOKEN" } else { name };
        assert!(told.starts_with(&format!("dialbridge: {named} ")), "{told}");
    }
    let (code, _, told) = run(program().args(["serve", "--port", "70000"]));
    assert_eq!((code, told.lines().count()), (78, 1), "a flag is told like a variable: {told}");
    let agents = scratch("wrong-agents.toml");
    fs::write(&agents, "[agents.sales]\ndialogflow_agent = \"lab:\"\nbarge_in = \"on\"\n").unwrap();
    let (code, _, told) = run(program().args(["serve", "--config"]).arg(&agents));
    assert_eq!((code, told.lines().count()), (78, 1), "{told}");
    assert!(told.contains("wrong-agents.toml: agents.sales.barge_in is \"on\""), "{told}");
    let (code, _, told) = run(program().arg("serve").env("DIALOGFLOW_AGENT", "lab:nowhere.toml"));
    assert!(code == 78 && told.contains("nowhere.toml"), "{told}");
}

#[test]
fn one_start_tells_all_wrong_settings_and_the_names_that_look_like_one() {
    let agents = scratch("two-faults.toml");
    fs::write(&agents, "[agents.sales]\ndialogflow_agent = \"lab:\"\nbarge_in = \"on\"\npitch = 99\n").unwrap();
    let mut command = program();
    command.args(["serve", "--port", "70000"]).arg("--config").arg(&agents).env("TWILIO_ACCOUNT_SID", "me");
    let (code, _, told) = run(command.env("TWILIO_AUTH_TOKN", "planted").env("SOME_TOKN", "x"));
    let lines: Vec<&str> = told.lines().map(|line| line.strip_prefix("dialbridge: ").unwrap()).collect();
    assert_eq!((code, lines.len()), (78, 5), "{told}");
    for begin in
        ["TWILIO_ACCOUNT_SID is no", "PORT is \"70000\"", "TWILIO_AUTH_TOKN is no setting; TWILIO_AUTH_TOKEN is one"]
    {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {told}");
    }
    assert!(
        told.contains("agents.sales.barge_in is \"on\"") && told.contains("agents.sales.pitch is \"99\""),
        "{told}"
    );
    assert!(!told.contains("planted"), "{told}");
}

#[test]
fn a_name_in_the_file_or_the_environment_that_looks_like_a_setting_is_a_warning() {
    let folder = scratch("misspelt");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".env"), "BARG_IN=voice\nMY_OWN=1\n").unwrap();
    let mut command = program();
    command
        .current_dir(&folder)
        .arg("serve")
        .env("DIALOGFLOW_LANGAUGE", "de")
        .env("HOSTNAME", "h")
        .env("K_REVISION", "r");
    let warnings = warnings(&mut command);
    let expected =
        ["BARG_IN is no setting; BARGE_IN is one", "DIALOGFLOW_LANGAUGE is no setting; DIALOGFLOW_LANGUAGE is one"];
    assert_eq!(warnings.iter().filter(|line| line.contains("setting")).collect::<Vec<_>>(), expected);
}

#[test]
fn a_wrong_command_line_is_exit_code_64() {
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["replay"],
        &["call", "--url", "nonsense"],
        &["call", "--dtmf", "12x"],
        &["call", "--audio", "nowhere.wav"],
        &["call", "--param", "x"],
        &["call", "--out", "/nowhere/call.wav"],
        &["call", "--fault", "crash"],
        &["demo", "--fault", "crash"],
        &["call", "--fault", "cut", "--url", "http://h"],
        &["call", "--load", "1", "--fault", "cut"],
        &["call", "--load", "0"],
        &["call", "--load", "1", "--pin", "phone=1"],
        &["call", "--load", "1", "--url", "http://h", "--against", "relay"],
        &["call", "--load", "1", "--url", "https://h"],
        &["call", "--load", "1", "--long-answers", "9", "--faults"],
        &["call", "--load", "1", "--long-answers", "9", "--edition", "ces"],
    ] {
        let (code, _, told) = run(program().args(arguments));
        assert_eq!(code, 64, "{arguments:?}: {told}");
        assert!(!told.is_empty());
    }
    assert_eq!(run(program().arg("--help")).0, 0);
    assert_eq!(run(program().arg("--version")).1, format!("dialbridge {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_setting_may_come_from_a_file_beside_the_program() {
    let folder = scratch("with-env");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".env"), "PORT=\"from the file\"\n").unwrap();
    let (code, _, told) = run(program().arg("serve").current_dir(&folder));
    assert!(code == 78 && told.contains("from the file"), "{told}");
    fs::write(folder.join(".env"), "PORT=0\nWEBHOOK_HEADERS=X-Key: planted\n").unwrap();
    let (code, _, told) = run(program().arg("serve").current_dir(&folder));
    assert_eq!((code, told.lines().count()), (78, 1), "a broken file is not passed over: {told}");
    assert!(told.starts_with("dialbridge: .env: the line after PORT ") && !told.contains("planted"), "{told}");
}

#[test]
fn the_demo_plays_a_call_and_writes_what_was_heard() {
    let wav = scratch("demo.wav");
    let tapes = scratch("tapes");
    fs::create_dir_all(&tapes).unwrap();
    let (code, told, faults) = run(program().arg("demo").arg("--out").arg(&wav).arg("--record").arg(&tapes));
    assert_eq!((code, faults.as_str()), (0, ""), "{told}");
    for part in ["says order.wav", "barge-in by speech", "hands the call on: live-agent-handoff", "<Redirect> http"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let wav = fs::read(wav).unwrap();
    let wav = dialbridge_core::audio::wav::read_wav(&wav).unwrap();
    assert_eq!((wav.channels, wav.format.sample_rate), (2, 8000));
    assert!(wav.data.len() > 20 * 8000 * 4);

    let tape = fs::read_dir(&tapes).unwrap().next().unwrap().unwrap().path();
    let (code, told, faults) = run(program().arg("replay").arg(&tape).arg("--check"));
    assert_eq!(code, 0, "the tape of a real call replays to the same outputs: {told}{faults}");
}

#[test]
fn a_folder_of_tapes_is_compared_and_summed_up() {
    let folder = scratch("many-tapes");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("inner")).unwrap();
    let start =
        r#"{"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}"#;
    for name in ["a.jsonl", "b.jsonl", "inner/c.jsonl"] {
        fs::write(folder.join(name), format!("{}\n{start}\n", r#"{"tape":1,"edition":"cx"}"#)).unwrap();
    }
    assert_eq!(run(program().args(["replay", "--accept"]).arg(&folder)).0, 0);
    let check = |arguments: &[&str]| run(program().args(["replay", "--check"]).args(arguments).arg(&folder));
    let (code, told, _) = check(&[]);
    assert!(code == 0 && told.lines().count() == 4 && told.ends_with("3 of 3 as expected\n"), "{told}");
    fs::write(folder.join("b.trace"), "something else").unwrap();
    let report = folder.join("report.xml");
    let (code, told, faults) = check(&["-q", "--junit", report.to_str().unwrap()]);
    assert!(
        code == 1 && told == "2 of 3 as expected\n" && faults.contains("b.jsonl: the call differs"),
        "{told}{faults}"
    );
    assert!(fs::read_to_string(report).unwrap().contains("tests=\"3\" failures=\"1\" errors=\"0\""));
}

#[test]
fn a_call_whose_agent_cannot_be_had_ends_with_1() {
    let script = scratch("down.toml");
    fs::write(&script, "[start]\nfault = \"UNAUTHENTICATED\"\n").unwrap();
    let service = served(program().env("DIALOGFLOW_AGENT", format!("lab:{}", script.display())));
    let (code, told, faults) = run(program().args(["call", "--json", "--dtmf", "1", "--url", &service.url()]));
    assert!(code == 1 && faults.contains("the call got its fallback"), "{told}{faults}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["failure"].is_string() && told["events"].as_array().unwrap().len() > 2, "{told}");
    service.signal("-TERM");
}

#[test]
fn a_tape_is_replayed_and_compared() {
    let tape = scratch("tape.jsonl");
    // An earlier run leaves its expectation behind.
    let _ = fs::remove_file(scratch("tape.trace"));
    let start =
        r#"{"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}"#;
    fs::write(&tape, format!("{}\n{start}\n", r#"{"tape":1,"edition":"cx"}"#)).unwrap();
    let (code, trace, _) = run(program().arg("replay").arg(&tape));
    assert!(code == 0 && trace.contains("stream 1 open audio"), "{trace}");
    let (code, _, told) = run(program().arg("replay").arg(&tape).arg("--check"));
    assert!(code == 66 && told.contains("there is no expectation"), "{told}");
    let (code, told, _) = run(program().arg("replay").arg(&tape).arg("--accept"));
    assert!(code == 0 && told.contains("written"), "{told}");
    assert_eq!(fs::read_to_string(scratch("tape.trace")).unwrap(), trace);
    assert_eq!(run(program().arg("replay").arg(&tape).arg("--check")).0, 0);
    assert!(run(program().arg("replay").arg(&tape).arg("--accept")).1.contains("as before"));

    fs::write(scratch("tape.trace"), trace.replace("open audio", "open text")).unwrap();
    let (code, _, told) = run(program().arg("replay").arg(&tape).arg("--check"));
    assert!(code == 1 && told.contains("differs"), "{told}");
    let lines = |sign: char| told.lines().filter(|line| line.starts_with(sign)).collect::<Vec<_>>();
    assert!(lines('-').len() == 1 && lines('-')[0].contains("open text"), "{told}");
    assert!(lines('+').len() == 1 && lines('+')[0].contains("open audio"), "{told}");
    let (code, told, _) = run(program().arg("replay").arg(&tape).arg("--accept"));
    assert!(code == 0 && told.contains("brought up to date") && told.contains("open text"), "{told}");
    assert_eq!(run(program().arg("replay").arg(&tape).arg("--check")).0, 0);
    assert_eq!(run(program().arg("replay").arg(&tape).args(["--check", "--accept"])).0, 64);

    fs::write(scratch("no-tape.jsonl"), "hello").unwrap();
    let (code, _, told) = run(program().arg("replay").arg(scratch("no-tape.jsonl")));
    assert!(code == 65 && told.contains("line 1 of the tape"), "{told}");
    assert_eq!(run(program().arg("replay").arg("nowhere.jsonl")).0, 66);
}

#[test]
fn a_tape_is_replayed_with_other_settings_and_keeps_them_when_that_is_accepted() {
    let folder = scratch("retake");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let (tape, other) = (folder.join("a.jsonl"), folder.join("b.jsonl"));
    let start =
        r#"{"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}"#;
    let text = format!("{}\n{start}\n", r#"{"tape":1,"edition":"cx","config":{"greeting":{"text":"hi"}}}"#);
    fs::write(&tape, &text).unwrap();
    fs::write(&other, &text).unwrap();
    assert_eq!(run(program().arg("replay").args([&tape, &other]).arg("--accept")).0, 0);
    let replay = |more: &[&str]| run(program().arg("replay").arg(&tape).args(more));
    let setting = ["--setting", "DIALOGFLOW_STARTING_TEXT=hello"];
    let (code, _, told) = replay(&[&setting[..], &["--check"]].concat());
    assert!(code == 1 && told.contains("-") && told.contains("text \"hello\""), "{told}");
    assert_eq!(fs::read_to_string(&tape).unwrap(), text, "a check changes nothing");
    assert_eq!(replay(&[&setting[..], &["--accept"]].concat()).0, 0);
    assert_eq!(replay(&["--check"]).0, 0, "the tape has the setting now");
    // A tape that matches must not hide one that differs.
    fs::write(folder.join("b.trace"), "").unwrap();
    let (code, told, faults) = run(program().arg("replay").args([&other, &tape]).arg("--check"));
    assert!(code == 1 && told.contains("a.jsonl: as expected") && faults.contains("b.jsonl"), "{told}{faults}");
    let (code, _, told) = replay(&["--setting", "BARGE_IN=on"]);
    assert!(code == 64 && told.contains("BARGE_IN is \"on\""), "{told}");
}

/// A service on a port of its own.
fn served(command: &mut Command) -> Service {
    Service::start(command.arg("serve").env("PORT", "0"))
}

/// What a service warns of before it reports that its page is up.
fn warnings(command: &mut Command) -> Vec<String> {
    let mut child = command.env("PORT", "0").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    let lines = lines.take_while(|line| line["message"] != "the page is there");
    let warnings = lines.filter(|line| line["severity"] == "WARNING");
    let warnings = warnings.map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    let (_, _) = (child.kill(), child.wait());
    warnings
}

#[test]
fn several_lab_agents_of_one_file_are_served_each_with_its_own_script() {
    let folder = scratch("several");
    fs::create_dir_all(&folder).unwrap();
    let script = |edition: &str, ms: u32| {
        format!("edition = \"{edition}\"\n[start]\ntone = {{ hz = 400, ms = {ms} }}\nend = true\n")
    };
    fs::write(folder.join("short.toml"), script("cx", 500)).unwrap();
    fs::write(folder.join("long.toml"), script("es", 900)).unwrap();
    let agents = "[agents.short]\ndialogflow_agent = \"lab:short.toml\"\n\
                  [agents.long]\ndialogflow_agent = \"lab:long.toml\"\nnumbers = [\"+15550177\"]\n";
    fs::write(folder.join("agents.toml"), agents).unwrap();

    let mut command = program();
    let service =
        Service::with_agents(2, command.args(["serve", "--config"]).arg(folder.join("agents.toml")).env("PORT", "0"));
    let said = |line: &serde_json::Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("name"), text("edition"), text("agent"), line["numbers"].as_u64().unwrap())
    };
    let lines: Vec<_> = service.first_lines.iter().map(said).collect();
    let cx = "projects/lab/locations/global/agents/lab".to_owned();
    assert_eq!(lines[0], ("long".to_owned(), "es".to_owned(), "projects/lab/agent".to_owned(), 1));
    assert_eq!(lines[1], ("short".to_owned(), "cx".to_owned(), cx, 0));
    for (query, to, heard) in
        [("", "+15550199", "0.50 s"), ("", "+15550177", "0.90 s"), ("?agent=long", "+1", "0.90 s")]
    {
        let url = format!("{}/twiml{query}", service.url());
        let (_, told, _) = run(program().args(["call", "--to", to, "--dtmf", "1", "--url", &url]));
        assert!(told.contains(&format!("was heard to the end, {heard}")), "{query} {to}: {told}");
    }
}

#[test]
fn a_call_is_placed_at_a_service_in_another_process() {
    let service = served(program().env("TWILIO_AUTH_TOKEN", "the-token"));
    let unsigned = run(program().args(["call", "--url", &service.url()]));
    assert!(unsigned.0 == 1 && unsigned.1.contains("403"), "{}", unsigned.1);
    let wav = scratch("call.wav");
    let call = ["call", "--url", &service.url(), "--auth-token", "the-token", "--param", "shop=north", "--out"];
    let (code, told, faults) = run(program().args(call).arg(&wav));
    assert_eq!(code, 0, "{told}{faults}");
    assert!(told.contains("says nine.wav") && told.contains("was cut off"), "{told}");
    assert!(wav.exists());
    service.signal("-TERM");
    assert_eq!(service.exit_code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_load_is_placed_at_a_service_of_its_own_and_told_as_json() {
    let load = ["call", "--load", "2", "--seconds", "1", "--warm-up", "0", "--json"];
    let (code, told, faults) = run(program().args(load));
    assert_eq!(code, 0, "{told}{faults}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let measured = &told["runs"][0]["measurement"];
    assert_eq!((&measured["calls"], &measured["faults"]["lost"]), (&2.into(), &0.into()), "{told}");
    assert!(measured["cost"]["threads"].as_u64().unwrap() > 0 && measured["frames"]["sent"].as_u64().unwrap() > 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_load_at_a_service_with_another_agent_is_told_what_is_missing() {
    let service = served(&mut program());
    let load =
        ["call", "--load", "1", "--seconds", "1", "--warm-up", "0", "--agent-port", "0", "--url", &service.url()];
    let (code, _, told) = run(program().args(load));
    assert!(code == 1 && told.contains("DIALOGFLOW_ENDPOINT=http://127.0.0.1:"), "{told}");
}

#[test]
fn help_fits_a_screen_and_the_long_help_has_every_setting() {
    let (code, bare, _) = run(&mut program());
    assert!(code == 0 && bare.contains("Usage: dialbridge <COMMAND>"), "{bare}");
    assert_eq!(run(program().arg("-h")).1, bare);
    for command in ["serve", "demo", "call", "configure", "doctor", "test", "replay", "compare"] {
        let (code, short, _) = run(program().args([command, "-h"]));
        assert!(code == 0 && short.lines().count() <= 50, "{command}: {} lines", short.lines().count());
    }
    let (_, short, _) = run(program().args(["serve", "-h"]));
    let (_, long, _) = run(program().args(["serve", "--help"]));
    for name in Settings::names() {
        assert!(long.contains(&format!("[env: {name}")), "{name}");
    }
    assert!(
        short.contains("--help has all options and settings") && !short.contains("[env: COALESCE_MICROSECONDS"),
        "{short}"
    );
}

#[test]
fn a_setting_without_a_command_is_told_where_it_stands() {
    let (code, _, told) = run(program().args(["--port", "8080"]));
    assert!(code == 64 && told.contains("dialbridge serve --port"), "{told}");
}

#[test]
fn version_and_completions_are_printed() {
    let version = format!("dialbridge {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(program().arg("version")).1, version);
    assert_eq!(run(program().arg("--version")).1, version);
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(program().args(["completions", shell]));
        assert!(code == 0 && script.contains("end-of-utterance"), "{shell}");
    }
}

#[test]
fn a_log_that_goes_to_no_terminal_is_json_unless_text_is_asked_for() {
    for (format, begins) in [("", "{\"severity\""), ("json", "{\"severity\""), ("text", "")] {
        let mut child =
            program().arg("serve").env("PORT", "0").env("LOG_FORMAT", format).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with(begins) && !line.contains('\x1b'), "{format}: {line}");
        assert_eq!(line.contains(" INFO  serving"), format == "text", "{line}");
    }
}
