//! `configure` as people use it: wrong answers first, then right ones; from a pipe and at a terminal.
#![cfg(feature = "lab")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Lab, PLANTED_TOKEN, Service, Terminal, folder, free_port, program, run};
use dialbridge_lab::twilio::PhoneNumber;

const AGENT: &str = "projects/p/locations/europe-west3/agents/lab";

fn configure(folder: &Path, lab: &Lab) -> Command {
    let mut command = program(folder);
    command
        .args(["configure", "--deadline", "5", "--dialogflow-endpoint", &lab.agent.endpoint()])
        .args(["--twilio-api-url", &lab.rest.url()]);
    command
}

/// What keys of a terminal send.
const LEFT: &str = "\x1b[D";
const HOME: &str = "\x1b[H";
const DELETE: &str = "\x1b[3~";
const BACKSPACE: &str = "\x7f";
const ESC: &str = "\x1b";
const CTRL_C: &str = "\x03";
const CTRL_U: &str = "\x15";

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// The value in the file that was written.
fn written(folder: &Path, name: &str) -> String {
    let file = fs::read_to_string(folder.join(".env")).unwrap();
    let value = file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{name}: {file}")).to_owned()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_answers_are_explained_and_what_is_written_makes_doctor_and_serve_succeed() {
    let (folder, lab, port) = (folder("configured"), Lab::start().await, free_port());
    let url = format!("http://127.0.0.1:{port}");
    let file = folder.join(".env");
    fs::write(&file, "# mine\nTWILIO_AUTH_TOKEN='planted-old-token'\nOTHER=\"a # b\"\n").unwrap();
    lab.point("+15550100", &url);
    let sid = lab.twilio.account().sid.clone();
    let answers = [
        "my agent",            // no agent's name
        AGENT,                 //
        "12",                  // no language tag
        "",                    // the default
        "AC12",                // no account's id
        &sid,                  //
        "planted-wrong-token", // not this account's
        "",                    // no API key
        "",                    // again: the id stays
        PLANTED_TOKEN,         //
        "",                    //
        "tel:1",               // no URL
        "https://example.com/next?a='b'",
        "0",         // no number of calls
        "50",        //
        &url,        // nobody listens yet
        "",          // and it stays so
        "+1555",     // not the account's
        "+15550100", //
    ];
    let mut command = configure(&folder, &lab);
    command.args(["--port", &port.to_string()]);
    let configured = run(command, &(answers.join("\n") + "\n")).await;
    let told = &configured.errors;
    assert_eq!(configured.code, 0, "{told}");
    for part in [
        "DIALOGFLOW_AGENT is \"my agent\", which is no resource name",
        "DIALOGFLOW_LANGUAGE is \"12\"",
        "TWILIO_ACCOUNT_SID is no account's id",
        "fault    twilio-account         Twilio does not take these credentials",
        "END_OF_INTERACTION_URL is \"tel:1\"",
        "MAX_CALLS is \"0\"",
        "fault    health                 ",
        "has no number +1555\n",
        "ok       number                 +15550100 is the account's",
        "TWILIO_AUTH_TOKEN (the account's auth token) [as it is]: ",
        ".env is written, for you alone to read; what stood there is in ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!format!("{configured:?}").contains("planted"), "a secret is shown: {configured:?}");

    let expected = format!(
        "# mine\nTWILIO_AUTH_TOKEN={PLANTED_TOKEN}\nOTHER=\"a # b\"\nDIALOGFLOW_AGENT={AGENT}\nDIALOGFLOW_LANGUAGE=en-US\n\
         TWILIO_ACCOUNT_SID={sid}\nEND_OF_INTERACTION_URL=\"https://example.com/next?a='b'\"\nMAX_CALLS=50\n\
         PUBLIC_URL={url}\nPORT={port}\nDIALOGFLOW_ENDPOINT={}\nTWILIO_API_URL={}\n",
        lab.agent.endpoint(),
        lab.rest.url()
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let backup = folder.join(".env.bak");
    assert!(fs::read_to_string(&backup).unwrap().contains("planted-old-token"));
    assert_eq!((mode(&file), mode(&backup)), (0o600, 0o600));

    for part in [
        "gcloud secrets create twilio-auth-token --replication-policy=automatic\n",
        "sed -n 's/^TWILIO_AUTH_TOKEN=//p' .env | tr -d '\\n' | gcloud secrets versions add twilio-auth-token --data-file=-\n",
        "gcloud projects add-iam-policy-binding p --role roles/dialogflow.client \\\n",
        "gcloud run deploy dialbridge --source . --region europe-west3 \\\n",
        "    --set-secrets TWILIO_AUTH_TOKEN=twilio-auth-token:latest \\\n",
        "--no-cpu-throttling",
        "twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000001 --voice-url ",
    ] {
        assert!(configured.output.contains(part), "{part}: {}", configured.output);
    }

    let _service = Service::start(program(&folder).arg("serve"));
    let mut command = program(&folder);
    command.arg("doctor");
    let examined = run(command, "").await;
    assert_eq!(examined.code, 0, "{}", examined.output);
    for check in ["env-file", "agent", "signed-request", "media-socket", "twilio-account", "number"] {
        assert!(examined.output.contains(&format!("ok       {check:<22} ")), "{check}: {}", examined.output);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_ends_is_told_and_nothing_is_written() {
    let (folder, lab) = (folder("ended"), Lab::start().await);
    for answers in ["", "projects/p/agent\n", "my-agent\nmy-agent\n", "lab:\n\nAC12\n"] {
        let configured = run(configure(&folder, &lab), answers).await;
        assert_eq!(configured.code, 66, "{answers:?}: {configured:?}");
        let last = configured.errors.lines().last().unwrap();
        assert_eq!(last, "dialbridge: the input has ended before all was answered; nothing was written");
        assert!(!folder.join(".env").exists() && configured.output.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_questions_the_flags_are_taken_or_refused() {
    let (folder, lab) = (folder("flags"), Lab::start().await);
    let sid = lab.twilio.account().sid.clone();
    lab.twilio.account_state().numbers = vec![PhoneNumber::leading_to(7, "+15550107", "https://old.test")];
    let with = |token: &str, more: &[&str]| {
        let mut command = configure(&folder, &lab);
        command
            .args([
                "--yes",
                "--dialogflow-agent",
                AGENT,
                "--twilio-account-sid",
                &sid,
                "--handoff-fields",
                "intent,action",
            ])
            .env("TWILIO_AUTH_TOKEN", token)
            .args(more);
        command
    };
    let refused = run(with("planted-wrong-token", &[]), "").await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.errors.ends_with("dialbridge: there are faults; nothing was written\n"), "{}", refused.errors);
    let wrong = run(with(PLANTED_TOKEN, &["--max-calls", "none"]), "").await;
    assert_eq!(wrong.code, 78, "{wrong:?}");
    assert!(wrong.errors.contains("MAX_CALLS is \"none\"") && !folder.join(".env").exists());

    let taken = run(with(PLANTED_TOKEN, &["--number", "+15550107", "--region", "us-east1"]), "").await;
    assert_eq!(taken.code, 0, "{taken:?}");
    let written = fs::read_to_string(folder.join(".env")).unwrap();
    assert_eq!(written.matches("DIALOGFLOW_AGENT=").count(), 1, "{written}");
    for line in
        [&format!("TWILIO_AUTH_TOKEN={PLANTED_TOKEN}"), "HANDOFF_FIELDS=intent,action", "DIALOGFLOW_LANGUAGE=en-US"]
    {
        assert!(written.contains(&format!("{line}\n")), "{line}: {written}");
    }
    assert!(taken.output.contains("--set-env-vars '^@^") && taken.output.contains("@HANDOFF_FIELDS=intent,action"));
    assert!(taken.output.contains("--sid PN00000000000000000000000000000007 --voice-url 'https://YOUR-SERVICE/twiml'"));
    assert!(taken.output.ends_with("--number +15550107 --cloud-run-service dialbridge --region us-east1\n"));

    let mut unchecked = with("planted-wrong-token", &["--unchecked", "--max-calls", "20"]);
    unchecked.env("MAX_CALLS", "10");
    let unchecked = run(unchecked, "").await;
    assert_eq!(unchecked.code, 0, "{unchecked:?}");
    assert!(
        unchecked.errors.ends_with("MAX_CALLS is set in the environment too, which goes before the file.\n"),
        "{unchecked:?}"
    );
    assert!(!format!("{refused:?}{wrong:?}{taken:?}{unchecked:?}").contains("planted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_paste_is_understood_and_a_deploy_that_could_not_start_is_not_printed() {
    let (folder, lab) = (folder("pasted"), Lab::start().await);
    let console = "https://dialogflow.cloud.google.com/cx/projects/p/locations/europe-west3/agents/lab/flows/0";
    let without_token = format!("{console}\n\n\n\n\n\n\n\n\n");
    let configured = run(configure(&folder, &lab), &without_token).await;
    assert_eq!((configured.code, configured.output.as_str()), (0, ""), "{configured:?}");
    for part in [
        "That is projects/p/locations/europe-west3/agents/lab.\n",
        "No deploy: on Cloud Run the service would not start with these settings.\n  TWILIO_AUTH_TOKEN is not set",
        "ALLOW_UNSIGNED=true",
    ] {
        assert!(configured.errors.contains(part), "{part}: {}", configured.errors);
    }
    let written = fs::read_to_string(folder.join(".env")).unwrap();
    assert!(written.contains(&format!("DIALOGFLOW_AGENT={AGENT}\n")), "{written}");
    let labs = run(configure(&folder, &lab), &format!("lab:\n\n\n{PLANTED_TOKEN}\n\n\n\n\n\n")).await;
    assert!(labs.output.is_empty() && labs.errors.contains("not in the image"), "{labs:?}");
}

/// Programs that note what they are asked, in a folder of their own. `gcloud` fails where it is asked for `failing`.
fn stand_ins(folder: &Path, failing: &str) -> PathBuf {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    for name in ["gcloud", "twilio", "dialbridge"] {
        let file = programs.join(name);
        let script = format!(
            "#!/bin/sh\necho \"{name} $*\" >>{log}\ncase \"$*\" in\n*data-file*) cat >>{log}; echo >>{log};;\n\
             *\"accounts describe\"*|*\"secrets describe\"*) exit 1;;\n\
             *\"{failing}\"*) exit 3;;\nesac\n",
            log = folder.join("asked").display()
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    programs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_of_a_deploy_run_one_by_one_and_a_secret_goes_through_a_pipe() {
    let (folder, lab) = (folder("run"), Lab::start().await);
    let sid = lab.twilio.account().sid.clone();
    let programs = stand_ins(&folder, "service-accounts create");
    let with_agent = |agent: &str, more: &[&str]| {
        let mut command = configure(&folder, &lab);
        command
            .args(["--unchecked", "--run", "--dialogflow-agent", agent, "--twilio-account-sid", &sid])
            .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)
            .env("TICKET_KEY", "planted key's")
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .args(more);
        command
    };
    let with = |more: &[&str]| with_agent(AGENT, more);
    let asked = || fs::read_to_string(folder.join("asked")).unwrap_or_default();

    let failed = run(with(&["--yes"]), "").await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.errors.contains("It failed: exit status: 3; 4 steps are to go"), "{}", failed.errors);
    assert!(asked().contains("gcloud services enable run.googleapis.com") && !asked().contains("run deploy"));

    fs::remove_file(folder.join("asked")).unwrap();
    // The answers to the questions, then to the steps: two run, one fails and is left, the first secret is skipped.
    let answers = "\n".repeat(9) + "\n\n\ns\ns\n\n\n";
    let ran = run(with(&[]), &answers).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = asked();
    assert!(!asked.contains("twilio-auth-token --replication"), "it was skipped: {asked}");
    assert!(asked.contains("gcloud secrets versions add ticket-key --data-file=-\nplanted key's\n"), "{asked}");
    assert!(asked.contains("gcloud run deploy dialbridge --source . --region europe-west3"), "{asked}");
    assert!(ran.output.contains("twilio api:core:incoming-phone-numbers:update"), "{}", ran.output);
    assert!(!format!("{failed:?}{ran:?}").contains("planted"), "{ran:?}");

    let redone = run(with_agent("lab:", &["--yes"]), "").await;
    assert_eq!(redone.code, 1, "what was not deployed is no success: {redone:?}");
    let mut of_project = with_agent("", &["--yes"]);
    of_project.env("DIALOGFLOW_PROJECT_ID", "my-project").env("ADMIN_TOKEN", "planted-in-the-environment");
    let of_project = run(of_project, "").await;
    assert!(!of_project.errors.contains("No deploy"), "the project's agent is one: {of_project:?}");

    let stopped = run(with(&[]), &("\n".repeat(9) + "q\n")).await;
    assert!(stopped.code == 1 && stopped.errors.contains("stopped with 6 steps to go"), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_no_secret_is_shown_while_it_is_typed() {
    let (folder, lab) = (folder("terminal"), Lab::start().await);
    let sid = lab.twilio.account().sid.clone();
    lab.twilio.account_state().api_key = Some(("SK1".to_owned(), "planted-key-secret".to_owned()));
    let command = configure(&folder, &lab);
    let shown = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.answer("[lab:]:", "No Agent");
        terminal.answer("[lab:]:", "lab:");
        terminal.answer("[en-US]:", "");
        terminal.expect("ok       agent ");
        terminal.answer("TWILIO_ACCOUNT_SID (", &sid);
        terminal.expect("auth token):");
        assert!(!terminal.has_echo(), "what is typed now is not shown");
        terminal.answer("", "planted-wrong-token");
        terminal.answer("TWILIO_API_KEY_SID (", "SK1");
        terminal.answer("TWILIO_API_KEY_SECRET (", "planted-key-secret");
        terminal.expect("fault    twilio-account ");
        terminal.answer("TWILIO_ACCOUNT_SID (", "");
        terminal.answer("auth token) [as it is]:", PLANTED_TOKEN);
        terminal.answer("TWILIO_API_KEY_SID (", "");
        terminal.answer("TWILIO_API_KEY_SECRET (", "");
        terminal.answer("END_OF_INTERACTION_URL (", "-");
        terminal.answer("MAX_CALLS (", "");
        terminal.answer("PUBLIC_URL (", "");
        terminal.answer("all stay as they are:", "");
        terminal.expect("No deploy: ");
        terminal.end()
    });
    let (shown, code) = shown.await.unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
    let written = fs::read_to_string(folder.join(".env")).unwrap();
    assert!(written.contains(&format!("TWILIO_AUTH_TOKEN={PLANTED_TOKEN}\n")), "{written}");
    assert!(written.contains("TWILIO_API_KEY_SECRET=planted-key-secret\n"), "{written}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_that_cannot_draw_lines_are_read_and_no_secret_is_shown() {
    let (folder, lab) = (folder("no-drawing"), Lab::start().await);
    let mut command = configure(&folder, &lab);
    command.args(["--dialogflow-agent", AGENT, "--unchecked"]);
    let shown = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::without_drawing(command);
        terminal.answer("DIALOGFLOW_AGENT (", "");
        terminal.answer("DIALOGFLOW_LANGUAGE (", "");
        terminal.answer("TWILIO_ACCOUNT_SID (", "");
        terminal.expect("auth token): ");
        assert!(!terminal.has_echo(), "what is typed now is not shown");
        terminal.answer("", PLANTED_TOKEN);
        for question in ["END_OF_INTERACTION_URL (", "MAX_CALLS (", "PUBLIC_URL ("] {
            terminal.answer(question, "");
        }
        terminal.end()
    });
    let (shown, code) = shown.await.unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("planted") && !shown.contains('\x1b'), "{shown}");
    assert_eq!(written(&folder, "TWILIO_AUTH_TOKEN"), PLANTED_TOKEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_lines_are_edited_with_the_keys_of_an_editor() {
    let (folder, lab) = (folder("edited"), Lab::start().await);
    let mut command = configure(&folder, &lab);
    command.args(["--dialogflow-agent", AGENT, "--unchecked"]);
    let shown = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.answer("DIALOGFLOW_AGENT (", "");
        terminal.expect("DIALOGFLOW_LANGUAGE (");
        // All at once, as a paste comes. The arrows go before the second D, and the backspace removes the X.
        terminal.press(&format!("de-XDE{LEFT}{LEFT}{BACKSPACE}"));
        terminal.answer("[en-US]: de-DE", "");
        terminal.answer("TWILIO_ACCOUNT_SID (", "");
        terminal.answer("TWILIO_AUTH_TOKEN (", &format!("planted-X{BACKSPACE}token"));
        terminal.expect("END_OF_INTERACTION_URL (");
        terminal.press("https://wrong.test/");
        terminal.expect("https://wrong.test/");
        // It puts the question again, with an empty line.
        terminal.press(ESC);
        terminal.expect("<canceled>");
        terminal.answer("END_OF_INTERACTION_URL (", &format!("ttps://calls.test/after{HOME}h{CTRL_U}"));
        terminal.answer("MAX_CALLS (", &format!("120{LEFT}{DELETE}"));
        terminal.answer("PUBLIC_URL (", "");
        terminal.end()
    });
    let (shown, code) = shown.await.unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("planted") && !shown.contains("token\r"), "{shown}");
    for (name, value) in [
        ("DIALOGFLOW_LANGUAGE", "de-DE"),
        ("TWILIO_AUTH_TOKEN", "planted-token"),
        ("END_OF_INTERACTION_URL", "https://calls.test/after"),
        ("MAX_CALLS", "12"),
    ] {
        assert_eq!(written(&folder, name), value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_any_question_and_ctrl_d_the_input() {
    for (name, key, at_secret, code, said) in [
        ("ctrl-c", CTRL_C, false, 130, "interrupted; nothing was written"),
        ("ctrl-c-secret", CTRL_C, true, 130, "interrupted; nothing was written"),
        ("ctrl-d", "\x04\r", false, 66, "the input has ended"),
    ] {
        let (folder, lab) = (folder(name), Lab::start().await);
        let mut command = configure(&folder, &lab);
        command.args(["--dialogflow-agent", AGENT, "--unchecked"]);
        let ended = tokio::task::spawn_blocking(move || {
            let mut terminal = Terminal::start(command);
            terminal.expect("DIALOGFLOW_AGENT (");
            if at_secret {
                terminal.answer("", "");
                terminal.answer("DIALOGFLOW_LANGUAGE (", "");
                terminal.answer("TWILIO_ACCOUNT_SID (", "");
                terminal.expect("TWILIO_AUTH_TOKEN (");
                terminal.press("planted");
            }
            terminal.press_until(key, said);
            terminal.end()
        });
        let (shown, ended_with) = ended.await.unwrap();
        assert_eq!(ended_with, code, "{name}: {shown}");
        assert!(!shown.contains("planted"), "{name}: {shown}");
        assert!(shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR), "the cursor is hidden: {name}: {shown}");
        assert!(!folder.join(".env").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_interrupts_gets_the_echo_back() {
    let (folder, lab) = (folder("interrupted"), Lab::start().await);
    let mut command = configure(&folder, &lab);
    command.args(["--dialogflow-agent", AGENT, "--unchecked"]);
    let ended = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.answer("DIALOGFLOW_AGENT (", "");
        terminal.answer("DIALOGFLOW_LANGUAGE (", "");
        terminal.answer("TWILIO_ACCOUNT_SID (", "");
        terminal.expect("auth token):");
        assert!(!terminal.has_echo());
        let interrupted = Command::new("kill").arg("-INT").arg(terminal.child.id().to_string()).status().unwrap();
        assert!(interrupted.success());
        terminal.expect("interrupted; nothing was written");
        terminal.end()
    });
    let (shown, code) = ended.await.unwrap();
    assert_eq!(code, 130, "{shown}");
    assert!(!folder.join(".env").exists());
}
