//! Cloud Run's settings of a service: whether they fit calls that last an hour on one WebSocket.

mod admin_api;
mod deployed;
mod rules;
mod yaml;

use std::path::Path;

use super::credentials::Credentials;
use super::finding::{Finding, Mark};
use super::{Doctor, Options, Subject};

pub(crate) use admin_api::DEFAULT_URL;

use deployed::{Deployed, Source};

const CHECK: &str = "cloud-run";

/// Where to read a service's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloudRunTarget {
    /// Nowhere: as far as we know the service is not on Cloud Run.
    Nowhere,
    /// In a file for `gcloud run services replace`.
    File(std::path::PathBuf),
    /// At the Admin API: the service's name, and its region and project if they were named.
    Api {
        name: String,
        region: Option<String>,
        project: Option<String>,
        /// Whether nobody asked for it: this process is the service.
        is_own: bool,
    },
}

impl CloudRunTarget {
    /// The service that was asked for, else the one that this process is (`K_SERVICE`).
    pub(crate) fn new(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(file) = &options.service_file {
            return Self::File(file.clone());
        }
        let is_own = options.cloud_run_service.is_none();
        let name = options.cloud_run_service.clone().or_else(|| variable("K_SERVICE"));
        let (region, project) = (options.region.clone(), options.project.clone());
        name.map_or(Self::Nowhere, |name| Self::Api { name, region, project, is_own })
    }
}

/// Checks the service's settings.
pub(crate) async fn check(
    doctor: &Doctor,
    place: &CloudRunTarget,
    subject: Option<&Subject>,
    credentials: &Credentials,
) -> Vec<Finding> {
    let read = match place {
        CloudRunTarget::Nowhere => {
            let why =
                "not on Cloud Run; --service service.yaml, or --cloud-run-service NAME --region REGION, looks at one";
            return vec![Finding::skipped(CHECK, why)];
        }
        CloudRunTarget::File(file) => of_file(file),
        CloudRunTarget::Api { name, region, project, .. } => {
            let agent = subject.and_then(|subject| subject.agents.first());
            let of_agent = agent.and_then(|agent| agent.address.name().split('/').nth(1));
            let project = project.clone().or(credentials.project.clone()).or(of_agent.map(ToOwned::to_owned));
            admin_api::read(doctor, name, region.clone(), project, credentials).await
        }
    };
    match read {
        Ok(service) => rules::check(&service),
        // A service that has only the rights that calls need may not read its own settings.
        Err(finding) if finding.is_fault() && matches!(place, CloudRunTarget::Api { is_own: true, .. }) => {
            vec![Finding { mark: Mark::Warning, ..*finding }]
        }
        Err(finding) => vec![*finding],
    }
}

fn of_file(file: &Path) -> Result<Deployed, Box<Finding>> {
    let name = file.display().to_string();
    let fault = |why: String| {
        let mend = "give --service a file such as gcloud run services describe NAME --format export writes";
        Box::new(Finding::fault(CHECK, format!("{name}: {why}"), mend))
    };
    let text = std::fs::read_to_string(file).map_err(|error| fault(error.to_string()))?;
    yaml::read(&text, Source::File(name.clone())).map_err(fault)
}
