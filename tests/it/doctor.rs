//! `doctor` on real sockets: a correct setup, and every way to set it up wrong.

mod agent;
mod cloud_run;
mod public_url;
mod twilio;

use std::path::PathBuf;

use dialbridge::doctor::{Finding, Mark};
use dialbridge_tests::{DoctorPlan, Examined};
use serde_json::{Value, json};

/// A wrong setup and its only finding.
struct Row {
    /// The check that finds it, and a readable name, also of the row's folder.
    case: (&'static str, &'static str),
    /// What is wrong.
    wrong: fn(&mut DoctorPlan),
    /// Its message, with `FOLDER` for the row's folder.
    says: &'static str,
    /// How to fix it.
    mend: &'static str,
}

fn plan(name: &str) -> DoctorPlan {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name.replace(' ', "-"));
    // The folder does not exist before the first run.
    let _ = std::fs::remove_dir_all(&folder);
    DoctorPlan::new(folder)
}

fn list(findings: &[&Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// Sets up each row and compares the findings with the row.
async fn each(mark: Mark, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let (check, name) = row.case;
        let mut plan = plan(name);
        (row.wrong)(&mut plan);
        let folder = plan.folder.display().to_string();
        let Examined { findings, lines, code, .. } = plan.examine(false).await;
        assert!(!lines.contains("planted"), "{name}: a secret is shown: {lines}");
        let found: Vec<&Finding> =
            findings.iter().filter(|finding| matches!(finding.mark, Mark::Fault | Mark::Warning)).collect();
        let of = |text: &str| text.replace("FOLDER", &folder);
        let expected = Finding { check, mark, says: of(row.says), mend: Some(of(row.mend)) };
        if found != [&expected] {
            wrong.push(format!("{name}:\nexpected\n{expected}\nfound\n{}", list(&found)));
        }
        let is_fault = mark == Mark::Fault;
        assert_eq!(code == 1, is_fault, "{name}: exit code {code}");
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[tokio::test]
async fn an_installation_where_all_is_well_has_no_fault() {
    let plan = plan("well");
    plan.write(".env", "PORT=8080\n");
    let Examined { findings, lines, code, authorized } = plan.examine(false).await;
    let other: Vec<&Finding> = findings.iter().filter(|finding| finding.mark != Mark::Ok).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(lines.ends_with("\n0 faults, 0 warnings, 32 ok, 0 skipped\n"), "{lines}");
    assert_eq!((code, authorized), (0, 1), "Cloud Run's API is asked with a token");
    assert!(!lines.contains("planted") && !lines.contains("ya29."), "{lines}");
}

#[tokio::test]
async fn the_page_on_it_shows_a_run_and_names_all_checks() {
    let mut plan = plan("page");
    plan.write(".env", "PORT=8080\n");
    plan.service.set("TWILIO_AUTH_TOKEN", "another-token");
    plan.account_state.numbers[0].voice_fallback_url = String::new();
    let container = json!({
        "ports": [{ "name": "http1" }], "resources": { "limits": { "cpu": "1" }, "cpuIdle": true },
        "env": plan.on_cloud_run["template"]["containers"][0]["env"],
    });
    plan.on_cloud_run["template"] = json!({ "timeout": "300s", "containers": [container] });
    let folder = format!("{}/", plan.folder.display());
    plan.settings.set("RECORD_DIR", "");
    let Examined { findings, lines, .. } = plan.examine(false).await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md")).unwrap();
    let run = format!("```text\n{}```\n", lines.replace(&folder, ""));
    assert!(page.contains(&run), "docs/doctor.md does not show this run:\n{run}");
    for finding in findings {
        assert!(page.contains(&format!("`{}`", finding.check)), "{} is not on the page", finding.check);
    }
}

#[tokio::test]
async fn the_same_is_printed_as_json() {
    let mut plan = plan("json");
    plan.settings.set("TWILIO_AUTH_TOKEN", "planted-but-another");
    let Examined { findings, lines, code, .. } = plan.examine(true).await;
    let document: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(document["checks"].as_array().unwrap().len(), findings.len());
    let faults: Vec<&Value> =
        document["checks"].as_array().unwrap().iter().filter(|check| check["mark"] == "fault").collect();
    assert_eq!((document["faults"].as_u64(), faults.len(), code), (Some(2), 2, 1), "{lines}");
    assert_eq!((&faults[0]["check"], &faults[1]["check"]), (&"signed-request".into(), &"twilio-account".into()));
    assert!(faults.iter().all(|fault| fault["mend"].as_str().is_some_and(|mend| !mend.is_empty())));
    assert!(!lines.contains("planted"), "{lines}");
}

#[tokio::test]
async fn what_is_missing_is_skipped_with_the_reason() {
    let mut plan = plan("bare");
    plan.settings = dialbridge_runner::settings::Settings::default();
    plan.options = dialbridge::doctor::Options::default();
    let Examined { findings, code, .. } = plan.examine(false).await;
    assert_eq!(code, 0, "{findings:#?}");
    let mut skipped: Vec<(&str, &str)> = Vec::new();
    for finding in &findings {
        if finding.mark == Mark::Skipped {
            skipped.push((finding.check, finding.says.as_str()));
        }
    }
    for (check, why) in [
        ("credentials", "the lab's agent needs none"),
        ("media-socket", "PUBLIC_URL is not set, and no --url is given"),
        ("twilio-account", "TWILIO_ACCOUNT_SID is not set: no call is updated over REST"),
        ("number", "Twilio cannot be asked"),
        (
            "cloud-run",
            "not on Cloud Run; --service service.yaml, or --cloud-run-service NAME --region REGION, looks at one",
        ),
        ("clock", "neither Google nor Twilio has answered"),
        ("files", "no setting names a file or a folder"),
    ] {
        assert!(skipped.contains(&(check, why)), "{check}: {skipped:#?}");
    }
    let agent = findings.iter().find(|finding| finding.check == "agent").unwrap();
    assert_eq!(agent.mark, Mark::Ok, "the lab's agent is asked: {agent}");
}
