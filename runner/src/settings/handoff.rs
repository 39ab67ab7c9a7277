//! The settings of where calls go when the agent is done, or cannot be had.

use dialbridge_core::handoff::{DialRules, HandoffConfig, HandoffField, MAX_TWIML_CHARS};

use super::numbers::is_number;
use super::value::{Shown, boolean, list, number, set, text, url};
use super::{SettingError, Settings};

impl Settings {
    /// Where calls go.
    pub(super) fn handoff(&self) -> Result<HandoffConfig, SettingError> {
        let fields = match set(&self.handoff_fields) {
            None => HandoffConfig::default().fields,
            Some(names) => list(Some(names)).iter().map(|name| field(name)).collect::<Result<_, _>>()?,
        };
        Ok(HandoffConfig {
            end_of_interaction_url: url("END_OF_INTERACTION_URL", set(&self.end_of_interaction_url))?,
            fallback_twiml: self.fallback()?,
            fields,
            dial: self.dial()?,
        })
    }

    fn fallback(&self) -> Result<Option<String>, SettingError> {
        let fallback = text(&self.fallback_twiml);
        let is_document = |twiml: &String| twiml.contains("<Response") && twiml.chars().count() < MAX_TWIML_CHARS;
        if fallback.as_ref().is_some_and(|twiml| !is_document(twiml)) {
            return Err(SettingError::new(
                "FALLBACK_TWIML",
                "is no TwiML document of under 4,000 characters",
                "<Response><Say>Please call again later.</Say><Hangup/></Response>",
            ));
        }
        Ok(fallback)
    }

    fn dial(&self) -> Result<DialRules, SettingError> {
        let caller_id = text(&self.dial_caller_id);
        if caller_id.as_deref().is_some_and(|id| !is_number(id)) {
            let fault = "is no number: + and 15 digits at most, or a Twilio address such as client:NAME";
            return Err(SettingError::new("DIAL_CALLER_ID", fault, "+15550100"));
        }
        Ok(DialRules {
            caller_id,
            timeout_s: number("DIAL_TIMEOUT", set(&self.dial_timeout), 30, 1..=600, "30")?,
            answer_on_bridge: boolean("DIAL_ANSWER_ON_BRIDGE", self.dial_answer_on_bridge.as_deref(), true)?,
        })
    }
}

fn field(name: &str) -> Result<HandoffField, SettingError> {
    let known = HandoffField::ALL.map(HandoffField::name).join(",");
    let fault = || format!("names {}; the fields are {known}", Shown(name));
    let field = HandoffField::ALL.into_iter().find(|field| field.name() == name);
    field.ok_or_else(|| SettingError::new("HANDOFF_FIELDS", fault(), "intent,parameters"))
}
