//! The recogniser's settings of a CX agent, by Google's advice for telephone calls. They are read over REST; calls need
//! none of it, so whatever cannot be read is no fault.
//!
//! Google's advice: <https://docs.cloud.google.com/dialogflow/cx/docs/concept/speech-models> and
//! <https://docs.cloud.google.com/dialogflow/cx/docs/concept/advanced-speech>.

use std::collections::BTreeMap;

use dialbridge_agents::Product;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use super::Doctor;
use super::credentials::Credentials;
use super::finding::Finding;
use super::in_short;
use super::subject::AgentSubject;

const CHECK: &str = "agent-speech";

/// Google calls it the best model for telephone calls of CX agents.
const BEST: &str = "telephony_short";

/// The answer of `GET` for an agent, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Agent {
    advanced_settings: AdvancedSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AdvancedSettings {
    speech_settings: SpeechSettings,
}

/// The agent's advanced speech settings. Flows and pages may have others.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpeechSettings {
    /// How soon speech counts as ended, 0 to 100. With timeout-based endpointing it stands for a time.
    endpointer_sensitivity: u32,
    /// For example `5s`.
    no_speech_timeout: Option<String>,
    use_timeout_based_endpointing: bool,
    /// The recogniser's model for each language.
    models: BTreeMap<String, String>,
}

/// Checks the speech settings of a CX agent and of our requests to it.
pub(super) async fn check(doctor: &Doctor, agent: &AgentSubject, credentials: &Credentials) -> Vec<Finding> {
    if agent.address.product() != Product::Cx {
        return vec![skipped("only CX agents have settings that can be read")];
    }
    match read(doctor, agent, credentials).await {
        Ok(settings) => settings.advice(agent.speech_model(), agent.language()),
        Err(why) => vec![skipped(why)],
    }
}

pub(super) fn skipped(why: impl Into<String>) -> Finding {
    Finding::skipped(CHECK, why)
}

/// Gets the agent.
///
/// # Errors
/// Why it cannot be read.
async fn read(doctor: &Doctor, agent: &AgentSubject, credentials: &Credentials) -> Result<SpeechSettings, String> {
    let name = agent.address.name();
    let name = name.split_once("/environments/").map_or(name, |(name, _)| name);
    let mut headers = HeaderMap::new();
    // No token is sent over plaintext.
    if let Some(auth) = credentials.auth.as_ref().filter(|_| !agent.endpoint.is_plaintext) {
        auth.add_to(&mut headers).await.map_err(|error| in_short(&error.to_string()))?;
    }
    let url = format!("{}/v3/{name}", agent.endpoint.url);
    let mut request = Request::get(&url).body(Full::default()).map_err(|error| error.to_string())?;
    request.headers_mut().extend(headers);
    let response = doctor.web.send(request).await.map_err(|error| format!("{url}: {error}"))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::FORBIDDEN => {
            return Err("these credentials may not read the agent's settings (roles/dialogflow.reader; calls do not \
                        need it)"
                .to_owned());
        }
        status => return Err(format!("{url} answers {status}")),
    }
    let agent: Agent = serde_json::from_slice(response.body()).map_err(|_| format!("{url} answers no agent"))?;
    Ok(agent.advanced_settings.speech_settings)
}

impl SpeechSettings {
    /// What to say about the settings, with `SPEECH_MODEL` and the language of the calls.
    fn advice(&self, requested: Option<&str>, language: &str) -> Vec<Finding> {
        let own = self.models.get(language).map(String::as_str).filter(|model| !model.is_empty());
        let model = requested.or(own);
        let all = [model.and_then(|model| self.model(model)), differing(requested, own, language)];
        let all = all.into_iter().chain([self.sensitivity(model, language), self.advanced()]);
        let findings: Vec<Finding> = all.flatten().collect();
        if !findings.is_empty() {
            return findings;
        }
        let whose = match (requested, own) {
            (Some(model), _) => format!("SPEECH_MODEL is {model}"),
            (None, Some(model)) => format!("the agent's model for {language} is {model}"),
            (None, None) => "Google chooses the recogniser's model".to_owned(),
        };
        vec![Finding::ok(CHECK, format!("{whose}; the agent has no advanced speech settings"))]
    }

    /// A model that Google does not name for the telephone.
    fn model(&self, model: &str) -> Option<Finding> {
        let why = match model {
            "telephony" if self.use_timeout_based_endpointing => return None,
            "telephony" => {
                "which Google names for advanced timeout-based endpointing, and the agent does not have that"
            }
            // Google names the last one for languages that have no other.
            model if model.contains("telephony") || ["phone_call", "command_and_search"].contains(&model) => {
                return None;
            }
            _ => "which Google does not name for telephone calls",
        };
        let mend =
            format!("set SPEECH_MODEL={BEST}, or unset it and the agent's own: Google then chooses by the audio");
        Some(Finding::warning(CHECK, format!("the recogniser's model is {model}, {why}"), mend))
    }

    /// A sensitivity that has no effect.
    fn sensitivity(&self, model: Option<&str>, language: &str) -> Option<Finding> {
        let has_effect = self.use_timeout_based_endpointing || (model == Some("phone_call") && language == "en-US");
        if has_effect || self.endpointer_sensitivity == 0 {
            return None;
        }
        let says = format!(
            "the agent's end of speech sensitivity is {}; by Google's page it has an effect only with the model phone_call \
             in en-US",
            self.endpointer_sensitivity
        );
        let mend =
            "turn on advanced timeout-based end of speech sensitivity in the agent (Speech and IVR), or leave it";
        Some(Finding::warning(CHECK, says, mend))
    }

    /// Settings that may have no effect here at all.
    fn advanced(&self) -> Option<Finding> {
        let set = [
            (self.endpointer_sensitivity > 0).then(|| format!("sensitivity {}", self.endpointer_sensitivity)),
            self.use_timeout_based_endpointing.then(|| "timeout-based endpointing".to_owned()),
            self.no_speech_timeout.as_ref().map(|timeout| format!("no-speech timeout {timeout}")),
        ];
        let set: Vec<String> = set.into_iter().flatten().collect();
        if set.is_empty() {
            return None;
        }
        let says = format!(
            "the agent has advanced speech settings ({}), which Google supports for its own telephony integrations only",
            set.join(", ")
        );
        let mend = "listen to a call before you rely on them (docs/editions.md)";
        Some(Finding::warning(CHECK, says, mend))
    }
}

/// Two models, of which the agent's may win.
fn differing(requested: Option<&str>, own: Option<&str>, language: &str) -> Option<Finding> {
    let (requested, own) = requested.zip(own).filter(|(requested, own)| requested != own)?;
    let says = format!(
        "SPEECH_MODEL is {requested} and the agent's own model for {language} is {own}; the agent's switch \"Override \
         request-level speech model\" decides which is used, and the API does not show it"
    );
    Some(Finding::warning(CHECK, says, "give both the same model, or unset SPEECH_MODEL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn advice(settings: Value, requested: Option<&str>, language: &str) -> Vec<String> {
        let agent: Agent =
            serde_json::from_value(json!({ "advancedSettings": { "speechSettings": settings } })).unwrap();
        let findings = agent.advanced_settings.speech_settings.advice(requested, language);
        findings.into_iter().map(|finding| finding.says).collect()
    }

    #[test]
    fn googles_advice_on_models_is_told() {
        for (model, says) in [
            ("telephony_short", None),
            ("phone_call", None),
            ("command_and_search", None),
            ("latest_short", Some("does not name for telephone calls")),
            ("telephony", Some("names for advanced timeout-based endpointing")),
        ] {
            let told = advice(json!({}), Some(model), "en-US").join("\n");
            assert!(told.contains(says.unwrap_or("no advanced speech settings")), "{model}: {told}");
        }
        let timeouts = json!({ "useTimeoutBasedEndpointing": true, "endpointerSensitivity": 2 });
        let told = advice(timeouts, Some("telephony"), "de-DE");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("(sensitivity 2, timeout-based endpointing), which Google supports"), "{told:?}");
    }

    #[test]
    fn a_sensitivity_has_an_effect_with_one_model_in_one_language() {
        let settings =
            || json!({ "endpointerSensitivity": 90, "models": { "en-US": "phone_call", "de-DE": "phone_call" } });
        let without_effect = |told: &[String]| told.iter().any(|says| says.contains("has an effect only"));
        assert!(!without_effect(&advice(settings(), None, "en-US")));
        assert!(without_effect(&advice(settings(), None, "de-DE")));
        assert!(without_effect(&advice(settings(), Some("telephony_short"), "en-US")));
    }

    #[test]
    fn the_agents_own_model_may_win() {
        let own = || json!({ "models": { "en-US": "telephony_short" } });
        let told = advice(own(), Some("phone_call"), "en-US");
        assert!(told[0].contains("Override request-level speech model"), "{told:?}");
        assert_eq!(
            advice(own(), None, "en-US"),
            ["the agent's model for en-US is telephony_short; the agent has no advanced speech settings"]
        );
        assert_eq!(
            advice(json!({}), None, "en-US"),
            ["Google chooses the recogniser's model; the agent has no advanced speech settings"]
        );
    }
}
