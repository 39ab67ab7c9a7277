//! The files that deploy the service can be read, and what they name exists. The tests need no account, so they do not
//! check what Google makes of the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dialbridge::configure::FLAGS;
use dialbridge::doctor::{Finding, Mark};
use dialbridge_runner::settings::{Platform, Settings};
use dialbridge_tests::{DoctorPlan, Examined};
use serde_json::Value;

fn place(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

fn top(file: &str) -> String {
    fs::read_to_string(place(file)).unwrap()
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&top(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fills in what people fill in.
fn filled(value: &str) -> String {
    let agent = "00000000-0000-0000-0000-000000000000";
    let all = [("PROJECT", "my-project"), ("REGION", "europe-west3"), ("AGENT", agent)];
    let filled = all.iter().fold(value.to_owned(), |text, (what, by)| text.replace(what, by));
    filled.replace("ACCOUNT_SID", "AC00000000000000000000000000000001")
}

/// Checks a file's variables as the program does at its start.
fn start(file: &str, variables: &BTreeMap<String, String>, platform: Platform) {
    let config = Settings::of(variables).check(platform).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(config.has_page(), "{file}: ADMIN_TOKEN is one of them");
    assert_eq!(config.warnings(), [""; 0], "{file}");
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let map = map.as_object().unwrap().iter();
    map.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// A secret's value comes from elsewhere.
const SECRET: &str = "a-secret-of-more-than-16-characters";

fn container(service: &Value) -> &Value {
    &service["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn the_service_starts_on_cloud_run_with_the_files_settings() {
    let service = yaml("service.yaml");
    let mut secrets = 0;
    let variables = container(&service)["env"].as_array().unwrap().iter().map(|variable| {
        let value = match variable["valueFrom"]["secretKeyRef"].as_object() {
            Some(secret) => {
                secrets += 1;
                assert!(secret["key"].as_str().unwrap().parse::<u32>().is_ok(), "a fixed version: {variable}");
                SECRET.to_owned()
            }
            None => filled(variable["value"].as_str().unwrap()),
        };
        (variable["name"].as_str().unwrap().to_owned(), value)
    });
    start("service.yaml", &variables.collect(), Platform::CloudRun);
    assert_eq!(secrets, 2);
}

#[tokio::test]
async fn the_doctor_has_nothing_to_say_about_the_file() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("deploy");
    let _ = fs::remove_dir_all(&folder);
    let mut plan = DoctorPlan::new(folder);
    plan.options.cloud_run_service = None;
    plan.options.service_file = Some(place("service.yaml"));
    let Examined { findings, .. } = plan.examine(false).await;
    let of_file: Vec<&Finding> = findings.iter().filter(|finding| finding.check.starts_with("cloud-run-")).collect();
    assert!(of_file.len() > 10, "{of_file:#?}");
    let other: Vec<&&Finding> = of_file.iter().filter(|finding| finding.mark != Mark::Ok).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn the_file_says_what_the_deploy_command_says() {
    let service = yaml("service.yaml");
    let template = &service["spec"]["template"];
    let (annotations, spec, container) = (&template["metadata"]["annotations"], &template["spec"], container(&service));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let probe = &container["startupProbe"];
    let said = [
        format!("--timeout {}", spec["timeoutSeconds"]),
        format!("--concurrency {}", spec["containerConcurrency"]),
        format!("--cpu {}", text(&container["resources"]["limits"]["cpu"])),
        format!("--memory {}", text(&container["resources"]["limits"]["memory"])),
        format!("--min-instances {}", text(&annotations["autoscaling.knative.dev/minScale"])),
        format!("--max-instances {}", text(&annotations["autoscaling.knative.dev/maxScale"])),
        format!("--execution-environment {}", text(&annotations["run.googleapis.com/execution-environment"])),
        format!(
            "--startup-probe httpGet.path={},periodSeconds={},failureThreshold={}",
            text(&probe["httpGet"]["path"]),
            probe["periodSeconds"],
            probe["failureThreshold"]
        ),
    ];
    let flags = FLAGS.join(" ");
    for said in said {
        assert!(flags.contains(&said), "{said}");
    }
    assert_eq!(annotations["run.googleapis.com/startup-cpu-boost"], "true");
    assert!(flags.contains("--no-invoker-iam-check"));
    assert_eq!(service["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"], "true");
}

#[test]
fn the_service_starts_on_app_engine_with_the_files_settings() {
    let app = yaml("app.yaml");
    let mut variables: BTreeMap<String, String> =
        texts(&app["env_variables"]).into_iter().map(|(name, value)| (name, filled(&value))).collect();
    assert_eq!(app["includes"], serde_json::json!(["secrets.yaml"]));
    for (name, value) in texts(&yaml("secrets.example.yaml")["env_variables"]) {
        assert_eq!(value, "", "no secret is tracked");
        assert!(variables.insert(name, SECRET.to_owned()).is_none());
    }
    start("app.yaml", &variables, Platform::AppEngine);
    for list in [".gitignore", ".gcloudignore", ".dockerignore"] {
        assert!(top(list).lines().any(|line| line == "/secrets.yaml"), "{list}");
    }
    // Without a path, App Engine would not send them to the service (split health checks).
    assert_eq!(
        (&app["liveness_check"]["path"], &app["readiness_check"]["path"]),
        (&"/health".into(), &"/ready".into())
    );
    assert_eq!((&app["runtime"], &app["env"]), (&"custom".into(), &"flex".into()));
}

#[test]
fn the_steps_of_the_build_fit_together() {
    let build = yaml("cloudbuild.yaml");
    let docker = top("Dockerfile");
    let mut known: Vec<&str> = vec!["-"];
    let mut text = String::new();
    for step in build["steps"].as_array().unwrap() {
        for before in step["waitFor"].as_array().unwrap() {
            assert!(known.contains(&before.as_str().unwrap()), "{step}: no step before it is called {before}");
        }
        known.push(step["id"].as_str().unwrap());
        text += &step.to_string();
        for argument in step["args"].as_array().unwrap() {
            if let Some(stage) = argument.as_str().unwrap().strip_prefix("--target=") {
                assert!(docker.contains(&format!(" AS {stage}\n")), "the Dockerfile has no stage {stage}");
            }
        }
    }
    assert!(known.contains(&"deploy") && known.contains(&"test"));
    let names: Vec<&str> = text.split("${").skip(1).filter_map(|rest| rest.split('}').next()).collect();
    assert!(names.len() > 5);
    for name in names {
        let is_built_in = ["BUILD_ID", "PROJECT_ID"].contains(&name);
        assert!(is_built_in || build["substitutions"].get(name).is_some(), "{name}");
    }
    let image = base_image(&docker, "BUILD_IMAGE");
    assert!(text.contains(&format!("\"name\":\"{image}\"")), "the tests are built with what builds the image");
}

#[test]
fn a_release_is_built_as_the_image_is_and_with_the_same_rust() {
    let release = yaml(".github/workflows/release.yml");
    let targets = release["jobs"]["program"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let targets: Vec<&str> = targets.iter().map(|row| row["target"].as_str().unwrap()).collect();
    assert!(targets.contains(&"x86_64-unknown-linux-musl") && targets.contains(&"aarch64-unknown-linux-musl"));
    let text = top(".github/workflows/release.yml");
    let docker = top("Dockerfile");
    let rust = base_image(&docker, "BUILD_IMAGE").trim_start_matches("rust:").trim_end_matches("-slim-trixie");
    assert!(text.contains(&format!("rustup toolchain install {rust} ")), "{rust}");
    assert!(text.contains("--profile image") && top("Cargo.toml").contains("\n[profile.image]\n"));
    for job in release["jobs"].as_object().unwrap().values() {
        assert!(job["timeout-minutes"].is_number(), "a job that hangs ends: {job}");
    }
}

fn base_image<'a>(docker: &'a str, argument: &str) -> &'a str {
    let prefix = format!("ARG {argument}=");
    docker.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap()
}

/// A program runs only with the glibc that it was linked with, or a later one.
#[test]
fn both_images_are_of_one_debian_release() {
    let docker = top("Dockerfile");
    assert!(base_image(&docker, "BUILD_IMAGE").ends_with("-trixie"));
    // Trixie is Debian 13. Debian 12's images get no more fixes since September 2026.
    assert!(base_image(&docker, "RUN_IMAGE").contains("-debian13:"));
}
