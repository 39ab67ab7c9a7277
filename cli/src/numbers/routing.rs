//! Where Twilio sends a number's calls, in the terms of its `IncomingPhoneNumbers` resource.

use serde::{Deserialize, Serialize};

use crate::doctor::numbers::Number;
use dialbridge_runner::settings::PublicUrl;

/// Everything on which it depends where a number's calls go. Empty: not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routing {
    voice_url: String,
    voice_method: String,
    voice_fallback_url: String,
    voice_fallback_method: String,
    status_callback: String,
    status_callback_method: String,
    /// Twilio uses it before the voice-url.
    voice_application_sid: String,
    /// Twilio uses it before all others.
    trunk_sid: String,
}

impl Routing {
    /// A number's routing.
    pub(crate) fn of(number: &Number) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            voice_url: text(&number.voice_url),
            voice_method: text(&number.voice_method),
            voice_fallback_url: text(&number.voice_fallback_url),
            voice_fallback_method: text(&number.voice_fallback_method),
            status_callback: text(&number.status_callback),
            status_callback_method: text(&number.status_callback_method),
            voice_application_sid: text(&number.voice_application_sid),
            trunk_sid: text(&number.trunk_sid),
        }
    }

    /// The routing of a number to a service: all three URLs, and nothing that goes before them.
    pub(crate) fn to(public: &PublicUrl, number: &Number) -> Self {
        let post = || "POST".to_owned();
        let (voice_url, voice_fallback_url) = number.urls_here(public);
        Self {
            voice_url,
            voice_method: post(),
            voice_fallback_url,
            voice_fallback_method: post(),
            status_callback: public.http("/stream-status"),
            status_callback_method: post(),
            voice_application_sid: String::new(),
            trunk_sid: String::new(),
        }
    }

    fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("VoiceUrl", &self.voice_url),
            ("VoiceMethod", &self.voice_method),
            ("VoiceFallbackUrl", &self.voice_fallback_url),
            ("VoiceFallbackMethod", &self.voice_fallback_method),
            ("StatusCallback", &self.status_callback),
            ("StatusCallbackMethod", &self.status_callback_method),
            ("VoiceApplicationSid", &self.voice_application_sid),
            ("TrunkSid", &self.trunk_sid),
        ]
    }

    /// The parameters of an update from another routing to this one. Setting one of app and trunk removes the other, so
    /// that a field that stays as it is must not be sent.
    pub(crate) fn update_from<'a>(&'a self, now: &Self) -> Vec<(&'static str, &'a str)> {
        let changed = self.fields().into_iter().zip(now.fields()).filter(|(to, from)| to != from);
        // A method that was never set has a default, and cannot be emptied.
        changed.map(|(to, _)| to).filter(|(name, value)| !(name.ends_with("Method") && value.is_empty())).collect()
    }

    /// Where calls go, for people. A voice-url's query may hold a secret, so it is left out.
    pub(crate) fn described(&self) -> String {
        let url = self.voice_url.split(['?', '#']).next().unwrap_or_default();
        match (self.trunk_sid.as_str(), self.voice_application_sid.as_str(), url) {
            ("", "", "") => "nowhere".to_owned(),
            ("", "", url) => url.to_owned(),
            ("", app, _) => format!("TwiML app {app}"),
            (trunk, _, _) => format!("SIP trunk {trunk}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_sends_what_differs_and_nothing_else() {
        let here = Routing::to(&PublicUrl::at_root(true, "calls.example.com"), &Number::default());
        let app = Routing { voice_application_sid: "AP1".to_owned(), ..here.clone() };
        assert_eq!(here.update_from(&app), [("VoiceApplicationSid", "")]);
        assert_eq!(app.update_from(&here), [("VoiceApplicationSid", "AP1")]);
        assert_eq!(here.update_from(&here), []);
        let unset = Routing::default();
        assert!(unset.update_from(&here).iter().all(|(name, value)| value.is_empty() && !name.ends_with("Method")));
    }

    #[test]
    fn a_number_that_leads_here_keeps_its_agent_and_its_parameters() {
        let public = PublicUrl::at_root(true, "calls.example.com");
        let leads_to = |url: &str| {
            let mut number = Number::default();
            number.voice_url = Some(url.to_owned());
            Routing::to(&public, &number)
        };
        let here = leads_to("https://calls.example.com/twiml?agent=sales&param.shop=north");
        assert_eq!(here.voice_url, "https://calls.example.com/twiml?agent=sales&param.shop=north");
        assert_eq!(here.voice_fallback_url, "https://calls.example.com/twiml?agent=sales&param.shop=north&resume=1");
        assert_eq!(
            leads_to("https://elsewhere.example/twiml?agent=sales").voice_url,
            "https://calls.example.com/twiml"
        );
    }

    #[test]
    fn people_see_where_calls_go_and_no_query() {
        let url = Routing { voice_url: "https://h/twiml?key=planted#rc=2".to_owned(), ..Routing::default() };
        let app = Routing { voice_application_sid: "AP1".to_owned(), ..url.clone() };
        let trunk = Routing { trunk_sid: "TK1".to_owned(), ..url.clone() };
        let told = [Routing::default(), url, app, trunk].map(|routing| routing.described());
        assert_eq!(told, ["nowhere", "https://h/twiml", "TwiML app AP1", "SIP trunk TK1"]);
    }
}
