//! The agent: whether its host belongs to its location, and whether it answers.

use std::time::Duration;

use dialbridge_core::agent::{AgentFault, Answer, AnswerPart, TurnInput};
use dialbridge_core::{AgentEvent, StreamId};
use http::Uri;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::credentials::Credentials;
use super::finding::Finding;
use super::subject::{AgentSubject, session_id};
use super::{Doctor, endpointing, in_short, speech};

const HOST: &str = "agent-host";
const CHECK: &str = "agent";

/// How much of the agent's words is shown, in characters.
const MAX_SHOWN_CHARS: usize = 60;

/// Checks one agent. `name` goes before each finding if there are several agents.
pub(crate) async fn check(doctor: &Doctor, agent: &AgentSubject, credentials: &Credentials) -> Vec<Finding> {
    let host = host(agent);
    if host.is_fault() {
        let why = "its host must be right first";
        return vec![host, Finding::skipped(CHECK, why), speech::skipped(why), endpointing::skipped(why)];
    }
    if !agent.endpoint.is_plaintext && credentials.auth.is_none() {
        let why = "there are no credentials to ask it with";
        return vec![host, Finding::skipped(CHECK, why), speech::skipped(why), endpointing::skipped(why)];
    }
    let turn = turn(doctor, agent, credentials).await;
    let speech = if turn.is_fault() {
        let why = "it must answer first";
        vec![speech::skipped(why), endpointing::skipped(why)]
    } else {
        let mut findings = speech::check(doctor, agent, credentials).await;
        findings.push(endpointing::check(doctor, agent).await);
        findings
    };
    [host, turn].into_iter().chain(speech).collect()
}

/// Whether the host is the one that serves the agent's location.
fn host(agent: &AgentSubject) -> Finding {
    let (asked, right) = (host_of(&agent.endpoint.url), host_of(&agent.address.endpoint().url));
    let name = agent.address.name();
    if agent.is_lab {
        return Finding::ok(HOST, "the lab's agent, in this process; set DIALOGFLOW_AGENT to serve yours");
    }
    if !agent.is_elsewhere || asked == right {
        if let Some((location, known)) = agent.address.unknown_location() {
            let says =
                format!("{name} is in {location}, which is none of the locations that we know: {}", known.join(", "));
            let mend = "look whether the agent's console shows the same name; the list may be out of date";
            return Finding::warning(HOST, says, mend);
        }
        return Finding::ok(HOST, format!("{right} serves {name}"));
    }
    if agent.address.may_be_at(&asked) {
        return Finding::ok(
            HOST,
            format!("DIALOGFLOW_ENDPOINT {asked} is asked instead of {right}; both may serve {name}"),
        );
    }
    if asked.ends_with(".googleapis.com") {
        let says = format!("DIALOGFLOW_ENDPOINT is {asked}, but {right} serves the location of {name}");
        return Finding::fault(
            HOST,
            says,
            "unset DIALOGFLOW_ENDPOINT, or name an agent of that location in DIALOGFLOW_AGENT",
        );
    }
    let how = if agent.endpoint.is_plaintext { "http, without credentials" } else { "https" };
    Finding::ok(HOST, format!("DIALOGFLOW_ENDPOINT {asked} is asked instead of {right} ({how})"))
}

fn host_of(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_ascii_lowercase)).unwrap_or_else(|| url.to_owned())
}

/// Plays one real turn, with the input that begins every call.
async fn turn(doctor: &Doctor, agent: &AgentSubject, credentials: &Credentials) -> Finding {
    let session = session_id();
    let mut unanswered = Vec::new();
    for input in &agent.opening {
        let mut tasks = JoinSet::new();
        let answers = match agent.open(doctor.tools.dial.clone(), &session, input.clone(), &mut tasks) {
            Ok(answers) => answers,
            Err(why) => return Finding::fault(CHECK, in_short(&why), "see the lines on the credentials"),
        };
        match tokio::time::timeout(doctor.web.deadline, first_answer(answers, agent.has_session_stream())).await {
            Err(_) => return silent(agent, doctor.web.deadline),
            Ok(Err(fault)) => return refused(agent, &fault, credentials),
            Ok(Ok(Some(answer))) => return answered(&answer, input),
            Ok(Ok(None)) => unanswered.push(described(input)),
        }
    }
    let says = format!("{} is there, and has no answer to {}", agent.address.name(), unanswered.join(" nor to "));
    let mend = "callers would hear nothing at first: set DIALOGFLOW_STARTING_EVENT_NAME or DIALOGFLOW_STARTING_TEXT to \
                what the agent greets at";
    Finding::warning(CHECK, says, mend)
}

/// Reads the first answer that a caller would notice; `None` if the stream ends without one.
async fn first_answer(
    mut answers: mpsc::Receiver<(StreamId, AgentEvent)>,
    has_session_stream: bool,
) -> Result<Option<Answer>, AgentFault> {
    let mut first: Option<Answer> = None;
    while let Some((_, event)) = answers.recv().await {
        match event {
            AgentEvent::Failed(fault) => return Err(fault),
            AgentEvent::Ended => break,
            AgentEvent::Answer(answer) => {
                let is_last = answer.part == AnswerPart::Final;
                match &mut first {
                    None if answer.is_empty() => {}
                    None => first = Some(*answer),
                    // The audio may come after the words, or the words after the audio.
                    Some(first) => {
                        first.text.push_str(&answer.text);
                        first.prompts.extend(answer.prompts);
                    }
                }
                // A stream of many turns stays open after it.
                if is_last && has_session_stream {
                    break;
                }
            }
            _ => {}
        }
    }
    Ok(first)
}

fn answered(answer: &Answer, input: &TurnInput) -> Finding {
    let says = format!("answers {} with \"{}\"", described(input), shown(&answer.text));
    if let Some(coding) = &answer.unplayable {
        let mend = "have the agent's voice give LINEAR16, MULAW or ALAW (its speech settings)";
        return Finding::warning(CHECK, format!("{says}, in {coding}, which a telephone cannot play"), mend);
    }
    if answer.prompts.is_empty() {
        let mend = "turn the agent's speech output on (ES: its settings, Speech; CX: its settings, Speech and IVR)";
        return Finding::warning(CHECK, format!("{says}, but with no audio: callers would hear nothing"), mend);
    }
    if let Some(fault) = answer.webhook_faults.first() {
        return Finding::warning(
            CHECK,
            format!("{says}, but its webhook failed: {fault}"),
            "look at the agent's webhook",
        );
    }
    Finding::ok(CHECK, says)
}

fn described(input: &TurnInput) -> String {
    match input {
        TurnInput::Event(name) => format!("the event {name}"),
        TurnInput::Text(text) => format!("the text \"{}\"", shown(text)),
        other => other.kind().to_owned(),
    }
}

fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let shown: String = characters.by_ref().take(MAX_SHOWN_CHARS).collect();
    if characters.next().is_some() { format!("{shown}…") } else { shown }
}

fn silent(agent: &AgentSubject, deadline: Duration) -> Finding {
    let says = format!("{} does not answer within {} s", agent.endpoint.url, deadline.as_secs_f32());
    Finding::fault(
        CHECK,
        says,
        "look whether this machine reaches the host (firewall, proxy), and at the agent's webhook",
    )
}

/// What a failed stream means, and what to do.
fn refused(agent: &AgentSubject, fault: &AgentFault, credentials: &Credentials) -> Finding {
    let name = agent.address.name();
    let project = name.split('/').nth(1).unwrap_or_default();
    let host = host_of(&agent.endpoint.url);
    let service = if agent.address.edition() == "ces" { "ces" } else { "dialogflow" };
    let who = credentials.email.as_deref().map_or("user:YOU".to_owned(), |email| format!("serviceAccount:{email}"));
    let message = in_short(&fault.message);
    let told = if message.is_empty() { fault.code.clone() } else { format!("{}: {message}", fault.code) };
    let (what, mend) = match fault.code.as_str() {
        "NOT_FOUND" => (
            format!("{host} has no agent {name}"),
            "set DIALOGFLOW_AGENT to the name that the agent's console shows; is it in another location or project?".to_owned(),
        ),
        "PERMISSION_DENIED" if is_disabled(&fault.message) => (
            format!("the API is not enabled in project {project}"),
            format!("gcloud services enable {service}.googleapis.com --project {project}"),
        ),
        "PERMISSION_DENIED" if lacks_quota_project(&fault.message) => (
            "these credentials may not use the quota project that they name".to_owned(),
            format!(
                "give them the role there: gcloud projects add-iam-policy-binding QUOTA_PROJECT --role \
                 roles/serviceusage.serviceUsageConsumer --member {who}; or name another one: gcloud auth \
                 application-default set-quota-project {project}"
            ),
        ),
        "PERMISSION_DENIED" => (
            format!("these credentials may not ask {name}"),
            format!(
                "give them the role: gcloud projects add-iam-policy-binding {project} --role roles/{service}.client \
                 --member {who}"
            ),
        ),
        "UNAUTHENTICATED" => (
            format!("{host} does not take the token"),
            "use credentials of a project of Google's cloud: see the lines on the credentials; is this machine's clock right?"
                .to_owned(),
        ),
        "INVALID_ARGUMENT" | "UNIMPLEMENTED" => (
            format!("{host} does not take what it is asked for {name}"),
            "look whether the agent is of that location and edition (DIALOGFLOW_AGENT, DIALOGFLOW_ENDPOINT, \
             DIALOGFLOW_ES_API), and speaks DIALOGFLOW_LANGUAGE"
                .to_owned(),
        ),
        "RESOURCE_EXHAUSTED" => (
            format!("the quota of project {project} is used up"),
            format!("have it raised (console, IAM and Admin, Quotas, {service}.googleapis.com), or wait a minute"),
        ),
        "FAILED_PRECONDITION" => (
            format!("{name} cannot serve"),
            "look at the agent's console: is it trained, its environment published, billing on?".to_owned(),
        ),
        "UNAVAILABLE" => (
            format!("{host} cannot be reached"),
            "look whether this machine reaches it (name server, firewall, proxy), and whether the location in \
             DIALOGFLOW_AGENT exists"
                .to_owned(),
        ),
        _ => (format!("{name} fails"), "try again; if it stays, look at the agent's console and its webhook".to_owned()),
    };
    Finding::fault(CHECK, format!("{what} ({told})"), mend)
}

/// Whether Google refuses the project of `x-goog-user-project`.
fn lacks_quota_project(message: &str) -> bool {
    ["USER_PROJECT_DENIED", "required permission to use project", "serviceusage.services.use"]
        .iter()
        .any(|part| message.contains(part))
}

fn is_disabled(message: &str) -> bool {
    ["SERVICE_DISABLED", "has not been used", "is disabled"].iter().any(|part| message.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_quota_project_is_told_from_a_refused_agent() {
        let refused = "Caller does not have required permission to use project p. Grant the caller the \
                       roles/serviceusage.serviceUsageConsumer role, or a custom role with the \
                       serviceusage.services.use permission";
        assert!(lacks_quota_project(refused));
        assert!(!lacks_quota_project(
            "IAM permission 'dialogflow.sessions.streamingDetectIntent' on 'agents/a' denied."
        ));
    }
}
