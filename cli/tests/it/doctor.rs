//! `doctor` as people start it: what depends on the environment, and the exit code.
#![cfg(feature = "lab")]

use std::path::Path;
use std::process::Command;

use crate::program::{Lab, PLANTED_TOKEN, Service, folder, free_port, program, run};
use dialbridge_lab::google::{CloudRun, Identity};
use dialbridge_lab::served::Served;
use serde_json::json;

fn doctor(folder: &Path) -> Command {
    let mut command = program(folder);
    command.arg("doctor").env("GCE_METADATA_HOST", "127.0.0.1:1");
    command
}

async fn served(identity: &Identity) -> Served {
    let served = Served::on_loopback(identity.clone(), |identity, stream| async move { identity.serve(stream).await });
    served.await.unwrap()
}

/// The line of a check, followed by the line that says how to mend it.
fn line<'a>(output: &'a str, check: &str) -> (&'a str, &'a str) {
    let mut lines = output.lines();
    let line = lines.by_ref().find(|line| line.split_whitespace().nth(1) == Some(check)).unwrap_or(output);
    (line, lines.next().unwrap_or_default().trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_up_is_well_and_exit_code_0() {
    let (folder, lab, port) = (folder("well"), Lab::start().await, free_port());
    let url = format!("http://127.0.0.1:{port}");
    lab.point("+15550100", &url);
    let with = |mut command: Command| {
        command
            .env("PORT", port.to_string())
            .env("DIALOGFLOW_AGENT", "projects/p/locations/europe-west3/agents/lab")
            .env("DIALOGFLOW_ENDPOINT", lab.agent.endpoint())
            .env("TWILIO_ACCOUNT_SID", &lab.twilio.account().sid)
            .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)
            .env("TWILIO_API_URL", lab.rest.url());
        command
    };
    let mut examined = with(doctor(&folder));
    examined.args(["--url", &url, "--deadline", "5"]);
    let down = run(examined, "").await;
    assert_eq!(down.code, 1, "nobody listens yet: {down:?}");

    let _service = Service::start(with(program(&folder)).arg("serve"));
    let mut examined = with(doctor(&folder));
    examined.args(["--url", &url]);
    let up = run(examined, "").await;
    assert_eq!((up.code, up.errors.as_str()), (0, ""), "{}", up.output);
    assert!(line(&up.output, "number").0.starts_with("ok "), "{}", up.output);
    assert!(!format!("{down:?}{up:?}").contains("planted"));

    let mut as_json = with(doctor(&folder));
    as_json.args(["--url", &url, "--json"]);
    let as_json = run(as_json, "").await;
    let document: serde_json::Value = serde_json::from_str(&as_json.output).unwrap();
    assert_eq!((document["faults"].as_u64(), as_json.code), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credentials_anywhere_is_a_fault_with_its_mend() {
    let folder = folder("no-credentials");
    let mut command = doctor(&folder);
    command.env("DIALOGFLOW_AGENT", "projects/p/locations/europe-west3/agents/a");
    let examined = run(command, "").await;
    let (told, mend) = line(&examined.output, "credentials");
    assert_eq!(examined.code, 1, "{}", examined.output);
    assert!(
        told.starts_with("fault ") && told.contains("gcloud has no login, and no metadata server answers"),
        "{told}"
    );
    assert!(mend.starts_with("mend: gcloud auth application-default login"), "{mend}");
    assert!(line(&examined.output, "agent").0.ends_with("there are no credentials to ask it with"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gclouds_own_login_is_found_and_a_revoked_one_is_told() {
    let folder = folder("gcloud");
    let identity = Identity::new("planted-refresh-token", "lab-project");
    let server = served(&identity).await;
    std::fs::create_dir_all(folder.join(".config/gcloud")).unwrap();
    let file = folder.join(".config/gcloud/application_default_credentials.json");
    let command = || {
        let mut command = doctor(&folder);
        command.env("DIALOGFLOW_AGENT", "projects/p/agent").args(["--deadline", "3"]);
        command
    };
    std::fs::write(&file, identity.login(&server.url()).to_string()).unwrap();
    let good = run(command(), "").await;
    assert!(line(&good.output, "credentials").0.ends_with("a user's login, project lab-project (gcloud's own file)"));
    assert!(line(&good.output, "token").0.ends_with("obtained, scope cloud-platform"), "{}", good.output);

    let revoked = Identity::new("planted-revoked", "lab-project");
    std::fs::write(&file, revoked.login(&server.url()).to_string()).unwrap();
    let revoked = run(command(), "").await;
    let (told, mend) = line(&revoked.output, "token");
    assert!(told.starts_with("fault ") && told.contains("invalid_grant"), "{told}");
    assert_eq!(mend, "mend: log in again: gcloud auth application-default login");
    assert!(!format!("{good:?}{revoked:?}").contains("planted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_cloud_run_the_service_looks_at_itself() {
    let folder = folder("cloud-run");
    let identity = Identity::new("planted-refresh-token", "lab-project");
    let weak =
        Identity { scopes: vec!["https://www.googleapis.com/auth/userinfo.email".to_owned()], ..identity.clone() };
    let (server, weak_server) = (served(&identity).await, served(&weak).await);
    let cloud_run = CloudRun::default();
    let container = json!({ "resources": { "cpuIdle": true } });
    let name = "projects/lab-project/locations/europe-west3/services/dialbridge";
    cloud_run.put(name, json!({ "template": { "timeout": "3600s", "containers": [container] } }));
    let api =
        Served::on_loopback(cloud_run.clone(), |api, stream| async move { api.serve(stream).await }).await.unwrap();
    let command = |metadata: &Served| {
        let mut command = program(&folder);
        command
            .arg("doctor")
            .args(["--deadline", "3"])
            .env("K_SERVICE", "dialbridge")
            .env("GCE_METADATA_HOST", metadata.address().to_string())
            .env("CLOUD_RUN_API_URL", api.url())
            .env("DIALOGFLOW_AGENT", "projects/p/agent")
            .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN);
        command
    };
    let examined = run(command(&server), "").await;
    let (told, _) = line(&examined.output, "credentials");
    assert!(
        told.ends_with(
            "the platform's service account lab@lab-project.iam.gserviceaccount.com, project lab-project \
             (metadata server)"
        ),
        "{}",
        examined.output
    );
    assert!(line(&examined.output, "token").0.ends_with("obtained, scope cloud-platform"));
    assert!(line(&examined.output, "cloud-run-timeout").0.starts_with("ok "), "{}", examined.output);
    let (told, mend) = line(&examined.output, "cloud-run-billing");
    assert!(told.starts_with("fault "), "{told}");
    assert_eq!(mend, "mend: gcloud run services update dialbridge --region europe-west3 --no-cpu-throttling");
    assert_eq!(cloud_run.authorized(), 0, "no token goes to an API with http://");

    cloud_run.refuse(403, "Permission 'run.services.get' denied");
    let examined = run(command(&weak_server), "").await;
    let (told, mend) = line(&examined.output, "cloud-run");
    assert!(told.starts_with("warning  cloud-run ") && mend.contains("--role roles/run.viewer"), "{told} {mend}");
    assert!(line(&examined.output, "credentials").0.contains("has no scope for Dialogflow"), "{}", examined.output);
    assert!(!format!("{examined:?}").contains("planted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_platform_unsigned_access_is_a_fault_as_serve_says_it() {
    let mut command = doctor(&folder("open-door"));
    command.env("K_SERVICE", "dialbridge");
    let examined = run(command, "").await;
    let (told, mend) = line(&examined.output, "settings");
    assert!(told.contains("TWILIO_AUTH_TOKEN is not set, so anyone could use this service"), "{told}");
    assert_eq!((mend, examined.code), ("mend: set TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdef", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_env_file_that_ends_every_other_command_is_a_fault_here() {
    let folder = folder("broken-env");
    std::fs::write(folder.join(".env"), "PORT=8080\nTWILIO_AUTH_TOKEN=planted token\n").unwrap();
    let examined = run(doctor(&folder), "").await;
    assert!(line(&examined.output, "env-file").0.contains("the line after PORT cannot be read"), "{examined:?}");
    let mut command = program(&folder);
    command.arg("configure");
    let configured = run(command, "lab:\n").await;
    assert_eq!((examined.code, configured.code), (1, 78), "{configured:?}");
    assert!(!format!("{examined:?}{configured:?}").contains("planted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_command_line_is_exit_code_64() {
    for arguments in [&["--deadline", "0"][..], &["--service", "a.yaml", "--cloud-run-service", "b"], &["--nonsense"]] {
        let mut command = doctor(&folder("usage"));
        command.args(arguments);
        assert_eq!(run(command, "").await.code, 64, "{arguments:?}");
    }
}
