//! The commands that deploy the service to Cloud Run and point a number to it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::Path;

use super::env_file::{self, quoted};
use dialbridge_runner::settings::Settings;

/// The flags of `gcloud run deploy` besides the source, the secrets and the settings. `doctor` checks for the same.
pub const FLAGS: [&str; 4] = [
    "--timeout 3600 --concurrency 200 --cpu 1 --memory 512Mi --min-instances 1 --max-instances 10",
    "--no-cpu-throttling --cpu-boost --no-use-http2 --execution-environment gen2",
    "--startup-probe httpGet.path=/ready,periodSeconds=1,failureThreshold=30",
    "--no-invoker-iam-check",
];

/// The APIs that a deploy and its calls use, beside the agent's own.
pub const APIS: [&str; 6] = [
    "run.googleapis.com",
    "cloudbuild.googleapis.com",
    "artifactregistry.googleapis.com",
    "secretmanager.googleapis.com",
    "iam.googleapis.com",
    "texttospeech.googleapis.com",
];

/// The role of the account that builds the image. On newer projects that account has no role at all.
pub const BUILDER_ROLE: &str = "roles/run.builder";

/// The roles of somebody who deploys and does not own the project. The last one opens the service to Twilio.
pub const DEPLOYER_ROLES: [&str; 4] = [
    "roles/run.sourceDeveloper",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/iam.serviceAccountUser",
    "roles/run.admin",
];

/// Settings of this machine, or that the platform sets.
pub(super) const NOT_DEPLOYED: [&str; 5] =
    ["PORT", "GOOGLE_APPLICATION_CREDENTIALS", "HISTORY_DIR", "RECORD_DIR", "PUBLIC_URL"];

/// What to deploy, and where.
#[derive(Debug)]
pub(super) struct Deployment<'a> {
    /// All settings by their names.
    pub(super) values: &'a BTreeMap<String, String>,
    /// The file that holds the secrets.
    pub(super) file: &'a Path,
    /// What it has.
    pub(super) file_text: &'a str,
    /// The service's name.
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) project: &'a str,
    /// The project of the agent.
    pub(super) agent_project: &'a str,
    /// The name of the agent's API and role: `dialogflow` or `ces`.
    pub(super) product: &'a str,
    /// The command that points the number here.
    pub(super) number: &'a str,
    /// The command that checks all of it.
    pub(super) doctor: &'a str,
}

/// Commands that belong together. Each can be run again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DeployStep {
    /// What they do, and what to know about them: lines of comment.
    pub(super) about: Vec<String>,
    pub(super) commands: Vec<String>,
    /// The last command, if it reads a secret.
    pub(super) secret: Option<SecretVersion>,
}

/// A command that reads the value of a secret from its input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SecretVersion {
    /// The setting with the value.
    pub(super) variable: String,
    add: String,
    /// A command that prints the value, if the file has it and a shell changes none of its characters.
    from_file: Option<String>,
}

impl DeployStep {
    fn new(about: &str, commands: impl IntoIterator<Item = String>) -> Self {
        let about = about.lines().map(ToOwned::to_owned).collect();
        Self { about, commands: commands.into_iter().collect(), secret: None }
    }

    /// The commands as we run them. The value of a secret is their input.
    pub(super) fn script(&self) -> String {
        let add = self.secret.as_ref().map(|secret| secret.add.as_str());
        self.commands.iter().map(String::as_str).chain(add).collect::<Vec<_>>().join("\n")
    }

    /// The step as it is shown before we run it.
    pub(super) fn shown(&self) -> String {
        let about: String = self.about.iter().map(|line| format!("# {line}\n")).collect();
        about + &self.script() + "\n"
    }
}

/// The step as a person runs it.
impl Display for DeployStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.about.iter().try_for_each(|line| writeln!(f, "# {line}"))?;
        self.commands.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        match &self.secret {
            None => Ok(()),
            Some(SecretVersion { add, from_file: Some(print), .. }) => writeln!(f, "{print} | {add}"),
            Some(SecretVersion { add, from_file: None, .. }) => {
                writeln!(
                    f,
                    "{add}\n# type the value, and end with Ctrl-D: the file does not have it as a shell reads it"
                )
            }
        }
    }
}

impl Deployment<'_> {
    /// All steps, in order. They contain no secret.
    pub(super) fn steps(&self) -> Vec<DeployStep> {
        let mut steps = vec![self.apis(), self.builder(), self.account()];
        steps.extend(self.secrets().iter().map(|(variable, secret)| self.secret(variable, secret)));
        steps.push(self.service());
        steps.push(DeployStep::new("The number", [self.number.to_owned()]));
        steps.push(DeployStep::new("Whether all is well", [self.doctor.to_owned()]));
        steps
    }

    fn apis(&self) -> DeployStep {
        let about = format!(
            "The APIs. Whoever does not own the project needs these roles to deploy:\n{}",
            DEPLOYER_ROLES.join(" ")
        );
        DeployStep::new(
            &about,
            [
                format!("gcloud config set project {}", self.project),
                format!("gcloud services enable {} {}.googleapis.com", APIS.join(" "), self.product),
            ],
        )
    }

    fn builder(&self) -> DeployStep {
        let project = self.project;
        DeployStep::new(
            "The account that builds the image: on newer projects it has no role",
            [
                format!("NUMBER=$(gcloud projects describe {project} --format 'value(projectNumber)')"),
                format!("gcloud projects add-iam-policy-binding {project} --role {BUILDER_ROLE} \\"),
                "    --member \"serviceAccount:$NUMBER-compute@developer.gserviceaccount.com\"".to_owned(),
            ],
        )
    }

    fn account(&self) -> DeployStep {
        let Self { name, agent_project, product, .. } = self;
        DeployStep::new(
            "The service's own account, and what it may do",
            [
                format!("gcloud iam service-accounts describe {} >/dev/null 2>&1 ||", self.account_name()),
                format!("    gcloud iam service-accounts create {name}"),
                format!("gcloud projects add-iam-policy-binding {agent_project} --role roles/{product}.client \\"),
                format!("    --member serviceAccount:{}", self.account_name()),
            ],
        )
    }

    fn account_name(&self) -> String {
        format!("{}@{}.iam.gserviceaccount.com", self.name, self.project)
    }

    fn secret(&self, variable: &str, secret: &str) -> DeployStep {
        let value = self.values.get(variable).map(String::as_str).unwrap_or_default();
        let is_in_file = env_file::value(self.file_text, variable).as_deref() == Some(value);
        let file = quoted(&self.file.display().to_string());
        let step = DeployStep::new(
            &format!("A secret, {variable}: its value stands on no command line"),
            [
                format!("gcloud secrets describe {secret} >/dev/null 2>&1 ||"),
                format!("    gcloud secrets create {secret} --replication-policy=automatic"),
                format!("gcloud secrets add-iam-policy-binding {secret} --role roles/secretmanager.secretAccessor \\"),
                format!("    --member serviceAccount:{}", self.account_name()),
            ],
        );
        let secret = SecretVersion {
            variable: variable.to_owned(),
            add: format!("gcloud secrets versions add {secret} --data-file=-"),
            from_file: (is_in_file && quoted(value) == value)
                .then(|| format!("sed -n 's/^{variable}=//p' {file} | tr -d '\\n'")),
        };
        DeployStep { secret: Some(secret), ..step }
    }

    fn service(&self) -> DeployStep {
        let Self { name, region, .. } = self;
        let mut commands = vec![
            format!("gcloud run deploy {name} --source . --region {region} \\"),
            format!("    --service-account {} \\", self.account_name()),
        ];
        commands.extend(
            self.secrets().iter().map(|(variable, secret)| format!("    --set-secrets {variable}={secret}:latest \\")),
        );
        commands.extend(self.variables().map(|variables| format!("    --set-env-vars {variables} \\")));
        commands.push(format!("    {}", FLAGS.join(" \\\n    ")));
        DeployStep::new(
            "The service. --no-invoker-iam-check lets Twilio in, which has no Google identity; the service checks its\n\
             signature. If your organisation forbids the flag: --allow-unauthenticated",
            commands,
        )
    }

    /// The secrets that are set, with their names in Secret Manager.
    fn secrets(&self) -> Vec<(String, String)> {
        let is_set = |name: &str| self.values.get(name).is_some_and(|value| !value.trim().is_empty());
        let set = Settings::names().filter(|name| Settings::is_secret(name) && is_set(name));
        set.map(|name| (name.to_owned(), name.to_lowercase().replace('_', "-"))).collect()
    }

    /// The settings that are not secrets, as the value of one flag.
    fn variables(&self) -> Option<String> {
        let pairs: Vec<String> = Settings::names()
            .filter(|name| !Settings::is_secret(name) && !NOT_DEPLOYED.contains(name))
            .filter_map(|name| Some(format!("{name}={}", self.values.get(name)?)))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        // gcloud accepts another separator than the comma, given in front between two carets (gcloud topic escaping).
        let separators = [",", "@", "|", ";", "~", "^@@^"];
        let free = separators.into_iter().find(|separator| pairs.iter().all(|pair| !pair.contains(separator)))?;
        let joined = pairs.join(free);
        Some(shell(&if free == "," { joined } else { format!("^{free}^{joined}") }))
    }
}

/// Quotes a word for a shell.
pub(super) fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/@%+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let deployment = Deployment {
            values: &values,
            file: Path::new(".env"),
            file_text: "TWILIO_AUTH_TOKEN=planted\nTICKET_KEY='planted key'\n",
            name: "dialbridge",
            region: "europe-west3",
            project: "p",
            agent_project: "agents",
            product: "dialogflow",
            number: "twilio …",
            doctor: "dialbridge doctor",
        };
        deployment.steps().iter().map(|step| format!("{step}\n")).collect()
    }

    #[test]
    fn secrets_go_from_the_file_to_secret_manager() {
        let commands = commands(&[
            ("TWILIO_AUTH_TOKEN", "planted"),
            ("TICKET_KEY", "planted key"),
            ("PORT", "8080"),
            ("ADMIN_TOKEN", "planted-elsewhere"),
        ]);
        assert!(
            commands.contains("gcloud secrets versions add admin-token --data-file=-\n# type the value"),
            "it is not in the file"
        );
        assert!(commands.contains(
            "sed -n 's/^TWILIO_AUTH_TOKEN=//p' .env | tr -d '\\n' | gcloud secrets versions add twilio-auth-token --data-file=-\n"
        ));
        assert!(
            commands.contains("gcloud secrets versions add ticket-key --data-file=-\n# type the value"),
            "{commands}"
        );
        assert!(commands.contains("    --set-secrets TWILIO_AUTH_TOKEN=twilio-auth-token:latest \\\n"));
        assert!(!commands.contains("planted") && !commands.contains("--set-env-vars"), "{commands}");
    }

    #[test]
    fn what_a_new_project_lacks_comes_before_what_needs_it() {
        let commands = commands(&[("DIALOGFLOW_AGENT", "projects/agents/agent")]);
        let at = |part: &str| commands.find(part).unwrap_or_else(|| panic!("{part} is missing: {commands}"));
        let order = [
            "gcloud services enable run.googleapis.com cloudbuild.googleapis.com",
            "gcloud projects add-iam-policy-binding p --role roles/run.builder",
            "gcloud iam service-accounts create dialbridge",
            "gcloud projects add-iam-policy-binding agents --role roles/dialogflow.client",
            "gcloud run deploy dialbridge --source .",
        ];
        assert!(order.is_sorted_by_key(|part| at(part)), "{commands}");
        assert!(commands.contains(" dialogflow.googleapis.com\n"), "{commands}");
        assert!(DEPLOYER_ROLES.iter().all(|role| commands.contains(role)), "{commands}");
    }

    #[test]
    fn settings_are_one_flag_whatever_is_in_them() {
        let of = |values: &[(&str, &str)]| {
            let commands = commands(values);
            let line = commands.lines().find(|line| line.contains("--set-env-vars")).unwrap();
            line.trim().trim_end_matches(" \\").to_owned()
        };
        assert_eq!(
            of(&[("DIALOGFLOW_AGENT", "projects/p/agent"), ("MAX_CALLS", "5")]),
            "--set-env-vars MAX_CALLS=5,DIALOGFLOW_AGENT=projects/p/agent"
        );
        assert_eq!(
            of(&[("HANDOFF_FIELDS", "intent,action"), ("END_OF_INTERACTION_URL", "https://h/?a=b&c=it's")]),
            "--set-env-vars '^@^END_OF_INTERACTION_URL=https://h/?a=b&c=it'\\''s@HANDOFF_FIELDS=intent,action'"
        );
    }
}
