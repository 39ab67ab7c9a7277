//! The same checks one by one, for whoever sets a service up: each looks at settings that were just given.

use super::finding::Finding;
use super::subject::{self, Subject};
use super::{Doctor, agent, credentials, numbers, public_url, settings_fault, twilio};
use dialbridge_runner::settings::{Platform, PublicUrl, Settings};

/// Where a service is that has no URL yet.
const NOT_YET: &str = "YOUR-SERVICE";

impl Doctor {
    /// Credentials and agent.
    pub(crate) async fn look_at_agent(&self, settings: &Settings) -> Vec<Finding> {
        let subject = match read(settings).await {
            Ok(subject) => subject,
            Err(fault) => return refused(settings, *fault),
        };
        let (mut findings, credentials) = credentials::check(self, &subject, false).await;
        for of_settings in &subject.agents {
            findings.extend(agent::check(self, of_settings, credentials.of(of_settings)).await);
        }
        shown(&subject, findings)
    }

    /// The Twilio account.
    pub(crate) async fn look_at_account(&self, settings: &Settings) -> Vec<Finding> {
        match read(settings).await {
            Ok(subject) => shown(&subject, twilio::check(self, &subject.twilio).await.0),
            Err(fault) => refused(settings, *fault),
        }
    }

    /// The public URL.
    pub(crate) async fn look_at_public_url(&self, settings: &Settings) -> Vec<Finding> {
        match read(settings).await {
            Ok(subject) if subject.public_url.is_none() => Vec::new(),
            Ok(subject) => shown(&subject, public_url::check(self, &subject, None).await),
            Err(fault) => refused(settings, *fault),
        }
    }

    /// The command that points a number of the account to the service.
    ///
    /// # Errors
    /// Why there is no such number.
    pub(crate) async fn command_for_number(&self, settings: &Settings, number: &str) -> Result<String, Box<Finding>> {
        let subject = read(settings).await?;
        let not_yet = PublicUrl { is_tls: true, authority: NOT_YET.to_owned() };
        let public = subject.public_url.as_ref().unwrap_or(&not_yet);
        let Some(api) = twilio::check(self, &subject.twilio).await.1 else {
            let why = "Twilio cannot be asked for the number";
            return Err(Box::new(Finding::fault(numbers::CHECK, why, "see the lines on the account")));
        };
        match numbers::find(self, &api, number).await {
            Ok(Some(found)) => Ok(found.command(public)),
            Ok(None) => Err(Box::new(numbers::not_there(&api, number))),
            Err(refused) => Err(Box::new(refused.fault(numbers::CHECK))),
        }
    }

    /// The same command for a number that was not looked up.
    pub(crate) fn command_for_any_number(settings: &Settings) -> String {
        let url =
            settings.public_url.as_deref().map(|url| url.trim().trim_end_matches('/')).filter(|url| !url.is_empty());
        let url = url.map_or_else(|| format!("https://{NOT_YET}"), ToOwned::to_owned);
        numbers::command(
            "PNXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            &format!("{url}/twiml"),
            &format!("{url}/twiml?resume=1"),
        )
    }
}

async fn read(settings: &Settings) -> Result<Subject, Box<Finding>> {
    Subject::read(settings, Platform::Elsewhere).await.map_err(|line| settings_fault(&line))
}

/// The findings without what they must not show.
fn shown(subject: &Subject, findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|finding| finding.without(&subject.secrets)).collect()
}

/// The settings' own fault, in the same way.
fn refused(settings: &Settings, fault: Finding) -> Vec<Finding> {
    vec![fault.without(&subject::secrets(settings, None))]
}
