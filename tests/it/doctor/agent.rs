//! Settings, credentials, the agent, the clock, files.

use dialbridge::doctor::Mark;

use dialbridge_tests::Examined;

use super::{Row, each, plan};

const NEW_KEY: &str = "make a new key: gcloud iam service-accounts keys create key.json --iam-account ACCOUNT; or unset \
                       GOOGLE_APPLICATION_CREDENTIALS to use gcloud's own login or the platform's service account";

const NAME: &str = "projects/lab-project/locations/europe-west3/agents/lab";

#[tokio::test]
async fn wrong_settings() {
    let rows = [
        Row {
            case: ("settings", "a port that is none"),
            wrong: |plan| plan.settings.set("PORT", "http"),
            says: "PORT is \"http\"; it must be a number from 0 to 65535",
            mend: "set PORT=8080",
        },
        Row {
            case: ("settings", "an account id that is none"),
            wrong: |plan| plan.settings.set("TWILIO_ACCOUNT_SID", "me"),
            says: "TWILIO_ACCOUNT_SID is no account's id: AC and 32 hexadecimal digits",
            mend: "set TWILIO_ACCOUNT_SID=AC00000000000000000000000000000000",
        },
        Row {
            case: ("settings", "a url that is none"),
            wrong: |plan| plan.options.url = Some("calls.test".to_owned()),
            says: "PUBLIC_URL is \"calls.test\"; it must be a URL with http or https",
            mend: "set PUBLIC_URL=https://calls.example.com",
        },
        Row {
            case: ("settings", "a lab script that is not there"),
            wrong: |plan| plan.settings.set("DIALOGFLOW_AGENT", "lab:/nowhere.toml"),
            says: "DIALOGFLOW_AGENT names a lab script that cannot be used: /nowhere.toml: No such file or directory (os \
                   error 2)",
            mend: "set DIALOGFLOW_AGENT=projects/my-project/locations/us-central1/agents/\
                   00000000-0000-0000-0000-000000000000",
        },
        Row {
            case: ("settings", "a filler that is not there"),
            wrong: |plan| plan.settings.set("FILLER_FILE", "/nowhere.wav"),
            says: "FILLER_FILE names /nowhere.wav, which cannot be read: No such file or directory (os error 2)",
            mend: "set FILLER_FILE=one-moment.wav",
        },
        Row {
            case: ("env-file", "an env file with a broken line"),
            wrong: |plan| plan.write(".env", "PORT=8080\nTWILIO_AUTH_TOKEN=planted token\n"),
            says: "FOLDER/.env: the line after PORT cannot be read, nor is anything after it",
            mend: "put a value with spaces, quotes or a # into single quotes",
        },
        Row {
            case: ("files", "a folder that cannot be made"),
            wrong: |plan| plan.settings.set("RECORD_DIR", "/proc/tapes/of/calls"),
            says: "RECORD_DIR /proc/tapes/of/calls: No such file or directory (os error 2)",
            mend: "let this user write to /proc, or set RECORD_DIR to another folder",
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn wrong_credentials() {
    let rows = [
        Row {
            case: ("credentials", "no file"),
            wrong: |plan| plan.settings.set("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json"),
            says: "GOOGLE_APPLICATION_CREDENTIALS /nowhere.json: there is no such file",
            mend: "set GOOGLE_APPLICATION_CREDENTIALS to where the file is",
        },
        Row {
            case: ("credentials", "a folder"),
            wrong: |plan| {
                plan.settings.set("GOOGLE_APPLICATION_CREDENTIALS", plan.folder.display().to_string());
            },
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER: it is a folder",
            mend: "set GOOGLE_APPLICATION_CREDENTIALS to the file in it",
        },
        Row {
            case: ("credentials", "no json"),
            wrong: |plan| plan.write("login.json", "-----BEGIN planted KEY-----"),
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER/login.json: it is no JSON",
            mend: NEW_KEY,
        },
        Row {
            case: ("credentials", "json of another kind"),
            wrong: |plan| plan.write("login.json", r#"{"type":"api_key","private_key":"planted"}"#),
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER/login.json: its \"type\" is \"api_key\", which is no kind of credentials",
            mend: NEW_KEY,
        },
        Row {
            case: ("credentials", "the secret of an oauth client"),
            wrong: |plan| plan.write("login.json", r#"{"installed":{"client_secret":"planted"}}"#),
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER/login.json: it is the secret of an OAuth client, which is no credentials",
            mend: NEW_KEY,
        },
        Row {
            case: ("credentials", "json that says nothing"),
            wrong: |plan| plan.write("login.json", r#"{"private_key":"planted"}"#),
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER/login.json: it is JSON, but no credentials: it has no \"type\"",
            mend: NEW_KEY,
        },
        Row {
            case: ("token", "a service account without a key"),
            wrong: |plan| plan.write("login.json", r#"{"type":"service_account","private_key":"planted"}"#),
            says: "GOOGLE_APPLICATION_CREDENTIALS FOLDER/login.json: Google credentials: cannot parse the credentials \
                   file missing field `client_email`: missing field `client_email`",
            mend: NEW_KEY,
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn wrong_agents() {
    let rows = [
        Row {
            case: ("agent-host", "the host of another location"),
            wrong: |plan| plan.settings.set("DIALOGFLOW_ENDPOINT", "us-central1-dialogflow.googleapis.com"),
            says: "DIALOGFLOW_ENDPOINT is us-central1-dialogflow.googleapis.com, but \
                   europe-west3-dialogflow.googleapis.com serves the location of \
                   projects/lab-project/locations/europe-west3/agents/lab",
            mend: "unset DIALOGFLOW_ENDPOINT, or name an agent of that location in DIALOGFLOW_AGENT",
        },
        Row {
            case: ("agent", "no such agent"),
            wrong: |plan| plan.script = fails("NOT_FOUND"),
            says: "agent.test has no agent projects/lab-project/locations/europe-west3/agents/lab (NOT_FOUND: the script \
                   has this turn fail)",
            mend: "set DIALOGFLOW_AGENT to the name that the agent's console shows; is it in another location or project?",
        },
        Row {
            case: ("agent", "no permission"),
            wrong: |plan| plan.script = fails("PERMISSION_DENIED"),
            says: "these credentials may not ask projects/lab-project/locations/europe-west3/agents/lab \
                   (PERMISSION_DENIED: the script has this turn fail)",
            mend: "give them the role: gcloud projects add-iam-policy-binding lab-project --role roles/dialogflow.client \
                   --member user:YOU",
        },
        Row {
            case: ("agent", "a token that is not taken"),
            wrong: |plan| plan.script = fails("UNAUTHENTICATED"),
            says: "agent.test does not take the token (UNAUTHENTICATED: the script has this turn fail)",
            mend: "use credentials of a project of Google's cloud: see the lines on the credentials; is this machine's \
                   clock right?",
        },
        Row {
            case: ("agent", "no quota"),
            wrong: |plan| plan.script = fails("RESOURCE_EXHAUSTED"),
            says: "the quota of project lab-project is used up (RESOURCE_EXHAUSTED: the script has this turn fail)",
            mend: "have it raised (console, IAM and Admin, Quotas, dialogflow.googleapis.com), or wait a minute",
        },
        Row {
            case: ("agent", "another location or edition"),
            wrong: |plan| plan.script = fails("INVALID_ARGUMENT"),
            says: "agent.test does not take what it is asked for projects/lab-project/locations/europe-west3/agents/lab \
                   (INVALID_ARGUMENT: the script has this turn fail)",
            mend: "look whether the agent is of that location and edition (DIALOGFLOW_AGENT, DIALOGFLOW_ENDPOINT, \
                   DIALOGFLOW_ES_API), and speaks DIALOGFLOW_LANGUAGE",
        },
        Row {
            case: ("agent", "an agent that cannot serve"),
            wrong: |plan| plan.script = fails("FAILED_PRECONDITION"),
            says: "projects/lab-project/locations/europe-west3/agents/lab cannot serve (FAILED_PRECONDITION: the script has \
                   this turn fail)",
            mend: "look at the agent's console: is it trained, its environment published, billing on?",
        },
        Row {
            case: ("agent", "nobody there"),
            wrong: |plan| plan.down.push("agent.test:80"),
            says: "agent.test cannot be reached (UNAVAILABLE: nobody listens there)",
            mend: "look whether this machine reaches it (name server, firewall, proxy), and whether the location in \
                   DIALOGFLOW_AGENT exists",
        },
        Row {
            case: ("agent", "an agent that thinks for ever"),
            wrong: |plan| {
                plan.script = "think_ms = 60000\n[start]\nsay = \"Hello.\"\n".to_owned();
                plan.options.deadline = 2;
            },
            says: "http://agent.test does not answer within 2 s",
            mend: "look whether this machine reaches the host (firewall, proxy), and at the agent's webhook",
        },
        Row {
            case: ("clock", "a clock that is ahead"),
            wrong: |plan| plan.ahead_ms = 95_000,
            says: "this machine's clock is over 90 s ahead of api.twilio.test: tickets and tokens would not hold",
            mend: "set the clock by the network: timedatectl set-ntp true",
        },
    ];
    assert!(rows[0].says.contains(NAME));
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn several_agents_are_looked_at_one_by_one_and_a_files_secrets_are_not_shown() {
    let mut plan = plan("several agents");
    plan.write(
        "agents.toml",
        "twilio_auth_token = \"planted-auth-token-0123456789\"\n\
         [agents.sales]\ndialogflow_endpoint = \"http://gone.test\"\n\
         dialogflow_agent = \"projects/p/locations/global/agents/sales\"\n\
         [agents.support]\ndialogflow_endpoint = \"http://agent.test\"\n\
         dialogflow_agent = \"projects/p/agent\"\n",
    );
    plan.settings.set("DIALBRIDGE_CONFIG", plan.folder.join("agents.toml").display().to_string());
    plan.settings.set("DIALOGFLOW_AGENT", "");
    plan.settings.set("DIALOGFLOW_ENDPOINT", "");
    plan.settings.set("TWILIO_AUTH_TOKEN", "");
    plan.account_state.numbers[0].voice_fallback_url = "https://calls.test/planted-auth-token-0123456789".to_owned();
    let Examined { findings, lines, code, .. } = plan.examine(false).await;
    let agents: Vec<(Mark, &str)> =
        findings.iter().filter(|f| f.check == "agent").map(|f| (f.mark, f.says.as_str())).collect();
    assert_eq!(
        agents,
        [
            (Mark::Fault, "sales: gone.test cannot be reached (UNAVAILABLE: nobody listens there)"),
            (Mark::Ok, "support: answers the event WELCOME with \"Hello.\""),
        ]
    );
    let number = findings.iter().find(|finding| finding.check == "number").unwrap();
    assert_eq!(number.says, "+15550100: its fallback-url has the path /…, where this service answers nothing");
    assert!(code == 1 && !lines.contains("planted"), "{lines}");
}

#[tokio::test]
async fn agents_that_callers_would_not_hear() {
    let rows = [
        Row {
            case: ("agent", "an event that it does not know"),
            wrong: |plan| {
                plan.script = "[start]\nevent = \"WELCOME\"\nsay = \"Hello.\"\n".to_owned();
                plan.settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "START");
                plan.settings.set("DIALOGFLOW_STARTING_TEXT", "");
            },
            says: "projects/lab-project/locations/europe-west3/agents/lab is there, and has no answer to the event START",
            mend: "callers would hear nothing at first: set DIALOGFLOW_STARTING_EVENT_NAME or DIALOGFLOW_STARTING_TEXT to \
                   what the agent greets at",
        },
        Row {
            case: ("agent", "words without a voice"),
            wrong: |plan| plan.script = "[start]\nsay = \"Hello.\"\n".to_owned(),
            says: "answers the text \"hi\" with \"Hello.\", but with no audio: callers would hear nothing",
            mend: "turn the agent's speech output on (ES: its settings, Speech; CX: its settings, Speech and IVR)",
        },
        Row {
            case: ("agent", "a webhook that fails"),
            wrong: |plan| plan.script.push_str("webhook_fault = \"down\"\n"),
            says: "answers the text \"hi\" with \"Hello.\", but its webhook failed: code 14: down",
            mend: "look at the agent's webhook",
        },
        Row {
            case: ("agent-speech", "a model that is not for the telephone"),
            wrong: |plan| plan.settings.set("SPEECH_MODEL", "latest_short"),
            says: "the recogniser's model is latest_short, which Google does not name for telephone calls",
            mend: "set SPEECH_MODEL=telephony_short, or unset it and the agent's own: Google then chooses by the audio",
        },
        Row {
            case: ("agent-speech", "another model than the agent's"),
            wrong: |plan| {
                plan.script.push_str("[agent]\nadvancedSettings.speechSettings.models = { en-US = \"phone_call\" }\n");
                plan.settings.set("SPEECH_MODEL", "telephony_short");
            },
            says: "SPEECH_MODEL is telephony_short and the agent's own model for en-US is phone_call; the agent's switch \
                   \"Override request-level speech model\" decides which is used, and the API does not show it",
            mend: "give both the same model, or unset SPEECH_MODEL",
        },
        Row {
            case: ("agent-speech", "settings for telephony integrations"),
            wrong: |plan| {
                plan.script.push_str(
                    "[agent.advancedSettings.speechSettings]\nuseTimeoutBasedEndpointing = true\nnoSpeechTimeout = \"5s\"\n",
                );
            },
            says: "the agent has advanced speech settings (timeout-based endpointing, no-speech timeout 5s), which Google \
                   supports for its own telephony integrations only",
            mend: "listen to a call before you rely on them (docs/editions.md)",
        },
        Row {
            case: ("env-file", "an env file for everybody"),
            wrong: |plan| {
                use std::os::unix::fs::PermissionsExt;
                plan.write(".env", "PORT=8080\n");
                std::fs::set_permissions(plan.folder.join(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
            },
            says: "FOLDER/.env can be read by others than you, and may hold secrets",
            mend: "chmod 600 FOLDER/.env",
        },
    ];
    each(Mark::Warning, &rows).await;
}

fn fails(code: &str) -> String {
    format!("[start]\nfault = \"{code}\"\n")
}

#[tokio::test]
async fn an_agent_of_the_customer_engagement_suite_is_asked_over_its_transport() {
    let name = "projects/lab-project/locations/us/apps/lab";
    for (transport, serves, expected) in [
        ("websocket", "both", (Mark::Ok, "answers the event session_start with \"Hello.\"")),
        ("grpc", "both", (Mark::Ok, "answers the event session_start with \"Hello.\"")),
        ("grpc", "websocket", (Mark::Fault, "agent.test does not take what it is asked for")),
        ("websocket", "grpc", (Mark::Fault, "agent.test has no agent")),
    ] {
        let mut plan = plan(&format!("ces by {transport} at {serves}"));
        plan.settings.set("DIALOGFLOW_AGENT", name);
        plan.settings.set("CES_TRANSPORT", transport);
        plan.script =
            format!("[start]\nsay = \"Hello.\"\ntone = {{ hz = 400, ms = 300 }}\n[ces]\nserves = \"{serves}\"\n");
        let Examined { findings, .. } = plan.examine(false).await;
        let agent = findings.iter().find(|finding| finding.check == "agent").unwrap();
        assert!(agent.mark == expected.0 && agent.says.starts_with(expected.1), "{transport}, {serves}: {agent:?}");
    }
}

#[tokio::test]
async fn either_of_the_two_hosts_of_ces_is_right() {
    for (host, mark) in [
        ("ces.googleapis.com", Mark::Ok),
        ("ces.us.rep.googleapis.com", Mark::Ok),
        ("ces.eu.rep.googleapis.com", Mark::Fault),
        ("us-dialogflow.googleapis.com", Mark::Fault),
    ] {
        let mut plan = plan(&format!("ces at {host}"));
        plan.settings.set("DIALOGFLOW_AGENT", "projects/lab-project/locations/us/apps/lab");
        plan.settings.set("DIALOGFLOW_ENDPOINT", host);
        let Examined { findings, .. } = plan.examine(false).await;
        let finding = findings.iter().find(|finding| finding.check == "agent-host").unwrap();
        assert_eq!(finding.mark, mark, "{host}: {}", finding.says);
    }
}

#[tokio::test]
async fn speech_settings_that_cannot_be_read_are_no_fault() {
    let agent = "projects/lab-project/locations/europe-west3/agents/lab/environments/live";
    for (name, refuses, starts) in [
        (agent, 403, "these credentials may not read the agent's settings (roles/dialogflow.reader"),
        (agent, 503, "http://agent.test/v3/projects/lab-project/locations/europe-west3/agents/lab answers 503"),
        ("projects/lab-project/agent", 403, "only CX agents have settings that can be read"),
    ] {
        let mut plan = plan(&format!("speech {refuses} of {}", name.len()));
        plan.settings.set("DIALOGFLOW_AGENT", name);
        plan.script.push_str(&format!("[agent]\nrefuses = {refuses}\n"));
        let Examined { findings, code, .. } = plan.examine(false).await;
        let speech = findings.iter().find(|finding| finding.check == "agent-speech").unwrap();
        assert!(speech.mark == Mark::Skipped && speech.says.starts_with(starts), "{speech}");
        assert_eq!(code, 0, "{findings:#?}");
    }
}

#[tokio::test]
async fn the_endpointing_that_is_in_force_is_told_wherever_the_agent_tells_it() {
    let says = "the recogniser waits 5000 ms for speech, and 800 ms of silence end an utterance";
    let cx = "projects/lab-project/locations/europe-west3/agents/lab";
    for (name, switch, mark, starts) in [
        (cx, "with-answer", Mark::Ok, says),
        (cx, "apart", Mark::Ok, says),
        (cx, "never", Mark::Skipped, "the agent sends no debugging info"),
        ("projects/lab-project/agent", "apart", Mark::Skipped, "only CX agents tell how"),
    ] {
        let mut plan = plan(&format!("endpointing {switch} of {}", name.len()));
        plan.settings.set("DIALOGFLOW_AGENT", name);
        let times = format!("no_speech_ms = 5000\nend_of_utterance_ms = 800\ndebugging_info = \"{switch}\"\n");
        plan.script = times + &plan.script;
        let Examined { findings, code, .. } = plan.examine(false).await;
        let finding = findings.iter().find(|finding| finding.check == "agent-endpointing").unwrap();
        assert!(finding.mark == mark && finding.says.starts_with(starts), "{finding}");
        assert_eq!(code, 0, "{findings:#?}");
    }
}

#[tokio::test]
async fn a_location_that_we_do_not_know_is_told_with_those_that_we_know() {
    for (location, mark) in
        [("us", Mark::Ok), ("eu", Mark::Ok), ("europe-west6", Mark::Ok), ("us-central", Mark::Warning)]
    {
        let mut plan = plan(&format!("location {location}"));
        plan.settings.set("DIALOGFLOW_AGENT", format!("projects/lab-project/locations/{location}/agents/lab"));
        plan.settings.set("DIALOGFLOW_ENDPOINT", format!("http://{location}-dialogflow.googleapis.com"));
        let Examined { findings, .. } = plan.examine(false).await;
        let host = findings.iter().find(|finding| finding.check == "agent-host").unwrap();
        assert_eq!(host.mark, mark, "{host}");
        assert!(
            mark == Mark::Ok || host.says.contains("locations that we know: global, us, eu, us-central1,"),
            "{host}"
        );
    }
}
