//! The questions, and what is checked once they are answered.

/// A setting that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// The variable's name.
    pub(super) name: &'static str,
    /// What it is, in words.
    pub(super) what: &'static str,
    /// The default for an empty answer.
    pub(super) default: Option<&'static str>,
}

/// Questions whose answers are checked together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) questions: &'static [Question],
    pub(super) target: CheckTarget,
}

/// What to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckTarget {
    /// Credentials and agent.
    Agent,
    /// The Twilio account.
    Account,
    /// Only the form.
    Form,
    /// The public URL.
    PublicUrl,
}

const fn question(name: &'static str, what: &'static str) -> Question {
    Question { name, what, default: None }
}

/// All questions, in order.
pub(super) const GROUPS: [Group; 5] = [
    Group {
        questions: &[
            Question {
                default: Some("lab:"),
                ..question(
                    "DIALOGFLOW_AGENT",
                    "the agent: its URL in Google's console, its name, or lab: for the lab's",
                )
            },
            question(
                "GOOGLE_APPLICATION_CREDENTIALS",
                "a file with Google credentials; without it gcloud's login, or the platform's service account",
            ),
            Question { default: Some("en-US"), ..question("DIALOGFLOW_LANGUAGE", "the language of the calls") },
        ],
        target: CheckTarget::Agent,
    },
    Group {
        questions: &[
            question("TWILIO_ACCOUNT_SID", "the Twilio account's id, AC…"),
            question("TWILIO_AUTH_TOKEN", "the account's auth token"),
            question("TWILIO_API_KEY_SID", "an API key for REST, SK…; the token does without one"),
            question("TWILIO_API_KEY_SECRET", "the API key's secret"),
        ],
        target: CheckTarget::Account,
    },
    Group {
        questions: &[question(
            "END_OF_INTERACTION_URL",
            "where the call goes when the agent is done; without it the call is hung up",
        )],
        target: CheckTarget::Form,
    },
    Group {
        questions: &[question("MAX_CALLS", "how many calls an instance takes at once; without it 1000")],
        target: CheckTarget::Form,
    },
    Group {
        questions: &[question("PUBLIC_URL", "the URL that Twilio sees, where the service is up already")],
        target: CheckTarget::PublicUrl,
    },
];
