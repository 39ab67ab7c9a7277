//! Google's credentials: which ones are used, and whether they yield a token.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use http::{HeaderMap, Request};
use http_body_util::Full;
use serde_json::Value;

use super::finding::Finding;
use super::subject::{AgentSubject, Subject};
use super::{Doctor, in_short};
use dialbridge_agents::Auth;

const CHECK: &str = "credentials";
const TOKEN: &str = "token";

/// The metadata server of Google's platforms.
const METADATA_HOST: &str = "metadata.google.internal";

/// The scopes that Dialogflow accepts.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/dialogflow"];

const NEW_KEY: &str = "make a new key: gcloud iam service-accounts keys create key.json --iam-account ACCOUNT; or unset \
                       GOOGLE_APPLICATION_CREDENTIALS to use gcloud's own login or the platform's service account";

/// The credentials that were found.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// The source of tokens, if they can yield any.
    pub(crate) auth: Option<Auth>,
    /// The project that they belong to, if they name one.
    pub(crate) project: Option<String>,
    /// Whose they are, if they say so.
    pub(crate) email: Option<String>,
}

/// What kind they are.
enum Kind {
    File { path: PathBuf, content: Value, is_gclouds: bool },
    Metadata,
}

/// The credentials of all agents, each once, keyed by the file that is named for them.
#[derive(Debug)]
pub(crate) struct AllCredentials(Vec<(Option<PathBuf>, Credentials)>);

/// There are none.
const NONE: Credentials = Credentials { auth: None, project: None, email: None };

impl AllCredentials {
    /// An agent's credentials.
    pub(crate) fn of(&self, agent: &AgentSubject) -> &Credentials {
        let found = self.0.iter().find(|(file, _)| *file == agent.credentials);
        found.filter(|_| !agent.endpoint.is_plaintext).map_or(&NONE, |(_, credentials)| credentials)
    }

    /// The credentials for other Google services.
    pub(crate) fn first(&self) -> &Credentials {
        self.0.first().map_or(&NONE, |(_, credentials)| credentials)
    }
}

/// Checks the credentials of all agents that need some.
pub(crate) async fn check(
    doctor: &Doctor,
    subject: &Subject,
    also_for_cloud_run: bool,
) -> (Vec<Finding>, AllCredentials) {
    let needing = subject.agents.iter().filter(|agent| !agent.endpoint.is_plaintext);
    let mut files: Vec<Option<PathBuf>> = Vec::new();
    for agent in needing.chain(subject.agents.iter().filter(|_| also_for_cloud_run)) {
        if !files.contains(&agent.credentials) {
            files.push(agent.credentials.clone());
        }
    }
    if files.is_empty() {
        let why_not = match subject.agents.first() {
            Some(agent) if agent.is_lab => "the lab's agent needs none",
            _ => "DIALOGFLOW_ENDPOINT is http://, where none are used",
        };
        let skipped = [CHECK, TOKEN].map(|check| Finding::skipped(check, why_not)).to_vec();
        return (skipped, AllCredentials(Vec::new()));
    }
    let (mut findings, mut all) = (Vec::new(), Vec::new());
    for file in files {
        let (found, credentials) = of(doctor, file.as_deref()).await;
        findings.extend(found);
        all.push((file, credentials));
    }
    (findings, AllCredentials(all))
}

/// Checks the credentials of that file, or of the usual places.
async fn of(doctor: &Doctor, file: Option<&Path>) -> (Vec<Finding>, Credentials) {
    let kind = match kind(doctor, file) {
        Ok(kind) => kind,
        Err(fault) => return (vec![fault, Finding::skipped(TOKEN, "there are no credentials")], NONE),
    };
    let (told, mut credentials) = match &kind {
        Kind::File { path, content, is_gclouds } => of_file(path, content, *is_gclouds),
        Kind::Metadata => of_metadata(doctor).await,
    };
    let token = token(doctor, file, &kind, &mut credentials).await;
    (vec![told, token], credentials)
}

/// Finds credentials in the service's order: the named file, gcloud's own file, then the metadata server.
fn kind(doctor: &Doctor, file: Option<&Path>) -> Result<Kind, Finding> {
    if let Some(path) = file {
        return Ok(Kind::File { path: path.to_owned(), content: read(path)?, is_gclouds: false });
    }
    let home = (doctor.tools.variable)("HOME").map(PathBuf::from);
    let gclouds = home.map(|home| home.join(".config/gcloud/application_default_credentials.json"));
    match gclouds.filter(|path| path.exists()) {
        Some(path) => Ok(Kind::File { content: read(&path)?, path, is_gclouds: true }),
        None => Ok(Kind::Metadata),
    }
}

fn read(path: &Path) -> Result<Value, Finding> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let (why, mend) = match error.kind() {
            ErrorKind::NotFound => ("there is no such file", "set GOOGLE_APPLICATION_CREDENTIALS to where the file is"),
            ErrorKind::PermissionDenied => ("this user may not read it", "let this user read it: chmod and chown"),
            ErrorKind::IsADirectory => ("it is a folder", "set GOOGLE_APPLICATION_CREDENTIALS to the file in it"),
            ErrorKind::InvalidData => ("it is no text", NEW_KEY),
            _ => ("it cannot be read", "set GOOGLE_APPLICATION_CREDENTIALS to a file that can be read"),
        };
        Finding::fault(CHECK, format!("GOOGLE_APPLICATION_CREDENTIALS {name}: {why}"), mend)
    })?;
    let content: Value = serde_json::from_str(&text)
        .map_err(|_| Finding::fault(CHECK, format!("GOOGLE_APPLICATION_CREDENTIALS {name}: it is no JSON"), NEW_KEY))?;
    let fault = |why: String| Finding::fault(CHECK, format!("GOOGLE_APPLICATION_CREDENTIALS {name}: {why}"), NEW_KEY);
    match content["type"].as_str() {
        Some("service_account" | "authorized_user" | "external_account" | "impersonated_service_account") => {
            Ok(content)
        }
        Some(other) => Err(fault(format!("its \"type\" is \"{other}\", which is no kind of credentials"))),
        None if content.get("installed").or(content.get("web")).is_some() => {
            Err(fault("it is the secret of an OAuth client, which is no credentials".to_owned()))
        }
        None => Err(fault("it is JSON, but no credentials: it has no \"type\"".to_owned())),
    }
}

fn of_file(path: &Path, content: &Value, is_gclouds: bool) -> (Finding, Credentials) {
    let text = |name: &str| content[name].as_str().map(ToOwned::to_owned);
    let (project, email) = (text("project_id").or(text("quota_project_id")), text("client_email"));
    let kind = match content["type"].as_str() {
        Some("service_account") => "a service account's key",
        Some("authorized_user") => "a user's login",
        Some("impersonated_service_account") => "an impersonated service account",
        _ => "an identity of another provider",
    };
    let whose = email.as_ref().map(|email| format!(" of {email}")).unwrap_or_default();
    let of = project.as_ref().map(|project| format!(", project {project}")).unwrap_or_default();
    let from = if is_gclouds { "gcloud's own file".to_owned() } else { path.display().to_string() };
    let told = Finding::ok(CHECK, format!("{kind}{whose}{of} ({from})"));
    (told, Credentials { auth: None, project, email })
}

/// Asks the metadata server; if there is none, there are no credentials.
async fn of_metadata(doctor: &Doctor) -> (Finding, Credentials) {
    let project = match metadata(doctor, "project/project-id").await {
        Ok(project) => project,
        Err(why) => {
            let says = format!(
                "there are none: GOOGLE_APPLICATION_CREDENTIALS is not set, gcloud has no login, and no metadata \
                 server answers ({why})"
            );
            let mend = "gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS to a service \
                        account's key; on Cloud Run give the service a --service-account";
            return (Finding::fault(CHECK, says, mend), Credentials::default());
        }
    };
    let email = metadata(doctor, "instance/service-accounts/default/email").await.ok();
    let whose = email.as_ref().map(|email| format!(" {email}")).unwrap_or_default();
    let scopes = metadata(doctor, "instance/service-accounts/default/scopes").await;
    let lacks = scopes.is_ok_and(|scopes| !scopes.split_whitespace().any(|scope| SCOPES.contains(&scope)));
    let told = if lacks {
        let says = format!("the platform's service account{whose} has no scope for Dialogflow");
        Finding::fault(CHECK, says, format!("give the machine the scope {}", SCOPES[0]))
    } else {
        Finding::ok(CHECK, format!("the platform's service account{whose}, project {project} (metadata server)"))
    };
    (told, Credentials { auth: None, project: Some(project), email })
}

/// Gets that path from the metadata server.
pub(crate) async fn metadata(doctor: &Doctor, path: &str) -> Result<String, String> {
    let host = (doctor.tools.variable)("GCE_METADATA_HOST").unwrap_or_else(|| METADATA_HOST.to_owned());
    let request = Request::get(format!("http://{host}/computeMetadata/v1/{path}")).header("metadata-flavor", "Google");
    let request = request.body(Full::default()).map_err(|error| error.to_string())?;
    let response = doctor.web.send(request).await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("{host} answers {}", response.status()));
    }
    Ok(String::from_utf8_lossy(response.body()).trim().to_owned())
}

async fn token(doctor: &Doctor, file: Option<&Path>, kind: &Kind, credentials: &mut Credentials) -> Finding {
    if matches!(kind, Kind::Metadata) && credentials.project.is_none() {
        return Finding::skipped(TOKEN, "there are no credentials");
    }
    let auth = match Auth::google(file) {
        Ok(auth) => auth,
        Err(error) => return Finding::fault(TOKEN, in_short(&error.to_string()), NEW_KEY),
    };
    let fault = |why: String| {
        let mend = match kind {
            Kind::File { is_gclouds: true, .. } => "log in again: gcloud auth application-default login",
            Kind::File { content, .. } if content["type"] == "authorized_user" => {
                "log in again: gcloud auth application-default login, and use the file that it writes"
            }
            Kind::File { .. } => NEW_KEY,
            Kind::Metadata => {
                "give the service a service account: gcloud run services update NAME --service-account ACCOUNT"
            }
        };
        Finding::fault(TOKEN, why, mend)
    };
    let mut headers = HeaderMap::new();
    let told = match tokio::time::timeout(doctor.web.deadline, auth.add_to(&mut headers)).await {
        Err(_) => return fault(format!("no token came within {} s", doctor.web.deadline.as_secs_f32())),
        Ok(Err(error)) => return fault(in_short(&error.to_string())),
        Ok(Ok(())) if headers.is_empty() => return fault("no token came".to_owned()),
        Ok(Ok(())) => match kind {
            // We signed this token ourselves, so only its first use shows whether Google accepts it.
            Kind::File { content, .. } if content["type"] == "service_account" => {
                "signed with the key, scope cloud-platform"
            }
            Kind::File { .. } | Kind::Metadata => "obtained, scope cloud-platform",
        },
    };
    credentials.auth = Some(auth);
    Finding::ok(TOKEN, told)
}
