//! Google's credentials: the header that every stream carries. google-cloud-auth fetches and refreshes the token in the
//! background, so no call waits for it.
//!
//! The library stops renewing after an error that it takes for permanent, and we cannot tell it that Google refused a
//! token early. In both cases we create the credentials again, with a pause between attempts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::fault::USER_PROJECT_DENIED;

/// The scope that Dialogflow requires.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The minimum time before the credentials are created again.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait for a token. A token is usually there, except for the first call and after a failure.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The project that Google counts the use for. Credentials bring it; without it Google counts for their own project.
const USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// The variable that replaces the quota project of the credentials.
const USER_PROJECT_VARIABLE: &str = "GOOGLE_CLOUD_QUOTA_PROJECT";

/// How a refusal says that the credentials may not use that project. A close frame cuts Google's sentence short.
const USER_PROJECT_REFUSALS: [&str; 3] = [USER_PROJECT_DENIED, "serviceusage", "permission to use project"];

/// Where tokens come from. Clones share them.
#[derive(Clone)]
pub struct Auth(Option<Arc<Inner>>);

struct Inner {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    credentials: Credentials,
    made: Instant,
    /// When they were last created again.
    refreshed: Option<Instant>,
    user_project: UserProject,
}

/// Whether requests name a quota project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserProject {
    /// The credentials have brought none so far.
    Unknown,
    /// The credentials bring one, and requests name it.
    Named,
    /// Google refused it then. Requests go without it.
    Refused(Instant),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// Why there are no credentials or no token.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthError {
    /// The file cannot be read or is not a credentials file.
    File {
        /// The file.
        file: String,
        /// The problem with it.
        why: String,
    },
    /// There are no credentials, or Google refuses them.
    Google(String),
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, why } => write!(f, "GOOGLE_APPLICATION_CREDENTIALS {file}: {why}"),
            Self::Google(why) => write!(f, "Google credentials: {why}"),
        }
    }
}

impl std::error::Error for AuthError {}

impl Auth {
    /// No credentials, for a plaintext endpoint.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there are none, because the agent's endpoint is plaintext.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Reads credentials from that file, else Google's default credentials. Must run inside tokio.
    ///
    /// # Errors
    /// [`AuthError`] if there are none, or if the file is not a credentials file.
    pub fn google(file: Option<&Path>) -> Result<Self, AuthError> {
        Ok(Self::of(make(file)?, file.map(ToOwned::to_owned)))
    }

    fn of(credentials: Credentials, file: Option<PathBuf>) -> Self {
        let user_project = UserProject::Unknown;
        let state = State { credentials, made: Instant::now(), refreshed: None, user_project };
        Self(Some(Arc::new(Inner { file, state: Mutex::new(state) })))
    }

    /// Those credentials, for tests.
    #[cfg(test)]
    pub(super) fn with(credentials: Credentials) -> Self {
        Self::of(credentials, None)
    }

    /// Fetches a token if there is none yet.
    pub(super) async fn warm_up(&self) -> Result<(), AuthError> {
        self.headers(&mut MetadataMap::new()).await
    }

    /// Adds the header to a stream's metadata.
    pub(super) async fn headers(&self, metadata: &mut MetadataMap) -> Result<(), AuthError> {
        let mut all = std::mem::take(metadata).into_headers();
        let added = self.add_to(&mut all).await;
        *metadata = MetadataMap::from_headers(all);
        added
    }

    /// Adds the header to a request, and the quota project if the credentials bring one.
    ///
    /// # Errors
    /// [`AuthError`] if there is no token.
    pub async fn add_to(&self, all: &mut HeaderMap) -> Result<(), AuthError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let credentials = inner.state().credentials.clone();
        let headers = tokio::time::timeout(TOKEN_TIMEOUT, credentials.headers(Extensions::new())).await;
        let why = match headers {
            Ok(Ok(CacheableResource::New { mut data, .. })) => {
                inner.check_user_project(&mut data);
                all.extend(data);
                return Ok(());
            }
            Ok(Ok(CacheableResource::NotModified)) => return Ok(()),
            Ok(Err(error)) => google(error),
            Err(_) => AuthError::Google("no token came in time".to_owned()),
        };
        self.refresh(Instant::now());
        Err(why)
    }

    /// Sends no quota project from now on if Google refused a request with these words because the credentials may not use
    /// the one that they bring. `true`: the request, which started at `began`, had it, and may be made again without it.
    #[must_use]
    pub fn drop_user_project(&self, began: Instant, refusal: &str) -> bool {
        let names_it = USER_PROJECT_REFUSALS.iter().any(|words| refusal.contains(words));
        let Some(inner) = self.0.as_ref().filter(|_| names_it) else { return false };
        let mut state = inner.state();
        match state.user_project {
            UserProject::Unknown => false,
            UserProject::Refused(at) => began < at,
            UserProject::Named => {
                state.user_project = UserProject::Refused(Instant::now());
                tracing::warn!(
                    "Google refuses the quota project of the credentials (X-Goog-User-Project): requests go without it. \
                     Grant roles/serviceusage.serviceUsageConsumer on that project, or take quota_project_id out of the \
                     credentials file and unset {USER_PROJECT_VARIABLE}"
                );
                true
            }
        }
    }

    /// Creates the credentials again, after Google refused the token of a request that started at `began`, or no token
    /// could be had. Returns whether the credentials are newer than that request. If not, they were created a
    /// short time ago, and the token's age is not the cause.
    pub(super) fn refresh(&self, began: Instant) -> bool {
        let Some(inner) = &self.0 else { return false };
        let mut state = inner.state();
        if state.made > began {
            return true;
        }
        if state.refreshed.is_some_and(|refreshed| refreshed.elapsed() < REFRESH_PAUSE) {
            return false;
        }
        state.made = Instant::now();
        state.refreshed = Some(state.made);
        match make(inner.file.as_deref()) {
            Ok(credentials) => {
                tracing::warn!("Google's credentials are made anew");
                state.credentials = credentials;
                true
            }
            Err(error) => {
                tracing::error!(%error, "Google's credentials cannot be made anew");
                false
            }
        }
    }
}

impl Inner {
    /// Notes whether the credentials bring a quota project, and takes it out if Google refused it.
    fn check_user_project(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(&USER_PROJECT) {
            return;
        }
        let mut state = self.state();
        match state.user_project {
            UserProject::Unknown => state.user_project = UserProject::Named,
            UserProject::Named => {}
            UserProject::Refused(_) => drop(headers.remove(&USER_PROJECT)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn google(error: impl std::error::Error) -> AuthError {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    AuthError::Google(format!("{error}{cause}"))
}

fn make(file: Option<&Path>) -> Result<Credentials, AuthError> {
    match file {
        Some(file) => from_file(file),
        None => credentials::Builder::default().with_scopes([SCOPE]).build().map_err(google),
    }
}

fn from_file(path: &Path) -> Result<Credentials, AuthError> {
    let wrong = |why: String| AuthError::File { file: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong("it is no JSON".to_owned()))?;
    let scopes = [SCOPE];
    let user_project = user_project(&json).into_iter();
    let built = match json["type"].as_str().unwrap_or_default() {
        "service_account" => {
            let access = credentials::service_account::AccessSpecifier::from_scopes(scopes);
            let builder = credentials::service_account::Builder::new(json).with_access_specifier(access);
            user_project.fold(builder, |builder, project| builder.with_quota_project_id(project)).build()
        }
        "authorized_user" => {
            let builder = credentials::user_account::Builder::new(json).with_scopes(scopes);
            user_project.fold(builder, |builder, project| builder.with_quota_project_id(project)).build()
        }
        "external_account" => {
            let builder = credentials::external_account::Builder::new(json).with_scopes(scopes);
            user_project.fold(builder, |builder, project| builder.with_quota_project_id(project)).build()
        }
        "impersonated_service_account" => {
            let builder = credentials::impersonated::Builder::new(json).with_scopes(scopes);
            user_project.fold(builder, |builder, project| builder.with_quota_project_id(project)).build()
        }
        other => return Err(wrong(format!("its \"type\" is \"{other}\", which is no kind of credentials"))),
    };
    built.map_err(|error| wrong(google(error).to_string()))
}

/// The quota project that the environment or the credentials file names. The library reads neither for every kind of
/// file.
fn user_project(json: &serde_json::Value) -> Option<String> {
    let named = std::env::var(USER_PROJECT_VARIABLE).ok();
    let project = named.as_deref().or_else(|| json["quota_project_id"].as_str())?;
    // A header cannot hold anything else.
    HeaderValue::from_str(project).ok().filter(|project| !project.is_empty()).map(|_| project.to_owned())
}
