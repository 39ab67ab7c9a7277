//! `configure`: asks for the settings that matter, checks each answer at once with the checks of `doctor`, and writes
//! them where all commands read them.

mod args;
mod deploy;
mod env_file;
mod error;
mod known;
mod pasted;
mod questions;
mod steps;

use std::collections::BTreeMap;
use std::path::Path;

use clap::ArgMatches;

use crate::doctor::{Doctor, Finding, Mark, Options, Tools};
use crate::input::{Input, say};
use dialbridge_runner::settings::{Platform, Settings};

pub use args::ConfigureArgs;
pub use deploy::{APIS, BUILDER_ROLE, DEPLOYER_ROLES, FLAGS};
pub use error::ConfigureError;

use deploy::{DeployStep, Deployment, NOT_DEPLOYED, shell};
use known::GivenSettings;
use questions::{CheckTarget, GROUPS, Group, Question};

/// The answer that removes a value.
const NONE: &str = "-";

/// Asks the questions.
pub struct Configure<'a> {
    args: &'a ConfigureArgs,
    doctor: Doctor,
    /// All settings that have a value, by their names.
    values: BTreeMap<String, String>,
    /// The settings that came as flags.
    flags: Vec<String>,
    /// The command that points the number here.
    number: Option<String>,
}

impl<'a> Configure<'a> {
    /// Starts with the given settings. Must run inside tokio.
    #[must_use]
    pub fn new(args: &'a ConfigureArgs, matches: &ArgMatches, tools: Tools) -> Self {
        let options = Options { deadline: args.deadline, ..Options::default() };
        let GivenSettings { mut values, flags } = GivenSettings::read(matches);
        values.retain(|name, value| !is_asked(name) || !value.trim().is_empty());
        Self { args, doctor: Doctor::new(tools, &options), values, flags, number: None }
    }

    /// Asks, checks, writes, and returns the commands that deploy what was written, or runs them. Returns none if the
    /// service would not start with them.
    ///
    /// # Errors
    /// Why nothing was written, or which step of the deploy failed.
    pub async fn run(mut self) -> Result<String, ConfigureError> {
        self.check_form(|name| !is_asked(name))?;
        let mut input = (!self.args.yes).then(Input::stdin);
        match &mut input {
            None => self.check_all().await?,
            Some(input) => self.interview(input).await?,
        }
        self.write()?;
        let reasons = self.reasons_not_to_deploy();
        if !reasons.is_empty() {
            say("No deploy: on Cloud Run the service would not start with these settings.");
            reasons.iter().for_each(|why| say(&format!("  {why}")));
            say("Run configure again when that is settled. On this machine, dialbridge serve works as it is.");
            let nothing = || ConfigureError::Step("nothing was deployed".to_owned());
            return if self.args.run { Err(nothing()) } else { Ok(String::new()) };
        }
        let mut steps = self.steps();
        if !self.args.run {
            return Ok(text(&steps));
        }
        // Before the first deploy nobody knows the URL that a number leads to.
        let is_complete = self.values.contains_key("PUBLIC_URL") && self.number.is_some();
        let later = if is_complete { Vec::new() } else { steps.split_off(steps.len() - 2) };
        steps::run(&steps, &self.values, input.as_mut()).await?;
        if !is_complete {
            say("Then, with the URL that gcloud has told:");
        }
        Ok(text(&later))
    }

    /// Why the service would not start on Cloud Run, a line each.
    fn reasons_not_to_deploy(&self) -> Vec<String> {
        let mut values = self.values.clone();
        values.retain(|name, _| !NOT_DEPLOYED.contains(&name.as_str()));
        let mut reasons = Vec::new();
        let agent = values.get("DIALOGFLOW_AGENT");
        if agent.map_or(!self.has_other_agent(), |agent| agent.starts_with("lab:")) {
            reasons.push(
                "DIALOGFLOW_AGENT is the lab's agent, which is not in the image: give the name of yours".to_owned(),
            );
        }
        if let Err(errors) = Settings::of(&values).check(Platform::CloudRun) {
            reasons.extend(errors.iter().map(ToString::to_string));
        }
        reasons
    }

    /// Checks all given settings without asking.
    async fn check_all(&mut self) -> Result<(), ConfigureError> {
        for question in questions() {
            if let (None, Some(default)) = (self.values.get(question.name), self.default_of(question)) {
                self.values.insert(question.name.to_owned(), default.to_owned());
            }
        }
        self.check_form(|_| true)?;
        let mut is_faulty = false;
        for group in GROUPS {
            is_faulty |= self.check(group.target).await;
        }
        if let Some(number) = self.args.number.clone() {
            is_faulty |= !self.check_number(&number).await;
        }
        if is_faulty { Err(ConfigureError::Faults) } else { Ok(()) }
    }

    async fn interview(&mut self, input: &mut Input) -> Result<(), ConfigureError> {
        say("Each answer is looked at when it is given. Enter keeps what stands in brackets; - takes it away.");
        for group in GROUPS {
            self.ask_group(input, group).await?;
        }
        self.ask_number(input).await
    }

    /// Asks until nothing is wrong, or until the user keeps the answers despite a fault.
    async fn ask_group(&mut self, input: &mut Input, group: Group) -> Result<(), ConfigureError> {
        let mut before = None;
        loop {
            for question in group.questions {
                self.ask(input, question).await?;
            }
            if !self.check(group.target).await {
                return Ok(());
            }
            if before.as_ref() == Some(&self.values) {
                say("It stays so all the same.");
                return Ok(());
            }
            say("Please answer again. Whoever keeps all answers leaves it so.");
            before = Some(self.values.clone());
        }
    }

    /// Asks for one setting until its form is right.
    async fn ask(&mut self, input: &mut Input, question: &Question) -> Result<(), ConfigureError> {
        match self.next_step(question.name) {
            NextStep::Ask => {}
            NextStep::Skip => return Ok(()),
            NextStep::Remove => {
                self.values.remove(question.name);
                return Ok(());
            }
        }
        let is_secret = Settings::is_secret(question.name);
        loop {
            let now = self.values.get(question.name).map(String::as_str).or(self.default_of(question));
            let shown = now.map(|now| if is_secret { "as it is" } else { now });
            let brackets = shown.map(|shown| format!(" [{shown}]")).unwrap_or_default();
            let prompt = format!("{} ({}){brackets}: ", question.name, question.what);
            let answer = if is_secret { input.ask_secret(&prompt).await } else { input.ask(&prompt).await };
            let answer = answer.ok_or(ConfigureError::InputEnded)?;
            let value = match answer.as_str() {
                "" => now.map(ToOwned::to_owned),
                NONE => None,
                answer => Some(answer.to_owned()),
            };
            let before = self.values.clone();
            match value {
                Some(value) => self.take(question.name, value),
                None => drop(self.values.remove(question.name)),
            }
            let Err(ConfigureError::Setting(line)) = self.check_form(|name| name == question.name) else {
                return Ok(());
            };
            say(&line);
            self.values = before;
        }
    }

    /// Takes an answer: the value, or what people paste for it.
    fn take(&mut self, name: &'static str, answer: String) {
        let home = std::env::var_os("HOME");
        match pasted::meant(name, &answer, home.as_deref().map(Path::new)) {
            None => drop(self.values.insert(name.to_owned(), answer)),
            Some(meant) => {
                say(&meant.told);
                self.values.extend(meant.values.into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
        }
    }

    /// The default of a question. The agent has none where another setting names one.
    fn default_of(&self, question: &Question) -> Option<&'static str> {
        question.default.filter(|_| question.name != "DIALOGFLOW_AGENT" || !self.has_other_agent())
    }

    /// Whether a setting beside `DIALOGFLOW_AGENT` names an agent.
    fn has_other_agent(&self) -> bool {
        ["DIALOGFLOW_PROJECT_ID", "DIALBRIDGE_CONFIG"].iter().any(|name| self.values.contains_key(*name))
    }

    /// Decides whether a setting is asked for, given the answers before it.
    fn next_step(&self, name: &str) -> NextStep {
        let value = |name: &str| self.values.get(name).map(String::as_str);
        match name {
            "GOOGLE_APPLICATION_CREDENTIALS" => {
                let is_lab = value("DIALOGFLOW_AGENT").is_some_and(|agent| agent.starts_with("lab:"));
                let is_plain = value("DIALOGFLOW_ENDPOINT").is_some_and(|url| url.starts_with("http://"));
                if is_lab || is_plain { NextStep::Skip } else { NextStep::Ask }
            }
            "TWILIO_API_KEY_SID" if value("TWILIO_ACCOUNT_SID").is_none() => NextStep::Remove,
            "TWILIO_API_KEY_SECRET" if value("TWILIO_API_KEY_SID").is_none() => NextStep::Remove,
            _ => NextStep::Ask,
        }
    }

    async fn ask_number(&mut self, input: &mut Input) -> Result<(), ConfigureError> {
        if !self.values.contains_key("TWILIO_ACCOUNT_SID") {
            return Ok(());
        }
        let mut number = self.args.number.clone();
        loop {
            let brackets = number.as_ref().map(|number| format!(" [{number}]")).unwrap_or_default();
            let prompt =
                format!("The number that is to lead here, as +15550100; none: all stay as they are{brackets}: ");
            let answer = input.ask(&prompt).await.ok_or(ConfigureError::InputEnded)?;
            let answer = if answer.is_empty() { number.clone() } else { Some(answer).filter(|answer| answer != NONE) };
            let Some(asked) = answer else { return Ok(()) };
            if self.args.unchecked || self.check_number(&asked).await || number.as_ref() == Some(&asked) {
                return Ok(());
            }
            say("Please answer again. Whoever keeps the answer leaves it so.");
            number = Some(asked);
        }
    }

    /// Looks the number up in the account. Returns whether it is there.
    async fn check_number(&mut self, number: &str) -> bool {
        if self.args.unchecked {
            return true;
        }
        match self.doctor.command_for_number(&self.settings(), number).await {
            Ok(command) => {
                say(&Finding::ok("number", format!("{number} is the account's")).to_string());
                self.number = Some(command);
                true
            }
            Err(faults) => {
                faults.iter().for_each(|fault| say(&fault.to_string()));
                false
            }
        }
    }

    /// Checks the answers and prints the findings. Returns whether there is a fault.
    async fn check(&self, at: CheckTarget) -> bool {
        if self.args.unchecked {
            return false;
        }
        let settings = self.settings();
        let findings = match at {
            CheckTarget::Form => Vec::new(),
            CheckTarget::Agent => self.doctor.check_agent(&settings).await,
            CheckTarget::Account => self.doctor.check_account(&settings).await,
            CheckTarget::PublicUrl => self.doctor.check_public_url(&settings).await,
        };
        for finding in findings.iter().filter(|finding| finding.mark != Mark::Skipped) {
            say(&finding.to_string());
        }
        findings.iter().any(Finding::is_fault)
    }

    /// Checks whether `serve` would accept the settings that the function picks.
    ///
    /// # Errors
    /// With a line for each setting that it would refuse.
    fn check_form(&self, is_picked: impl Fn(&str) -> bool) -> Result<(), ConfigureError> {
        let Err(errors) = self.settings().check(Platform::Elsewhere) else { return Ok(()) };
        let picked = errors.iter().filter(|error| is_picked(error.name()));
        let lines: Vec<String> = picked.map(ToString::to_string).collect();
        if lines.is_empty() { Ok(()) } else { Err(ConfigureError::Setting(lines.join("\n"))) }
    }

    fn settings(&self) -> Settings {
        Settings::of(&self.values)
    }

    /// Writes the answers and the flags; everything else in the file stays.
    fn write(&self) -> Result<(), ConfigureError> {
        let path = &self.args.file;
        let before = match std::fs::read_to_string(path) {
            Ok(before) => before,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigureError::File(path.clone(), error)),
        };
        let asked = questions().map(|question| question.name.to_owned());
        let flags = self.flags.iter().filter(|name| !is_asked(name)).cloned();
        let names: Vec<String> = asked.chain(flags).collect();
        let value = |name: &String| self.values.get(name).cloned().unwrap_or_default();
        let pairs: Vec<(String, String)> = names.iter().map(|name| (name.clone(), value(name))).collect();
        let text = env_file::merged(&before, &pairs);
        for (name, value) in &pairs {
            if env_file::value(&text, name).unwrap_or_default() != *value {
                return Err(ConfigureError::ReadsOtherwise(name.clone()));
            }
        }
        let backup = env_file::write(path, &text).map_err(|error| ConfigureError::File(path.clone(), error))?;
        let kept = backup.map(|backup| format!("; what stood there is in {}", backup.display())).unwrap_or_default();
        say(&format!("{} is written, for you alone to read{kept}.", path.display()));
        for (name, value) in &pairs {
            let of_environment = std::env::var(name).ok().filter(|set| set != value);
            if of_environment.is_some_and(|set| env_file::value(&before, name).as_ref() != Some(&set)) {
                say(&format!("{name} is set in the environment too, which goes before the file."));
            }
        }
        Ok(())
    }

    /// The steps of the deploy.
    fn steps(&self) -> Vec<DeployStep> {
        let agent = self.values.get("DIALOGFLOW_AGENT").map(String::as_str).unwrap_or_default();
        let parts: Vec<&str> = agent.split('/').collect();
        let of_agent = |after: &str| parts.windows(2).find(|pair| pair[0] == after).map(|pair| pair[1].to_owned());
        let of_agents_project = of_agent("projects").or(self.values.get("DIALOGFLOW_PROJECT_ID").cloned());
        let project = self.args.project.clone().or(of_agents_project.clone()).unwrap_or_else(|| "PROJECT".to_owned());
        let agent_project = of_agents_project.unwrap_or_else(|| project.clone());
        let location = of_agent("locations");
        let region = self.args.region.as_deref().unwrap_or_else(|| region_near(location.as_deref()));
        let name = &self.args.name;
        let number = self.args.number.as_ref().map(|number| format!(" --number {}", shell(number))).unwrap_or_default();
        let url = self.values.get("PUBLIC_URL").map(String::as_str).unwrap_or("https://YOUR-SERVICE");
        let url = shell(url);
        // It was written a moment ago.
        let file_text = std::fs::read_to_string(&self.args.file).unwrap_or_default();
        Deployment {
            file_text: &file_text,
            values: &self.values,
            file: &self.args.file,
            name,
            region,
            project: &project,
            agent_project: &agent_project,
            product: if of_agent("apps").is_some() { "ces" } else { "dialogflow" },
            number: &self.number.clone().unwrap_or_else(|| Doctor::command_for_any_number(&self.settings())),
            doctor: &format!("dialbridge doctor --url {url}{number} --cloud-run-service {name} --region {region}"),
        }
        .steps()
    }
}

/// The steps with an empty line between them.
fn text(steps: &[DeployStep]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The Cloud Run region for an agent's location. Dialogflow keeps what is `global`, or has no location, in the USA.
fn region_near(location: Option<&str>) -> &str {
    match location {
        Some("eu") => "europe-west3",
        Some(region) if region.contains('-') => region,
        Some(_) | None => "us-central1",
    }
}

/// Whether a setting applies.
enum NextStep {
    /// It is asked for.
    Ask,
    /// It has no effect with the other answers, and stays as it is.
    Skip,
    /// It would be invalid without another setting, and is removed with it.
    Remove,
}

fn questions() -> impl Iterator<Item = &'static Question> {
    GROUPS.iter().flat_map(|group| group.questions)
}

fn is_asked(name: &str) -> bool {
    questions().any(|question| question.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_deployed_near_its_agent() {
        for (location, region) in [
            (Some("europe-west4"), "europe-west4"),
            (Some("us"), "us-central1"),
            (Some("eu"), "europe-west3"),
            (Some("global"), "us-central1"),
            (None, "us-central1"),
        ] {
            assert_eq!(region_near(location), region, "{location:?}");
        }
    }
}
