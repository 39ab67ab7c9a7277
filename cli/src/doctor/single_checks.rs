//! The same checks one by one, for `configure`: each checks settings that were just given.

use super::finding::Finding;
use super::subject::{self, Subject};
use super::{Doctor, agent, credentials, numbers, public_url, settings_faults, twilio};
use dialbridge_runner::settings::{Platform, PublicUrl, Settings};

/// The placeholder for a service that has no URL yet.
const NOT_YET: &str = "YOUR-SERVICE";

impl Doctor {
    /// Checks credentials and agent.
    pub(crate) async fn check_agent(&self, settings: &Settings) -> Vec<Finding> {
        let subject = match read(settings).await {
            Ok(subject) => subject,
            Err(faults) => return refused(settings, faults),
        };
        let (mut findings, credentials) = credentials::check(self, &subject, false).await;
        for of_settings in &subject.agents {
            findings.extend(agent::check(self, of_settings, credentials.of(of_settings)).await);
        }
        shown(&subject, findings)
    }

    /// Checks the Twilio account.
    pub(crate) async fn check_account(&self, settings: &Settings) -> Vec<Finding> {
        match read(settings).await {
            Ok(subject) => shown(&subject, twilio::check(self, &subject.twilio).await.0),
            Err(faults) => refused(settings, faults),
        }
    }

    /// Checks the public URL.
    pub(crate) async fn check_public_url(&self, settings: &Settings) -> Vec<Finding> {
        match read(settings).await {
            Ok(subject) if subject.public_url.is_none() => Vec::new(),
            Ok(subject) => shown(&subject, public_url::check(self, &subject, None).await),
            Err(faults) => refused(settings, faults),
        }
    }

    /// Returns the command that points a number of the account to the service.
    ///
    /// # Errors
    /// Why there is no such number.
    pub(crate) async fn command_for_number(&self, settings: &Settings, number: &str) -> Result<String, Vec<Finding>> {
        let subject = read(settings).await?;
        let not_yet = PublicUrl::at_root(true, NOT_YET);
        let public = subject.public_url.as_ref().unwrap_or(&not_yet);
        let Some(api) = twilio::check(self, &subject.twilio).await.1 else {
            let why = "Twilio cannot be asked for the number";
            return Err(vec![Finding::fault(numbers::CHECK, why, "see the lines on the account")]);
        };
        match numbers::find(self, &api, number).await {
            Ok(Some(found)) => Ok(found.command(public)),
            Ok(None) => Err(vec![numbers::not_there(&api, number)]),
            Err(refused) => Err(vec![refused.fault(numbers::CHECK)]),
        }
    }

    /// Returns the same command for a number that was not looked up.
    pub(crate) fn command_for_any_number(settings: &Settings) -> String {
        let url = settings.given("PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned());
        let url = url.unwrap_or_else(|| format!("https://{NOT_YET}"));
        numbers::command(
            "PNXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            &format!("{url}/twiml"),
            &format!("{url}/twiml?resume=1"),
        )
    }
}

async fn read(settings: &Settings) -> Result<Subject, Vec<Finding>> {
    Subject::read(settings, Platform::Elsewhere).await.map_err(|lines| settings_faults(&lines))
}

/// Removes secrets from the findings.
fn shown(subject: &Subject, findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|finding| finding.without(&subject.secrets)).collect()
}

/// The faults of the settings themselves, in the same form.
fn refused(settings: &Settings, faults: Vec<Finding>) -> Vec<Finding> {
    let secrets = subject::secrets(settings, None);
    faults.into_iter().map(|fault| fault.without(&secrets)).collect()
}
